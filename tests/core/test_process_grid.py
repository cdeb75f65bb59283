"""Every state of a process, in all its shapes, against every kind of event."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from initpy.core import stopping
from initpy.core.door import Process, is_waiting
from initpy.core.messages import (
    WARN,
    ChildrenGone,
    EndSurvivors,
    ExecFailed,
    Executed,
    Exited,
    GiveUp,
    Kill,
    KillFailed,
    KillGroup,
    Log,
    Notice,
    RecordTree,
    Refuse,
    RunStopCommand,
    SetTimer,
    Signal,
    SignalReceived,
    Spawn,
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
from initpy.core.process import step
from initpy.core.states import IDLE, STATE_NAMES, State, Wanted
from initpy.core.values import Value, replace
from initpy.plan import ALWAYS, NEVER, UNEXPECTED, Backoff, RestartLimit
from tests.core.specs import CONT, INT, KILL, TERM, USR1, exited, killed, lines, only, run, spec

if TYPE_CHECKING:
    from initpy.plan import ProcessSpec

NOW, EPOCH, PID, OLD, STRANGER = 50.0, 7, 8, 6, 99

LIMIT = RestartLimit(2, 60.0)
PARTS = (
    (stopping.RECORD, 1.0),
    (stopping.DRAIN, 3.0),
    (stopping.COMMAND, 4.0),
    (TERM, 2.0),
    (INT, 1.0),
)
"""The stages of the longest stop that there is."""


def shape(
    state: int,
    options: ProcessSpec,
    *,
    wanted: int = Wanted.UP,
    pid: int = 0,
    group: int = 0,
    ending: int = 0,
    executed: bool = True,
    **changes: Any,
) -> Process:
    waits = state in (State.BACKOFF, State.STOPPING)
    waits |= state == State.STARTING and not options.oneshot
    waits |= state in IDLE and wanted == Wanted.UP
    process = Process(
        options,
        state=state,
        wanted=wanted,
        epoch=EPOCH,
        due_at=NOW if waits else None,
        pid=pid,
        executed=executed,
        group=group,
        ending=ending,
        failures=int(state == State.BACKOFF),
        status=None if pid else exited(1),
        started_at=NOW - 1,
        lasted_s=0.0 if pid else 5.0,
    )
    return replace(process, **changes)


def shapes(options: ProcessSpec) -> dict[str, Process]:
    """What a process can look like, by a name that says so."""
    up, down = Wanted.UP, Wanted.DOWN

    def of(state: int, wanted: int = up, **changes: Any) -> Process:
        return shape(state, options, wanted=wanted, **changes)

    def told(stages: tuple[tuple[int, float], ...], wanted: int = down, **changes: Any) -> Process:
        live = {"pid": PID, "group": PID, "stages": stages}
        return of(State.STOPPING, wanted, **{**live, **changes})

    found = {
        "STARTING, to be forked": of(State.STARTING, executed=False),
        "STARTING, to be executed": of(State.STARTING, pid=PID, group=PID, executed=False),
        "STARTING": of(State.STARTING, pid=PID, group=PID),
        "RUNNING": of(State.RUNNING, pid=PID, group=PID),
        "RUNNING, restarted twice": of(
            State.RUNNING, pid=PID, group=PID, restarts=(NOW - 59.0, NOW - 1.0)
        ),
        "BACKOFF": of(State.BACKOFF),
        "BACKOFF, survivors told": of(State.BACKOFF, group=OLD, ending=TERM),
        "BACKOFF, survivors killed": of(State.BACKOFF, group=OLD, ending=KILL),
        "STOPPING, recording": told(PARTS),
        "STOPPING, draining": told(PARTS[1:]),
        "STOPPING, in its command": told(PARTS[2:]),
        "STOPPING, first signal": told(PARTS[3:]),
        "STOPPING": told(PARTS[4:]),
        "STOPPING, killed": told((), killed=True),
        "STOPPING, to be forked": told(PARTS[3:], pid=0, group=0),
        "STOPPING, to be forked, drains": told(PARTS[1:], pid=0, group=0),
        "STOPPING, to start again": told(PARTS[4:], up),
        "STOPPING, survivors told": of(State.STOPPING, down, group=OLD, ending=TERM),
        "STOPPING, survivors killed": of(State.STOPPING, down, group=OLD, ending=KILL),
        "UNKNOWN": of(State.UNKNOWN, pid=PID, group=PID),
        "UNKNOWN, unwanted": of(State.UNKNOWN, down, pid=PID, group=PID),
    }
    for state in IDLE:
        name = STATE_NAMES[state]
        found[name] = of(state, down)
        found[f"{name}, a group left"] = of(state, down, group=OLD)
        found[f"{name}, survivors told"] = of(state, group=OLD, ending=TERM)
        found[f"{name}, survivors killed"] = of(state, group=OLD, ending=KILL)
    return found


SHAPES = shapes(spec(restart_limit=LIMIT))

EVENTS: dict[str, Value] = {
    "Start": Start("web"),
    "Start by operator": Start("web", by_operator=True),
    "Stop": Stop("web"),
    "Stop within 0": Stop("web", within_s=0.0),
    "Stop for good": Stop("web", within_s=3.0, for_good=True),
    "Stop, drains": Stop("web", within_s=30.0, for_good=True, drains=True),
    "Signal": Signal("web", USR1),
    "GiveUp": GiveUp("web", "because", exited(3)),
    "Spawned": Spawned("web", PID),
    "SpawnFailed": SpawnFailed("web", "no fork today", 1.0),
    "Executed": Executed("web", PID),
    "Executed, another": Executed("web", STRANGER),
    "ExecFailed": ExecFailed("web", PID, "can't find command 'prog'"),
    "ExecFailed, another": ExecFailed("web", STRANGER, "can't find command 'prog'"),
    "Exited 0": Exited("web", PID, exited(0)),
    "Exited 1": Exited("web", PID, exited(1), 50_000, 1, 0.5),
    "Exited by SIGSEGV": Exited("web", PID, killed(11)),
    "Exited, another": Exited("web", STRANGER, exited(0)),
    "TreeRecorded": TreeRecorded("web", PID),
    "TreeRecorded, another": TreeRecorded("web", STRANGER),
    "StopCommandFailed": StopCommandFailed("web", PID, "exit status 1"),
    "StopCommandFailed, another": StopCommandFailed("web", STRANGER, "exit status 1"),
    "SurvivorsFound": SurvivorsFound("web", OLD, ((20, "worker"),)),
    "SurvivorsFound, another": SurvivorsFound("web", STRANGER, ((20, "worker"),)),
    "SurvivorsGone": SurvivorsGone("web", OLD),
    "SurvivorsGone, another": SurvivorsGone("web", STRANGER),
    "KillFailed": KillFailed("web", PID, 1),
    "KillFailed, another one": KillFailed("web", OLD, 1),
    "KillFailed, another": KillFailed("web", STRANGER, 1),
    "Timer": TimerFired("web", EPOCH),
    "Timer, an earlier epoch": TimerFired("web", EPOCH - 1),
    "Timer, a later epoch": TimerFired("web", EPOCH + 1),
    "SignalReceived": SignalReceived(TERM),
    "ChildrenGone": ChildrenGone(),
}

STEPS = ((TERM, 2.0), (INT, 1.0))
FULL = spec(stop_command=(b"quit",), stop_command_s=4.0, stopsteps=STEPS, drain_s=3.0)

VARIANTS = [
    spec(restart_limit=LIMIT),
    FULL,
    spec(startsecs=0.0, startretries=0, autorestart=NEVER, stopwaitsecs=0.0, exitcodes=()),
    spec(startsecs=0.5, autorestart=ALWAYS, stopasgroup=True, backoff=Backoff(0.5, 2.0, 30.0, 0.1)),
    spec(autorestart=UNEXPECTED, killasgroup=False, exitcodes=(0, 1), startretries=1),
    spec(startsecs=60.0, stopwaitsecs=0.25, restart_limit=RestartLimit(0, 1.0)),
    spec(oneshot=True, startretries=0),
    spec(oneshot=True, autorestart=NEVER, stop_command=(b"quit",), startsecs=0.0),
]


def is_answered_twice(process: Process, event: Value) -> bool:
    """A fork is answered once only."""
    return isinstance(event, Spawned | SpawnFailed) and bool(process.pid or process.group)


GRID = [
    (f"{shape_name} x {event_name}", process, event)
    for options in VARIANTS
    for (shape_name, process), (event_name, event) in product(
        shapes(options).items(), EVENTS.items()
    )
    if not is_answered_twice(process, event)
]

CELLS = [(name, before, event, *step(before, event, NOW)) for name, before, event in GRID]
"""Every one with its answer."""

ACTS = (Kill, KillGroup, RecordTree, RunStopCommand)
ORDERS = (Start, Stop, Signal, GiveUp)


def cell(process: Process, event: Value) -> tuple[Process, tuple[Value, ...]]:
    return step(process, event, NOW)


def test_the_grid_has_every_state_and_every_event() -> None:
    assert {process.state for _, process, _ in GRID} == set(STATE_NAMES)
    assert len(GRID) > 8000


def test_a_state_changes_at_one_door_only_which_starts_a_new_epoch() -> None:
    for name, before, _, after, effects in CELLS:
        seen = only(Notice, effects)
        path = [notice.old for notice in seen] + [after.state]
        assert path[0] == before.state, name
        assert [notice.process.state for notice in seen] == path[1:], name
        doors = after.epoch - before.epoch
        assert doors >= len(seen), name
        if not doors:
            assert (after.state, after.due_at) == (before.state, before.due_at), name
            assert after.stages == before.stages or not before.pid, name
            assert not only(SetTimer, effects), name


def test_who_waits_has_exactly_one_live_timer_and_nobody_else_has() -> None:
    for name, before, event, after, effects in CELLS:
        armed = {before.epoch} if before.due_at is not None else set()
        if event == TimerFired("web", before.epoch):
            armed = set()
        for timer in only(SetTimer, effects):
            armed = {timer.epoch}  # the newest timer of a key is the only one
            assert timer.key == "web", name
            assert timer.due_at >= NOW, name
        assert (after.epoch in armed) == waits(after), name
        assert waits(after) == is_waiting(after) == (after.due_at is not None), name
        last = only(SetTimer, effects)[-1:]
        assert all(timer.due_at == after.due_at for timer in last if waits(after)), name


def waits(process: Process) -> bool:
    """Whether something is to happen by itself."""
    if process.state in IDLE:
        return process.wanted == Wanted.UP
    if process.state == State.STARTING:
        return not process.spec.oneshot
    return process.state in (State.BACKOFF, State.STOPPING)


def test_an_event_arms_one_timer_at_the_most() -> None:
    for name, _, _, _, effects in CELLS:
        assert len(only(SetTimer, effects)) <= 1, name


def test_a_timer_that_is_not_armed_does_nothing() -> None:
    for name, before, event, after, effects in CELLS:
        if isinstance(event, TimerFired) and before.due_at is None:
            assert (after, effects) == (before, ()), name


def test_a_refused_order_leaves_the_process_as_it_was_and_does_nothing_else() -> None:
    refused = 0
    for name, before, event, after, effects in CELLS:
        if only(Refuse, effects):
            refused += 1
            assert isinstance(event, ORDERS), name
            assert (after, len(effects)) == (before, 1), name
            assert only(Refuse, effects)[0].order == event, name
    assert refused > 800


def test_an_order_is_refused_or_carried_out_and_never_lost() -> None:
    """What was wanted is wanted afterwards, or it is told that it will not be."""
    for name, _, event, after, effects in CELLS:
        if not only(Refuse, effects):
            if isinstance(event, Start):
                assert after.wanted == Wanted.UP, name
            if isinstance(event, Stop | GiveUp):
                assert after.wanted == Wanted.DOWN, name


def test_what_is_late_or_of_another_changes_nothing() -> None:
    for name, before, event, after, effects in CELLS:
        if "another" in name or "epoch" in name or isinstance(event, SignalReceived | ChildrenGone):
            assert (after, effects) == (before, ()), name


def test_only_the_live_instance_is_signalled_and_only_its_own_group() -> None:
    for name, before, event, after, effects in CELLS:
        for kill in only(Kill, effects):
            assert kill.pid == (before.pid or after.pid) != 0, name
            assert not isinstance(event, Exited), name
        for kill_group in only(KillGroup, effects):
            assert kill_group.group == after.pid == after.group, name
            assert kill_group.group > 1, name
            assert not isinstance(event, Exited), name


def test_survivors_are_ended_only_when_the_instance_is_dead_and_before_the_next_lives() -> None:
    ended = 0
    for name, before, _, after, effects in CELLS:
        for end in only(EndSurvivors, effects):
            ended += 1
            assert end.group == before.group == after.group > 1, name
            assert not after.pid, name
            assert end.signum in (0, TERM, KILL), name
            assert not only((Spawn, Kill, KillGroup), effects), name
            if end.signum:
                assert after.ending == end.signum, name
                assert waits(after), name
            else:  # it is only looked for them, where nobody will start it
                assert not waits(after), name
    assert ended > 500


def test_nothing_is_spawned_beside_a_live_instance_or_survivors() -> None:
    for name, before, event, after, effects in CELLS:
        if only(Spawn, effects):
            assert (after.state, after.pid, after.group, after.ending) == (State.STARTING, 0, 0, 0)
            assert after.wanted == Wanted.UP, name
            assert not before.pid or (isinstance(event, Exited) and not before.group), name


def test_a_process_lives_in_a_state_that_has_an_instance_only() -> None:
    for name, _, _, after, _ in CELLS:
        if after.pid:
            live = (State.STARTING, State.RUNNING, State.STOPPING, State.UNKNOWN)
            assert after.state in live, name
            assert after.group == after.pid, name


def test_only_a_stop_has_stages_and_only_while_there_is_an_instance_to_stop() -> None:
    for name, before, _, after, _ in CELLS:
        if after.stages:
            assert after.state == State.STOPPING, name
            assert after.pid or not after.group, name
        if after.state == State.STOPPING and after.pid:
            assert after.stages or after.killed, name
        assert len(after.stages) <= max(len(before.stages), len(PARTS)), name


def test_a_stage_begins_with_what_it_is_about_and_with_nothing_else() -> None:
    """And every stage that begins does begin: its timer runs for its own time."""
    begun = 0
    for name, before, event, after, effects in CELLS:
        acts: list[Any] = only(ACTS, effects)
        at_another = not before.pid or (
            after.stages[:1] and before.stages[:1] and (after.stages[0][0] != before.stages[0][0])
        )
        if (
            isinstance(event, Signal)
            or not (after.state == State.STOPPING and after.pid)
            or not (at_another or acts)
        ):
            continue
        begun += 1
        if not after.stages:
            assert [only(Log, effects)[-1].level, *[act.signum for act in acts]] == [WARN, KILL]
            assert after.due_at == NOW + 1.0, name
            continue
        what, span_s = after.stages[0]
        assert after.due_at == NOW + span_s, name
        if what == stopping.RECORD:
            assert acts == [RecordTree("web", PID)], name
        elif what == stopping.DRAIN:
            assert acts == [], name
            assert lines(effects)[-1].endswith("(drain)"), name
        elif what == stopping.COMMAND:
            assert acts == [RunStopCommand("web", PID)], name
        else:
            assert [act.signum for act in acts] == [what, CONT], name
    assert begun > 200


def test_what_is_stopped_in_a_hurry_is_killed_no_later_than_the_order_says() -> None:
    for name, before, event, after, effects in CELLS:
        if not isinstance(event, Stop) or event.within_s is None or only(Refuse, effects):
            continue
        if after.due_at is not None:
            later_s = sum(span_s for _, span_s in after.stages[1:]) if after.pid else 0.0
            is_recorded = not before.stages and stopping.RECORD in dict(after.stages)
            within_s = event.within_s + (1.0 if is_recorded else 0.0)
            assert after.due_at + later_s - NOW <= within_s + 1e-9, name


# ---------------------------------------------------------------- cell by cell

SAME = "-"
COLUMNS = (
    "Start",
    "Stop",
    "Stop for good",
    "Exited 0",
    "Exited 1",
    "Timer",
    "SurvivorsGone",
    "KillFailed",
)

NEXT_STATE = """
shape                          | Start    | Stop     | Stop for good | Exited 0 | Exited 1 | Timer    | SurvivorsGone | KillFailed
STOPPED                        | STARTING | -        | -             | -        | -        | -        | -             | -
STOPPED, a group left          | -        | -        | STOPPING      | -        | -        | -        | -             | -
STOPPED, survivors told        | -        | STOPPING | STOPPING      | -        | -        | -        | STARTING      | -
STOPPED, survivors killed      | -        | STOPPING | STOPPING      | -        | -        | STARTING | STARTING      | -
EXITED                         | STARTING | -        | -             | -        | -        | -        | -             | -
EXITED, a group left           | -        | -        | STOPPING      | -        | -        | -        | -             | -
EXITED, survivors told         | -        | STOPPING | STOPPING      | -        | -        | -        | STARTING      | -
EXITED, survivors killed       | -        | STOPPING | STOPPING      | -        | -        | STARTING | STARTING      | -
FATAL                          | STARTING | -        | -             | -        | -        | -        | -             | -
FATAL, a group left            | -        | -        | STOPPING      | -        | -        | -        | -             | -
FATAL, survivors told          | -        | STOPPING | STOPPING      | -        | -        | -        | STARTING      | -
FATAL, survivors killed        | -        | STOPPING | STOPPING      | -        | -        | STARTING | STARTING      | -
STARTING, to be forked         | -        | STOPPING | STOPPING      | -        | -        | -        | -             | -
STARTING, to be executed       | -        | STOPPING | STOPPING      | EXITED   | EXITED   | -        | -             | UNKNOWN
STARTING                       | -        | STOPPING | STOPPING      | EXITED   | EXITED   | RUNNING  | -             | UNKNOWN
RUNNING                        | -        | STOPPING | STOPPING      | EXITED   | EXITED   | -        | -             | UNKNOWN
RUNNING, restarted twice       | -        | STOPPING | STOPPING      | EXITED   | FATAL    | -        | -             | UNKNOWN
BACKOFF                        | -        | STOPPED  | FATAL         | -        | -        | STARTING | -             | -
BACKOFF, survivors told        | -        | STOPPING | FATAL         | -        | -        | -        | -             | -
BACKOFF, survivors killed      | -        | STOPPING | FATAL         | -        | -        | STARTING | STARTING      | -
STOPPING, recording            | -        | -        | -             | -        | -        | -        | -             | UNKNOWN
STOPPING, draining             | -        | -        | -             | -        | -        | -        | -             | UNKNOWN
STOPPING, in its command       | -        | -        | -             | -        | -        | -        | -             | UNKNOWN
STOPPING, first signal         | -        | -        | -             | -        | -        | -        | -             | UNKNOWN
STOPPING                       | -        | -        | -             | -        | -        | -        | -             | UNKNOWN
STOPPING, killed               | -        | -        | -             | -        | -        | -        | -             | UNKNOWN
STOPPING, to be forked         | -        | -        | -             | -        | -        | -        | -             | -
STOPPING, to be forked, drains | -        | -        | -             | -        | -        | -        | -             | -
STOPPING, to start again       | -        | -        | -             | -        | -        | -        | -             | UNKNOWN
STOPPING, survivors told       | -        | -        | -             | -        | -        | -        | STOPPED       | -
STOPPING, survivors killed     | -        | -        | -             | -        | -        | STOPPED  | STOPPED       | -
UNKNOWN                        | -        | -        | -             | EXITED   | EXITED   | -        | -             | -
UNKNOWN, unwanted              | -        | -        | -             | STOPPED  | STOPPED  | -        | -             | -
"""  # noqa: E501 - a table
"""By what is left to run after it; "-": it stays. Up for exactly startsecs, and at most two
restarts a minute."""


def table(text: str) -> dict[str, dict[str, str]]:
    """Rows by name, each of them cells by column."""
    head, *rows = [[word.strip() for word in row.split("|")] for row in text.strip().splitlines()]
    return {name: dict(zip(head[1:], cells, strict=True)) for name, *cells in rows}


def test_the_table_has_every_shape_and_every_column() -> None:
    rows = table(NEXT_STATE)
    assert set(rows) == set(SHAPES)
    assert all(tuple(cells) == COLUMNS for cells in rows.values())


@pytest.mark.parametrize(("row", "expected"), table(NEXT_STATE).items())
def test_the_state_that_comes_next(row: str, expected: dict[str, str]) -> None:
    before = SHAPES[row]
    seen = {}
    for column in expected:
        after, _ = cell(before, EVENTS[column])
        seen[column] = SAME if after.state == before.state else STATE_NAMES[after.state]
    assert seen == expected


NEXT_STATE_OF_ONESHOT = """
shape                    | Start | Stop     | Exited 0 | Exited 1 | Timer    | KillFailed
STARTING, to be forked   | -     | STOPPING | -        | -        | -        | -
STARTING, to be executed | -     | STOPPING | EXITED   | BACKOFF  | -        | UNKNOWN
STARTING                 | -     | STOPPING | EXITED   | BACKOFF  | -        | UNKNOWN
BACKOFF                  | -     | STOPPED  | -        | -        | STARTING | -
STOPPING, first signal   | -     | -        | -        | -        | -        | UNKNOWN
"""


@pytest.mark.parametrize(("row", "expected"), table(NEXT_STATE_OF_ONESHOT).items())
def test_the_state_that_comes_next_for_a_oneshot(row: str, expected: dict[str, str]) -> None:
    before = shapes(spec(oneshot=True, startsecs=60.0))[row]
    seen = {}
    for column in expected:
        after, _ = cell(before, EVENTS[column])
        seen[column] = SAME if after.state == before.state else STATE_NAMES[after.state]
    assert seen == expected


STAGE_NAMES = {
    stopping.RECORD: "RECORD",
    stopping.DRAIN: "DRAIN",
    stopping.COMMAND: "COMMAND",
    TERM: "TERM",
    INT: "INT",
}

NEXT_STAGE = """
shape                          | Timer   | TreeRecorded | StopCommandFailed | Stop    | Stop for good | Stop, drains | Start   | Spawned
STOPPING, recording            | DRAIN   | DRAIN        | -                 | -       | -             | -            | -       | none
STOPPING, draining             | COMMAND | -            | -                 | COMMAND | COMMAND       | -            | -       | none
STOPPING, in its command       | TERM    | -            | TERM              | -       | -             | -            | -       | none
STOPPING, first signal         | INT     | -            | -                 | -       | -             | -            | -       | none
STOPPING                       | KILL    | -            | -                 | -       | -             | -            | -       | none
STOPPING, killed               | KILL    | -            | -                 | -       | -             | -            | -       | none
STOPPING, to start again       | KILL    | -            | -                 | -       | -             | -            | -       | none
STOPPING, to be forked         | -       | -            | -                 | -       | -             | -            | -       | TERM
STOPPING, to be forked, drains | -       | -            | -                 | -       | -             | -            | -       | DRAIN
"""  # noqa: E501 - a table
"""Which stage of the stop begins; "-": none."""


@pytest.mark.parametrize(("row", "expected"), table(NEXT_STAGE).items())
def test_the_stage_that_comes_next(row: str, expected: dict[str, str]) -> None:
    before = shapes(FULL)[row]
    seen = {}
    for column in expected:
        if is_answered_twice(before, EVENTS[column]):
            seen[column] = "none"
            continue
        after, effects = cell(before, EVENTS[column])
        seen[column] = SAME
        if only(ACTS, effects) or any(line.endswith("(drain)") for line in lines(effects)):
            seen[column] = STAGE_NAMES[after.stages[0][0]] if after.stages else "KILL"
    assert seen == expected


def test_the_answers_to_a_spawn() -> None:
    """Spawned, SpawnFailed, Executed and ExecFailed, in the states that can still get them."""
    answers = {
        ("STARTING, to be forked", "Spawned"): "STARTING",
        ("STARTING, to be forked", "SpawnFailed"): "BACKOFF",
        ("STARTING, to be executed", "Executed"): "STARTING",
        ("STARTING, to be executed", "ExecFailed"): "STARTING",
        ("STOPPING, to be forked", "Spawned"): "STOPPING",
        ("STOPPING, to be forked", "SpawnFailed"): "STOPPED",
        ("STOPPING", "Executed"): "STOPPING",
        ("STOPPING", "ExecFailed"): "STOPPING",
    }
    for (row, column), expected in answers.items():
        after, _ = cell(SHAPES[row], EVENTS[column])
        assert STATE_NAMES[after.state] == expected, (row, column)


# ---------------------------------------------------------------- supervisord's faults

FAULTS = """
shape                      | Start           | Stop        | Signal      | GiveUp
STOPPED                    | ok              | NOT_RUNNING | NOT_RUNNING | ok
STOPPED, survivors told    | ok              | ok          | NOT_RUNNING | ok
EXITED                     | ok              | NOT_RUNNING | NOT_RUNNING | ok
EXITED, survivors told     | ok              | ok          | NOT_RUNNING | ok
FATAL                      | ok              | NOT_RUNNING | NOT_RUNNING | ok
STARTING                   | ALREADY_STARTED | ok          | ok          | ALREADY_STARTED
STARTING, to be forked     | ALREADY_STARTED | ok          | NOT_RUNNING | ALREADY_STARTED
RUNNING                    | ALREADY_STARTED | ok          | ok          | ALREADY_STARTED
BACKOFF                    | ALREADY_STARTED | ok          | NOT_RUNNING | ALREADY_STARTED
BACKOFF, survivors told    | ALREADY_STARTED | ok          | NOT_RUNNING | ALREADY_STARTED
STOPPING                   | ok              | NOT_RUNNING | ok          | ALREADY_STARTED
STOPPING, to start again   | ok              | ok          | ok          | ALREADY_STARTED
STOPPING, survivors told   | ok              | NOT_RUNNING | NOT_RUNNING | ALREADY_STARTED
UNKNOWN                    | FAILED          | NOT_RUNNING | NOT_RUNNING | ALREADY_STARTED
"""


@pytest.mark.parametrize(("row", "expected"), table(FAULTS).items())
def test_an_order_is_carried_out_or_refused_in_supervisords_words(
    row: str, expected: dict[str, str]
) -> None:
    before = SHAPES[row]
    seen = {}
    for column in expected:
        after, effects = cell(before, EVENTS[column])
        faults = [refuse.fault for refuse in only(Refuse, effects)]
        seen[column] = faults[0] if faults else "ok"
        assert not faults or after == before
    assert seen == expected


def test_no_shape_is_a_dead_end() -> None:
    """With the timers alone, whatever the rest of the world does not say, who waits moves on, and
    who was wanted down ends up without a timer, unless an instance still lives."""
    for name, before in SHAPES.items():
        process, now = before, NOW
        for _ in range(20):
            if not is_waiting(process):
                break
            assert process.due_at is not None
            now = max(now, process.due_at)
            process, effects = run(process, (now, TimerFired("web", process.epoch)))
            assert effects, name
            if only(Spawn, effects):
                process, _ = run(process, (now, Spawned("web", 20)), (now, Executed("web", 20)))
        else:
            hangs = process.state == State.STARTING and not process.executed
            deaf_to_sigkill = process.state == State.STOPPING and process.pid
            not_forked_yet = process.state == State.STOPPING and not process.group
            assert hangs or deaf_to_sigkill or not_forked_yet, name
        if before.state in (*IDLE, State.BACKOFF) and before.wanted == Wanted.UP:
            assert process.state == State.RUNNING, name


def test_a_fact_for_the_group_of_a_live_instance_is_ignored() -> None:
    """It cannot be empty while its leader lives: the fact is about a time before its setsid."""
    for name in ("STARTING", "RUNNING", "STOPPING", "UNKNOWN"):
        before = SHAPES[name]
        assert cell(before, SurvivorsGone("web", PID)) == (before, ())
        assert cell(before, SurvivorsFound("web", PID, ((20, "worker"),))) == (before, ())


def test_the_same_answer_for_the_same_question() -> None:
    for name, before, event in GRID:
        copy = replace(before)
        assert cell(before, event) == cell(copy, event), name
        assert before == copy, name
