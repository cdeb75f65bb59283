"""The methods of initpy.*: what supervisord's API cannot tell."""

from __future__ import annotations

from initpy import __version__
from initpy.control.faults import BAD_NAME, Fault
from initpy.control.methods import Method
from initpy.control.model import MOST, why_ended
from initpy.core.restart import is_expected, is_restarted
from initpy.core.states import STATE_NAMES, State
from initpy.core.supervisor import Phase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from initpy.control.journal import Journal
    from initpy.control.mirror import Mirror
    from initpy.core.door import Process

MAX_NAMED = 3
"""Processes that a line about health names."""

MAX_WAIT_S = 30
"""A call waits no longer for events."""


def own_methods(mirror: Mirror, journal: Journal, ask: Callable[[str], bool]) -> tuple[Method, ...]:
    """`ask` gives PID 1 an order that is about no single process."""

    def status() -> list[dict[str, Any]]:
        now = mirror.snapshot().now
        with mirror.changed:
            processes = [*mirror.processes.values()]
        found = [_status_of(process, mirror, now) for process in processes]
        return sorted(found, key=lambda it: (it["group"], it["name"]))

    def health(names: list[Any]) -> str:
        with mirror.changed:
            processes = [*mirror.processes.values()]
            is_up = mirror.phase <= Phase.UP
        if names:
            processes = [it for name in names for it in _named(processes, name)]
        else:
            processes = [it for it in processes if it.spec.critical and _is_wanted(it)]
        if not is_up:
            return "it is shutting down"
        return _line([why for why in map(why_not_well, processes) if why])

    def events(serial: int, timeout_s: int) -> dict[str, Any]:
        return journal.since(serial, max(0, min(timeout_s, MAX_WAIT_S)))

    return (
        Method("initpy.getVersion", ("string",), "The version of initpy.", lambda: __version__),
        Method(
            "initpy.getStatus",
            ("array",),
            "All about all processes, with what getAllProcessInfo leaves out: how often each was "
            "restarted, how the last instance ended, and whether the container depends on it.",
            status,
        ),
        Method(
            "initpy.health",
            ("string", "array"),
            "Why the container is not well, or nothing if it is: every critical process has to be "
            "RUNNING, or to have finished if that is its job. Or else these processes have to be.",
            health,
        ),
        Method(
            "initpy.reload",
            ("boolean",),
            "Read the configuration, and do what is different in it, as the signal HUP does.",
            lambda: ask("reload"),
        ),
        Method(
            "initpy.waitForEvents",
            ("struct", "int", "int"),
            "What has happened after the event with this number (-1: from now on), as soon as "
            "there is anything, or after so many seconds: {serial, lost, events}.",
            events,
        ),
    )


def _status_of(process: Process, mirror: Mirror, now: int) -> dict[str, Any]:
    spec, status = process.spec, process.status
    return {
        "name": spec.name,
        "group": spec.group,
        "program": spec.program,
        "state": int(process.state),
        "statename": STATE_NAMES[process.state],
        "pid": process.pid,
        "start": min(mirror.wall_clock(process.started_at), MOST),
        "stop": min(mirror.wall_clock(process.ended_at), MOST),
        "now": min(now, MOST),
        "restarts": max(process.instances - 1, 0),
        "critical": spec.critical,
        "oneshot": spec.oneshot,
        "has_ended": status is not None,
        "exitcode": -1 if status is None or status.code is None else status.code,
        "signal": 0 if status is None or status.signal is None else status.signal,
        "spawnerr": process.spawnerr,
        "why": why_ended(process),
    }


def why_not_well(process: Process) -> str:
    """Why a process is not as it should be; empty: it is."""
    if process.state == State.RUNNING:
        return ""
    spec, status = process.spec, process.status
    has_finished = (
        process.state == State.EXITED
        and status is not None
        and is_expected(spec, status)
        and (spec.oneshot or not is_restarted(spec, status))
    )
    if has_finished:
        return ""
    why = why_ended(process)
    return f"{spec.key} is {STATE_NAMES[process.state]}" + (f" ({why})" if why else "")


def _is_wanted(process: Process) -> bool:
    """Not those that are started by hand only, and have not been."""
    never = process.state == State.STOPPED and not process.started_at
    return process.spec.autostart or not never


def _named(processes: Iterable[Process], name: Any) -> list[Process]:
    """Those that NAME, GROUP:NAME or GROUP:* means.

    Raises:
        Fault: none.
    """
    group, colon, process = str(name).partition(":")
    found = [
        it
        for it in processes
        if (it.spec.group == group and (process in ("", "*") if colon else it.spec.name == group))
        or (colon and (it.spec.group, it.spec.name) == (group, process))
    ]
    if not found:
        raise Fault(BAD_NAME, str(name))
    return found


def _line(reasons: list[str]) -> str:
    more = len(reasons) - MAX_NAMED
    return "; ".join(reasons[:MAX_NAMED]) + (f"; and {more} more" if more > 0 else "")
