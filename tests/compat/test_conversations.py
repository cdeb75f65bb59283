"""The same clients and listeners at supervisord and at initpy, with the same supervisord.conf."""

from __future__ import annotations

import importlib.util
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.compat import conversations, scenarios
from tests.compat.conversations import APART, ELSEWHERE, THE_SAME, TOGETHER, Conversation
from tests.compat.servers import OURS, REAL, Server, tapped
from tests.control.events.outside import mailbox, page
from tests.support import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Iterator

    Pair = tuple[Server, Server]


def name_of(conversation: Conversation) -> str:
    return re.sub(
        r"\W+", "-", f"{conversation.number} {conversation.tolerance} {conversation.promise}"
    )


@contextmanager
def both() -> Iterator[Pair]:
    """Neither of them started."""
    for package in ("supervisor", "superlance"):
        if importlib.util.find_spec(package) is None:
            skip_or_fail("compat", f"PyPI's package {package} is not installed")
    pair = Server(REAL), Server(OURS)
    try:
        yield pair
    finally:
        for server in pair:
            server.end()


def wait_until_up(pair: Pair) -> None:
    for server in pair:
        server.wait(server.is_up, "its start")


@pytest.fixture(scope="module")
def together() -> Iterator[Pair]:
    """One pair of daemons for all conversations that disturb no other."""
    with both() as pair, ExitStack() as stack:
        for server in pair:
            for name in ("memmon", "httpok"):
                tap = tapped(server.folder / f"{name}.tap", server.folder / "s")
                server.taps[name] = stack.enter_context(tap)
            sick, _ = stack.enter_context(page())
            address, server.mails = stack.enter_context(mailbox())
            server.start(conversations.conf(conversations.free_port(), sick, address))
        wait_until_up(pair)
        yield pair


def compare(pair: Pair, conversation: Conversation) -> None:
    """At the same time: each waits for its daemon most of the time."""
    real = conversation.expected
    expected = [real, real if conversation.initpy is THE_SAME else conversation.initpy]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(conversation.talk, pair)) == expected


@pytest.mark.xdist_group("conversations")
@pytest.mark.parametrize("conversation", TOGETHER, ids=name_of)
def test_together(together: Pair, conversation: Conversation) -> None:
    compare(together, conversation)


@pytest.mark.parametrize("conversation", APART, ids=name_of)
def test_apart(conversation: Conversation) -> None:
    with both() as pair:
        for server in pair:
            server.start(conversations.ENDING)
        wait_until_up(pair)
        compare(pair, conversation)


def test_every_scenario_of_the_notes_is_played() -> None:
    """All 60, and a reason for each divergence."""
    played = [it.number for it in (*scenarios.CROWD, *scenarios.ALONE, *TOGETHER, *APART)]
    numbers = {int(it.partition(",")[0]) for it in (*played, *ELSEWHERE)}
    assert numbers == {*range(1, 61)}
    for it in (*TOGETHER, *APART):
        assert it.tolerance in "OLTX"
        assert (it.tolerance == "X") == bool(it.why) == (it.initpy is not THE_SAME), it.number
