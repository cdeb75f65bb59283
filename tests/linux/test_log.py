"""PID 1's log on every kind of file: it never waits, and it says what it has lost."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import socket
from typing import TYPE_CHECKING

import pytest

from initpy.linux.log import MAX_QUEUE_BYTES, LogWriter, _PipeWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Ends = tuple[int, int]

LINE = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO (\w+)\r?\n")


def pipe_ends() -> Ends:
    return os.pipe()


def socket_ends() -> Ends:
    ours, theirs = socket.socketpair()
    return theirs.detach(), ours.detach()


def terminal_ends() -> Ends:
    return pty.openpty()


def foreign_pipe_ends() -> Ends:
    """A pipe that may not be opened anew, see `log_on`; root may open any."""
    read_fd, write_fd = os.pipe()
    FOREIGN.add(write_fd)
    return read_fd, write_fd


FOREIGN: set[int] = set()


def log_on(fd: int) -> LogWriter:
    log = LogWriter(fd)
    if fd in FOREIGN:
        log.fd, log._write = fd, _PipeWriter(fd).write
    return log


@pytest.fixture(
    params=[pipe_ends, foreign_pipe_ends, socket_ends, terminal_ends],
    ids=["pipe", "another user's pipe", "socket", "terminal"],
)
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    """The end that is read and the end that is written, of a file that has a limit."""
    make: Callable[[], Ends] = request.param
    read_fd, write_fd = make()
    os.set_blocking(read_fd, False)
    yield read_fd, write_fd
    FOREIGN.discard(write_fd)
    for fd in (read_fd, write_fd):
        with contextlib.suppress(OSError):  # a test may have closed it
            os.close(fd)


def read_all(fd: int) -> bytes:
    said = b""
    try:
        while chunk := os.read(fd, 65536):
            said += chunk
    except BlockingIOError:
        pass
    return said


def drain(read_fd: int, log: LogWriter) -> bytes:
    """What a reader gets who comes back, and reads until nothing is left."""
    said = read_all(read_fd)
    while log.backlog:
        log.flush()
        said += read_all(read_fd)
    return said + read_all(read_fd)


def test_a_line_has_a_time_and_a_level(ends: Ends) -> None:
    read_fd, write_fd = ends
    log = log_on(write_fd)
    log.line("INFO", "hello")
    assert LINE.fullmatch(drain(read_fd, log))


def test_a_line_stays_one_line(ends: Ends) -> None:
    read_fd, write_fd = ends
    log = log_on(write_fd)
    log.line("WARN", "can't find command 'a\nb'")
    said = drain(read_fd, log)
    assert said.count(b"\n") == 1
    assert b"a\\nb" in said


def test_a_full_file_delays_lines_and_loses_none(ends: Ends) -> None:
    read_fd, write_fd = ends
    log = log_on(write_fd)
    sent = 0
    while len(log._queue) < MAX_QUEUE_BYTES // 2:  # far more than any of the three holds
        log.line("INFO", f"n{sent}")
        sent += 1
    assert log.backlog
    said = drain(read_fd, log)
    assert LINE.findall(said) == [b"n%d" % number for number in range(sent)]
    assert not log.backlog


def test_lines_beyond_the_bound_are_counted(ends: Ends) -> None:
    read_fd, write_fd = ends
    log = log_on(write_fd)
    while len(log._queue) + 1100 < MAX_QUEUE_BYTES:
        log.line("INFO", "x" * 1000)
    assert log._dropped == 0
    for _ in range(12):
        log.line("INFO", "x" * 1000)
    assert len(log._queue) <= MAX_QUEUE_BYTES
    said = drain(read_fd, log)
    assert re.search(rb"WARN 1[0-2] log lines were dropped: there was no room for them", said)
    log.line("INFO", "after")
    assert LINE.search(drain(read_fd, log))


def test_a_reader_that_is_gone_costs_nothing(ends: Ends) -> None:
    read_fd, write_fd = ends
    log = log_on(write_fd)
    os.close(read_fd)
    for _ in range(10):
        log.line("INFO", "x" * 1000)
    assert not log.backlog


def test_the_file_keeps_its_flags(ends: Ends) -> None:
    """O_NONBLOCK would hold for every program that shares the open file."""
    _, write_fd = ends
    log_on(write_fd).line("INFO", "hello")
    assert os.get_blocking(write_fd)


def test_a_regular_file_gets_every_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        log = LogWriter(file.fileno())
        for number in range(1000):
            log.line("INFO", f"n{number}")
    assert LINE.findall(path.read_bytes()) == [b"n%d" % number for number in range(1000)]


def test_a_full_disk_costs_lines_and_nothing_else(tmp_path: Path) -> None:
    """/dev/full stands for the disk, and a file for the same disk once it has room again."""
    path = tmp_path / "log"
    with open("/dev/full", "wb", buffering=0) as full, path.open("wb", buffering=0) as file:
        shared = os.dup(full.fileno())
        log = LogWriter(shared)
        log.line("INFO", "lost")
        log.line("INFO", "lost")
        assert not log.backlog
        os.dup2(file.fileno(), shared)
        log.line("INFO", "there")
        os.close(shared)
    assert LINE.findall(path.read_bytes()) == [b"there"]
    assert b"2 log lines were dropped" in path.read_bytes()


def test_the_last_lines_wait_for_a_slow_reader_no_longer_than_told() -> None:
    read_fd, write_fd = os.pipe()
    log = LogWriter(write_fd)
    sent = 0
    while not log.backlog:
        log.line("INFO", "x" * 1000)
        sent += 1
    log.flush_before_exit(0.05)
    os.set_blocking(read_fd, False)
    before = read_all(read_fd)
    log.flush_before_exit(5)
    assert before.count(b"\n") + read_all(read_fd).count(b"\n") == sent
    os.close(read_fd)
    os.close(write_fd)


@pytest.mark.parametrize("released_by", ["the form", "the next line", "the clock", "the end"])
def test_a_line_that_comes_early_waits_for_the_form(released_by: str) -> None:
    read_fd, write_fd = os.pipe()
    log = LogWriter(write_fd)
    log.early_line("INFO", "one")
    log.flush()
    os.set_blocking(read_fd, False)
    with pytest.raises(BlockingIOError):
        os.read(read_fd, 1000)
    assert (log.has_early, log.backlog) == (True, False)
    match released_by:
        case "the form":
            log.set_form("json", 0)
        case "the next line":
            log.line("INFO", "two")
        case "the clock":
            log.release_early()
            log.flush()
        case "the end":
            log.flush_before_exit(0.0)
    text = os.read(read_fd, 1000)
    if released_by == "the form":
        assert json.loads(text)["message"] == "one"
    else:
        assert LINE.findall(text)[0] == b"one"
    assert not log.has_early
    os.close(read_fd)
    os.close(write_fd)
