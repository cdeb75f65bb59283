"""The whole work of the control helper, from its birth to its end."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time

from initpy.control.access import Access
from initpy.control.answering import Answers
from initpy.control.configs import Configs
from initpy.control.journal import Journal
from initpy.control.link import Link
from initpy.control.methods import Methods, reading_methods
from initpy.control.mirror import Mirror
from initpy.control.orders import Orders
from initpy.control.own_methods import own_methods
from initpy.control.server import Server
from initpy.control.tails import Tails
from initpy.controlplan import TOLD_TO_LEAVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from initpy.feeding import Birth

STDERR = 2

LAST_S = 0.3
"""When PID 1 has hung up: what is left for answers that are on their way."""


def run(birth: Birth, orders_fd: int) -> int:
    """Serve the sockets until nobody wants anything any more. Returns the exit code."""
    gc.enable()
    # At the end, everybody gets TERM; who waits for an answer gets that first.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    mirror = Mirror(birth, os.getppid())
    journal = Journal()

    def take(news: tuple[Any, ...]) -> None:
        if news == ("leave",):
            server.leave()
        else:
            mirror.take(news)
            journal.take(news, mirror)

    link = Link(birth.news_fd, orders_fd, take)
    orders = Orders(mirror, link)
    tails = Tails(mirror, orders)
    methods = Methods(
        (
            *reading_methods(mirror.snapshot, birth.plan.identifier),
            *orders.methods(),
            *Configs(mirror, orders).methods(),
            *tails.methods(),
            *own_methods(mirror, journal),
        )
    )
    answers = Answers(Access(birth.plan), methods, tails, _say, mirror.snapshot)
    server = Server(birth.listeners, answers.answer, birth.plan.idle_s, lambda: False)

    def listen() -> None:
        link.listen()
        server.leave()
        time.sleep(LAST_S)
        os._exit(TOLD_TO_LEAVE)

    threading.Thread(target=listen, daemon=True).start()
    return server.serve()


def _say(text: str) -> None:
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    os.write(STDERR, f"{stamp},000 WARN {text}\n".encode(errors="replace"))
