"""One process's machine: `step(process, event, now)`.

Facts that come late are harmless, orders that cannot be carried out are refused aloud. What the
cases lead to is in `starting`, `stopping` and `survivors`; the value, and the one door through
which its state changes, in `door`.

    STOPPED --Start--> STARTING --startsecs--> RUNNING --Stop--> STOPPING --gone--> STOPPED
                        |    ^                   |
                 too quick  delay              exits --> EXITED --(autorestart)--> STARTING
                        v    |
                       BACKOFF --startretries--> FATAL

A oneshot stays STARTING until it ends: as expected, and it is EXITED; or else in BACKOFF.

Source of the semantics: supervisord 4.3.0, with its defects mended.
"""

from __future__ import annotations

from initpy.core import starting, stopping, survivors
from initpy.core.door import Process, enter, is_waiting
from initpy.core.messages import (
    ExecFailed,
    Executed,
    Exited,
    GiveUp,
    Kill,
    KillFailed,
    Refuse,
    Signal,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
    StopCommandFailed,
    SurvivorsFound,
    SurvivorsGone,
    TimerFired,
    TreeRecorded,
)
from initpy.core.states import IDLE, SIGNALLABLE, State, Wanted
from initpy.core.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.core.door import Step
    from initpy.core.values import Value


def step(process: Process, event: Value, now: float) -> Step:
    """The process after `event`, and what is to be done about it.

    Total: every event is an answer in every state, if only to be ignored or refused.
    """
    match process.state, event:
        case _, TimerFired(epoch=epoch) if epoch != process.epoch or process.due_at is None:
            return process, ()

        # ---- orders
        case state, Start() if state in IDLE and process.wanted == Wanted.UP:
            return _ordered_by(event, process), ()
        case state, Start() if state in IDLE:
            anew = replace(_ordered_by(event, process), restarts=(), instances=0)
            return starting.begin(anew, now)
        case State.STOPPING, Start():
            return replace(_ordered_by(event, process), wanted=Wanted.UP), ()
        case State.UNKNOWN, Start():
            return process, (Refuse(event, "FAILED"),)
        case _, Start():
            return process, (Refuse(event, "ALREADY_STARTED"),)

        case ((State.STARTING | State.RUNNING), Stop()):
            return stopping.stop(_ordered_by(event, process), event, now)
        case State.BACKOFF, Stop():
            return stopping.in_backoff(_ordered_by(event, process), event, now)
        case State.STOPPING, Stop():
            return stopping.hasten(process, event, now)
        case state, Stop() if state in IDLE and process.wanted == Wanted.UP:
            return stopping.end_survivors_for_good(_ordered_by(event, process), event, now)
        case state, Stop(for_good=True) if state in IDLE and process.group:
            return stopping.end_survivors_for_good(_ordered_by(event, process), event, now)
        case _, Stop():
            return process, (Refuse(event, "NOT_RUNNING"),)

        case state, Signal(signum=signum) if state in SIGNALLABLE and process.pid:
            return process, (Kill(process.spec.key, process.pid, signum),)
        case _, Signal():
            return process, (Refuse(event, "NOT_RUNNING"),)

        case state, GiveUp() if state in IDLE:
            return enter(
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
            return starting.spawned(process, pid, now)
        case State.STARTING, SpawnFailed(reason=reason, draw=draw):
            return starting.not_spawned(process, reason, draw, now)
        case State.STARTING, Executed(pid=pid) if pid == process.pid:
            return starting.executed(process, now)
        case State.STARTING, ExecFailed(pid=pid, reason=reason) if pid == process.pid:
            return replace(process, spawnerr=reason), ()
        case State.STARTING, TimerFired() if process.executed:
            return starting.run(process, now)
        case State.STARTING, TimerFired():
            return enter(process, State.STARTING, now, starting.start_wait_s(process.spec))
        case State.STARTING, Exited(pid=pid) if pid == process.pid:
            return starting.exit_in_starting(process, event, now)

        # ---- a stop that overtook its own spawn
        case State.STOPPING, Spawned(pid=pid):
            return stopping.spawned_after_stop(process, pid, now)
        case State.STOPPING, SpawnFailed():
            return stopping.stopped(process, now)

        # ---- the way down
        case State.RUNNING, Exited(pid=pid) if pid == process.pid:
            return starting.exit_in_running(process, event, now)
        case State.STOPPING, Exited(pid=pid) if pid == process.pid:
            return stopping.exit_in_stopping(process, event, now)
        case State.UNKNOWN, Exited(pid=pid) if pid == process.pid:
            if process.wanted == Wanted.UP:
                return starting.exit_in_running(process, event, now)
            return enter(starting.bury(process, event, now), State.STOPPED, now, None)
        case State.STOPPING, TreeRecorded(pid=pid) if pid == process.pid and stopping.is_in(
            process, stopping.RECORD
        ):
            return stopping.next_stage(process, now)
        case State.STOPPING, StopCommandFailed(pid=pid) if pid == process.pid and stopping.is_in(
            process, stopping.COMMAND
        ):
            return stopping.after_failed_command(process, event, now)
        case State.STOPPING, TimerFired():
            return stopping.escalate(process, now)
        case ((State.STARTING | State.RUNNING | State.STOPPING), KillFailed(pid=pid)) if (
            process.pid and pid == process.pid
        ):
            return enter(process, State.UNKNOWN, now, None, stages=())

        # ---- survivors of a dead instance
        case _, SurvivorsFound():
            return survivors.tell(process, event)
        case State.STOPPING, SurvivorsGone(group=group) if group == process.group != process.pid:
            return stopping.stopped(process, now)
        case _, SurvivorsGone(group=group) if group == process.group != process.pid:
            return starting.begin_without_survivors(process, now)
        case _, TimerFired() if is_waiting(process):
            return starting.escalate_before_spawn(process, now)

        case _:
            return process, ()  # true, but of no use now


def _ordered_by(order: Start | Stop, process: Process) -> Process:
    return replace(process, by_operator=order.by_operator)
