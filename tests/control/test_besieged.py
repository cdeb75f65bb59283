"""Many clients at once: those that never finish their requests, and those whose helper is killed.

Here the helper is killed a few times. As often as it takes to believe it:

    INITPY_TESTS_KILLS=50 tests/run tests/control/test_besieged.py
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

from tests.control.fuzzing import call, post
from tests.control.rpc import connected, helper_of, rpc
from tests.pid1.toml import program
from tests.support import REPO, fds_of, is_alive, status_field, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Init

    Start = Callable[..., Init]

KILLS = int(os.environ.get("INITPY_TESTS_KILLS", "4"))
CLIENTS = 200
LORISES = 500
PROGRAMS = ("one", "two", "three")


def status(init: Init) -> str:
    """What `initpy status` says."""
    ran = subprocess.run(
        [sys.executable, "-m", "initpy", "status"],
        cwd=REPO,
        env={**os.environ, "INITPY_SOCKET": str(init.socket)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("begun", [b"", b"POST /RPC2 HTTP/1.1\r\nContent-Le"])
@pytest.mark.parametrize("where", ["TCP", "the unix socket"])
def test_status_is_answered_beside_five_hundred_that_never_finish(
    start_init: Start, where: str, begun: bytes
) -> None:
    """They send a byte now and then, and want to be taken for slow."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = f'[control.http]\nlisten = "127.0.0.1:{port}"\n'
    init = start_init(text + program("web"), as_pid1=False)
    init.wait_for_log("web entered RUNNING")
    assert "web" in status(init)
    helper = helper_of(init)
    with ExitStack() as stack:
        for _ in range(LORISES):
            if where == "TCP":
                loris = socket.create_connection(("127.0.0.1", port), 30)
            else:
                loris = connected(init.socket)
            stack.enter_context(loris)
            with suppress(OSError):  # there are too many of them, and it has been sent away
                loris.sendall(begun)
        assert re.search(r"web +RUNNING", status(init))
        assert int(status_field(helper, "Threads")) < 2 * CLIENTS + 20
    assert re.search(r"web +RUNNING", status(init))
    assert is_alive(helper)
    wait_for(lambda: int(status_field(helper, "Threads")) <= 4, about="few threads")
    wait_for(lambda: len(fds_of(helper)) < 40, about="few descriptors")


def test_the_helper_is_killed_amid_two_hundred_requests(start_either: Start) -> None:
    """Each client gets a whole answer, or sees that it gets none; the next request is answered; and
    no program notices anything."""
    init = start_either("".join(map(program, PROGRAMS)))
    for name in PROGRAMS:
        init.wait_for_log(f"{name} entered RUNNING")
    with rpc(init) as supervisor:
        before = {it["name"]: it["pid"] for it in supervisor.getAllProcessInfo()}
    for number in range(KILLS):
        helper = helper_of(init)
        outcomes = _asked_while(init, lambda helper=helper: os.kill(helper, signal.SIGKILL))  # type: ignore[misc]
        assert sum(outcomes.values()) == CLIENTS
        assert set(outcomes) <= {"answered", "nothing"}, outcomes
        assert outcomes.get("nothing", 0) > 0, "nobody was being answered when it was killed"
        with rpc(init) as supervisor:
            assert {it["name"]: it["pid"] for it in supervisor.getAllProcessInfo()} == before
        init.wait_for_log("the control helper died \\(terminated by SIGKILL\\)", times=number + 1)
    assert init.log().count("spawned: ") == len(PROGRAMS)
    assert init.stop() == 0


def _asked_while(init: Init, event: Callable[[], None]) -> dict[str, int]:
    """What becomes of the clients, each of which is in the middle of its requests."""
    request = post(call("supervisor.getAllProcessInfo"))
    outcomes: dict[str, int] = {}
    lock = threading.Lock()
    are_asking = threading.Barrier(CLIENTS + 1)
    is_over = threading.Event()

    def ask() -> None:
        outcome = "answered"
        with connected(init.socket) as sock:
            try:
                whole(sock, request)
                are_asking.wait(60)
                while not is_over.is_set():
                    whole(sock, request)
            except (OSError, EOFError):
                outcome = "nothing"
            except AssertionError:
                outcome = "half of an answer, and more"
        with lock:
            outcomes[outcome] = outcomes.get(outcome, 0) + 1

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    are_asking.wait(60)
    event()
    wait_for(lambda: outcomes, about="a client has noticed")
    is_over.set()
    for thread in threads:
        thread.join(60)
    return outcomes


def whole(sock: socket.socket, request: bytes) -> bytes:
    """The answer to a request.

    Raises:
        EOFError: it has no end.
    """
    sock.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _more(sock)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    length = int(re.findall(rb"Content-Length: (\d+)", head)[0])
    while len(body) < length:
        body += _more(sock)
    assert len(body) == length
    return body


def _more(sock: socket.socket) -> bytes:
    part = sock.recv(65536)
    if not part:
        raise EOFError
    return part
