"""The example, with a real engine, nginx and uWSGI: what an operator does to it and sees of it."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.docker.engine import Answer
from tests.support import REPO, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.docker.engine import Container, Web

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]

DOCKER_STOP_S = 10.0
SLOW = Answer(200, "begun\ndone\n")
UWSGI_HAS_NO_APP = 22
"""The exit code that only uWSGI has for it."""
CAPABILITIES = {"0": "00000000a80425fb", "12345": "0000000000000000"}
"""What Docker leaves to PID 1 when nobody asks for more, by its user."""


def in_order(log: str, *patterns: str) -> None:
    """Assert that the log matches all of these, in this order."""
    at = 0
    for pattern in patterns:
        match = re.compile(pattern, re.MULTILINE).search(log, at)
        assert match, f"{pattern!r} does not come where it should:\n{log}"
        at = match.end()


def test_requests_are_answered_through_nginx_by_a_worker_of_uwsgi(web: Web) -> None:
    workers = re.findall(r"spawned uWSGI worker \d+ \(pid: (\d+),", web.container.log())
    answer = web.get("/pid")
    assert answer.status == 200
    assert answer.body.strip() in workers
    assert web.get("/nowhere").status == 404
    web.container.wait_for_log(r'"GET /pid HTTP/1\.[01]" 200')


def test_a_stop_lets_the_running_request_finish(web: Web) -> None:
    request = web.start_get("/slow?seconds=3")
    web.container.wait_for_log("slow: 3 seconds to go")
    began = time.monotonic()
    web.container.stop()
    assert time.monotonic() - began < DOCKER_STOP_S
    assert request.answer() == SLOW
    assert web.container.wait() == 0
    log = web.container.log()
    # uWSGI writes the line of a request after it has answered: nginx may have ended by then.
    in_order(
        log, "received SIGTERM indicating exit request", r'"GET /slow\?seconds=3 HTTP/1\.[01]" 200'
    )
    in_order(
        log,
        "received SIGTERM indicating exit request",
        r"stopped: nginx \(exit status 0\)",
        "graceful shutdown triggered",
        r"stopped: uwsgi \(exit status 0\)",
        r"exit code 0: stopped by SIGTERM\n\Z",
    )


def test_uwsgi_by_itself_finishes_its_requests_on_term(web: Web) -> None:
    request = web.start_get("/slow?seconds=2")
    web.container.wait_for_log("slow: 2 seconds to go")
    web.container.kill("TERM", web.container.pid_of("uwsgi"))
    assert request.answer() == SLOW
    in_order(web.container.log(), "graceful shutdown triggered", r'"GET /slow\?seconds=2')
    web.container.wait_for_log("uwsgi entered RUNNING", times=2)
    web.wait_until_it_answers()


def test_uwsgi_killed_comes_back_and_nginx_stays(web: Web) -> None:
    container = web.container
    workers = re.findall(r"spawned uWSGI worker \d+ \(pid: (\d+),", container.log())
    container.kill("9", container.pid_of("uwsgi"))
    container.wait_for_log(r"exited: uwsgi \(terminated by SIGKILL; not expected\)")
    container.wait_for_log("uwsgi entered RUNNING", times=2)
    web.wait_until_it_answers()
    answer = web.get("/pid")
    assert answer.status == 200
    assert answer.body.strip() not in workers
    assert [pid for pid in workers if container.status_of(pid)] == []
    assert container.zombies() == []
    log = container.log()
    assert "Address already in use" not in log
    assert len(re.findall("spawned: 'uwsgi'", log)) == 2
    assert len(re.findall("spawned: 'nginx'", log)) == 1


def test_uwsgi_that_cannot_start_ends_the_container_with_its_own_code(
    image: str, start: Callable[..., Container], tmp_path: Path
) -> None:
    settings = (REPO / "examples" / "nginx-uwsgi" / "uwsgi.ini").read_text()
    assert "module = app" in settings
    ini = tmp_path / "uwsgi.ini"
    ini.write_text(settings.replace("module = app", "module = no_such_module"))
    container = start(image, files={ini: "/app/uwsgi.ini"})
    assert container.wait() == UWSGI_HAS_NO_APP
    in_order(
        container.log(),
        r"exited: uwsgi \(exit status 22; not expected\)",
        "uwsgi entered FATAL state",
        r"exit code 22: .*uwsgi.*\n\Z",
    )
    assert "spawned: 'nginx'" not in container.log()


def test_it_is_pid_1_with_the_capabilities_that_docker_leaves_it(web: Web) -> None:
    command = web.container.exec("cat", "/proc/1/cmdline").split("\0")
    assert command[:4] == ["/usr/bin/python3", "-IS", "/usr/local/bin/initpy", "-c"]
    status = web.container.status_of("1")
    uid = status["Uid"].split()[0]
    assert uid in CAPABILITIES
    assert status["CapEff"] == CAPABILITIES[uid]
    assert "not PID 1" not in web.container.log()


def test_signals_that_are_no_stop_do_not_end_it(web: Web) -> None:
    for name in ("USR1", "HUP", "WINCH", "USR2"):
        web.container.signal(name)
        assert web.get("/").status == 200, name
    web.container.stop()
    assert web.container.wait() == 0
    log = web.container.log()
    assert "exited: " not in log
    assert len(re.findall("spawned: ", log)) == 2
    assert web.container.last_line().endswith("exit code 0: stopped by SIGTERM")


ORPHAN = "sleep 600 </dev/null >/dev/null 2>&1 & echo $!"


def end_an_orphan(container: Container) -> str:
    """Leave PID 1 a child that it never had, and end it; its pid."""
    pid = container.exec("sh", "-c", ORPHAN).strip()
    wait_for(lambda: container.status_of(pid)["PPid"] == "1", about="an orphan")
    container.kill("9", pid)
    return pid


def test_orphans_are_reaped(web: Web) -> None:
    pid = end_an_orphan(web.container)
    wait_for(lambda: not web.container.status_of(pid), about="the orphan's funeral")
    assert web.container.zombies() == []


def test_orphans_stay_where_pid_1_does_not_reap(client: Container) -> None:
    pid = end_an_orphan(client)
    wait_for(lambda: client.status_of(pid)["State"].startswith("Z"), about="a zombie")
    assert "sleep" in client.zombies()
