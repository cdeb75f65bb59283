"""What the core knows, as far as it has been told here: see `serving` for the news that come."""

from __future__ import annotations

import threading
import time

from initpy.control.model import RUNNING, SHUTDOWN, ProcessView, Snapshot
from initpy.core.door import Process
from initpy.core.states import ExitStatus, State
from initpy.core.supervisor import Phase
from initpy.core.values import fields_of
from initpy.logplan import FILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from initpy.control.orders import Wait
    from initpy.feeding import Birth
    from initpy.logplan import ChannelPlan
    from initpy.plan import ProcessSpec

NO_MOVE = -1
"""In news of a process: it has not changed its state."""

CLOCK_STEP_S = 1.0
"""By so much the wall clock has to differ from what is expected of it to have been set."""

SHOWS_STATUS = (State.STOPPED, State.EXITED)
"""States in which supervisord tells an exit status; in others there is none, or none any more."""


class Mirror:
    """The processes as they are. All threads may read it; one changes it."""

    def __init__(self, birth: Birth, pid: int) -> None:
        supervisor = birth.supervisor
        self._pid = pid
        self.memory_fd = birth.memory_fd
        self.captured = _by_channel([fields_of(it) for it in birth.captured])
        """By process and channel: the slot and the serial number in the memory file, and the path
        of the file, if there is one."""
        self.changed = threading.Condition()
        """Notified whenever something is; who waits for it holds its lock."""
        self.version = 0
        """Another after every change."""
        self.processes: dict[str, Process] = dict(supervisor.processes)
        self.phase = supervisor.phase
        self.spare = supervisor.spare
        """The configuration that was read last; None: it is what runs."""
        self._waits: list[Wait] = []
        self._snapshot: tuple[int, int, Snapshot] | None = None
        self._clock_offset = time.time() - time.monotonic()

    def take(self, news: tuple[Any, ...]) -> None:
        """Something has become different."""
        with self.changed:
            match news:
                case ("process", int(old), str(key), spec, *fields):
                    self.processes[key] = self._process(key, spec, fields)
                    if old != NO_MOVE:
                        self._show(key)
                case ("gone", str(key)):
                    self.processes.pop(key, None)
                    self._show(key)
                case ("captured", tuple(captured)):
                    self.captured = _by_channel(captured)
                case ("spare", spare):
                    self.spare = spare
                case ("phase", int(phase)):
                    self.phase = phase
                case _:
                    return
            self.version += 1
            self.changed.notify_all()

    # ------------------------------------------------------------ who waits for something

    def add_wait(self, wait: Wait) -> None:
        with self.changed:
            self._waits.append(wait)

    def begin_wait(self, wait: Wait) -> None:
        """The order that it belongs to has been taken."""
        with self.changed:
            wait.begin(self.processes.get(wait.key))

    def remove_wait(self, wait: Wait) -> None:
        with self.changed:
            if wait in self._waits:
                self._waits.remove(wait)

    def _show(self, key: str) -> None:
        for wait in self._waits:
            if wait.key == key:
                wait.see(self.processes.get(key))

    # ------------------------------------------------------------ looking

    def _process(self, key: str, spec: ProcessSpec | None, fields: list[Any]) -> Process:
        process = Process(spec or self.processes[key].spec, *fields)
        if process.status is None:
            return process
        at = Process.__match_args__.index("status") - 1
        fields[at] = ExitStatus(*fields[at])
        return Process(process.spec, *fields)

    def snapshot(self) -> Snapshot:
        """The processes as supervisord's API speaks of them."""
        now = int(self._now())
        with self.changed:
            if self._snapshot is None or self._snapshot[:2] != (self.version, now):
                views = tuple([self._view(process) for process in self.processes.values()])
                mood = RUNNING if self.phase <= Phase.UP else SHUTDOWN
                self._snapshot = (self.version, now, Snapshot(views, now, self._pid, mood))
            return self._snapshot[2]

    def _now(self) -> float:
        """Seconds since 1970. Instants are told from the monotonic clock's by an offset that stays
        the same, or they would differ by a second from call to call."""
        now = time.time()
        offset = now - time.monotonic()
        if abs(offset - self._clock_offset) > CLOCK_STEP_S:
            self._clock_offset = offset
        return now

    def wall_clock(self, instant: float) -> int:
        """Whole seconds since 1970 of an instant of the monotonic clock; 0 stays 0."""
        return int(instant + self._clock_offset) if instant else 0

    def _view(self, process: Process) -> ProcessView:
        spec, status = process.spec, process.status
        exitstatus = 0
        if status is not None and process.state in SHOWS_STATUS:
            exitstatus = -1 if status.signal is not None else status.code or 0
        return ProcessView(
            spec.name,
            spec.group,
            process.state,
            self.wall_clock(process.started_at),
            self.wall_clock(process.ended_at),
            process.pid,
            exitstatus,
            process.spawnerr,
            _logfile(spec.stdout),
            _logfile(spec.stderr) if not spec.redirect_stderr else "",
        )


def _by_channel(
    captured: Iterable[tuple[str, str, int, int, bytes]],
) -> dict[tuple[str, str], tuple[int, int, bytes]]:
    return {(key, channel): where for key, channel, *where in captured}  # type: ignore[misc]


def _logfile(plan: ChannelPlan | None) -> str:
    """The file that a channel is written to; empty: it is not."""
    for sink in plan.sinks if plan is not None else ():
        if sink.kind == FILE:
            return sink.target.decode("utf-8", "surrogateescape")
    return ""
