"""Pools: who gets which event and when; alone, and beside supervisord's own class."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initpy.control.events import payloads, pools
from initpy.control.events.hub import Hub
from initpy.control.events.pools import LAST_DELAY_S, PATIENCE_S
from initpy.eventplan import ListenerPlan

NOW = 1000.0


class Stage:
    """A hub, what it says, and what its listeners are sent."""

    def __init__(self, *plans: ListenerPlan, is_up: bool = True) -> None:
        self.said: list[str] = []
        self.hub = Hub("supervisor", lambda _, text: self.said.append(text))
        self.hub.set_plan(plans, NOW)
        self.now = NOW
        for plan in plans if is_up else ():
            for key in plan.keys:
                self.up(key)

    def pool(self, key: str) -> Any:
        return self.hub.pool_of(key)

    def up(self, key: str) -> None:
        """A new instance, which asks for an event."""
        self.pool(key).connect(key, self.now)
        self.pool(key).set_running(key, True)
        self.says(key, b"READY\n")

    def down(self, key: str) -> None:
        self.pool(key).set_running(key, False)
        self.pool(key).disconnect(key, self.now)

    def says(self, key: str, raw: bytes) -> None:
        self.pool(key).feed(key, raw, self.now)

    def accepts(self, key: str) -> None:
        self.says(key, b"RESULT 2\nOKREADY\n")

    def refuses(self, key: str) -> None:
        self.says(key, b"RESULT 4\nFAILREADY\n")

    def happens(self, *texts: str) -> None:
        for text in texts:
            self.hub.put(payloads.remote_communication("t", text))

    def sent(self) -> list[tuple[str, str]]:
        """What is sent now: to whom, and the last line of the payload."""
        found = []
        for pool in self.hub.pools.values():
            for key, raw in pool.take(self.now):
                found.append((key, raw.decode().rpartition("\n")[2]))
        return found

    def at_last(self) -> list[tuple[str, str]]:
        """The same, when whatever delay there is has passed."""
        self.now += LAST_DELAY_S
        return self.sent()


def plan(name: str, *keys: str, size: int = 10, events: tuple[str, ...] = ("EVENT",)) -> Any:
    return ListenerPlan(name, keys or (name,), events, size)


def test_an_event_goes_to_one_listener_of_each_pool_that_wants_it() -> None:
    stage = Stage(plan("x", "x:a", "x:b"), plan("y"), plan("z", events=("TICK",)))
    stage.happens("1")
    assert stage.sent() == [("x:a", "1"), ("y", "1")]
    assert stage.sent() == []
    stage.happens("2", "3")
    assert stage.sent() == [("x:b", "2")]
    stage.accepts("y")
    assert stage.sent() == [("y", "2")]


def test_an_event_waits_until_somebody_is_there_and_running_and_ready() -> None:
    stage = Stage(plan("x"), is_up=False)
    stage.happens("1")
    assert stage.sent() == []
    stage.pool("x").connect("x", NOW)
    stage.says("x", b"READY\n")
    assert stage.sent() == []
    stage.pool("x").set_running("x", True)
    assert stage.sent() == [("x", "1")]


def test_numbers_count_among_all_events_that_are_wanted_and_in_each_pool() -> None:
    stage = Stage(plan("x", events=("TICK",)), plan("y", events=("EVENT",)))
    numbers = []
    for event in (payloads.SUPERVISOR_RUNNING, payloads.tick(5, 5), payloads.tick(60, 60)):
        stage.hub.put(event)
        for pool in stage.hub.pools.values():
            for key, raw in pool.take(NOW):
                found = re.findall(r"serial:(\d+)", raw.decode())
                numbers.append((key, *map(int, found)))
                stage.accepts(key)
    assert numbers == [("y", 0, 0), ("x", 1, 0), ("y", 1, 1), ("x", 2, 1), ("y", 2, 2)]
    unwanted = Stage(plan("x", events=("TICK",)))
    unwanted.happens("1")
    assert unwanted.hub.serial == 0


def test_what_was_refused_comes_again_first_and_after_ever_longer() -> None:
    stage = Stage(plan("x"))
    stage.happens("1", "2")
    delays = []
    for _ in range(12):
        assert stage.sent() == [("x", "1")]
        stage.refuses("x")
        assert stage.sent() == []
        due = stage.hub.next_due_at()
        assert due is not None
        delays.append(round(due - stage.now, 1))
        stage.now = due
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30, 30]
    assert stage.sent() == [("x", "1")]
    stage.accepts("x")
    assert stage.sent() == [("x", "2")]


def test_what_was_refused_is_refused_in_its_own_pool_only() -> None:
    """supervisord takes listeners of one priority for one another."""
    stage = Stage(plan("x"), plan("y"))
    stage.happens("1")
    assert stage.sent() == [("x", "1"), ("y", "1")]
    stage.refuses("x")
    stage.accepts("y")
    assert stage.at_last() == [("x", "1")]


@pytest.mark.parametrize("raw", [b"nonsense\n", b"RESULT -3\n"])
def test_a_listener_that_breaks_with_an_event_does_not_lose_it(raw: bytes) -> None:
    stage = Stage(plan("x"))
    stage.happens("1")
    assert stage.sent() == [("x", "1")]
    stage.says("x", raw)
    assert stage.at_last() == []
    assert any("entered the UNKNOWN state" in line for line in stage.said)
    stage.down("x")
    stage.up("x")
    assert stage.sent() == [("x", "1")]


def test_a_listener_that_dies_with_an_event_does_not_lose_it() -> None:
    stage = Stage(plan("x", "x:a", "x:b"))
    stage.happens("1")
    assert stage.sent() == [("x:a", "1")]
    stage.down("x:a")
    assert stage.at_last() == [("x:b", "1")]


def test_a_new_instance_knows_nothing_of_the_old_one() -> None:
    """Also where its end was not told of."""
    stage = Stage(plan("x"))
    stage.happens("1")
    assert stage.sent() == [("x", "1")]
    stage.says("x", b"RESULT 2")
    stage.up("x")
    assert stage.at_last() == [("x", "1")]
    stage.accepts("x")
    assert (stage.pool("x").waiting, stage.pool("x").sent) == (0, 0)


def test_when_the_buffer_is_full_the_oldest_goes_and_that_is_said() -> None:
    stage = Stage(plan("x", size=2), is_up=False)
    stage.happens("1", "2", "3", "4", "5")
    assert stage.said == ["pool x event buffer overflowed, discarding event 0"]
    stage.up("x")
    assert stage.sent() == [("x", "4")]
    assert stage.said[1:] == ["pool x: 2 more events were discarded since"]
    stage.happens("6", "7")
    assert stage.said[2:] == ["pool x event buffer overflowed, discarding event 4"]
    stage.accepts("x")
    assert stage.sent() == [("x", "6")]
    assert len(stage.said) == 3


def test_what_comes_back_to_a_full_buffer_stays_and_the_next_oldest_goes() -> None:
    """As in supervisord."""
    stage = Stage(plan("x", size=2))
    stage.happens("1")
    assert stage.sent() == [("x", "1")]
    stage.happens("2", "3")
    stage.refuses("x")
    assert stage.at_last() == [("x", "1")]
    stage.accepts("x")
    assert stage.sent() == [("x", "3")]


def test_a_buffer_does_not_take_more_memory_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "MAX_BUFFER_BYTES", 1000)
    stage = Stage(plan("x", size=1000), is_up=False)
    stage.happens(*[str(number) * 300 for number in range(1, 6)])
    stage.up("x")
    assert stage.sent() == [("x", "3" * 300)]


def test_a_listener_that_stays_busy_is_reported_once() -> None:
    stage = Stage(plan("x"))
    stage.happens("1")
    assert stage.sent() == [("x", "1")]
    assert stage.hub.next_due_at() == NOW + PATIENCE_S
    stage.pool("x").look(NOW + PATIENCE_S - 1)
    assert stage.said == []
    stage.now = NOW + PATIENCE_S
    stage.pool("x").look(stage.now)
    stage.pool("x").look(stage.now + PATIENCE_S)
    (line,) = stage.said
    assert line == "x has been busy with event 0 (REMOTE_COMMUNICATION) for 60 s: it gets no other"
    assert stage.hub.next_due_at() is None
    stage.accepts("x")
    assert stage.said[1:] == ["x is done with event 0"]


def test_a_listener_that_does_not_ask_is_reported_if_there_are_events() -> None:
    stage = Stage(plan("x"), is_up=False)
    stage.pool("x").connect("x", NOW)
    stage.pool("x").set_running("x", True)
    stage.pool("x").look(NOW + 2 * PATIENCE_S)
    assert stage.said == []
    stage.happens("1")
    stage.pool("x").look(NOW + 2 * PATIENCE_S)
    assert stage.said == ["x has not asked for an event for 60 s, and there are some"]


def test_an_idle_pool_waits_for_nothing() -> None:
    stage = Stage(plan("x"))
    assert stage.hub.next_due_at() is None
    stage.happens("1")
    stage.down("x")
    assert stage.hub.next_due_at() is None


def test_a_new_plan_keeps_what_stays_and_what_waits() -> None:
    stage = Stage(plan("x", "x:a", "x:b"), plan("y"))
    stage.happens("1", "2")
    assert stage.sent() == [("x:a", "1"), ("x:b", "2"), ("y", "1")]
    stage.hub.set_plan([plan("x", "x:b", "x:c", events=("TICK",)), plan("z")], stage.now)
    assert stage.hub.pool_of("x:a") is None
    assert stage.hub.pool_of("y") is None
    stage.accepts("x:b")
    assert stage.at_last() == [("x:b", "1")]  # it was x:a's
    stage.happens("3")
    stage.accepts("x:b")
    assert stage.sent() == []
    stage.up("z")
    assert stage.sent() == [("z", "3")]


def test_numbers_go_on_where_the_last_helper_has_stopped() -> None:
    hub = Hub("s", lambda *_: None)
    hub.serial = 7
    hub.set_plan([plan("x")], NOW, {"x": 3})
    pool = hub.pools["x"]
    pool.connect("x", NOW)
    pool.set_running("x", True)
    pool.feed("x", b"READY\n", NOW)
    hub.put(payloads.SUPERVISOR_RUNNING)
    ((_, raw),) = pool.take(NOW)
    assert raw.startswith(b"ver:3.0 server:s serial:7 pool:x poolserial:3 ")


# ---------------------------------------------------------------- beside supervisord

ACTS = st.sampled_from(["event", "event", "accept", "refuse", "break", "die", "up"])
STORY = st.lists(st.tuples(ACTS, st.integers(0, 1)), max_size=40)


@given(STORY, st.integers(1, 4))
def test_the_same_story_in_supervisord_sends_the_same_bytes(
    story: list[tuple[str, int]], size: int
) -> None:
    """One pool of two listeners; whatever delay we have has passed before the next act."""
    pytest.importorskip("supervisor")
    from tests.control.events.theirs import EventTypes, Pool

    names = ["x_0", "x_1"]
    theirs = Pool("x", names, size)
    stage = Stage(plan("x", *names, size=size), is_up=False)
    received = dict.fromkeys(names, b"")

    def up(name: str) -> None:
        stage.up(name)
        theirs.processes[name].state = 20
        theirs.processes[name].says(b"READY\n")

    def says(name: str, raw: bytes) -> None:
        stage.says(name, raw)
        theirs.processes[name].says(raw)

    for name in names:
        up(name)
    for number, (act, which) in enumerate(story):
        name = names[which]
        process = theirs.processes[name]
        is_busy = process.state == 20 and process.listener == "BUSY"
        match act:
            case "event":
                stage.happens(str(number))
                theirs.happens(EventTypes.REMOTE_COMMUNICATION("t", str(number)))
            case "accept" if is_busy:
                says(name, b"RESULT 2\nOKREADY\n")
            case "refuse" if is_busy:
                says(name, b"RESULT 4\nFAILREADY\n")
            case "break" if is_busy:
                says(name, b"RESULT x\n")
            case "die" if process.state == 20:
                stage.down(name)
                process.finish()
            case "up" if process.state != 20:
                up(name)
        theirs.turn()
        stage.now += LAST_DELAY_S
        for key, raw in stage.pool("x_0").take(stage.now):
            received[key] += raw
        assert received == {key: it.stdin for key, it in theirs.processes.items()}
    dropped = len(re.findall("buffer overflowed", "\n".join(theirs.options.logger.lines)))
    more = sum(int(count) for count in re.findall(r": (\d+) more events", "\n".join(stage.said)))
    firsts = len(re.findall("buffer overflowed", "\n".join(stage.said)))
    untold = max(stage.pool("x_0")._dropped - 1, 0)
    assert firsts + more + untold == dropped
