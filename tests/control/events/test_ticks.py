"""Ticks: at the beginning of each period of the wall clock."""

from __future__ import annotations

from initpy.control.events.ticks import Ticks


def said(ticks: Ticks, now: float) -> list[tuple[str, str]]:
    return [(event.name, event.payload) for event in ticks.take(now)]


def test_none_at_the_start_then_at_each_beginning() -> None:
    ticks = Ticks(3600 * 5 + 58.5)
    assert said(ticks, 18058.5) == []
    assert said(ticks, 18059.9) == []
    assert said(ticks, 18060.01) == [("TICK_5", "when:18060"), ("TICK_60", "when:18060")]
    assert said(ticks, 18061.0) == []
    assert said(ticks, 18065.0) == [("TICK_5", "when:18065")]


def test_every_hour() -> None:
    ticks = Ticks(7199.0)
    assert [name for name, _ in said(ticks, 7200.3)] == ["TICK_5", "TICK_60", "TICK_3600"]


def test_a_clock_that_jumps_is_one_tick() -> None:
    ticks = Ticks(100.0)
    assert said(ticks, 131.0) == [("TICK_5", "when:130"), ("TICK_60", "when:120")]
    assert said(ticks, 71.0) == [("TICK_5", "when:70"), ("TICK_60", "when:60")]


def test_the_next_is_when_the_shortest_period_begins() -> None:
    assert Ticks.next_in_s(100.0) == 5.0
    assert Ticks.next_in_s(104.75) == 0.25
