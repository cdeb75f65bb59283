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
from initpy.control.events.remote import remote_methods
from initpy.control.journal import Journal
from initpy.control.link import Link
from initpy.control.methods import Methods, reading_methods
from initpy.control.mirror import Mirror
from initpy.control.orders import Orders
from initpy.control.own_methods import own_methods
from initpy.control.server import Server
from initpy.control.stdin import Stdin
from initpy.control.tails import Tails
from initpy.controlplan import TOLD_TO_LEAVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from initpy.control.events.payloads import Event
    from initpy.control.events.service import EventService
    from initpy.feeding import Birth

LAST_S = 0.3
"""When PID 1 has hung up: what is left for answers that are on their way."""


def run(birth: Birth, orders_fd: int) -> int:
    """Serve the sockets until nobody wants anything any more. Returns the exit code."""
    gc.enable()
    # At the end, everybody gets TERM; who waits for an answer gets that first.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # a client may go before its answer comes
    mirror = Mirror(birth, os.getppid())
    journal = Journal()

    def take(news: tuple[Any, ...]) -> None:
        if news == ("leave",):
            server.leave()
        else:
            mirror.take(news)
            journal.take(news, mirror)
            if events is not None:
                events.hear(news, mirror.processes)

    def is_needed() -> bool:
        return events is not None and events.is_needed()

    def post(event: Event) -> None:
        if events is not None:
            events.post(event)

    link = Link(birth.news_fd, orders_fd, take)
    events = _events(birth, link.say)
    orders = Orders(mirror, link)
    tails = Tails(mirror, orders, birth.own_log_fd)
    methods = Methods(
        (
            *reading_methods(mirror.snapshot, birth.plan.identifier),
            *orders.methods(),
            *Configs(mirror, orders).methods(),
            *tails.methods(),
            *Stdin(orders, birth.inputs_fd).methods(),
            *remote_methods(post),
            *own_methods(mirror, journal, orders.ask),
        )
    )
    answers = Answers(Access(birth.plan), methods, tails, link.say, mirror.snapshot, link.catch_up)
    server = Server(birth.listeners, answers.answer, birth.plan.idle_s, is_needed)

    def listen() -> None:
        link.listen()
        server.leave(0.0)
        time.sleep(LAST_S)
        os._exit(TOLD_TO_LEAVE)

    threading.Thread(target=listen, daemon=True).start()
    if events is not None:
        events.start()
    return server.serve()


def _events(birth: Birth, say: Callable[[str, str], None]) -> EventService | None:
    if birth.events is None:
        return None
    from initpy.control.events.service import EventService  # noqa: PLC0415 - where there are any

    return EventService(birth.events, birth.supervisor, birth.plan.identifier, say)
