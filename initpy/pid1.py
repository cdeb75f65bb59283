"""Floor 2: the loop of PID 1. Facts from the kernel go to the core, its effects to the kernel.

One thread, one epoll. It waits for: the wakeup pipe of the signals, the pipes of helpers and of
children on their way to exec, its own log while that is full, and the first timer. With none of
these it sleeps without end.
"""

from __future__ import annotations

import posix
import time

from initpy.core.messages import (
    WARN,
    Answer,
    CatchersFound,
    ChildrenGone,
    EndSurvivors,
    Exit,
    FindCatchers,
    Kill,
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
    TimerFired,
    TreeRecorded,
    Upgrade,
    UsePlan,
)
from initpy.core.states import State
from initpy.core.supervisor import Supervisor, step
from initpy.core.timers import Timers
from initpy.core.words import ended
from initpy.helpers import Helpers, send
from initpy.linux import syscalls
from initpy.linux.children import has_own_proc
from initpy.linux.environment import given_environment
from initpy.linux.log import LogWriter
from initpy.linux.reaper import exit_status, reap
from initpy.linux.signals import SIGCHLD
from initpy.parts import (
    CONFIG_HELPER_DIED,
    CONFIG_REFUSED,
    Parts,
    RelayOutput,
    ServeControl,
    TraceFacts,
)
from initpy.plan import Plan
from initpy.renewal import LAST_LINES_S, Faults, Upgrading
from initpy.rest import EndRest, Rest
from initpy.spawning import Spawning
from initpy.sweeping import Look, Sweeping
from initpy.watches import Watches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from initpy.core.states import ExitStatus
    from initpy.core.values import Value
    from initpy.early import Early
    from initpy.helpers import Helper
    from initpy.linux.reaper import Dead
    from initpy.logging_out import RunRelay
    from initpy.serving import RunControl

FORKING = (Spawn, FindCatchers, ReadPlan, RecordTree, RunStopCommand, Upgrade)
"""Effects that take milliseconds each; all others are a few syscalls at the most."""

UNSEEN = (Answer, Log, Notice, SetTimer)
"""Effects of which no program sees anything; log lines before any other are written first."""

MAX_SETTLE_S = 0.01
"""After this long, PID 1 looks at its signals before it goes on: a boot of 1,000 programs is 1,000
forks, and a stop must not have to wait for the last."""

MAX_WAIT_S = 86400.0
"""epoll counts milliseconds in 31 bits, 24 days; a timer may be set for longer."""

TERMINATION_LOG = "/dev/termination-log"
"""Kubernetes' file for why a container has ended."""

EARLY_S = 1.0
"""So long the first line waits for the plan, which says what form it is to have."""

LOG = "the log"
"""What is being seen to, in words."""

SEE_ABOVE = "the configuration cannot be used, see above"


class Pid1:
    """PID 1, or what stands in for it where initpy is not the first process."""

    KEPT = (
        "at_once",
        "dead",
        "effects",
        "ending_code",
        "exit_code",
        "facts",
        "state",
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
        self.doing: list[Value] | None = None
        """The list whose first is being carried out, until what cannot be undone is done."""
        self.at: object = None
        """What is being seen to, should it fail: a fact, an effect, a dead child, a ready fd."""
        self.exit_code: int | None = None
        self.ending_code = 0
        """What it is to be when all output has been written."""
        self.timers = Timers()
        self.watches = Watches()
        self.log = LogWriter(2)
        self._watches_log = False
        self.helpers = Helpers(
            self.signals.inherited,
            self.watches.watch,
            self.watches.close,
            self.log.line,
            self.log.formed,
            self._take_value,
            self._take_end,
            lambda: self.spawning.oom_file,
        )
        self.sweeping = Sweeping(
            self.helpers.fork,
            self._tell,
            lambda pid: self.spawning.keys.get(pid),  # noqa: PLW0108 - another after a hand-over
            lambda: (*self.spawning.keys, *self.helpers.by_pid),
        )
        self.parts = Parts(
            lambda: self.state,
            self._tell,
            self._exit,
            self.signals,
            self.log,
            self.watches,
            self.helpers,
            run_relay,
            run_control,
        )
        self.spawning = Spawning(
            lambda: self.state,
            self._tell,
            self._note_done,
            self.signals,
            self.log,
            self.watches,
            self.sweeping,
            self.parts,
        )
        self.rest = Rest(self.helpers.fork, self._note_done, self.log)
        self.faults = Faults(self)
        self.upgrading = Upgrading(self)
        self._early_until = 0.0
        self.watches.watch(self.signals.fd, self._take_signals)
        if early.state is not None:
            self._take_over(early.state, early.version)
            return
        self.spawning.environment = given_environment()
        self.helpers.adopt(early.helper_pid, early.helper_fd, "config", ReadPlan())
        self._early_until = time.monotonic() + EARLY_S
        self.rest.become_subreaper()

    def run(self) -> int:
        """Live until the core says `Exit`; returns the exit code."""
        while self.exit_code is None:
            try:
                self._turn()
                self.faults.note_turn()
            except MemoryError as exc:
                self.faults.run_short(exc)
            except BaseException as exc:
                self.faults.repair(exc)
        self.log.flush_before_exit(LAST_LINES_S)
        return self.exit_code

    def _take_over(self, state: dict[str, dict[str, Any]], version: str) -> None:
        """Be what the image before this one was."""
        try:
            from initpy import repair  # noqa: PLC0415 - seldom needed

            repair.take_over(self, state, version)
        except BaseException as exc:  # there are children, and nobody else to see to them
            self.faults.give_up(f"cannot take over from itself: {exc!r}")

    # ------------------------------------------------------------ the loop

    def _turn(self) -> None:
        """Wait for what comes first, and see to everything that has come."""
        if self.faults.shortages:
            self.helpers.look_again()
        for fd in self.watches.ready(self._wait_s()):
            callback = self.watches.callback(fd)
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
        if self.parts.output is not None:
            self.at = "output"
            self.parts.output.keep_time(now)
        if self.parts.serving is not None:
            self.at = "serving"
            self.parts.serving.keep_time(now)
        if self.parts.tracing is not None:
            self.at = "tracing"
            self.parts.tracing.keep_time(now)
        self.at = None
        self.facts += [TimerFired(key, epoch) for key, epoch in self.timers.pop_due(now)]
        self._settle()
        self.at = LOG
        if self.log.has_early and time.monotonic() >= self._early_until:
            self.log.release_early()
        self.log.flush()
        self._watch_log()
        self.at = None
        if self.upgrading.answer is not None:
            self.upgrading.hand_over(self.upgrading.answer)

    def _wait_s(self) -> float:
        """Seconds until the first timer; -1: for ever."""
        queues = (self.facts, self.effects, self.at_once, self.taken, self.dead)
        if any(queues) or self.helpers.unheard:
            return 0.0
        due_at = self.timers.next_due_at()
        if self.log.has_early:
            due_at = min(due_at or self._early_until, self._early_until)
        for part in (self.sweeping, self.parts.output, self.parts.serving, self.parts.tracing):
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
            elif self.parts.serving is not None and self.parts.serving.is_behind():
                self.at = "serving"
                self.parts.serving.follow()
            elif self.facts:
                self._take_first()
            elif self.effects:
                self._do_first(self.effects)
            elif not (self.spawning.held and self._release_held()):
                return
            if time.monotonic() > until:
                return

    def _take_first(self) -> None:
        """Have the core take the first fact."""
        fact = self.at = self.facts[0]
        now = time.monotonic()
        if self.parts.tracing is not None:
            self.parts.tracing.note_fact(self.state, now, fact)
        state, effects = step(self.state, fact, now)
        self._note_step(state, effects)
        if self.parts.tracing is not None:
            self.parts.tracing.note_effects(effects)
        self.faults.clear(fact)

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
        self.doing = effects
        if not isinstance(effect, UNSEEN):
            self.log.flush()  # why it is done stands before what comes of it
        self._carry_out(effect)
        self._note_done()
        self.faults.clear(effect)

    def _note_done(self) -> None:
        """What cannot be undone of the effect is done: whatever fails now, not once more."""
        if self.doing is not None:
            del self.doing[0]
            self.doing = None

    def _release_held(self) -> bool:
        """Whether there is one that can be spawned, or is not to be any more."""
        for number, key in enumerate(self.spawning.held):
            is_wanted = self.state.processes[key].state == State.STARTING
            if not is_wanted or self.parts.output is None or self.parts.output.may_start(key):
                self.effects.append(Spawn(key))
                del self.spawning.held[number]
                return True
        return False

    def _tell(self, fact: Value) -> None:
        self.facts.append(fact)

    def _watch_log(self) -> None:
        """Wake up when a full stderr has room again, and only then."""
        if self.log.backlog == self._watches_log:
            return
        fd = self.log.fd
        try:
            if self._watches_log:
                self.watches.unwatch(fd)
            else:
                self.watches.watch_room(fd, self.log.flush)
            self._watches_log = not self._watches_log
        except OSError:  # no memory for it: the next line tries again
            pass

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
        known = {*self.spawning.keys, *self.helpers.by_pid, *self.spawning.commands}
        reaped = reap(None if self.sweeping.is_busy else known, self.dead)
        self._bury_dead()
        if reaped.has_more:
            self._come_back_to_reap()
        elif self.rest.rest_signal and not reaped.has_children:
            self.facts.append(ChildrenGone())

    def _come_back_to_reap(self) -> None:
        posix.kill(posix.getpid(), SIGCHLD)

    def _bury_dead(self) -> None:
        while self.dead:
            dead = self.at = self.dead[0]
            self._bury(dead)
            del self.dead[0]
            self.faults.clear(dead)

    def _bury(self, dead: Dead) -> None:
        """One child has been reaped: a program's, a helper, or an orphan that nobody waits for."""
        pid, status = dead.pid, exit_status(dead.wait_status)
        if pid in self.spawning.keys:
            self.spawning.bury(pid, status, dead.peak_kib)
        elif pid in self.helpers.by_pid:
            self.helpers.bury(pid, status)
        else:
            if pid in self.spawning.commands:
                self.spawning.bury_stop_command(pid, status)
            self.sweeping.bury(pid)

    # ------------------------------------------------------------ helpers

    def _take_value(self, helper: Helper, value: Any) -> None:
        """A helper has found something out."""
        match helper.task:
            case ReadPlan(spare=spare):
                if isinstance(value, Plan) and not helper.answered:
                    if spare:
                        self.facts.append(PlanReady(value, spare=True))
                    else:
                        self.spawning.count_oom_kills(value.oom_file)
                        self.parts.take_plan(value, self.spawning.environment)
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
                if self.parts.output is not None:
                    self.parts.output.take_report(value)
            case ServeControl():
                serving = self.parts.serving
                request = serving.request(helper.pid, value) if serving else None
                if request is not None:
                    self.facts.append(request)
            case TraceFacts():
                if self.parts.tracing is not None:
                    self.parts.tracing.take_report(helper.pid, value)
            case Upgrade():
                if not helper.answered:
                    self.upgrading.answer = value

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
                if self.parts.output is not None:
                    self.parts.output.bury(helper.pid, status)
            case ServeControl():
                if self.parts.serving is not None:
                    self.parts.serving.bury(helper.pid, status)
                    self.parts.restart_orphaned_listeners()
            case TraceFacts():
                if self.parts.tracing is not None:
                    self.parts.tracing.bury(helper.pid, status)
            case EndRest():
                self.rest.end_sweep()
            case Upgrade():
                if not helper.answered:
                    self.upgrading.answer = f"the helper that asked it died ({ended(status)})"

    def _start_config_helper(self, effect: ReadPlan) -> None:
        try:
            self.helpers.fork("config", self._read_config, effect)
        except OSError as exc:
            reason = f"cannot fork the helper that reads the configuration: {exc.strerror}"
            self.facts.append(PlanRefused(CONFIG_HELPER_DIED, reason, effect.spare))

    def _find_catchers(self, effect: FindCatchers) -> None:
        # Until exec, PID 1's handlers would pass for the program's.
        among = [(key, pid) for key, pid in effect.among if pid not in self.spawning.reasons]

        def look(fd: int) -> int:
            from initpy.linux import proc  # noqa: PLC0415 - in the helper only

            if not has_own_proc():  # then nobody is known to catch it
                return 0
            found = [(key, pid) for key, pid in among if proc.catches(pid, effect.send)]
            send(fd, tuple(found))
            return 0

        try:
            self.helpers.fork("signal", look, effect)
        except OSError as exc:
            self.log.line(WARN, f"cannot forward signal {effect.send}: fork: {exc.strerror}")
            self.facts.append(CatchersFound(effect.send, ()))

    # ------------------------------------------------------------ effects

    def _carry_out(self, effect: Value) -> None:
        match effect:
            case Spawn(key=key):
                self.spawning.spawn(key)
            case Kill(key=key, pid=pid, signum=signum):
                self.spawning.kill(key, pid, signum)
            case KillGroup(key=key, group=group, signum=signum):
                self.spawning.kill_group(key, group, signum)
            case EndSurvivors(key=key, group=group, signum=signum):
                self.sweeping.end(key, group, signum)
            case RecordTree(key=key, pid=pid):
                self.sweeping.record_tree(key, pid)
            case RunStopCommand(key=key, pid=pid):
                self.spawning.run_stop_command(key, pid)
            case SetTimer(key=key, due_at=due_at, epoch=epoch):
                self.timers.set(key, due_at, epoch)
            case ReadPlan():
                self._start_config_helper(effect)
            case UsePlan():
                self.parts.use_plan()
            case Upgrade():
                self.upgrading.ask()
            case FindCatchers():
                self._find_catchers(effect)
            case ReopenLogs():
                if self.parts.output is not None:
                    self.parts.output.reopen()
            case KillRest(signum=signum):
                self.parts.stay_away()
                self.rest.kill(signum)
                self._reap()
            case Log(level=level, text=text):
                self.log.queue(level, text)
            case Refuse(order=order, fault=fault):
                self.log.line(WARN, f"cannot carry out {order}: {fault}")
            case Exit(code=code, last_words=last_words):
                if last_words:
                    syscalls.leave_last_words(TERMINATION_LOG, last_words)
                self.ending_code = code
                self.parts.drain(self.state.end_at)
            case Notice():
                if self.parts.serving is not None:
                    self.parts.serving.note(effect)
            case Answer():
                if self.parts.serving is not None:
                    self.parts.serving.answer(effect)
            case _:
                raise TypeError(f"no such effect: {effect!r}")

    def _exit(self) -> None:
        self.exit_code = self.ending_code


def _why_no_plan(status: ExitStatus, *, spare: bool) -> PlanRefused:
    if status.code == CONFIG_REFUSED:
        return PlanRefused(CONFIG_REFUSED, SEE_ABOVE, spare)
    reason = f"the helper that reads the configuration died ({ended(status)})"
    return PlanRefused(CONFIG_HELPER_DIED, reason, spare)
