"""All processes together: who starts when, who ends the container, and with which exit code.

Theory. A container's life has phases, and goes through them in this order only:

    BOOT      there is no plan yet
    UP        programs run; those in `waiting` start as soon as what they come after is RUNNING;
              a new plan changes what runs, as far as it differs
    STOPPING  tier by tier, the last to start first; each tier as a whole, within its time
    REST      the programs are gone: whatever else is left gets TERM, then KILL
    OVER      `Exit` has been given out

What ends UP is a `Cause`; the first one counts and becomes the exit code. All time limits of the
end are shares of one budget, so that it fits between `docker stop` and its SIGKILL.
"""

from __future__ import annotations

from initpy.core.conditions import (
    code_of,
    has_ended_by_itself,
    has_failed,
    is_down,
    is_held_by_operator,
    is_to_start,
    lets_others_start,
    starts_anew,
    stop_order,
    why_failed,
)
from initpy.core.door import SIGKILL, SIGTERM, Process, succeeded_by
from initpy.core.messages import (
    CRITICAL,
    INFO,
    WARN,
    Answer,
    CatchersFound,
    ChildrenGone,
    ExecFailed,
    Executed,
    Exit,
    Exited,
    FindCatchers,
    GiveUp,
    KillFailed,
    KillRest,
    Log,
    Notice,
    PlanReady,
    PlanRefused,
    ReadPlan,
    Refuse,
    ReopenLogs,
    Request,
    SetTimer,
    Signal,
    SignalReceived,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
    StopCommandFailed,
    SurvivorsFound,
    SurvivorsGone,
    TimerFired,
    TreeRecorded,
    Upgrade,
)
from initpy.core.ordering import tiers, with_first
from initpy.core.process import step as step_process
from initpy.core.states import ExitStatus, State, Wanted
from initpy.core.stopping import time_left_s
from initpy.core.values import Value, replace
from initpy.core.words import ended, line_for, signal_name
from initpy.plan import FORWARD, RELOAD, REOPEN, SHUTDOWN, UPGRADE, Plan, SignalRule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

SIGINT, SIGQUIT, SIGWINCH = 2, 3, 28

OWN_TIMER = ""
"""The key of the timer that is no process's; processes have names."""

LATER_TIER_S = 1.0
"""What a tier leaves of the budget to each tier that has still to be stopped after it."""

REST_S = 0.5
"""What the tiers leave to the rest."""

REST_TERM_S = 1.0
"""The longest that the rest has between TERM and KILL."""

REST_KILL_S = 0.25
"""What is kept of the budget for the last KILL to work."""


class Phase:
    """See the theory above."""

    BOOT, UP, STOPPING, REST, OVER = range(5)


class Cause(Value):
    """Why the container ends: the exit code it asks for, and the words for the last log line."""

    code: int
    why: str


class Supervisor(Value):
    """What the core knows."""

    phase: int = Phase.BOOT
    plan: Plan = Plan(processes=())
    processes: dict[str, Process] = {}  # noqa: RUF012 - replaced, never changed in place
    tiers: tuple[tuple[str, ...], ...] = ()
    """STOPPING: in the order of the start; the last is stopped first."""
    waiting: tuple[Start, ...] = ()
    """Given out once all that their processes come after are RUNNING."""
    reloaded: tuple[str, ...] = ()
    """Keys that are being stopped because the plan has changed: away, or for a new start."""
    past_epoch: int = 0
    """No timer of a process that has gone away is of a later one: who comes after it, under the
    same key, begins there."""
    reading: int = 0
    """Reloads that were asked for and have not been answered; a second one waits for the first."""
    spare: Plan | None = None
    """The configuration that was read last, if groups of it have been added or taken away, or may
    be; None: it is `plan`."""
    askers: tuple[Request, ...] = ()
    """Those who are answered when the configuration has been read."""
    restarting: bool = False
    """The next plan starts everything anew."""
    tier: int = 0
    """STOPPING: the tier that is being stopped."""
    epoch: int = 0
    """Of OWN_TIMER."""
    end_at: float = 0.0
    """STOPPING and REST: when PID 1 has to be gone."""
    cause: Cause | None = None
    """Why UP has ended."""
    failure: Cause | None = None
    """The first program that ended unexpectedly for good."""
    last_signal: int = 0
    """REST: what the rest was sent."""
    early: tuple[int, ...] = ()
    """Signals that came in BOOT, before it was known what they mean."""
    asking: tuple[int, ...] = ()
    """Signals for which somebody is finding out who catches them."""
    asked: tuple[int, ...] = ()
    """The signals that have asked for the end so far."""
    drains: bool = False
    """STOPPING: programs first work on for their `drain`."""
    last_death: str = ""
    """The line of the last that died unexpectedly, or could not be started."""
    overran: tuple[str, ...] = ()
    """Names of those that had to be killed during STOPPING."""


def step(supervisor: Supervisor, event: Value, now: float) -> tuple[Supervisor, tuple[Value, ...]]:
    """The supervisor after `event`, and what is to be done about it. Total, as `process.step`."""
    if supervisor.phase == Phase.OVER:
        return supervisor, ()
    turn = Turn(supervisor, now)
    turn.take(event)
    turn.settle()
    return turn.supervisor, tuple(turn.effects)


class Turn:
    """One call of `step`: the value as it becomes, and the effects as they add up."""

    def __init__(self, supervisor: Supervisor, now: float) -> None:
        self.supervisor = supervisor
        self.now = now
        self.effects: list[Value] = []
        self.notices: list[Notice] = []

    def take(self, event: Value) -> None:
        match event:
            case (
                Spawned()
                | SpawnFailed()
                | Executed()
                | ExecFailed()
                | Exited()
                | SurvivorsFound()
                | SurvivorsGone()
                | TreeRecorded()
                | StopCommandFailed()
                | KillFailed()
            ):
                self.tell(event.key, event)
            case Start() | Stop() | Signal():
                self.order(event)
            case Request():
                self.requests().take(self, event)
            case TimerFired(key=key) if key != OWN_TIMER:
                self.tell(key, event)
            case TimerFired(epoch=epoch):
                if epoch == self.supervisor.epoch:
                    self.out_of_time()
            case SignalReceived(signum=signum):
                self.signal(signum)
            case CatchersFound(send=send, found=found):
                asking = [signum for signum in self.supervisor.asking if signum != send]
                self.change(asking=tuple(asking))
                self.forward(send, [key for key, pid in found if pid and self.pid_of(key) == pid])
            case PlanReady(plan=plan) if self.supervisor.phase == Phase.BOOT:
                self.boot(plan)
            case PlanRefused(code=code, reason=reason) if self.supervisor.phase == Phase.BOOT:
                self.shut_down(Cause(code, reason))
            case PlanReady(plan=plan, spare=True) if self.supervisor.phase == Phase.UP:
                self.change(spare=_sharing(plan, self.supervisor.plan))
                self.requests().answer_reread(self, "")
            case PlanRefused(reason=reason, spare=True, problems=problems) if (
                self.supervisor.phase == Phase.UP
            ):
                self.requests().answer_reread(self, f"CANT_REREAD: {problems or reason}")
            case PlanReady(plan=plan) if self.supervisor.phase == Phase.UP:
                self.reload(_sharing(plan, self.supervisor.plan))
                self.read_again("")
            case PlanRefused(reason=reason, problems=problems) if self.supervisor.phase == Phase.UP:
                self.log(WARN, f"nothing is reloaded, everything runs on as it is: {reason}")
                self.change(restarting=False)
                self.read_again(f"CANT_REREAD: {problems or reason}")
            case ChildrenGone() if self.supervisor.phase == Phase.REST:
                self.exit()
            case _:
                pass  # true, but of no use now

    def settle(self) -> None:
        """See what the changed states mean to the others, until nothing changes any more.

        A loop and not a recursion: a long chain of `after` may fall down as a whole.
        """
        while self.notices:
            self.note(self.notices.pop(0))

    def change(self, **changes: object) -> None:
        self.supervisor = replace(self.supervisor, **changes)

    def log(self, level: str, text: str) -> None:
        self.effects.append(Log(level, text))

    def set_timer(self, due_at: float) -> None:
        self.change(epoch=self.supervisor.epoch + 1)
        self.effects.append(SetTimer(OWN_TIMER, due_at, self.supervisor.epoch))

    # ------------------------------------------------------------ processes

    def pid_of(self, key: str) -> int:
        process = self.supervisor.processes.get(key)
        return process.pid if process else 0

    def tell(self, key: str, event: Value) -> None:
        """Let one process take its step."""
        process = self.supervisor.processes.get(key)
        if process is None:
            return
        process, effects = step_process(process, event, self.now)
        self.put(process)
        for effect in effects:
            self.effects.append(effect)
            if isinstance(effect, Notice):
                self.notices.append(effect)
                line = line_for(effect)
                if line is not None:
                    self.log(*line)
                    if effect.process.state in (State.BACKOFF, State.EXITED) and line[0] == WARN:
                        self.change(last_death=line[1])

    def requests(self) -> ModuleType:
        """What is done about clients' requests: loaded when there are clients."""
        from initpy.core import requests  # noqa: PLC0415

        return requests

    def order(self, order: Start | Stop | Signal) -> None:
        """An operator's order, in supervisord's terms: none is taken once the end has begun."""
        if self.supervisor.phase > Phase.UP:
            self.effects.append(Refuse(order, "SHUTDOWN_STATE"))
        elif order.key not in self.supervisor.processes or (
            isinstance(order, Start) and self.goes_away(order.key)
        ):
            self.effects.append(Refuse(order, "BAD_NAME"))
        elif isinstance(order, Stop) and self.is_waiting(order.key):
            self.no_longer_waits(order.key)
            process = self.supervisor.processes[order.key]
            self.put(replace(process, by_operator=order.by_operator))
        else:
            if isinstance(order, Start):
                self.no_longer_waits(order.key)
            if not isinstance(order, Signal):
                self.take_from_reload(order.key)
            self.tell(order.key, order)

    def put(self, process: Process) -> None:
        self.change(processes={**self.supervisor.processes, process.spec.key: process})

    def note(self, notice: Notice) -> None:
        """A process has changed its state."""
        process = notice.process
        if self.supervisor.phase == Phase.UP:
            self.note_in_up(process)
            return
        if is_to_start(self.supervisor.processes[process.spec.key]):
            self.start_no_more(process.spec.key)
        if self.supervisor.phase == Phase.STOPPING and is_down(process):
            if process.killed and notice.old == State.STOPPING:
                self.change(overran=(*self.supervisor.overran, process.spec.name))
            self.stop_tiers()

    def note_in_up(self, process: Process) -> None:
        if has_failed(process):
            self.fail(process)
            if self.supervisor.phase != Phase.UP:
                return
        if is_down(process):
            self.go_after_stop(process.spec.key)
            self.give_up_dependents()
            self.start_those_ready()
            self.end_when_done(process.spec.key)
        elif process.state == State.RUNNING:
            self.start_those_ready()

    # ------------------------------------------------------------ the way up

    def boot(self, plan: Plan) -> None:
        specs = plan.processes
        self.change(
            phase=Phase.UP,
            plan=plan,
            processes={spec.key: Process(spec) for spec in specs},
            waiting=tuple([Start(spec.key) for spec in specs if spec.autostart]),
        )
        self.start_those_ready()
        for signum in self.supervisor.early:
            if self.rule_for(signum).action == RELOAD:
                self.ask_for_plan()
        self.end_when_done("")

    def start_those_ready(self) -> None:
        """Start what waits for nothing any more, in the plan's order."""
        for order in self.supervisor.waiting:
            if all(map(lets_others_start, self.earlier(order.key))):
                self.no_longer_waits(order.key)
                self.tell(order.key, order)

    def earlier(self, key: str) -> list[Process]:
        """What it comes after; what has been taken away holds nobody up."""
        processes = self.supervisor.processes
        return [processes[it] for it in processes[key].spec.after if it in processes]

    def no_longer_waits(self, key: str) -> None:
        waiting = [order for order in self.supervisor.waiting if order.key != key]
        self.change(waiting=tuple(waiting))

    def is_waiting(self, key: str) -> bool:
        return any(order.key == key for order in self.supervisor.waiting)

    # ------------------------------------------------------------ a new plan

    def read_again(self, fault: str) -> None:
        """A reload has been answered; if more were asked for meanwhile, one more answers them."""
        more = self.supervisor.reading > 1
        self.change(reading=int(more))
        if more:
            self.effects.append(ReadPlan())
            return
        if self.supervisor.askers:
            self.requests().answer_reloads(self, fault)

    def ask_for_plan(self) -> None:
        self.change(reading=self.supervisor.reading + 1)
        if self.supervisor.reading == 1:
            self.effects.append(ReadPlan())

    def reload(self, plan: Plan) -> None:
        """Do what the new plan has different, and nothing else.

        What a process is made of asks for a new start; how it is supervised does not. A start that
        comes of a reload is an operator's: should it fail, that is reported, and ends nothing.
        """
        old, specs = self.supervisor.processes, {spec.key: spec for spec in plan.processes}
        restarting = self.supervisor.restarting
        removed = [key for key in old if key not in specs]
        added = [key for key in specs if key not in old]
        changed: list[str] = []
        self.change(plan=plan, spare=None, restarting=False)
        for key, spec in specs.items():
            if key in added:
                self.put(Process(spec, epoch=self.supervisor.past_epoch))
            elif spec != old[key].spec:
                self.put(replace(old[key], spec=spec))
        for key in _in_order(self.tiers()):
            if key not in old or key not in specs:
                continue
            if restarting or starts_anew(old[key], specs[key], added + changed):
                changed.append(key)
            if restarting:  # also what a person had stopped
                self.put(replace(self.supervisor.processes[key], by_operator=False))
        named = (("added", added), ("changed", changed), ("removed", removed))
        said = "; ".join([f"{what} {', '.join(keys)}" for what, keys in named if keys])
        self.log(INFO, f"reloaded: {said or 'no program is to be started or stopped'}")
        for key in added:
            self.start_after_reload(key)
        stopping = [
            key for key in reversed(_in_order(self.tiers())) if key in changed or key in removed
        ]
        for key in (*stopping, *[key for key, spec in specs.items() if not spec.autostart]):
            self.no_longer_waits(key)
        for key in stopping:
            self.stop_for_reload(key)
        self.give_up_dependents()
        self.start_those_ready()
        self.end_when_done("")

    def stop_for_reload(self, key: str) -> None:
        if key in self.supervisor.reloaded:
            return  # an earlier reload has stopped it, and it is not down yet
        self.change(reloaded=(*self.supervisor.reloaded, key))
        process = self.supervisor.processes[key]
        if is_down(process) and not process.pid:
            self.go_after_stop(key)
        elif process.state == State.UNKNOWN:  # when it ends by itself, it does not start as it was
            self.put(replace(process, wanted=Wanted.DOWN, by_operator=False))
        else:
            self.tell(key, Stop(key))

    def go_after_stop(self, key: str) -> None:
        """It is down. If that is because of a reload, it goes away, once nothing is left of it; or
        starts as it is now."""
        if key not in self.supervisor.reloaded or self.pid_of(key):
            return
        process = self.supervisor.processes[key]
        if self.goes_away(key) and process.group:
            self.tell(key, Stop(key, for_good=True))
            return
        self.end_reload_of(key)
        specs = {spec.key: spec for spec in self.supervisor.plan.processes}
        if key in specs:
            self.put(succeeded_by(process, specs[key]))
            if not (process.state == State.STOPPED and process.by_operator):
                self.start_after_reload(key)
        else:
            others = self.supervisor.processes.items()
            self.change(
                processes={other: process for other, process in others if other != key},
                past_epoch=max(self.supervisor.past_epoch, process.epoch),
            )

    def goes_away(self, key: str) -> bool:
        """A reload is stopping it, and the plan has it no more."""
        return all(spec.key != key for spec in self.supervisor.plan.processes)

    def take_from_reload(self, key: str) -> None:
        """Who gives orders for what a reload is stopping decides from now on whether it starts
        again, which it would have done."""
        process = self.supervisor.processes[key]
        in_restart = key in self.supervisor.reloaded and not self.goes_away(key)
        if in_restart and process.state == State.STOPPING:
            self.end_reload_of(key)
            self.put(replace(process, wanted=Wanted.UP))

    def end_reload_of(self, key: str) -> None:
        reloaded = [other for other in self.supervisor.reloaded if other != key]
        self.change(reloaded=tuple(reloaded))

    def start_after_reload(self, key: str) -> None:
        if self.supervisor.processes[key].spec.autostart:
            order = Start(key, by_operator=True)
            self.change(waiting=(*self.supervisor.waiting, order))

    # ------------------------------------------------------------ what ends UP

    def fail(self, process: Process) -> None:
        """It has ended unexpectedly and will not be started again."""
        cause = Cause(code_of(process) or 1, why_failed(process))
        if self.supervisor.failure is None:
            self.change(failure=cause)
        self.give_up_dependents()
        if process.spec.critical and not process.by_operator:
            self.shut_down(cause)

    def give_up_dependents(self) -> None:
        """What waits for one that has failed, and that no reload will mend, waits in vain."""
        for order in self.supervisor.waiting:
            for process in self.earlier(order.key):
                if has_failed(process) and process.spec.key not in self.supervisor.reloaded:
                    self.no_longer_waits(order.key)
                    self.tell(order.key, _give_up(order, process))
                    break

    def end_when_done(self, key: str) -> None:
        """End UP when nothing is left to run, event listeners apart; or when `key`, which has just
        gone down, was the last of those who give the exit code."""
        supervisor = self.supervisor
        givers = self.givers()
        concerned = givers and (not key or key in supervisor.plan.exit_code_from)
        if concerned and all(map(has_ended_by_itself, givers)):
            name = givers[0].spec.program
            self.shut_down(Cause(0, f"'{name}', whose exit code is the container's, has ended"))
        elif supervisor.spare is not None and not supervisor.processes:
            pass  # clients have taken them away, and may bring others
        elif not (supervisor.waiting or supervisor.reloaded or self.notices) and all(
            is_down(other) and not other.pid and not is_held_by_operator(other)
            for other in supervisor.processes.values()
            if not other.spec.is_listener
        ):
            none_left = "no program is left to run"
            if supervisor.failure is None:
                self.shut_down(Cause(0, f"{none_left}, and none ended unexpectedly"))
            else:
                first = supervisor.failure
                self.shut_down(Cause(first.code, f"{none_left}; the first to fail: {first.why}"))

    def givers(self) -> list[Process]:
        """Those who give the exit code, as far as they have not been taken away."""
        processes = self.supervisor.processes
        return [processes[key] for key in self.supervisor.plan.exit_code_from if key in processes]

    # ------------------------------------------------------------ signals

    def signal(self, signum: int) -> None:
        name = signal_name(signum)
        rule = self.rule_for(signum)
        if self.supervisor.phase == Phase.BOOT and rule.action != SHUTDOWN:
            if signum not in self.supervisor.early:
                self.change(early=(*self.supervisor.early, signum))
            return
        if rule.action == SHUTDOWN:
            self.log(WARN, f"received {name} indicating exit request")
            self.asked_to_end(signum)
        elif rule.action == RELOAD:
            self.log(WARN, f"received {name} indicating reload request")
            if self.supervisor.phase == Phase.UP:
                self.ask_for_plan()
        elif rule.action == REOPEN:
            self.log(INFO, f"received {name} indicating log reopen request")
            self.effects.append(ReopenLogs())
        elif rule.action == UPGRADE:
            self.log(WARN, f"received {name} indicating upgrade request")
            if self.supervisor.phase == Phase.UP:
                self.effects.append(Upgrade())
        elif rule.action != FORWARD:
            if signum != SIGWINCH:  # a terminal sends it at every change of its size
                self.log(INFO, f"received {name}, which is ignored")
        elif rule.keys:
            live_keys = [key for key in rule.keys if self.pid_of(key)]
            if not live_keys:
                self.log(INFO, f"received {name}: none of those that get it is up")
            self.forward(rule.send, live_keys)
        else:
            live = [
                (key, process.pid)
                for key, process in self.supervisor.processes.items()
                if process.pid
            ]
            # As the kernel does: one that comes while the same still waits is merged with it.
            if live and rule.send not in self.supervisor.asking:
                self.change(asking=(*self.supervisor.asking, rule.send))
                self.effects.append(FindCatchers(rule.send, tuple(live)))

    def rule_for(self, signum: int) -> SignalRule:
        for rule in self.supervisor.plan.signals:
            if rule.signum == signum:
                return rule
        if self.supervisor.phase == Phase.BOOT and signum in (SIGTERM, SIGINT, SIGQUIT):
            return SignalRule(signum, SHUTDOWN)
        return SignalRule(signum, FORWARD, send=signum)

    def forward(self, send: int, keys: Iterable[str]) -> None:
        for key in keys:
            name = self.supervisor.processes[key].spec.name
            self.log(INFO, f"forwarding {signal_name(send)} to '{name}' ({self.pid_of(key)})")
            self.tell(key, Signal(key, send))

    def asked_to_end(self, signum: int) -> None:
        """The first signal starts the end; a second INT, or a QUIT after any, makes it short."""
        earlier = self.supervisor.asked
        if signum not in earlier:
            self.change(asked=(*earlier, signum))
        if self.supervisor.phase in (Phase.BOOT, Phase.UP):
            self.shut_down(Cause(0, f"stopped by {signal_name(signum)}"), drains=True)
            return
        at_once = (signum == SIGINT and SIGINT in earlier) or (signum == SIGQUIT and earlier)
        if at_once and self.supervisor.last_signal != SIGKILL:
            self.log(WARN, f"{signal_name(signum)} again: killing everything at once")
            self.kill_rest()
        elif self.supervisor.drains:
            self.end_drain()

    # ------------------------------------------------------------ the way down

    def shut_down(self, cause: Cause, drains: bool = False) -> None:
        end_at = self.now + self.supervisor.plan.shutdown_timeout_s
        askers = self.supervisor.askers
        self.change(
            phase=Phase.STOPPING,
            cause=cause,
            waiting=(),
            end_at=end_at,
            tiers=self.tiers(),
            drains=drains,
        )
        self.change(tier=len(self.supervisor.tiers) - 1, askers=())
        for request in askers:
            self.effects.append(Answer(request.asker, request.number, "SHUTDOWN_STATE"))
        if cause.code:
            self.log(CRITICAL, f"ending the container: {cause.why}")
        names = [process.spec.name for process in self.up()]
        if names:
            self.log(INFO, f"waiting for {', '.join(names)} to die")
        for process in self.up():
            if is_to_start(process):
                self.start_no_more(process.spec.key)
        self.stop_tiers(first=True)

    def tiers(self) -> tuple[tuple[str, ...], ...]:
        """The processes in tiers, by `after`; what has gone with a reload holds nobody up. Event
        listeners that come after nobody are the last to stop, for they are to hear of the others.
        """
        processes = self.supervisor.processes
        after = {
            key: [earlier for earlier in process.spec.after if earlier in processes]
            for key, process in processes.items()
        }
        listeners = [key for key, it in processes.items() if it.spec.is_listener and not after[key]]
        return with_first(tiers(after), tuple(listeners))

    def start_no_more(self, key: str) -> None:
        """It waits for its next start, which will not come. Source: supervisord starts nothing
        while it shuts down."""
        within_s = self.tier_time_s(max(self.supervisor.tier, 0))
        self.tell(key, Stop(key, within_s=within_s, for_good=True))

    def end_drain(self) -> None:
        """A second signal: whoever still drains is stopped now, and nobody drains any more."""
        self.change(drains=False)
        if any(process.spec.drain_s for process in self.up()):
            self.log(INFO, "asked again: nothing is drained any more")
            if self.supervisor.phase == Phase.STOPPING:
                self.stop_tier(self.supervisor.tier)

    def up(self, tier: int | None = None) -> list[Process]:
        """Processes of that tier, or of all, that are not down yet."""
        keys = self.supervisor.processes if tier is None else self.supervisor.tiers[tier]
        processes = [self.supervisor.processes[key] for key in keys]
        return [process for process in processes if not is_down(process)]

    def stop_tiers(self, first: bool = False) -> None:
        """Go on to the next tier that has something up, if the current one is done."""
        tier = self.supervisor.tier
        while tier >= 0 and not self.up(tier):
            tier -= 1
        if tier < 0:
            self.end_rest()
        elif first or tier != self.supervisor.tier:
            self.stop_tier(tier)

    def stop_tier(self, tier: int) -> None:
        self.change(tier=tier)
        within_s = self.tier_time_s(tier)
        longest_s = 0.0
        for process in sorted(self.up(tier), key=stop_order):
            key = process.spec.key
            drains = self.supervisor.drains
            self.tell(key, Stop(key, within_s=within_s, for_good=True, drains=drains))
            longest_s = max(longest_s, time_left_s(self.supervisor.processes[key], self.now))
        kill_at = self.now + longest_s
        # SIGKILL needs a moment to work, but the many tiers' moments must not add up.
        self.set_timer(max(kill_at, min(kill_at + REST_S, self.supervisor.end_at)))

    def tier_time_s(self, tier: int) -> float:
        """Seconds that the processes of a tier have at most, from now to SIGKILL.

        The budget that is left, less a share for each later tier and for the rest (DESIGN §4.7).
        Where nothing remains of it, because there are many tiers, all of them get equal shares.
        """
        left_s = max(self.supervisor.end_at - self.now, 0.0)
        later = sum(1 for other in range(tier) if self.up(other))
        ours_s = left_s - later * LATER_TIER_S - REST_S
        return ours_s if ours_s > 0 else left_s / (later + 2)

    def out_of_time(self) -> None:
        """The tier, or the rest, has had its time."""
        if self.supervisor.phase == Phase.STOPPING:
            tier = self.supervisor.tier
            names = ", ".join([process.spec.name for process in self.up(tier)])
            self.log(WARN, f"not even SIGKILL has ended {names} so far: going on without waiting")
            if tier > 0:
                self.change(tier=tier - 1)
                self.stop_tiers(first=True)
            else:
                self.end_rest()
        elif self.supervisor.phase == Phase.REST and self.supervisor.last_signal == SIGTERM:
            self.log(WARN, "what is left does not end: killing it with SIGKILL")
            self.kill_rest()
        elif self.supervisor.phase == Phase.REST:
            self.log(WARN, "not even SIGKILL has ended everything: leaving it to the kernel")
            self.exit()

    def end_rest(self) -> None:
        """Everything that is left gets TERM: orphans, daemons, whoever came in by exec."""
        left_s = self.supervisor.end_at - self.now - REST_KILL_S
        if left_s <= 0:
            self.kill_rest()
            return
        self.change(phase=Phase.REST, last_signal=SIGTERM)
        self.set_timer(self.now + min(left_s, REST_TERM_S))
        self.effects.append(KillRest(SIGTERM))

    def kill_rest(self) -> None:
        self.change(phase=Phase.REST, last_signal=SIGKILL)
        self.set_timer(max(self.now + REST_KILL_S, self.supervisor.end_at))
        self.effects.append(KillRest(SIGKILL))

    def exit(self) -> None:
        """The last line says which program, if any, and why."""
        self.change(phase=Phase.OVER)
        overran = ", ".join(self.supervisor.overran)
        if overran:
            self.log(WARN, f"killed because they overran their time to stop: {overran}")
        cause = self.final_cause()
        self.log(INFO, f"exit code {cause.code}: {cause.why}")
        self.effects.append(Exit(cause.code, self.supervisor.last_death))

    def final_cause(self) -> Cause:
        """The first cause, or what `exit_code_from` says, as far as it ended by itself.

        A failure of one of its processes counts at once, a success when all of them have ended.
        """
        cause = self.supervisor.cause or Cause(0, "")
        givers = self.givers()
        own = [giver for giver in givers if has_ended_by_itself(giver)]
        failed = [giver for giver in own if has_failed(giver) or code_of(giver)]
        for giver in failed or (own if own == givers else []):
            how = f" ({ended(giver.status)})" if giver.status is not None else ""
            why = f"{cause.why}; exit_code_from '{giver.spec.name}'{how}"
            return Cause(code_of(giver) or int(has_failed(giver)), why)
        return cause


def _give_up(order: Start, failed: Process) -> GiveUp:
    state = "entered FATAL state" if failed.state == State.FATAL else "ended unexpectedly"
    reason = f"'{failed.spec.name}', which it comes after, {state}"
    by_operator = order.by_operator or failed.by_operator
    return GiveUp(order.key, reason, failed.status or ExitStatus(), by_operator)


def _in_order(tiered: tuple[tuple[str, ...], ...]) -> list[str]:
    return [key for tier in tiered for key in tier]


def _sharing(plan: Plan, other: Plan) -> Plan:
    """The plan, with what is the same in the other being there once only."""
    known = {spec.key: spec for spec in other.processes}
    specs = [known[it.key] if known.get(it.key) == it else it for it in plan.processes]
    return replace(plan, processes=tuple(specs))
