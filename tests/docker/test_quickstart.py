"""The quickstart, as a container's PID 1 on an image that has nothing but Debian's python3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import BASE_IMAGE
from tests.support import REPO

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.docker.engine import Container

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]


def test_the_quickstart_starts_restarts_and_stops(start: Callable[..., Container]) -> None:
    container = start(
        BASE_IMAGE,
        *("initpy", "-c", "/quickstart/initpy.toml"),
        files={
            REPO / "docker" / "initpy": "/usr/local/bin/initpy",
            REPO / "initpy": "/usr/lib/python3/dist-packages/initpy",
            REPO / "examples" / "quickstart": "/quickstart",
        },
    )
    container.wait_for_log(r"greeter \| hello, stranger")
    container.kill("9", container.pid_of("clock"))
    container.wait_for_log(r"exited: clock \(terminated by SIGKILL; not expected\)")
    container.wait_for_log("clock entered RUNNING", times=2)
    container.stop()
    assert container.wait() == 0
    container.wait_for_log(r"greeter \| told to stop, goodbye")
    container.wait_for_log("exit code 0: stopped by SIGTERM")
