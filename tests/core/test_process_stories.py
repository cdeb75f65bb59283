"""The life of one process, row by row of supervisord's table, in its own words."""

from __future__ import annotations

import pytest

from initpy.core.door import Process
from initpy.core.messages import (
    INFO,
    WARN,
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
    SetTimer,
    Signal,
    Spawn,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
    SurvivorsFound,
    SurvivorsGone,
    TimerFired,
    TreeRecorded,
)
from initpy.core.process import step
from initpy.core.states import ExitStatus, State, Wanted
from initpy.core.values import replace
from initpy.plan import ALWAYS, NEVER, UNEXPECTED
from tests.core.lives import PID, crash, ends, starting, stop, timer, up, words
from tests.core.specs import (
    CONT,
    KILL,
    QUIT,
    TERM,
    USR1,
    exited,
    killed,
    lines,
    moves,
    only,
    run,
    spec,
    without_timers,
)

# ---------------------------------------------------------------- the way up


def test_a_start_forks_and_gives_it_startsecs_to_prove_itself() -> None:
    process, effects = step(Process(spec(startsecs=1.5)), Start("web"), 10.0)
    assert process.state == State.STARTING
    assert process.wanted == Wanted.UP
    assert effects == (
        Notice(process, State.STOPPED),
        SetTimer("web", 11.5, process.epoch),
        Spawn("web"),
    )


def test_a_spawn_is_told_with_its_pid() -> None:
    process, _ = run(Process(spec()), (0.0, Start("web")))
    process, effects = step(process, Spawned("web", PID), 3.0)
    assert effects == (
        SetTimer("web", 4.0, process.epoch),  # startsecs counts from the fork
        Log(INFO, "spawned: 'web' with pid 8"),
    )
    assert (process.state, process.pid) == (State.STARTING, PID)


def test_who_stays_up_for_startsecs_is_running_and_its_failures_are_forgotten() -> None:
    process, _ = run(
        Process(spec(), state=State.BACKOFF, wanted=Wanted.UP, failures=2, epoch=5, due_at=0.0),
        (0.0, TimerFired("web", 5)),
        (0.0, Spawned("web", PID)),
        (0.0, Executed("web", PID)),
    )
    assert process.failures == 2
    process, effects = step(process, timer(process), 1.0)
    assert (process.state, process.failures) == (State.RUNNING, 0)
    assert moves(effects) == [("STARTING", "RUNNING")]
    assert words(list(effects)) == [
        "success: web entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)"
    ]
    assert not only(SetTimer, effects)


def test_startsecs_of_0_is_running_as_soon_as_exec_has_worked() -> None:
    process, effects = run(
        Process(spec(startsecs=0.0)), (0.0, Start("web")), (0.0, Spawned("web", PID))
    )
    assert process.state == State.STARTING
    process, effects = run(process, (0.1, Executed("web", PID)))
    assert words(effects) == [
        "success: web entered RUNNING state, process has stayed up for > than 0 seconds (startsecs)"
    ]


def test_startsecs_may_be_a_fraction() -> None:
    process, effects = run(Process(spec(startsecs=0.25)), (3.0, Start("web")))
    assert [timer.due_at for timer in only(SetTimer, effects)] == [3.25]
    process = starting(startsecs=0.25)
    process, effects = run(process, (0.25, timer(process)))
    assert words(effects)[0].endswith("stayed up for > than 0.25 seconds (startsecs)")


@pytest.mark.parametrize("startsecs", [0.0, 0.5])
def test_a_program_whose_exec_hangs_is_not_running(startsecs: float) -> None:
    """A slow file system; supervisord would take the fork for the program."""
    process, _ = run(
        Process(spec(startsecs=startsecs)), (0.0, Start("web")), (0.0, Spawned("web", PID))
    )
    for _ in range(5):
        assert process.due_at is not None
        process, effects = run(process, (process.due_at, timer(process)))
        assert process.state == State.STARTING
        assert len(only(SetTimer, effects)) == 1
    now = process.due_at or 0.0
    process, _ = run(process, (now, Executed("web", PID)))
    if startsecs:
        process, _ = run(process, (now, timer(process)))
    assert process.state == State.RUNNING


# ---------------------------------------------------------------- failing to start


@pytest.mark.parametrize("status", [exited(0), exited(1), killed(11)])
def test_who_ends_before_startsecs_has_failed_whatever_its_exit_code(status: ExitStatus) -> None:
    process, effects = ends(starting(), 0.5, status)
    assert process.state == State.BACKOFF
    assert (process.failures, process.pid, process.status) == (1, 0, status)
    assert process.spawnerr == "Exited too quickly (process log may have details)"
    assert moves(effects) == [("STARTING", "BACKOFF")]
    how = "terminated by SIGSEGV" if status.signal else f"exit status {status.code}"
    assert words(effects) == [f"exited: web ({how}; not expected), up for 0.5 s"]
    assert [notice.process.failures for notice in only(Notice, effects)] == [1]


def test_with_the_defaults_it_is_fatal_after_four_attempts_and_6_s() -> None:
    process, now, attempts = Process(spec()), 0.0, []
    process, effects = run(process, (now, Start("web")))
    said = words(effects)
    while process.state != State.FATAL:
        if only(Spawn, effects):
            attempts.append(now)
            process, effects = run(
                process,
                (now, Spawned("web", PID + len(attempts))),
                (now, Executed("web", PID + len(attempts))),
            )
            said += words(effects)
            process, effects = ends(process, now, exited(1))
        else:
            assert process.due_at is not None
            now = process.due_at
            process, effects = run(process, (now, timer(process)))
        said += words(effects)
    assert attempts == [0.0, 1.0, 3.0, 6.0]
    assert said[-2:] == [
        "exited: web (exit status 1; not expected), up for 0 s",
        "gave up: web entered FATAL state, too many start retries too quickly",
    ]
    assert (process.failures, process.wanted, process.due_at) == (0, Wanted.DOWN, None)


def test_the_last_failure_passes_through_backoff_into_fatal_at_once() -> None:
    process, effects = ends(starting(startretries=0), 0.2, exited(1))
    assert moves(effects) == [("STARTING", "BACKOFF"), ("BACKOFF", "FATAL")]
    assert [notice.process.failures for notice in only(Notice, effects)] == [1, 0]
    assert not only(SetTimer, effects)
    assert process.state == State.FATAL


def test_startretries_counts_the_second_start_as_the_first_retry() -> None:
    process, _ = ends(starting(startretries=1), 0.2, exited(1))
    assert process.state == State.BACKOFF
    process, effects = run(process, (1.2, timer(process)))
    assert without_timers(effects) == [Spawn("web")]
    process, _ = run(process, (1.2, Spawned("web", 9)), (1.2, Executed("web", 9)))
    process, _ = ends(process, 1.4, exited(1))
    assert process.state == State.FATAL


def test_a_failed_fork_is_a_failed_start_with_its_reason() -> None:
    reason = "Too many processes in process table to spawn 'web'"
    process, effects = run(
        Process(spec(startretries=1)), (0.0, Start("web")), (0.0, SpawnFailed("web", reason))
    )
    assert (process.state, process.spawnerr, process.status) == (
        State.BACKOFF,
        reason,
        exited(126),
    )
    assert words(effects) == [f"spawnerr: {reason} (web)"]
    assert process.due_at == 1.0
    process, effects = run(process, (1.0, timer(process)), (1.0, SpawnFailed("web", reason)))
    assert words(effects) == [
        f"spawnerr: {reason} (web)",
        "gave up: web entered FATAL state, too many start retries too quickly: " + reason,
    ]


def test_a_failed_exec_is_a_failed_start_with_its_reason_even_with_startsecs_0() -> None:
    reason = "can't find command 'prog'"
    process, effects = run(
        Process(spec(startsecs=0.0)),
        (0.0, Start("web")),
        (0.0, Spawned("web", PID)),
        (0.0, ExecFailed("web", PID, reason)),
    )
    assert process.state == State.STARTING
    process, effects = ends(process, 0.0, exited(127))
    assert process.state == State.BACKOFF
    assert (process.spawnerr, process.status) == (reason, exited(127))
    assert words(effects) == [f"spawnerr: {reason} (web)"]


def test_an_exec_that_fails_after_startsecs_has_not_been_running() -> None:
    process, _ = run(
        Process(spec()),
        (0.0, Start("web")),
        (0.0, Spawned("web", PID)),
        (1.0, TimerFired("web", 1)),
        (1.5, ExecFailed("web", PID, "slow and gone")),
    )
    process, effects = ends(process, 1.5, exited(127))
    assert moves(effects) == [("STARTING", "BACKOFF")]


def test_the_reason_is_forgotten_at_the_next_spawn() -> None:
    process, _ = ends(starting(), 0.5, exited(1))
    process, _ = run(process, (1.5, timer(process)))
    assert (process.state, process.spawnerr) == (State.STARTING, "")


# ---------------------------------------------------------------- ending by itself


def test_an_exit_after_startsecs_that_came_before_the_timer_has_been_running() -> None:
    process, effects = ends(starting(autorestart=NEVER), 1.0, exited(0))
    assert moves(effects) == [("STARTING", "RUNNING"), ("RUNNING", "EXITED")]
    assert words(effects) == [
        "success: web entered RUNNING state, process has stayed up for > than 1 seconds"
        " (startsecs)",
        "exited: web (exit status 0; expected)",
    ]
    assert process.state == State.EXITED


def test_with_startsecs_0_even_an_exit_at_once_has_been_running() -> None:
    process, effects = run(
        Process(spec(startsecs=0.0)), (0.0, Start("web")), (0.0, Spawned("web", PID))
    )
    process, effects = ends(process, 0.0, exited(0))
    assert moves(effects) == [("STARTING", "RUNNING"), ("RUNNING", "EXITED")]


@pytest.mark.parametrize(
    ("autorestart", "status", "again"),
    [
        (NEVER, exited(0), False),
        (NEVER, exited(1), False),
        (NEVER, killed(9), False),
        (UNEXPECTED, exited(0), False),
        (UNEXPECTED, exited(2), False),
        (UNEXPECTED, exited(1), True),
        (UNEXPECTED, killed(9), True),
        (ALWAYS, exited(0), True),
        (ALWAYS, exited(1), True),
        (ALWAYS, killed(9), True),
    ],
)
def test_autorestart(autorestart: int, status: ExitStatus, again: bool) -> None:
    process, effects = ends(up(autorestart=autorestart, exitcodes=(0, 2, 137)), 5.0, status)
    if again:
        assert moves(effects) == [("RUNNING", "EXITED"), ("EXITED", "STARTING")]
        assert only(Spawn, effects) == [Spawn("web")]
        assert process.started_at == 5.0
    else:
        assert moves(effects) == [("RUNNING", "EXITED")]
        assert (process.state, process.wanted) == (State.EXITED, Wanted.DOWN)
        assert not only(SetTimer, effects)
    assert process.status == status


@pytest.mark.parametrize(
    ("status", "line", "spawnerr"),
    [
        (exited(0), "exited: web (exit status 0; expected)", ""),
        (exited(3), "exited: web (exit status 3; not expected), up for 5 s", "Bad exit code 3"),
        (
            killed(9),
            "exited: web (terminated by SIGKILL; not expected), up for 5 s",
            "Bad exit code -1",
        ),
    ],
)
def test_an_exit_is_told_as_expected_or_not(status: ExitStatus, line: str, spawnerr: str) -> None:
    process, effects = ends(up(autorestart=NEVER), 5.0, status)
    assert words(effects) == [line]
    assert process.spawnerr == spawnerr


def test_a_death_by_signal_is_never_expected_whatever_exitcodes_says() -> None:
    process, effects = ends(up(autorestart=UNEXPECTED, exitcodes=(0, 9, 137)), 5.0, killed(9))
    assert process.state == State.STARTING
    assert words(effects)[0] == ("exited: web (terminated by SIGKILL; not expected), up for 5 s")


def test_restarts_after_running_have_no_delay_and_no_cap() -> None:
    process = up(autorestart=ALWAYS, startsecs=0.0)
    for pid in range(9, 60):
        process, effects = ends(process, 5.0, exited(1))
        assert only(Spawn, effects), pid
        process, _ = run(process, (5.0, Spawned("web", pid)), (5.0, Executed("web", pid)))
        assert process.state == State.RUNNING


# ---------------------------------------------------------------- stopping


def test_a_stop_sends_the_stop_signal_to_the_leader_and_wakes_it() -> None:
    process, effects = step(up(stopsignal=QUIT, stopwaitsecs=4.0), Stop("web", for_good=True), 10.0)
    assert effects == (
        Notice(process, State.RUNNING),
        SetTimer("web", 14.0, process.epoch),
        Kill("web", PID, QUIT),
        Kill("web", PID, CONT),
    )
    assert (process.state, process.wanted) == (State.STOPPING, Wanted.DOWN)


def test_before_it_what_descends_from_the_instance_is_recorded() -> None:
    process, effects = step(up(), Stop("web"), 10.0)
    assert effects == (
        Notice(process, State.RUNNING),
        SetTimer("web", 11.0, process.epoch),
        RecordTree("web", PID),
    )
    process, effects = step(process, TreeRecorded("web", PID), 10.25)
    assert effects == (
        SetTimer("web", 20.25, process.epoch),
        Kill("web", PID, TERM),
        Kill("web", PID, CONT),
    )


def test_a_helper_that_does_not_answer_holds_no_stop_up_for_more_than_a_second() -> None:
    process, _ = run(up(), (10.0, Stop("web")))
    process, effects = run(process, (11.0, timer(process)))
    assert without_timers(effects) == [Kill("web", PID, TERM), Kill("web", PID, CONT)]
    assert process.due_at == 21.0
    assert run(process, (11.5, TreeRecorded("web", PID))) == (process, [])


def test_who_dies_while_that_is_recorded_is_stopped() -> None:
    process, _ = run(up(), (10.0, Stop("web")))
    process, effects = ends(process, 10.2, killed(11))
    assert moves(effects) == [("STOPPING", "STOPPED")]
    assert run(process, (10.3, TreeRecorded("web", PID))) == (process, [])


def test_stopasgroup_sends_it_to_the_group() -> None:
    _, effects = stop(up(stopasgroup=True), 10.0)
    assert without_timers(effects) == [
        RecordTree("web", PID),
        KillGroup("web", PID, TERM),
        KillGroup("web", PID, CONT),
    ]


def test_who_obeys_is_stopped_with_its_status() -> None:
    process, _ = stop(up(), 10.0)
    process, effects = ends(process, 10.5, exited(0))
    assert moves(effects) == [("STOPPING", "STOPPED")]
    assert words(effects) == ["stopped: web (exit status 0)"]
    assert (process.status, process.pid, process.due_at) == (exited(0), 0, None)


def test_a_stopped_process_is_not_restarted_whatever_autorestart_says() -> None:
    process, _ = stop(up(autorestart=ALWAYS), 10.0)
    process, effects = ends(process, 10.5, killed(TERM))
    assert words(effects) == ["stopped: web (terminated by SIGTERM)"]
    assert not only(Spawn, effects)


def test_who_is_deaf_gets_sigkill_after_stopwaitsecs_again_and_again() -> None:
    process, _ = stop(up(stopwaitsecs=2.0), 10.0)
    for now in (12.0, 13.0, 14.0):
        assert process.due_at == now
        process, effects = run(process, (now, timer(process)))
        assert without_timers(effects) == [KillGroup("web", PID, KILL)]
        assert words(effects) == ["killing 'web' (8) with SIGKILL: it did not stop in time"]
    assert process.state == State.STOPPING  # only the kernel says that it is dead
    process, effects = ends(process, 14.5, killed(KILL))
    assert words(effects) == ["stopped: web (terminated by SIGKILL)"]


def test_without_killasgroup_sigkill_is_for_the_leader() -> None:
    process, _ = stop(up(stopwaitsecs=2.0, killasgroup=False), 10.0)
    _, effects = run(process, (12.0, timer(process)))
    assert without_timers(effects) == [Kill("web", PID, KILL)]


def test_stopwaitsecs_0_is_sigkill_at_the_next_turn() -> None:
    process, effects = stop(up(stopwaitsecs=0.0), 10.0)
    assert process.due_at == 10.0
    _, effects = run(process, (10.0, timer(process)))
    assert KillGroup("web", PID, KILL) in effects


@pytest.mark.parametrize(("within_s", "due_at"), [(None, 20.0), (3.0, 13.0), (60.0, 20.0)])
def test_a_stop_within_less_than_stopwaitsecs_is_shorter(
    within_s: float | None, due_at: float
) -> None:
    process, _ = stop(up(stopwaitsecs=10.0), 10.0, within_s=within_s)
    assert process.due_at == due_at


def test_a_second_stop_is_refused_but_may_cut_the_time_short() -> None:
    process, _ = stop(up(stopwaitsecs=10.0), 10.0)
    same, effects = run(process, (11.0, Stop("web")))
    assert effects == [Refuse(Stop("web"), "NOT_RUNNING")]
    assert same == process
    process, effects = run(process, (11.0, Stop("web", within_s=2.0)))
    assert process.due_at == 13.0
    assert without_timers(effects) == []


def test_a_stop_that_has_more_time_does_not_lengthen_the_one_under_way() -> None:
    process, _ = stop(up(stopwaitsecs=2.0), 10.0)
    process, _ = run(process, (11.0, Stop("web", within_s=5.0, for_good=True)))
    assert process.due_at == 12.0


def test_a_stop_in_starting_stops_it_and_keeps_the_failures() -> None:
    process, _ = ends(starting(), 0.1, exited(1))
    process, _ = run(
        process,
        (1.1, timer(process)),
        (1.1, Spawned("web", 9)),
        (1.1, Executed("web", 9)),
        (1.5, Stop("web")),
    )
    assert process.state == State.STOPPING
    process, _ = ends(process, 1.6, exited(0))
    assert (process.state, process.failures) == (State.STOPPED, 1)


def test_a_stop_in_backoff_sends_nothing_and_keeps_the_failures() -> None:
    process, _ = ends(starting(), 0.1, exited(1))
    process, effects = run(process, (0.5, Stop("web")))
    assert moves(effects) == [("BACKOFF", "STOPPED")]
    assert without_timers(effects) == []
    assert (process.pid, process.failures, process.due_at) == (0, 1, None)
    late, effects = run(process, (1.1, TimerFired("web", process.epoch - 1)))
    assert (late, effects) == (process, [])
    process, effects = run(process, (2.0, Start("web")))
    assert [notice.process.failures for notice in only(Notice, effects)] == [1]


def test_a_stop_for_good_in_backoff_is_fatal() -> None:
    process, _ = ends(starting(), 0.1, exited(1))
    process, effects = run(process, (0.5, Stop("web", for_good=True)))
    assert moves(effects) == [("BACKOFF", "FATAL")]
    assert (process.failures, process.wanted) == (0, Wanted.DOWN)
    assert words(effects) == [
        "gave up: web entered FATAL state, the container stops before the next try"
    ]


def test_a_start_while_stopping_waits_for_the_end_and_then_starts() -> None:
    """supervisord says true and does nothing."""
    process, _ = run(up(), (10.0, Stop("web")))
    process, effects = run(process, (10.1, Start("web")))
    assert effects == []
    process, effects = ends(process, 10.5, exited(0))
    assert moves(effects) == [("STOPPING", "STOPPED"), ("STOPPED", "STARTING")]
    assert words(effects) == ["stopped: web (exit status 0)"]


def test_a_start_that_waits_is_called_off_by_a_stop() -> None:
    process, _ = run(up(), (10.0, Stop("web")), (10.1, Start("web")))
    process, effects = run(process, (10.2, Stop("web")))
    assert effects == []
    process, effects = ends(process, 10.5, exited(0))
    assert moves(effects) == [("STOPPING", "STOPPED")]


def test_a_stop_that_overtakes_the_fork_reaches_the_instance_all_the_same() -> None:
    process, effects = run(Process(spec()), (0.0, Start("web")), (0.0, Stop("web")))
    assert not only((Kill, KillGroup), effects)
    process, effects = run(process, (0.0, Spawned("web", PID)))
    assert without_timers(effects) == [RecordTree("web", PID)]
    assert lines(effects) == ["spawned: 'web' with pid 8"]
    process, effects = run(process, (0.0, TreeRecorded("web", PID)))
    assert without_timers(effects) == [Kill("web", PID, TERM), Kill("web", PID, CONT)]
    process, effects = ends(process, 0.1, exited(0))
    assert moves(effects) == [("STOPPING", "STOPPED")]


def test_a_stop_that_overtakes_a_fork_that_fails_is_done() -> None:
    process, effects = run(
        Process(spec()), (0.0, Start("web")), (0.0, Stop("web")), (0.0, SpawnFailed("web", "no"))
    )
    assert moves(effects)[-1] == ("STOPPING", "STOPPED")
    assert process.due_at is None


# ---------------------------------------------------------------- survivors of a dead instance


def test_survivors_of_a_crash_get_term_then_kill_and_then_it_starts() -> None:
    process, effects = crash(up(), 5.0)
    assert moves(effects) == [("RUNNING", "EXITED")]
    assert without_timers(effects) == [EndSurvivors("web", PID, TERM)]
    assert process.due_at == 7.0
    process, effects = run(process, (7.0, timer(process)))
    assert without_timers(effects) == [EndSurvivors("web", PID, KILL)]
    process, effects = run(process, (7.1, SurvivorsGone("web", PID)))
    assert without_timers(effects) == [Spawn("web")]
    assert (process.state, process.group) == (State.STARTING, 0)


def test_nothing_starts_while_survivors_live() -> None:
    process, effects = crash(up(), 5.0)
    assert not only(Spawn, effects)
    process, effects = run(process, (6.9, SurvivorsGone("web", PID)))
    assert without_timers(effects) == [Spawn("web")]


def test_survivors_get_stopwaitsecs_where_that_is_less() -> None:
    process, _ = crash(up(stopwaitsecs=0.5), 5.0)
    assert process.due_at == 5.5


def test_survivors_that_outlive_sigkill_are_named_and_left() -> None:
    process, _ = crash(up(), 5.0)
    process, _ = run(process, (7.0, timer(process)))
    assert process.due_at == 8.0
    process, effects = run(process, (8.0, timer(process)))
    assert only(Log, effects) == [
        Log(
            WARN,
            "web: what its last instance (8) left behind does not die of SIGKILL, going on without"
            " waiting for it",
        )
    ]
    assert without_timers(effects) == [Spawn("web")]


def test_survivors_are_told_by_name_the_first_five_of_them() -> None:
    process, _ = crash(up(), 5.0)
    same, effects = run(process, (5.1, SurvivorsFound("web", PID, ((20, "worker"), (21, "sh")))))
    assert same == process
    assert only(Log, effects) == [Log(INFO, "ending what web left behind: worker (20), sh (21)")]
    many = tuple([(pid, "worker") for pid in range(20, 27)])
    _, effects = run(process, (5.1, SurvivorsFound("web", PID, many)))
    assert words(effects) == [
        "ending what web left behind: worker (20), worker (21), worker (22), worker (23),"
        " worker (24) and 2 more"
    ]


def test_survivors_that_are_found_too_late_are_not_told() -> None:
    process, _ = crash(up(), 5.0)
    process, _ = run(process, (5.1, SurvivorsGone("web", PID)))
    found = SurvivorsFound("web", PID, ((20, "worker"),))
    assert run(process, (5.2, found)) == (process, [])
    process, _ = run(process, (5.2, Spawned("web", 9)))
    assert run(process, (5.2, found)) == (process, [])
    assert run(process, (5.2, replace(found, group=9))) == (process, [])


def test_a_refused_signal_to_one_that_is_dead_means_nothing() -> None:
    process, _ = crash(up(), 5.0)
    assert run(process, (5.0, KillFailed("web", PID, 1))) == (process, [])


def test_survivors_of_a_failed_start_are_ended_during_the_delay_which_runs_anyway() -> None:
    process, effects = run(starting(), (0.5, Exited("web", PID, exited(1))))
    assert without_timers(effects) == [EndSurvivors("web", PID, TERM)]
    process, effects = run(process, (0.6, SurvivorsGone("web", PID)))
    assert effects == []
    assert process.due_at == 1.5
    process, effects = run(process, (1.5, timer(process)))
    assert without_timers(effects) == [Spawn("web")]


def test_survivors_that_outlast_the_delay_are_killed_before_the_next_try() -> None:
    process, _ = run(starting(), (0.5, Exited("web", PID, exited(1))))
    process, effects = run(process, (1.5, timer(process)))
    assert process.state == State.BACKOFF
    assert without_timers(effects) == [EndSurvivors("web", PID, KILL)]
    process, effects = run(process, (1.6, SurvivorsGone("web", PID)))
    assert without_timers(effects) == [Spawn("web")]


def test_survivors_at_a_stop_get_what_is_left_of_its_time() -> None:
    process, _ = stop(up(stopwaitsecs=4.0), 10.0)
    process, effects = run(process, (11.0, Exited("web", PID, exited(0))))
    assert process.state == State.STOPPING
    assert without_timers(effects) == [EndSurvivors("web", PID, TERM)]
    assert process.due_at == 14.0
    process, effects = run(process, (14.0, timer(process)))
    assert without_timers(effects) == [EndSurvivors("web", PID, KILL)]
    assert words(effects) == [
        "killing what 'web' left behind with SIGKILL: it did not stop in time"
    ]
    assert process.due_at == 15.0
    still, effects = run(process, (15.0, timer(process)))
    assert moves(effects) == [("STOPPING", "STOPPED")]
    assert words(effects)[-1] == "stopped: web (exit status 0)"
    assert still.group == 0
    process, effects = run(process, (14.2, SurvivorsGone("web", PID)))
    assert moves(effects) == [("STOPPING", "STOPPED")]


def test_survivors_of_a_killed_leader_get_kill_and_not_term() -> None:
    process, _ = stop(up(stopwaitsecs=1.0, killasgroup=False), 10.0)
    process, _ = run(process, (11.0, timer(process)))
    _, effects = run(process, (11.1, Exited("web", PID, killed(KILL))))
    assert without_timers(effects) == [EndSurvivors("web", PID, KILL)]


def test_survivors_of_one_that_exited_for_good_are_ended_before_its_next_start() -> None:
    process, effects = run(up(autorestart=NEVER), (5.0, Exited("web", PID, exited(0))))
    assert not only(EndSurvivors, effects)
    process, effects = run(process, (60.0, Start("web")))
    assert without_timers(effects) == [EndSurvivors("web", PID, TERM)]
    process, effects = run(process, (60.0, SurvivorsGone("web", PID)))
    assert without_timers(effects) == [Spawn("web")]


def test_a_start_asked_for_again_does_not_give_survivors_more_time() -> None:
    process, _ = crash(up(), 5.0)
    process, effects = run(process, (6.0, Start("web", by_operator=True)))
    assert effects == []
    assert process.due_at == 7.0


def test_a_stop_between_two_instances_ends_the_survivors_and_stays_down() -> None:
    process, _ = crash(up(), 5.0)
    process, effects = run(process, (5.5, Stop("web", by_operator=True)))
    assert process.state == State.STOPPING
    assert without_timers(effects) == [EndSurvivors("web", PID, TERM)]
    process, effects = run(process, (5.6, SurvivorsGone("web", PID)))
    assert moves(effects) == [("STOPPING", "STOPPED")]
    assert process.by_operator


# ---------------------------------------------------------------- signals, UNKNOWN, giving up


def test_a_signal_goes_to_the_leader_and_changes_nothing() -> None:
    process = up()
    assert step(process, Signal("web", USR1), 5.0) == (process, (Kill("web", PID, USR1),))


@pytest.mark.parametrize("asked", [False, True])
def test_a_signal_that_the_kernel_refuses_makes_it_unknown(asked: bool) -> None:
    process = up()
    if asked:
        process, _ = run(process, (9.0, Stop("web")))
    process, effects = run(process, (9.0, KillFailed("web", PID, 1)))
    assert (process.state, process.pid) == (State.UNKNOWN, PID)
    assert words(effects) == ["web entered UNKNOWN state: the kernel refused to signal pid 8"]
    assert process.due_at is None


def test_an_unknown_child_that_ends_is_known_again() -> None:
    """supervisord dies of an assertion here and leaves its children behind."""
    process, _ = run(up(autorestart=NEVER), (9.0, KillFailed("web", PID, 1)))
    process, effects = ends(process, 20.0, exited(0))
    assert moves(effects) == [("UNKNOWN", "EXITED")]
    process, _ = run(up(), (9.0, Stop("web")), (9.0, KillFailed("web", PID, 1)))
    process, effects = ends(process, 20.0, exited(0))
    assert moves(effects) == [("UNKNOWN", "STOPPED")]
    assert words(effects) == ["stopped: web (exit status 0)"]


def test_survivors_of_an_unknown_child_are_ended_before_its_next_start() -> None:
    process, _ = run(up(), (9.0, Stop("web")), (9.0, KillFailed("web", PID, 1)))
    process, _ = run(process, (20.0, Exited("web", PID, exited(0))))
    process, effects = run(process, (30.0, Start("web")))
    assert without_timers(effects) == [EndSurvivors("web", PID, TERM)]


def test_who_is_given_up_is_fatal_with_the_reason_and_the_status_of_the_other() -> None:
    process, effects = step(Process(spec()), GiveUp("web", "'db' is gone", exited(3)), 0.0)
    assert moves(effects) == [("STOPPED", "FATAL")]
    assert (process.spawnerr, process.status) == ("'db' is gone", exited(3))
    assert words(list(effects)) == ["gave up: web entered FATAL state, 'db' is gone"]


def test_who_is_fatal_starts_when_asked_with_its_failures_forgotten() -> None:
    process, _ = ends(starting(startretries=0), 0.1, exited(1))
    process, effects = run(process, (5.0, Start("web", by_operator=True)))
    process, effects = run(process, (5.0, SurvivorsGone("web", PID)))
    assert [notice.process.failures for notice in only(Notice, effects)] == [0]
    assert process.by_operator


def test_the_operators_hand_is_remembered_until_it_is_running() -> None:
    process, _ = run(Process(spec()), (0.0, Start("web", by_operator=True)))
    assert process.by_operator
    process, _ = run(process, (0.0, Spawned("web", PID)), (0.0, Executed("web", PID)))
    process, _ = run(process, (1.0, timer(process)))
    assert not process.by_operator
    process, _ = run(process, (2.0, Stop("web", by_operator=True)))
    assert process.by_operator


def test_every_notice_carries_the_process_as_it_became() -> None:
    _, effects = ends(starting(autorestart=NEVER), 1.0, exited(3))
    assert [(notice.old, notice.process.state) for notice in only(Notice, effects)] == [
        (State.STARTING, State.RUNNING),
        (State.RUNNING, State.EXITED),
    ]
    assert lines(effects) == []  # the lines for them are the supervisor's affair
