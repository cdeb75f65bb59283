"""Bytes into lines: a function of the bytes alone, however they arrived.

What comes out are runs: many whole lines at once wherever that is possible, for to touch each line
costs more than all the rest.
"""

from __future__ import annotations

from initpy.logplan import START_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterator


EVENT_BEGIN, EVENT_END = b"<!--XSUPERVISOR:BEGIN-->", b"<!--XSUPERVISOR:END-->"
"""Between these, a program that is supervisord's writes an event (PROCESS_COMMUNICATION)."""


class Run:
    """Whole lines, each with its newline; or a piece of one that was cut; or one message."""

    __slots__ = ("continues", "is_message", "partial", "raw")

    def __init__(
        self,
        raw: bytes,
        *,
        continues: bool = False,
        partial: bool = False,
        is_message: bool = False,
    ) -> None:
        self.raw = raw
        self.continues = continues
        """It is the rest, or a further piece, of a line that was cut; then it is one piece."""
        self.partial = partial
        """It is a piece without a newline at its end, for the line was cut there."""
        self.is_message = is_message
        """All its lines are one message."""

    def __repr__(self) -> str:
        return f"Run({self.raw!r}, {self.continues=}, {self.partial=}, {self.is_message=})"

    def lines(self) -> Iterator[bytes]:
        """Each line, or the message, without the newline at its end."""
        body = self.raw if self.partial else self.raw[:-1]
        return iter((body,) if self.is_message else body.split(b"\n"))


def cut(
    raw: bytes, max_line: int, *, continues: bool, is_end: bool = False
) -> tuple[list[Run], int, bool]:
    """Cut `raw` into runs, lines of more than `max_line` bytes into pieces of that length (or up
    to three less, so that no character is cut).

    `continues`: `raw` begins within a line that was cut. `is_end`: nothing follows, and a last
    line without a newline is a piece.

    Returns the runs, where what is not in them begins, and whether that continues a cut line.
    """
    runs: list[Run] = []
    at, end = 0, len(raw)
    while at < end:
        if continues:
            newline = raw.find(b"\n", at, at + max_line + 1)
            if newline >= 0:
                runs.append(Run(raw[at : newline + 1], continues=True))
                at, continues = newline + 1, False
                continue
        else:
            whole = _whole_lines(raw, at, max_line)
            if whole > at:
                runs.append(Run(raw[at:whole]))
                at = whole
                continue
        if end - at > max_line:
            upto = _between_characters(raw, at + max_line)
        elif is_end:
            upto = end
        else:
            break
        runs.append(Run(raw[at:upto], continues=continues, partial=True))
        at, continues = upto, True
    return runs, at, continues


def without_events(raw: bytes, *, is_end: bool = False) -> tuple[bytes, bytes]:
    """`raw` without the events in it, and what has to stand before the bytes that follow: what may
    be the beginning of an event, or, of one that is not whole, the mark and no more than may be the
    beginning of the other mark. `is_end`: nothing follows, and what is not whole is left out."""
    parts = []
    at = 0
    while (begin := raw.find(EVENT_BEGIN, at)) >= 0:
        parts.append(raw[at:begin])
        inside = begin + len(EVENT_BEGIN)
        end = raw.find(EVENT_END, inside)
        if end < 0:
            last = raw[max(inside, len(raw) - len(EVENT_END) + 1) :]
            return b"".join(parts), b"" if is_end else EVENT_BEGIN + last
        at = end + len(EVENT_END)
    last = raw[at:]
    most = 0 if is_end else min(len(last), len(EVENT_BEGIN) - 1)
    begun = next((size for size in range(most, 0, -1) if last.endswith(EVENT_BEGIN[:size])), 0)
    return b"".join(parts) + last[: len(last) - begun], last[len(last) - begun :]


def _whole_lines(raw: bytes, at: int, max_line: int) -> int:
    """Where the whole lines end that begin at `at`, up to the first that is too long."""
    while True:
        newline = raw.rfind(b"\n", at, at + max_line + 1)
        if newline < 0:
            return at
        at = newline + 1


def _between_characters(raw: bytes, at: int) -> int:
    """`at`, or up to three bytes before it, where no UTF-8 character is cut."""
    for back in range(4):
        if raw[at - back] & 0xC0 != 0x80:
            return at - back
    return at


def join(
    raw: bytes, starts: re.Pattern[bytes], max_line: int, *, is_end: bool
) -> tuple[list[Run], int]:
    """Join the whole lines of `raw` into messages: each begins with a line that `starts` matches,
    of which no more than START_BYTES are looked at.

    A message of more than `max_line` bytes is ended before the line that would be too much. The
    last message is left, for it may go on, unless `is_end`.

    Returns the messages, and where the rest begins.
    """
    end = raw.rfind(b"\n") + 1
    begins = []
    at = 0
    while at < end:
        newline = raw.find(b"\n", at, end)
        if starts.match(raw, at, min(newline, at + START_BYTES)):
            begins.append(at)
        at = newline + 1
    if not begins or begins[0] > 0:
        begins.insert(0, 0)
    runs: list[Run] = []
    for number, begin in enumerate(begins):
        at = begin
        is_last = number + 1 == len(begins)
        upto = end if is_last else begins[number + 1]
        while upto - at > max_line:
            short = raw.rfind(b"\n", at, at + max_line) + 1 or raw.find(b"\n", at) + 1
            if is_last and short == upto:
                break
            runs.append(Run(raw[at:short], is_message=True))
            at = short
        if is_last and not is_end:
            return runs, at
        if upto > at:
            runs.append(Run(raw[at:upto], is_message=True))
    return runs, end


class Cutter:
    """What a channel's bytes are cut into: lines, or messages of several, without what is to be
    left out."""

    def __init__(
        self,
        max_line: int,
        *,
        starts: re.Pattern[bytes] | None = None,
        escapes: re.Pattern[bytes] | None = None,
        leaves_out_events: bool = False,
    ) -> None:
        """`starts` matches where a message begins, `escapes` what is left out of a line."""
        self._max_line = max_line
        self._starts = starts
        self._escapes = escapes
        self._leaves_out_events = leaves_out_events

    @property
    def changes_bytes(self) -> bool:
        """All its runs together may be another thing than the bytes."""
        return bool(self._starts or self._escapes or self._leaves_out_events)

    def runs(
        self, raw: bytes, *, continues: bool, is_end: bool, is_message_end: bool
    ) -> tuple[list[Run], bytes, bool, bool]:
        """Cut `raw`; `continues` and `is_end` as for `cut`. `is_message_end`: the last message is
        whole.

        Returns the runs, what has to be held until more comes, whether that continues a line that
        was cut, and whether it is a message that may be whole.
        """
        begun = b""
        if self._leaves_out_events:
            raw, begun = without_events(raw, is_end=is_end)
        runs, upto, continues = cut(raw, self._max_line, continues=continues, is_end=is_end)
        left = 0
        if self._starts is not None:
            runs, left = self._messages(self._starts, runs, is_message_end)
        if self._escapes is not None:
            for run in runs:
                run.raw = self._escapes.sub(b"", run.raw)
        return runs, raw[upto - left :] + begun, continues and not is_end, left > 0

    def _messages(
        self, starts: re.Pattern[bytes], runs: list[Run], is_message_end: bool
    ) -> tuple[list[Run], int]:
        """The runs with their lines joined, and how many of the last bytes are not among them."""
        joined: list[Run] = []
        left = 0
        for number, run in enumerate(runs):
            if run.partial or run.continues:
                joined.append(run)
                continue
            is_last = number + 1 == len(runs)
            messages, end = join(
                run.raw, starts, self._max_line, is_end=is_message_end or not is_last
            )
            joined += messages
            if is_last:
                left = len(run.raw) - end
        return joined, left
