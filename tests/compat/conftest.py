"""What the tests beside the real supervisor share."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from tests.compat.forked import Forked
from tests.support import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def supervisorctl() -> Iterator[Forked]:
    """The real one."""
    if importlib.util.find_spec("supervisor") is None:
        skip_or_fail("compat", "supervisord is not installed (PyPI's package supervisor)")
    forked = Forked()
    yield forked
    forked.end()
