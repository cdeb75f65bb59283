"""Floor 2: what PID 1 knows of its own faults, and how it puts right what they have left half done.

Each thing that PID 1 does is so ordered that a fault at any point leaves a state from which it can
go on: what is to be done stays in its queue until it is done. Two acts that belong together can be
torn apart all the same; `what_is_missing` finds the second by what the core waits for.
"""

from __future__ import annotations

from initpy.core.door import is_waiting
from initpy.core.messages import (
    EndSurvivors,
    ExecFailed,
    Executed,
    Exited,
    SetTimer,
    Spawned,
    SurvivorsGone,
    TimerFired,
)
from initpy.core.supervisor import OWN_TIMER, Phase, Supervisor
from initpy.core.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Container

MAX_FAULTS, WITHIN_S = 5, 60.0
"""More in so long a time, and executing anew does not help."""

MAX_REMEMBERED = 20
"""Culprits; the oldest are forgotten."""

MAX_LINES = 20
"""Of a traceback; of a longer one, the innermost."""


class Faults:
    """When there were faults, and what was being seen to."""

    KEPT = ("culprits", "times")

    def __init__(self) -> None:
        self.times: list[float] = []
        self.culprits: list[object] = []
        """What has failed, and not been seen to since."""

    def are_too_many(self, now: float) -> bool:
        """Count one more, and say whether that is enough."""
        self.times = [*[earlier for earlier in self.times if earlier > now - WITHIN_S], now]
        return len(self.times) > MAX_FAULTS

    def fails_again(self, culprit: object) -> bool:
        """Whether this has failed before; from now on it has."""
        if culprit in self.culprits:
            return True
        self.culprits = [*self.culprits[1 - MAX_REMEMBERED :], culprit]
        return False

    def clear(self, suspect: object) -> None:
        """It has been seen to."""
        if self.culprits and suspect in self.culprits:
            self.culprits.remove(suspect)


def traceback_lines(exc: BaseException) -> list[str]:
    """Where it was raised, the innermost last. Without the traceback module, which is 2 MB."""
    lines = []
    at = exc.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        lines.append(f"  {code.co_filename}:{at.tb_lineno}, in {code.co_name}")
        at = at.tb_next
    cause = exc.__cause__ or exc.__context__
    if cause is not None:
        lines.append(f"  because of {cause!r}")
    return lines[-MAX_LINES:]


def what_is_missing(
    supervisor: Supervisor,
    armed: Container[str],
    keys: dict[int, str],
    reasons: Collection[int],
    cases: Collection[str],
    queued: Collection[object],
) -> tuple[list[Value], list[Value]]:
    """Facts of which the core has not been told, and effects that have come to nothing.

    `armed` are the keys of the timers; `keys` the live processes; `reasons` those of them that are
    on their way to exec; `cases` the keys of those whose survivors are being ended; `queued` all
    that will be seen to. What is told twice does no harm, for the core knows what it waits for.
    """
    facts: list[Value] = []
    effects: list[Value] = []
    told = {type(each): set[object]() for each in queued}
    for each in queued:
        if isinstance(each, (TimerFired, SetTimer, SurvivorsGone, EndSurvivors)):
            told[type(each)].add(each.key)
        elif isinstance(each, (Spawned, Executed, ExecFailed, Exited)):
            told[type(each)].add(each.pid)

    def is_queued(name: object, *kinds: type) -> bool:
        return any(name in told.get(kind, ()) for kind in kinds)

    for pid, key in keys.items():
        process = supervisor.processes.get(key)
        if process is None:
            continue
        if process.pid != pid and not is_queued(pid, Spawned):
            facts.append(Spawned(key, pid))
        is_heard_of = process.executed or process.spawnerr if process.pid == pid else False
        if pid not in reasons and not is_heard_of and not is_queued(pid, Executed, ExecFailed):
            facts.append(Executed(key, pid))
    for key, process in supervisor.processes.items():
        due_at = process.due_at
        is_armed = key in armed or is_queued(key, TimerFired, SetTimer)
        if due_at is not None and is_waiting(process) and not is_armed:
            effects.append(SetTimer(key, due_at, process.epoch))
        is_ending = key in cases or is_queued(key, SurvivorsGone, EndSurvivors)
        if process.ending and process.group and not process.pid and not is_ending:
            effects.append(EndSurvivors(key, process.group, process.ending))
    if supervisor.phase in (Phase.STOPPING, Phase.REST) and not (
        OWN_TIMER in armed or is_queued(OWN_TIMER, TimerFired, SetTimer)
    ):
        effects.append(SetTimer(OWN_TIMER, supervisor.end_at, supervisor.epoch))
    return facts, effects
