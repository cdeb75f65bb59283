"""What the faults have found, each as a life of its own; the list is in docs/reliability.md."""

from __future__ import annotations

import errno
import os
import resource
import signal
import time
from typing import TYPE_CHECKING

import pytest

from initpy.core.messages import ReadPlan
from initpy.helpers import Helpers
from initpy.linux.signals import Inherited
from tests.faults.cases import calls
from tests.faults.scenario import Outcome, run
from tests.faults.test_faults import probe
from tests.pid1.toml import program
from tests.support import status_field, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import Init

__all__ = ["probe"]

pytestmark = pytest.mark.namespace


@pytest.fixture(params=["source", "binary"])
def executable(request: pytest.FixtureRequest) -> Path | None:
    """None: the package."""
    return request.getfixturevalue("binary") if request.param == "binary" else None


def life(probe: Path, executable: Path | None, *options: str) -> Outcome:
    """In which this fails, and nothing else."""
    outcome = run(probe, executable, options)
    assert outcome.hits, outcome.log
    return outcome


def number_of(whole: Outcome, syscall: str, forks: int, step: str) -> int:
    """Which of all calls of its name the first `syscall` is after so many forks in this step."""
    seen = count = 0
    for at, name in calls(whole.trace):
        seen += name == "clone" and at >= whole.steps[step]
        count += name == syscall
        if seen == forks and name == syscall:
            return count
    raise AssertionError(f"{step} has no {forks} forks and {syscall} after them")


def test_a_close_that_fails_after_a_fork_leaves_no_signal_blocked(
    probe: Path, executable: Path | None
) -> None:
    number = number_of(run(probe, executable, []), "close", 1, "crash")
    # How many there are before it differs from life to life.
    outcome = life(probe, executable, f"--inject=close:error=EIO:when={number - 4}..{number + 4}")
    assert not outcome.problems, outcome.log


def test_a_helper_that_cannot_be_heard_is_not_there() -> None:
    born: list[int] = []

    def watch(_fd: int, _callback: Callable[[], None]) -> None:
        born.extend(helpers.by_pid)
        raise OSError(errno.ENOSPC, "epoll has no room")

    def linger(_fd: int) -> int:
        time.sleep(10)
        return 0

    limits = resource.getrlimit(resource.RLIMIT_SIGPENDING)

    def nothing(*_: object) -> None:
        return

    helpers = Helpers(
        Inherited((), (), limits), watch, os.close, print, lambda *_: b"", nothing, nothing, bytes
    )
    with pytest.raises(OSError, match="no room"):
        helpers.fork("sweep", linger, ReadPlan())
    assert not helpers.by_pid
    _, status = os.waitpid(born[0], 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


def test_a_control_socket_that_could_not_be_made_is_made_by_a_reload(
    probe: Path, executable: Path | None
) -> None:
    outcome = life(probe, executable, "--inject=listen:error=EADDRINUSE:when=1")
    assert "no control socket" in outcome.log
    assert not outcome.problems, outcome.log


def test_a_limit_that_may_not_be_set_stays_as_it_is(probe: Path, executable: Path | None) -> None:
    outcome = life(probe, executable, "--inject=prlimit64:error=EPERM:when=4+")
    assert not outcome.problems, outcome.log
    assert not outcome.repairs, outcome.log


def test_what_cannot_start_says_so_in_one_line(probe: Path) -> None:
    outcome = life(probe, None, "--inject=getdents64:error=EIO:when=1")
    assert outcome.ended_early
    assert outcome.log.startswith("initpy: cannot start: ")
    assert not outcome.problems


def test_a_signal_of_which_the_wakeup_byte_is_lost_is_seen(
    probe: Path, executable: Path | None
) -> None:
    whole = run(probe, executable, [])
    made = calls(whole.trace)
    # The first write out of a wait, from the instant on at which b dies: of the handler, then.
    at = next(
        number
        for number in range(1, len(made))
        if made[number][0] >= whole.steps["crash"]
        and (made[number - 1][1], made[number][1]) == ("epoll_wait", "write")
    )
    count = [name for _, name in made[: at + 1]].count("write")
    outcome = life(probe, executable, f"--inject=write:error=EPERM:when={count}")
    assert not outcome.problems, outcome.log


def test_the_sigpipe_of_its_own_writes_is_nobody_s_signal(
    start_init: Callable[..., Init], executable: Path | None
) -> None:
    init = start_init(
        program("a", "catch=PIPE,USR1"), **({"binary": executable} if executable else {})
    )
    init.wait_for_output("^a ready")
    assert int(status_field(init.pid, "SigIgn"), 16) >> (signal.SIGPIPE - 1) & 1
    init.kill(signal.SIGPIPE)
    init.kill(signal.SIGUSR1)
    init.wait_for_output("^a got USR1")
    assert "got PIPE" not in init.output()
    wait_for(init.is_running)
    assert init.stop() == 0
