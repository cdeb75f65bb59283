"""A stage: an init as PID 1 of a namespace of its own, running probes that write down their times.

Everything that is timed is written by the probes, with CLOCK_MONOTONIC, into a file that nobody
waits on; while a stage runs, the bench sleeps, looks, and sleeps again. So it does not take the CPU
from what it measures, and needs no more than two of them.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.peers import Task

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from tests.bench.peers import Peer

HERE = Path(__file__).resolve().parent

LOOK_S = 0.02
"""Between two looks at the file."""

NAMESPACE = ("unshare", "-pf", "--mount-proc", "--kill-child")

GUN, START, TERM, DEATH, GONE, LEFT = "E", "S", "T", "K", "G", "L"
"""Kinds of lines; see probe.c and orphans.c."""


class StageError(Exception):
    """The init did not do what the stage waits for."""


@dataclass(frozen=True)
class Line:
    """A line that a probe wrote."""

    kind: str
    ns: int
    number: int
    """A pid in the namespace, or a count."""


@dataclass(frozen=True)
class Workshop:
    """A folder for the compiled probes and all stages."""

    folder: Path
    shared: Path
    """A folder in memory for the files that the probes write."""

    @classmethod
    def make(cls) -> Workshop:
        memory = Path("/dev/shm")
        return cls(
            Path(tempfile.mkdtemp(prefix="initpy-bench-")),
            Path(tempfile.mkdtemp(prefix="initpy-bench-", dir=memory if memory.is_dir() else None)),
        )

    def compile_probes(self) -> None:
        """Make what the inits will run.

        Raises:
            OSError, subprocess.CalledProcessError: there is no C compiler, or no libc to link with.
        """
        compiler = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-static"]
        bare = ["-nostdlib", "-fno-stack-protector"]
        subprocess.run(
            [*compiler, *bare, "-o", self.folder / "probe", HERE / "probe.c"], check=True
        )
        subprocess.run([*compiler, "-o", self.folder / "orphans", HERE / "orphans.c"], check=True)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.shared, ignore_errors=True)


class Stage:
    """Use as a context: the init is started on the way in, and killed with all it runs on the way
    out."""

    def __init__(
        self, peer: Peer, workshop: Workshop, modes: Sequence[str], *, restart: bool = False
    ) -> None:
        """`modes` are the probes' arguments, without the file: one program each."""
        self.peer = peer
        self._folder = Path(tempfile.mkdtemp(dir=workshop.folder))
        self._file = Path(tempfile.mkdtemp(dir=workshop.shared)) / "times"
        commands = []
        for mode in modes:
            program = "orphans" if mode[0] in "bo" else "probe"
            commands.append((str(workshop.folder / program), f"{mode}:{self._file}"))
        command = peer.configure(Task(tuple(commands), restart), self._folder)
        self._command = [*NAMESPACE, str(workshop.folder / "probe"), f"e:{self._file}", *command]
        self._log = self._folder / "log"

    def __enter__(self) -> Stage:
        with self._log.open("wb") as log:
            self._outer = subprocess.Popen(
                self._command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._outer.poll() is None:
            try:
                os.kill(self.init_pid, signal.SIGKILL)  # unshare ends when all of them are gone
            except (StageError, ProcessLookupError):
                self._outer.kill()
        self._outer.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
        shutil.rmtree(self._file.parent, ignore_errors=True)

    def lines(self, kinds: str) -> list[Line]:
        """What the probes have written so far, of these kinds, by time."""
        try:
            raw = self._file.read_text()
        except FileNotFoundError:
            return []
        split = [line.split() for line in raw.splitlines(keepends=True) if line.endswith("\n")]
        found = [Line(word, int(ns), int(number)) for word, ns, number in split if word in kinds]
        return sorted(found, key=lambda line: line.ns)

    def wait_for(self, kinds: str, count: int = 1, *, within_s: float = 30.0) -> list[Line]:
        """Wait until there are so many lines of these kinds; returns them.

        Raises:
            StageError: there are not, in time.
        """
        due_at = time.monotonic() + within_s
        while True:
            has_ended = self._outer.poll() is not None  # before a look that may be the last
            if len(found := self.lines(kinds)) >= count:
                return found
            if time.monotonic() > due_at or has_ended:
                raise StageError(self._why(f"{len(found)} of {count} lines {kinds}"))
            time.sleep(LOOK_S)

    def gun_ns(self) -> int:
        """When the init was executed."""
        return self.wait_for(GUN)[0].ns

    @property
    def init_pid(self) -> int:
        """PID 1's pid, as seen from here."""
        outer = self._outer.pid
        children = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
        if not children:
            raise StageError(self._why("the init is gone"))
        return int(children[0])

    def helpers(self) -> list[int]:
        """PID 1 and all in its namespace but the probes: the pids."""
        family = [self.init_pid]
        for pid in family:  # it grows while it is walked
            try:
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            except OSError:
                continue
            family += [int(child) for child in children]
        return [pid for pid in family if not _is_probe(pid)]

    def terminate(self) -> int:
        """Send TERM to PID 1; returns when, in ns."""
        return self.send(signal.SIGTERM)

    def send(self, signum: int) -> int:
        """Send PID 1 a signal; returns when, in ns."""
        pid = self.init_pid
        now_ns = time.monotonic_ns()
        os.kill(pid, signum)
        return now_ns

    def terminate_and_wait(self, within_s: float = 30.0) -> tuple[int, int]:
        """Send TERM to PID 1, and sleep until it is gone; returns both times, in ns.

        Raises:
            StageError: it does not end in time.
        """
        end = os.pidfd_open(self.init_pid)
        try:
            poll = select.poll()
            poll.register(end, select.POLLIN)
            sent_ns = self.terminate()
            if not poll.poll(within_s * 1000):
                raise StageError(self._why("it does not end"))
            return sent_ns, time.monotonic_ns()
        finally:
            os.close(end)

    def _why(self, what: str) -> str:
        said = self._log.read_text(errors="replace")[-2000:]
        return f"{self.peer.name}: {what}\n{said}"


def _is_probe(pid: int) -> bool:
    try:
        return Path(os.readlink(f"/proc/{pid}/exe")).name in ("probe", "orphans")
    except OSError:
        return True
