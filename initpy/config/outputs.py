"""What becomes of the output of programs: the kinds of settings that say it, and their sense."""

from __future__ import annotations

from initpy.config.expansion import expanded
from initpy.config.kinds import Flag, Kind, OneOf, Seconds, Whole, is_template, is_whole
from initpy.config.problems import shown
from initpy.config.tables import Field, read_fields, schema_of
from initpy.config.texts import Text
from initpy.core.values import Value
from initpy.logplan import (
    FILE,
    JSON,
    MAX_SINKS,
    PREFIX,
    RAW,
    START_BYTES,
    STREAM,
    SYSLOG,
    ChannelPlan,
    Sink,
    at_line_begin,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from initpy.config.expansion import Expander
    from initpy.config.kinds import Schema
    from initpy.config.problems import Place
    from initpy.config.reading import Block

INHERIT = "inherit"

AUTO = "AUTO"

SYSTEM_LOG = "unix:/dev/log"

_FORMS = {INHERIT: RAW, PREFIX: PREFIX, JSON: JSON}

_UNITS = {"": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30}

MAX_DIGITS = 15

_BLOCK, _DROP = "block", "drop"

_STREAMS = {
    "/dev/stdout": b"1",
    "/dev/fd/1": b"1",
    "/proc/self/fd/1": b"1",
    "/dev/stderr": b"2",
    "/dev/fd/2": b"2",
    "/proc/self/fd/2": b"2",
}


class Choice(Value):
    """One of the places that an Output names, not expanded yet."""

    kind: str
    """STREAM, FILE or SYSLOG."""
    target: str
    """FILE: the path; SYSLOG: the address."""
    place: Place
    options: dict[str, Any]


class ByteSize(Kind):
    """Read as a number of bytes."""

    @property
    def expected(self) -> str:
        return 'a number of bytes, or a string such as "50MB"'

    @property
    def schema(self) -> Schema:
        return {
            "type": ["integer", "string"],
            "minimum": 0,
            "pattern": "^[0-9]+ *([KkMmGg][Bb])?$|\\$\\{|%\\(",
        }

    def read(self, value: object, place: Place) -> int | None:
        if is_template(value):
            value = expanded(value, place, place.expander)
            if value is None:
                return None
        if is_whole(value) and value >= 0:
            return value
        if isinstance(value, str):
            text = value.strip().lower()
            unit = text[-2:] if text[-2:] in _UNITS else ""
            number = text.removesuffix(unit).rstrip()
            if number.isascii() and number.isdigit() and len(number) <= MAX_DIGITS:
                return int(number) * _UNITS[unit]
        place.expected(self.expected, value)
        return None


class Pattern(Kind):
    @property
    def expected(self) -> str:
        return "a regular expression, as Python has them"

    @property
    def schema(self) -> Schema:
        return {"type": "string", "minLength": 1}

    def read(self, value: object, place: Place) -> str | None:
        if not isinstance(value, str) or not value:
            place.expected(self.expected, value)
            return None
        import re  # noqa: PLC0415 - 3 ms, for those who want it

        try:
            re.compile(at_line_begin(value), re.MULTILINE)
        except (re.error, OverflowError, RecursionError) as exc:
            place.problem(f"it is no regular expression: {exc}")
            return None
        from initpy.config.patterns import MOST_WAYS, ways  # noqa: PLC0415 - as above

        if ways(value, START_BYTES) > MOST_WAYS:
            place.problem(
                "it may take too long to see that a line does not match: repeat no group that has a"
                " | or a repetition in it, and let at most two repetitions be without limit, such"
                ' as "+"; in place of others, write "{1,20}"'
            )
            return None
        return value


class RateLimitTable(Kind):
    """Read as (lines, seconds)."""

    @property
    def expected(self) -> str:
        return "a table such as { lines = 1000, per = 1 }"

    @property
    def schema(self) -> Schema:
        return schema_of(_RATE_LIMIT)

    def read(self, value: object, place: Place) -> tuple[int, float] | None:
        found = read_fields(value, place, self.expected, _RATE_LIMIT)
        return None if found is None else (found["lines"], found["per"])


class Output(Kind):
    """Where output goes; read as a tuple of `Choice`."""

    @property
    def expected(self) -> str:
        return (
            '"inherit", "prefix" or "json", a table such as { file = "/var/log/web.log" } or '
            '{ syslog = "unix:/dev/log" }, or a list of these'
        )

    @property
    def label(self) -> str:
        return '"inherit", "prefix", "json", a table, or a list of these'

    @property
    def schema(self) -> Schema:
        one = {
            "anyOf": [
                {"enum": list(_FORMS)},
                *[schema_of(fields) for fields in (_STREAM, _FILE, _SYSLOG)],
            ]
        }
        items = {"type": "array", "items": one, "minItems": 1, "maxItems": MAX_SINKS}
        return {"anyOf": [*one["anyOf"], items]}

    @property
    def expands(self) -> bool:
        return True

    def read(self, value: object, place: Place) -> tuple[Choice, ...] | None:
        if not isinstance(value, list):
            choice = self._read_one(value, place)
            return None if choice is None else (choice,)
        if not 1 <= len(value) <= MAX_SINKS:
            place.problem(f"expected one to {MAX_SINKS} of them, not a list of {len(value)}")
            return None
        choices = [self._read_one(item, place.at(number)) for number, item in enumerate(value)]
        found = tuple([choice for choice in choices if choice is not None])
        return found if len(found) == len(value) else None

    def _read_one(self, value: object, place: Place) -> Choice | None:
        if isinstance(value, str) and value in _FORMS:
            return Choice(STREAM, "", place, {"stream": value})
        for key, kind, fields in _TABLES:
            if isinstance(value, dict) and key in value:
                found = read_fields(value, place, self.expected, fields)
                if found is None:
                    return None
                return Choice(kind, found[key] if kind != STREAM else "", place.at(key), found)
        place.expected(self.expected, value)
        return None


_RATE_LIMIT = (Field("lines", Whole(1)), Field("per", Seconds(above_zero=True), 1))

_POLICY = Field("policy", OneOf((_BLOCK, _DROP)), _BLOCK)

_STREAM = (
    Field("stream", OneOf(tuple(_FORMS))),
    Field("timestamps", Flag(), False),
    _POLICY,
)

_FILE = (
    Field("file", Text("a file")),
    Field("max_bytes", ByteSize(), "50MB"),
    Field("backups", Whole(0), 10),
    Field("compress", Flag(), False),
    Field("format", OneOf((RAW, PREFIX, JSON)), RAW),
    Field("timestamps", Flag(), False),
    _POLICY,
)

_SYSLOG = (
    Field("syslog", Text("unix:PATH, udp:HOST:PORT or tcp:HOST:PORT")),
    _POLICY,
)

_TABLES = (("stream", STREAM, _STREAM), ("file", FILE, _FILE), ("syslog", SYSLOG, _SYSLOG))

OWN_NAME = "initpy"
"""What stands before initpy's own lines, where they have a prefix."""

TEXT = "text"
"""What initpy's own lines are where those of programs have no form."""

_ABOUT_LINES = ("multiline", "json_merge")


class Outputs(Value):
    """What becomes of a process's output, as a ProcessSpec has it."""

    stdout: ChannelPlan | None
    stderr: ChannelPlan | None


def stream_forms(choices: tuple[Choice, ...]) -> list[str]:
    """The forms of what goes to the container's stdout and stderr."""
    return [_FORMS[it.options["stream"]] for it in choices if it.kind == STREAM]


class Defaults(Value):
    """What [init] says."""

    choices: tuple[Choice, ...]
    folder: tuple[str | None, Place]
    """That of generated files, not expanded yet."""
    temporary: str
    """The same if it says nothing."""
    files: dict[bytes, tuple[str, tuple[tuple[str, object], ...]]]
    """Each file that is written to, as they are found: whose it is, and with what settings."""


def outputs(
    block: Block, process: str, by_default: Defaults, expander: Expander, told_as: str
) -> Outputs:
    """What a program's settings say of one of its processes. `told_as`: under this name, event
    listeners may hear of its output; empty: there are none."""
    channels = [
        _channel(block, process, channel, by_default, expander, told_as)
        for channel in ("stdout", "stderr")
    ]
    for key in ("stderr", "stderr_logfile") if block.options["redirect_stderr"] else ():
        if key in block.given and block.options[key] not in (AUTO, "NONE"):
            block.at(key).problem(
                "it has no meaning with redirect_stderr: its stderr is its stdout", is_warning=True
            )
    if channels == [None, None]:
        for key in _ABOUT_LINES:
            if block.options[key]:
                text = 'it has no meaning where output is "inherit"'
                block.at(key).problem(text, is_warning=True)
    return Outputs(*channels)


def _channel(
    block: Block,
    process: str,
    channel: str,
    by_default: Defaults,
    expander: Expander,
    told_as: str,
) -> ChannelPlan | None:
    options = block.options
    own_fd = b"1" if channel == "stdout" else b"2"
    key = f"{channel}_logfile"
    for other in (channel, "log"):
        if key in block.given and other in block.given:
            block.at(key).problem(f"{shown(other)} says already where it goes")
            return None
    choices = options[channel] or options["log"]
    if choices is None and options[key] is not None:
        choices = _logfile(block, process, channel, by_default)
    if choices is None:
        choices = by_default.choices
    if options[f"{channel}_syslog"]:
        place = block.at(f"{channel}_syslog")
        choices = (*choices, Choice(SYSLOG, SYSTEM_LOG, place, {}))
        if len(choices) > MAX_SINKS:
            place.problem(f"its {channel} goes to {MAX_SINKS} places already")
    sinks = [_sink(choice, own_fd, options["json_merge"], expander) for choice in choices]
    for sink, choice in zip(sinks, choices, strict=True) if options["enabled"] else ():
        if sink is not None and sink.kind == FILE:
            _see_who_else_writes(sink, choice, f"the {channel} of {shown(process)}", by_default)
    tells_all: bool = options[f"{channel}_events_enabled"]
    capture_bytes: int = options[f"{channel}_capture_maxbytes"]
    if not (tells_all or capture_bytes):
        told_as = ""
    if told_as and not sinks:
        sinks = [Sink(FILE, b"/dev/null")]  # it goes nowhere else, but it has to be read
    is_inherited = sinks == [Sink(STREAM, own_fd)] and not options["strip_ansi"] and not told_as
    if is_inherited and options["rate_limit"] is None:
        return None
    return ChannelPlan(
        program=block.name,
        process=process,
        channel=channel,
        sinks=tuple([sink for sink in sinks if sink is not None]),
        max_line=options["max_line"],
        rate_limit=options["rate_limit"],
        multiline=options["multiline"] or "",
        strip_ansi=options["strip_ansi"],
        told_as=told_as,
        tells_all=bool(told_as) and tells_all,
        capture_bytes=capture_bytes if told_as else 0,
    )


def _logfile(block: Block, process: str, channel: str, by_default: Defaults) -> tuple[Choice, ...]:
    """supervisord's setting."""
    text = block.options[f"{channel}_logfile"]
    place = block.at(f"{channel}_logfile")
    if text.upper() in ("NONE", "OFF"):
        return ()
    if text == "syslog":
        return (Choice(SYSLOG, SYSTEM_LOG, place, {}),)
    found = {
        "max_bytes": block.options[f"{channel}_logfile_maxbytes"],
        "backups": block.options[f"{channel}_logfile_backups"],
        "compress": False,
        "format": RAW,
        "timestamps": False,
    }
    if text.upper() == AUTO:
        found["name"] = f"{process}-{channel}---{block.name}.log".replace("/", "_")
        folder, place = by_default.folder
        text = folder or by_default.temporary
    return (Choice(FILE, text, place, found),)


def _see_who_else_writes(sink: Sink, choice: Choice, whose: str, by_default: Defaults) -> None:
    settings = (
        ("max_bytes", sink.max_bytes),
        ("backups", sink.backups),
        ("compress", sink.gzips),
    )
    first, others = by_default.files.setdefault(sink.target, (whose, settings))
    different = [
        f"{name} = {_toml(there)} there and {_toml(here)} here"
        for (name, here), (_, there) in zip(settings, others, strict=True)
        if here != there
    ]
    if different:
        path = shown(sink.target.decode(errors="surrogateescape"))
        text = f"{first} goes to {path} as well, which is rotated in one way only: "
        choice.place.problem(text + ", ".join(different), is_warning=True)


def _toml(value: object) -> str:
    return str(value).lower()


def _sink(choice: Choice, own_fd: bytes, merges: bool, expander: Expander) -> Sink | None:
    options = choice.options
    drops = options.get("policy") == _DROP
    stamps = options.get("timestamps", False)
    if choice.kind == STREAM:
        form = _FORMS[options["stream"]]
        merges = merges and form == JSON
        return Sink(STREAM, own_fd, form, drops, timestamps=stamps, merges_json=merges)
    target = expanded(choice.target, choice.place, expander)
    if not target:
        return None
    if choice.kind == SYSLOG:
        from initpy.logs.syslog import Address  # noqa: PLC0415 - few have any

        try:
            Address(target)
        except ValueError as exc:
            choice.place.problem(f"{shown(target)} is no address of a syslog server: {exc}")
        return Sink(SYSLOG, target.encode("utf-8", "surrogateescape"), drops=drops)
    if target in _STREAMS and "name" not in options:
        form = options["format"]
        return Sink(STREAM, _STREAMS[target], form, drops, timestamps=stamps, merges_json=merges)
    import os  # noqa: PLC0415 - for a file only: most write none

    path = os.path.abspath(os.path.join(target, options.get("name", "")).rstrip("/"))
    if not os.path.isdir(os.path.dirname(path)):
        text = f"there is no directory {shown(os.path.dirname(path))}"
        choice.place.problem(text, is_warning=True)
    return Sink(
        FILE,
        os.fsencode(path),
        options["format"],
        drops,
        options["max_bytes"],
        options["backups"],
        options["compress"],
        stamps,
        merges,
        "name" in options,
    )
