"""PID 1's own log lines, on a file descriptor that others share and that may be full.

PID 1 must not wait for whoever reads its stderr. O_NONBLOCK is no way: it would hold for every
program that shares the open file. So there is one way for each kind of file (DESIGN §8).
"""

from __future__ import annotations

import posix
import select
import time

from initpy.linux.errnos import EAGAIN, EDQUOT, EFBIG, ENOSPC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MAX_QUEUE_BYTES = 256 * 1024
"""What waits when nobody reads. A line beyond that is dropped, and counted."""

FULL_DISK = (ENOSPC, EDQUOT, EFBIG)
NEWLINE = 10

CHUNK_BYTES = 4096
"""One page: what a pipe's slot holds, and less than any terminal's or socket's buffer. A pipe takes
all or nothing of so much, so nobody's line comes into ours."""

_S_IFMT, _S_IFIFO, _S_IFCHR, _S_IFSOCK = 0o170000, 0o010000, 0o020000, 0o140000


class LogWriter:
    """Writes lines without ever blocking.

    What cannot be written now is queued, up to MAX_QUEUE_BYTES; a line for which there is no room
    is dropped, and once there is room again a line says how many were.
    """

    KEPT = ("_dropped", "_early", "_form", "_is_dead", "_is_mid_line", "_name_width", "_queue")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        """To be watched for writability while `backlog` is true."""
        self._queue = bytearray()
        self._dropped = 0
        self._is_dead = False
        self._is_mid_line = False
        """The last byte written was no newline; what was to follow it may have been dropped."""
        self._stamp, self._stamp_second = "", -1
        self._form, self._name_width = "text", 0
        self.keep: Callable[[bytes], None] | None = None
        """Is given each line as well."""
        self._early: list[tuple[str, str]] = []
        self._write = self._way_to_write()

    def set_form(self, form: str, name_width: int) -> None:
        """Write lines as `logs.forms` writes those of programs, where that is "prefix" or "json";
        `name_width` is how wide the names before them are."""
        self._form, self._name_width = form, name_width
        self.release_early()
        self.flush()

    def early_line(self, level: str, text: str) -> None:
        """A line from before the form is known: it waits for that, or for the next line, or for
        `release_early`."""
        self._early.append((level, text))

    @property
    def has_early(self) -> bool:
        return bool(self._early)

    def release_early(self) -> None:
        """Do not let it wait any longer."""
        early, self._early = self._early, []
        for level, text in early:
            self.queue(level, text)

    @property
    def backlog(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._queue) and not self._is_dead

    def line(self, level: str, text: str) -> None:
        """Write a line, with the wall clock before it, in supervisord's form."""
        self.queue(level, text)
        self.flush()

    def queue(self, level: str, text: str) -> None:
        """As `line`, but several may be written at once, by the next `flush`."""
        if self._early:
            self.release_early()
        line = self.formed(level, text)
        if self.keep is not None:
            self.keep(line)
        if self._is_mid_line and not self._queue:
            line = b"\n" + line
        if len(self._queue) + len(line) > CHUNK_BYTES:
            self.flush()
        if len(self._queue) + len(line) > MAX_QUEUE_BYTES:
            self._dropped += 1
        else:
            self._queue += line

    def flush(self) -> None:
        """Write as much as the file takes now."""
        while self._queue and not self._is_dead:
            upto = self._queue.rfind(b"\n", 0, CHUNK_BYTES) + 1 or CHUNK_BYTES
            try:
                written = self._write(bytes(self._queue[:upto]))
            except BlockingIOError:
                return
            except OSError as exc:
                if exc.errno not in FULL_DISK:  # EPIPE, EIO: nobody will ever read it
                    self._is_dead = True
                self._drop_queue()
                return
            self._is_mid_line = self._queue[written - 1] != NEWLINE
            del self._queue[:written]
            if self._dropped and not self._queue:
                text = f"{self._dropped} log lines were dropped: there was no room for them"
                self._queue += self.formed("WARN", text)
                self._dropped = 0

    def formed(self, level: str, text: str) -> bytes:
        """The line that is written for that text."""
        now = time.time()
        if self._form == "json":
            return _json_line(level, text, now)
        second = int(now)
        millis = int((now - second) * 1000)
        if second != self._stamp_second:  # to format it takes longer than to write it
            year, month, day, hour, minute, sec, *_ = time.localtime(second)  # strftime is 64 kB
            self._stamp = f"{year}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{sec:02d}"
            self._stamp_second = second
        text = text.replace("\n", "\\n")  # a path may hold anything; a line stays a line
        before = f"{'initpy':{self._name_width}} | " if self._form == "prefix" else ""
        return f"{before}{self._stamp},{millis:03d} {level} {text}\n".encode(errors="replace")

    def give_up(self) -> None:
        """Write nothing any more."""
        self._is_dead = True

    def _drop_queue(self) -> None:
        """Give up what waits, but not the file: the next line may find room again."""
        self._dropped += self._queue.count(NEWLINE)
        self._queue.clear()

    def flush_before_exit(self, timeout_s: float) -> None:
        """Write what waits, for this long at the most."""
        until = time.monotonic() + timeout_s
        self.release_early()
        self.flush()
        while self.backlog and time.monotonic() < until:
            poll = select.poll()
            poll.register(self.fd, select.POLLOUT)
            poll.poll(max(0, int((until - time.monotonic()) * 1000)))
            self.flush()

    def _way_to_write(self) -> Callable[[bytes], int]:
        """The way that fits the kind of file that the fd is."""
        kind = posix.fstat(self.fd).st_mode & _S_IFMT
        if kind == _S_IFIFO:
            return self._anew() or _PipeWriter(self.fd).write
        if kind == _S_IFSOCK:
            return _socket_writer(self.fd)
        if kind == _S_IFCHR and posix.isatty(self.fd):
            return self._anew() or self._write_when_writable
        return lambda chunk: posix.write(self.fd, chunk)  # a regular file or /dev/null

    def _anew(self) -> Callable[[bytes], int] | None:
        """The same file, opened anew, has flags of its own; None: that is forbidden, as another
        user's pipe or terminal is."""
        try:
            flags = posix.O_WRONLY | posix.O_NOCTTY | posix.O_NONBLOCK | posix.O_CLOEXEC
            fd = posix.open(f"/proc/self/fd/{self.fd}", flags)
        except OSError:
            return None
        self.fd = fd
        return lambda chunk: posix.write(fd, chunk)

    def _write_when_writable(self, chunk: bytes) -> int:
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        if not poll.poll(0):
            raise BlockingIOError(EAGAIN, "the terminal is full")
        return posix.write(self.fd, chunk[:256])


def _json_line(level: str, text: str, now: float) -> bytes:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    text = "".join([it if it >= " " else f"\\u{ord(it):04x}" for it in text])
    who = f'"program":"initpy","process":"initpy","pid":{posix.getpid()},"channel":"stderr"'
    time_ns = f"{int(now % 1 * 10**9):09d}"
    line = f'{{"time":"{stamp}.{time_ns}Z",{who},"level":"{level}","message":"{text}"}}\n'
    return line.encode(errors="replace")


class _PipeWriter:
    """Writes to a shared pipe by splicing from a pipe of our own, which can be told not to block
    for one call. Each line takes one of the pipe's 16 slots, however short it is: a reader has to
    be quicker than with write."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._read_fd, self._write_fd = posix.pipe2(posix.O_CLOEXEC | posix.O_NONBLOCK)

    def write(self, chunk: bytes) -> int:
        held = posix.write(self._write_fd, chunk)
        try:
            moved = posix.splice(self._read_fd, self._fd, held, flags=posix.SPLICE_F_NONBLOCK)
            held -= moved
            return moved
        finally:
            if held:  # what is written next may be longer
                posix.read(self._read_fd, held)


def _socket_writer(fd: int) -> Callable[[bytes], int]:
    import _socket  # noqa: PLC0415 - 1 MB that PID 1 does without where stderr is no socket

    def write(chunk: bytes) -> int:
        sock = _socket.socket(fileno=fd)
        try:
            return sock.send(chunk, _socket.MSG_DONTWAIT)
        finally:
            sock.detach()  # or it would close the fd with itself

    return write
