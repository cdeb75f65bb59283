"""What a dead instance leaves behind is ended before the next spawn, and at a stop.

`group` is the pid of the last instance, `ending` the last signal that its survivors were sent. The
core cannot know whether there are any: it always asks for them to be ended, and `SurvivorsGone` is
the answer when nobody is left. Meanwhile the process waits, in STOPPING, in BACKOFF (whose delay
runs anyway), or in an idle state with `wanted` up.
"""

from __future__ import annotations

from initpy.core.door import SIGKILL, SIGTERM, enter
from initpy.core.messages import INFO, WARN, EndSurvivors, Log, SurvivorsFound
from initpy.core.states import State, Wanted
from initpy.core.values import Value, replace
from initpy.core.words import left_behind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.core.door import Process, Step
    from initpy.plan import ProcessSpec

SURVIVORS_WAIT_S = 2.0
"""What a crashed instance's survivors get between TERM and KILL, unless stopwaitsecs is less."""

KILL_WAIT_S = 1.0
"""SIGKILL is repeated after this long; survivors that outlast it are left where they are."""


def end_before_spawn(process: Process, now: float) -> Step:
    """First TERM to what is left; the next spawn comes when it is gone."""
    return enter(
        process,
        process.state,
        now,
        min(SURVIVORS_WAIT_S, stop_time_s(process.spec)),
        EndSurvivors(process.spec.key, process.group, SIGTERM),
        wanted=Wanted.UP,
        ending=SIGTERM,
    )


def kill_before_spawn(process: Process, now: float) -> Step:
    """TERM has had its time."""
    return enter(
        process,
        process.state,
        now,
        KILL_WAIT_S,
        EndSurvivors(process.spec.key, process.group, SIGKILL),
        ending=SIGKILL,
    )


def give_up(process: Process) -> Step:
    """They have outlived SIGKILL (they hang in the kernel, or are somebody else's zombies)."""
    if not process.group:
        return process, ()
    text = (
        f"{process.spec.name}: what its last instance ({process.group}) left behind does not die of"
        " SIGKILL, going on without waiting for it"
    )
    return replace(process, group=0, ending=0), (Log(WARN, text),)


def tell(process: Process, found: SurvivorsFound) -> Step:
    """Say who is left; and when that is because the program has put itself in the background."""
    name, who = process.spec.name, left_behind(found.found)
    if process.group != found.group or process.pid:
        return process, ()  # another instance lives by now
    if process.state == State.STOPPING or not has_daemonized(process):
        return process, (Log(INFO, f"ending what {name} left behind: {who}"),)
    switch = process.spec.foreground
    text = (
        f"'{name}' exited with 0 at once and left {who} behind: it has put itself in the background"
        f" (daemonized), where it cannot be supervised; it has to stay in the foreground"
        f"{f': {switch}' if switch else ''}"
    )
    return process, (Log(WARN, text),)


def has_daemonized(process: Process) -> bool:
    """Whether survivors mean that the program has put itself in the background."""
    status = process.status
    at_once = process.lasted_s < max(process.spec.startsecs, 1.0)
    return at_once and status is not None and status.code == 0 and not process.spec.oneshot


def stop_time_s(spec: ProcessSpec) -> float:
    """Seconds that its stop signals have, before SIGKILL."""
    return sum([wait_s for _, wait_s in spec.stopsteps])


def look(process: Process) -> tuple[Value, ...]:
    """Only look, so that a program in the background is named, though it is not tried again."""
    if process.group and has_daemonized(process):
        return (EndSurvivors(process.spec.key, process.group, 0),)
    return ()
