"""Inputs that are nearly right: nothing breaks, nothing is lost, and the next request is answered.

Here, a sample. All 100,000 of them:

    INITPY_TESTS_FUZZ=100000 tests/run -k fuzz tests/control/test_fuzzing.py

INITPY_TESTS_SEED chooses others.
"""

from __future__ import annotations

import gc
import os
import random
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.control.events.support import helper_of as helper_with_events_of
from tests.control.fuzzing import CHECKS, REQUESTS, SOCKET_PART, mutated, parts_of, post
from tests.control.rpc import connected, helper_of, rpc
from tests.pid1.toml import program
from tests.support import fds_of, is_alive, status_field, toml_list, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Init

INPUTS = int(os.environ.get("INITPY_TESTS_FUZZ", "8000"))
SEED = int(os.environ.get("INITPY_TESTS_SEED", "1"))

MAX_GROWTH_KB = 16 * 1024
"""Of the helper, from after its first hundred inputs to after the last."""

AT_ONCE = 20
"""So many connections are open at a time."""

NOISE = Path(__file__).resolve().parent / "noise.py"


def share(part: int) -> int:
    return INPUTS * part // 100


def test_the_parts_are_all() -> None:
    assert SOCKET_PART + sum(part for part, _ in CHECKS.values()) == 100


@pytest.mark.parametrize("name", CHECKS)
def test_fuzz_parsers(name: str) -> None:
    part, check = CHECKS[name]
    source = random.Random(f"{SEED} {name}")
    count = share(part)
    before = 0
    for number in range(count):
        if number == count // 10:
            gc.collect()
            before = len(gc.get_objects())
        check(source)  # what fails is the input with this number
    gc.collect()
    assert len(gc.get_objects()) < before + 1000


def test_fuzz_a_running_initpy(start_init: Callable[..., Init]) -> None:
    """Over its socket, and by a listener that talks nonsense."""
    source = random.Random(f"{SEED} socket")
    noise = [sys.executable, "-I", "-S", str(NOISE), str(SEED)]
    init = start_init(
        program("web")
        + f"[eventlistener.noise]\ncommand = {toml_list(noise)}\nstartsecs = 0\n"
        + 'autostart = false\nautorestart = true\nevents = ["EVENT"]\n'
    )
    init.wait_for_log("web entered RUNNING")
    with rpc(init) as supervisor:
        (before,) = [it["pid"] for it in supervisor.getAllProcessInfo() if it["name"] == "web"]
        helper = helper_with_events_of(init)
        assert supervisor.startProcess("noise", False) is True
    count = share(SOCKET_PART)
    answers: dict[int, int] = {}
    for number in range(count // AT_ONCE):
        raws = [mutated(source, REQUESTS) for _ in range(AT_ONCE)]
        for raw, answer in zip(raws, exchanged(init, source, raws), strict=True):
            status = status_of(answer)
            answers[status] = answers.get(status, 0) + 1
            assert status != 500, raw
        if number == 5:
            wait_for(lambda: threads_of(helper) <= 4, about="few threads")
            fds, rss_kb = len(fds_of(helper)), rss_of(helper)
    assert answers[200] > count // 20
    assert answers[400] > count // 20
    with rpc(init) as supervisor:
        (after,) = [it["pid"] for it in supervisor.getAllProcessInfo() if it["name"] == "web"]
    assert after == before, "no program has been touched"
    assert is_alive(helper)
    wait_for(lambda: threads_of(helper) <= 4, about="few threads")
    wait_for(lambda: len(fds_of(helper)) <= fds + 2, about="no more descriptors")
    assert rss_of(helper) < rss_kb + MAX_GROWTH_KB
    assert not any(
        word in init.log() for word in ("fault of initpy", "Traceback", "a bug", "control helper")
    )
    init.wait_for_log("longer receive events until it is restarted", times=3)


def test_the_largest_bodies_have_bounded_costs(start_init: Callable[..., Init]) -> None:
    init = start_init(program("web"))
    with rpc(init) as supervisor:
        supervisor.getState()
    helper = helper_of(init)
    start = b"<methodCall><methodName>system.multicall</methodName><params><param>"
    for filler in (
        b"<value/>",
        b"<value><int>1</int></value>",
        b"<value><struct/></value>",
        b"<value><array><data/></array></value>",
        b"<value><struct><member><name>methodName</name><value>nope</value></member></struct>"
        b"</value>",
        b"<value><array><data>",
        b"<a>",
        b"&lt;",
        b"x",
    ):
        body = start + b"<value><array><data>" + filler * ((2 * 2**20 - 200) // len(filler))
        for raw in (body, body + b"</data></array></value></param></params></methodCall>"):
            (answer,) = exchanged(init, None, [post(raw)])
            assert status_of(answer) in (200, 400)
    with rpc(init) as supervisor:
        assert supervisor.getState()["statename"] == "RUNNING"
    assert is_alive(helper)
    assert int(status_field(helper, "VmHWM").split()[0]) < 256 * 1024
    assert int(status_field(init.pid, "VmHWM").split()[0]) < 64 * 1024


def exchanged(init: Init, source: random.Random | None, raws: list[bytes]) -> list[bytes]:
    """What is answered to each, all sent at once, with no more to come. One in five goes away
    before that, if they come from a `source`."""
    socks = [connected(init.socket) for _ in raws]
    try:
        for sock, raw in zip(socks, raws, strict=True):
            with suppress(OSError):  # it has been answered already, and is not read any further
                for part in parts_of(source, raw) if source else [raw]:
                    sock.sendall(part)
                sock.shutdown(socket.SHUT_WR)
            if source and source.randrange(5) == 0:
                sock.close()
        return [answer_of(sock) if sock.fileno() >= 0 else b"" for sock in socks]
    finally:
        for sock in socks:
            sock.close()


def answer_of(sock: socket.socket) -> bytes:
    answer = bytearray()
    with suppress(ConnectionResetError):
        while part := sock.recv(65536):
            answer += part
    return bytes(answer)


def status_of(answer: bytes) -> int:
    """0: there was none."""
    if not answer:
        return 0
    version, status, *_ = answer.split(b" ", 2)
    assert version in (b"HTTP/1.1", b"HTTP/1.0"), answer
    return int(status)


def threads_of(pid: int) -> int:
    return int(status_field(pid, "Threads"))


def rss_of(pid: int) -> int:
    return int(status_field(pid, "VmRSS").split()[0])
