"""Events in the output of a program: what it writes between two marks.

What is between the marks is told to listeners, and is no output; everything else is. Bytes may come
cut anywhere, also in the middle of a mark.

Source: supervisord's POutputDispatcher, with two differences: what may be the beginning of a mark
is held back only as long as it may be one, so that the last output of a program is not lost; and
the limit of what is between the marks is one.
"""

from __future__ import annotations

from initpy.core.values import Value

BEGIN, END = b"<!--XSUPERVISOR:BEGIN-->", b"<!--XSUPERVISOR:END-->"


class Output(Value):
    """Bytes for the log."""

    raw: bytes


class Told(Value):
    """What was between the marks; of more than the limit, so much from its end."""

    raw: bytes


Piece = Output | Told


class Capture:
    """The output of one channel of one instance."""

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes` (above 0): so much is kept of what is between two marks."""
        self._max_bytes = max_bytes
        self._is_between = False
        self._held = b""
        """The beginning of a mark, perhaps."""
        self._told = b""

    def feed(self, raw: bytes) -> list[Piece]:
        """What these bytes are, in their order."""
        pieces: list[Piece] = []
        rest = self._held + raw
        self._held = b""
        while rest:
            mark = END if self._is_between else BEGIN
            before, found, rest = rest.partition(mark)
            if not found:
                size = _begun(before, mark)
                before, self._held = before[: len(before) - size], before[len(before) - size :]
            if self._is_between:
                self._told = (self._told + before)[-self._max_bytes :]
            elif before:
                pieces.append(Output(before))
            if found and self._is_between:
                pieces.append(Told(self._told))
                self._told = b""
            self._is_between ^= bool(found)
        return pieces

    def end(self) -> list[Piece]:
        """The instance has ended. What was begun and never ended is output after all."""
        left = BEGIN + self._told + self._held if self._is_between else self._held
        self._is_between, self._held, self._told = False, b"", b""
        return [Output(left)] if left else []


def _begun(raw: bytes, mark: bytes) -> int:
    """How many bytes at the end of `raw` may be the beginning of the mark."""
    for size in range(min(len(raw), len(mark) - 1), 0, -1):
        if raw.endswith(mark[:size]):
            return size
    return 0
