"""PID 1 has a bug: it executes itself anew, and nobody notices."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.control.rpc import rpc
from tests.pid1.faults import AGAIN, FAULTY, Faulty
from tests.pid1.toml import command, program
from tests.support import (
    REPO,
    children,
    fds_of,
    is_alive,
    status_field,
    wait_for,
    wait_for_descendants,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Init

    Start = Callable[..., Init]

BUG = r"CRIT a bug in initpy: InjectedError\('001'\); executing itself anew, programs run on"


def test_it_says_what_was_wrong_and_goes_on(start_either: Start, tmp_path: Path) -> None:
    faulty = Faulty(
        start_either, tmp_path, program("web"), "initpy.spawning:Spawning.spawn before 1"
    )
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
    "a program's": "initpy.spawning:Spawning.bury",
    "a helper's": "initpy.helpers:Helpers.bury",
    "a stop command's": "initpy.spawning:Spawning.bury_stop_command",
    "an orphan's": "initpy.sweeping:Sweeping.bury",
    "an exit status": "initpy.pid1:exit_status",
    "a reason": "initpy.spawning:Spawning._read_reason",
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
    "a spawn": "initpy.spawning:Spawning.spawn",
    "fork": "initpy.spawning:spawn",
    "a helper's fork": "initpy.helpers:fork_helper",
    "a mark": "initpy.sweeping:Sweeping.next_mark",
    "forgetting": "initpy.sweeping:Sweeping.forget",
    "watching": "initpy.watches:Watches.watch 3",  # the first two are before the loop
    "closing": "initpy.watches:Watches.close",
    "a kill": "initpy.spawning:Spawning.kill",
    "its syscall": "initpy.linux.syscalls:kill",
    "survivors": "initpy.sweeping:Sweeping.end",
    "a look": "initpy.sweeping:Sweeping._start_look",
    "what it found": "initpy.sweeping:Sweeping.take_answer",
    "a look's end": "initpy.sweeping:Sweeping.end_look",
    "a tree": "initpy.sweeping:Sweeping.record_tree",
    "a tree's answer": "initpy.sweeping:Sweeping.take_tree",
    "a stop command": "initpy.spawning:Spawning.run_stop_command",
    "who catches": "initpy.pid1:Pid1._find_catchers",
    "the config": "initpy.pid1:Pid1._start_config_helper",
    "the rest": "initpy.rest:Rest.kill",
    "a line": "initpy.linux.log:LogWriter.queue",
    "its writing": "initpy.linux.log:LogWriter.flush",
    "watching the log": "initpy.pid1:Pid1._watch_log",
}

FAST = "from initpy import renewal; renewal.MAX_FAULTS = 10**6\n"
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


def lead_a_life(init: Init, marks: Path, within_s: float = 60.0) -> None:
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


def test_a_fault_in_every_line(start_init: Start, tmp_path: Path) -> None:
    """In one life, in each line of the loop, of its rooms, of the helpers and of the sweeps, when
    it is reached for the first time: some 500 faults, and as many images."""
    marks = tmp_path / "marks"
    # The same fact meets with more than two of them.
    patch = FAST + "from initpy import repair; repair._drop_what_fails_again = lambda _: None\n"
    rooms = "initpy.parts initpy.rest initpy.spawning initpy.watches"
    lines = f"lines initpy.pid1 {rooms} initpy.helpers initpy.sweeping\n"
    faulty = Faulty(start_init, tmp_path, lives(marks), lines, patch=patch)
    lead_a_life(faulty.init, marks, within_s=300)
    struck = (faulty.folder / "001").read_text().count(".py:")
    assert struck > 300
    log = faulty.init.log()
    assert log.count("a bug in initpy") == struck
    assert len(re.findall(AGAIN, log)) == struck


# What follows has a bug in what SIGUSR1 does, so that a test can say when.

BUG_ON_USR1 = "initpy.pid1:Pid1._find_catchers before 1"
USR1 = '[init.signals]\nUSR1 = "forward"\n'

HELD_UP = """
import posix, time
if posix.environ.get(b"INITPY_HANDOVER", b"").startswith(b"take"):
    open(FOLDER + "/between", "w").close()
    for _ in range(3000):
        if posix.access(FOLDER + "/go", 0):
            break
        time.sleep(0.01)
"""
"""The new image waits, before it has done anything, until the test has done what it wants to."""


def hold_up(faulty: Faulty) -> None:
    """Have it execute itself, and stop half-way."""
    faulty.init.kill(signal.SIGUSR1)
    wait_for((faulty.folder / "between").exists)


def go_on(faulty: Faulty) -> None:
    (faulty.folder / "go").touch()
    faulty.init.wait_for_log(AGAIN)


def sleepers(count: int, marks: Path) -> str:
    return command(
        "many",
        ["sh", "-c", f"echo x >> {marks}; exec sleep 1000"],
        process_name="many_%(process_num)d",
        numprocs=count,
        startsecs=0,
    )


def wait_for_starts(marks: Path, count: int) -> None:
    wait_for(lambda: starts(marks).get("x", 0) >= count, within_s=60, about=f"{count} starts")


@pytest.mark.parametrize(
    "point",
    [
        "initpy.pid1:step after 150",
        "initpy.spawning:spawn after 100",
        "initpy.spawning:Spawning.bury before 1",
        "initpy.pid1:Pid1._find_catchers before 1",
        "initpy.spawning:Spawning.kill after 100",
    ],
)
def test_with_200_programs_none_is_lost_and_none_starts_twice(
    start_either: Start, tmp_path: Path, point: str
) -> None:
    marks = tmp_path / "marks"
    faulty = Faulty(start_either, tmp_path, USR1 + sleepers(200, marks), point)
    init = faulty.init
    wait_for_starts(marks, 200)
    before = wait_for_descendants(init.pid, 200)
    victim = before[7]
    os.kill(victim, signal.SIGKILL)
    wait_for_starts(marks, 201)
    init.kill(signal.SIGUSR1)
    if "catchers" in point:  # else the stop overtakes it
        init.wait_for_log(AGAIN)
    after = wait_for_descendants(init.pid, 200)
    assert set(before) - {victim} <= set(after)
    assert init.stop() == 0
    assert not faulty.left()
    log = init.log()
    assert len(re.findall(AGAIN, log)) == 1
    assert starts(marks) == {"x": 201}
    assert log.count("exited: ") == 1
    assert log.count("stopped: ") == 200


def test_term_while_it_executes_itself_is_not_lost(start_either: Start, tmp_path: Path) -> None:
    faulty = Faulty(start_either, tmp_path, USR1 + program("web"), BUG_ON_USR1, patch=HELD_UP)
    faulty.init.wait_for_output("web ready")
    hold_up(faulty)
    faulty.init.kill(signal.SIGTERM)
    go_on(faulty)
    assert faulty.init.wait() == 0
    assert "received SIGTERM indicating exit request" in faulty.init.log()


def test_a_death_while_it_executes_itself_is_seen(start_either: Start, tmp_path: Path) -> None:
    faulty = Faulty(start_either, tmp_path, USR1 + program("web"), BUG_ON_USR1, patch=HELD_UP)
    init = faulty.init
    init.wait_for_log("entered RUNNING")
    hold_up(faulty)
    os.kill(wait_for_descendants(init.pid, 1)[0], signal.SIGSEGV)
    go_on(faulty)
    init.wait_for_output("web ready", times=2)
    assert "exited: web (terminated by SIGSEGV" in init.log()
    assert init.stop() == 0


def test_the_dead_are_reaped_before_the_first_wait(start_init: Start, tmp_path: Path) -> None:
    """Of this death no signal tells any more."""
    lost = "from initpy import repair; packed = repair.packed\n"
    lost += "repair.packed = lambda loop, *rest: (loop.taken.clear(), packed(loop, *rest))[1]\n"
    bug = "initpy.pid1:Pid1._reap before 2"  # the first is the config helper's
    faulty = Faulty(start_init, tmp_path, program("web"), bug, patch=lost)
    init = faulty.init
    init.wait_for_log("entered RUNNING")
    os.kill(wait_for_descendants(init.pid, 1)[0], signal.SIGKILL)
    init.wait_for_output("web ready", times=2)
    assert init.stop() == 0


def test_a_timer_that_is_due_meanwhile_fires(start_either: Start, tmp_path: Path) -> None:
    backoff = {"initial": 1.5, "factor": 1, "max": 1.5, "jitter": 0}
    toml = USR1 + program("late", "after=0.01:1", startsecs=1, backoff=backoff) + program("web")
    faulty = Faulty(start_either, tmp_path, toml, BUG_ON_USR1, patch=HELD_UP)
    init = faulty.init
    init.wait_for_output("web ready")
    init.wait_for_log("exited: late")
    died_at = time.monotonic()
    hold_up(faulty)
    assert init.output().count("late ready") == 1
    wait_for(lambda: time.monotonic() > died_at + 1.5)
    go_on(faulty)
    init.wait_for_output("late ready", times=2, within_s=1.0)
    assert init.stop() == 0


def test_a_timer_that_is_due_later_fires_when_it_is_due(
    start_either: Start, tmp_path: Path
) -> None:
    """Not anew from the hand-over on."""
    toml = USR1 + program("web", startsecs=2)
    faulty = Faulty(start_either, tmp_path, toml, BUG_ON_USR1)
    init = faulty.init
    init.wait_for_output("web ready")
    init.kill(signal.SIGUSR1)
    init.wait_for_log("entered RUNNING")
    seen = re.findall(r":(\d\d,\d\d\d) INFO (?:spawned|success)", init.log())
    spawned_s, up_s = [float(stamp.replace(",", ".")) for stamp in seen]
    assert 1.9 < (up_s - spawned_s) % 60 < 2.4
    assert "took over 1 process from itself" in init.log()
    assert init.stop() == 0


def test_queued_facts_and_unfinished_effects_go_along(start_init: Start, tmp_path: Path) -> None:
    """A boot of many is one long queue; the fault is in its midst."""
    marks = tmp_path / "marks"
    faulty = Faulty(start_init, tmp_path, sleepers(50, marks), "initpy.spawning:spawn before 20")
    wait_for_starts(marks, 50)
    faulty.init.wait_for_log("entered RUNNING", times=50)
    assert faulty.init.stop() == 0
    assert starts(marks) == {"x": 50}


def test_a_pid_is_recorded_as_the_next_act_after_fork(start_init: Start, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    toml = sleepers(1, marks)
    faulty = Faulty(start_init, tmp_path, toml, "initpy.linux.spawn:set_mask before 2")
    faulty.init.wait_for_log("entered RUNNING")
    faulty.wait_for_all()
    assert len(children(faulty.init.pid)) == 1
    assert faulty.init.stop() == 0
    assert starts(marks) == {"x": 1}


def test_what_programs_inherit_is_as_it_was(start_either: Start, tmp_path: Path) -> None:
    """Not what the image before has made of it: its own mask, its limit of queued signals, and
    TTIN and TTOU, which it ignores."""
    words = ["status=SigBlk", "status=SigIgn", "fds", "env=LC_CTYPE", "env=INITPY_HANDOVER"]
    toml = USR1 + program("web", *words) + command("limit", ["sh", "-c", "ulimit -i; sleep 1000"])
    wrapper = ["env", "--block-signal=USR2", "--ignore-signal=HUP"]
    faulty = Faulty(start_either, tmp_path, toml, BUG_ON_USR1, wrapper=wrapper)
    init = faulty.init
    init.wait_for_log("entered RUNNING", times=2)
    before = sorted(init.output().splitlines())
    assert "web SigBlk 0000000000000800" in before
    init.kill(signal.SIGUSR1)
    init.wait_for_log(AGAIN)
    for pid in wait_for_descendants(init.pid, 2):
        with contextlib.suppress(ProcessLookupError):  # a helper that was just there
            os.kill(pid, signal.SIGKILL)
    init.wait_for_log("entered RUNNING", times=4)
    after = sorted(init.output().splitlines())
    for line in {*before, *after}:
        if "ready" not in line:
            assert after.count(line) == 2, line
    assert init.stop() == 0


def test_it_looks_as_ever(start_either: Start, tmp_path: Path) -> None:
    """In ps: not the number of an fd for its name; and its command line is the same."""
    faulty = Faulty(start_either, tmp_path, USR1 + program("web"), BUG_ON_USR1)
    init = faulty.init
    init.wait_for_output("web ready")
    places = [Path(f"/proc/{init.pid}/{name}") for name in ("comm", "cmdline")]
    before = [place.read_bytes() for place in places]
    init.kill(signal.SIGUSR1)
    init.wait_for_log(AGAIN)
    assert [place.read_bytes() for place in places] == before
    assert init.stop() == 0


AGAIN_AND_AGAIN = (
    FAST
    + """
from initpy.pid1 import Pid1
turn = Pid1._turn
def bad_turn(self):
    for name in posix.listdir(FOLDER + "/left"):
        posix.rmdir(FOLDER + "/left/" + name)
        raise InjectedError(name)
    turn(self)
Pid1._turn = bad_turn
"""
)


def test_hundreds_of_images_leave_fds_and_memory_where_they_were(
    start_either: Start, tmp_path: Path
) -> None:
    faulty = Faulty(start_either, tmp_path, program("web"), patch=AGAIN_AND_AGAIN)
    left = faulty.folder / "left"
    left.mkdir()
    init = faulty.init
    init.wait_for_log("entered RUNNING")

    def measure(times: int) -> tuple[list[str], int]:
        for number in range(times):
            (left / str(number)).mkdir()
        init.kill(signal.SIGUSR1)
        wait_for(lambda: not any(left.iterdir()), within_s=300)
        measure.seen += times  # type: ignore[attr-defined]
        init.wait_for_log(AGAIN, times=measure.seen)  # type: ignore[attr-defined]
        wait_for(lambda: len(children(init.pid)) == 1)  # a helper's pipe would count
        wait_for(lambda: status_field(init.pid, "State")[:1] == "S")
        fds = sorted(re.sub(r"\d+", "", fd) for fd in fds_of(init.pid))
        rollup = Path(f"/proc/{init.pid}/smaps_rollup").read_text()
        return fds, int(re.findall(r"^Private_Dirty: +(\d+) kB", rollup, re.MULTILINE)[0])

    measure.seen = 0  # type: ignore[attr-defined]
    fds, dirty_kb = measure(1)
    fds_after, dirty_after_kb = measure(300)
    assert fds_after == fds
    assert dirty_after_kb < dirty_kb + 200
    assert len(children(init.pid)) == 1
    assert init.stop() == 0


# ---------------------------------------------------------------- what fails again


def test_a_fact_that_fails_twice_is_dropped(start_either: Start, tmp_path: Path) -> None:
    poison = """
from initpy import pid1
step = pid1.step
def bad_step(state, fact, now):
    if type(fact).__name__ == "SignalReceived" and fact.signum == 10:
        raise InjectedError("poison")
    return step(state, fact, now)
pid1.step = bad_step
"""
    faulty = Faulty(start_either, tmp_path, program("web"), patch=poison)
    init = faulty.init
    init.wait_for_output("web ready")
    init.kill(signal.SIGUSR1)
    init.wait_for_log("this has failed twice, and is dropped: SignalReceived")
    init.wait_for_log(AGAIN, times=2)
    os.kill(wait_for_descendants(init.pid, 1)[0], signal.SIGKILL)
    init.wait_for_output("web ready", times=2)
    assert init.stop() == 0
    assert init.log().count("a bug in initpy") == 2


def test_an_effect_that_fails_twice_is_dropped_and_the_core_told(
    start_either: Start, tmp_path: Path
) -> None:
    """This program cannot be spawned, for a bug; the others can."""
    poison = """
from initpy.spawning import Spawning
spawn = Spawning.spawn
def bad_spawn(self, key):
    if key == "bad":
        raise InjectedError("poison")
    spawn(self, key)
Spawning.spawn = bad_spawn
"""
    backoff = {"initial": 0.05, "factor": 1, "max": 0.05, "jitter": 0}
    toml = program("bad", startretries=1, critical=False, backoff=backoff) + program("web")
    init = Faulty(start_either, tmp_path, toml, patch=poison).init
    init.wait_for_log("this has failed twice, and is dropped: Spawn")
    init.wait_for_log(r"gave up: bad entered FATAL state.*a bug in initpy")
    init.wait_for_output("web ready")
    assert init.stop() == 0
    assert init.log().count("a bug in initpy: ") == 3


def test_only_what_can_be_replaced_is_given_up(start_either: Start, tmp_path: Path) -> None:
    """A helper that nobody can listen to is ended; signals are listened to as ever."""
    poison = """
from initpy.helpers import Helpers
hear = Helpers.hear
def bad_hear(self, helper):
    if helper.name == "signal" and helper.fd >= 0:
        raise InjectedError("poison")
    hear(self, helper)
Helpers.hear = bad_hear
"""
    init = Faulty(start_either, tmp_path, USR1 + program("web"), patch=poison).init
    init.wait_for_output("web ready")
    init.kill(signal.SIGUSR1)
    init.wait_for_log(r"is dropped: what the signal helper \d+ says")
    init.wait_for_log(AGAIN, times=2)
    assert init.stop() == 0


def test_a_log_that_fails_is_done_without(start_either: Start, tmp_path: Path) -> None:
    poison = """
from initpy.linux.log import LogWriter
flush = LogWriter.flush
def bad_flush(self):
    if posix.access(FOLDER + "/bad", 0):
        raise InjectedError("poison")
    flush(self)
LogWriter.flush = bad_flush
"""
    faulty = Faulty(start_either, tmp_path, program("web", startsecs=0), patch=poison)
    init = faulty.init
    init.wait_for_output("web ready")
    init.wait_for_log("entered RUNNING")
    (faulty.folder / "bad").touch()
    os.kill(wait_for_descendants(init.pid, 1)[0], signal.SIGKILL)
    init.kill(signal.SIGTERM)
    assert init.wait() in (0, 1)


# ---------------------------------------------------------------- where that cannot be


def test_without_its_files_it_goes_on_in_place(start_either: Start, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(REPO / "initpy", copy / "initpy")
    (copy / "tests").mkdir()
    script = copy / "tests" / FAULTY.name
    shutil.copy(FAULTY, script)
    toml = USR1 + program("web") + program("other")
    faulty = Faulty(start_either, tmp_path, toml, BUG_ON_USR1, script=script)
    init = faulty.init
    init.wait_for_log("entered RUNNING", times=2)
    shutil.rmtree(copy / "initpy")
    init.kill(signal.SIGUSR1)
    init.wait_for_log(r"cannot execute itself anew, goes on: .* is gone")
    os.kill(wait_for_descendants(init.pid, 2)[0], signal.SIGKILL)
    init.wait_for_output("ready", times=3)
    assert init.stop() == 0
    assert not re.search(AGAIN, init.log())


def test_with_other_files_in_their_place_it_goes_on_in_place(
    start_init: Start, tmp_path: Path
) -> None:
    """Another version's, which has not said that it can take over."""
    copy = tmp_path / "copy"
    shutil.copytree(REPO / "initpy", copy / "initpy")
    (copy / "tests").mkdir()
    script = copy / "tests" / FAULTY.name
    shutil.copy(FAULTY, script)
    faulty = Faulty(start_init, tmp_path, USR1 + program("web"), BUG_ON_USR1, script=script)
    init = faulty.init
    init.wait_for_log("entered RUNNING")
    (copy / "initpy" / "__init__.py").write_text("raise SystemExit(3)\n")
    init.kill(signal.SIGUSR1)
    init.wait_for_log("goes on: its files are not those that it was started from")
    assert init.stop() == 0


def test_it_executes_the_file_that_it_was_started_from(start_either: Start, tmp_path: Path) -> None:
    """Which is deleted, and another lies in its place."""
    python = tmp_path / "python3"
    shutil.copy(Path(sys.executable).resolve(), python)
    faulty = Faulty(start_either, tmp_path, USR1 + program("web"), BUG_ON_USR1, python=python)
    init = faulty.init
    init.wait_for_log("entered RUNNING")
    python.unlink()
    python.write_text("#!/bin/false\n")
    python.chmod(0o755)
    init.kill(signal.SIGUSR1)
    init.wait_for_log(AGAIN)
    assert init.stop() == 0


def test_a_state_that_cannot_be_carried_is_gone_on_with_in_place(
    start_either: Start, tmp_path: Path
) -> None:
    odd = "from initpy import repair; packed = repair.packed\n"
    odd += "def bad(loop, *rest):\n"
    odd += "    loop.faults.culprits.append(object())\n    return packed(loop, *rest)\n"
    odd += "repair.packed = bad\n"
    faulty = Faulty(start_either, tmp_path, USR1 + program("web"), BUG_ON_USR1, patch=odd)
    init = faulty.init
    init.wait_for_log("entered RUNNING")
    init.kill(signal.SIGUSR1)
    init.wait_for_log("cannot execute itself anew, goes on as it is: .*cannot carry a object")
    os.kill(wait_for_descendants(init.pid, 1)[0], signal.SIGKILL)
    init.wait_for_output("web ready", times=2)
    assert init.stop() == 0


def test_a_lack_of_memory_is_waited_out(start_either: Start, tmp_path: Path) -> None:
    """To execute itself anew would take memory, too."""
    bug = "initpy.pid1:step memory 3"
    faulty = Faulty(start_either, tmp_path, program("web"), bug)
    faulty.init.wait_for_log("entered RUNNING")
    assert not faulty.left()
    assert faulty.init.stop() == 0
    assert "took over" not in faulty.init.log()
    assert faulty.init.log().count("spawned: ") == 1


EPOLL_HAS_NO_ROOM = """
from initpy import repair
from initpy.watches import Watches
watch, take_over = Watches.watch, repair.take_over
is_full = False
def refuse(self, fd, callback):
    if is_full:
        raise OSError(28, 'epoll has no room')
    watch(self, fd, callback)
def take(*given):
    global is_full
    is_full = True
    try:
        take_over(*given)
    finally:
        is_full = False
Watches.watch, repair.take_over = refuse, take
"""


def test_what_cannot_be_watched_by_the_next_image_is_replaced(
    start_either: Start, tmp_path: Path
) -> None:
    """The relay of the logs is killed, and another is started; the control socket is watched a
    little later."""
    toml = USR1 + '[init]\nlog = "prefix"\n' + program("web", "exit=TERM:0", startsecs=0)
    faulty = Faulty(start_either, tmp_path, toml, BUG_ON_USR1, patch=EPOLL_HAS_NO_ROOM)
    init = faulty.init
    init.wait_for_output("web ready")
    init.kill(signal.SIGUSR1)
    faulty.wait_for_all()
    init.wait_for_log(r"the relay of the logs died \(terminated by SIGKILL\): starting another")
    init.wait_for_log("cannot start the control helper: its sockets cannot be watched: ENOSPC")
    with rpc(init) as supervisor:
        assert supervisor.stopProcess("web")
        assert supervisor.startProcess("web")
    init.wait_for_output("web ready", times=2)
    assert init.stop() == 0


# ---------------------------------------------------------------- the last resort


def bad_for_good(start: Start, tmp_path: Path, toml: str) -> Init:
    """It has started its programs, and from then on each of its turns fails."""
    bad = """
from initpy.pid1 import Pid1
settle = Pid1._settle
def bad_settle(self):
    if posix.access(FOLDER + "/bad", 0):
        raise InjectedError("for good")
    settle(self)
Pid1._settle = bad_settle
"""
    faulty = Faulty(start, tmp_path, toml, patch=bad)
    init = faulty.init
    init.wait_for_log("entered RUNNING", times=2)
    (faulty.folder / "bad").touch()
    init.kill(signal.SIGUSR1)
    init.wait_for_log("6 faults in 60 s, the last: InjectedError.*; from now on nothing is started")
    assert len(re.findall(AGAIN, init.log())) == 5
    return init


def test_after_too_many_it_only_obeys_a_stop(start_either: Start, tmp_path: Path) -> None:
    toml = program("web", "exit=TERM:0", "orphan") + program("other")
    init = bad_for_good(start_either, tmp_path, toml)
    pids = wait_for_descendants(init.pid, 2)
    os.kill(pids[0], signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{pids[0]}").exists(), about="a burial")
    assert is_alive(pids[1])
    assert init.stop() == 1
    assert "web got TERM" in init.output()
    assert init.log().endswith("initpy: nothing is left to run\n")


def test_the_last_resort_kills_what_does_not_end(start_either: Start, tmp_path: Path) -> None:
    toml = "[init]\nshutdown_timeout = 0.5\n" + program("web", "ignore=TERM") + program("other")
    init = bad_for_good(start_either, tmp_path, toml)
    assert init.stop() == 1


def test_the_last_resort_ends_with_the_last_program(start_either: Start, tmp_path: Path) -> None:
    init = bad_for_good(start_either, tmp_path, program("web") + program("other"))
    for pid in wait_for_descendants(init.pid, 2):
        os.kill(pid, signal.SIGKILL)
    assert init.wait() == 1


NO_STATE = """
from initpy import handover
def bad(raw): raise InjectedError('lost')
handover.unpack = bad
"""

NO_DESCRIPTORS = """
from initpy.pid1 import Pid1
make = Pid1.__init__
def bad(self, early, *bodies):
    if early.state is not None:
        raise OSError(24, 'lost')
    make(self, early, *bodies)
Pid1.__init__ = bad
"""


@pytest.mark.parametrize("bad", [NO_STATE, NO_DESCRIPTORS], ids=["no state", "no descriptors"])
def test_an_image_that_cannot_take_over_still_obeys_a_stop(
    start_either: Start, tmp_path: Path, bad: str
) -> None:
    toml = USR1 + program("web", "exit=TERM:0")
    faulty = Faulty(start_either, tmp_path, toml, BUG_ON_USR1, patch=bad)
    init = faulty.init
    init.wait_for_log("entered RUNNING")
    init.kill(signal.SIGUSR1)
    init.wait_for_log("initpy: cannot take over from itself: lost")
    assert init.stop() == 1
    assert "web got TERM" in init.output()
