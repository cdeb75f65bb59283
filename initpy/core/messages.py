"""What goes into the core (facts and orders) and what comes out of it (effects).

A fact tells what has happened and cannot be refused; an order asks for something and can be. An
effect is carried out by `pid1`, which answers with facts.
"""

from __future__ import annotations

from initpy.core.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.core.door import Process
    from initpy.core.states import ExitStatus
    from initpy.plan import Plan

# ---------------------------------------------------------------- facts


class PlanReady(Value):
    """The config helper has read the file."""

    plan: Plan
    spare: bool = False
    """As the ReadPlan that it answers."""


class PlanRefused(Value):
    """There will be no plan, or no new one. The helper has said why; `code` is what PID 1 exits
    with if this was the first."""

    code: int
    reason: str
    spare: bool = False
    """As the ReadPlan that it answers."""
    problems: str = ""
    """What the helper has said, as far as a client is told."""


class SignalReceived(Value):
    """PID 1 was sent a signal."""

    signum: int


class Spawned(Value):
    """The process was forked; its child has yet to execute the program."""

    key: str
    pid: int


class SpawnFailed(Value):
    """There is no child: `reason` is what the operator reads (supervisord's spawnerr)."""

    key: str
    reason: str
    draw: float = 0.0
    """As in Exited."""


class Executed(Value):
    """The forked child has become the program."""

    key: str
    pid: int


class ExecFailed(Value):
    """The forked child could not become the program; it will exit with 126 or 127."""

    key: str
    pid: int
    reason: str


class Exited(Value):
    """The process was reaped."""

    key: str
    pid: int
    status: ExitStatus
    peak_kib: int = 0
    """The most memory that it, or a child it has waited for, ever had; 0: not known."""
    oom_kills: int = 0
    """How often the kernel has killed for lack of memory in this container since last asked."""
    draw: float = 0.0
    """Drawn at random, 0.0 to 1.0, for the jitter of what follows."""


class SurvivorsGone(Value):
    """Nothing is left of a dead instance."""

    key: str
    group: int
    """The pid that it had, and so its process group's."""


class SurvivorsFound(Value):
    """These are left of a dead instance."""

    key: str
    group: int
    found: tuple[tuple[int, str], ...]
    """Their pids and names."""


class TreeRecorded(Value):
    """It is known which processes descend from the instance, as far as it can be."""

    key: str
    pid: int


class StopCommandFailed(Value):
    """The stop_command could not be run, or says that it has failed."""

    key: str
    pid: int
    """The instance that was to be stopped."""
    reason: str


class KillFailed(Value):
    """The kernel refused a signal, and not because nobody was there to get it."""

    key: str
    pid: int
    errno: int


class TimerFired(Value):
    """A timer's time has come. An `epoch` that is not the current one means: no longer wanted."""

    key: str
    epoch: int


class CatchersFound(Value):
    """The answer to `FindCatchers`: these live processes have a handler for the signal."""

    send: int
    found: tuple[tuple[str, int], ...]
    """Their keys and pids."""


class ChildrenGone(Value):
    """PID 1 has no child left, neither its own nor an adopted one."""


# ---------------------------------------------------------------- orders


class Start(Value):
    """Bring the process up."""

    key: str
    by_operator: bool = False
    """A person asked: should it go FATAL now, that is reported and ends nothing."""


class Stop(Value):
    """Bring the process down."""

    key: str
    by_operator: bool = False
    """A person asked: then the container stays up, even with nothing left to run."""
    within_s: float | None = None
    """Seconds until SIGKILL; None: its own stopwaitsecs."""
    for_good: bool = False
    """It will not start again. The container ends: what is in BACKOFF is given up (supervisord's
    rule). Or a reload has taken it away: what a dead instance left behind is ended."""
    drains: bool = False
    """First it works on for its `drain`, if it has one."""


class Signal(Value):
    """Send the process a signal that is not meant to end it."""

    key: str
    signum: int


class GiveUp(Value):
    """Do not start the process: what it comes after will not be RUNNING."""

    key: str
    reason: str
    status: ExitStatus
    """How the one that failed ended, which becomes this one's own."""
    by_operator: bool = False
    """A person had started the one that failed."""


class Request(Value):
    """An order that is to be answered: with one `Answer`."""

    asker: int
    """The pid of who asks, and a number of its own for this."""
    number: int
    order: Value


# ---------------------------------------------------------------- effects


class Spawn(Value):
    """Fork and execute the process. Answered by Spawned, then Executed or ExecFailed; or
    SpawnFailed alone."""

    key: str


class Kill(Value):
    """Send a signal to a live process that is our child."""

    key: str
    pid: int
    signum: int


class KillGroup(Value):
    """Send a signal to the process group of a live process that is our child."""

    key: str
    group: int
    signum: int


class RecordTree(Value):
    """Note which processes descend from a live process. Answered by TreeRecorded."""

    key: str
    pid: int


class RunStopCommand(Value):
    """Run the process's stop_command. Answered by StopCommandFailed if it fails."""

    key: str
    pid: int


class EndSurvivors(Value):
    """Send a signal (0: none) to all that a dead instance has left behind. Answered by
    SurvivorsFound if that is anything, and by SurvivorsGone as soon as nothing is left of it."""

    key: str
    group: int
    """The pid that the instance had."""
    signum: int


class SetTimer(Value):
    """Answered by TimerFired at `due_at`, unless a newer timer of the same key comes before."""

    key: str
    due_at: float
    epoch: int


class ReadPlan(Value):
    """Have a helper read the configuration again. Answered by PlanReady or PlanRefused."""

    spare: bool = False
    """It is not what will run, but what may be taken from it."""


class UsePlan(Value):
    """The plan has become another, in what it says of the output of programs as well."""


class ReopenLogs(Value):
    """Have the log files closed and opened again: they have been moved away."""


class Upgrade(Value):
    """Let the program that lies at PID 1's path now take over, if it can."""


class FindCatchers(Value):
    """Ask a helper which of these processes have a handler for `send`."""

    send: int
    among: tuple[tuple[str, int], ...]


class KillRest(Value):
    """Send a signal to every process that is left. Answered by ChildrenGone when none is."""

    signum: int


class Log(Value):
    """A line for the operator, in supervisord's words where it has some."""

    level: str
    text: str


class Notice(Value):
    """A process has changed its state: `process` is as it became, `old` the state before."""

    process: Process
    old: int


class Refuse(Value):
    """An order cannot be carried out; `fault` is supervisord's name for the reason."""

    order: object
    fault: str


class Answer(Value):
    """What has become of a Request: it was refused, with supervisord's name for the reason, and
    what more there is to say of it behind a colon; or (empty) what it orders has begun."""

    asker: int
    number: int
    fault: str


class Exit(Value):
    """The end: PID 1 exits with `code`."""

    code: int
    last_words: str = ""
    """For who reads why the container ended; empty: nothing has died unexpectedly."""


INFO, WARN, CRITICAL = "INFO", "WARN", "CRIT"
"""Levels of `Log`, named as supervisord writes them."""
