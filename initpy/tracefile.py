"""Floor 2: the file of a trace, as the helper that traces writes it.

It begins with MAGIC; then come records, each as its frame arrived. Only whole ones are appended,
and what a helper before this one has left half-written is cut off. So a trace can be read at any
time, however its writer has ended.
"""

from __future__ import annotations

import posix
import time

from initpy.linux.errnos import errno_name
from initpy.wire import MAX_FRAME_BYTES, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal

MAGIC = b"initpy-trace 1\n"
"""With the number of the format."""

READ_BYTES = 65536

LOCK_S = 2.0
"""A helper before this one needs no longer for what it still has to write."""

CANNOT_WRITE = 1
"""Exit code."""


class ForeignFileError(Exception):
    """There is a file, and it is no trace; the text is for the operator."""


def run(path: bytes, news_fd: int, report_fd: int) -> int:
    """Append to the file what comes from `news_fd`, until its end. What keeps it from that is
    written to `report_fd`, as a frame. Returns the exit code."""
    _signal.signal(_signal.SIGTERM, _signal.SIG_IGN)  # at the end, everybody gets it
    try:
        fd = posix.open(
            path,
            posix.O_RDWR | posix.O_CREAT | posix.O_APPEND | posix.O_CLOEXEC | posix.O_NOFOLLOW,
            0o600,
        )
        _lock(fd)
        _cut(fd)
        _copy(news_fd, fd)
    except OSError as exc:
        why_not = errno_name(exc)
    except ForeignFileError as exc:
        why_not = str(exc)
    else:
        return 0
    posix.write(report_fd, frame(f"{path.decode(errors='replace')}: {why_not}"))
    return CANNOT_WRITE


def _lock(fd: int) -> None:
    """Be the only one who writes to it.

    Raises:
        ForeignFileError: somebody else does.
    """
    until = time.monotonic() + LOCK_S
    while True:
        try:
            posix.lockf(fd, posix.F_TLOCK, 0)
        except OSError:
            if time.monotonic() > until:
                raise ForeignFileError("another process writes to it") from None
            time.sleep(0.02)
        else:
            return


def _cut(fd: int) -> None:
    """Cut off what is no whole record; begin the file, if it is empty.

    Raises:
        ForeignFileError: it is no trace.
    """
    size = posix.lseek(fd, 0, 2)
    head = posix.pread(fd, len(MAGIC), 0)
    if head != MAGIC:
        if head != MAGIC[: len(head)] or size > len(head):
            raise ForeignFileError("it is there, and is no trace")
        posix.ftruncate(fd, 0)
        _write(fd, MAGIC)
        return
    at = len(MAGIC)
    while len(length := posix.pread(fd, 4, at)) == 4:
        span = int.from_bytes(length, "big")
        if span > MAX_FRAME_BYTES:
            raise ForeignFileError(f"it is damaged at byte {at}")
        if at + 4 + span > size:
            break
        at += 4 + span
    if at != size:
        posix.ftruncate(fd, at)


def _copy(news_fd: int, fd: int) -> None:
    held = bytearray()
    while raw := posix.read(news_fd, READ_BYTES):
        held += raw
        end = 0
        while len(held) >= end + 4:
            span = 4 + int.from_bytes(held[end : end + 4], "big")
            if len(held) < end + span:
                break
            end += span
        if end:
            _write(fd, bytes(memoryview(held)[:end]))
            del held[:end]


def _write(fd: int, raw: bytes) -> None:
    while raw:
        raw = raw[posix.write(fd, raw) :]
