"""The way down in stages, of one process: what comes when, whatever the program does meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initpy.core import stopping
from initpy.core.door import Process
from initpy.core.messages import (
    INFO,
    WARN,
    EndSurvivors,
    Exited,
    Kill,
    KillFailed,
    KillGroup,
    Log,
    RecordTree,
    Refuse,
    RunStopCommand,
    Spawn,
    Spawned,
    Start,
    Stop,
    StopCommandFailed,
    SurvivorsGone,
    TimerFired,
    TreeRecorded,
)
from initpy.core.process import step
from initpy.core.states import State, Wanted
from initpy.core.values import replace
from tests.core.lives import PID, ends, stop, timer, up, words
from tests.core.profile import REPEATABLE
from tests.core.specs import (
    CONT,
    HUP,
    INT,
    KILL,
    QUIT,
    TERM,
    exited,
    killed,
    moves,
    only,
    run,
    sent,
    spec,
    without_timers,
)

if TYPE_CHECKING:
    from initpy.core.values import Value

FOR_GOOD: dict[str, Any] = {"for_good": True}
DRAINS: dict[str, Any] = {"for_good": True, "drains": True}
QUITS: dict[str, Any] = {"stop_command": (b"quit",), "stop_command_s": 4.0}
STEPS: dict[str, Any] = {"stopsteps": ((TERM, 10.0), (INT, 5.0))}
IN_STAGES: dict[str, Any] = {**STEPS, **QUITS, "drain_s": 3.0}


def told(effects: list[Value]) -> list[int]:
    return [signum for _, signum in sent(effects)]


def passes(process: Process) -> tuple[float, Process, list[Value]]:
    """Its timer fires, at its time."""
    assert process.due_at is not None
    return process.due_at, *run(process, (process.due_at, timer(process)))


# ---------------------------------------------------------------- steps


def test_each_step_has_its_time_and_then_comes_sigkill_again_and_again() -> None:
    process, effects = stop(up(**STEPS), 10.0)
    assert told(effects) == [TERM]
    now, process, effects = passes(process)
    assert (now, without_timers(effects)) == (
        20.0,
        [Kill("web", PID, INT), Kill("web", PID, CONT)],
    )
    for due_at in (25.0, 26.0, 27.0):
        now, process, effects = passes(process)
        assert (now, without_timers(effects)) == (due_at, [KillGroup("web", PID, KILL)])
        assert words(effects) == ["killing 'web' (8) with SIGKILL: it did not stop in time"]
        assert process.killed


def test_who_obeys_a_later_step_is_stopped_and_gets_no_more_of_them() -> None:
    process, _ = stop(up(**STEPS), 10.0)
    _, process, _ = passes(process)
    process, effects = ends(process, 21.0, exited(0))
    assert told(effects) == []
    assert moves(effects) == [("STOPPING", "STOPPED")]
    assert (process.stages, process.killed) == ((), False)


def test_with_stopasgroup_every_step_goes_to_the_group() -> None:
    process, effects = stop(up(stopasgroup=True, **STEPS), 10.0)
    _, process, more = passes(process)
    assert only((Kill, KillGroup), effects + more) == [
        KillGroup("web", PID, signum) for signum in (TERM, CONT, INT, CONT)
    ]


def test_a_step_that_is_sigkill_is_no_overrun() -> None:
    """Who says KILL has not given it any time to overrun."""
    process, effects = stop(up(stopsteps=((KILL, 10.0),)), 10.0)
    assert told(effects) == [KILL]
    process, effects = run(process, (10.1, Exited("web", PID, killed(KILL))))
    assert not process.killed
    assert only(EndSurvivors, effects) == [EndSurvivors("web", PID, TERM)]


def test_what_the_instance_leaves_behind_has_the_time_of_all_steps_that_are_left() -> None:
    process, _ = stop(up(**IN_STAGES), 10.0, **DRAINS)
    process, effects = run(process, (11.0, Exited("web", PID, exited(0))))
    assert without_timers(effects) == [EndSurvivors("web", PID, TERM)]
    assert process.due_at == 10.0 + 3.0 + 4.0 + 10.0 + 5.0
    now, process, effects = passes(process)
    assert without_timers(effects) == [EndSurvivors("web", PID, KILL)]
    now, process, effects = passes(process)
    assert now == 33.0
    assert moves(effects) == [("STOPPING", "STOPPED")]


# ---------------------------------------------------------------- stop_command


def test_a_stop_command_comes_before_the_first_signal_and_often_makes_it_needless() -> None:
    process, effects = stop(up(**STEPS, **QUITS), 10.0)
    assert without_timers(effects) == [RecordTree("web", PID), RunStopCommand("web", PID)]
    assert process.due_at == 14.0
    process, effects = ends(process, 11.0, exited(0))
    assert moves(effects) == [("STOPPING", "STOPPED")]
    assert told(effects) == []


@pytest.mark.parametrize(
    "reason", ["exit status 1", "can't find command 'quit'", "terminated by SIGSEGV"]
)
def test_one_that_fails_or_cannot_be_run_gives_way_to_the_first_signal_at_once(
    reason: str,
) -> None:
    process, _ = stop(up(**STEPS, **QUITS), 10.0)
    process, effects = run(process, (10.5, StopCommandFailed("web", PID, reason)))
    assert only(Log, effects) == [
        Log(WARN, f"the stop_command of 'web' failed: {reason}; going on with SIGTERM")
    ]
    assert without_timers(effects) == [Kill("web", PID, TERM), Kill("web", PID, CONT)]
    assert process.due_at == 20.5
    assert run(process, (10.6, StopCommandFailed("web", PID, reason))) == (process, [])


def test_one_that_hangs_or_is_of_no_use_has_its_time_before_the_first_signal() -> None:
    process, _ = stop(up(**STEPS, **QUITS), 10.0)
    now, process, effects = passes(process)
    assert (now, told(effects)) == (14.0, [TERM])
    assert process.due_at == 24.0
    assert run(process, (15.0, StopCommandFailed("web", PID, "at last"))) == (process, [])


def test_one_that_fails_after_the_instance_has_ended_is_not_heard() -> None:
    process, _ = stop(up(**QUITS), 10.0)
    process, _ = run(process, (10.5, Exited("web", PID, exited(0))))
    assert run(process, (10.6, StopCommandFailed("web", PID, "exit status 1"))) == (process, [])


def test_one_that_failed_for_another_instance_is_not_heard() -> None:
    process, _ = stop(up(**QUITS), 10.0)
    assert run(process, (10.6, StopCommandFailed("web", PID - 1, "no"))) == (process, [])


def test_one_that_a_reload_has_taken_away_is_passed_over() -> None:
    process, _ = run(up(**QUITS), (10.0, Stop("web")))
    process = replace(process, spec=spec(stop_command=()))
    process, effects = run(process, (10.1, TreeRecorded("web", PID)))
    assert without_timers(effects) == [Kill("web", PID, TERM), Kill("web", PID, CONT)]


# ---------------------------------------------------------------- drain


def test_who_drains_works_on_before_anything_is_done_to_it() -> None:
    process, effects = run(up(**IN_STAGES), (10.0, Stop("web", **DRAINS)))
    assert without_timers(effects) == []
    assert only(Log, effects) == [
        Log(INFO, "'web' works on for 3 seconds before it is stopped (drain)")
    ]
    now, process, effects = passes(process)
    assert (now, without_timers(effects)) == (13.0, [RunStopCommand("web", PID)])
    now, process, effects = passes(process)
    assert (now, told(effects)) == (17.0, [TERM])
    now, process, effects = passes(process)
    assert (now, told(effects)) == (27.0, [INT])
    now, process, effects = passes(process)
    assert (now, told(effects)) == (32.0, [KILL])


@pytest.mark.parametrize("order", [{}, FOR_GOOD])
def test_nobody_drains_where_the_order_does_not_ask_for_it(order: dict[str, Any]) -> None:
    _, effects = stop(up(drain_s=3.0), 10.0, **order)
    assert told(effects) == [TERM]


def test_nobody_drains_who_has_no_drain() -> None:
    _, effects = stop(up(), 10.0, **DRAINS)
    assert told(effects) == [TERM]


def test_an_order_that_does_not_ask_for_it_ends_a_drain() -> None:
    process, _ = run(up(**IN_STAGES), (10.0, Stop("web", **DRAINS)))
    process, effects = run(process, (11.0, Stop("web", **FOR_GOOD)))
    assert without_timers(effects) == [RunStopCommand("web", PID)]
    assert process.due_at == 15.0


def test_and_what_comes_after_the_drain_fits_the_time_of_that_order() -> None:
    process, _ = run(up(stopwaitsecs=20.0, drain_s=3.0), (10.0, Stop("web", **DRAINS)))
    process, effects = run(process, (11.0, Stop("web", within_s=5.0, for_good=True)))
    assert told(effects) == [TERM]
    assert process.due_at == 16.0


def test_an_order_that_drains_too_leaves_the_drain_alone() -> None:
    process, _ = run(up(**IN_STAGES), (10.0, Stop("web", **DRAINS)))
    after, effects = run(process, (11.0, Stop("web", **DRAINS)))
    assert (after, effects) == (process, [])


def test_who_ends_while_it_drains_is_stopped() -> None:
    process, _ = run(up(drain_s=3.0), (10.0, Stop("web", **DRAINS)))
    process, effects = ends(process, 11.0, killed(11))
    assert moves(effects) == [("STOPPING", "STOPPED")]


# ---------------------------------------------------------------- within less time


def test_all_stages_but_the_first_look_are_shortened_alike() -> None:
    """3 s of drain, 4 of command, 10 and 5 of signals: 22 s, in 11."""
    process, _ = run(up(**IN_STAGES), (10.0, Stop("web", within_s=11.0, **DRAINS)))
    seen = []
    while not process.killed:
        now, process, effects = passes(process)
        seen += [(now, each) for each in without_timers(effects) if each != Kill("web", PID, CONT)]
    assert seen == [
        (11.5, RunStopCommand("web", PID)),
        (13.5, Kill("web", PID, TERM)),
        (18.5, Kill("web", PID, INT)),
        (21.0, KillGroup("web", PID, KILL)),
    ]


def test_the_time_of_that_look_comes_on_top_and_is_a_second_at_the_most() -> None:
    process, effects = run(up(**STEPS), (10.0, Stop("web", within_s=3.0)))
    assert without_timers(effects) == [RecordTree("web", PID)]
    now, process, effects = passes(process)
    assert (now, told(effects)) == (11.0, [TERM])
    now, process, effects = passes(process)
    assert (now, told(effects)) == (13.0, [INT])
    now, process, effects = passes(process)
    assert (now, told(effects)) == (14.0, [KILL])


def test_enough_time_shortens_nothing() -> None:
    process, _ = run(up(**STEPS), (10.0, Stop("web", within_s=15.0, for_good=True)))
    assert process.stages == ((TERM, 10.0), (INT, 5.0))


def test_no_time_at_all_is_every_stage_at_once() -> None:
    process, effects = run(up(**STEPS), (10.0, Stop("web", within_s=0.0, for_good=True)))
    while not process.killed:
        now, process, more = passes(process)
        assert now == 10.0
        effects += more
    assert told(effects) == [TERM, INT, KILL]


def test_a_hasty_order_shortens_what_is_left_alike() -> None:
    process, _ = run(up(**STEPS), (10.0, Stop("web", for_good=True)))
    process, effects = run(process, (15.0, Stop("web", within_s=5.0, for_good=True)))
    assert told(effects) == []
    now, process, effects = passes(process)
    assert (now, told(effects)) == (17.5, [INT])
    now, process, effects = passes(process)
    assert (now, told(effects)) == (20.0, [KILL])


def test_an_order_for_good_that_finds_it_at_that_look_shortens_all_that_is_to_come() -> None:
    process, _ = run(up(**STEPS), (10.0, Stop("web")))
    process, effects = run(process, (10.0, Stop("web", within_s=8.0, for_good=True)))
    assert effects[1:] == []
    now, process, effects = passes(process)
    assert (now, told(effects)) == (10.5, [TERM])
    now, process, effects = passes(process)
    assert (now, told(effects)) == (15.5, [INT])
    now, process, effects = passes(process)
    assert (now, told(effects)) == (18.0, [KILL])


def test_a_hasty_order_hurries_the_survivors_too() -> None:
    process, _ = stop(up(**STEPS), 10.0)
    process, _ = run(process, (11.0, Exited("web", PID, exited(0))))
    process, effects = run(process, (12.0, Stop("web", within_s=2.0, for_good=True)))
    assert process.due_at == 14.0
    assert without_timers(effects) == []
    _, process, effects = passes(process)
    assert only(EndSurvivors, effects) == [EndSurvivors("web", PID, KILL)]


# ---------------------------------------------------------------- before the fork


def overtaken(order: Stop, at_s: float = 0.0, **options: Any) -> Process:
    """web, told to start at 0, and to stop before it was forked."""
    process, effects = run(Process(spec(**options)), (0.0, Start("web")), (at_s, order))
    assert not only((Kill, KillGroup, RecordTree, RunStopCommand), effects)
    return process


def test_a_stop_that_overtakes_the_fork_begins_with_its_first_stage() -> None:
    process = overtaken(Stop("web"), **IN_STAGES)
    process, effects = run(process, (0.0, Spawned("web", PID)))
    assert without_timers(effects) == [RecordTree("web", PID)]
    process = overtaken(Stop("web", **DRAINS), **IN_STAGES)
    process, effects = run(process, (0.0, Spawned("web", PID)))
    assert without_timers(effects) == []
    assert words(effects)[1:] == ["'web' works on for 3 seconds before it is stopped (drain)"]
    assert process.started_at == 0.0


def test_its_time_runs_from_the_order_and_not_from_the_fork() -> None:
    process = overtaken(Stop("web", within_s=9.0, for_good=True), **STEPS)
    process, effects = run(process, (3.0, Spawned("web", PID)))
    assert told(effects) == [TERM]
    now, process, effects = passes(process)
    assert (now, told(effects)) == (7.0, [INT])
    now, process, effects = passes(process)
    assert (now, told(effects)) == (9.0, [KILL])


def test_a_fork_that_comes_when_all_that_time_is_over_is_not_waited_for_in_vain() -> None:
    process = overtaken(Stop("web", **FOR_GOOD), stopwaitsecs=2.0)
    for due_at in (2.0, 3.0, 4.0):
        now, process, effects = passes(process)
        assert (now, without_timers(effects)) == (due_at, [])
    process, effects = run(process, (4.5, Spawned("web", PID)))
    assert told(effects) == [TERM]
    now, process, effects = passes(process)
    assert (now, told(effects)) == (5.0, [KILL])


def test_who_is_hurried_before_the_fork_drains_no_more_and_is_killed_in_time() -> None:
    process = overtaken(Stop("web", within_s=9.0, **DRAINS), stopwaitsecs=6.0, drain_s=12.0)
    process, effects = run(process, (1.0, Stop("web", within_s=4.0, for_good=True)))
    assert process.due_at == 5.0
    process, effects = run(process, (2.0, Spawned("web", PID)))
    assert told(effects) == [TERM]
    now, process, effects = passes(process)
    assert now <= 5.0
    assert told(effects) == [KILL]


# ---------------------------------------------------------------- what comes in between


def in_each_stage(**options: Any) -> list[Process]:
    """web, told to stop, in each of the stages that it can be in; and killed."""
    process, _ = run(up(**IN_STAGES, **options), (10.0, Stop("web")))
    seen = [process]
    while not process.killed:
        _, process, _ = passes(process)
        seen.append(process)
    draining, _ = run(up(**IN_STAGES, **options), (10.0, Stop("web", **DRAINS)))
    assert [
        stopping.is_in(process, what)
        for what, process in zip((stopping.RECORD, stopping.COMMAND, TERM, INT), seen, strict=False)
    ] == [True] * 4
    assert stopping.is_in(draining, stopping.DRAIN)
    return [*seen, draining]


@pytest.mark.parametrize("process", in_each_stage())
def test_who_may_not_be_signalled_is_unknown_in_whichever_stage(process: Process) -> None:
    now = process.due_at or 0.0
    unknown, effects = run(process, (now, KillFailed("web", PID, 1)))
    assert (unknown.state, unknown.due_at, unknown.stages) == (State.UNKNOWN, None, ())
    late: list[Value] = [
        TreeRecorded("web", PID),
        StopCommandFailed("web", PID, "no"),
        TimerFired("web", process.epoch),
        SurvivorsGone("web", PID),
    ]
    for fact in late:
        assert run(unknown, (now, fact)) == (unknown, [])
    unknown, effects = run(unknown, (now + 60.0, Exited("web", PID, exited(0))))
    assert moves(effects) == [("UNKNOWN", "STOPPED")]


@pytest.mark.parametrize("process", in_each_stage())
def test_who_is_to_start_again_starts_again_whichever_stage_it_ends_in(process: Process) -> None:
    now = (process.due_at or 0.0) - 0.5
    process, effects = run(process, (now, Start("web", by_operator=True)))
    assert (effects, process.wanted) == ([], Wanted.UP)
    process, effects = ends(process, now, exited(0))
    assert moves(effects) == [("STOPPING", "STOPPED"), ("STOPPED", "STARTING")]
    assert only(Spawn, effects) == [Spawn("web")]


@pytest.mark.parametrize("process", in_each_stage())
def test_a_second_order_is_refused_and_restarts_no_stage(process: Process) -> None:
    order = Stop("web", drains=True)
    now = process.due_at or 0.0
    assert run(process, (now, order)) == (process, [Refuse(order, "NOT_RUNNING")])


def test_a_stop_between_two_instances_has_no_stages() -> None:
    """Not even those of a stop before, of one that became UNKNOWN on its way down."""
    process, _ = stop(up(**STEPS), 10.0)
    process, _ = run(
        process,
        (10.0, KillFailed("web", PID, 1)),
        (20.0, Exited("web", PID, exited(0))),
        (30.0, Start("web")),
        (30.0, Stop("web", within_s=6.0)),
    )
    assert (process.state, process.due_at) == (State.STOPPING, 36.0)
    process, _ = run(process, (31.0, Stop("web", within_s=2.0)))
    assert process.due_at == 33.0
    _, process, effects = passes(process)
    assert only(EndSurvivors, effects) == [EndSurvivors("web", PID, KILL)]


def test_who_was_killed_once_is_not_said_to_have_been_killed_the_next_time() -> None:
    process, _ = stop(up(stopwaitsecs=0.0), 10.0)
    _, process, _ = passes(process)
    process, _ = run(
        process, (10.1, KillFailed("web", PID, 1)), (20.0, Exited("web", PID, exited(0)))
    )
    assert process.killed
    process, _ = run(process, (30.0, Start("web")), (30.0, Stop("web", for_good=True)))
    assert not process.killed


# ---------------------------------------------------------------- whatever happens

SPANS = st.sampled_from([0.0, 0.25, 2.0, 10.0])
SPECS = st.builds(
    spec,
    stopsteps=st.lists(
        st.tuples(st.sampled_from([TERM, INT, QUIT, HUP]), SPANS), min_size=1, max_size=3
    ).map(tuple),
    stop_command=st.sampled_from([(), (b"quit",)]),
    stop_command_s=SPANS,
    drain_s=SPANS,
    stopasgroup=st.booleans(),
    killasgroup=st.booleans(),
)
WITHIN = st.sampled_from([None, 0.0, 0.75, 4.0, 60.0])
AT = st.one_of(st.none(), st.sampled_from([0.0, 0.125, 0.5, 1.5, 3.0, 7.0]))
ORDERS = st.builds(
    lambda within_s, for_good, drains: Stop(
        "web", within_s=within_s, for_good=for_good or drains, drains=drains
    ),
    WITHIN,
    st.booleans(),
    st.booleans(),
)
T0, FOREVER = 100.0, 1e6


@settings(REPEATABLE, max_examples=100)
@given(
    SPECS,
    ORDERS,
    st.lists(st.tuples(st.floats(0.0, 8.0), ORDERS), max_size=2),
    AT,
    AT,
    AT,
    AT,
)
def test_every_stop_goes_through_its_stages_in_time(
    options: Any,
    order: Stop,
    later_orders: list[tuple[float, Stop]],
    forked_after_s: float | None,
    recorded_after_s: float | None,
    command_fails_after_s: float | None,
    exits_after_s: float | None,
) -> None:
    """Each act comes once and in its turn, KILL after all of them and by the deadline; survivors
    are not touched before the instance is gone; and in the end it is STOPPED.

    `forked_after_s`: None, it was forked before.
    """
    process = Process(options)
    process, _ = step(process, Start("web"), T0)
    if forked_after_s is None:
        process, _ = step(process, Spawned("web", PID), T0)
    process, effects = step(process, order, T0)
    script: list[tuple[float, Value]] = [(T0 + at_s, later) for at_s, later in later_orders]
    if forked_after_s is not None:
        script.append((T0 + forked_after_s, Spawned("web", PID)))
    forked_at = T0 + (forked_after_s or 0.0)
    if exits_after_s is not None:
        script.append((forked_at + exits_after_s, Exited("web", PID, exited(0))))
    if recorded_after_s is not None:
        script.append((forked_at + recorded_after_s, TreeRecorded("web", PID)))
    seen = [(T0, each) for each in effects]
    now = T0
    deadlines = [T0 + deadline_s(options, order)]
    for _ in range(40):
        if process.state == State.STOPPED:
            break
        script.sort(key=lambda each: each[0])
        at, fact = script[0] if script else (FOREVER, None)
        if process.due_at is not None and process.due_at <= at:
            at, fact = process.due_at, TimerFired("web", process.epoch)
        else:
            script.pop(0)
        now = max(at, now)
        assert fact is not None
        if isinstance(fact, Stop) and fact.within_s is not None:
            deadlines.append(now + fact.within_s)
        process, effects = step(process, fact, now)
        seen += [(now, each) for each in effects]
        for _ in only(RunStopCommand, effects):
            if command_fails_after_s is not None:
                script.append((now + command_fails_after_s, StopCommandFailed("web", PID, "no")))
        if process.killed and exits_after_s is None and now > forked_at + 5.0:
            script.append((now, Exited("web", PID, killed(KILL))))
            exits_after_s = now
    assert process.state == State.STOPPED

    check_acts(options, order, seen, [later for _, later in later_orders])
    kills = [at for at, each in seen if isinstance(each, Kill | KillGroup) and each.signum == KILL]
    if kills:
        deadline = max(min(deadlines), forked_at if forked_after_s is not None else 0.0)
        late_s = 1.0 if forked_after_s is not None else 0.0  # it waits a second for a late fork
        assert kills[0] <= deadline + late_s + 1e-6
        if not later_orders and forked_after_s is None and command_fails_after_s is None:
            looked_s = 1.0 if recorded_after_s is None else min(recorded_after_s, 1.0)
            early_s = 0.0 if order.for_good else 1.0 - looked_s
            assert abs(kills[0] - (deadlines[0] - early_s)) < 1e-6, "killed too early"
    ends_of_survivors = [(at, each) for at, each in seen if isinstance(each, EndSurvivors)]
    assert [each.signum for _, each in ends_of_survivors] in ([TERM, KILL], [KILL])
    assert only(Log, [each for _, each in seen])[-1].level == WARN


def deadline_s(options: Any, order: Stop) -> float:
    """Until SIGKILL, as the order and the options promise it."""
    total_s: float = sum(span_s for _, span_s in options.stopsteps)
    total_s += options.stop_command_s if options.stop_command else 0.0
    total_s += options.drain_s if order.drains else 0.0
    total_s = total_s if order.within_s is None else min(total_s, order.within_s)
    return total_s + (0.0 if order.for_good else 1.0)


def check_acts(
    options: Any, order: Stop, seen: list[tuple[float, Value]], later: list[Stop]
) -> None:
    acts: list[object] = []
    for _, effect in seen:
        match effect:
            case RecordTree():
                acts.append("record")
            case RunStopCommand():
                acts.append("command")
            case Kill(signum=signum) | KillGroup(signum=signum) if signum != CONT:
                acts.append(signum)
            case Log(text=text) if text.endswith("(drain)"):
                acts.append("drain")
            case _:
                pass
    expected: list[object] = [] if order.for_good else ["record"]
    if order.drains and options.drain_s:
        expected.append("drain")
    if "drain" in expected and "drain" not in acts and any(not each.drains for each in later):
        expected.remove("drain")  # ended before it began
    expected += ["command"] if options.stop_command else []
    expected += [signum for signum, _ in options.stopsteps]
    first = acts[: len(expected)]
    assert first == expected[: len(first)]
    assert set(acts[len(expected) :]) <= {KILL}
