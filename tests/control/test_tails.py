"""Reading logs: beside supervisord's own functions, and from a real initpy."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initpy.control.faults import Fault
from initpy.control.tails import OwnSource, Tails, text_of
from initpy.ownlog import MARGIN_BYTES, RING_BYTES, OwnLog
from tests.control.rpc import connected, fault_of, rpc
from tests.pid1.toml import command, program
from tests.support import Init, fds_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    Start = Callable[..., Init]

options: Any = pytest.importorskip("supervisor.options")

NUMBERS = st.integers(-30, 30)


def tails_of(path: Path) -> Tails:
    """The methods over one process, whose stdout is in the file."""
    process = SimpleNamespace(spec=SimpleNamespace(key="web"), started_at=1.0)
    mirror: Any = SimpleNamespace(captured={("web", "stdout"): (0, 0, os.fsencode(path))})
    orders: Any = SimpleNamespace(process=lambda _: process)
    return Tails(mirror, orders)


@settings(max_examples=300)
@given(text=st.text("abc\n", max_size=20), offset=NUMBERS, length=NUMBERS)
def test_a_file_is_read_as_supervisord_reads_it(
    tmp_path_factory: pytest.TempPathFactory, text: str, offset: int, length: int
) -> None:
    path = tmp_path_factory.getbasetemp() / f"log-{os.getpid()}"
    path.write_text(text)
    tails = tails_of(path)
    methods = {method.name: method.call for method in tails.methods()}

    def own_read() -> str:
        try:
            return str(methods["supervisor.readProcessStdoutLog"]("web", offset, length))
        except Fault as exc:
            return exc.text

    def their_read() -> str:
        try:
            return str(options.readFile(str(path), offset, length).decode())
        except ValueError as exc:
            return str(exc)

    assert own_read() == their_read()
    own = methods["supervisor.tailProcessStdoutLog"]("web", offset, length)
    assert own == list(options.tailFile(str(path), offset, length))


def test_what_is_no_text_is_readable() -> None:
    assert text_of(b"a\xff\xc3\xbc\x1b") == "a\\xff\u00fc\x1b"


def test_logs_of_a_real_one(start_init: Start, tmp_path: Path) -> None:
    """From a file, from the relay's memory, and from nowhere."""
    file = tmp_path / "file.log"
    script = "printf 'one\\n\\377\\033[1m\\ntwo\\n'; exec sleep 1000"
    init = start_init(
        command("filed", ["sh", "-c", script], stdout_logfile=str(file))
        + command("kept", ["sh", "-c", script], log="prefix")
        + command("plain", ["sleep", "1000"])
    )
    wait_for(lambda: file.exists() and file.read_bytes().endswith(b"two\n"))
    init.wait_for_output("two")
    expected = "one\n\\xff\\x1b[1m\ntwo\n"
    with rpc(init) as supervisor:
        for name in ("filed", "kept"):
            assert supervisor.readProcessStdoutLog(name, 0, 0) == expected
            assert supervisor.readProcessLog(name, -4, 0) == "two\n"
            assert supervisor.readProcessStdoutLog(name, 4, 2) == "\\xff\\x1b"
            assert supervisor.tailProcessStdoutLog(name, 0, 4) == ["two\n", 14, True]
            assert fault_of(supervisor.readProcessStdoutLog, name, 0, -1) == (3, "BAD_ARGUMENTS")
        assert fault_of(supervisor.readProcessStdoutLog, "plain", 0, 0) == (20, "NO_FILE")
        assert supervisor.tailProcessStderrLog("plain", 0, 10) == ["", 0, False]
        assert supervisor.clearProcessLogs("filed") is True
        assert file.read_bytes() == b""
        assert supervisor.clearProcessLogs("plain") is True
        assert fault_of(supervisor.readLog, 0, -1) == (3, "BAD_ARGUMENTS")


def test_own_lines_of_initpy(start_init: Start) -> None:
    """They go on across an upgrade, and can be cleared and followed."""
    init = start_init(program("web") + program("other", autostart=False))
    init.wait_for_log("web entered RUNNING")
    with rpc(init) as supervisor:
        assert supervisor.readLog(0, 0) == init.log()
        assert supervisor.readMainLog(-8, 0) == init.log()[-8:]
    init.kill(59)
    init.wait_for_log("took over 1 process")
    with connected(init.socket) as follower:
        follower.sendall(b"GET /mainlogtail HTTP/1.1\r\n\r\n")
        came = b""
        while b"took over 1 process" not in came:
            came += follower.recv(65536)
        with rpc(init) as supervisor:
            assert supervisor.readLog(0, 0) == init.log()
            assert supervisor.clearLog() is True
            assert supervisor.readLog(0, 0) == ""
            supervisor.startProcess("other")
            assert "spawned: 'other'" in supervisor.readLog(0, 0)
            assert "spawned: 'web'" not in supervisor.readLog(0, 0)
        while b"other entered RUNNING" not in came:
            came += follower.recv(65536)
    assert init.stop() == 0


def test_of_many_lines_the_last_are_kept() -> None:
    log = OwnLog()
    source = OwnSource(log.fd)
    assert (source.size(), source.read(0, 100)) == (0, b"")
    written = b""
    for number in range(5000):
        line = b"%d %b\n" % (number, b"x" * (number % 50))
        log.add(line)
        written += line
        if number in (10, 2000, 4999):
            assert source.size() == len(written)
            found = source.read(0, 2**62)
            assert found in (written, written[-len(found) :])
            assert len(found) == min(len(written), RING_BYTES - MARGIN_BYTES)
            assert source.read(len(written) - 30, 20) == written[-30:-10]
    log.add(b"y" * 100_000)
    assert source.size() == len(written) + MARGIN_BYTES
    source.clear()
    log.add(b"z\n")
    assert source.read(0, 100) == b"z\n"
    os.close(log.fd)


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_following_a_log(start_init: Start, tmp_path: Path, kind: str) -> None:
    """Bytes come as they are written, across a rotation."""
    file = tmp_path / "file.log"
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    where = {"stdout_logfile": str(file)} if kind == "file" else {"log": "prefix"}
    init = start_init(command("web", ["sh", "-c", f"while :; do cat {fifo}; done"], **where))
    init.wait_for_log("web entered RUNNING")

    def write(text: str) -> None:
        with fifo.open("w") as out:
            out.write(text)

    def read_until(sock: socket.socket, end: bytes) -> bytes:
        held = b""
        while end not in held:
            part = sock.recv(1000)
            assert part, held
            held += part
        return held

    write("first\n")
    if kind == "file":
        wait_for(lambda: file.exists() and file.read_text() == "first\n")
    with connected(init.socket) as sock:
        sock.sendall(b"GET /logtail/web HTTP/1.1\r\n\r\n")
        assert read_until(sock, b"first\n").startswith(b"HTTP/1.1 200 OK\r\n")
        write("second\n")
        read_until(sock, b"second\n")
        if kind == "file":
            file.rename(tmp_path / "old.log")
            init.kill(12)
            init.wait_for_log("log reopen request")
        write("third\n")
        assert b"second" not in read_until(sock, b"third\n")


def test_a_follower_loses_nothing_between_two_looks(tmp_path: Path) -> None:
    """Neither what was written behind the last look, before a rotation; nor, if nothing has been
    written so far, the first."""
    path, old = tmp_path / "log", tmp_path / "log.1"
    path.write_text("first\n")
    parts = tails_of(path).follow("/logtail/web")
    assert next(parts) == b"first\n"
    with path.open("a") as file:
        file.write("last of the old\n")
    path.rename(old)
    assert [next(parts), next(parts)] == [b"last of the old\n", b""]
    with old.open("a") as file:
        file.write("and one more\n")
    path.write_text("first of the new\n")
    assert [next(parts), next(parts)] == [b"and one more\n", b"first of the new\n"]
    path.write_text("short\n")
    assert next(parts) == b"short\n"
    assert next(parts) == b""
    assert str(path) in fds_of(os.getpid())
    parts.close()  # type: ignore[attr-defined]
    assert str(path) not in fds_of(os.getpid())


def test_the_file_of_a_program_that_has_written_nothing(start_init: Start, tmp_path: Path) -> None:
    """It is empty, not missing; of one that has never run there is none."""
    files = {name: str(tmp_path / name) for name in ("quiet", "down")}
    init = start_init(
        command("quiet", ["sleep", "1000"], stdout_logfile=files["quiet"], startsecs=0)
        + command("down", ["true"], stdout_logfile=files["down"], autostart=False)
    )
    init.wait_for_log("quiet entered RUNNING")
    with rpc(init) as supervisor:
        assert supervisor.readProcessStdoutLog("quiet", -100, 0) == ""
        assert supervisor.tailProcessStdoutLog("quiet", 0, 100) == ["", 0, False]
        assert fault_of(supervisor.readProcessStdoutLog, "down", -100, 0)[0] == 20


def test_programs_that_come_later_have_logs(start_init: Start) -> None:
    """The helper hears of their places."""
    init = start_init(program("web") + 'log = "prefix"\n')
    init.wait_for_log("web entered RUNNING")
    with rpc(init) as supervisor:
        assert "ready" in supervisor.readProcessStdoutLog("web", 0, 0)
        init.config.write_text(init.config.read_text() + program("new") + 'log = "prefix"\n')
        init.kill(1)
        init.wait_for_output("new ready")
        wait_for(lambda: "ready" in _read(supervisor, "new"))


def _read(supervisor: Any, name: str) -> str:
    try:
        return str(supervisor.readProcessStdoutLog(name, 0, 0))
    except Exception:
        return ""
