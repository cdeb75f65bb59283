"""A kernel, its programs and PID 1's loop, played against the core on a clock that we turn.

`Kernel` answers each effect as `pid1` would, keeps what a real kernel would know (who lives, in
which process group), and checks, effect by effect, what must hold whatever happens.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from initpy.core.messages import (
    CatchersFound,
    ChildrenGone,
    ExecFailed,
    Executed,
    Exit,
    Exited,
    FindCatchers,
    GroupGone,
    Kill,
    KillFailed,
    KillGroup,
    KillRest,
    Log,
    Notice,
    PlanReady,
    ReadPlan,
    Refuse,
    SetTimer,
    SignalReceived,
    Spawn,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
    TimerFired,
)
from initpy.core.process import is_waiting
from initpy.core.states import ExitStatus, State, Wanted
from initpy.core.supervisor import OWN_TIMER, Phase, Supervisor, step
from initpy.plan import ALWAYS, NEVER, UNEXPECTED
from tests.core.specs import CONT, KILL, TERM, exited, killed

if TYPE_CHECKING:
    from initpy.core.process import Process
    from initpy.core.values import Value
    from initpy.plan import Plan

EPERM = 1

MEEK, DEAF, UNDYING = "meek", "deaf", "undying"
"""Survivors in a process group: end at any signal; at SIGKILL; never (they hang in the kernel)."""

HANGS = "hangs"


@dataclass(frozen=True)
class Fate:
    """What becomes of one attempt to start a process. The default: a program that behaves."""

    spawn_fails: str = ""
    exec_fails: str = ""
    """The reason; HANGS: nothing is heard of it."""
    answer: ExitStatus | None = field(default_factory=lambda: exited(0))
    """How it ends when told to; None: it is deaf to everything but SIGKILL."""
    slow: bool = False
    """Told to end, it does so only when `let_go` says so."""
    undying: bool = False
    untouchable: bool = False
    """The kernel refuses to let us signal it."""
    survivors: tuple[str, ...] = ()


@dataclass
class Instance:
    key: str
    fate: Fate
    executed: bool = False
    ends_with: ExitStatus | None = None
    """It was told to end and has yet to do so."""


@dataclass
class Group:
    members: list[str] = field(default_factory=list)
    was_sent_kill: bool = False


class Kernel:
    """`supervisor` and all it sees. A test says what happens; effects are carried out at once."""

    def __init__(
        self, plan: Plan | None = None, *fates: Fate, now: float = 100.0, boots: bool = True
    ) -> None:
        self.supervisor = Supervisor()
        self.now = now
        self.fates = fates
        """Of the first, second, ... spawn, and then again from the first."""
        self.queue: deque[Value] = deque()
        self.armed: dict[str, tuple[float, int]] = {}
        self.instances: dict[int, Instance] = {}
        self.groups: dict[int, Group] = {}
        self.lingering: dict[int, str] = {}
        self.questions: list[FindCatchers] = []
        self.done: list[Value] = []
        """All effects so far."""
        self.ever_running: set[str] = set()
        self.touched: set[str] = set()
        """Keys that an operator has started."""
        self.spawns = 0
        self.dead: dict[int, str] = {}
        """Every pid that has died, to its key."""
        self.buried: set[int] = set()
        """Those of which the core has been told."""
        self.ending_since: float | None = None
        self.code_due = 0
        """The exit code that DESIGN §4.8 asks for, as observed from outside."""
        self.first_failure = 0
        self.exit_code: int | None = None
        self.exited_at = 0.0
        self._next_pid = 8
        self._last_group: dict[str, int] = {}
        self._rest_signal = 0
        if plan is not None and boots:
            self.tell(PlanReady(plan))

    # ------------------------------------------------------------ what a test says

    def tell(self, *events: Value) -> list[Value]:
        """These happen now; returns what the core has done about them."""
        seen = len(self.done)
        self.queue.extend(events)
        self.settle()
        return self.done[seen:]

    def settle(self) -> None:
        while self.queue and self.exit_code is None:
            self._take(self.queue.popleft())

    def next_due_at(self) -> float | None:
        return min([due_at for due_at, _ in self.armed.values()], default=None)

    def fire(self, late_s: float = 0.0) -> list[Value]:
        """Time passes until the first timer fires (a little late, as they do)."""
        due_at = self.next_due_at()
        assert due_at is not None, "nothing is armed"
        return self.sleep(max(due_at - self.now, 0.0) + late_s)

    def sleep(self, span_s: float) -> list[Value]:
        """Time passes, and timers fire each at its time."""
        seen = len(self.done)
        end_at = self.now + span_s
        while (due_at := self.next_due_at()) is not None and due_at <= end_at:
            self.now = max(self.now, due_at)
            for key, (due, epoch) in sorted(self.armed.items(), key=lambda item: item[1]):
                if due <= self.now:
                    del self.armed[key]
                    self.queue.append(TimerFired(key, epoch))
            self.settle()
            if self.exit_code is not None:
                return self.done[seen:]
        self.now = end_at
        return self.done[seen:]

    def dies(self, key: str, status: ExitStatus) -> list[Value]:
        """The live instance of `key` ends by itself."""
        seen = len(self.done)
        self.end(self.pid(key), status)
        self.settle()
        return self.done[seen:]

    def let_go(self, pid: int) -> None:
        """A slow instance ends at last."""
        status = self.instances[pid].ends_with
        assert status is not None
        self.end(pid, status)

    def end(self, pid: int, status: ExitStatus) -> None:
        instance = self.instances.pop(pid)
        self.dead[pid] = instance.key
        if not instance.executed and instance.fate.exec_fails in ("", HANGS):
            self.queue.append(Executed(instance.key, pid))  # pid1 takes a silent end for exec
        self.queue.append(Exited(instance.key, pid, status))
        self.lingering[pid] = instance.key
        self._after_a_death()

    def end_survivor(self, group: int) -> None:
        self.groups[group].members.pop()
        self._after_a_death()

    def executes(self, pid: int) -> None:
        """A hanging exec comes through."""
        self.instances[pid].executed = True
        self.queue.append(Executed(self.instances[pid].key, pid))

    def fork_survivors(self, pid: int, *members: str) -> None:
        self.groups[pid].members += members

    # ------------------------------------------------------------ what a test asks

    def process(self, key: str) -> Process:
        return self.supervisor.processes[key]

    def state(self, key: str) -> int:
        return self.process(key).state

    def pid(self, key: str) -> int:
        (pid,) = [pid for pid, instance in self.instances.items() if instance.key == key]
        return pid

    def lines(self) -> list[str]:
        return [effect.text for effect in self.done if isinstance(effect, Log)]

    def lives(self) -> bool:
        """PID 1 has not exited."""
        return self.exit_code is None

    def is_settled(self) -> bool:
        return not any(is_waiting(process) for process in self.supervisor.processes.values())

    # ------------------------------------------------------------ the loop of PID 1

    def _take(self, event: Value) -> None:
        before = self.supervisor
        if isinstance(event, Exited):
            self.buried.add(event.pid)
        self.supervisor, effects = step(self.supervisor, event, self.now)
        self._watch(event, effects)
        for effect in effects:
            self.done.append(effect)
            self._carry_out(effect, event, before)
        self._check_timers()

    def _carry_out(self, effect: Value, event: Value, before: Supervisor) -> None:
        match effect:
            case Spawn(key=key):
                self._check_spawn(key, before)
                self._spawn(key)
            case Kill(key=key, pid=pid, signum=signum):
                assert pid not in self.buried, f"{effect} to a pid that was reaped"
                self._check_stop_order(key, signum, event)
                if pid not in self.instances:
                    pass  # a zombie; or reaped, and pid1 knows before the core does
                elif self.instances[pid].fate.untouchable:
                    self.queue.append(KillFailed(key, pid, EPERM))
                else:
                    self._signal(pid, signum)
            case KillGroup(key=key, group=group, signum=signum):
                assert group > 1, effect
                assert group not in self.instances or self.state(key) == State.STOPPING, effect
                self._check_stop_order(key, signum, event)
                self._signal_group(key, group, signum)
            case SetTimer(key=key, due_at=due_at, epoch=epoch):
                assert due_at >= self.now
                self.armed[key] = (due_at, epoch)
            case KillRest(signum=signum):
                self._kill_rest(signum)
            case FindCatchers():
                assert effect.among
                self.questions.append(effect)
            case Exit(code=code):
                assert self.exit_code is None
                self.exit_code, self.exited_at = code, self.now
            case Log() | Notice() | ReadPlan() | Refuse():
                pass
            case _:
                raise AssertionError(f"no such effect: {effect}")

    def _spawn(self, key: str) -> None:
        fate = self.fates[self.spawns % len(self.fates)] if self.fates else Fate()
        self.spawns += 1
        if fate.spawn_fails:
            self.queue.append(SpawnFailed(key, fate.spawn_fails))
            return
        pid, self._next_pid = self._next_pid, self._next_pid + 1
        instance = self.instances[pid] = Instance(key, fate)
        self.groups[pid] = Group(list(fate.survivors))
        self._last_group[key] = pid
        self.queue.append(Spawned(key, pid))
        if not fate.exec_fails:
            instance.executed = True
            self.queue.append(Executed(key, pid))
        elif fate.exec_fails != HANGS:
            self.queue.append(ExecFailed(key, pid, fate.exec_fails))
            self.end(pid, exited(127))

    def _signal(self, pid: int, signum: int) -> None:
        instance = self.instances[pid]
        if signum == KILL:
            if not instance.fate.undying:
                self.end(pid, killed(KILL))
        elif signum not in (CONT, 10) and instance.fate.answer is not None:
            instance.ends_with = instance.fate.answer
            if not instance.fate.slow:
                self.let_go(pid)

    def _signal_group(self, key: str, number: int, signum: int) -> None:
        group = self.groups.get(number, Group())
        leader = self.instances.get(number)
        group.was_sent_kill |= signum == KILL
        if leader is None and not group.members:
            self.lingering.pop(number, None)
            self.queue.append(GroupGone(key, number))
            return
        if leader is not None and leader.fate.untouchable and not group.members:
            self.queue.append(KillFailed(key, number, EPERM))
            return
        group.members = [kind for kind in group.members if not _ends(kind, signum)]
        if leader is not None and not leader.fate.untouchable:
            self._signal(number, signum)
        self._after_a_death()

    def _kill_rest(self, signum: int) -> None:
        self._rest_signal = signum
        for group in self.groups.values():
            group.members = [kind for kind in group.members if not _ends(kind, signum)]
        for pid, instance in list(self.instances.items()):
            if not instance.fate.untouchable:
                self._signal(pid, signum)
        self._after_a_death()

    def _after_a_death(self) -> None:
        if self._rest_signal and not self.instances and not self._survivors():
            self.queue.append(ChildrenGone())
        for number, key in list(self.lingering.items()):
            if number not in self.instances and not self.groups[number].members:
                del self.lingering[number]
                self.queue.append(GroupGone(key, number))

    def _survivors(self) -> list[str]:
        return [kind for group in self.groups.values() for kind in group.members]

    # ------------------------------------------------------------ what must hold

    def _check_spawn(self, key: str, before: Supervisor) -> None:
        live = [pid for pid, instance in self.instances.items() if instance.key == key]
        assert not live, f"{key} is spawned while {live} lives"
        assert before.phase in (Phase.BOOT, Phase.UP), f"{key} is spawned while the container ends"
        group = self.groups.get(self._last_group.get(key, 0), Group())
        assert not group.members or group.was_sent_kill, (
            f"{key} is spawned while {group.members} of its last instance live, unkilled"
        )
        if key not in self.touched:
            after = self.supervisor.processes[key].spec.after
            early = [earlier for earlier in after if earlier not in self.ever_running]
            assert not early, f"{key} is spawned before {early}"

    def _check_stop_order(self, key: str, signum: int, event: Value) -> None:
        """What comes after `key` was stopped before it. CONT is what marks a stop signal."""
        if self.supervisor.phase != Phase.STOPPING or signum != CONT:
            return
        if isinstance(event, Spawned | Stop):  # it overtook its spawn, or an operator asked
            return
        for pid, instance in self.instances.items():
            process = self.supervisor.processes[instance.key]
            if key in process.spec.after and process.state != State.UNKNOWN:
                out_of_time = process.due_at is not None and process.due_at <= self.now
                assert process.killed or out_of_time, f"{key} stops before {instance.key} ({pid})"

    def _check_timers(self) -> None:
        for key, process in self.supervisor.processes.items():
            assert self._live_timers(key, process.epoch) == int(is_waiting(process)), process
        if self.supervisor.phase != Phase.OVER:
            ending = self.supervisor.phase in (Phase.STOPPING, Phase.REST)
            assert self._live_timers(OWN_TIMER, self.supervisor.epoch) == int(ending)

    def _live_timers(self, key: str, epoch: int) -> int:
        fired = self.queue.count(TimerFired(key, epoch))
        return fired + int(key in self.armed and self.armed[key][1] == epoch)

    def _watch(self, event: Value, effects: tuple[Value, ...]) -> None:
        """Keep the books from which the exit code and the start order are judged."""
        if isinstance(event, Start):
            self.touched.add(event.key)
        culprits = []
        for effect in effects:
            if isinstance(effect, Notice):
                process = effect.process
                _check_options(process)
                if process.state == State.RUNNING:
                    self.ever_running.add(process.spec.key)
                if self.ending_since is None and _is_a_failure(process):
                    self.first_failure = self.first_failure or _code(process.status)
                    if process.spec.critical and not process.by_operator:
                        culprits.append(_code(process.status))
        assert not culprits or self.supervisor.phase > Phase.UP, "a critical program has failed"
        if self.ending_since is None and self.supervisor.phase > Phase.UP:
            self.ending_since = self.now
            self.code_due = culprits[0] if culprits else self.first_failure
            if isinstance(event, SignalReceived):
                self.code_due = 0


def _ends(kind: str, signum: int) -> bool:
    return kind != UNDYING and (signum == KILL or (kind == MEEK and signum == TERM))


def _check_options(process: Process) -> None:
    """A process that has ended or failed is where its options say, in our own words for them."""
    spec, status = process.spec, process.status
    if process.state == State.EXITED:
        assert status is not None
        expected = status.signal is None and status.code in spec.exitcodes
        comes_back = {NEVER: False, UNEXPECTED: not expected, ALWAYS: True}[spec.autorestart]
        assert (process.wanted == Wanted.UP) == comes_back, process
    elif process.state == State.BACKOFF:
        assert 1 <= process.failures <= spec.startretries + 1
        delay_s = process.failures if process.failures <= spec.startretries else None
        assert (process.due_at is None) == (delay_s is None), process
        assert process.spawnerr


def _is_a_failure(process: Process) -> bool:
    if process.state == State.EXITED and process.wanted == Wanted.DOWN:
        status = process.status
        assert status is not None
        return status.signal is not None or status.code not in process.spec.exitcodes
    return process.state == State.FATAL


def _code(status: ExitStatus | None) -> int:
    """DESIGN §4.8 of one that has failed."""
    if status is None:
        return 1
    return (status.code or 1) if status.signal is None else 128 + status.signal


def answer_catchers(question: FindCatchers, *keys: str) -> CatchersFound:
    """The helper's answer: these have a handler."""
    return CatchersFound(
        question.send, tuple([(key, pid) for key, pid in question.among if key in keys])
    )
