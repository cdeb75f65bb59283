"""What `initpy events` is told: each change once, in its order, and how many came too late."""

from __future__ import annotations

import threading

from initpy.control.journal import MAX_EVENTS, Journal
from initpy.core.door import Process
from initpy.core.states import State
from initpy.plan import ProcessSpec

WEB = Process(ProcessSpec("g:web", "web", "g", "web", (b"x",), (b"/x",)), State.RUNNING, pid=7)


def test_from_now_on_and_then_what_comes() -> None:
    journal = Journal()
    journal.note(State.STOPPED, WEB, "")
    begun = journal.since(-1, 0)
    assert begun == {"serial": 1, "lost": 0, "events": []}
    assert journal.since(begun["serial"], 0)["events"] == []
    journal.note(State.STARTING, WEB, "why")
    journal.note(State.BACKOFF, WEB, "")
    found = journal.since(begun["serial"], 0)
    assert (found["serial"], found["lost"]) == (3, 0)
    assert [(it["from"], it["to"], it["why"]) for it in found["events"]] == [
        ("STARTING", "RUNNING", "why"),
        ("BACKOFF", "RUNNING", ""),
    ]
    assert (found["events"][0]["group"], found["events"][0]["name"]) == ("g", "web")
    assert found["events"][0]["pid"] == 7


def test_who_is_late_is_told_how_much_is_lost() -> None:
    journal = Journal()
    for number in range(MAX_EVENTS + 5):
        journal.note(State.STOPPED, WEB, str(number))
    found = journal.since(2, 0)
    assert (found["serial"], found["lost"], len(found["events"])) == (
        *(MAX_EVENTS + 5, 3, MAX_EVENTS),
    )
    assert found["events"][0]["why"] == "5"
    assert journal.since(10**6, 0)["events"] == []


def test_who_waits_is_told_at_once() -> None:
    journal = Journal()
    found = []
    waiter = threading.Thread(target=lambda: found.append(journal.since(0, 1000)))
    waiter.start()
    journal.note(State.STOPPED, WEB, "")
    waiter.join(60)
    assert len(found[0]["events"]) == 1
