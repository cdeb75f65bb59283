"""The timers of PID 1: one for each key at the most, the newest counts."""

from __future__ import annotations

# heapq's own code and texts are as large as this package's smaller half; PID 1 needs the C part.
from _heapq import heapify, heappop, heappush


class Timers:
    """A heap of (due_at, epoch, key) beside the newest timer of each key.

    A superseded entry stays in the heap until it comes up; when the heap is mostly such entries it
    is built anew, so its size is bounded by twice the number of keys and a constant.
    """

    SLACK = 64

    KEPT = ("_heap", "_newest")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str]] = []
        self._newest: dict[str, tuple[float, int]] = {}

    def __len__(self) -> int:
        return len(self._newest)

    def __contains__(self, key: object) -> bool:
        return key in self._newest

    def set(self, key: str, due_at: float, epoch: int) -> None:
        """Arm the timer of `key`, in place of the one it had."""
        self._newest[key] = (due_at, epoch)
        heappush(self._heap, (due_at, epoch, key))
        if len(self._heap) > 2 * len(self._newest) + self.SLACK:
            self._heap = [(due, number, name) for name, (due, number) in self._newest.items()]
            heapify(self._heap)

    def next_due_at(self) -> float | None:
        """When the first timer fires; None: there is none."""
        while self._heap:
            due_at, epoch, key = self._heap[0]
            if self._newest.get(key) == (due_at, epoch):
                return due_at
            heappop(self._heap)
        return None

    def pop_due(self, now: float) -> list[tuple[str, int]]:
        """Take out those that are due: their (key, epoch), the earliest first."""
        due: list[tuple[str, int]] = []
        while (due_at := self.next_due_at()) is not None and due_at <= now:
            _, epoch, key = heappop(self._heap)
            del self._newest[key]
            due.append((key, epoch))
        return due
