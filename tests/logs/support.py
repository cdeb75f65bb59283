"""A relay in a process of its own, with pipes and a memory file as PID 1 would have them."""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import select
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from initpy.logplan import FILE, RAW, Channel, ChannelPlan, LogPlan, Sink
from initpy.logs.memory import Tail
from initpy.logs.relay import run
from initpy.wire import Frames, frame
from tests.support import wait_for

if TYPE_CHECKING:
    from typing import Any

PID = 4711
FIONREAD = 0x541B


def to_file(path: Path, form: str = RAW, **options: Any) -> Sink:
    return Sink(FILE, os.fsencode(path), form, **options)


def channel_plan(*sinks: Sink, process: str = "web", **options: Any) -> ChannelPlan:
    options.setdefault("channel", "stdout")
    return ChannelPlan(program=process, process=process, sinks=sinks, **options)


class Relay:
    """The pipes and the memory file outlive the relays, of which one after the other is started."""

    def __init__(
        self,
        *plans: ChannelPlan,
        stdout: int | None = None,
        pid: int = PID,
    ) -> None:
        self.plans = plans
        self.pipes = [os.pipe2(os.O_CLOEXEC) for _ in plans]
        for read_fd, _ in self.pipes:
            os.set_blocking(read_fd, False)
        self.memory_fd = os.memfd_create("logs")
        self._stdout = stdout
        self.program_pid = pid
        self._frames = Frames()
        self._messages: list[str] = []
        self._marked: list[tuple[object, ...]] = []
        self.last_pid = 0
        """Of an instance that had written to it before the relay was started."""
        self.pid = 0
        self._commands_fd = self._reports_fd = -1
        self.start()

    def start(self) -> None:
        commands_fd, self._commands_fd = os.pipe2(os.O_CLOEXEC)
        self._reports_fd, reports_fd = os.pipe2(os.O_CLOEXEC)
        self.pid = os.fork()
        if self.pid == 0:
            code = 99
            try:
                os.close(self._commands_fd)
                if self._stdout is not None:
                    os.dup2(self._stdout, 1)
                channels = tuple(
                    Channel(slot, fds[0], plan, self.program_pid, 0, self.last_pid)
                    for slot, (fds, plan) in enumerate(zip(self.pipes, self.plans, strict=True))
                )
                self._close_others(commands_fd, reports_fd)
                code = run(LogPlan(channels, self.memory_fd, commands_fd), reports_fd)
            finally:
                os._exit(code)
        os.close(commands_fd)
        os.close(reports_fd)
        os.set_blocking(self._reports_fd, False)

    def _close_others(self, *used: int) -> None:
        """What a relay has, and no more: a reader that goes away has to be gone."""
        keep = {0, 1, 2, self.memory_fd, *used, *[fd for fds in self.pipes for fd in fds]}
        for name in os.listdir("/proc/self/fd"):
            if int(name) not in keep:
                with contextlib.suppress(OSError):
                    os.close(int(name))

    def write(self, raw: bytes, which: int = 0) -> None:
        """As the program of a channel would; waits as it would."""
        while raw:
            raw = raw[os.write(self.pipes[which][1], raw) :]

    def command(self, *words: object) -> None:
        os.write(self._commands_fd, frame(words))

    def is_waiting(self) -> bool:
        """It has done all that it can, and waits for something to happen."""
        return self._state() == "S" and "memfd:logs" in Path(f"/proc/{self.pid}/maps").read_text()

    def stop(self) -> None:
        """It sees nothing of what comes, until SIGCONT."""
        os.kill(self.pid, signal.SIGSTOP)
        wait_for(lambda: self._state() == "T")

    def _state(self) -> str:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2][0]

    def has_commands(self) -> bool:
        """It has not read all that it was sent."""
        waiting = array.array("i", [0])
        fcntl.ioctl(self._commands_fd, FIONREAD, waiting)
        return bool(waiting[0])

    def hang_up(self) -> None:
        """As when PID 1 is gone."""
        null_fd = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(null_fd, self._commands_fd, inheritable=False)
        os.close(null_fd)

    def messages(self) -> list[str]:
        """What it has had PID 1 log so far."""
        while self.pid and select.select([self._reports_fd], [], [], 0)[0]:
            raw = os.read(self._reports_fd, 65536)
            if not raw:
                break
            for value in self._frames.feed(raw):
                match value:
                    case ("log", str(), str(text)):
                        self._messages.append(text)
                    case ("marked", *words):
                        self._marked.append(tuple(words))
        return self._messages

    def marked(self) -> list[tuple[object, ...]]:
        """The births that it knows of: serial number, birth."""
        self.messages()
        return self._marked

    def is_spinning(self, within_s: float = 0.2) -> bool:
        """It uses a processor for nothing."""
        before = time.monotonic(), _cpu_s(self.pid)
        wait_for(lambda: time.monotonic() > before[0] + within_s)
        return _cpu_s(self.pid) - before[1] > within_s / 4

    def tail(self, which: int = 0) -> bytes:
        return Tail(self.memory_fd, which).read()[0]

    def kill(self) -> None:
        """As the OOM killer would."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.messages()
        self.pid = 0
        os.close(self._commands_fd)
        os.close(self._reports_fd)
        return code

    def drain(self, within_s: float = 60.0) -> int:
        """Everything written so far is where it is to be when this returns the exit code."""
        self.command("drain", within_s)
        return self.wait()

    def close(self) -> None:
        if self.pid:
            self.kill()
        for fds in self.pipes:
            for fd in fds:
                os.close(fd)
        os.close(self.memory_fd)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Reader:
    """Whoever reads the container's stdout; it reads when it is told to."""

    def __init__(self) -> None:
        self.fd, self.write_fd = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.fd, False)
        self.seen = b""

    def read(self) -> bytes:
        """All that has come so far."""
        while select.select([self.fd], [], [], 0)[0]:
            raw = os.read(self.fd, 1 << 20)
            if not raw:
                break
            self.seen += raw
        return self.seen

    def wait_for(self, wanted: bytes) -> None:
        wait_for(lambda: self.read() == wanted, about=f"{wanted[-300:]!r}")

    def close(self) -> None:
        """Nobody reads any more."""
        if self.fd >= 0:
            os.close(self.fd)
            os.close(self.write_fd)
            self.fd = -1


def wait_for_content(path: Path, wanted: bytes) -> None:
    """Wait until the file has exactly these bytes."""
    wait_for(lambda: path.exists() and path.read_bytes() == wanted, about=f"{wanted!r} in {path}")
