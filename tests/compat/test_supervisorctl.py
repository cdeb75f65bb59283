"""initpy under the name supervisorctl beside the real one: the same words, the same exit codes.

Each drives a server of its own, which has been through the same: first two supervisords, which
shows that the clients are the same; then the real pair and initpy's, which shows it of everything.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import REPO, Init, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.compat.forked import Forked

TIMEOUT_S = 60.0

CONF = """\
[supervisord]
nodaemon=true
logfile=%(here)s/log
pidfile=%(here)s/pid
[unix_http_server]
file=%(here)s/s
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://%(here)s/s
prompt=here
[program:web]
command=sleep 1000
startsecs=0
[program:noisy]
command=sh -c 'echo one; echo two; echo three >&2; exec sleep 1000'
startsecs=0
stdout_logfile=%(here)s/noisy.out
stderr_logfile=%(here)s/noisy.err
[program:bad]
command=false
autostart=false
startretries=0
startsecs=10
[program:none]
command=/no/such
autostart=false
[program:cat]
command=sleep 1001
startsecs=0
[program:echo]
command=cat
startsecs=0
stdout_logfile=%(here)s/echo.out
[group:g]
programs=cat,bad
priority=5
"""

LOOKING = [
    "status", "status web", "status nope web", "status g:* web", "status h:*", "status bad",
    "status all", "pid", "pid web", "pid nope", "pid g:bad", "pid all", "version", "version x",
    "tail", "tail noisy", "tail -4 noisy", "tail noisy stderr", "tail a b c d", "tail nope",
    "tail -x web", "tail web foo", "tail -5", "maintail x", "maintail -x", "maintail 1 2",
    "avail", "avail x", "fg", "fg nope", "fg web cat", "fg g:bad", "nope", "help", "help start",
    "help nope", "help help", "help tail", "help update", "open x", "quit", "exit", "shutdown x",
    "reload x", "reread x",
]  # fmt: skip

ORDERS = [
    "start", "start nope", "start bad", "start g:bad", "start none", "start web", "start h:*",
    "stop", "stop nope", "stop g:bad", "stop web", "stop web", "start web", "stop h:*",
    "restart", "restart nope", "restart web", "restart web g:cat", "restart g:*", "signal HUP",
    "signal NOPE web", "signal CONT web", "signal CONT web g:cat", "signal CONT g:*",
    "signal CONT h:*", "signal 18 nope", "signal CONT bad", "clear", "clear noisy", "clear nope",
    "clear web nope", "reread", "update", "update nope", "update all", "add web", "add nope",
    "remove nope", "remove web", "stop web", "remove web", "add web", "stop g:* noisy", "stop all",
    "start all", "status web",
]  # fmt: skip

_VARYING = (
    (r"pid \d+, uptime \S+", "pid P, uptime U"),
    (r"^(here> )?\d+$", r"\1P"),
    (r"[A-Z][a-z]{2} \d\d \d\d:\d\d [AP]M", "DATE"),
    (r"unix:///\S+/s\b", "URL"),
    (r"^error: .*", "error"),
)


def worded(text: str) -> str:
    """What was said, without what is another each time."""
    for pattern, word in _VARYING:
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return text


def in_any_order(said: tuple[str, int, str]) -> str:
    """Its lines, sorted."""
    return "\n".join(sorted(said[2].splitlines()))


class Side:
    """A server in a folder, and a client that speaks to it."""

    def __init__(self, client: list[str], folder: Path, forked: Forked | None = None) -> None:
        """`client` is what is executed; `forked`, if there is one, is the same, and quicker."""
        self.folder = folder
        self._forked = forked
        self.conf = folder / "supervisord.conf"
        self.conf.write_text(CONF)
        self.client = [*client, "-c", str(self.conf)]

    def say(self, *words: str, stdin: str = "") -> tuple[str, int, str]:
        """What comes of an action: its words, the exit code, and what it says."""
        if self._forked is not None:
            options = ["-c", str(self.conf)]
            code, text = self._forked.run([*options, *words], REPO, stdin, self.folder)
            return " ".join(words), code, worded(text)
        done = subprocess.run(
            [*self.client, *words],
            cwd=REPO,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return " ".join(words), done.returncode, worded(done.stdout)

    def wait_until_up(self) -> None:
        wait_for(lambda: self.say("status", "web", "g:cat", "noisy")[1] == 0, within_s=TIMEOUT_S)
        said = self.folder / "noisy.err"
        wait_for(lambda: said.exists() and said.read_text(), within_s=TIMEOUT_S)

    def has_ended(self) -> bool:
        return not (self.folder / "s").exists()


REAL = [sys.executable, "-m", "supervisor.supervisorctl"]
OURS = [sys.executable, "-m", "initpy", "--invoked-as", "supervisorctl"]


@pytest.fixture(params=["supervisord", "initpy"])
def sides(request: pytest.FixtureRequest, supervisorctl: Forked) -> Iterator[tuple[Side, Side]]:
    """The real pair; and our client with the server that the parameter names."""
    folders = [Path(tempfile.mkdtemp(prefix="initpy-")) for _ in range(2)]
    real, ours = Side(REAL, folders[0], supervisorctl), Side(OURS, folders[1])
    started: list[subprocess.Popen[bytes]] = []
    inits: list[Init] = []

    def start_supervisord(side: Side) -> None:
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(side.conf)]
        nowhere = subprocess.DEVNULL
        started.append(
            subprocess.Popen(command, cwd=REPO, stdin=nowhere, stdout=nowhere, stderr=nowhere)
        )

    start_supervisord(real)
    if request.param == "supervisord":
        start_supervisord(ours)
    else:
        inits.append(Init(ours.conf, ours.folder, as_pid1=False))
    try:
        real.wait_until_up()
        ours.wait_until_up()
        yield real, ours
    finally:
        for init in inits:
            init.end()
        for it in started:
            it.terminate()
        for it in started:
            it.wait(TIMEOUT_S)
        for folder in folders:
            shutil.rmtree(folder)


@pytest.mark.parametrize("sides", ["initpy"], indirect=True)
@pytest.mark.parametrize("actions", [LOOKING, ORDERS], ids=["looking", "orders"])
def test_every_action(sides: tuple[Side, Side], actions: list[str]) -> None:
    real, ours = sides
    for action in actions:
        said, expected = ours.say(*action.split()), real.say(*action.split())
        if action == "start all":  # who comes up first is first, and the last failure is the code
            said, expected = (action, 0, in_any_order(said)), (action, 0, in_any_order(expected))
        assert said == expected, f"{said}\n{expected}"


def test_the_prompt(sides: tuple[Side, Side]) -> None:
    real, ours = sides
    typed = "pid web\nhelp\n\nnope\nstart nope\nopen x\nversion\nshutdown\nn\nreload\n\nexit\n"
    assert ours.say(stdin=typed) == real.say(stdin=typed)
    assert ours.say("-i", stdin="status g:cat\n") == real.say("-i", stdin="status g:cat\n")


def test_the_end(sides: tuple[Side, Side]) -> None:
    real, ours = sides
    assert ours.say("shutdown") == real.say("shutdown")
    for side in sides:
        wait_for(side.has_ended, within_s=TIMEOUT_S)
    for action in ("status", "version", "start web", "tail -f web", "shutdown", "reread"):
        assert ours.say(action) == real.say(action)


@pytest.mark.parametrize(
    "words",
    [
        ["-s", "unix:///no/such/socket", "status"],
        ["-s", "http://127.0.0.1:1", "status"],
        ["-s", "http://127.0.0.1:1", "start", "web"],
        ["-s", "http://127.0.0.1:1", "shutdown"],
        ["-c", "/no/such/file", "status"],
        ["-c", "NO_SECTION", "status"],
        ["-s", "ftp://x", "status"],
    ],
    ids=" ".join,
)
def test_what_it_cannot_speak_to(words: list[str], tmp_path: Path, supervisorctl: Forked) -> None:
    conf = tmp_path / "supervisord.conf"
    conf.write_text("[supervisord]\n" + ("" if "NO_SECTION" in words else "[supervisorctl]\n"))
    words = [str(conf) if word == "NO_SECTION" else word for word in words]

    def without_name(text: str) -> str:
        return worded(re.sub(r"use \S+ -h", "use NAME -h", text))

    done = subprocess.run(
        [*OURS, *words], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPO)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S,
        check=False,
    )  # fmt: skip
    code, text = supervisorctl.run(words, tmp_path, "", tmp_path)
    assert (done.returncode, without_name(done.stdout)) == (code, without_name(text))
