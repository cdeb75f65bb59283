"""What events say, beside what supervisord's classes say; and which types there are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initpy.control.events import kinds, payloads
from initpy.core.states import STATE_NAMES, State

pytest.importorskip("supervisor")

from supervisor import events

from tests.control.events.theirs import EventTypes, Options, Pool, Process

STATES = [getattr(State, name) for name in kinds.STATES]


def process(name: str, group: str, pid: int, tries: int) -> Process:
    found = Process(name, group, Options())
    found.pid, found.backoff = pid, tries
    return found


def name_of(event: object) -> str:
    return str(events.getEventNameByType(type(event)))


def same(ours: payloads.Event, theirs: Any) -> None:
    assert (ours.name, ours.payload) == (name_of(theirs), theirs.payload())


def test_the_types_are_supervisords() -> None:
    theirs = {name for name in vars(EventTypes) if name.isupper()}
    # PROCESS_COMMUNICATION and PROCESS_LOG are abstract as well: nothing ever happens under them.
    assert {*kinds.TYPES, *kinds.PARENTS} == theirs


@pytest.mark.parametrize("asked", [*kinds.TYPES, *kinds.PARENTS])
def test_who_asks_for_a_type_gets_what_belongs_to_it(asked: str) -> None:
    parent = getattr(EventTypes, asked)
    theirs = {name for name in kinds.TYPES if issubclass(getattr(EventTypes, name), parent)}
    assert kinds.types_for([asked]) == theirs
    assert kinds.types_for([asked.lower(), asked]) == theirs


@pytest.mark.parametrize("name", ["", "PROCESS", "TICK_6", "PROCESS_STATE_", "SUPERVISOR"])
def test_what_is_no_type_is_an_error(name: str) -> None:
    with pytest.raises(KeyError):
        kinds.types_for(["TICK", name])


@given(
    st.sampled_from(STATES),
    st.sampled_from(STATES),
    st.text(min_size=1, max_size=5),
    st.integers(0, 99),
    st.booleans(),
)
def test_changes_of_state(state: int, old: int, name: str, number: int, expected: bool) -> None:
    theirs = getattr(EventTypes, f"PROCESS_STATE_{STATE_NAMES[state]}")
    same(
        payloads.process_state(
            name, "g", state, old, pid=number, tries=number + 1, expected=expected
        ),
        theirs(process(name, "g", number, number + 1), old, expected),
    )


@given(st.binary(max_size=20) | st.text(max_size=9).map(str.encode), st.integers(0, 99))
def test_what_programs_write(raw: bytes, pid: int) -> None:
    its = process("p", "g", pid, 0)
    for channel in ("stdout", "stderr"):
        log = getattr(EventTypes, f"PROCESS_LOG_{channel.upper()}")
        told = getattr(EventTypes, f"PROCESS_COMMUNICATION_{channel.upper()}")
        same(payloads.process_log("p", "g", pid, channel, raw), log(its, pid, raw))
        same(payloads.process_communication("p", "g", pid, channel, raw), told(its, pid, raw))


@given(st.text(max_size=9), st.text(max_size=9))
def test_the_rest(one: str, other: str) -> None:
    same(payloads.remote_communication(one, other), EventTypes.REMOTE_COMMUNICATION(one, other))
    same(payloads.group_added(one), EventTypes.PROCESS_GROUP_ADDED(one))
    same(payloads.group_removed(one), EventTypes.PROCESS_GROUP_REMOVED(one))
    same(payloads.SUPERVISOR_RUNNING, EventTypes.SUPERVISOR_STATE_CHANGE_RUNNING())
    same(payloads.SUPERVISOR_STOPPING, EventTypes.SUPERVISOR_STATE_CHANGE_STOPPING())
    for period_s in kinds.PERIODS_S:
        theirs = getattr(EventTypes, f"TICK_{period_s}")
        same(payloads.tick(period_s, 1234), theirs(1234, None))


@given(st.text(max_size=20), st.integers(0, 9), st.integers(0, 9))
def test_the_envelope(text: str, serial: int, pool_serial: int) -> None:
    """`len` counts characters, as theirs."""
    ours = payloads.remote_communication("t", text)
    pool = Pool("pool", [], 1).pool
    theirs = pool._eventEnvelope(
        EventTypes.REMOTE_COMMUNICATION, serial, pool_serial, ours.payload
    ).encode()
    assert payloads.envelope(ours, "supervisor", "pool", serial, pool_serial) == theirs


def test_the_length_in_bytes_if_that_is_wanted() -> None:
    event = payloads.remote_communication("t", "…")
    assert b" len:8\n" in payloads.envelope(event, "s", "p", 0, 0)
    assert b" len:10\ntype:t\n\xe2\x80\xa6" in payloads.envelope(
        event, "s", "p", 0, 0, in_bytes=True
    )


def test_names_that_are_no_text_do_not_stop_an_event() -> None:
    event = payloads.group_added("\udcff")
    assert payloads.envelope(event, "s", "p", 0, 0).endswith(b" len:12\ngroupname:\xff\n")
