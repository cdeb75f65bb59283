"""The relay's loop: one thread, one epoll, from the pipes of programs to the sinks.

It may be killed at any instant, and another may be started with another plan: see `memory`. So it
knows of no reload: PID 1 has it leave, and starts the next.
"""

from __future__ import annotations

import posix
import select
import time

from initpy.logplan import (
    DRAINED,
    FILE,
    JSON,
    LEFT,
    OUT_OF_TIME,
    PREFIX,
    STREAM,
    SYSLOG,
    at_line_begin,
)
from initpy.logs.channels import LINES_BYTES, READ_BYTES, ChannelRelay
from initpy.logs.forms import COLOURS, Json, Prefix, Raw, Syslog
from initpy.logs.lines import Cutter
from initpy.logs.memory import Memory
from initpy.logs.outlets import Outlet
from initpy.logs.shares import Pace, Share
from initpy.logs.sinks import PIPE_BYTES, StreamSink
from initpy.wire import Frames, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal

    from initpy.logplan import Channel, ChannelPlan, LogPlan
    from initpy.logplan import Sink as SinkPlan
    from initpy.logs.forms import Form
    from initpy.logs.limits import RateLimit
    from initpy.logs.sinks import Sink
else:
    import _signal

STREAM_PIPE_BYTES = 256 * 1024
"""What a stdout or stderr that is a pipe is enlarged to when it is full. Not more: what one program
floods it with is before the next one's line."""

MANY = 4
"""When more channels than that have something, each is read less of at a time."""

TURN_S = 0.004
"""So long those who have something have their turns, who has had least first; then it is looked who
has something now."""

PIPES_BYTES = 32 * 1024 * 1024
"""What the pipes of all channels may be enlarged to together. It is the kernel's memory, but the
container's, and all that is in a flood's pipe is written before the flood is first held up."""

TEND_S = 0.2
FOR_EVER = float("inf")

FEW_BYTES, SOON_S, PAUSE_S = 32 * 1024, 0.0005, 0.0002
"""When little comes, and soon after the last: wait until it is more. To be woken for each line
costs whoever writes it more than the line does."""

SIGPIPE, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2 = 13, 1, 2, 3, 15, 10, 12

COMMAND_BYTES = 65536

TOLD_BYTES = 32 * 1024
"""What event listeners are told of is cut into pieces of that size."""

ESCAPES = (
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # a control sequence: colours, the cursor
    rb"|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)"  # a string: titles, links, queries
    rb"|[ -/]*[0-~])"  # all others: character sets, keypads, a reset
)
"""What `strip_ansi` takes out: the escape sequences of ECMA-48, of which supervisord knows some of
the first kind. A string that has no end in its line stays, but for its first two bytes."""

MALLOC_BYTES = 1024 * 1024
"""glibc gives blocks back to the kernel that are larger than the largest it has ever seen freed, at
least 128 KiB. Buffers of that size would be fresh pages at each step: it took six times as long."""


def run(plan: LogPlan, report_fd: int) -> int:
    """Be the relay. `report_fd` takes frames for PID 1: ("log", level, text).

    Returns the exit code.
    """
    for signum in (SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE):
        _signal.signal(signum, _signal.SIG_IGN)  # whoever signals everyone does not mean us
    bytes(MALLOC_BYTES)  # made, and freed at once
    is_coloured = not posix.environ.get(b"NO_COLOR")  # on a terminal, that is; see no-color.org
    return Relay(plan, report_fd, is_coloured=is_coloured).run()


class Relay:
    def __init__(self, plan: LogPlan, report_fd: int, *, is_coloured: bool = False) -> None:
        self._plan = plan
        self._report_fd = report_fd
        self._is_coloured = is_coloured
        self._epoll = select.epoll()
        self._frames = Frames()
        self._memory = Memory(plan.memory_fd, 1 + max([it.slot for it in plan.channels], default=0))
        self._sinks: dict[object, Sink] = {}
        self._pace = Pace()
        self._pipe_bytes = min(PIPE_BYTES, PIPES_BYTES // max(1, len(plan.channels)))
        self._limits: dict[str, RateLimit] = {}
        """Of each program that has one."""
        self._untold = 0
        """How often listeners were not told of what had been written, and nobody was told of it."""
        self._watched_sinks: dict[int, Sink] = {}
        self._closing: set[int] = set()
        """Slots of channels to which nobody writes any more."""
        self._drain_until: float | None = None
        self._turned_at = 0.0
        self._exit_code: int | None = None
        self._prefix_width = plan.prefix_width or max(
            [len(it.plan.process) for it in plan.channels], default=0
        )
        self._users: dict[tuple[str, bytes], int] = {}
        """How many channels write to each target."""
        for it in plan.channels:
            for sink in it.plan.sinks:
                self._users[_identity(sink)] = self._users.get(_identity(sink), 0) + 1
        self._channels = {it.fd: self._channel(it) for it in plan.channels}
        self._serials = {it.slot: it.serial for it in plan.channels}
        self._by_slot = {channel.slot: channel for channel in self._channels.values()}
        self._limited = [
            (self._limits[it.plan.program], self._channels[it.fd])
            for it in plan.channels
            if it.plan.rate_limit
        ]
        self._files = [it.file for it in self._sinks.values() if it.file is not None]
        self._packs = any(sink.gzips for it in plan.channels for sink in it.plan.sinks)

    def run(self) -> int:
        self._epoll.register(self._plan.commands_fd, select.EPOLLIN)
        for channel in self._channels.values():
            channel.start()
        self._watch_sinks()  # they may have stalled already
        while self._exit_code is None:
            self._turn()
        for file in self._files:
            file.close()
        for channel in self._channels.values():
            self._tell_of_untold(channel)
        return self._exit_code

    def _turn(self) -> None:
        fds = [fd for fd, _ in self._epoll.poll(self._wait_s())]
        if self._plan.commands_fd in fds:
            self._take_commands()  # first: what has been written since may be another instance's
            if self._exit_code is not None:
                return  # or be for the next relay, which has another plan
        now = time.monotonic()
        until = now + TURN_S
        for fd in fds:
            if fd in self._watched_sinks:
                self._watched_sinks[fd].go_on(until)
        channels = [self._channels[fd] for fd in fds if fd in self._channels]
        channels.sort(key=lambda it: it.share.had)
        most = READ_BYTES if len(channels) <= MANY else LINES_BYTES
        came = 0
        for channel in channels:
            came += channel.step(most)
            now = time.monotonic()
            if now >= until:
                break
        self._keep_time(now)
        self._watch_sinks()
        if self._closing:
            self._close_what_is_done()
        if self._drain_until is not None:
            self._look_whether_drained()
        elif 0 < came < FEW_BYTES and now - self._turned_at < SOON_S:
            time.sleep(PAUSE_S)
        self._turned_at = now

    def _has_orders(self) -> bool:
        return bool(select.select([self._plan.commands_fd], [], [], 0)[0])

    # ------------------------------------------------------------ time

    def _wait_s(self) -> float:
        """Seconds until something has to be looked at; -1: nothing has."""
        dues = [due for sink in self._sinks.values() if (due := sink.waits_until()) is not None]
        dues += [it.message_ends_at for it in self._channels.values() if it.message_ends_at]
        dues += [limit.ends_at for limit, _ in self._limited if limit.dropped]
        if self._drain_until is not None:
            dues.append(self._drain_until)
        now = time.monotonic()
        if self._packs and any(file.is_packing for file in self._files):
            dues.append(now + TEND_S)
        return max(0.0, min(dues) - now) if dues else -1.0

    def _keep_time(self, now: float) -> None:
        for sink in self._sinks.values():
            due = sink.waits_until()
            if due is not None and due <= now:
                sink.go_on(now + TURN_S)
        for channel in self._channels.values():
            if channel.message_ends_at is not None and channel.message_ends_at <= now:
                channel.end_message()
        self._tell_of_dropped(now)
        for file in self._files if self._packs else ():
            if file.is_packing:
                file.look_after_packer()

    def _tell_of_dropped(self, ended_by: float) -> None:
        """Where a rate limit's window has ended by then, in one of the program's channels."""
        for limit, channel in self._limited:
            is_open = channel.slot in self._by_slot
            if limit.dropped and limit.ends_at <= ended_by and is_open and not channel.is_stalled:
                channel.tell(f"initpy: {limit.take_dropped()} lines were dropped: over rate_limit")

    def _tell_of_untold(self, channel: ChannelRelay) -> None:
        """What its sinks have dropped last: there may be no room in them, so PID 1 says it."""
        for count in channel.take_untold():
            text = f"{count} lines of {channel.name} were dropped: they came quicker than they went"
            self._report("WARN", text)

    # ------------------------------------------------------------ what is watched

    def _watch_channel(self, channel: ChannelRelay, is_watched: bool) -> None:
        if is_watched:
            self._epoll.register(channel.fd, select.EPOLLIN)
        else:
            self._epoll.unregister(channel.fd)

    def _watch_sinks(self) -> None:
        """Wake up when a stalled sink has room, and only then."""
        wanted = {}
        for sink in self._sinks.values():
            fd = sink.waits_for_fd()
            if fd >= 0:
                wanted[fd] = sink
        if wanted == self._watched_sinks:
            return
        for fd in self._watched_sinks.keys() - wanted.keys():
            try:
                self._epoll.unregister(fd)
            except OSError:  # it has been closed, and epoll has forgotten it
                continue
        for fd in wanted.keys() - self._watched_sinks.keys():
            self._epoll.register(fd, select.EPOLLOUT)
        self._watched_sinks = wanted

    # ------------------------------------------------------------ PID 1

    def _report(self, level: str, text: str) -> None:
        self._say("log", level, text)

    def _say(self, *words: object) -> None:
        try:
            posix.write(self._report_fd, frame(words))
        except OSError:  # PID 1 has hung up: there is nobody to tell
            return

    def _take_commands(self) -> None:
        raw = posix.read(self._plan.commands_fd, COMMAND_BYTES)
        if not raw:
            self._exit_code = LEFT
        for command in self._frames.feed(raw):
            match command:
                case ("starting", int(slot), int(birth)) if slot in self._by_slot:
                    self._by_slot[slot].set_starting(is_first=not birth)
                    if birth:
                        self._say("marked", self._serials[slot], birth)
                case ("started", int(slot), int(pid)) if slot in self._by_slot:
                    self._by_slot[slot].set_started(pid)
                case ("ended", int(slot)) if slot in self._by_slot:
                    self._by_slot[slot].set_ended()
                case ("close", int(slot)) if slot in self._by_slot:
                    self._closing.add(slot)
                case ("starting" | "started" | "ended" | "close", *_):
                    continue  # of a channel that has been closed, or that the next relay will have
                case ("reopen",):
                    for sink in self._sinks.values():
                        sink.reopen()
                case ("leave",):
                    self._tell_of_dropped(FOR_EVER)
                    self._exit_code = LEFT
                case ("drain", int() | float() as timeout_s):
                    self._drain_until = time.monotonic() + timeout_s
                case _:
                    self._exit_code = LEFT

    def _close_what_is_done(self) -> None:
        for slot in list(self._closing):
            channel = self._by_slot[slot]
            if channel.is_stalled or channel.count_waiting():
                continue
            channel.set_ended()
            if not channel.is_stalled:
                self._closing.discard(slot)
                self._watch_channel(channel, is_watched=False)
                self._tell_of_untold(channel)
                del self._channels[channel.fd], self._by_slot[slot]
                posix.close(channel.fd)
                self._say("closed", self._serials[slot])

    def _look_whether_drained(self) -> None:
        channels = self._channels.values()
        is_empty = not any(it.is_stalled or it.count_waiting() for it in channels)
        if is_empty:
            for channel in channels:
                channel.set_ended()
            self._tell_of_dropped(FOR_EVER)
            if not any(channel.is_stalled for channel in channels):
                self._exit_code = DRAINED
        if self._exit_code is None and time.monotonic() >= (self._drain_until or 0.0):
            self._exit_code = OUT_OF_TIME

    # ------------------------------------------------------------ the plan

    def _channel(self, channel: Channel) -> ChannelRelay:
        plan = channel.plan
        limit = None
        if plan.rate_limit is not None:
            from initpy.logs.limits import RateLimit  # noqa: PLC0415 - for those who want it

            limit = self._limits.setdefault(plan.program, RateLimit(*plan.rate_limit))
        starts = escapes = None
        if plan.multiline or plan.strip_ansi:
            import re  # noqa: PLC0415 - 1 MB, for those who want it

            if plan.multiline:
                starts = re.compile(at_line_begin(plan.multiline), re.MULTILINE)
            if plan.strip_ansi:
                escapes = re.compile(ESCAPES)
        tells = plan.told_as and self._plan.events_fd >= 0
        share = Share(self._pace)
        outlets = []
        for sink_plan in plan.sinks:
            sink = self._sink(sink_plan)
            form = self._form(channel, sink_plan, sink)
            is_shared = self._users[_identity(sink_plan)] > 1
            outlets.append(Outlet(sink, form, share, drops=sink_plan.drops, is_shared=is_shared))
        return ChannelRelay(
            channel,
            self._memory,
            outlets,
            share,
            Cutter(
                plan.max_line,
                starts=starts,
                escapes=escapes,
                leaves_out_events=bool(plan.capture_bytes),
            ),
            watch=self._watch_channel,
            has_orders=self._has_orders,
            limit=limit,
            tell=(lambda pid, raw: self._tell(plan, pid, raw)) if tells else None,
            making=_fingerprint(plan, self._prefix_width),
            pipe_bytes=self._pipe_bytes,
        )

    def _tell(self, plan: ChannelPlan, pid: int, raw: bytes) -> None:
        """Have event listeners hear of what a program has written."""
        for start in range(0, len(raw), TOLD_BYTES):
            packet = frame((plan.told_as, plan.channel, pid, raw[start : start + TOLD_BYTES]))
            try:
                posix.write(self._plan.events_fd, packet)
            except OSError:  # it is full
                self._untold += 1
                continue
            if self._untold:
                count, self._untold = self._untold, 0
                text = f"event listeners were not told of output, {count} times: it came too quick"
                self._report("WARN", text)

    def _sink(self, plan: SinkPlan) -> Sink:
        """One for each target, however many write to it."""
        identity = _identity(plan)
        if identity not in self._sinks:
            self._sinks[identity] = self._new_sink(plan)
        return self._sinks[identity]

    def _new_sink(self, plan: SinkPlan) -> Sink:
        if plan.kind == STREAM:
            return StreamSink(int(plan.target), self._report, pipe_bytes=STREAM_PIPE_BYTES)
        if plan.kind == FILE:
            from initpy.logs.file_sink import FileSink  # noqa: PLC0415 - for those who want it
            from initpy.logs.files import LogFile  # noqa: PLC0415

            file = LogFile(
                plan.target,
                plan.max_bytes,
                plan.backups,
                gzips=plan.gzips,
                is_generated=plan.is_generated,
            )
            return FileSink(file, self._report, is_shared=self._users[_identity(plan)] > 1)
        from initpy.logs.syslog import Address, SyslogSink  # noqa: PLC0415 - for those who want it

        return SyslogSink(Address(plan.target.decode()), self._report)

    def _form(self, channel: Channel, plan: SinkPlan, sink: Sink) -> Form:
        of = channel.plan
        if plan.kind == SYSLOG:
            return Syslog(of.program, of.channel, posix.uname().nodename)
        if plan.form == PREFIX:
            names = sorted({it.plan.process for it in self._plan.channels})
            has_colour = self._is_coloured and isinstance(sink, StreamSink) and sink.is_tty
            colour = COLOURS[names.index(of.process) % len(COLOURS)] if has_colour else 0
            return Prefix(of.process, self._prefix_width, colour=colour, timestamps=plan.timestamps)
        if plan.form == JSON:
            return Json(of.program, of.process, of.channel, merges=plan.merges_json)
        return Raw()


def _identity(plan: SinkPlan) -> tuple[str, bytes]:
    return plan.kind, plan.target


def _fingerprint(plan: ChannelPlan, prefix_width: int) -> int:
    """Another one where another plan makes something else of the same bytes."""
    return int.from_bytes(repr((plan, prefix_width)).encode(), "big") % (2**61 - 1)
