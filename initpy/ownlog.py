"""Floor 2: the last of PID 1's own log lines, in a memory file where the control helper finds them.

In it are two words of eight bytes: how many bytes have ever come, and how many of them no client is
to see any more. Behind these is a ring with the last of them. The first word is written after the
bytes, so a reader that sees it twice the same has what it says, but for MARGIN_BYTES that may just
be overwritten. PID 1 never reads it.

Where there is no control plane, nothing of this is loaded.
"""

from __future__ import annotations

import posix

RING_AT = 16
RING_BYTES = 64 * 1024

MARGIN_BYTES = 8 * 1024
"""A line that is longer is cut."""


class OwnLog:
    """The memory file."""

    KEPT = ("fd", "total")

    def __init__(self) -> None:
        """Raises:
        OSError: there are no descriptors.
        """
        self.fd = posix.memfd_create("initpy-own-log", posix.MFD_CLOEXEC)
        self.total = 0

    def add(self, line: bytes) -> None:
        """A line that is written. What finds no memory is not kept."""
        if len(line) > MARGIN_BYTES:
            line = line[: MARGIN_BYTES - 1] + b"\n"
        at = self.total % RING_BYTES
        upto_end = line[: RING_BYTES - at]
        try:
            posix.pwrite(self.fd, upto_end, RING_AT + at)
            posix.pwrite(self.fd, line[len(upto_end) :], RING_AT)
            posix.pwrite(self.fd, (self.total + len(line)).to_bytes(8, "little"), 0)
        except OSError:
            return
        self.total += len(line)
