"""PID 1's side of the control plane: the sockets, and the helper that comes and goes."""

from __future__ import annotations

import os
import signal
import socket
import stat
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.control.rpc import connected, exchange, fault_of, helper_of, rpc
from tests.pid1.toml import command, program
from tests.support import Init, children, fds_of, is_alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., Init]


def names(process_infos: list[dict[str, Any]]) -> list[str]:
    return [f"{it['name']} {it['statename']}" for it in process_infos]


def wait_for_end_of(pid: int) -> None:
    wait_for(lambda: not is_alive(pid), about=f"the end of helper {pid}")


def test_the_first_client_finds_a_helper_and_the_state_as_it_is(start_either: Start) -> None:
    init = start_either(program("web") + program("other", autostart=False))
    init.wait_for_log("web entered RUNNING")
    before = children(init.pid)
    with rpc(init) as supervisor:
        assert names(supervisor.getAllProcessInfo()) == ["other STOPPED", "web RUNNING"]
        assert supervisor.getPID() in (1, init.pid)
    assert set(children(init.pid)) - set(before) == {helper_of(init)}
    assert init.stop() == 0
    assert not init.socket.exists()


def test_what_changes_is_told_to_the_helper(start_init: Start) -> None:
    init = start_init(program("web"))
    init.wait_for_log("web entered RUNNING")
    with rpc(init) as supervisor:
        (info,) = supervisor.getAllProcessInfo()
        web = next(pid for pid in children(init.pid) if pid != helper_of(init))
        os.kill(web, signal.SIGKILL)
        wait_for(lambda: supervisor.getProcessInfo("web")["pid"] not in (0, info["pid"]))
        wait_for(lambda: supervisor.getProcessInfo("web")["statename"] == "RUNNING")
        again = supervisor.getProcessInfo("web")
        assert again["start"] >= info["start"]
        assert again["stop"] >= info["start"]


def test_the_socket_is_private_and_the_last_leaves_nothing(start_init: Start) -> None:
    init = start_init(program("web"))
    wait_for(init.socket.exists)
    status = os.stat(init.socket)
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_uid == 0
    assert init.stop() == 0
    assert not init.socket.exists()


def test_a_stale_socket_is_replaced(start_init: Start, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    init = start_init(program("web"), env={"INITPY_SOCKET": str(path)})
    init.socket = path
    init.wait_for_log("web entered RUNNING")
    with rpc(init) as supervisor:
        assert supervisor.getState()["statename"] == "RUNNING"


def test_a_socket_that_somebody_has_removed_is_there_again_after_a_reload(
    start_init: Start,
) -> None:
    init = start_init(program("web"))
    with rpc(init) as supervisor:
        assert supervisor.getState()["statename"] == "RUNNING"
    init.socket.unlink()
    init.kill(signal.SIGHUP)
    with rpc(init) as supervisor:
        assert supervisor.getState()["statename"] == "RUNNING"
    assert init.stop() == 0
    assert not init.socket.exists()


def test_another_file_beside_the_socket_is_not_touched(start_init: Start, tmp_path: Path) -> None:
    """Under the name that the socket has while it is made."""
    path = tmp_path / "s~"
    path.write_text("precious")
    init = start_init(program("web"), env={"INITPY_SOCKET": str(tmp_path / "s")})
    init.wait_for_log(f"no control socket: .*: there is a file of another kind at {path}")
    assert init.stop() == 0
    assert path.read_text() == "precious"


def test_somebody_listens_there_already(start_init: Start, tmp_path: Path) -> None:
    """At a default path: it is said, and all else works."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        init = start_init(program("web"), env={"INITPY_SOCKET": str(path)})
        init.wait_for_log(f"no control socket: {path}: another is listening there")
        init.wait_for_log("web entered RUNNING")
        assert init.stop() == 0
    assert path.exists()


def test_the_folder_is_made_and_where_it_cannot_be_that_is_said(
    start_init: Start, tmp_path: Path
) -> None:
    deep = tmp_path / "a" / "b" / "s"
    init = start_init(program("web"), env={"INITPY_SOCKET": str(deep)})
    wait_for(deep.exists)
    assert init.stop() == 0
    init = start_init(program("web"), env={"INITPY_SOCKET": "/proc/nowhere/s"})
    init.wait_for_log("no control socket: /proc/nowhere/s: ")
    init.wait_for_log("web entered RUNNING")


def test_without_a_path_there_is_no_socket(start_init: Start) -> None:
    init = start_init(program("web"), env={"INITPY_SOCKET": ""})
    init.wait_for_log("web entered RUNNING")
    assert "control socket" not in init.log()
    assert not any("socket:" in it for it in fds_of(init.pid))


@pytest.mark.parametrize("times", [3])
def test_a_helper_that_was_killed_comes_back(start_either: Start, times: int) -> None:
    """And no program notices."""
    init = start_either(program("web"))
    init.wait_for_log("web entered RUNNING")
    for _ in range(times):
        with rpc(init) as supervisor:
            (info,) = supervisor.getAllProcessInfo()
        os.kill(helper_of(init), signal.SIGKILL)
        init.wait_for_log("the control helper died \\(terminated by SIGKILL\\)")
    with rpc(init) as supervisor:
        assert supervisor.getAllProcessInfo()[0]["pid"] == info["pid"]


def test_two_hundred_clients_while_the_helper_is_killed(start_init: Start) -> None:
    """Each gets its answer, or sees that there is none; and the next is answered."""
    init = start_init(program("web"))
    init.wait_for_log("web entered RUNNING")
    outcomes: list[str] = []

    def ask() -> None:
        try:
            with rpc(init) as supervisor:
                for _ in range(3):
                    supervisor.getAllProcessInfo()
            outcomes.append("answered")
        except (OSError, EOFError, Exception) as exc:
            outcomes.append(type(exc).__name__)

    threads = [threading.Thread(target=ask) for _ in range(200)]
    for number, thread in enumerate(threads):
        thread.start()
        if number in (50, 120):
            os.kill(helper_of(init), signal.SIGKILL)
    for thread in threads:
        thread.join(60)
    assert len(outcomes) == 200
    assert "answered" in outcomes
    with rpc(init) as supervisor:
        assert names(supervisor.getAllProcessInfo()) == ["web RUNNING"]
    assert init.log().count("spawned: 'web'") == 1


def test_a_helper_that_does_nothing_holds_nobody_up(start_init: Start) -> None:
    """Stopped, it reads nothing: PID 1 goes on."""
    init = start_init(program("flap", "after=0:0", startsecs=0, autorestart=True) + program("web"))
    init.wait_for_log("web entered RUNNING")
    with rpc(init) as supervisor:
        supervisor.getPID()
    os.kill(helper_of(init), signal.SIGSTOP)
    init.wait_for_log("spawned: 'flap'", times=init.log().count("spawned: 'flap'") + 5)
    assert init.stop() == 0


def test_a_helper_that_reads_nothing_is_replaced(start_init: Start) -> None:
    """As soon as there has been something to read for 10 s."""
    init = start_init(program("web"))
    init.wait_for_log("web entered RUNNING")
    with rpc(init) as supervisor:
        supervisor.getPID()
    helper = helper_of(init)
    os.kill(helper, signal.SIGSTOP)
    init.config.write_text(program("other"))
    init.kill(signal.SIGHUP)
    init.wait_for_log(
        "killing the control helper: it has read nothing of what it is told for 10 s", within_s=60
    )
    with rpc(init) as supervisor:
        assert names(supervisor.getAllProcessInfo()) == ["other RUNNING"]


def test_an_upgrade_keeps_the_sockets_and_replaces_the_helper(start_either: Start) -> None:
    init = start_either(program("web"))
    init.wait_for_log("web entered RUNNING")
    with rpc(init) as supervisor:
        (info,) = supervisor.getAllProcessInfo()
        before = helper_of(init)
        init.kill(59)
        init.wait_for_log("took over 1 process")
        wait_for(lambda: not is_alive(before), about="the end of the old one's helper")
    with rpc(init) as supervisor:
        assert supervisor.getAllProcessInfo()[0]["pid"] == info["pid"]
        assert supervisor.stopProcess("web") is True


def test_an_order_is_answered_before_the_end(start_either: Start) -> None:
    init = start_either(program("web"))
    init.wait_for_log("web entered RUNNING")
    with rpc(init) as supervisor:
        assert supervisor.shutdown() is True
    assert init.wait() == 0
    assert "exit code 0: stopped by a client" in init.log()


def test_while_it_ends_every_call_is_refused(start_init: Start) -> None:
    init = start_init(program("deaf", "ignore=TERM", stopwaitsecs=3))
    init.wait_for_log("deaf entered RUNNING")
    with rpc(init) as supervisor:
        supervisor.getPID()
        init.kill(signal.SIGTERM)
        init.wait_for_log("waiting for deaf to die")
        wait_for(lambda: _is_refused(supervisor.getPID))
        assert fault_of(supervisor.startProcess, "deaf") == (6, "SHUTDOWN_STATE")


def _is_refused(call: Any) -> bool:
    try:
        return fault_of(call)[0] == 6
    except AssertionError:
        return False


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /RPC2 HTTP/1.1\r\n\r\n", b"400"),
        (b"POST /RPC2 HTTP/1.1\r\n\r\n", b"411"),
        (b"POST /RPC2 HTTP/1.1\r\nContent-Length: 3\r\n\r\n<a>", b"400"),
        (b"POST /RPC2 HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n", b"413"),
        (b"GET /nope HTTP/1.1\r\n\r\n", b"404"),
        (b"HEAD / HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /nope HTTP/1.1\r\nContent-Length: 0\r\n\r\n", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", b"431"),
        (b"GET /logtail/nope HTTP/1.1\r\n\r\n", b"404"),
    ],
)
def test_what_is_no_call_is_told_so(start_init: Start, raw: bytes, status: bytes) -> None:
    init = start_init(program("web"))
    wait_for(init.socket.exists)
    answer = exchange(init.socket, raw)
    assert answer.split(b" ")[1] == status
    with rpc(init) as supervisor:
        assert supervisor.getState()["statename"] == "RUNNING"


def test_who_looks_with_a_browser_is_told_what_this_is(start_init: Start) -> None:
    init = start_init(program("web"))
    wait_for(init.socket.exists)
    answer = exchange(init.socket, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain")
    assert b"initpy status" in answer


def test_a_connection_that_says_nothing_keeps_nobody_out(start_init: Start) -> None:
    init = start_init(program("web"))
    wait_for(init.socket.exists)
    silent = [connected(init.socket) for _ in range(120)]
    for sock in silent[:60]:
        sock.sendall(b"POST /RPC2 HTTP/1.1\r\nContent-Le")
    try:
        with rpc(init) as supervisor:
            assert supervisor.getState()["statename"] == "RUNNING"
    finally:
        for sock in silent:
            sock.close()


def test_a_helper_that_nobody_wants_leaves_and_the_next_client_gets_another(
    start_init: Start,
) -> None:
    init = start_init("[control]\nidle = 0.2\n" + program("web"))
    init.wait_for_log("web entered RUNNING")
    for _ in range(2):
        with rpc(init) as supervisor:
            assert names(supervisor.getAllProcessInfo()) == ["web RUNNING"]
            helper = helper_of(init)
        wait_for_end_of(helper)
    assert "control helper" not in init.log()


def test_a_client_keeps_the_helper(start_init: Start) -> None:
    """One that follows a log gets it as long as it wants."""
    ticks = ["sh", "-c", "while :; do echo tick; sleep 0.2; done"]
    init = start_init("[control]\nidle = 0.1\n" + command("web", ticks, log="prefix"))
    init.wait_for_log("web entered RUNNING")
    with connected(init.socket) as follower:
        follower.sendall(b"GET /logtail/web HTTP/1.1\r\n\r\n")
        came, seen = b"", 0
        while came.count(b"tick") < seen + 6:
            part = follower.recv(1000)
            assert part, "it has left"
            seen = seen or part.count(b"tick")
            came += part
        helper = helper_of(init)
    wait_for_end_of(helper)


def test_a_new_place_for_the_socket(start_init: Start, tmp_path: Path) -> None:
    """A reload makes the new one and removes the old one; open requests are answered first."""
    old, new = tmp_path / "old", tmp_path / "new"
    init = start_init(f'[control]\nsocket = "{old}"\n' + program("web"))
    init.socket = old
    init.wait_for_log("web entered RUNNING")
    with rpc(init) as supervisor:
        helper = helper_of(init) if supervisor.getPID() else 0
        init.config.write_text(f'[control]\nsocket = "{new}"\n' + program("web"))
        init.kill(signal.SIGHUP)
        wait_for(new.exists)
        wait_for(lambda: not is_alive(helper))
    assert not old.exists()
    init.socket = new
    with rpc(init) as supervisor:
        assert names(supervisor.getAllProcessInfo()) == ["web RUNNING"]
    init.config.write_text("[control]\nsocket = false\n" + program("web"))
    init.kill(signal.SIGHUP)
    wait_for(lambda: not new.exists())
    init.wait_for_log("reloaded", times=2)
    assert init.stop() == 0
