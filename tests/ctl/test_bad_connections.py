"""Who answers hangs, breaks off, or goes away while something is being done."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from initpy.control import xmlrpc
from initpy.control.http import Requests, response
from initpy.ctl.calls import CutOffError, Server
from tests.control.rpc import helper_of
from tests.ctl.support import Client
from tests.pid1.toml import command, program
from tests.support import is_alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support import Init

    Start = Callable[..., tuple[Init, Client]]


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "s"))
        sock.listen(0)
        yield sock


def test_who_does_not_take_connections_is_not_waited_for_for_ever(
    listener: socket.socket,
) -> None:
    """As many connect as the kernel holds for one that is stopped; the next would wait."""
    path = listener.getsockname()
    waiting = []
    while True:
        waiting.append(socket.socket(socket.AF_UNIX))
        waiting[-1].setblocking(False)
        try:
            waiting[-1].connect(path)
        except BlockingIOError:
            break
    client = Client([sys.executable, "-m", "initpy"], path)
    verbs = {"status": 4, "health": 1, "stop": 7}
    begun = {verb: client.begin(verb, *(["web"] if verb == "stop" else [])) for verb in verbs}
    for verb, process in begun.items():
        out, err = process.communicate(timeout=60)
        assert "it has not taken the connection for 10 s" in (out if verb == "health" else err)
        assert process.returncode == verbs[verb]
    for sock in waiting:
        sock.close()


class Peer:
    """Answers `true` to the first request on each connection, and ends it at the second."""

    def __init__(self, listener: socket.socket) -> None:
        self.requests: list[str] = []
        self._listener = listener
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:  # the test is over
                return
            with sock:
                requests = Requests()
                for is_last in (False, True):
                    request = requests.feed(b"")
                    while request is None and (raw := sock.recv(65536)):
                        request = requests.feed(raw)
                    if request is None:
                        break
                    self.requests.append(xmlrpc.call_in(request.body)[0])
                    if not is_last:
                        sock.sendall(response(200, xmlrpc.result(True), "text/xml"))


def test_an_order_is_not_carried_out_twice(listener: socket.socket) -> None:
    peer = Peer(listener)
    server = Server(f"unix://{listener.getsockname()}")
    assert server.call("supervisor.stopProcess", "web") is True
    with pytest.raises(CutOffError, match="whether it has done what it was asked for is not known"):
        server.call("supervisor.startProcess", "web")
    assert peer.requests == ["supervisor.stopProcess", "supervisor.startProcess"]
    server.close()


def test_who_only_looks_may_look_again(listener: socket.socket) -> None:
    peer = Peer(listener)
    server = Server(f"unix://{listener.getsockname()}")
    for _ in range(2):
        assert server.call("supervisor.getState") is True
    assert peer.requests == ["supervisor.getState"] * 3
    server.close()


def test_an_order_on_a_connection_that_is_over_takes_another(listener: socket.socket) -> None:
    server = Server(f"unix://{listener.getsockname()}")
    asked = []

    def serve_one_each() -> None:
        for _ in range(2):
            sock, _ = listener.accept()
            with sock:
                asked.append(sock.recv(65536))
                sock.sendall(response(200, xmlrpc.result(True), "text/xml"))

    thread = threading.Thread(target=serve_one_each, daemon=True)
    thread.start()
    assert server.call("supervisor.stopProcess", "web") is True
    kept = server._kept
    assert kept is not None
    wait_for(kept.is_over, about="the end of the connection")
    assert server.call("supervisor.startProcess", "web") is True
    assert len(asked) == 2
    thread.join(60)
    server.close()


def test_what_is_started_while_the_helper_is_replaced_is_looked_at(start: Start) -> None:
    """The one that waits for it gives up after 2 s; the client does not."""
    init, client = start(
        program("web") + command("slow", ["sleep", "1000"], autostart=False, startsecs=5)
    )
    client.wait_until(web="RUNNING")
    begun = client.begin("start", "slow")
    init.wait_for_log("spawned: 'slow'")
    init.config.write_text("[control]\nidle = 50\n" + init.config.read_text())
    init.kill(1)
    out, err = begun.communicate(timeout=60)
    assert (out, err, begun.returncode) == ("slow: started\n", "", 0)
    assert client.states()["slow"] == "RUNNING"
    assert is_alive(init.pid)


def test_who_follows_goes_on_with_the_next_helper(start: Start) -> None:
    """And sees nothing twice."""
    ticks = ["sh", "-c", "n=0; while :; do echo tick $n; n=$((n + 1)); sleep 0.05; done"]
    init, client = start(command("web", ticks, log="prefix"))
    client.wait_until(web="RUNNING")
    begun = client.begin("logs", "-f", "web")
    assert begun.stdout is not None
    seen = [begun.stdout.readline() for _ in range(3)]
    helper = helper_of(init)
    os.kill(helper, signal.SIGKILL)
    wait_for(lambda: not is_alive(helper))
    last = int(init.output().split()[-1])
    while int(seen[-1].split()[-1]) < last + 3:
        seen.append(begun.stdout.readline())
    init.kill(signal.SIGTERM)
    rest, _ = begun.communicate(timeout=60)
    seen += rest.splitlines()
    numbers = [int(line.split()[1]) for line in seen if line.startswith("tick ")]
    assert numbers == sorted(set(numbers))
    assert "has broken off the connection" in seen[-1]
