"""Whose turn it is, where several have something to be written: who has had least."""

from __future__ import annotations

import fcntl
import os
import select
import signal
from typing import TYPE_CHECKING

from initpy.logplan import PREFIX, STREAM, Sink
from initpy.logs import sinks
from initpy.logs.channels import LINES_BYTES
from initpy.logs.relay import PIPES_BYTES, STREAM_PIPE_BYTES
from initpy.logs.shares import Pace, Share
from tests.logs.support import Reader, Relay, channel_plan, to_file, wait_for_content
from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., Relay]

STDOUT = b"1"
FLOODS = 10
LINE = b"x" * 99 + b"\n"
PIPE_BYTES = 65536


def fill(relay: Relay, which: int) -> int:
    """Write lines to a channel's pipe as long as it takes them; returns how many."""
    fd = relay.pipes[which][1]
    os.set_blocking(fd, False)
    count = 0
    try:
        while True:
            os.write(fd, LINE)
            count += 1
    except BlockingIOError:
        os.set_blocking(fd, True)
    return count


def test_who_writes_little_is_before_those_who_flood_a_stalled_sink(
    start_relay: Start, reader: Reader, tmp_path: Path
) -> None:
    sink = Sink(STREAM, STDOUT, PREFIX)
    names = [*[f"flood{number}" for number in range(FLOODS)], "calm"]
    plans = [channel_plan(sink, process=name) for name in names]
    mark = channel_plan(to_file(tmp_path / "log"), process="mark")
    relay = start_relay(*plans, mark, stdout=reader.write_fd)
    for number in range(FLOODS):
        relay.write(LINE, number)
    wait_for(lambda: reader.read().count(LINE) == FLOODS)
    while select.select([], [reader.write_fd], [], 0.2)[1]:  # until nobody gets anything through
        for number in range(FLOODS):
            fill(relay, number)
    relay.write(b"hello\n", FLOODS)
    relay.write(b"seen\n", FLOODS + 1)
    wait_for_content(tmp_path / "log", b"seen\n")  # so the relay has looked at the other as well
    hello = b"calm   | hello\n"
    wait_for(lambda: hello in reader.read())
    in_the_pipe_and_begun = STREAM_PIPE_BYTES + 2 * LINES_BYTES
    assert reader.seen.find(hello) < in_the_pipe_and_begun


def test_who_writes_little_is_before_those_who_flood(start_relay: Start, tmp_path: Path) -> None:
    """Where there is room for all."""
    log = tmp_path / "log"
    plans = [channel_plan(to_file(log), process=f"p{number}") for number in range(FLOODS + 1)]
    relay = start_relay(*plans)
    relay.write(b"calm\n", FLOODS)
    wait_for_content(log, b"calm\n")
    for number in range(FLOODS):
        relay.write(LINE, number)
    wait_for_content(log, b"calm\n" + LINE * FLOODS)
    relay.stop()
    lines = sum([fill(relay, number) for number in range(FLOODS)])
    relay.write(b"hello\n", FLOODS)
    os.kill(relay.pid, signal.SIGCONT)
    wait_for(lambda: log.read_bytes().count(LINE) == lines + FLOODS)
    assert log.read_bytes().startswith(b"calm\n" + LINE * FLOODS + b"hello\n" + LINE)


class OneAtATime(sinks.Sink):
    """Has room for one more whenever it is told to go on, or for as many as there is `room` for."""

    room = 0

    def _take(self, raw: sinks.Buffer, start: int, end: int) -> int:  # noqa: ARG002
        self.room -= 1
        return end - start if self.room >= 0 else 0


class Waiter:
    """Writes a byte each time it is its turn, which takes a second."""

    def __init__(self, name: str, had: int, sink: OneAtATime, clock: list[float]) -> None:
        self.name = name
        self.share = Share(Pace())
        self.share.had = had
        self._sink = sink
        self._clock = clock
        self.times = 0

    def resume(self) -> None:
        self._clock[0] += 1.0
        self.times += self._sink.write(self, b"x", 0, 1)


def test_in_line_who_has_had_least_is_next_and_none_is_lost() -> None:
    """And between them there is time to see who else has come."""
    clock = [0.0]
    sink = OneAtATime(lambda *_: None, now=lambda: clock[0])
    waiters = [
        Waiter(name, had, sink, clock) for name, had in zip("abcde", (5, 7, 3, 3, 9), strict=True)
    ]
    by_name = {it.name: it for it in waiters}
    for waiter in waiters:
        sink.write(waiter, b"x", 0, 1)
    assert sink.owner is by_name["a"]
    order = []
    sink.room = len(waiters)
    while sink.is_stalled:
        before = {it.name: it.times for it in waiters}
        sink.go_on(until=clock[0] + 1.0)
        order.append("".join([it.name for it in waiters if it.times > before[it.name]]))
    assert order == ["a", "c", "d", "b", "e"]
    sink.room = 0
    for waiter in waiters:
        sink.write(waiter, b"x", 0, 1)
    sink.room = len(waiters)
    sink.go_on(until=clock[0] + 60.0)
    assert not sink.is_stalled
    assert [it.times for it in waiters] == [2] * len(waiters)


def test_nobody_saves_up_and_nobody_waits_for_ever() -> None:
    """Two flood, one goes on after a pause: it is next, but not for long."""
    pace = Pace()
    floods, idle = [Share(pace), Share(pace)], Share(pace)
    for _ in range(1000):
        min(floods, key=lambda it: it.had).take(100)
    shares = [*floods, idle]
    turns = []
    for _ in range(30):
        turn = min(shares, key=lambda it: it.had)
        turns.append(shares.index(turn))
        turn.take(100)
    assert turns[0] == 2
    assert all(sorted(turns[at : at + 3]) == [0, 1, 2] for at in range(3, 30, 3))


def test_the_pipes_of_many_are_enlarged_less(start_relay: Start, tmp_path: Path) -> None:
    count = 100
    relay = start_relay(*[channel_plan(to_file(tmp_path / "log"))] * count)
    relay.write(b"x" * 2_000_000)
    size = wait_for(lambda: _size(relay) > PIPE_BYTES and _size(relay))
    assert size <= 2 * PIPES_BYTES // count  # which the kernel makes a power of two


def _size(relay: Relay) -> int:
    return fcntl.fcntl(relay.pipes[0][1], sinks.F_GETPIPE_SZ)
