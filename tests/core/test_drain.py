"""The end of the container with the stages of a stop: who drains, what a second signal does, and
that all of it fits the budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from initpy.core.messages import (
    EndSurvivors,
    Kill,
    KillFailed,
    KillRest,
    Log,
    PlanReady,
    RecordTree,
    Refuse,
    RunStopCommand,
    SetTimer,
    Signal,
    SignalReceived,
    Spawn,
    Start,
    Stop,
)
from initpy.core.states import State
from initpy.core.supervisor import Phase
from initpy.plan import ALWAYS, NEVER, RestartLimit
from tests.core.kernel import FAILS, HANGS, UNDYING, Fate, Group, Kernel
from tests.core.specs import (
    INT,
    KILL,
    QUIT,
    TERM,
    USR1,
    exited,
    lines,
    only,
    plan,
    sent,
    spec,
)

if TYPE_CHECKING:
    from initpy.core.states import ExitStatus
    from initpy.core.values import Value
    from initpy.plan import ProcessSpec

T0 = 100.0
DEAF = Fate(answer=None)
SLOW = Fate(slow=True)


def quick(key: str, **options: Any) -> ProcessSpec:
    return spec(key, **{"startsecs": 0.0, **options})


def drains(effects: list[Value]) -> list[str]:
    return [line.split("'")[1] for line in lines(effects) if line.endswith("(drain)")]


def end_of(kernel: Kernel) -> float:
    """Let time pass until the exit; returns the seconds that the end took."""
    while kernel.exit_code is None:
        kernel.fire()
    assert kernel.ending_since is not None
    return round(kernel.exited_at - kernel.ending_since, 6)


# ---------------------------------------------------------------- who drains


@pytest.mark.parametrize("signum", [TERM, INT, QUIT])
def test_a_signal_that_asks_for_the_end_lets_programs_drain_first(signum: int) -> None:
    kernel = Kernel(plan(quick("web", drain_s=3.0), quick("job"), shutdown_timeout_s=60.0), SLOW)
    effects = kernel.tell(SignalReceived(signum))
    assert drains(effects) == ["web"]
    assert sent(effects) == [("job", TERM)]
    assert sent(kernel.sleep(2.99)) == []
    assert sent(kernel.sleep(0.01)) == [("web", TERM)]


def test_an_end_that_has_another_cause_lets_nobody_drain() -> None:
    kernel = Kernel(plan(quick("web", drain_s=3.0), quick("job", autorestart=NEVER)), SLOW)
    effects = kernel.dies("job", exited(3))
    assert drains(effects) == []
    assert sent(effects) == [("web", TERM)]
    kernel.tell(SignalReceived(TERM))
    assert drains(kernel.done) == []


@pytest.mark.parametrize("order", [Stop("web", by_operator=True), PlanReady(plan(quick("z")))])
def test_neither_an_operator_nor_a_reload_lets_it_drain(order: Value) -> None:
    kernel = Kernel(plan(quick("web", drain_s=3.0), quick("job")), SLOW)
    effects = kernel.tell(order)
    assert drains(effects) == []
    assert ("web", TERM) in sent(effects)
    assert RecordTree("web", 8) in effects


def test_nothing_is_recorded_at_the_end_of_the_container_where_everything_goes() -> None:
    kernel = Kernel(plan(quick("a"), quick("b", after=("a",))))
    kernel.tell(SignalReceived(TERM))
    assert not only(RecordTree, kernel.done)
    assert kernel.exit_code == 0


def test_who_ends_while_it_drains_lets_the_end_go_on() -> None:
    kernel = Kernel(plan(quick("db"), quick("web", drain_s=3.0, after=("db",))))
    kernel.tell(SignalReceived(TERM))
    kernel.sleep(1.0)
    kernel.dies("web", exited(0))
    assert kernel.exit_code == 0
    assert kernel.exited_at == T0 + 1.0


def test_who_was_to_be_restarted_is_not_when_it_ends_while_it_drains() -> None:
    kernel = Kernel(plan(quick("web", drain_s=3.0), quick("job")), DEAF)
    kernel.tell(SignalReceived(TERM))
    kernel.dies("web", exited(1))
    assert kernel.state("web") == State.STOPPED
    assert len(only(Spawn, kernel.done)) == 2


# ---------------------------------------------------------------- a second signal


@pytest.mark.parametrize(("first", "second"), [(TERM, TERM), (TERM, INT), (INT, TERM), (QUIT, INT)])
def test_a_second_signal_ends_the_drain(first: int, second: int) -> None:
    kernel = Kernel(plan(quick("web", drain_s=3.0), quick("job")), SLOW)
    kernel.tell(SignalReceived(first))
    kernel.sleep(1.0)
    effects = kernel.tell(SignalReceived(second))
    assert sent(effects) == [("web", TERM)]
    assert "asked again: nothing is drained any more" in lines(effects)
    assert not only(KillRest, effects)
    third = kernel.tell(SignalReceived(TERM))
    assert sent(third) == []
    assert lines(third) == ["received SIGTERM indicating exit request"]
    end_of(kernel)


@pytest.mark.parametrize(("first", "second"), [(INT, INT), (TERM, QUIT), (QUIT, QUIT)])
def test_a_signal_that_kills_at_once_kills_who_drains_too(first: int, second: int) -> None:
    kernel = Kernel(plan(quick("db"), quick("web", drain_s=3.0, after=("db",))), DEAF)
    kernel.tell(SignalReceived(first))
    effects = kernel.tell(SignalReceived(second))
    assert only(KillRest, effects) == [KillRest(KILL)]
    assert (kernel.exit_code, kernel.exited_at) == (0, T0)


def test_after_it_nobody_drains_in_the_tiers_that_are_still_to_be_stopped() -> None:
    kernel = Kernel(plan(quick("db", drain_s=2.0), quick("web", drain_s=2.0, after=("db",))), SLOW)
    kernel.tell(SignalReceived(TERM), SignalReceived(TERM))
    assert drains(kernel.done) == ["web"]
    assert sent(kernel.done) == [("web", TERM)]
    kernel.let_go(kernel.pid("web"))
    kernel.settle()
    assert drains(kernel.done) == ["web"]
    assert sent(kernel.done) == [("web", TERM), ("db", TERM)]


def test_without_it_each_tier_drains_in_its_turn() -> None:
    kernel = Kernel(
        plan(
            quick("db", drain_s=2.0),
            quick("web", drain_s=2.0, after=("db",)),
            shutdown_timeout_s=60.0,
        )
    )
    effects = kernel.tell(SignalReceived(TERM))
    assert drains(effects) == ["web"]
    assert drains(kernel.sleep(2.0)) == ["db"]
    kernel.sleep(2.0)
    assert (kernel.exit_code, kernel.exited_at) == (0, T0 + 4.0)


def test_a_second_signal_changes_nothing_for_those_that_drain_no_more() -> None:
    kernel = Kernel(plan(quick("web", stopwaitsecs=4.0), quick("a", drain_s=1.0)), DEAF)
    kernel.tell(SignalReceived(TERM))
    kernel.sleep(3.0)
    effects = kernel.tell(SignalReceived(TERM))
    assert sent(effects) == []
    assert sent(kernel.sleep(1.0)) == [("web", KILL)]


def test_where_nobody_drains_a_second_signal_says_nothing_and_does_nothing() -> None:
    kernel = Kernel(plan(quick("a")), DEAF)
    kernel.tell(SignalReceived(TERM))
    effects = kernel.tell(SignalReceived(TERM))
    assert effects == [Log("WARN", "received SIGTERM indicating exit request")]


def test_a_second_signal_while_the_rest_is_ended_does_nothing_or_kills() -> None:
    kernel = Kernel(plan(quick("web", drain_s=1.0)))
    kernel.groups[5] = Group([UNDYING])
    kernel.tell(SignalReceived(TERM))
    kernel.sleep(1.0)
    assert kernel.supervisor.phase == Phase.REST
    assert not only((Kill, KillRest, SetTimer), kernel.tell(SignalReceived(TERM)))
    assert kernel.lines()[-1] == "received SIGTERM indicating exit request"
    assert only(KillRest, kernel.tell(SignalReceived(QUIT))) == [KillRest(KILL)]
    assert not only(KillRest, kernel.tell(SignalReceived(QUIT)))
    assert end_of(kernel) == 9.0


def test_a_drain_that_is_overtaken_by_its_own_spawn_is_ended_by_a_second_signal() -> None:
    """PID 1 looks at its signals between the forks of a big boot."""
    kernel = Kernel(boots=False)
    kernel.queue.append(PlanReady(plan(spec("web", drain_s=3.0))))
    kernel.queue.append(SignalReceived(TERM))
    kernel.queue.append(SignalReceived(TERM))
    kernel.fates = (DEAF,)
    kernel.settle()
    assert kernel.state("web") == State.STOPPING
    assert drains(kernel.done) == []
    assert sent(kernel.done) == [("web", TERM)]


# ---------------------------------------------------------------- the budget


@pytest.mark.parametrize("timeout_s", [0.5, 2.0, 9.0, 60.0])
@pytest.mark.parametrize("tier_count", [1, 3, 12])
@pytest.mark.parametrize("second_at_s", [None, 0.0, 0.3, 5.0])
def test_the_end_keeps_its_budget_with_all_the_stages_there_are(
    timeout_s: float, tier_count: int, second_at_s: float | None
) -> None:
    keys = [f"p{number}" for number in range(tier_count)]
    chain = [
        quick(
            key,
            after=tuple(keys[:number][-1:]),
            drain_s=4.0,
            stop_command=(b"quit",),
            stopsteps=((TERM, 10.0), (INT, 5.0)),
        )
        for number, key in enumerate(keys)
    ]
    fate = Fate(answer=None, undying=True, command=HANGS)
    kernel = Kernel(plan(*chain, shutdown_timeout_s=timeout_s), fate)
    kernel.tell(SignalReceived(TERM))
    if second_at_s is not None:
        kernel.sleep(second_at_s)
        kernel.tell(SignalReceived(TERM))
    assert end_of(kernel) <= timeout_s + 0.5
    all_sent = sent(kernel.done)
    for key in keys:
        own = [signum for other, signum in all_sent if other == key]
        assert own[:3] == [TERM, INT, KILL]
        assert set(own[3:]) <= {KILL}
    assert [each.key for each in only(RunStopCommand, kernel.done)] == keys[::-1]


def test_a_program_has_in_the_end_what_the_budget_leaves_it_cut_alike() -> None:
    """2 + 3 + 5 + 2 seconds of stages, in 9 - 0.5 - 1 for each of two later tiers."""
    kernel = Kernel(
        plan(
            quick("a"),
            quick("b", after=("a",)),
            quick(
                "c",
                after=("b",),
                drain_s=2.0,
                stop_command=(b"quit",),
                stop_command_s=3.0,
                stopsteps=((TERM, 6.0), (INT, 2.0)),
            ),
        ),
        Fate(answer=None, command=HANGS),
    )
    kernel.tell(SignalReceived(TERM))
    seen: list[tuple[float, object]] = []
    while len(seen) < 4:
        effects = kernel.fire()
        at = round(kernel.now - T0, 6)
        seen += [(at, "command") for _ in only(RunStopCommand, effects)]
        seen += [(at, signum) for key, signum in sent(effects) if key == "c"]
    assert seen == [(1.0, "command"), (2.5, TERM), (5.5, INT), (6.5, KILL)]
    assert kernel.lines().count("'c' works on for 1 seconds before it is stopped (drain)") == 1


def test_a_stop_command_that_works_ends_the_container_without_a_signal() -> None:
    kernel = Kernel(plan(quick("web", stop_command=(b"quit",))), Fate(answer=None))
    effects = kernel.tell(SignalReceived(TERM))
    assert only(RunStopCommand, effects) == [RunStopCommand("web", 8)]
    assert sent(effects) == []
    assert (kernel.exit_code, kernel.exited_at) == (0, T0)


def test_one_that_fails_costs_no_time() -> None:
    kernel = Kernel(plan(quick("web", stop_command=(b"quit",))), Fate(command=FAILS))
    effects = kernel.tell(SignalReceived(TERM))
    assert sent(effects) == [("web", TERM)]
    assert "the stop_command of 'web' failed: exit status 1; going on with SIGTERM" in lines(
        effects
    )
    assert (kernel.exit_code, kernel.exited_at) == (0, T0)


def test_who_overruns_all_its_steps_is_killed_and_named() -> None:
    kernel = Kernel(plan(quick("web", stopsteps=((TERM, 1.0), (INT, 0.5)))), DEAF)
    kernel.tell(SignalReceived(TERM))
    assert end_of(kernel) == 1.5
    assert sent(kernel.done) == [("web", TERM), ("web", INT), ("web", KILL)]
    assert "killed because they overran their time to stop: web" in kernel.lines()


def test_who_overruns_and_may_not_be_killed_is_named_once() -> None:
    kernel = Kernel(plan(quick("web", stopwaitsecs=1.0), quick("b", stopwaitsecs=4.0)), DEAF)
    kernel.tell(SignalReceived(TERM))
    kernel.instances[8].fate = Fate(answer=None, undying=True)
    kernel.sleep(1.0)
    kernel.tell(KillFailed("web", 8, 1))
    assert kernel.state("web") == State.UNKNOWN
    kernel.dies("web", exited(1))
    end_of(kernel)
    assert "killed because they overran their time to stop: web, b" in kernel.lines()


def test_a_stop_that_is_under_way_keeps_its_place_in_the_budget() -> None:
    """An operator's stop is still looking at what descends from the program (its helper hangs)
    when the container ends: it has its time all the same, before the rest is told to end."""
    kernel = Kernel(plan(quick("a", stopwaitsecs=2.0), quick("b")), DEAF, Fate())
    kernel.helpers_are_slow = True
    kernel.tell(Stop("a", by_operator=True))
    kernel.tell(SignalReceived(TERM))
    kernel.sleep(1.0)
    assert sent(kernel.done)[-1] == ("a", TERM)
    kernel.sleep(1.9)
    assert not only(KillRest, kernel.done)
    kernel.sleep(0.1)
    assert sent(kernel.done)[-1] == ("a", KILL)
    while kernel.unanswered:
        kernel.a_helper_answers()
    assert not any("not even SIGKILL" in line for line in kernel.lines())
    assert (kernel.exit_code, kernel.exited_at) == (0, T0 + 3.0)


def test_a_longer_stop_that_a_reload_has_shortened_keeps_the_time_that_it_was_given() -> None:
    kernel = Kernel(plan(quick("a", stopwaitsecs=5.0), quick("b")), DEAF, Fate())
    kernel.tell(Stop("a", by_operator=True))
    kernel.tell(PlanReady(plan(quick("a", stopwaitsecs=0.5), quick("b"))))
    kernel.tell(SignalReceived(TERM))
    kernel.sleep(4.9)
    assert not only(KillRest, kernel.done)
    assert end_of(kernel) == 5.0
    assert not any("not even SIGKILL" in line for line in kernel.lines())


def test_a_start_that_waits_for_the_end_of_a_stop_is_called_off_in_every_tier() -> None:
    kernel = Kernel(plan(quick("a"), quick("b", after=("a",))), SLOW)
    kernel.tell(Stop("a", by_operator=True), Start("a", by_operator=True))
    kernel.tell(SignalReceived(TERM))
    kernel.let_go(kernel.pid("a"))
    kernel.settle()
    assert kernel.state("a") == State.STOPPED
    assert kernel.state("b") == State.STOPPING
    assert len(only(Spawn, kernel.done)) == 2


# ---------------------------------------------------------------- nothing is said twice, or lost


def test_who_fails_for_the_last_time_during_the_end_refuses_nothing() -> None:
    """Nobody has ordered anything that could be refused."""
    kernel = Kernel(plan(spec("a", startretries=0), quick("b"), quick("c", after=("b",))), DEAF)
    kernel.tell(SignalReceived(TERM))
    assert kernel.state("a") == State.STARTING
    kernel.dies("a", exited(1))
    assert kernel.state("a") == State.FATAL
    end_of(kernel)
    assert not only(Refuse, kernel.done)


@pytest.mark.parametrize("status", [exited(0), exited(1)])
def test_neither_does_one_that_is_over_its_limit_then(status: ExitStatus) -> None:
    limit = RestartLimit(0, 60.0)
    kernel = Kernel(
        plan(quick("a", autorestart=ALWAYS, restart_limit=limit), quick("b", after=("a",))), DEAF
    )
    kernel.tell(SignalReceived(TERM))
    kernel.dies("a", status)
    assert kernel.state("a") == State.FATAL
    end_of(kernel)
    assert not only(Refuse, kernel.done)
    assert kernel.exit_code == 0


def test_a_signal_is_passed_on_to_who_drains() -> None:
    kernel = Kernel(plan(quick("web", drain_s=3.0)), DEAF)
    kernel.tell(SignalReceived(TERM))
    kernel.tell(SignalReceived(USR1))
    (question,) = kernel.questions
    assert question.among == (("web", 8),)
    assert kernel.tell(Signal("web", USR1)) == [Refuse(Signal("web", USR1), "SHUTDOWN_STATE")]


def test_survivors_of_a_drained_program_are_ended_in_its_time() -> None:
    kernel = Kernel(plan(quick("web", drain_s=1.0, stopwaitsecs=2.0)), Fate(survivors=("deaf",)))
    kernel.tell(SignalReceived(TERM))
    kernel.sleep(1.0)
    assert only(EndSurvivors, kernel.done) == [EndSurvivors("web", 8, TERM)]
    assert end_of(kernel) == 3.0
    assert only(EndSurvivors, kernel.done)[-1] == EndSurvivors("web", 8, KILL)
