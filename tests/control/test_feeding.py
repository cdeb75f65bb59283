"""The pipe to a helper that does not read."""

from __future__ import annotations

import os

from initpy.core.supervisor import Supervisor
from initpy.feeding import MAX_QUEUE_BYTES, Feed, order_in
from initpy.wire import Frames


def test_what_waits_for_a_helper_is_bounded() -> None:
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    try:
        feed = Feed(write_fd, Supervisor())
        told = 0
        while not feed.is_stuck:
            feed.tell(("answer", told, "x" * 10_000))
            told += 1
            assert len(feed._queue) < MAX_QUEUE_BYTES + 20_000
        assert told > MAX_QUEUE_BYTES // 10_100
    finally:
        os.close(read_fd)
        os.close(write_fd)


def test_what_has_waited_comes_whole_and_in_order() -> None:
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    try:
        feed = Feed(write_fd, Supervisor())
        for number in range(3000):
            feed.tell(("answer", number, "x" * 50))
        assert feed.backlog
        frames = Frames()
        found: list[object] = []
        while len(found) < 3000:
            found += frames.feed(os.read(read_fd, 65536))
            feed.write()
        assert [it[1] for it in found if isinstance(it, tuple)] == list(range(3000))
        assert not feed.backlog
    finally:
        os.close(read_fd)
        os.close(write_fd)


def test_nonsense_is_no_order() -> None:
    for value in (
        None, 5, "start", (), (1,), (1, "start"), (1, "start", 5), ("x", "start", "web"),
        (True, "start", "web"), (1, "signal", "web", "HUP"), (1, "nope"), (1, "shutdown", 1),
        [1, "reread"], ((1,), "reread"),
    ):  # fmt: skip
        assert order_in(value) is None
    assert order_in((1, "reread")) is not None
