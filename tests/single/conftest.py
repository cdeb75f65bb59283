"""Fixtures: the inits, by name; and a way to start one that leaves nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.single.support import REAL, Init, Running, ours, real
from tests.support import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def ours_by_name(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Init]:
    return ours(tmp_path_factory.mktemp("bin"))


@pytest.fixture
def find_init(ours_by_name: dict[str, Init]) -> Callable[[str], Init]:
    """An init by its name: "our tini" is ours, "tini" the real one."""

    def find(name: str) -> Init:
        if name.startswith("our "):
            return ours_by_name[name.removeprefix("our ")]
        assert name in REAL
        found = real(name)
        if found is None:
            skip_or_fail("dropin", f"{name} is not installed")
        assert found is not None
        return found

    return find


@pytest.fixture
def start(tmp_path: Path, why_no_namespace: str) -> Iterator[Callable[..., Running]]:
    """Start a command, and end it with the test."""
    started: list[Running] = []

    def start_one(command: list[str], *, as_pid1: bool, **options: Any) -> Running:
        if as_pid1 and why_no_namespace:
            skip_or_fail("namespace", why_no_namespace)
        folder = tmp_path / f"running {len(started)}"
        folder.mkdir()
        running = Running(command, folder, as_pid1=as_pid1, **options)
        started.append(running)
        return running

    yield start_one
    for running in started:
        running.end()


@pytest.fixture
def need_namespace(why_no_namespace: str) -> None:
    if why_no_namespace:
        skip_or_fail("namespace", why_no_namespace)
