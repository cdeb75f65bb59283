"""The helper is told to leave while clients want something, or clients leave while it works."""

from __future__ import annotations

import os
import signal
import socket
import threading
import xmlrpc.client
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.control.rpc import connected, helper_of, rpc
from tests.pid1.toml import command, program
from tests.support import Init, is_alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    Start = Callable[..., Init]

UPGRADE_SIGNAL = 59
LONG = 3600
KILLED = "killing the control helper"


@pytest.fixture(params=["another plan", "an upgrade"])
def make_it_leave(request: pytest.FixtureRequest) -> Callable[[Init], None]:
    """Have the helper go, and wait until it has, by itself."""

    def leave(init: Init) -> None:
        before = helper_of(init)
        if request.param == "an upgrade":
            init.kill(UPGRADE_SIGNAL)
        else:
            init.config.write_text("[control]\nidle = 50\n" + init.config.read_text())
            init.kill(signal.SIGHUP)
        wait_for(lambda: not is_alive(before), about="the end of the helper")
        with rpc(init) as supervisor:
            assert supervisor.getState()["statename"] == "RUNNING"
        assert helper_of(init) != before
        assert KILLED not in init.log()

    return leave


def post(method: str, *parameters: Any) -> bytes:
    body = xmlrpc.client.dumps(parameters, method).encode()
    return b"POST /RPC2 HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def rest_of(sock: socket.socket) -> bytes:
    """All that comes until the end."""
    answer = b""
    while part := sock.recv(65536):
        answer += part
    return answer


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def test_whoever_has_asked_for_nothing_so_far_holds_it_up_no_longer(
    start_init: Start, make_it_leave: Callable[[Init], None]
) -> None:
    """And learns that nothing is done for it."""
    init = start_init(program("web"))
    init.wait_for_log("web entered RUNNING")
    with rpc(init) as supervisor:  # whose connection is kept
        assert supervisor.getPID()
        silent, half = connected(init.socket), connected(init.socket)
        half.sendall(post("supervisor.stopProcess", "web")[:-5])
        wait_for(lambda: threads_of(helper_of(init)) >= 5, about="three connections being served")
        make_it_leave(init)
    assert rest_of(half).startswith((b"HTTP/1.1 503 ", b""))
    assert rest_of(silent) == b""
    for sock in (silent, half):
        sock.close()
    assert "stopped: web" not in init.log()


def test_half_a_request_is_told_to_ask_again(start_init: Start) -> None:
    init = start_init(program("web"))
    init.wait_for_log("web entered RUNNING")
    with connected(init.socket) as half:
        half.sendall(post("supervisor.getPID") + post("supervisor.stopProcess", "web")[:-5])
        while b"</methodResponse>" not in half.recv(65536):
            pass
        init.config.write_text("[control]\nidle = 50\n" + init.config.read_text())
        init.kill(signal.SIGHUP)
        assert rest_of(half).startswith(b"HTTP/1.1 503 ")


def test_a_long_poll_is_answered(start_init: Start, make_it_leave: Callable[[Init], None]) -> None:
    init = start_init(program("web"))
    init.wait_for_log("web entered RUNNING")
    with connected(init.socket) as waits:
        waits.sendall(post("initpy.waitForEvents", 0, 30))
        wait_for(lambda: threads_of(helper_of(init)) >= 3, about="a client being served")
        make_it_leave(init)
        assert b"<name>serial</name>" in rest_of(waits)


@pytest.mark.parametrize("reads", [True, False])
def test_a_stream_ends(
    start_init: Start, make_it_leave: Callable[[Init], None], *, reads: bool
) -> None:
    """Also one that is never without something, and one to a client that does not read."""
    chatty = ["sh", "-c", f"while :; do echo {'x' * 4000}; sleep 0.005; done"]
    init = start_init(command("web", chatty, log="prefix"))
    init.wait_for_log("web entered RUNNING")
    with connected(init.socket) as follower:
        follower.sendall(b"GET /logtail/web HTTP/1.1\r\n\r\n")
        assert follower.recv(100).startswith(b"HTTP/1.1 200 ")
        ended = threading.Thread(target=rest_of, args=(follower,), daemon=True)
        if reads:
            ended.start()
        else:  # more than the socket takes
            wait_for(lambda: init.stdout.stat().st_size > 1_000_000, about="much output")
        make_it_leave(init)
        if not reads:
            ended.start()
        ended.join(60)
        assert not ended.is_alive()


def test_an_order_that_takes_its_time_is_answered(start_init: Start) -> None:
    """As long as it does not take too long."""
    init = start_init(program("web") + program("slow", autostart=False, startsecs=1))
    init.wait_for_log("web entered RUNNING")
    with connected(init.socket) as waits:
        waits.sendall(post("supervisor.startProcess", "slow"))
        init.wait_for_log("spawned: 'slow'")
        init.config.write_text("[control]\nidle = 50\n" + init.config.read_text())
        init.kill(signal.SIGHUP)
        answer = rest_of(waits)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"<boolean>1</boolean>" in answer
    assert KILLED not in init.log()


def test_an_order_that_takes_too_long_has_been_given(
    start_init: Start, make_it_leave: Callable[[Init], None]
) -> None:
    """And its client learns that it has to look itself what comes of it."""
    init = start_init(program("web") + program("slow", autostart=False, startsecs=LONG))
    init.wait_for_log("web entered RUNNING")
    with connected(init.socket) as one, connected(init.socket) as all_of_them:
        one.sendall(post("supervisor.startProcess", "slow"))
        init.wait_for_log("spawned: 'slow'")
        all_of_them.sendall(post("supervisor.startAllProcesses"))
        wait_for(lambda: threads_of(helper_of(init)) >= 3, about="a client being served")
        make_it_leave(init)
        assert rest_of(one).startswith(
            b"HTTP/1.1 202 Accepted: the order was given, ask for the state\r\n"
        )
        assert rest_of(all_of_them).startswith(b"HTTP/1.1 200 ")
    assert init.log().count("spawned: 'slow'") == 1


def test_who_waits_and_goes_away_leaves_no_thread(start_init: Start) -> None:
    init = start_init(program("web") + program("slow", autostart=False, startsecs=LONG))
    init.wait_for_log("web entered RUNNING")
    with rpc(init) as supervisor:
        assert supervisor.getPID()
        helper = helper_of(init)
        before = threads_of(helper)
        for method, name in (("startProcess", "slow"), ("startProcessGroup", "slow")):
            with connected(init.socket) as waits:
                waits.sendall(post(f"supervisor.{method}", name))
                wait_for(lambda: supervisor.getProcessInfo("slow")["statename"] == "STARTING")
                assert threads_of(helper) == before + 1
            wait_for(lambda: threads_of(helper) == before, about="the end of its thread")
            supervisor.stopProcess("slow")
        with connected(init.socket) as waits:
            waits.sendall(post("initpy.waitForEvents", 10**6, 30))
            wait_for(lambda: threads_of(helper) == before + 1)
        wait_for(lambda: threads_of(helper) == before, about="the end of its thread")
        assert helper_of(init) == helper


def test_who_only_says_that_it_asks_no_more_gets_its_answer(start_init: Start) -> None:
    """Over a Unix socket, that is no end."""
    init = start_init(program("web") + program("slow", autostart=False, startsecs=LONG))
    init.wait_for_log("web entered RUNNING")
    with rpc(init) as supervisor, connected(init.socket) as waits:
        waits.sendall(post("supervisor.startProcess", "slow"))
        waits.shutdown(socket.SHUT_WR)
        wait_for(lambda: supervisor.getProcessInfo("slow")["statename"] == "STARTING")
        supervisor.stopProcess("slow")
        answer = waits.recv(65536)
    assert b"ABNORMAL_TERMINATION" in answer
    assert os.path.exists(init.socket)
