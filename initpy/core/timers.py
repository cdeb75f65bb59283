"""The timers of PID 1: one for each key at the most, the newest counts."""

from __future__ import annotations


class Timers:
    """When each key's timer fires, and which epoch it is of.

    There are as many as processes that wait, and they are looked through as a whole, but only after
    the first has fired or been replaced: 60 µs where there are 1,000. A heap is quicker, but heapq,
    though in C, lies in a part of Python's own file that nothing else of PID 1 needs: 64 kB.
    """

    KEPT = ("_newest",)

    def __init__(self) -> None:
        self._newest: dict[str, tuple[float, int]] = {}
        self._first_at: float | None = None
        """When the first of them fires; None: to be found out."""

    def __len__(self) -> int:
        return len(self._newest)

    def __contains__(self, key: object) -> bool:
        return key in self._newest

    def set(self, key: str, due_at: float, epoch: int) -> None:
        """Arm the timer of `key`, in place of the one it had."""
        before_at, _ = self._newest.get(key, (None, 0))
        self._newest[key] = (due_at, epoch)
        if before_at is not None and before_at == self._first_at:
            self._first_at = None
        elif self._first_at is not None and due_at < self._first_at:
            self._first_at = due_at

    def next_due_at(self) -> float | None:
        """When the first timer fires; None: there is none."""
        if self._first_at is None and self._newest:
            self._first_at = min([due_at for due_at, _ in self._newest.values()])
        return self._first_at

    def pop_due(self, now: float) -> list[tuple[str, int]]:
        """Take out those that are due: their (key, epoch), the earliest first."""
        first_at = self.next_due_at()
        if first_at is None or first_at > now:
            return []
        timers = self._newest.items()
        due = [(due_at, epoch, key) for key, (due_at, epoch) in timers if due_at <= now]
        due.sort()
        self._first_at = None
        for _, _, key in due:
            del self._newest[key]
        return [(key, epoch) for _, epoch, key in due]
