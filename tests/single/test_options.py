"""What the drop-ins say: to the byte what the originals do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from initpy.dropin.texts import LICENSE
from tests.single.support import Init, run
from tests.support import REPO

if TYPE_CHECKING:
    from collections.abc import Callable

MANY_DIGITS = "1" * 5000
"""More than Python makes a number of."""

TINI = [
    [],
    ["--version"],
    ["--version", "true"],
    ["-h"],
    ["-vh"],
    ["-x"],
    ["-vx"],
    ["-e"],
    ["-p"],
    ["-p", "TERM", "true"],
    ["-p", "SIGFOO", "true"],
    ["-p", "SIG_DFL", "true"],
    ["-p", "SIGRTMIN", "true"],
    ["-p", "SIGSTKFLT", "true"],
    ["-p", "", "true"],
    ["-e", "256", "true"],
    ["-e", MANY_DIGITS, "true"],
    ["-g"],
    ["--"],
    ["-s", "--"],
    ["--group", "true"],
    ["true"],
    ["-s", "true"],
    ["-sgwv", "true"],
    ["-se7", "sh", "-c", "exit 7"],
    ["-s", "sh", "-c", "exit 7", "-e", "7"],  # glibc looks for options behind the command, too
    ["-s", "sh", "--", "-c", "exit 7", "-e", "7"],
    ["-", "-s"],
    ["-s", "-v", "true"],
    ["-s", "-vv", "true"],
    ["-s", "-vvv", "true"],
    ["-s", "-vvv", "sh", "--", "-c", "kill -9 $$"],
    ["-s", "-vvv", "sh", "--", "-c", "kill -SEGV $$"],
    ["-s", "-w", "sh", "--", "-c", "(sleep 0.1 &); sleep 0.5"],
    ["-s", "-vvv", "sh", "--", "-c", "kill -CONT $PPID; sleep 0.2"],
    ["-p", "SIGTERM", "-s", "true"],
]


LINE_BY_LINE = ("stdbuf", "-oL")
"""The real tini forgets what the child has said until exec, where stdout is no terminal."""


def name_of(arguments: list[str]) -> str:
    return " ".join(arguments)[:80]


def sorted_lines(text: str) -> list[str]:
    """Parent and child write at the same time."""
    return sorted(text.splitlines())


@pytest.mark.parametrize("arguments", TINI, ids=name_of)
def test_tini_s_options(find_init: Callable[[str], Init], arguments: list[str]) -> None:
    theirs, ours = [
        run([*LINE_BY_LINE, find_init(which).path, *arguments]) for which in ("tini", "our tini")
    ]
    assert (ours.code, ours.stderr) == (theirs.code, theirs.stderr)
    assert sorted_lines(ours.stdout) == sorted_lines(theirs.stdout)


def test_docker_init_is_tini(find_init: Callable[[str], Init]) -> None:
    """`docker info` and the engine itself read its version."""
    for arguments in (["--version"], ["-h"], ["-v", "-s", "sh", "--", "-c", "exit 3"]):
        theirs, ours = [
            run([find_init(which).path, *arguments]) for which in ("tini", "our docker-init")
        ]
        assert ours.code == theirs.code
        assert ours.stdout.replace("docker-init", "tini") == theirs.stdout
        assert ours.stderr == theirs.stderr


def test_tini_s_environment(find_init: Callable[[str], Init]) -> None:
    for env in (
        {"TINI_SUBREAPER": ""},
        {"TINI_VERBOSITY": "0"},
        {"TINI_VERBOSITY": "3", "TINI_SUBREAPER": "1"},
        {"TINI_VERBOSITY": "-1", "TINI_SUBREAPER": "1"},
        {"TINI_VERBOSITY": " 2x", "TINI_SUBREAPER": "1"},
        {"TINI_VERBOSITY": "none"},
        {"POSIXLY_CORRECT": "1"},
    ):
        for arguments in (["-vvv", "true"], ["true", "-vvv"]):
            theirs, ours = [
                run([*LINE_BY_LINE, find_init(which).path, *arguments], env=env)
                for which in ("tini", "our tini")
            ]
            assert (ours.code, ours.stderr) == (theirs.code, theirs.stderr), env
            assert sorted_lines(ours.stdout) == sorted_lines(theirs.stdout), env


def test_the_license_is_our_own(find_init: Callable[[str], Init]) -> None:
    assert (REPO / "LICENSE").read_text() == LICENSE
    ran = run([find_init("our tini").path, "-l"])
    assert (ran.code, ran.stdout, ran.stderr) == (0, LICENSE, "")


DUMB_INIT = [
    [],
    ["-h"],
    ["--help"],
    ["--he"],
    ["-V"],
    ["--version"],
    ["--ver"],
    ["--verb", "true"],
    ["--vers=1"],
    ["-x"],
    ["-vx"],
    ["--no-such", "true"],
    ["--no-such=1", "true"],
    ["-r"],
    ["--rewrite"],
    ["-r", "15", "true"],
    ["-r", "15:", "true"],
    ["-r", "15:32", "true"],
    ["-r", "0:1", "true"],
    ["-r", "32:1", "true"],
    ["-r", "15:-1", "true"],
    ["-r", f"{MANY_DIGITS}:1", "true"],
    ["-r", " 15: 3rd", "true"],
    ["-r", "15 :3", "true"],
    ["-r", "+15:+3", "true"],
    ["-r", "TERM:3", "true"],
    ["-r15:0", "true"],
    ["--rewrite=15:0", "true"],
    ["--rewrite", "15:0", "--", "true"],
    ["--single-child=1", "true"],
    ["-v"],
    ["--"],
    ["true", "-v"],
    ["-v", "true"],
    ["-v", "--", "sh", "-c", "exit 3"],
    ["-vc", "sh", "-c", "kill -9 $$"],
    ["-v", "-r", "15:3", "true"],
    ["-v", "-r", "15:0", "true"],
    ["-v", "sh", "-c", "kill -CONT $PPID; sleep 0.2"],
    ["-v", "-r", "18:0", "sh", "-c", "kill -CONT $PPID; sleep 0.2"],
]


@pytest.mark.parametrize("arguments", DUMB_INIT, ids=name_of)
def test_dumb_init_s_options(find_init: Callable[[str], Init], arguments: list[str]) -> None:
    theirs, ours = [
        run([find_init(which).path, *arguments]) for which in ("dumb-init", "our dumb-init")
    ]
    assert (ours.code, ours.stdout) == (theirs.code, theirs.stdout)
    assert sorted_lines(ours.stderr) == sorted_lines(theirs.stderr)


def test_dumb_init_s_environment(find_init: Callable[[str], Init]) -> None:
    for env in (
        {"DUMB_INIT_DEBUG": "1"},
        {"DUMB_INIT_DEBUG": "true"},
        {"DUMB_INIT_SETSID": "0"},
        {"DUMB_INIT_SETSID": "0", "DUMB_INIT_DEBUG": "1"},
        {"DUMB_INIT_SETSID": "1", "DUMB_INIT_DEBUG": "1"},
    ):
        theirs, ours = [
            run([find_init(which).path, "true"], env=env)
            for which in ("dumb-init", "our dumb-init")
        ]
        assert ours.code == theirs.code, env
        assert sorted_lines(ours.stderr) == sorted_lines(theirs.stderr), env
