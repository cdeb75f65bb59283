"""The same supervisord.conf in supervisord and in initpy: the same listener is told the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.control.events.support import Seen, line, seen, state, wait_until_seen, without_pids
from tests.support import REPO, Init, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CONF = """
[supervisord]
nodaemon = true
logfile = %(here)s/log
pidfile = %(here)s/pid
childlogdir = %(here)s

[program:steady]
command = sleep 1000

[program:fails]
command = sh -c "exit 3"
startretries = 1

[program:ends]
command = sh -c "exit 0"
startsecs = 0
autorestart = false

[program:ends_badly]
command = sh -c "exit 5"
startsecs = 0
autorestart = false
priority = 5

[program:pair]
command = sleep 1000
process_name = %%(process_num)d
numprocs = 2

[program:manual]
command = true
autostart = false

[program:missing]
command = /not/there
startretries = 0

[group:both]
programs = ends,steady

[eventlistener:listener]
command = LISTENER
events = process_state,PROCESS_GROUP,SUPERVISOR_STATE_CHANGE
buffer_size = 1000
startsecs = 0
priority = -5
stopwaitsecs = 2
"""
"""The listener is deaf to TERM: it hears of everything before it is killed."""


@pytest.fixture
def conf(tmp_path: Path) -> Callable[[str], Path]:
    def write(folder: str) -> Path:
        path = tmp_path / folder / "supervisord.conf"
        path.parent.mkdir()
        listener = line(path.parent / "events", "deaf").replace("%", "%%")
        path.write_text(CONF.replace("%%", "%").replace("LISTENER", listener))
        return path

    return write


@pytest.fixture
def supervisord(conf: Callable[[str], Path]) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    pytest.importorskip("supervisor")
    path = conf("supervisord")
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(path)],
        cwd=REPO,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield path.parent / "events", process
    if process.poll() is None:
        process.kill()
    process.wait(10)


def is_settled(file: Path) -> bool:
    found = seen(file)
    ends = [
        ("steady", "RUNNING"),
        ("0", "RUNNING"),
        ("1", "RUNNING"),
        ("fails", "FATAL"),
        ("missing", "FATAL"),
        ("ends", "EXITED"),
        ("ends_badly", "EXITED"),
    ]
    return all(any(state(name, end)(it) for it in found) for name, end in ends)


def by_subject(found: list[Seen]) -> dict[str, list[tuple[str, str]]]:
    """The events about each process, and all others: between these, time may order differently."""
    subjects: dict[str, list[tuple[str, str]]] = {}
    for it in found:
        is_process = it.name.startswith("PROCESS_STATE")
        subject = " ".join(it.payload.split()[:2]) if is_process else it.name.rpartition("_")[0]
        subjects.setdefault(subject, []).append((it.name, without_pids(it.payload)))
    return subjects


def test_headers_and_payloads_are_the_same(
    conf: Callable[[str], Path],
    supervisord: tuple[Path, subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    theirs, process = supervisord
    path = conf("initpy")
    ours = path.parent / "events"
    init = Init(path, path.parent, as_pid1=False)
    try:
        for file in (theirs, ours):
            wait_for(lambda file=file: is_settled(file), within_s=40, about=str(file))  # type: ignore[misc]
        before = [by_subject(seen(file)) for file in (ours, theirs)]
        os.kill(process.pid, signal.SIGTERM)
        init.kill(signal.SIGTERM)
        wait_until_seen(theirs, lambda it: it.name == "SUPERVISOR_STATE_CHANGE_STOPPING")
        for name in ("steady", "0", "1"):
            wait_until_seen(ours, state(name, "STOPPED"))
        init.wait()
        process.wait(30)
    finally:
        init.end()
    assert before[0] == before[1]
    told = by_subject(seen(ours))
    for subject, real in by_subject(seen(theirs)).items():
        assert told[subject][: len(real)] == real  # of its end, supervisord tells not everything
    for one, other in zip(seen(ours), seen(theirs), strict=False):
        assert [*one.header] == [*other.header]
        for field in ("ver", "server", "pool"):
            assert one.header[field] == other.header[field]
    for found in (seen(ours), seen(theirs)):
        assert [it.serial for it in found] == [*range(len(found))]
        assert [it.header["poolserial"] for it in found] == [it.header["serial"] for it in found]
