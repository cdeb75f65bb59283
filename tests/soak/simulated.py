"""24 simulated hours of the core: random but plausible facts on a clock of our own.

`python -m tests.soak.simulated [--hours H] [--seed S]`. The kernel, the programs and PID 1's loop
are those of tests/core (`Kernel`), which checks after every fact: at most one live pid for each
process, no signal to a reaped pid, one live timer for whoever waits, the stages and the order of
stops. Here comes: no process and no child is lost, everybody who asks is answered, every stop ends
in its time with the true exit code, and the state does not grow.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from initpy.core.messages import (
    Answer,
    PlanReady,
    PlanRefused,
    ReadPlan,
    ReopenLogs,
    Request,
    Signal,
    SignalReceived,
    Start,
    Stop,
    Upgrade,
    UsePlan,
)
from initpy.core.orders import AddGroup, Reload, RemoveGroup, Reopen, Reread, Restart, ShutDown
from initpy.core.states import State
from initpy.core.supervisor import Phase
from initpy.core.values import replace
from initpy.plan import ALWAYS, NEVER, UNEXPECTED, Backoff, RestartLimit, SignalRule
from initpy.tracing import Form
from initpy.wire import encode
from tests.core.kernel import DEAF, FAILS, HANGS, MEEK, WORKS, Fate, Kernel, answer_catchers
from tests.core.specs import HUP, INT, KILL, QUIT, TERM, USR1, exited, killed, plan, spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from initpy.core.door import Process
    from initpy.core.messages import FindCatchers
    from initpy.core.supervisor import Supervisor
    from initpy.core.values import Value
    from initpy.plan import Plan, ProcessSpec

HOUR_S = 3600.0
ACTS_IN_A_SECOND = 25.0
"""Of programs and people; the core's own timers, spawns and ends come on top."""

FIRST_LIFE = 0.5
"""The share of the time that the first container lives, to see whether its state grows; of the
others, each is asked to end after some minutes."""

MEAN_LIFE_S = 1200.0
NAMES = "abcdefghijkl"
ANCHOR = "anchor"
"""A program that works for ever and keeps the container up."""

MAX_STATE_BYTES = 64 * 1024
REMEMBERED = 2000
"""The dead of which the kernel's books know."""

USR2, WINCH = 12, 28
RULES = (SignalRule(HUP, "reload"), SignalRule(USR2, "reopen"), SignalRule(WINCH, "ignore"))


@dataclass
class Counts:
    """What has happened."""

    facts: int = 0
    spawns: int = 0
    ends: int = 0
    signals: int = 0
    reloads: int = 0
    orders: int = 0
    answers: int = 0
    stops: int = 0
    """Of the container."""
    state_bytes: int = 0
    """The largest that the state has been."""


class Container(Kernel):
    """`Kernel`, with clients and a configuration, and with bounded books."""

    def __init__(self, first: Plan, draw: Random, now: float, counts: Counts) -> None:
        super().__init__(now=now)
        self.random = draw
        self.counts = counts
        self.reads: list[ReadPlan] = []
        """Unanswered."""
        self.asked: dict[int, Request] = {}
        """Clients that wait for their answer, by the number of their request."""
        self.number = 0
        self.helpers_are_slow = draw.random() < 0.5
        self.newest = first
        """What the file says now."""
        self.tell(PlanReady(first))

    def ask(self, order: Value) -> None:
        self.number += 1
        request = self.asked[self.number] = Request(7, self.number, order)
        self.counts.orders += 1
        self.tell(request)

    # ------------------------------------------------------------ of Kernel

    def _spawn(self, key: str) -> None:
        self.counts.spawns += 1
        fate = fate_of(self.random) if key != ANCHOR else Fate()
        self.fates = (fate,)
        super()._spawn(key)

    def end(self, *given: object, **named: object) -> None:
        self.counts.ends += 1
        super().end(*given, **named)  # type: ignore[arg-type]

    def _take(self, event: Value) -> None:
        self.counts.facts += 1
        super()._take(event)
        if len(self.done) > REMEMBERED:
            del self.done[:-100]
            self._forget()

    def _forget(self) -> None:
        known = [*self.dead]
        for pid in known[:-REMEMBERED]:
            if not self.groups[pid].members and pid not in self._last_group.values():
                del self.dead[pid], self.groups[pid]
                self.buried.discard(pid)
        for restarts in self._restarts.values():
            del restarts[:-100]

    def _watch(self, event: Value, effects: tuple[Value, ...], before: Supervisor) -> None:
        order = event.order if isinstance(event, Request) else event
        has_ended_up = self.ending_since is None and self.supervisor.phase > Phase.UP
        if isinstance(order, ShutDown) and has_ended_up:  # as by a signal: it drains, the code is 0
            self.ending_since, self.is_asked_to_end, self.code_due = self.now, True, 0
            self._exit_requests = 1
        super()._watch(order if isinstance(order, Start | Stop) else event, effects, before)

    def _check_options(self, process: Process, effects: tuple[Value, ...]) -> None:
        if process.spec.restart_limit is None or process.state == State.STOPPED:
            # A reload has taken the limit away; or it was stopped, if only to start again.
            self._restarts[process.spec.key] = []
        super()._check_options(process, effects)

    def _carry_out(self, effect: Value, before: Supervisor) -> None:
        match effect:
            case Answer(number=number):
                assert number in self.asked, f"{effect} to nobody, or a second time"
                del self.asked[number]
                self.counts.answers += 1
            case ReadPlan():
                self.reads.append(effect)
            case UsePlan() | ReopenLogs() | Upgrade():
                pass
            case _:
                super()._carry_out(effect, before)

    # ------------------------------------------------------------ what must hold

    def check(self) -> None:
        """When nothing is on its way: no process is lost, and no child."""
        assert not self.queue
        processes = self.supervisor.processes
        known = {process.pid: key for key, process in processes.items() if process.pid}
        assert known == {pid: it.key for pid, it in self.instances.items()}
        if self.supervisor.phase == Phase.UP:
            planned = {each.key for each in self.supervisor.plan.processes}
            assert planned <= processes.keys()
            assert processes.keys() - planned <= set(self.supervisor.reloaded)
            wait_for_plan = [it for it in self.asked.values() if _waits_for_a_plan(it.order)]
            assert len(wait_for_plan) == len(self.asked), "somebody has no answer"
            assert self.reads or not self.asked, "nobody will answer them"
        else:
            assert not self.asked, "somebody has no answer"

    def state_bytes(self) -> int:
        return len(encode(Form().numbered(self.supervisor)))


def _waits_for_a_plan(order: object) -> bool:
    return isinstance(order, Reload | Restart | Reread)


# ---------------------------------------------------------------- plans and programs


def fate_of(draw: Random) -> Fate:
    pick = draw.choice
    return Fate(
        spawn_fails=pick([""] * 30 + ["no fork today"]),
        exec_fails=pick([""] * 20 + ["can't find command 'prog'", HANGS]),
        answer=pick([None, exited(0), exited(0), exited(0), exited(1), killed(15)]),
        slow=pick([True, False, False]),
        undying=pick([False] * 40 + [True]),
        untouchable=pick([False] * 80 + [True]),
        survivors=tuple(draw.choices([MEEK, DEAF], k=pick([0, 0, 0, 1, 2]))),
        command=pick([WORKS, FAILS, HANGS]),
    )


def spec_of(draw: Random, index: int) -> ProcessSpec:
    pick = draw.choice
    key = NAMES[index]
    return spec(
        key,
        group=f"g{index // 2}",
        after=tuple([other for other in NAMES[:index] if draw.random() < 0.1]),
        autostart=draw.random() < 0.9,
        startsecs=pick([0.0, 0.25, 1.0, 2.5]),
        startretries=pick([0, 1, 3, 10]),
        autorestart=pick([NEVER, UNEXPECTED, ALWAYS, ALWAYS, ALWAYS]),
        exitcodes=pick([(0,), (0, 2)]),
        stopsteps=tuple([(pick([TERM, INT, QUIT]), pick([0.5, 2.0])) for _ in range(pick([1, 2]))]),
        stop_command=pick([(), (), (), (b"quit",)]),
        stop_command_s=pick([0.5, 3.0]),
        drain_s=pick([0.0, 0.0, 0.5]),
        oneshot=draw.random() < 0.1,
        backoff=pick([None, Backoff(0.25, 3.0, 20.0, 0.5)]),
        restart_limit=pick([None, None, None, RestartLimit(20, 60.0)]),
        stopasgroup=pick([True, False]),
        killasgroup=pick([True, False]),
        critical=False,
        priority=pick([1, 2, 3]),
        argv=(b"%d" % draw.randrange(3),),
    )


def plan_of(draw: Random) -> Plan:
    indexes = sorted(draw.sample(range(len(NAMES)), draw.randrange(2, len(NAMES))))
    anchor = spec(ANCHOR, autorestart=ALWAYS, startretries=10**6, critical=False)
    whole = plan(
        anchor, *[spec_of(draw, index) for index in indexes], shutdown_timeout_s=draw.choice([2, 9])
    )
    known = {each.key for each in whole.processes}
    specs = [
        replace(each, after=tuple([it for it in each.after if it in known]))
        for each in whole.processes
    ]
    return replace(whole, processes=tuple(specs), signals=(*whole.signals, *RULES))


def edited(old: Plan, draw: Random) -> Plan:
    """Somebody has worked at the file: some programs are as they were."""
    new = plan_of(draw)
    olds = {each.key: each for each in old.processes}
    known = {each.key for each in new.processes}
    specs = []
    for each in new.processes:
        kept = olds.get(each.key)
        if kept is not None and draw.random() < 0.7:
            specs.append(replace(kept, after=tuple([it for it in kept.after if it in known])))
        else:
            specs.append(each)
    return replace(new, processes=tuple(specs), shutdown_timeout_s=old.shutdown_timeout_s)


# ---------------------------------------------------------------- what happens


def act(it: Container) -> None:
    """One thing happens that the core has not brought about itself."""
    draw = it.random
    acts: list[tuple[float, Callable[[], None]]] = [
        (30, lambda: program_ends(it)),
        (10, lambda: slow_obeys(it)),
        (6, lambda: exec_comes_through(it)),
        (3, lambda: survivor_ends(it)),
        (3, lambda: program_forks(it)),
        (20, lambda: helper_answers(it)),
        (3, lambda: signal_comes(it)),
        (6, lambda: client_orders(it)),
        (2, lambda: plan_is_read(it)),
        (3, lambda: catchers_are_found(it)),
        (0.5, lambda: undying_dies(it)),
    ]
    (chosen,) = draw.choices([do for _, do in acts], [weight for weight, _ in acts])
    chosen()
    it.settle()


def _pick(it: Container, pids: list[int]) -> int:
    return it.random.choice(pids) if pids else 0


def program_ends(it: Container) -> None:
    pid = _pick(it, [pid for pid, each in it.instances.items() if not each.fate.undying])
    if pid and it.instances[pid].key != ANCHOR:
        it.end(pid, it.random.choice([exited(0), exited(1), exited(2), killed(9), killed(11)]))


def slow_obeys(it: Container) -> None:
    if pid := _pick(it, [pid for pid, each in it.instances.items() if each.ends_with is not None]):
        it.let_go(pid)


def exec_comes_through(it: Container) -> None:
    if pid := _pick(it, [pid for pid, each in it.instances.items() if not each.executed]):
        it.executes(pid)


def survivor_ends(it: Container) -> None:
    crowded = [number for number, group in it.groups.items() if group.members]
    if number := _pick(it, crowded):
        it.end_survivor(number)


def program_forks(it: Container) -> None:
    if pid := _pick(it, [*it.instances]):
        it.fork_survivors(pid, it.random.choice([MEEK, DEAF]))


def undying_dies(it: Container) -> None:
    """The kernel lets go of it at last."""
    if pid := _pick(it, [pid for pid, each in it.instances.items() if each.key != ANCHOR]):
        it.end(pid, killed(KILL))


def helper_answers(it: Container) -> None:
    while it.unanswered:
        it.tell(it.unanswered.pop(it.random.randrange(len(it.unanswered))))


def signal_comes(it: Container) -> None:
    it.counts.signals += 1
    it.tell(SignalReceived(it.random.choice([USR1, USR1, USR2, WINCH, HUP])))


def client_orders(it: Container) -> None:
    draw = it.random
    key = draw.choice([*NAMES, *it.supervisor.processes])
    group = f"g{draw.randrange(len(NAMES) // 2)}"
    by_weight: list[tuple[float, Callable[[], Value]]] = [
        (8, lambda: Start(key, by_operator=True)),
        (6, lambda: Stop(key, by_operator=True)),
        (3, lambda: Signal(key, draw.choice([HUP, USR1]))),
        (1, Reopen),
        (0.5, Reload),
        (0.2, Restart),
        (1, Reread),
        (1, lambda: AddGroup(group)),
        (1, lambda: RemoveGroup(group)),
    ]
    (make,) = draw.choices([it for _, it in by_weight], [weight for weight, _ in by_weight])
    order = make()
    if not (isinstance(order, Stop) and key == ANCHOR):
        it.ask(order)


def plan_is_read(it: Container) -> None:
    if not it.reads:
        return
    read = it.reads.pop(0)
    it.counts.reloads += 1
    if it.random.random() < 0.1:
        it.tell(PlanRefused(2, "the configuration cannot be used", read.spare))
        return
    if it.random.random() < 0.7:
        it.newest = edited(it.newest, it.random)
    it.tell(PlanReady(it.newest, read.spare))


def catchers_are_found(it: Container) -> None:
    if it.questions:
        question: FindCatchers = it.questions.pop(0)
        it.tell(answer_catchers(question, *it.random.sample(NAMES, 3)))


# ---------------------------------------------------------------- a life


def live(it: Container, until: float) -> None:
    """Until that time, or its end."""
    steps = 0
    while it.now < until and it.lives():
        it.sleep(it.random.expovariate(ACTS_IN_A_SECOND))
        if not it.lives():
            return
        act(it)
        if it.lives():
            it.check()
        steps += 1
        if steps % 500 == 0:
            size = it.state_bytes()
            assert size <= MAX_STATE_BYTES, f"the state has {size} bytes"
            it.counts.state_bytes = max(it.counts.state_bytes, size)


def stop(it: Container) -> None:
    """Ask it to end, in one of the ways; it has to, in its time, and to tell the truth."""
    if it.exit_code is None and it.ending_since is None:
        if it.random.random() < 0.2:
            it.ask(ShutDown())
        else:
            it.tell(SignalReceived(it.random.choice([TERM, INT, QUIT])))
    while it.exit_code is None:
        assert it.armed, "the container will never end"
        if it.random.random() < 0.3:
            act(it)
        if it.exit_code is None:
            it.fire(it.random.choice([0.0, 0.001]))
    assert it.ending_since is not None
    took_s = it.exited_at - it.ending_since
    limit_s = it.supervisor.plan.shutdown_timeout_s + 0.5
    assert took_s <= limit_s + 0.1, f"the end took {took_s} s"
    assert it.exit_code == it.code_due, it.lines()[-12:]
    assert all(it.supervisor.processes[key].state != State.RUNNING for key in [ANCHOR])
    it.counts.stops += 1


def simulate(hours: float, seed: int, say: Callable[[str], object]) -> list[Counts]:
    """The whole of it. Returns the counts of each sixth of the time."""
    draw = Random(seed)
    now, whole_s = 100.0, hours * HOUR_S
    end_at = now + whole_s
    parts = [Counts() for _ in range(6)]
    longest_until = now + whole_s * FIRST_LIFE
    say("| simulated hours | " + " | ".join(vars(Counts())) + " |\n|" + "---|" * 10)
    it = Container(plan_of(draw), draw, now, parts[0])
    until = longest_until
    for number, counts in enumerate(parts):
        it.counts = counts
        part_ends_at = 100.0 + whole_s * (number + 1) / len(parts)
        while now < part_ends_at:
            live(it, min(until, part_ends_at))
            now = max(it.now, now)
            if it.exit_code is not None or now >= until:
                stop(it)
                now = it.now
                it = Container(plan_of(draw), draw, now, counts)
                until = max(longest_until, now) if now < longest_until else now
                until = now + draw.expovariate(1 / MEAN_LIFE_S) if until <= now else until
        first, last = (number * hours / len(parts), (number + 1) * hours / len(parts))
        cells = [f"{value:,}" for value in vars(counts).values()]
        say(f"| {first:g} to {last:g} | " + " | ".join(cells) + " |")
    if it.exit_code is None:
        stop(it)
    assert end_at <= now + 1.0
    return parts


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.simulated")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    parts = simulate(options.hours, options.seed, lambda text: sys.stdout.write(f"{text}\n"))
    total = [sum(each) for each in zip(*[vars(it).values() for it in parts], strict=True)][:-1]
    largest = max(it.state_bytes for it in parts)
    cells = [f"{value:,}" for value in (*total, largest)]
    sys.stdout.write("| all | " + " | ".join(cells) + " |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
