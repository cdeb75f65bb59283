"""Where output goes: initpy's own stdout and stderr, and files. Each takes what it can, at once.

A sink serves many channels. One that has taken a part of what it was given belongs to that channel
until it has the rest; the others wait in line, so that none cuts into another's line.
"""

from __future__ import annotations

import errno
import fcntl
import posix
import select
import time
from abc import ABC, abstractmethod

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable
    from typing import Protocol

    from initpy.logs.files import LogFile
    from initpy.logs.shares import Share

    class Waiter(Protocol):
        share: Share

        def resume(self) -> None: ...

    Buffer = bytes | mmap.mmap

RETRY_S = 0.5
"""How soon a file that could not be written to is tried again."""

ATOMIC_BYTES = 4096
"""PIPE_BUF: of so much, a pipe takes all or nothing."""

FIONREAD = 0x541B
"""As nearly every kind of machine has it; the static executable has no module termios."""

PIPE_BYTES = 1024 * 1024
"""What a pipe that others read may be enlarged to; the kernel may refuse."""

F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_S_IFMT, _S_IFIFO, _S_IFCHR, _S_IFSOCK = 0o170000, 0o010000, 0o020000, 0o140000


class Sink(ABC):
    """What the kinds of sinks have in common: the line of those who wait for it."""

    file: LogFile | None = None
    """What it writes to, if that is one."""

    def __init__(
        self, report: Callable[[str, str], None], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._report = report
        self._now = now
        self.lost_lines = 0
        """Dropped, by those who do not wait for it, since it last worked."""
        self.owner: Waiter | None = None
        """It has been given a part of what this channel has, and waits for the rest; or it is the
        first in line."""
        self._waiting: list[Waiter] = []
        """Who has had the least is last, and is next."""
        self._retry_at = 0.0
        """Not before; 0: it has not failed."""
        self._failed_since: float | None = None

    def write(self, who: Waiter, raw: Buffer, start: int, end: int) -> int:
        """Take raw[start:end], whole lines. Returns how many bytes were taken; when that is less
        than all, `who` is resumed as soon as there is a chance for the rest."""
        if self.owner is not None and self.owner is not who:
            self._line_up(who)
            return 0
        taken = self._take(raw, start, end)
        if taken < end - start:
            self.owner = who
        elif self.owner is who:
            self.owner = None
        return taken

    def stand_in_line(self, who: Waiter) -> None:
        """`who` has nothing for it yet, and is to be resumed when it is its turn."""
        self._line_up(who)
        if self.owner is None:
            self.owner = self._waiting.pop()

    def _line_up(self, who: Waiter) -> None:
        """Behind those who have had as much. (What one has had does not change while it waits.)"""
        at, end = 0, len(self._waiting)
        while at < end:
            middle = (at + end) // 2
            if self._waiting[middle].share.had > who.share.had:
                at = middle + 1
            else:
                end = middle
        self._waiting.insert(at, who)

    def give_up(self, who: Waiter) -> None:
        """`who` does not wait any more."""
        if who in self._waiting:
            self._waiting.remove(who)
        if self.owner is who:
            self.owner = self._waiting.pop() if self._waiting else None

    @property
    def is_stalled(self) -> bool:
        return self.owner is not None

    @property
    def is_pausing(self) -> bool:
        """It is stalled for no other reason than that others are to have their turn."""
        return False

    def go_on(self, until: float) -> None:
        """There may be room again: resume the owner, then those in line, as long as it lasts, and
        no longer than until then, by the clock: who is to be next may not be in line yet."""
        owner, self.owner = self.owner, None  # which it becomes again if it has not room enough
        if owner is not None:
            owner.resume()
        while self.owner is None and self._waiting:
            following = self._waiting.pop()
            if self._now() < until:
                following.resume()
            else:
                self.owner = following

    @abstractmethod
    def _take(self, raw: Buffer, start: int, end: int) -> int:
        """As much of these bytes as there is room for; returns how many."""

    # What a relay waits for on behalf of a sink: a fd with room, or an instant.

    def waits_for_fd(self) -> int:
        """The fd to watch for room; -1: none."""
        return -1

    def waits_until(self) -> float | None:
        """When to `go_on`, by the monotonic clock; None: there is no such instant."""
        return self._retry_at if self.is_stalled and self._retry_at else None

    def set_ended(self, who: Waiter) -> None:  # noqa: B027 - most have nothing to do
        """What comes of it after this is another instance's."""

    def reopen(self) -> None:  # noqa: B027
        """The file may have been moved away."""

    # What is said once when it cannot be written to, and once when it can.

    def _fail(self, name: str, exc: OSError) -> None:
        now = self._now()
        self._retry_at = now + RETRY_S
        if self._failed_since is None:
            self._failed_since = now
            self._report("WARN", f"cannot write to {name}: {exc.strerror}; trying on")

    def _recover(self, name: str) -> None:
        if self._failed_since is None:
            return
        lost = f"{self.lost_lines} lines were lost" if self.lost_lines else "nothing was lost"
        span_s = self._now() - self._failed_since
        self._report("INFO", f"can write to {name} again after {span_s:.1f} s: {lost}")
        self._failed_since, self._retry_at = None, 0.0
        self.lost_lines = 0


class StreamSink(Sink):
    """initpy's stdout or stderr, which others share: O_NONBLOCK would hold for them too, so there
    is one way to write for each kind of file (as in linux.log).

    Others may write to it between two writes of ours, as initpy itself does. So a pipe gets no
    more at once than it has room for, up to the end of a line; only a line of more than
    ATOMIC_BYTES may be cut.
    """

    def __init__(
        self, fd: int, report: Callable[[str, str], None], pipe_bytes: int = PIPE_BYTES
    ) -> None:
        """`pipe_bytes`: if it is a pipe, it is enlarged to so much when it is full."""
        super().__init__(report)
        self.fd = fd
        self._name = {1: "stdout", 2: "stderr"}.get(fd, f"descriptor {fd}")
        self._pipe_bytes = pipe_bytes
        self._is_dead = False
        self._tells_room = False
        """It is a pipe, and what is in it tells how much room it has."""
        self._is_pollable = True
        self.is_tty = False
        self.takes_splice = False
        """splice may move bytes to `fd` from another pipe."""
        self._put = self._way_to_write()
        self._inside = memoryview(bytearray(4)).cast("i")

    def waits_for_fd(self) -> int:
        return self.fd if self.is_stalled and self._is_pollable else -1

    def _take(self, raw: Buffer, start: int, end: int) -> int:
        if self._is_dead:
            return end - start
        at = start
        with memoryview(raw) as view:
            while at < end:
                try:
                    upto = self._upto(raw, at, end) if self.takes_splice else end
                    with view[at:upto] as piece:
                        at += self._put(piece)
                except BlockingIOError:
                    if self.takes_splice and self._pipe_bytes:
                        self._enlarge_pipe()
                        continue
                    break
                except OSError as exc:
                    if exc.errno in FULL_DISK:
                        self._fail(self._name, exc)
                        return at - start
                    self._is_dead = True
                    self._report("WARN", f"nobody reads {self._name} any more: {exc.strerror}")
                    return end - start
        if self._failed_since is not None:
            self._recover(self._name)
        return at - start

    def _upto(self, raw: Buffer, at: int, end: int) -> int:
        """How much to give to the pipe at once: the end of a line, up to which it takes it whole.

        How much room it has cannot be asked. But two of its pages that follow one another hold more
        than one page together, or they would be one; so what is in it takes at most twice as many
        as it would need.
        """
        if end - at <= ATOMIC_BYTES:
            return end
        if self._tells_room:
            fcntl.ioctl(self.fd, FIONREAD, self._inside)
            size = fcntl.fcntl(self.fd, F_GETPIPE_SZ)
            room = size - 2 * self._inside[0] - 2 * ATOMIC_BYTES
            if end - at <= room:
                return end
            if room > ATOMIC_BYTES and (newline := raw.rfind(b"\n", at, at + room)) >= 0:
                return newline + 1
        newline = raw.rfind(b"\n", at, at + ATOMIC_BYTES)
        if newline < 0:
            newline = raw.find(b"\n", at, end)
        return end if newline < 0 else newline + 1

    def splice(self, fd: int, most: int) -> int:
        """Move up to `most` bytes from the pipe `fd`; only where `takes_splice`. Returns how many:
        0 when there is no room.

        Raises:
            OSError: nobody reads it any more.
        """
        while True:
            try:
                return posix.splice(fd, self.fd, most, flags=posix.SPLICE_F_NONBLOCK)
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
        kind = posix.fstat(self.fd).st_mode & _S_IFMT
        if kind == _S_IFIFO:
            self.takes_splice = True
            anew = self._anew()
            self._tells_room = anew is not None
            return anew or _PipeWriter(self.fd).write
        if kind == _S_IFSOCK:
            return _socket_writer(self.fd)
        if kind == _S_IFCHR and posix.isatty(self.fd):
            self.is_tty = True
            return self._anew() or self._put_when_writable
        self._is_pollable = False
        return lambda piece: posix.write(self.fd, piece)  # a regular file or /dev/null

    def _anew(self) -> Callable[[memoryview], int] | None:
        """The same file with flags of its own; None: that is forbidden."""
        flags = posix.O_WRONLY | posix.O_NOCTTY | posix.O_NONBLOCK | posix.O_CLOEXEC
        try:
            fd = posix.open(f"/proc/self/fd/{self.fd}", flags)
        except OSError:
            return None
        self.fd = fd
        return lambda piece: posix.write(fd, piece)

    def _put_when_writable(self, piece: memoryview) -> int:
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        if not poll.poll(0):
            raise BlockingIOError(errno.EAGAIN, "the terminal is full")
        return posix.write(self.fd, piece[:256])


class _PipeWriter:
    """Writes to a shared pipe by splicing from one of our own, which can be told not to block."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._read_fd, self._write_fd = posix.pipe2(posix.O_CLOEXEC | posix.O_NONBLOCK)

    def write(self, piece: memoryview) -> int:
        held = posix.write(self._write_fd, piece)
        try:
            moved = posix.splice(self._read_fd, self._fd, held, flags=posix.SPLICE_F_NONBLOCK)
            held -= moved
            return moved
        finally:
            if held:  # what comes next may be something else
                posix.read(self._read_fd, held)


def _socket_writer(fd: int) -> Callable[[memoryview], int]:
    import _socket  # noqa: PLC0415 - where stdout is no socket, it does without

    def write(piece: memoryview) -> int:
        sock = _socket.socket(fileno=fd)
        try:
            return sock.send(piece, _socket.MSG_DONTWAIT)
        finally:
            sock.detach()

    return write
