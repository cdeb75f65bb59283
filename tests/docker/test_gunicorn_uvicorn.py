"""The example with FastAPI, on a real engine: what an operator does to it and sees of it."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import USERS
from tests.docker.engine import DOCKER_STOP_S, SLOW, Web, in_order, patient
from tests.support import REPO, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.docker.engine import Container, Engine

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker-gunicorn-uvicorn")]

WORKER_FAILED_TO_BOOT = {"3", "1"}
"""gunicorn's exit codes for it: 1 where the next worker fails while it still handles the first."""
WWW_DATA = "33"


@pytest.fixture
def fastapi(
    engine: Engine,
    client: Container,
    create: Callable[..., Container],
    user: tuple[str, ...],
) -> Iterator[Web]:
    """The example, just started, answering."""
    with create("gunicorn-uvicorn", *user).running() as container:
        web = Web(engine, client, container)
        web.wait_until_it_answers()
        yield web


def workers(container: Container) -> list[str]:
    """The pids of all of gunicorn's workers so far."""
    return re.findall(r"Booting worker with pid: (\d+)", container.log())


def test_requests_are_answered_by_a_worker_of_gunicorn(fastapi: Web, user: tuple[str, ...]) -> None:
    container = fastapi.container
    answer = fastapi.get("/pid")
    assert answer.status == 200
    assert answer.body.strip() in workers(container)
    worker = container.status_of(answer.body.strip())
    assert worker["PPid"] == container.pid_of("gunicorn")
    uids = {WWW_DATA} if user == USERS["as root"] else {"12345"}
    assert set(worker["Uid"].split()) == uids
    assert fastapi.get("/nowhere").status == 404
    container.wait_for_log(r'"GET /pid HTTP/1\.[01]" 200')


def test_a_stop_lets_the_running_request_finish(fastapi: Web) -> None:
    container = fastapi.container
    request = fastapi.start_get("/slow?seconds=3")
    container.wait_for_log("slow: 3 seconds to go")
    began = time.monotonic()
    container.stop()
    assert time.monotonic() - began < DOCKER_STOP_S
    assert request.answer() == SLOW
    assert container.wait() == 0
    log = container.log()
    in_order(
        log,
        "received SIGTERM indicating exit request",
        r"stopped: gunicorn \(exit status 0\)",
        r"exit code 0: stopped by SIGTERM\n\Z",
    )
    in_order(  # who writes first when PID 1 signals and says so, nobody knows
        log,
        "Handling signal: term",
        "Waiting for connections to close",
        "Shutting down: Master",
        "stopped: gunicorn",
    )


@pytest.mark.parametrize("user", [USERS["as root"]], ids=["as root"], indirect=True)
def test_a_request_that_takes_too_long_is_ended_by_gunicorn_and_not_by_a_kill(fastapi: Web) -> None:
    container = fastapi.container
    request = fastapi.start_get("/slow?seconds=50")
    container.wait_for_log("slow: 50 seconds to go")
    container.stop()
    assert container.wait() == 0
    assert request.answer().status == 0
    in_order(
        container.log(),
        "received SIGTERM indicating exit request",
        "Shutting down: Master",
        r"stopped: gunicorn \(exit status 0\)",
        r"exit code 0: stopped by SIGTERM\n\Z",
    )
    assert "killing 'gunicorn'" not in container.log()


def test_gunicorn_killed_comes_back_on_its_port(fastapi: Web) -> None:
    container = fastapi.container
    container.wait_for_log("gunicorn entered RUNNING")
    request = fastapi.start_get("/slow?seconds=50")
    container.wait_for_log("slow: 50 seconds to go")
    orphans = workers(container)
    container.kill("9", container.pid_of("gunicorn"))
    container.wait_for_log(r"exited: gunicorn \(terminated by SIGKILL; not expected\)")
    assert request.answer().status == 0  # its worker is ended, and must be: it has the port
    container.wait_for_log("spawned: 'gunicorn'", times=2)
    assert [pid for pid in orphans if container.status_of(pid)] == []
    fastapi.wait_until_it_answers()
    assert fastapi.get("/pid").body.strip() in set(workers(container)) - set(orphans)
    assert container.zombies() == []
    log = container.log()
    assert "Address already in use" not in log
    assert "Connection in use" not in log
    assert len(re.findall("Listening at: ", log)) == 2
    assert len(re.findall("spawned: 'gunicorn'", log)) == 2


def test_a_worker_killed_is_gunicorns_affair(fastapi: Web) -> None:
    container = fastapi.container
    first = workers(container)
    container.kill("9", first[0])
    wait_for(lambda: len(workers(container)) == 3, about="a third worker")
    wait_for(lambda: not container.status_of(first[0]), about="the end of the first")
    assert fastapi.get("/").status == 200
    assert container.zombies() == []
    assert "exited: " not in container.log()


def test_an_app_that_cannot_be_loaded_ends_the_container_with_gunicorns_code(
    build: Callable[[str], str], start: Callable[..., Container], tmp_path: Path
) -> None:
    app = tmp_path / "app.py"
    app.write_text("import no_such_module\n")
    config = patient(REPO / "examples" / "gunicorn-uvicorn" / "initpy.toml", tmp_path)
    container = start(
        build("gunicorn-uvicorn"), files={app: "/app/app.py", config: "/app/initpy.toml"}
    )
    code = str(container.wait())
    log = container.log()
    assert code in WORKER_FAILED_TO_BOOT
    assert re.findall(r"exited: gunicorn \(exit status (\d+); not expected\)", log)[-1] == code
    in_order(
        log,
        "ModuleNotFoundError: No module named 'no_such_module'",
        "exited: gunicorn ",
        "gunicorn entered FATAL state",
        rf"exit code {code}: .*gunicorn.*\n\Z",
    )
