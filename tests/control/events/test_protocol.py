"""A listener's half of the protocol, alone and beside supervisord's own class."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initpy.control.events.protocol import (
    ACKNOWLEDGED,
    BUSY,
    MAX_LINE_BYTES,
    MAX_RESULT_BYTES,
    READY,
    UNKNOWN,
    Accepted,
    Broken,
    Listener,
    Ready,
    Refused,
)


def busy() -> Listener:
    """One that has an event."""
    listener = Listener()
    assert listener.feed(b"READY\n") == [Ready()]
    listener.send()
    return listener


def test_it_asks_for_an_event_accepts_it_and_asks_for_the_next() -> None:
    listener = Listener()
    assert listener.state == ACKNOWLEDGED
    assert listener.feed(b"READY\n") == [Ready()]
    assert listener.state == READY
    listener.send()
    assert listener.state == BUSY
    assert listener.feed(b"RESULT 2\nOKREADY\n") == [Accepted(), Ready()]
    assert listener.state == READY


def test_anything_but_ok_refuses() -> None:
    listener = busy()
    assert listener.feed(b"RESULT 4\nFAIL") == [Refused(b"FAIL")]
    assert listener.state == ACKNOWLEDGED


def test_a_result_of_no_bytes_counts_at_once() -> None:
    """supervisord waits for the next byte, which will not come before there is an answer."""
    assert busy().feed(b"RESULT 0\n") == [Refused(b"")]


def test_the_word_before_the_length_can_be_any() -> None:
    assert busy().feed(b"Result 2\nOK") == [Accepted()]


@pytest.mark.parametrize("raw", [b"x", b"READX", b"READY!", b"RESULT 2\nOK"])
def test_whoever_is_to_ask_and_does_not_is_broken(raw: bytes) -> None:
    listener = Listener()
    (said,) = listener.feed(raw)
    assert isinstance(said, Broken)
    assert repr(raw)[1:] in said.why
    assert listener.state == UNKNOWN
    assert listener.feed(b"READY\n") == []
    assert listener.state == UNKNOWN


def test_whoever_writes_while_it_waits_is_broken() -> None:
    listener = Listener()
    said = listener.feed(b"READY\nhello")
    assert [type(it) for it in said] == [Ready, Broken]
    assert listener.state == UNKNOWN


@pytest.mark.parametrize(
    "line",
    [b"RESULT abc", b"", b"RESULT", b"RESULT -1", b"RESULT %d" % (MAX_RESULT_BYTES + 1)],
)
def test_a_line_that_says_no_length_is_nonsense(line: bytes) -> None:
    listener = busy()
    (said,) = listener.feed(line + b"\nOK")
    assert isinstance(said, Broken)
    assert "bad result line" in said.why
    assert listener.state == UNKNOWN


def test_a_line_without_an_end_is_nonsense_before_it_fills_the_memory() -> None:
    listener = busy()
    assert listener.feed(b"R" * MAX_LINE_BYTES) == []
    (said,) = listener.feed(b"R")
    assert isinstance(said, Broken)


def test_the_longest_result_is_taken() -> None:
    raw = b"x" * MAX_RESULT_BYTES
    assert busy().feed(b"RESULT %d\n" % len(raw) + raw) == [Refused(raw)]


def test_who_is_not_ready_takes_no_event() -> None:
    listener = Listener()
    with pytest.raises(ValueError, match="ACKNOWLEDGED takes no event"):
        listener.send()


WORDS = st.sampled_from(
    [
        b"READY\n",
        b"READY",
        b"\n",
        b"RESULT 2\nOK",
        b"RESULT 4\nFAIL",
        b"RESULT 12\n",
        b"RESULT 3\r\nOK\n",
        b"RESULT  2 \nOK",
        b"RESULT +1_0\nREADY",
        b"RESULT x\n",
        b"RESULT 0\n",
        b"garbage",
        b"\xff\x00",
    ]
)
TALK = st.lists(WORDS | st.binary(max_size=12), max_size=12).map(b"".join)


@given(TALK, st.lists(st.integers(0, 200), max_size=8), st.booleans())
def test_what_it_says_does_not_depend_on_how_the_bytes_arrive(
    talk: bytes, cuts: list[int], has_event: bool
) -> None:
    """With or without an event when the bytes come: what is said is the same; of nonsense, as much
    is shown as has come."""

    def saying(chunks: list[bytes]) -> tuple[list[object], str]:
        listener = busy() if has_event else Listener()
        said = [it for chunk in chunks for it in listener.feed(chunk)]
        return [Broken if isinstance(it, Broken) else it for it in said], listener.state

    at = [0, *sorted(cuts), len(talk)]
    chunks = [talk[start:end] for start, end in pairwise(at)]
    whole = saying([talk])
    assert saying(chunks) == whole
    assert saying([bytes([byte]) for byte in talk]) == whole


@given(TALK, st.booleans())
def test_it_is_where_supervisord_has_it(talk: bytes, byte_by_byte: bool) -> None:
    """The same bytes to supervisord's dispatcher: the same states, an event sent to both whenever
    both are READY. Where ours differs is in the theory of `protocol`."""
    pytest.importorskip("supervisor")
    from tests.control.events.theirs import Options, Process

    theirs = Process("x", "x", Options())
    ours = Listener()
    chunks = [bytes([byte]) for byte in talk] if byte_by_byte else [talk]
    for chunk in chunks:
        said = ours.feed(chunk)
        theirs.says(chunk)
        broke_early = ours.state == UNKNOWN and theirs.listener == ACKNOWLEDGED
        of_no_bytes = Refused(b"") in said or theirs.dispatcher.resultlen == 0
        endless = ours.state == UNKNOWN and theirs.listener == BUSY
        if broke_early:
            assert len(theirs.dispatcher.state_buffer) < len(b"READY\n")
        if endless:
            is_negative = (theirs.dispatcher.resultlen or 0) < 0
            assert is_negative or len(theirs.dispatcher.state_buffer) > MAX_LINE_BYTES
        if broke_early or of_no_bytes or endless:
            return
        assert ours.state == theirs.listener
        if ours.state == READY:
            ours.send()
            theirs.listener_state = 20  # BUSY
            theirs.event = object()
