"""Whose turn it is: who has had least."""

from __future__ import annotations


class Pace:
    """How much each of those who always have something has had."""

    __slots__ = ("reached",)

    def __init__(self) -> None:
        self.reached = 0


class Share:
    """What one channel has had of the relay, in bytes.

    Nobody saves anything by having nothing to say: who goes on then counts as having had what the
    last one had had when it was its turn. So who writes little is before those who flood, and none
    of these waits for ever.
    """

    __slots__ = ("_pace", "had")

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self.had = 0

    def take(self, count: int) -> None:
        """It has had its turn, and so many bytes."""
        self._pace.reached = max(self._pace.reached, self.had)
        self.had = self._pace.reached + count
