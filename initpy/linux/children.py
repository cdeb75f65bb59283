"""How many children PID 1 has, as the kernel counts them."""

from __future__ import annotations

import posix

_READ_BYTES = 65536


class OwnChildren:
    """Tells whether there are children that PID 1 has not started: orphans that it has adopted."""

    def __init__(self) -> None:
        self._fd: int | None = None
        """None: this kernel keeps no such list."""
        self.can_be_looked_into = has_own_proc()
        """Whether a helper can find out what they are."""
        if self.can_be_looked_into:
            try:
                flags = posix.O_RDONLY | posix.O_CLOEXEC
                self._fd = posix.open("/proc/thread-self/children", flags)
            except OSError:
                pass

    def are_more_than(self, count: int) -> bool:
        """Whether there are more than `count`, dead ones that have yet to be reaped included.

        True also where that cannot be known, and False without /proc, where nobody could look for
        them.
        """
        if self._fd is None:
            return self.can_be_looked_into
        found = 0
        try:
            posix.lseek(self._fd, 0, 0)
            while part := posix.read(self._fd, _READ_BYTES):
                found += part.count(b" ")  # one after each pid
                if found > count:
                    return True
        except OSError:
            return True
        return False


def has_own_proc() -> bool:
    """Whether /proc is there, and that of our own PID namespace: another's has other numbers."""
    try:
        return posix.readlink("/proc/self") == str(posix.getpid())
    except OSError:
        return False
