"""What a channel has to do with one of its sinks."""

from __future__ import annotations

import posix
import time

from initpy.logs.forms import Raw
from initpy.logs.lines import Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initpy.logs.files import LogFile
    from initpy.logs.forms import Form
    from initpy.logs.shares import Share
    from initpy.logs.sinks import Buffer, Sink

NEWLINE = 10


class Outlet:
    """One sink of a channel, and what it is still to be given."""

    def __init__(
        self, sink: Sink, form: Form, share: Share, *, drops: bool, is_shared: bool = False
    ) -> None:
        """`share` is the channel's; `is_shared`: other channels write to the same sink."""
        self.sink = sink
        self.form = form
        self.share = share
        self.is_shared = is_shared
        self.is_raw = isinstance(form, Raw)
        self.on_taken: Callable[[], None] = lambda: None
        """Called when a stalled sink has taken more."""
        self._may_drop = drops
        self._dropped = 0
        """Lines, not yet told of."""
        self._telling = 0
        """How many of them the line tells of that is still to be taken."""
        self._raw: Buffer = b""
        self._at = 0
        self._end = 0
        """_raw[_at:_end] is still to be taken."""
        self._given = 0
        """The end of what was given last."""
        self._ahead = 0
        """So many bytes of it are not the channel's: the line that tells of dropped ones."""

    @property
    def _drops(self) -> bool:
        return self._may_drop and not self.sink.is_pausing

    @property
    def is_done(self) -> bool:
        """It has all that it was given, or does not hold anybody back."""
        return self._drops or self._at == self._end

    @property
    def file(self) -> LogFile | None:
        """If its size tells how much of what was given it has."""
        return None if self.is_shared or self._may_drop else self.sink.file

    @property
    def must_wait(self) -> bool:
        """Others are before it."""
        return self.sink.is_stalled and not self._drops

    @property
    def taken(self) -> int:
        """How much the sink has of what it was given."""
        return self._given if self._drops else max(0, self._at - self._ahead)

    def give(self, raw: Buffer, start: int, end: int) -> None:
        """Have the sink take raw[start:end]; see `is_done`."""
        if self._at < self._end and self.sink.owner is self:
            self._put()  # there may be room by now
        self._given = end
        if self._at < self._end:  # it drops, and has yet to finish a line
            self._drop(raw, start, end)
            return
        self._ahead = self._telling = 0
        if self._dropped:
            text = f"initpy: {self._dropped} lines were dropped: they came quicker than they went"
            told = self.form.form([Run(text.encode() + b"\n")], time.time_ns(), posix.getpid())
            self._ahead = len(told) - start
            self._telling, self._dropped = self._dropped, 0
            raw = told + raw[start:end]
            start, end = 0, len(raw)
        self._raw, self._at, self._end = raw, start, end
        self._put()

    def resume(self) -> None:
        """The sink may have room again."""
        self._put()
        self.on_taken()

    def take_untold(self) -> int:
        """How many lines the sink will not have got, and has not been told of, if it ends now."""
        if not self._may_drop:
            return 0
        untold = self._dropped + self._raw[self._at : self._end].count(b"\n")
        if self._telling:
            untold += self._telling - 1
        self._dropped = 0
        return untold

    def keep_own(self, raw: bytes) -> None:
        """The buffer that was given will be used for something else; `raw` has the same."""
        if not isinstance(self._raw, bytes):
            self._raw = raw

    def _put(self) -> None:
        if self._at < self._end:
            self._at += self.sink.write(self, self._raw, self._at, self._end)
        if self._at == self._end:
            self._raw = b""  # of hundreds of channels, that would be memory
        if self._at:
            self._telling = 0
        if self._at < self._end and self._drops:
            line_end = self._end  # what has not been begun waits as a whole
            if self._at and self._raw[self._at - 1] == NEWLINE:
                line_end = self._at
            elif self._at:
                line_end = self._raw.find(b"\n", self._at, self._end) + 1 or self._end
            self._drop(self._raw, line_end, self._end)
            self._raw, self._at, self._end = self._raw[self._at : line_end], 0, line_end - self._at
            if not self._end:
                self.sink.give_up(self)

    def _drop(self, raw: Buffer, start: int, end: int) -> None:
        lines = raw[start:end].count(b"\n")
        self._dropped += lines
        self.sink.lost_lines += lines
