"""What has happened to the processes, for `initpy events`."""

from __future__ import annotations

import threading
import time

from initpy.control.model import MOST, why_ended
from initpy.control.patience import waiting
from initpy.core.states import STATE_NAMES, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from initpy.control.mirror import Mirror
    from initpy.core.door import Process

_AFTER_END = (State.STOPPED, State.EXITED, State.BACKOFF, State.FATAL, State.UNKNOWN)
"""States in which there is something to say of how it came to that."""

MAX_EVENTS = 1000
"""Of the last ones; who asks too late is told how many it has missed."""


class Journal:
    """The last changes of state, each with a number; any thread may wait for the next."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: list[dict[str, Any]] = []
        self._next = 0
        """The number of the event that comes next."""

    def take(self, news: tuple[Any, ...], mirror: Mirror) -> None:
        """See `serving` for the news; the mirror has taken them already."""
        match news:
            case ("process", int(old), str(key), *_) if old in STATE_NAMES:
                process = mirror.processes[key]
                self.note(old, process, why_ended(process) if process.state in _AFTER_END else "")

    def note(self, old: int, process: Process, why: str) -> None:
        """A process has left the state `old`; `why` it is in the one that it is in now."""
        event = {
            "at": min(int(time.time()), MOST),
            "name": process.spec.name,
            "group": process.spec.group,
            "from": STATE_NAMES[old],
            "to": STATE_NAMES[process.state],
            "pid": process.pid,
            "why": why,
        }
        with self._changed:
            self._events.append(event)
            del self._events[:-MAX_EVENTS]
            self._next += 1
            self._changed.notify_all()

    def since(self, serial: int, timeout_s: float) -> dict[str, Any]:
        """The events from number `serial` on (-1: from now on), the number to go on with, and how
        many were lost; waits until there is one, but not longer than `timeout_s`, nor when the
        helper is to leave."""
        with waiting(self._wake, hurries=True) as patience, self._changed:
            begin = self._next if serial < 0 else min(serial, self._next)
            if serial >= 0:
                self._changed.wait_for(lambda: self._next > begin or patience.is_hurried, timeout_s)
            first = self._next - len(self._events)
            found = self._events[max(begin - first, 0) :] if begin < self._next else []
            return {"serial": self._next, "lost": max(first - begin, 0), "events": found}

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
