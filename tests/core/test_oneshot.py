"""Oneshots: their work is done when they end as expected, and only then the others start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from initpy.core.door import Process
from initpy.core.messages import (
    Executed,
    Exited,
    KillFailed,
    PlanReady,
    SignalReceived,
    Spawn,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
)
from initpy.core.states import State, Wanted
from initpy.core.supervisor import Phase
from initpy.plan import ALWAYS, NEVER, UNEXPECTED
from tests.core.kernel import HANGS, Fate, Kernel
from tests.core.lives import PID, ends, starting, stop, timer, words
from tests.core.specs import TERM, exited, killed, moves, only, plan, run, spec

if TYPE_CHECKING:
    from initpy.core.states import ExitStatus
    from initpy.core.values import Value
    from initpy.plan import ProcessSpec


def once(key: str = "init", **options: Any) -> ProcessSpec:
    return spec(key, oneshot=True, **options)


def quick(key: str, **options: Any) -> ProcessSpec:
    return spec(key, **{"startsecs": 0.0, **options})


def spawned(effects: list[Value]) -> list[str]:
    return [effect.key for effect in only(Spawn, effects)]


# ---------------------------------------------------------------- one of them


@pytest.mark.parametrize("startsecs", [0.0, 60.0])
def test_it_is_starting_for_as_long_as_it_works_and_waits_for_nothing(startsecs: float) -> None:
    process = starting(oneshot=True, startsecs=startsecs)
    assert (process.state, process.due_at) == (State.STARTING, None)


@pytest.mark.parametrize("autorestart", [NEVER, UNEXPECTED, ALWAYS])
@pytest.mark.parametrize(("code", "at"), [(0, 0.0), (0, 500.0), (2, 1.0)])
def test_its_expected_end_is_its_good_end_however_soon_or_late(
    autorestart: int, code: int, at: float
) -> None:
    process = starting(
        oneshot=True, startsecs=60.0, autorestart=autorestart, exitcodes=(0, 2), startretries=0
    )
    process, effects = ends(process, at, exited(code))
    assert moves(effects) == [("STARTING", "RUNNING"), ("RUNNING", "EXITED")]
    assert words(effects) == [f"exited: web (exit status {code}; expected)"]
    assert (process.state, process.wanted, process.due_at) == (State.EXITED, Wanted.DOWN, None)
    assert process.spawnerr == ""


@pytest.mark.parametrize("status", [exited(1), killed(9)])
@pytest.mark.parametrize("autorestart", [UNEXPECTED, ALWAYS])
def test_any_other_end_is_a_failed_start_however_late(autorestart: int, status: ExitStatus) -> None:
    process = starting(oneshot=True, autorestart=autorestart, startretries=1)
    process, effects = ends(process, 500.0, status)
    assert moves(effects) == [("STARTING", "BACKOFF")]
    assert process.spawnerr == f"Bad exit code {-1 if status.signal else status.code}"
    assert words(effects)[0].endswith("; not expected), up for 500 s")
    process, effects = run(process, (501.0, timer(process)))
    assert only(Spawn, effects) == [Spawn("web")]
    process, _ = run(process, (501.0, Spawned("web", 9)), (501.0, Executed("web", 9)))
    process, effects = ends(process, 600.0, status)
    assert moves(effects) == [("STARTING", "BACKOFF"), ("BACKOFF", "FATAL")]


def test_a_retry_that_ends_as_expected_makes_good_for_those_that_failed() -> None:
    process = starting(oneshot=True)
    process, _ = ends(process, 5.0, exited(1))
    process, _ = run(process, (6.0, timer(process)), (6.0, Spawned("web", 9)))
    process, _ = ends(process, 6.5, exited(0))
    assert (process.state, process.failures, process.status) == (State.EXITED, 0, exited(0))


def test_without_autorestart_a_bad_end_is_final() -> None:
    process = starting(oneshot=True, autorestart=NEVER)
    process, effects = ends(process, 5.0, exited(3))
    assert (process.state, process.wanted, process.status) == (
        State.EXITED,
        Wanted.DOWN,
        exited(3),
    )
    assert process.spawnerr == "Bad exit code 3"
    assert words(effects) == ["exited: web (exit status 3; not expected), up for 5 s"]


def test_one_that_cannot_be_forked_or_executed_is_a_failed_start_as_any() -> None:
    process, _ = run(Process(spec(oneshot=True)), (0.0, Start("web")))
    process, _ = run(process, (0.0, SpawnFailed("web", "no fork today")))
    assert (process.state, process.due_at) == (State.BACKOFF, 1.0)
    kernel = Kernel(plan(once(startretries=0)), Fate(exec_fails="can't find command 'prog'"))
    assert kernel.exit_code == 127


def test_one_that_is_stopped_while_it_works_is_stopped() -> None:
    process, _ = stop(starting(oneshot=True), 5.0)
    process, effects = ends(process, 5.5, exited(0))
    assert moves(effects) == [("STOPPING", "STOPPED")]
    assert not only(Spawn, effects)


def test_one_that_may_not_be_signalled_is_judged_by_its_end() -> None:
    process = starting(oneshot=True)
    process, _ = run(process, (1.0, KillFailed("web", PID, 1)))
    process, effects = ends(process, 5.0, exited(0))
    assert moves(effects) == [("UNKNOWN", "EXITED")]


# ---------------------------------------------------------------- beside the others


def test_what_comes_after_it_starts_when_it_has_come_to_its_good_end() -> None:
    kernel = Kernel(plan(once(), quick("web", after=("init",))))
    kernel.sleep(30.0)
    assert kernel.state("init") == State.STARTING
    assert spawned(kernel.done) == ["init"]
    effects = kernel.dies("init", exited(0))
    assert spawned(effects) == ["web"]
    assert kernel.supervisor.phase == Phase.UP


def test_it_waits_for_the_retries_of_one_that_fails() -> None:
    kernel = Kernel(plan(once(), quick("web", after=("init",))))
    kernel.dies("init", exited(1))
    assert kernel.state("init") == State.BACKOFF
    kernel.sleep(1.0)
    assert spawned(kernel.done) == ["init", "init"]
    kernel.dies("init", exited(0))
    assert spawned(kernel.done) == ["init", "init", "web"]


def test_it_is_given_up_with_one_that_fails_for_good() -> None:
    kernel = Kernel(
        plan(
            once(startretries=0, critical=False),
            quick("web", after=("init",), critical=False),
            quick("side"),
        )
    )
    kernel.dies("init", exited(4))
    assert (kernel.state("init"), kernel.state("web")) == (State.FATAL, State.FATAL)
    assert kernel.process("web").status == exited(4)
    assert kernel.supervisor.phase == Phase.UP


@pytest.mark.parametrize("autorestart", [UNEXPECTED, NEVER])
def test_one_that_is_critical_and_fails_for_good_ends_the_container_with_its_code(
    autorestart: int,
) -> None:
    kernel = Kernel(
        plan(
            once(startretries=0, autorestart=autorestart),
            quick("web", after=("init",)),
            quick("side"),
        )
    )
    kernel.dies("init", exited(4))
    assert kernel.exit_code == 4
    assert "web" not in spawned(kernel.done)


def test_chains_of_them_run_one_after_the_other() -> None:
    kernel = Kernel(
        plan(once("a"), once("b", after=("a",)), quick("web", after=("b",)), quick("side"))
    )
    assert spawned(kernel.done) == ["a", "side"]
    assert spawned(kernel.dies("a", exited(0))) == ["b"]
    assert spawned(kernel.dies("b", exited(0))) == ["web"]


def test_a_container_with_nothing_but_oneshots_ends_with_the_last_of_them() -> None:
    kernel = Kernel(plan(once("a"), once("b", after=("a",))))
    kernel.dies("a", exited(0))
    assert kernel.lives()
    kernel.dies("b", exited(0))
    assert kernel.exit_code == 0


def test_one_that_has_done_its_work_does_not_keep_the_container_up() -> None:
    kernel = Kernel(plan(once(), quick("web", autorestart=NEVER, after=("init",))))
    kernel.dies("init", exited(0))
    kernel.dies("web", exited(0))
    assert kernel.exit_code == 0


def test_one_that_is_not_autostarted_starts_only_when_asked() -> None:
    kernel = Kernel(plan(once(autostart=False), quick("web", after=("init",)), quick("side")))
    kernel.sleep(60.0)
    assert spawned(kernel.done) == ["side"]
    kernel.tell(Start("init", by_operator=True))
    assert spawned(kernel.dies("init", exited(0))) == ["web"]


def test_exit_code_from_a_oneshot_ends_the_container_with_it() -> None:
    kernel = Kernel(plan(once(exitcodes=(0, 3)), quick("web"), exit_code_from=("init",)))
    kernel.dies("init", exited(3))
    assert kernel.exit_code == 3


def test_one_that_works_is_stopped_at_the_end_of_the_container() -> None:
    kernel = Kernel(plan(once(), quick("web", after=("init",))))
    kernel.tell(SignalReceived(TERM))
    assert (kernel.exit_code, spawned(kernel.done)) == (0, ["init"])


def test_one_whose_exec_hangs_holds_the_others_up_and_can_be_stopped() -> None:
    kernel = Kernel(plan(once(), quick("web", after=("init",))), Fate(exec_fails=HANGS))
    kernel.sleep(600.0)
    assert spawned(kernel.done) == ["init"]
    kernel.tell(SignalReceived(TERM))
    assert kernel.exit_code == 0


# ---------------------------------------------------------------- operators and reloads


def test_one_that_an_operator_stopped_lets_nobody_start_until_it_has_run() -> None:
    kernel = Kernel(plan(once(), quick("web", after=("init",)), quick("side")))
    kernel.tell(Stop("init", by_operator=True))
    assert kernel.state("init") == State.STOPPED
    assert "web" not in spawned(kernel.done)
    kernel.tell(Start("init", by_operator=True))
    assert spawned(kernel.dies("init", exited(0))) == ["web"]


@pytest.mark.parametrize("autorestart", [UNEXPECTED, NEVER])
def test_one_that_an_operator_starts_and_that_fails_ends_nothing(autorestart: int) -> None:
    kernel = Kernel(
        plan(once(autostart=False, autorestart=autorestart, startretries=0), quick("side"))
    )
    kernel.tell(Start("init", by_operator=True))
    kernel.dies("init", exited(4))
    assert kernel.state("init") in (State.EXITED, State.FATAL)
    assert kernel.supervisor.phase == Phase.UP


@pytest.mark.parametrize("autorestart", [UNEXPECTED, NEVER])
def test_and_keeps_the_container_up_if_it_is_the_last(autorestart: int) -> None:
    """It is to be tried again, as any program that an operator has started in vain."""
    kernel = Kernel(plan(once(autorestart=autorestart, startretries=0), quick("web")))
    kernel.dies("init", exited(0))
    kernel.tell(Start("init", by_operator=True))
    kernel.dies("web", exited(0))
    kernel.dies("init", exited(4))
    assert kernel.lives()
    kernel.tell(Start("init", by_operator=True))
    kernel.dies("init", exited(0))
    assert kernel.exit_code == 4, "the first unexpected code, now that nothing is left to run"


def test_a_reload_that_does_not_change_it_does_not_run_it_again() -> None:
    specs = [once(), quick("web", after=("init",))]
    kernel = Kernel(plan(*specs))
    kernel.dies("init", exited(0))
    assert spawned(kernel.tell(PlanReady(plan(*specs, quick("new", after=("init",)))))) == ["new"]
    assert kernel.state("init") == State.EXITED


def test_a_reload_that_changes_it_runs_it_again_and_what_is_new_waits_for_that() -> None:
    kernel = Kernel(plan(once(), quick("web", after=("init",))))
    kernel.dies("init", exited(0))
    changed = once(argv=(b"prog", b"2"))
    effects = kernel.tell(
        PlanReady(plan(changed, quick("web", after=("init",)), quick("new", after=("init",))))
    )
    assert spawned(effects) == ["init"]
    assert spawned(kernel.dies("init", exited(0))) == ["new"]


def test_a_reload_that_changes_it_while_it_works_starts_it_anew() -> None:
    kernel = Kernel(plan(once(), quick("web", after=("init",))), Fate(slow=True), Fate())
    kernel.tell(PlanReady(plan(once(argv=(b"prog", b"2")), quick("web", after=("init",)))))
    assert kernel.state("init") == State.STOPPING
    kernel.let_go(kernel.pid("init"))
    kernel.settle()
    assert kernel.state("init") == State.STARTING
    assert "web" not in spawned(kernel.done)
    assert spawned(kernel.dies("init", exited(0))) == ["web"]


@pytest.mark.parametrize("autorestart", [UNEXPECTED, NEVER])
def test_one_that_a_reload_adds_and_that_fails_ends_nothing(autorestart: int) -> None:
    kernel = Kernel(plan(quick("web")))
    added = once("new", autorestart=autorestart, startretries=0)
    kernel.tell(PlanReady(plan(quick("web"), added, quick("late", after=("new",)))))
    kernel.dies("new", exited(4))
    assert kernel.supervisor.phase == Phase.UP
    assert kernel.state("late") == State.FATAL


def test_a_program_that_becomes_a_oneshot_or_ceases_to_be_one_starts_anew() -> None:
    kernel = Kernel(plan(quick("a"), quick("side")))
    kernel.tell(PlanReady(plan(once("a"), quick("side"))))
    assert kernel.state("a") == State.STARTING
    kernel.sleep(60.0)
    assert kernel.state("a") == State.STARTING
    kernel.tell(PlanReady(plan(quick("a"), quick("side"))))
    assert kernel.state("a") == State.RUNNING
    assert spawned(kernel.done).count("a") == 3


def test_late_facts_of_an_earlier_try_do_nothing_to_the_next() -> None:
    process = starting(oneshot=True)
    process, _ = ends(process, 5.0, exited(1))
    process, _ = run(process, (6.0, timer(process)), (6.0, Spawned("web", 9)))
    assert run(process, (6.1, Exited("web", PID, exited(0)))) == (process, [])
