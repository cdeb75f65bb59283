"""Orphans are reaped while the command runs, and ended when it has."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.single.support import BINARY, PYTHON, Init, Running, run
from tests.support import REPO, children, is_alive, probe, status_field, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

ALL = ("our initpy", "our tini", "our dumb-init", "tini", "dumb-init", "catatonit")

ORPHANS = "for n in 1 2 3 4 5 6 7 8; do (sleep 0.0$n & sleep 0.1$n &) ; done; echo made; sleep 100"


def zombies(pid: int) -> list[int]:
    return [child for child in children(pid) if status_field(child, "State")[:1] == "Z"]


@pytest.mark.namespace
@pytest.mark.parametrize("name", ALL)
def test_pid_1_reaps_orphans(
    find_init: Callable[[str], Init], start: Callable[..., Running], name: str
) -> None:
    running = start(find_init(name).command((), "sh", "-c", ORPHANS), as_pid1=True)
    running.wait_for_line("made")
    wait_for(lambda: len(children(running.pid)) == 1, about="the command is alone")


@pytest.mark.parametrize("name", ["our initpy", "our tini", "tini", "catatonit"])
def test_a_subreaper_reaps_orphans(
    find_init: Callable[[str], Init], start: Callable[..., Running], name: str
) -> None:
    options = ["-s", "-w"] if "tini" in name and name != "catatonit" else []
    running = start(find_init(name).command(options, "sh", "-c", ORPHANS), as_pid1=False)
    running.wait_for_line("made")
    wait_for(lambda: len(children(running.pid)) == 1, about="the command is alone")
    if "-w" in options:
        running.wait_for_line(f"[WARN  tini ({running.pid})] Reaped zombie process", times=16)


def test_without_s_tini_adopts_nobody(
    find_init: Callable[[str], Init], start: Callable[..., Running]
) -> None:
    """What the test before rests on: it is the option that does it."""
    running = start(find_init("our tini").command(["-w"], "sh", "-c", ORPHANS), as_pid1=False)
    running.wait_for_line("made")
    command = children(running.pid)[0]
    wait_for(lambda: len(children(command)) == 1, about="only the last sleep is left")
    assert "Reaped" not in "\n".join(running.said())


def test_initpy_tells_of_them_if_asked(find_init: Callable[[str], Init]) -> None:
    script = "(sleep 0.05 &); sleep 0.3"
    init = find_init("our initpy")
    assert run(init.command((), "sh", "-c", script)).stderr == ""
    told = run(init.command(["--warn-on-reap"], "sh", "-c", script)).stderr
    assert "WARN reaped orphan " in told
    told = run(init.command(["--verbose"], "sh", "-c", f"{script}; kill -9 $$")).stderr
    assert "INFO spawned: 'sh' with pid PID" in told
    assert "INFO the command has ended: killed by signal 9" in told


def leftovers(words: list[str]) -> list[str]:
    """A command that leaves a process behind, and ends with 7 when it gets TERM."""
    return probe("p", *words, "exit=TERM:7")


def pid_said(running: Running, word: str) -> int:
    running.wait_for_line(f"p {word} ")
    line = next(line for line in running.said() if line.startswith(f"p {word} "))
    return int(line.split()[2])


@pytest.mark.parametrize("as_pid1", [True, False], ids=["as PID 1", "as a subreaper"])
@pytest.mark.parametrize("word", ["child", "session", "daemon", "bare-daemon"])
def test_what_is_left_gets_term(
    find_init: Callable[[str], Init], start: Callable[..., Running], word: str, as_pid1: bool
) -> None:
    """In whatever session and below whomever; and then nobody has to wait."""
    command = find_init("our initpy").command(
        ["--kill-after", "1000", "--verbose"], *leftovers([f"{word}=1000"])
    )
    running = start(command, as_pid1=as_pid1)
    running.wait_for_line("p ready")
    (top,) = children(running.pid)[:1]
    os.kill(running.pid, signal.SIGTERM)
    assert running.wait() == 7
    assert "sent 15 to what" in "\n".join(running.said())
    assert "sent 9" not in "\n".join(running.said())
    assert not is_alive(top)
    if not as_pid1:
        assert not is_alive(pid_said(running, word))


@pytest.mark.parametrize("as_pid1", [True, False], ids=["as PID 1", "as a subreaper"])
@pytest.mark.parametrize("kill_after", ["0.3", "0"])
def test_what_is_deaf_gets_kill(
    find_init: Callable[[str], Init], start: Callable[..., Running], kill_after: str, as_pid1: bool
) -> None:
    command = find_init("our initpy").command(
        [f"--kill-after={kill_after}", "--verbose"], *leftovers(["deaf-child=1000"])
    )
    running = start(command, as_pid1=as_pid1)
    running.wait_for_line("p ready")
    os.kill(running.pid, signal.SIGTERM)
    assert running.wait() == 7
    said = "\n".join(running.said())
    assert ("sent 15 to what" in said) is (kill_after != "0")
    assert "sent 9 to what" in said
    if not as_pid1:
        assert not is_alive(pid_said(running, "child"))


@pytest.mark.parametrize("as_pid1", [True, False], ids=["as PID 1", "as a subreaper"])
def test_what_is_stopped_is_ended_too(
    find_init: Callable[[str], Init], start: Callable[..., Running], as_pid1: bool
) -> None:
    script = """
        setsid sh -c 'kill -STOP $$' &
        until grep -q 'State:.T' /proc/$!/status; do sleep 0.02; done
        exit 3
    """  # in a session of its own, or the kernel would continue it at the death of the shell
    command = find_init("our initpy").command(["--kill-after=1000"], "sh", "-c", script)
    running = start(command, as_pid1=as_pid1)
    assert running.wait() == 3


@pytest.mark.skipif(BINARY is not None, reason="the executable can always ask the kernel")
def test_where_orphans_cannot_be_adopted(start: Callable[..., Running], tmp_path: Path) -> None:
    """Without ctypes: that is said, and at least the command's process group gets TERM."""
    launcher = tmp_path / "launcher"
    launcher.write_text(
        f"import sys\nsys.modules['ctypes'] = None\nsys.path.append({str(REPO)!r})\n"
        "from initpy.cli import main\nmain()\n"
    )
    initpy = [*PYTHON, str(launcher)]
    running = start([*initpy, "--", *leftovers(["child=1000"])], as_pid1=False)
    running.wait_for_line("p ready")
    orphan = pid_said(running, "child")
    os.kill(running.pid, signal.SIGTERM)
    assert running.wait() == 7
    assert "cannot adopt orphans (this Python has no ctypes)" in "\n".join(running.said())
    wait_for(lambda: not is_alive(orphan), about="the orphan's end")
    ran = run([*initpy, "--subreaper", "--", "true"])
    assert ran.code == 1
    assert ran.stderr == "initpy: cannot become a subreaper: this Python has no ctypes\n"


def test_strangers_are_left_alone(
    find_init: Callable[[str], Init], start: Callable[..., Running]
) -> None:
    """Only what descends from the command is ended where initpy is not PID 1."""
    stranger = start(["sleep", "1000"], as_pid1=False)
    options = ["--kill-after=0.2"]
    command = find_init("our initpy").command(options, *leftovers(["deaf-child=1000"]))
    running = start(["sh", "-c", '"$@"; echo $?; sleep 1000', "sh", *command], as_pid1=False)
    running.wait_for_line("p ready")
    (init,) = children(running.pid)
    os.kill(init, signal.SIGTERM)
    running.wait_for_line("7")
    assert stranger.outer.poll() is None
    assert running.outer.poll() is None


@pytest.mark.namespace
def test_without_anything_left_it_ends_at_once(
    find_init: Callable[[str], Init], start: Callable[..., Running]
) -> None:
    command = find_init("our initpy").command(["--kill-after=1000", "--verbose"], "true")
    running = start(command, as_pid1=True)
    assert running.wait() == 0
    assert "left behind" not in "\n".join(running.said())


def test_nothing_polls(find_init: Callable[[str], Init], start: Callable[..., Running]) -> None:
    """With nothing to do it makes no syscall: it is not once put on a CPU."""
    names = ("our initpy", "our tini", "our dumb-init", "tini")
    commands = [find_init(name).command((), "sleep", "1000") for name in names]
    pids = [start(command, as_pid1=False).pid for command in commands]
    for pid in pids:
        wait_for(partial(has_command_and_waits, pid), about="waiting")
    before = [switches(pid) for pid in pids]
    wait_for(lambda: switches(pids[-1]) != before[-1], about="the real tini's tick of a second")
    assert [switches(pid) for pid in pids[:-1]] == before[:-1]


def has_command_and_waits(pid: int) -> bool:
    return bool(children(pid)) and "sigtimedwait" in Path(f"/proc/{pid}/wchan").read_text()


def switches(pid: int) -> str:
    return status_field(pid, "voluntary_ctxt_switches")
