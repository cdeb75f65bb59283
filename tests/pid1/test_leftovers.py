"""Nothing of a dead instance is left: DESIGN §4.6, with real daemons, sessions and orphans."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.pid1.toml import command, program
from tests.support import (
    REPO,
    children,
    descendants,
    is_alive,
    skip_or_fail,
    status_field,
    wait_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import Init

pytestmark = pytest.mark.namespace

EMPTY_PROC = 'mount -t tmpfs none /proc; exec "$@"'

KINDS = ("child", "deaf-child", "session", "daemon", "bare-daemon")
"""What a program may leave behind, see probe.py."""


def outer(init: Init, inner: int) -> int:
    """The pid outside of the namespace of the one that is `inner` in it; 0: it is gone."""
    for pid in descendants(init.pid):
        if status_field(pid, "NSpid").split()[-1:] == [str(inner)]:
            return pid
    return 0


def left(init: Init, name: str, kind: str, times: int = 1) -> int:
    """What a program has left behind, by its pid outside."""
    said = kind.removeprefix("deaf-")
    inner = int(init.wait_for_output(rf"^{name} {said} (\d+)$", times=times))
    return wait_for(lambda: outer(init, inner), about=f"{kind} {inner}")


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_crashed_instance_has_left_is_gone_before_it_comes_back(
    start_either: Callable[..., Init], kind: str
) -> None:
    init = start_either(
        program("web", f"{kind}=600", startsecs=0, stopwaitsecs=0.2)
        + program("other", f"{kind}=600", stopwaitsecs=0.2)
    )
    first = left(init, "web", kind)
    neighbours = left(init, "other", kind)
    pid = int(init.wait_for_output(r"^web ready (\d+)$"))
    os.kill(outer(init, pid), signal.SIGKILL)
    left(init, "web", kind, times=2)
    assert not is_alive(first)
    assert is_alive(neighbours)
    assert "ending what web left behind" in init.log()
    assert init.stop() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_program_leaves_is_gone_after_its_stop(
    start_either: Callable[..., Init], kind: str
) -> None:
    other = program("other", f"{kind}=600", stopwaitsecs=0.2)
    init = start_either(program("web", f"{kind}=600", startsecs=0, stopwaitsecs=0.5) + other)
    ours, neighbours = left(init, "web", kind), left(init, "other", kind)
    init.wait_for_log("success: other entered RUNNING")
    init.config.write_text(other)
    init.kill(signal.SIGHUP)
    init.wait_for_log("stopped: web")
    assert not is_alive(ours)
    assert is_alive(neighbours)
    assert init.stop() == 0
    assert not is_alive(neighbours)


def test_the_orphan_of_a_program_that_runs_on_is_left_alone(
    start_either: Callable[..., Init],
) -> None:
    """Also while the crashed neighbour's leftovers are looked for again and again."""
    init = start_either(
        program("web", "bare-daemon=600", "after=0.05:3", startsecs=0, stopwaitsecs=0.2)
        + program("other", "daemon=600", "bare-daemon=600", "session=600", "child=600")
    )
    kept = [left(init, "other", kind) for kind in ("daemon", "bare-daemon", "session", "child")]
    init.wait_for_output("^web ready", times=6)
    assert all(map(is_alive, kept))
    assert init.stop() == 0


def test_a_session_without_an_environment_is_known_by_the_tree_that_was_recorded(
    start_init: Callable[..., Init],
) -> None:
    """Its number was taken from it, too: nothing marks it but whose child it was."""
    forget = "exec prlimit --locks=unlimited: setsid env -i sleep 600"
    web = command("web", ["sh", "-c", f"({forget}) & exec sleep 600"], startsecs=0)
    other = program("other")
    init = start_init(web + other)
    init.wait_for_output("^other ready")
    init.wait_for_log("success: other entered RUNNING")

    def sleepers() -> list[int]:
        return [pid for pid in descendants(init.pid) if status_field(pid, "Name") == "sleep"]

    ours = wait_for(lambda: sleepers() if len(sleepers()) == 2 else [])
    init.config.write_text(other)
    init.kill(signal.SIGHUP)
    init.wait_for_log("stopped: web")
    assert not any(map(is_alive, ours))
    assert init.stop() == 0


def test_a_daemonized_program_is_named_and_does_not_keep_its_port(
    start_either: Callable[..., Init],
) -> None:
    # What it leaves behind is named as it is then: by its own name, once it has been executed.
    until_executed = "until grep -q sleep /proc/$!/comm; do :; done"
    daemonize = f"setsid sleep 600 & {until_executed}; exit 0"
    init = start_either(
        command("web", ["sh", "-c", daemonize], critical=False, startretries=1) + program("other")
    )
    init.wait_for_log(
        r"'web' exited with 0 at once and left sleep \(\d+\) behind: it has put itself in the"
        r" background"
    )
    init.wait_for_log("gave up: web entered FATAL")
    init.wait_for_log("has put itself in the background", times=2)
    assert init.stop() == 0


def test_the_leftovers_of_a_daemonized_program_that_is_not_tried_again_are_named(
    start_init: Callable[..., Init],
) -> None:
    init = start_init(
        command("web", ["sh", "-c", "setsid sleep 600 & exit 0"], critical=False, startretries=0)
        + program("other")
    )
    init.wait_for_log("it has put itself in the background")
    assert init.stop() == 0


def test_twenty_that_crash_at_once_share_a_look(start_init: Callable[..., Init]) -> None:
    init = start_init(
        "".join(
            program(f"web{number}", "daemon=600", "child=600", startsecs=0, stopwaitsecs=0.3)
            for number in range(20)
        )
    )
    wait_for(lambda: init.output().count(" ready ") == 20)
    before = descendants(init.pid)
    for line in init.output().splitlines():
        _, what, pid = line.split()
        if what == "ready":
            os.kill(outer(init, int(pid)), signal.SIGKILL)
    wait_for(lambda: init.output().count(" ready ") == 40)
    assert not any(map(is_alive, before))
    assert len(children(init.pid)) == 40  # the programs and their daemons
    assert init.stop() == 0


@pytest.mark.parametrize(
    "wrapper",
    [
        ["unshare", "-pf", "--kill-child"],
        [
            "unshare",
            "-pfm",
            "--kill-child",
            "sh",
            "-c",
            'mount -t tmpfs none /proc; exec "$@"',
            "-",
        ],
    ],
    ids=["/proc of another namespace", "no /proc"],
)
def test_without_a_proc_to_look_into_the_process_group_is_ended(
    start_init: Callable[..., Init], why_no_namespace: str, wrapper: list[str]
) -> None:
    if why_no_namespace:
        skip_or_fail("namespace", why_no_namespace)
    web = program("web", "child=600", "after=0.05:3", startsecs=0, stopwaitsecs=0.2)
    init = start_init(web, as_pid1=False, wrapper=wrapper)
    first = left(init, "web", "child")
    left(init, "web", "child", times=3)
    assert not is_alive(first)
    assert init.stop() == 0


MASTER = """
import os, signal, sys
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(1))
worker = os.fork()
if worker == 0:
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGUSR1, lambda *_: os._exit(0))
    os.write(1, b"worker ready %d\\n" % os.getpid())
    while True: signal.pause()
os.waitpid(worker, 0)
os.write(1, b"master told %d times\\n" % len(told))
"""


def test_a_master_that_waits_for_its_workers_holds_nothing_up_and_is_told_once(
    start_either: Callable[..., Init],
) -> None:
    """The shell in front of it dies of TERM at once; the master, when its worker has finished,
    long after the last of the growing intervals at which it is looked for."""
    master = [sys.executable, "-I", "-S", "-c", MASTER]
    argv = ["sh", "-c", f"{shlex.join(master)} & wait"]
    other = program("other", startsecs=0)
    clock = program("clock", "after=7:0", startsecs=0, autorestart=False)
    web = command("web", argv, startsecs=0, stopwaitsecs=600)
    init = start_either(web + other + clock)
    worker = left(init, "worker", "ready")
    init.config.write_text(other + clock)
    init.kill(signal.SIGHUP)
    init.wait_for_log("ending what web left behind")
    init.wait_for_log("exited: clock")
    os.kill(worker, signal.SIGUSR1)
    init.wait_for_log("stopped: web")
    assert "master told 1 times" in init.output()
    assert "killing what" not in init.log()
    assert init.stop() == 0


def test_the_programs_of_an_initpy_that_was_killed_are_ended(
    start_either: Callable[..., Init], tmp_path: Path
) -> None:
    inner = tmp_path / "inner.toml"
    inner.write_text(program("deep", startsecs=0))
    argv = [sys.executable, "-m", "initpy", "-c", str(inner)]
    init = start_either(command("nested", argv, startsecs=0, directory=str(REPO)))
    deep = left(init, "deep", "ready")
    nested = int(re.findall(r"spawned: 'nested' with pid (\d+)", init.log())[0])
    os.kill(outer(init, nested), signal.SIGKILL)
    left(init, "deep", "ready", times=2)
    assert not is_alive(deep)
    assert init.stop() == 0
