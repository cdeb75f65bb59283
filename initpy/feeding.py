"""Floor 2: what the control helper is told, and what it asks for. Loaded when there is one.

It was forked, so it has the core's state as it was at that instant. From then on, it is told in
frames of `wire` what becomes different:

    ("process", old, key, spec, field, …)   a process as it is now; `old` is the state it has just
                                            left, or NO_MOVE; `spec` is None if it is as before
    ("gone", key)                           there is no such process any more
    ("phase", phase)                        of `core.supervisor`
    ("spare", plan)                         the configuration that was read last; None: what runs
    ("captured", ((key, …), …))             fields of `logplan.Captured`, all there are
    ("answer", number, fault)               to an order; an empty fault: it is carried out
    ("listeners", plans)                    of eventplan: what event listeners are to be told now
    ("leave",)                              end, when the requests that there are have their answers

and it sends orders: (number, "start" or another verb, what it is about …), see `order_in`; lines
for the log: ("log", level, text); and (number, "stdin", key), to be handed what it writes to.
"""

from __future__ import annotations

import posix
import sys
import time

from initpy.core.messages import Signal, Start, Stop
from initpy.core.orders import AddGroup, Reload, RemoveGroup, Reopen, Reread, Restart, ShutDown
from initpy.core.values import Value, fields_of, replace
from initpy.wire import frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.controlplan import ControlPlan, Listener
    from initpy.core.door import Process
    from initpy.core.supervisor import Supervisor
    from initpy.eventplan import EventsBirth
    from initpy.logplan import Captured
    from initpy.plan import ProcessSpec

MAX_QUEUE_BYTES = 4 * 1024 * 1024
"""What may wait for a helper that does not read; a frame that finds more is not taken."""

HEARD_S = 10.0
"""A helper that leaves what it is told unread for so long hangs."""

SECOND_LOOK_S = 1.0
"""Before it is taken for one, it is looked once more: the whole container may have been stopped."""

NO_MOVE = -1
CLOSED = -1

_FIONREAD = 0x541B
"""How many bytes are in a pipe."""


class Birth(Value):
    """All that a control helper is started with."""

    supervisor: Supervisor
    """What the core knows."""
    plan: ControlPlan
    listeners: tuple[Listener, ...]
    news_fd: int
    memory_fd: int
    """The memory file of the logs; CLOSED: there is none."""
    captured: tuple[Captured, ...]
    """What is found in it."""
    events: EventsBirth | None = None
    """None: there are no event listeners."""
    own_log_fd: int = CLOSED
    """The memory file of PID 1's own lines (`ownlog`); CLOSED: there is none."""
    inputs_fd: int = CLOSED
    """A packet comes from here for each ("stdin", key) that is not refused, and with it the fd that
    is written to; CLOSED: no program has a pipe for its stdin."""


class Feed:
    """The pipe to one helper."""

    KEPT = (
        "_is_suspect",
        "_mark",
        "_moved",
        "_queue",
        "_told",
        "_written",
        "fd",
        "is_stuck",
        "look_at",
    )

    def __init__(self, fd: int, told: Supervisor) -> None:
        """`fd` is non-blocking; `told` is what the helper knows."""
        self.fd = fd
        self.is_stuck = False
        """It does not read, and so it has missed something."""
        self._queue = bytearray()
        """What the pipe has not taken yet."""
        self._told = told
        """What the helper knows, apart from what is in `_moved`."""
        self._moved: dict[str, Process] = {}
        """Processes of which it has been told since."""
        self._written = 0
        """Bytes that the pipe has ever taken."""
        self._mark = 0
        """So many of them have to have been read by `look_at`."""
        self._is_suspect = False
        self.look_at: float | None = None
        """When to call `hangs`; None: it has read everything."""

    @property
    def backlog(self) -> bool:
        """Whether something waits for room in the pipe."""
        return bool(self._queue)

    def is_behind(self, state: Supervisor) -> bool:
        """Whether `follow` has something to tell."""
        return self._told is not state or bool(self._moved)

    def follow(self, state: Supervisor) -> None:
        """Tell what else than moves has become different."""
        told = self._told
        for key, process in state.processes.items():
            if self._moved.get(key, told.processes.get(key)) is not process:
                self.tell_process(NO_MOVE, process)
        for key in (*told.processes, *self._moved):
            if key not in state.processes:
                self.tell(("gone", key))
        if told.spare is not state.spare:
            self.tell(("spare", state.spare))
        self.follow_phase(state)
        self._told = state
        self._moved = {}

    def follow_phase(self, state: Supervisor) -> None:
        """Tell, before moves that come of it, that the whole is in another phase."""
        if self._told.phase != state.phase:
            self.tell(("phase", state.phase))
            self._told = replace(self._told, phase=state.phase)

    def tell_process(self, old: int, process: Process) -> None:
        """A process is another than it was; `old` is the state that it has left, or NO_MOVE."""
        key = process.spec.key
        known = self._moved.get(key, self._told.processes.get(key))
        spec: ProcessSpec | None = process.spec
        if known is not None and known.spec is spec:
            spec = None
        fields = [
            fields_of(field) if isinstance(field, Value) else field
            for field in fields_of(process)[1:]
        ]
        self.tell(("process", old, key, spec, *fields))
        self._moved[key] = process

    def tell(self, news: tuple[object, ...]) -> None:
        if len(self._queue) > MAX_QUEUE_BYTES:
            self.is_stuck = True
            return
        self._queue += frame(news)
        self.write()

    def write(self) -> None:
        """Write as much as the pipe takes."""
        try:
            while self._queue:
                written = posix.write(self.fd, self._queue)
                self._written += written
                del self._queue[:written]
        except BlockingIOError:
            pass
        except OSError:  # it is gone, as will be heard of
            self._queue.clear()
        if self.look_at is None and self._written > self._mark:
            self._expect(time.monotonic())

    def _expect(self, now: float) -> None:
        """That all is read that is in the pipe."""
        self._mark = self._written
        self._is_suspect = False
        self.look_at = now + HEARD_S

    def hangs(self, now: float) -> bool:
        """Whether the helper has not read what it should have by now. So there is a timer only as
        long as there is something for it to read."""
        try:
            unread = bytes_in(self.fd)
        except (ImportError, OSError):  # then it cannot be told
            unread = 0
        if not unread:
            self.look_at = None
        elif self._written - unread >= self._mark:  # and more has come
            self._expect(now)
        elif self._is_suspect:
            return True
        else:
            self._is_suspect = True
            self.look_at = now + SECOND_LOOK_S
        return False


def bytes_in(fd: int) -> int:
    """How many bytes are in the pipe that has this end.

    Raises:
        ImportError, OSError: that cannot be told.
    """
    import fcntl  # noqa: PLC0415 - nobody needs it where there is no helper

    return int.from_bytes(fcntl.ioctl(fd, _FIONREAD, bytes(4)), sys.byteorder)


def order_in(value: object) -> Value | None:
    """The order in what a helper has sent; None: there is none."""
    if type(value) is not tuple or type(value[0] if value else None) is not int:
        return None
    order: Value | None = None
    match value[1:]:
        case ("start", str(key)):
            order = Start(key, by_operator=True)
        case ("stop", str(key)):
            order = Stop(key, by_operator=True)
        case ("signal", str(key), int(signum)):
            order = Signal(key, signum)
        case ("add", str(name)):
            order = AddGroup(name)
        case ("remove", str(name)):
            order = RemoveGroup(name)
        case ("reopen",):
            order = Reopen()
        case ("reread",):
            order = Reread()
        case ("reload",):
            order = Reload()
        case ("restart",):
            order = Restart()
        case ("shutdown",):
            order = ShutDown()
    return order
