"""Floor 2: the pipes that programs write to, and the relay that takes it from there.

PID 1 makes the pipes and keeps both ends of each, so that they outlive the programs and the relay;
it never reads them. The relay is a forked helper (forked, and not executed: it is there in some
milliseconds, it shares PID 1's memory, and needs no path that might have changed), which can be
killed at any time: what it holds is in a memory file that is kept here as well (`logs.memory`). So
whenever the relay has to learn of new pipes, it is asked to leave, and another is started.

The relay is told of each instance before that is forked, and of its pid after that; and it is not
forked before the relay has noted how much is in the pipe, all of which is its predecessors'. So no
line is joined of the words of two, and none told with another's pid. (See `BIRTH_S` for the limit.)

Where all output is inherited, nothing of this comes to be: no pipe, no memory file, no relay.
"""

from __future__ import annotations

import posix
import time

from initpy.core.messages import INFO, WARN
from initpy.core.words import ended
from initpy.linux import syscalls
from initpy.linux.errnos import errno_name
from initpy.linux.spawn import SpawnError
from initpy.logplan import DRAINED, FILE, LEFT, OUT_OF_TIME, Captured, Channel, LogPlan
from initpy.wire import frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from initpy.core.states import ExitStatus
    from initpy.logplan import ChannelPlan
    from initpy.plan import ProcessSpec

    RunRelay = Callable[[LogPlan, int], int]
    ForkRelay = Callable[[Callable[[int], int]], int]

FIRST_DELAY_S, LAST_DELAY_S = 0.05, 30.0
"""A relay that has died is replaced at once, and if that one dies soon, after 50 ms, 100 ms …"""

LONG_LIFE_S = 0.5
"""One that has lived so long did not die soon."""

LEAST_DRAIN_S = 0.3
"""At the very end, when the whole budget is spent: the relay has been writing all the time, and
this is for what came last."""

LEAVE_S = 2.0
"""A relay that was asked to leave and is still there after so long hangs, and is killed."""

BIRTH_S = 1.0
"""So long an instance waits, at the most, until the relay has noted where its output begins: one
that hangs, or cannot be started, keeps no program down."""

FAILED = 1
"""Exit code of a relay with a bug in it."""

MAX_TEXT = 1000

CLOSED = -1
SIGKILL = 9


class Pipe:
    """A channel's pipe, and its place in the memory file."""

    KEPT = (
        "birth",
        "is_marked",
        "is_wanted",
        "last_pid",
        "pid",
        "plan",
        "read_fd",
        "serial",
        "slot",
        "write_fd",
    )

    birth = 0
    """The number of the instance that is about to be, of those that had to wait for the relay."""
    is_marked = True
    """The relay has noted where its output begins."""
    last_pid = 0
    """Of the last instance that wrote to it; 0: there was none."""

    def __init__(self, slot: int, serial: int, plan: ChannelPlan) -> None:
        """Raises:
        OSError: there are no descriptors.
        """
        self.slot = slot
        self.serial = serial
        """Its alone; a slot may have been another's."""
        self.plan = plan
        self.is_wanted = True
        """The plan has it; if not, it is closed when all that was written to it is through."""
        self.pid = 0
        """Of the instance that writes to it."""
        self.read_fd, self.write_fd = posix.pipe2(posix.O_CLOEXEC)
        posix.set_blocking(self.read_fd, False)  # the write end, the program's, is another file


class LoggingOut:
    """All pipes, and at most one relay."""

    KEPT = (
        "events_fd",
        "_births",
        "_born_at",
        "_commands_fd",
        "_delay_s",
        "_drain_until",
        "_free_slots",
        "_is_away",
        "_is_outdated",
        "_kill_at",
        "_memory_fd",
        "_pipes",
        "_prefix_width",
        "_relay_pid",
        "_serial",
        "_slots",
        "_start_at",
    )

    def __init__(
        self,
        fork_relay: ForkRelay,
        run_relay: RunRelay,
        say: Callable[[str, str], None],
        drained: Callable[[], None],
    ) -> None:
        """`fork_relay` forks a helper that runs what it is given, and returns its pid; `run_relay`
        is run in it with its plan and the fd to PID 1. `say` takes a level and a line. `drained` is
        called when a `drain` is over."""
        self._fork_relay = fork_relay
        self._run_relay = run_relay
        self._say = say
        self._drained = drained
        self.events_fd = CLOSED
        """Where the relay is to tell what event listeners hear of; CLOSED: nowhere."""
        self._pipes: dict[tuple[str, int], Pipe] = {}
        """By the process's key and the number of the fd, 1 or 2."""
        self._births: dict[str, float] = {}
        """Processes of which the relay is told that an instance is about to be, and until when that
        waits for the answer."""
        self._serial = 0
        """The last pipe's."""
        self._slots = 0
        """There are so many, used or not."""
        self._free_slots: list[int] = []
        self._prefix_width = 0
        self._memory_fd = CLOSED
        self._null_fd = CLOSED
        self._commands_fd = CLOSED
        self._relay_pid = 0
        """0: none runs."""
        self._is_outdated = False
        """The relay does not know of all pipes."""
        self._is_away = False
        """It is to stay away until the end: everybody is being killed."""
        self._born_at = 0.0
        self._delay_s = 0.0
        self._start_at: float | None = None
        self._kill_at: float | None = None
        """When it has had its time to leave."""
        self._drain_until: float | None = None

    # ------------------------------------------------------------ programs

    def set_plan(self, specs: Iterable[ProcessSpec], prefix_width: int) -> None:
        """These are the programs from now on, and so wide are the names before their lines. Their
        pipes are made at once, as far as there are descriptors, so that one relay is started for
        all of them."""
        self._is_outdated |= prefix_width != self._prefix_width and bool(self._pipes)
        self._prefix_width = prefix_width
        wanted = {spec.key: spec for spec in specs}
        for (key, number), pipe in self._pipes.items():
            spec = wanted.get(key)
            plan = None if spec is None else _plan_of(spec, number)
            if plan is not None and plan.sinks:
                self._is_outdated |= plan != pipe.plan or not pipe.is_wanted
                pipe.plan = plan
                pipe.is_wanted = True
            else:
                pipe.is_wanted = False
        try:
            for spec in wanted.values():
                self._make_pipes(spec)
        except OSError:  # said when it is spawned, if it is still so
            pass
        self._close_unwanted()
        self._renew_if_outdated()

    def fds_for(self, spec: ProcessSpec) -> tuple[int, int]:
        """What a new instance's stdout and stderr are to be: fds of PID 1's, valid until the next
        call.

        Raises:
            SpawnError: there are no descriptors for its pipes.
        """
        try:
            self._make_pipes(spec)
            stdout_fd = self._fd_for(spec, 1)
            stderr_fd = stdout_fd if spec.redirect_stderr else self._fd_for(spec, 2)
        except OSError as exc:
            raise SpawnError(
                f"no pipe for the output of '{spec.name}': {errno_name(exc)}"
            ) from None
        self._renew_if_outdated()
        return stdout_fd, stderr_fd

    def may_start(self, key: str) -> bool:
        """Whether an instance may be forked now. If not, ask again whenever there is news. When it
        has been, `started` says so, or else `not_started`."""
        pipes = self._pipes_of(key)
        if key not in self._births:
            self._births[key] = time.monotonic() + BIRTH_S
            for pipe in pipes:
                pipe.birth += 1
                pipe.is_marked = not pipe.last_pid  # nobody has written to it
                self._announce(pipe)
        return all(it.is_marked for it in pipes) or time.monotonic() >= self._births[key]

    def _announce(self, pipe: Pipe) -> None:
        self._command("starting", pipe.slot, 0 if pipe.is_marked else pipe.birth)

    def started(self, key: str, pid: int) -> None:
        """An instance writes to its pipes from now on."""
        self._births.pop(key, None)
        for pipe in self._pipes_of(key):
            pipe.pid = pipe.last_pid = pid
            self._command("started", pipe.slot, pid)

    def not_started(self, key: str) -> None:
        """It will not be."""
        if self._births.pop(key, None) is not None:
            self.ended(key)

    def ended(self, key: str) -> None:
        """It does not any more: an unfinished line is finished."""
        for pipe in self._pipes_of(key):
            pipe.pid = 0
            self._command("ended", pipe.slot)
        self._close_unwanted()

    def _pipes_of(self, key: str) -> list[Pipe]:
        return [self._pipes[key, number] for number in (1, 2) if (key, number) in self._pipes]

    def reopen(self) -> None:
        """Log files have been moved away."""
        self._command("reopen")

    def captured(self) -> tuple[int, tuple[Captured, ...]]:
        """For a helper that is forked from here, and is to read tails: the memory file's fd, and
        what is found there. It does not know of what comes later."""
        return self._memory_fd, tuple(
            [
                Captured(key, pipe.plan.channel, pipe.slot, pipe.serial, _file_of(pipe.plan))
                for (key, _), pipe in self._pipes.items()
                if pipe.is_wanted
            ]
        )

    # ------------------------------------------------------------ time

    def next_due_at(self) -> float | None:
        """When to call `keep_time`, by the monotonic clock; None: not before something happens."""
        dues = [due for due in (self._start_at, self._kill_at) if due is not None]
        if self._births:
            now = time.monotonic()
            dues += [due for due in self._births.values() if due > now]
        if self._drain_until is not None:
            dues.append(self._drain_until + LEAST_DRAIN_S)
        return min(dues, default=None)

    def keep_time(self, now: float) -> None:
        """Start the relay that is due; end one that hangs; give up a drain that has had its time.

        To kill a relay loses nothing.
        """
        if self._drain_until is not None and now >= self._drain_until + LEAST_DRAIN_S:
            if self._relay_pid:  # PID 1's end is its own only where that is the namespace's
                syscalls.kill(self._relay_pid, SIGKILL)
            self._end_drain("the relay hangs")
        elif self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            self._say(WARN, "the relay of the logs does not leave: killing it")
            syscalls.kill(self._relay_pid, SIGKILL)
        elif self._start_at is not None and now >= self._start_at:
            self._start()

    # ------------------------------------------------------------ the end

    def stay_away(self) -> None:
        """Every process is about to be killed; what they still write waits in the pipes."""
        self._is_away = True
        self._command("leave")

    def drain(self, until: float) -> None:
        """Have everything that has been written brought to where it belongs, until then at the
        most; `drained` is called when that is over."""
        if not self._pipes:
            self._drained()
            return
        self._is_away = False
        self._kill_at = None
        self._drain_until = max(until, time.monotonic() + LEAST_DRAIN_S)
        for pipe in self._pipes.values():
            pipe.pid = 0
        if self._relay_pid:
            self._command("drain", self._drain_until - time.monotonic())
        else:
            self._start()

    def _end_drain(self, failure: str) -> None:
        if failure:
            self._say(WARN, f"not all output of programs has been written: {failure}")
        self._drained()  # first: after a fault behind it, it would have to be called again
        self._drain_until = None
        self._start_at = None

    # ------------------------------------------------------------ the relay

    def _start(self) -> None:
        self._start_at = None
        if self._relay_pid or self._is_away or not self._pipes:
            return
        channels = tuple(
            [
                Channel(it.slot, it.read_fd, it.plan, it.pid, it.serial, it.last_pid)
                for it in self._in_order()
            ]
        )
        try:
            commands_fd, own_fd = posix.pipe2(posix.O_CLOEXEC)
        except OSError as exc:
            self._start_later(errno_name(exc))
            return
        self._close_commands()
        self._commands_fd = own_fd
        posix.set_blocking(own_fd, False)
        plan = LogPlan(channels, self._memory_fd, commands_fd, self._prefix_width, self.events_fd)
        drain_s = None if self._drain_until is None else self._drain_until - time.monotonic()
        run_relay = self._run_relay

        def relay(report_fd: int) -> int:
            keep = {0, 1, 2, report_fd, commands_fd, plan.memory_fd, *[it.fd for it in channels]}
            keep |= {plan.events_fd} - {CLOSED}
            try:
                syscalls.close_all_but(keep)  # a pipe's end that it had besides would keep it open
                return run_relay(plan, report_fd)
            except BaseException as exc:  # PID 1 says it, in the form that its lines have
                report = ("log", WARN, f"the relay of the logs has failed: {exc!r}"[:MAX_TEXT])
                posix.write(report_fd, frame(report))
                return FAILED

        try:
            self._relay_pid = self._fork_relay(relay)
        except OSError as exc:
            self._start_later(errno_name(exc))
            return
        finally:
            syscalls.close(commands_fd)
        self._is_outdated = False
        self._born_at = time.monotonic()
        self._close_unwanted()
        for key in self._births:
            for pipe in self._pipes_of(key):
                self._announce(pipe)
        if drain_s is not None:
            self._command("drain", drain_s)

    def _in_order(self) -> list[Pipe]:
        return sorted(self._pipes.values(), key=lambda pipe: pipe.serial)

    def _start_later(self, reason: str) -> None:
        self._delay_s = min(max(self._delay_s * 2, FIRST_DELAY_S), LAST_DELAY_S)
        self._say(WARN, f"cannot start the relay of the logs: {reason}; trying on")
        self._start_at = time.monotonic() + self._delay_s

    def take_report(self, value: object) -> None:
        """What a relay has to say."""
        match value:
            case ("log", str(level), str(text)):
                self._say(level, text)
            case ("marked", int(serial), int(birth)):
                for key in self._births:
                    for pipe in self._pipes_of(key):
                        pipe.is_marked |= (pipe.serial, pipe.birth) == (serial, birth)
            case ("closed", int(serial)):
                for (key, number), pipe in self._pipes.items():
                    if pipe.serial == serial and not pipe.is_wanted and not pipe.pid:
                        del self._pipes[key, number]
                        self._free_slots.append(pipe.slot)
                        syscalls.close(pipe.read_fd)
                        syscalls.close(pipe.write_fd)
                        return

    def bury(self, pid: int, status: ExitStatus) -> None:
        """A relay is gone: it was to leave, or has done its work, or has died."""
        if pid != self._relay_pid:
            return
        self._close_commands()
        self._kill_at = None
        self._relay_pid = 0
        now = time.monotonic()
        if self._is_away:
            return
        if self._drain_until is not None and status.code in (DRAINED, OUT_OF_TIME):
            is_drained = status.code == DRAINED
            self._end_drain("" if is_drained else "there was no time for the rest")
        elif status.code == LEFT:
            self._start()
        else:
            lived_long = now - self._born_at > LONG_LIFE_S
            self._say(WARN, f"the relay of the logs died ({ended(status)}): starting another")
            if lived_long:
                self._delay_s = 0.0
            self._start_at = now + self._delay_s
            self._delay_s = min(max(self._delay_s * 2, FIRST_DELAY_S), LAST_DELAY_S)
            if self._start_at <= now:
                self._start()

    def _renew_if_outdated(self) -> None:
        """Have a relay that knows of all pipes: the one that runs leaves, and the next follows."""
        if not self._is_outdated:
            return
        if not self._relay_pid:
            if self._start_at is None:
                self._start_at = time.monotonic()
        elif self._kill_at is None:
            self._kill_at = time.monotonic() + LEAVE_S
            self._command("leave")

    def _close_unwanted(self) -> None:
        """Have what is written to pipes that are not wanted any more brought through; the relay
        says when it is."""
        for pipe in self._pipes.values():
            if not pipe.is_wanted and not pipe.pid:
                self._command("close", pipe.slot)

    def _command(self, *words: object) -> None:
        if not self._relay_pid:
            return
        try:
            posix.write(self._commands_fd, frame(words))
        except OSError as exc:  # full: it does not listen; gone: its end will be heard of
            self._say(INFO, f"the relay of the logs does not take {words[0]}: {errno_name(exc)}")

    def _close_commands(self) -> None:
        fd, self._commands_fd = self._commands_fd, CLOSED
        if fd != CLOSED:
            syscalls.close(fd)

    # ------------------------------------------------------------ from image to image

    def fds(self) -> list[int]:
        """All that the next image of PID 1 has to have open."""
        found = [fd for fd in (self._memory_fd, self._commands_fd) if fd != CLOSED]
        return found + [fd for it in self._pipes.values() for fd in (it.read_fd, it.write_fd)]

    def heal(self, relays: list[int], live: dict[int, str], *, is_new: bool) -> None:
        """After a fault, half-way through something, or a hand-over. `relays` are the pids of those
        that live, or are not buried; `live` are the programs, pid to key. `is_new`: this is another
        initpy than the one that has started the relay, which is replaced."""
        if self._relay_pid not in relays:
            self._relay_pid = relays[-1] if relays else 0
        if not self._relay_pid:
            self._close_commands()
        pids = {key: pid for pid, key in live.items()}
        for (key, _), pipe in self._pipes.items():
            pid = pids.get(key, 0)
            if pid and pid != pipe.pid:
                self.started(key, pid)
            elif not pid and pipe.pid:
                pipe.pid = 0
                self._command("ended", pipe.slot)
        self._close_unwanted()
        if self._drain_until is not None:
            if not self._relay_pid:
                self._start_at = time.monotonic()
            return
        self._is_outdated |= is_new or not self._relay_pid
        if self._pipes and not self._is_away:
            self._renew_if_outdated()

    # ------------------------------------------------------------ pipes

    def _make_pipes(self, spec: ProcessSpec) -> None:
        for number in (1, 2):
            plan = _plan_of(spec, number)
            if plan is None or not plan.sinks or (spec.key, number) in self._pipes:
                continue
            if self._memory_fd == CLOSED:
                self._memory_fd = posix.memfd_create("initpy-logs", posix.MFD_CLOEXEC)
            if not self._free_slots:
                self._free_slots.append(self._slots)
                self._slots += 1
            pipe = Pipe(self._free_slots[-1], self._serial + 1, plan)
            self._serial += 1
            self._free_slots.pop()
            self._pipes[spec.key, number] = pipe
            self._is_outdated = True

    def _fd_for(self, spec: ProcessSpec, number: int) -> int:
        plan = _plan_of(spec, number)
        if plan is None:
            return number
        if not plan.sinks:
            if self._null_fd == CLOSED:
                self._null_fd = posix.open("/dev/null", posix.O_WRONLY | posix.O_CLOEXEC)
            return self._null_fd
        pipe = self._pipes[spec.key, number]
        posix.fchown(pipe.write_fd, spec.uid, spec.gid)  # or it could not open its /dev/stdout
        return pipe.write_fd


def _plan_of(spec: ProcessSpec, number: int) -> ChannelPlan | None:
    if number == 1:
        return spec.stdout
    return None if spec.redirect_stderr else spec.stderr


def _file_of(plan: ChannelPlan) -> bytes:
    for sink in plan.sinks:
        if sink.kind == FILE:
            return sink.target
    return b""
