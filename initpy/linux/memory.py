"""What the kernel counts of the container's memory."""

from __future__ import annotations

import posix

_COUNTER = b"oom_kill "


class OomKills:
    """The memory cgroup's count of OOM kills, read from a file that is kept open."""

    KEPT = ("seen",)

    def __init__(self, path: bytes) -> None:
        """`path` is the cgroup's memory.events (v2) or memory.oom_control (v1); empty: none."""
        self._fd = _open(path) if path else None
        self.seen = self._count()

    def close(self) -> None:
        if self._fd is not None:
            posix.close(self._fd)
            self._fd = None

    def new(self) -> int:
        """How many there were since the last call; 0 also where that cannot be known."""
        count = self._count()
        new, self.seen = count - self.seen, count
        return max(new, 0)

    def _count(self) -> int:
        if self._fd is None:
            return 0
        try:
            posix.lseek(self._fd, 0, 0)
            _, _, rest = posix.read(self._fd, 4096).partition(_COUNTER)
            return int(rest.partition(b"\n")[0])
        except (OSError, ValueError):
            return 0


def _open(path: bytes) -> int | None:
    try:
        return posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    except OSError:
        return None
