"""The link to PID 1: what it tells, and the orders that it is given."""

from __future__ import annotations

import os
import select
import threading
from contextlib import suppress

from initpy.feeding import bytes_in
from initpy.wire import Frames, WireError, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

READ_BYTES = 65536

CATCH_UP_S = 1.0
"""So long a request waits, at the most, for what PID 1 has told before it."""

MAX_TEXT = 4000
"""Of a line for the log, in characters."""


class LinkError(Exception):
    """PID 1 does not answer any more: this helper is about to end."""


class Link:
    """Reads what PID 1 tells, in a thread of its own; any thread may send it orders."""

    def __init__(
        self, news_fd: int, orders_fd: int, take: Callable[[tuple[Any, ...]], None]
    ) -> None:
        """`take` is given all news but answers, in their order."""
        self._news_fd = news_fd
        self._orders_fd = orders_fd
        self._take = take
        self._lock = threading.Lock()
        self._number = 0
        self._waiting: dict[int, tuple[threading.Event, list[str]]] = {}
        self._is_over = False
        self._prepared: dict[int, Callable[[], None]] = {}
        self._news = threading.Condition()
        """Who has it takes news, or looks how far that has come."""
        self._taken_bytes = 0
        """Of all news so far."""

    def listen(self) -> None:
        """Read until PID 1 hangs up."""
        frames = Frames()
        ready = select.poll()
        ready.register(self._news_fd, select.POLLIN)
        try:
            raw = b"-"
            while raw:
                ready.poll()
                with self._news:
                    raw = os.read(self._news_fd, READ_BYTES)
                    for news in frames.feed(raw):
                        self._take_news(news)
                    self._taken_bytes += len(raw)
                    self._news.notify_all()
        except (OSError, WireError):
            pass  # as if it had hung up: without news there is nothing to tell clients
        with self._lock:
            self._is_over = True
            for answered, _ in self._waiting.values():
                answered.set()

    def catch_up(self) -> None:
        """Return when all has been taken that PID 1 has told so far: a client may already have seen
        in the log what it is about to ask for."""
        with self._news, suppress(OSError):  # then it is over
            until = self._taken_bytes + bytes_in(self._news_fd)
            self._news.wait_for(lambda: self._taken_bytes >= until, CATCH_UP_S)

    def _take_news(self, news: Any) -> None:
        match news:
            case ("answer", int(number), str(fault)):
                with self._lock:
                    answered, found = self._waiting.pop(number, (None, []))
                    begin = self._prepared.pop(number, None)
                if begin is not None and not fault:
                    begin()
                if answered is not None:
                    found.append(fault)
                    answered.set()
            case tuple():
                self._take(news)

    def order(self, *words: object, on_success: Callable[[], None] | None = None) -> str:
        """Give an order. Returns the fault's name, or nothing when it is carried out.

        `on_success` is called when the news before the answer have been taken, and none after it.

        Raises:
            LinkError: PID 1 is gone, or wants this helper to go.
        """
        answered, found = threading.Event(), []  # type: tuple[threading.Event, list[str]]
        with self._lock:
            if self._is_over:
                raise LinkError
            self._number += 1
            number = self._number
            self._waiting[number] = (answered, found)
            if on_success is not None:
                self._prepared[number] = on_success
            try:
                self._send(number, *words)
            except OSError:
                raise LinkError from None
        answered.wait()
        if not found:
            raise LinkError
        return found[0]

    def say(self, level: str, text: str) -> None:
        """A line for PID 1's log, which has it in the form of its others. Any thread may call
        this."""
        with self._lock, suppress(OSError):
            self._send("log", level, text[:MAX_TEXT])

    def _send(self, *words: object) -> None:
        message = frame(words)
        while message:
            message = message[os.write(self._orders_fd, message) :]
