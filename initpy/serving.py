"""Floor 2: the sockets of the control plane, and the helper that answers there.

PID 1 makes the sockets, and waits for the first connection, as inetd did; it never reads from one.
Then it forks the helper (as it does the relay of the logs), which so has the core's state as it is
at that instant. From then on, the helper is told in frames of `wire` what becomes different:

    ("process", old, key, spec, field, …)   a process as it is now; `old` is the state it has just
                                            left, or NO_MOVE; `spec` is None if it is as before
    ("gone", key)                           there is no such process any more
    ("phase", phase)                        of `core.supervisor`
    ("spare", plan)                         the configuration that was read last; None: what runs
    ("answer", number, fault)               to an order; an empty fault: it is carried out
    ("leave",)                              when nobody wants anything any more; end of file is that
                                            too, and at once

and it sends orders, each as (number, "start" or another verb, what it is about …); see
`_order`. When it has nothing to do, it leaves, and PID 1 waits again.

Where there is no socket, nothing of this is loaded.
"""

from __future__ import annotations

import posix
import time

from initpy.controlplan import LEFT, TOLD_TO_LEAVE, Birth, Listener
from initpy.core.messages import (
    INFO,
    WARN,
    AddGroup,
    Reload,
    RemoveGroup,
    Request,
    Reread,
    Restart,
    ShutDown,
    Signal,
    Start,
    Stop,
)
from initpy.core.values import Value, fields_of
from initpy.core.words import ended
from initpy.linux import syscalls
from initpy.linux.errnos import errno_name
from initpy.linux.listening import (
    InUseError,
    inode_of,
    listen_at_path,
    listen_on_network,
    remove_socket,
)
from initpy.wire import frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from initpy.controlplan import ControlPlan
    from initpy.core.door import Process
    from initpy.core.messages import Answer, Notice
    from initpy.core.states import ExitStatus
    from initpy.core.supervisor import Supervisor
    from initpy.plan import ProcessSpec

    RunControl = Callable[[Birth, int], int]
    ForkControl = Callable[[Callable[[int], int]], int]

DEFAULT_PATHS = (b"/run/initpy.sock", b"/tmp/initpy.sock")
"""Where the Unix socket is if nothing is said: the first that can be made."""

PATH_VARIABLE = b"INITPY_SOCKET"
"""Says it in their place; empty: nowhere."""

FIRST_DELAY_S, LAST_DELAY_S = 0.05, 30.0
"""A helper that has died is replaced by the next connection at once, and if that one dies soon,
after 50 ms, 100 ms …"""

LONG_LIFE_S = 10.0
"""One that has lived so long did not die soon."""

LEAVE_S = 10.0
"""One that was told to leave and is still there after so long is killed."""

MAX_QUEUE_BYTES = 4 * 1024 * 1024
"""What waits for a helper that does not read. With more than that in the queue, one that goes on
not reading is killed."""

NO_MOVE = -1
CLOSED = -1
SIGKILL = 9


class Serving:
    """The sockets, and at most one helper."""

    KEPT = (
        "_born_at",
        "_delay_s",
        "_helper_pid",
        "_is_away",
        "_is_dying",
        "_kill_at",
        "_listeners",
        "_moved",
        "_news_fd",
        "_plan",
        "_queue",
        "_start_at",
        "_told",
    )

    def __init__(
        self,
        fork_control: ForkControl,
        run_control: RunControl,
        say: Callable[[str, str], None],
        watch: Callable[[int, Callable[[], None]], None],
        watch_room: Callable[[int, Callable[[], None]], None],
        unwatch: Callable[[int], None],
        state: Callable[[], Supervisor],
    ) -> None:
        """`fork_control` forks a helper that runs what it is given, and returns its pid;
        `run_control` is run in it. `say` takes a level and a line; `watch` and `watch_room` call
        when an fd can be read, or written to, until `unwatch`. `state` is the core's."""
        self._fork_control = fork_control
        self._run_control = run_control
        self._say = say
        self._watch = watch
        self._watch_room = watch_room
        self._unwatch = unwatch
        self._state = state
        self._plan: ControlPlan | None = None
        self._listeners: tuple[Listener, ...] = ()
        self._watched = False
        """The listeners are."""
        self._helper_pid = 0
        """0: none runs."""
        self._news_fd = CLOSED
        self._queue = bytearray()
        """What the pipe has not taken yet."""
        self._watches_room = False
        self._told: Supervisor | None = None
        """What the helper knows, apart from what is in `_moved`."""
        self._moved: dict[str, Process] = {}
        """Processes of which it has been told since."""
        self._is_away = False
        """None is to be started any more: everybody is being killed."""
        self._is_dying = False
        """It has been killed, and that has been said."""
        self._born_at = 0.0
        self._delay_s = 0.0
        self._start_at: float | None = None
        """When connections are waited for again."""
        self._kill_at: float | None = None

    # ------------------------------------------------------------ sockets

    def set_plan(self, plan: ControlPlan | None, environment: Mapping[bytes, bytes]) -> str:
        """Listen where this plan says, and nowhere else. Returns why that cannot be, and then all
        is as before; or nothing."""
        if plan == self._plan:
            return ""
        before = {(it.path, it.host, it.port): it for it in self._listeners}
        kept: list[Listener] = []
        made: list[Listener] = []
        try:
            if plan is not None and plan.has_socket:
                self._listen_at_path(plan, environment, kept, made)
            for host, port in plan.listen if plan is not None else ():
                same = [it for it in self._listeners if (it.host, it.port) == (host, port)]
                fds = [] if same else _listen_on_network(host, port)
                kept += same
                made += [Listener(fd, b"", 0, host, port) for fd in fds]
        except _CannotListenError as exc:
            for listener in made:
                _close(listener)
            return str(exc)
        gone = [it for it in before.values() if it not in kept]
        self._wait_for_nobody()
        for listener in gone:
            _close(listener)
        self._listeners = (*kept, *made)
        self._plan = plan
        if self._helper_pid:
            self._ask_to_leave()
        elif self._start_at is None:
            self._wait_for_somebody()
        return ""

    def _listen_at_path(
        self,
        plan: ControlPlan,
        environment: Mapping[bytes, bytes],
        kept: list[Listener],
        made: list[Listener],
    ) -> None:
        given = (plan.socket,) if plan.socket else ()
        if not given and PATH_VARIABLE in environment:
            default = tuple([path for path in (environment[PATH_VARIABLE],) if path])
        else:
            default = DEFAULT_PATHS
        paths = given or default
        same = [it for it in self._listeners if it.path in paths]
        if same:
            kept += same[:1]
            return
        for path in paths:
            try:
                fd = listen_at_path(path, plan.mode, plan.uid, plan.gid)
            except OSError as exc:
                name = path.decode(errors="replace")
                is_used = isinstance(exc, InUseError)
                reason = (
                    "another is listening there" if is_used else exc.strerror or errno_name(exc)
                )
                if given:
                    raise _CannotListenError(f"cannot listen at {name}: {reason}") from None
                if is_used or path == paths[-1]:
                    self._say(INFO, f"no control socket: {name}: {reason}")
                    return
            else:
                made.append(Listener(fd, path, inode_of(path)))
                return

    def _wait_for_somebody(self) -> None:
        self._start_at = None
        if not self._watched and not self._is_away:
            for listener in self._listeners:
                self._watch(listener.fd, self._start)
            self._watched = True

    def _wait_for_nobody(self) -> None:
        if self._watched:
            for listener in self._listeners:
                self._unwatch(listener.fd)
            self._watched = False

    def close(self) -> None:
        """Listen no more: the end. No path is left of ours."""
        self.stay_away()
        for listener in self._listeners:
            _close(listener)
        self._listeners = ()

    # ------------------------------------------------------------ the helper

    def _start(self) -> None:
        """Somebody has connected."""
        self._wait_for_nobody()
        if self._helper_pid or self._is_away or self._plan is None:
            return
        try:
            news_fd, own_fd = posix.pipe2(posix.O_CLOEXEC)
        except OSError as exc:
            self._start_later(errno_name(exc))
            return
        posix.set_blocking(own_fd, False)
        self._close_news()
        self._told = self._state()
        birth = Birth(self._told, self._plan, self._listeners, news_fd)
        run_control = self._run_control

        def control(orders_fd: int) -> int:
            kept = {0, 1, 2, orders_fd, news_fd, *[it.fd for it in birth.listeners]}
            syscalls.close_all_but(kept)
            return run_control(birth, orders_fd)

        try:
            self._helper_pid = self._fork_control(control)
        except OSError as exc:
            posix.close(own_fd)
            self._start_later(errno_name(exc))
            return
        finally:
            posix.close(news_fd)
        self._news_fd = own_fd
        self._is_dying = False
        self._born_at = time.monotonic()

    def _start_later(self, reason: str) -> None:
        self._delay_s = min(max(self._delay_s * 2, FIRST_DELAY_S), LAST_DELAY_S)
        self._say(WARN, f"cannot start the control helper: {reason}; trying on")
        self._start_at = time.monotonic() + self._delay_s

    def _ask_to_leave(self) -> None:
        if self._kill_at is None:
            self._kill_at = time.monotonic() + LEAVE_S
            self._tell(("leave",))

    def bury(self, pid: int, status: ExitStatus) -> None:
        """A helper is gone: it had nothing to do, or was told to leave, or has died."""
        if pid != self._helper_pid:
            return
        self._close_news()
        self._helper_pid = 0
        self._kill_at = None
        if self._is_away:
            return
        now = time.monotonic()
        if status.code not in (LEFT, TOLD_TO_LEAVE):
            if not self._is_dying:
                how = ended(status)
                self._say(WARN, f"the control helper died ({how}): open requests are lost")
            if now - self._born_at > LONG_LIFE_S:
                self._delay_s = 0.0
            self._start_at = now + self._delay_s
            self._delay_s = min(max(self._delay_s * 2, FIRST_DELAY_S), LAST_DELAY_S)
        else:
            self._start_at = now
        if self._start_at <= now:
            self._wait_for_somebody()

    def stay_away(self) -> None:
        """Every process is about to be killed."""
        self._is_away = True
        self._wait_for_nobody()
        self._close_news()

    # ------------------------------------------------------------ time

    def next_due_at(self) -> float | None:
        """When to call `keep_time`, by the monotonic clock; None: not before something happens."""
        dues = [due for due in (self._start_at, self._kill_at) if due is not None]
        return min(dues, default=None)

    def keep_time(self, now: float) -> None:
        """Wait for connections again; end a helper that has had its time to leave."""
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            self._kill("it was told to leave, and does not")
        if self._start_at is not None and now >= self._start_at:
            self._wait_for_somebody()

    # ------------------------------------------------------------ what the helper is told

    def is_behind(self) -> bool:
        """Whether `follow` has something to tell."""
        is_same = self._told is self._state() and not self._moved
        return self._news_fd != CLOSED and not is_same

    def note(self, notice: Notice) -> None:
        """A process has changed its state."""
        if self._news_fd != CLOSED:
            self._tell_process(notice.old, notice.process)

    def follow(self) -> None:
        """Tell what else has become different."""
        told, state = self._told, self._state()
        if told is None:
            return
        if told.processes is not state.processes:
            for key, process in state.processes.items():
                if self._moved.get(key, told.processes.get(key)) is not process:
                    self._tell_process(NO_MOVE, process)
            for key in told.processes:
                if key not in state.processes:
                    self._tell(("gone", key))
        if told.spare is not state.spare:
            self._tell(("spare", state.spare))
        if told.phase != state.phase:
            self._tell(("phase", state.phase))
        self._told = state
        self._moved = {}

    def _tell_process(self, old: int, process: Process) -> None:
        spec: ProcessSpec | None = process.spec
        key = process.spec.key
        known = self._moved.get(key) or (self._told.processes.get(key) if self._told else None)
        if known is not None and known.spec is spec:
            spec = None
        fields = [
            fields_of(field) if isinstance(field, Value) else field
            for field in fields_of(process)[1:]
        ]
        self._tell(("process", old, key, spec, *fields))
        self._moved[key] = process

    def answer(self, answer: Answer) -> None:
        """An order has been carried out, or refused: what it has changed is told first."""
        if answer.asker == self._helper_pid:
            self.follow()
            self._tell(("answer", answer.number, answer.fault))

    def _tell(self, news: tuple[object, ...]) -> None:
        if self._news_fd == CLOSED:
            return
        if len(self._queue) > MAX_QUEUE_BYTES:
            self._kill("it does not read")
            return
        self._queue += frame(news)
        self._write()

    def _write(self) -> None:
        """Write as much as the pipe takes."""
        try:
            while self._queue:
                written = posix.write(self._news_fd, self._queue)
                del self._queue[:written]
        except BlockingIOError:
            pass
        except OSError:  # it is gone, as will be heard of
            self._queue.clear()
        if bool(self._queue) != self._watches_room:
            self._watches_room = not self._watches_room
            if self._watches_room:
                self._watch_room(self._news_fd, self._write)
            else:
                self._unwatch(self._news_fd)

    def _close_news(self) -> None:
        fd, self._news_fd = self._news_fd, CLOSED
        if self._watches_room:
            self._watches_room = False
            self._unwatch(fd)
        self._queue.clear()
        self._told = None
        self._moved = {}
        if fd != CLOSED:
            posix.close(fd)

    def _kill(self, why: str) -> None:
        if not self._is_dying:
            self._is_dying = True
            self._say(WARN, f"killing the control helper: {why}")
            syscalls.kill(self._helper_pid, SIGKILL)
            self._close_news()

    # ------------------------------------------------------------ what the helper asks for

    def request(self, pid: int, value: object) -> Request | None:
        """What a helper has sent, for the core; None: it makes no sense, and it is killed."""
        if pid != self._helper_pid:
            return None
        order = _order(value)
        if order is not None:
            return Request(pid, value[0], order)  # type: ignore[index]
        self._kill("what it sends makes no sense")
        return None

    # ------------------------------------------------------------ from image to image

    def fds(self) -> list[int]:
        """All that the next image of PID 1 has to have open."""
        news = [self._news_fd] if self._news_fd != CLOSED else []
        return [*[listener.fd for listener in self._listeners], *news]

    def heal(self, helpers: list[int], *, is_new: bool) -> None:
        """After a fault, half-way through something, or a hand-over. `helpers` are the pids of
        those that live, or are not buried; `is_new`: this is another initpy than the one that has
        started them."""
        if self._helper_pid not in helpers:
            self._helper_pid = helpers[-1] if helpers else 0
        if self._helper_pid and (is_new or self._news_fd == CLOSED):
            self._kill_at = time.monotonic()
        if self._helper_pid:
            self._write()
        elif self._start_at is None:
            self._wait_for_somebody()


class _CannotListenError(Exception):
    """Where the configuration says; the text is for the operator."""


def _listen_on_network(host: bytes, port: int) -> list[int]:
    try:
        return listen_on_network(host, port)
    except OSError as exc:
        is_used = isinstance(exc, InUseError)
        reason = "another is listening there" if is_used else exc.strerror
        name = f"[{host.decode()}]" if b":" in host else host.decode() or "*"
        raise _CannotListenError(f"cannot listen on {name}:{port}: {reason}") from None


def _close(listener: Listener) -> None:
    posix.close(listener.fd)
    if listener.path:
        remove_socket(listener.path, listener.inode)


def _order(value: object) -> Value | None:
    """The order in what a helper has sent; None: there is none."""
    if not isinstance(value, tuple):
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
        case ("reread",):
            order = Reread()
        case ("reload",):
            order = Reload()
        case ("restart",):
            order = Restart()
        case ("shutdown",):
            order = ShutDown()
    return order if type(value[0]) is int else None
