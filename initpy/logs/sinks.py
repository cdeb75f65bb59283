"""Where output goes: initpy's own stdout and stderr, and files. Each takes what it can, at once.

A sink serves many channels. One that has taken a part of what it was given belongs to that channel
until it has the rest; the others wait in line, so that none cuts into another's line.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import time
from collections import deque

from initpy.logs.files import FULL_DISK, LogFile, ShortWriteError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable
    from typing import Protocol

    class Waiter(Protocol):
        def resume(self) -> None: ...

    Buffer = bytes | mmap.mmap

RETRY_S = 0.5
"""How soon a file that could not be written to is tried again."""

PIPE_BYTES = 1024 * 1024
"""What a pipe that others read may be enlarged to; the kernel may refuse."""

F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032


class Sink:
    """What the kinds of sinks have in common: the line of those who wait for it."""

    def __init__(self, report: Callable[[str, str], None]) -> None:
        self._report = report
        self.lost_lines = 0
        """Dropped, by those who do not wait for it, since it last worked."""
        self.owner: Waiter | None = None
        """It has been given a part of what this channel has, and waits for the rest; or it is the
        first in line."""
        self._waiting: deque[Waiter] = deque()

    def write(self, who: Waiter, raw: Buffer, start: int, end: int) -> int:
        """Take raw[start:end], whole lines. Returns how many bytes were taken; when that is less
        than all, `who` is resumed as soon as there is a chance for the rest."""
        if self.owner is not None and self.owner is not who:
            self._waiting.append(who)
            return 0
        taken = self._take(raw, start, end)
        if taken < end - start:
            self.owner = who
        elif self.owner is who:
            self.owner = None
        return taken

    def stand_in_line(self, who: Waiter) -> None:
        """`who` has nothing for it yet, and is to be resumed when it is its turn."""
        self._waiting.append(who)
        if self.owner is None:
            self.owner = self._waiting.popleft()

    def give_up(self, who: Waiter) -> None:
        """`who` does not wait any more."""
        if who in self._waiting:
            self._waiting.remove(who)
        if self.owner is who:
            self.owner = self._waiting.popleft() if self._waiting else None

    @property
    def is_stalled(self) -> bool:
        return self.owner is not None

    def go_on(self) -> None:
        """There may be room again: resume the owner, then those in line, as long as it lasts."""
        owner, self.owner = self.owner, None  # which it becomes again if it has not room enough
        if owner is not None:
            owner.resume()
        while self.owner is None and self._waiting:
            self._waiting.popleft().resume()

    def _take(self, raw: Buffer, start: int, end: int) -> int:
        raise NotImplementedError

    # What a relay waits for on behalf of a sink: a fd with room, or an instant.

    def waits_for_fd(self) -> int:
        """The fd to watch for room; -1: none."""
        return -1

    def waits_until(self) -> float | None:
        """When to `go_on`, by the monotonic clock; None: there is no such instant."""
        return None

    def reopen(self) -> None:
        """The file may have been moved away."""

    def tend(self) -> None:
        """Once a second, or sooner."""


class StreamSink(Sink):
    """initpy's stdout or stderr, which others share: O_NONBLOCK would hold for them too, so there
    is one way to write for each kind of file (as in linux.log)."""

    def __init__(
        self, fd: int, report: Callable[[str, str], None], pipe_bytes: int = PIPE_BYTES
    ) -> None:
        """`pipe_bytes`: if it is a pipe, it is enlarged to so much when it is full."""
        super().__init__(report)
        self.fd = fd
        self._name = {1: "stdout", 2: "stderr"}.get(fd, f"descriptor {fd}")
        self._pipe_bytes = pipe_bytes
        self._is_dead = False
        self.is_tty = False
        self.takes_splice = False
        """splice may move bytes to `fd` from another pipe."""
        self._put = self._way_to_write()

    def waits_for_fd(self) -> int:
        return self.fd if self.is_stalled else -1

    def _take(self, raw: Buffer, start: int, end: int) -> int:
        if self._is_dead:
            return end - start
        at = start
        with memoryview(raw) as view:
            while at < end:
                try:
                    with view[at:end] as piece:
                        at += self._put(piece)
                except BlockingIOError:
                    if self.takes_splice and self._pipe_bytes:
                        self._enlarge_pipe()
                        continue
                    break
                except OSError as exc:
                    if exc.errno in FULL_DISK:
                        break
                    self._is_dead = True
                    self._report("WARN", f"nobody reads {self._name} any more: {exc.strerror}")
                    return end - start
        return at - start

    def splice(self, fd: int, most: int) -> int:
        """Move up to `most` bytes from the pipe `fd`; only where `takes_splice`. Returns how many:
        0 when there is no room.

        Raises:
            OSError: nobody reads it any more.
        """
        while True:
            try:
                return os.splice(fd, self.fd, most, flags=os.SPLICE_F_NONBLOCK)
            except BlockingIOError:
                if not self._pipe_bytes:
                    return 0
                self._enlarge_pipe()

    def _enlarge_pipe(self) -> None:
        """Once; a pipe that somebody has made larger still stays so."""
        pipe_bytes, self._pipe_bytes = self._pipe_bytes, 0
        try:
            if fcntl.fcntl(self.fd, F_GETPIPE_SZ) < pipe_bytes:
                fcntl.fcntl(self.fd, F_SETPIPE_SZ, pipe_bytes)
        except OSError:  # more than this user may have: then it stays as it is
            pass

    def _way_to_write(self) -> Callable[[memoryview], int]:
        mode = os.fstat(self.fd).st_mode
        if stat.S_ISFIFO(mode):
            self.takes_splice = True
            return self._anew() or _PipeWriter(self.fd).write
        if stat.S_ISSOCK(mode):
            return _socket_writer(self.fd)
        if stat.S_ISCHR(mode) and os.isatty(self.fd):
            self.is_tty = True
            return self._anew() or self._put_when_writable
        return lambda piece: os.write(self.fd, piece)  # a regular file or /dev/null

    def _anew(self) -> Callable[[memoryview], int] | None:
        """The same file with flags of its own; None: that is forbidden."""
        flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(f"/proc/self/fd/{self.fd}", flags)
        except OSError:
            return None
        self.fd = fd
        return lambda piece: os.write(fd, piece)

    def _put_when_writable(self, piece: memoryview) -> int:
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        if not poll.poll(0):
            raise BlockingIOError(errno.EAGAIN, "the terminal is full")
        return os.write(self.fd, piece[:256])


class _PipeWriter:
    """Writes to a shared pipe by splicing from one of our own, which can be told not to block."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._read_fd, self._write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._held_bytes = 0

    def write(self, piece: memoryview) -> int:
        if not self._held_bytes:
            self._held_bytes = os.write(self._write_fd, piece)
        moved = os.splice(self._read_fd, self._fd, self._held_bytes, flags=os.SPLICE_F_NONBLOCK)
        self._held_bytes -= moved
        return moved


def _socket_writer(fd: int) -> Callable[[memoryview], int]:
    import _socket  # noqa: PLC0415 - where stdout is no socket, it does without

    def write(piece: memoryview) -> int:
        sock = _socket.socket(fileno=fd)
        try:
            return sock.send(piece, _socket.MSG_DONTWAIT)
        finally:
            sock.detach()

    return write


class FileSink(Sink):
    """A log file. When it cannot be written to, that is said once, and it is tried again; when it
    can, that is said as well, with what was lost meanwhile."""

    def __init__(
        self,
        file: LogFile,
        report: Callable[[str, str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(report)
        self.file = file
        self._now = now
        self._retry_at: float | None = None
        self._failed_since: float | None = None

    def waits_until(self) -> float | None:
        return self._retry_at if self.is_stalled else None

    def reopen(self) -> None:
        self.file.reopen()
        self._retry_at = self._now()

    def tend(self) -> None:
        if self.file.is_packing:
            self.file.look_after_packer()

    def _take(self, raw: Buffer, start: int, end: int) -> int:
        if self._retry_at is not None and self._now() < self._retry_at:
            return 0
        try:
            taken = self.file.write(raw, start, end)
        except ShortWriteError as exc:
            self._fail(exc)
            return exc.written
        if self._failed_since is not None:
            self._recover()
        return taken

    def _fail(self, exc: OSError) -> None:
        now = self._now()
        self._retry_at = now + RETRY_S
        if self._failed_since is None:
            self._failed_since = now
            self._report(
                "WARN", f"cannot write to {_shown(self.file.path)}: {exc.strerror}; trying on"
            )
        if exc.errno not in FULL_DISK:
            self.file.reopen()

    def _recover(self) -> None:
        since = self._failed_since or 0.0
        lost = f"{self.lost_lines} lines were lost" if self.lost_lines else "nothing was lost"
        path, span_s = _shown(self.file.path), self._now() - since
        self._report("INFO", f"can write to {path} again after {span_s:.1f} s: {lost}")
        self._failed_since = self._retry_at = None
        self.lost_lines = 0


def _shown(path: bytes) -> str:
    return path.decode(errors="backslashreplace")
