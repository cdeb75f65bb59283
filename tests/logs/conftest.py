from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.logs.support import Reader, Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from initpy.logplan import ChannelPlan


@pytest.fixture
def start_relay() -> Iterator[Callable[..., Relay]]:
    """Start a relay for some channels; nothing of it is left when the test ends."""
    started: list[Relay] = []

    def start(*plans: ChannelPlan, **options: Any) -> Relay:
        relay = Relay(*plans, **options)
        started.append(relay)
        return relay

    yield start
    for relay in started:
        relay.close()


@pytest.fixture
def reader() -> Iterator[Reader]:
    """Whoever reads the container's stdout."""
    one = Reader()
    yield one
    one.close()
