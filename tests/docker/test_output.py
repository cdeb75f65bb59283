"""The output of programs as `docker logs` has it: with prefixes and as JSON, on a terminal and not,
and without privileges."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import BASE_IMAGE
from tests.pid1.toml import command
from tests.support import REPO

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.docker.engine import Container

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]

ANY_USER = ("--user", "12345:12345")


def says(name: str, script: str) -> str:
    return command(name, ["sh", "-c", f"{script}; exec sleep 1000"])


@pytest.fixture
def run(start: Callable[..., Container], tmp_path: Path) -> Callable[..., Container]:
    """Run a configuration in a container of its own."""

    def run(toml: str, *options: str) -> Container:
        config = tmp_path / "initpy.toml"
        config.write_text(toml)
        config.chmod(0o644)
        files = {
            REPO / "docker" / "initpy": "/usr/local/bin/initpy",
            REPO / "initpy": "/usr/lib/python3/dist-packages/initpy",
            config: "/here.toml",
        }
        return start(BASE_IMAGE, "initpy", "-c", "/here.toml", files=files, options=options)

    return run


def test_prefix(run: Callable[..., Container]) -> None:
    toml = '[init]\nlog = "prefix"\n' + says("web", "echo one") + says("worker", "echo two >&2")
    container = run(toml)
    container.wait_for_log("^web    [|] one$")
    container.wait_for_log("^worker [|] two$")
    container.wait_for_log("entered RUNNING", times=2)
    container.stop()
    assert container.wait() == 0
    lines = container.log().splitlines()
    assert [line for line in lines if not re.match(r"(web   |worker|initpy) \| ", line)] == []


def test_json(run: Callable[..., Container]) -> None:
    """All of it, initpy's own lines included, goes through a parser."""
    toml = '[init]\nlog = "json"\n'
    toml += says("web", r"printf 'a\t\377\n'") + says("worker", "echo two >&2")
    container = run(toml)
    container.wait_for_log('"program":"web"')
    container.wait_for_log('"program":"worker"')
    container.wait_for_log("entered RUNNING", times=2)
    container.stop()
    assert container.wait() == 0
    entries = [json.loads(line) for line in container.log().splitlines()]
    assert {entry["program"] for entry in entries} == {"initpy", "web", "worker"}
    messages = {it["program"]: (it["channel"], it["message"]) for it in entries}
    assert messages["web"] == ("stdout", "a\t\\xff")
    assert messages["worker"] == ("stderr", "two")


def test_on_a_terminal_the_names_have_colours(run: Callable[..., Container]) -> None:
    toml = '[init]\nlog = "prefix"\n' + says("web", "echo one") + says("worker", "echo two")
    container = run(toml, "--tty")
    container.wait_for_log("\x1b\\[36mweb    [|]\x1b\\[0m one")
    container.wait_for_log("\x1b\\[33mworker [|]\x1b\\[0m two")
    container.stop()
    assert container.wait() == 0


def test_on_a_terminal_without_colours(run: Callable[..., Container]) -> None:
    container = run('[init]\nlog = "prefix"\n' + says("web", "echo one"), "--tty", "-eNO_COLOR=1")
    container.wait_for_log("^web    [|] one")
    container.stop()
    assert container.wait() == 0


@pytest.mark.parametrize("options", [(), ("--tty",)], ids=["a pipe", "a terminal"])
def test_any_user_can_open_its_dev_stdout(
    run: Callable[..., Container], options: tuple[str, ...]
) -> None:
    """Docker's pipe is root's, and to open it is forbidden; PID 1's is the program's own."""
    script = "echo one > /dev/stdout; echo two > /dev/stderr"
    container = run('[init]\nlog = "prefix"\n' + says("web", script), *ANY_USER, *options)
    container.wait_for_log("web    .* one")
    container.wait_for_log("web    .* two")
    container.stop()
    assert container.wait() == 0


def test_another_users_program_can_open_its_dev_stdout(run: Callable[..., Container]) -> None:
    toml = '[init]\nlog = "json"\n' + says("web", "echo one > /dev/stdout") + 'user = "nobody"\n'
    container = run(toml)
    container.wait_for_log('"message":"one"')
    container.stop()
    assert container.wait() == 0
