"""When an ended process is started again, and after which delay."""

from __future__ import annotations

from initpy.plan import ALWAYS, UNEXPECTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.core.states import ExitStatus
    from initpy.plan import ProcessSpec


def is_expected(spec: ProcessSpec, status: ExitStatus) -> bool:
    """Whether the program may end like this. A death by signal is never expected.

    Source: supervisord's exitcodes; 137 in that list does not match a SIGKILL.
    """
    return status.signal is None and status.code in spec.exitcodes


def is_restarted(spec: ProcessSpec, status: ExitStatus) -> bool:
    """Whether a process that was RUNNING and ended by itself is started again."""
    if spec.autorestart == UNEXPECTED:
        return not is_expected(spec, status)
    return spec.autorestart == ALWAYS


def is_exhausted(spec: ProcessSpec, failures: int) -> bool:
    """Whether that many failed starts in a row are too many: startretries counts the second
    start as the first retry."""
    return failures > spec.startretries


def delay_s(failures: int) -> float:
    """Seconds to wait after `failures` failed starts in a row: 1, 2, 3 …

    Raises:
        ValueError: `failures` is below 1; there is nothing to back off from.

    Source: supervisord's linear backoff.
    """
    if failures < 1:
        raise ValueError(f"cannot back off after {failures} failures")
    return float(failures)
