"""What the log tells of an end that nobody asked for: how it died, what it left behind, and that it
has put itself in the background; and what is said last of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from initpy.core.door import Process
from initpy.core.messages import (
    INFO,
    WARN,
    EndSurvivors,
    Exit,
    Exited,
    Log,
    PlanRefused,
    SignalReceived,
    Spawn,
    Spawned,
    SpawnFailed,
    Start,
    SurvivorsFound,
    SurvivorsGone,
)
from initpy.core.states import ExitStatus, State
from initpy.core.words import LEAST_PEAK_KIB, died, left_behind, over_limit
from initpy.plan import ALWAYS, NEVER, UNEXPECTED, RestartLimit
from tests.core.kernel import DEAF, MEEK, Fate, Kernel
from tests.core.lives import PID, ends, starting, stop, timer, up, words
from tests.core.specs import TERM, exited, killed, lines, only, plan, run, spec, without_timers

if TYPE_CHECKING:
    pass

FOUND = SurvivorsFound("web", PID, ((20, "nginx"), (21, "nginx")))


# ---------------------------------------------------------------- one line for a death


def test_a_death_is_told_with_all_that_is_known_of_it() -> None:
    process = up()
    process, effects = run(
        process,
        (61.5, Exited("web", PID, ExitStatus(signal=9, core_dumped=True), 300_000, 1)),
    )
    assert words(effects) == [
        "exited: web (terminated by SIGKILL (core dumped); not expected), up for 61.5 s, peak"
        " memory 292 MiB, the kernel has just killed once in this container for lack of memory"
    ]
    assert (process.peak_kib, process.oom_kills, process.lasted_s) == (300_000, 1, 61.5)


@pytest.mark.parametrize(
    ("peak_kib", "oom_kills", "known"),
    [
        (0, 0, ""),
        (1, 0, ", peak memory under 16 MiB"),
        (LEAST_PEAK_KIB - 1, 0, ", peak memory under 16 MiB"),
        (LEAST_PEAK_KIB, 0, ", peak memory 16 MiB"),
        (
            0,
            1,
            ", the kernel has just killed once in this container for lack of memory",
        ),
        (
            2048 * 1024,
            3,
            ", peak memory 2048 MiB, the kernel has just killed 3 times in this container for lack"
            " of memory",
        ),
    ],
)
def test_what_is_not_known_is_not_told(peak_kib: int, oom_kills: int, known: str) -> None:
    process = Process(spec(), peak_kib=peak_kib, oom_kills=oom_kills, lasted_s=0.25)
    assert died(process, exited(3)) == (
        f"exited: web (exit status 3; not expected), up for 0.25 s{known}"
    )


def test_what_is_known_of_one_death_is_not_told_of_the_next() -> None:
    process, _ = run(up(startretries=9), (5.0, Exited("web", PID, killed(9), 300_000, 1)))
    process, _ = run(process, (5.0, SurvivorsGone("web", PID)), (5.0, SpawnFailed("web", "no")))
    assert (process.peak_kib, process.oom_kills, process.lasted_s) == (0, 0, 0.0)
    process, _ = run(process, (6.0, timer(process)), (6.0, Spawned("web", 9)))
    process, _ = run(process, (6.5, Exited("web", 9, exited(1))))
    assert (process.peak_kib, process.oom_kills, process.lasted_s) == (0, 0, 0.5)


@pytest.mark.parametrize("autorestart", [NEVER, UNEXPECTED, ALWAYS])
def test_an_expected_end_and_an_ordered_one_are_no_deaths(autorestart: int) -> None:
    process = up(autorestart=autorestart)
    _, effects = ends(process, 5.0, exited(0))
    assert words(effects) == ["exited: web (exit status 0; expected)"]
    process, _ = stop(process, 5.0)
    _, effects = ends(process, 6.0, killed(TERM))
    assert words(effects) == ["stopped: web (terminated by SIGTERM)"]


def test_the_time_it_was_up_counts_from_its_fork() -> None:
    process, _ = run(Process(spec()), (0.0, Start("web")))
    process, _ = run(process, (7.0, Spawned("web", PID)))
    process, _ = run(process, (7.5, Exited("web", PID, exited(1))))
    assert process.lasted_s == 0.5
    process, _ = run(process, (7.6, SurvivorsGone("web", PID)), (9.0, timer(process)))
    process, _ = run(process, (9.0, Spawned("web", 9)), (8.0, Exited("web", 9, exited(1))))
    assert process.lasted_s == 0.0, "no clock has told of a time before its fork"


# ---------------------------------------------------------------- what it leaves behind


def test_who_is_ended_is_named() -> None:
    assert left_behind(((20, "nginx"),)) == "nginx (20)"
    five = tuple([(pid, "sh") for pid in range(20, 25)])
    assert left_behind(five) == "sh (20), sh (21), sh (22), sh (23), sh (24)"
    assert left_behind((*five, (25, "sh"))).endswith("sh (24) and 1 more")


def test_what_a_crash_or_a_stop_left_behind_is_told_while_it_is_ended() -> None:
    process, _ = run(up(), (5.0, Exited("web", PID, killed(11))))
    line = Log(INFO, "ending what web left behind: nginx (20), nginx (21)")
    assert run(process, (5.1, FOUND)) == (process, [line])
    process, _ = stop(up(), 5.0)
    process, _ = run(process, (5.1, Exited("web", PID, exited(0))))
    assert run(process, (5.1, FOUND)) == (process, [line])


def test_in_the_whole_container_it_is_told_once_for_each_that_is_found() -> None:
    kernel = Kernel(plan(spec("web", startsecs=0.0)), Fate(survivors=(MEEK, DEAF)), Fate())
    effects = kernel.dies("web", killed(11))
    told = [line for line in lines(effects) if "left behind" in line]
    assert told == ["ending what web left behind: meek (1000), deaf (1001)"]
    effects = kernel.fire()
    assert only(EndSurvivors, effects)[0].signum == 9
    assert not [line for line in lines(effects) if "left behind: " in line]
    assert kernel.state("web") == State.RUNNING


# ---------------------------------------------------------------- in the background

DAEMONIZED = (
    "'web' exited with 0 at once and left nginx (20), nginx (21) behind: it has put itself in the"
    " background (daemonized), where it cannot be supervised; it has to stay in the foreground"
)


@pytest.mark.parametrize(
    ("foreground", "hint"), [("", ""), ("nginx -g 'daemon off;'", ": nginx -g 'daemon off;'")]
)
def test_who_exits_0_at_once_and_leaves_others_behind_has_daemonized(
    foreground: str, hint: str
) -> None:
    process, effects = run(starting(foreground=foreground), (0.5, Exited("web", PID, exited(0))))
    assert process.state == State.BACKOFF
    assert without_timers(effects) == [EndSurvivors("web", PID, TERM)]
    assert run(process, (0.6, FOUND)) == (process, [Log(WARN, DAEMONIZED + hint)])


@pytest.mark.parametrize(
    "options",
    [
        {"startretries": 0},
        {"startsecs": 0.0, "autorestart": NEVER},
        {"startsecs": 0.0, "autorestart": UNEXPECTED},
        {"startsecs": 0.0, "autorestart": ALWAYS, "restart_limit": RestartLimit(0, 1.0)},
    ],
)
def test_it_is_looked_for_them_where_it_is_not_tried_again(options: dict[str, Any]) -> None:
    """They are left where they are, until the next start or the end of the container."""
    process, effects = run(starting(**options), (0.5, Exited("web", PID, exited(0))))
    assert process.state in (State.FATAL, State.EXITED)
    assert without_timers(effects) == [EndSurvivors("web", PID, 0)]
    assert run(process, (0.6, FOUND)) == (process, [Log(WARN, DAEMONIZED)])
    process, effects = run(process, (9.0, Start("web")))
    assert without_timers(effects) == [EndSurvivors("web", PID, TERM)]


def test_where_nobody_is_left_nothing_is_said_and_the_next_start_need_not_wait() -> None:
    process, _ = run(starting(startretries=0), (0.5, Exited("web", PID, exited(0))))
    process, effects = run(process, (0.6, SurvivorsGone("web", PID)))
    assert effects == []
    _, effects = run(process, (9.0, Start("web")))
    assert without_timers(effects) == [Spawn("web")]


@pytest.mark.parametrize(
    ("options", "status", "at"),
    [
        ({}, exited(1), 0.5),
        ({}, killed(11), 0.5),
        ({"startsecs": 0.0, "autorestart": NEVER}, exited(0), 1.0),
        ({"oneshot": True}, exited(0), 0.5),
        ({"startsecs": 0.0, "autorestart": ALWAYS}, exited(1), 0.5),
    ],
)
def test_who_ends_in_another_way_has_not(
    options: dict[str, Any], status: ExitStatus, at: float
) -> None:
    process, effects = run(starting(startretries=0, **options), (at, Exited("web", PID, status)))
    assert not [each for each in only(EndSurvivors, effects) if each.signum == 0]
    _, effects = run(process, (at, FOUND))
    assert lines(effects) == ["ending what web left behind: nginx (20), nginx (21)"]


@pytest.mark.parametrize(("at", "has_daemonized"), [(4.9, True), (5.0, False)])
def test_at_once_is_within_startsecs_or_a_second(at: float, has_daemonized: bool) -> None:
    process, _ = run(starting(startsecs=5.0), (at, Exited("web", PID, exited(0))))
    _, effects = run(process, (at, FOUND))
    assert (lines(effects) == [DAEMONIZED]) == has_daemonized


def test_who_exits_0_because_it_was_stopped_at_once_has_not() -> None:
    process, _ = stop(starting(), 0.1)
    process, _ = run(process, (0.2, Exited("web", PID, exited(0))))
    _, effects = run(process, (0.2, FOUND))
    assert lines(effects) == ["ending what web left behind: nginx (20), nginx (21)"]


def test_in_the_whole_container_it_is_told_before_it_is_fatal_for_good() -> None:
    kernel = Kernel(
        plan(spec("web", startretries=0, critical=False), spec("side", startsecs=0.0)),
        Fate(survivors=(MEEK,)),
        Fate(),
    )
    kernel.dies("web", exited(0))
    assert kernel.state("web") == State.FATAL
    (line,) = [line for line in kernel.lines() if "daemonized" in line]
    assert line.startswith("'web' exited with 0 at once and left meek (1000) behind")
    assert kernel.groups[8].members == [MEEK], "it was only looked for"
    kernel.tell(Start("web"))
    assert kernel.groups[8].members == []


# ---------------------------------------------------------------- the last words


def exits(kernel: Kernel) -> Exit:
    while kernel.exit_code is None:
        kernel.fire()
    (end,) = only(Exit, kernel.done)
    return end


def test_the_last_words_are_the_line_of_the_last_that_died() -> None:
    kernel = Kernel(plan(spec("web", startretries=0), spec("side", startsecs=0.0)))
    kernel.dies("side", exited(2))
    kernel.dies("web", killed(11), 50 * 1024)
    assert exits(kernel) == Exit(
        139,
        "exited: web (terminated by SIGSEGV; not expected), up for 0 s, peak memory 50 MiB",
    )


def test_or_of_the_last_that_could_not_be_started() -> None:
    kernel = Kernel(plan(spec("web", startretries=0)), Fate(exec_fails="can't find command 'web'"))
    assert exits(kernel) == Exit(127, "spawnerr: can't find command 'web' (web)")


def test_who_died_once_is_remembered_though_the_container_is_stopped_in_peace() -> None:
    kernel = Kernel(plan(spec("web", startsecs=0.0), spec("side", startsecs=0.0)))
    kernel.dies("web", exited(2))
    kernel.dies("side", exited(0))
    kernel.tell(SignalReceived(TERM))
    assert exits(kernel).last_words == "exited: web (exit status 2; not expected), up for 0 s"


def test_where_nothing_has_died_unexpectedly_there_are_none() -> None:
    kernel = Kernel(plan(spec("web", startsecs=0.0), spec("job", startsecs=0.0)))
    kernel.dies("job", exited(0))
    kernel.tell(SignalReceived(TERM))
    assert exits(kernel) == Exit(0, "")
    refused = Kernel()
    refused.tell(PlanRefused(2, "the configuration cannot be used, see above"))
    assert exits(refused) == Exit(2, "")


def test_who_was_given_up_for_another_leaves_the_words_to_that_other() -> None:
    kernel = Kernel(
        plan(spec("db", startretries=0, critical=False), spec("web", after=("db",)), spec("side"))
    )
    kernel.dies("db", exited(7))
    assert exits(kernel).last_words == "exited: db (exit status 7; not expected), up for 0 s"


def test_what_dies_because_it_was_told_to_says_nothing_last() -> None:
    kernel = Kernel(plan(spec("web", startsecs=0.0)), Fate(answer=killed(TERM)))
    kernel.tell(SignalReceived(TERM))
    assert exits(kernel).last_words == ""


def test_a_limit_is_told_with_its_numbers() -> None:
    assert over_limit(RestartLimit(5, 0.5)) == (
        "it was to be restarted more than 5 times in 0.5 seconds (restart_limit)"
    )
