"""What crashed programs leave behind, under Docker's default capabilities: PID 1 is root there, but
not an almighty one, and the programs are other users."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.docker.engine import Container, in_order
from tests.pid1.toml import command
from tests.support import PROBE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.docker.engine import Engine, Web

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]

KINDS = ("child", "session", "daemon", "bare-daemon")
"""What the probe leaves behind; see probe.py."""


def program(name: str, *words: str, **options: object) -> str:
    """A program that runs the probe in the container."""
    return command(name, ["/usr/bin/python3", "-IS", "/probe.py", name, *words], **options)


@pytest.fixture
def run(image: str, start: Callable[..., Container], tmp_path: Path) -> Callable[[str], Container]:
    """Run a configuration in a container of its own."""

    def run(toml: str) -> Container:
        config = tmp_path / "initpy.toml"
        config.write_text(toml)
        tmp_path.chmod(0o755)
        config.chmod(0o644)
        return start(image, "-c", "/here.toml", files={config: "/here.toml", PROBE: "/probe.py"})

    return run


def test_what_other_users_programs_leave_is_gone_and_a_neighbours_stays(
    run: Callable[[str], Container],
) -> None:
    words = [f"{kind}=600" for kind in KINDS]
    container = run(
        program("web", *words, user="daemon", startsecs=0)
        + program("other", *words, user="nobody", startsecs=0)
    )
    leader = container.wait_for_log(r"^web ready (\d+)$")
    container.wait_for_log(r"^other ready (\d+)$")
    said = container.log()
    ours = re.findall(r"^web (?:child|session|daemon|bare-daemon) (\d+)$", said, re.MULTILINE)
    others = re.findall(r"^other (?:child|session|daemon|bare-daemon) (\d+)$", said, re.MULTILINE)
    assert len(ours) == len(others) == len(KINDS)
    assert container.status_of(ours[0])["Uid"].split()[0] == "1"
    container.kill("9", leader)
    container.wait_for_log(r"^web ready (\d+)$", times=2)
    assert [pid for pid in ours if container.status_of(pid)] == []
    assert [pid for pid in others if not container.status_of(pid)] == []
    assert container.zombies() == []


def test_nginx_killed_comes_back_without_its_workers_in_the_way(web: Web) -> None:
    container = web.container
    container.wait_for_log("nginx entered RUNNING")
    container.kill("9", container.pid_of("nginx"))
    container.wait_for_log("nginx entered RUNNING", times=2)
    web.wait_until_it_answers()
    log = container.log()
    in_order(
        log,
        r"exited: nginx \(terminated by SIGKILL; not expected\)",
        r"ending what nginx left behind: nginx \(\d+\)",
        "spawned: 'nginx'",
    )
    assert "Address already in use" not in log
    assert len(re.findall("spawned: 'nginx'", log)) == 2
    assert container.zombies() == []


def test_uwsgi_without_a_master_comes_back_too(run: Callable[[str], Container]) -> None:
    argv = ["uwsgi", "--plugin", "python3", "--http-socket", ":8081", "--processes", "3"]
    argv += ["--pythonpath", "/app", "--module", "app", "--die-on-term"]
    container = run(command("uwsgi", argv, user="daemon", startsecs=0.5))
    container.wait_for_log("uwsgi entered RUNNING")
    container.kill("9", container.pid_of("uwsgi"))
    container.wait_for_log("ending what uwsgi left behind: ")
    container.wait_for_log("uwsgi entered RUNNING", times=2)
    assert "Address already in use" not in container.log()


def test_nginx_in_the_background_is_told_how_to_stay(run: Callable[[str], Container]) -> None:
    launch = "sed /daemon/d /app/nginx.conf >/tmp/nginx.conf && exec nginx -c /tmp/nginx.conf"
    nginx = command("nginx", ["sh", "-c", launch], critical=False)
    container = run(nginx + program("other"))
    container.wait_for_log("'nginx' exited with 0 at once and left nginx .* in the background")


def test_a_death_for_lack_of_memory_is_said_to_be_one(
    engine: Engine, image: str, tmp_path: Path
) -> None:
    """Its exit status, a SIGKILL, does not tell; the memory cgroup's count of OOM kills does."""
    hungry = "x = [bytearray(1 << 20) for _ in range(4096)]"
    argv = ["/usr/bin/python3", "-IS", "-c", hungry]
    config = tmp_path / "initpy.toml"
    once = command("hungry", argv, critical=False, startsecs=0, autorestart=False)
    config.write_text(once + program("other"))
    options = ("--network", "none", "--memory", "128m", "--memory-swap", "128m")
    files = {config: "/here.toml", PROBE: "/probe.py"}
    container = Container(engine, image, ["-c", "/here.toml"], options=options, files=files)
    try:
        with container.running():
            container.wait_for_log(
                r"exited: hungry \(terminated by SIGKILL; not expected\), up for [\d.]+ s, peak"
                r" memory \d+ MiB, the kernel has just killed once in this container for lack of"
                r" memory"
            )
            other = container.pid_of("other")
            container.kill("9", other)
            said = container.wait_for_log(r"exited: other \(terminated by SIGKILL.*")
            assert "lack of memory" not in said
    finally:
        container.remove()
