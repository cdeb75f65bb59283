"""How often it is started again, and when: backoff, restart_limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from initpy.core.messages import (
    Executed,
    Exited,
    PlanReady,
    SignalReceived,
    Spawn,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
    SurvivorsGone,
)
from initpy.core.states import State, Wanted
from initpy.core.supervisor import Phase
from initpy.plan import ALWAYS, NEVER, Backoff, RestartLimit
from tests.core.kernel import Fate, Kernel
from tests.core.lives import PID, ends, starting, stop, timer, up, words
from tests.core.specs import TERM, exited, killed, moves, only, plan, run, spec

if TYPE_CHECKING:
    from initpy.core.door import Process
    from initpy.core.states import ExitStatus
    from initpy.core.values import Value

LIMIT = RestartLimit(2, 60.0)


# ---------------------------------------------------------------- backoff


def test_a_failed_start_waits_as_backoff_says_with_the_jitter_that_was_drawn() -> None:
    process = starting(backoff=Backoff(2.0, 3.0, 60.0, 0.5))
    process, _ = run(process, (0.5, Exited("web", PID, exited(1), draw=0.25)))
    assert (process.state, process.due_at) == (State.BACKOFF, 0.5 + 2.0 * 1.125)
    process, _ = run(
        process,
        (1.0, SurvivorsGone("web", PID)),
        (2.75, timer(process)),
        (2.75, SpawnFailed("web", "no fork today", draw=1.0)),
    )
    assert (process.state, process.due_at) == (State.BACKOFF, 2.75 + 6.0 * 1.5)


def test_the_delays_of_a_program_that_never_comes_up_grow_to_the_most() -> None:
    options = spec("web", startretries=5, backoff=Backoff(0.5, 2.0, 3.0, 0.0))
    kernel = Kernel(plan(options), Fate(spawn_fails="no fork today"))
    waits = []
    while kernel.exit_code is None:
        before = kernel.now
        kernel.fire()
        waits.append(kernel.now - before)
    assert waits == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_after_it_has_been_running_the_delays_begin_anew() -> None:
    process = starting(backoff=Backoff(2.0, 3.0, 60.0, 0.0))
    process, _ = ends(process, 0.5, exited(1))
    process, _ = run(process, (2.5, timer(process)), (2.5, Spawned("web", 9)))
    process, _ = run(process, (2.5, Executed("web", 9)))
    process, _ = run(process, (3.5, timer(process)))
    assert process.state == State.RUNNING
    process, _ = ends(process, 4.0, exited(1))
    process, _ = run(process, (4.0, Spawned("web", 10)), (4.0, Executed("web", 10)))
    process, _ = ends(process, 4.5, exited(1))
    assert process.due_at == 6.5


# ---------------------------------------------------------------- restart_limit


def dies_again(process: Process, now: float, status: ExitStatus) -> tuple[Process, list[Value]]:
    """It dies after it has been RUNNING, and if it is started again, comes up at once."""
    process, effects = ends(process, now, status)
    if only(Spawn, effects):
        pid = PID + int(now * 100)
        process, more = run(process, (now, Spawned("web", pid)), (now, Executed("web", pid)))
        effects += more
    return process, effects


def always(**options: Any) -> Process:
    return up(**{"startsecs": 0.0, "autorestart": ALWAYS, "restart_limit": LIMIT, **options})


def test_over_the_limit_it_is_fatal_and_says_so() -> None:
    process = always()
    for now in (10.0, 20.0):
        process, effects = dies_again(process, now, exited(1))
        assert process.state == State.RUNNING
    process, effects = dies_again(process, 30.0, exited(1))
    assert moves(effects) == [("RUNNING", "EXITED"), ("EXITED", "FATAL")]
    assert words(effects) == [
        "exited: web (exit status 1; not expected), up for 10 s",
        "gave up: web entered FATAL state, it was to be restarted more than 2 times in 60 seconds"
        " (restart_limit)",
    ]
    assert (process.wanted, process.due_at, process.status) == (Wanted.DOWN, None, exited(1))


@pytest.mark.parametrize(
    ("third_at", "state"), [(69.999, State.FATAL), (70.0, State.RUNNING), (500.0, State.RUNNING)]
)
def test_the_window_moves_with_the_time(third_at: float, state: int) -> None:
    process = always()
    for now in (10.0, 20.0, third_at):
        process, _ = dies_again(process, now, killed(11))
    assert process.state == state


def test_who_dies_less_often_than_that_is_restarted_for_ever() -> None:
    process = always()
    for turn in range(100):
        process, _ = dies_again(process, 30.0 * (turn + 1), exited(0))
        assert process.state == State.RUNNING
        assert len(process.restarts) <= 2, "no more is remembered than the limit needs"


def test_a_limit_of_0_is_fatal_at_the_first_death() -> None:
    process, _ = dies_again(always(restart_limit=RestartLimit(0, 60.0)), 10.0, exited(1))
    assert process.state == State.FATAL


def test_without_a_limit_nothing_is_counted() -> None:
    process = always(restart_limit=None)
    for turn in range(50):
        process, _ = dies_again(process, 10.0 + turn / 100, exited(1))
    assert (process.state, process.restarts) == (State.RUNNING, ())


def test_an_end_that_leads_to_no_restart_is_not_counted() -> None:
    process = always(autorestart=NEVER, restart_limit=RestartLimit(0, 60.0))
    process, _ = ends(process, 10.0, exited(1))
    assert process.state == State.EXITED


def test_failed_starts_are_no_restarts() -> None:
    """They have their own limit, startretries."""
    process = always(startsecs=1.0, restart_limit=RestartLimit(1, 60.0))
    process, effects = ends(process, 10.0, exited(1))
    for now, pid in ((10.0, 20), (11.1, 21), (13.2, 22)):
        if not only(Spawn, effects):
            process, effects = run(process, (now, timer(process)))
        process, _ = run(process, (now, Spawned("web", pid)), (now, Executed("web", pid)))
        process, effects = ends(process, now + 0.1, exited(1))
        assert process.state == State.BACKOFF
    assert process.restarts == (10.0,)


@pytest.mark.parametrize("is_stopped", [False, True])
def test_who_starts_it_by_hand_starts_the_count_anew(is_stopped: bool) -> None:
    process = always()
    process, _ = dies_again(process, 10.0, exited(1))
    process, _ = dies_again(process, 11.0, exited(1))
    if is_stopped:
        process, _ = stop(process, 12.0)
        process, _ = ends(process, 12.0, exited(0))
    else:
        process, _ = dies_again(process, 12.0, exited(1))
        assert process.state == State.FATAL
        process, _ = run(process, (12.5, SurvivorsGone("web", process.group)))
    process, _ = run(
        process,
        (13.0, Start("web", by_operator=True)),
        (13.0, Spawned("web", 90)),
        (13.0, Executed("web", 90)),
    )
    for now in (13.5, 14.0):
        process, _ = dies_again(process, now, exited(1))
        assert process.state == State.RUNNING
    process, _ = dies_again(process, 14.5, exited(1))
    assert process.state == State.FATAL


def test_so_does_who_starts_it_while_it_is_being_stopped() -> None:
    process = always()
    process, _ = dies_again(process, 10.0, exited(1))
    process, _ = dies_again(process, 11.0, exited(1))
    process, _ = stop(process, 12.0)
    process, _ = run(process, (12.0, Start("web", by_operator=True)))
    process, effects = ends(process, 12.5, exited(0))
    assert only(Spawn, effects)
    assert process.restarts == ()


def test_a_critical_program_over_its_limit_ends_the_container_with_its_code() -> None:
    options = spec("web", startsecs=0.0, restart_limit=RestartLimit(1, 60.0))
    kernel = Kernel(plan(options, spec("side")))
    kernel.dies("web", exited(7))
    assert kernel.supervisor.phase == Phase.UP
    kernel.dies("web", exited(9))
    assert kernel.exit_code == 9
    assert kernel.lines()[-1] == (
        "exit code 9: 'web' entered FATAL state: it was to be restarted more than 1 times in 60"
        " seconds (restart_limit) (exit status 9)"
    )


def test_what_waits_for_one_that_is_over_its_limit_is_given_up() -> None:
    kernel = Kernel(
        plan(
            spec(
                "db",
                startsecs=0.0,
                autorestart=ALWAYS,
                critical=False,
                restart_limit=RestartLimit(0, 60.0),
            ),
            spec("slow", startsecs=5.0),
            spec("web", after=("db", "slow"), critical=False),
        )
    )
    kernel.dies("db", exited(0))
    assert (kernel.state("db"), kernel.state("web")) == (State.FATAL, State.FATAL)


def test_a_reload_that_changes_the_program_starts_the_count_anew_and_the_limit_holds_at_once() -> (
    None
):
    options: dict[str, Any] = {"startsecs": 0.0, "restart_limit": RestartLimit(1, 60.0)}
    kernel = Kernel(plan(spec("web", **options), spec("side")))
    kernel.dies("web", exited(1))
    kernel.tell(PlanReady(plan(spec("web", argv=(b"prog", b"2"), **options), spec("side"))))
    assert kernel.process("web").restarts == ()
    kernel.dies("web", exited(1))
    assert kernel.state("web") == State.RUNNING
    options["restart_limit"] = RestartLimit(5, 60.0)
    kernel.tell(PlanReady(plan(spec("web", argv=(b"prog", b"2"), **options), spec("side"))))
    kernel.dies("web", exited(1))
    assert kernel.state("web") == State.RUNNING


def test_the_end_of_the_container_counts_no_restart() -> None:
    kernel = Kernel(
        plan(
            spec("a", startsecs=0.0, restart_limit=RestartLimit(1, 60.0)),
            spec("b", startsecs=0.0, after=("a",)),
        ),
        Fate(answer=None),
    )
    kernel.tell(SignalReceived(TERM))
    kernel.dies("a", exited(1))
    assert kernel.state("a") == State.STOPPED
    assert not only(Spawn, kernel.tell(Stop("a")))
