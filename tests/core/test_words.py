"""What the log says: supervisord's words."""

from __future__ import annotations

import signal

import pytest

from initpy.core.door import Process
from initpy.core.messages import INFO, WARN, Notice
from initpy.core.states import ExitStatus, State
from initpy.core.words import (
    CONTAINER_STOPS,
    SIGNAL_NAMES,
    TOO_QUICKLY,
    ended,
    line_for,
    seconds,
    signal_name,
)
from tests.core.specs import exited, killed, spec


def test_the_names_of_signals_are_those_of_this_kernel() -> None:
    for number, name in SIGNAL_NAMES.items():
        if hasattr(signal, name):
            assert getattr(signal, name) == number
    assert sorted(SIGNAL_NAMES) == list(range(1, 32))


@pytest.mark.parametrize(
    ("signum", "name"), [(15, "SIGTERM"), (9, "SIGKILL"), (34, "signal 34"), (64, "signal 64")]
)
def test_signal_name(signum: int, name: str) -> None:
    assert signal_name(signum) == name


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (exited(0), "exit status 0"),
        (exited(127), "exit status 127"),
        (killed(11), "terminated by SIGSEGV"),
        (killed(40), "terminated by signal 40"),
    ],
)
def test_ended(status: ExitStatus, words: str) -> None:
    assert ended(status) == words


@pytest.mark.parametrize(
    ("span_s", "words"),
    [
        (1.0, "1"),
        (0.5, "0.5"),
        (7.5, "7.5"),
        (0.0, "0"),
        (10.0, "10"),
        (100.0, "100"),
        (0.0004, "0"),
        (1.2345, "1.234"),
        (3600, "3600"),
    ],
)
def test_seconds(span_s: float, words: str) -> None:
    assert seconds(span_s) == words


STARTING, RUNNING, BACKOFF = State.STARTING, State.RUNNING, State.BACKOFF
STOPPING, UNKNOWN = State.STOPPING, State.UNKNOWN


@pytest.mark.parametrize(
    ("old", "state", "status", "spawnerr", "line"),
    [
        (
            STARTING,
            RUNNING,
            None,
            "",
            (
                INFO,
                "success: web entered RUNNING state, process has stayed up for > than 1 seconds"
                " (startsecs)",
            ),
        ),
        (
            STARTING,
            BACKOFF,
            exited(0),
            TOO_QUICKLY,
            (WARN, "exited: web (exit status 0; not expected), up for 1.5 s"),
        ),
        (STARTING, BACKOFF, exited(126), "no fork", (WARN, "spawnerr: no fork (web)")),
        (RUNNING, State.EXITED, exited(0), "", (INFO, "exited: web (exit status 0; expected)")),
        (
            RUNNING,
            State.EXITED,
            exited(1),
            "Bad exit code 1",
            (WARN, "exited: web (exit status 1; not expected), up for 1.5 s"),
        ),
        (STOPPING, State.STOPPED, exited(0), "", (INFO, "stopped: web (exit status 0)")),
        (STOPPING, State.STOPPED, None, "", None),
        (BACKOFF, State.STOPPED, exited(1), TOO_QUICKLY, None),
        (
            BACKOFF,
            State.FATAL,
            exited(1),
            TOO_QUICKLY,
            (INFO, "gave up: web entered FATAL state, too many start retries too quickly"),
        ),
        (
            BACKOFF,
            State.FATAL,
            exited(126),
            "no fork",
            (INFO, "gave up: web entered FATAL state, too many start retries too quickly: no fork"),
        ),
        (
            BACKOFF,
            State.FATAL,
            exited(1),
            CONTAINER_STOPS,
            (INFO, f"gave up: web entered FATAL state, {CONTAINER_STOPS}"),
        ),
        (
            State.STOPPED,
            State.FATAL,
            exited(1),
            "'db' is gone",
            (INFO, "gave up: web entered FATAL state, 'db' is gone"),
        ),
        (
            RUNNING,
            UNKNOWN,
            None,
            "",
            (WARN, "web entered UNKNOWN state: the kernel refused to signal pid 8"),
        ),
        (State.STOPPED, STARTING, None, "", None),
        (RUNNING, STOPPING, None, "", None),
    ],
)
def test_the_line_that_a_change_of_state_is_worth(
    old: int, state: int, status: ExitStatus | None, spawnerr: str, line: tuple[str, str] | None
) -> None:
    process = Process(
        spec(),
        state=state,
        executed=status != exited(126),
        status=status,
        spawnerr=spawnerr,
        pid=8,
        lasted_s=1.5,
    )
    assert line_for(Notice(process, old)) == line
