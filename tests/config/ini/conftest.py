from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from tests.config.ini.comparing import RealParser
from tests.support import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def real_parser() -> Iterator[RealParser]:
    """supervisord's own."""
    if importlib.util.find_spec("supervisor") is None:
        skip_or_fail("compat", "supervisord is not installed (PyPI's package supervisor)")
    parser = RealParser()
    yield parser
    parser.end()
