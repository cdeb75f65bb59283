"""supervisord's own classes, as far as they are about events: what ours are compared with."""

from __future__ import annotations

from typing import Any

from supervisor import events, loggers
from supervisor import process as processes
from supervisor.dispatchers import (
    PEventListenerDispatcher,
    POutputDispatcher,
    default_handler,
)
from supervisor.events import EventTypes
from supervisor.process import EventListenerPool
from supervisor.states import (
    ProcessStates,
    getEventListenerStateDescription,
)

__all__ = ["EventTypes"]


class Logger:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def debug(self, text: str, **_: object) -> None:
        """Of no interest."""

    def warn(self, text: str) -> None:
        self.lines.append(text)

    error = warn


class Options:
    identifier = "supervisor"
    loglevel = 20
    strip_ansi = False

    def __init__(self) -> None:
        self.logger = Logger()
        self.written = b""

    def readfd(self, _fd: int) -> bytes:
        written, self.written = self.written, b""
        return written


class Config:
    stdout_logfile = None

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self.options = options
        self.priority = 999


class Group:
    """What a process knows of its pool."""

    def __init__(self, name: str) -> None:
        self.config = GroupConfig(name)


class GroupConfig:
    def __init__(self, name: str, options: Options | None = None, buffer_size: int = 10) -> None:
        self.name = name
        self.options = options
        self.result_handler = default_handler
        self.buffer_size = buffer_size
        self.pool_events = [EventTypes.EVENT]
        self.process_configs: list[object] = []


class Process:
    """A listener's process."""

    pid = 0
    backoff = 0

    def __init__(self, name: str, group: str, options: Options) -> None:
        self.config = Config(name, options)
        self.group = Group(group)
        self.state = ProcessStates.RUNNING
        self.event: Any = None
        self.listener_state = 0
        self.stdin = b""
        self.dispatcher = PEventListenerDispatcher(self, "stdout", 0)

    def write(self, raw: bytes) -> None:
        self.stdin += raw

    def transition(self) -> None:
        """It stays what it is."""

    @property
    def listener(self) -> str:
        """The name of its listener's state."""
        return str(getEventListenerStateDescription(self.listener_state))

    def says(self, raw: bytes) -> None:
        """It writes something."""
        if raw:
            self.dispatcher.process.config.options.written = raw
            self.dispatcher.handle_read_event()

    def finish(self) -> None:
        """As in Subprocess.finish: it has died."""
        if self.event is not None:
            events.notify(events.EventRejectedEvent(self, self.event))
            self.event = None
        self.state = ProcessStates.EXITED
        self.dispatcher = PEventListenerDispatcher(self, "stdout", 0)


class Pool:
    """An EventListenerPool with listeners of these names, which are RUNNING."""

    def __init__(self, name: str, names: list[str], buffer_size: int) -> None:
        events.clear()
        processes.GlobalSerial.serial = -1
        self.options = Options()
        self.pool = EventListenerPool(GroupConfig(name, self.options, buffer_size))
        self.processes = {it: Process(it, name, self.options) for it in names}
        self.pool.processes = self.processes

    def happens(self, event: object) -> None:
        events.notify(event)

    def turn(self) -> None:
        """A pass of supervisord's loop."""
        self.pool.transition()


class Capture:
    """A POutputDispatcher that captures: what it logs, and what it tells."""

    def __init__(self, max_bytes: int) -> None:
        events.clear()
        self.told: list[bytes] = []
        self.options = Options()
        config = Config("p", self.options)
        config.stdout_capture_maxbytes = 0  # type: ignore[attr-defined]
        for name in ("syslog", "events_enabled", "logfile_maxbytes", "logfile_backups"):
            setattr(config, f"stdout_{name}", 0)
        config.stderr_events_enabled = False  # type: ignore[attr-defined]
        process = Process("p", "g", self.options)
        process.config = config
        self._dispatcher = POutputDispatcher(process, events.ProcessCommunicationStdoutEvent, 0)
        self._dispatcher.normallog = self._dispatcher.childlog = log = Log()
        self.log = log
        self._dispatcher.capturelog = loggers.Logger()
        loggers.handle_boundIO(self._dispatcher.capturelog, "%(message)s", max_bytes)
        events.subscribe(EventTypes.PROCESS_COMMUNICATION, lambda it: self.told.append(it.data))

    def feed(self, raw: bytes) -> None:
        self.options.written = raw
        self._dispatcher.handle_read_event()

    @property
    def held(self) -> bytes:
        """What it still holds back."""
        return bytes(self._dispatcher.output_buffer)


class Log:
    def __init__(self) -> None:
        self.raw = b""

    def info(self, raw: bytes) -> None:
        self.raw += raw
