"""Where a resource ends that a container has only so much of."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.pid1.toml import command, program
from tests.support import Init, children, is_alive, skip_or_fail, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[..., Init]

pytestmark = pytest.mark.namespace

MAX_PIDS = 40
SIGNALS = 100_000

BOMB = """
import os, time
os.write(1, b"bomb ready %d\\n" % os.getpid())
while True:
    try:
        if os.fork() == 0:
            time.sleep(1000)
    except OSError:
        time.sleep(0.001)
"""

SENDER = """
import os, signal, time
for number in range({count}):
    os.kill(1, {signums}[number % {kinds}])
os.write(1, b"sender is done\\n")
time.sleep(1000)
"""


def _cgroup_of_few() -> Path | None:
    """None: none can be made."""
    for top in (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")):
        with contextlib.suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix="initpy-", dir=top))
            try:
                (folder / "pids.max").write_text(str(MAX_PIDS))
            except OSError:
                folder.rmdir()
            else:
                return folder
    return None


@pytest.fixture
def few_pids(why_no_namespace: str) -> Iterator[Path]:
    """A cgroup with room for MAX_PIDS processes, and threads."""
    folder = None if why_no_namespace else _cgroup_of_few()
    if folder is None:
        skip_or_fail("namespace", why_no_namespace or "no cgroup that limits pids can be made")
    assert folder is not None
    yield folder
    wait_for(lambda: not (folder / "cgroup.procs").read_text())
    folder.rmdir()


def test_a_fork_bomb_costs_itself(start_init: Start, few_pids: Path) -> None:
    """At the limit, no helper can look for what a dead program has left: its group is ended."""
    again = {"startretries": 1000, "backoff": {"initial": 0.1, "factor": 1}, "startsecs": 0.1}
    init = start_init(
        command("bomb", [sys.executable, "-I", "-S", "-c", BOMB], autorestart=False, critical=False)
        + program("web", "exit=TERM:0", **again),
        wrapper=["sh", "-c", f'echo $$ >{few_pids}/cgroup.procs; exec "$@"', "sh"],
    )
    init.wait_for_output("^web ready")
    init.wait_for_output("^bomb ready")
    wait_for(lambda: int((few_pids / "pids.current").read_text()) >= MAX_PIDS)
    web, bomb = (_child(init, word) for word in ("probe.py", "os.fork"))
    os.kill(web, signal.SIGKILL)
    init.wait_for_log("Too many processes|exited: web")
    os.kill(bomb, signal.SIGKILL)
    init.wait_for_output("^web ready", times=2)
    wait_for(lambda: int((few_pids / "pids.current").read_text()) < MAX_PIDS / 2)
    assert init.stop() == 0


def _child(init: Init, word: str) -> int:
    """The program with this word in its command, as its pid outside."""
    for pid in children(init.pid):
        with contextlib.suppress(OSError):
            if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
    raise AssertionError(f"there is no {word}")


@pytest.mark.parametrize(
    "signums", [(signal.SIGUSR1,), (signal.SIGCHLD,), (signal.SIGUSR1, signal.SIGRTMIN, 17, 40)]
)
def test_a_hundred_thousand_signals_from_a_program(
    start_init: Start, signums: tuple[int, ...]
) -> None:
    sender = SENDER.format(count=SIGNALS, signums=tuple(map(int, signums)), kinds=len(signums))
    init = start_init(
        command("sender", [sys.executable, "-I", "-S", "-c", sender])
        + program("web", "catch=USR1", "exit=TERM:0", startsecs=0.1)
    )
    init.wait_for_output("^web ready")
    os.kill(_child(init, "probe.py"), signal.SIGKILL)  # in the middle of it
    init.wait_for_output("^web ready", times=2, within_s=60)
    init.wait_for_output("^sender is done", within_s=60)
    assert is_alive(init.pid)
    assert init.stop() == 0
    assert init.log().count("spawned: 'web'") == 2
