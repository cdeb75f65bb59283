"""One channel of one process: from its pipe, through lines and forms, to its sinks.

It works in steps: read, cut, form, give to the sinks, note. While a sink has not taken all of a
step, the channel does not read. What the step is made of is in the memory file, from which a later
relay makes the same again, and goes on where this one has stopped (`memory`).
"""

from __future__ import annotations

import fcntl
import posix
import time

from initpy.logplan import MAX_SINKS
from initpy.logs.lines import Run
from initpy.logs.marks import Marks
from initpy.logs.memory import DESK_BYTES, TAIL_BYTES, FileNote, State
from initpy.logs.sinks import F_SETPIPE_SZ, PIPE_BYTES, StreamSink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from initpy.logplan import Channel
    from initpy.logs.limits import RateLimit
    from initpy.logs.lines import Cutter
    from initpy.logs.memory import Memory
    from initpy.logs.outlets import Outlet
    from initpy.logs.shares import Share
    from initpy.logs.sinks import Buffer

READ_BYTES = 256 * 1024
"""What is read at once, at the most: some 0.3 ms of work."""

LINES_BYTES = 64 * 1024
"""The same where lines are formed, for what is made of so much stays in the processor's cache; and
where many have something."""

SPLICES = 4
"""So many times as much is moved at once where bytes need not be read."""

USUAL_PIPE_BYTES = 64 * 1024
"""What a pipe has room for that nobody has enlarged."""

FULL_PIPE_BYTES = 60 * 1024
"""When so much was waiting, the pipe was full, and is made larger."""

FIONREAD = 0x541B
"""As nearly every kind of machine has it; the static executable has no module termios."""

NEWLINE = 10

MESSAGE_END_S = 1.0
"""With `multiline`: after so long without a further line, a message is taken to be whole."""


LINE_END, MESSAGE_END = 1, 2
"""What a step of the bytes that are held is, if nothing follows them."""


class _After:
    """What is so when the sinks have all of a step; see `State`."""

    __slots__ = ("continues", "drops_rest", "has_ended", "held", "is_mid_line")

    def __init__(
        self,
        held: bytes,
        continues: bool,
        is_mid_line: bool,
        has_ended: bool,
        drops_rest: bool = False,
    ) -> None:
        self.held = held
        self.continues = continues
        self.drops_rest = drops_rest
        self.is_mid_line = is_mid_line
        self.has_ended = has_ended


class ChannelRelay:
    """What the relay does for one channel."""

    def __init__(
        self,
        channel: Channel,
        memory: Memory,
        outlets: Sequence[Outlet],
        share: Share,
        cutter: Cutter,
        *,
        watch: Callable[[ChannelRelay, bool], None],
        has_orders: Callable[[], bool],
        limit: RateLimit | None = None,
        tell: Callable[[int, bytes], None] | None = None,
        making: int = 0,
        pipe_bytes: int = PIPE_BYTES,
    ) -> None:
        """Take over what the last relay has left; `start` goes on with it.

        `watch` is called when it is to be told of bytes in its pipe, and when not any more.
        `has_orders` says whether PID 1 has told something that is still to be heard.
        `tell` is given what was read, and the pid of who has written it. `making` stands for all
        that decides what is made of the same bytes. `pipe_bytes`: its pipe is enlarged to so much
        when it is full.
        """
        self.fd = channel.fd
        self.share = share
        self.slot = channel.slot
        self.name = f"'{channel.plan.process}' on {channel.plan.channel}"
        self._memory = memory
        self._outlets = outlets
        self._watch = watch
        self._has_orders = has_orders
        self._limit = limit
        self._cutter = cutter
        self._tell = tell
        self._max_line = channel.plan.max_line
        self._files = {
            number: outlet.file for number, outlet in enumerate(outlets) if outlet.file is not None
        }
        """By their numbers among the sinks. How far they have come can be told by their sizes."""
        is_changed = limit is not None or cutter.changes_bytes
        self._is_raw = not is_changed and all(it.is_raw for it in outlets)
        self._can_splice = (
            len(outlets) == 1 and not outlets[0].is_shared and not channel.plan.sinks[0].drops
        )
        self._last_pid = channel.pid or channel.last_pid
        self.is_idle = channel.pid == 0
        """Nobody writes to it; but for those whom the last instance has left."""
        self._is_starting = False
        """Somebody is about to; who that is will be told."""
        counts = memory.claim(channel.slot, channel.serial, making)
        state, taken = memory.restore(channel.slot)
        if counts:
            taken = self._with_what_files_have(memory.noted_files(channel.slot), taken)
        self._restored_taken = taken if counts and not limit else []
        memory.keep(channel.slot, state, tuple(self._restored_taken))  # for the desk will be used
        self._total = state.total
        self._held = state.held
        self._continues = state.continues
        self._drops_rest = state.drops_rest
        self._is_mid_line = state.is_mid_line
        """The last byte that was written is no newline; of what is raw, that is."""
        self._ended_there = state.has_ended
        """And the instance that wrote it has ended since."""
        self._time_ns = state.time_ns
        self._held_pid = state.pid
        self._marks = Marks(memory, channel.slot, self._last_pid, is_idle=self.is_idle)
        self._ending = state.ending
        self._own_raw = next(
            (it for it, outlet in enumerate(outlets) if outlet.is_raw and not outlet.is_shared), -1
        )
        """The number of a sink that has to be told where an instance's last line ends."""
        self._after: _After | None = None
        """While a sink has not taken all of a step: what will be then."""
        self._line: Outlet | None = None
        """It stands in line at its sink, with nothing yet."""
        self._most = READ_BYTES
        """Of the step that is to come then."""
        self._is_watched = False
        self._is_told_of = False
        """What is stalled is no step, but a line of our own."""
        self._waiting = memoryview(bytearray(4)).cast("i")
        self._pipe_bytes = pipe_bytes
        self._has_large_pipe = pipe_bytes <= USUAL_PIPE_BYTES
        self._owes_tail = False
        """The tail has not the last bytes that were read, and will get as many others at once."""
        self.message_ends_at: float | None = None
        """When to call `end_message`, by the monotonic clock."""
        for outlet in outlets:
            outlet.on_taken = self._on_taken

    @property
    def is_stalled(self) -> bool:
        return self._after is not None

    def start(self) -> None:
        """Go on with what the last relay has left."""
        memory, held = self._memory, self._held
        self._update_watched()
        memory.desk[: len(held)] = held
        end = self._total + self.count_waiting()
        self._marks.go_on(end, self._last_pid, is_idle=self.is_idle)
        missing = min(self._total - memory.tail_total(self.slot), len(held))
        if missing > 0:
            memory.put_tail(self.slot, len(held) - missing, len(held), self._total)
        if held:
            marks = self._marks
            pid, marks.pid = marks.pid, self._held_pid or marks.pid
            self._work_on_held(self._restored_taken)
            marks.pid = pid
        self._pass_marks()

    def _with_what_files_have(self, noted: dict[int, FileNote], taken: list[int]) -> list[int]:
        """The last relay may have died before it could note that a file has taken something: the
        file's size tells."""
        for number, note in noted.items():
            file = self._files.get(number)
            if file is not None:
                has = note.taken + file.grown_since(note.inode, note.size)
                taken = list(_padded(taken))
                taken[number] = max(taken[number], has)
        return taken

    def _note_files(self, taken: Sequence[int] = ()) -> None:
        """Before bytes in work go to files that are ours alone; they have `taken` some of it."""
        notes = {}
        for number, file in self._files.items():
            try:
                inode, size = file.identity()
            except OSError:  # nothing will be written to it
                continue
            notes[number] = FileNote(inode, size, _padded(taken)[number])
        self._memory.note_files(self.slot, notes)

    def count_waiting(self) -> int:
        """Bytes in the pipe."""
        fcntl.ioctl(self.fd, FIONREAD, self._waiting)
        return self._waiting[0]

    def step(self, most: int = READ_BYTES) -> int:
        """Take what is in the pipe, up to `most` bytes, to the sinks. Returns how much was in it,
        or 0 if it could not be looked at."""
        if self.is_stalled or self._line is not None:
            return 0
        for outlet in self._outlets:
            if outlet.must_wait:
                self._most = most
                self._stand_in_line(outlet)
                return 0
        return self._step(most)

    def _step(self, most: int) -> int:
        had = waiting = self._count_known()
        if waiting > FULL_PIPE_BYTES and not self._has_large_pipe:
            self._enlarge_pipe()
        is_unseen = self._is_raw and self._tell is None and not (self._held or self._marks)
        if waiting > 2 * TAIL_BYTES and is_unseen:
            moved = self._splice(min(waiting - TAIL_BYTES, SPLICES * most))
            waiting -= moved
            if moved and waiting > 2 * TAIL_BYTES:
                return had
        if self._line is not None:
            self._most = most
        elif waiting:
            most = most if self._is_raw else min(most, LINES_BYTES)
            if self._owes_tail:
                most = max(most, TAIL_BYTES)
            count = min(waiting, most, DESK_BYTES - len(self._held))
            self._read(count, has_more=waiting - count >= TAIL_BYTES)
        return had

    def _count_known(self) -> int:
        """Bytes in the pipe of which it is known who has written them."""
        waiting = self.count_waiting()
        if self._marks:
            return min(waiting, self._marks.first[0] - self._total)
        if self._is_starting:
            return 0
        # Counted first: who is forked then has been announced, and that would be heard now.
        return 0 if self.is_idle and waiting and self._has_orders() else waiting

    def set_starting(self, *, is_first: bool) -> None:
        """An instance is about to be forked. All that is in the pipe now comes before its words;
        what follows is read when its pid is known. (The first one may be there by now, and all is
        its.)"""
        self._is_starting = True
        self._update_watched()
        if not is_first:
            self._mark_end()

    def set_started(self, pid: int) -> None:
        """That instance writes to it."""
        self.is_idle = self._is_starting = False
        self._marks.begin(pid)
        self._update_watched()

    def set_ended(self) -> None:
        """The instance has ended: behind what is in the pipe now, an unfinished line is one."""
        self.is_idle, self._is_starting = True, False
        self._mark_end()
        self._update_watched()

    def _mark_end(self) -> None:
        self._marks.end(self._total + self.count_waiting())
        self._pass_marks()

    def _pass_marks(self) -> None:
        """As far as no sink stalls."""
        while self._marks and not self.is_stalled and self._line is None:
            position, pid = self._marks.first
            if self._total < position and (self.step() or self._line is not None):
                continue
            if not pid:
                self._finish()
            self._marks.leave_behind()  # last: to finish once more does no harm

    def end_message(self) -> None:
        """No further line has come: the message is whole."""
        self.message_ends_at = None
        if self._held and not self.is_stalled:
            self._leave_line()
            self._end_with(MESSAGE_END)

    def tell(self, text: str) -> None:
        """Write a line of our own among the channel's."""
        self._leave_line()
        run = Run(text.encode(errors="replace") + b"\n")
        self._is_told_of = True
        now = time.time_ns()
        formed = [outlet.form.form([run], now, self._marks.pid) for outlet in self._outlets]
        self._give([(text, len(text)) for text in formed])
        if not self._are_done():
            after = _After(
                self._held,
                self._continues,
                self._is_mid_line,
                self._ended_there,
                self._drops_rest,
            )
            self._stall(after)
        else:
            self._is_told_of = False

    def take_untold(self) -> list[int]:
        """How many lines each sink has not got, where nothing has told of it: no other line has
        followed."""
        return [count for outlet in self._outlets if (count := outlet.take_untold())]

    # ------------------------------------------------------------ a step

    def _read(self, count: int, *, has_more: bool) -> None:
        """`has_more`: a whole tail of bytes is in the pipe behind these."""
        memory, ahead = self._memory, len(self._held)
        if ahead:
            memory.desk[:ahead] = self._held
        memory.begin_read(self.slot, ahead, count)
        got = posix.readv(self.fd, [memory.desk_view[ahead : ahead + count]])
        self._time_ns = time.time_ns()
        memory.end_read(got, self._time_ns, self._marks.pid)
        self._total += got
        self.share.take(got)
        if self._tell is not None:
            self._tell(self._marks.pid, bytes(memory.desk_view[ahead : ahead + got]))
        self._owes_tail = has_more and self._is_raw  # the next read will overwrite all of it
        if not self._owes_tail:
            memory.put_tail(self.slot, ahead, ahead + got, self._total)
        self._work(memory.worked_on(ahead + got), ahead + got, [])

    def _splice(self, most: int) -> int:
        """Move up to so many bytes from pipe to pipe, unseen, if that is what is wanted.

        Returns how many were moved."""
        sink = self._outlets[0].sink
        if not isinstance(sink, StreamSink) or not sink.takes_splice or not self._can_splice:
            return 0
        if self._owes_newline:
            return 0
        moved = 0
        while moved < most:
            try:
                count = sink.splice(self.fd, most - moved)
            except OSError:  # it is gone: to write to it will tell
                break
            moved += count
            if not count:
                self._stand_in_line(self._outlets[0])
                break
        self._total += moved
        self.share.take(moved)
        self._is_mid_line = False  # nobody has seen what the last byte was
        self._owes_tail = True
        self._memory.keep(self.slot, self._state(b""))
        return moved

    def _work(
        self,
        raw: Buffer,
        end: int,
        taken: list[int],
        *,
        is_end: bool = False,
        is_message_end: bool = False,
    ) -> None:
        """Give what can be made of raw[:end] to the sinks, but for what each has `taken`; and hold
        the rest."""
        if self._files:
            self._note_files(taken)
        if self._is_raw:
            upto = end if is_end else self._raw_upto(raw, end)
            if taken:
                upto = min(max([upto, *[it - self._owes_newline for it in taken]]), end)
            held, continues, drops_rest = raw[upto:end], False, False
            formed = [(raw, upto)] * len(self._outlets)
        else:
            raw = raw[:end]
            runs, held, continues, is_in_message = self._cutter.runs(
                raw,
                continues=self._continues,
                is_end=is_end,
                is_message_end=is_message_end or is_end,
            )
            if is_in_message:
                self.message_ends_at = time.monotonic() + MESSAGE_END_S
            drops_rest = self._drops_rest
            if self._limit is not None:
                now = time.monotonic()
                runs, drops_rest = self._limit.passed(runs, now, drops_rest=drops_rest)
            texts = [
                outlet.form.form(runs, self._time_ns, self._marks.pid) for outlet in self._outlets
            ]
            formed = [(text, len(text)) for text in texts]
        if self._owes_newline or is_end:
            formed = self._with_newlines(formed, is_end=is_end)
        is_mid_line = self._is_mid_line
        if self._own_raw >= 0:
            text, length = formed[self._own_raw]
            is_mid_line = text[length - 1] != NEWLINE if length else is_mid_line
        has_ended = is_end or self._ended_there
        after = _After(held, continues, is_mid_line, has_ended, drops_rest)
        if len(held) < end and not is_end:
            after.has_ended = False
        self._give(formed, taken)
        if self._are_done():
            self._settle(after)
        else:
            whole = raw[:end]
            if self._is_raw:
                for outlet in self._outlets:
                    outlet.keep_own(whole)
            self._held = whole
            self._stall(after)

    @property
    def _owes_newline(self) -> bool:
        """What comes now is another instance's, and the last one's line has no end: where output is
        raw, it gets one."""
        return self._is_mid_line and self._ended_there

    def _with_newlines(
        self, formed: list[tuple[Buffer, int]], *, is_end: bool
    ) -> list[tuple[Buffer, int]]:
        """Where output is raw, end the line of an instance that has ended: at once where another
        channel's line may come next. (A file that several write to sees to it itself.)"""
        found: list[tuple[Buffer, int]] = []
        for outlet, (raw, end) in zip(self._outlets, formed, strict=True):
            if not outlet.is_raw or not end:
                found.append((raw, end))
                continue
            text = b"\n" * (self._owes_newline and not outlet.is_shared) + raw[:end]
            is_stream = isinstance(outlet.sink, StreamSink)
            if is_end and outlet.is_shared and is_stream and text[-1] != NEWLINE:
                text += b"\n"
            found.append((text, len(text)))
        return found

    def _raw_upto(self, raw: Buffer, end: int) -> int:
        """How much of raw bytes goes to the sinks now: a line that is not whole as well, unless the
        file may have to be rotated before its end, or another channel's line may come next."""
        for outlet in self._outlets:
            sink = outlet.sink
            if isinstance(sink, StreamSink) and not outlet.is_shared:
                newline = raw.rfind(b"\n", 0, end) + 1
                if 0 < newline < end and self.count_waiting():  # then the rest of it comes at once
                    return newline
                continue
            try:
                has_room = sink.file is not None and sink.file.room() > end + self._max_line
            except OSError:
                has_room = False
            if outlet.is_shared or not has_room:
                newline = raw.rfind(b"\n", 0, end) + 1
                return end if end - newline > self._max_line else newline
        return end

    def _give(self, formed: list[tuple[Buffer, int]], taken: Sequence[int] = ()) -> None:
        """Give each sink its own form, of that length, but for what it has `taken` of it."""
        known = list(_padded(taken))
        for number, outlet in enumerate(self._outlets):
            raw, end = formed[number]
            outlet.give(raw, min(known[number], end), end)
            known[number] = outlet.taken
            if not self._is_told_of:
                self._memory.note_progress(self.slot, tuple(known))

    def _are_done(self) -> bool:
        return all(outlet.is_done for outlet in self._outlets)

    def _settle(self, after: _After) -> None:
        """All sinks have all of a step."""
        self._held, self._continues = after.held, after.continues
        self._drops_rest = after.drops_rest and after.continues
        self._is_mid_line, self._ended_there = after.is_mid_line, after.has_ended
        self._ending = 0
        self._memory.keep(self.slot, self._state(after.held))
        if after.has_ended:
            for outlet in self._outlets:
                outlet.sink.set_ended(outlet)

    def _stall(self, after: _After) -> None:
        """A sink has not taken all of it: hold the whole step until it has."""
        self._after = after
        self._update_watched()
        if self._owes_tail:  # for it may be long until the next read
            end = len(self._held)
            self._memory.put_tail(self.slot, max(0, end - TAIL_BYTES), end, self._total)
            self._owes_tail = end < TAIL_BYTES
        self._memory.keep(self.slot, self._state(self._held), self._taken())
        if self._files:
            self._note_files(self._taken())

    def _stand_in_line(self, outlet: Outlet) -> None:
        """Leave in the pipe what is there until it is this outlet's turn: what would be held
        meanwhile, by each of hundreds of channels, is memory."""
        self._line = outlet
        outlet.sink.stand_in_line(outlet)
        self._update_watched()

    def _leave_line(self) -> None:
        if self._line is not None:
            self._line.sink.give_up(self._line)
            self._line = None
            self._update_watched()

    def _update_watched(self) -> None:
        is_watched = not (self.is_stalled or self._is_starting) and self._line is None
        if is_watched is not self._is_watched:
            self._is_watched = is_watched
            self._watch(self, is_watched)

    def _on_taken(self) -> None:
        if self._line is not None:
            self._line = None
            self.step(self._most)
            self._update_watched()
            self._pass_marks()
            return
        if self._after is None:
            return
        if not self._are_done():
            self._memory.note_progress(self.slot, self._taken())
            return
        after, self._after = self._after, None
        self._is_told_of = False
        self._settle(after)
        self._update_watched()
        self._pass_marks()

    def _taken(self) -> tuple[int, ...]:
        if self._is_told_of:
            return (0,) * len(self._outlets)
        return tuple([outlet.taken for outlet in self._outlets])

    def _finish(self) -> None:
        """Nothing of the instance that has ended is in the pipe any more."""
        self.message_ends_at = None
        if self._held:
            self._end_with(LINE_END)
        else:
            self._settle(_After(b"", False, self._is_mid_line, has_ended=True))

    def _end_with(self, ending: int) -> None:
        """Nothing follows what is held. That is noted first: another relay has to make the same of
        it."""
        self._ending = ending
        self._memory.keep(self.slot, self._state(self._held))
        self._work_on_held([])

    def _work_on_held(self, taken: list[int]) -> None:
        is_end = self._ending == LINE_END
        is_message_end = self._ending == MESSAGE_END
        held = self._held
        self._work(held, len(held), taken, is_end=is_end, is_message_end=is_message_end)

    def _state(self, held: bytes) -> State:
        return State(
            self._total,
            self._time_ns,
            held,
            self._marks.pid,
            continues=self._continues,
            drops_rest=self._drops_rest,
            is_mid_line=self._is_mid_line,
            has_ended=self._ended_there,
            ending=self._ending,
        )

    def _enlarge_pipe(self) -> None:
        self._has_large_pipe = True
        try:
            fcntl.fcntl(self.fd, F_SETPIPE_SZ, self._pipe_bytes)
        except OSError:  # more than this user may have: then it stays as it is
            return


def _padded(taken: Sequence[int]) -> tuple[int, ...]:
    return (*taken, *[0] * MAX_SINKS)[:MAX_SINKS]
