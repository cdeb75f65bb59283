"""The states of a process, what is wanted of it, and how it ended.

The numbers are supervisord's, because its clients know them.
"""

from __future__ import annotations

from initpy.core.values import Value


class State:
    """Where a process is. Plain integers: see DESIGN §7 for why this is no enum."""

    STOPPED = 0
    """Never started, or stopped because someone asked for it."""
    STARTING = 10
    """Spawned, and not yet up for startsecs."""
    RUNNING = 20
    BACKOFF = 30
    """It failed to stay up for startsecs and is tried again after a delay."""
    STOPPING = 40
    """Told to stop; something of it is still alive."""
    EXITED = 100
    """It ended by itself after RUNNING."""
    FATAL = 200
    """Given up: it will not be tried again unless someone asks."""
    UNKNOWN = 1000
    """The kernel refused to let us signal it."""


STATE_NAMES = {
    State.STOPPED: "STOPPED",
    State.STARTING: "STARTING",
    State.RUNNING: "RUNNING",
    State.BACKOFF: "BACKOFF",
    State.STOPPING: "STOPPING",
    State.EXITED: "EXITED",
    State.FATAL: "FATAL",
    State.UNKNOWN: "UNKNOWN",
}

IDLE = (State.STOPPED, State.EXITED, State.FATAL)
"""States without a live instance, from which it may be started."""

SIGNALLABLE = (State.STARTING, State.RUNNING, State.STOPPING)


class Wanted:
    """What a process should be, whatever it is now."""

    DOWN = 0
    UP = 1


class ExitStatus(Value):
    """How a process ended: it exited with `code`, or `signal` killed it."""

    code: int | None = None
    signal: int | None = None
    core_dumped: bool = False


NOT_EXECUTABLE = ExitStatus(code=126)
"""What stands for the exit status of a process that could not even be forked."""


def exit_code(status: ExitStatus) -> int:
    """What a shell would say of it: the code itself, or 128 + the signal's number."""
    if status.signal is not None:
        return 128 + status.signal
    return status.code or 0
