"""superlance's listeners, as they come from PyPI, at work."""

from __future__ import annotations

import http.server
import importlib.util
import re
import socketserver
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tests.pid1.toml import command, program
from tests.support import skip_or_fail, toml_list, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support import Init

TICK_S = 5
"""The shortest."""


@pytest.fixture(autouse=True)
def _has_superlance() -> None:
    if importlib.util.find_spec("superlance") is None:
        skip_or_fail("compat", "superlance is not installed (PyPI's package superlance)")


def listener(name: str, *arguments: str, events: list[str]) -> str:
    """An [eventlistener.NAME] that runs superlance's script of that name."""
    argv = [sys.executable, "-W", "ignore", "-m", f"superlance.{name}", *arguments]
    lines = [
        f"[eventlistener.{name}]",
        f"command = {toml_list(argv)}",
        f"events = {toml_list(events)}",
    ]
    return "\n".join(lines) + "\n"


def test_memmon_restarts_what_has_grown(start_either: Callable[..., Init]) -> None:
    text = program("web", critical=False)
    init = start_either(text + listener("memmon", "-p", "web=1KB", events=["TICK_5"]))
    init.wait_for_log("RSS of web:web is [0-9]+", within_s=40)
    init.wait_for_log("Restarting web:web")
    init.wait_for_log("stopped: web")
    init.wait_for_log("success: web", times=2, within_s=40)
    assert init.stop() == 0


class Page(http.server.BaseHTTPRequestHandler):
    """Answers with 500 until somebody has restarted the program."""

    status = 500

    def do_GET(self) -> None:
        self.send_response(type(self).status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is said."""


@pytest.fixture
def page() -> Iterator[str]:
    class Own(Page):
        pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Own) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def test_httpok_restarts_what_does_not_answer_well(
    start_init: Callable[..., Init], page: str
) -> None:
    text = program("web", critical=False)
    options = ["-p", "web", "-t", "3", page]
    init = start_init(text + listener("httpok", *options, events=["TICK_5"]))
    init.wait_for_log("success: web", times=2, within_s=40)
    assert re.search("stopped: web", init.log())
    assert init.stop() == 0


def test_crashmail_tells_who_has_crashed(start_init: Callable[..., Init], tmp_path: Path) -> None:
    mails = tmp_path / "mails"
    crash = command("crash", ["sh", "-c", "sleep 2; exit 7"], critical=False, autorestart=False)
    options = ["-p", "crash", "-m", "me@example.com", "-s", f"cat >> {mails}"]
    init = start_init(
        program("web", critical=False)
        + crash
        + listener("crashmail", *options, events=["PROCESS_STATE_EXITED"])
    )
    init.wait_for_log("exited: crash")
    wait_for(lambda: mails.exists() and "exited unexpectedly" in mails.read_text(), within_s=40)
    assert re.search(
        r"To: me@example.com\nSubject:  crash crashed at .*\n\nProcess crash in group crash exited"
        r" unexpectedly \(pid \d+\) from state RUNNING",
        mails.read_text(),
    )
    assert init.stop() == 0


class Mailbox(socketserver.StreamRequestHandler):
    """Enough of SMTP to take a mail."""

    mails: list[str]

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line.split()[0].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                text = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.mails.append(text.decode())
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return


@pytest.fixture
def mailbox() -> Iterator[tuple[str, list[str]]]:
    class Own(Mailbox):
        pass

    Own.mails = []
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Own) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}", Own.mails
        server.shutdown()
        thread.join()


def test_fatalmailbatch_tells_who_is_fatal(
    start_init: Callable[..., Init], mailbox: tuple[str, list[str]]
) -> None:
    address, mails = mailbox
    fails = command("fails", ["sh", "-c", "sleep 1; exit 3"], critical=False, startretries=1)
    options = ["--toEmail=me@example.com", "--fromEmail=it@example.com", f"--smtpHost={address}"]
    options += ["--tickEvent=TICK_5", "--interval=0.05"]
    events = ["PROCESS_STATE_FATAL", "TICK_5"]
    init = start_init(
        program("web", critical=False)
        + fails.replace("sleep 1", "sleep 0.9")
        + listener("fatalmailbatch", *options, events=events)
    )
    init.wait_for_log("gave up: fails")
    wait_for(
        lambda: any("fails:fails failed to start too many times" in it for it in mails), within_s=40
    )
    assert init.stop() == 0
