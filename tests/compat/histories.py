"""What processes went through: read from a log, of either peer, and from supervisord's events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STARTING, RUNNING, BACKOFF, STOPPING = "STARTING", "RUNNING", "BACKOFF", "STOPPING"
STOPPED, FATAL = "STOPPED", "FATAL"
EXPECTED, UNEXPECTED = "EXITED(expected)", "EXITED(unexpected)"

LINE = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) ([A-Z]+) (.*)$", re.MULTILINE)
SPAWNED = re.compile(r"spawned: '(\S+)' with pid (\d+)")
SUCCESS = re.compile(r"success: (\S+) entered RUNNING state, process has stayed up for > than ")
ENDED = re.compile(r"exited: (\S+) \((.*; (?:not )?expected)\)(?:, .*)?")
HALTED = re.compile(r"stopped: (\S+) \((.*)\)")
GAVE_UP = re.compile(r"gave up: (\S+) entered FATAL state, ")
SPAWNERR = re.compile(r"spawnerr: (.*?)(?: \((\S+)\))?")


@dataclass(frozen=True)
class Move:
    """A process has entered a state."""

    process: str
    state: str
    at_s: float = 0.0
    """By the wall clock, as the log has it. Events have no time."""
    why: str = ""
    """How an instance ended, with the level of the line; or why there was none."""


def lines(log: str) -> Iterator[tuple[float, str, str]]:
    """Each line of a log: its time by the wall clock, its level, its text."""
    for stamp, level, said in LINE.findall(log):
        yield datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S,%f").timestamp(), level, said


def from_events(text: str) -> list[Move]:
    """The history as supervisord's event listeners are told it."""
    moves = []
    for line in text.splitlines():
        event, *pairs = line.split()
        state = event.removeprefix("PROCESS_STATE_")
        values = dict(pair.split(":", 1) for pair in pairs)
        if state == "EXITED":
            state = EXPECTED if values["expected"] == "1" else UNEXPECTED
        moves.append(Move(values["processname"], state))
    return moves


def from_log(text: str, who: Callable[[str], str]) -> list[Move]:
    """The history as far as the log tells it, in words that both peers use.

    A log says nothing of a BACKOFF that was stopped. supervisord's does not say whose command could
    not be executed, so `who` tells it from the reason; nor, now and then, that a process which has
    just ended had been RUNNING.
    """
    moves: list[Move] = []
    states: dict[str, str] = {}
    for at_s, level, said in lines(text):
        process, entered, why = "", [], ""
        if found := SPAWNED.fullmatch(said):
            process, entered = found[1], [STARTING]
        elif found := SUCCESS.match(said):
            process, entered = found[1], [RUNNING]
        elif found := ENDED.fullmatch(said):
            process, why = found[1], f"{level} {found[2]}"
            exited = UNEXPECTED if why.endswith("not expected") else EXPECTED
            entered = [exited if states.get(process) == RUNNING else BACKOFF]
        elif found := HALTED.fullmatch(said):
            process, why = found[1], f"{level} {found[2]}"
            entered = [STOPPING, STOPPED]
        elif found := GAVE_UP.match(said):
            process, entered = found[1], [FATAL]
        elif found := SPAWNERR.fullmatch(said):
            why = found[1]
            process = found[2] or who(why)
            # supervisord sees some reasons before it forks; initpy's child sees them all.
            entered = [BACKOFF] if states.get(process) == STARTING else [STARTING, BACKOFF]
        for state in entered:
            moves.append(Move(process, state, at_s, why if state == entered[-1] else ""))
            states[process] = state
    return moves
