"""Where events meet the pipes of the listeners: a thread of the control helper.

Other threads tell it what has happened; it reads what listeners write, and writes what they are
sent. Each instance of a listener has pipes of its own, which PID 1 sends (see `eventpipes`).
"""

from __future__ import annotations

import array
import os
import select
import socket
import threading
import time
import traceback
from collections import deque
from contextlib import suppress

from initpy.control.events import kinds, payloads
from initpy.control.events.capture import Capture, Told
from initpy.control.events.hub import Hub
from initpy.control.events.ledger import Ledger
from initpy.control.events.ticks import Ticks
from initpy.core.messages import WARN
from initpy.core.restart import is_expected
from initpy.core.states import State
from initpy.core.supervisor import Phase
from initpy.wire import Frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from initpy.control.events.payloads import Event
    from initpy.core.door import Process
    from initpy.core.supervisor import Supervisor
    from initpy.eventplan import EventsBirth, ListenerPlan

NO_MOVE = -1
"""As in `serving`: a process has not changed its state."""

READ_BYTES = 65536
MAX_LAST_BYTES = 1024 * 1024
"""So much is read of what a listener has left when it died."""

PACKET_BYTES = 4096

OUTPUT_BYTES = 128 * 1024
"""More than a packet with output of programs has."""

MAX_EARLY = 100
"""Packets that are kept for instances that are not known so far."""

CLOSED_S = 2.0
"""A listener whose pipes are closed, and that is alive after so long, has closed them itself."""

MAX_PACKETS = 64
"""So many of these are taken before listeners are looked after."""


class Connection:
    """An instance of a listener, and our ends of its pipes."""

    def __init__(self, key: str, pid: int, stdin_fd: int, stdout_fd: int) -> None:
        self.key = key
        self.pid = pid
        self.stdin_fd = stdin_fd
        self.stdout_fd = stdout_fd
        self.unwritten = b""
        """Of an event, what the pipe has not taken yet."""


class EventService:
    """All listeners. What other threads may call says so."""

    def __init__(
        self,
        birth: EventsBirth,
        supervisor: Supervisor,
        server: str,
        say: Callable[[str, str], None],
    ) -> None:
        """`server` is the name that events have for all of initpy; `say` takes a level and a line.
        SIGPIPE has to be ignored: a listener may have closed its stdin."""
        self._say = say
        self._door: socket.socket | None = socket.socket(fileno=birth.door_fd)
        self._door.setblocking(False)
        self._door_fd = birth.door_fd
        self._ledger = Ledger(birth.memory_fd)
        self._output_fd = birth.output_fd
        self._captures: dict[tuple[str, str], tuple[int, Capture]] = {}
        """By key and channel: the pid of the instance, and what is found in its output."""
        self._specs = {key: process.spec for key, process in supervisor.processes.items()}
        self._early: deque[tuple[str, str, int, bytes]] = deque(maxlen=MAX_EARLY)
        """Output of instances that are not known so far, for the relay may be quicker than what is
        told of processes; and what came behind it."""
        self._hub = Hub(server, say)
        self._ticks = Ticks(time.time())
        self._connections: dict[str, Connection] = {}
        self._by_fd: dict[int, Connection] = {}
        self._closed: dict[str, tuple[int, str, float]] = {}
        """By key: the pid of an instance that has closed one of its pipes, or has died; which pipe,
        and when that is to be said."""
        self._strangers: dict[str, Connection] = {}
        """Instances of listeners that are in no plan so far."""
        self._pids: dict[str, int] = {}
        """By key: the pid of the instance that there is, or that has just ended."""
        self._live: dict[str, int] = {}
        """By key: the pid of the instance that there is, as far as that has been told."""
        self._keys_of: dict[str, set[str]] = {group: set() for group in birth.groups}
        """The groups of which listeners have been told, and the processes in them."""
        for key, process in supervisor.processes.items():
            self._keys_of.setdefault(process.spec.group, set()).add(key)
            self._pids[key] = self._live[key] = process.pid
        self._is_stopping = supervisor.phase >= Phase.STOPPING
        self._news: deque[Callable[[], None]] = deque()
        self._is_needed = bool(birth.plans)
        self._wake_fd, self._waker_fd = os.pipe()
        os.set_blocking(self._wake_fd, False)
        os.set_blocking(self._waker_fd, False)
        self._epoll = select.epoll()
        self._epoll.register(self._wake_fd, select.EPOLLIN)
        self._epoll.register(self._door_fd, select.EPOLLIN)
        if self._output_fd >= 0:
            self._epoll.register(self._output_fd, select.EPOLLIN)
        self._begin(birth, supervisor)

    def _begin(self, birth: EventsBirth, supervisor: Supervisor) -> None:
        self._hub.serial, pools = self._ledger.read()
        for name, (_, waited, sent) in pools.items():
            if waited or sent:
                text = f"pool {name}: {waited} events were lost with the control helper"
                more = f"; {sent} were with a listener, which may have seen to them" if sent else ""
                self._say(WARN, text + more)
        serials = {name: serial for name, (serial, *_) in pools.items()}
        self._hub.set_plan(birth.plans, time.monotonic(), serials)
        for key, process in supervisor.processes.items():
            self._set_running(key, process)
        if birth.groups:
            for group in birth.groups:
                self._hub.put(payloads.group_added(group))
            self._hub.put(payloads.SUPERVISOR_RUNNING)
        self._ledger.note(self._hub)

    def start(self) -> None:
        """Begin to serve, in a thread of its own."""
        threading.Thread(target=self._run, name="events", daemon=True).start()

    def is_needed(self) -> bool:
        """Whether there are listeners. Any thread may ask."""
        return self._is_needed

    # ------------------------------------------------------------ what has happened: any thread

    def post(self, event: Event) -> None:
        """An event, for whoever wants to hear of it; returns when it has been taken, so that it is
        counted, should it be lost. Any thread but this one's own may call this."""
        taken = threading.Event()
        self._tell(lambda: self._take(event, taken))
        taken.wait()

    def _take(self, event: Event, taken: threading.Event) -> None:
        self._hub.put(event)
        self._ledger.note(self._hub)
        taken.set()

    def hear(self, news: tuple[Any, ...], processes: Mapping[str, Process]) -> None:
        """What PID 1 tells (see `serving`); `processes` are as they are with it. Any thread may
        call this, with news in their order."""
        match news:
            case ("process", int(old), str(key), *_):
                process = processes[key]
                self._tell(lambda: self._take_process(old, process))
            case ("gone", str(key)):
                self._tell(lambda: self._take_gone(key))
            case ("phase", Phase.STOPPING):
                self._tell(self._take_stopping)
            case ("listeners", tuple(plans)):
                self._is_needed = bool(plans)
                self._tell(lambda: self._take_plans(plans))

    def _tell(self, news: Callable[[], None]) -> None:
        self._news.append(news)
        with suppress(BlockingIOError):  # it is awake
            os.write(self._waker_fd, b"w")

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        try:
            while True:
                self._turn()
        except BaseException:  # without this thread the helper is of no use: let there be another
            self._say(WARN, f"a bug in the control helper: {traceback.format_exc()}")
            os._exit(1)

    def _turn(self) -> None:
        """Wait for what comes first, and see to it."""
        ready = {fd for fd, _ in self._epoll.poll(self._wait_s())}
        if self._wake_fd in ready:
            os.read(self._wake_fd, READ_BYTES)
        for fd in ready:
            if fd in self._by_fd:
                self._see_to(self._by_fd[fd], fd)
        self._open_door()  # before the news: an instance is here before what is told of it
        while self._news:
            self._news.popleft()()
        if self._output_fd in ready:
            self._hear_output()
        for event in self._ticks.take(time.time()):
            self._hub.put(event)
        self._report_closed(time.monotonic())
        self._send()

    def _wait_s(self) -> float:
        wait_s = Ticks.next_in_s(time.time())
        dues = [due_at for _, _, due_at in self._closed.values()]
        due_at = self._hub.next_due_at()
        if due_at is not None:
            dues.append(due_at)
        return min([wait_s, *[max(0.0, due_at - time.monotonic()) for due_at in dues]])

    def _send(self) -> None:
        now = time.monotonic()
        for pool in self._hub.pools.values():
            pool.look(now)
        sent = [it for pool in self._hub.pools.values() for it in pool.take(now)]
        self._ledger.note(self._hub)
        for key, raw in sent:
            connection = self._connections[key]
            connection.unwritten = raw
            self._write(connection)

    # ------------------------------------------------------------ listeners

    def _open_door(self) -> None:
        """Take the pipes of new instances."""
        room = socket.CMSG_SPACE(2 * array.array("i").itemsize)
        while self._door is not None:
            try:
                raw, ancillary, _, _ = self._door.recvmsg(PACKET_BYTES, room)
            except BlockingIOError:
                return
            fds = array.array("i")
            for level, kind, numbers in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(numbers)
            match Frames().feed(raw), list(fds):
                case [(str(key), int(pid))], [stdin_fd, stdout_fd]:
                    self._connect(Connection(key, pid, stdin_fd, stdout_fd))
                case [], []:  # PID 1 has hung up: this helper is about to end
                    self._epoll.unregister(self._door_fd)
                    self._door.close()
                    self._door = None
                case _, rest:  # descriptors ran out on the way
                    for fd in rest:
                        os.close(fd)

    def _connect(self, connection: Connection) -> None:
        key = connection.key
        if key in self._connections:
            self._finish(self._connections[key])
        pool = self._hub.pool_of(key)
        if pool is None:  # a reload brings it, or has taken it away
            self._forget_stranger(key)
            self._strangers[key] = connection
            return
        self._connections[key] = connection
        self._by_fd[connection.stdin_fd] = self._by_fd[connection.stdout_fd] = connection
        self._epoll.register(connection.stdout_fd, select.EPOLLIN)
        self._epoll.register(connection.stdin_fd, 0)
        pool.connect(key, time.monotonic())

    def _forget_stranger(self, key: str) -> None:
        stranger = self._strangers.pop(key, None)
        if stranger is not None:
            os.close(stranger.stdin_fd)
            os.close(stranger.stdout_fd)

    def _take_plans(self, plans: Sequence[ListenerPlan]) -> None:
        self._hub.set_plan(plans, time.monotonic())
        for key in [key for key in self._strangers if self._hub.pool_of(key) is not None]:
            self._connect(self._strangers.pop(key))

    def _see_to(self, connection: Connection, fd: int) -> None:
        if fd == connection.stdin_fd:
            if connection.unwritten:
                self._write(connection)
            else:
                self._lose(connection, "stdin")
        elif not self._read(connection):
            self._lose(connection, "stdout")

    def _read(self, connection: Connection) -> int:
        """Take some of what it has written; returns how many bytes, 0 at the end, -1 if it has not
        written any."""
        try:
            raw = os.read(connection.stdout_fd, READ_BYTES)
        except BlockingIOError:
            return -1
        pool = self._hub.pool_of(connection.key)
        if raw and pool is not None:
            pool.feed(connection.key, raw, time.monotonic())
        return len(raw)

    def _write(self, connection: Connection) -> None:
        try:
            written = os.write(connection.stdin_fd, connection.unwritten)
            connection.unwritten = connection.unwritten[written:]
        except BlockingIOError:
            pass
        except OSError:
            self._lose(connection, "stdin")
            return
        wanted = select.EPOLLOUT if connection.unwritten else 0
        self._epoll.modify(connection.stdin_fd, wanted)

    def _finish(self, connection: Connection) -> None:
        """The instance is dead: what it said last still counts."""
        count = 0
        while count < MAX_LAST_BYTES and (size := self._read(connection)) > 0:
            count += size
        self._hang_up(connection)

    def _lose(self, connection: Connection, pipe: str) -> None:
        """It has closed one of its pipes, or has died, as will soon be heard."""
        if self._connections.get(connection.key) is connection:
            due_at = time.monotonic() + CLOSED_S
            self._closed[connection.key] = connection.pid, pipe, due_at
            self._hang_up(connection)

    def _report_closed(self, now: float) -> None:
        for key, (pid, pipe, due_at) in [*self._closed.items()]:
            if self._live.get(key) != pid:
                del self._closed[key]
            elif now >= due_at:
                del self._closed[key]
                text = f"has closed its {pipe}: it gets no events until it is restarted"
                self._say(WARN, f"{key.rpartition(':')[2]} {text}")

    def _hang_up(self, connection: Connection) -> None:
        key = connection.key
        if self._connections.get(key) is not connection:
            return
        del self._connections[key]
        for fd in (connection.stdin_fd, connection.stdout_fd):
            del self._by_fd[fd]
            self._epoll.unregister(fd)
            os.close(fd)
        pool = self._hub.pool_of(key)
        if pool is not None:
            pool.disconnect(key, time.monotonic())

    # ------------------------------------------------------------ output of programs

    def _hear_output(self) -> None:
        """Take what the relay of the logs tells; not all at once, if there is much of it."""
        for _ in range(MAX_PACKETS):
            try:
                raw = os.read(self._output_fd, OUTPUT_BYTES)
            except BlockingIOError:
                return
            match Frames().feed(raw):
                case [(str(key), str(channel), int(pid), bytes(written))]:
                    self._take_output(key, channel, pid, written)

    def _take_output(self, key: str, channel: str, pid: int, raw: bytes) -> None:
        spec = self._specs.get(key)
        written_by = pid or self._pids.get(key, 0)
        is_behind = any(it[:2] == (key, channel) for it in self._early)
        if spec is None or not written_by or is_behind:
            self._early.append((key, channel, pid, raw))
            return
        plan = spec.stderr if channel == "stderr" else spec.stdout
        if plan is None:
            return
        about = (spec.name, spec.group, written_by, channel)
        if plan.tells_all and self._hub.wants(f"{kinds.PROCESS_LOG}_{channel.upper()}"):
            self._hub.put(payloads.process_log(*about, raw))
        if plan.capture_bytes:
            known, capture = self._captures.get((key, channel), (0, None))
            if capture is None or known != written_by:
                capture = Capture(plan.capture_bytes)
                self._captures[key, channel] = written_by, capture
            for piece in capture.feed(raw):
                if isinstance(piece, Told):
                    self._hub.put(payloads.process_communication(*about, piece.raw))

    # ------------------------------------------------------------ processes

    def _take_process(self, old: int, process: Process) -> None:
        spec = process.spec
        key = spec.key
        if spec.group not in self._keys_of:
            self._hub.put(payloads.group_added(spec.group))
        self._keys_of.setdefault(spec.group, set()).add(key)
        self._specs[key] = spec
        connection, live = self._connections.get(key), self._live.get(key, 0)
        self._live[key] = process.pid
        if connection is not None and connection.pid == live != process.pid:
            self._finish(connection)
        if process.pid or process.state in (State.STARTING, State.BACKOFF):
            self._pids[key] = process.pid
        if self._early and process.pid:
            early, self._early = self._early, deque(maxlen=MAX_EARLY)
            for output in early:  # those of others wait on, in their order
                self._take_output(*output)
        if old != NO_MOVE:
            event = payloads.process_state(
                spec.name,
                spec.group,
                process.state,
                old,
                pid=self._pids.get(key, 0),
                tries=process.failures,
                expected=process.status is None or is_expected(spec, process.status),
            )
            self._hub.put(event)
        self._set_running(key, process)

    def _set_running(self, key: str, process: Process) -> None:
        """Only who is RUNNING gets events; at the end, who is told to stop gets what is left."""
        pool = self._hub.pool_of(key)
        if pool is not None:
            is_last = self._is_stopping and process.state == State.STOPPING
            pool.set_running(key, process.state == State.RUNNING or is_last)

    def _take_stopping(self) -> None:
        self._is_stopping = True
        self._hub.put(payloads.SUPERVISOR_STOPPING)

    def _take_gone(self, key: str) -> None:
        self._pids.pop(key, None)
        self._live.pop(key, None)
        self._specs.pop(key, None)
        self._captures.pop((key, "stdout"), None)
        self._captures.pop((key, "stderr"), None)
        self._forget_stranger(key)
        for group in [name for name, keys in self._keys_of.items() if key in keys]:
            self._keys_of[group].remove(key)
            if not self._keys_of[group]:
                del self._keys_of[group]
                self._hub.put(payloads.group_removed(group))
