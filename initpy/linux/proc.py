"""What /proc says of processes. Run in forked helpers only: PID 1 reads no text."""

from __future__ import annotations

import posix

from initpy.core.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection


MAX_LOOKS = 5
MAX_LIST_BYTES = 1024 * 1024


class Entry(Value):
    """A process, as /proc/PID/stat has it."""

    pid: int
    name: str
    state: str
    """A letter: Z is a zombie."""
    parent: int
    group: int
    session: int
    start: int
    """In clock ticks since boot; with the pid, it names a process for ever."""


def entry(pid: int) -> Entry | None:
    """What /proc says of the process; None: it is gone."""
    try:
        stat = read(f"/proc/{pid}/stat", 4096)
    except OSError:
        return None
    head, _, tail = stat.rpartition(b")")  # the name may have anything in it
    fields = tail.split()
    if len(fields) < 20:
        return None
    return Entry(
        pid=pid,
        name=head.partition(b"(")[2].decode(errors="replace"),
        state=fields[0].decode(),
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        start=int(fields[19]),
    )


def below(ancestor: int, leave_out: Collection[int] = ()) -> list[int]:
    """The pids of all processes that descend from `ancestor`, parents before children; those in
    `leave_out` are not among them, nor what descends from these.

    A process whose parent dies meanwhile becomes somebody else's child, and would be missed: it is
    looked until two looks are alike.
    """
    children = _children if _has_children_lists() else _all_children().get
    seen: list[int] = []
    for _ in range(MAX_LOOKS):
        found: dict[int, None] = {}
        left = [ancestor]
        for pid in left:  # it grows while it is walked
            new = [child for child in children(pid) or () if child not in leave_out]
            found |= dict.fromkeys(new)
            left += new
        if list(found) == seen:
            break
        seen = list(found)
    return seen


def _has_children_lists() -> bool:
    try:
        posix.stat("/proc/thread-self/children")
    except OSError:
        return False
    return True


def _children(pid: int) -> list[int]:
    """As the kernel lists them, for each of its threads; none when it is gone."""
    children = []
    try:
        for task in posix.listdir(f"/proc/{pid}/task"):
            children += read(f"/proc/{pid}/task/{task}/children", MAX_LIST_BYTES).split()
    except OSError:
        pass
    return [int(child) for child in children]


def _all_children() -> dict[int, list[int]]:
    """The children of all processes, from what each says of its parent."""
    children: dict[int, list[int]] = {}
    for name in posix.listdir("/proc"):
        each = entry(int(name)) if name.isdigit() else None
        if each is not None:
            children.setdefault(each.parent, []).append(each.pid)
    return children


def catches(pid: int, signum: int) -> bool:
    """Whether the process has a handler for the signal. False when it is gone."""
    caught = _field(pid, b"SigCgt:")
    return caught is not None and bool(int(caught, 16) >> (signum - 1) & 1)


def locks_limit(pid: int) -> int | None:
    """The soft limit RLIMIT_LOCKS of the process; None: unlimited, or the process is gone."""
    try:
        limits = read(f"/proc/{pid}/limits", 65536)
    except OSError:
        return None
    _, _, rest = limits.partition(b"Max file locks")
    soft = rest.split(None, 1)[:1]
    return int(soft[0]) if soft and soft[0].isdigit() else None


def read(path: str, most_bytes: int) -> bytes:
    """The beginning of a file.

    Raises:
        OSError: it cannot be opened or read.
    """
    fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    try:
        parts = []
        while most_bytes > 0 and (part := posix.read(fd, most_bytes)):
            parts.append(part)
            most_bytes -= len(part)
        return b"".join(parts)
    finally:
        posix.close(fd)


def _field(pid: int, name: bytes) -> bytes | None:
    """A line of /proc/PID/status; None when the process is gone or has no such line."""
    try:
        status = read(f"/proc/{pid}/status", 65536)
    except OSError:
        return None
    for line in status.split(b"\n"):
        if line.startswith(name):
            return line[len(name) :].strip()
    return None
