"""Where a helper that is forked later finds the tails."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, cast

import pytest

from initpy.logging_out import LoggingOut
from initpy.logplan import Captured, LogPlan
from initpy.logs.memory import Tail
from initpy.logs.relay import run
from initpy.wire import Frames
from tests.config.support import plan_of
from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from initpy.plan import ProcessSpec


class Relays:
    """Forks them as PID 1 does, without PID 1."""

    def __init__(self) -> None:
        self.pids: list[int] = []

    def fork(self, body: Callable[[int], int]) -> int:
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                code = body(os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC))
            finally:
                os._exit(code)
        self.pids.append(pid)
        return pid

    def end(self) -> None:
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def test_what_a_relay_fails_of_is_said_by_pid1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its own form; nothing is written past it."""
    monkeypatch.chdir(tmp_path)  # where the configuration is written
    said: list[object] = []
    report_fd, write_fd = os.pipe()

    def fork(body: Callable[[int], int]) -> int:
        pid = os.fork()
        if pid == 0:
            os._exit(body(write_fd))
        return pid

    def failing(plan: LogPlan, _report_fd: int) -> int:
        raise OSError(28, "x" * 5000)

    output = LoggingOut(fork, failing, lambda *words: said.append(words), lambda: None)
    output.set_plan(specs('[program.web]\ncommand = "web"\nlog = "prefix"\n'), 0)
    output.keep_time(output.next_due_at() or 0.0)
    (value,) = Frames().feed(os.read(report_fd, 65536))
    output.take_report(value)
    level, text = cast("tuple[str, str]", said[0])
    assert level == "WARN"
    assert text.startswith("the relay of the logs has failed: OSError(28, ")
    os.wait()
    for fd in (report_fd, write_fd, *output.fds()):
        os.close(fd)


def specs(toml: str) -> tuple[ProcessSpec, ...]:
    return plan_of(toml).processes


def test_a_later_helper_is_told_where_the_tails_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    web = f'[program.web]\ncommand = "web"\nlog = ["prefix", {{ file = "{tmp_path}/log" }}]\n'
    other = '[program.other]\ncommand = "other"\nredirect_stderr = true\nlog = "prefix"\n'
    plain = '[program.plain]\ncommand = "plain"\n'
    relays = Relays()
    output = LoggingOut(relays.fork, run, lambda *_: None, lambda: None)
    assert output.captured() == (-1, ())
    try:
        output.set_plan(specs(web + other + plain), 0)
        output.keep_time(output.next_due_at() or 0.0)
        memory_fd, places = output.captured()
        log = os.fsencode(tmp_path / "log")
        assert {it.key: [] for it in places} == {"web": [], "other": []}
        assert [(it.key, it.channel, it.file) for it in places if it.key == "web"] == [
            ("web", "stdout", log),
            ("web", "stderr", log),
        ]
        (place,) = [it for it in places if it.key == "other"]
        assert place == Captured("other", "stdout", place.slot, place.serial, b"")
        fd, _ = output.fds_for(specs(other)[0])
        os.write(fd, b"hello\n")
        tail = Tail(memory_fd, place.slot, place.serial)
        wait_for(lambda: tail.read() == (b"hello\n", 6))
        output.set_plan(specs(web), 0)
        assert {it.key for it in output.captured()[1]} == {"web"}
    finally:
        relays.end()
        for fd in output.fds():
            os.close(fd)
