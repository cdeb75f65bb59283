"""The timers, against a dict."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from initpy.core.timers import Timers
from tests.core.profile import REPEATABLE

INSTANTS = st.integers(0, 20).map(lambda tenths: tenths / 10)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("abcd"), INSTANTS),
        st.tuples(st.just("pop"), INSTANTS),
    ),
    max_size=40,
)


@REPEATABLE
@given(ACTS)
def test_it_does_what_a_dict_of_the_newest_does(acts: list[tuple[str, float]]) -> None:
    timers = Timers()
    newest: dict[str, tuple[float, int]] = {}
    for epoch, (key, instant) in enumerate(acts):
        if key == "pop":
            due = sorted(
                (due_at, number, name)
                for name, (due_at, number) in newest.items()
                if due_at <= instant
            )
            assert timers.pop_due(instant) == [(name, number) for _, number, name in due]
            for _, _, name in due:
                del newest[name]
        else:
            timers.set(key, instant, epoch)
            newest[key] = (instant, epoch)
        assert len(timers) == len(newest)
        assert timers.next_due_at() == min([at for at, _ in newest.values()], default=None)


def test_the_newest_of_a_key_counts_even_if_it_is_later() -> None:
    timers = Timers()
    timers.set("a", 1.0, 1)
    timers.set("a", 5.0, 2)
    assert timers.pop_due(4.0) == []
    assert timers.pop_due(5.0) == [("a", 2)]
    assert timers.pop_due(99.0) == []


def test_what_is_due_comes_in_the_order_of_its_time() -> None:
    timers = Timers()
    timers.set("later", 2.0, 1)
    timers.set("first", 1.0, 1)
    assert timers.pop_due(3.0) == [("first", 1), ("later", 1)]


def test_the_same_instant_is_due() -> None:
    timers = Timers()
    timers.set("a", 1.0, 1)
    assert timers.pop_due(0.999) == []
    assert timers.pop_due(1.0) == [("a", 1)]


def test_the_same_timer_set_twice_fires_once() -> None:
    timers = Timers()
    timers.set("a", 1.0, 1)
    timers.set("a", 1.0, 1)
    assert timers.pop_due(1.0) == [("a", 1)]
    assert timers.pop_due(1.0) == []
    assert timers.next_due_at() is None
