"""All processes together: the start, signals, what ends the container, its exit code, the end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from initpy.core.messages import (
    CRITICAL,
    INFO,
    WARN,
    CatchersFound,
    ChildrenGone,
    EndSurvivors,
    Executed,
    Exit,
    Exited,
    FindCatchers,
    Kill,
    KillGroup,
    KillRest,
    Log,
    PlanReady,
    PlanRefused,
    Refuse,
    SetTimer,
    Signal,
    SignalReceived,
    Spawn,
    Spawned,
    Start,
    Stop,
    SurvivorsGone,
    TimerFired,
)
from initpy.core.states import State
from initpy.core.supervisor import Phase, Supervisor, step
from initpy.plan import ALWAYS, FORWARD, IGNORE, NEVER, SignalRule
from tests.core.kernel import DEAF, HANGS, UNDYING, Fate, Group, Kernel, answer_catchers
from tests.core.specs import (
    CONT,
    HUP,
    INT,
    KILL,
    QUIT,
    RULES,
    TERM,
    USR1,
    WINCH,
    exited,
    killed,
    lines,
    only,
    plan,
    spec,
)

if TYPE_CHECKING:
    from initpy.core.states import ExitStatus
    from initpy.core.values import Value
    from initpy.plan import ProcessSpec

T0 = 100.0
SURVIVES = Fate(answer=None)
"""Deaf to the stop signal."""
SLOW = Fate(slow=True)


def quick(key: str, **options: Any) -> ProcessSpec:
    """RUNNING as soon as it is executed."""
    return spec(key, **{"startsecs": 0.0, **options})


def spawned(effects: list[Value]) -> list[str]:
    return [spawn.key for spawn in only(Spawn, effects)]


def stopped(effects: list[Value]) -> list[str]:
    """Keys that were sent their stop signal, in this order; CONT goes with each of them."""
    return [
        effect.key
        for effect in effects
        if isinstance(effect, Kill | KillGroup) and effect.signum == CONT
    ]


def deadline_s(kernel: Kernel, key: str) -> float:
    """Seconds from now to its next timer."""
    return round(kernel.armed[key][0] - kernel.now, 6)


def end_of(kernel: Kernel) -> float:
    """Let time pass until the exit; returns the seconds that the end took."""
    while kernel.exit_code is None:
        kernel.fire()
    assert kernel.ending_since is not None
    return round(kernel.exited_at - kernel.ending_since, 6)


# ---------------------------------------------------------------- the way up


def test_all_that_come_after_nothing_start_at_once_in_the_plans_order() -> None:
    kernel = Kernel()
    effects = kernel.tell(PlanReady(plan(spec("c"), spec("a"), spec("b", autostart=False))))
    assert spawned(effects) == ["c", "a"]
    assert kernel.state("b") == State.STOPPED


def test_a_program_starts_once_all_that_it_comes_after_are_running() -> None:
    kernel = Kernel(
        plan(spec("a"), spec("b", startsecs=2.0), spec("c", after=("a", "b")), spec("d"))
    )
    assert spawned(kernel.done) == ["a", "b", "d"]
    kernel.sleep(1.9)
    assert kernel.state("a") == State.RUNNING
    assert spawned(kernel.done) == ["a", "b", "d"]
    kernel.sleep(0.1)
    assert spawned(kernel.done) == ["a", "b", "d", "c"]


def test_it_waits_while_one_of_them_is_restarted() -> None:
    kernel = Kernel(plan(quick("a"), spec("b", startsecs=5.0), quick("c", after=("a", "b"))))
    kernel.fates = (Fate(exec_fails=HANGS),)
    kernel.dies("a", exited(1))
    assert kernel.state("a") == State.STARTING
    kernel.sleep(5.0)
    assert kernel.state("b") == State.RUNNING
    assert "c" not in spawned(kernel.done)
    kernel.executes(kernel.pid("a"))
    kernel.settle()
    assert spawned(kernel.done)[-1] == "c"


def test_a_oneshot_that_came_to_its_expected_end_lets_the_others_start() -> None:
    kernel = Kernel(plan(spec("init"), spec("web", after=("init",))))
    kernel.queue.clear()
    kernel.now += 1.0
    kernel.dies("init", exited(0))
    assert kernel.state("init") == State.EXITED
    assert spawned(kernel.done) == ["init", "web"]


def test_a_oneshot_that_fails_lets_nobody_start() -> None:
    kernel = Kernel(
        plan(
            spec("init", autorestart=NEVER, critical=False),
            spec("web", after=("init",), critical=False),
            spec("other"),
        )
    )
    kernel.now += 1.0
    effects = kernel.dies("init", exited(5))
    assert (kernel.state("init"), kernel.state("web")) == (State.EXITED, State.FATAL)
    assert (
        "gave up: web entered FATAL state, 'init', which it comes after, ended unexpectedly"
        in lines(effects)
    )
    assert kernel.process("web").status == exited(5)


def test_dependents_of_who_goes_fatal_go_fatal_with_that_reason_all_the_way_down() -> None:
    kernel = Kernel(
        plan(
            spec("db", startretries=0, critical=False),
            spec("app", after=("db",), critical=False),
            spec("web", after=("app",), critical=False),
            spec("other"),
        )
    )
    effects = kernel.dies("db", exited(7))
    assert [kernel.state(key) for key in ("db", "app", "web")] == [State.FATAL] * 3
    said = lines(effects)
    assert said[-2:] == [
        "gave up: app entered FATAL state, 'db', which it comes after, entered FATAL state",
        "gave up: web entered FATAL state, 'app', which it comes after, entered FATAL state",
    ]
    assert spawned(kernel.done) == ["db", "other"]
    assert kernel.supervisor.phase == Phase.UP


def test_who_already_runs_is_not_touched_when_what_it_came_after_goes_fatal() -> None:
    kernel = Kernel(plan(quick("db", critical=False, startretries=0), quick("app", after=("db",))))
    kernel.fates = (Fate(spawn_fails="no fork today"),)
    kernel.dies("db", exited(1))
    assert (kernel.state("db"), kernel.state("app")) == (State.FATAL, State.RUNNING)


def test_what_an_operator_starts_need_not_wait_and_does_not_start_twice() -> None:
    kernel = Kernel(plan(spec("a"), spec("b", after=("a",))))
    assert spawned(kernel.tell(Start("b", by_operator=True))) == ["b"]
    kernel.sleep(1.0)
    assert spawned(kernel.done) == ["a", "b"]
    assert not only(Refuse, kernel.done)


def test_an_order_for_a_process_that_is_not_there_is_refused() -> None:
    kernel = Kernel(plan(spec("a")))
    for order in (Start("z"), Stop("z"), Signal("z", USR1)):
        assert kernel.tell(order) == [Refuse(order, "BAD_NAME")]


def test_facts_about_a_process_that_is_not_there_are_ignored() -> None:
    kernel = Kernel(plan(spec("a")))
    before = kernel.supervisor
    for fact in (Exited("z", 8, exited(0)), Spawned("z", 9), TimerFired("z", 1)):
        assert step(before, fact, 101.0) == (before, ())
    for found in ((("z", 8),), (("z", 0),), (("a", 0),), (("a", 99),)):
        assert step(before, CatchersFound(USR1, found), 101.0) == (before, ())


# ---------------------------------------------------------------- the log, word by word


def test_the_log_of_a_short_life_is_supervisords() -> None:
    kernel = Kernel(plan(spec("web", startretries=1), quick("side", critical=False)))
    kernel.sleep(1.0)
    kernel.dies("web", exited(1))
    kernel.sleep(0.5)
    kernel.dies("web", exited(1))
    kernel.sleep(1.0)
    kernel.dies("web", exited(1))
    assert kernel.lines() == [
        "spawned: 'web' with pid 8",
        "spawned: 'side' with pid 9",
        "success: side entered RUNNING state, process has stayed up for > than 0 seconds"
        " (startsecs)",
        "success: web entered RUNNING state, process has stayed up for > than 1 seconds"
        " (startsecs)",
        "exited: web (exit status 1; not expected), up for 1 s",
        "spawned: 'web' with pid 10",
        "exited: web (exit status 1; not expected), up for 0.5 s",
        "spawned: 'web' with pid 11",
        "exited: web (exit status 1; not expected), up for 0 s",
        "gave up: web entered FATAL state, too many start retries too quickly",
        "ending the container: 'web' entered FATAL state: Exited too quickly (process log may"
        " have details) (exit status 1)",
        "waiting for side to die",
        "stopped: side (exit status 0)",
        "exit code 1: 'web' entered FATAL state: Exited too quickly (process log may have details)"
        " (exit status 1)",
    ]
    assert kernel.exit_code == 1


def test_the_log_of_a_docker_stop_is_supervisords() -> None:
    kernel = Kernel(plan(quick("a"), quick("b")))
    effects = kernel.tell(SignalReceived(TERM))
    assert only(Log, effects) == [
        Log(WARN, "received SIGTERM indicating exit request"),
        Log(INFO, "waiting for a, b to die"),
        Log(INFO, "stopped: a (exit status 0)"),
        Log(INFO, "stopped: b (exit status 0)"),
        Log(INFO, "exit code 0: stopped by SIGTERM"),
    ]


# ---------------------------------------------------------------- what ends the container


def test_a_critical_program_that_goes_fatal_ends_the_container_with_its_own_code() -> None:
    kernel = Kernel(plan(spec("web", startretries=0), quick("side")))
    effects = kernel.dies("web", exited(42))
    assert stopped(effects) == ["side"]
    assert kernel.exit_code == 42


def test_a_program_that_is_not_critical_does_not() -> None:
    kernel = Kernel(plan(spec("web", startretries=0, critical=False), quick("side")))
    kernel.dies("web", exited(42))
    assert kernel.state("web") == State.FATAL
    assert kernel.supervisor.phase == Phase.UP


def test_a_critical_program_that_exits_unexpectedly_for_good_ends_it() -> None:
    kernel = Kernel(plan(quick("web", autorestart=NEVER), quick("side")))
    kernel.dies("web", exited(3))
    assert kernel.exit_code == 3
    assert kernel.lines()[-1] == (
        "exit code 3: 'web' ended unexpectedly (exit status 3) and is not restarted (autorestart)"
    )


def test_a_critical_program_that_is_restarted_does_not_nor_one_that_ends_as_expected() -> None:
    kernel = Kernel(plan(quick("web"), quick("job"), quick("side")))
    kernel.dies("web", exited(3))
    kernel.dies("job", exited(0))
    assert (kernel.state("web"), kernel.state("job")) == (State.RUNNING, State.EXITED)
    assert kernel.supervisor.phase == Phase.UP


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (exited(1), 1),
        (exited(255), 255),
        (killed(9), 137),
        (killed(11), 139),
        (exited(127), 127),
        (exited(0), 1),
    ],
)
def test_the_exit_code_is_the_culprits_own(status: ExitStatus, code: int) -> None:
    """A 0 that was not expected here (it came before startsecs) is a 1."""
    kernel = Kernel(plan(spec("web", startretries=0), quick("side")))
    kernel.dies("web", status)
    assert kernel.exit_code == code


def test_a_0_that_exitcodes_does_not_have_is_a_1() -> None:
    kernel = Kernel(plan(quick("web", autorestart=NEVER, exitcodes=(7,)), quick("side")))
    kernel.dies("web", exited(0))
    assert kernel.exit_code == 1


def test_a_program_that_cannot_be_forked_is_126_and_its_dependents_too() -> None:
    kernel = Kernel(
        plan(spec("db", startretries=0, critical=False), spec("web", after=("db",)), spec("side")),
        Fate(spawn_fails="Too many processes in process table to spawn 'db'"),
        Fate(),
    )
    assert kernel.exit_code == 126
    assert "'web' entered FATAL state: 'db', which it comes after" in kernel.lines()[-1]


def test_a_program_that_cannot_be_executed_is_127() -> None:
    kernel = Kernel(plan(spec("web", startretries=0)), Fate(exec_fails="can't find command 'prog'"))
    assert kernel.exit_code == 127
    assert "can't find command 'prog'" in kernel.lines()[-1]


def test_the_first_cause_wins() -> None:
    kernel = Kernel(
        plan(spec("a", startretries=0), spec("b", startretries=0), quick("c")), SURVIVES
    )
    kernel.dies("a", exited(5))
    kernel.dies("b", exited(6))
    kernel.tell(SignalReceived(TERM))
    end_of(kernel)
    assert kernel.exit_code == 5


def test_the_code_of_the_last_run_counts_and_not_of_the_first() -> None:
    kernel = Kernel(plan(spec("web", startretries=1), quick("side")))
    kernel.dies("web", exited(5))
    kernel.sleep(1.0)
    kernel.dies("web", exited(6))
    assert kernel.exit_code == 6


def test_when_nothing_is_left_it_ends_with_0_if_nothing_failed() -> None:
    kernel = Kernel(plan(quick("a"), quick("b")))
    kernel.dies("b", exited(0))
    assert kernel.lives()
    kernel.dies("a", exited(0))
    assert kernel.exit_code == 0
    assert kernel.lines()[-1] == (
        "exit code 0: no program is left to run, and none ended unexpectedly"
    )


def test_when_nothing_is_left_it_ends_with_the_first_unexpected_code() -> None:
    kernel = Kernel(
        plan(*[quick(key, critical=False, autorestart=NEVER) for key in ("a", "b", "c")])
    )
    kernel.dies("b", exited(4))
    kernel.dies("a", exited(5))
    assert kernel.lives()
    kernel.dies("c", exited(0))
    assert kernel.exit_code == 4
    assert "'b' ended unexpectedly (exit status 4)" in kernel.lines()[-1]


def test_what_ends_the_container_comes_before_that_nothing_is_left() -> None:
    """The last to fail takes a critical program with it: that is the cause."""
    kernel = Kernel(
        plan(
            quick("a", critical=False, autorestart=NEVER),
            spec("db", critical=False, startretries=0),
            spec("web", after=("db",)),
        )
    )
    kernel.dies("a", exited(4))
    kernel.dies("db", exited(5))
    assert kernel.exit_code == 5
    assert "'web' entered FATAL state: 'db', which it comes after" in kernel.lines()[-1]


def test_one_that_lives_and_may_not_be_signalled_is_left_to_run() -> None:
    kernel = Kernel(plan(quick("a"), quick("job")), Fate(untouchable=True), Fate())
    kernel.tell(Signal("a", USR1))
    assert kernel.state("a") == State.UNKNOWN
    kernel.dies("job", exited(0))
    assert kernel.supervisor.phase == Phase.UP
    kernel.dies("a", exited(0))
    assert kernel.exit_code == 0


def test_a_plan_with_nothing_to_run_ends_at_once() -> None:
    assert Kernel(plan()).exit_code == 0


def test_a_refused_plan_ends_it_with_the_helpers_code_and_starts_nothing() -> None:
    kernel = Kernel()
    effects = kernel.tell(PlanRefused(2, "the configuration cannot be used, see above"))
    assert kernel.exit_code == 2
    assert only(Log, effects) == [
        Log(CRITICAL, "ending the container: the configuration cannot be used, see above"),
        Log(INFO, "exit code 2: the configuration cannot be used, see above"),
    ]
    late, effects_of_late = step(kernel.supervisor, PlanReady(plan(spec("a"))), 101.0)
    assert (late, effects_of_late) == (kernel.supervisor, ())


def test_a_requested_stop_is_0_even_when_programs_answer_it_with_something_else() -> None:
    kernel = Kernel(plan(quick("a"), quick("b")), Fate(answer=exited(143)), Fate(answer=killed(15)))
    kernel.tell(SignalReceived(TERM))
    assert kernel.exit_code == 0


# ---------------------------------------------------------------- operators


def test_a_program_that_an_operator_stopped_keeps_the_container_up() -> None:
    kernel = Kernel(plan(quick("a"), quick("job")))
    kernel.tell(Stop("a", by_operator=True))
    kernel.dies("job", exited(0))
    kernel.sleep(3600.0)
    assert (kernel.state("a"), kernel.supervisor.phase) == (State.STOPPED, Phase.UP)
    assert spawned(kernel.tell(Start("a", by_operator=True))) == ["a"]


@pytest.mark.parametrize("when", ["STARTING", "BACKOFF", "survivors of a crash", "STOPPING"])
def test_it_does_whenever_the_operator_stopped_it(when: str) -> None:
    startsecs = 0.0 if when in ("survivors of a crash", "STOPPING") else 1.0
    kernel = Kernel(plan(spec("a", startsecs=startsecs)))
    if when == "BACKOFF":
        kernel.dies("a", exited(1))
    elif when == "survivors of a crash":
        kernel.fork_survivors(kernel.pid("a"), DEAF)
        kernel.dies("a", killed(11))
    elif when == "STOPPING":
        kernel.instances[kernel.pid("a")].fate = SURVIVES
        kernel.tell(Stop("a"), Start("a"))
    kernel.tell(Stop("a", by_operator=True))
    kernel.sleep(3600.0)
    assert (kernel.state("a"), kernel.supervisor.phase) == (State.STOPPED, Phase.UP)


def test_what_an_operator_starts_and_goes_fatal_is_reported_and_ends_nothing() -> None:
    kernel = Kernel(plan(spec("a", autostart=False, startretries=0), quick("side")))
    kernel.tell(Start("a", by_operator=True))
    effects = kernel.dies("a", exited(1))
    assert "gave up: a entered FATAL state, too many start retries too quickly" in lines(effects)
    assert kernel.supervisor.phase == Phase.UP


def test_that_goes_for_the_last_program_too() -> None:
    """Stop it, mend it, start it with a slip: the container has to stay, to try again."""
    kernel = Kernel(plan(spec("a", startretries=0)))
    kernel.sleep(1.0)
    kernel.tell(Stop("a", by_operator=True))
    kernel.tell(Start("a", by_operator=True))
    kernel.dies("a", exited(1))
    assert (kernel.state("a"), kernel.supervisor.phase) == (State.FATAL, Phase.UP)


def test_a_program_that_an_operator_started_and_that_came_up_is_as_critical_as_any() -> None:
    kernel = Kernel(plan(spec("a", autostart=False, autorestart=NEVER), quick("side")))
    kernel.tell(Start("a", by_operator=True))
    kernel.sleep(1.0)
    kernel.dies("a", exited(9))
    assert kernel.exit_code == 9


@pytest.mark.parametrize("order", [Start("b", by_operator=True), Stop("a"), Signal("a", USR1)])
def test_no_order_is_taken_once_the_end_has_begun(order: Value) -> None:
    kernel = Kernel(plan(quick("a"), quick("b", autostart=False)), SURVIVES)
    kernel.tell(SignalReceived(TERM))
    assert kernel.tell(order) == [Refuse(order, "SHUTDOWN_STATE")]


# ---------------------------------------------------------------- exit_code_from


def test_exit_code_from_ends_the_container_with_that_programs_code() -> None:
    kernel = Kernel(plan(quick("job", autorestart=NEVER), quick("web"), exit_code_from=("job",)))
    kernel.dies("job", exited(0))
    assert kernel.exit_code == 0
    assert kernel.lines()[-1] == (
        "exit code 0: 'job', whose exit code is the container's, has ended;"
        " exit_code_from 'job' (exit status 0)"
    )


def test_exit_code_from_chooses_its_code_before_the_culprits() -> None:
    kernel = Kernel(
        plan(
            quick("job", autorestart=NEVER, critical=False, exitcodes=(0, 3)),
            quick("job2", autorestart=NEVER, critical=False, exitcodes=(0, 3), program="job"),
            quick("web", autorestart=NEVER),
            exit_code_from=("job", "job2"),
        )
    )
    kernel.dies("job", exited(3))
    assert kernel.lives()  # the other process of the program still runs
    kernel.dies("web", exited(4))
    assert kernel.exit_code == 3


def test_of_several_processes_the_first_code_that_is_not_0_counts() -> None:
    jobs = [
        quick(f"job:{number}", program="job", autorestart=NEVER, critical=False)
        for number in range(3)
    ]
    kernel = Kernel(plan(*jobs, quick("web"), exit_code_from=tuple(job.key for job in jobs)))
    kernel.dies("job:2", exited(9))
    kernel.dies("job:0", exited(0))
    assert kernel.lives()
    kernel.dies("job:1", killed(6))
    assert kernel.exit_code == 134


def test_exit_code_from_one_that_had_to_be_stopped_leaves_the_first_cause() -> None:
    kernel = Kernel(plan(quick("job"), exit_code_from=("job",)), Fate(answer=exited(5)))
    kernel.tell(SignalReceived(TERM))
    assert kernel.exit_code == 0


def test_exit_code_from_a_job_that_an_operator_stopped_does_not_end_it() -> None:
    kernel = Kernel(plan(quick("job"), quick("web"), exit_code_from=("job",)))
    kernel.tell(Stop("job", by_operator=True))
    assert kernel.supervisor.phase == Phase.UP


# ---------------------------------------------------------------- signals


def test_a_signal_goes_to_those_only_that_catch_it() -> None:
    kernel = Kernel(plan(quick("a"), quick("b"), quick("c", autostart=False)))
    assert kernel.tell(SignalReceived(USR1)) == [FindCatchers(USR1, (("a", 8), ("b", 9)))]
    effects = kernel.tell(answer_catchers(kernel.questions[0], "b"))
    assert effects == [Log(INFO, "forwarding SIGUSR1 to 'b' (9)"), Kill("b", 9, USR1)]


def test_an_answer_about_an_instance_that_is_gone_does_nothing() -> None:
    kernel = Kernel(plan(quick("a"), quick("b")))
    kernel.tell(SignalReceived(USR1))
    kernel.dies("a", exited(1))
    assert kernel.pid("a") == 10
    assert kernel.tell(answer_catchers(kernel.questions[0], "a")) == []


def test_nobody_is_asked_when_nobody_lives() -> None:
    kernel = Kernel(plan(spec("a")), Fate(exec_fails=HANGS))
    kernel.dies("a", exited(1))
    assert kernel.state("a") in (State.BACKOFF, State.RUNNING)
    alone = Kernel(plan(spec("a")), Fate(spawn_fails="no"))
    assert alone.tell(SignalReceived(USR1)) == []


def test_a_rule_forwards_to_whom_it_names_rewritten() -> None:
    rule = SignalRule(HUP, FORWARD, ("b", "a"), USR1)
    kernel = Kernel(plan(quick("a"), quick("b"), quick("c"), signals=(*RULES, rule)))
    assert kernel.tell(SignalReceived(HUP)) == [
        Log(INFO, "forwarding SIGUSR1 to 'b' (9)"),
        Kill("b", 9, USR1),
        Log(INFO, "forwarding SIGUSR1 to 'a' (8)"),
        Kill("a", 8, USR1),
    ]


def test_a_rule_for_who_is_down_says_so() -> None:
    rule = SignalRule(HUP, FORWARD, ("b",), HUP)
    kernel = Kernel(plan(quick("a"), quick("b", autostart=False), signals=(*RULES, rule)))
    assert kernel.tell(SignalReceived(HUP)) == [
        Log(INFO, "received SIGHUP: none of those that get it is up")
    ]


def test_a_rule_may_make_any_signal_end_it_and_spare_another() -> None:
    rules = (SignalRule(USR1, "shutdown"), SignalRule(TERM, IGNORE), SignalRule(WINCH, IGNORE))
    kernel = Kernel(plan(quick("a"), signals=rules))
    assert kernel.tell(SignalReceived(TERM)) == [Log(INFO, "received SIGTERM, which is ignored")]
    assert kernel.tell(SignalReceived(WINCH)) == []
    kernel.tell(SignalReceived(USR1))
    assert kernel.exit_code == 0
    assert "received SIGUSR1 indicating exit request" in kernel.lines()


@pytest.mark.parametrize("signum", [TERM, INT, QUIT])
def test_a_stop_before_the_plan_ends_it_at_once(signum: int) -> None:
    kernel = Kernel()
    effects = kernel.tell(SignalReceived(signum))
    assert only(KillRest, effects) == [KillRest(TERM)]
    assert kernel.exit_code == 0


def test_a_plan_that_comes_after_a_stop_starts_nothing() -> None:
    supervisor, _ = step(Supervisor(), SignalReceived(TERM), T0)
    after, effects = step(supervisor, PlanReady(plan(spec("a"))), T0)
    assert (after, effects) == (supervisor, ())


def test_other_signals_before_the_plan_do_nothing() -> None:
    for signum in (HUP, USR1, WINCH):
        supervisor, effects = step(Supervisor(), SignalReceived(signum), T0)
        assert effects == ()
        assert supervisor.phase == Phase.BOOT


# ---------------------------------------------------------------- the way down


def test_tiers_stop_one_after_the_other_each_as_a_whole_the_last_to_start_first() -> None:
    kernel = Kernel(
        plan(
            quick("db", priority=1),
            quick("cache", priority=2),
            quick("app", after=("db", "cache")),
            quick("web", after=("app",)),
            quick("log", group_priority=1000),
        ),
        SLOW,
    )
    assert stopped(kernel.tell(SignalReceived(TERM))) == ["web"]
    for key, next_ones in [("web", ["app"]), ("app", ["log", "cache", "db"])]:
        seen = len(kernel.done)
        kernel.let_go(kernel.pid(key))
        kernel.settle()
        assert stopped(kernel.done[seen:]) == next_ones
    kernel.let_go(kernel.pid("db"))
    kernel.let_go(kernel.pid("cache"))
    kernel.settle()
    assert kernel.lives()
    kernel.let_go(kernel.pid("log"))
    kernel.settle()
    assert kernel.exit_code == 0


def test_priority_orders_within_a_tier_the_highest_stops_first() -> None:
    kernel = Kernel(plan(quick("a", priority=20), quick("b", priority=10), quick("c", priority=30)))
    assert stopped(kernel.tell(SignalReceived(TERM))) == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("timeout_s", "stopwaitsecs", "tier_count", "expected_s"),
    [
        (9.0, 10.0, 1, 8.5),
        (9.0, 10.0, 2, 7.5),
        (9.0, 10.0, 3, 6.5),
        (9.0, 2.0, 3, 2.0),
        (30.0, 10.0, 2, 10.0),
        (2.0, 10.0, 2, 0.5),
        (2.0, 10.0, 8, 2.0 / 9),  # nothing would be left of it: equal shares, one for the rest
    ],
)
def test_the_deadline_is_what_the_later_tiers_and_the_rest_leave_of_the_budget(
    timeout_s: float, stopwaitsecs: float, tier_count: int, expected_s: float
) -> None:
    """min(stopwaitsecs, time left - 1 s for each later tier - 0.5 s for the rest)."""
    keys = [f"p{number}" for number in range(tier_count)]
    chain = [
        quick(key, after=tuple(keys[:number][-1:]), stopwaitsecs=stopwaitsecs)
        for number, key in enumerate(keys)
    ]
    kernel = Kernel(plan(*chain, shutdown_timeout_s=timeout_s), SURVIVES)
    kernel.tell(SignalReceived(TERM))
    assert deadline_s(kernel, keys[-1]) == pytest.approx(expected_s)


def test_a_tier_gets_what_the_one_before_it_did_not_use() -> None:
    kernel = Kernel(plan(quick("a"), quick("b", after=("a",))), SURVIVES)
    kernel.tell(SignalReceived(TERM))
    kernel.sleep(1.0)
    kernel.dies("b", exited(0))
    assert deadline_s(kernel, "a") == 7.5  # 9 - 1 - 0.5


def test_tiers_without_anyone_up_take_no_share() -> None:
    kernel = Kernel(plan(quick("a"), quick("b", after=("a",)), quick("c", after=("b",))), SURVIVES)
    kernel.dies("a", exited(0))
    kernel.tell(SignalReceived(TERM))
    assert deadline_s(kernel, "c") == 7.5  # only b is later


def test_who_overruns_is_killed_and_named() -> None:
    kernel = Kernel(plan(quick("a"), quick("b")), SURVIVES, Fate())
    kernel.tell(SignalReceived(TERM))
    assert end_of(kernel) == 8.5
    assert "killing 'a' (8) with SIGKILL: it did not stop in time" in kernel.lines()
    assert kernel.lines()[-2:] == [
        "killed because they overran their time to stop: a",
        "exit code 0: stopped by SIGTERM",
    ]


def test_a_stop_that_an_operator_began_is_cut_short_by_the_end() -> None:
    kernel = Kernel(plan(quick("a", stopwaitsecs=600.0), quick("b")), SURVIVES)
    kernel.tell(Stop("a", by_operator=True))
    assert deadline_s(kernel, "a") == 600.0
    kernel.tell(SignalReceived(TERM))
    assert deadline_s(kernel, "a") == 8.5
    end_of(kernel)


def test_who_waits_in_backoff_is_given_up_and_nobody_waits_for_it() -> None:
    kernel = Kernel(plan(spec("web"), spec("job")))
    kernel.dies("web", exited(1))
    effects = kernel.tell(SignalReceived(TERM))
    assert kernel.process("web").state == State.FATAL
    assert "gave up: web entered FATAL state, the container stops before the next try" in lines(
        effects
    )
    assert kernel.exit_code == 0


def test_who_waits_for_another_is_not_started_any_more() -> None:
    kernel = Kernel(plan(spec("a"), spec("b", after=("a",))), SURVIVES)
    kernel.tell(SignalReceived(TERM))
    end_of(kernel)
    assert spawned(kernel.done) == ["a"]


def test_who_ends_by_itself_while_another_tier_stops_is_not_restarted() -> None:
    kernel = Kernel(
        plan(quick("a", autorestart=ALWAYS), quick("b", after=("a",))), Fate(), SURVIVES
    )
    kernel.tell(SignalReceived(TERM))
    effects = kernel.dies("a", exited(1))
    assert not spawned(effects)
    end_of(kernel)
    assert spawned(kernel.done) == ["a", "b"]


def test_who_fails_to_start_while_another_tier_stops_is_given_up() -> None:
    kernel = Kernel(plan(quick("a"), spec("x"), quick("b", after=("a",))), Fate(), SURVIVES)
    kernel.fates = (SURVIVES,)
    kernel.tell(SignalReceived(TERM))
    kernel.dies("x", exited(1))
    end_of(kernel)
    assert spawned(kernel.done).count("x") == 1
    assert kernel.exit_code == 0


def test_survivors_at_the_end_are_ended_within_the_same_deadline() -> None:
    kernel = Kernel(plan(quick("a")), Fate(survivors=(DEAF,)))
    effects = kernel.tell(SignalReceived(TERM))
    assert EndSurvivors("a", 8, TERM) in effects
    assert deadline_s(kernel, "a") == 8.5
    assert end_of(kernel) == 8.5


def test_the_rest_gets_term_then_kill_and_the_end_comes_when_nobody_is_left() -> None:
    kernel = Kernel(plan(quick("a")))
    kernel.groups[5] = Group([DEAF])  # an orphan that nobody knows
    effects = kernel.tell(SignalReceived(TERM))
    assert only(KillRest, effects) == [KillRest(TERM)]
    assert kernel.lives()
    effects = kernel.fire()
    assert kernel.exited_at == T0 + 1.0
    assert only(KillRest, effects) == [KillRest(KILL)]
    assert "what is left does not end: killing it with SIGKILL" in kernel.lines()


def test_a_rest_that_not_even_sigkill_ends_is_left_to_the_kernel_at_the_end_of_the_budget() -> None:
    kernel = Kernel(plan(quick("a")))
    kernel.groups[5] = Group([UNDYING])
    kernel.tell(SignalReceived(TERM))
    assert end_of(kernel) == 9.0
    assert "not even SIGKILL has ended everything: leaving it to the kernel" in kernel.lines()


@pytest.mark.parametrize("timeout_s", [0.5, 2.0, 9.0, 60.0])
@pytest.mark.parametrize("tier_count", [1, 2, 5, 20])
def test_the_end_keeps_its_budget_even_if_nothing_ever_dies(
    timeout_s: float, tier_count: int
) -> None:
    keys = [f"p{number}" for number in range(tier_count)]
    chain = [quick(key, after=tuple(keys[:number][-1:])) for number, key in enumerate(keys)]
    kernel = Kernel(plan(*chain, shutdown_timeout_s=timeout_s), Fate(answer=None, undying=True))
    kernel.tell(SignalReceived(TERM))
    assert end_of(kernel) <= timeout_s + 0.5
    assert kernel.exit_code == 0
    assert sorted(set(stopped(kernel.done))) == sorted(keys)


def test_the_names_of_those_that_not_even_sigkill_ends_are_told() -> None:
    kernel = Kernel(plan(quick("a"), quick("b")), Fate(answer=None, undying=True))
    kernel.tell(SignalReceived(TERM))
    end_of(kernel)
    assert "not even SIGKILL has ended a, b so far: going on without waiting" in kernel.lines()


def test_a_second_int_kills_everything_at_once() -> None:
    kernel = Kernel(plan(quick("a"), quick("b", after=("a",))), SURVIVES)
    kernel.tell(SignalReceived(INT))
    kernel.sleep(1.0)
    effects = kernel.tell(SignalReceived(INT))
    assert only(KillRest, effects) == [KillRest(KILL)]
    assert "SIGINT again: killing everything at once" in lines(effects)
    assert (kernel.exit_code, kernel.exited_at) == (0, T0 + 1.0)
    assert spawned(kernel.done) == ["a", "b"]


@pytest.mark.parametrize("first", [TERM, INT, QUIT])
def test_a_quit_after_any_other_kills_everything_at_once(first: int) -> None:
    kernel = Kernel(plan(quick("a")), SURVIVES)
    kernel.tell(SignalReceived(first))
    kernel.tell(SignalReceived(QUIT))
    assert (kernel.exit_code, kernel.exited_at) == (0, T0)


def test_a_second_term_does_not() -> None:
    kernel = Kernel(plan(quick("a")), SURVIVES)
    kernel.tell(SignalReceived(TERM))
    effects = kernel.tell(SignalReceived(TERM), SignalReceived(INT))
    assert not only((Kill, KillGroup, KillRest, SetTimer), effects)
    assert end_of(kernel) == 8.5


def test_the_first_int_of_an_end_that_has_another_cause_kills_nothing() -> None:
    kernel = Kernel(plan(quick("a"), quick("b", autorestart=NEVER)), SURVIVES)
    kernel.dies("b", exited(3))
    assert not only(KillRest, kernel.tell(SignalReceived(INT)))
    kernel.tell(SignalReceived(INT))
    assert kernel.exit_code == 3


def test_who_is_killed_at_once_is_not_started_again_whichever_way_it_dies() -> None:
    """Two that were not told to stop yet: one RUNNING, one STARTING; and what they leave."""
    kernel = Kernel(
        plan(quick("a"), spec("s"), quick("b", after=("a",))),
        Fate(survivors=(UNDYING,)),
        Fate(survivors=(UNDYING,)),
        SURVIVES,
    )
    kernel.tell(SignalReceived(INT), SignalReceived(INT))
    assert kernel.lives()
    end_of(kernel)
    assert spawned(kernel.done) == ["a", "s", "b"]


def test_one_that_may_not_be_signalled_is_left_to_the_rest_and_not_started_again() -> None:
    kernel = Kernel(plan(quick("a"), quick("b")), Fate(untouchable=True), Fate())
    kernel.tell(Signal("a", USR1))
    assert kernel.state("a") == State.UNKNOWN
    kernel.groups[5] = Group([UNDYING])
    kernel.tell(SignalReceived(TERM))
    assert only(KillRest, kernel.done)
    kernel.dies("a", exited(1))
    end_of(kernel)
    assert spawned(kernel.done) == ["a", "b"]


def test_nothing_happens_after_the_end() -> None:
    kernel = Kernel(plan(quick("a")))
    kernel.tell(SignalReceived(TERM))
    over = kernel.supervisor
    assert over.phase == Phase.OVER
    for event in (
        ChildrenGone(),
        TimerFired("", over.epoch),
        SignalReceived(INT),
        SignalReceived(QUIT),
        PlanReady(plan(spec("z"))),
        Start("a"),
    ):
        after, effects = step(over, event, 200.0)
        assert after.phase == Phase.OVER, event
        assert not only((Exit, Spawn, KillRest, SetTimer), effects), event


# ---------------------------------------------------------------- many


def test_a_long_chain_comes_up_one_by_one_and_goes_down_in_reverse() -> None:
    keys = [f"p{number}" for number in range(60)]
    chain = [quick(key, after=tuple(keys[:number][-1:])) for number, key in enumerate(keys)]
    kernel = Kernel(plan(*chain))
    assert spawned(kernel.done) == keys
    kernel.tell(SignalReceived(TERM))
    assert stopped(kernel.done) == keys[::-1]
    assert kernel.exit_code == 0


def drive(supervisor: Supervisor, *events: Value) -> tuple[Supervisor, list[Value]]:
    """Without `Kernel`, whose checks look at all processes after each event."""
    done: list[Value] = []
    for event in events:
        supervisor, effects = step(supervisor, event, T0)
        done += effects
    return supervisor, done


def test_a_chain_of_1000_falls_down_as_a_whole_without_recursion() -> None:
    keys = [f"p{number}" for number in range(1000)]
    chain = [
        spec(key, after=tuple(keys[:number][-1:]), startretries=0, critical=False)
        for number, key in enumerate(keys)
    ]
    supervisor, _ = drive(Supervisor(), PlanReady(plan(*chain)), Spawned("p0", 8))
    supervisor, effects = drive(supervisor, Executed("p0", 8), Exited("p0", 8, exited(3)))
    assert {process.state for process in supervisor.processes.values()} == {State.FATAL}
    assert only(KillRest, effects) == [KillRest(TERM)]
    assert supervisor.cause is not None
    assert supervisor.cause.code == 3


def test_a_chain_of_1000_goes_down_in_reverse_without_recursion() -> None:
    keys = [f"p{number}" for number in range(1000)]
    chain = [
        quick(key, after=tuple(keys[:number][-1:]), stopwaitsecs=5.0)
        for number, key in enumerate(keys)
    ]
    supervisor, _ = drive(Supervisor(), PlanReady(plan(*chain)))
    for number, key in enumerate(keys):
        supervisor, effects = drive(supervisor, Spawned(key, 8 + number), Executed(key, 8 + number))
    assert {process.state for process in supervisor.processes.values()} == {State.RUNNING}
    supervisor, effects = drive(supervisor, SignalReceived(TERM))
    order = stopped(effects)
    for number, key in reversed(list(enumerate(keys))):
        supervisor, _ = drive(supervisor, Exited(key, 8 + number, exited(0)))
        supervisor, effects = drive(supervisor, SurvivorsGone(key, 8 + number))
        order += stopped(effects)
    assert order == keys[::-1]
    assert only(KillRest, effects) == [KillRest(TERM)]


def test_1000_programs_of_one_tier_start_together_and_stop_together() -> None:
    specs = [quick(f"p{number}") for number in range(1000)]
    supervisor, effects = drive(Supervisor(), PlanReady(plan(*specs)))
    assert len(spawned(effects)) == 1000
    answers = [Spawned(each.key, 8 + number) for number, each in enumerate(specs)]
    supervisor, _ = drive(supervisor, *answers)
    execs = [Executed(each.key, 8 + number) for number, each in enumerate(specs)]
    supervisor, _ = drive(supervisor, *execs)
    supervisor, effects = drive(supervisor, SignalReceived(TERM))
    assert len(stopped(effects)) == 1000
    (waiting,) = [line for line in lines(effects) if re.match("waiting for .* to die", line)]
    assert waiting.count(", ") == 999
