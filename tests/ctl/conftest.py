"""An initpy with a client."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.ctl.support import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Init


@pytest.fixture
def initpy_command() -> list[str]:
    """How the client is started."""
    return [sys.executable, "-m", "initpy"]


@pytest.fixture
def start(
    start_init: Callable[..., Init], initpy_command: list[str]
) -> Callable[..., tuple[Init, Client]]:
    """Start an initpy, as an ordinary process, and give it a client."""

    def start(toml: str, **options: Any) -> tuple[Init, Client]:
        init = start_init(toml, as_pid1=False, **options)
        return init, Client(initpy_command, init.socket)

    return start
