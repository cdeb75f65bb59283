"""The way down, in stages: each has its seconds, and the next comes when it has not worked.

    RECORD     note which processes descend from the instance, while they still do: only where the
               container goes on, for at its end everything goes
    DRAIN      let it work on, so that load balancers can turn away: only where a signal asks for
               the end of the container, and until a second one
    COMMAND    stop_command
    a signal   each of `stopsteps`
    (nothing)  SIGKILL, again and again

Where the time is limited, all stages but RECORD (which takes milliseconds) are shortened alike.
What the instance leaves behind has the time that is left, and then SIGKILL.
"""

from __future__ import annotations

from initpy.core.door import SIGCONT, SIGKILL, SIGTERM, enter
from initpy.core.messages import (
    INFO,
    WARN,
    EndSurvivors,
    Exited,
    Kill,
    KillGroup,
    Log,
    RecordTree,
    Refuse,
    RunStopCommand,
    Stop,
    StopCommandFailed,
)
from initpy.core.starting import begin, bury, spawned_line
from initpy.core.states import State, Wanted
from initpy.core.survivors import KILL_WAIT_S, give_up, stop_time_s
from initpy.core.values import replace
from initpy.core.words import CONTAINER_STOPS, seconds, signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.core.door import Process, Step
    from initpy.core.values import Value
    from initpy.plan import ProcessSpec

    Stages = tuple[tuple[int, float], ...]

RECORD, DRAIN, COMMAND = -3, -2, -1
"""Stages that are no signal."""

RECORD_WAIT_S = 1.0
"""A helper that has not answered after this long will not."""


def stop(process: Process, order: Stop, now: float) -> Step:
    """Begin with the first stage."""
    process = replace(process, stages=_stages(process.spec, order))
    if not process.pid:  # its Spawned is still to come
        return enter(process, State.STOPPING, now, _total_s(process.stages), wanted=Wanted.DOWN)
    return _enter_stage(process, now, wanted=Wanted.DOWN)


def _stages(spec: ProcessSpec, order: Stop) -> Stages:
    stages = spec.stopsteps
    if spec.stop_command:
        stages = ((COMMAND, spec.stop_command_s), *stages)
    if order.drains and spec.drain_s:
        stages = ((DRAIN, spec.drain_s), *stages)
    stages = _shortened(stages, order.within_s)
    return stages if order.for_good else ((RECORD, RECORD_WAIT_S), *stages)


def _shortened(stages: Stages, within_s: float | None) -> Stages:
    total_s = _total_s(stages)
    if within_s is None or total_s <= within_s:
        return stages
    return tuple([(what, span_s * within_s / total_s) for what, span_s in stages])


def _total_s(stages: Stages) -> float:
    return sum([span_s for _, span_s in stages])


def _enter_stage(process: Process, now: float, *effects: Value, **changes: object) -> Step:
    what, span_s = process.stages[0]
    if what == COMMAND and not process.spec.stop_command:  # a reload has taken it away
        return next_stage(replace(process, **changes), now, *effects)
    effects += _effects_of(what, span_s, process.spec, process.pid)
    return enter(process, State.STOPPING, now, span_s, *effects, **changes)


def _effects_of(what: int, span_s: float, spec: ProcessSpec, pid: int) -> tuple[Value, ...]:
    """What a stage begins with. A signal is followed by CONT, without which a stopped process
    would never see it."""
    if what == DRAIN:
        text = f"'{spec.name}' works on for {seconds(span_s)} seconds before it is stopped (drain)"
        return (Log(INFO, text),)
    if what == RECORD:
        return (RecordTree(spec.key, pid),)
    if what == COMMAND:
        return (RunStopCommand(spec.key, pid),)
    if spec.stopasgroup:
        return (KillGroup(spec.key, pid, what), KillGroup(spec.key, pid, SIGCONT))
    return (Kill(spec.key, pid, what), Kill(spec.key, pid, SIGCONT))


def is_in(process: Process, stage: int) -> bool:
    return bool(process.pid and process.stages and process.stages[0][0] == stage)


def next_stage(process: Process, now: float, *effects: Value) -> Step:
    """This one has had its time, or is of no more use."""
    process = replace(process, stages=process.stages[1:])
    if process.stages:
        return _enter_stage(process, now, *effects)
    key, spec = process.spec.key, process.spec
    if spec.killasgroup:
        kill: Value = KillGroup(key, process.group, SIGKILL)
    else:
        kill = Kill(key, process.pid, SIGKILL)
    text = f"killing '{spec.name}' ({process.pid}) with SIGKILL: it did not stop in time"
    effects += (Log(WARN, text), kill)
    return enter(process, State.STOPPING, now, KILL_WAIT_S, *effects, killed=True)


def after_failed_command(process: Process, failed: StopCommandFailed, now: float) -> Step:
    """What cannot be asked nicely gets the first signal at once."""
    text = f"the stop_command of '{process.spec.name}' failed: {failed.reason}; going on with"
    what = signal_name(process.stages[1][0])
    return next_stage(process, now, Log(WARN, f"{text} {what}"))


def spawned_after_stop(process: Process, pid: int, now: float) -> Step:
    """The stop has overtaken the fork; its time has run all the same."""
    stages = _shortened(process.stages, time_left_s(process, now))
    process = replace(process, pid=pid, group=pid, started_at=now, stages=stages)
    return _enter_stage(process, now, spawned_line(process, pid))


def in_backoff(process: Process, order: Stop, now: float) -> Step:
    """There is no instance to stop. The failures are kept, as supervisord keeps them."""
    if order.for_good:
        return enter(
            process,
            State.FATAL,
            now,
            None,
            wanted=Wanted.DOWN,
            failures=0,
            spawnerr=CONTAINER_STOPS,
        )
    if process.group:
        return end_survivors_for_good(process, order, now)
    return enter(process, State.STOPPED, now, None, wanted=Wanted.DOWN)


def end_survivors_for_good(process: Process, order: Stop, now: float) -> Step:
    """Stopped between two instances, or after the last: what is left is ended all the same."""
    wait_s = stop_time_s(process.spec)
    ending = process.ending or SIGTERM
    return enter(
        process,
        State.STOPPING,
        now,
        wait_s if order.within_s is None else min(wait_s, order.within_s),
        EndSurvivors(process.spec.key, process.group, ending),
        wanted=Wanted.DOWN,
        killed=False,
        ending=ending,
    )


def hasten(process: Process, order: Stop, now: float) -> Step:
    """It is being stopped already: a start that waits is called off, a drain that the order does
    not ask for is ended, the time cut short."""
    called_off = replace(process, by_operator=order.by_operator, wanted=Wanted.DOWN)
    if not order.drains:
        later = tuple([stage for stage in process.stages if stage[0] != DRAIN])
        if is_in(process, DRAIN):
            later = _shortened(later, order.within_s)
            return next_stage(replace(called_off, stages=(process.stages[0], *later)), now)
        called_off = replace(called_off, stages=later)  # it is to be forked yet
    if order.within_s is not None and order.within_s < time_left_s(process, now):
        return _cut_short(called_off, order.within_s, now)
    if process.wanted == Wanted.UP or order.for_good:
        return called_off, ()
    return process, (Refuse(order, "NOT_RUNNING"),)


def _cut_short(process: Process, within_s: float, now: float) -> Step:
    """The stages that are left share what time is left in the proportion in which they had it."""
    if not process.stages or not process.pid:
        return enter(process, State.STOPPING, now, within_s)
    (what, _), *later = process.stages
    stages = _shortened(((what, _timer_left_s(process, now)), *later), within_s)
    return enter(process, State.STOPPING, now, stages[0][1], stages=stages)


def time_left_s(process: Process, now: float) -> float:
    """Until SIGKILL."""
    # One that is still to be forked has a timer for all its stages.
    later_s = _total_s(process.stages[1:]) if process.pid else 0.0
    return _timer_left_s(process, now) + later_s


def _timer_left_s(process: Process, now: float) -> float:
    return 0.0 if process.due_at is None else max(process.due_at - now, 0.0)


def exit_in_stopping(process: Process, exited: Exited, now: float) -> Step:
    """The instance is gone; what it left behind gets the rest of its time."""
    signum = SIGKILL if process.killed else SIGTERM
    left_s = time_left_s(process, now)
    return enter(
        bury(process, exited, now),
        State.STOPPING,
        now,
        left_s,
        EndSurvivors(process.spec.key, process.group, signum),
        stages=(),
        ending=signum,
    )


def escalate(process: Process, now: float) -> Step:
    """The time of this stage is over, or that of the survivors."""
    key, name = process.spec.key, process.spec.name
    if process.pid:
        return next_stage(process, now)
    if process.group and process.ending != SIGKILL:
        text = f"killing what '{name}' left behind with SIGKILL: it did not stop in time"
        return enter(
            process,
            State.STOPPING,
            now,
            KILL_WAIT_S,
            Log(WARN, text),
            EndSurvivors(key, process.group, SIGKILL),
            ending=SIGKILL,
        )
    if not process.group:
        return enter(process, State.STOPPING, now, KILL_WAIT_S)  # its Spawned is still to come
    process, effects = give_up(process)
    process, stopped_effects = stopped(process, now)
    return process, effects + stopped_effects


def stopped(process: Process, now: float) -> Step:
    """Nothing of it is left."""
    process, effects = enter(
        process, State.STOPPED, now, None, group=0, ending=0, stages=(), restarts=()
    )
    if process.wanted == Wanted.UP:
        process, begun = begin(process, now)
        effects += begun
    return process, effects
