"""What a shell completes; zsh needs a terminal for that, and is tried by hand."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.pid1.toml import command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ctl.support import Client
    from tests.support import Init

    Start = Callable[..., tuple[Init, Client]]

LAZY = {"autostart": False}
PROGRAMS = command("web", ["sleep", "1000"]) + command(
    "worker", ["sleep", "1000"], numprocs=2, process_name="w_%(process_num)d", **LAZY
)
ALL = ["all", "web", "worker:w_0", "worker:w_1"]
IN_BASH = """\
source "$1"
COMP_LINE=$2
COMP_POINT=${#2}
shift 2
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_initpy
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def client(start: Start, tmp_path: Path) -> Client:
    """Whose initpy is found by the shell."""
    _, client = start(PROGRAMS)
    client.wait_until(web="RUNNING")
    path = tmp_path / "bin" / "initpy"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec {shlex.join(client.command)} "$@"\n')
    path.chmod(0o755)
    client.env["PATH"] = f"{path.parent}:{os.environ['PATH']}"
    client.env["PYTHONPATH"] = os.getcwd()
    for shell in ("bash", "fish"):
        (tmp_path / shell).write_text(client("completion", shell).out)
    return client


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["st"], ["start", "status", "stop"]),
        (["start", ""], ALL),
        (["start", "w"], ["web", "worker:w_0", "worker:w_1"]),
        (["start", "worker", ":", ""], ["w_0", "w_1"]),
        (["start", "worker", ":", "w_1"], ["w_1"]),
        (["signal", "T"], ["TERM"]),
        (["signal", "TERM", "we"], ["web"]),
        (["completion", "z"], ["zsh"]),
        (["version", ""], []),
    ],
)
def test_bash(client: Client, tmp_path: Path, words: list[str], completed: list[str]) -> None:
    """The words are split as readline does it; what is completed is behind the last colon."""
    typed = " ".join(["initpy", *words]).replace(" : ", ":")
    given = ["bash", "-c", IN_BASH, "bash", str(tmp_path / "bash"), typed, "initpy", *words]
    done = subprocess.run(
        given, env=client.env, capture_output=True, text=True, timeout=60, check=True
    )
    assert sorted(done.stdout.split()) == completed
    assert done.stderr == ""


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("initpy st", ["start", "status", "stop"]),
        ("initpy start ", ALL),
        ("initpy start worker:", ["worker:w_0", "worker:w_1"]),
        ("initpy signal T", ["TERM"]),
        ("initpy signal TERM w", ["web", "worker:w_0", "worker:w_1"]),
        ("initpy version ", []),
    ],
)
def test_fish(client: Client, tmp_path: Path, typed: str, completed: list[str]) -> None:
    code = f"source {tmp_path / 'fish'}; complete -C {shlex.quote(typed)}"
    done = subprocess.run(
        ["fish", "--no-config", "-c", code],
        env={**client.env, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert sorted([line.split("\t")[0] for line in done.stdout.splitlines()]) == completed
