"""The processes at one instant, as supervisord's API speaks of them."""

from __future__ import annotations

import time
from datetime import timedelta

from initpy.control.faults import BAD_NAME, Fault
from initpy.core.states import State
from initpy.core.values import Value
from initpy.core.words import TOO_QUICKLY, ended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from initpy.core.door import Process

MOST = 2**31 - 1
"""What an XML-RPC integer can be: instants stay at that from 2038 on."""

# What the whole is doing (supervisord's "mood").
RUNNING, RESTARTING, SHUTDOWN = 1, 0, -1

MOODS = {RUNNING: "RUNNING", RESTARTING: "RESTARTING", SHUTDOWN: "SHUTDOWN"}


_BAD_EXIT = "Bad exit code "
"""How supervisord begins what the status says better."""


class ProcessView(Value):
    """One process."""

    name: str
    group: str
    state: int
    """One of State's."""
    started_at: int = 0
    """Seconds since 1970; 0: never."""
    stopped_at: int = 0
    """The same, for its last end."""
    pid: int = 0
    """0: it does not run."""
    exitstatus: int = 0
    """The last exit code, -1 for a death by signal; 0: none yet."""
    spawnerr: str = ""
    """Why it does not run, if it should."""
    stdout_logfile: str = ""
    stderr_logfile: str = ""

    @property
    def namespec(self) -> str:
        """What it is called: its name, with the group's before it where that is another."""
        return self.name if self.name == self.group else f"{self.group}:{self.name}"

    def description(self, now: int) -> str:
        """The last column of supervisorctl's table, in its words. `now`: seconds since 1970."""
        if self.state == State.RUNNING:
            return f"pid {self.pid}, uptime {timedelta(seconds=max(now - self.started_at, 0))}"
        if self.state in (State.FATAL, State.BACKOFF):
            return self.spawnerr or f'unknown error (try "tail {self.name}")'
        if self.state in (State.STOPPED, State.EXITED):
            if not self.started_at:
                return "Not started"
            return time.strftime("%b %d %I:%M %p", time.localtime(self.stopped_at))
        return ""


class Snapshot(Value):
    """All of them, and the whole."""

    processes: tuple[ProcessView, ...]
    now: int
    """Seconds since 1970."""
    pid: int
    mood: int = RUNNING

    def process(self, namespec: str) -> ProcessView:
        """The process that `NAME` or `GROUP:NAME` names.

        Raises:
            Fault: BAD_NAME: none has that name, or it is a group's.
        """
        group, colon, name = namespec.partition(":")
        for process in self.processes:
            if (process.group, process.name) == (group, name if colon else group):
                return process
        raise Fault(BAD_NAME, namespec)

    def by_name(self) -> Iterator[ProcessView]:
        """In the order of the groups' names, and then of their own."""
        yield from sorted(self.processes, key=lambda it: (it.group, it.name))


def why_ended(process: Process) -> str:
    """How the last instance ended, and why it is not up since; empty: there was none."""
    parts = []
    if process.status is not None and process.ended_at:
        parts.append(ended(process.status))
    if process.spawnerr == TOO_QUICKLY:
        parts.append("too quickly")
    elif process.spawnerr and not process.spawnerr.startswith(_BAD_EXIT):
        parts.append(process.spawnerr)
    return "; ".join(parts)
