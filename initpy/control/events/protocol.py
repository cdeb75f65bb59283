"""One listener, and what the bytes mean that it writes.

    ACKNOWLEDGED --"READY\\n"--> READY --an event is sent--> BUSY --its result--> ACKNOWLEDGED
          |                       |                           |
          +------- nonsense ------+------- anything ----------+ nonsense ---> UNKNOWN

A result is "RESULT n\\n" and n bytes: "OK" accepts the event, anything else refuses it. Once
UNKNOWN, nothing that it writes means anything: it gets no events until it is restarted.

Source: supervisord's PEventListenerDispatcher, with these differences: a result of no bytes counts
at once; nonsense is seen at its first byte; and a negative length, and lines and results that never
end, are nonsense.
"""

from __future__ import annotations

from initpy.core.values import Value

ACKNOWLEDGED, READY, BUSY, UNKNOWN = "ACKNOWLEDGED", "READY", "BUSY", "UNKNOWN"

_READY = b"READY\n"
_RESULT_BYTES = len(b"RESULT ")
"""supervisord does not look at what these are, and there may be listeners that write something
else."""

ACCEPTS = b"OK"

MAX_LINE_BYTES = 128
"""Of the line before a result."""

MAX_RESULT_BYTES = 1024 * 1024

MAX_SHOWN_BYTES = 80


class Ready(Value):
    """It wants an event."""


class Accepted(Value):
    """It has done what it does with an event."""


class Refused(Value):
    """It wants the event to be sent again."""

    result: bytes


class Broken(Value):
    """It does not speak the protocol. An event that it had is as good as refused."""

    why: str


Said = Ready | Accepted | Refused | Broken


class Listener:
    """What is known of one instance of a listener."""

    def __init__(self) -> None:
        self.state = ACKNOWLEDGED
        self._held = b""
        """What has come, and cannot be judged yet."""
        self._result_bytes = -1
        """BUSY: so long is its result; -1: that has yet to come."""

    def send(self) -> None:
        """It is being sent an event. Only who is READY can be."""
        if self.state != READY:
            raise ValueError(f"a listener that is {self.state} takes no event")
        self.state = BUSY

    def feed(self, raw: bytes) -> list[Said]:
        """What it says with these bytes, which may have been cut anywhere."""
        self._held += raw
        said: list[Said] = []
        while self.state != UNKNOWN and (one := self._next()) is not None:
            said.append(one)
        if self.state == UNKNOWN:
            self._held = b""
        return said

    def _next(self) -> Said | None:
        """The next thing that it says; None: that is not complete, or it says nothing."""
        if self.state == ACKNOWLEDGED:
            return self._read_ready()
        if self.state == BUSY:
            return self._read_result()
        if self._held:
            return self._break(f"it writes {shown(self._held)} while it is to wait for an event")
        return None

    def _read_ready(self) -> Said | None:
        if not _READY.startswith(self._held[: len(_READY)]):
            return self._break(f"it writes {shown(self._held)} where READY is expected")
        if len(self._held) < len(_READY):
            return None
        self._held = self._held[len(_READY) :]
        self.state = READY
        said: Said = Ready()
        return said

    def _read_result(self) -> Said | None:
        if self._result_bytes < 0:
            line, newline, rest = self._held.partition(b"\n")
            if len(line) > MAX_LINE_BYTES or (newline and _length(line) is None):
                return self._break(f"bad result line: {shown(line)}")
            if not newline:
                return None
            self._held, self._result_bytes = rest, _length(line) or 0
        result = self._held[: self._result_bytes]
        if len(result) < self._result_bytes:
            return None
        self._held = self._held[len(result) :]
        self._result_bytes = -1
        self.state = ACKNOWLEDGED
        return Accepted() if result == ACCEPTS else Refused(result)

    def _break(self, why: str) -> Broken:
        self.state = UNKNOWN
        return Broken(why)


def _length(line: bytes) -> int | None:
    """How long the result behind this line is; None: it does not say."""
    try:
        length = int(line[_RESULT_BYTES:])
    except ValueError:
        return None
    return length if 0 <= length <= MAX_RESULT_BYTES else None


def shown(raw: bytes) -> str:
    """Bytes of a listener's, for the log."""
    more = "..." if len(raw) > MAX_SHOWN_BYTES else ""
    return repr(raw[:MAX_SHOWN_BYTES])[1:] + more
