"""Floor 2: the loop of PID 1. Facts from the kernel go to the core, its effects to the kernel.

One thread, one epoll. It waits for: the wakeup pipe of the signals, the pipes of helpers and of
children on their way to exec, its own log while that is full, and the first timer. With none of
these it sleeps without end.
"""

from __future__ import annotations

import posix
import select
import time

from initpy.core.door import SIGCONT, SIGKILL
from initpy.core.messages import (
    CRITICAL,
    INFO,
    WARN,
    Answer,
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
    Start,
    Stop,
    StopCommandFailed,
    TimerFired,
    TreeRecorded,
    Upgrade,
    UsePlan,
)
from initpy.core.states import State
from initpy.core.supervisor import Phase, Supervisor, step
from initpy.core.timers import Timers
from initpy.core.values import Value
from initpy.core.words import ended
from initpy.helpers import Helpers
from initpy.linux import last_resort, native, syscalls
from initpy.linux.children import has_own_proc
from initpy.linux.environment import given_environment
from initpy.linux.errnos import ESRCH
from initpy.linux.image import open_program
from initpy.linux.log import LogWriter
from initpy.linux.memory import OomKills
from initpy.linux.reaper import exit_status, has_children, reap
from initpy.linux.signals import SIGCHLD, make_room_for_files
from initpy.linux.spawn import SpawnError, read_reason, spawn, spawn_stop_command
from initpy.plan import Plan
from initpy.sweeping import Look, Sweeping
from initpy.wire import frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from initpy.core.states import ExitStatus
    from initpy.early import Early
    from initpy.eventpipes import EventPipes
    from initpy.helpers import Helper
    from initpy.inputs import Inputs
    from initpy.linux.reaper import Dead
    from initpy.logging_out import LoggingOut, RunRelay
    from initpy.plan import ProcessSpec
    from initpy.serving import RunControl, Serving
    from initpy.tracing import Tracing

FORKING = (Spawn, FindCatchers, ReadPlan, RecordTree, RunStopCommand, Upgrade)
"""Effects that take milliseconds each; all others are a few syscalls at the most."""

UNSEEN = (Answer, Log, Notice, SetTimer)
"""Effects of which no program sees anything; log lines before any other are written first."""

MAX_SETTLE_S = 0.01
"""After this long, PID 1 looks at its signals before it goes on: a boot of 1,000 programs is 1,000
forks, and a stop must not have to wait for the last."""

MAX_WAIT_S = 86400.0
"""epoll counts milliseconds in 31 bits, 24 days; a timer may be set for longer."""

MAX_SWEEPS = 20
"""As a subreaper: how often what is left is looked for and killed."""

TERMINATION_LOG = "/dev/termination-log"
"""Kubernetes' file for why a container has ended."""

LAST_LINES_S = 0.2
"""What a slow reader of stderr gets, at the very end, to take the last lines."""

EARLY_S = 1.0
"""So long the first line waits for the plan, which says what form it is to have."""

LOG = "the log"
"""What is being seen to, in words."""

MAX_FAULTS, WITHIN_S = 5, 60.0
"""More in so long a time, and to execute itself anew does not help."""

MEMORY_PAUSE_S = 0.05
MAX_MEMORY_ERRORS = 100
"""In a row: for 5 s PID 1 waits that there is memory again, then it takes it for a bug."""

FILES_OF_EACH, OTHER_FILES = 7, 64
"""Descriptors where there are pipes to programs: of a process, two ends of two for its output, one
of one for its stdin, and two while it is on its way to exec; and what PID 1 has besides."""

SEE_ABOVE = "the configuration cannot be used, see above"

CONFIG_REFUSED, CONFIG_HELPER_DIED = 2, 1
"""Exit codes: the file is no good; the helper that reads it has failed."""


class EndRest(Value):
    """The task of a helper: end what is left, where PID 1 is none."""


class RelayOutput(Value):
    """The task of a helper: bring the output of programs to where it belongs."""


class ServeControl(Value):
    """The task of a helper: answer the clients of the control plane."""


class TraceFacts(Value):
    """The task of a helper: write down what the core is told and decides."""


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
        "at_once",
        "commands",
        "culprits",
        "dead",
        "effects",
        "ending_code",
        "environment",
        "exit_code",
        "facts",
        "faults",
        "held",
        "keys",
        "oom_file",
        "reasons",
        "rest_signal",
        "state",
        "sweeps",
        "taken",
    )

    def __init__(self, early: Early, run_relay: RunRelay, run_control: RunControl) -> None:
        """Take over what has been begun: by `early`, or by the image before this one. `run_relay`
        is the relay of the logs, `run_control` the server of the control plane, each run in a
        helper.

        Raises:
            OSError: there are no descriptors.
        """
        self.signals = early.signals
        self.image = early.image
        self._read_config = early.read_config
        self._run_relay = run_relay
        self._run_control = run_control
        self.state = Supervisor()
        self.taken: list[int] = []
        """Signals that nothing has been done about."""
        self.dead: list[Dead] = []
        """Reaped and not buried."""
        self.facts: list[Value] = []
        self.at_once: list[Value] = []
        """Effects; all of them come before the next fact."""
        self.effects: list[Value] = []
        """Those that fork; they come when there is no fact."""
        self.held: list[str] = []
        """Processes that are to be spawned when the relay of the logs knows of it."""
        self._doing: list[Value] | None = None
        """The list whose first is being carried out, until what cannot be undone is done."""
        self.at: object = None
        """What is being seen to, should it fail: a fact, an effect, a dead child, a ready fd."""
        self.timers = Timers()
        self._epoll = select.epoll(flags=select.EPOLL_CLOEXEC)
        self._callbacks: dict[int, Callable[[], None]] = {}
        self.keys: dict[int, str] = {}
        """Live processes: pid to key."""
        self.reasons: dict[int, int] = {}
        """Children on their way to exec: pid to the fd of the reason."""
        self.commands: dict[int, StopCommand] = {}
        """Stop commands that run, by their pid."""
        self.rest_signal = 0
        """The last KillRest; 0: none yet."""
        self.sweeps = 0
        self.exit_code: int | None = None
        self.ending_code = 0
        """What it is to be when all output has been written."""
        self.log = LogWriter(2)
        self._watches_log = False
        self._stdin_fd = syscalls.open_null()
        self.environment: dict[bytes, bytes] = {}
        self._is_first = posix.getpid() == 1
        self.helpers = Helpers(
            self.signals.inherited,
            self._watch,
            self.close,
            self.log.line,
            self._take_value,
            self._take_end,
        )
        self.sweeping = Sweeping(
            self._fork_helper,
            self._tell,
            lambda pid: self.keys.get(pid),  # noqa: PLW0108 - the dict is another after a hand-over
            lambda: (*self.keys, *self.helpers.by_pid),
        )
        self.output: LoggingOut | None = None
        """None: all output is inherited."""
        self.serving: Serving | None = None
        """None: there is no control plane."""
        self.events: EventPipes | None = None
        """None: there have never been event listeners."""
        self.inputs: Inputs | None = None
        """None: there has never been a program whose stdin is a pipe."""
        self.tracing: Tracing | None = None
        """None: nothing has ever been traced."""
        self.oom_file = b""
        self.oom_kills = OomKills(b"")
        self.faults: list[float] = []
        """When there was one of our own, in the last minute."""
        self.culprits: list[object] = []
        """What was being seen to then, and has not been done since."""
        self._shortages = 0
        """How many turns in a row have failed for lack of memory."""
        self.new_program: int | None = None
        """The open file that is being asked whether it can take over."""
        self.upgrade_answer: str | None = None
        """What it has said: why not; empty: it can."""
        self._early_until = 0.0
        self._watch(self.signals.fd, self._take_signals)
        if early.state is not None:
            self._take_over(early.state, early.version)
            return
        self.environment = given_environment()
        self.helpers.adopt(early.helper_pid, early.helper_fd, "config", ReadPlan())
        self._early_until = time.monotonic() + EARLY_S
        if not self._is_first:
            self._become_subreaper()

    def run(self) -> int:
        """Live until the core says `Exit`; returns the exit code."""
        while self.exit_code is None:
            try:
                self._turn()
                self._shortages = 0
            except MemoryError as exc:
                self._run_short(exc)
            except BaseException as exc:
                self._repair(exc)
        self.log.flush_before_exit(LAST_LINES_S)
        return self.exit_code

    def _take_over(self, state: dict[str, dict[str, Any]], version: str) -> None:
        """Be what the image before this one was."""
        try:
            from initpy import repair  # noqa: PLC0415 - seldom needed

            repair.take_over(self, state, version)
        except BaseException as exc:  # there are children, and nobody else to see to them
            self._give_up(f"cannot take over from itself: {exc!r}")

    def _give_up(self, why: str) -> NoReturn:
        try:
            self.log.flush_before_exit(LAST_LINES_S)
        except BaseException:  # the last resort says what matters
            self.log.give_up()
        children = (*self.keys, *self.helpers.by_pid)
        last_resort.run(why, children, self.state.plan.shutdown_timeout_s)

    # ------------------------------------------------------------ the loop

    def _turn(self) -> None:
        """Wait for what comes first, and see to everything that has come."""
        if self._shortages:
            self.helpers.look_again()
        for fd, _ in self._epoll.poll(self._wait_s()):
            callback = self._callbacks.get(fd)
            if callback is not None:  # else an earlier callback of this turn has unwatched it
                self.at = fd
                callback()
        self._see_to_signals()
        while self.helpers.unheard and (helper := self.helpers.next_unheard()) is not None:
            self.at = helper.fd
            self.helpers.hear(helper)
        now = time.monotonic()
        self.at = "sweeping"
        self.sweeping.look_again(now)
        if self.output is not None:
            self.at = "output"
            self.output.keep_time(now)
        if self.serving is not None:
            self.at = "serving"
            self.serving.keep_time(now)
        if self.tracing is not None:
            self.at = "tracing"
            self.tracing.keep_time(now)
        self.at = None
        self.facts += [TimerFired(key, epoch) for key, epoch in self.timers.pop_due(now)]
        self._settle()
        self.at = LOG
        if self.log.has_early and time.monotonic() >= self._early_until:
            self.log.release_early()
        self.log.flush()
        self._watch_log()
        self.at = None
        if self.upgrade_answer is not None:
            self._upgrade(self.upgrade_answer)

    def _wait_s(self) -> float:
        """Seconds until the first timer; -1: for ever."""
        queues = (self.facts, self.effects, self.at_once, self.taken, self.dead)
        if any(queues) or self.helpers.unheard:
            return 0.0
        due_at = self.timers.next_due_at()
        if self.log.has_early:
            due_at = min(due_at or self._early_until, self._early_until)
        for part in (self.sweeping, self.output, self.serving, self.tracing):
            other = part.next_due_at() if part is not None else None
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
        while self.exit_code is None:
            if self.at_once:
                self._do_first(self.at_once)
            elif self.serving is not None and self.serving.is_behind():
                self.at = "serving"
                self.serving.follow()
            elif self.facts:
                self._take_first()
            elif self.effects:
                self._do_first(self.effects)
            elif not (self.held and self._release_held()):
                return
            if time.monotonic() > until:
                return

    def _take_first(self) -> None:
        """Have the core take the first fact."""
        fact = self.at = self.facts[0]
        now = time.monotonic()
        if self.tracing is not None:
            self.tracing.note_fact(self.state, now, fact)
        state, effects = step(self.state, fact, now)
        self._note_step(state, effects)
        if self.tracing is not None:
            self.tracing.note_effects(effects)
        self._clear(fact)

    def _note_step(self, state: Supervisor, effects: tuple[Value, ...]) -> None:
        """The first fact is taken. Nothing in here can fail half-way."""
        at_once = [effect for effect in effects if not isinstance(effect, FORKING)]
        self.effects += [effect for effect in effects if isinstance(effect, FORKING)]
        self.at_once += at_once
        self.state = state
        del self.facts[0]

    def _do_first(self, effects: list[Value]) -> None:
        """Carry out the first of these effects."""
        effect = self.at = effects[0]
        self._doing = effects
        if not isinstance(effect, UNSEEN):
            self.log.flush()  # why it is done stands before what comes of it
        self._carry_out(effect)
        self._note_done()
        self._clear(effect)

    def _note_done(self) -> None:
        """What cannot be undone of the effect is done: whatever fails now, not once more."""
        if self._doing is not None:
            del self._doing[0]
            self._doing = None

    def _release_held(self) -> bool:
        """Whether there is one that can be spawned, or is not to be any more."""
        for number, key in enumerate(self.held):
            is_wanted = self.state.processes[key].state == State.STARTING
            if not is_wanted or self.output is None or self.output.may_start(key):
                self.effects.append(Spawn(key))
                del self.held[number]
                return True
        return False

    def _clear(self, suspect: Value) -> None:
        """It has been seen to."""
        if suspect in self.culprits:
            self.culprits.remove(suspect)

    def _tell(self, fact: Value) -> None:
        self.facts.append(fact)

    def _watch(self, fd: int, callback: Callable[[], None]) -> None:
        self._epoll.register(fd, select.EPOLLIN)
        self._callbacks[fd] = callback

    def close(self, fd: int) -> None:
        """Unwatch before closing: a forked child may share the open file, and epoll would go on
        reporting it under a number that means something else by then."""
        self._unwatch(fd)
        syscalls.close(fd)

    def _unwatch(self, fd: int) -> None:
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def _watch_room(self, fd: int, callback: Callable[[], None]) -> None:
        self._epoll.register(fd, select.EPOLLOUT)
        self._callbacks[fd] = callback

    def _watch_log(self) -> None:
        """Wake up when a full stderr has room again, and only then."""
        if self.log.backlog == self._watches_log:
            return
        fd = self.log.fd
        try:
            if self._watches_log:
                self._unwatch(fd)
            else:
                self._watch_room(fd, self.log.flush)
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
        """A bug has shown itself: have it put right. It must not end the container."""
        self._doing = None
        now = time.monotonic()
        self.faults = [*[earlier for earlier in self.faults if earlier > now - WITHIN_S], now]
        if len(self.faults) > MAX_FAULTS:
            self._give_up(f"{len(self.faults)} faults in {WITHIN_S:g} s, the last: {exc!r}")
        try:
            if why_not := self.image.why_not_again():
                self._go_on(exc, why_not)
            else:
                from initpy import repair  # noqa: PLC0415 - seldom needed, and it is there

                repair.repair(self, exc)
        except BaseException as failed:
            self._go_on(exc, repr(failed))

    def _go_on(self, exc: BaseException, why_not: str) -> None:
        """It cannot be put right: go on without what has failed."""
        for queue in (self.at_once, self.facts, self.effects, self.dead):
            if queue and queue[0] is self.at:
                del queue[0]
                break
        try:
            if isinstance(self.at, int) and self.at != self.signals.fd:
                self._unwatch(self.at)
            text = f"a bug in initpy: {exc!r}; cannot execute itself anew, goes on: {why_not}"
            self.log.line(CRITICAL, text)
        except BaseException:  # the log is what fails
            self.log.give_up()

    def _ask_new_program(self) -> None:
        """Have a helper ask the program that lies at our path now."""
        if self.new_program is not None:
            return  # it is being asked

        def ask(fd: int) -> int:
            from initpy import upgrade  # noqa: PLC0415 - in the helper only

            return upgrade.ask(self, fd)

        try:
            self.new_program = open_program(self.image.path)
            self._fork_helper("upgrade", ask, Upgrade())
        except OSError as exc:
            self.upgrade_answer = exc.strerror

    def _upgrade(self, why_not: str) -> None:
        """It has answered. Where it can take over it does, and otherwise all runs on."""
        program, self.new_program, self.upgrade_answer = self.new_program, None, None
        if not why_not and program is not None:
            try:
                from initpy import repair  # noqa: PLC0415 - the helper has just imported the same

                repair.hand_over(self, time.monotonic(), "another", program)
            except Exception as exc:
                why_not = str(exc)
        text = f"not upgraded, everything runs on as it is: {self.image.path}: {why_not}"
        self.log.line(WARN, text)
        if program is not None:
            syscalls.close(program)

    # ------------------------------------------------------------ facts

    def _take_signals(self) -> None:
        self.signals.take(self.taken)
        self._see_to_signals()

    def _see_to_signals(self) -> None:
        self._bury_dead()
        while self.taken:
            if self.taken[0] == SIGCHLD:
                self._reap()
                del self.taken[0]
            else:
                self.facts.append(SignalReceived(self.taken.pop(0)))

    def _reap(self) -> None:
        """Bury the dead, as many as one turn allows; if more are left, come back at once."""
        known = {*self.keys, *self.helpers.by_pid, *self.commands}
        reaped = reap(None if self.sweeping.is_busy else known, self.dead)
        self._bury_dead()
        if reaped.has_more:
            self._come_back_to_reap()
        elif self.rest_signal and not reaped.has_children:
            self.facts.append(ChildrenGone())

    def _come_back_to_reap(self) -> None:
        posix.kill(posix.getpid(), SIGCHLD)

    def _bury_dead(self) -> None:
        while self.dead:
            dead = self.at = self.dead[0]
            self._bury(dead)
            del self.dead[0]
            self._clear(dead)

    def _bury(self, dead: Dead) -> None:
        """One child has been reaped: a program's, a helper, or an orphan that nobody waits for."""
        pid, status = dead.pid, exit_status(dead.wait_status)
        if pid in self.keys:
            self._bury_program(pid, status, dead.peak_kib)
        elif pid in self.helpers.by_pid:
            self.helpers.bury(pid, status)
        else:
            if pid in self.commands:
                self._bury_stop_command(pid, status)
            self.sweeping.bury(pid)

    def _bury_program(self, pid: int, status: ExitStatus, peak_kib: int) -> None:
        if pid in self.reasons:
            self._read_reason(pid)
        oom_kills = self.oom_kills.new() if status.signal == SIGKILL else 0
        draw = int.from_bytes(posix.urandom(4), "big") / 2**32
        if self.output is not None:
            self.output.ended(self.keys[pid])
        if self.events is not None:
            self.events.ended(self.keys[pid])
        if self.inputs is not None:
            self.inputs.ended(self.keys[pid])
        self.facts.append(Exited(self.keys[pid], pid, status, peak_kib, oom_kills, draw))
        del self.keys[pid]

    def _read_reason(self, pid: int) -> None:
        """The child has executed the program, or says why not."""
        fd = self.reasons[pid]
        key = self.keys[pid]
        reason = read_reason(fd)
        self.facts.append(ExecFailed(key, pid, reason) if reason else Executed(key, pid))
        del self.reasons[pid]
        self.close(fd)

    # ------------------------------------------------------------ helpers

    def _fork_helper(self, name: str, body: Callable[[int], int], task: Value) -> None:
        self.helpers.fork(name, body, task)

    def _take_value(self, helper: Helper, value: Any) -> None:
        """A helper has found something out."""
        match helper.task:
            case ReadPlan(spare=spare):
                if isinstance(value, Plan) and not helper.answered:
                    if spare:
                        self.facts.append(PlanReady(value, spare=True))
                    else:
                        self._take_plan(value)
                elif isinstance(value, str) and not helper.answered:
                    self.facts.append(PlanRefused(CONFIG_REFUSED, SEE_ABOVE, spare, value))
            case FindCatchers(send=send):
                if isinstance(value, tuple) and not helper.answered:
                    self.facts.append(CatchersFound(send, value))
            case RecordTree(key=key, pid=pid):
                self.sweeping.take_tree(key, pid, value)
            case Look(number=number):
                self.sweeping.take_answer(number, value)
            case RelayOutput():
                if self.output is not None:
                    self.output.take_report(value)
            case ServeControl():
                request = self.serving.request(helper.pid, value) if self.serving else None
                if request is not None:
                    self.facts.append(request)
            case TraceFacts():
                if self.tracing is not None:
                    self.tracing.take_report(helper.pid, value)
            case Upgrade():
                if not helper.answered:
                    self.upgrade_answer = value

    def _take_end(self, helper: Helper, status: ExitStatus) -> None:
        """A helper has ended, perhaps without a word."""
        match helper.task:
            case ReadPlan(spare=spare):
                if not helper.answered:
                    self.facts.append(_why_no_plan(status, spare=spare))
            case FindCatchers(send=send):
                if not helper.answered:
                    self.facts.append(CatchersFound(send, ()))
            case RecordTree(key=key, pid=pid):
                self.facts.append(TreeRecorded(key, pid))
            case Look(number=number):
                self.sweeping.end_look(number)
            case RelayOutput():
                if self.output is not None:
                    self.output.bury(helper.pid, status)
            case ServeControl():
                if self.serving is not None:
                    self.serving.bury(helper.pid, status)
                    self.restart_orphaned_listeners()
            case TraceFacts():
                if self.tracing is not None:
                    self.tracing.bury(helper.pid, status)
            case EndRest():
                self.sweeps += 1
                again = self.rest_signal == SIGKILL and self.sweeps < MAX_SWEEPS
                if again and has_children():  # born while the sweep was looking
                    self._sweep()
            case Upgrade():
                if not helper.answered:
                    self.upgrade_answer = f"the helper that asked it died ({ended(status)})"

    def _take_plan(self, plan: Plan) -> None:
        self.oom_kills.close()
        self.oom_file = plan.oom_file
        self.oom_kills = OomKills(self.oom_file)
        try:
            if _captures(plan):
                self.begin_output()
            if plan.control is not None:
                self.begin_serving()
            if plan.listeners:
                self.begin_events()
            if _has_inputs(plan):
                self.begin_inputs()
            if plan.trace:
                self.begin_tracing()
        except ImportError as exc:
            reason = f"the files of initpy are gone: {exc}"
            self.facts.append(PlanRefused(CONFIG_HELPER_DIED, reason))
            return
        if self.serving is not None:
            self.log.keep = self.serving.keep_own_log()
            why_not = self.serving.set_plan(plan.control, self.environment)
            if why_not:
                self.facts.append(PlanRefused(CONFIG_REFUSED, why_not))
                return
        self._set_output(plan)
        self.log.set_form(plan.log_format, plan.prefix_width)
        if self.tracing is not None:
            self.tracing.set_file(plan.trace)
        self.facts.append(PlanReady(plan))
        native.drop_pages()

    def _use_plan(self) -> None:
        """The core has taken groups into its plan, or out of it."""
        plan = self.state.plan
        try:
            if _captures(plan):
                self.begin_output()
            if plan.listeners:
                self.begin_events()
            if _has_inputs(plan):
                self.begin_inputs()
        except ImportError as exc:
            text = (
                f"cannot do what is new in the configuration: the files of initpy are gone: {exc}"
            )
            self.log.line(WARN, text)
        self._set_output(plan)

    def _set_output(self, plan: Plan) -> None:
        """Have its output captured, and then its listeners told: the control helper that is started
        for these is to know where output is found."""
        if self.events is not None:
            self.events.set_plan(plan)
        if self.output is not None or self.inputs is not None:
            count = len(plan.processes) * FILES_OF_EACH + OTHER_FILES
            self.signals.inherited = make_room_for_files(self.signals.inherited, count)
        if self.output is not None:
            if self.events is not None:
                self.output.events_fd = self.events.relay_fd
            self.output.set_plan(plan.processes, plan.prefix_width)
            if self.serving is not None:
                self.serving.capture()
        if self.inputs is not None and self.serving is not None:
            self.serving.set_inputs(self.inputs)  # first, for the next may start the helper
        if self.events is not None and self.serving is not None:
            self.serving.set_listeners(self.events)

    def begin_output(self) -> LoggingOut:
        """Be ready to capture output: where nobody wants that, nothing of it is even loaded.

        Raises:
            ImportError: it cannot be.
        """
        from initpy.logging_out import LoggingOut  # noqa: PLC0415

        if self.output is None:
            self.output = LoggingOut(
                lambda body: self.helpers.fork("logs", body, RelayOutput()),
                self._run_relay,
                self.log.line,
                self._end,
            )
        return self.output

    def begin_serving(self) -> Serving:
        """As `begin_output`, for the control plane."""
        from initpy.serving import Serving  # noqa: PLC0415

        if self.serving is None:
            self.serving = Serving(
                lambda body: self.helpers.fork("control", body, ServeControl()),
                self._run_control,
                self.log.line,
                self._watch,
                self._watch_room,
                self._unwatch,
                lambda: self.state,
                lambda: (-1, ()) if self.output is None else self.output.captured(),
            )
        return self.serving

    def begin_events(self) -> EventPipes:
        """As `begin_output`, for event listeners."""
        from initpy.eventpipes import EventPipes  # noqa: PLC0415

        if self.events is None:
            self.events = EventPipes(is_boot=self.state.phase == Phase.BOOT)
        return self.events

    def begin_inputs(self) -> Inputs:
        """As `begin_output`, for programs whose stdin is a pipe."""
        from initpy.inputs import Inputs  # noqa: PLC0415

        if self.inputs is None:
            self.inputs = Inputs()
        return self.inputs

    def begin_tracing(self) -> Tracing:
        """As `begin_output`, for the trace."""
        from initpy.tracing import Tracing  # noqa: PLC0415

        if self.tracing is None:
            self.tracing = Tracing(
                lambda body: self.helpers.fork("trace", body, TraceFacts()),
                self.log.line,
                self._watch_room,
                self._unwatch,
                self._exit,
            )
        return self.tracing

    def restart_orphaned_listeners(self) -> None:
        """Event listeners that spoke with a control helper that is gone are started anew."""
        if self.events is None or self.state.phase != Phase.UP:
            return
        for key in self.events.orphaned():
            self.facts += [Stop(key), Start(key)]

    def _start_config_helper(self, effect: ReadPlan) -> None:
        try:
            self._fork_helper("config", self._read_config, effect)
        except OSError as exc:
            reason = f"cannot fork the helper that reads the configuration: {exc.strerror}"
            self.facts.append(PlanRefused(CONFIG_HELPER_DIED, reason, effect.spare))

    def _find_catchers(self, effect: FindCatchers) -> None:
        # Until exec, PID 1's handlers would pass for the program's.
        among = [(key, pid) for key, pid in effect.among if pid not in self.reasons]

        def look(fd: int) -> int:
            from initpy.linux import proc  # noqa: PLC0415 - in the helper only

            if not has_own_proc():  # then nobody is known to catch it
                return 0
            found = [(key, pid) for key, pid in among if proc.catches(pid, effect.send)]
            answer = frame(tuple(found))
            while answer:
                answer = answer[posix.write(fd, answer) :]
            return 0

        try:
            self._fork_helper("signal", look, effect)
        except OSError as exc:
            self.log.line(WARN, f"cannot forward signal {effect.send}: fork: {exc.strerror}")
            self.facts.append(CatchersFound(effect.send, ()))

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
                self.sweeping.end(key, group, signum)
            case RecordTree(key=key, pid=pid):
                self.sweeping.record_tree(key, pid)
            case RunStopCommand(key=key, pid=pid):
                self._run_stop_command(key, pid)
            case SetTimer(key=key, due_at=due_at, epoch=epoch):
                self.timers.set(key, due_at, epoch)
            case ReadPlan():
                self._start_config_helper(effect)
            case UsePlan():
                self._use_plan()
            case Upgrade():
                self._ask_new_program()
            case FindCatchers():
                self._find_catchers(effect)
            case ReopenLogs():
                if self.output is not None:
                    self.output.reopen()
            case KillRest(signum=signum):
                self._kill_rest(signum)
            case Log(level=level, text=text):
                self.log.queue(level, text)
            case Refuse(order=order, fault=fault):
                self.log.line(WARN, f"cannot carry out {order}: {fault}")
            case Exit(code=code, last_words=last_words):
                if last_words:
                    syscalls.leave_last_words(TERMINATION_LOG, last_words)
                self.ending_code = code
                if self.output is None:
                    self._end()
                else:
                    self.output.drain(self.state.end_at)
            case Notice():
                if self.serving is not None:
                    self.serving.note(effect)
            case Answer():
                if self.serving is not None:
                    self.serving.answer(effect)
            case _:
                raise TypeError(f"no such effect: {effect!r}")

    def _end(self) -> None:
        """All that was to be done is done."""
        if self.serving is not None:
            self.serving.close()
        if self.tracing is not None:
            self.tracing.end()
        else:
            self._exit()

    def _exit(self) -> None:
        self.exit_code = self.ending_code

    def _url(self) -> bytes:
        """Where programs find the control plane; empty: nowhere."""
        return self.serving.url() if self.serving is not None else b""

    def _output_fds(self, spec: ProcessSpec) -> tuple[int, int]:
        """What an instance's stdout and stderr are to be.

        Raises:
            SpawnError: there are no descriptors for its pipes.
        """
        if self.output is None:
            return (1, 1 if spec.redirect_stderr else 2)
        return self.output.fds_for(spec)

    def _spawn(self, key: str) -> None:
        process = self.state.processes[key]
        spec = process.spec
        if process.state != State.STARTING:  # a stop has overtaken it
            self._note_not_spawned(key, "it was stopped before it was spawned")
            return
        if spec.unspawnable:
            self._note_not_spawned(key, spec.unspawnable)
            return
        if self.output is not None and not self.output.may_start(key):
            if key not in self.held:
                self.held.append(key)
            return
        mark = self.sweeping.next_mark(key)

        def record(pid: int, fd: int) -> None:
            self.keys[pid] = key
            self.reasons[pid] = fd
            self.facts.append(Spawned(key, pid))
            self._note_done()

        stdin_fd = self._stdin_fd
        try:
            fds = self._output_fds(spec)
            if spec.is_listener and self.events is not None:
                stdin_fd, stdout_fd = self.events.fds_for(spec)
                fds = (stdout_fd, fds[1])
            elif spec.stdin_pipe and self.inputs is not None:
                stdin_fd = self.inputs.fd_for(spec)
            given = (self.environment, stdin_fd, self.signals.inherited)
            pid, fd = spawn(spec, *given, mark, record, fds, self._url())
        except SpawnError as exc:
            if self.events is not None:
                self.events.not_started()
            if self.inputs is not None:
                self.inputs.ended(key)
            self._note_not_spawned(key, str(exc))
            return
        if spec.is_listener and self.events is not None and self.serving is not None:
            self.events.started(key, pid)
            self.serving.give_listeners()
        if self.inputs is not None:
            self.inputs.started()
        self.sweeping.forget(key)
        if self.output is not None:
            self.output.started(key, pid)
        self.watch_reason(pid, fd)

    def _note_not_spawned(self, key: str, reason: str) -> None:
        if self.output is not None:
            self.output.not_started(key)
        self.facts.append(SpawnFailed(key, reason))

    def watch_reason(self, pid: int, fd: int) -> None:
        try:
            self._watch(fd, lambda: self._read_reason(pid))
        except OSError as exc:  # no memory: take it that exec works, or hear the reason at its end
            key = self.keys[pid]
            self.log.line(WARN, f"cannot watch '{key}' on its way to exec: {exc.strerror}")
            self.facts.append(Executed(key, pid))

    def _kill(self, key: str, pid: int, signum: int) -> None:
        if self.keys.get(pid) != key:
            return  # it has been reaped, and its number may be somebody else's
        failed = syscalls.kill(pid, signum)
        self._note_done()
        if failed not in (0, ESRCH):
            self.facts.append(KillFailed(key, pid, failed))

    def _kill_group(self, key: str, group: int, signum: int) -> None:
        if self.keys.get(group) != key:
            return  # as above
        failed = syscalls.kill_group(group, signum)
        if failed != ESRCH:
            self._note_done()
        if failed == ESRCH:
            self._kill(key, group, signum)  # the child has yet to become a group of its own
        elif failed:
            self.facts.append(KillFailed(key, group, failed))

    def _run_stop_command(self, key: str, main_pid: int) -> None:
        """The stop command, as if it were the program; how it ends is told if it has failed."""
        if self.keys.get(main_pid) != key:
            return
        spec = self.state.processes[key].spec
        mark = self.sweeping.mark_of(key)

        def record(pid: int, fd: int) -> None:
            self.commands[pid] = StopCommand(key, main_pid, fd)
            self._note_done()

        try:
            fds = self._output_fds(spec)
            given = (self.environment, self._stdin_fd, self.signals.inherited)
            spawn_stop_command(spec, *given, mark, main_pid, record, fds, self._url())
        except SpawnError as exc:
            self.facts.append(StopCommandFailed(key, main_pid, str(exc)))

    def _bury_stop_command(self, pid: int, status: ExitStatus) -> None:
        command = self.commands[pid]
        reason = read_reason(command.reason_fd)
        if status.code != 0:
            reason = reason or ended(status)
            self.facts.append(StopCommandFailed(command.key, command.main_pid, reason))
        del self.commands[pid]
        syscalls.close(command.reason_fd)

    def _kill_rest(self, signum: int) -> None:
        self.rest_signal = signum
        self.sweeps = 0
        if self.output is not None:
            self.output.stay_away()
        if self.serving is not None:
            self.serving.stay_away()
        if self.tracing is not None:
            self.tracing.stay_away()
        if self._is_first:
            syscalls.kill_everyone(signum)
            syscalls.kill_everyone(SIGCONT)
            self._note_done()
        elif has_children():
            self._sweep()
        self._reap()

    def _sweep(self) -> None:
        """As a subreaper: have a helper signal all our descendants, KILL until none is left."""
        signum = self.rest_signal
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
            self.log.line(WARN, f"cannot look for what is left: fork: {exc.strerror}")

    def _become_subreaper(self) -> None:
        why_not = syscalls.become_subreaper()
        own = posix.getpid()
        if why_not:
            text = f"not PID 1 but {own}, and no subreaper: {why_not}; orphans will not be reaped"
            self.log.early_line(WARN, text)
        else:
            self.log.early_line(INFO, f"not PID 1 but {own}: acting as a subreaper")


def _captures(plan: Plan) -> bool:
    return any(spec.stdout is not None or spec.stderr is not None for spec in plan.processes)


def _has_inputs(plan: Plan) -> bool:
    return any(spec.stdin_pipe for spec in plan.processes)


def _why_no_plan(status: ExitStatus, *, spare: bool) -> PlanRefused:
    if status.code == CONFIG_REFUSED:
        return PlanRefused(CONFIG_REFUSED, SEE_ABOVE, spare)
    reason = f"the helper that reads the configuration died ({ended(status)})"
    return PlanRefused(CONFIG_HELPER_DIED, reason, spare)
