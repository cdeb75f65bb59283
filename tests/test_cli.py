"""The command line: what is asked for goes to stdout with 0, misuse to stderr with 2."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from initpy import __version__
from tests.support import REPO

if TYPE_CHECKING:
    from pathlib import Path


def initpy(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "initpy", *arguments],
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={**os.environ, "COLUMNS": "100"},
    )


def test_the_version() -> None:
    ran = initpy("--version")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"initpy {__version__}\n", "")


HELP = """\
usage: initpy [-c FILE]          run the programs of FILE (/etc/initpy.toml)
       initpy [options] -- COMMAND   run one command
       initpy run --program NAME=COMMAND [--program …] [--set KEY=VALUE …]
                                run these programs, without a file
       initpy check FILE        say what is wrong with FILE, and run nothing
       initpy check --schema    print a JSON Schema of the file, for editors
       initpy convert FILE      make TOML of a supervisord.conf or a Procfile
       initpy replay FILE       say whether this initpy decides as the one in a trace
       initpy upgrade           have a running initpy go on with the one installed now
       initpy status, initpy start NAME, …   speak to a running initpy: see below

The init that runs as PID 1 in a container and supervises the programs in it.
"""


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_that_was_asked_for(option: str) -> None:
    ran = initpy(option)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(HELP)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c"],
        ["--config"],
        ["--no-such-option"],
        ["no-such-command"],
        ["check"],
        ["check", "a", "b"],
        ["convert"],
        ["convert", "a", "b"],
        ["check", "a", "--schema"],
        ["-c", "a.toml", "-c", "b.toml"],
        ["-c", "a.toml", "check", "b.toml"],
        ["-c", "a.toml", "surplus"],
        ["--conf", "a.toml"],
        ["--"],
        ["--group", "--"],
        ["--no-such-option", "--", "true"],
        ["true", "--", "true"],
        ["--group", "true", "--", "true"],
        ["--group=yes", "--", "true"],
        ["--rewrite", "--", "true"],
        ["--rewrite=TERM", "--", "true"],
        ["--rewrite=TERM:KILLER", "--", "true"],
        ["--rewrite=_DFL:1", "--", "true"],
        ["--rewrite=0:1", "--", "true"],
        ["--pdeathsig", "32", "--", "true"],
        ["--map-exit=256", "--", "true"],
        [f"--map-exit={'1' * 5000}", "--", "true"],
        ["--pdeathsig", "1" * 5000, "--", "true"],
        ["--pdeathsig", "SIG_UNBLOCK", "--", "true"],
        ["--map-exit=1:-1", "--", "true"],
        ["--kill-after", "nan", "--", "true"],
        ["--kill-after=-1", "--", "true"],
        ["run"],
        ["run", "--program"],
        ["run", "--set", "program.web.command=true"],
        ["run", "web=true"],
    ],
)
def test_misuse(arguments: list[str]) -> None:
    ran = initpy(*arguments)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith("usage: initpy")
    assert "error: " in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["nginx", "-g", "daemon off;"], "initpy -- nginx -g 'daemon off;'"),
        (["--group", "nginx"], "initpy --group -- nginx"),
        (["--rewrite", "TERM:QUIT", "nginx"], "initpy --rewrite TERM:QUIT -- nginx"),
        (["--kill-after=3"], "initpy --kill-after=3 -- COMMAND"),
    ],
)
def test_a_command_without_dashes_before_it(arguments: list[str], advice: str) -> None:
    ran = initpy(*arguments)
    assert ran.returncode == 2
    assert ran.stderr.endswith(f"to run one command, write -- before it: {advice}\n")


def test_check(tmp_path: Path) -> None:
    path = tmp_path / "initpy.toml"
    path.write_text("[program.web]\ncommand = 'true'\n")
    ran = initpy("check", str(path))
    assert (ran.returncode, ran.stderr) == (0, "")
    path.write_text("[program.web]\ncommand = 'true'\nstartsecs = -1\nkritical = true\n")
    ran = initpy("check", str(path))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert f"{path}:3: program.web.startsecs" in ran.stderr
    assert f"{path}:4: program.web.kritical: unknown key; did you mean critical?" in ran.stderr


def test_the_default_file_is_named_when_it_is_missing() -> None:
    if os.path.exists("/etc/initpy.toml"):
        pytest.fail("this machine has an /etc/initpy.toml, which the test must not run")
    ran = initpy()
    assert ran.returncode == 2
    assert "/etc/initpy.toml" in ran.stderr


def test_convert(tmp_path: Path) -> None:
    file = tmp_path / "supervisord.conf"
    file.write_text("[program:web]\ncommand = /bin/sh\n")
    ran = initpy("convert", str(file))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert '[program.web]\ncommand = "/bin/sh"\n' in ran.stdout
    file.write_text("[program:web]\ncommand = /bin/sh\nstartsecs = x\n")
    ran = initpy("convert", str(file))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert f"{file}:3: [program:web] startsecs: " in ran.stderr
