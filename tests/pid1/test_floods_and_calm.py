"""PID 1 under 20,000 orphans, and PID 1 with nothing to do."""

from __future__ import annotations

import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.pid1.toml import command
from tests.support import REPO, children, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Init

    Start = Callable[..., Init]

pytestmark = pytest.mark.namespace

ORPHANS = 20_000
SYSTEM_PYTHON = "/usr/bin/python3"

IN_ONE_BURST = f"""
import os, signal
signal.signal(signal.SIGUSR1, lambda *_: os._exit(0))
for _ in range({ORPHANS}):
    if os.fork() == 0:
        os._exit(0)
os.write(1, b"all born\\n")
while True:
    signal.pause()
"""
"""They are dead already, and nobody's; PID 1 gets all of them when their parent goes."""

ONE_BY_ONE = f"""
import os, signal
for _ in range({ORPHANS} // 100):
    for _ in range(100):
        child = os.fork()
        if child == 0:
            if os.fork() == 0:
                os._exit(0)
            os._exit(0)
        os.waitpid(child, 0)
os.write(1, b"all born\\n")
signal.pause()
"""

TICKS = "import os, time; os.write(1, b'tick %d\\n' % os.getpid()); time.sleep(0.02); os._exit(3)"


def python(script: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", script]


def ticker() -> str:
    """A program that dies again and again, all the time."""
    return command("ticker", python(TICKS), startsecs=0, autorestart=True)


def ticks_are_all_accounted_for(init: Init) -> None:
    """Each tick's death was noticed, and the next tick came after it."""
    ticked = re.findall(r"^tick (\d+)$", init.output(), re.MULTILINE)
    spawned = re.findall(r"spawned: 'ticker' with pid (\d+)", init.log())
    assert len(ticked) > 10
    assert ticked[-1] in spawned
    assert [pid for pid in spawned if pid in ticked] == ticked
    assert init.log().count("exited: ticker") in (len(spawned), len(spawned) - 1)


def test_twenty_thousand_orphans_in_one_burst(start_init: Start) -> None:
    init = start_init(
        command("mother", python(IN_ONE_BURST), startsecs=0, critical=False) + ticker()
    )
    init.wait_for_output("all born", within_s=120)
    mother = max(children(init.pid), key=lambda pid: len(children(pid)))
    assert len(children(mother)) == ORPHANS
    before = init.output().count("tick")
    os.kill(mother, signal.SIGUSR1)
    init.wait_for_log("exited: mother .exit status 0; expected")
    wait_for(lambda: len(children(init.pid)) <= 1, within_s=60)
    assert init.output().count("tick") >= before
    after = init.output().count("tick")
    wait_for(lambda: init.output().count("tick") > after)
    assert init.stop() == 0
    ticks_are_all_accounted_for(init)


def test_twenty_thousand_orphans_one_by_one(start_init: Start) -> None:
    init = start_init(command("mother", python(ONE_BY_ONE), startsecs=0) + ticker())
    init.wait_for_output("all born", within_s=180)
    wait_for(lambda: len(children(init.pid)) <= 2, within_s=60)
    assert init.stop() == 0
    ticks_are_all_accounted_for(init)


# ---------------------------------------------------------------- nothing to do


def idle(count: int) -> str:
    return "".join(command(f"idle{number}", ["sleep", "1000"]) for number in range(count))


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_with_fifty_idle_programs_it_makes_no_syscall_for_thirty_seconds(
    start_init: Start, tmp_path: Path
) -> None:
    init = start_init(idle(50))
    init.wait_for_log("entered RUNNING", times=50)
    trace = tmp_path / "trace"
    strace = ["timeout", "-s", "INT", "30", "strace", "-o", str(trace), "-p", str(init.pid)]
    subprocess.run(strace, check=False, capture_output=True)
    said = trace.read_text().splitlines()
    assert len(said) == 1, said  # the wait that it is in
    assert "epoll_" in said[0], said
    assert init.stop() == 0


@pytest.fixture
def system_python() -> str:
    if not Path(SYSTEM_PYTHON).exists():
        pytest.skip(f"there is no {SYSTEM_PYTHON}")
    return SYSTEM_PYTHON


def pss_kb(pid: int) -> int:
    """What is shared counts once."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.findall(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)[0])


def median_pss_kb(start_init: Start, count: int, **options: object) -> float:
    """Of three PID 1 with so many programs: of a file, the kernel maps now 100 kB more, now 100
    less."""
    measured = []
    for _ in range(3):
        init = start_init(idle(count), **options)
        init.wait_for_log("entered RUNNING", times=count, within_s=60)
        measured.append(pss_kb(init.pid))
        assert init.stop() == 0
    return statistics.median(measured)


def test_memory_is_small_and_hardly_grows_with_the_programs(
    start_init: Start, system_python: str
) -> None:
    """From source, with the control socket. A Python that does nothing has 5.9 MB."""
    python = [system_python, "-I", "-S"]
    found = {count: median_pss_kb(start_init, count, python=python) for count in (1, 50, 200)}
    assert max(found.values()) <= 8200, found
    assert (found[200] - found[1]) / 199 < 4, found


def test_the_executable_is_smaller_still(start_init: Start, binary: Path) -> None:
    found = {count: median_pss_kb(start_init, count, binary=binary) for count in (1, 50, 200)}
    assert max(found.values()) <= 7000, found


COUNTING_CYCLES = f"""
import gc, posix, sys
sys.path.insert(0, {str(REPO)!r})
sys.argv = ["initpy", *sys.argv[3:]]
import initpy.cli, initpy.pid1
run = initpy.pid1.Pid1.run
def counting(self):
    gc.collect()  # those that making a class leaves
    code = run(self)
    posix.write(1, b"unreachable: %d\\n" % gc.collect())
    return code
initpy.pid1.Pid1.run = counting
initpy.cli.main()
"""


def test_it_leaves_no_reference_cycles(start_init: Start, tmp_path: Path) -> None:
    """Nobody collects them: PID 1 has turned the collector off."""
    launcher = tmp_path / "launcher.py"
    launcher.write_text(COUNTING_CYCLES)
    text = (
        command("loop", ["true"], startsecs=0, autorestart=True)
        + command("gone", ["/does/not/exist"], critical=False, startretries=1)
        + command("survived", ["sh", "-c", "sleep 1000 & exit 1"], critical=False, startsecs=0)
        + command("deaf", python("import signal, time; signal.signal(15, lambda *_: 0)\n"
                                 "print('deaf', flush=True); time.sleep(1000); time.sleep(1000)"),
                  stopwaitsecs=0.1)
    )  # fmt: skip
    init = start_init(text, python=[sys.executable, str(launcher)])
    init.wait_for_log("spawned: 'loop'", times=100)
    init.wait_for_log("gave up: gone")
    init.wait_for_output("deaf")
    init.config.write_text("nonsense")
    init.kill(signal.SIGHUP)
    init.wait_for_log("nonsense|toml:1")
    init.config.write_text(text.replace("sleep 1000 &", "sleep 999 &"))
    init.kill(signal.SIGHUP)
    init.wait_for_log("spawned: 'survived'", times=3)
    init.kill(signal.SIGUSR1)
    assert init.stop() == 0
    assert re.findall(r"unreachable: (\d+)", init.output()) == ["0"]
