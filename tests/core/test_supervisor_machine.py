"""Random plans, random programs and a random kernel, against the whole core.

What must hold after every single effect is checked by `Kernel` itself: at most one live pid for
each process, no signal to a reaped pid, exactly one live timer for whoever waits, no spawn beside
living survivors or while the container ends, the order of start and stop, the stages of a stop, who
may drain, how often it is restarted and after which delay.
"""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from initpy.core.door import Process, is_waiting
from initpy.core.messages import (
    Executed,
    Exited,
    KillFailed,
    PlanReady,
    Signal,
    SignalReceived,
    Start,
    Stop,
    StopCommandFailed,
    SurvivorsFound,
    SurvivorsGone,
    TimerFired,
    TreeRecorded,
)
from initpy.core.states import ExitStatus, State, Wanted
from initpy.core.supervisor import Phase
from initpy.core.values import Value, replace
from initpy.plan import ALWAYS, NEVER, UNEXPECTED, Backoff, Plan, RestartLimit, SignalRule
from tests.core.kernel import (
    DEAF,
    FAILS,
    HANGS,
    MEEK,
    UNDYING,
    WORKS,
    Fate,
    Kernel,
    answer_catchers,
)
from tests.core.specs import HUP, INT, KILL, QUIT, TERM, USR1, exited, killed, plan, spec

STATUSES = st.one_of(
    st.sampled_from([0, 0, 1, 2, 70]).map(exited), st.sampled_from([9, 11, 15]).map(killed)
)
SPANS_S = st.sampled_from([0.0, 0.05, 0.3, 1.0, 3.0, 12.0])


def fates_of(seed: int) -> list[Fate]:
    """As `plan_of`: what becomes of the first, second … process."""
    draw = Random(seed)
    pick = draw.choice
    return [
        Fate(
            spawn_fails=pick(["", "", "", "", "no fork today"]),
            exec_fails=pick(["", "", "", "", "can't find command 'prog'", HANGS]),
            answer=pick([None, None, exited(0), exited(0), exited(1), killed(9), killed(15)]),
            slow=pick([True, False]),
            undying=pick([False, False, False, True]),
            untouchable=pick([False] * 5 + [True]),
            survivors=tuple(draw.choices([MEEK, DEAF, UNDYING], k=pick([0, 0, 1, 2]))),
            command=pick([WORKS, FAILS, HANGS]),
        )
        for _ in range(pick(range(7)))
    ]


STEP_TIMES_S = [0.0, 0.5, 2.0, 60.0]


def plan_of(seed: int) -> Plan:
    """One of very many plans; Hypothesis itself would take ten times as long for each."""
    draw = Random(seed)
    pick = draw.choice
    keys = "abcdef"[: pick([1, 2, 3, 4, 5, 6])]
    specs = [
        spec(
            key,
            after=tuple([other for other in keys[:index] if pick([True, False, False])]),
            autostart=pick([True, True, True, False]),
            startsecs=pick([0.0, 0.25, 1.0, 2.5]),
            startretries=pick([0, 1, 2, 3]),
            autorestart=pick([NEVER, UNEXPECTED, ALWAYS]),
            exitcodes=pick([(0,), (0, 2), ()]),
            stopsteps=tuple(
                [(pick([TERM, INT, QUIT]), pick(STEP_TIMES_S)) for _ in range(pick([1, 1, 2, 3]))]
            ),
            stop_command=pick([(), (), (b"quit",)]),
            stop_command_s=pick([0.0, 0.5, 3.0]),
            drain_s=pick([0.0, 0.0, 0.5, 3.0]),
            oneshot=pick([False, False, True]),
            backoff=pick([None, Backoff(0.25, 3.0, 2.0, 0.5)]),
            restart_limit=pick([None, None, RestartLimit(1, 2.0), RestartLimit(2, 60.0)]),
            stopasgroup=pick([True, False]),
            killasgroup=pick([True, False]),
            critical=pick([True, False, False]),
            priority=pick([1, 2, 3]),
        )
        for index, key in enumerate(keys)
    ]
    some = tuple(draw.sample(keys, pick(range(min(len(keys), 2) + 1))))
    rule_for_hup = SignalRule(HUP, "forward", some, USR1)
    whole = plan(*specs, shutdown_timeout_s=pick([0.5, 2.0, 9.0]))
    return replace(whole, signals=(*whole.signals, rule_for_hup))


SEEDS = st.integers(0, 2**32)
PLANS = SEEDS.map(plan_of)


class WholeLives(RuleBasedStateMachine):
    kernel: Kernel

    @initialize(
        plan=PLANS,
        fates=SEEDS.map(fates_of),
        early=st.sampled_from([0] * 8 + [USR1, TERM]),
        patience_s=st.sampled_from([0.0, 0.6, 60.0]),
        helpers_are_slow=st.booleans(),
        draw=st.sampled_from([0.0, 0.5, 1.0]),
    )
    def boot(
        self,
        plan: Plan,
        fates: list[Fate],
        early: int,
        patience_s: float,
        helpers_are_slow: bool,
        draw: float,
    ) -> None:
        self.plan = plan
        self.patience_s = patience_s
        self.keys = [process.key for process in plan.processes]
        self.kernel = Kernel(None, *fates)
        self.kernel.helpers_are_slow = helpers_are_slow
        self.kernel.draw = draw
        if early:
            self.kernel.tell(SignalReceived(early))
        self.kernel.tell(PlanReady(plan))

    def post(self, fact: Any, at_once: bool) -> None:
        """A fact, alone or together with those that come next."""
        self.kernel.queue.append(fact)
        if at_once:
            self.kernel.settle()

    # ------------------------------------------------------------ the programs

    @precondition(lambda self: self.kernel.instances)
    @rule(data=st.data(), status=STATUSES, at_once=st.booleans())
    def a_program_ends(self, data: st.DataObject, status: ExitStatus, at_once: bool) -> None:
        pid = data.draw(st.sampled_from(sorted(self.kernel.instances)))
        if self.kernel.instances[pid].fate.undying:
            return
        self.kernel.end(pid, status)
        if at_once:
            self.kernel.settle()

    @precondition(lambda self: bool(_slow(self.kernel)))
    @rule(data=st.data())
    def a_slow_program_obeys(self, data: st.DataObject) -> None:
        self.kernel.let_go(data.draw(st.sampled_from(_slow(self.kernel))))
        self.kernel.settle()

    @precondition(lambda self: bool(_hanging(self.kernel)))
    @rule(data=st.data(), at_once=st.booleans())
    def an_exec_comes_through(self, data: st.DataObject, at_once: bool) -> None:
        self.kernel.executes(data.draw(st.sampled_from(_hanging(self.kernel))))
        if at_once:
            self.kernel.settle()

    @precondition(lambda self: self.kernel.instances)
    @rule(data=st.data(), kind=st.sampled_from([MEEK, DEAF, UNDYING]))
    def a_program_forks(self, data: st.DataObject, kind: str) -> None:
        self.kernel.fork_survivors(data.draw(st.sampled_from(sorted(self.kernel.instances))), kind)

    @precondition(lambda self: bool(_crowded(self.kernel)))
    @rule(data=st.data())
    def a_survivor_ends(self, data: st.DataObject) -> None:
        self.kernel.end_survivor(data.draw(st.sampled_from(_crowded(self.kernel))))
        self.kernel.settle()

    @precondition(lambda self: bool(self.kernel.unanswered))
    @rule(data=st.data())
    def a_helper_answers(self, data: st.DataObject) -> None:
        """Any of those that are out."""
        answers = self.kernel.unanswered
        answer = data.draw(st.sampled_from(range(len(answers))))
        self.post(answers.pop(answer), at_once=True)

    # ------------------------------------------------------------ time

    @rule(span_s=SPANS_S)
    def time_passes(self, span_s: float) -> None:
        self.kernel.settle()
        self.kernel.sleep(span_s)

    @precondition(lambda self: self.kernel.armed)
    @rule(late_s=st.sampled_from([0.0, 0.001, 0.05]))
    def the_next_timer_fires(self, late_s: float) -> None:
        self.kernel.settle()
        if self.kernel.armed:
            self.kernel.fire(late_s)

    # ------------------------------------------------------------ people

    @rule(data=st.data(), by_operator=st.booleans(), at_once=st.booleans())
    def somebody_starts(self, data: st.DataObject, by_operator: bool, at_once: bool) -> None:
        self.post(Start(data.draw(st.sampled_from(self.keys)), by_operator), at_once)

    @rule(
        data=st.data(),
        by_operator=st.booleans(),
        within_s=st.sampled_from([None, None, 0.0, 0.7]),
        at_once=st.booleans(),
    )
    def somebody_stops(
        self, data: st.DataObject, by_operator: bool, within_s: float | None, at_once: bool
    ) -> None:
        self.post(Stop(data.draw(st.sampled_from(self.keys)), by_operator, within_s), at_once)

    @rule(data=st.data(), signum=st.sampled_from([HUP, USR1, KILL]))
    def somebody_signals(self, data: st.DataObject, signum: int) -> None:
        self.post(Signal(data.draw(st.sampled_from(self.keys)), signum), at_once=True)

    @rule(signum=st.sampled_from([HUP, USR1] * 4 + [TERM, INT, QUIT]))
    def a_signal_comes(self, signum: int) -> None:
        self.post(SignalReceived(signum), at_once=True)

    @precondition(lambda self: self.kernel.supervisor.phase == Phase.UP)
    @rule(data=st.data(), anew=PLANS)
    def a_new_plan_comes(self, data: st.DataObject, anew: Plan) -> None:
        """Some of its programs are as they were, some are not, and some are others."""
        olds = {spec.key: spec for spec in self.plan.processes}
        keeps = set(data.draw(st.lists(st.sampled_from(sorted(olds)), unique=True)))
        specs = tuple(
            [
                replace(olds[each.key], after=each.after) if each.key in keeps else each
                for each in anew.processes
            ]
        )
        changed = data.draw(st.lists(st.sampled_from([each.key for each in specs]), unique=True))
        version = b"%d" % data.draw(st.integers(1, 3))
        specs = tuple(
            [replace(each, argv=(version,)) if each.key in changed else each for each in specs]
        )
        self.plan = replace(self.plan, processes=specs)
        self.keys = [each.key for each in specs]
        self.post(PlanReady(self.plan), at_once=True)

    @precondition(lambda self: self.kernel.questions)
    @rule(data=st.data())
    def the_catchers_are_found(self, data: st.DataObject) -> None:
        """The answer to this question or an older one, which may no longer be true."""
        question = data.draw(st.sampled_from(self.kernel.questions))
        self.post(answer_catchers(question, *data.draw(st.permutations(self.keys))), at_once=True)

    # ------------------------------------------------------------ what comes late, or twice

    @precondition(lambda self: self.kernel.dead)
    @rule(data=st.data(), status=STATUSES)
    def old_news_of_the_dead(self, data: st.DataObject, status: ExitStatus) -> None:
        pid = data.draw(st.sampled_from(sorted(self.kernel.dead)))
        key = self.kernel.dead[pid]
        facts: list[Value] = [
            Exited(key, pid, status),
            Executed(key, pid),
            KillFailed(key, pid, 1),
            TreeRecorded(key, pid),
            StopCommandFailed(key, pid, "too late"),
        ]
        of_survivors: list[Value] = [SurvivorsFound(key, pid, ((20, "sh"),))]
        if not self.kernel.groups[pid].members:
            of_survivors.append(SurvivorsGone(key, pid))
        self.kernel.settle()
        process = self.kernel.supervisor.processes.get(key)
        if process is None or process.group != pid:
            facts += of_survivors
        fact = data.draw(st.sampled_from(facts))
        before = self.kernel.supervisor
        self.post(fact, at_once=True)
        assert self.kernel.exit_code is not None or self.kernel.supervisor == before

    @rule(data=st.data(), older=st.integers(1, 3))
    def a_timer_of_an_earlier_epoch(self, data: st.DataObject, older: int) -> None:
        self.kernel.settle()
        key = data.draw(st.sampled_from([*self.keys, ""]))
        before = self.kernel.supervisor
        epoch = before.processes[key].epoch if key in before.processes else before.epoch
        self.post(TimerFired(key, epoch - older), at_once=True)
        assert self.kernel.supervisor == before

    # ------------------------------------------------------------ the end

    def teardown(self) -> None:
        if not hasattr(self, "kernel"):
            return
        self.kernel.settle()
        if self.kernel.ending_since is None:
            self.time_passes_in_peace()
        if self.kernel.ending_since is None:
            self.everyone_is_where_his_options_say()
            self.kernel.tell(SignalReceived(TERM))
            self.kernel.sleep(self.patience_s)
            self.kernel.tell(SignalReceived(QUIT))
        while self.kernel.exit_code is None:
            assert self.kernel.armed, "the container will never end"
            self.kernel.fire()
        assert self.kernel.ending_since is not None
        took_s = self.kernel.exited_at - self.kernel.ending_since
        assert took_s <= self.plan.shutdown_timeout_s + 0.5 + 1e-6, f"the end took {took_s} s"
        assert self.kernel.exit_code == self.kernel.code_due, self.kernel.lines()[-12:]

    def time_passes_in_peace(self) -> None:
        """Nobody dies of itself and nobody asks for anything, until nobody waits."""
        for _ in range(500):
            for pid in _hanging(self.kernel):
                self.kernel.executes(pid)
            for pid in _slow(self.kernel):
                self.kernel.let_go(pid)
            for pid in _at_work(self.kernel):
                self.kernel.end(pid, exited(0))
            self.kernel.settle()
            while self.kernel.unanswered:
                self.kernel.a_helper_answers()
            for process in self.kernel.supervisor.processes.values():
                instance = self.kernel.instances.get(process.pid)
                if process.killed and instance and _outlives_sigkill(instance.fate):
                    self.kernel.end(process.pid, killed(KILL))  # the kernel lets go at last
            self.kernel.settle()
            if self.kernel.ending_since is not None:
                return
            if self.kernel.is_settled():
                if not (_hanging(self.kernel) or _at_work(self.kernel)):
                    return
            else:
                self.kernel.fire()
        restless = [each for each in self.kernel.supervisor.processes.values() if is_waiting(each)]
        raise AssertionError(f"these never come to rest: {restless}")

    def everyone_is_where_his_options_say(self) -> None:
        supervisor = self.kernel.supervisor
        assert supervisor.phase == Phase.UP
        for key, process in supervisor.processes.items():
            live = [pid for pid, each in self.kernel.instances.items() if each.key == key]
            assert live == ([process.pid] if process.pid else [])
            if process.state == State.UNKNOWN:
                continue
            assert not process.spec.oneshot or process.wanted == Wanted.DOWN
            if process.wanted == Wanted.UP:
                assert process.state == State.RUNNING
                assert self.kernel.instances[process.pid].executed
            else:
                assert not process.pid
                assert process.state in (State.STOPPED, State.EXITED, State.FATAL)
            if process.state == State.FATAL:
                assert process.spawnerr
                assert process.failures == 0
            if any(order.key == key for order in supervisor.waiting):
                assert not all(
                    _has_come_up(supervisor.processes[earlier]) for earlier in process.spec.after
                )


def _outlives_sigkill(fate: Fate) -> bool:
    """It hangs in the kernel; or its group got the signal, and it alone did not."""
    return fate.undying or fate.untouchable


def _slow(kernel: Kernel) -> list[int]:
    return [pid for pid, instance in kernel.instances.items() if instance.ends_with is not None]


def _hanging(kernel: Kernel) -> list[int]:
    return [pid for pid, instance in kernel.instances.items() if not instance.executed]


def _at_work(kernel: Kernel) -> list[int]:
    """Oneshots that have been executed, as long as nobody has told them to end."""
    return [
        process.pid
        for process in kernel.supervisor.processes.values()
        if process.spec.oneshot and process.state in (State.STARTING, State.UNKNOWN)
        if process.pid in kernel.instances and kernel.instances[process.pid].executed
    ]


def _crowded(kernel: Kernel) -> list[int]:
    return [number for number, group in kernel.groups.items() if group.members]


def _has_come_up(process: Process) -> bool:
    if process.state == State.EXITED and process.status is not None:
        return process.status.signal is None and process.status.code in process.spec.exitcodes
    return process.state == State.RUNNING and not process.spec.oneshot


TestWholeLives = WholeLives.TestCase
TestWholeLives.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    derandomize=True,
    deadline=None,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
