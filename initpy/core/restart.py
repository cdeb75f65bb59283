"""When an ended process is started again, and after which delay."""

from __future__ import annotations

from initpy.plan import ALWAYS, UNEXPECTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.core.states import ExitStatus
    from initpy.plan import ProcessSpec, RestartLimit


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


def delay_s(spec: ProcessSpec, failures: int, draw: float) -> float:
    """Seconds to wait after `failures` failed starts in a row.

    1, 2, 3 …, or as `backoff` says, whose jitter is taken from `draw` (0.0 to 1.0).

    Raises:
        ValueError: `failures` is below 1; there is nothing to back off from.

    Source: supervisord's linear backoff; Pebble's backoff-delay, -factor, -limit and its jitter.
    """
    if failures < 1:
        raise ValueError(f"cannot back off after {failures} failures")
    backoff = spec.backoff
    if backoff is None:
        return float(failures)
    try:
        wait_s = min(backoff.initial_s * backoff.factor ** (failures - 1), backoff.max_s)
    except OverflowError:
        wait_s = backoff.max_s
    return wait_s * (1.0 + backoff.jitter * draw)


def recent(limit: RestartLimit, restarts: tuple[float, ...], now: float) -> tuple[float, ...]:
    """Those of the restarts that are still in the limit's window.

    Source: OTP's restart intensity.
    """
    return tuple([at for at in restarts if now - at < limit.window_s])
