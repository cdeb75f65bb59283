"""Start, restart and stop, in order, by a real initpy and real children."""

from __future__ import annotations

import os
import re
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.pid1.toml import command, program
from tests.support import descendants, is_alive, status_field, wait_for, wait_for_descendants

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Init

    Start = Callable[..., Init]


def position(text: str, pattern: str) -> int:
    found = re.search(pattern, text)
    assert found, f"{pattern!r} is not in:\n{text}"
    return found.start()


def assert_in_order(text: str, *patterns: str) -> None:
    positions = [position(text, pattern) for pattern in patterns]
    assert positions == sorted(positions), f"{patterns} are not in this order in:\n{text}"


def test_a_program_starts_runs_and_is_stopped(start_either: Start) -> None:
    init = start_either(program("web", startsecs=0.1))
    init.wait_for_log("success: web entered RUNNING state")
    assert init.stop() == 0
    assert_in_order(
        init.log(),
        r"INFO spawned: 'web' with pid \d+",
        r"INFO success: web entered RUNNING state, process has stayed up for > than 0.1 seconds"
        r" \(startsecs\)",
        r"WARN received SIGTERM indicating exit request",
        r"INFO waiting for web to die",
        r"WARN stopped: web \(terminated by SIGTERM\)",
        r"INFO exit code 0: stopped by SIGTERM",
    )


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_three_signals_ask_for_the_end(start_either: Start, signum: signal.Signals) -> None:
    init = start_either(program("web", startsecs=0))
    init.wait_for_output("web ready")
    assert init.stop(signum) == 0
    assert f"received {signum.name} indicating exit request" in init.log()


def test_a_killed_program_comes_back(start_either: Start) -> None:
    init = start_either(program("web", startsecs=0))
    first = init.wait_for_output(r"web ready (\d+)")
    os.kill(wait_for_descendants(init.pid, 1)[0], signal.SIGKILL)
    init.wait_for_output("web ready", times=2)
    assert "exited: web (terminated by SIGKILL; not expected)" in init.log()
    assert init.output().split()[-1] != first
    assert init.stop() == 0


def test_what_comes_after_starts_later_and_stops_first(start_either: Start) -> None:
    toml = (
        program("web", "exit=TERM:0", after=["app", "db"], startsecs=0)
        + program("app", "exit=TERM:0", after="db", startsecs=0.3)
        + program("db", "exit=TERM:0", startsecs=0.3)
    )
    init = start_either(toml)
    init.wait_for_output("web ready")
    assert init.stop() == 0
    assert_in_order(
        init.log(),
        "spawned: 'db'",
        "success: db",
        "spawned: 'app'",
        "success: app",
        "spawned: 'web'",
        "stopped: web",
        "stopped: app",
        "stopped: db",
    )


def test_a_tier_stops_at_once_and_the_next_waits_for_its_last(start_either: Start) -> None:
    toml = (
        program("slow", "shutdown-delay=0.6:0", after="base", startsecs=0)
        + program("quick", "exit=TERM:0", after="base", startsecs=0)
        + program("base", "exit=TERM:0", startsecs=0)
    )
    init = start_either(toml)
    init.wait_for_output("ready", times=3)
    assert init.stop() == 0
    assert_in_order(
        init.output() + init.log(), "slow done", "stopped: quick", "stopped: slow", "stopped: base"
    )
    assert_in_order(init.output(), "slow got TERM", "slow done", "base got TERM")


def test_priority_orders_the_start_within_a_tier(start_either: Start) -> None:
    toml = (
        program("last", priority=30, startsecs=0)
        + program("first", priority=10, startsecs=0)
        + program("second", priority=20, startsecs=0)
    )
    init = start_either(toml)
    init.wait_for_output("ready", times=3)
    init.stop()
    assert_in_order(init.log(), "spawned: 'first'", "spawned: 'second'", "spawned: 'last'")


def test_numprocs_makes_numbered_processes(start_either: Start) -> None:
    init = start_either(
        program(
            "x",
            "say=number %(process_num)02d",
            process_name="%(program_name)s_%(process_num)02d",
            numprocs=3,
            numprocs_start=5,
            startsecs=0,
        )
    )
    init.wait_for_output("ready", times=3)
    init.stop()
    for number in ("05", "06", "07"):
        assert f"spawned: 'x_{number}'" in init.log()
        assert f"number {number}" in init.output()


def test_a_program_that_is_not_autostarted_stays_down(start_either: Start) -> None:
    init = start_either(program("web", startsecs=0) + program("tool", autostart=False))
    init.wait_for_output("web ready")
    assert init.stop() == 0
    assert "tool" not in init.log()


def test_the_deaf_are_killed_in_time_and_named(start_either: Start) -> None:
    init = start_either(program("deaf", "ignore=TERM", startsecs=0, stopwaitsecs=0.5))
    init.wait_for_output("deaf ready")
    assert init.stop() == 0
    assert_in_order(
        init.log(),
        r"killing 'deaf' \(\d+\) with SIGKILL",
        r"stopped: deaf \(terminated by SIGKILL\)",
        "killed because they overran their time to stop: deaf",
    )


def test_the_whole_stop_fits_the_budget(start_either: Start) -> None:
    toml = (
        "[init]\nshutdown_timeout = 2\n"
        + program("deaf", "ignore=TERM", startsecs=0, after="base")
        + program("base", "shutdown-delay=0.2:0", startsecs=0)
    )
    init = start_either(toml)
    init.wait_for_output("ready", times=2)
    assert init.stop() == 0
    # 2 s less 1 s for the tier of base and 0.5 s for the rest: base gets its own graceful stop.
    assert_in_order(init.log(), "killing 'deaf'", r"stopped: base \(exit status 0\)")


def test_a_stopped_program_is_stopped_in_time(start_either: Start) -> None:
    init = start_either(program("web", "stop", "exit=TERM:0", startsecs=0))
    init.wait_for_output("web ready")
    pid = wait_for_descendants(init.pid, 1)[0]
    wait_for(lambda: status_field(pid, "State").startswith("T"))
    assert init.stop() == 0
    assert "stopped: web (exit status 0)" in init.log()


def test_the_stop_signal_goes_to_the_leader_alone(start_either: Start) -> None:
    init = start_either(program("pool", "child=60", "exit=TERM:0", startsecs=0))
    init.wait_for_output("pool ready")
    _, child = wait_for_descendants(init.pid, 2)
    assert init.stop() == 0
    assert not is_alive(child)
    assert "stopped: pool (exit status 0)" in init.log()


def test_stopasgroup_signals_the_group(start_either: Start) -> None:
    argv = [
        "sh",
        "-c",
        "trap 'echo leader; exit 0' TERM; (trap 'echo member; exit' TERM;"
        " echo up; while :; do sleep 0.05; done) & wait; wait",
    ]
    init = start_either(command("pool", argv, startsecs=0, stopasgroup=True))
    init.wait_for_output("up")
    assert init.stop() == 0
    assert {"leader", "member"} <= set(init.output().split())


def test_survivors_of_a_crash_are_gone_before_the_next_spawn(start_either: Start) -> None:
    init = start_either(program("web", "deaf-child=60", startsecs=0, stopwaitsecs=0.3))
    init.wait_for_output("web ready")
    leader, child = wait_for_descendants(init.pid, 2)
    os.kill(leader, signal.SIGKILL)
    init.wait_for_log("spawned: 'web'", times=2)
    assert not is_alive(child)
    assert init.stop() == 0


def test_survivors_of_a_stop_are_gone_after_it(start_either: Start) -> None:
    init = start_either(
        program("web", "deaf-child=60", "exit=TERM:0", startsecs=0, stopwaitsecs=0.5)
        + program("other", startsecs=0)
    )
    init.wait_for_output("ready", times=2)
    everybody = descendants(init.pid)
    assert init.stop() == 0
    assert not any(is_alive(pid) for pid in everybody)
    assert "killing what 'web' left behind" in init.log()


def test_a_second_int_kills_at_once(start_either: Start) -> None:
    init = start_either(program("deaf", "ignore=TERM", startsecs=0, stopwaitsecs=8))
    init.wait_for_output("deaf ready")
    init.kill(signal.SIGINT)
    init.wait_for_log("waiting for deaf to die")
    init.kill(signal.SIGINT)
    assert init.wait() == 0
    assert "SIGINT again: killing everything at once" in init.log()
    assert "with SIGKILL: it did not stop in time" not in init.log()


def test_a_quit_after_another_signal_kills_at_once(start_either: Start) -> None:
    init = start_either(program("deaf", "ignore=TERM", startsecs=0, stopwaitsecs=8))
    init.wait_for_output("deaf ready")
    init.kill(signal.SIGTERM)
    init.wait_for_log("waiting for deaf to die")
    init.kill(signal.SIGQUIT)
    assert init.wait() == 0
    assert "SIGQUIT again: killing everything at once" in init.log()


def test_a_second_term_does_not_escalate(start_either: Start) -> None:
    init = start_either(program("web", "shutdown-delay=0.8:0", startsecs=0))
    init.wait_for_output("web ready")
    init.kill(signal.SIGTERM)
    init.wait_for_output("web got TERM")
    init.kill(signal.SIGTERM)
    assert init.wait() == 0
    assert "web done" in init.output()
    assert "SIGKILL" not in init.log()


def test_nothing_is_started_any_more_during_the_stop(start_either: Start) -> None:
    init = start_either(
        program("slow", "shutdown-delay=1:0", startsecs=0, after="base")
        + program("base", "after=0.6:3", startsecs=0.1, autorestart=True)
    )
    init.wait_for_output("slow ready")
    init.kill(signal.SIGTERM)
    init.wait_for_output("slow got TERM")
    assert init.wait() == 0
    log = init.log()
    assert "spawned" not in log[position(log, "waiting for") :]


def test_a_survivor_that_is_another_ones_child_holds_nothing_up(start_either: Start) -> None:
    """Its parent has left the session, and reaps it: PID 1 hears nothing of its death."""
    foster = (
        "import os, signal, time\n"
        "ready, go = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    member = os.fork()\n"
        "    if member == 0:\n"
        "        time.sleep(600)\n"
        "    os.setsid()\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    os.write(go, b'x')\n"
        "    os.waitpid(member, 0)\n"
        "    os.write(1, b'member gone\\n')\n"
        "    os._exit(0)\n"
        "os.read(ready, 1)\n"
        "os.write(1, b'up\\n')\n"
        "signal.pause()\n"
    )
    init = start_either(
        command("web", [sys.executable, "-I", "-S", "-c", foster], startsecs=0, stopwaitsecs=8)
    )
    init.wait_for_output("^up$")
    assert init.stop() == 0
    assert "member gone" in init.output()
    assert "killing what 'web' left behind" not in init.log()
