"""A kernel, its programs and PID 1's loop, played against the core on a clock that we turn.

`Kernel` answers each effect as `pid1` would, keeps what a real kernel would know (who lives, in
which process group), and checks, effect by effect, what must hold whatever happens.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from initpy.core.door import is_waiting
from initpy.core.messages import (
    CatchersFound,
    ChildrenGone,
    EndSurvivors,
    ExecFailed,
    Executed,
    Exit,
    Exited,
    FindCatchers,
    Kill,
    KillFailed,
    KillGroup,
    KillRest,
    Log,
    Notice,
    PlanReady,
    ReadPlan,
    RecordTree,
    Refuse,
    RunStopCommand,
    SetTimer,
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
from initpy.core.states import IDLE, ExitStatus, State, Wanted
from initpy.core.supervisor import OWN_TIMER, Phase, Supervisor, step
from initpy.core.values import replace
from initpy.plan import ALWAYS, NEVER, UNEXPECTED
from tests.core.specs import CONT, KILL, TERM, exited, killed

if TYPE_CHECKING:
    from initpy.core.door import Process
    from initpy.core.values import Value
    from initpy.plan import Plan, ProcessSpec

EPERM = 1

MEEK, DEAF, UNDYING = "meek", "deaf", "undying"
"""Survivors in a process group: end at any signal; at SIGKILL; never (they hang in the kernel)."""

HANGS = "hangs"
WORKS, FAILS = "works", "fails"

RECORD, COMMAND = "record", "command"
"""Acts of a stop that are no signal."""


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
    command: str = WORKS
    """What its stop_command does: WORKS (the program ends); FAILS; HANGS (or is of no use)."""


@dataclass
class Instance:
    key: str
    fate: Fate
    executed: bool = False
    ends_with: ExitStatus | None = None
    """It was told to end and has yet to do so."""


@dataclass
class Group:
    """An instance, dead or alive, and its descendants: `members` are those."""

    members: list[str] = field(default_factory=list)
    was_sent_kill: bool = False
    told: int = 0
    """How many the core has been told of."""


@dataclass
class StopSeen:
    """One stop of one instance, as seen from outside."""

    spec: ProcessSpec
    begun_at: float
    to_come: list[str | int]
    """The acts that are still to come, in this order; then KILL, as often as it takes."""
    least_s: float
    """It has at least this long before KILL; 0 where something limits it."""


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
        self.cases: dict[str, tuple[int, int]] = {}
        """By key: the dead instance whose survivors are being ended, and with which signal."""
        self.stops: dict[str, StopSeen] = {}
        self.helpers_are_slow = False
        """What a helper finds out comes when `a_helper_answers`."""
        self.unanswered: list[Value] = []
        self.draw = 0.5
        self.questions: list[FindCatchers] = []
        self.done: list[Value] = []
        """All effects so far."""
        self.ever_running: set[str] = set()
        """Keys that have been RUNNING; of oneshots, that have come to their expected end. After a
        reload: since then."""
        self.has_reloaded = False
        self.started: set[str] = set()
        """Keys that are started again whatever has become of what they come after."""
        self.touched: set[str] = set()
        """Keys that an operator has started."""
        self.spawns = 0
        self.dead: dict[int, str] = {}
        """Every pid that has died, to its key."""
        self.buried: set[int] = set()
        """Those of which the core has been told."""
        self.stopped_before: set[str] = set()
        """Keys whose stop has begun before that of the container."""
        self.is_asked_to_end = False
        self.ending_since: float | None = None
        self.code_due = 0
        """The exit code that DESIGN §4.8 asks for, as observed from outside."""
        self.first_failure = 0
        self.exit_code: int | None = None
        self.exited_at = 0.0
        self._next_pid = 8
        self._last_group: dict[str, int] = {}
        self._rest_signal = 0
        self._restarts: dict[str, list[float]] = {}
        self._exit_requests = 0
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

    def dies(
        self, key: str, status: ExitStatus, peak_kib: int = 0, oom_kills: int = 0
    ) -> list[Value]:
        """The live instance of `key` ends by itself."""
        seen = len(self.done)
        self.end(self.pid(key), status, peak_kib, oom_kills)
        self.settle()
        return self.done[seen:]

    def let_go(self, pid: int) -> None:
        """A slow instance ends at last."""
        status = self.instances[pid].ends_with
        assert status is not None
        self.end(pid, status)

    def end(self, pid: int, status: ExitStatus, peak_kib: int = 0, oom_kills: int = 0) -> None:
        instance = self.instances.pop(pid)
        self.dead[pid] = instance.key
        if not instance.executed and instance.fate.exec_fails in ("", HANGS):
            self.queue.append(Executed(instance.key, pid))  # pid1 takes a silent end for exec
        self.queue.append(Exited(instance.key, pid, status, peak_kib, oom_kills, self.draw))
        self._after_a_death()

    def end_survivor(self, group: int) -> None:
        self.groups[group].members.pop()
        self._after_a_death()

    def executes(self, pid: int) -> None:
        """A hanging exec comes through."""
        self.instances[pid].executed = True
        self.queue.append(Executed(self.instances[pid].key, pid))

    def a_helper_answers(self) -> list[Value]:
        """The first that was asked, of those that have not answered."""
        return self.tell(self.unanswered.pop(0))

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
        self._watch(event, effects, before)
        for effect in effects:
            self.done.append(effect)
            self._carry_out(effect, before)
        self._check_timers()

    def _carry_out(self, effect: Value, before: Supervisor) -> None:
        match effect:
            case Spawn(key=key):
                self._check_spawn(key, before)
                self._spawn(key)
            case Kill(key=key, pid=pid, signum=signum):
                assert pid not in self.buried, f"{effect} to a pid that was reaped"
                if pid not in self.instances:
                    pass  # a zombie; or reaped, and pid1 knows before the core does
                elif self.instances[pid].fate.untouchable:
                    self.queue.append(KillFailed(key, pid, EPERM))
                else:
                    self._signal(pid, signum)
            case KillGroup(key=key, group=group, signum=signum):
                assert group > 1, effect
                assert group not in self.buried, f"{effect} to a group without its leader"
                assert self.state(key) == State.STOPPING, effect
                if group in self.instances:
                    self._signal_group(key, group, signum)
            case EndSurvivors(key=key, group=group, signum=signum):
                assert group > 1, effect
                assert group not in self.instances, f"{effect} while the instance lives"
                assert not self._live_pids(key), f"{effect} while a new instance lives"
                self._end_survivors(key, group, signum)
            case RecordTree(key=key, pid=pid):
                assert pid not in self.buried, effect
                self._answer(TreeRecorded(key, pid))
            case RunStopCommand(key=key, pid=pid):
                assert pid not in self.buried, effect
                assert self.process(key).spec.stop_command, f"{effect}, and there is none"
                if pid in self.instances:
                    self._run_stop_command(key, pid)
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
            self.queue.append(SpawnFailed(key, fate.spawn_fails, self.draw))
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
        group, leader = self.groups[number], self.instances[number]
        if leader.fate.untouchable and not group.members:
            self.queue.append(KillFailed(key, number, EPERM))
            return
        group.members = [kind for kind in group.members if not _ends(kind, signum)]
        if not leader.fate.untouchable:
            self._signal(number, signum)

    def _end_survivors(self, key: str, number: int, signum: int) -> None:
        group = self.groups[number]
        group.was_sent_kill |= signum == KILL
        if len(group.members) > group.told:
            found = tuple([(1000 + at, kind) for at, kind in enumerate(group.members)])
            group.told = len(found)
            self._answer(SurvivorsFound(key, number, found))
        group.members = [kind for kind in group.members if not _ends(kind, signum)]
        self.cases[key] = (number, signum)
        self._after_a_death()
        if signum == 0:
            self.cases.pop(key, None)  # they were only to be looked for

    def _answer(self, fact: Value) -> None:
        if self.helpers_are_slow:
            self.unanswered.append(fact)
        else:
            self.queue.append(fact)

    def _run_stop_command(self, key: str, pid: int) -> None:
        instance = self.instances[pid]
        if instance.fate.command == FAILS:
            self._answer(StopCommandFailed(key, pid, "exit status 1"))
        elif instance.fate.command == WORKS and not instance.fate.undying:
            instance.ends_with = instance.fate.answer or exited(0)
            if not instance.fate.slow:
                self.let_go(pid)

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
        for key, (number, _) in list(self.cases.items()):
            if not self.groups[number].members:
                del self.cases[key]
                self._answer(SurvivorsGone(key, number))

    def _survivors(self) -> list[str]:
        return [kind for group in self.groups.values() for kind in group.members]

    # ------------------------------------------------------------ what must hold

    def _live_pids(self, key: str) -> list[int]:
        return [pid for pid, instance in self.instances.items() if instance.key == key]

    def _check_spawn(self, key: str, before: Supervisor) -> None:
        live = self._live_pids(key)
        assert not live, f"{key} is spawned while {live} lives"
        assert before.phase in (Phase.BOOT, Phase.UP), f"{key} is spawned while the container ends"
        group = self.groups.get(self._last_group.get(key, 0), Group())
        assert not group.members or group.was_sent_kill, (
            f"{key} is spawned while {group.members} of its last instance live, unkilled"
        )
        if key not in self.touched | self.started:
            there = self.supervisor.processes
            after = [it for it in there[key].spec.after if it in there]
            early = [earlier for earlier in after if earlier not in self.ever_running]
            assert not early, f"{key} is spawned before {early}"
        self.started.add(key)

    def _watch_stops(self, effects: tuple[Value, ...], before: Supervisor) -> None:
        """See that every act of a stop comes once, in its turn, and KILL after them."""
        for at, effect in enumerate(effects):
            match effect:
                case Notice(process=process) if process.state == State.STOPPING:
                    self.stops[process.spec.key] = self._stop_seen(process, before)
                case RecordTree(key=key):
                    self._check_act(key, RECORD)
                case RunStopCommand(key=key):
                    self._check_act(key, COMMAND)
                case Kill(key=key, signum=signum) | KillGroup(key=key, signum=signum):
                    told = effects[at - 1]
                    if signum == CONT:
                        assert isinstance(told, Kill | KillGroup)
                        assert told == replace(effect, signum=told.signum), "it follows another"
                        self._check_act(key, told.signum)
                    elif isinstance(told, Log) and told.text.startswith("killing "):
                        self._check_act(key, KILL)
                case _:
                    pass

    def _stop_seen(self, process: Process, before: Supervisor) -> StopSeen:
        spec = process.spec
        acts: list[str | int] = [signum for signum, _ in spec.stopsteps]
        least_s = sum(span_s for _, span_s in spec.stopsteps)
        if spec.stop_command:
            acts.insert(0, COMMAND)
            least_s += spec.stop_command_s
        if self.supervisor.phase == Phase.UP:
            acts.insert(0, RECORD)
        elif before.phase == Phase.UP:
            acts.insert(0, "perhaps")  # stopped by a reload, in the very turn that ended UP
        return StopSeen(spec, self.now, acts, least_s)

    def _check_act(self, key: str, act: str | int) -> None:
        stop = self.stops[key]
        if stop.to_come[:1] == ["perhaps"]:
            del stop.to_come[0]
            if act == RECORD:
                return
        if stop.to_come[:1] == [COMMAND] and not self.process(key).spec.stop_command:
            del stop.to_come[0]  # a reload has taken it away
            stop.least_s = 0.0
        if act == KILL and not stop.to_come:
            assert self.now - stop.begun_at >= stop.least_s - 1e-6, f"{key} is killed too early"
            return
        assert stop.to_come[:1] == [act], f"{act} to {key}, of whose stop {stop.to_come} is to come"
        del stop.to_come[0]
        if act != RECORD:
            self._check_stop_order(key)

    def _check_stop_order(self, key: str) -> None:
        """What comes after `key` was stopped before it."""
        if self.supervisor.phase != Phase.STOPPING or key in self.stopped_before:
            return
        for pid, instance in self.instances.items():
            process = self.supervisor.processes[instance.key]
            if key in process.spec.after and process.state != State.UNKNOWN:
                is_late = process.due_at is not None and process.due_at <= self.now
                has_later = sum(span_s for _, span_s in process.stages[1:]) > 1e-6
                assert process.killed or (is_late and not has_later), f"{key} stops before {pid}"

    def _check_timers(self) -> None:
        for key, process in self.supervisor.processes.items():
            assert self._live_timers(key, process.epoch) == int(is_waiting(process)), process
        if self.supervisor.phase != Phase.OVER:
            ending = self.supervisor.phase in (Phase.STOPPING, Phase.REST)
            assert self._live_timers(OWN_TIMER, self.supervisor.epoch) == int(ending)

    def _live_timers(self, key: str, epoch: int) -> int:
        fired = self.queue.count(TimerFired(key, epoch))
        return fired + int(key in self.armed and self.armed[key][1] == epoch)

    def _watch(self, event: Value, effects: tuple[Value, ...], before: Supervisor) -> None:
        """Keep the books from which the exit code, the order and the times are judged."""
        if isinstance(event, Start):
            self.touched.add(event.key)
        if isinstance(event, Stop) and event.within_s is not None and event.key in self.stops:
            self.stops[event.key].least_s = 0.0
        if isinstance(event, StopCommandFailed) and event.key in self.stops:
            self.stops[event.key].least_s = 0.0
        if isinstance(event, PlanReady) and before.phase == Phase.UP:
            self.has_reloaded = True
            processes = self.supervisor.processes.values()
            self.ever_running = {each.spec.key for each in processes if _is_good(each)}
            for each in before.processes.values():
                if each.wanted == Wanted.UP and each.ending:
                    # Its start has begun: it waits for its survivors' end, and a new `after` is
                    # for the next start.
                    self.started.add(each.spec.key)
        culprits = []
        for effect in effects:
            if isinstance(effect, Notice):
                process = effect.process
                self._check_options(process, effects)
                if process.state == State.STOPPING and self.supervisor.phase == Phase.UP:
                    self.stopped_before.add(process.spec.key)
                if _is_good(process):
                    self.ever_running.add(process.spec.key)
                if self.ending_since is None and _is_a_failure(process):
                    self.first_failure = self.first_failure or _code(process.status)
                    if process.spec.critical and not process.by_operator:
                        culprits.append(_code(process.status))
        assert not culprits or self.supervisor.phase > Phase.UP, "a critical program has failed"
        if self.ending_since is None and self.supervisor.phase > Phase.UP:
            self.ending_since = self.now
            self.code_due = culprits[0] if culprits else self.first_failure
            self.is_asked_to_end = isinstance(event, SignalReceived)
            if self.is_asked_to_end:
                self.code_due = 0
        self._exit_requests += sum("indicating exit request" in line for line in _texts(effects))
        if any(line.endswith("(drain)") for line in _texts(effects)):
            assert self.is_asked_to_end, "only who is asked to end lets its programs drain"
            assert self._exit_requests == 1, "asked again, nobody drains any more"
        self._watch_stops(effects, before)
        if isinstance(event, Stop) and event.within_s is not None and event.key in self.stops:
            self.stops[event.key].least_s = 0.0
        if self.supervisor.phase > Phase.UP:
            for stop in self.stops.values():
                stop.least_s = 0.0

    def _check_options(self, process: Process, effects: tuple[Value, ...]) -> None:
        """A process that has ended or failed is where its options say, in our own words for
        them."""
        spec, status = process.spec, process.status
        restarts = self._restarts.setdefault(spec.key, [])
        if process.state == State.EXITED:
            assert status is not None
            comes_back = (
                not spec.oneshot
                and {
                    NEVER: False,
                    UNEXPECTED: not _is_expected(process),
                    ALWAYS: True,
                }[spec.autorestart]
            )
            assert (process.wanted == Wanted.UP) == comes_back, process
            if comes_back and spec.restart_limit is not None:
                limit = spec.restart_limit
                restarts.append(self.now)
                within = [at for at in restarts if self.now - at < limit.window_s]
                given_up = [
                    notice.process.spawnerr
                    for notice in effects
                    if isinstance(notice, Notice)
                    and notice.process.spec.key == spec.key
                    and (notice.old, notice.process.state) == (State.EXITED, State.FATAL)
                ]
                assert bool(given_up) == (len(within) > limit.count), (process, within)
        elif process.state == State.BACKOFF:
            most = spec.startretries + 1
            assert process.failures >= 1
            assert process.failures <= most or self.has_reloaded, "unless it was more before"
            assert (process.due_at is None) == (process.failures > spec.startretries), process
            if process.due_at is not None:
                delay_s = self._delay_s(spec, process.failures)
                assert abs(process.due_at - self.now - delay_s) < 1e-6, process
            assert process.spawnerr
        if process.state in IDLE and process.wanted == Wanted.DOWN:
            # Now it starts only because somebody asks for it, or a plan.
            restarts.clear()
            self.started.discard(spec.key)

    def _delay_s(self, spec: ProcessSpec, failures: int) -> float:
        if spec.backoff is None:
            return failures
        wait_s = spec.backoff.initial_s
        for _ in range(failures - 1):
            wait_s *= spec.backoff.factor
        return min(wait_s, spec.backoff.max_s) * (1 + spec.backoff.jitter * self.draw)


def _ends(kind: str, signum: int) -> bool:
    return kind != UNDYING and (signum == KILL or (kind == MEEK and signum == TERM))


def _texts(effects: tuple[Value, ...]) -> list[str]:
    return [effect.text for effect in effects if isinstance(effect, Log)]


def _is_expected(process: Process) -> bool:
    status = process.status
    assert status is not None
    return status.signal is None and status.code in process.spec.exitcodes


def _is_good(process: Process) -> bool:
    """What comes after it may start."""
    if process.state == State.EXITED:
        return process.wanted == Wanted.DOWN and _is_expected(process)
    return process.state == State.RUNNING and not process.spec.oneshot


def _is_a_failure(process: Process) -> bool:
    if process.state == State.EXITED and process.wanted == Wanted.DOWN:
        return not _is_expected(process)
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
