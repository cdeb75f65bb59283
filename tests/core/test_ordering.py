"""Tiers, and the circles that forbid them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initpy.core.ordering import CycleError, tiers
from tests.core.profile import REPEATABLE

NAMES = "abcdefgh"

DAGS = st.permutations(NAMES).flatmap(
    lambda names: st.fixed_dictionaries(
        {
            name: st.lists(st.sampled_from(names[:at]), unique=True) if at else st.just([])
            for at, name in enumerate(names)
        }
    )
)
GRAPHS = st.fixed_dictionaries(
    {name: st.lists(st.sampled_from(NAMES), unique=True, max_size=2) for name in NAMES}
)


@REPEATABLE
@given(DAGS)
def test_each_is_in_the_earliest_tier_that_is_after_all_it_comes_after(
    after: dict[str, list[str]],
) -> None:
    found = tiers(after)
    depth = {name: number for number, tier in enumerate(found) for name in tier}
    assert sorted(name for tier in found for name in tier) == sorted(after)
    for name, earlier in after.items():
        assert depth[name] == max([depth[other] + 1 for other in earlier], default=0)


@REPEATABLE
@given(DAGS)
def test_a_tier_keeps_the_order_it_was_given(after: dict[str, list[str]]) -> None:
    order = list(after)
    for tier in tiers(after):
        assert list(tier) == sorted(tier, key=order.index)
        assert tier


@REPEATABLE
@given(GRAPHS)
def test_a_graph_has_tiers_or_a_circle_that_is_really_there(after: dict[str, list[str]]) -> None:
    names: tuple[str, ...] = ()
    try:
        assert sum(map(len, tiers(after))) == len(after)
    except CycleError as error:
        names, text = error.names, str(error)
    if names:
        assert text == " -> ".join(names)
        assert names[0] == names[-1]
        assert len(set(names)) == len(names) - 1
        for name, earlier in pairwise(names):
            assert earlier in after[name]


def test_nothing_has_no_tiers() -> None:
    assert tiers({}) == ()


@pytest.mark.parametrize(
    ("after", "names"),
    [
        ({"a": ["a"]}, ("a", "a")),
        ({"a": ["b"], "b": ["a"]}, ("a", "b", "a")),
        ({"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]}, ("a", "b", "c", "a")),
    ],
)
def test_a_circle_is_shown_without_the_way_to_it(
    after: dict[str, list[str]], names: tuple[str, ...]
) -> None:
    with pytest.raises(CycleError) as caught:
        tiers(after)
    assert caught.value.names == names


def test_a_name_that_is_not_there_is_said() -> None:
    with pytest.raises(KeyError, match="nobody"):
        tiers({"a": ["nobody"]})


@pytest.mark.parametrize("first", ["the end", "the beginning"])
def test_a_chain_of_5000(first: str) -> None:
    chain = {f"p{number}": [f"p{number - 1}"] if number else [] for number in range(5000)}
    order = list(chain.items())
    given_as = dict(order if first == "the beginning" else order[::-1])
    assert tiers(given_as) == tuple([(f"p{number}",) for number in range(5000)])


def test_a_circle_of_5000() -> None:
    circle = {f"p{number}": [f"p{(number + 1) % 5000}"] for number in range(5000)}
    with pytest.raises(CycleError) as caught:
        tiers(circle)
    assert len(caught.value.names) == 5001
