"""A shell on a real terminal: the init hands it over, and job control works."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from typing import TYPE_CHECKING

import pytest

from tests.single.support import HERE, NAMESPACE, PYTHON, Init
from tests.support import descendants, is_pending, status_field, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LEADERS = ("our initpy", "our tini", "our dumb-init", "tini", "dumb-init")
"""Without catatonit, whose commands have TSTP blocked: Ctrl-Z does nothing there."""

SHELL = ("bash", "--norc", "--noprofile", "-i")


class Terminal:
    """A pseudo-terminal, and a command whose controlling terminal it is."""

    def __init__(self, command: Sequence[str], *, as_pid1: bool) -> None:
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, False)
        self._said = ""
        self._seen = 0
        dress = [*PYTHON, str(HERE / "dress.py"), "terminal", "--"]
        # The outer process must have no terminal: the inner one leads the session of this one.
        self.outer = subprocess.Popen(
            [*(NAMESPACE if as_pid1 else ()), *dress, *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "PS1": "prompt> ", "TERM": "dumb"},
        )
        os.close(slave)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def wait_for(self, pattern: str) -> str:
        """Wait until what comes after the last match matches; returns the first group."""

        def match() -> re.Match[str] | None:
            with contextlib.suppress(OSError):  # nothing yet; or it has been hung up
                self._said += os.read(self._master, 65536).decode(errors="replace")
            return re.search(pattern, self._said[self._seen :])

        try:
            found = wait_for(match, about=pattern)
        except AssertionError:
            raise AssertionError(f"never said {pattern!r}:\n{self._said}") from None
        assert found is not None
        self._seen += found.end()
        return found.group(1) if found.groups() else found.group()

    def hang_up(self) -> None:
        os.close(self._master)
        self._master = -1

    def end(self) -> None:
        for pid in [self.outer.pid, *descendants(self.outer.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.outer.wait(10)
        if self._master >= 0:
            os.close(self._master)


@pytest.fixture
def open_terminal() -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_one(command: Sequence[str], *, as_pid1: bool = True) -> Terminal:
        terminal = Terminal(command, as_pid1=as_pid1)
        opened.append(terminal)
        return terminal

    yield open_one
    for terminal in opened:
        terminal.end()


@pytest.mark.namespace
@pytest.mark.usefixtures("need_namespace")
@pytest.mark.parametrize("as_pid1", [True, False], ids=["as PID 1", "as an ordinary process"])
@pytest.mark.parametrize("name", LEADERS)
def test_a_shell_has_job_control(
    find_init: Callable[[str], Init],
    open_terminal: Callable[..., Terminal],
    name: str,
    as_pid1: bool,
) -> None:
    """`docker run -it`: the init leads the session of the terminal."""
    options = ["-s"] if name in ("tini", "our tini") else []
    terminal = open_terminal(find_init(name).command(options, *SHELL), as_pid1=as_pid1)
    terminal.wait_for("prompt> ")
    assert "job control" not in terminal._said  # bash complains if it has none

    terminal.type("sleep 1000\n")
    terminal.wait_for("sleep 1000\r\n")
    _wait_for_program(terminal, "sleep")
    terminal.type("\x1a")  # Ctrl-Z
    terminal.wait_for("Stopped.*sleep 1000")
    terminal.wait_for("prompt> ")
    terminal.type("jobs\n")
    terminal.wait_for("Stopped.*sleep 1000")
    terminal.type("fg\n")
    terminal.wait_for("fg\r\nsleep 1000")
    _wait_for_program(terminal, "sleep", state="S")
    terminal.type("\x03")  # Ctrl-C
    terminal.wait_for("prompt> ")
    terminal.type("echo code $?\n")
    assert terminal.wait_for(r"\ncode (\d+)") == "130"

    terminal.resize(33, 77)
    terminal.type("stty size\n")
    assert terminal.wait_for(r"\n(\d+ \d+)") == "33 77"
    terminal.type("trap 'echo winch $(stty size)' WINCH; echo set\n")
    terminal.wait_for(r"\nset\r")
    terminal.resize(44, 99)
    terminal.type("\n")
    assert terminal.wait_for(r"winch (\d+ \d+)") == "44 99"

    terminal.type("exit 5\n")
    assert terminal.outer.wait(90) == 5


@pytest.mark.namespace
@pytest.mark.usefixtures("need_namespace")
@pytest.mark.parametrize("name", LEADERS)
def test_the_command_has_the_terminal(
    find_init: Callable[[str], Init], open_terminal: Callable[..., Terminal], name: str
) -> None:
    """Also one that does not take it for itself, as an interactive shell does."""
    fields = "cut -d' ' -f5,7,8 /proc/$$/stat"  # its group, the terminal, and the latter's group
    terminal = open_terminal(find_init(name).command((), "sh", "-c", fields))
    group, number, foreground = terminal.wait_for(r"(\d+ -?\d+ -?\d+)\r").split()
    assert int(number) > 0
    assert foreground == group


def _wait_for_program(terminal: Terminal, name: str, state: str = "S") -> None:
    """Bash has started it, in the foreground."""

    def is_there() -> bool:
        pids = descendants(terminal.outer.pid)
        found = [pid for pid in pids if status_field(pid, "Name") == name]
        return (
            bool(found)
            and status_field(found[0], "State")[:1] == state
            and _is_foreground(found[0])
        )

    wait_for(is_there, about=f"{name} in the foreground")


def _is_foreground(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return fields[2] == fields[5]  # its group is its terminal's


@pytest.mark.namespace
@pytest.mark.usefixtures("need_namespace")
@pytest.mark.parametrize("name", ["our initpy", "our tini", "our dumb-init", "tini", "dumb-init"])
def test_the_end_of_the_terminal_is_the_shell_s(
    find_init: Callable[[str], Init], open_terminal: Callable[..., Terminal], name: str
) -> None:
    """A hangup: the shell dies of HUP, or reads the end of its input, and so the init ends."""
    terminal = open_terminal(find_init(name).command((), *SHELL))
    terminal.wait_for("prompt> ")
    terminal.hang_up()
    assert terminal.outer.wait(90) in (0, 1, 128 + signal.SIGHUP)


@pytest.mark.namespace
@pytest.mark.usefixtures("need_namespace")
@pytest.mark.parametrize("name", ["our initpy", "our dumb-init", "dumb-init"])
def test_the_hand_over_s_own_hup_does_not_reach_the_command(
    find_init: Callable[[str], Init], open_terminal: Callable[..., Terminal], name: str
) -> None:
    """Giving up a terminal, the kernel sends HUP and CONT; a later HUP is passed on."""
    script = (
        "trap 'echo got HUP' HUP; trap 'echo got CONT' CONT; echo up; while :; do sleep 0.02; done"
    )
    terminal = open_terminal(find_init(name).command((), "bash", "-c", script), as_pid1=False)
    terminal.wait_for("up")
    wait_for(lambda: not is_pending(terminal.outer.pid, signal.SIGHUP))  # the kernel's
    os.kill(terminal.outer.pid, signal.SIGHUP)
    terminal.wait_for("got HUP")
    os.kill(terminal.outer.pid, signal.SIGCONT)
    terminal.wait_for("got CONT")
    assert terminal._said.count("got HUP") == 1
    assert terminal._said.count("got CONT") == 1


@pytest.mark.parametrize("options", [[], ["--no-session"]], ids=["by default", "no session"])
def test_as_a_job_of_a_shell(
    find_init: Callable[[str], Init], open_terminal: Callable[..., Terminal], options: list[str]
) -> None:
    """On a developer's terminal, which is another session's: Ctrl-Z, fg and Ctrl-C work as without
    the init, and the shell gets the terminal back."""
    command = " ".join(find_init("our initpy").command(options, "sleep", "1000"))
    terminal = open_terminal(SHELL, as_pid1=False)
    terminal.wait_for("prompt> ")
    for _ in range(2):
        terminal.type(f"{command}\n")
        _wait_for_program(terminal, "sleep")
        terminal.type("\x1a")
        terminal.wait_for("Stopped.*sleep")
        terminal.wait_for("prompt> ")
        terminal.type("fg\n")
        _wait_for_program(terminal, "sleep")
        terminal.type("\x03")
        terminal.wait_for("prompt> ")
        terminal.type("echo code $?\n")
        assert terminal.wait_for(r"\ncode (\d+)") == "130"
    terminal.type("exit 0\n")
    assert terminal.outer.wait(90) == 0


def test_in_a_script_on_a_terminal(
    find_init: Callable[[str], Init], open_terminal: Callable[..., Terminal]
) -> None:
    """The script can read from the terminal again when the command is over."""
    command = " ".join(find_init("our initpy").command((), "true"))
    terminal = open_terminal(["sh", "-c", f"{command}; read line; echo read $line"], as_pid1=False)
    terminal.type("hello\n")
    terminal.wait_for("read hello")
    assert terminal.outer.wait(90) == 0
