"""Short ways through the life of one process, "web", for the stories that are told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from initpy.core.door import Process
from initpy.core.messages import (
    EndSurvivors,
    Executed,
    Exited,
    Log,
    Notice,
    Spawned,
    Start,
    Stop,
    SurvivorsGone,
    TimerFired,
    TreeRecorded,
)
from initpy.core.process import step
from initpy.core.states import State
from initpy.core.words import line_for
from tests.core.specs import killed, only, run, spec

if TYPE_CHECKING:
    from initpy.core.states import ExitStatus
    from initpy.core.values import Value

PID = 8


def up(**options: Any) -> Process:
    """web, RUNNING as pid 8 since 1.0 (or startsecs)."""
    process = starting(**options)
    if process.state == State.STARTING:
        process, _ = step(process, timer(process), process.spec.startsecs)
    assert (process.state, process.pid) == (State.RUNNING, PID)
    return process


def starting(**options: Any) -> Process:
    """web, started at 0 as pid 8."""
    return run(
        Process(spec(**options)),
        (0.0, Start("web")),
        (0.0, Spawned("web", PID)),
        (0.0, Executed("web", PID)),
    )[0]


def timer(process: Process) -> TimerFired:
    return TimerFired("web", process.epoch)


def stop(process: Process, now: float, **order: Any) -> tuple[Process, list[Value]]:
    """It is told to stop; what descends from it is recorded at once."""
    return run(process, (now, Stop("web", **order)), (now, TreeRecorded("web", process.pid)))


def ends(process: Process, now: float, status: ExitStatus) -> tuple[Process, list[Value]]:
    """Its instance ends and leaves nobody behind."""
    process, effects = run(process, (now, Exited("web", process.pid, status)))
    for ending in only(EndSurvivors, effects):
        process, more = run(process, (now, SurvivorsGone("web", ending.group)))
        effects += more
    return process, effects


def words(effects: list[Value]) -> list[str]:
    """The log, with the lines that changes of state are worth."""
    said = []
    for effect in effects:
        if isinstance(effect, Notice) and (line := line_for(effect)):
            said.append(line[1])
        elif isinstance(effect, Log):
            said.append(effect.text)
    return said


def crash(process: Process, now: float) -> tuple[Process, list[Value]]:
    return run(process, (now, Exited("web", process.pid, killed(11))))
