"""Fixtures for every test that runs a real initpy."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests.support import Init, skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# The same examples every time, and no deadline that a slow machine could miss.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


def _why_no_namespace() -> str:
    if os.geteuid() != 0:
        return "a PID namespace needs root"
    unshare = ["unshare", "-pf", "--mount-proc", "true"]
    if subprocess.run(unshare, capture_output=True, check=False).returncode != 0:
        return "unshare -pf --mount-proc does not work here"
    return ""


@pytest.fixture(scope="session")
def why_no_namespace() -> str:
    """Why tests in a PID namespace cannot run; empty: they can."""
    return _why_no_namespace()


@pytest.fixture
def start_init(tmp_path: Path, why_no_namespace: str) -> Iterator[Callable[..., Init]]:
    """Start an initpy from a TOML text; whatever becomes of the test, nothing of it is left."""
    started: list[Init] = []

    def start(toml: str, *, as_pid1: bool = True, **options: Any) -> Init:
        if as_pid1 and why_no_namespace:
            skip_or_fail("namespace", why_no_namespace)
        folder = tmp_path / str(len(started))
        folder.mkdir()
        config = folder / "initpy.toml"
        config.write_text(toml)
        init = Init(config, folder, as_pid1=as_pid1, **options)
        started.append(init)
        return init

    yield start
    for init in started:
        init.end()


@pytest.fixture(params=["as PID 1", "as a subreaper"])
def start_either(
    request: pytest.FixtureRequest, start_init: Callable[..., Init]
) -> Callable[..., Init]:
    """As `start_init`, once as PID 1 of a namespace and once as an ordinary process."""

    def start(toml: str, **options: Any) -> Init:
        return start_init(toml, as_pid1=request.param == "as PID 1", **options)

    return start
