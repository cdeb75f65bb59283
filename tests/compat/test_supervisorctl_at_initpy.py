"""The real supervisorctl, at supervisord and at initpy, with the same supervisord.conf: the same
words and exit codes, but for what is listed here as mended or missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xmlrpc.client import ServerProxy

import pytest

from tests.compat.test_supervisorctl import LOOKING, ORDERS, REAL, TIMEOUT_S, Side
from tests.control.rpc import fault_of
from tests.support import REPO, Init, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.compat.forked import Forked

MENDED: dict[str, str] = {}
"""Actions that are answered otherwise, and why."""

ADDED = """
[program:new]
command=sleep 1002
startsecs=0
"""


@pytest.fixture
def servers(supervisorctl: Forked) -> Iterator[tuple[Side, Side]]:
    """supervisord, and initpy."""
    folders = [Path(tempfile.mkdtemp(prefix="initpy-")) for _ in range(2)]
    theirs, ours = (Side(REAL, folder, supervisorctl) for folder in folders)
    nowhere = subprocess.DEVNULL
    supervisord = subprocess.Popen(
        [sys.executable, "-m", "supervisor.supervisord", "-c", str(theirs.conf)],
        cwd=REPO,
        stdin=nowhere,
        stdout=nowhere,
        stderr=nowhere,
    )
    init = Init(ours.conf, ours.folder, as_pid1=False)
    try:
        theirs.wait_until_up()
        ours.wait_until_up()
        yield theirs, ours
    finally:
        init.end()
        supervisord.terminate()
        supervisord.wait(TIMEOUT_S)
        for folder in folders:
            shutil.rmtree(folder)


@pytest.mark.parametrize("actions", [LOOKING, ORDERS], ids=["looking", "orders"])
def test_every_action(servers: tuple[Side, Side], actions: list[str]) -> None:
    theirs, ours = servers
    differ = {}
    for action in actions:
        expected, found = theirs.say(*action.split()), ours.say(*action.split())
        if found != expected:
            differ[action] = (expected, found)
    assert differ.keys() <= MENDED.keys(), differ


def test_a_new_configuration(servers: tuple[Side, Side]) -> None:
    """Groups that are added, changed and taken away."""
    for side in servers:
        text = side.conf.read_text().replace("sleep 1001", "sleep 1003") + ADDED
        begin = text.index("[program:none]")
        side.conf.write_text(text[:begin] + text[text.index("[program:cat]") :])
    theirs, ours = servers
    for action in ("reread", "avail", "status new", "update", "status new", "reread", "avail"):
        assert ours.say(*action.split()) == theirs.say(*action.split())
    for side in servers:
        side.conf.write_text("[program:x]\ncommand=\n")
    assert ours.say("reread")[1] == theirs.say("reread")[1] != 0


def test_followers(servers: tuple[Side, Side]) -> None:
    said = []
    for side in servers:
        follower = subprocess.Popen(
            [*side.client, "tail", "-f", "noisy"],
            cwd=REPO,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert follower.stdout is not None
            lines = [follower.stdout.readline() for _ in range(3)]
            with (side.folder / "noisy.out").open("a") as log:
                log.write("more\n")
            said.append([*lines, follower.stdout.readline()])
        finally:
            follower.kill()
            follower.wait()
            if follower.stdout is not None:
                follower.stdout.close()
    assert said[0] == said[1]
    assert said[1][-1] == "more\n"


SENT = "one\ntwo\nth\u00e9\n"


def has_echoed(path: Path) -> bool:
    return path.exists() and path.read_text() == SENT


def test_what_is_sent_to_stdin(servers: tuple[Side, Side]) -> None:
    """As `fg` sends it, which itself waits for 30 s at its end."""
    xmlrpc: Any = pytest.importorskip("supervisor.xmlrpc")
    answers = []
    for side in servers:
        transport = xmlrpc.SupervisorTransport(None, None, f"unix://{side.folder}/s")
        with ServerProxy("http://localhost", transport) as proxy:
            send = proxy.supervisor.sendProcessStdin
            assert send("echo", SENT[:8]) is send("echo:echo", SENT[8:]) is True
            faults = [fault_of(send, *it) for it in (("g:bad", "x"), ("nope", "x"), ("echo", 5))]
        transport.close()
        answers.append(faults)
        wait_for(partial(has_echoed, side.folder / "echo.out"), within_s=TIMEOUT_S)
    assert answers[0] == answers[1]


def test_reload_and_the_end(servers: tuple[Side, Side]) -> None:
    theirs, ours = servers
    assert ours.say("reload") == theirs.say("reload")
    for side in servers:
        side.wait_until_up()
    assert ours.say("shutdown") == theirs.say("shutdown")
    for side in servers:
        wait_for(side.has_ended, within_s=TIMEOUT_S)
    assert ours.say("status") == theirs.say("status")
