"""A new plan while programs run: only what differs is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initpy.core.messages import (
    CatchersFound,
    EndSurvivors,
    Exited,
    FindCatchers,
    Kill,
    KillFailed,
    PlanReady,
    PlanRefused,
    ReadPlan,
    RecordTree,
    Refuse,
    RunStopCommand,
    SignalReceived,
    Spawn,
    Start,
    Stop,
    SurvivorsGone,
    TimerFired,
)
from initpy.core.states import State
from initpy.core.supervisor import Phase
from initpy.plan import ALWAYS, NEVER, RELOAD, SignalRule
from tests.core.kernel import DEAF, HANGS, Fate, Kernel
from tests.core.profile import REPEATABLE
from tests.core.specs import CONT, HUP, INT, KILL, QUIT, RULES, TERM, exited, only, plan, sent, spec

if TYPE_CHECKING:
    from initpy.core.values import Value
    from initpy.plan import Plan, ProcessSpec

RELOADS = (*RULES, SignalRule(HUP, RELOAD))


def up(key: str, version: int = 1, **options: Any) -> ProcessSpec:
    return spec(key, startsecs=0, argv=(b"prog", b"%d" % version), **options)


def spawned(effects: list[Value]) -> list[str]:
    return [effect.key for effect in only(Spawn, effects)]


def keys(kernel: Kernel) -> set[str]:
    return set(kernel.supervisor.processes)


def test_hup_asks_for_the_file_once_at_a_time_and_once_more_for_all_that_came_meanwhile() -> None:
    kernel = Kernel(plan(up("a"), signals=RELOADS))
    asked = kernel.tell(*[SignalReceived(HUP)] * 5)
    assert only(ReadPlan, asked) == [ReadPlan()]
    assert only(ReadPlan, kernel.tell(PlanReady(plan(up("a"), signals=RELOADS)))) == [ReadPlan()]
    assert only(ReadPlan, kernel.tell(PlanRefused(2, "no good"))) == []
    assert only(ReadPlan, kernel.tell(SignalReceived(HUP))) == [ReadPlan()]


def test_what_has_not_changed_is_left_alone() -> None:
    kernel = Kernel(plan(up("a"), up("b")))
    pid = kernel.pid("a")
    effects = kernel.tell(PlanReady(plan(up("b"), up("a"))))
    assert spawned(effects) == []
    assert kernel.pid("a") == pid


def test_a_refused_file_changes_nothing() -> None:
    kernel = Kernel(plan(up("a")))
    kernel.tell(PlanRefused(2, "no good"))
    assert kernel.state("a") == State.RUNNING
    assert "nothing is reloaded, everything runs on as it is: no good" in kernel.lines()


def test_added_removed_and_changed() -> None:
    kernel = Kernel(plan(up("kept"), up("changed"), up("removed")))
    effects = kernel.tell(PlanReady(plan(up("kept"), up("changed", 2), up("added"))))
    assert set(spawned(effects)) == {"added", "changed"}
    assert keys(kernel) == {"kept", "changed", "added"}
    assert kernel.process("changed").spec.argv == (b"prog", b"2")
    assert "reloaded: added added; changed changed; removed removed" in kernel.lines()


def test_a_changed_program_starts_only_when_it_is_down() -> None:
    kernel = Kernel(plan(up("a")), Fate(slow=True))
    pid = kernel.pid("a")
    assert spawned(kernel.tell(PlanReady(plan(up("a", 2))))) == []
    assert kernel.state("a") == State.STOPPING
    kernel.let_go(pid)
    kernel.settle()
    assert kernel.state("a") == State.RUNNING
    assert kernel.pid("a") != pid


def test_how_it_is_supervised_holds_at_once() -> None:
    kernel = Kernel(plan(up("a")))
    effects = kernel.tell(PlanReady(plan(up("a", critical=False, stopsignal=3))))
    assert spawned(effects) == []
    assert kernel.process("a").spec.stopsteps[0][0] == 3


def test_a_second_reload_overtakes_the_first() -> None:
    kernel = Kernel(plan(up("a"), up("b")), Fate(slow=True), Fate(slow=True), Fate())
    a, b = kernel.pid("a"), kernel.pid("b")
    kernel.tell(PlanReady(plan(up("a", 2))))
    kernel.tell(PlanReady(plan(up("a", 3), up("b"))))
    kernel.let_go(a)
    kernel.let_go(b)
    kernel.settle()
    assert kernel.process("a").spec.argv == (b"prog", b"3")
    assert kernel.state("a") == kernel.state("b") == State.RUNNING
    assert kernel.pid("b") != b


def test_a_changed_program_waits_for_what_it_comes_after() -> None:
    kernel = Kernel(plan(up("base"), up("web", after=("base",))), Fate(slow=True), Fate())
    base = kernel.pid("base")
    effects = kernel.tell(PlanReady(plan(up("base", 2), up("web", 2, after=("base",)))))
    assert spawned(effects) == []
    assert kernel.state("web") == State.STOPPED
    kernel.let_go(base)
    kernel.settle()
    assert [effect.key for effect in only(Spawn, kernel.done)] == ["base", "web"] * 2


def test_what_was_given_up_for_a_program_that_is_mended_starts_with_it() -> None:
    broken = up("base", startretries=0, critical=False)
    web = up("web", after=("base",), critical=False)
    kernel = Kernel(plan(up("other"), broken, web), Fate(), Fate(spawn_fails="no"), Fate(), Fate())
    assert kernel.state("base") == kernel.state("web") == State.FATAL
    kernel.tell(PlanReady(plan(up("other"), up("base", 2, critical=False), web)))
    assert kernel.state("base") == kernel.state("web") == State.RUNNING


def test_what_a_reload_starts_ends_nothing_until_it_has_been_running() -> None:
    kernel = Kernel(plan(up("a")), Fate(), Fate(spawn_fails="no"), Fate(spawn_fails="no"), Fate())
    kernel.tell(PlanReady(plan(up("a"), up("new", startretries=0))))
    assert kernel.state("new") == State.FATAL
    assert kernel.supervisor.phase == Phase.UP


def test_what_an_operator_stopped_stays_stopped() -> None:
    kernel = Kernel(plan(up("a"), up("b")))
    kernel.tell(Stop("a", by_operator=True))
    effects = kernel.tell(PlanReady(plan(up("a", 2), up("b"))))
    assert spawned(effects) == []
    kernel.tell(Stop("b", by_operator=True))
    assert kernel.supervisor.phase == Phase.UP, "both are held by the operator"
    assert spawned(kernel.tell(Start("a"))) == ["a"]
    assert kernel.process("a").spec.argv == (b"prog", b"2")


def test_removing_all_that_ran_ends_the_container() -> None:
    kernel = Kernel(plan(up("a")))
    kernel.tell(PlanReady(plan(up("manual", autostart=False))))
    assert kernel.exit_code == 0


def test_the_new_order_holds_for_the_stop() -> None:
    kernel = Kernel(plan(up("a"), up("b")))
    kernel.tell(PlanReady(plan(up("a", after=("b",)), up("b"))))
    seen = len(kernel.lines())
    kernel.tell(SignalReceived(TERM))
    stops = [line for line in kernel.lines()[seen:] if line.startswith("stopped")]
    assert [line.split()[1] for line in stops] == ["a", "b"]


def test_a_hup_before_the_first_plan_is_not_lost() -> None:
    kernel = Kernel(plan(up("a"), signals=RELOADS), boots=False)
    kernel.tell(SignalReceived(HUP))
    booted = kernel.tell(PlanReady(plan(up("a"), signals=RELOADS)))
    assert only(ReadPlan, booted) == [ReadPlan()]


def test_what_failed_after_one_reload_is_not_lost_by_the_next_ones() -> None:
    """FATAL is no stop by hand, not even of what a reload, as an operator would, had started."""
    spawn_fails = Fate(spawn_fails="typo")
    kernel = Kernel(plan(up("base")), Fate(slow=True), spawn_fails, Fate(), Fate())
    base = kernel.pid("base")
    kernel.tell(PlanReady(plan(up("base"), up("web", after=("base",), startretries=0))))
    assert kernel.state("web") == State.FATAL
    for version in (2, 3, 4):
        kernel.tell(PlanReady(plan(up("base", 2), up("web", version, after=("base",)))))
    kernel.let_go(base)
    kernel.settle()
    assert kernel.state("base") == kernel.state("web") == State.RUNNING
    assert kernel.process("web").spec.argv == (b"prog", b"4")


def test_a_reload_that_breaks_who_gives_the_exit_code_ends_nothing() -> None:
    kernel = Kernel(
        plan(up("main"), up("x"), exit_code_from=("main",)),
        Fate(),
        Fate(),
        Fate(spawn_fails="typo"),
    )
    kernel.tell(PlanReady(plan(up("main", 2, startretries=0), up("x"), exit_code_from=("main",))))
    assert kernel.state("main") == State.FATAL
    assert kernel.supervisor.phase == Phase.UP


def test_nothing_starts_against_the_old_instance_of_what_it_comes_after() -> None:
    kernel = Kernel(plan(up("db"), up("once", autorestart=0)), Fate(slow=True), Fate())
    db = kernel.pid("db")
    kernel.dies("once", exited(0))
    effects = kernel.tell(
        PlanReady(plan(up("db", 2), up("once", 2, autorestart=0), up("web", after=("db",))))
    )
    assert "web" not in spawned(effects)
    kernel.let_go(db)
    kernel.settle()
    assert [effect.key for effect in only(Spawn, kernel.done)][-2:] == ["db", "web"]


def test_what_is_added_behind_a_failed_program_is_given_up() -> None:
    broken = up("base", startretries=0, critical=False)
    kernel = Kernel(plan(up("x"), broken), Fate(), Fate(spawn_fails="no"), Fate())
    assert kernel.state("base") == State.FATAL
    kernel.tell(PlanReady(plan(up("x"), broken, up("web", after=("base",)))))
    assert kernel.state("web") == State.FATAL
    assert kernel.supervisor.phase == Phase.UP


def test_a_program_that_waits_and_is_not_to_be_autostarted_any_more_does_not_start() -> None:
    base = spec("base", startsecs=5.0)
    kernel = Kernel(plan(base, up("web", after=("base",))))
    kernel.tell(PlanReady(plan(base, up("web", after=("base",), autostart=False))))
    kernel.sleep(6.0)
    assert kernel.state("base") == State.RUNNING
    assert kernel.state("web") == State.STOPPED


# ---------------------------------------------------------------- while a stop is under way


def test_a_new_start_by_hand_is_what_the_reload_was_about_to_do() -> None:
    """And a later reload finds it as it is, and changes it again."""
    kernel = Kernel(plan(up("a"), up("side")), Fate(slow=True), Fate(), Fate())
    pid = kernel.pid("a")
    kernel.tell(PlanReady(plan(up("a", 2), up("side"))))
    assert not only(Refuse, kernel.tell(Start("a", by_operator=True)))
    kernel.let_go(pid)
    kernel.settle()
    assert kernel.state("a") == State.RUNNING
    assert spawned(kernel.done).count("a") == 2
    kernel.tell(PlanReady(plan(up("a", 3), up("side"))))
    assert spawned(kernel.done).count("a") == 3
    assert kernel.process("a").spec.argv == (b"prog", b"3")


def test_what_a_reload_takes_away_cannot_be_started_any_more() -> None:
    kernel = Kernel(plan(up("a"), up("side")), Fate(slow=True))
    pid = kernel.pid("a")
    kernel.tell(PlanReady(plan(up("side"))))
    order = Start("a", by_operator=True)
    assert kernel.tell(order) == [Refuse(order, "BAD_NAME")]
    kernel.let_go(pid)
    kernel.settle()
    assert keys(kernel) == {"side"}


def test_what_an_operator_stops_while_a_reload_restarts_it_stays_down() -> None:
    kernel = Kernel(plan(up("a"), up("side")), Fate(slow=True), Fate())
    pid = kernel.pid("a")
    kernel.tell(PlanReady(plan(up("a", 2), up("side"))))
    assert not only(Refuse, kernel.tell(Stop("a", by_operator=True)))
    kernel.let_go(pid)
    kernel.settle()
    assert kernel.state("a") == State.STOPPED
    kernel.dies("side", exited(0))
    assert kernel.supervisor.phase == Phase.UP, "an operator holds it"
    assert spawned(kernel.tell(Start("a"))) == ["a"]


@pytest.mark.parametrize("second", ["a stop", "a start"])
def test_the_last_of_an_operators_orders_during_a_restart_counts(second: str) -> None:
    kernel = Kernel(plan(up("a"), up("side")), Fate(slow=True), Fate(), Fate())
    pid = kernel.pid("a")
    kernel.tell(PlanReady(plan(up("a", 2), up("side"))))
    orders = [Stop("a", by_operator=True), Start("a", by_operator=True)]
    for order in orders if second == "a start" else orders[::-1]:
        assert not only(Refuse, kernel.tell(order))
    kernel.let_go(pid)
    kernel.settle()
    assert kernel.state("a") == (State.RUNNING if second == "a start" else State.STOPPED)
    kernel.tell(PlanReady(plan(up("a", 3), up("side"))))
    assert kernel.process("a").spec.argv == (b"prog", b"3")
    assert spawned(kernel.done).count("a") == (3 if second == "a start" else 1)


def test_a_stop_under_way_goes_through_the_stages_that_it_began_with() -> None:
    before = up("a", stopsteps=((TERM, 2.0), (INT, 1.0)))
    kernel = Kernel(plan(before, up("side")), Fate(answer=None))
    kernel.tell(Stop("a", by_operator=True))
    kernel.tell(PlanReady(plan(up("a", stopsteps=((QUIT, 60.0),)), up("side"))))
    kernel.sleep(2.0)
    kernel.sleep(1.0)
    assert sent(kernel.done) == [("a", TERM), ("a", INT), ("a", KILL)]
    assert kernel.state("a") == State.STOPPED


def test_a_stop_command_that_is_taken_away_is_not_run_any_more() -> None:
    kernel = Kernel(plan(up("a", stop_command=(b"quit",)), up("side")), Fate(answer=None))
    kernel.helpers_are_slow = True
    kernel.tell(Stop("a", by_operator=True))
    kernel.tell(PlanReady(plan(up("a"), up("side"))))
    effects = kernel.a_helper_answers()
    assert not only(RunStopCommand, effects)
    assert only(Kill, effects) == [Kill("a", 8, TERM), Kill("a", 8, CONT)]


def test_how_it_is_stopped_holds_at_once_for_the_restart_too() -> None:
    kernel = Kernel(plan(up("a"), up("side")), Fate(answer=None))
    effects = kernel.tell(PlanReady(plan(up("a", 2, stop_command=(b"quit",)), up("side"))))
    assert only(RunStopCommand, effects) == [RunStopCommand("a", 8)]
    assert kernel.state("a") == State.RUNNING
    assert kernel.pid("a") != 8


@pytest.mark.parametrize("slow", [False, True])
def test_what_is_taken_away_is_stopped_in_stages_and_what_comes_late_does_nothing(
    slow: bool,
) -> None:
    kernel = Kernel(plan(up("a"), up("side")), Fate(answer=None, survivors=(DEAF,)), Fate())
    kernel.helpers_are_slow = slow
    kernel.tell(PlanReady(plan(up("side"))))
    assert only(RecordTree, kernel.done) == [RecordTree("a", 8)]
    while "a" in keys(kernel):
        kernel.fire()
    late = [*kernel.unanswered, Exited("a", 8, exited(0)), SurvivorsGone("a", 8)]
    for fact in late:
        before = kernel.supervisor
        assert kernel.tell(fact) == []
        assert kernel.supervisor == before


def test_what_one_that_is_taken_away_had_left_behind_is_ended() -> None:
    """It may have put itself in the background, and would be in the way of one that comes later."""
    kernel = Kernel(
        plan(up("a", autorestart=0, critical=False, stopwaitsecs=2.0), up("side")),
        Fate(survivors=(DEAF,)),
        Fate(),
    )
    kernel.dies("a", exited(1))
    assert kernel.groups[8].members == [DEAF]
    effects = kernel.tell(PlanReady(plan(up("side"))))
    assert only(EndSurvivors, effects) == [EndSurvivors("a", 8, TERM)]
    kernel.tell(PlanReady(plan(up("a"), up("side"))))
    assert spawned(kernel.done) == ["a", "side"]
    kernel.sleep(2.0)
    assert only(EndSurvivors, kernel.done)[1:] == [EndSurvivors("a", 8, KILL)]
    assert spawned(kernel.done) == ["a", "side", "a"]
    assert kernel.state("a") == State.RUNNING


def test_so_is_what_one_leaves_behind_that_could_not_be_signalled() -> None:
    kernel = Kernel(plan(up("a"), up("side")), Fate(untouchable=True, survivors=(DEAF,)), Fate())
    kernel.tell(PlanReady(plan(up("side"))), KillFailed("a", 8, 1))
    assert kernel.state("a") == State.UNKNOWN
    effects = kernel.dies("a", exited(0))
    assert only(EndSurvivors, effects) == [EndSurvivors("a", 8, TERM)]
    kernel.end_survivor(8)
    kernel.settle()
    assert keys(kernel) == {"side"}


@pytest.mark.parametrize("autorestart", [NEVER, ALWAYS])
def test_one_that_cannot_be_signalled_starts_as_it_is_now_or_goes_away_when_it_ends(
    autorestart: int,
) -> None:
    old, new = [up("a", version, autorestart=autorestart) for version in (1, 2)]
    kernel = Kernel(plan(old, up("side")), Fate(untouchable=True), Fate())
    kernel.tell(KillFailed("a", 8, 1))
    effects = kernel.tell(PlanReady(plan(new, up("side"))))
    assert not only(Refuse, effects)
    assert spawned(kernel.dies("a", exited(0))) == ["a"]
    kernel.tell(KillFailed("a", 10, 1))
    kernel.tell(PlanReady(plan(up("side"))))
    assert spawned(kernel.dies("a", exited(0))) == []
    assert keys(kernel) == {"side"}


def test_a_timer_of_one_that_was_taken_away_means_nothing_to_one_that_comes_later() -> None:
    kernel = Kernel(plan(up("a"), up("side")))
    kernel.tell(Stop("a", by_operator=True))
    old = kernel.process("a").epoch
    kernel.tell(PlanReady(plan(up("side"))))
    kernel.tell(PlanReady(plan(up("side"), spec("a", oneshot=True))))
    assert kernel.process("a").epoch > old
    for epoch in range(old + 1):
        assert kernel.tell(TimerFired("a", epoch)) == []
    kernel.sleep(60.0)
    assert kernel.state("a") == State.STARTING


def test_one_that_is_taken_away_and_has_left_nothing_is_gone_at_once() -> None:
    kernel = Kernel(plan(up("a", autostart=False), up("side")))
    assert not only(EndSurvivors, kernel.tell(PlanReady(plan(up("side")))))
    assert keys(kernel) == {"side"}


def test_a_restart_in_which_a_second_reload_comes_runs_the_last_plan() -> None:
    """In each of its stages."""
    options: dict[str, Any] = {"stop_command": (b"quit",), "stopsteps": ((TERM, 1.0), (INT, 1.0))}
    for stage in range(4):
        kernel = Kernel(
            plan(up("a", **options), up("side")), Fate(answer=None, command=HANGS), Fate()
        )
        kernel.helpers_are_slow = True
        kernel.tell(PlanReady(plan(up("a", 2, **options), up("side"))))
        for _ in range(stage):
            kernel.fire()
        kernel.tell(PlanReady(plan(up("a", 3, **options), up("side"))))
        while kernel.state("a") != State.RUNNING:
            kernel.fire() if kernel.next_due_at() is not None else None
            if kernel.unanswered:
                kernel.a_helper_answers()
        assert kernel.process("a").spec.argv == (b"prog", b"3")
        assert spawned(kernel.done).count("a") == 2


def test_the_same_signal_is_asked_about_once_at_a_time() -> None:
    kernel = Kernel(plan(up("a")))
    asked = kernel.tell(*[SignalReceived(10)] * 5)
    assert len(only(FindCatchers, asked)) == 1
    kernel.tell(CatchersFound(10, ()))
    assert len(only(FindCatchers, kernel.tell(SignalReceived(10)))) == 1


def test_new_signals_hold_at_once() -> None:
    kernel = Kernel(plan(up("a"), signals=RELOADS))
    kernel.tell(PlanReady(plan(up("a"))))
    assert only(FindCatchers, kernel.tell(SignalReceived(HUP)))


def test_a_plan_that_comes_during_the_end_is_ignored() -> None:
    kernel = Kernel(plan(up("a")), Fate(slow=True))
    kernel.tell(SignalReceived(TERM))
    assert kernel.tell(PlanReady(plan(up("z")))) == []


PLANS = st.lists(
    st.dictionaries(
        st.sampled_from("abcd"), st.tuples(st.integers(1, 3), st.booleans()), min_size=1
    ),
    min_size=1,
    max_size=5,
)


def plan_of(programs: dict[str, tuple[int, bool]]) -> Plan:
    """Each may come after those before it in the alphabet."""
    names = sorted(programs)
    return plan(
        *[
            up(name, version, after=tuple(names[:index]) if chained else ())
            for index, name in enumerate(names)
            for version, chained in [programs[name]]
        ],
        up("kept"),
    )


@REPEATABLE
@given(PLANS, st.lists(st.sampled_from([Fate(), Fate(slow=True)]), min_size=1, max_size=3))
def test_whatever_was_before_the_last_plan_is_what_runs(
    plans: list[dict[str, tuple[int, bool]]], fates: list[Fate]
) -> None:
    kernel = Kernel(plan_of(plans[0]), *fates)
    for programs in plans[1:]:
        kernel.tell(PlanReady(plan_of(programs)))
    for _ in range(60):
        kernel.fire() if kernel.next_due_at() is not None else None
    last = plans[-1]
    assert keys(kernel) == {*last, "kept"}
    for name, (version, _) in last.items():
        assert kernel.state(name) == State.RUNNING
        assert kernel.process(name).spec.argv[1] == b"%d" % version
    assert len(kernel.instances) == len(last) + 1
    spawns = [effect.key for effect in only(Spawn, kernel.done)]
    assert spawns.count("kept") == 1
