"""The types of events, under supervisord's names."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PROCESS_STATE = "PROCESS_STATE"
"""The state's name follows, as it does in PROCESS_STATE_RUNNING."""
PROCESS_COMMUNICATION, PROCESS_LOG = "PROCESS_COMMUNICATION", "PROCESS_LOG"
"""The channel's follows: STDOUT or STDERR."""
REMOTE_COMMUNICATION = "REMOTE_COMMUNICATION"
GROUP_ADDED, GROUP_REMOVED = "PROCESS_GROUP_ADDED", "PROCESS_GROUP_REMOVED"
SUPERVISOR_RUNNING = "SUPERVISOR_STATE_CHANGE_RUNNING"
SUPERVISOR_STOPPING = "SUPERVISOR_STATE_CHANGE_STOPPING"
TICK = "TICK"
"""The period follows: TICK_5."""

STATES = (
    "STOPPED",
    "EXITED",
    "STARTING",
    "STOPPING",
    "BACKOFF",
    "FATAL",
    "RUNNING",
    "UNKNOWN",
)

PERIODS_S = (5, 60, 3600)

TYPES = (
    *[f"{PROCESS_STATE}_{state}" for state in STATES],
    *[f"{PROCESS_COMMUNICATION}_{channel}" for channel in ("STDOUT", "STDERR")],
    *[f"{PROCESS_LOG}_{channel}" for channel in ("STDOUT", "STDERR")],
    REMOTE_COMMUNICATION,
    SUPERVISOR_RUNNING,
    SUPERVISOR_STOPPING,
    *[f"{TICK}_{period_s}" for period_s in PERIODS_S],
    GROUP_ADDED,
    GROUP_REMOVED,
)
"""What an event can be."""

PARENTS = (
    "EVENT",
    PROCESS_STATE,
    PROCESS_COMMUNICATION,
    PROCESS_LOG,
    "SUPERVISOR_STATE_CHANGE",
    TICK,
    "PROCESS_GROUP",
)
"""What a listener can ask for besides; it gets all that begins so, and with EVENT everything."""


def types_for(names: Iterable[str]) -> frozenset[str]:
    """The types that somebody gets who asks for these; in any case, as in supervisord.

    Raises:
        KeyError: there is no such name.
    """
    found: set[str] = set()
    for given in names:
        name = given.upper()
        if name not in TYPES and name not in PARENTS:
            raise KeyError(given)
        found.update([it for it in TYPES if name in ("EVENT", it) or it.startswith(f"{name}_")])
    return frozenset(found)
