"""What /proc says of processes. Run in forked helpers only: PID 1 reads no text."""

from __future__ import annotations

import posix


def catches(pid: int, signum: int) -> bool:
    """Whether the process has a handler for the signal. False when it is gone."""
    caught = _field(pid, b"SigCgt:")
    return caught is not None and bool(int(caught, 16) >> (signum - 1) & 1)


def descendants(ancestor: int) -> list[int]:
    """The pids of all processes that descend from `ancestor`, parents before children."""
    children: dict[int, list[int]] = {}
    for name in posix.listdir("/proc"):
        if name.isdigit():
            parent = _field(int(name), b"PPid:")
            if parent is not None:
                children.setdefault(int(parent), []).append(int(name))
    found = [ancestor]
    for pid in found:  # it grows while it is walked
        found += children.get(pid, [])
    return found[1:]


def _field(pid: int, name: bytes) -> bytes | None:
    """A line of /proc/PID/status; None when the process is gone or has no such line."""
    try:
        fd = posix.open(f"/proc/{pid}/status", posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = posix.read(fd, 65536)
    except OSError:
        return None
    finally:
        posix.close(fd)
    for line in status.split(b"\n"):
        if line.startswith(name):
            return line[len(name) :].strip()
    return None
