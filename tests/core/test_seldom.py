"""What seldom happens: two things at once, facts that come late, and the edges of the times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from initpy.core.door import Process
from initpy.core.messages import (
    WARN,
    Answer,
    ChildrenGone,
    EndSurvivors,
    ExecFailed,
    Executed,
    Exited,
    FindCatchers,
    KillFailed,
    KillRest,
    Log,
    PlanReady,
    PlanRefused,
    Refuse,
    Request,
    SetTimer,
    SignalReceived,
    Spawned,
    Start,
    Stop,
    UsePlan,
)
from initpy.core.orders import AddGroup, Reload, RemoveGroup, Reread, Restart, ShutDown
from initpy.core.starting import start_wait_s
from initpy.core.states import State, Wanted
from initpy.core.supervisor import OWN_TIMER, REST_KILL_S, REST_S, Phase, step
from initpy.core.values import Value, fields_of, replace
from initpy.plan import NEVER
from tests.core.kernel import DEAF, UNDYING, Fate, Kernel
from tests.core.lives import PID, starting, timer, up
from tests.core.specs import KILL, TERM, exited, killed, lines, moves, only, plan, run, sent, spec

if TYPE_CHECKING:
    from typing import Any

    from initpy.plan import ProcessSpec

SLOW = Fate(slow=True)
NEW = (b"other",)
"""An argv that asks for a new start."""


class Asked(Kernel):
    """One that takes what is done for clients as well."""

    def _carry_out(self, effect: Value, before: Any) -> None:
        if not isinstance(effect, Answer | UsePlan):
            super()._carry_out(effect, before)


def quick(key: str, **options: Any) -> ProcessSpec:
    """RUNNING as soon as it is executed, and not started again."""
    return spec(key, **{"startsecs": 0.0, "autorestart": NEVER, **options})


def refused(effects: list[Value]) -> list[str]:
    return [it.fault for it in only(Refuse, effects)]


# ---------------------------------------------------------------- what waits for another


def test_who_stops_what_waits_for_another_has_it_not_started() -> None:
    kernel = Kernel(plan(spec("db"), quick("web", after=("db",))))
    assert not refused(kernel.tell(Stop("web", by_operator=True)))
    kernel.sleep(2.0)
    assert kernel.state("db") == State.RUNNING
    assert (kernel.state("web"), kernel.process("web").by_operator) == (State.STOPPED, True)


def test_what_waits_for_what_an_operator_starts_in_vain_fails_as_an_operators() -> None:
    options = {"startsecs": 1.0, "startretries": 0}
    kernel = Kernel(
        plan(quick("other"), spec("db", **options), quick("web", after=("db",))), Fate(), SLOW
    )
    kernel.tell(Stop("db", by_operator=True))
    kernel.let_go(kernel.pid("db"))
    kernel.settle()
    kernel.fates = (Fate(),)
    kernel.tell(Start("db", by_operator=True))
    kernel.dies("db", exited(3))
    assert (kernel.state("db"), kernel.state("web")) == (State.FATAL, State.FATAL)
    assert kernel.supervisor.phase == Phase.UP, "nobody but a person has failed"


def test_of_two_that_have_failed_the_first_is_why_a_third_is_given_up() -> None:
    old = (quick("a", critical=False), quick("b", critical=False), quick("other"))
    kernel = Kernel(plan(*old))
    kernel.dies("a", exited(1))
    kernel.dies("b", exited(1))
    kernel.tell(PlanReady(plan(*old, quick("web", after=("a", "b")))))
    why = "'a', which it comes after, ended unexpectedly"
    assert (kernel.state("web"), kernel.process("web").spawnerr) == (State.FATAL, why)


def test_what_comes_after_one_that_fails_while_a_reload_stops_it_is_given_up() -> None:
    db = quick("db", critical=False)
    kernel = Kernel(plan(quick("other"), db, quick("web", after=("db",))), SLOW)
    kernel.tell(PlanReady(plan(quick("other"), db, quick("web", after=("db",), argv=NEW))))
    assert kernel.state("web") == State.STOPPING
    kernel.dies("db", exited(1))
    kernel.let_go(kernel.pid("web"))
    kernel.settle()
    assert kernel.state("web") == State.FATAL


# ---------------------------------------------------------------- orders in a reload


def test_what_goes_away_goes_away_even_if_an_operator_stops_it_meanwhile() -> None:
    kernel = Kernel(plan(quick("other"), quick("web")), SLOW)
    kernel.tell(PlanReady(plan(quick("other"))))
    assert "BAD_NAME" not in refused(kernel.tell(Stop("web", by_operator=True)))
    kernel.let_go(kernel.pid("web"))
    kernel.settle()
    assert [*kernel.supervisor.processes] == ["other"]


def test_a_stop_that_is_refused_changes_nothing_about_what_a_reload_does() -> None:
    """In UNKNOWN: when it ends by itself, it starts as it is now."""
    kernel = Kernel(plan(quick("other"), quick("web")), Fate(), Fate(untouchable=True), Fate())
    kernel.tell(Stop("web"))
    assert kernel.state("web") == State.UNKNOWN
    kernel.tell(PlanReady(plan(quick("other"), quick("web", argv=NEW))))
    assert refused(kernel.tell(Stop("web", by_operator=True))) == ["NOT_RUNNING"]
    kernel.dies("web", exited(0))
    assert kernel.state("web") == State.RUNNING


def test_what_an_operator_has_started_in_vain_a_reload_starts_anew() -> None:
    options = {"startsecs": 1.0, "startretries": 0}
    kernel = Kernel(plan(quick("other"), spec("web", **options)))
    kernel.sleep(2.0)
    kernel.tell(Stop("web", by_operator=True))
    kernel.tell(Start("web", by_operator=True))
    kernel.dies("web", exited(3))
    assert (kernel.state("web"), kernel.process("web").by_operator) == (State.FATAL, True)
    kernel.tell(PlanReady(plan(quick("other"), spec("web", **options, argv=NEW))))
    assert kernel.state("web") == State.STARTING


def test_what_is_down_and_starts_anew_is_not_stopped_first() -> None:
    kernel = Kernel(plan(quick("other"), quick("web")))
    kernel.sleep(5.0)
    kernel.dies("web", exited(0))
    assert kernel.process("web").group, "something of it may be left"
    done = kernel.tell(PlanReady(plan(quick("other"), quick("web", argv=NEW))))
    assert moves(done) == [("STOPPED", "STARTING"), ("STARTING", "RUNNING")]


def test_a_reload_ends_the_container_if_its_exit_code_is_of_one_that_has_ended() -> None:
    specs = (quick("job"), quick("other"))
    kernel = Kernel(plan(*specs), Fate(), SLOW)
    kernel.dies("job", exited(0))
    assert kernel.supervisor.phase == Phase.UP
    kernel.tell(PlanReady(plan(*specs, exit_code_from=("job",))))
    assert kernel.supervisor.phase == Phase.STOPPING


# ---------------------------------------------------------------- clients


def test_a_reload_that_comes_while_a_restart_is_read_leaves_it_a_restart() -> None:
    kernel = Asked(plan(quick("web")))
    before = kernel.pid("web")
    kernel.tell(Request(7, 1, Restart()), Request(7, 2, Reload()))
    kernel.tell(PlanReady(kernel.supervisor.plan))
    assert kernel.pid("web") != before


def test_a_client_that_asks_for_the_end_lets_programs_drain() -> None:
    kernel = Kernel(plan(quick("web", drain_s=2.0, stopwaitsecs=1.0)))
    _, done = step(kernel.supervisor, Request(7, 1, ShutDown()), kernel.now)
    assert "'web' works on for 2 seconds before it is stopped (drain)" in lines(done)


def test_a_client_is_told_the_problems_of_a_configuration() -> None:
    kernel = Asked(plan(quick("web")))
    kernel.tell(Request(7, 1, Reread()), Request(7, 2, Reload()))
    done = kernel.tell(PlanRefused(2, "short", spare=True, problems="all of them"))
    assert only(Answer, done) == [Answer(7, 1, "CANT_REREAD: all of them")]
    done = kernel.tell(PlanRefused(2, "short", problems="all of them"))
    assert only(Answer, done) == [Answer(7, 2, "CANT_REREAD: all of them")]


def test_a_group_that_waits_can_be_removed() -> None:
    kernel = Asked(plan(spec("db"), quick("web", after=("db",))))
    done = kernel.tell(Request(7, 1, RemoveGroup("web")))
    assert only(Answer, done) == [Answer(7, 1, "")]
    assert only(UsePlan, done)
    kernel.sleep(2.0)
    assert (kernel.state("db"), [*kernel.supervisor.processes]) == (State.RUNNING, ["db"])


def test_what_the_file_has_no_more_stays_before_what_is_added() -> None:
    kernel = Asked(plan(quick("a"), quick("b")))
    kernel.tell(PlanReady(plan(quick("b"), quick("c")), spare=True), Request(7, 1, AddGroup("c")))
    assert [it.key for it in kernel.supervisor.plan.processes] == ["a", "b", "c"]


def test_a_giver_of_the_exit_code_that_is_taken_away_ends_nothing_later_on() -> None:
    specs = [quick("a"), quick("b"), quick("c"), quick("other")]
    kernel = Asked(plan(*specs, exit_code_from=("a", "b")))
    kernel.tell(PlanReady(kernel.supervisor.plan, spare=True))
    kernel.dies("b", exited(0))
    kernel.tell(Stop("a", by_operator=True))
    kernel.tell(Request(7, 1, RemoveGroup("a")))
    assert kernel.supervisor.phase == Phase.UP
    kernel.dies("c", exited(0))
    assert kernel.supervisor.phase == Phase.UP


# ---------------------------------------------------------------- facts that come late


def test_facts_of_another_instance_mean_nothing() -> None:
    late = (
        Executed("web", PID + 1),
        ExecFailed("web", PID + 1, "no such file"),
        Exited("web", PID + 1, exited(0)),
        KillFailed("web", PID + 1, 1),
    )
    forked, _ = run(Process(spec()), (0.0, Start("web")), (0.0, Spawned("web", PID)))
    unknown, _ = run(up(), (5.0, KillFailed("web", PID, 1)))
    assert unknown.state == State.UNKNOWN
    for process in (forked, starting(), up(), unknown):
        for fact in late:
            assert run(process, (6.0, fact)) == (process, [])


@pytest.mark.parametrize("phase", [Phase.UP, Phase.STOPPING])
def test_that_no_child_is_left_ends_nothing_before_the_rest_was_told_to_end(phase: int) -> None:
    kernel = Kernel(plan(quick("web")), SLOW)
    if phase == Phase.STOPPING:
        kernel.tell(SignalReceived(TERM))
    assert kernel.supervisor.phase == phase
    assert kernel.tell(ChildrenGone()) == []
    assert kernel.supervisor.phase == phase


def test_a_configuration_that_comes_when_the_end_has_begun_is_of_no_use() -> None:
    kernel = Kernel(plan(quick("web")), SLOW)
    kernel.tell(SignalReceived(TERM))
    before = kernel.supervisor
    for late in (PlanReady(plan(quick("b")), spare=True), PlanRefused(2, "it is wrong")):
        assert kernel.tell(late) == []
    assert kernel.supervisor == before


def test_an_end_that_is_seen_before_the_timer_of_startsecs_is_nobodys_order() -> None:
    process, _ = run(
        Process(spec(autorestart=NEVER)),
        (0.0, Start("web", by_operator=True)),
        (0.0, Spawned("web", PID)),
        (0.0, Executed("web", PID)),
        (5.0, Exited("web", PID, exited(1))),
    )
    assert (process.state, process.by_operator) == (State.EXITED, False)


# ---------------------------------------------------------------- times


def test_survivors_that_had_kill_are_not_asked_nicely_again() -> None:
    process, _ = run(up(), (5.0, Exited("web", PID, killed(11))))
    process, effects = run(process, (7.0, timer(process)))
    assert only(EndSurvivors, effects) == [EndSurvivors("web", PID, KILL)]
    process, effects = run(process, (7.5, Stop("web")))
    assert only(EndSurvivors, effects) == [EndSurvivors("web", PID, KILL)]
    assert process.ending == KILL


def test_more_time_is_given_to_nobody_who_is_being_stopped() -> None:
    forking, _ = run(Process(spec(stopwaitsecs=2.0)), (0.0, Start("web")), (0.0, Stop("web")))
    for process in (forking, run(up(stopwaitsecs=2.0), (5.0, Stop("web", for_good=True)))[0]):
        due_at = process.due_at
        again, effects = run(process, (5.5, Stop("web", within_s=60.0, for_good=True)))
        assert (again.due_at, effects) == (due_at, [])


def test_all_stages_of_one_that_is_still_to_be_forked_share_the_shorter_time() -> None:
    steps = ((TERM, 6.0), (2, 4.0))
    process, _ = run(
        Process(spec(stopsteps=steps)), (0.0, Start("web")), (0.0, Stop("web", for_good=True))
    )
    process, _ = run(process, (0.0, Stop("web", within_s=1.0, for_good=True)))
    assert (process.pid, process.due_at) == (0, 1.0)
    process, _ = run(process, (0.0, Spawned("web", PID)))
    assert process.stages == ((TERM, 0.6), (2, 0.4))


def test_one_whose_exec_hangs_is_looked_at_each_second() -> None:
    assert start_wait_s(spec(startsecs=0.0)) == 1.0


@pytest.mark.parametrize(
    ("left_s", "signum", "timer_s"),
    [(0.0, KILL, REST_KILL_S), (0.5, TERM, 0.5), (1.0, TERM, 1.0), (1.5, TERM, 1.0)],
)
def test_the_rest_has_what_time_is_left(left_s: float, signum: int, timer_s: float) -> None:
    kernel = Kernel(plan(quick("web"), shutdown_timeout_s=REST_KILL_S + left_s))
    kernel.fork_survivors(kernel.pid("web"), UNDYING)
    kernel.dies("web", exited(0))
    assert only(KillRest, kernel.done) == [KillRest(signum)]
    (own,) = [it for it in only(SetTimer, kernel.done) if it.key == OWN_TIMER]
    assert own.due_at == kernel.now + timer_s


def test_where_all_time_is_for_the_rest_it_is_shared() -> None:
    kernel = Kernel(plan(quick("web"), shutdown_timeout_s=REST_S), SLOW)
    kernel.tell(SignalReceived(TERM))
    assert kernel.process("web").due_at == kernel.now + REST_S / 2


def test_survivors_have_the_whole_time_of_their_tier() -> None:
    kernel = Kernel(plan(quick("web", autorestart=1, stopwaitsecs=60.0), shutdown_timeout_s=5.0))
    kernel.fork_survivors(kernel.pid("web"), DEAF)
    kernel.dies("web", exited(1))
    assert (kernel.state("web"), kernel.process("web").wanted) == (State.EXITED, Wanted.UP)
    kernel.tell(SignalReceived(TERM))
    assert kernel.process("web").due_at == kernel.now + 5.0 - REST_S


def test_a_death_in_a_tier_changes_nothing_for_the_others_of_it() -> None:
    specs = (quick("a"), quick("b"), quick("last", after=("a", "b")))
    kernel = Kernel(plan(*specs), SLOW)
    kernel.tell(SignalReceived(TERM))
    kernel.let_go(kernel.pid("last"))
    kernel.settle()
    assert (kernel.state("a"), kernel.state("b")) == (State.STOPPING, State.STOPPING)
    before = kernel.process("b")
    kernel.end(kernel.pid("a"), exited(0))
    seen = len(kernel.done)
    kernel.settle()
    own = [it for it in only(SetTimer, kernel.done[seen:]) if it.key == OWN_TIMER]
    assert (own, sent(kernel.done[seen:])) == ([], [])
    assert kernel.process("b") == before


# ---------------------------------------------------------------- words, codes, signals


def test_the_last_line_names_the_first_to_fail() -> None:
    kernel = Kernel(plan(quick("web", critical=False)))
    kernel.dies("web", exited(3))
    cause = kernel.supervisor.cause
    assert cause is not None
    first = "'web' ended unexpectedly (exit status 3) and is not restarted (autorestart)"
    assert cause.why == f"no program is left to run; the first to fail: {first}"


def test_a_giver_of_the_exit_code_that_has_ended_well_does_not_make_up_for_a_failure() -> None:
    specs = (quick("a"), quick("b"), quick("web"))
    kernel = Kernel(plan(*specs, exit_code_from=("a", "b")))
    kernel.dies("a", exited(0))
    kernel.dies("web", exited(3))
    kernel.sleep(20.0)
    assert kernel.exit_code == 3


def test_a_stop_that_ends_otherwise_than_expected_is_a_warning() -> None:
    kernel = Kernel(plan(quick("other"), quick("web")), Fate(answer=exited(5)))
    assert Log(WARN, "stopped: web (exit status 5)") in kernel.tell(Stop("web"))


def test_term_is_forwarded_where_no_rule_says_otherwise() -> None:
    kernel = Kernel(plan(quick("web"), signals=()))
    done = kernel.tell(SignalReceived(TERM))
    assert only(FindCatchers, done) == [FindCatchers(TERM, (("web", kernel.pid("web")),))]
    assert kernel.supervisor.phase == Phase.UP


# ---------------------------------------------------------------- values


def test_a_value_made_of_another_has_the_fields_of_both() -> None:
    class Point(Value):
        x: int
        y: int = 5

    class Named(Point):
        name: str = ""
        note: str = ""

    value = Named(1, name="n")
    assert (value.x, value.y, value.name, value.note) == (1, 5, "n", "")
    assert fields_of(replace(value, y=2, note="m")) == (1, 2, "n", "m")
    assert not hasattr(value, "__dict__"), "it is no larger than its tuple"


def test_all_fields_that_are_unknown_are_named_and_none_can_be_deleted() -> None:
    with pytest.raises(TypeError, match=r"^Start cannot take one, two$"):
        Start("web", one=1, two=2)  # type: ignore[call-arg]
    with pytest.raises(AttributeError, match=r"^Start is frozen: cannot delete key$"):
        del Start("web").key
