"""Fixtures for the tests with a real engine.

INITPY_DOCKER is the docker command (default: /usr/bin/docker, then the one on PATH);
INITPY_TEST_BASE a Debian image with python3 in it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docker.engine import (
    Container,
    Engine,
    Web,
    base_with_certificates,
    build_example,
)
from tests.support import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

BASE_IMAGE = os.environ.get("INITPY_TEST_BASE", "initpy-test/base:bookworm")
USERS = {
    "as root": ("--user", "0:0"),
    "as any user on a read-only root": (
        *("--user", "12345:12345"),
        *("--read-only", "--tmpfs", "/tmp"),
    ),
}


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
def build(engine: Engine) -> Iterator[Callable[[str], str]]:
    """Build the image of an example, once; layers stay in the engine's cache, images do not."""
    built: dict[str, str] = {}

    def build(example: str) -> str:
        if example not in built:
            base = base_with_certificates(engine, BASE_IMAGE)
            built[example] = build_example(engine, example, base)
        return built[example]

    yield build
    for tag in built.values():
        engine("image", "rm", tag)


@pytest.fixture(scope="session")
def image(build: Callable[[str], str]) -> str:
    """The image of examples/nginx-uwsgi."""
    return build("nginx-uwsgi")


@pytest.fixture(scope="session")
def client(engine: Engine) -> Iterator[Container]:
    """A container with a network of its own, for the requests. Its PID 1 reaps nobody."""
    forever = ("python3", "-c", "import signal; signal.pause()")
    container = Container(engine, BASE_IMAGE, forever, options=["--network", "none"])
    container.start()
    yield container
    container.remove()


@pytest.fixture(scope="session")
def create(
    engine: Engine, build: Callable[[str], str], client: Container
) -> Iterator[Callable[..., Container]]:
    """Create a container of an example, on the client's network: one may run at a time.

    One for all tests that want the same options: creating it takes seconds, where the storage
    driver copies the image; starting it again does not.
    """
    created: dict[tuple[str, ...], Container] = {}

    def create(example: str, *options: str) -> Container:
        wanted = (example, *options)
        if wanted not in created:
            network = ("--network", f"container:{client.name}")
            created[wanted] = Container(engine, build(example), options=[*network, *options])
        return created[wanted]

    yield create
    for container in created.values():
        container.remove()


@pytest.fixture
def start(engine: Engine) -> Iterator[Callable[..., Container]]:
    """Start a container of the test's own; it is removed, and its log shown if the test fails."""
    created: list[Container] = []

    def start(
        image: str, *command: str, files: dict[Path, str], options: Sequence[str] = ()
    ) -> Container:
        options = ("--network", "none", *options)
        container = Container(engine, image, command, options=options, files=files)
        created.append(container)
        container.start()
        return container

    yield start
    for container in created:
        print(container.log())  # noqa: T201
        container.remove()


@pytest.fixture(params=[*USERS.values()], ids=[*USERS])
def user(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Options of a container: root, and a user that nobody has heard of."""
    options: tuple[str, ...] = request.param
    return options


@pytest.fixture
def web(
    engine: Engine,
    client: Container,
    create: Callable[..., Container],
    user: tuple[str, ...],
) -> Iterator[Web]:
    """The example with nginx and uWSGI, just started, answering."""
    with create("nginx-uwsgi", *user).running() as container:
        container.pid_of("nginx")
        web = Web(engine, client, container)
        web.wait_until_it_answers()
        yield web
