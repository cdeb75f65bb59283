"""Events in the output of programs, alone and beside supervisord's own class."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initpy.control.events.capture import BEGIN, END, Capture, Output, Told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.control.events.capture import Piece


def parts(pieces: list[Piece]) -> tuple[bytes, list[bytes]]:
    """The output, and what was told."""
    output = b"".join(it.raw for it in pieces if isinstance(it, Output))
    return output, [it.raw for it in pieces if isinstance(it, Told)]


def test_what_is_between_the_marks_is_told_and_the_rest_is_output() -> None:
    pieces = Capture(100).feed(b"a" + BEGIN + b"event" + END + b"b" + BEGIN + END)
    assert pieces == [Output(b"a"), Told(b"event"), Output(b"b"), Told(b"")]


def test_what_cannot_become_a_mark_is_not_held_back() -> None:
    """supervisord holds back, and at the end loses, up to 24 bytes."""
    capture = Capture(100)
    assert capture.feed(b"hi") == [Output(b"hi")]
    assert capture.feed(b"so <!--") == [Output(b"so ")]
    assert capture.feed(b"hi") == [Output(b"<!--hi")]


def test_nothing_is_lost_at_the_end() -> None:
    capture = Capture(100)
    capture.feed(b"<!--X")
    assert capture.end() == [Output(b"<!--X")]
    capture.feed(BEGIN + b"half an event" + END[:5])
    assert capture.end() == [Output(BEGIN + b"half an event" + END[:5])]
    assert capture.end() == []
    assert capture.feed(b"x") == [Output(b"x")]


def test_of_a_long_event_its_end_is_told() -> None:
    capture = Capture(4)
    assert capture.feed(BEGIN + b"abc") == []
    assert capture.feed(b"def" + END) == [Told(b"cdef")]


WORDS = st.sampled_from([BEGIN, END, BEGIN[:9], END[:20], b"<", b"<!--X", b"text", b"\n", b"\xff"])
TEXT = st.lists(WORDS | st.binary(max_size=3), max_size=12).map(b"".join)


@given(TEXT)
def test_it_does_not_depend_on_how_the_bytes_arrive(text: bytes) -> None:
    whole, cut = Capture(1000), Capture(1000)
    found = [it for byte in text for it in cut.feed(bytes([byte]))]
    assert parts(found + cut.end()) == parts(whole.feed(text) + whole.end())


@given(TEXT, st.lists(st.integers(0, 300), max_size=4))
def test_it_is_what_supervisord_makes_of_it(text: bytes, cuts: list[int]) -> None:
    pytest.importorskip("supervisor")
    from tests.control.events import theirs

    ours, other = Capture(1000), theirs.Capture(1000)
    pieces: list[Piece] = []
    at = [0, *sorted(cuts), len(text)]
    for start, end in zip(at, at[1:], strict=False):  # noqa: RUF007 - Python 3.10 has pairwise
        if text[start:end]:
            pieces += ours.feed(text[start:end])
            other.feed(text[start:end])
    for _ in range(30):  # it does not look at what is no longer than a mark
        pieces += ours.feed(b".")
        other.feed(b".")
    output, told = parts(pieces)
    assert told == other.told
    assert output in (other.log.raw, other.log.raw + other.held)
