"""What is typed with `docker exec`: the container's own initpy answers, without any option."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import USERS
from tests.docker.engine import build_image
from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.docker.engine import Container, Engine

    Start = Callable[..., Container]

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]

ANSWER_S = 60.0

CONFIG = """
[program.up]
command = ["/pause"]
startsecs = 0
"""

CONF = "[program:up]\ncommand=/pause\nstartsecs=0\n"

PAUSE = "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n"


@pytest.fixture(scope="module")
def image(engine: Engine, binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """FROM scratch: initpy under three names, and what waits for ever."""
    folder = tmp_path_factory.mktemp("ctl")
    shutil.copy(binary, folder / "initpy")
    (folder / "pause.c").write_text(PAUSE)
    gcc = ["gcc", "-static", "-o", str(folder / "pause"), str(folder / "pause.c")]
    subprocess.run(gcc, check=True, timeout=60)
    (folder / "initpy.toml").write_text(CONFIG)
    (folder / "elsewhere.toml").write_text('[control]\nsocket = "/tmp/own/s"\n' + CONFIG)
    (folder / "own.conf").write_text(CONF)
    (folder / "Dockerfile").write_text(
        "FROM scratch\nCOPY initpy pause *.toml *.conf /\nCOPY initpy /supervisord\n"
        "COPY initpy /supervisorctl\n"
        'HEALTHCHECK --interval=1s --timeout=30s CMD ["/initpy", "health"]\n'
        'ENTRYPOINT ["/initpy"]\nCMD ["-c", "/initpy.toml"]\n'
    )
    tag = build_image(engine, folder / "Dockerfile", folder)
    yield tag
    engine("image", "rm", tag)


@pytest.mark.parametrize("user", [*USERS])
@pytest.mark.parametrize("config", ["initpy.toml", "elsewhere.toml"])
def test_without_an_option(
    engine: Engine, start: Start, image: str, user: str, config: str
) -> None:
    container = start(image, "-c", f"/{config}", files={}, options=USERS[user])
    container.wait_for_log("success: up entered RUNNING")
    table = container.exec("/initpy", "status", "up")
    assert re.search(r"^up +RUNNING +\d+ +\d+\w* +0 +\d\.\d% +\d+K +-$", table, re.MULTILINE), table
    assert container.exec("/initpy", "health") == ""
    assert container.exec("/initpy", "pid") == "1\n"
    assert container.exec("/initpy", "restart", "u*") == "up: stopped\nup: started\n"
    assert container.exec("/supervisorctl", "pid") == "1\n"
    name = container.name

    def health() -> str:
        return engine("inspect", "--format", "{{.State.Health.Status}}", name).strip()

    wait_for(lambda: health() == "healthy", within_s=ANSWER_S)
    container.exec("/initpy", "stop", "up")
    wait_for(lambda: health() == "unhealthy", within_s=ANSWER_S)
    assert "up is STOPPED" in engine("inspect", "--format", "{{json .State.Health}}", name)
    engine.succeeds("exec", name, "/initpy", "shutdown")  # which the end may overtake
    assert container.wait() == 0


def test_as_supervisord_and_supervisorctl(engine: Engine, start: Start, image: str) -> None:
    options = ["--entrypoint", "/supervisord"]
    container = start(image, "-n", "-c", "/own.conf", files={}, options=options)
    container.wait_for_log("success: up entered RUNNING")
    said = container.exec("/supervisorctl", "status")
    assert re.fullmatch(r"up {31}RUNNING   pid \d+, uptime 0:00:\d\d\n", said), said
    assert container.exec("/supervisorctl", "restart", "up") == "up: stopped\nup: started\n"
    engine.succeeds("exec", container.name, "/supervisorctl", "shutdown")
    assert container.wait() == 0
