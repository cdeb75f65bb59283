"""rate_limit: so many lines in so many seconds, and the rest is counted."""

from __future__ import annotations

from initpy.logs.lines import Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class RateLimit:
    """Shared by all channels of a program's processes. Windows follow one another; what one leaves
    unused is not saved for the next."""

    def __init__(self, lines: int, per_s: float) -> None:
        self._lines = lines
        self._per_s = per_s
        self.ends_at = 0.0
        """The end of the window, by the clock that `passed` is given."""
        self._left = 0
        self.dropped = 0
        """Not yet told of."""

    def passed(
        self, runs: Sequence[Run], now: float, *, drops_rest: bool = False
    ) -> tuple[list[Run], bool]:
        """The runs, as far as they are within the limit. The pieces of a line that was cut are one
        line, and all go the way of the first: `drops_rest` says that such a line is being dropped.

        Returns the runs, and whether the line that the last of them is a piece of is dropped.
        """
        if now >= self.ends_at:
            self.ends_at, self._left = now + self._per_s, self._lines
        kept = []
        for run in runs:
            if run.continues:
                kept += [] if drops_rest else [run]
                continue
            count = 1 if run.is_message else run.raw.count(b"\n") + run.partial
            drops_rest = count > self._left
            if not drops_rest:
                kept.append(run)
                self._left -= count
                continue
            if self._left:
                lines = run.raw.split(b"\n", self._left)
                kept.append(Run(b"\n".join(lines[: self._left]) + b"\n"))
            self.dropped += count - self._left
            self._left = 0
        return kept, drops_rest

    def take_dropped(self) -> int:
        """How many lines were dropped since it was last asked."""
        dropped, self.dropped = self.dropped, 0
        return dropped
