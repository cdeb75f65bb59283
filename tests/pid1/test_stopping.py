"""The ways to stop a program: steps, a command, a drain; with real programs."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.pid1.toml import command, program
from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Init

    Start = Callable[..., Init]

STEPS = ["INT 0.2", "TERM 0.2", "USR1 5", "KILL"]


def removed(init: Init, rest: str) -> None:
    """A reload takes the program away, which stops it."""
    init.config.write_text(rest)
    init.kill(signal.SIGHUP)


def positions(text: str, *parts: str) -> list[int]:
    return [text.index(part) for part in parts]


@pytest.mark.parametrize("by_reload", [True, False])
def test_the_steps_of_a_stop_come_one_after_the_other(start_either: Start, by_reload: bool) -> None:
    other = program("other", startsecs=0)
    words = ("catch=INT,TERM", "exit=USR1:0")
    init = start_either(program("web", *words, startsecs=0, stopsignal=STEPS) + other)
    init.wait_for_output("web ready")
    if by_reload:
        removed(init, other)
        init.wait_for_log("stopped: web .exit status 0")
    assert init.stop() == 0
    said = positions(init.output(), "web got INT", "web got TERM", "web got USR1")
    assert said == sorted(said)
    assert "killing 'web'" not in init.log()


def test_who_is_deaf_to_all_steps_is_killed(start_either: Start) -> None:
    steps = ["INT 0.1", "TERM 0.1"]
    init = start_either(program("web", "ignore=INT,TERM", startsecs=0, stopsignal=steps))
    init.wait_for_output("web ready")
    assert init.stop() == 0
    assert "with SIGKILL: it did not stop in time" in init.log()
    assert "killed because they overran their time to stop: web" in init.log()


def stop_by(*words: str) -> list[str]:
    """A stop command: this script, told the program's pid by MAINPID, and where it runs."""
    script = (
        "import os, sys\n"
        "pid = int(os.environ['MAINPID'])\n"
        "os.write(1, f'command {pid} {os.getcwd()} {os.getuid()}\\n'.encode())\n" + "\n".join(words)
    )
    return [sys.executable, "-I", "-S", "-c", script]


def test_a_stop_command_that_does_its_work_is_all_there_is(start_either: Start) -> None:
    web = program(
        "web",
        "catch=TERM",
        "exit=USR1:0",
        startsecs=0,
        directory="/usr",
        stop_command=stop_by("os.kill(pid, 10)"),
    )
    init = start_either(web)
    pid = init.wait_for_output(r"^web ready (\d+)$")
    assert init.stop() == 0
    assert f"command {pid} /usr " in init.output()
    assert "web got USR1" in init.output()
    assert "web got TERM" not in init.output()


def test_the_first_signal_follows_a_stop_command_that_fails(start_either: Start) -> None:
    web = program("web", "exit=TERM:0", startsecs=0, stop_command=stop_by("sys.exit(7)"))
    init = start_either(web)
    init.wait_for_output("web ready")
    assert init.stop() == 0
    assert "web got TERM" in init.output()
    failed = "the stop_command of 'web' failed: exit status 7; going on with SIGTERM"
    assert failed in init.log()


def test_the_first_signal_follows_a_stop_command_that_is_not_there(start_either: Start) -> None:
    web = program("web", "exit=TERM:0", startsecs=0, stop_command=["/no/such/command"])
    init = start_either(web)
    init.wait_for_output("web ready")
    assert init.stop() == 0
    assert "web got TERM" in init.output()
    failed = "the stop_command of 'web' failed: can't find command '/no/such/command'"
    assert failed in init.log()


def test_a_stop_command_that_hangs_has_its_time_and_is_not_left_behind(start_either: Start) -> None:
    other = program("other", startsecs=0)
    hangs = stop_by("import time, signal", "signal.signal(15, signal.SIG_IGN)", "time.sleep(600)")
    web = program("web", "exit=TERM:0", startsecs=0, stopwaitsecs=0.3, stop_command=hangs)
    init = start_either(web + other)
    init.wait_for_output("web ready")
    removed(init, other)
    init.wait_for_log("stopped: web")
    assert "web got TERM" in init.output()
    assert "killing what 'web' left behind with SIGKILL" in init.log()
    assert init.stop() == 0


DRAINING = "works on for 30 seconds before it is stopped (drain)"


@pytest.mark.parametrize("second", ["TERM", "INT"])
def test_a_drain_holds_the_stop_back_until_a_second_signal(
    start_either: Start, second: str
) -> None:
    web = program("web", "exit=TERM:0", startsecs=0, drain=30, stopwaitsecs=5)
    init = start_either("[init]\nshutdown_timeout = 60\n" + web)
    init.wait_for_output("web ready")
    init.kill(signal.SIGTERM)
    wait_for(lambda: DRAINING in init.log())
    assert "web got TERM" not in init.output()
    assert init.stop(signal.Signals[f"SIG{second}"]) == 0
    assert "asked again: nothing is drained any more" in init.log()
    assert "web got TERM" in init.output()


def test_a_drain_ends_by_itself(start_either: Start) -> None:
    web = program("web", "exit=TERM:0", startsecs=0, drain=0.3, stopwaitsecs=5)
    init = start_either(web)
    init.wait_for_output("web ready")
    assert init.stop() == 0
    assert "works on for 0.3 seconds" in init.log()
    assert "web got TERM" in init.output()


def test_nothing_is_drained_when_a_program_has_failed(start_either: Start) -> None:
    web = program("web", "exit=TERM:0", startsecs=0, drain=30)
    broken = program("broken", "after=0:3", startsecs=5, startretries=0)
    init = start_either("[init]\nshutdown_timeout = 60\n" + web + broken)
    assert init.wait() == 3
    assert "drain" not in init.log()


def test_all_stages_are_cut_to_fit_the_budget(start_either: Start) -> None:
    """2 s for everything: the drain and both steps get about an eighth of what they ask for."""
    web = program("web", "catch=TERM,INT", startsecs=0, drain=4, stopsignal=["TERM 4", "INT 4"])
    init = start_either("[init]\nshutdown_timeout = 2\n" + web)
    init.wait_for_output("web ready")
    assert init.stop() == 0
    assert "works on for 0.5 seconds" in init.log()
    said = positions(init.output(), "web got TERM", "web got INT")
    assert said == sorted(said)
    assert "killing 'web'" in init.log()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run programs as others")
def test_a_stop_command_is_run_by_the_programs_user(start_init: Start) -> None:
    stop = ["sh", "-c", "id -u; kill $MAINPID"]
    web = command("web", ["sleep", "600"], startsecs=0, user="nobody", stop_command=stop)
    init = start_init(web, as_pid1=False)
    init.wait_for_log("success: web entered RUNNING")
    assert init.stop() == 0
    assert init.output() == "65534\n"
    assert "failed" not in init.log()
