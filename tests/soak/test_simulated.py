"""A part of the simulated day: `python -m tests.soak.simulated` is the whole."""

from __future__ import annotations

import pytest

from tests.soak.simulated import simulate


@pytest.mark.parametrize("seed", [101, 102, 103])
def test_half_a_simulated_hour(seed: int) -> None:
    """What must hold is checked after each fact."""
    parts = simulate(0.5, seed, lambda _: None)
    assert sum(it.facts for it in parts) > 20_000
    assert sum(it.stops for it in parts) >= 2
    assert sum(it.answers for it in parts) == sum(it.orders for it in parts)
    assert all(it.spawns and it.ends and it.signals and it.reloads for it in parts)
    first, last = parts[0].state_bytes, max(it.state_bytes for it in parts)
    assert last < 4 * first
