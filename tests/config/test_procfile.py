"""`initpy convert Procfile`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from initpy.config import ConfigError, load
from initpy.config.convert import converted
from initpy.config.procfile import is_procfile
from tests.config.support import ENVIRON


def toml_of(text: str, name: str = "Procfile") -> str:
    Path(name).write_text(text)
    return converted(name, ENVIRON)


def test_what_it_looks_like() -> None:
    text = "# the site\nweb: gunicorn -b :$PORT app:app\n\nworker:  celery -A app worker\n# end\n"
    assert toml_of(text) == (
        """\
# Made of Procfile by `initpy convert`.
# When a program has failed for good, the container ends. foreman and honcho end all at the end of
# any; initpy starts again what fails, and goes on without what ends well.
# PORT: Heroku sets it; foreman and honcho give 5000 to the first program, 5100 to the second and so
# on. initpy does not: set it in the container's environment, or here.
# foreman and honcho read variables from .env; initpy does if it is told to: env_file = [".env"] in
# a program.

# the site
[program.web]
command = ["sh", "-c", "exec gunicorn -b :$PORT app:app"]

[program.worker]
command = "celery -A app worker"
# end
"""
    )


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        ("a b 'c d' \"e f\" g\\ h", ["a", "b", "c d", "e f", "g h"]),
        ("a 100%", ["a", "100%"]),
        ("a %(x)s ${B:-c} $$", ["sh", "-c", "a %(x)s ${B:-c} $$"]),
        ("a 5% ${B:-c} $$", ["sh", "-c", "exec a 5% ${B:-c} $$"]),
        ("a >b 2>&1 <c", ["sh", "-c", "exec a >b 2>&1 <c"]),
        ("a | b", ["sh", "-c", "a | b"]),
        ("a && b", ["sh", "-c", "a && b"]),
        ("A=1 B=2 c", ["sh", "-c", "exec env A=1 B=2 c"]),
        ("exec a $B", ["sh", "-c", "exec a $B"]),
        ("cd x; y", ["sh", "-c", "cd x; y"]),
        ("cd x", ["sh", "-c", "cd x"]),
        ("ls *.py", ["sh", "-c", "exec ls *.py"]),
        ("a ~/b", ["sh", "-c", "exec a ~/b"]),
        ("a # b", ["sh", "-c", "exec a # b"]),
        ("a 'b", ["sh", "-c", "exec a 'b"]),
    ],
)
def test_commands(command: str, argv: list[str]) -> None:
    Path("initpy.toml").write_text(toml_of(f"web: {command}\n"))
    (spec,) = load("initpy.toml", ENVIRON).plan.processes
    assert [word.decode() for word in spec.argv] == argv
    assert spec.stopasgroup == (argv[0] == "sh" and not argv[2].startswith("exec "))


@pytest.mark.parametrize(
    "command",
    [
        "printf '%s|' a 'b c'",
        "A=1 B='x y' printenv A B",
        "echo $HOME | tr / .",
        "echo ${X:-a b} >&1",
    ],
)
def test_it_does_what_a_shell_does(command: str) -> None:
    """As honcho and foreman run it."""
    Path("initpy.toml").write_text(toml_of(f"web: {command}\n"))
    (spec,) = load("initpy.toml", ENVIRON).plan.processes
    env = {"HOME": "/root", "PATH": "/usr/bin:/bin"}
    own = subprocess.run(spec.argv, env=env, capture_output=True, check=True).stdout
    shell = subprocess.run(["/bin/sh", "-c", command], env=env, capture_output=True, check=True)
    assert own == shell.stdout


def test_release_comes_first_and_once() -> None:
    Path("initpy.toml").write_text(toml_of("web: a\nrelease: b\n"))
    web, release = load("initpy.toml", ENVIRON).plan.processes[::-1]
    if web.name != "web":
        web, release = release, web
    assert (web.after, release.oneshot, release.after) == (("release",), True, ())


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("web: a\nweb: b\n", ["Procfile:2: web: there is another of that name above"]),
        ("web: a\nb c\nd:\n",
         ["Procfile:2: expected `name: command`", "Procfile:3: expected `name: command`"]),
        ("# only this\n", ["Procfile: no `name: command` in it: nothing to run"]),
    ],
)  # fmt: skip
def test_what_is_wrong(text: str, problems: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        toml_of(text)
    assert str(caught.value).split("\n") == problems


def test_what_a_procfile_is() -> None:
    assert is_procfile("/app/Procfile.dev", "")
    assert is_procfile("x", "# c\n\nweb: a\n")
    assert not is_procfile("x", "web: a\nb\n")
    assert not is_procfile("x", "")
    assert not is_procfile("supervisord.conf", "[program:a]\ncommand: b\n")
