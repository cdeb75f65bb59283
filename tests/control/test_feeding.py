"""The pipe to a helper that does not read."""

from __future__ import annotations

import os
from typing import Any

from initpy.core.messages import Answer
from initpy.core.supervisor import Supervisor
from initpy.core.values import replace
from initpy.feeding import HEARD_S, MAX_QUEUE_BYTES, SECOND_LOOK_S, Feed, order_in
from initpy.plan import Plan
from initpy.serving import Serving
from initpy.wire import Frames, frame


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


def test_an_answer_comes_after_what_the_order_has_changed() -> None:
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    before = Supervisor()
    after = replace(before, spare=Plan(processes=()))

    def nothing(*_: object) -> Any:
        raise AssertionError

    serving = Serving(nothing, nothing, nothing, nothing, nothing, nothing, lambda: after, nothing)
    try:
        serving._helper_pid, serving._feed = 7, Feed(write_fd, before)
        serving.answer(Answer(8, 1, ""))  # another's
        serving.answer(Answer(7, 2, "BAD_NAME"))
        found = Frames().feed(os.read(read_fd, 65536))
        assert found == [("spare", Plan(processes=())), ("answer", 2, "BAD_NAME")]
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


def test_a_helper_hangs_if_it_does_not_read_in_time() -> None:
    """The clock is an argument. What it has read late counts for it; and once it has read all,
    there is no timer any more."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    try:
        feed = Feed(write_fd, Supervisor())
        assert not feed.look_at
        first = ("answer", 1, "x")
        feed.tell(first)
        due_at = feed.look_at or 0.0
        feed.tell(("answer", 2, "y" * 100))
        assert feed.look_at == due_at, "the first of what is unread is what counts"
        os.read(read_fd, len(frame(first)))
        assert not feed.hangs(due_at)
        assert feed.look_at == due_at + HEARD_S, "it has read, and has more to"
        assert not feed.hangs(due_at + HEARD_S)
        assert feed.look_at == due_at + HEARD_S + SECOND_LOOK_S
        assert feed.hangs(due_at + HEARD_S + SECOND_LOOK_S)
        os.read(read_fd, 65536)
        assert not feed.hangs(due_at + HEARD_S + 2 * SECOND_LOOK_S)
        assert not feed.look_at
        feed.tell(("answer", 3, "z"))
        assert (feed.look_at or 0.0) > due_at
    finally:
        os.close(read_fd)
        os.close(write_fd)
