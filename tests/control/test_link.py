"""The link to PID 1."""

from __future__ import annotations

import os
import threading
from typing import Any

from initpy.control.link import Link
from initpy.wire import frame

NEWS = ("phase", 1)


def test_who_asks_is_told_of_all_that_was_said_before() -> None:
    news_fd, told_fd = os.pipe()
    taken: list[Any] = []
    seen: list[Any] = []
    link = Link(news_fd, told_fd, taken.append)
    os.write(told_fd, frame(NEWS))

    def ask() -> None:
        link.catch_up()
        seen.extend(taken)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    listening = threading.Thread(target=link.listen, daemon=True)
    listening.start()
    asking.join()
    assert seen == [NEWS]
    os.close(told_fd)
    listening.join()
    link.catch_up()  # it is over: nobody waits
    os.close(news_fd)
