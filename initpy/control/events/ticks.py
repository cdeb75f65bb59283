"""Events of the clock: one at the beginning of every 5, 60 and 3600 seconds."""

from __future__ import annotations

from initpy.control.events import payloads
from initpy.control.events.kinds import PERIODS_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.control.events.payloads import Event


class Ticks:
    """By the wall clock, in seconds since 1970. A clock that jumps over several beginnings, or
    back, is one tick."""

    def __init__(self, now: float) -> None:
        self._last = {period_s: _begin(now, period_s) for period_s in PERIODS_S}

    def take(self, now: float) -> list[Event]:
        """Those that are due."""
        found = []
        for period_s, last in self._last.items():
            when = _begin(now, period_s)
            if when != last:
                self._last[period_s] = when
                found.append(payloads.tick(period_s, when))
        return found

    @staticmethod
    def next_in_s(now: float) -> float:
        """Seconds until the next."""
        return _begin(now, PERIODS_S[0]) + PERIODS_S[0] - now


def _begin(now: float, period_s: int) -> int:
    return int(now) // period_s * period_s
