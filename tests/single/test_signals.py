"""What is sent to the init reaches the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.single.support import NAMES, WATCHER, Init, Running
from tests.support import REPO, children, status_field, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

OURS = [f"our {name}" for name in NAMES]
PASSED_ON = [n for n in range(1, 32) if n not in (9, 17, 19, 20, 21, 22)]
"""KILL and STOP cannot be, CHLD is the init's own; and what suspends has tests of its own."""

MARK = signal.SIGRTMAX
"""All inits pass it on, and after whatever was sent before it."""


def passed_on(running: Running, signums: list[int]) -> list[int]:
    """Send the signals one by one; returns those that have come to the command."""
    got: list[int] = []
    for times, signum in enumerate(signums, 1):
        os.kill(running.pid, signum)
        if running.outer.poll() is None:
            os.kill(running.pid, MARK)
        running.wait_for_line(f"got {int(MARK)}", times=times)
        new = running.got()[len(got) :]
        got += new
        assert new in ([int(MARK)], [signum, int(MARK)])
    return [n for n in got if n != MARK]


@pytest.mark.namespace
@pytest.mark.parametrize("name", OURS)
def test_pid_1_passes_on_every_signal(
    find_init: Callable[[str], Init], start: Callable[..., Running], name: str
) -> None:
    running = start(find_init(name).command((), *WATCHER), as_pid1=True)
    running.wait_for_line("ready")
    assert passed_on(running, PASSED_ON) == PASSED_ON


@pytest.mark.namespace
@pytest.mark.parametrize("name", ["tini", "dumb-init", "catatonit"])
def test_the_originals_pass_on_none_that_ours_do_not(
    find_init: Callable[[str], Init], start: Callable[..., Running], name: str
) -> None:
    running = start(find_init(name).command((), *WATCHER), as_pid1=True)
    running.wait_for_line("ready")
    theirs = passed_on(running, PASSED_ON)
    faults = [4, 5, 6, 7, 8, 11, 31]
    assert theirs == [n for n in PASSED_ON if name == "dumb-init" or n not in faults]


@pytest.mark.parametrize("name", OURS)
def test_an_ordinary_process_passes_on_every_signal(
    find_init: Callable[[str], Init], start: Callable[..., Running], name: str
) -> None:
    running = start(find_init(name).command((), *WATCHER), as_pid1=False)
    running.wait_for_line("ready")
    assert passed_on(running, PASSED_ON) == PASSED_ON


@pytest.mark.parametrize("name", ["our tini", "our docker-init", "tini"])
def test_tini_does_not_suspend(
    find_init: Callable[[str], Init], start: Callable[..., Running], name: str
) -> None:
    running = start(find_init(name).command((), *WATCHER), as_pid1=False)
    running.wait_for_line("ready")
    suspending = [20, 21, 22]
    ignored = [] if name.startswith("our") else [21, 22]
    assert passed_on(running, suspending) == [n for n in suspending if n not in ignored]
    assert status_field(running.pid, "State")[0] == "S"


def wait_for_states(state: str, *pids: int) -> None:
    wait_for(
        lambda: all(status_field(pid, "State")[:1] == state for pid in pids), about=f"state {state}"
    )


SUSPENDING = ["our initpy", "our dumb-init", "dumb-init"]


@pytest.mark.parametrize("signum", [signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU])
@pytest.mark.parametrize("name", SUSPENDING)
def test_command_and_init_are_suspended(
    find_init: Callable[[str], Init], start: Callable[..., Running], name: str, signum: int
) -> None:
    running = start(find_init(name).command((), *WATCHER), as_pid1=False)
    running.wait_for_line("ready ")
    command = int(running.said()[0].split()[1])
    for _ in range(2):
        os.kill(running.pid, signum)
        wait_for_states("T", running.pid, command)
        os.kill(running.pid, signal.SIGCONT)
        wait_for_states("S", running.pid, command)
    running.wait_for_line("got 18", times=2)
    assert set(running.got()) == {18}


@pytest.mark.namespace
@pytest.mark.parametrize("name", ["our initpy", "our dumb-init"])
def test_under_pid_1_the_command_is_suspended(
    find_init: Callable[[str], Init], start: Callable[..., Running], name: str
) -> None:
    """PID 1 itself cannot be stopped from within its namespace. The real dumb-init tries, and may
    lose a CONT by that."""
    running = start(find_init(name).command((), *WATCHER), as_pid1=True)
    running.wait_for_line("ready")
    watcher = wait_for(lambda: children(running.pid))[0]
    os.kill(running.pid, signal.SIGTSTP)
    wait_for_states("T", watcher)
    os.kill(running.pid, signal.SIGCONT)
    running.wait_for_line("got 18")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("our initpy", ["--rewrite", "TERM:QUIT", "--rewrite=HUP:0", "--rewrite", "21:SIGTTIN"]),
        ("our dumb-init", ["-r", "15:3", "--rewrite=1:0", "-r", "3:3"]),
        ("dumb-init", ["-r", "15:3", "--rewrite=1:0", "-r", "3:3"]),
    ],
)
def test_signals_are_rewritten(
    find_init: Callable[[str], Init], start: Callable[..., Running], name: str, options: list[str]
) -> None:
    running = start(find_init(name).command(options, *WATCHER), as_pid1=False)
    running.wait_for_line("ready")
    for signum in (1, 15, 3, 10):
        os.kill(running.pid, signum)
        if signum != 1:
            running.wait_for_line("got", times={15: 1, 3: 2, 10: 3}[signum])
    assert running.got() == [3, 3, 10]
    if name == "our initpy":  # what has been rewritten to itself does not suspend
        os.kill(running.pid, signal.SIGTTIN)
        running.wait_for_line("got 21")
        assert status_field(running.pid, "State")[0] == "S"


@pytest.mark.parametrize(
    ("name", "options", "to_group"),
    [
        ("our initpy", [], False),
        ("our initpy", ["--group"], True),
        ("our initpy", ["--group", "--no-session"], False),
        ("our tini", [], False),
        ("tini", [], False),
        ("our tini", ["-g"], True),
        ("tini", ["-g"], True),
        ("catatonit", ["-g"], True),
        ("our dumb-init", [], True),
        ("dumb-init", [], True),
        ("our dumb-init", ["-c"], False),
        ("dumb-init", ["--single-child"], False),
    ],
)
def test_the_group_gets_signals_if_that_is_asked_for(
    find_init: Callable[[str], Init],
    start: Callable[..., Running],
    name: str,
    options: list[str],
    to_group: bool,
) -> None:
    watchers = f"{' '.join(WATCHER)} & exec {' '.join(WATCHER)}"
    running = start(find_init(name).command(options, "sh", "-c", watchers), as_pid1=False)
    running.wait_for_line("ready", times=2)
    os.kill(running.pid, signal.SIGUSR1)
    os.kill(running.pid, MARK)
    running.wait_for_line(f"got {int(MARK)}", times=1 + to_group)
    assert running.got().count(signal.SIGUSR1) == 1 + to_group


def has_begun(pid: int) -> bool:
    """Signals are blocked. Not while it waits for them: then it has a command already."""
    return bool(int(status_field(pid, "SigBlk"), 16) & 1 << 14 or children(pid))


@pytest.mark.parametrize("name", ["our initpy", "our tini", "our dumb-init"])
def test_a_signal_that_comes_at_once_is_not_lost(
    find_init: Callable[[str], Init], start: Callable[..., Running], name: str
) -> None:
    """Whenever the init has got so far that it blocks signals: the command gets it, or dies of it
    before it is the command."""
    for _ in range(5):
        running = start(find_init(name).command((), "sleep", "100"), as_pid1=False)
        wait_for(partial(has_begun, running.pid), about="blocked signals")
        os.kill(running.pid, signal.SIGTERM)
        assert running.wait() == 128 + signal.SIGTERM


FAULT = """
import sys
sys.path.append({repo!r})
import _signal, ctypes
from initpy.single import OneCommand
class Faulty(OneCommand):
    def spawned(self):
        ctypes.string_at(0)
_signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
Faulty(["true"], ()).run()
"""


def test_a_fault_of_its_own_ends_it() -> None:
    ran = subprocess.run(
        [
            "sh",
            "-c",
            'ulimit -c 0; exec "$@"',
            "sh",
            sys.executable,
            "-c",
            FAULT.format(repo=str(REPO)),
        ],
        timeout=90,
        check=False,
    )
    assert ran.returncode == -signal.SIGSEGV


@pytest.mark.parametrize("name", ["our initpy", "our tini", "tini"])
def test_the_death_of_the_parent_is_a_signal(
    find_init: Callable[[str], Init], start: Callable[..., Running], name: str
) -> None:
    options = ["--pdeathsig", "USR2"] if name == "our initpy" else ["-s", "-p", "SIGUSR2"]
    command = find_init(name).command(options, *WATCHER)
    parent = start(["sh", "-c", '"$@" & wait', "sh", *command], as_pid1=False)
    parent.wait_for_line("ready")
    watcher = int(parent.said()[0].split()[1])
    try:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait_for_line("got 12")
    finally:
        os.kill(watcher, signal.SIGKILL)  # it is not below the parent any more; its init follows
