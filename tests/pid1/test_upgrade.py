"""Another initpy comes to lie where this one was, and takes over, if it can."""

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

from tests.pid1.toml import program
from tests.support import (
    REPO,
    descendants,
    fds_of,
    status_field,
    wait_for,
    wait_for_descendants,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Init

    Start = Callable[..., Init]

TOOK_OVER = r"took over 2 processes from initpy \S+, as initpy \S+, after \d+ ms"
UPGRADE_SIGNAL = 59


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A package of its own, which a test may replace."""
    shutil.copytree(REPO / "initpy", tmp_path / "installed" / "initpy")
    return tmp_path / "installed"


@pytest.fixture
def start(start_either: Start, installed: Path) -> Callable[..., Init]:
    """An initpy from there, with two programs that run."""

    def begin(toml: str = "", **options: object) -> Init:
        script = str(installed / "initpy" / "__main__.py")
        toml += program("web", "exit=TERM:0") + program("other")
        python = options.pop("python", sys.executable)
        init = start_either(toml, python=(python, "-I", "-S"), script=(script,), **options)
        init.wait_for_log("entered RUNNING", times=2)
        return init

    return begin


def change(installed: Path, module: str, old: str, new: str) -> None:
    path = installed / "initpy" / module
    text = path.read_text()
    assert old in text
    path.unlink()  # as package managers do: another file comes in its place
    path.write_text(text.replace(old, new, 1))


def ask(init: Init) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "initpy", "upgrade", "--pid", str(init.pid)]
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)


def test_the_new_one_goes_on_where_the_old_one_was(
    start: Callable[..., Init], installed: Path
) -> None:
    init = start()
    before = wait_for_descendants(init.pid, 2)
    fds = len(fds_of(init.pid))
    change(installed, "__init__.py", '__version__ = "', '__version__ = "77.')
    change(installed, "core/words.py", "exited: ", "has exited, says the new one: ")
    asked = ask(init)
    assert (asked.returncode, asked.stderr) == (0, "")
    init.wait_for_log("received signal 59 indicating upgrade request")
    init.wait_for_log(TOOK_OVER)
    wait_for(lambda: descendants(init.pid) == before)  # the helper that has asked is gone
    wait_for(lambda: status_field(init.pid, "State")[:1] == "S")
    assert len(fds_of(init.pid)) == fds
    os.kill(before[0], signal.SIGKILL)
    init.wait_for_log("has exited, says the new one: other")
    init.wait_for_log("entered RUNNING", times=3)
    assert ask(init).returncode == 0
    init.wait_for_log("from initpy 77", times=1)
    init.wait_for_log(TOOK_OVER, times=2)
    assert init.stop() == 0


CANNOT = {
    "it cannot be imported": ("cli.py", "import sys\n", "import nowhere\n", "ModuleNotFoundError"),
    "it ends": ("cli.py", "import sys\n", "import sys; sys.exit(3)\n", r"exit status 3"),
    "it ends well, and is no initpy": (
        "cli.py",
        "import sys\n",
        "import sys; print('welcome'); sys.exit(0)\n",
        "it is no initpy that can take over",
    ),
    "it is from before there was a hand-over": (
        "cli.py",
        'if arguments == ["--can-take-over"]:',
        "if False:",
        "error: ",
    ),
    "it crashes": (
        "cli.py",
        "import sys\n",
        "import sys, posix\nposix.abort()\n",
        "ended by signal 6",
    ),
    "it hangs": (
        "cli.py",
        "import sys\n",
        "import sys, time, posix\nif b'INITPY_HANDOVER' in posix.environ: time.sleep(60)\n",
        "has not said within 5 s whether",
    ),
    "another format": (
        "linux/image.py",
        "FORMAT = 1",
        "FORMAT = 2",
        r"the state is of format 1 \(initpy \S+\), and this is initpy \S+, which takes over"
        " format 2",
    ),
    "it lacks a field": ("core/supervisor.py", "    overran:", "    overrun:", "Supervisor has a"),
    "it lacks a class": (
        "core/states.py",
        "class ExitStatus",
        "ExitStatus = object\nclass EndStatus",
        "TypeError",
    ),
    "it lacks a part": ("pid1.py", '        "taken",\n', "", r"loop\.taken in it, which is not"),
    "its core fails": (
        "core/supervisor.py",
        "    if supervisor.phase == Phase.OVER:",
        "    if 1 / 0:",
        "ZeroDivisionError",
    ),
}


@pytest.mark.parametrize(("module", "old", "new", "why"), CANNOT.values(), ids=CANNOT)
def test_one_that_cannot_take_over_leaves_the_old_one_running(
    start: Callable[..., Init], installed: Path, module: str, old: str, new: str, why: str
) -> None:
    init = start()
    before = wait_for_descendants(init.pid, 2)
    fds = len(fds_of(init.pid))
    change(installed, module, old, new)
    init.kill(UPGRADE_SIGNAL)
    init.wait_for_log(f"WARN not upgraded, everything runs on as it is: .*{why}")
    assert wait_for_descendants(init.pid, 2)[:2] == before
    wait_for(lambda: len(fds_of(init.pid)) == fds, about="the fds of before")
    os.kill(before[0], signal.SIGKILL)
    init.wait_for_log("entered RUNNING", times=3)
    assert init.stop() == 0
    assert not re.search(TOOK_OVER, init.log())


def test_where_nothing_lies_any_more_the_old_one_runs_on(
    start: Callable[..., Init], tmp_path: Path
) -> None:
    python = tmp_path / "python3"
    shutil.copy(Path(sys.executable).resolve(), python)
    init = start(python=str(python))
    python.unlink()
    init.kill(UPGRADE_SIGNAL)
    init.wait_for_log("not upgraded, everything runs on as it is: .*python3: No such file")
    init.kill(UPGRADE_SIGNAL)
    init.wait_for_log("not upgraded", times=2)
    python.write_text("no program at all\n")
    python.chmod(0o755)
    init.kill(UPGRADE_SIGNAL)
    init.wait_for_log("not upgraded, .*it cannot be executed: ENOEXEC")
    shutil.copy(Path(sys.executable).resolve(), python)
    init.kill(UPGRADE_SIGNAL)
    init.wait_for_log(TOOK_OVER)
    assert init.stop() == 0


def test_a_link_leads_to_the_new_one(start: Callable[..., Init], tmp_path: Path) -> None:
    old, new, link = tmp_path / "old", tmp_path / "new", tmp_path / "python3"
    for path in (old, new):
        shutil.copy(Path(sys.executable).resolve(), path)
    link.symlink_to(old)
    init = start(python=str(link))
    link.unlink()
    link.symlink_to(new)
    init.kill(UPGRADE_SIGNAL)
    init.wait_for_log(TOOK_OVER)
    assert Path(f"/proc/{init.pid}/exe").readlink() == new
    assert init.stop() == 0


def test_pid1_does_not_wait_for_the_answer(start: Callable[..., Init], installed: Path) -> None:
    init = start()
    module, old, new, _ = CANNOT["it hangs"]
    change(installed, module, old, new)
    init.kill(UPGRADE_SIGNAL)
    init.wait_for_log("indicating upgrade request")
    os.kill(wait_for_descendants(init.pid, 2)[0], signal.SIGKILL)
    init.wait_for_output("other ready", times=2)
    assert "not upgraded" not in init.log()
    assert init.stop() == 0


def test_another_signal_can_ask_and_this_one_can_be_forwarded(start: Callable[..., Init]) -> None:
    init = start('[init.signals]\nUSR1 = "upgrade"\n59 = "ignore"\n')
    init.kill(UPGRADE_SIGNAL)
    init.wait_for_log("received signal 59, which is ignored")
    init.kill(signal.SIGUSR1)
    init.wait_for_log(TOOK_OVER)
    assert init.stop() == 0


def test_only_an_initpy_is_asked(start: Callable[..., Init]) -> None:
    """The signal would end any other."""
    init = start()
    for pid in (os.getpid(), wait_for_descendants(init.pid, 2)[0], 2**22 + 1):
        command = [sys.executable, "-m", "initpy", "upgrade", "--pid", str(pid)]
        ran = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
        assert ran.returncode == 1
        assert ran.stderr.startswith(f"initpy: cannot ask process {pid}: ")
    assert init.stop() == 0
