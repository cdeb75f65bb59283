"""Frozen values: what of a dataclass PID 1 uses, without its cost."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initpy.core.door import Process
from initpy.core.messages import Exited, Start
from initpy.core.states import ExitStatus
from initpy.core.supervisor import Supervisor
from initpy.core.values import Value, fields_of, replace
from tests.core.profile import REPEATABLE
from tests.core.specs import exited, plan, spec


class Point(Value):
    x: int
    y: int = 0


class Named(Point):
    name: str = ""


class Other(Value):
    x: int
    y: int = 0


def test_fields_are_taken_in_order_or_by_name() -> None:
    assert fields_of(Point(1, 2)) == (1, 2)
    assert fields_of(Point(1)) == (1, 0)
    assert fields_of(Point(y=2, x=1)) == (1, 2)
    assert fields_of(Named(1, 2, "a")) == (1, 2, "a")
    assert fields_of(Named(1, name="a")) == (1, 0, "a")


@pytest.mark.parametrize(
    ("given", "named", "message"),
    [
        ((), {}, "Point needs x"),
        ((1, 2, 3), {}, "Point takes 2 fields, not 3"),
        ((1,), {"z": 1}, "Point cannot take z"),
        ((1,), {"x": 1}, "Point cannot take x"),
    ],
)
def test_fields_that_are_missing_unknown_or_given_twice_are_refused(
    given: tuple[int, ...], named: dict[str, int], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        Point(*given, **named)


@REPEATABLE
@given(st.integers(-2, 2), st.integers(-2, 2), st.integers(-2, 2), st.integers(-2, 2))
def test_two_are_equal_when_all_their_fields_are(a: int, b: int, c: int, d: int) -> None:
    assert (Point(a, b) == Point(c, d)) is ((a, b) == (c, d))
    assert (Point(a, b) != Point(c, d)) is ((a, b) != (c, d))
    if (a, b) == (c, d):
        assert hash(Point(a, b)) == hash(Point(c, d))


def test_another_type_with_the_same_fields_is_not_equal() -> None:
    values: list[object] = [Point(1, 2), Other(1, 2), Named(1, 2), (1, 2)]
    for value in values:
        assert [other == value for other in values].count(True) == 1
    assert len({Point(1, 2), Other(1, 2), Point(1, 2)}) == 2


def test_it_is_frozen() -> None:
    point = Point(1, 2)
    with pytest.raises(AttributeError, match="Point is frozen: cannot set x"):
        point.x = 5  # type: ignore[misc]
    with pytest.raises(AttributeError, match="cannot set z"):
        point.z = 5
    with pytest.raises(AttributeError, match="cannot delete x"):
        del point.x
    assert point == Point(1, 2)
    assert not hasattr(point, "__dict__")


def test_its_repr_says_it_all() -> None:
    assert repr(Named(1, 2, "a")) == "Named(x=1, y=2, name='a')"
    assert repr(ExitStatus(code=3)) == "ExitStatus(code=3, signal=None, core_dumped=False)"


def test_replace_makes_a_copy_with_some_fields_changed() -> None:
    before = Named(1, 2, "a")
    after = replace(before, y=5)
    assert (before, after) == (Named(1, 2, "a"), Named(1, 5, "a"))
    assert type(after) is Named
    assert replace(before) == before
    assert replace(before) is not before
    with pytest.raises(TypeError, match="Named has no field z"):
        replace(before, z=1)


def test_match_takes_it_apart() -> None:
    match Exited("web", 8, exited(3)):
        case Exited(key, pid, ExitStatus(code=code)):
            assert (key, pid, code) == ("web", 8, 3)
        case _:
            pytest.fail("it should have matched")


def test_a_default_is_a_default_of_the_value_and_not_of_the_class() -> None:
    assert Start("a").by_operator is False
    assert not isinstance(vars(Start)["by_operator"], bool)
    first, second = Supervisor(), Supervisor()
    assert first == second
    assert first.processes is second.processes  # shared: so nobody may change it in place


def test_what_the_core_knows_can_be_hashed() -> None:
    process = Process(spec("web"))
    assert hash(process) == hash(Process(spec("web")))
    assert hash(plan(spec("web"))) == hash(plan(spec("web")))


@pytest.mark.parametrize("count", [19, 20, 21])
def test_making_and_changing_values_keeps_no_memory(count: int) -> None:
    body = {"__annotations__": {f"f{number}": "int" for number in range(count)}}
    many: Any = type(Value).__new__(type(Value), "Many", (Value,), body)
    value = many(*range(count))
    assert len(fields_of(value)) == count
    before = sys.getallocatedblocks()
    for number in range(1000):
        value = replace(value, f0=number, f1=-number)
    assert sys.getallocatedblocks() - before < 100
    assert value == many(999, -999, *range(2, count))
    assert value != many(*range(count))
