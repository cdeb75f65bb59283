"""A process, and the one door through which its state changes.

What is *wanted* of a process (up or down) is kept apart from the *state* it is in. A state changes
in one place, `enter`, which starts a new epoch and arms the timer of a state that waits; a timer or
an exit of an earlier epoch then means nothing and is ignored.
"""

from __future__ import annotations

from initpy.core.messages import Notice, SetTimer
from initpy.core.states import IDLE, ExitStatus, State, Wanted
from initpy.core.values import Value, replace
from initpy.plan import ProcessSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Step = tuple["Process", tuple[Value, ...]]

SIGKILL, SIGTERM, SIGCONT = 9, 15, 18  # Linux, every architecture that CPython runs on


class Process(Value):
    """What the core knows of one process."""

    spec: ProcessSpec
    state: int = State.STOPPED
    wanted: int = Wanted.DOWN
    by_operator: bool = False
    """A person asked for this stop; or for this start, and it has not been RUNNING since."""
    epoch: int = 0
    due_at: float | None = None
    """When the timer of this epoch fires; None: this state waits for nothing."""
    pid: int = 0
    """The live instance; 0: none."""
    executed: bool = False
    """The instance has got past exec."""
    group: int = 0
    """The pid of the last instance, and so of its process group and session, as long as something
    of it may be left; 0: nothing is."""
    ending: int = 0
    """The last signal sent to what the last instance has left behind; 0: none yet."""
    stages: tuple[tuple[int, float], ...] = ()
    """STOPPING, while the instance lives: what is being tried and what comes after it, each with
    its seconds; empty: SIGKILL was sent. See `stopping`."""
    killed: bool = False
    """The instance overran its time to stop and got SIGKILL."""
    failures: int = 0
    """Starts that failed in a row (supervisord's `tries`)."""
    restarts: tuple[float, ...] = ()
    """When it was started again after it had been RUNNING, as far back as `restart_limit` looks."""
    spawnerr: str = ""
    """Why the last start or run went wrong, in supervisord's words; empty: it did not."""
    status: ExitStatus | None = None
    """How the last instance ended."""
    peak_kib: int = 0
    """The most memory that it, or a child it has waited for, ever had; 0: not known."""
    oom_kills: int = 0
    """How often the kernel has killed for lack of memory in this container, just before."""
    started_at: float = 0.0
    lasted_s: float = 0.0
    """How long the last instance lived."""
    ended_at: float = 0.0
    """When it died; 0: none has."""
    instances: int = 0
    """How many it has had since somebody started it; all but the first are restarts."""


def is_waiting(process: Process) -> bool:
    """Whether a timer of this process has to be armed."""
    if process.state in IDLE:
        return process.wanted == Wanted.UP
    if process.state == State.STARTING:
        return not process.spec.oneshot
    return process.state in (State.BACKOFF, State.STOPPING)


def succeeded_by(process: Process, spec: ProcessSpec) -> Process:
    """What stands in the place of a process that is down once it is defined anew.

    The epochs go on, so that the old one's timers mean nothing to the new; and so does what its
    last instance may have left behind, and who had stopped it.
    """
    was_stopped = process.state == State.STOPPED and process.by_operator
    return Process(spec, by_operator=was_stopped, epoch=process.epoch + 1, group=process.group)


def enter(
    process: Process,
    state: int,
    now: float,
    wait_s: float | None,
    *effects: Value,
    **changes: Any,
) -> Step:
    """The one door: into `state`, a new epoch, and its timer when it waits for one."""
    due_at = None if wait_s is None else now + wait_s
    new = replace(process, state=state, epoch=process.epoch + 1, due_at=due_at, **changes)
    if due_at is not None:
        effects = (SetTimer(new.spec.key, due_at, new.epoch), *effects)
    if state != process.state:
        effects = (Notice(new, process.state), *effects)
    return new, effects
