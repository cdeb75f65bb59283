"""Reaping: every dead child, our own or adopted."""

from __future__ import annotations

import posix

from initpy.core.states import ExitStatus
from initpy.core.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

MAX_REAPS = 1000
"""For one turn of the loop, so that a flood of orphans does not keep it from its other work."""

FLOOD = 50
"""Beyond so many dead in one turn, how much memory each has had is not asked any more: the answer
takes longer than the funeral."""


class Dead(Value):
    """A child that has been reaped."""

    pid: int
    wait_status: int
    """Raw."""
    peak_kib: int
    """The most memory that it, or a child it has waited for, ever had; 0: not asked."""


class Reaped(Value):
    """How far `reap` has come."""

    has_more: bool
    """It has stopped at MAX_REAPS."""
    has_children: bool
    """There are any left, dead or alive."""


def reap(ours: Container[int] | None, found: list[Dead]) -> Reaped:
    """Reap the dead children. Those that are in `ours` are added to `found`; None: all.

    One by one, as the next act after it has been reaped: what goes wrong later loses nobody.
    """
    try:
        for _ in range(FLOOD):
            pid, wait_status, usage = posix.wait4(-1, posix.WNOHANG)
            if pid == 0:  # some live, none dead
                return Reaped(has_more=False, has_children=True)
            if ours is None or pid in ours:
                found.append(Dead(pid, wait_status, usage.ru_maxrss))
        for _ in range(MAX_REAPS - FLOOD):
            pid, wait_status = posix.waitpid(-1, posix.WNOHANG)
            if pid == 0:
                return Reaped(has_more=False, has_children=True)
            if ours is None or pid in ours:
                found.append(Dead(pid, wait_status, 0))
    except ChildProcessError:
        return Reaped(has_more=False, has_children=False)
    return Reaped(has_more=True, has_children=True)


def has_children() -> bool:
    """Whether there is any child, dead or alive. Reaps nothing."""
    try:
        posix.waitid(posix.P_ALL, 0, posix.WEXITED | posix.WNOHANG | posix.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def exit_status(wait_status: int) -> ExitStatus:
    """What the raw wait status says."""
    if posix.WIFSIGNALED(wait_status):
        signum = posix.WTERMSIG(wait_status)
        return ExitStatus(signal=signum, core_dumped=posix.WCOREDUMP(wait_status))
    return ExitStatus(code=posix.WEXITSTATUS(wait_status))
