"""The way up, and what an exit that nobody asked for leads to."""

from __future__ import annotations

from initpy.core.door import SIGKILL, SIGTERM, enter, is_waiting
from initpy.core.messages import INFO, EndSurvivors, Exited, Log, Spawn
from initpy.core.restart import (
    delay_s,
    is_exhausted,
    is_expected,
    is_restarted,
    recent,
)
from initpy.core.states import NOT_EXECUTABLE, ExitStatus, State, Wanted
from initpy.core.survivors import end_before_spawn, give_up, kill_before_spawn, look
from initpy.core.values import replace
from initpy.core.words import TOO_QUICKLY, over_limit
from initpy.plan import NEVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.core.door import Process, Step
    from initpy.plan import ProcessSpec

EXEC_WAIT_S = 1.0
"""How often a STARTING process with startsecs = 0 is looked at while its exec hangs."""


def begin(process: Process, now: float) -> Step:
    """On the way up; first without what the last instance left behind."""
    if process.group:
        return end_before_spawn(process, now)
    return enter(
        process,
        State.STARTING,
        now,
        start_wait_s(process.spec),
        Spawn(process.spec.key),
        wanted=Wanted.UP,
        executed=False,
        killed=False,
        spawnerr="",
        started_at=now,
    )


def start_wait_s(spec: ProcessSpec) -> float | None:
    """How long a start may take to be a success; None: a oneshot is one when it has ended."""
    return None if spec.oneshot else spec.startsecs or EXEC_WAIT_S


def spawned(process: Process, pid: int, now: float) -> Step:
    """It is forked. Only now startsecs begin: in a boot of thousands, the fork comes seconds after
    its turn."""
    return enter(
        process,
        State.STARTING,
        now,
        start_wait_s(process.spec),
        spawned_line(process, pid),
        pid=pid,
        group=pid,
        started_at=now,
        instances=process.instances + 1,
    )


def spawned_line(process: Process, pid: int) -> Log:
    return Log(INFO, f"spawned: '{process.spec.name}' with pid {pid}")


def executed(process: Process, now: float) -> Step:
    """It has become the program."""
    process = replace(process, executed=True)
    if process.spec.startsecs == 0 and not process.spec.oneshot:
        return run(process, now)
    return process, ()


def run(process: Process, now: float) -> Step:
    return enter(process, State.RUNNING, now, None, failures=0, by_operator=False)


def exit_in_starting(process: Process, exited: Exited, now: float) -> Step:
    """Too quick is a failed start whatever its exit code; an exit after startsecs that came before
    the timer was seen has been RUNNING. A oneshot is judged by its exit code alone."""
    spec = process.spec
    process = bury(process, exited, now)
    if process.spawnerr:
        return fail(process, now, process.spawnerr, exited.draw)
    has_failed = spec.oneshot and not is_expected(spec, exited.status)
    if has_failed and spec.autorestart != NEVER:
        return fail(process, now, bad_exit(exited.status), exited.draw)
    if not spec.oneshot and process.lasted_s < spec.startsecs:
        return fail(process, now, TOO_QUICKLY, exited.draw)
    by_operator = process.by_operator and has_failed  # then it has not come up
    process, up = run(process, now)
    process, down = after_running(replace(process, by_operator=by_operator), now)
    return process, up + down


def bury(process: Process, exited: Exited, now: float) -> Process:
    """The instance is dead: what is known of it."""
    return replace(
        process,
        pid=0,
        status=exited.status,
        peak_kib=exited.peak_kib,
        oom_kills=exited.oom_kills,
        lasted_s=max(now - process.started_at, 0.0),
        ended_at=now,
    )


def not_spawned(process: Process, reason: str, draw: float, now: float) -> Step:
    """There was no instance."""
    process = replace(process, pid=0, status=NOT_EXECUTABLE, peak_kib=0, oom_kills=0, lasted_s=0.0)
    return fail(process, now, reason, draw)


def fail(process: Process, now: float, spawnerr: str, draw: float) -> Step:
    """A start has failed: BACKOFF, and FATAL at once when that was the last try."""
    failures = process.failures + 1
    failed = replace(process, failures=failures, spawnerr=spawnerr)
    if not is_exhausted(process.spec, failures):
        wait_s = delay_s(process.spec, failures, draw)
        if not process.group:
            return enter(failed, State.BACKOFF, now, wait_s)
        end = EndSurvivors(process.spec.key, process.group, SIGTERM)
        return enter(failed, State.BACKOFF, now, wait_s, end, ending=SIGTERM)
    failed, backoff = enter(failed, State.BACKOFF, now, None)
    failed, fatal = enter(failed, State.FATAL, now, None, wanted=Wanted.DOWN, failures=0)
    return failed, backoff + fatal + look(failed)


def exit_in_running(process: Process, exited: Exited, now: float) -> Step:
    return after_running(bury(process, exited, now), now)


def after_running(process: Process, now: float) -> Step:
    """It has ended by itself, after it had been RUNNING."""
    spec, status = process.spec, process.status or ExitStatus()
    spawnerr = "" if is_expected(spec, status) else bad_exit(status)
    ended = replace(process, failures=0, spawnerr=spawnerr)
    if spec.oneshot or not is_restarted(spec, status):
        ended, exited = enter(ended, State.EXITED, now, None, wanted=Wanted.DOWN)
        return ended, exited + look(ended)
    limit = spec.restart_limit
    restarts = () if limit is None else (*recent(limit, ended.restarts, now), now)
    if limit is not None and len(restarts) > limit.count:
        ended, exited = enter(ended, State.EXITED, now, None)
        ended, fatal = enter(
            ended, State.FATAL, now, None, wanted=Wanted.DOWN, spawnerr=over_limit(limit)
        )
        return ended, exited + fatal + look(ended)
    ended, exited = enter(ended, State.EXITED, now, None, restarts=restarts)
    ended, begun = begin(ended, now)
    return ended, exited + begun


def bad_exit(status: ExitStatus) -> str:
    """supervisord's words; a death by signal is its code -1."""
    return f"Bad exit code {-1 if status.code is None else status.code}"


def escalate_before_spawn(process: Process, now: float) -> Step:
    """A delay is over, and with it the time that survivors had after TERM, or after KILL."""
    if process.group and process.ending == SIGTERM:
        return kill_before_spawn(process, now)
    process, effects = give_up(process)
    process, begun = begin(process, now)
    return process, effects + begun


def begin_without_survivors(process: Process, now: float) -> Step:
    """Nobody is left of the last instance (any more), and it is not being stopped."""
    in_delay = process.state == State.BACKOFF and process.ending != SIGKILL
    process = replace(process, group=0, ending=0)
    if is_waiting(process) and not in_delay:
        return begin(process, now)
    return process, ()
