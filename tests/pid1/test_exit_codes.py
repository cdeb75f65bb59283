"""The exit code tells the truth, and the last line says which program and why."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.pid1.toml import command, program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import Init

    Start = Callable[..., Init]

ONCE = {"autorestart": False, "startsecs": 0}


def last_line(init: Init) -> str:
    return init.log().splitlines()[-1].partition("INFO ")[2]


@pytest.mark.parametrize("code", [1, 2, 3, 77, 126, 127, 128, 137, 255])
def test_a_critical_program_that_ends_unexpectedly_gives_its_code(
    start_either: Start, code: int
) -> None:
    init = start_either(program("bad", f"after=0:{code}", **ONCE) + program("web", startsecs=0))
    assert init.wait() == code
    assert last_line(init) == (
        f"exit code {code}: 'bad' ended unexpectedly (exit status {code})"
        " and is not restarted (autorestart)"
    )


def test_death_by_signal_is_128_and_the_signal(start_either: Start) -> None:
    init = start_either(command("bad", ["sh", "-c", "kill -9 $$$$"], **ONCE))
    assert init.wait() == 137
    assert "terminated by SIGKILL" in last_line(init)


def test_fatal_ends_the_container_with_the_programs_own_code(start_either: Start) -> None:
    init = start_either(
        program("bad", "after=0:7", startretries=1) + program("web", "exit=TERM:0", startsecs=0)
    )
    assert init.wait() == 7
    log = init.log()
    assert log.count("exited: bad (exit status 7; not expected)") == 2
    assert "gave up: bad entered FATAL state, too many start retries too quickly" in log
    assert "stopped: web (exit status 0)" in log
    assert last_line(init).startswith("exit code 7: 'bad' entered FATAL state")


def test_an_unexpected_zero_is_no_success(start_either: Start) -> None:
    init = start_either(program("bad", "after=0:0", startretries=0))
    assert init.wait() == 1
    init = start_either(program("bad", "after=0:0", exitcodes=[2], **ONCE))
    assert init.wait() == 1


@pytest.mark.parametrize(
    ("path", "mode", "code", "spawnerr"),
    [
        ("missing", None, 127, "can't find command '{path}'"),
        ("plain", 0o644, 126, "command at '{path}' is not executable"),
        ("", None, 126, "command at '{path}' is a directory"),
        ("no-interpreter", 0o755, 127, "couldn't exec {path}: ENOENT: it is there, but"),
        ("no-format", 0o755, 126, "couldn't exec {path}: ENOEXEC"),
    ],
)
def test_what_cannot_be_executed(
    start_either: Start,
    tmp_path: Path,
    path: str,
    mode: int | None,
    code: int,
    spawnerr: str,
) -> None:
    target = tmp_path / path
    if mode is not None:
        target.write_text("#!/no/such/interpreter\n" if path == "no-interpreter" else "plain\n")
        target.chmod(mode)
    init = start_either(command("bad", [f"{target}{'' if path else '/'}"], startretries=1))
    assert init.wait() == code
    expected = spawnerr.format(path=f"{target}{'' if path else '/'}")
    assert init.log().count(f"spawnerr: {expected}") == 2
    assert expected in last_line(init)


def test_a_command_that_is_nowhere_on_path(start_either: Start) -> None:
    init = start_either(command("bad", ["no-such-command"], startretries=0))
    assert init.wait() == 127
    assert "spawnerr: can't find command 'no-such-command' (bad)" in init.log()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_directory_on_path_that_may_not_be_searched_is_passed_over(
    start_either: Start, tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "no-such-command").write_text("#!/bin/sh\n")
    options = {"user": "nobody", "environment": {"PATH": f"{closed}:/usr/bin"}}
    init = start_either(command("bad", ["no-such-command"], startretries=0, **options))
    assert init.wait() == 127
    assert "spawnerr: can't find command 'no-such-command' (bad)" in init.log()


@pytest.mark.parametrize(
    ("options", "spawnerr"),
    [
        ({"directory": "/no/such/place"}, "couldn't chdir to /no/such/place: ENOENT"),
        (
            {"user": "nobody-of-that-name"},
            "couldn't setuid to nobody-of-that-name: Can't find username 'nobody-of-that-name'",
        ),
    ],
)
def test_a_directory_or_user_that_is_not_there(
    start_either: Start, options: dict[str, object], spawnerr: str
) -> None:
    init = start_either(
        program("bad", startretries=1, critical=False, **options) + program("web", startsecs=0)
    )
    init.wait_for_log("gave up: bad entered FATAL state, too many start retries too quickly")
    assert init.log().count(f"spawnerr: {spawnerr}") == 2
    assert init.is_running()
    assert init.stop() == 0


def test_a_program_that_is_not_critical_ends_nothing(start_either: Start) -> None:
    init = start_either(
        program("bad", "after=0:7", startretries=0, critical=False) + program("web", startsecs=0)
    )
    init.wait_for_log("gave up: bad")
    init.wait_for_output("web ready")
    assert init.stop() == 0
    assert "stopped: web" in init.log()


def test_what_comes_after_a_fatal_program_is_fatal_too(start_either: Start) -> None:
    init = start_either(
        program("base", "after=0:5", startretries=0, critical=False)
        + program("web", after="base")
        + program("edge", after="web", critical=False)
    )
    assert init.wait() == 5
    log = init.log()
    assert "gave up: web entered FATAL state, 'base', which it comes after, entered FATAL" in log
    assert "gave up: edge entered FATAL state, 'web', which it comes after, entered FATAL" in log
    assert "spawned: 'web'" not in log


def test_nothing_left_and_all_well_is_zero(start_either: Start) -> None:
    init = start_either(program("a", "after=0:0", **ONCE) + program("b", "after=0.2:0", **ONCE))
    assert init.wait() == 0
    assert last_line(init) == (
        "exit code 0: no program is left to run, and none ended unexpectedly"
    )


def test_nothing_left_gives_the_first_unexpected_code(start_either: Start) -> None:
    init = start_either(
        program("a", "after=0.4:4", critical=False, **ONCE)
        + program("b", "after=0:6", critical=False, **ONCE)
        + program("c", "after=0.8:0", **ONCE)
    )
    assert init.wait() == 6
    assert "'b' ended unexpectedly (exit status 6)" in last_line(init)


def test_expected_codes_are_no_failure(start_either: Start) -> None:
    init = start_either(program("a", "after=0:3", exitcodes=[0, 3], startsecs=0))
    assert init.wait() == 0
    assert "exited: a (exit status 3; expected)" in init.log()


def test_exit_code_from_chooses_another_program(start_either: Start) -> None:
    init = start_either(
        '[init]\nexit_code_from = "tests"\n'
        + program("tests", "after=0.2:9", critical=False, **ONCE)
        + program("db", startsecs=0)
    )
    assert init.wait() == 9
    assert "exit_code_from 'tests' (exit status 9)" in last_line(init)
    assert "stopped: db" in init.log()


def test_the_first_cause_wins(start_either: Start) -> None:
    init = start_either(
        program("first", "after=0.3:3", **ONCE) + program("second", "exit=TERM:4", **ONCE)
    )
    assert init.wait() == 3


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[program.web]\ncommand = 'true'\nautorestrt = true\n", "autorestart"),
        ("[program.web\n", "initpy.toml:1"),
        ("", "nothing to run"),
    ],
)
def test_a_bad_file_starts_nothing(start_either: Start, toml: str, message: str) -> None:
    init = start_either(toml)
    assert init.wait() == 2
    assert message in init.log()
    assert "spawned" not in init.log()
    assert "Traceback" not in init.log()


def test_every_problem_is_said_at_once(start_either: Start) -> None:
    init = start_either(
        program("good")
        + "[program.a]\nstartsecs = 'soon'\n[program.b]\ncommand = ''\nstopsignal = 'TREM'\n"
    )
    assert init.wait() == 2
    for part in ("program.a.startsecs", "program.a.command", "program.b.command", "stopsignal"):
        assert part in init.log()
    assert "spawned" not in init.log()
