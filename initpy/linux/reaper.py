"""Reaping: every dead child, our own or adopted."""

from __future__ import annotations

import posix

from initpy.core.states import ExitStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_REAPS = 1000
"""For one turn of the loop, so that a flood of orphans does not keep it from its other work."""


class NoChildrenError(Exception):
    """There is no child left, neither dead nor alive."""


def reap() -> Iterator[tuple[int, int, int]]:
    """The dead children, until none is left that has died: the pid, the raw wait status, and the
    most memory that it, or a child it has waited for, ever had, in KiB.

    Raises:
        NoChildrenError: there are no children at all (any more).
    """
    while True:
        try:
            pid, wait_status, usage = posix.wait4(-1, posix.WNOHANG)
        except ChildProcessError:
            raise NoChildrenError from None
        if pid == 0:  # some live, none dead
            return
        yield pid, wait_status, usage.ru_maxrss


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
