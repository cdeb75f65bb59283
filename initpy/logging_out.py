"""Floor 2: the pipes that programs write to, and the relay that takes it from there.

PID 1 makes the pipes and keeps both ends of each, so that they outlive the programs and the relay;
it never reads them. The relay is a forked helper (forked, and not executed: it is there in some
milliseconds, it shares PID 1's memory, and needs no path that might have changed), which can be
killed at any time: what it holds is in a memory file that is kept here as well (`logs.memory`). So
whenever the relay has to learn of new pipes, it is asked to leave, and another is started.

Where all output is inherited, nothing of this comes to be: no pipe, no memory file, no relay.
"""

from __future__ import annotations

import posix
import select
import time

from initpy.core.messages import INFO, WARN
from initpy.core.words import ended
from initpy.linux.spawn import SpawnError, errno_name
from initpy.logplan import Channel, LogPlan
from initpy.wire import frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from initpy.core.states import ExitStatus
    from initpy.logplan import ChannelPlan
    from initpy.plan import ProcessSpec
    from initpy.sweeping import ForkHelper

    RunRelay = Callable[[LogPlan, int], int]

FIRST_DELAY_S, LAST_DELAY_S = 0.05, 30.0
"""A relay that has died is replaced at once, and if that one dies soon, after 50 ms, 100 ms …"""

LONG_LIFE_S = 10.0
"""One that has lived so long did not die soon."""

LEAST_DRAIN_S = 0.3
"""At the very end, when the whole budget is spent: the relay has been writing all the time, and
this is for what came last."""


class _Pipe:
    """A channel's pipe, and its place in the memory file."""

    __slots__ = ("pid", "plan", "read_fd", "slot", "write_fd")

    def __init__(self, slot: int, plan: ChannelPlan) -> None:
        self.slot = slot
        self.plan = plan
        self.pid = 0
        """Of the instance that writes to it."""
        self.read_fd, self.write_fd = posix.pipe2(posix.O_CLOEXEC)
        posix.set_blocking(self.read_fd, False)  # the write end, the program's, is another file


class LoggingOut:
    """All pipes, and at most one relay."""

    def __init__(
        self, fork_helper: ForkHelper, run_relay: RunRelay, log: Callable[[str, str], None]
    ) -> None:
        """`run_relay` is run in the relay with its plan and the fd to PID 1. `log` takes a level
        and a line."""
        self._fork_helper = fork_helper
        self._run_relay = run_relay
        self._log = log
        self._pipes: dict[tuple[str, int], _Pipe] = {}
        """By the process's key and the number of the fd, 1 or 2."""
        self._memory_fd = -1
        self._null_fd = -1
        self._slots = 0
        self._commands_fd = -1
        self._is_running = False
        self._is_outdated = False
        """The relay does not know of all pipes."""
        self._is_away = False
        """It is to stay away until the end: everybody is being killed."""
        self._born_at = 0.0
        self._delay_s = 0.0
        self._start_at: float | None = None
        self._drain_until: float | None = None
        self._on_drained: Callable[[], None] = lambda: None

    # ------------------------------------------------------------ programs

    def set_plan(self, specs: Iterable[ProcessSpec]) -> None:
        """These are the programs from now on. Their pipes are made at once, as far as there are
        descriptors, so that one relay is started for all of them."""
        wanted = {spec.key: spec for spec in specs}
        for (key, number), pipe in list(self._pipes.items()):
            spec = wanted.get(key)
            plan = None if spec is None else _plan_of(spec, number)
            if plan is not None and plan.sinks:
                self._is_outdated |= plan != pipe.plan
                pipe.plan = plan
            elif not pipe.pid and not _has_something(pipe.read_fd):
                self._close(key, number)
        try:
            for spec in wanted.values():
                self._make_pipes(spec)
        except OSError:  # said when it is spawned, if it is still so
            pass
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

    def started(self, key: str, pid: int) -> None:
        """An instance writes to its pipes from now on."""
        for number in (1, 2):
            pipe = self._pipes.get((key, number))
            if pipe is not None:
                pipe.pid = pid
                self._command("started", pipe.slot, pid)

    def ended(self, key: str) -> None:
        """It does not any more: an unfinished line is finished."""
        for number in (1, 2):
            pipe = self._pipes.get((key, number))
            if pipe is not None:
                pipe.pid = 0
                self._command("ended", pipe.slot)

    def reopen(self) -> None:
        """Log files have been moved away."""
        self._command("reopen")

    # ------------------------------------------------------------ time

    def next_due_at(self) -> float | None:
        """When to call `keep_time`, by the monotonic clock; None: not before something happens."""
        return self._start_at if self._drain_until is None else self._drain_until + LEAST_DRAIN_S

    def keep_time(self, now: float) -> None:
        """Start the relay that is due; give up a drain that has had its time."""
        if self._drain_until is not None and now >= self._drain_until + LEAST_DRAIN_S:
            self._end_drain("it does not even say so")
        elif self._start_at is not None and now >= self._start_at:
            self._start()

    # ------------------------------------------------------------ the end

    def stay_away(self) -> None:
        """Every process is about to be killed; what they still write waits in the pipes."""
        self._is_away = True
        self._command("leave")

    def drain(self, until: float, on_drained: Callable[[], None]) -> None:
        """Have everything that has been written brought to where it belongs, until then at the
        most; then call `on_drained`."""
        if not self._pipes:
            on_drained()
            return
        self._is_away = False
        self._on_drained = on_drained
        self._drain_until = max(until, time.monotonic() + LEAST_DRAIN_S)
        for pipe in self._pipes.values():
            pipe.pid = 0
        if self._is_running:
            self._command("drain", self._drain_until - time.monotonic())
        else:
            self._start()

    def _end_drain(self, failure: str) -> None:
        if failure:
            self._log(WARN, f"not all output of programs has been written: {failure}")
        self._drain_until = None
        self._start_at = None
        self._on_drained()

    # ------------------------------------------------------------ the relay

    def _start(self) -> None:
        self._start_at = None
        if self._is_running or self._is_away or not self._pipes:
            return
        self._is_outdated = False
        channels = tuple(
            [Channel(it.slot, it.read_fd, it.plan, it.pid) for it in self._pipes.values()]
        )
        try:
            commands_fd, self._commands_fd = posix.pipe2(posix.O_CLOEXEC)
        except OSError as exc:
            self._start_later(errno_name(exc))
            return
        posix.set_blocking(self._commands_fd, False)
        plan = LogPlan(channels, self._memory_fd, commands_fd)
        drain_s = None if self._drain_until is None else self._drain_until - time.monotonic()
        run_relay = self._run_relay

        def relay(report_fd: int) -> int:
            keep = {0, 1, 2, report_fd, commands_fd, plan.memory_fd, *[it.fd for it in channels]}
            _close_all_but(keep)
            return run_relay(plan, report_fd)

        try:
            self._fork_helper("logs", relay, self._take_report, self._on_end)
        except OSError as exc:
            posix.close(self._commands_fd)
            self._start_later(errno_name(exc))
            return
        finally:
            posix.close(commands_fd)
        self._is_running = True
        self._born_at = time.monotonic()
        if drain_s is not None:
            self._command("drain", drain_s)

    def _start_later(self, reason: str) -> None:
        self._delay_s = min(max(self._delay_s * 2, FIRST_DELAY_S), LAST_DELAY_S)
        self._log(WARN, f"cannot start the relay of the logs: {reason}; trying on")
        self._start_at = time.monotonic() + self._delay_s

    def _take_report(self, value: object) -> None:
        match value:
            case ("log", str(level), str(text)):
                self._log(level, text)

    def _on_end(self, status: ExitStatus) -> None:
        """The relay is gone: it was to leave, or has done its work, or has died."""
        posix.close(self._commands_fd)
        self._commands_fd = -1
        self._is_running = False
        now = time.monotonic()
        if self._drain_until is not None and status.signal is None:
            self._end_drain("" if status.code == 0 else "there was no time for the rest")
        elif self._is_away:
            return
        elif status.code == 0 or self._drain_until is not None:
            self._start()
        else:
            lived_long = now - self._born_at > LONG_LIFE_S
            self._log(WARN, f"the relay of the logs died ({ended(status)}): starting another")
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
        if self._is_running:
            self._is_outdated = False
            self._command("leave")
        elif self._start_at is None:
            self._start_at = time.monotonic()

    def _command(self, *words: object) -> None:
        if not self._is_running:
            return
        try:
            posix.write(self._commands_fd, frame(words))
        except OSError as exc:  # full: it does not listen; gone: its end will be heard of
            self._log(INFO, f"the relay of the logs does not take {words[0]}: {errno_name(exc)}")

    # ------------------------------------------------------------ pipes

    def _make_pipes(self, spec: ProcessSpec) -> None:
        for number in (1, 2):
            plan = _plan_of(spec, number)
            if plan is None or not plan.sinks or (spec.key, number) in self._pipes:
                continue
            if self._memory_fd < 0:
                self._memory_fd = posix.memfd_create("initpy-logs", posix.MFD_CLOEXEC)
            self._pipes[spec.key, number] = _Pipe(self._slots, plan)
            self._slots += 1
            self._is_outdated = True

    def _fd_for(self, spec: ProcessSpec, number: int) -> int:
        plan = _plan_of(spec, number)
        if plan is None:
            return number
        if not plan.sinks:
            if self._null_fd < 0:
                self._null_fd = posix.open("/dev/null", posix.O_WRONLY | posix.O_CLOEXEC)
            return self._null_fd
        pipe = self._pipes[spec.key, number]
        posix.fchown(pipe.write_fd, spec.uid, spec.gid)  # or it could not open its /dev/stdout
        return pipe.write_fd

    def _close(self, key: str, number: int) -> None:
        pipe = self._pipes.pop((key, number))
        self._is_outdated = True
        posix.close(pipe.read_fd)
        posix.close(pipe.write_fd)


def _plan_of(spec: ProcessSpec, number: int) -> ChannelPlan | None:
    if number == 1:
        return spec.stdout
    return None if spec.redirect_stderr else spec.stderr


def _has_something(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def _close_all_but(keep: set[int]) -> None:
    """A pipe's end that a relay had besides would keep the pipe open."""
    lowest = 0
    for fd in sorted(keep):
        if lowest < fd:  # closerange(0, 0) would close all that there are
            posix.closerange(lowest, fd)
        lowest = fd + 1
    posix.closerange(lowest, 2**20)
