"""PID 1 under 20,000 orphans, and PID 1 with nothing to do."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.pid1.toml import command
from tests.support import children, wait_for

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


def test_memory_is_small_and_hardly_grows_with_the_programs(
    start_init: Start, system_python: str
) -> None:
    """PSS, in kB: what is shared counts once. About 4,150 are pages of Python's own file, of which
    the kernel maps now 100 more, now 100 less; so there is that much room over 7.5 MB."""
    pss_kb = {}
    for count in (1, 50, 200):
        init = start_init(idle(count), python=[system_python, "-I", "-S"])
        init.wait_for_log("entered RUNNING", times=count, within_s=60)
        rollup = Path(f"/proc/{init.pid}/smaps_rollup").read_text()
        pss_kb[count] = int(re.findall(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)[0])
        assert init.stop() == 0
    assert max(pss_kb.values()) <= 7.6 * 1024, pss_kb
    assert (pss_kb[200] - pss_kb[1]) / 199 < 4, pss_kb
