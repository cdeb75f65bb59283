"""Who may call."""

from __future__ import annotations

import base64
import http.client
import os
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from initpy.control.access import Access
from initpy.control.http import HttpError, HttpRequest
from initpy.control.passwords import MAX_WAITING, MAX_WRONG, Accounts, TooManyError, hashed, plain
from initpy.control.server import Peer
from initpy.controlplan import ControlPlan
from tests.pid1.toml import program
from tests.support import Init, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    Start = Callable[..., Init]

ACCOUNT = (("user", plain("user", "secret")),)
OPEN = ControlPlan()
CLOSED = ControlPlan(socket_accounts=ACCOUNT, http_accounts=ACCOUNT, uid=33, allowed_uids=(44,))
NETWORK = Peer(None, 0)


def basic(text: bytes) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(text).decode()}"}


GOOD = basic(b"user:secret")


@pytest.mark.parametrize(
    ("plan", "peer", "headers", "status"),
    [
        (OPEN, Peer(0, 1), {}, 0),
        (OPEN, Peer(os.geteuid(), 1), {}, 0),
        (OPEN, Peer(33, 1), {}, 403),
        (CLOSED, Peer(0, 1), {}, 0),
        (CLOSED, Peer(33, 1), {}, 0),
        (CLOSED, Peer(44, 1), {}, 0),
        (CLOSED, Peer(55, 1), {}, 401),
        (CLOSED, Peer(55, 1), GOOD, 0),
        (CLOSED, NETWORK, {}, 401),
        (CLOSED, NETWORK, GOOD, 0),
        (CLOSED, NETWORK, basic(b"user:wrong"), 401),
        (CLOSED, NETWORK, basic(b"other:secret"), 401),
        (CLOSED, NETWORK, basic(b""), 401),
        (CLOSED, NETWORK, {"authorization": "Basic %%%"}, 401),
        (CLOSED, NETWORK, {"authorization": "Bearer x"}, 401),
        (CLOSED, NETWORK, {**GOOD, "host": "any.name"}, 0),
        (CLOSED, NETWORK, {**GOOD, "host": "a:1", "origin": "http://a:1"}, 0),
        (CLOSED, NETWORK, {**GOOD, "host": "a:1", "origin": "http://evil"}, 403),
        (OPEN, NETWORK, {}, 0),
        (OPEN, NETWORK, {"host": "127.0.0.1:9001"}, 0),
        (OPEN, NETWORK, {"host": "[::1]:9001"}, 0),
        (OPEN, NETWORK, {"host": "localhost:9001"}, 0),
        (OPEN, NETWORK, {"host": "evil.example:9001"}, 403),
        (OPEN, NETWORK, {"host": "127.0.0.1.evil.example"}, 403),
        (OPEN, NETWORK, {"host": "localhost", "origin": "null"}, 403),
        (OPEN, Peer(0, 1), {"host": "anything"}, 0),
    ],
)
def test_who_may_call(plan: ControlPlan, peer: Peer, headers: dict[str, str], status: int) -> None:
    request = HttpRequest("POST", "/RPC2", headers, b"", is_1_0=False)
    try:
        Access(plan).check(request, peer)
    except HttpError as exc:
        assert exc.status == status  # noqa: PT017 - which it is, and whether
    else:
        assert status == 0


def test_another_user_is_kept_out_by_the_mode_and_by_who_it_is(start_init: Start) -> None:
    """Even where the mode lets it in."""
    if os.geteuid() != 0:
        pytest.skip("to be another user takes root")
    script = (
        "import os, socket, sys; os.setgid(65534); os.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "try: s.connect(sys.argv[1])\n"
        "except PermissionError: print('refused'); raise SystemExit\n"
        "s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); print(s.recv(100).split()[1].decode())\n"
    )

    def said(init: Init) -> str:
        wait_for(init.socket.exists)
        os.chmod(init.socket.parent, 0o755)
        command = [sys.executable, "-c", script, str(init.socket)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert said(start_init(program("web"))) == "refused"
    mode = '[control]\nmode = "0666"\n'
    assert said(start_init(mode + program("web"))) == "403"
    assert said(start_init(mode + "allow = [65534]\n" + program("web"))) == "200"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_over_the_network(start_init: Start, host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.bind((host, 0))
            port = probe.getsockname()[1]
    except OSError:
        pytest.skip("there is no IPv6 here")
    shown = f"[{host}]" if ":" in host else host
    init = start_init(
        f'[control.http]\nlisten = "{shown}:{port}"\nusername = "user"\npassword = "secret"\n'
        + program("web"),
        as_pid1=False,
    )
    init.wait_for_log("web entered RUNNING")

    def status(headers: dict[str, str]) -> int:
        connection = http.client.HTTPConnection(host, port, timeout=90)
        try:
            connection.request("GET", "/nope", headers=headers)
            answer = connection.getresponse()
            if answer.status == 401:
                assert answer.headers["WWW-Authenticate"] == 'Basic realm="default"'
            return answer.status
        finally:
            connection.close()

    credentials = {name.title(): value for name, value in GOOD.items()}
    assert status({}) == 401
    assert status({"Authorization": "Basic Zm9vOmJhcg=="}) == 401
    assert status(credentials) == 404
    assert init.stop() == 0


def test_an_address_that_is_taken_ends_the_boot_and_changes_nothing_on_reload(
    start_init: Start,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        http_section = f'[control.http]\nlisten = "127.0.0.1:{port}"\n'
        init = start_init(http_section + program("web"), as_pid1=False)
        assert init.wait() == 2
        assert f"cannot listen on 127.0.0.1:{port}: another is listening there" in init.log()
        assert not init.socket.exists()
        init = start_init(program("web"), as_pid1=False)
        init.wait_for_log("web entered RUNNING")
        init.config.write_text(http_section + program("web") + program("new"))
        init.kill(1)
        init.wait_for_log("nothing is reloaded, everything runs on as it is: cannot listen on")
        assert init.socket.exists()
        assert "spawned: 'new'" not in init.log()


HASHED = (("one", hashed(b"secret", "salt", 1)), ("two", hashed(b"other", "salt", 1)))


def test_a_password_is_compared_once() -> None:
    """Whether it is right or wrong; and with one hash, however many accounts there are."""
    pauses: list[float] = []
    accounts = Accounts(HASHED, pauses.append)
    for _ in range(100):
        assert accounts.are_right(b"one", b"secret")
        assert accounts.are_right(b"two", b"other")
        assert not accounts.are_right(b"two", b"secret")
        assert not accounts.are_right(b"nobody", b"secret")
    assert (accounts.compared, len(pauses)) == (4, 2)
    for number in range(2 * MAX_WRONG):
        assert not accounts.are_right(b"one", b"%d" % number)
    assert len(accounts._wrong) == MAX_WRONG
    assert accounts.are_right(b"one", b"secret")


def test_few_passwords_are_compared_at_a_time() -> None:
    """One, while some wait and the rest is sent away; nobody holds up who is known."""
    go_on = threading.Event()
    outcomes: list[bool | None] = []
    accounts = Accounts(HASHED, lambda _: go_on.wait())
    assert accounts.are_right(b"one", b"secret")

    def guess(password: bytes) -> None:
        try:
            outcomes.append(accounts.are_right(b"one", password))
        except TooManyError:
            outcomes.append(None)

    guesses = [threading.Thread(target=guess, args=(b"%d" % number,)) for number in range(40)]
    for thread in guesses:
        thread.start()
    wait_for(lambda: len(outcomes) == 40 - MAX_WAITING - 1, about="those that are sent away")
    assert set(outcomes) == {None}
    assert accounts.compared == 2
    assert accounts.are_right(b"one", b"secret")
    go_on.set()
    for thread in guesses:
        thread.join(60)
    assert outcomes.count(False) == MAX_WAITING + 1
    assert accounts.compared == 2 + MAX_WAITING
