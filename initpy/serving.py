"""Floor 2: the sockets of the control plane, and the helper that answers there.

PID 1 makes the sockets, and waits for the first connection, as inetd did; it never reads from one.
Then it forks the helper, as it does the relay of the logs; what the two have to say to each other
is in `feeding`. When the helper has nothing to do, it leaves, and PID 1 waits again. Where there
are event listeners, it is started at once, and has always something to do; see `eventpipes`.

Where there is no socket, nothing of this is loaded; and what only makes sockets, or feeds a helper,
is not loaded where there is none to be made, or none to be fed.
"""

from __future__ import annotations

import posix
import sys
import time

from initpy.controlplan import LEFT, TOLD_TO_LEAVE
from initpy.core.messages import INFO, WARN, Answer, Request
from initpy.core.supervisor import Phase
from initpy.core.values import fields_of
from initpy.core.words import ended
from initpy.linux import syscalls
from initpy.linux.errnos import errno_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from initpy.controlplan import ControlPlan, Listener
    from initpy.core.messages import Notice
    from initpy.core.states import ExitStatus
    from initpy.core.supervisor import Supervisor
    from initpy.eventpipes import EventPipes
    from initpy.eventplan import EventsBirth
    from initpy.feeding import Birth, Feed
    from initpy.inputs import Inputs
    from initpy.logplan import Captured
    from initpy.ownlog import OwnLog

    RunControl = Callable[[Birth, int], int]
    ForkControl = Callable[[Callable[[int], int]], int]

FIRST_DELAY_S, LAST_DELAY_S = 0.05, 1.0
"""A helper that has died is replaced by the next connection at once, and if that one dies soon,
after 50 ms, 100 ms … up to 1 s, and not more: a client waits for it, and one fork in a second is
little."""

LONG_LIFE_S = 10.0
"""One that has lived so long did not die soon."""

LEAVE_S = 10.0
"""One that was told to leave takes 2.5 s for it at the most (`control.server`); one that is still
there after so long hangs, and is killed."""

CLOSED = -1
SIGKILL = 9


class Serving:
    """The sockets, and at most one helper."""

    KEPT = (
        "_born_at",
        "_delay_s",
        "_feed",
        "_helper_pid",
        "_is_away",
        "_is_dying",
        "_kill_at",
        "_listeners",
        "_memory_fd",
        "_plan",
        "_start_at",
        "own_log",
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
        captured: Callable[[], tuple[int, tuple[Captured, ...]]],
    ) -> None:
        """`fork_control` forks a helper that runs what it is given, and returns its pid;
        `run_control` is run in it. `say` takes a level and a line; `watch` and `watch_room` call
        when an fd can be read, or written to, until `unwatch`. `state` is the core's;
        `captured` says where the output of programs is found."""
        self._fork_control = fork_control
        self._run_control = run_control
        self._say = say
        self._watch = watch
        self._watch_room = watch_room
        self._unwatch = unwatch
        self._state = state
        self.events: EventPipes | None = None
        """None: there have never been event listeners."""
        self.inputs: Inputs | None = None
        """None: there has never been a program whose stdin is a pipe."""
        self.own_log: OwnLog | None = None
        """Where the helper finds PID 1's own lines; None: they are not kept."""
        self._captured = captured
        self._memory_fd = CLOSED
        """Which memory file the helper has."""
        self._plan: ControlPlan | None = None
        self._listeners: tuple[Listener, ...] = ()
        self._watched = False
        """The listeners are."""
        self._helper_pid = 0
        """0: none runs."""
        self._feed: Feed | None = None
        """None: it is not told anything any more."""
        self._watches_room = False
        self._is_away = False
        """None is to be started any more: everybody is being killed."""
        self._is_dying = False
        """It has been killed, and that has been said."""
        self._born_at = 0.0
        self._delay_s = 0.0
        self._start_at: float | None = None
        """When connections are waited for again."""
        self._kill_at: float | None = None
        """When the helper has had its time to leave."""

    def keep_own_log(self) -> Callable[[bytes], None] | None:
        """What takes PID 1's lines, so that clients can see them; None: nothing can."""
        if self.own_log is None:
            try:
                from initpy import ownlog  # noqa: PLC0415

                self.own_log = ownlog.OwnLog()
            except (ImportError, OSError):
                return None
        return self.own_log.add

    # ------------------------------------------------------------ sockets

    def set_plan(self, plan: ControlPlan | None, environment: Mapping[bytes, bytes]) -> str:
        """Listen where this plan says, and nowhere else. Returns why that cannot be, and then all
        is as before; or nothing."""
        from initpy.opening import (  # noqa: PLC0415
            CannotListenError,
            close,
            is_there,
            listeners_for,
        )

        is_complete = plan is None or not plan.has_socket or any(it.path for it in self._listeners)
        if plan == self._plan and is_complete and all(map(is_there, self._listeners)):
            return ""
        try:
            listeners = listeners_for(plan, environment, self._listeners, self._say)
        except CannotListenError as exc:
            return str(exc)
        self._wait_for_nobody()
        for listener in self._listeners:
            if listener not in listeners:
                close(listener)
        self._listeners = listeners
        self._plan = plan
        if self._feed is not None:
            self._ask_to_leave()
        elif not self._helper_pid and self._start_at is None:
            self._wait_for_somebody()
        return ""

    def _wait_for_somebody(self) -> None:
        self._start_at = None
        if self.events is not None and self.events.plans:
            self._start()
            return
        if not self._watched and not self._is_away:
            self._watched = True
            try:
                for listener in self._listeners:
                    self._watch(listener.fd, self._let_in)
            except OSError as exc:  # no memory for it
                self._wait_for_nobody()
                self._start_later(f"its sockets cannot be watched: {errno_name(exc)}")

    def set_listeners(self, events: EventPipes) -> None:
        """There are event listeners, or none any more, as `events` has them now."""
        self.events = events
        if not self._helper_pid and self._start_at is None and events.plans:
            self._start()
        elif self._feed is not None and events.plans and not events.has_door():
            self._ask_to_leave()  # it was started without
        elif self._feed is not None:
            self._feed.tell(("listeners", events.plans))
            self._see_to_feed(self._feed)

    def set_inputs(self, inputs: Inputs) -> None:
        """There are programs whose stdin is a pipe, or have been."""
        self.inputs = inputs
        if self._feed is not None and not inputs.has_door():
            self._ask_to_leave()  # it was started without

    def _wait_for_nobody(self) -> None:
        if self._watched:
            for listener in self._listeners:
                self._unwatch(listener.fd)
            self._watched = False

    def close(self) -> None:
        """The end: listen no more. No path is left of ours."""
        self.stay_away()
        while self._listeners:
            from initpy.opening import close  # noqa: PLC0415 - it is there since they were made

            close(self._listeners[0])
            self._listeners = self._listeners[1:]

    def url(self) -> bytes:
        """Where clients find it, in supervisord's words; empty: nowhere."""
        for listener in sorted(self._listeners, key=lambda it: not it.path):
            if listener.path:
                return b"unix://" + listener.path
            host = listener.host or b"localhost"
            return b"http://%b:%d" % (b"[%b]" % host if b":" in host else host, listener.port)
        return b""

    # ------------------------------------------------------------ the helper

    def _let_in(self) -> None:
        """Somebody has connected. As long as nothing is known of any program, they wait."""
        if self._state().phase != Phase.BOOT:
            self._start()

    def _start(self) -> None:
        """Somebody has connected, or there are listeners."""
        self._wait_for_nobody()
        if self._helper_pid or self._is_away or self._plan is None:
            return
        try:
            from initpy.feeding import Birth, Feed  # noqa: PLC0415

            news_fd, own_fd = posix.pipe2(posix.O_CLOEXEC)
        except (ImportError, OSError) as exc:
            sys.path_importer_cache.clear()  # a directory that could not be listed is empty there
            self._start_later(str(exc))
            return
        posix.set_blocking(own_fd, False)
        feed = Feed(own_fd, self._state())
        events = self._open_door()
        inputs_fd = self._open_inputs()
        memory_fd, captured = self._captured()
        birth = Birth(
            self._state(),
            self._plan,
            self._listeners,
            news_fd,
            memory_fd,
            captured,
            events,
            CLOSED if self.own_log is None else self.own_log.fd,
            inputs_fd,
        )
        run_control = self._run_control

        def control(orders_fd: int) -> int:
            kept = {0, 1, 2, orders_fd, news_fd, memory_fd, birth.own_log_fd, inputs_fd}
            kept |= {it.fd for it in birth.listeners}
            if events is not None:
                kept |= {events.door_fd, events.memory_fd, events.output_fd}
            syscalls.close_all_but(kept - {CLOSED})
            return run_control(birth, orders_fd)

        try:
            self._helper_pid = self._fork_control(control)
        except OSError as exc:
            syscalls.close(own_fd)
            self._close_doors()
            self._start_later(errno_name(exc))
            return
        finally:
            syscalls.close(news_fd)
            if events is not None:
                syscalls.close(events.door_fd)
            if inputs_fd != CLOSED:
                syscalls.close(inputs_fd)
        self._feed = feed
        self._memory_fd = memory_fd
        self._is_dying = False
        self._born_at = time.monotonic()
        if self.events is not None and events is not None:
            self.events.was_born()
            self.give_listeners()

    def _open_door(self) -> EventsBirth | None:
        """What the next helper is to know of event listeners; None: nothing, or it cannot be."""
        if self.events is None or not self.events.plans:
            return None
        try:
            return self.events.open_door()
        except OSError as exc:
            self._say(WARN, f"event listeners are told nothing so far: {errno_name(exc)}")
            return None

    def _open_inputs(self) -> int:
        """Where the next helper is handed the stdin of programs; CLOSED: it cannot be."""
        try:
            return CLOSED if self.inputs is None else self.inputs.open_door()
        except (ImportError, OSError) as exc:
            self._say(WARN, f"nothing can be written to the stdin of programs so far: {exc}")
            return CLOSED

    def _close_doors(self) -> None:
        for part in (self.events, self.inputs):
            if part is not None:
                part.close_door()

    def give_listeners(self) -> None:
        """Hand the helper the pipes of new instances."""
        try:
            if self.events is not None:
                self.events.give()
        except OSError as exc:
            self._kill(f"it takes no event listener: {errno_name(exc)}")

    def _start_later(self, reason: str) -> None:
        self._delay_s = min(max(self._delay_s * 2, FIRST_DELAY_S), LAST_DELAY_S)
        self._say(WARN, f"cannot start the control helper: {reason}; trying on")
        self._start_at = time.monotonic() + self._delay_s

    def _ask_to_leave(self) -> None:
        if self._kill_at is None and self._feed is not None:
            self._kill_at = time.monotonic() + LEAVE_S
            self._feed.tell(("leave",))

    def bury(self, pid: int, status: ExitStatus) -> None:
        """A helper is gone: it had nothing to do, or was told to leave, or has died."""
        if pid != self._helper_pid:
            return
        self._hang_up()
        self._helper_pid = 0
        self._kill_at = None
        if self._is_away:
            return
        now = self._start_at = time.monotonic()
        if status.code not in (LEFT, TOLD_TO_LEAVE):
            if not self._is_dying:
                how = ended(status)
                self._say(WARN, f"the control helper died ({how}): open requests are lost")
            if now - self._born_at > LONG_LIFE_S:
                self._delay_s = 0.0
            self._start_at = now + self._delay_s
            self._delay_s = min(max(self._delay_s * 2, FIRST_DELAY_S), LAST_DELAY_S)
        if self._start_at <= now:
            self._wait_for_somebody()

    def stay_away(self) -> None:
        """Every process is about to be killed."""
        self._is_away = True
        self._wait_for_nobody()
        self._hang_up()

    def _hang_up(self) -> None:
        self._close_doors()
        feed, self._feed = self._feed, None
        if feed is not None:
            if self._watches_room:
                self._watches_room = False
                self._unwatch(feed.fd)
            syscalls.close(feed.fd)

    def _kill(self, why: str) -> None:
        if not self._is_dying:
            self._is_dying = True
            self._say(WARN, f"killing the control helper: {why}")
            syscalls.kill(self._helper_pid, SIGKILL)
            self._hang_up()

    # ------------------------------------------------------------ time

    def next_due_at(self) -> float | None:
        """When to call `keep_time`, by the monotonic clock; None: not before something happens."""
        look_at = None if self._feed is None else self._feed.look_at
        dues = [due for due in (self._start_at, self._kill_at, look_at) if due is not None]
        return min(dues, default=None)

    def keep_time(self, now: float) -> None:
        """Wait for connections again; end a helper that has had its time to leave, or hangs."""
        feed = self._feed
        if (
            feed is not None
            and feed.look_at is not None
            and now >= feed.look_at
            and feed.hangs(now)
        ):
            self._kill("it has read nothing of what it is told for 10 s")
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            self._kill("it was told to leave, and does not")
        if self._start_at is not None and now >= self._start_at:
            self._wait_for_somebody()

    # ------------------------------------------------------------ news and orders

    def is_behind(self) -> bool:
        """Whether `follow` has something to tell."""
        return self._feed is not None and self._feed.is_behind(self._state())

    def note(self, notice: Notice) -> None:
        """A process has changed its state."""
        if self._feed is not None:
            self._feed.follow_phase(self._state())
            self._feed.tell_process(notice.old, notice.process)
            self._see_to_feed(self._feed)

    def follow(self) -> None:
        """Tell what else has become different."""
        if self._feed is not None:
            self._feed.follow(self._state())
            self._see_to_feed(self._feed)

    def answer(self, answer: Answer) -> None:
        """An order has been carried out, or refused: what it has changed is told first."""
        if self._feed is not None and answer.asker == self._helper_pid:
            self._feed.follow(self._state())
            self._feed.tell(("answer", answer.number, answer.fault))
            self._see_to_feed(self._feed)

    def capture(self) -> None:
        """The output of programs may be found elsewhere from now on."""
        if self._feed is None:
            return
        memory_fd, captured = self._captured()
        if memory_fd != self._memory_fd:  # the helper was born before there was any
            self._ask_to_leave()
            return
        self._feed.tell(("captured", tuple([fields_of(it) for it in captured])))
        self._see_to_feed(self._feed)

    def request(self, pid: int, value: object) -> Request | None:
        """What a helper has sent, for the core; None: it was a line for the log, or it makes no
        sense, and the helper is killed."""
        if pid != self._helper_pid:
            return None
        match value:
            case ("log", str(level), str(text)):
                self._say(level if level in (INFO, WARN) else WARN, text)
                return None
            case (int(number), "stdin", str(key)) if self.inputs is not None:
                self.answer(Answer(pid, number, self.inputs.give(key)))
                return None
        from initpy.feeding import order_in  # noqa: PLC0415 - it is there since the helper's birth

        order = order_in(value)
        if order is not None:
            return Request(pid, value[0], order)  # type: ignore[index]
        self._kill("what it sends makes no sense")
        return None

    def _see_to_feed(self, feed: Feed) -> None:
        """It is to be heard of when the pipe has room again."""
        if feed.is_stuck:
            self._kill("it does not read")
        elif feed.backlog != self._watches_room:
            self._watches_room = not self._watches_room
            if self._watches_room:
                self._watch_room(feed.fd, self._write)
            else:
                self._unwatch(feed.fd)

    def _write(self) -> None:
        if self._feed is not None:
            self._feed.write()
            self._see_to_feed(self._feed)

    # ------------------------------------------------------------ from image to image

    def fds(self) -> list[int]:
        """All that the next image of PID 1 has to have open."""
        own = [self._feed.fd] if self._feed is not None else []
        own += self.events.fds() if self.events is not None else []
        own += [self.own_log.fd] if self.own_log is not None else []
        return [*[listener.fd for listener in self._listeners], *own]

    def heal(self, helpers: list[int], *, is_new: bool) -> None:
        """After a fault, half-way through something, or a hand-over. `helpers` are the pids of
        those that live, or are not buried; `is_new`: this is another initpy than the one that has
        started them."""
        if self._helper_pid not in helpers:
            self._helper_pid = helpers[-1] if helpers else 0
        if self._helper_pid and (is_new or self._feed is None):
            # It may not understand what this initpy would tell it, and sees that there is no more.
            self._hang_up()
            self._kill_at = time.monotonic() + LEAVE_S
            self._is_dying = False
        elif self._helper_pid:
            self._write()
        elif self._start_at is None:
            self._wait_for_somebody()
