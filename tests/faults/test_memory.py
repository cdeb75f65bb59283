"""The memory of the container is used up: the kernel kills a program, a helper, but not PID 1."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.pid1.toml import command, program
from tests.support import REPO, Init, children, is_alive, skip_or_fail, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[..., Init]

pytestmark = pytest.mark.namespace

MAX_BYTES = 96 << 20
ROOM_BYTES = 5 << 19

HUNGRY = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
os.write(1, b"hungry ready\\n")
signal.sigwait({signal.SIGUSR1})
held = []
while True:
    held.append(bytearray(b"x" * (1 << 20)))
"""


class MemoryCgroup:
    """A cgroup with little memory, of either version."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._is_v2 = (folder / "memory.max").exists()
        self.limit(MAX_BYTES)

    def limit(self, most_bytes: int) -> None:
        name = "memory.max" if self._is_v2 else "memory.limit_in_bytes"
        (self.folder / name).write_text(str(most_bytes))

    def used_bytes(self) -> int:
        name = "memory.current" if self._is_v2 else "memory.usage_in_bytes"
        return int((self.folder / name).read_text())

    def oom_kills(self) -> int:
        name = "memory.events" if self._is_v2 else "memory.oom_control"
        return int(re.findall(r"^oom_kill (\d+)", (self.folder / name).read_text(), re.M)[0])

    def wrapper(self) -> list[str]:
        """What a command is started with, that is to live in it."""
        return ["sh", "-c", f'echo $$ >{self.folder}/cgroup.procs; exec "$@"', "sh"]


def _little_memory() -> MemoryCgroup | None:
    """None: none can be made."""
    for top in (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")):
        with contextlib.suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix="initpy-", dir=top))
            try:
                return MemoryCgroup(folder)
            except OSError:
                folder.rmdir()
    return None


@pytest.fixture
def little_memory(why_no_namespace: str) -> Iterator[MemoryCgroup]:
    """A cgroup with MAX_BYTES of memory."""
    cgroup = None if why_no_namespace else _little_memory()
    if cgroup is None:
        skip_or_fail("namespace", why_no_namespace or "no cgroup that limits memory can be made")
    assert cgroup is not None
    yield cgroup
    wait_for(lambda: not (cgroup.folder / "cgroup.procs").read_text())
    cgroup.folder.rmdir()


@pytest.fixture(params=["from source", "the executable"])
def executable(request: pytest.FixtureRequest) -> Path | None:
    """None: PID 1 is to be run from source."""
    return None if request.param == "from source" else request.getfixturevalue("binary")


def _helpers_and_programs(init: Init) -> tuple[list[int], list[int]]:
    """The children of PID 1; helpers are forked from it, and are called what it is called."""
    found: tuple[list[int], list[int]] = ([], [])
    own = Path(f"/proc/{init.pid}/cmdline").read_bytes()
    for pid in children(init.pid):
        found[Path(f"/proc/{pid}/cmdline").read_bytes() != own].append(pid)
    return found


def _status(init: Init) -> str:
    return subprocess.run(
        [sys.executable, "-m", "initpy", "status"],
        cwd=REPO,
        env={**os.environ, "INITPY_SOCKET": str(init.socket)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    ).stdout


def test_helpers_that_are_killed_with_a_program_are_replaced(
    little_memory: MemoryCgroup, start_init: Start, binary: Path, tmp_path: Path
) -> None:
    """The control helper, the relay of the logs and the one that traces are made the kernel's first
    choice here; the last is the program that takes what there is."""
    init = start_init(
        f'[init]\nlog = "prefix"\ntrace = "{tmp_path}/trace"\n'
        + command("hungry", [sys.executable, "-I", "-S", "-c", HUNGRY], startsecs=0, critical=False)
        + program("web", "exit=TERM:0", startsecs=0),
        wrapper=little_memory.wrapper(),
        binary=binary,
    )
    init.wait_for_output("web ready")
    init.wait_for_output("hungry ready")
    assert "RUNNING" in _status(init)
    helpers, programs = _helpers_and_programs(init)
    assert (len(helpers), len(programs)) == (3, 2)
    for pid in helpers:
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
    hungry = [pid for pid in programs if b"bytearray" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(hungry[0], signal.SIGUSR1)
    for what in (
        r"the control helper died \(terminated by SIGKILL\)",
        r"the relay of the logs died \(terminated by SIGKILL\): starting another",
        r"the helper that traces died \(terminated by SIGKILL\)",
        r"exited: hungry \(terminated by SIGKILL; not expected\).*for lack of memory",
    ):
        init.wait_for_log(what)
    assert little_memory.oom_kills() >= 4
    init.wait_for_output("hungry ready", times=2)  # a relay has brought it here
    assert "RUNNING" in _status(init)
    assert is_alive(init.pid)
    assert init.stop() == 0
    assert "web got TERM" in init.output()
    assert init.log().count("spawned: 'web'") == 1


def test_what_a_helper_takes_costs_the_helper_and_not_pid_1(
    little_memory: MemoryCgroup, start_init: Start, executable: Path | None
) -> None:
    """A reload, for which there is no memory: when that runs out, PID 1 still has more than the
    helper that has been forked from it."""
    init = start_init(
        command("web", ["sleep", "1000"], startsecs=0),
        wrapper=little_memory.wrapper(),
        binary=executable,
    )
    init.wait_for_log("success: web")
    text = init.config.read_text()
    init.config.write_text(text + "#" * 900_000)
    little_memory.limit(little_memory.used_bytes() + ROOM_BYTES)
    init.kill(signal.SIGHUP)
    init.wait_for_log(r"nothing is reloaded, .* died \(terminated by SIGKILL\)")
    assert little_memory.oom_kills() == 1
    little_memory.limit(MAX_BYTES)
    init.config.write_text(text)
    init.kill(signal.SIGHUP)
    init.wait_for_log("reloaded: no program is to be started or stopped")
    assert init.stop() == 0
    assert init.log().count("spawned: 'web'") == 1
