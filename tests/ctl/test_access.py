"""The client where a password is asked for, over TCP, and where it is not let in."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from initpy.control.passwords import hashed
from tests.ctl.support import Client, Said
from tests.pid1.toml import command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import Init

    Start = Callable[..., tuple[Init, Client]]

SECRET = "s3cr3t-word"
WEB = command("web", ["sleep", "1000"], startsecs=0)


def free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return int(it.getsockname()[1])


@pytest.mark.parametrize("kind", ["plain", "file", "hash"])
def test_over_tcp_with_a_password(start: Start, tmp_path: Path, kind: str) -> None:
    port = free_port()
    (tmp_path / "word").write_text(SECRET + "\n")
    line = {
        "plain": f'password = "{SECRET}"',
        "file": f'password_file = "{tmp_path}/word"',
        "hash": f'password_hash = "{hashed(SECRET.encode(), "salt", 10)}"',
    }[kind]
    http = f'[control.http]\nlisten = "127.0.0.1:{port}"\nusername = "deploy"\n{line}\n'
    init, client = start(http + WEB)
    client.wait_until(web="RUNNING")
    del client.env["INITPY_SOCKET"]
    where = ["-s", f"http://127.0.0.1:{port}"]
    account = ["-u", "deploy", "-p", SECRET]
    said = client("status", *where, *account)
    assert said.code == 0
    assert said.lines[1].split()[:2] == ["web", "RUNNING"]
    assert client("version", "-s", f"http://deploy:{SECRET}@127.0.0.1:{port}").code == 0
    assert client("stop", "web", *where, *account) == Said(0, "web: stopped\n", "")
    assert client("health", *where, *account).code == 1
    why = "initpy: it asks for a name and a password: give -u NAME and -p PASSWORD\n"
    wrong = ["-u", "deploy", "-p", SECRET[1:]]
    for words in ([], wrong, ["-u", "other", "-p", SECRET]):
        assert client("start", "web", *where, *words) == Said(1, "", why)
    assert SECRET not in init.log()


def test_over_tcp_without_one(start: Start) -> None:
    port = free_port()
    _, client = start(f'[control.http]\nlisten = ["localhost:{port}", "[::1]:{port}"]\n{WEB}')
    client.wait_until(web="RUNNING")
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert client("pid", "nope", "-s", f"http://{host}:{port}").code == 1


def test_no_socket_at_all(start: Start) -> None:
    """And then there is nobody to ask."""
    init, client = start("[control]\nsocket = false\n" + WEB)
    init.wait_for_log("success: web")
    said = client("status")
    assert said == Said(
        4, "", f"initpy: nothing answers at {init.socket}: No such file or directory\n"
    )
    assert client("health") == Said(1, "no initpy answers\n", "")
