"""The fixtures that start an initpy, here with the static executable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import Init


@pytest.fixture
def start_init(start_init: Callable[..., Init], binary: Path) -> Callable[..., Init]:
    """As everywhere else, but for what is started."""

    def start(toml: str, **options: Any) -> Init:
        return start_init(toml, binary=binary, **options)

    return start
