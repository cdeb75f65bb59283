"""What the tests that run a real initpy share: start it, read what it says, wait for facts."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")

REPO = Path(__file__).resolve().parent.parent
PROBE = Path(__file__).resolve().parent / "probe.py"
REQUIRED = os.environ.get("INITPY_TESTS_REQUIRE", "").split()
"""Kinds of tests that must not be skipped: "namespace", "docker", "compat", "dropin", "spin"."""


PATIENCE_S = 60.0
"""What has not happened by then never will: it is many times what a loaded machine takes."""


def wait_for(fact: Callable[[], T], *, within_s: float = PATIENCE_S, about: str = "") -> T:
    """What `fact` returns as soon as that is true."""
    began_at = time.monotonic()
    while not (seen := fact()):
        waited_s = time.monotonic() - began_at
        assert waited_s < within_s, f"never happened: {about or fact}"
        # Between two looks, of which each costs others time; no test is about how long this is.
        time.sleep(min(0.005 + waited_s / 20, 0.05))
    return seen


def skip_or_fail(kind: str, why: str) -> None:
    """Skip the test, unless this kind must run."""
    if kind in REQUIRED:
        pytest.fail(f"{kind} tests are required, but {why}")
    pytest.skip(why)


def probe(*arguments: str) -> list[str]:
    """The command of a program that says what happens to it; see probe.py."""
    return [sys.executable, "-I", "-S", str(PROBE), *arguments]


def toml_list(words: Sequence[str]) -> str:
    """A TOML array of strings."""
    quoted = [
        '"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
        for word in words
    ]
    return f"[{', '.join(quoted)}]"


class Init:
    """A running initpy: as PID 1 of a namespace, or as an ordinary process."""

    def __init__(
        self,
        config: Path,
        folder: Path,
        *,
        as_pid1: bool,
        wrapper: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        python: Sequence[str] = (sys.executable,),
        script: Sequence[str] = (),
        binary: Path | None = None,
    ) -> None:
        """`script` is what Python runs in place of the package; `binary` the static executable, in
        the place of both."""
        unshare = ["unshare", "-pf", "--mount-proc", "--kill-child"] if as_pid1 else []
        self.is_binary = binary is not None
        self._executable = str(binary or python[0])
        self.config = config
        # In a folder of its own: the path of a socket has to be short.
        self._socket_folder = Path(tempfile.mkdtemp(prefix="initpy-"))
        self.socket = self._socket_folder / "socket"
        self.stdout = folder / "stdout"
        self.stderr = folder / "stderr"
        lean = f"import sys; sys.path.append({str(REPO)!r}); from initpy.cli import main; main()"
        initpy = [*script] or (["-c", lean] if "-S" in python else ["-m", "initpy"])
        program = [str(binary)] if binary else [*python, *initpy]
        command = [*wrapper, *unshare, *program, "-c", str(config)]
        with self.stdout.open("wb") as out, self.stderr.open("wb") as err:
            self._outer = subprocess.Popen(
                command,
                cwd=REPO,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, "INITPY_SOCKET": str(self.socket), **(env or {})},
            )
        self._as_pid1 = as_pid1
        self._pid = 0 if as_pid1 or wrapper else self._outer.pid

    @property
    def pid(self) -> int:
        """initpy's pid, as seen from outside its namespace."""
        if not self._pid:
            self._pid = wait_for(self._find_pid, about="initpy's start")
        return self._pid

    def _find_pid(self) -> int:
        """Down the only children, through wrappers and unshare, to the first initpy."""
        pid = self._outer.pid
        while pid:
            cmdline = _cmdline(pid)
            if not cmdline:  # it executes something, perhaps itself anew
                return 0
            if b"initpy" in cmdline and cmdline.startswith(self._executable.encode()):
                return pid
            pid = next(iter(children(pid)), 0)
        return 0

    def log(self) -> str:
        """What initpy itself has said so far."""
        return self.stderr.read_text(errors="replace")

    def output(self) -> str:
        """What its programs have said so far."""
        return self.stdout.read_text(errors="replace")

    def wait_for_log(self, pattern: str, *, times: int = 1, within_s: float = PATIENCE_S) -> None:
        """Wait until the log matches, at least so many times."""
        self._wait_for(self.log, pattern, times, within_s)

    def wait_for_output(self, pattern: str, *, times: int = 1, within_s: float = PATIENCE_S) -> str:
        """Wait until a program's output matches. Returns the last match, or its first group."""
        return self._wait_for(self.output, pattern, times, within_s)

    def _wait_for(self, text: Callable[[], str], pattern: str, times: int, within_s: float) -> str:
        def found() -> list[str]:
            matches = re.findall(pattern, text(), re.MULTILINE)
            return matches if len(matches) >= times else []

        try:
            return wait_for(found, within_s=within_s, about=pattern)[-1]
        except AssertionError:
            said = f"log:\n{self.log()}\noutput:\n{self.output()}"
            raise AssertionError(f"never said: {pattern!r}\n{said}") from None

    def kill(self, signum: int) -> None:
        """Send initpy a signal."""
        os.kill(self.pid, signum)

    def wait(self, within_s: float = PATIENCE_S) -> int:
        """Wait for its end; the exit code, or -signal."""
        try:
            return self._outer.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end:\n{self.log()}") from None

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """Ask it to end, and wait."""
        self.kill(signum)
        return self.wait()

    def is_running(self) -> bool:
        return self._outer.poll() is None

    def end(self) -> None:
        """Leave nothing of it behind, whatever the test has come to."""
        if self.is_running():
            mine = [self._outer.pid, *descendants(self._outer.pid)]
            for pid in mine:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self._outer.wait(10)
        shutil.rmtree(self._socket_folder, ignore_errors=True)


def _cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def status_field(pid: int, name: str) -> str:
    """A field of /proc/PID/status; empty when the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def is_pending(pid: int, signum: int) -> bool:
    """The kernel has this signal for the process, which has not taken it yet."""
    return any(
        int(status_field(pid, mask) or "0", 16) & 1 << signum - 1 for mask in ("SigPnd", "ShdPnd")
    )


def children(pid: int) -> list[int]:
    """Its children; none when it is gone."""
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except OSError:
        return []


def descendants(pid: int) -> list[int]:
    """All that descend from it."""
    found = children(pid)
    for child in found:  # it grows while it is walked
        found += children(child)
    return found


def wait_for_descendants(pid: int, count: int) -> list[int]:
    """Its descendants, in the order of their birth, as soon as there are so many."""
    wait_for(lambda: len(descendants(pid)) >= count, about=f"{count} descendants of {pid}")
    return descendants(pid)


def fds_of(pid: int) -> list[str]:
    """What its descriptors are."""
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
        except OSError:  # closed meanwhile
            continue
    return found


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    return status_field(pid, "State")[:1] not in ("", "Z", "X")
