"""PID 1 has a bug: it executes itself anew, and nobody notices."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.pid1.faults import AGAIN, Faulty
from tests.pid1.toml import command, program
from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Init

    Start = Callable[..., Init]

BUG = r"CRIT a bug in initpy: InjectedError\('001'\); executing itself anew, programs run on"


def test_it_says_what_was_wrong_and_goes_on(start_either: Start, tmp_path: Path) -> None:
    faulty = Faulty(start_either, tmp_path, program("web"), "initpy.pid1:Pid1._spawn before 1")
    init = faulty.init
    init.wait_for_output("web ready")
    init.wait_for_log("entered RUNNING")
    lines = init.log().splitlines()
    begin = next(number for number, line in enumerate(lines) if re.search(BUG, line))
    end = next(number for number, line in enumerate(lines) if re.search(f"INFO {AGAIN}", line))
    block = lines[begin + 1 : end]
    assert block
    assert all(" CRIT   " in line for line in block)
    assert re.search(r"pid1.py:\d+, in _settle", block[2])
    assert "faulty_initpy.py" in block[-1]
    assert init.log().count("spawned: ") == 1
    assert init.stop() == 0


# Every point of the loop, before it and after it. Between them each has its turn in the life that
# `test_a_fault_at_every_point` leads: programs start, crash, are restarted after a delay, fail to
# start, leave orphans, get signals and are stopped.
POINTS = {
    "a wait": "initpy.pid1:Pid1._wait_s",
    "signals": "initpy.pid1:Pid1._take_signals",
    "their flags": "initpy.linux.signals:Signals.take",
    "reaping": "initpy.pid1:Pid1._reap",
    "the kernel's dead": "initpy.pid1:reap",
    "a burial": "initpy.pid1:Pid1._bury",
    "a program's": "initpy.pid1:Pid1._bury_program",
    "a helper's": "initpy.helpers:Helpers.bury",
    "a stop command's": "initpy.pid1:Pid1._bury_stop_command",
    "an orphan's": "initpy.sweeping:Sweeping.bury",
    "an exit status": "initpy.pid1:exit_status",
    "a reason": "initpy.pid1:Pid1._read_reason",
    "a helper's words": "initpy.helpers:Helpers.hear",
    "an answer": "initpy.pid1:Pid1._take_value",
    "a helper's end": "initpy.pid1:Pid1._take_end",
    "frames": "initpy.helpers:Frames.feed",
    "timers": "initpy.core.timers:Timers.pop_due",
    "the first timer": "initpy.core.timers:Timers.next_due_at",
    "a timer": "initpy.core.timers:Timers.set",
    "looking again": "initpy.sweeping:Sweeping.look_again",
    "settling": "initpy.pid1:Pid1._settle",
    "the core": "initpy.pid1:step",
    "a fact": "initpy.pid1:Pid1._take_first",
    "an effect": "initpy.pid1:Pid1._do_first",
    "carrying out": "initpy.pid1:Pid1._carry_out",
    "a spawn": "initpy.pid1:Pid1._spawn",
    "fork": "initpy.pid1:spawn",
    "a helper's fork": "initpy.helpers:fork_helper",
    "a mark": "initpy.sweeping:Sweeping.next_mark",
    "forgetting": "initpy.sweeping:Sweeping.forget",
    "watching": "initpy.pid1:Pid1._watch 3",  # the first two are before the loop
    "closing": "initpy.pid1:Pid1.close",
    "a kill": "initpy.pid1:Pid1._kill",
    "its syscall": "initpy.linux.syscalls:kill",
    "survivors": "initpy.sweeping:Sweeping.end",
    "a look": "initpy.sweeping:Sweeping._start_look",
    "what it found": "initpy.sweeping:Sweeping.take_answer",
    "a look's end": "initpy.sweeping:Sweeping.end_look",
    "a tree": "initpy.sweeping:Sweeping.record_tree",
    "a tree's answer": "initpy.sweeping:Sweeping.take_tree",
    "a stop command": "initpy.pid1:Pid1._run_stop_command",
    "who catches": "initpy.pid1:Pid1._find_catchers",
    "the config": "initpy.pid1:Pid1._start_config_helper",
    "the rest": "initpy.pid1:Pid1._kill_rest",
    "a line": "initpy.linux.log:LogWriter.queue",
    "its writing": "initpy.linux.log:LogWriter.flush",
    "watching the log": "initpy.pid1:Pid1._watch_log",
}

FAST = "from initpy import pid1; pid1.MAX_FAULTS = 10**6\n"
"""Any number of faults, for tests of many in one life."""

LIVES = 12


EXTRA = "# what a reload takes away\n"


def lives(marks: Path) -> str:
    """Programs that write a line at each start; see `lead_a_life`."""
    text = '[init.signals]\nUSR1 = "forward"\n'
    for number in range(LIVES):
        text += command(f"s{number}", ["sh", "-c", f"echo s{number} >> {marks}; exec sleep 1000"])
    text += command(
        "crash",
        ["sh", "-c", f"echo crash >> {marks}; sleep 1000 & exit 3"],
        startsecs=0,
        autorestart=True,
        restart_limit={"count": 4, "window": 1000},
        critical=False,
        stopwaitsecs=2,
    )
    backoff = {"initial": 0.05, "factor": 1, "max": 0.05, "jitter": 0}
    text += command("none", ["/nowhere/program"], startretries=3, critical=False, backoff=backoff)
    stop = ["sh", "-c", "kill $MAINPID"]
    text += program("hup", "catch=USR1", startsecs=0.2, stop_command=stop)
    return text + EXTRA + program("extra", "child=1000")


def starts(marks: Path) -> dict[str, int]:
    names = marks.read_text().split() if marks.exists() else []
    return {name: names.count(name) for name in names}


def lead_a_life(init: Init, marks: Path, within_s: float = 8.0) -> None:
    """The same events, whatever faults there are; and what has to come of them."""
    sleepers = {f"s{number}" for number in range(LIVES)}
    wait_for(lambda: sleepers <= starts(marks).keys(), within_s=within_s)
    init.wait_for_log("gave up: crash entered FATAL", within_s=within_s)
    init.wait_for_log("gave up: none entered FATAL", within_s=within_s)
    init.wait_for_output("hup ready", within_s=within_s)
    init.kill(signal.SIGUSR1)
    init.wait_for_output("hup got USR1", within_s=within_s)
    init.wait_for_output("extra ready", within_s=within_s)
    init.config.write_text(init.config.read_text().partition(EXTRA)[0])
    init.kill(signal.SIGHUP)
    init.wait_for_log("reloaded: removed extra", within_s=within_s)
    init.wait_for_log("stopped: extra", within_s=within_s)
    init.wait_for_log("success: hup entered RUNNING", within_s=within_s)
    assert starts(marks) == dict.fromkeys(sleepers, 1) | {"crash": 5}
    assert init.stop() == 0
    log = init.log()
    assert log.count("exited: crash (exit status 3; ") == 5
    for name in (*sleepers, "hup"):
        assert log.count(f"stopped: {name} (terminated by SIGTERM)") == 1
    assert log.count("exit code 0: stopped by SIGTERM") == 1
    assert init.output().count("hup ready") == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
def test_a_fault_at_every_point(start_init: Start, tmp_path: Path, point: str, when: str) -> None:
    marks = tmp_path / "marks"
    point, _, nth = point.partition(" ")
    faulty = Faulty(start_init, tmp_path, lives(marks), f"{point} {when} {nth or 1}")
    lead_a_life(faulty.init, marks)
    assert not faulty.left()
    assert faulty.init.log().count("a bug in initpy") == 1
