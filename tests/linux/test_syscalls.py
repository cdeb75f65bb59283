"""The small wrappers, on real processes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys

import pytest

from initpy.core.states import ExitStatus
from initpy.linux import proc, syscalls
from initpy.linux.reaper import exit_status
from tests.support import REPO, wait_for


@pytest.mark.parametrize("group", [-1, 0, 1])
def test_the_groups_that_mean_everybody_are_refused(group: int) -> None:
    with pytest.raises(ValueError, match="no process group of a program"):
        syscalls.kill_group(group, 0)


def test_a_signal_to_nobody_is_an_errno_and_no_exception() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert syscalls.kill(child.pid, 0) == errno.ESRCH
    assert syscalls.kill_group(child.pid, 0) == errno.ESRCH


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("exit 0", ExitStatus(code=0)),
        ("exit 255", ExitStatus(code=255)),
        ("kill -9 $$", ExitStatus(signal=9)),
        ("ulimit -c 0; kill -SEGV $$", ExitStatus(signal=11)),
    ],
)
def test_a_wait_status_is_decoded(command: str, status: ExitStatus) -> None:
    child = subprocess.Popen(["sh", "-c", command])
    _, wait_status = os.waitpid(child.pid, 0)
    child.returncode = 0  # it has been reaped behind its back
    assert exit_status(wait_status) == status


def test_who_catches_a_signal_is_read_from_proc() -> None:
    script = "trap : USR1; echo up; while :; do sleep 0.05; done"
    child = subprocess.Popen(["bash", "-c", script], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        assert proc.catches(child.pid, signal.SIGUSR1)
        assert not proc.catches(child.pid, signal.SIGUSR2)
    finally:
        child.kill()
        child.communicate()
    assert not proc.catches(child.pid, signal.SIGUSR1)


@pytest.mark.parametrize("has_lists", [True, False])
def test_descendants_are_found_at_any_depth(
    monkeypatch: pytest.MonkeyPatch, has_lists: bool
) -> None:
    """By the kernel's lists of children; and by all parents, where it keeps no such lists."""
    if not has_lists:
        monkeypatch.setattr(proc, "_has_children_lists", bool)
    child = subprocess.Popen(["sh", "-c", "sh -c 'sleep 60 & wait' & wait"])
    try:
        found = wait_for(lambda: len(proc.below(child.pid)) == 2)
        assert found
        assert child.pid in proc.below(os.getpid())
        for pid in proc.below(child.pid):
            os.kill(pid, signal.SIGKILL)
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_standard_descriptors_that_were_closed_are_opened(closed: tuple[int, ...]) -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(REPO)!r})\n"
        "import os\n"
        f"for fd in {closed}: os.close(fd)\n"
        "from initpy.linux import syscalls\n"
        "syscalls.open_standard_fds()\n"
        "for fd in (0, 1, 2): os.fstat(fd)\n"
        "os._exit(0 if os.open('/', os.O_RDONLY) >= 3 else 1)\n"
    )
    command = [sys.executable, "-I", "-S", "-c", script]
    assert subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode == 0
