"""Floor 2: the loop of PID 1. Facts from the kernel go to the core, its effects to the kernel.

One thread, one epoll. It waits for: the wakeup pipe of the signals, the pipes of helpers and of
children on their way to exec, its own log while that is full, and the first timer. With none of
these it sleeps without end.
"""

from __future__ import annotations

import errno
import posix
import select
import time

from initpy.core.door import SIGCONT, SIGKILL
from initpy.core.messages import (
    CRITICAL,
    INFO,
    WARN,
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
    PlanRefused,
    ReadPlan,
    RecordTree,
    Refuse,
    RunStopCommand,
    SetTimer,
    SignalReceived,
    Spawn,
    Spawned,
    SpawnFailed,
    StopCommandFailed,
    SurvivorsGone,
    TimerFired,
    TreeRecorded,
    Upgrade,
)
from initpy.core.states import State
from initpy.core.supervisor import Supervisor, step
from initpy.core.timers import Timers
from initpy.core.values import Value
from initpy.core.words import ended
from initpy.faults import Faults, traceback_lines, what_is_missing
from initpy.helpers import CLOSED, Helpers
from initpy.linux import last_resort, syscalls
from initpy.linux.children import has_own_proc
from initpy.linux.environment import given_environment
from initpy.linux.image import Image, execute, memory_file, open_program
from initpy.linux.log import LogWriter
from initpy.linux.memory import OomKills
from initpy.linux.reaper import exit_status, has_children, reap
from initpy.linux.signals import SIGCHLD, Signals, block_all, set_mask
from initpy.linux.spawn import SpawnError, spawn, spawn_stop_command
from initpy.plan import Plan
from initpy.sweeping import Look, Sweeping
from initpy.wire import frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from initpy.core.states import ExitStatus
    from initpy.early import Early
    from initpy.helpers import Helper
    from initpy.linux.reaper import Dead

FORKING = (Spawn, FindCatchers, ReadPlan, RecordTree, RunStopCommand, Upgrade)
"""Effects that take milliseconds each; all others are a few syscalls at the most."""

UNSEEN = (Log, Notice, SetTimer)
"""Effects of which no program sees anything; log lines before any other are written first."""

MAX_SETTLE_S = 0.01
"""After this long, PID 1 looks at its signals before it goes on: a boot of 1,000 programs is 1,000
forks, and a stop must not have to wait for the last."""

MAX_WAIT_S = 86400.0
"""epoll counts milliseconds in 31 bits, 24 days; a timer may be set for longer."""

READ_BYTES = 8192
MAX_SWEEPS = 20
"""As a subreaper: how often what is left is looked for and killed."""

TERMINATION_LOG = "/dev/termination-log"
"""Kubernetes' file for why a container has ended."""

LAST_LINES_S = 0.2
"""What a slow reader of stderr gets, at the very end, to take the last lines."""

MEMORY_PAUSE_S = 0.05
MAX_MEMORY_ERRORS = 100
"""In a row: for 5 s PID 1 waits that there is memory again, then it takes it for a bug."""

CONFIG_REFUSED, CONFIG_HELPER_DIED = 2, 1
"""Exit codes: the file is no good; the helper that reads it has failed."""


class EndRest(Value):
    """The task of a helper: end what is left, where PID 1 is none."""


class StopCommand:
    """A stop command that runs: whose it is, which instance it is to stop, and the pipe from which
    comes why it could not be executed."""

    KEPT = ("key", "main_pid", "reason_fd")

    def __init__(self, key: str, main_pid: int, reason_fd: int) -> None:
        self.key = key
        self.main_pid = main_pid
        self.reason_fd = reason_fd


class Pid1:
    """PID 1, or what stands in for it where initpy is not the first process."""

    KEPT = (
        "_at_once",
        "_commands",
        "_dead",
        "_effects",
        "_environment",
        "_exit_code",
        "_facts",
        "_keys",
        "_oom_file",
        "_reasons",
        "_rest_signal",
        "_state",
        "_sweeps",
        "_taken",
    )

    def __init__(self, early: Early) -> None:
        """Take over what has been begun: by `early`, or by the image before this one.

        Raises:
            OSError: there are no descriptors.
        """
        self._signals = early.signals
        self._image = early.image
        self._read_config = early.read_config
        self._state = Supervisor()
        self._taken: list[int] = []
        """Signals that nothing has been done about."""
        self._dead: list[Dead] = []
        """Reaped and not buried."""
        self._facts: list[Value] = []
        self._at_once: list[Value] = []
        """Effects; all of them come before the next fact."""
        self._effects: list[Value] = []
        """Those that fork; they come when there is no fact."""
        self._doing: list[Value] | None = None
        """The list whose first is being carried out, until what cannot be undone is done."""
        self._at: object = None
        """What is being seen to, should it fail: a fact, an effect, a dead child, a ready fd."""
        self._timers = Timers()
        self._epoll = select.epoll(flags=select.EPOLL_CLOEXEC)
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._keys: dict[int, str] = {}
        """Live processes: pid to key."""
        self._reasons: dict[int, int] = {}
        """Children on their way to exec: pid to the fd of the reason."""
        self._commands: dict[int, StopCommand] = {}
        """Stop commands that run, by their pid."""
        self._rest_signal = 0
        """The last KillRest; 0: none yet."""
        self._sweeps = 0
        self._exit_code: int | None = None
        self._log = LogWriter(2)
        self._watches_log = False
        self._stdin_fd = syscalls.open_null()
        self._environment: dict[bytes, bytes] = {}
        self._is_first = posix.getpid() == 1
        self._helpers = Helpers(
            self._signals.inherited,
            self._watch,
            self._close,
            self._log.line,
            self._take_value,
            self._take_end,
        )
        self._sweeping = Sweeping(
            self._fork_helper,
            self._tell,
            lambda pid: self._keys.get(pid),  # noqa: PLW0108 - the dict is another after a hand-over
            lambda: (*self._keys, *self._helpers.by_pid),
        )
        self._oom_file = b""
        self._oom_kills = OomKills(b"")
        self._faults = Faults()
        self._shortages = 0
        """How many turns in a row have failed for lack of memory."""
        self._asked: int | None = None
        """The open program that is being asked whether it can take over."""
        self._is_to_upgrade = False
        """It has said that it can."""
        self._watch(self._signals.fd, self._take_signals)
        if early.state is not None:
            self._take_over(early.state, early.version)
            return
        self._environment = given_environment()
        self._helpers.adopt(early.helper_pid, early.helper_fd, "config", ReadPlan())
        if not self._is_first:
            self._become_subreaper()

    def run(self) -> int:
        """Live until the core says `Exit`; returns the exit code."""
        while self._exit_code is None:
            try:
                self._turn()
                self._shortages = 0
            except MemoryError as exc:
                self._run_short(exc)
            except BaseException as exc:
                self._repair(exc)
        self._log.flush_before_exit(LAST_LINES_S)
        return self._exit_code

    # ------------------------------------------------------------ the loop

    def _turn(self) -> None:
        """Wait for what comes first, and see to everything that has come."""
        self._at = None
        for fd, _ in self._epoll.poll(self._wait_s()):
            callback = self._callbacks.get(fd)
            if callback is not None:  # else an earlier callback of this turn has unwatched it
                self._at = fd
                callback()
        self._see_to_signals()
        now = time.monotonic()
        self._at = "sweeping"
        self._sweeping.look_again(now)
        self._at = None
        self._facts += [TimerFired(key, epoch) for key, epoch in self._timers.pop_due(now)]
        self._settle()
        self._at = "log"
        self._log.flush()
        self._watch_log()
        if self._is_to_upgrade:
            self._upgrade()

    def _wait_s(self) -> float:
        """Seconds until the first timer; -1: for ever."""
        if self._facts or self._effects or self._at_once or self._taken or self._dead:
            return 0.0
        due_at, look_at = self._timers.next_due_at(), self._sweeping.next_look_at()
        if due_at is None or (look_at is not None and look_at < due_at):
            due_at = look_at
        if due_at is None:
            return -1.0
        return min(max(0.0, due_at - time.monotonic()), MAX_WAIT_S)

    def _settle(self) -> None:
        """Give the facts to the core and carry out its effects, until nothing of either is left,
        or a look at the signals is due.

        Effects are carried out at once, but for those that fork: these wait in a queue behind the
        facts, so that a stop is not held up, and what it has made senseless is not done any more.
        """
        until = time.monotonic() + MAX_SETTLE_S
        while self._exit_code is None:
            if self._at_once:
                self._do_first(self._at_once)
            elif self._facts:
                self._take_first()
            elif self._effects:
                self._do_first(self._effects)
            else:
                return
            if time.monotonic() > until:
                return

    def _take_first(self) -> None:
        """Have the core take the first fact."""
        fact = self._at = self._facts[0]
        state, effects = step(self._state, fact, time.monotonic())
        self._note_step(state, effects)
        self._faults.clear(fact)

    def _note_step(self, state: Supervisor, effects: tuple[Value, ...]) -> None:
        """The first fact is taken. Nothing in here can fail half-way."""
        at_once = [effect for effect in effects if not isinstance(effect, FORKING)]
        self._effects += [effect for effect in effects if isinstance(effect, FORKING)]
        self._at_once += at_once
        self._state = state
        del self._facts[0]

    def _do_first(self, effects: list[Value]) -> None:
        """Carry out the first of these effects."""
        effect = self._at = effects[0]
        self._doing = effects
        if not isinstance(effect, UNSEEN):
            self._log.flush()  # why it is done stands before what comes of it
        self._carry_out(effect)
        self._note_done()
        self._faults.clear(effect)

    def _note_done(self) -> None:
        """What cannot be undone of the effect is done: whatever fails now, not once more."""
        if self._doing is not None:
            del self._doing[0]
            self._doing = None

    def _tell(self, fact: Value) -> None:
        self._facts.append(fact)

    def _watch(self, fd: int, callback: Callable[[], None]) -> None:
        self._epoll.register(fd, select.EPOLLIN)
        self._callbacks[fd] = callback

    def _close(self, fd: int) -> None:
        """Unwatch before closing: a forked child may share the open file, and epoll would go on
        reporting it under a number that means something else by then."""
        self._unwatch(fd)
        posix.close(fd)

    def _unwatch(self, fd: int) -> None:
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def _watch_log(self) -> None:
        """Wake up when a full stderr has room again, and only then."""
        if self._log.backlog == self._watches_log:
            return
        fd = self._log.fd
        try:
            if self._watches_log:
                self._unwatch(fd)
            else:
                self._epoll.register(fd, select.EPOLLOUT)
                self._callbacks[fd] = self._log.flush
            self._watches_log = not self._watches_log
        except OSError:  # no memory for it: the next line tries again
            pass

    # ------------------------------------------------------------ faults of our own

    def _run_short(self, exc: MemoryError) -> None:
        """To execute itself anew takes memory as well: wait, and go on where it was."""
        self._shortages += 1
        self._doing = None
        if self._shortages > MAX_MEMORY_ERRORS:
            self._repair(exc)
        else:
            time.sleep(MEMORY_PAUSE_S)

    def _repair(self, exc: BaseException) -> None:
        """A bug has shown itself: go on in a new image of this process, with the same state.

        What had been begun and not done is tried once more there, and dropped when it fails again.
        Where that cannot be, go on in this image.
        """
        now = time.monotonic()
        self._doing = None
        steps: list[Callable[[], object]] = [
            self._drop_what_fails_again,
            lambda: self._say_fault(exc),
            self._log.flush,
        ]
        for do in steps:
            try:
                do()
            except BaseException:  # noqa: S112 - the log itself may be what fails
                continue
        if self._faults.are_too_many(now):
            why = "too many faults of initpy in a minute"
            known = (*self._keys, *self._helpers.by_pid)
            last_resort.run(why, known, self._state.plan.shutdown_timeout_s)
        try:
            why_not = self._image.why_not_again()
            if not why_not:
                self._hand_over(now, "itself", None)
        except BaseException as failed:
            why_not = repr(failed)
        try:
            self._log.line(CRITICAL, f"cannot execute itself anew, going on as it is: {why_not}")
            self._heal()
        except BaseException:  # noqa: S110 - it has been counted, and the next turn may do better
            pass

    def _say_fault(self, exc: BaseException) -> None:
        self._log.queue(
            CRITICAL, f"a bug in initpy: {exc!r}; executing itself anew, programs run on"
        )
        for line in traceback_lines(exc):
            self._log.queue(CRITICAL, line)

    def _drop_what_fails_again(self) -> None:
        """What has been seen to when it failed; after the second time, without it."""
        culprit, at = self._name_of(self._at), self._at
        if culprit is None or not self._faults.fails_again(culprit):
            return
        name = culprit if isinstance(culprit, str) else type(culprit).__name__
        self._log.queue(CRITICAL, f"this has failed twice, and is dropped: {name}")
        if self._at_once and self._at_once[0] is at:
            self._put_in_place_of(self._at_once.pop(0))
        elif self._facts and self._facts[0] is at:
            fact = self._facts.pop(0)
            if isinstance(fact, PlanReady):  # without a plan there is nothing to go on with
                reason = "the plan that the config helper sent makes no sense"
                self._tell(PlanRefused(CONFIG_HELPER_DIED, reason))
        elif self._effects and self._effects[0] is at:
            self._put_in_place_of(self._effects.pop(0))
        elif self._dead and self._dead[0] is at:
            self._bury_without_ceremony(self._dead.pop(0))
        elif at in ("log", self._log.fd):
            self._log.give_up()
        elif isinstance(at, int):
            self._give_up_fd(at)

    def _name_of(self, at: object) -> Value | str | None:
        """What it is called in this image and the next."""
        if isinstance(at, Value) or at is None or isinstance(at, str):
            return at
        for helper in self._helpers.by_pid.values():
            if helper.fd == at:
                return f"what helper {helper.pid} says"
        for pid, fd in self._reasons.items():
            if fd == at:
                return f"whether {pid} was executed"
        return "the log" if at == self._log.fd else "the signals"

    def _put_in_place_of(self, effect: Value) -> None:
        """The core waits for what an effect brings about."""
        reason = "a bug in initpy, see its log"
        match effect:
            case Spawn(key=key):
                self._tell(SpawnFailed(key, reason))
            case RecordTree(key=key, pid=pid):
                self._tell(TreeRecorded(key, pid))
            case RunStopCommand(key=key, pid=pid):
                self._tell(StopCommandFailed(key, pid, reason))
            case EndSurvivors(key=key, group=group):
                self._tell(SurvivorsGone(key, group))
            case FindCatchers(send=send):
                self._tell(CatchersFound(send, ()))
            case ReadPlan():
                self._tell(PlanRefused(CONFIG_HELPER_DIED, reason))
            case Exit(code=code):
                self._exit_code = code

    def _bury_without_ceremony(self, dead: Dead) -> None:
        status = exit_status(dead.wait_status)
        if dead.pid in self._keys:
            self._tell(Exited(self._keys.pop(dead.pid), dead.pid, status))
        self._helpers.by_pid.pop(dead.pid, None)
        self._commands.pop(dead.pid, None)

    def _give_up_fd(self, fd: int) -> None:
        """No more is to come from there: a helper is replaceable, and a reason for people."""
        for helper in self._helpers.by_pid.values():
            if helper.fd == fd:
                helper.values.clear()
                self._helpers.hang_up(helper)
                syscalls.kill(helper.pid, SIGKILL)
                return
        for pid, reason_fd in self._reasons.items():
            if reason_fd == fd:
                del self._reasons[pid]
                self._close(fd)
                return

    def _heal(self) -> None:
        """Where the fault has hit between two acts that belong together, do the second."""
        facts, effects = what_is_missing(
            self._state,
            self._timers,
            self._keys,
            self._reasons,
            self._sweeping.cases(),
            (*self._facts, *self._at_once, *self._effects, *map(self._name_of, self._dead)),
        )
        self._facts += facts
        self._at_once += effects
        self._sweeping.heal(set(self._keys.values()))

    # ------------------------------------------------------------ from image to image

    def _parts(self) -> dict[str, object]:
        """By the names in PARTS."""
        return {
            "loop": self,
            "timers": self._timers,
            "helpers": self._helpers,
            "sweeping": self._sweeping,
            "log": self._log,
            "signals": self._signals,
            "memory": self._oom_kills,
            "faults": self._faults,
            "image": self._image,
        }

    def _hand_over(self, now: float, whom: str, program: int | None) -> NoReturn:
        """Execute this program anew, or another open one, which takes over at once.

        Signals are blocked across it, and those that come wait for the new image. Children notice
        nothing: the pid stays, and their pipes stay open.

        Raises:
            Exception: that cannot be; all is as before.
        """
        block_all()
        try:
            self._signals.take(self._taken)
            fd = memory_file(self._packed(now, whom))
            kept = [
                *self._reasons.values(),
                *[command.reason_fd for command in self._commands.values()],
                *[helper.fd for helper in self._helpers.by_pid.values() if helper.fd != CLOSED],
            ]
            try:
                if program is None:
                    self._image.execute_again(self._environment, fd, kept)
                execute(program, self._image.argv, self._environment, fd, kept)
            finally:
                posix.close(fd)
        finally:
            set_mask(())

    def _packed(self, now: float, whom: str) -> bytes:
        from initpy import handover  # noqa: PLC0415 - where it is gone, so is what to execute

        state = handover.capture(self._parts())
        state["handover"] = {"began_at": now, "whom": whom}
        return handover.pack(state)

    def _take_over(self, state: dict[str, dict[str, Any]], version: str) -> None:
        """Go on where the image before this one has stopped."""
        from initpy import handover  # noqa: PLC0415

        handover.restore(self._parts(), state)
        self._image.keep_name()
        seen = self._oom_kills.seen
        self._oom_kills = OomKills(self._oom_file)
        self._oom_kills.seen = seen
        for helper in self._helpers.by_pid.values():
            self._helpers.watch(helper)
        for pid, fd in self._reasons.items():
            self._watch_reason(pid, fd)
        self._heal()
        if SIGCHLD not in self._taken:
            self._taken.insert(0, SIGCHLD)  # who has died meanwhile comes before everything else
        began = state["handover"]
        ms = (time.monotonic() - began["began_at"]) * 1000
        whom = began["whom"] if began["whom"] == "itself" else f"initpy {version}"
        count = len(self._keys)
        processes = "1 process" if count == 1 else f"{count} processes"
        self._log.queue(INFO, f"took over {processes} from {whom} after {ms:.0f} ms")

    def _start_upgrade(self) -> None:
        """Have the program that lies at our path now check a copy of the state, as a child."""
        if self._asked is not None:
            return
        try:
            program = self._asked = open_program(self._image.path)
            copy = memory_file(self._packed(0.0, "upgrade"))
        except Exception as exc:
            self._refuse_upgrade(f"{self._image.path}: {exc}")
            return

        def check(fd: int) -> int:
            from initpy import upgrade  # noqa: PLC0415 - in the helper only

            return upgrade.check(fd, program, self._image.argv, self._environment, copy)

        try:
            self._fork_helper("upgrade", check, Upgrade())
        except OSError as exc:
            posix.close(program)
            self._asked = None
            self._refuse_upgrade(f"fork: {exc.strerror}")
        finally:
            posix.close(copy)

    def _refuse_upgrade(self, why: str) -> None:
        self._log.line(WARN, f"not upgraded, everything runs on as it is: {why}")

    def _upgrade(self) -> None:
        """The new program has said that it can take over."""
        program, self._asked, self._is_to_upgrade = self._asked, None, False
        if program is None:
            return
        try:
            self._hand_over(time.monotonic(), "another", program)
        except Exception as exc:
            self._refuse_upgrade(f"{self._image.path}: {exc}")
        finally:
            posix.close(program)

    # ------------------------------------------------------------ facts

    def _take_signals(self) -> None:
        self._signals.take(self._taken)
        self._see_to_signals()

    def _see_to_signals(self) -> None:
        self._bury_dead()
        while self._taken:
            if self._taken[0] == SIGCHLD:
                self._reap()
                del self._taken[0]
            else:
                self._facts.append(SignalReceived(self._taken.pop(0)))

    def _reap(self) -> None:
        """Bury the dead, as many as one turn allows; if more are left, come back at once."""
        known = self._keys.keys() | self._helpers.by_pid.keys() | self._commands.keys()
        reaped = reap(None if self._sweeping.is_busy else known, self._dead)
        self._bury_dead()
        if reaped.has_more:
            self._come_back_to_reap()
        elif self._rest_signal and not reaped.has_children:
            self._facts.append(ChildrenGone())

    def _come_back_to_reap(self) -> None:
        posix.kill(posix.getpid(), SIGCHLD)

    def _bury_dead(self) -> None:
        while self._dead:
            dead = self._at = self._dead[0]
            self._bury(dead)
            del self._dead[0]
            self._faults.clear(dead)

    def _bury(self, dead: Dead) -> None:
        """One child has been reaped: a program's, a helper, or an orphan that nobody waits for."""
        pid, status = dead.pid, exit_status(dead.wait_status)
        if pid in self._keys:
            self._bury_program(pid, status, dead.peak_kib)
        elif pid in self._helpers.by_pid:
            self._helpers.bury(pid, status)
        else:
            if pid in self._commands:
                self._bury_stop_command(pid, status)
            self._sweeping.bury(pid)

    def _bury_program(self, pid: int, status: ExitStatus, peak_kib: int) -> None:
        if pid in self._reasons:
            self._read_reason(pid)
        oom_kills = self._oom_kills.new() if status.signal == SIGKILL else 0
        draw = int.from_bytes(posix.urandom(4), "big") / 2**32
        self._facts.append(Exited(self._keys[pid], pid, status, peak_kib, oom_kills, draw))
        del self._keys[pid]

    def _read_reason(self, pid: int) -> None:
        """The child has executed the program, or says why not."""
        fd = self._reasons[pid]
        key = self._keys[pid]
        try:
            reason = posix.read(fd, READ_BYTES).decode(errors="replace")
        except OSError:  # how it ends will have to tell
            reason = ""
        self._facts.append(ExecFailed(key, pid, reason) if reason else Executed(key, pid))
        del self._reasons[pid]
        self._close(fd)

    # ------------------------------------------------------------ helpers

    def _fork_helper(self, name: str, body: Callable[[int], int], task: Value) -> None:
        self._helpers.fork(name, body, task)

    def _take_value(self, helper: Helper, value: Any) -> None:
        """A helper has found something out."""
        match helper.task:
            case ReadPlan():
                if isinstance(value, Plan) and not helper.answered:
                    self._oom_kills.close()
                    self._oom_file = value.oom_file
                    self._oom_kills = OomKills(self._oom_file)
                    self._facts.append(PlanReady(value))
            case FindCatchers(send=send):
                if isinstance(value, tuple) and not helper.answered:
                    self._facts.append(CatchersFound(send, value))
            case RecordTree(key=key, pid=pid):
                self._sweeping.take_tree(key, pid, value)
            case Look(number=number):
                self._sweeping.take_answer(number, value)
            case Upgrade():
                if value:
                    self._refuse_upgrade(f"{self._image.path}: {value}")
                elif self._asked is None:  # in the image before this one
                    self._refuse_upgrade("a self-repair has come between, ask again")
                else:
                    self._is_to_upgrade = True

    def _take_end(self, helper: Helper, status: ExitStatus) -> None:
        """A helper has ended, perhaps without a word."""
        match helper.task:
            case ReadPlan():
                if not helper.answered:
                    self._facts.append(_why_no_plan(status))
            case FindCatchers(send=send):
                if not helper.answered:
                    self._facts.append(CatchersFound(send, ()))
            case RecordTree(key=key, pid=pid):
                self._facts.append(TreeRecorded(key, pid))
            case Look(number=number):
                self._sweeping.end_look(number)
            case EndRest():
                self._sweeps += 1
                again = self._rest_signal == SIGKILL and self._sweeps < MAX_SWEEPS
                if again and has_children():  # born while the sweep was looking
                    self._sweep()
            case Upgrade():
                if not helper.answered:
                    self._refuse_upgrade(f"the helper that asked it died ({ended(status)})")
                if self._asked is not None and not self._is_to_upgrade:
                    posix.close(self._asked)
                    self._asked = None

    def _start_config_helper(self) -> None:
        try:
            self._fork_helper("config", self._read_config, ReadPlan())
        except OSError as exc:
            reason = f"cannot fork the helper that reads the configuration: {exc.strerror}"
            self._facts.append(PlanRefused(CONFIG_HELPER_DIED, reason))

    def _find_catchers(self, effect: FindCatchers) -> None:
        def look(fd: int) -> int:
            from initpy.linux import proc  # noqa: PLC0415 - in the helper only

            if not has_own_proc():  # then nobody is known to catch it
                return 0
            found = [(key, pid) for key, pid in effect.among if proc.catches(pid, effect.send)]
            answer = frame(tuple(found))
            while answer:
                answer = answer[posix.write(fd, answer) :]
            return 0

        try:
            self._fork_helper("signal", look, effect)
        except OSError as exc:
            self._log.line(WARN, f"cannot forward signal {effect.send}: fork: {exc.strerror}")
            self._facts.append(CatchersFound(effect.send, ()))

    # ------------------------------------------------------------ effects

    def _carry_out(self, effect: Value) -> None:
        match effect:
            case Spawn(key=key):
                self._spawn(key)
            case Kill(key=key, pid=pid, signum=signum):
                self._kill(key, pid, signum)
            case KillGroup(key=key, group=group, signum=signum):
                self._kill_group(key, group, signum)
            case EndSurvivors(key=key, group=group, signum=signum):
                self._sweeping.end(key, group, signum)
            case RecordTree(key=key, pid=pid):
                self._sweeping.record_tree(key, pid)
            case RunStopCommand(key=key, pid=pid):
                self._run_stop_command(key, pid)
            case SetTimer(key=key, due_at=due_at, epoch=epoch):
                self._timers.set(key, due_at, epoch)
            case ReadPlan():
                self._start_config_helper()
            case Upgrade():
                self._start_upgrade()
            case FindCatchers():
                self._find_catchers(effect)
            case KillRest(signum=signum):
                self._kill_rest(signum)
            case Log(level=level, text=text):
                self._log.queue(level, text)
            case Refuse(order=order, fault=fault):
                self._log.line(WARN, f"cannot carry out {order}: {fault}")
            case Exit(code=code, last_words=last_words):
                if last_words:
                    syscalls.leave_last_words(TERMINATION_LOG, last_words)
                self._exit_code = code
            case Notice():
                pass  # nobody watches yet
            case _:
                raise TypeError(f"no such effect: {effect!r}")

    def _spawn(self, key: str) -> None:
        process = self._state.processes[key]
        spec = process.spec
        if process.state != State.STARTING:  # a stop has overtaken it
            self._facts.append(SpawnFailed(key, "it was stopped before it was spawned"))
            return
        if spec.unspawnable:
            self._facts.append(SpawnFailed(key, spec.unspawnable))
            return
        mark = self._sweeping.next_mark(key)

        def record(pid: int, fd: int) -> None:
            self._keys[pid] = key
            self._reasons[pid] = fd
            self._facts.append(Spawned(key, pid))
            self._note_done()

        try:
            pid, fd = spawn(
                spec, self._environment, self._stdin_fd, self._signals.inherited, mark, record
            )
        except SpawnError as exc:
            self._facts.append(SpawnFailed(key, str(exc)))
            return
        self._sweeping.forget(key)
        self._watch_reason(pid, fd)

    def _watch_reason(self, pid: int, fd: int) -> None:
        try:
            self._watch(fd, lambda: self._read_reason(pid))
        except OSError as exc:  # no memory: take it that exec works, or hear the reason at its end
            key = self._keys[pid]
            self._log.line(WARN, f"cannot watch '{key}' on its way to exec: {exc.strerror}")
            self._facts.append(Executed(key, pid))

    def _kill(self, key: str, pid: int, signum: int) -> None:
        if self._keys.get(pid) != key:
            return  # it has been reaped, and its number may be somebody else's
        failed = syscalls.kill(pid, signum)
        self._note_done()
        if failed not in (0, errno.ESRCH):
            self._facts.append(KillFailed(key, pid, failed))

    def _kill_group(self, key: str, group: int, signum: int) -> None:
        if self._keys.get(group) != key:
            return  # as above
        failed = syscalls.kill_group(group, signum)
        if failed != errno.ESRCH:
            self._note_done()
        if failed == errno.ESRCH:
            self._kill(key, group, signum)  # the child has yet to become a group of its own
        elif failed:
            self._facts.append(KillFailed(key, group, failed))

    def _run_stop_command(self, key: str, main_pid: int) -> None:
        """The stop command, as if it were the program; how it ends is told if it has failed."""
        if self._keys.get(main_pid) != key:
            return
        spec = self._state.processes[key].spec
        mark = self._sweeping.mark_of(key)

        def record(pid: int, fd: int) -> None:
            self._commands[pid] = StopCommand(key, main_pid, fd)
            self._note_done()

        stdin_fd, inherited = self._stdin_fd, self._signals.inherited
        try:
            spawn_stop_command(spec, self._environment, stdin_fd, inherited, mark, main_pid, record)
        except SpawnError as exc:
            self._facts.append(StopCommandFailed(key, main_pid, str(exc)))

    def _bury_stop_command(self, pid: int, status: ExitStatus) -> None:
        command = self._commands[pid]
        try:
            reason = posix.read(command.reason_fd, READ_BYTES).decode(errors="replace")
        except OSError:  # how it ended has to tell
            reason = ""
        if status.code != 0:
            reason = reason or ended(status)
            self._facts.append(StopCommandFailed(command.key, command.main_pid, reason))
        del self._commands[pid]
        posix.close(command.reason_fd)

    def _kill_rest(self, signum: int) -> None:
        self._rest_signal = signum
        self._sweeps = 0
        if self._is_first:
            syscalls.kill_everyone(signum)
            syscalls.kill_everyone(SIGCONT)
            self._note_done()
        elif has_children():
            self._sweep()
        self._reap()

    def _sweep(self) -> None:
        """As a subreaper: have a helper signal all our descendants, KILL until none is left."""
        signum = self._rest_signal
        parent = posix.getpid()

        def kill_descendants(_fd: int) -> int:
            from initpy.linux import proc  # noqa: PLC0415 - in the helper only

            for pid in proc.below(parent) if has_own_proc() else ():
                if pid != posix.getpid():
                    syscalls.kill(pid, signum)
                    syscalls.kill(pid, SIGCONT)
            return 0

        try:
            self._fork_helper("sweep", kill_descendants, EndRest())
        except OSError as exc:
            self._log.line(WARN, f"cannot look for what is left: fork: {exc.strerror}")

    def _become_subreaper(self) -> None:
        why_not = syscalls.become_subreaper()
        own = posix.getpid()
        if why_not:
            text = f"not PID 1 but {own}, and no subreaper: {why_not}; orphans will not be reaped"
            self._log.line(WARN, text)
        else:
            self._log.line(INFO, f"not PID 1 but {own}: acting as a subreaper")


def _why_no_plan(status: ExitStatus) -> PlanRefused:
    if status.code == CONFIG_REFUSED:
        return PlanRefused(CONFIG_REFUSED, "the configuration cannot be used, see above")
    reason = f"the helper that reads the configuration died ({ended(status)})"
    return PlanRefused(CONFIG_HELPER_DIED, reason)


PARTS = {
    "loop": Pid1,
    "timers": Timers,
    "helpers": Helpers,
    "sweeping": Sweeping,
    "log": LogWriter,
    "signals": Signals,
    "memory": OomKills,
    "faults": Faults,
    "image": Image,
}
"""What a state consists of."""
