"""What the supervisor concludes from the condition that one process is in."""

from __future__ import annotations

from initpy.core.restart import is_expected
from initpy.core.states import IDLE, State, Wanted, exit_code
from initpy.core.words import CONTAINER_STOPS, ended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.core.door import Process
    from initpy.plan import ProcessSpec

MADE_OF = (
    "argv",
    "paths",
    "environment",
    "clean_environment",
    "directory",
    "uid",
    "gid",
    "groups",
    "umask",
    "rlimits",
    "nice",
    "oom_score_adj",
    "no_new_privs",
    "unspawnable",
    "oneshot",
    "stdin_pipe",
    "is_listener",
)
"""What a process is made of; the other fields of its spec say how it is supervised."""


def code_of(process: Process) -> int:
    """The exit code of its last instance; 0 as long as there was none."""
    return 0 if process.status is None else exit_code(process.status)


def is_down(process: Process) -> bool:
    """Nothing of it runs, and nothing will by itself. One we may not signal does not count."""
    if process.state in IDLE:
        return process.wanted == Wanted.DOWN
    return process.state == State.UNKNOWN


def has_failed(process: Process) -> bool:
    """It has ended unexpectedly, or could not be started, and will not be tried again."""
    if process.state == State.FATAL:
        return True
    if process.state != State.EXITED or process.wanted == Wanted.UP or process.status is None:
        return False
    return not is_expected(process.spec, process.status)


def has_ended_by_itself(process: Process) -> bool:
    """For good, and not because anybody asked."""
    if process.spawnerr == CONTAINER_STOPS or is_held_by_operator(process):
        return False
    return process.state in (State.EXITED, State.FATAL) and process.wanted == Wanted.DOWN


def starts_anew(old: Process, spec: ProcessSpec, anew: list[str]) -> bool:
    """Whether a reload that starts `anew` has to start this process anew, too.

    Because it differs in what a running process cannot be given any more; or because it was given
    up for one of them.
    """
    if any(getattr(old.spec, field) != getattr(spec, field) for field in MADE_OF):
        return True
    return old.state == State.FATAL and any(earlier in anew for earlier in spec.after)


def is_to_start(process: Process) -> bool:
    """It is about to get an instance, or another one."""
    if process.state in IDLE or process.state == State.STOPPING:
        return process.wanted == Wanted.UP
    return process.state == State.BACKOFF


def is_held_by_operator(process: Process) -> bool:
    """A person has brought it down, or tried in vain to bring it up, and may try again."""
    return process.by_operator and (process.state == State.STOPPED or has_failed(process))


def lets_others_start(process: Process) -> bool:
    """RUNNING; or it has run and come to its expected end, which it will not do again. A oneshot
    has to have come to that end."""
    if process.state == State.RUNNING and not process.spec.oneshot:
        return True
    return has_ended_by_itself(process) and not has_failed(process)


def why_failed(process: Process) -> str:
    """The words for the last line of the log."""
    spec, status = process.spec, process.status
    how = f" ({ended(status)})" if status is not None else ""
    if process.state == State.FATAL:
        return f"'{spec.name}' entered FATAL state: {process.spawnerr}{how}"
    return f"'{spec.name}' ended unexpectedly{how} and is not restarted (autorestart)"


def stop_order(process: Process) -> tuple[int, int]:
    """Highest priority first, the reverse of the start."""
    return (-process.spec.group_priority, -process.spec.priority)
