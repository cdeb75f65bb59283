"""The table of `initpy status`."""

from __future__ import annotations

import re
import time

from initpy.core.states import State
from initpy.core.values import Value
from initpy.ctl.actions import join_name
from initpy.ctl.trees import cpu_percent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from initpy.ctl.trees import Usage

HEADINGS = ("NAME", "STATE", "PID", "UPTIME", "RESTARTS", "CPU", "MEMORY", "LAST EXIT")

NOTHING = "-"

_RIGHT = (2, 3, 4, 5, 6)
"""Columns of numbers."""

_COLOURS = {
    State.RUNNING: 32,
    State.STARTING: 33,
    State.STOPPING: 33,
    State.BACKOFF: 33,
    State.FATAL: 31,
    State.UNKNOWN: 31,
}
"""Green, yellow and red, as terminals number them."""

_BOLD, _DIM = 1, 2

_ESCAPES = re.compile("\x1b\\[[0-9;]*m")


class Look(Value):
    """What there was to see at one instant."""

    infos: tuple[dict[str, Any], ...]
    """As initpy.getStatus has them."""
    usages: dict[int, Usage]
    """By pid; empty: they cannot be seen from here."""
    at: float
    """Seconds since the machine's start."""


def lines(look: Look, before: Look | None, *, colours: bool) -> list[str]:
    """The table; CPU is since the look `before`, if there is one."""
    rows = [[*HEADINGS]]
    rows += [_row(info, look, before) for info in look.infos]
    widths = [max([len(row[at]) for row in rows]) for at in range(len(HEADINGS))]
    found = []
    for number, row in enumerate(rows):
        cells = [
            cell.rjust(width) if at in _RIGHT else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        if colours and number == 0:
            cells = [_in_colour(cell, _BOLD) for cell in cells]
        elif colours:
            info = look.infos[number - 1]
            cells[1] = _in_colour(cells[1], _COLOURS.get(info["state"], _DIM))
        found.append("  ".join(cells).rstrip())
    return found


def _in_colour(text: str, colour: int) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m"


def cut(line: str, width: int) -> str:
    """As much of a line as fits; colours take no place."""
    if len(_ESCAPES.sub("", line)) <= width:
        return line
    found, left = "", width - 1
    for part in re.split(f"({_ESCAPES.pattern})", line):
        is_escape = part.startswith("\x1b")
        found += part if is_escape else part[: max(left, 0)]
        left -= 0 if is_escape else len(part)
    return found + "…"


def _row(info: Mapping[str, Any], look: Look, before: Look | None) -> list[str]:
    usage = look.usages.get(info["pid"])
    cpu = memory = NOTHING
    if usage is not None:
        last = before.usages.get(info["pid"]) if before is not None else None
        cpu = f"{cpu_percent(usage, look.at, last, before.at if before else 0.0):.1f}%"
        memory = size(usage.memory_bytes)
    return [
        join_name(info["group"], info["name"]),
        info["statename"],
        str(info["pid"] or NOTHING),
        span(info["now"] - info["start"]) if info["pid"] and info["start"] else NOTHING,
        str(info["restarts"]),
        cpu,
        memory,
        last_exit(info),
    ]


def last_exit(info: Mapping[str, Any]) -> str:
    """How the last instance ended, why the next has not come up, and when that was."""
    why = info["why"]
    if not why:
        return NOTHING
    if not info["stop"]:
        return str(why)
    return f"{why}, {span(info['now'] - info['stop'])} ago"


def span(seconds: int) -> str:
    """A time that has passed, in the two largest units: 45s, 3m20s, 5h, 2d4h."""
    left = max(seconds, 0)
    parts: list[str] = []
    for unit, size_s in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size_s)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
        if len(parts) == 2:
            break
    return "".join(parts) or "0s"


def size(size_bytes: int) -> str:
    """So many bytes, as a person reads it: 512K, 20.1M, 1.5G."""
    kib = size_bytes / 1024
    for unit in ("K", "M", "G"):
        if kib < 1000 or unit == "G":
            break
        kib /= 1024
    return f"{kib:.0f}{unit}" if unit == "K" or kib >= 100 else f"{kib:.1f}{unit}"


def clock(seconds: int) -> str:
    """An instant, in the local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
