"""The README says what is: its example runs, its commands exist, its tables are complete."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

from initpy import __version__
from initpy.config import load
from tests.support import REPO

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import Init

README = (REPO / "README.md").read_text()


def block(language: str, containing: str) -> str:
    """The text of the code block in that language that has this in it."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    (found,) = [text for text in blocks if containing in text]
    return str(found)


def test_command_one_runs_the_quickstart(start_init: Callable[..., Init]) -> None:
    command = "python3 -m initpy -c examples/quickstart/initpy.toml"
    assert f"$ {command}\n" in README
    quickstart = REPO / "examples/quickstart/initpy.toml"
    assert command in quickstart.read_text()
    toml = quickstart.read_text().replace("%(here)s", str(quickstart.parent))
    init = start_init(toml, as_pid1=False)
    pid = init.wait_for_output(r"clock +\| I am process (\d+)")
    init.wait_for_output(r"greeter +\| hello")
    os.kill(int(pid), signal.SIGKILL)
    init.wait_for_output(r"clock +\| I am process", times=2)
    init.wait_for_log("success: greeter entered RUNNING state")
    init.wait_for_log("success: clock entered RUNNING state", times=2)
    assert init.stop(signal.SIGINT) == 0
    assert "greeter | told to stop, goodbye" in init.output()


def test_command_two_is_there() -> None:
    assert "$ tests/run\n" in README
    assert (REPO / "tests/run").stat().st_mode & stat.S_IXUSR


def test_the_example_runs(tmp_path: Path, start_init: Callable[..., Init]) -> None:
    """With stand-ins for the two programs, its log is the README's, but for times and pids."""
    toml = block("toml", "[program.nginx]")
    path = tmp_path / "initpy.toml"
    path.write_text(toml)
    assert [spec.name for spec in load(str(path)).plan.processes] == ["app", "nginx"]
    toml = re.sub(r'(?m)^command = .*"$|^command = \[.*\]$', "command = STAND_IN", toml)
    toml = re.sub(r"(?m)^command = \"nginx.*$", "command = STAND_IN", toml)
    stand_in = '["sh", "-c", "trap \'exit 0\' TERM QUIT; while :; do sleep 0.02; done"]'
    init = start_init(toml.replace("STAND_IN", stand_in))
    init.wait_for_log("success: nginx entered RUNNING state")
    assert init.stop() == 0
    assert shape(init.log()) == shape(block("console", "spawned: 'app'"))


def shape(log: str) -> list[str]:
    return [re.sub(r"pid \d+", "pid N", line[24:]) for line in log.splitlines()]


def test_help_names_the_commands_of_the_readme() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "initpy", "--help"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    for command in ("initpy -c FILE", "initpy check FILE", "initpy check --schema"):
        assert f"`{command}`" in README
        assert command.replace("-c FILE", "[-c FILE]") in ran.stdout


def test_the_changelog_has_this_version() -> None:
    changelog = (REPO / "CHANGELOG.md").read_text()
    newest = re.search(r"^## \[([^]]+)\]", changelog, re.MULTILINE)
    assert newest
    assert newest[1] == __version__
