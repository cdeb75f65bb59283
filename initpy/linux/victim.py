"""Which process the kernel ends when memory runs out. Run in forked helpers only.

It ends the one that has most. A helper is forked from PID 1, and at first has less than that; so it
is PID 1 that would have to go for what a helper takes, and with it the container. A helper can be
replaced: so what PID 1 has is added to its own (oom_score_adj, which anybody may raise). It is not
put before everything else, for the program that has taken all the memory is to go first.

This comes first in a helper's life, and takes little memory itself: nothing else is loaded for it.
"""

from __future__ import annotations

import posix

from initpy.linux.children import has_own_proc

MAX_ADJUSTMENT = 1000

_LIMITS = {b"memory.events": b"memory.max", b"memory.oom_control": b"memory.limit_in_bytes"}
"""In the same cgroup: the file that counts OOM kills, and the one with the limit."""


def come_before(pid: int, oom_file: bytes) -> None:
    """See that this process is chosen before the process `pid`. `oom_file` counts the OOM kills of
    the container's cgroup; empty: there is none. Where it cannot be done, all is as before."""
    try:
        if not has_own_proc():
            return
        page_bytes = posix.sysconf("SC_PAGE_SIZE")
        has_bytes = int(_read(f"/proc/{pid}/statm").split()[1]) * page_bytes
        all_bytes = min((posix.sysconf("SC_PHYS_PAGES") * page_bytes, *_limits(oom_file)))
        more = has_bytes * 1000 // all_bytes + 1
        own = int(_read("/proc/self/oom_score_adj"))
        fd = posix.open("/proc/self/oom_score_adj", posix.O_WRONLY | posix.O_CLOEXEC)
        try:
            posix.write(fd, b"%d" % min(own + more, MAX_ADJUSTMENT))
        finally:
            posix.close(fd)
    except (OSError, ValueError, IndexError, ZeroDivisionError):
        return


def _limits(oom_file: bytes) -> tuple[int, ...]:
    """The cgroup's limit, if there is one: the kernel counts by it, and not by the machine's."""
    directory, _, name = oom_file.rpartition(b"/")
    if name not in _LIMITS:
        return ()
    said = _read(directory + b"/" + _LIMITS[name])
    return (int(said),) if said.strip().isdigit() else ()


def _read(path: str | bytes) -> bytes:
    """A short file."""
    fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        return posix.read(fd, 256)
    finally:
        posix.close(fd)
