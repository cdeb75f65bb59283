"""Fixtures for the tests with a real engine.

INITPY_DOCKER is the docker command (default: /usr/bin/docker, then the one on PATH);
INITPY_TEST_BASE a Debian image with python3 in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docker.engine import Container, Engine, Web
from tests.support import REPO, skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BASE_IMAGE = os.environ.get("INITPY_TEST_BASE", "initpy-test/base:bookworm")
BUILD_S = 600.0
ANY_USER = ("--user", "12345:12345", "--read-only", "--tmpfs", "/tmp")


def _docker() -> str | None:
    usual = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else None
    return os.environ.get("INITPY_DOCKER") or usual or shutil.which("docker")


@pytest.fixture(scope="session")
def engine() -> Engine:
    """An engine that answers and has the base image."""
    binary = _docker()
    if binary is None:
        skip_or_fail("docker", "there is no docker command")
    engine = Engine(str(binary))
    if not engine.succeeds("version"):
        skip_or_fail("docker", f"no engine answers {binary}")
    if not engine.succeeds("image", "inspect", BASE_IMAGE):
        skip_or_fail("docker", f"the engine has no image {BASE_IMAGE}")
    return engine


@pytest.fixture(scope="session")
def image(engine: Engine) -> Iterator[str]:
    """The image of examples/nginx-uwsgi. Its layers stay in the engine's cache, it does not."""
    tag = f"initpy-test/nginx-uwsgi:{uuid.uuid4().hex[:12]}"
    said = ""
    for buildkit in ("1", "0"):  # ten times as fast on a slow storage driver, but not everywhere
        done = subprocess.run(
            [
                *(engine.binary, "build", "--network", "host", "--tag", tag),
                *("--file", "examples/nginx-uwsgi/Dockerfile"),
                *("--build-arg", f"BASE_IMAGE={BASE_IMAGE}", "."),
            ],
            cwd=REPO,
            env={**os.environ, "DOCKER_BUILDKIT": buildkit},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=BUILD_S,
            check=False,
        )
        said += done.stdout
        if done.returncode == 0:
            break
    else:
        pytest.fail(f"cannot build the example's image:\n{said}")
    yield tag
    engine("image", "rm", tag)


@pytest.fixture(scope="session")
def client(engine: Engine) -> Iterator[Container]:
    """A container with a network of its own, for the requests. Its PID 1 reaps nobody."""
    forever = ("python3", "-c", "import signal; signal.pause()")
    container = Container(engine, BASE_IMAGE, forever, options=["--network", "none"])
    container.start()
    yield container
    container.remove()


@pytest.fixture(scope="session")
def create_web(engine: Engine, image: str, client: Container) -> Iterator[Callable[..., Container]]:
    """Create a container of the example, on the client's network: one may run at a time.

    One for all tests that want the same options: creating it takes seconds, where the storage
    driver copies the image; starting it again does not.
    """
    created: dict[tuple[str, ...], Container] = {}

    def create(*options: str) -> Container:
        if options not in created:
            network = ("--network", f"container:{client.name}")
            created[options] = Container(engine, image, options=[*network, *options])
        return created[options]

    yield create
    for container in created.values():
        container.remove()


@pytest.fixture
def start(engine: Engine) -> Iterator[Callable[..., Container]]:
    """Start a container of the test's own; it is removed, and its log shown if the test fails."""
    created: list[Container] = []

    def start(image: str, *command: str, files: dict[Path, str]) -> Container:
        container = Container(engine, image, command, options=["--network", "none"], files=files)
        created.append(container)
        container.start()
        return container

    yield start
    for container in created:
        print(container.log())  # noqa: T201
        container.remove()


@pytest.fixture(params=[(), ANY_USER], ids=["as root", "as any user on a read-only root"])
def web(
    request: pytest.FixtureRequest,
    engine: Engine,
    client: Container,
    create_web: Callable[..., Container],
) -> Iterator[Web]:
    """The example, just started, answering; as root, and as a user that nobody has heard of."""
    container = create_web(*request.param)
    try:
        container.start()
        web = Web(engine, client, container)
        web.wait_until_it_answers()
        yield web
    finally:
        print(container.log())  # noqa: T201
        container.end()
