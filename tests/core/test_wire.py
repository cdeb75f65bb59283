"""The codec between PID 1 and its helpers: what goes in comes out, and nonsense is refused."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from initpy import wire
from initpy.core.states import ExitStatus
from initpy.core.values import Value
from initpy.plan import Plan, ProcessSpec, SignalRule
from initpy.wire import MAX_DEPTH, MAX_FRAME_BYTES, Frames, WireError, decode, encode, frame
from tests.core.profile import REPEATABLE
from tests.core.specs import plan, spec

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),  # no surrogates: those have a test of their own
    st.binary(),
)

RUNS = st.lists(st.binary(max_size=4), max_size=2).map(tuple)
SPECS = st.builds(
    ProcessSpec,
    key=st.text(max_size=4),
    name=st.just("web"),
    group=st.just("web"),
    program=st.just("web"),
    argv=RUNS,
    paths=st.just((b"/usr/bin/prog",)),
    environment=st.dictionaries(st.binary(max_size=2), st.binary(), max_size=2).map(
        lambda table: tuple(table.items())
    ),
    after=st.sampled_from([(), ("a", "b")]),
    startsecs=st.floats(0, 1e9),
    critical=st.booleans(),
)
PLANS = st.builds(
    Plan,
    processes=st.lists(SPECS, max_size=3).map(tuple),
    signals=st.lists(st.builds(SignalRule, st.integers(1, 64), st.just("ignore")), max_size=2).map(
        tuple
    ),
)
VALUES = st.recursive(
    st.one_of(SCALARS, PLANS, SPECS),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


@REPEATABLE
@given(VALUES)
def test_what_is_encoded_is_decoded_to_the_same(value: object) -> None:
    assert decode(encode(value)) == value


@REPEATABLE
@given(SCALARS)
def test_the_type_comes_back_too(value: object) -> None:
    """1, 1.0 and True are equal, and not the same."""
    assert type(decode(encode(value))) is type(value)


def test_not_a_number_comes_back() -> None:
    value = decode(encode(float("nan")))
    assert isinstance(value, float)
    assert value != value  # noqa: PLR0124 - only nan is


def test_bytes_that_are_no_text_travel_as_text() -> None:
    text = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert decode(encode(text)) == text


@pytest.mark.parametrize(
    "value",
    [[], {}, set(), object(), ExitStatus(code=0), 1j, bytearray(b"x"), Value(), (1, [2]), plan],
)
def test_what_it_does_not_carry_is_refused(value: object) -> None:
    with pytest.raises(WireError):
        encode(value)


@pytest.mark.parametrize("value", ["\ud800", 10**5000], ids=["half a pair", "a huge int"])
def test_what_cannot_be_written_is_refused_in_the_same_way(value: object) -> None:
    """Half a surrogate pair; an int that Python refuses to print (where it does)."""
    try:
        raw = encode(value)
    except WireError:
        return
    assert decode(raw) == value


@REPEATABLE
@given(st.binary(max_size=200))
@example(b"")
@example(b"i\x00\x00\x00\x02--")
@example(b"i\x00\x00\x00\x00")
@example(b"f\x00\x00\x00\x01x")
@example(b"s\x00\x00\x00\x01")
@example(b"s\xff\xff\xff\xff")
@example(b"t\x00\x00\x00\x02N")
@example(b"t\xff\xff\xff\xffN")
@example(b"t\x00\x00\x00\x01" * 100)
@example(b"i\x00\x00\x27\x10" + b"9" * 10000)
@example(b"NN")
@example(b"P")
@example(b"SNNNN")
def test_random_bytes_are_refused_or_are_a_value(raw: bytes) -> None:
    try:
        value = decode(raw)
    except WireError:
        return
    assert encode(value) is not None


@REPEATABLE
@given(PLANS, st.data())
def test_one_changed_byte_never_does_worse_than_be_refused(
    value: Plan, data: st.DataObject
) -> None:
    raw = bytearray(encode(value))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(WireError):
        decode(bytes(raw))


@REPEATABLE
@given(VALUES, st.data())
def test_what_is_cut_short_or_too_long_is_refused(value: object, data: st.DataObject) -> None:
    raw = encode(value)
    with pytest.raises(WireError):
        decode(raw[: data.draw(st.integers(0, len(raw) - 1))])
    with pytest.raises(WireError):
        decode(raw + b"N")


def nested(depth: int) -> object:
    value: object = None
    for _ in range(depth):
        value = (value,)
    return value


def test_nesting_has_a_bound_in_both_directions() -> None:
    assert decode(encode(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(WireError, match="too deep"):
        encode(nested(MAX_DEPTH + 1))
    with pytest.raises(WireError, match="too deep"):
        decode(b"t\x00\x00\x00\x01" * (MAX_DEPTH + 1) + b"N")


# ---------------------------------------------------------------- frames


@REPEATABLE
@given(st.lists(VALUES, max_size=4), st.data())
def test_frames_do_not_depend_on_how_the_bytes_arrived(
    values: list[object], data: st.DataObject
) -> None:
    raw = b"".join([frame(value) for value in values])
    frames, seen = Frames(), []
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    for start, end in pairwise([0, *cuts, len(raw)]):
        seen += frames.feed(raw[start:end])
    assert seen == values
    assert Frames().feed(raw) == values


def test_frames_arrive_byte_by_byte_each_as_soon_as_it_is_whole() -> None:
    first, second = frame(plan(spec("a"))), frame(("done", 1))
    frames = Frames()
    seen = [(at, frames.feed(bytes([byte]))) for at, byte in enumerate(first + second, 1)]
    assert [(at, values) for at, values in seen if values] == [
        (len(first), [plan(spec("a"))]),
        (len(first) + len(second), [("done", 1)]),
    ]


def test_a_frame_that_announces_too_much_is_refused_before_its_bytes_come() -> None:
    with pytest.raises(WireError, match="too long"):
        Frames().feed((MAX_FRAME_BYTES + 1).to_bytes(4, "big"))
    assert Frames().feed(MAX_FRAME_BYTES.to_bytes(4, "big")) == []


def test_a_frame_that_is_too_long_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_FRAME_BYTES", 20)
    assert frame(b"x" * 15)
    with pytest.raises(WireError, match="too long"):
        frame(b"x" * 16)


@REPEATABLE
@given(st.binary(max_size=60))
@example(b"\x00\x00\x00\x00")
def test_random_bytes_in_frames_raise_nothing_else(raw: bytes) -> None:
    frames = Frames()
    with suppress(WireError):
        for byte in raw:
            frames.feed(bytes([byte]))


def test_after_nonsense_nothing_more_is_made_of_the_sender() -> None:
    frames = Frames()
    assert frames.feed(frame(1)) == [1]
    for raw in (b"\x00\x00\x00\x01?", b"", frame(2)):
        with pytest.raises(WireError):
            frames.feed(raw)


def test_a_plan_of_1000_programs_is_about_the_size_that_is_said() -> None:
    environment = tuple([(b"NAME_%d" % number, b"value" * 4) for number in range(20)])
    whole = plan(*[spec(f"p{number}", environment=environment) for number in range(1000)])
    raw = frame(whole)
    assert len(raw) < 2_000_000
    assert Frames().feed(raw) == [whole]
