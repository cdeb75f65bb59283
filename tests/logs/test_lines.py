"""Bytes into runs, and runs into text: whatever the bytes, and however they arrived."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initpy.logplan import at_line_begin
from initpy.logs.forms import Json, Prefix, Raw, Syslog, stamp
from initpy.logs.limits import RateLimit
from initpy.logs.lines import EVENT_BEGIN, EVENT_END, Run, cut, join, without_events
from initpy.logs.relay import ESCAPES

TIME_NS = 1_700_000_000_123_456_789
PIECES = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=20).map(str.encode),
    st.sampled_from(
        [b"\n", b"\n\n", b"\r\n", b"10%\r", b'{"a": 1}\n', b"\\", b'"', b"\x00", b"x" * 50]
    ),
)
BYTES = st.lists(PIECES, max_size=12).map(b"".join)
MAX_LINES = st.integers(8, 60)


def cuts(raw: bytes, at: list[int]) -> list[bytes]:
    """`raw` in pieces."""
    edges = [0, *sorted({place % (len(raw) + 1) for place in at}), len(raw)]
    return [raw[one:other] for one, other in pairwise(edges)]


def runs_of(pieces: list[bytes], max_line: int) -> list[Run]:
    """As a channel does it: what is left is put before what comes."""
    runs: list[Run] = []
    held, continues = b"", False
    for number, piece in enumerate(pieces):
        held += piece
        is_end = number + 1 == len(pieces)
        new, upto, continues = cut(held, max_line, continues=continues, is_end=is_end)
        runs += new
        held = held[upto:]
    assert held == b""
    return runs


def lines_of(runs: list[Run]) -> list[tuple[bytes, bool, bool]]:
    return [(line, run.continues, run.partial) for run in runs for line in run.lines()]


@given(BYTES, st.lists(st.integers(0, 1000), max_size=6), MAX_LINES)
def test_lines_do_not_depend_on_how_the_bytes_arrived(
    raw: bytes, at: list[int], max_line: int
) -> None:
    whole = runs_of([raw], max_line)
    assert lines_of(runs_of([*cuts(raw, at), b""], max_line)) == lines_of(whole)
    assert b"".join([run.raw for run in whole]) == raw


@given(BYTES, MAX_LINES)
def test_no_line_is_longer_than_max_line_and_only_cut_ones_are_marked(
    raw: bytes, max_line: int
) -> None:
    lines = lines_of(runs_of([raw], max_line))
    for line, _, partial in lines[:-1]:
        assert max_line - 4 < len(line) <= max_line if partial else len(line) <= max_line
    uncut = [line for line, rest, partial in lines if not (rest or partial)]
    assert uncut == [line for line in raw.split(b"\n")[:-1] if len(line) <= max_line]


def test_a_cut_line_is_a_piece_and_its_rest() -> None:
    runs = runs_of([b"short\n" + b"x" * 10 + b"yy\nnext\nend"], 10)
    assert lines_of(runs) == [
        (b"short", False, False),
        (b"x" * 10, False, True),
        (b"yy", True, False),
        (b"next", False, False),
        (b"end", False, True),
    ]


def test_many_lines_are_one_run() -> None:
    assert [run.raw for run in runs_of([b"a\nb\nc\n"], 10)] == [b"a\nb\nc\n"]


def test_no_character_is_cut() -> None:
    runs = runs_of(["ä€𝄞".encode() * 20 + b"\n"], 16)
    assert len(runs) > 5
    for run in runs:
        run.raw.decode()


def test_a_progress_bar_is_cut_when_it_has_grown_to_max_line() -> None:
    held, continues = b"", False
    for percent in range(1000):
        held += b"%d%%\r" % percent
        _, upto, continues = cut(held, 100, continues=continues)
        held = held[upto:]
        assert len(held) <= 100


EVENTS = st.lists(
    st.one_of(
        st.sampled_from([EVENT_BEGIN, EVENT_END, b"<!--", b"<!--XSUPERVISOR:", b"\n"]),
        st.binary(max_size=5),
    ),
    max_size=12,
).map(b"".join)


@given(EVENTS, st.lists(st.integers(0, 1000), max_size=6))
def test_events_are_left_out_however_they_arrive(raw: bytes, at: list[int]) -> None:
    pattern = re.escape(EVENT_BEGIN) + b".*?(?:" + re.escape(EVENT_END) + b"|$(?![\\s\\S]))"
    wanted = re.sub(pattern, b"", raw, flags=re.DOTALL)
    found, begun = b"", b""
    pieces = cuts(raw, at)
    for number, piece in enumerate(pieces):
        is_end = number + 1 == len(pieces)
        text, begun = without_events(begun + piece, is_end=is_end)
        found += text
        assert len(begun) < len(EVENT_BEGIN) + len(EVENT_END)
    assert (found, begun) == (wanted, b"")


# ---------------------------------------------------------------- forms


def parsed(raw: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in raw.splitlines()]


def message_of(entry: dict[str, Any]) -> bytes:
    """The bytes that a line had."""
    text: str = entry["message"]
    if entry.get("escaped"):
        pairs = re.sub(
            r"\\(\\|x..)",
            lambda it: chr(92) if it[1] == "\\" else chr(0xDC00 + int(it[1][1:], 16)),
            text,
        )
        raw = pairs.encode("utf-8", "surrogateescape")
    else:
        raw = text.encode()
    return raw if entry.get("partial") else raw + b"\n"


@given(BYTES, MAX_LINES)
def test_json_parses_and_its_messages_are_the_input(raw: bytes, max_line: int) -> None:
    formed = Json("web", "web_1", "stdout").form(runs_of([raw], max_line), TIME_NS, 7)
    entries = parsed(formed)
    assert b"".join([message_of(entry) for entry in entries]) == raw
    for entry in entries:
        assert entry["time"] == "2023-11-14T22:13:20.123456789Z"
        identity = [entry[key] for key in ("program", "process", "pid", "channel")]
        assert identity == ["web", "web_1", 7, "stdout"]


@given(BYTES, MAX_LINES)
def test_json_of_many_lines_at_once_is_that_of_each(raw: bytes, max_line: int) -> None:
    form = Json('we"b', "web", "stderr")
    runs = runs_of([raw], max_line)
    singly = []
    for run in runs:
        for line in run.lines():
            end = b"" if run.partial else b"\n"
            singly.append(Run(line + end, continues=run.continues, partial=run.partial))
    assert form.form(runs, TIME_NS, 7) == b"".join([form.form([one], TIME_NS, 7) for one in singly])


@given(BYTES, MAX_LINES)
def test_raw_is_the_input(raw: bytes, max_line: int) -> None:
    assert Raw().form(runs_of([raw], max_line), TIME_NS, 7) == raw


@given(BYTES, MAX_LINES)
def test_the_prefix_stands_before_each_line(raw: bytes, max_line: int) -> None:
    runs = runs_of([raw], max_line)
    formed = Prefix("web", 5).form(runs, TIME_NS, 7)
    wanted = [(b"web   + " if rest else b"web   | ") + line for line, rest, _ in lines_of(runs)]
    assert formed == b"".join([line + b"\n" for line in wanted])


def test_a_prefix_can_have_the_time_and_a_colour() -> None:
    form = Prefix("web", 3, colour=36, timestamps=True)
    now = stamp(TIME_NS)
    assert form.form([Run(b"hello\n")], TIME_NS, 7) == now + b" \x1b[36mweb |\x1b[0m hello\n"


def test_the_json_of_a_program_is_merged_with_ours() -> None:
    form = Json("web", "web", "stdout", merges=True)
    lines = b'{"level":"info","pid":1,"message":"hi"}\nplain\n{"not": json}\n[1]\n'
    merged, *others = parsed(form.form([Run(lines)], TIME_NS, 7))
    assert merged == {
        "time": "2023-11-14T22:13:20.123456789Z",
        "program": "web",
        "process": "web",
        "channel": "stdout",
        "pid": 7,
        "level": "info",
        "pid_": 1,
        "message": "hi",
    }
    assert [entry["message"] for entry in others] == ["plain", '{"not": json}', "[1]"]


def test_syslog_has_each_line_with_its_length() -> None:
    form = Syslog("web app", "stderr", "host")
    message = b"<11>1 2023-11-14T22:13:20.123456Z host webapp 7 - - hello"
    assert form.form([Run(b"hello\n")], TIME_NS, 7) == b"%d %b" % (len(message), message)


# ---------------------------------------------------------------- messages and limits


@given(st.lists(st.sampled_from([b"2024 start", b"  at x", b"Traceback", b""]), max_size=12))
def test_messages_begin_where_the_pattern_matches(lines: list[bytes]) -> None:
    raw = b"".join([line + b"\n" for line in lines])
    starts = re.compile(b"^(?:2024)", re.MULTILINE)
    runs, upto = join(raw, starts, 1000, is_end=True)
    assert (b"".join([run.raw for run in runs]), upto) == (raw, len(raw))
    for number, run in enumerate(runs):
        first, *rest = run.raw[:-1].split(b"\n")
        assert first.startswith(b"2024") or number == 0
        assert not any(line.startswith(b"2024") for line in rest)
    held = join(raw, starts, 1000, is_end=False)
    assert [run.raw for run in held[0]] == [run.raw for run in runs[:-1]]


def test_no_more_than_the_beginning_of_a_line_is_looked_at() -> None:
    starts = re.compile(at_line_begin(".*E"), re.MULTILINE)
    raw = b"x" * 127 + b"E\n" + b"x" * 128 + b"E\n" + b"E\n"
    runs, _ = join(raw, starts, 1000, is_end=True)
    assert [run.raw for run in runs] == [raw[:-2], b"E\n"]


def test_a_message_does_not_grow_beyond_max_line() -> None:
    raw = b"2024 a\n" + b"  more\n" * 10
    runs, _ = join(raw, re.compile(b"^(?:2024)", re.MULTILINE), 30, is_end=True)
    assert b"".join([run.raw for run in runs]) == raw
    assert max(len(run.raw) for run in runs) <= 30


def test_what_is_over_the_limit_is_dropped_and_counted() -> None:
    limit = RateLimit(3, 1.0)
    first, _ = limit.passed([Run(b"1\n2\n"), Run(b"3\n4\n5\n")], 10.0)
    assert [run.raw for run in first] == [b"1\n2\n", b"3\n"]
    assert limit.passed([Run(b"6\n")], 10.9)[0] == []
    assert [run.raw for run in limit.passed([Run(b"7\n")], 11.0)[0]] == [b"7\n"]
    assert (limit.take_dropped(), limit.take_dropped()) == (3, 0)


@given(
    st.lists(st.sampled_from([b"short\n", b"x" * 25 + b"\n"]), max_size=12),
    st.lists(st.integers(0, 1000), max_size=6),
    st.integers(1, 12),
)
def test_a_line_that_is_cut_is_dropped_whole_or_not_at_all(
    lines: list[bytes], at: list[int], most: int
) -> None:
    limit = RateLimit(most, 1.0)
    held, found = b"", b""
    continues = drops_rest = False
    for piece in cuts(b"".join(lines), at):
        held += piece
        runs, upto, continues = cut(held, 10, continues=continues)
        held = held[upto:]
        kept, drops_rest = limit.passed(runs, 10.0, drops_rest=drops_rest)
        found += b"".join([run.raw for run in kept])
    assert held == b""
    assert found == b"".join(lines[:most])
    assert limit.take_dropped() == len(lines[most:])


@pytest.mark.parametrize("byte", range(256))
def test_each_byte_in_a_line_survives_json(byte: int) -> None:
    raw = b"a%cb\n" % byte
    formed = Json("web", "web", "stdout").form(runs_of([raw], 20), TIME_NS, 7)
    assert b"".join([message_of(entry) for entry in parsed(formed)]) == raw


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (b'{"a":1e999}', None),
        (b'{"a":NaN}', None),
        (b'{"pid":1,"pid_":2}', {"pid": 7, "pid_": 1, "pid__": 2}),
        (b'{"time":"yesterday"}', {"time_": "yesterday"}),
    ],
)
def test_what_is_merged_is_json_and_loses_nothing(
    line: bytes, fields: dict[str, object] | None
) -> None:
    def refused(text: str) -> None:
        raise AssertionError(text)

    raw = Json("web", "web", "stdout", merges=True).form([Run(line + b"\n")], TIME_NS, 7)
    merged = json.loads(raw, parse_constant=refused)
    assert merged["time"] == stamp(TIME_NS).decode()
    expected = {"message": line.decode()} if fields is None else fields
    assert {name: merged[name] for name in expected} == expected


@pytest.mark.parametrize("pattern", ["ERR", "(?i)err", "(?xi) e r r", "(?:ERR|WARN)"])
def test_a_pattern_is_looked_for_at_the_beginning_of_lines(pattern: str) -> None:
    """With its own flags, too."""
    found = re.compile(at_line_begin(pattern), re.MULTILINE).finditer(b"ERROR\n no ERR\nERR")
    assert [match.start() for match in found] == [0, 14]


@pytest.mark.parametrize(
    "escape",
    [
        b"\x1b(B",
        b"\x1b7",
        b"\x1b8",
        b"\x1bc",
        b"\x1b=",
        b"\x1b#8",
        b"\x1b%G",
        b"\x1bM",
        b"\x1b[?25l",
        b"\x1b[38;5;1m",
        b"\x1b[2 q",
        b"\x1b]8;;http://a\x1b\\",
        b"\x1b]0;title\x07",
        b"\x1bP1$q\x1b\\",
        b"\x1b_apc\x1b\\",
        *[b"\x1b[1;2" + letter for letter in (b"H f A B C D R s u J K h l p m".split())],
    ],
)
def test_escape_sequences_are_taken_out(escape: bytes) -> None:
    """The last ones are those that supervisord knows."""
    raw = b"a" + escape + "bä".encode() + escape + b"\n"
    assert re.sub(ESCAPES, b"", raw) == "abä\n".encode()


def test_an_escape_sequence_ends_with_its_line() -> None:
    raw = b"\x1b[1mone\x1b[0m\n\x1b]0;title\ntwo\n\x07three\x1b]0;t\x07"
    assert re.sub(ESCAPES, b"", raw) == b"one\n0;title\ntwo\n\x07three"
