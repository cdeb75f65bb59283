"""Inits of one command: ours under each of its names, and those it stands in for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import REPO, children, descendants, wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HERE = Path(__file__).resolve().parent
NAMESPACE = ("unshare", "-pf", "--mount-proc", "--kill-child")
PYTHON = (sys.executable, "-I", "-S")
WATCHER = (*PYTHON, str(HERE / "watcher.py"))
REAL = ("tini", "dumb-init", "catatonit")
NAMES = ("initpy", "tini", "docker-init", "dumb-init")

BINARY = os.environ.get("INITPY_BINARY")
"""The static executable, if that is to be tested; otherwise it is the package."""


@dataclass(frozen=True)
class Init:
    """An init that runs one command."""

    name: str
    path: str
    is_ours: bool

    def command(self, options: Sequence[str], *words: str) -> list[str]:
        return [self.path, *options, "--", *words]

    def __str__(self) -> str:
        return f"our {self.name}" if self.is_ours else self.name


def ours(folder: Path) -> dict[str, Init]:
    """Links to ours, under all of its names, in the folder."""
    target = folder / "initpy"
    if BINARY is not None:
        target.symlink_to(Path(BINARY).resolve())
    else:
        target.write_text(
            f"#!{sys.executable} -IS\nimport sys\nsys.path.append({str(REPO)!r})\n"
            "from initpy.cli import main\nmain()\n"
        )
        target.chmod(0o755)
    for name in NAMES[1:]:
        (folder / name).symlink_to("initpy")
    return {name: Init(name, str(folder / name), is_ours=True) for name in NAMES}


def real(name: str) -> Init | None:
    path = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
    return None if path is None else Init(name, path, is_ours=False)


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it said, without what differs from time to time."""

    code: int
    stdout: str
    stderr: str


def run(
    command: Sequence[str],
    *,
    as_pid1: bool = False,
    env: Mapping[str, str] | None = None,
    dress: Sequence[str] = (),
    cwd: Path | None = None,
) -> Ran:
    """Run to the end; in the output, pids are PID and the init's own path is its name."""
    if dress:
        command = [*PYTHON, str(HERE / "dress.py"), *dress, "--", *command]
    ran = subprocess.run(
        [*(NAMESPACE if as_pid1 else ()), *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
        env={**os.environ, **(env or {})},
    )
    return Ran(ran.returncode, _plain(ran.stdout), _plain(ran.stderr))


def _plain(text: str) -> str:
    text = re.sub(r"(tini \()\d+|(pid[ =:']+)\d+|(PID )\d+", r"\1\2\3PID", text)
    return re.sub(r"/\S*/(tini|dumb-init|docker-init|catatonit|initpy)\b", r"\1", text)


class Running:
    """An init that runs, and the command under it."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        *,
        as_pid1: bool,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._path = folder / "output"
        self._as_pid1 = as_pid1
        with self._path.open("wb") as output:
            self.outer = subprocess.Popen(
                [*(NAMESPACE if as_pid1 else ()), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**os.environ, **(env or {})},
            )

    @property
    def pid(self) -> int:
        """The init's pid, as seen from here."""
        if not self._as_pid1:
            return self.outer.pid
        return wait_for(lambda: children(self.outer.pid), about="the init")[0]

    def said(self) -> list[str]:
        return self._path.read_text(errors="replace").splitlines()

    def wait_for_line(self, line: str, *, times: int = 1) -> None:
        """Wait until the line, or one that begins so, has been said so often."""

        def is_said() -> bool:
            return sum(said.startswith(line) for said in self.said()) >= times

        try:
            wait_for(is_said, about=line)
        except AssertionError:
            raise AssertionError(f"never said {line!r}:\n{self.said()}") from None

    def got(self) -> list[int]:
        """The signals that the watcher has got."""
        return [int(line.split()[1]) for line in self.said() if line.startswith("got ")]

    def wait(self) -> int:
        return self.outer.wait(90)

    def end(self) -> None:
        if self.outer.poll() is None:
            for pid in [self.outer.pid, *descendants(self.outer.pid)]:
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    continue
            self.outer.wait(10)
