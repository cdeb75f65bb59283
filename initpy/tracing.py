"""Floor 2: a trace of all that the core is told and decides. Loaded where `[init] trace` is set.

Records go through a pipe to a helper, which appends them to the file (`tracefile`); `initpy replay`
reads them. A record is a frame of `wire`:

    ("begin", why, lost, now, wall_s, version)      what follows can be understood by itself
    ("class", name, fields)         some are in the records up to the next "begin"
    ("core", specs, state)          the core, as it is at this instant; once after each "begin"
    ("fact", now, specs, fact)      it is given to the core
    ("effects", effect, …)          what the core has answered; if there is none, it has failed

A value is written as a tuple with its class's name in front, a tuple as ("t", item, …), a dict as
("d", key, value, …). A ProcessSpec is ("s", number) of `specs`, or, in effects, ("s", key).

PID 1 never waits for the helper. What it does not take in time, or takes with it when it dies, is
lost and counted, and then comes the state again, from which a replay can go on.
"""

from __future__ import annotations

import posix
import time

from initpy import __version__
from initpy.core.messages import WARN
from initpy.core.values import Value
from initpy.core.words import ended
from initpy.linux import syscalls
from initpy.linux.errnos import errno_name
from initpy.plan import ProcessSpec
from initpy.wire import WireError, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from initpy.core.states import ExitStatus
    from initpy.core.supervisor import Supervisor

MAX_QUEUE_BYTES = 1024 * 1024
"""What may wait for a helper that does not read; a record that finds more is not taken."""

FIRST_DELAY_S, LAST_DELAY_S = 0.05, 30.0
"""A helper that has died is replaced at once, and if that one dies soon, after 50 ms … 30 s."""

LONG_LIFE_S = 10.0
"""One that has lived so long did not die soon."""

BEGINS, GAP, REPAIRED, UPGRADED = "begins", "gap", "repaired", "upgraded"
"""Why there is a state: it is the first; records are missing before it; PID 1 has executed itself
anew; another initpy goes on."""

CLOSED = -1


class Form:
    """Values as what `wire` carries."""

    def __init__(self) -> None:
        self.classes: dict[str, tuple[str, ...]] = {}
        """The fields that are written, by class, in their order."""
        self.added: list[tuple[str, str, tuple[str, ...]]] = []
        """Records of those classes that have just become known."""
        self.specs: list[ProcessSpec] | None = None
        """Those that are written by number; None: by key."""
        self._numbers: dict[int, int] = {}
        """Of these, by id."""

    def flat(self, value: Any) -> object:
        cls = type(value)
        if cls is tuple:
            return ("t", *map(self.flat, value))
        if cls is dict:
            return ("d", *[self.flat(each) for pair in value.items() for each in pair])
        if cls is ProcessSpec and self.specs is None:
            return ("s", value.key)
        if cls is ProcessSpec and self.specs is not None:
            if id(value) not in self._numbers:
                self._numbers[id(value)] = len(self.specs)
                self.specs.append(value)
            return ("s", self._numbers[id(value)])
        if isinstance(value, Value):
            return self.fields(value)
        return value

    def fields(self, value: Value) -> tuple[object, ...]:
        cls = type(value)
        names = self.classes.get(cls.__name__)
        if names is None:
            names = self.classes[cls.__name__] = cls.__match_args__
            self.added.append(("class", cls.__name__, names))
        return (cls.__name__, *[self.flat(getattr(value, name)) for name in names])

    def numbered(self, value: Any) -> tuple[object, object]:
        """The specs in it, and the value."""
        self.specs, self._numbers = [], {}
        try:
            flat = self.flat(value)
            return tuple([self.fields(spec) for spec in self.specs]), flat
        finally:
            self.specs = None


class Tracing:
    """The pipe, and at most one helper."""

    LAST_S = 0.5
    """What the very last records get, at the end of PID 1, to reach the file."""

    KEPT = (
        "_born_at",
        "_delay_s",
        "_fd",
        "_gap",
        "_helper_pid",
        "_is_away",
        "_lost",
        "_path",
        "_queue",
        "_queue_bytes",
        "_said",
        "_sent",
        "_start_at",
        "_until",
    )

    def __init__(
        self,
        fork_tracer: Callable[[Callable[[int], int]], int],
        say: Callable[[str, str], None],
        watch_room: Callable[[int, Callable[[], None]], None],
        unwatch: Callable[[int], None],
        written: Callable[[], None],
    ) -> None:
        """`fork_tracer` forks a helper that runs what it is given, and returns its pid. `say` takes
        a level and a line; `watch_room` calls when an fd can be written to, until `unwatch`.
        `written` is called when `end` has been done."""
        self._fork_tracer = fork_tracer
        self._say = say
        self._watch_room = watch_room
        self._unwatch = unwatch
        self._written = written
        self._path = b""
        """Empty: nothing is traced."""
        self._form = Form()
        self._gap = BEGINS
        """Why the next record has to be a state; empty: it need not."""
        self._lost = 0
        """Records since the last state that was written."""
        self._takes_effects = False
        """The fact that the core is at has been recorded."""
        self._queue: list[bytes] = []
        """Records that the pipe has not taken yet as a whole."""
        self._queue_bytes = 0
        self._sent = 0
        """Bytes of the first that it has taken."""
        self._fd = CLOSED
        self._watched = False
        self._helper_pid = 0
        """0: none runs."""
        self._born_at = 0.0
        self._delay_s = 0.0
        self._start_at: float | None = None
        self._said = ""
        """What the helper has said last, so that it is not said again and again."""
        self._is_away = False
        """Everybody is being killed: records wait for the end."""
        self._until: float | None = None
        """When the last records have had their time."""

    def set_file(self, path: bytes) -> None:
        """Trace to this file; empty: to none."""
        if path == self._path:
            return
        self._hang_up()
        self._helper_pid = 0  # it ends when it has written what it has got
        self._path = path
        self._drop_queue()
        self._gap, self._lost, self._said = BEGINS, 0, ""
        self._start_at, self._delay_s = None, 0.0
        if path:
            self._start()

    # ------------------------------------------------------------ records

    def note_fact(self, state: Supervisor, now: float, fact: Value) -> None:
        """The core, in this state, is given this fact."""
        self._takes_effects = False
        if not self._path:
            return
        if not (self._helper_pid or self._is_away) or self._queue_bytes > MAX_QUEUE_BYTES:
            self._lost += 1
            self._gap = self._gap or GAP
            return
        try:
            if self._gap:
                self._form = Form()
                self._take(("begin", self._gap, self._lost, now, time.time(), __version__))
                self._take(("core", *self._form.numbered(state)))
                self._gap, self._lost = "", 0
            self._take(("fact", now, *self._form.numbered(fact)))
            self._takes_effects = True
        except (MemoryError, WireError) as exc:
            self._lose(exc)

    def note_effects(self, effects: Iterable[Value]) -> None:
        """What it has answered."""
        if not self._takes_effects:
            return
        self._takes_effects = False
        try:
            self._take(("effects", *[self._form.flat(effect) for effect in effects]))
        except (MemoryError, WireError) as exc:
            self._lose(exc)
        self._write()

    def _take(self, record: tuple[object, ...]) -> None:
        """Queue it, behind those of the classes in it."""
        added, self._form.added = self._form.added, []
        raw = b"".join([*map(frame, added), frame(record)])
        self._queue.append(raw)
        self._queue_bytes += len(raw)

    def _lose(self, exc: Exception) -> None:
        self._gap = GAP
        self._lost += 1
        if str(exc) != self._said:
            self._said = str(exc)
            self._say(WARN, f"the trace has a gap: {exc!r}")

    def _drop_queue(self) -> None:
        self._lost += len(self._queue)
        self._queue, self._queue_bytes, self._sent = [], 0, 0

    def _write(self) -> None:
        """Write as much as the pipe takes."""
        if self._fd == CLOSED:
            return
        try:
            while self._queue:
                self._sent += posix.write(self._fd, memoryview(self._queue[0])[self._sent :])
                if self._sent == len(self._queue[0]):
                    self._queue_bytes -= self._sent
                    self._sent = 0
                    del self._queue[0]
        except BlockingIOError:
            pass
        except OSError:  # it is gone, as will be heard of
            return
        if bool(self._queue) != self._watched:
            self._watched = not self._watched
            if self._watched:
                self._watch_room(self._fd, self._write)
            else:
                self._unwatch(self._fd)
        if self._until is not None and not self._queue:
            self._hang_up()

    # ------------------------------------------------------------ the helper

    def _start(self) -> None:
        self._start_at = None
        try:
            from initpy import tracefile  # noqa: PLC0415 - nothing of it runs in PID 1

            news_fd, own_fd = posix.pipe2(posix.O_CLOEXEC)
        except (ImportError, OSError) as exc:
            self._start_later(str(exc))
            return
        posix.set_blocking(own_fd, False)
        path = self._path

        def trace(report_fd: int) -> int:
            syscalls.close_all_but({0, 1, 2, report_fd, news_fd})
            return tracefile.run(path, news_fd, report_fd)

        try:
            self._helper_pid = self._fork_tracer(trace)
        except OSError as exc:
            posix.close(own_fd)
            self._start_later(errno_name(exc))
            return
        finally:
            posix.close(news_fd)
        self._fd = own_fd
        self._born_at = time.monotonic()

    def _start_later(self, reason: str) -> None:
        self._delay_s = min(max(self._delay_s * 2, FIRST_DELAY_S), LAST_DELAY_S)
        self._say(WARN, f"cannot start the helper that traces: {reason}; trying on")
        self._start_at = time.monotonic() + self._delay_s

    def take_report(self, pid: int, value: object) -> None:
        """What a helper has to say: why it cannot write."""
        if pid == self._helper_pid and isinstance(value, str) and value != self._said:
            self._said = value
            self._say(WARN, f"nothing is traced: {value}")

    def bury(self, pid: int, status: ExitStatus) -> None:
        """A helper is gone: it was to leave, or has died."""
        if pid != self._helper_pid:
            return
        has_written_all = self._fd == CLOSED and status.code == 0
        self._hang_up()
        self._helper_pid = 0
        if not has_written_all:
            self._drop_queue()
            self._gap = GAP
            if not self._said:
                self._say(WARN, f"the helper that traces died ({ended(status)}): there is a gap")
        if self._until is not None:
            if self._queue:
                self._start()
                self._write()
            else:
                self._finish()
            return
        if self._is_away:
            return
        now = time.monotonic()
        if now - self._born_at > LONG_LIFE_S:
            self._delay_s = 0.0
        self._start_at = now + self._delay_s
        self._delay_s = min(max(self._delay_s * 2, FIRST_DELAY_S), LAST_DELAY_S)
        if self._start_at <= now:
            self._start()

    def _hang_up(self) -> None:
        """The helper writes what it has got, and ends. A record that it has got in part comes
        again with the next."""
        if self._fd == CLOSED:
            return
        if self._watched:
            self._watched = False
            self._unwatch(self._fd)
        posix.close(self._fd)
        self._fd, self._sent = CLOSED, 0

    def stay_away(self) -> None:
        """Every process is about to be killed."""
        self._is_away = True
        self._start_at = None
        self._hang_up()

    def end(self) -> None:
        """The last records are there: have them written, and tell when that is done, or cannot be
        in time."""
        self._is_away = True
        self._until = time.monotonic() + self.LAST_S
        if not self._helper_pid and self._queue:
            self._start()
            self._start_at = None
        if self._helper_pid:
            self._write()
        else:
            self._finish()

    def _finish(self) -> None:
        if self._until is not None:
            self._until = None
            self._hang_up()
            self._written()

    # ------------------------------------------------------------ time

    def next_due_at(self) -> float | None:
        """When to call `keep_time`, by the monotonic clock; None: not before something happens."""
        dues = [due for due in (self._start_at, self._until) if due is not None]
        return min(dues, default=None)

    def keep_time(self, now: float) -> None:
        if self._start_at is not None and now >= self._start_at:
            self._start()
        if self._until is not None and now >= self._until:
            self._finish()

    # ------------------------------------------------------------ from image to image

    def fds(self) -> list[int]:
        """All that the next image of PID 1 has to have open."""
        return [] if self._fd == CLOSED else [self._fd]

    def heal(self, helpers: list[int], *, is_new: bool) -> None:
        """After a fault, half-way through something, or a hand-over. `helpers` are the pids of
        those that live, or are not buried; `is_new`: this is another initpy."""
        self._takes_effects = False
        if self._helper_pid and self._helper_pid not in helpers:
            self._hang_up()
            self._helper_pid = 0
            self._drop_queue()
            self._gap = GAP
        if is_new:
            self._gap = UPGRADED
        self._gap = self._gap or REPAIRED
        if self._path and not self._helper_pid and self._start_at is None and not self._is_away:
            self._start_at = time.monotonic()
        self._write()
