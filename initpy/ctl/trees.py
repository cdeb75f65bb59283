"""What processes and all that descends from them use, as /proc has it.

Processes come and go while they are looked at; who is gone uses nothing.
"""

from __future__ import annotations

import os
import time

from initpy.core.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PROC = "/proc"

_STATE, _PARENT, _USER_TICKS, _SYSTEM_TICKS, _STARTED_TICKS, _PAGES = 0, 1, 11, 12, 19, 21
"""Fields of /proc/PID/stat, counted from the one behind the name (proc(5) counts from 1, and has
the state as its third)."""


class Usage(Value):
    """Of a process with all that descends from it."""

    cpu_s: float
    """What those that live now have used since they began."""
    began_at: float
    """When the process itself did, in seconds since the machine's start."""
    memory_bytes: int
    """Resident; what several share counts for each of them."""
    count: int
    """How many processes they are."""


class _Row(Value):
    parent: int
    ticks: int
    started_ticks: int
    pages: int


class Trees:
    """The processes that there are at one instant."""

    def __init__(self, proc: str = PROC) -> None:
        self.taken_at = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._rows: dict[int, _Row] = {}
        self._children: dict[int, list[int]] = {}
        self._tick_s = 1 / os.sysconf("SC_CLK_TCK")
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        for name in os.listdir(proc):
            row = _row(f"{proc}/{name}/stat") if name.isdecimal() else None
            if row is not None:
                self._rows[int(name)] = row
                self._children.setdefault(row.parent, []).append(int(name))

    def usage(self, pid: int) -> Usage | None:
        """None: there is no such process."""
        if pid not in self._rows:
            return None
        family = [pid]
        for each in family:  # it grows while it is walked
            family += self._children.get(each, ())
        rows = [self._rows[each] for each in family]
        return Usage(
            sum([row.ticks for row in rows]) * self._tick_s,
            rows[0].started_ticks * self._tick_s,
            sum([row.pages for row in rows]) * self._page_bytes,
            len(rows),
        )


def cpu_percent(now: Usage, at: float, before: Usage | None, before_at: float) -> float:
    """How much of one processor they take: since the look before, or else since they began."""
    if before is not None and before.began_at == now.began_at:
        used_s, span_s = now.cpu_s - before.cpu_s, at - before_at
    else:
        used_s, span_s = now.cpu_s, at - now.began_at
    return max(100 * used_s / span_s, 0.0) if span_s > 0 else 0.0


def usages(pids: Iterable[int], proc: str = PROC) -> tuple[Trees | None, dict[int, Usage]]:
    """Of each of these that is there; no trees: there is no /proc to read."""
    try:
        trees = Trees(proc)
    except OSError:
        return None, {}
    found = {pid: trees.usage(pid) for pid in pids}
    return trees, {pid: usage for pid, usage in found.items() if usage is not None}


def _row(path: str) -> _Row | None:
    try:
        with open(path, "rb") as stat:
            raw = stat.read()
        fields = raw[raw.rindex(b")") + 2 :].split()
        ticks = int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])
        return _Row(int(fields[_PARENT]), ticks, int(fields[_STARTED_TICKS]), int(fields[_PAGES]))
    except (OSError, ValueError, IndexError):
        return None
