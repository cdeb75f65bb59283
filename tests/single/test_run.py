"""initpy run: several programs without a file."""

from __future__ import annotations

import os
import shlex
import signal
from typing import TYPE_CHECKING

import pytest

from initpy.config import ConfigError, load
from initpy.config.arguments import Arguments
from tests.single.support import Init, Running, run
from tests.support import probe

if TYPE_CHECKING:
    from collections.abc import Callable


def load_arguments(programs: list[str], settings: list[str]) -> list[str]:
    """Load them; returns the problems."""
    try:
        load(Arguments(tuple(programs), tuple(settings)), {"PATH": "/usr/bin:/bin"})
    except ConfigError as exc:
        return [str(problem) for problem in exc.problems]
    return []


@pytest.mark.namespace
def test_programs_run_and_are_stopped(
    find_init: Callable[[str], Init], start: Callable[..., Running]
) -> None:
    app, web = shlex.join(probe("app")), shlex.join(probe("web", "exit=QUIT:0"))
    command = [
        find_init("our initpy").path,
        "run",
        "--program",
        f"web={web}",
        f"--program=app={app}",
    ]
    command += ["--set", "program.web.after=app", "--set=program.web.stopsignal=QUIT"]
    command += ["--set", "program.app.startsecs=0.5", "--set", "init.shutdown_timeout=5.5"]
    running = start(command, as_pid1=True)
    running.wait_for_line("web ready")
    assert [line.split()[0] for line in running.said() if "ready" in line] == ["app", "web"]
    os.kill(running.pid, signal.SIGHUP)  # a reload, of arguments that have not changed
    os.kill(running.pid, signal.SIGTERM)
    assert running.wait() == 0
    running.wait_for_line("web got QUIT")
    assert len([line for line in running.said() if "ready" in line]) == 2


def test_its_problems_are_those_of_a_file(find_init: Callable[[str], Init]) -> None:
    command = [find_init("our initpy").path, "run", "--program", "web=true"]
    ran = run([*command, "--set", "program.web.startsecs=-1", "--set", "program.app.kritical=1"])
    assert ran.code == 2
    assert "initpy run: program.web.startsecs: expected a number of seconds" in ran.stderr
    assert "initpy run: program.app.kritical: unknown key; did you mean critical?" in ran.stderr


@pytest.mark.parametrize(
    ("programs", "settings", "problem"),
    [
        (["web"], [], 'expected --program NAME=COMMAND, not "web"'),
        (["=true"], [], 'program."": a name cannot be empty'),
        (["web="], [], "program.web.command: "),
        (["a b=true"], [], 'program."a b": a name cannot have white space'),
        (["web='true"], [], "program.web.command: "),
        (["web=true", "web=false"], [], '--program "web=false": what it sets has been set before'),
        (["web=true"], ["x"], 'expected --set KEY=VALUE, not "x"'),
        (["web=true"], ["=1"], 'expected --set KEY=VALUE, not "=1"'),
        (["web=true"], ["a b=1"], 'expected --set KEY=VALUE, not "a b=1"'),
        (["web=true"], ["init.x=1\ny=2"], 'expected --set KEY=VALUE, not "init.x=1\\ny=2"'),
        (["web=true"], ["nonsense=1"], "nonsense: unknown key"),
        (["web=true"], ["program.web.command=x"], "what it sets has been set before"),
        (["web=true"], ["program.web.umask=99"], "program.web.umask: expected"),
    ],
)
def test_what_is_wrong_is_named(programs: list[str], settings: list[str], problem: str) -> None:
    problems = load_arguments(programs, settings)
    assert any(told.startswith("initpy run: ") and problem in told for told in problems), problems


@pytest.mark.parametrize("name", ["web", "web.1", 'qu"ote', "back\\slash", "ü", "init"])
def test_any_name_that_a_file_may_have(name: str) -> None:
    loaded = load(Arguments((f"{name}=printf '%s' a=b \"c d\" \udcff\x7f",), ()), {"PATH": "/bin"})
    (spec,) = loaded.plan.processes
    assert spec.name == name
    assert spec.argv == (b"printf", b"%s", b"a=b", b"c d", b"\xff\x7f")


def test_values_are_toml_or_else_strings() -> None:
    loaded = load(
        Arguments(
            ("a=true", "b=true"),
            (
                "program.a.umask=0o27",
                "program.a.stopwaitsecs=2.5",
                'program.a.environment={X="1"}',
                "program.b.environment.Y=a=b",
                "program.b.autorestart=unexpected",
                "program.b.critical=false",
                'program.b.after=["a"]',
                "program.b.exitcodes=[0, 2]",
            ),
        ),
        {"PATH": "/bin"},
    )
    a, b = sorted(loaded.plan.processes, key=lambda spec: spec.name)
    assert (a.umask, b.critical, b.after, b.exitcodes) == (0o27, False, ("a",), (0, 2))
    assert dict(a.environment)[b"X"] == b"1"
    assert dict(b.environment)[b"Y"] == b"a=b"
