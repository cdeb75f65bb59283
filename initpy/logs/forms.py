"""What is made of a program's lines: raw, with a prefix, JSON, or messages for syslog.

Each form is a function of runs, the time and a pid, and gives the same number of bytes whenever it
is given the same: a relay that takes over from a dead one goes on in the middle of it.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from initpy.logs.lines import Run

    class Form(Protocol):
        def form(self, runs: Sequence[Run], time_ns: int, pid: int) -> bytes: ...


COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
"""Of the names before the lines, on a terminal: cyan, yellow, green …"""

_PLAIN = bytes(byte for byte in range(0x20, 0x80) if byte not in b'"\\') + b"\n"
_HIGH = bytes(range(0x80, 0x100))
_ESCAPES = {byte: b"\\u%04x" % byte for byte in range(0x20) if byte != 10} | {
    8: b"\\b",
    9: b"\\t",
    12: b"\\f",
    13: b"\\r",
}


def stamp(time_ns: int) -> bytes:
    """RFC 3339, UTC, with nine decimals: always 30 bytes."""
    seconds, ns = divmod(time_ns, 10**9)
    return b"%04d-%02d-%02dT%02d:%02d:%02d.%09dZ" % (*time.gmtime(seconds)[:6], ns)


class Raw:
    """The bytes as they are."""

    def form(self, runs: Sequence[Run], time_ns: int, pid: int) -> bytes:  # noqa: ARG002
        return b"".join([run.raw for run in runs])


class Prefix:
    """Each line with the name of its process before it: `name | line`, and `name + rest` for what
    goes on with a line that was cut."""

    def __init__(self, name: str, width: int, *, colour: int = 0, timestamps: bool = False) -> None:
        """`width` is that of the longest name; `colour` the number of one, 0 for none."""
        padded = name.encode(errors="replace") + b" " * (width - len(name))
        on, off = (b"\x1b[%dm" % colour, b"\x1b[0m") if colour else (b"", b"")
        self._line = on + padded + b" |" + off + b" "
        self._rest = on + padded + b" +" + off + b" "
        self._timestamps = timestamps

    def form(self, runs: Sequence[Run], time_ns: int, pid: int) -> bytes:  # noqa: ARG002
        line, rest = self._line, self._rest
        if self._timestamps:
            now = stamp(time_ns) + b" "
            line, rest = now + line, now + rest
        parts: list[bytes | memoryview] = []
        for run in runs:
            parts.append(rest if run.continues else line)
            if run.partial:
                parts += [run.raw.replace(b"\n", b"\n" + line), b"\n"]
            else:
                lines = memoryview(run.raw.replace(b"\n", b"\n" + line))
                parts.append(lines[: -len(line)])
        return b"".join(parts)


class Json:
    """A JSON object for each line. Invalid UTF-8 is written as \\xNN (and a backslash, in that
    line, as two), and the line marked with "escaped"."""

    def __init__(self, program: str, process: str, channel: str, *, merges: bool = False) -> None:
        self._who = (
            b',"program":'
            + _string(program.encode(errors="surrogateescape"))
            + b',"process":'
            + _string(process.encode(errors="surrogateescape"))
        )
        self._channel = b',"channel":' + _string(channel.encode())
        self._own = {"program": program, "process": process, "channel": channel}
        self._merges = merges

    def form(self, runs: Sequence[Run], time_ns: int, pid: int) -> bytes:
        head = b'{"time":"%b"%b,"pid":%d%b' % (stamp(time_ns), self._who, pid, self._channel)
        begin, end = head + b',"message":"', b'"}\n'
        parts = []
        for run in runs:
            if not (run.partial or run.continues or run.is_message or self._merges):
                body = _escaped(run.raw[:-1])
                if body is not None:
                    parts.append(begin + body.replace(b"\n", end + begin) + end)
                    continue
            parts += [self._object(line, head, time_ns, pid, run) for line in run.lines()]
        return b"".join(parts)

    def _object(self, line: bytes, head: bytes, time_ns: int, pid: int, run: Run) -> bytes:
        if self._merges and line[:1] == b"{" and not (run.partial or run.continues):
            merged = self._merged(line, time_ns, pid)
            if merged:
                return merged
        body = _escaped(line)
        mark = b""
        if body is None:
            text = line.replace(b"\\", b"\\\\").decode(errors="backslashreplace")
            body, mark = _escaped(text.encode()) or b"", b',"escaped":true'
        if run.partial:
            mark += b',"partial":true'
        return b'%b,"message":"%b"%b}\n' % (head, body.replace(b"\n", b"\\n"), mark)

    def _merged(self, line: bytes, time_ns: int, pid: int) -> bytes:
        """The program's own object among our fields; empty if the line is none."""
        import json  # noqa: PLC0415 - 1 MB, for those who want it

        try:
            theirs = json.loads(line)
            if type(theirs) is not dict:
                return b""
            fields = {"time": stamp(time_ns).decode(), **self._own, "pid": pid}
            for key, value in theirs.items():
                while key in fields:
                    key += "_"  # noqa: PLW2901 - ours stay, and none of theirs is lost
                fields[key] = value
            # What JSON has no number for (1e999, NaN) stays text.
            return json.dumps(fields, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        except (ValueError, RecursionError):
            return b""


class Syslog:
    """A message of RFC 5424 for each line, with its length before it (RFC 6587)."""

    def __init__(self, program: str, channel: str, host: str) -> None:
        severity = 3 if channel == "stderr" else 6
        self._head = b"<%d>1 " % (8 + severity)  # user-level messages
        self._host = _word(host, 255)
        self._name = _word(program, 48)

    def form(self, runs: Sequence[Run], time_ns: int, pid: int) -> bytes:
        now = stamp(time_ns)[:26] + b"Z"  # it takes six decimals at the most
        head = b"%b%b %b %b %d - - " % (self._head, now, self._host, self._name, pid)
        size = len(head)
        return b"".join(
            [b"%d %b%b" % (size + len(line), head, line) for run in runs for line in run.lines()]
        )


def _word(text: str, most: int) -> bytes:
    word = bytes(byte for byte in text.encode() if 33 <= byte <= 126)
    return word[:most] or b"-"


def _string(raw: bytes) -> bytes:
    body = _escaped(raw.decode(errors="replace").encode()) or b""
    return b'"%b"' % body.replace(b"\n", b"\\n")


def _escaped(raw: bytes) -> bytes | None:
    """`raw` as it stands in a JSON string, but for newlines, which stay; None: it is no UTF-8."""
    special = raw.translate(None, _PLAIN)
    if not special:
        return raw
    if not special.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError:
            return None
        special = special.translate(None, _HIGH)
    if b"\\" in special:
        raw = raw.replace(b"\\", b"\\\\")
    if b'"' in special:
        raw = raw.replace(b'"', b'\\"')
    for control in set(special.translate(None, b'"\\')):
        raw = raw.replace(b"%c" % control, _ESCAPES[control])
    return raw
