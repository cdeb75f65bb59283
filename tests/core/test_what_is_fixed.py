"""What others rely on to the letter: numbers, names, defaults, and lines that people grep for."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from initpy.core import messages, states, stopping, supervisor, survivors, words
from initpy.core.conditions import (
    code_of,
    has_ended_by_itself,
    has_failed,
    is_down,
    is_held_by_operator,
    is_to_start,
    lets_others_start,
    why_failed,
)
from initpy.core.door import Process, succeeded_by
from initpy.core.messages import (
    Answer,
    Exited,
    Log,
    PlanReady,
    PlanRefused,
    ReadPlan,
    ReopenLogs,
    Request,
    SetTimer,
    SignalReceived,
    SpawnFailed,
    Start,
    Stop,
    Upgrade,
)
from initpy.core.orders import AddGroup, Reload, RemoveGroup, Reread, ShutDown
from initpy.core.restart import delay_s
from initpy.core.states import State, Wanted
from initpy.core.supervisor import Phase, Supervisor
from initpy.core.timers import Timers
from initpy.core.values import Value, fields_of, replace
from initpy.core.words import CONTAINER_STOPS, seconds, signal_name
from initpy.eventplan import ListenerPlan
from initpy.plan import ALWAYS, NEVER, Plan, SignalRule
from tests.core.kernel import HANGS, Fate, Kernel
from tests.core.specs import HUP, RULES, TERM, exited, killed, lines, only, plan, spec

WINCH, USR2, UPGRADE = 28, 12, 59


def test_the_states_have_supervisords_numbers_and_names() -> None:
    assert states.STATE_NAMES == {
        0: "STOPPED",
        10: "STARTING",
        20: "RUNNING",
        30: "BACKOFF",
        40: "STOPPING",
        100: "EXITED",
        200: "FATAL",
        1000: "UNKNOWN",
    }
    assert (State.STOPPED, State.STARTING, State.RUNNING, State.BACKOFF) == (0, 10, 20, 30)
    assert (State.STOPPING, State.EXITED, State.FATAL, State.UNKNOWN) == (40, 100, 200, 1000)
    assert (Wanted.DOWN, Wanted.UP) == (0, 1)
    assert states.ExitStatus(126, None, False) == states.NOT_EXECUTABLE


def test_signals_have_their_names() -> None:
    names = {it.value: it.name for it in signal.Signals if it.value < 32}
    names[16] = "SIGSTKFLT"
    assert {number: signal_name(number) for number in range(1, 32)} == names
    assert signal_name(40) == "signal 40"


DEFAULTS: list[tuple[Value, tuple[Any, ...]]] = [
    (
        Process(spec()),
        (spec(), 0, 0, False, 0, None, 0, False, 0, 0, (), False, 0, (), "", None, 0, 0, 0.0, 0.0,
         0.0, 0),
    ),
    (
        Supervisor(),
        (0, Plan(processes=()), {}, (), (), (), 0, 0, None, (), False, 0, 0, 0.0, None, None, 0, (),
         (), (), False, "", ()),
    ),
    (PlanReady(plan()), (plan(), False)),
    (PlanRefused(2, "no"), (2, "no", False, "")),
    (SpawnFailed("web", "no"), ("web", "no", 0.0)),
    (Exited("web", 8, exited(0)), ("web", 8, exited(0), 0, 0, 0.0)),
    (Start("web"), ("web", False)),
    (Stop("web"), ("web", False, None, False, False)),
    (messages.GiveUp("web", "no", exited(0)), ("web", "no", exited(0), False)),
    (ReadPlan(), (False,)),
    (messages.Exit(0), (0, "")),
    (states.ExitStatus(), (None, None, False)),
]  # fmt: skip


@pytest.mark.parametrize(("value", "fields"), DEFAULTS, ids=lambda it: type(it).__name__)
def test_defaults(value: Value, fields: tuple[Any, ...]) -> None:
    assert [(type(it), it) for it in fields_of(value)] == [(type(it), it) for it in fields]


def test_phases_come_in_their_order() -> None:
    assert (Phase.BOOT, Phase.UP, Phase.STOPPING, Phase.REST, Phase.OVER) == (0, 1, 2, 3, 4)


def test_times_and_numbers_that_docs_speak_of() -> None:
    assert (supervisor.LATER_TIER_S, supervisor.REST_S) == (1.0, 0.5)
    assert (supervisor.REST_TERM_S, supervisor.REST_KILL_S) == (1.0, 0.25)
    assert (stopping.RECORD, stopping.DRAIN, stopping.COMMAND) == (-3, -2, -1)
    assert stopping.RECORD_WAIT_S == 1.0
    assert (survivors.KILL_WAIT_S, survivors.SURVIVORS_WAIT_S) == (1.0, 2.0)
    assert words.MAX_NAMED == 5
    assert words.LEAST_PEAK_KIB == 16384
    assert supervisor.OWN_TIMER == ""
    assert (messages.INFO, messages.WARN, messages.CRITICAL) == ("INFO", "WARN", "CRIT")


def test_seconds_for_people() -> None:
    assert [seconds(it) for it in (1.0, 0.5, 7.25, 10.0, 100.0, 0.0, 0.0004)] == [
        "1", "0.5", "7.25", "10", "100", "0", "0",
    ]  # fmt: skip


# ---------------------------------------------------------------- conditions


def in_state(state: int, **changes: Any) -> Process:
    return replace(Process(spec()), state=state, **changes)


def test_the_exit_code_of_one_that_never_ran_is_0() -> None:
    assert code_of(in_state(State.STOPPED)) == 0
    assert code_of(in_state(State.EXITED, status=exited(3))) == 3
    assert code_of(in_state(State.EXITED, status=killed(9))) == 137


def test_who_has_failed() -> None:
    assert has_failed(in_state(State.FATAL)) is True
    assert has_failed(in_state(State.EXITED, status=exited(1))) is True
    assert has_failed(in_state(State.EXITED, status=exited(0))) is False
    assert has_failed(in_state(State.EXITED, status=exited(1), wanted=Wanted.UP)) is False
    assert has_failed(in_state(State.EXITED)) is False
    assert has_failed(in_state(State.STOPPED, status=exited(1))) is False


def test_who_has_ended_by_itself() -> None:
    assert has_ended_by_itself(in_state(State.EXITED, status=exited(0)))
    assert has_ended_by_itself(in_state(State.FATAL))
    assert not has_ended_by_itself(in_state(State.EXITED, wanted=Wanted.UP))
    assert not has_ended_by_itself(in_state(State.RUNNING))
    assert not has_ended_by_itself(in_state(State.STOPPED))
    assert has_ended_by_itself(in_state(State.FATAL, spawnerr=CONTAINER_STOPS)) is False
    assert has_ended_by_itself(in_state(State.FATAL, by_operator=True)) is False


def test_whom_an_operator_holds() -> None:
    assert is_held_by_operator(in_state(State.STOPPED, by_operator=True))
    assert is_held_by_operator(in_state(State.FATAL, by_operator=True))
    assert not is_held_by_operator(in_state(State.RUNNING, by_operator=True))
    assert not is_held_by_operator(in_state(State.EXITED, by_operator=True, status=exited(0)))
    assert not is_held_by_operator(in_state(State.STOPPED))


def test_who_lets_others_start() -> None:
    once = replace(Process(spec(oneshot=True)), state=State.RUNNING)
    assert lets_others_start(in_state(State.RUNNING))
    assert not lets_others_start(once)
    assert lets_others_start(replace(once, state=State.EXITED, status=exited(0)))
    assert not lets_others_start(replace(once, state=State.EXITED, status=exited(1)))


def test_who_is_down_and_who_is_to_start() -> None:
    for state in (State.STOPPED, State.EXITED, State.FATAL):
        assert (is_down(in_state(state)), is_to_start(in_state(state))) == (True, False)
        again = in_state(state, wanted=Wanted.UP)
        assert (is_down(again), is_to_start(again)) == (False, True)
    assert is_down(in_state(State.UNKNOWN, wanted=Wanted.UP))
    assert not is_to_start(in_state(State.UNKNOWN, wanted=Wanted.UP))
    assert is_to_start(in_state(State.BACKOFF))
    assert is_to_start(in_state(State.STOPPING, wanted=Wanted.UP))
    assert not is_to_start(in_state(State.STOPPING))


def test_why_it_failed() -> None:
    fatal = in_state(State.FATAL, spawnerr="no memory")
    assert why_failed(fatal) == "'web' entered FATAL state: no memory"
    dead = replace(fatal, status=killed(9))
    assert why_failed(dead) == "'web' entered FATAL state: no memory (terminated by SIGKILL)"
    ended = in_state(State.EXITED, status=exited(3))
    why = "'web' ended unexpectedly (exit status 3) and is not restarted (autorestart)"
    assert why_failed(ended) == why


def test_who_succeeds_a_process() -> None:
    old = in_state(State.STOPPED, by_operator=True, epoch=7, group=12, failures=3)
    new = spec(argv=(b"other",))
    assert succeeded_by(old, new) == Process(new, by_operator=True, epoch=8, group=12)
    running = replace(old, state=State.FATAL)
    assert succeeded_by(running, new).by_operator is False


# ---------------------------------------------------------------- timers


def test_the_first_timer_is_found_whatever_replaces_it() -> None:
    timers = Timers()
    assert "a" not in timers
    timers.set("a", 5.0, 1)
    assert ("a" in timers) is True
    assert timers.next_due_at() == 5.0
    timers.set("b", 3.0, 1)
    assert timers.next_due_at() == 3.0
    timers.set("b", 9.0, 2)
    assert timers.next_due_at() == 5.0
    timers.set("a", 1.0, 2)
    assert timers.next_due_at() == 1.0
    assert timers.pop_due(0.5) == []
    assert timers.pop_due(9.0) == [("a", 2), ("b", 2)]
    assert timers.KEPT == ("_newest",)


# ---------------------------------------------------------------- signals and clients


def up(*specs: Any, **options: Any) -> Kernel:
    rules = (*RULES, SignalRule(HUP, "reload"), SignalRule(USR2, "reopen"))
    more = (SignalRule(UPGRADE, "upgrade"), SignalRule(WINCH, "ignore"), SignalRule(10, "ignore"))
    return Quiet(plan(*(specs or [spec(startsecs=0.0)]), signals=(*rules, *more), **options))


class Quiet(Kernel):
    """With clients; what they are told is in `done`."""

    def _carry_out(self, effect: Value, before: Supervisor) -> None:
        if not isinstance(effect, Answer | ReopenLogs | Upgrade | messages.UsePlan):
            super()._carry_out(effect, before)


@pytest.mark.parametrize(
    ("signum", "said", "effects"),
    [
        (HUP, ["received SIGHUP indicating reload request"], [ReadPlan()]),
        (USR2, ["received SIGUSR2 indicating log reopen request"], [ReopenLogs()]),
        (UPGRADE, ["received signal 59 indicating upgrade request"], [Upgrade()]),
        (10, ["received SIGUSR1, which is ignored"], []),
        (WINCH, [], []),
    ],
)
def test_what_a_signal_does(signum: int, said: list[str], effects: list[Value]) -> None:
    done = up().tell(SignalReceived(signum))
    assert lines(done) == said
    assert [it for it in done if not isinstance(it, Log)] == effects


def test_the_end_that_a_client_asks_for() -> None:
    kernel = up()
    done = kernel.tell(Request(7, 1, ShutDown()))
    assert lines(done)[0] == "a client has asked for the end"
    assert only(Answer, done) == [Answer(7, 1, "")]
    assert kernel.supervisor.cause == supervisor.Cause(0, "stopped by a client")


def test_each_who_asked_for_a_reload_is_answered_once() -> None:
    kernel = up()
    kernel.tell(Request(7, 1, Reload()), Request(7, 2, Reread()))
    done = kernel.tell(PlanReady(kernel.supervisor.plan))
    assert only(Answer, done) == [Answer(7, 1, "")]
    assert [it.number for it in kernel.supervisor.askers] == [2]
    done = kernel.tell(PlanReady(kernel.supervisor.plan, spare=True))
    assert only(Answer, done) == [Answer(7, 2, "")]
    assert kernel.supervisor.askers == ()
    assert not only(Answer, kernel.tell(PlanReady(kernel.supervisor.plan)))


def test_a_group_comes_with_its_listeners_and_in_its_place_and_goes_with_them() -> None:
    kernel = up(spec("a", startsecs=0.0), spec("c", startsecs=0.0))
    of_b = ListenerPlan("b", ("b",), ("TICK_5",), 10, False)
    of_c = ListenerPlan("c", ("c",), ("TICK_5",), 10, False)
    known = plan(spec("a"), spec("b", startsecs=0.0), spec("c"), listeners=(of_b, of_c))
    kernel.tell(PlanReady(known, spare=True), Request(7, 1, AddGroup("b")))
    assert [it.key for it in kernel.supervisor.plan.processes] == ["a", "b", "c"]
    assert [it.name for it in kernel.supervisor.plan.listeners] == ["b"]
    assert kernel.state("b") == State.RUNNING
    kernel.tell(Request(7, 2, Stop("b", by_operator=True)))
    kernel.tell(Request(7, 3, RemoveGroup("b")))
    assert not kernel.supervisor.plan.listeners
    assert "b" not in kernel.supervisor.processes


# ---------------------------------------------------------------- reloads


def test_a_reload_says_what_it_does() -> None:
    kernel = up(spec("a", startsecs=0.0), spec("b", startsecs=0.0))
    same = kernel.supervisor.plan
    assert "reloaded: no program is to be started or stopped" in lines(kernel.tell(PlanReady(same)))
    other = replace(same, processes=(spec("a", argv=(b"x",)), spec("c"), spec("d")))
    said = lines(kernel.tell(PlanReady(other)))
    assert "reloaded: added c, d; changed a; removed b" in said


def test_what_a_reload_leaves_ends_the_container_if_it_is_nothing() -> None:
    kernel = up(spec("a", startsecs=0.0, autorestart=NEVER), spec("b", autostart=False))
    kernel.tell(PlanReady(replace(kernel.supervisor.plan, processes=(spec("b", autostart=False),))))
    assert kernel.supervisor.phase > Phase.UP


def test_all_after_one_that_stays_are_looked_at_in_a_reload() -> None:
    kernel = up(spec("a", startsecs=0.0), spec("b", startsecs=0.0), spec("c", startsecs=0.0))
    plan_now = kernel.supervisor.plan
    changed = [spec("b", startsecs=0.0), spec("c", startsecs=0.0, argv=(b"x",))]
    pid = kernel.pid("c")
    kernel.tell(PlanReady(replace(plan_now, processes=tuple(changed))))
    assert kernel.pid("c") != pid


def test_who_stops_what_a_reload_stops_has_it_stay_down() -> None:
    """And who stops what is being stopped already, and not by a reload, decides nothing."""
    specs = (spec("a", startsecs=0.0), spec("b", startsecs=0.0, stopsteps=((TERM, 5.0),)))
    kernel = Quiet(plan(*specs), Fate(answer=None))
    kernel.tell(Stop("b", by_operator=True))
    again = Stop("b", by_operator=True)
    assert kernel.tell(again) == [messages.Refuse(again, "NOT_RUNNING")]
    kernel.sleep(20)
    assert kernel.state("b") == State.STOPPED
    kernel.tell(Start("b", by_operator=True))
    changed = replace(specs[1], argv=(b"x",))
    kernel.tell(PlanReady(plan(specs[0], changed)))
    assert [*kernel.supervisor.reloaded] == ["b"]
    kernel.tell(again)
    assert not kernel.supervisor.reloaded
    assert kernel.process("b").wanted == Wanted.DOWN
    kernel.sleep(20)
    assert kernel.state("b") == State.STOPPED


def test_a_reload_that_leaves_nothing_to_run_and_nobody_held_ends_the_container() -> None:
    kernel = up(spec("a", startsecs=0.0), spec("b", autostart=False))
    kernel.tell(Stop("a", by_operator=True))
    assert kernel.supervisor.phase == Phase.UP
    kernel.tell(PlanReady(plan(spec("b", autostart=False))))
    assert kernel.supervisor.phase > Phase.UP


# ---------------------------------------------------------------- lives


def test_instances_are_counted() -> None:
    kernel = up(spec(startsecs=0.0, autorestart=ALWAYS))
    assert kernel.process("web").instances == 1
    kernel.dies("web", exited(1))
    kernel.dies("web", exited(1))
    assert kernel.process("web").instances == 3


def test_epochs_only_grow() -> None:
    kernel = up(spec(startsecs=0.0), spec("deaf", startsecs=0.0))
    kernel.fates = (Fate(answer=None),)
    kernel.tell(SignalReceived(TERM))
    first = kernel.supervisor.epoch
    assert first > 0
    own = [it.epoch for it in only(SetTimer, kernel.done) if it.key == supervisor.OWN_TIMER]
    while kernel.lives():
        kernel.fire()
    own = [it.epoch for it in only(SetTimer, kernel.done) if it.key == supervisor.OWN_TIMER]
    assert own == sorted(own)
    assert len(set(own)) == len(own)


def test_a_timer_of_a_state_that_does_not_wait_does_nothing() -> None:
    kernel = Kernel(plan(spec(oneshot=True, startsecs=0.0)), Fate(exec_fails=HANGS))
    process = kernel.process("web")
    kernel.tell(messages.TimerFired("web", process.epoch))
    assert kernel.process("web") == process


def test_a_quit_alone_drains_and_kills_nobody_at_once() -> None:
    kernel = up(spec(startsecs=0.0, drain_s=3.0))
    done = kernel.tell(SignalReceived(3))
    assert not any("killing everything" in line for line in lines(done))
    done = kernel.tell(SignalReceived(3))
    assert "SIGQUIT again: killing everything at once" in lines(done)


def test_a_first_quit_while_the_container_ends_kills_nobody_at_once() -> None:
    kernel = Quiet(plan(spec("a", startsecs=0.0, autorestart=NEVER), spec("b")), Fate(answer=None))
    kernel.dies("a", exited(1))
    assert kernel.supervisor.phase == Phase.STOPPING
    assert not any("killing everything" in it for it in lines(kernel.tell(SignalReceived(3))))


def test_what_waits_for_one_that_fails_and_ends_the_container_is_given_up_with_it() -> None:
    specs = (spec("a", startretries=0), spec("b", after=("a",)))
    kernel = Quiet(plan(*specs), Fate(spawn_fails="no fork"))
    assert kernel.state("b") == State.FATAL


def test_a_giver_of_the_exit_code_that_failed_with_0_makes_it_1() -> None:
    a = spec("a", startsecs=0.0, autorestart=NEVER, exitcodes=(2,), critical=False)
    kernel = up(a, spec("b", startsecs=0.0), exit_code_from=("a", "b"))
    kernel.dies("a", exited(0))
    kernel.tell(SignalReceived(TERM))
    while kernel.lives():
        kernel.fire()
    assert kernel.exit_code == 1


def test_no_delay_without_a_failure() -> None:
    with pytest.raises(ValueError, match=r"^cannot back off after 0 failures$"):
        delay_s(spec(), 0, 0.5)
