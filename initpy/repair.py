"""Floor 2: a fault of PID 1's own, and how it goes on all the same: in a new image of itself.

Each thing that PID 1 does is so ordered that a fault at any point leaves a state from which it can
go on: what is to be done stays in its queue until it is done. Two acts that belong together can be
torn apart all the same; `what_is_missing` finds the second by what the core waits for.

Imported when it is needed: where it is gone, so is what could be executed anew. It is a part of
`Pid1` that stands apart, and goes about its fields as its own.
"""

from __future__ import annotations

import time

from initpy import __version__, handover
from initpy.core.door import SIGKILL, is_waiting
from initpy.core.messages import (
    CRITICAL,
    INFO,
    CatchersFound,
    EndSurvivors,
    ExecFailed,
    Executed,
    Exit,
    Exited,
    FindCatchers,
    PlanReady,
    PlanRefused,
    ReadPlan,
    RecordTree,
    RunStopCommand,
    SetTimer,
    Spawn,
    Spawned,
    SpawnFailed,
    StopCommandFailed,
    SurvivorsGone,
    TimerFired,
    TreeRecorded,
    Upgrade,
)
from initpy.core.states import State
from initpy.core.supervisor import OWN_TIMER, Phase, Supervisor
from initpy.core.timers import Timers
from initpy.core.values import Value
from initpy.eventpipes import EventPipes
from initpy.helpers import CLOSED, Helpers
from initpy.inputs import Inputs
from initpy.linux import syscalls
from initpy.linux.image import Image, execute, memory_file
from initpy.linux.log import LogWriter
from initpy.linux.memory import OomKills
from initpy.linux.reaper import exit_status
from initpy.linux.signals import SIGCHLD, Signals, block_all, set_mask
from initpy.logging_out import LoggingOut
from initpy.parts import CONFIG_HELPER_DIED
from initpy.pid1 import LOG, Pid1
from initpy.renewal import Faults
from initpy.rest import Rest
from initpy.serving import Serving
from initpy.spawning import Spawning
from initpy.sweeping import Sweeping
from initpy.tracing import Tracing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container
    from typing import NoReturn

    from initpy.linux.reaper import Dead

MAX_CULPRITS = 20
"""The oldest are forgotten."""

MAX_LINES = 20
"""Of a traceback; of a longer one, the innermost."""


def repair(loop: Pid1, exc: BaseException) -> None:
    """A bug has shown itself: go on in a new image of this process, with the same state.

    What had been begun and not done is tried once more there, and dropped when it fails again.
    Where that cannot be, go on in this image.
    """
    now = time.monotonic()
    steps: list[Callable[[], object]] = [
        lambda: _drop_what_fails_again(loop),
        lambda: _say(loop, exc),
        loop.log.flush,
    ]
    for do in steps:
        try:
            do()
        except BaseException:  # noqa: S112 - the log itself may be what fails
            continue
    try:
        hand_over(loop, now, "itself", None)
    except BaseException as failed:
        loop.log.line(CRITICAL, f"cannot execute itself anew, goes on as it is: {failed!r}")
    _heal(loop)


def _say(loop: Pid1, exc: BaseException) -> None:
    text = f"a bug in initpy: {exc!r}; executing itself anew, programs run on"
    for line in (text, *_traceback(exc)):
        loop.log.queue(CRITICAL, line)


def _traceback(exc: BaseException) -> list[str]:
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


# ---------------------------------------------------------------- what fails again


def _drop_what_fails_again(loop: Pid1) -> None:
    """What has been seen to when it failed; after the second time, go on without it."""
    culprit, at = _name_of(loop, loop.at), loop.at
    if culprit is None:
        return
    if culprit not in loop.faults.culprits:
        loop.faults.culprits = [*loop.faults.culprits[1 - MAX_CULPRITS :], culprit]
        return
    name = culprit if isinstance(culprit, str) else type(culprit).__name__
    loop.log.queue(CRITICAL, f"this has failed twice, and is dropped: {name}")
    if at in (LOG, loop.log.fd):
        loop.log.give_up()
    elif isinstance(at, int):
        _give_up_fd(loop, at)
    elif loop.at_once and loop.at_once[0] is at:
        _put_in_place_of(loop, loop.at_once.pop(0))
    elif loop.facts and loop.facts[0] is at:
        fact = loop.facts.pop(0)
        if isinstance(fact, PlanReady):  # without a plan there is nothing to go on with
            reason = "the plan that the config helper sent makes no sense"
            loop.facts.append(PlanRefused(CONFIG_HELPER_DIED, reason, fact.spare))
    elif loop.effects and loop.effects[0] is at:
        _put_in_place_of(loop, loop.effects.pop(0))
    elif loop.dead and loop.dead[0] is at:
        _bury_without_ceremony(loop, loop.dead.pop(0))


def _name_of(loop: Pid1, at: object) -> Value | str | None:
    """What it is called in this image and the next, where a ready fd may be another."""
    if isinstance(at, Value) or at is None or isinstance(at, str):
        return at
    for helper in loop.helpers.by_pid.values():
        if helper.fd == at:
            return f"what the {helper.name} helper {helper.pid} says"
    for pid, fd in loop.spawning.reasons.items():
        if fd == at:
            return f"whether {pid} could be executed"
    return LOG if at == loop.log.fd else "a signal"


def _put_in_place_of(loop: Pid1, effect: Value) -> None:
    """The core waits for what an effect brings about."""
    reason = "a bug in initpy, see its log"
    match effect:
        case Spawn(key=key):
            loop.facts.append(SpawnFailed(key, reason))
        case RecordTree(key=key, pid=pid):
            loop.facts.append(TreeRecorded(key, pid))
        case RunStopCommand(key=key, pid=pid):
            loop.facts.append(StopCommandFailed(key, pid, reason))
        case EndSurvivors(key=key, group=group):
            loop.facts.append(SurvivorsGone(key, group))
        case FindCatchers(send=send):
            loop.facts.append(CatchersFound(send, ()))
        case ReadPlan(spare=spare):
            loop.facts.append(PlanRefused(CONFIG_HELPER_DIED, reason, spare))
        case Exit(code=code):
            loop.exit_code = code


def _bury_without_ceremony(loop: Pid1, dead: Dead) -> None:
    if dead.pid in loop.spawning.keys:
        key = loop.spawning.keys.pop(dead.pid)
        loop.facts.append(Exited(key, dead.pid, exit_status(dead.wait_status)))
    loop.helpers.by_pid.pop(dead.pid, None)
    loop.spawning.commands.pop(dead.pid, None)


def _give_up_fd(loop: Pid1, fd: int) -> None:
    """No more is to come from there: a helper is replaceable, and a reason is for people."""
    for helper in loop.helpers.by_pid.values():
        if helper.fd == fd:
            helper.values.clear()
            loop.helpers.hang_up(helper)
            syscalls.kill(helper.pid, SIGKILL)
            return
    for pid, reason_fd in loop.spawning.reasons.items():
        if reason_fd == fd:
            del loop.spawning.reasons[pid]
            loop.watches.close(fd)
            return


# ---------------------------------------------------------------- what has been torn apart


def _heal(loop: Pid1, *, is_new: bool = False) -> None:
    """`is_new`: this is another initpy than the one before it."""
    queued = (*loop.facts, *loop.at_once, *loop.effects)
    facts, effects = what_is_missing(
        loop.state,
        loop.timers,
        loop.spawning.keys,
        loop.spawning.reasons,
        loop.sweeping.cases(),
        queued,
    )
    loop.facts += facts
    loop.at_once += effects
    loop.helpers.look_again()
    loop.sweeping.heal(set(loop.spawning.keys.values()))
    loop.parts.heal(loop.spawning.keys, is_new=is_new)


def what_is_missing(
    supervisor: Supervisor,
    armed: Container[str],
    keys: dict[int, str],
    reasons: Container[int],
    cases: Container[str],
    queued: Collection[Value],
) -> tuple[list[Value], list[Value]]:
    """Facts of which the core has not been told, and effects that have come to nothing.

    `armed` are the keys of the timers; `keys` the live processes; `reasons` those of them that are
    on their way to exec; `cases` the keys of those whose survivors are being ended; `queued` all
    that will be seen to. What is told twice does no harm, for the core knows what it waits for.
    """
    facts: list[Value] = []
    effects: list[Value] = []
    told: set[tuple[type, object]] = set()
    for each in queued:
        if isinstance(each, (TimerFired, SetTimer, SurvivorsGone, EndSurvivors)):
            told.add((type(each), each.key))
        elif isinstance(each, (Spawned, Executed, ExecFailed)):
            told.add((type(each), each.pid))

    def is_queued(name: object, *kinds: type) -> bool:
        return any((kind, name) in told for kind in kinds)

    for pid, key in keys.items():
        process = supervisor.processes.get(key)
        if process is None:
            continue
        is_known = process.pid == pid
        if not is_known and not is_queued(pid, Spawned):
            facts.append(Spawned(key, pid))
        is_asked = not is_known or process.state == State.STARTING  # nobody else cares
        is_settled = is_known and (process.executed or process.spawnerr)
        is_told = is_settled or is_queued(pid, Executed, ExecFailed)
        if is_asked and not is_told and pid not in reasons:
            facts.append(Executed(key, pid))
    for key, process in supervisor.processes.items():
        due_at = process.due_at
        is_armed = key in armed or is_queued(key, TimerFired, SetTimer)
        if due_at is not None and is_waiting(process) and not is_armed:
            effects.append(SetTimer(key, due_at, process.epoch))
        is_ending = key in cases or is_queued(key, SurvivorsGone, EndSurvivors)
        if process.ending and process.group and not process.pid and not is_ending:
            effects.append(EndSurvivors(key, process.group, process.ending))
    is_armed = OWN_TIMER in armed or is_queued(OWN_TIMER, TimerFired, SetTimer)
    if supervisor.phase in (Phase.STOPPING, Phase.REST) and not is_armed:
        effects.append(SetTimer(OWN_TIMER, supervisor.end_at, supervisor.epoch))
    return facts, effects


# ---------------------------------------------------------------- from image to image


def verify(state: handover.State) -> None:
    """See that there is a place for all that was captured.

    Raises:
        HandOverError: there is none for something.
    """
    handover.verify(
        {
            "loop": (Pid1, Spawning, Rest, Faults),
            "timers": (Timers,),
            "helpers": (Helpers,),
            "sweeping": (Sweeping,),
            "log": (LogWriter,),
            "signals": (Signals,),
            "memory": (OomKills,),
            "image": (Image,),
            "output": (LoggingOut,),
            "serving": (Serving,),
            "events": (EventPipes,),
            "inputs": (Inputs,),
            "tracing": (Tracing,),
        },
        state,
    )


def parts_of(loop: Pid1) -> dict[str, tuple[object, ...]]:
    """What a state consists of, and whose it is. What has been moved out of the loop in the house
    is the loop's in the state, as ever: so the versions before and after can take over."""
    parts: dict[str, tuple[object, ...]] = {
        "loop": (loop, loop.spawning, loop.rest, loop.faults),
        "timers": (loop.timers,),
        "helpers": (loop.helpers,),
        "sweeping": (loop.sweeping,),
        "log": (loop.log,),
        "signals": (loop.signals,),
        "memory": (loop.spawning.oom_kills,),
        "image": (loop.image,),
    }
    for name, part in (
        ("output", loop.parts.output),
        ("serving", loop.parts.serving),
        ("events", loop.parts.events),
        ("inputs", loop.parts.inputs),
        ("tracing", loop.parts.tracing),
    ):
        if part is not None:
            parts[name] = (part,)
    return parts


def packed(loop: Pid1, now: float, whom: str) -> bytes:
    """The whole state; `whom` is who the next image takes over from, in its words."""
    state = handover.capture(parts_of(loop))
    state[handover.OWN] = {"began_at": now, "whom": whom}
    return handover.pack(state)


def hand_over(loop: Pid1, now: float, whom: str, program: int | None) -> NoReturn:
    """Execute this program anew, or another open one, which takes over at once.

    Signals are blocked across it, and those that come wait for the new image. Children notice
    nothing: the pid stays, and their pipes stay open.

    Raises:
        Exception: that cannot be; all is as before.
    """
    block_all()
    try:
        loop.signals.take(loop.taken)
        fd = memory_file(packed(loop, now, whom))
        kept = [
            *loop.spawning.reasons.values(),
            *[command.reason_fd for command in loop.spawning.commands.values()],
            *[helper.fd for helper in loop.helpers.by_pid.values() if helper.fd != CLOSED],
            *loop.parts.fds(),
        ]
        try:
            if program is None:
                loop.image.execute_again(loop.spawning.environment, fd, kept)
            execute(program, loop.image.argv, loop.spawning.environment, fd, kept)
        finally:
            syscalls.close(fd)
    finally:
        set_mask(())


def take_over(loop: Pid1, state: handover.State, version: str) -> None:
    """Go on where the image before this one has stopped."""
    if "output" in state:
        loop.parts.begin_output()
    if "serving" in state:
        loop.parts.begin_serving()
    if "events" in state:
        loop.parts.begin_events()
    if "inputs" in state:
        loop.parts.begin_inputs()
    if "tracing" in state:
        loop.parts.begin_tracing()
    handover.restore(parts_of(loop), state)
    if loop.parts.serving is not None:
        loop.log.keep = loop.parts.serving.keep_own_log()
    loop.image.keep_name()
    seen = loop.spawning.oom_kills.seen
    loop.spawning.oom_kills = OomKills(loop.spawning.oom_file)
    loop.spawning.oom_kills.seen = seen
    for helper in loop.helpers.by_pid.values():
        try:
            loop.helpers.watch(helper)
        except OSError:  # no memory for it; there will be another
            _give_up_fd(loop, helper.fd)
        if isinstance(helper.task, Upgrade) and not helper.answered:
            helper.answered = True  # of a program that is not open any more
            loop.upgrading.answer = "a self-repair has come between, ask again"
    for pid, fd in loop.spawning.reasons.items():
        loop.spawning.watch_reason(pid, fd)
    own = state[handover.OWN]
    _heal(loop, is_new=own["whom"] != "itself")
    if SIGCHLD not in loop.taken:
        loop.taken.insert(0, SIGCHLD)  # who has died meanwhile comes before everything else
    whom = own["whom"]
    if whom != "itself":
        whom = f"initpy {version}, as initpy {__version__},"
    count = len(loop.spawning.keys)
    processes = "1 process" if count == 1 else f"{count} processes"
    ms = (time.monotonic() - own["began_at"]) * 1000
    loop.log.queue(INFO, f"took over {processes} from {whom} after {ms:.0f} ms")
