"""PID 1 has a bug, or becomes another initpy, while it captures output: not a line is lost."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.pid1.faults import AGAIN, Faulty
from tests.pid1.test_output import relay_of
from tests.pid1.test_self_repair import BUG_ON_USR1, FAST, USR1
from tests.pid1.toml import command, program
from tests.support import REPO, fds_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import Init

    Start = Callable[..., Init]

PREFIX = '[init]\nlog = "prefix"\nlog_format = "text"\n'


def flood(name: str, end: Path, **options: object) -> str:
    """A program that writes numbered lines until there is a file, and then ends."""
    script = f"i=0; while ! [ -e {end} ]; do echo {name} $i; i=$((i+1)); done; echo {name} last $i"
    return command(name, ["sh", "-c", script], type="oneshot", **options)


def numbers_of(init: Init, name: str) -> list[int]:
    return [int(it) for it in re.findall(rf"^{name} +\| {name} (\d+)$", init.output(), re.M)]


def assert_whole(init: Init, name: str, *, repeats: bool = False) -> None:
    """Every line of a flood has come, in order."""
    (last,) = re.findall(rf"^{name} +\| {name} last (\d+)$", init.output(), re.M)
    numbers = numbers_of(init, name)
    assert (sorted(set(numbers)) if repeats else numbers) == list(range(int(last)))


def test_a_fault_while_programs_flood(start_either: Start, tmp_path: Path) -> None:
    """The relay runs on, and so do they."""
    end = tmp_path / "end"
    toml = USR1 + PREFIX + flood("a", end) + flood("b", end) + program("web", "catch=USR1")
    faulty = Faulty(start_either, tmp_path, toml, BUG_ON_USR1)
    init = faulty.init
    init.wait_for_output(r"^web +\| web ready")
    init.wait_for_output(r"^a ", times=100)
    relay = relay_of(init)
    init.kill(signal.SIGUSR1)
    init.wait_for_log(AGAIN)
    seen = len(numbers_of(init, "a"))
    init.wait_for_output(r"^a ", times=seen + 1000)
    init.wait_for_output("web got USR1")
    assert relay_of(init) == relay
    end.touch()
    init.wait_for_log("exited: [ab] ", times=2)
    assert init.stop() == 0
    assert relay_of(init) == 0
    assert_whole(init, "a")
    assert_whole(init, "b")
    assert "relay" not in init.log()


def test_hand_overs_leave_no_descriptor_behind(start_either: Start, tmp_path: Path) -> None:
    toml = USR1 + PREFIX + program("web", "catch=USR1")
    faulty = Faulty(start_either, tmp_path, toml, BUG_ON_USR1)
    init = faulty.init
    init.wait_for_output("web ready")
    before = len(fds_of(init.pid))
    init.kill(signal.SIGUSR1)
    init.wait_for_log(AGAIN)
    init.wait_for_output("web got USR1")
    wait_for(lambda: len(fds_of(init.pid)) <= before)
    assert init.stop() == 0


OUT = "initpy.logging_out"
POINTS = {
    "a plan": "initpy.parts:Parts.take_plan",
    "the beginning": "initpy.parts:Parts.begin_output",
    "its taking": f"{OUT}:LoggingOut.set_plan",
    "pipes": f"{OUT}:LoggingOut._make_pipes",
    "a pipe": f"{OUT}:Pipe.__init__",
    "fds": f"{OUT}:LoggingOut.fds_for",
    "a start": f"{OUT}:LoggingOut.started",
    "an end": f"{OUT}:LoggingOut.ended",
    "time": f"{OUT}:LoggingOut.keep_time",
    "the next time": f"{OUT}:LoggingOut.next_due_at",
    "the relay": f"{OUT}:LoggingOut._start",
    "a report": f"{OUT}:LoggingOut.take_report",
    "its end": f"{OUT}:LoggingOut.bury",
    "a command": f"{OUT}:LoggingOut._command",
    "another relay": f"{OUT}:LoggingOut._renew_if_outdated",
    "what is not wanted": f"{OUT}:LoggingOut._close_unwanted",
    "reopening": f"{OUT}:LoggingOut.reopen",
    "draining": f"{OUT}:LoggingOut.drain",
    "the drain's end": f"{OUT}:LoggingOut._end_drain",
    "staying away": f"{OUT}:LoggingOut.stay_away",
    "a child's fds": "initpy.parts:Parts.output_fds",
}

EXTRA = "# what a reload takes away\n"


def life(end: Path) -> str:
    crash = ["sh", "-c", "echo crash; exit 3"]
    toml = PREFIX + flood("a", end) + command("c", crash, startsecs=0, startretries=0)
    toml += "critical = false\nautorestart = false\n"
    return toml + EXTRA + program("web", "child=1000")


def lead_a_life(init: Init, end: Path, within_s: float = 60.0) -> None:
    init.wait_for_output(r"^a ", times=100, within_s=within_s)
    init.wait_for_output(r"^web +\| web ready", within_s=within_s)
    init.wait_for_output(r"^c +\| crash", within_s=within_s)
    relay = wait_for(lambda: relay_of(init))
    os.kill(relay, signal.SIGKILL)
    wait_for(lambda: relay_of(init) not in (0, relay), within_s=within_s)
    init.kill(signal.SIGUSR2)
    init.wait_for_log("log reopen request", within_s=within_s)
    init.config.write_text(init.config.read_text().partition(EXTRA)[0] + program("new"))
    init.kill(signal.SIGHUP)
    init.wait_for_log("stopped: web", within_s=within_s)
    init.wait_for_output(r"^new +\| new ready", within_s=within_s)
    end.touch()
    init.wait_for_log("exited: a ", within_s=within_s)
    assert init.stop() == 0
    assert_whole(init, "a", repeats=True)  # by what the killed one had in its hands
    assert len(re.findall(r"^new +\| new ready", init.output(), re.M)) == 1
    assert len(re.findall(r"^web +\| web ready", init.output(), re.M)) in (1, 2)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
def test_a_fault_at_every_point(start_init: Start, tmp_path: Path, point: str, when: str) -> None:
    end = tmp_path / "end"
    faulty = Faulty(start_init, tmp_path, life(end), f"{point} {when} 1")
    lead_a_life(faulty.init, end)
    assert not faulty.left()
    assert faulty.init.log().count("a bug in initpy") == 1


def test_a_fault_in_every_line(start_init: Start, tmp_path: Path) -> None:
    end = tmp_path / "end"
    patch = FAST + "from initpy import repair; repair._drop_what_fails_again = lambda _: None\n"
    faulty = Faulty(start_init, tmp_path, life(end), f"lines {OUT}\n", patch=patch)
    lead_a_life(faulty.init, end, within_s=300)
    struck = (faulty.folder / "001").read_text().count(".py:")
    assert struck > 60
    assert faulty.init.log().count("a bug in initpy") == struck


DUMB_RELAY = """
from initpy import cli, logging_out
def fail():
    raise RuntimeError("a relay's bug")
cli.complete_python = fail
real = logging_out.frame
def no_report(words):
    if words[0] == "log":
        raise OSError(28, "no room")
    return real(words)
logging_out.frame = no_report
"""


def test_a_relay_that_cannot_report_why_it_fails_says_it_in_the_form_of_the_log(
    start_init: Start, tmp_path: Path
) -> None:
    toml = '[init]\nlog_format = "json"\n' + program("web", log="prefix")
    faulty = Faulty(start_init, tmp_path, toml, patch=DUMB_RELAY)
    faulty.init.wait_for_log("a helper process failed: OSError.*\n", times=2)
    for line in faulty.init.log().splitlines()[:-1]:  # the last one may be in the making
        assert json.loads(line)["program"] == "initpy"


def test_another_initpy_brings_its_own_relay(start_either: Start, tmp_path: Path) -> None:
    shutil.copytree(REPO / "initpy", tmp_path / "installed" / "initpy")
    script = str(tmp_path / "installed" / "initpy" / "__main__.py")
    end = tmp_path / "end"
    python = (sys.executable, "-I", "-S")
    init = start_either(PREFIX + flood("a", end), python=python, script=(script,))
    init.wait_for_output(r"^a ", times=100)
    relay = relay_of(init)
    path = tmp_path / "installed" / "initpy" / "__init__.py"
    text = path.read_text()
    path.unlink()
    path.write_text(text.replace('__version__ = "', '__version__ = "9', 1))
    init.kill(59)
    init.wait_for_log("took over 1 process from initpy")
    wait_for(lambda: relay_of(init) not in (0, relay))
    seen = len(numbers_of(init, "a"))
    init.wait_for_output(r"^a ", times=seen + 1000)
    end.touch()
    assert init.wait() == 0
    assert_whole(init, "a")
