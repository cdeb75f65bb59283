"""Fixtures for every test that runs a real initpy."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests.support import REPO, Init, skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# No test touches /run/initpy.sock: what is not started by `Init` has no control socket.
os.environ["INITPY_SOCKET"] = ""

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


BUILD_BINARY = REPO / "docker" / "binary" / "build"


def build_binary(output: Path, build: Path = BUILD_BINARY) -> Path:
    """Build the static executable, as the Dockerfile does."""
    ran = subprocess.run([build, output], capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return output


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The static executable, built once for all workers; or INITPY_BINARY, if that is set."""
    if given := os.environ.get("INITPY_BINARY"):
        return Path(given)
    if shutil.which("gcc") is None or not any(Path("/usr/lib").glob("*/libpython3.11.a")):
        skip_or_fail("namespace", "gcc or libpython3.11-dev is not installed")
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    built = shared / "initpy"
    with (shared / "binary.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return built if built.exists() else build_binary(built)


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
