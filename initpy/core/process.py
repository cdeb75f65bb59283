"""One process's machine: `step(process, event, now)`.

Theory. What is *wanted* of a process (up or down) is kept apart from the *state* it is in. A state
changes in one place, `_enter`, which starts a new epoch and arms the timer of a state that waits;
a timer or an exit of an earlier epoch then means nothing and is ignored. Facts that come late are
harmless, orders that cannot be carried out are refused aloud.

A dead instance may leave others behind in its process group. They are ended before the next spawn
and at a stop: `group` is that process group (0: nobody is in it), `ending` the last signal it was
sent. The core cannot know whether the group is empty: it always sends the signal, and `GroupGone`
is the answer when nobody was there to get it. Meanwhile the process waits, in STOPPING, in BACKOFF
(whose delay runs anyway), or in an idle state with `wanted` up.

    STOPPED --Start--> STARTING --startsecs--> RUNNING --Stop--> STOPPING --gone--> STOPPED
                        |    ^                   |
                 too quick  delay              exits --> EXITED --(autorestart)--> STARTING
                        v    |
                       BACKOFF --startretries--> FATAL

Source of the semantics: supervisord 4.3.0, with its defects mended.
"""

from __future__ import annotations

from initpy.core.messages import (
    INFO,
    WARN,
    ExecFailed,
    Executed,
    Exited,
    GiveUp,
    GroupGone,
    Kill,
    KillFailed,
    KillGroup,
    Log,
    Notice,
    Refuse,
    SetTimer,
    Signal,
    Spawn,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
    TimerFired,
)
from initpy.core.restart import delay_s, is_exhausted, is_expected, is_restarted
from initpy.core.states import IDLE, NOT_EXECUTABLE, SIGNALLABLE, ExitStatus, State, Wanted
from initpy.core.values import Value, replace
from initpy.core.words import CONTAINER_STOPS, TOO_QUICKLY
from initpy.plan import ProcessSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Step = tuple["Process", tuple[Value, ...]]

SIGKILL, SIGTERM, SIGCONT = 9, 15, 18  # Linux, every architecture that CPython runs on

SURVIVORS_WAIT_S = 2.0
"""What a crashed instance's survivors get between TERM and KILL, unless stopwaitsecs is less."""

KILL_WAIT_S = 1.0
"""SIGKILL is repeated after this long; survivors that outlast it are left where they are."""

EXEC_WAIT_S = 1.0
"""How often a STARTING process with startsecs = 0 is looked at while its exec hangs."""


class Process(Value):
    """What the core knows of one process."""

    spec: ProcessSpec
    state: int = State.STOPPED
    wanted: int = Wanted.DOWN
    by_operator: bool = False
    """A person asked for this stop; or for this start, and it has not been RUNNING since."""
    epoch: int = 0
    due_at: float | None = None
    """When the timer of this epoch fires; None: this state waits for nothing."""
    pid: int = 0
    """The live instance; 0: none."""
    executed: bool = False
    """The instance has got past exec."""
    group: int = 0
    """The process group of the last instance; 0: it is known to be empty."""
    ending: int = 0
    """The last signal sent to the survivors in `group`; 0: none yet."""
    killed: bool = False
    """The instance overran its time to stop and got SIGKILL."""
    failures: int = 0
    """Starts that failed in a row (supervisord's `tries`)."""
    spawnerr: str = ""
    """Why the last start or run went wrong, in supervisord's words; empty: it did not."""
    status: ExitStatus | None = None
    """How the last instance ended."""
    started_at: float = 0.0


def is_waiting(process: Process) -> bool:
    """Whether a timer of this process has to be armed."""
    if process.state in IDLE:
        return process.wanted == Wanted.UP
    return process.state in (State.STARTING, State.BACKOFF, State.STOPPING)


def succeeded_by(process: Process, spec: ProcessSpec) -> Process:
    """What stands in the place of a process that is down once it is defined anew.

    The epochs go on, so that the old one's timers mean nothing to the new; and so does what its
    last instance may have left behind, and who had stopped it.
    """
    was_stopped = process.state == State.STOPPED and process.by_operator
    return Process(spec, by_operator=was_stopped, epoch=process.epoch + 1, group=process.group)


def step(process: Process, event: Value, now: float) -> Step:
    """The process after `event`, and what is to be done about it.

    Total: every event is an answer in every state, if only to be ignored or refused.
    """
    match process.state, event:
        case _, TimerFired(epoch=epoch) if epoch != process.epoch:
            return process, ()

        # ---- orders
        case state, Start() if state in IDLE and process.wanted == Wanted.UP:
            return _ordered_by(event, process), ()
        case state, Start() if state in IDLE:
            return _begin(_ordered_by(event, process), now)
        case State.STOPPING, Start():
            return replace(_ordered_by(event, process), wanted=Wanted.UP), ()
        case State.UNKNOWN, Start():
            return process, (Refuse(event, "FAILED"),)
        case _, Start():
            return process, (Refuse(event, "ALREADY_STARTED"),)

        case ((State.STARTING | State.RUNNING), Stop()):
            return _stop(_ordered_by(event, process), event, now)
        case State.BACKOFF, Stop():
            return _stop_in_backoff(_ordered_by(event, process), event, now)
        case State.STOPPING, Stop():
            return _hasten(process, event, now)
        case state, Stop() if state in IDLE and process.wanted == Wanted.UP:
            return _end_survivors_for_good(_ordered_by(event, process), event, now)
        case _, Stop():
            return process, (Refuse(event, "NOT_RUNNING"),)

        case state, Signal(signum=signum) if state in SIGNALLABLE and process.pid:
            return process, (Kill(process.spec.key, process.pid, signum),)
        case _, Signal():
            return process, (Refuse(event, "NOT_RUNNING"),)

        case state, GiveUp() if state in IDLE:
            return _enter(
                process,
                State.FATAL,
                now,
                None,
                wanted=Wanted.DOWN,
                spawnerr=event.reason,
                status=event.status,
                by_operator=event.by_operator,
            )
        case _, GiveUp():
            return process, (Refuse(event, "ALREADY_STARTED"),)

        # ---- the way up
        case State.STARTING, Spawned(pid=pid):
            return _enter(  # only now: in a boot of thousands, the fork comes seconds later
                process,
                State.STARTING,
                now,
                _start_wait_s(process.spec),
                _spawned_line(process, pid),
                pid=pid,
                group=pid,
                started_at=now,
            )
        case State.STARTING, SpawnFailed(reason=reason):
            return _fail(process, now, reason, NOT_EXECUTABLE)
        case State.STARTING, Executed(pid=pid) if pid == process.pid:
            if process.spec.startsecs == 0:
                return _run(process, now)
            return replace(process, executed=True), ()
        case State.STARTING, ExecFailed(pid=pid, reason=reason) if pid == process.pid:
            return replace(process, spawnerr=reason), ()
        case State.STARTING, TimerFired():
            if process.executed:
                return _run(process, now)
            return _enter(process, State.STARTING, now, _start_wait_s(process.spec))
        case State.STARTING, Exited(pid=pid, status=status) if pid == process.pid:
            return _exit_in_starting(process, status, now)

        # ---- a stop that overtook its own spawn
        case State.STOPPING, Spawned(pid=pid):
            return replace(process, pid=pid, group=pid), (
                _spawned_line(process, pid),
                *_stop_signals(process.spec, pid),
            )
        case State.STOPPING, SpawnFailed():
            return _stopped(process, now)

        # ---- the way down
        case State.RUNNING, Exited(pid=pid, status=status) if pid == process.pid:
            return _exit(process, status, now)
        case State.STOPPING, Exited(pid=pid, status=status) if pid == process.pid:
            return _end_survivors_of_stop(process, status, now)
        case State.UNKNOWN, Exited(pid=pid, status=status) if pid == process.pid:
            if process.wanted == Wanted.UP:
                return _exit(process, status, now)
            return _enter(process, State.STOPPED, now, None, pid=0, status=status)
        case State.STOPPING, TimerFired():
            return _escalate_stop(process, now)
        case ((State.STARTING | State.RUNNING | State.STOPPING), KillFailed(pid=pid)) if (
            process.pid and pid == process.pid
        ):
            return _enter(process, State.UNKNOWN, now, None)

        # ---- survivors of a dead instance
        case _, GroupGone(group=group) | KillFailed(pid=group) if (
            group == process.group and not process.pid
        ):
            return _go_on_without_survivors(process, now)
        case _, TimerFired() if is_waiting(process):
            return _escalate_before_spawn(process, now)

        case _:
            return process, ()  # true, but of no use now


def _enter(
    process: Process,
    state: int,
    now: float,
    wait_s: float | None,
    *effects: Value,
    **changes: Any,
) -> Step:
    """The one door: into `state`, a new epoch, and its timer when it waits for one."""
    due_at = None if wait_s is None else now + wait_s
    new = replace(process, state=state, epoch=process.epoch + 1, due_at=due_at, **changes)
    if due_at is not None:
        effects = (SetTimer(new.spec.key, due_at, new.epoch), *effects)
    if state != process.state:
        effects = (Notice(new, process.state), *effects)
    return new, effects


def _ordered_by(order: Start | Stop, process: Process) -> Process:
    return replace(process, by_operator=order.by_operator)


def _begin(process: Process, now: float) -> Step:
    """On the way up; first without what the last instance left behind."""
    if process.group:
        return _enter(
            process,
            process.state,
            now,
            min(SURVIVORS_WAIT_S, stop_time_s(process.spec)),
            KillGroup(process.spec.key, process.group, SIGTERM),
            wanted=Wanted.UP,
            ending=SIGTERM,
        )
    return _enter(
        process,
        State.STARTING,
        now,
        _start_wait_s(process.spec),
        Spawn(process.spec.key),
        wanted=Wanted.UP,
        executed=False,
        killed=False,
        spawnerr="",
        started_at=now,
    )


def _spawned_line(process: Process, pid: int) -> Log:
    return Log(INFO, f"spawned: '{process.spec.name}' with pid {pid}")


def _start_wait_s(spec: ProcessSpec) -> float:
    return spec.startsecs or EXEC_WAIT_S


def _run(process: Process, now: float) -> Step:
    return _enter(process, State.RUNNING, now, None, failures=0, by_operator=False)


def _exit_in_starting(process: Process, status: ExitStatus, now: float) -> Step:
    """Too quick is a failed start whatever its exit code; an exit after startsecs that came before
    the timer was seen has been RUNNING."""
    if process.spawnerr:
        return _fail(process, now, process.spawnerr, status)
    if now - process.started_at < process.spec.startsecs:
        return _fail(process, now, TOO_QUICKLY, status)
    process, up = _run(process, now)
    process, down = _exit(process, status, now)
    return process, up + down


def _fail(process: Process, now: float, spawnerr: str, status: ExitStatus) -> Step:
    """A start has failed: BACKOFF, and FATAL at once when that was the last try."""
    failures = process.failures + 1
    failed = replace(process, pid=0, failures=failures, spawnerr=spawnerr, status=status)
    if not is_exhausted(process.spec, failures):
        wait_s = delay_s(failures)
        if not process.group:
            return _enter(failed, State.BACKOFF, now, wait_s)
        end = KillGroup(process.spec.key, process.group, SIGTERM)
        return _enter(failed, State.BACKOFF, now, wait_s, end, ending=SIGTERM)
    failed, backoff = _enter(failed, State.BACKOFF, now, None)
    failed, fatal = _enter(failed, State.FATAL, now, None, wanted=Wanted.DOWN, failures=0)
    return failed, backoff + fatal


def _exit(process: Process, status: ExitStatus, now: float) -> Step:
    """It ended by itself, after it had been RUNNING."""
    spec = process.spec
    spawnerr = "" if is_expected(spec, status) else f"Bad exit code {_supervisord_code(status)}"
    ended = replace(process, pid=0, failures=0, spawnerr=spawnerr, status=status)
    if not is_restarted(spec, status):
        return _enter(ended, State.EXITED, now, None, wanted=Wanted.DOWN)
    ended, exited = _enter(ended, State.EXITED, now, None)
    ended, begun = _begin(ended, now)
    return ended, exited + begun


def _supervisord_code(status: ExitStatus) -> int:
    return -1 if status.code is None else status.code


def _escalate_before_spawn(process: Process, now: float) -> Step:
    """A delay is over, and with it the time that survivors had after TERM, or after KILL."""
    if process.group and process.ending == SIGTERM:
        return _enter(
            process,
            process.state,
            now,
            KILL_WAIT_S,
            KillGroup(process.spec.key, process.group, SIGKILL),
            ending=SIGKILL,
        )
    process, effects = _give_up_survivors(process)
    process, begun = _begin(process, now)
    return process, effects + begun


def _go_on_without_survivors(process: Process, now: float) -> Step:
    """Nobody is left in the group of the last instance (any more)."""
    in_delay = process.state == State.BACKOFF and process.ending != SIGKILL
    process = replace(process, group=0, ending=0)
    if process.state == State.STOPPING:
        return _stopped(process, now)
    if is_waiting(process) and not in_delay:
        return _begin(process, now)
    return process, ()


def _give_up_survivors(process: Process) -> Step:
    """They have outlived SIGKILL (they hang in the kernel, or are somebody else's zombies)."""
    if not process.group:
        return process, ()
    text = (
        f"{process.spec.name}: process group {process.group} of its last instance does not die of"
        " SIGKILL, going on without waiting for it"
    )
    return replace(process, group=0, ending=0), (Log(WARN, text),)


def _stop(process: Process, order: Stop, now: float) -> Step:
    return _enter(
        process,
        State.STOPPING,
        now,
        _stop_wait_s(process.spec, order),
        *(_stop_signals(process.spec, process.pid) if process.pid else ()),
        wanted=Wanted.DOWN,
    )


def _stop_wait_s(spec: ProcessSpec, order: Stop) -> float:
    wait_s = stop_time_s(spec)
    return wait_s if order.within_s is None else min(wait_s, order.within_s)


def stop_time_s(spec: ProcessSpec) -> float:
    """How long it may take to stop, before SIGKILL."""
    return sum([wait_s for _, wait_s in spec.stopsteps])


def _stop_signals(spec: ProcessSpec, pid: int) -> tuple[Value, ...]:
    """The stop signal, and CONT, without which a stopped process would never see it."""
    signum, _ = spec.stopsteps[0]
    if spec.stopasgroup:
        return (KillGroup(spec.key, pid, signum), KillGroup(spec.key, pid, SIGCONT))
    return (Kill(spec.key, pid, signum), Kill(spec.key, pid, SIGCONT))


def _stop_in_backoff(process: Process, order: Stop, now: float) -> Step:
    """There is no instance to stop. The failures are kept, as supervisord keeps them."""
    if order.for_good:
        return _enter(
            process,
            State.FATAL,
            now,
            None,
            wanted=Wanted.DOWN,
            failures=0,
            spawnerr=CONTAINER_STOPS,
        )
    if process.group:
        return _end_survivors_for_good(process, order, now)
    return _enter(process, State.STOPPED, now, None, wanted=Wanted.DOWN)


def _end_survivors_for_good(process: Process, order: Stop, now: float) -> Step:
    """Stopped between two instances: what is left of the first is ended all the same."""
    return _enter(
        process,
        State.STOPPING,
        now,
        _stop_wait_s(process.spec, order),
        KillGroup(process.spec.key, process.group, process.ending),
        wanted=Wanted.DOWN,
    )


def _hasten(process: Process, order: Stop, now: float) -> Step:
    """It is being stopped already: only a start that waits is called off, or the time cut short."""
    called_off = replace(_ordered_by(order, process), wanted=Wanted.DOWN)
    left_s = _left_s(process, now)
    if order.within_s is not None and order.within_s < left_s:
        return _enter(called_off, State.STOPPING, now, order.within_s)
    if process.wanted == Wanted.UP or order.for_good:
        return called_off, ()
    return process, (Refuse(order, "NOT_RUNNING"),)


def _left_s(process: Process, now: float) -> float:
    return 0.0 if process.due_at is None else max(process.due_at - now, 0.0)


def _end_survivors_of_stop(process: Process, status: ExitStatus, now: float) -> Step:
    """The leader is gone; what it left behind gets the rest of its time."""
    signum = SIGKILL if process.killed else SIGTERM
    return _enter(
        process,
        State.STOPPING,
        now,
        _left_s(process, now),
        KillGroup(process.spec.key, process.group, signum),
        pid=0,
        status=status,
        ending=signum,
    )


def _escalate_stop(process: Process, now: float) -> Step:
    """The time to stop is over."""
    key, spec = process.spec.key, process.spec
    if process.pid:
        if spec.killasgroup:
            kill: Value = KillGroup(key, process.group, SIGKILL)
        else:
            kill = Kill(key, process.pid, SIGKILL)
        text = f"killing '{spec.name}' ({process.pid}) with SIGKILL: it did not stop in time"
        return _enter(process, State.STOPPING, now, KILL_WAIT_S, Log(WARN, text), kill, killed=True)
    if process.group and process.ending != SIGKILL:
        text = (
            f"killing what '{spec.name}' left behind (process group {process.group}) with SIGKILL:"
            " it did not stop in time"
        )
        return _enter(
            process,
            State.STOPPING,
            now,
            KILL_WAIT_S,
            Log(WARN, text),
            KillGroup(key, process.group, SIGKILL),
            ending=SIGKILL,
        )
    if not process.group:
        return _enter(process, State.STOPPING, now, KILL_WAIT_S)  # its Spawned is still to come
    process, effects = _give_up_survivors(process)
    process, stopped = _stopped(process, now)
    return process, effects + stopped


def _stopped(process: Process, now: float) -> Step:
    process, effects = _enter(process, State.STOPPED, now, None, group=0, ending=0)
    if process.wanted == Wanted.UP:
        process, begun = _begin(process, now)
        effects += begun
    return process, effects
