"""What the pure tests share: short ways to say a spec, a plan, and what the core has answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from initpy.core import process as machine
from initpy.core.door import Process
from initpy.core.messages import Kill, KillGroup, Log, Notice, SetTimer
from initpy.core.states import STATE_NAMES, ExitStatus
from initpy.plan import SHUTDOWN, Plan, ProcessSpec, SignalRule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from initpy.core.values import Value

T = TypeVar("T")

HUP, INT, QUIT, KILL, USR1, TERM, CONT, WINCH = 1, 2, 3, 9, 10, 15, 18, 28

RULES = tuple(SignalRule(signum, SHUTDOWN) for signum in (TERM, INT, QUIT))
"""What the config helper says of the signals when the file says nothing."""


def spec(key: str = "web", **options: Any) -> ProcessSpec:
    """A program with one process, both named `key`; stopsignal and stopwaitsecs as in the file."""
    if "stopsignal" in options or "stopwaitsecs" in options:
        step = (options.pop("stopsignal", TERM), options.pop("stopwaitsecs", 10.0))
        options["stopsteps"] = (step,)
    named = {"name": key, "group": key, "program": key, "argv": (b"prog",), "paths": (b"/prog",)}
    return ProcessSpec(key=key, **{**named, **options})


def plan(*processes: ProcessSpec, **options: Any) -> Plan:
    return Plan(processes=processes, **{"signals": RULES, **options})


def exited(code: int) -> ExitStatus:
    return ExitStatus(code=code)


def killed(signum: int) -> ExitStatus:
    return ExitStatus(signal=signum)


def run(process: Process, *script: tuple[float, Value]) -> tuple[Process, list[Value]]:
    """The process after these events at these instants, and all that was to be done about them."""
    effects: list[Value] = []
    for now, event in script:
        process, more = machine.step(process, event, now)
        effects += more
    return process, effects


def only(kinds: type[T] | tuple[type[T], ...], effects: Iterable[object]) -> list[T]:
    return [effect for effect in effects if isinstance(effect, kinds)]


def without_timers(effects: Iterable[Value]) -> list[Value]:
    """What is done, apart from timers, notices and the log."""
    return [effect for effect in effects if not isinstance(effect, SetTimer | Notice | Log)]


def sent(effects: Iterable[Value]) -> list[tuple[str, int]]:
    """The signals to living instances, by key; without the CONT that goes with them."""
    found = []
    for effect in effects:
        if isinstance(effect, Kill | KillGroup) and effect.signum != CONT:
            found.append((effect.key, effect.signum))
    return found


def moves(effects: Iterable[Value]) -> list[tuple[str, str]]:
    """The changes of state, as watchers see them."""
    return [
        (STATE_NAMES[notice.old], STATE_NAMES[notice.process.state])
        for notice in only(Notice, effects)
    ]


def lines(effects: Iterable[Value]) -> list[str]:
    return [log.text for log in only(Log, effects)]
