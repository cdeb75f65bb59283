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
    ReopenLogs,
    RunStopCommand,
    SetTimer,
    SignalReceived,
    Spawn,
    Spawned,
    SpawnFailed,
    StopCommandFailed,
    TimerFired,
)
from initpy.core.states import State
from initpy.core.supervisor import Supervisor, step
from initpy.core.timers import Timers
from initpy.core.words import ended
from initpy.linux import syscalls
from initpy.linux.children import has_own_proc
from initpy.linux.environment import given_environment
from initpy.linux.log import LogWriter
from initpy.linux.memory import OomKills
from initpy.linux.reaper import exit_status, has_children, reap
from initpy.linux.signals import SIGCHLD
from initpy.linux.spawn import SpawnError, fork_helper, spawn, spawn_stop_command
from initpy.logging_out import LoggingOut
from initpy.plan import Plan
from initpy.sweeping import Sweeping
from initpy.wire import Frames, WireError, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initpy.core.states import ExitStatus
    from initpy.core.values import Value
    from initpy.early import Early
    from initpy.linux.reaper import Dead
    from initpy.logging_out import RunRelay

FORKING = (Spawn, FindCatchers, ReadPlan, RecordTree, RunStopCommand)
"""Effects that take milliseconds each; all others are a few syscalls at the most."""

UNSEEN = (Log, Notice, SetTimer)
"""Effects of which no program sees anything; log lines before any other are written first."""

MAX_SETTLE_S = 0.01
"""After this long, PID 1 looks at its signals before it goes on: a boot of 1,000 programs is 1,000
forks, and a stop must not have to wait for the last."""

MAX_WAIT_S = 86400.0
"""epoll counts milliseconds in 31 bits, 24 days; a timer may be set for longer."""

READ_BYTES = 8192
CLOSED = -1
MAX_SWEEPS = 20
"""As a subreaper: how often what is left is looked for and killed."""

TERMINATION_LOG = "/dev/termination-log"
"""Kubernetes' file for why a container has ended."""

LAST_LINES_S = 0.2
"""What a slow reader of stderr gets, at the very end, to take the last lines."""

CONFIG_REFUSED, CONFIG_HELPER_DIED = 2, 1
"""Exit codes: the file is no good; the helper that reads it has failed."""


class _Helper:
    """A forked helper: its pid, and what to do with the values it sends and with its end."""

    def __init__(
        self,
        name: str,
        fd: int,
        on_value: Callable[[object], None],
        on_end: Callable[[ExitStatus], None],
    ) -> None:
        self.name = name
        self.fd = fd
        self.frames = Frames()
        self.on_value = on_value
        self.on_end = on_end


class _StopCommand:
    """A stop command that runs: whose it is, which instance it is to stop, and the pipe from which
    comes why it could not be executed."""

    def __init__(self, key: str, main_pid: int, reason_fd: int) -> None:
        self.key = key
        self.main_pid = main_pid
        self.reason_fd = reason_fd


class Pid1:
    """PID 1, or what stands in for it where initpy is not the first process."""

    def __init__(self, early: Early, run_relay: RunRelay) -> None:
        """Take over what has been begun. `run_relay` is the relay of the logs, run in a helper."""
        self._signals = early.signals
        self._state = Supervisor()
        self._facts: list[Value] = []
        self._effects: list[Value] = []
        self._timers = Timers()
        self._epoll = select.epoll(flags=select.EPOLL_CLOEXEC)
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._keys: dict[int, str] = {}
        """Live processes: pid to key."""
        self._reasons: dict[int, int] = {}
        """Children on their way to exec: pid to the fd of the reason."""
        self._commands: dict[int, _StopCommand] = {}
        """Stop commands that run, by their pid."""
        self._helpers: dict[int, _Helper] = {}
        self._rest_signal = 0
        """The last KillRest; 0: none yet."""
        self._sweeps = 0
        self._exit_code: int | None = None
        self._log = LogWriter(2)
        self._watches_log = False
        self._stdin_fd = syscalls.open_null()
        self._environment = given_environment()
        self._read_config = early.read_config
        self._watch(self._signals.fd, self._take_signals)
        self._adopt_helper(early.helper_pid, early.helper_fd, "config", *self._plan_takers())
        self._is_first = posix.getpid() == 1
        self._sweeping = Sweeping(
            self._fork_helper,
            self._facts.append,
            self._keys.get,
            lambda: (*self._keys, *self._helpers),
        )
        self._output = LoggingOut(self._fork_helper, run_relay, self._log.line)
        self._oom_kills = OomKills(b"")
        if not self._is_first:
            self._become_subreaper()

    def run(self) -> int:
        """Live until the core says `Exit`; returns the exit code."""
        while self._exit_code is None:
            self._call(self._turn)
        self._log.flush_before_exit(LAST_LINES_S)
        return self._exit_code

    # ------------------------------------------------------------ the loop

    def _turn(self) -> None:
        """Wait for what comes first, and see to everything that has come."""
        for fd, _ in self._epoll.poll(self._wait_s()):
            callback = self._callbacks.get(fd)
            if callback is not None:  # else an earlier callback of this turn has unwatched it
                self._call_for(fd, callback)
        now = time.monotonic()
        self._sweeping.look_again(now)
        self._output.keep_time(now)
        for key, epoch in self._timers.pop_due(now):
            self._facts.append(TimerFired(key, epoch))
        self._settle()
        self._log.flush()
        self._watch_log()

    def _call(self, callback: Callable[[], None]) -> bool:
        """Run a part of the loop; a bug in it costs what it was about to do, never PID 1.

        Returns whether it went well.
        """
        try:
            callback()
        except Exception as exc:
            self._log.line("CRIT", f"a fault of initpy, going on: {exc!r}")
            return False
        return True

    def _call_for(self, fd: int, callback: Callable[[], None]) -> None:
        """The same for a ready file, which is not looked at again after a fault: epoll would
        report it for ever. The signals are what PID 1 lives on, and are never given up."""
        if not self._call(callback) and fd != self._signals.fd:
            self._unwatch(fd)

    def _wait_s(self) -> float:
        """Seconds until the first timer; -1: for ever."""
        if self._facts or self._effects:
            return 0.0
        due_at = self._timers.next_due_at()
        for other in (self._sweeping.next_look_at(), self._output.next_due_at()):
            if due_at is None or (other is not None and other < due_at):
                due_at = other
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
        while (self._facts or self._effects) and self._exit_code is None:
            if self._facts:
                self._take(self._facts.pop(0))
            else:
                self._do(self._effects.pop(0))
            if time.monotonic() > until:
                return

    def _take(self, fact: Value) -> None:
        """Have the core take a fact; one that it cannot take is dropped."""
        try:
            self._state, effects = step(self._state, fact, time.monotonic())
        except Exception as exc:
            self._log.line("CRIT", f"cannot take {type(fact).__name__}, going on: {exc!r}")
            if isinstance(fact, PlanReady):  # without a plan there is nothing to go on with
                reason = "the plan that the config helper sent makes no sense"
                self._facts.append(PlanRefused(CONFIG_HELPER_DIED, reason))
            return
        for effect in effects:
            if isinstance(effect, FORKING):
                self._effects.append(effect)
            else:
                self._do(effect)

    def _do(self, effect: Value) -> None:
        try:
            if not isinstance(effect, UNSEEN):
                self._log.flush()  # why it is done stands before what comes of it
            self._carry_out(effect)
        except Exception as exc:
            self._log.line("CRIT", f"cannot do {type(effect).__name__}, going on: {exc!r}")

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

    # ------------------------------------------------------------ facts

    def _take_signals(self) -> None:
        for signum in self._signals.take():
            if signum == SIGCHLD:
                self._reap()
            else:
                self._facts.append(SignalReceived(signum))

    def _reap(self) -> None:
        """Bury the dead, as many as one turn allows; if more are left, come back at once."""
        known = self._keys.keys() | self._helpers.keys() | self._commands.keys()
        reaped = reap(None if self._sweeping.is_busy else known)
        for dead in reaped.ours:
            try:
                self._bury(dead)
            except Exception as exc:  # the others that have died are to be buried all the same
                self._log.line("CRIT", f"cannot bury {dead.pid}, going on: {exc!r}")
        if reaped.has_more:
            self._come_back_to_reap()
        elif self._rest_signal and not reaped.has_children:
            self._facts.append(ChildrenGone())

    def _come_back_to_reap(self) -> None:
        posix.kill(posix.getpid(), SIGCHLD)

    def _bury(self, dead: Dead) -> None:
        """One child has been reaped: a program's, a helper, or an orphan that nobody waits for."""
        pid, status = dead.pid, exit_status(dead.wait_status)
        if pid in self._keys:
            self._bury_program(pid, status, dead.peak_kib)
        elif pid in self._helpers:
            helper = self._helpers.pop(pid)
            self._hear(helper)
            self._hang_up(helper)
            helper.on_end(status)
        else:
            if pid in self._commands:
                self._bury_stop_command(pid, status)
            self._sweeping.bury(pid)

    def _bury_program(self, pid: int, status: ExitStatus, peak_kib: int) -> None:
        if pid in self._reasons:
            self._read_reason(pid)
        key = self._keys.pop(pid)
        self._output.ended(key)
        oom_kills = self._oom_kills.new() if status.signal == SIGKILL else 0
        draw = int.from_bytes(posix.urandom(4), "big") / 2**32
        self._facts.append(Exited(key, pid, status, peak_kib, oom_kills, draw))

    def _read_reason(self, pid: int) -> None:
        """The child has executed the program, or says why not."""
        fd = self._reasons.pop(pid)
        key = self._keys[pid]
        try:
            reason = posix.read(fd, READ_BYTES).decode(errors="replace")
        except OSError:  # how it ends will have to tell
            reason = ""
        self._close(fd)
        self._facts.append(ExecFailed(key, pid, reason) if reason else Executed(key, pid))

    # ------------------------------------------------------------ helpers

    def _start_config_helper(self) -> None:
        try:
            self._fork_helper("config", self._read_config, *self._plan_takers())
        except OSError as exc:
            reason = f"cannot fork the helper that reads the configuration: {exc.strerror}"
            self._facts.append(PlanRefused(CONFIG_HELPER_DIED, reason))

    def _plan_takers(self) -> tuple[Callable[[object], None], Callable[[ExitStatus], None]]:
        """What to do with the values that a config helper sends, and with its end."""
        plans: list[Plan] = []

        def on_value(value: object) -> None:
            if isinstance(value, Plan) and not plans:
                plans.append(value)
                self._oom_kills.close()
                self._oom_kills = OomKills(value.oom_file)
                self._output.set_plan(value.processes)
                self._log.is_json = value.log_format == "json"
                self._facts.append(PlanReady(value))

        def on_end(status: ExitStatus) -> None:
            if plans:
                return
            if status.code == CONFIG_REFUSED:
                refused = PlanRefused(CONFIG_REFUSED, "the configuration cannot be used, see above")
            else:
                reason = f"the helper that reads the configuration died ({ended(status)})"
                refused = PlanRefused(CONFIG_HELPER_DIED, reason)
            self._facts.append(refused)

        return on_value, on_end

    def _fork_helper(
        self,
        name: str,
        body: Callable[[int], int],
        on_value: Callable[[object], None],
        on_end: Callable[[ExitStatus], None],
    ) -> None:
        pid, fd = fork_helper(body, self._signals.inherited)
        self._adopt_helper(pid, fd, name, on_value, on_end)

    def _adopt_helper(
        self,
        pid: int,
        fd: int,
        name: str,
        on_value: Callable[[object], None],
        on_end: Callable[[ExitStatus], None],
    ) -> None:
        helper = self._helpers[pid] = _Helper(name, fd, on_value, on_end)
        self._watch(fd, lambda: self._hear(helper))

    def _hear(self, helper: _Helper) -> None:
        """Take what a helper has sent; its pipe is closed at its end, or at the first nonsense."""
        while helper.fd != CLOSED:
            try:
                raw = posix.read(helper.fd, READ_BYTES)
            except BlockingIOError:
                return
            try:
                for value in helper.frames.feed(raw):
                    helper.on_value(value)
            except WireError as exc:
                self._log.line(WARN, f"the {helper.name} helper sends nonsense: {exc}")
                raw = b""
            if not raw:
                self._hang_up(helper)

    def _hang_up(self, helper: _Helper) -> None:
        if helper.fd != CLOSED:
            self._close(helper.fd)
            helper.fd = CLOSED  # the number will soon be another file's

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

        answers: list[tuple[tuple[str, int], ...]] = []

        def on_value(value: object) -> None:
            if isinstance(value, tuple):
                answers.append(value)

        def on_end(_: ExitStatus) -> None:
            found = answers[0] if answers else ()
            self._facts.append(CatchersFound(effect.send, found))

        try:
            self._fork_helper("signal", look, on_value, on_end)
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
            case FindCatchers():
                self._find_catchers(effect)
            case ReopenLogs():
                self._output.reopen()
            case KillRest(signum=signum):
                self._kill_rest(signum)
            case Log(level=level, text=text):
                self._log.queue(level, text)
            case Refuse(order=order, fault=fault):
                self._log.line(WARN, f"cannot carry out {order}: {fault}")
            case Exit(code=code, last_words=last_words):
                if last_words:
                    syscalls.leave_last_words(TERMINATION_LOG, last_words)
                self._output.drain(self._state.end_at, lambda: self._end(code))
            case Notice():
                pass  # nobody watches yet
            case _:
                raise TypeError(f"no such effect: {effect!r}")

    def _end(self, code: int) -> None:
        self._exit_code = code

    def _spawn(self, key: str) -> None:
        process = self._state.processes[key]
        spec = process.spec
        if process.state != State.STARTING:  # a stop has overtaken it
            self._facts.append(SpawnFailed(key, "it was stopped before it was spawned"))
            return
        if spec.unspawnable:
            self._facts.append(SpawnFailed(key, spec.unspawnable))
            return
        try:
            mark = self._sweeping.next_mark(key)
            fds = self._output.fds_for(spec)
            given = (self._environment, self._stdin_fd, self._signals.inherited)
            pid, fd = spawn(spec, *given, mark, fds)
        except SpawnError as exc:
            self._facts.append(SpawnFailed(key, str(exc)))
            return
        self._keys[pid] = key
        self._reasons[pid] = fd
        self._sweeping.forget(key)
        self._output.started(key, pid)
        self._facts.append(Spawned(key, pid))
        try:
            self._watch(fd, lambda: self._read_reason(pid))
        except OSError as exc:  # no memory: take it that exec works, or hear the reason at its end
            self._log.line(WARN, f"cannot watch '{spec.name}' on its way to exec: {exc.strerror}")
            self._facts.append(Executed(key, pid))

    def _kill(self, key: str, pid: int, signum: int) -> None:
        if self._keys.get(pid) != key:
            return  # it has been reaped, and its number may be somebody else's
        failed = syscalls.kill(pid, signum)
        if failed not in (0, errno.ESRCH):
            self._facts.append(KillFailed(key, pid, failed))

    def _kill_group(self, key: str, group: int, signum: int) -> None:
        if self._keys.get(group) != key:
            return  # as above
        failed = syscalls.kill_group(group, signum)
        if failed == errno.ESRCH:
            self._kill(key, group, signum)  # the child has yet to become a group of its own
        elif failed:
            self._facts.append(KillFailed(key, group, failed))

    def _run_stop_command(self, key: str, main_pid: int) -> None:
        """The stop command, as if it were the program; how it ends is told if it has failed."""
        if self._keys.get(main_pid) != key:
            return
        spec = self._state.processes[key].spec
        try:
            mark = self._sweeping.mark_of(key)
            fds = self._output.fds_for(spec)
            given = (self._environment, self._stdin_fd, self._signals.inherited)
            pid, fd = spawn_stop_command(spec, *given, mark, main_pid, fds)
        except SpawnError as exc:
            self._facts.append(StopCommandFailed(key, main_pid, str(exc)))
            return
        self._commands[pid] = _StopCommand(key, main_pid, fd)

    def _bury_stop_command(self, pid: int, status: ExitStatus) -> None:
        command = self._commands.pop(pid)
        try:
            reason = posix.read(command.reason_fd, READ_BYTES).decode(errors="replace")
        except OSError:  # how it ended has to tell
            reason = ""
        posix.close(command.reason_fd)
        if status.code != 0:
            reason = reason or ended(status)
            self._facts.append(StopCommandFailed(command.key, command.main_pid, reason))

    def _kill_rest(self, signum: int) -> None:
        self._rest_signal = signum
        self._sweeps = 0
        self._output.stay_away()
        if self._is_first:
            syscalls.kill_everyone(signum)
            syscalls.kill_everyone(SIGCONT)
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

        def on_end(_: ExitStatus) -> None:
            self._sweeps += 1
            again = self._rest_signal == SIGKILL and self._sweeps < MAX_SWEEPS
            if again and has_children():  # born while the sweep was looking
                self._sweep()

        try:
            self._fork_helper("sweep", kill_descendants, lambda _: None, on_end)
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
