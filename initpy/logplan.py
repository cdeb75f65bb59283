"""Floor 0: what is to be done with the output of programs, as the configuration says and the relay
gets it."""

from __future__ import annotations

from initpy.core.values import Value

# What a sink is.
STREAM, FILE, SYSLOG = "stream", "file", "syslog"

# What is made of a program's lines.
RAW, PREFIX, JSON = "raw", "prefix", "json"

# Exit codes of the relay: everything is where it belongs; it was to leave; the drain had its time.
DRAINED, LEFT, OUT_OF_TIME = 0, 4, 3

MAX_SINKS = 4
"""Of one channel."""

MAX_LINE_BYTES = 64 * 1024
"""The default of `max_line`."""

MOST_LINE_BYTES = 128 * 1024

START_BYTES = 128
"""Of so much of a line it is seen whether it begins a message."""


class Sink(Value):
    """Where output goes, and in which form."""

    kind: str
    """STREAM, FILE or SYSLOG."""
    target: bytes
    """STREAM: b"1" or b"2", initpy's own stdout or stderr; FILE: the path; SYSLOG: the address, as
    unix:/dev/log, udp:HOST:PORT or tcp:HOST:PORT."""
    form: str = RAW
    """RAW, PREFIX or JSON; a SYSLOG sink has its own."""
    drops: bool = False
    """What a stalled sink does not take is dropped and counted; else its programs wait."""
    max_bytes: int = 0
    """FILE: where to rotate; 0: never."""
    backups: int = 0
    """FILE: how many old files are kept."""
    gzips: bool = False
    """FILE: old files are compressed."""
    timestamps: bool = False
    """PREFIX: each line has the time before it."""
    merges_json: bool = False
    """JSON: a line that is an object already has its fields in ours."""
    is_generated: bool = False
    """FILE: the name is made up, in a directory that others may write to: it is for its owner only,
    and no symbolic link is followed."""


class ChannelPlan(Value):
    """What becomes of one channel of one process."""

    program: str
    process: str
    channel: str
    """stdout or stderr."""
    sinks: tuple[Sink, ...]
    """At most MAX_SINKS."""
    max_line: int = MAX_LINE_BYTES
    """Longer lines are cut, and the pieces marked."""
    rate_limit: tuple[int, float] | None = None
    """At most so many lines in so many seconds; the rest is dropped, and counted."""
    multiline: str = ""
    """A regular expression that a message's first line matches, at its beginning; empty: each line
    is one."""
    strip_ansi: bool = False
    """Escape sequences of terminals are left out."""
    told_as: str = ""
    """The process's key, where event listeners hear of this output; empty: they do not."""
    tells_all: bool = False
    """They hear of all of it (PROCESS_LOG)."""
    capture_bytes: int = 0
    """They hear of what is between marks, which is left out of the output (PROCESS_COMMUNICATION),
    of so much of it; 0: there are no marks."""


class Channel(Value):
    """A channel that the relay is to serve."""

    slot: int
    """Its place in the memory file."""
    fd: int
    """The read end of its pipe."""
    plan: ChannelPlan
    pid: int
    """Of the instance that writes to it; 0: there is none, and an unfinished line is finished."""
    serial: int = 0
    """Its alone: the place in the memory file may have been another's."""
    last_pid: int = 0
    """Of the last instance that wrote to it, ended or not; 0: there was none."""


class Captured(Value):
    """Where the tail of a channel is found by whoever reads it: see logs.memory.Tail."""

    key: str
    """The process's."""
    channel: str
    """stdout, with redirect_stderr that of both, or stderr."""
    slot: int
    serial: int
    file: bytes
    """The path of the first file that it goes to; empty: it goes to none."""


class LogPlan(Value):
    """All that a relay is started with."""

    channels: tuple[Channel, ...]
    memory_fd: int
    """The memory file: see logs.memory."""
    commands_fd: int
    """Frames come from here: a tuple of the command's name and its arguments. ("starting", slot,
    birth), before it is forked, ("started", slot, pid) and ("ended", slot) of an instance: the
    answer to the first is ("marked", serial, birth), unless birth is 0, as the first instance's is;
    ("close", slot): when all that was written to it is where it belongs, serve it no more, and say
    ("closed", serial); ("reopen",) the files; ("drain", seconds) all that has been written, and
    end; ("leave",) at once. End of file is "leave" too."""
    prefix_width: int = 0
    """How wide the names before the lines are, if not as the longest of these channels."""
    events_fd: int = -1
    """A packet goes here for what a channel with `told_as` has written: a frame of (told_as,
    channel, pid, bytes). What it does not take is dropped. -1: nobody hears of it."""


def at_line_begin(pattern: str) -> bytes:
    """The regular expression `multiline` as it is looked for: at the beginning of a line. Flags at
    its own beginning, such as `(?i)`, hold for all of it."""
    raw = pattern.encode("utf-8", "surrogateescape")
    flags = b""
    if raw.startswith(b"(?"):
        end = raw.find(b")")
        if end > 2 and raw[2:end].isalpha():
            flags, raw = raw[2:end], raw[end + 1 :]
    return b"(?%b:^(?:%b))" % (flags, raw) if flags else b"^(?:%b)" % raw
