"""A relay takes over from one that was killed: each instant at which that may have been."""

from __future__ import annotations

import json
import os
import select
from typing import TYPE_CHECKING

from initpy.logplan import JSON, PREFIX, STREAM, Sink
from initpy.logs.memory import FileNote, Memory, State, Tail
from tests.logs.support import PID, Reader, Relay, channel_plan, to_file, wait_for_content
from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., Relay]

STDOUT = b"1"
TIME_NS = 1_700_000_000 * 10**9


def left_by(relay: Relay) -> Memory:
    """The memory file, of which a relay has let go when all had been done."""
    relay.command("leave")
    relay.wait()
    return Memory(relay.memory_fd, len(relay.plans))


def fill(relay: Relay, raw: bytes) -> int:
    """Write as much of it as there is room for until all that is behind the pipe stalls. Returns
    how much that was."""
    fd = relay.pipes[0][1]
    os.set_blocking(fd, False)
    at = 0
    while at < len(raw):
        try:
            at += os.write(fd, raw[at : at + 50_000])
        except BlockingIOError:
            if not select.select([], [fd], [], 0.3)[1]:
                break
    os.set_blocking(fd, True)
    return at


def test_it_finds_a_full_stdout_and_goes_on_when_there_is_room(
    start_relay: Start, reader: Reader
) -> None:
    """Nothing else happens that would have it look."""
    relay = start_relay(channel_plan(Sink(STREAM, STDOUT, PREFIX)), stdout=reader.write_fd)
    raw = b"".join([b"%07d\n" % number for number in range(500_000)])
    raw = raw[: fill(relay, raw)]
    relay.kill()
    relay.start()
    wait_for(lambda: relay.is_waiting())
    wait_for(lambda: len(reader.read().splitlines()) >= len(raw) // 8, about="all lines")
    seen = [int(line[6:]) for line in reader.seen.splitlines()]
    assert seen == list(range(len(raw) // 8))


def test_what_a_file_has_is_known_to_the_one_after_the_next(
    start_relay: Start, tmp_path: Path
) -> None:
    """Two were killed one after the other: the second while it went on with what the first had
    begun."""
    log = tmp_path / "log"
    log.write_bytes(b"one\n")
    relay = start_relay(channel_plan(to_file(log)))
    memory = left_by(relay)
    memory.keep(0, State(8, TIME_NS, b"one\ntwo\n", PID), (4,))
    memory.note_files(0, {0: FileNote(log.stat().st_ino, 4, 4)})
    log.write_bytes(b"one\ntw")
    relay.start()
    relay.write(b"three\n")
    wait_for_content(log, b"one\ntwo\nthree\n")


def test_a_relay_notes_what_files_have_when_it_goes_on(start_relay: Start, tmp_path: Path) -> None:
    """With what another has begun, and behind a stall."""
    log = tmp_path / "log"
    (tmp_path / "full").symlink_to("/dev/full")
    relay = start_relay(channel_plan(to_file(tmp_path / "full"), to_file(log)))
    relay.write(b"one\n")
    wait_for_content(log, b"one\n")
    wait_for(lambda: relay.is_waiting())
    for _ in range(2):
        memory = Memory(relay.memory_fd, 1)
        assert memory.noted_files(0) == {1: FileNote(log.stat().st_ino, 4, 4)}
        relay.kill()
        relay.start()
        wait_for(lambda: relay.is_waiting())
    assert log.read_bytes() == b"one\n"


def test_a_file_that_was_rotated_in_between_has_what_it_has(
    start_relay: Start, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.touch()
    relay = start_relay(channel_plan(to_file(log, max_bytes=8, backups=5)))
    memory = left_by(relay)
    memory.keep(0, State(24, TIME_NS, b"one\ntwo\nthr\nfou\nfiv\nsix\n", PID), (0,))
    memory.note_files(0, {0: FileNote(log.stat().st_ino, 0, 0)})
    log.write_bytes(b"one\ntwo\n")
    log.rename(tmp_path / "log.2")
    (tmp_path / "log.1").write_bytes(b"thr\nfou\n")
    log.write_bytes(b"fiv\n")
    relay.start()
    wait_for_content(log, b"fiv\nsix\n")
    assert sorted(it.name for it in tmp_path.iterdir()) == ["log", "log.1", "log.2"]


def test_it_makes_the_same_of_what_was_read_as_the_killed_one(
    start_relay: Start, tmp_path: Path
) -> None:
    """Another instance's pid has another length."""
    log = tmp_path / "log"
    relay = start_relay(channel_plan(to_file(log, JSON)), pid=99)
    relay.write(b"one\ntwo\n")
    wait_for(lambda: log.exists() and log.read_bytes().count(b"\n") == 2)
    memory = left_by(relay)
    first, second = log.read_bytes().splitlines(keepends=True)
    first, second = first.replace(b"99,", b"123456,"), second.replace(b"99,", b"123456,")
    log.write_bytes(first)
    memory.begin_read(0, 0, 8)
    memory.desk[:8] = b"one\ntwo\n"
    memory.end_read(8, TIME_NS, 123456)
    memory.note_progress(0, (len(first),))
    relay.start()
    relay.write(b"end\n")
    wait_for(lambda: log.read_bytes().count(b"\n") == 3)
    entries = [json.loads(line) for line in log.read_bytes().splitlines()]
    assert [it["message"] for it in entries] == ["one", "two", "end"]
    assert [it["pid"] for it in entries] == [123456, 123456, 99]
    assert entries[1]["time"].startswith("2023-11-14T22:13:20.")


def test_the_end_of_an_instance_is_not_forgotten(start_relay: Start, tmp_path: Path) -> None:
    """Killed when it had written the unfinished line, and before it could note that."""
    log = tmp_path / "log"
    relay = start_relay(channel_plan(to_file(log, PREFIX)), pid=0)
    memory = left_by(relay)
    memory.keep(0, State(4, TIME_NS, b"half", PID, ending=1))
    memory.note_files(0, {0: FileNote(log.stat().st_ino if log.exists() else 0, 0, 0)})
    log.touch()
    memory.note_files(0, {0: FileNote(log.stat().st_ino, 0, 0)})
    log.write_bytes(b"web | half\n")
    relay.start()
    relay.write(b"of a grandchild\n")
    wait_for_content(log, b"web | half\nweb | of a grandchild\n")


def test_with_another_plan_no_line_is_torn_or_lost(start_relay: Start, reader: Reader) -> None:
    """A reload, while stdout is stalled: how far it had come in the old form says nothing of the
    new one."""
    relay = start_relay(channel_plan(Sink(STREAM, STDOUT, PREFIX)), stdout=reader.write_fd)
    raw = b"".join([b"%07d\n" % number for number in range(500_000)])
    raw = raw[: fill(relay, raw)]
    relay.command("leave")
    relay.wait()
    relay.plans = (channel_plan(Sink(STREAM, STDOUT, JSON)),)
    relay.start()
    last = json.dumps(f"{len(raw) // 8 - 1:07d}").encode()
    wait_for(lambda: last in reader.read()[-500:], about="the last line")
    assert relay.drain() == 0
    numbers = []
    for line in reader.read().splitlines():
        number = json.loads(line)["message"] if line[:1] == b"{" else line.removeprefix(b"web | ")
        assert len(number) == 7
        numbers.append(int(number))
    assert sorted(set(numbers)) == list(range(len(raw) // 8))


def test_a_place_in_the_memory_file_is_another_channels_from_its_serial_number_on() -> None:
    fd = os.memfd_create("logs")
    memory = Memory(fd, 1)
    assert not memory.claim(0, 1, 77)
    memory.desk[:3] = b"abc"
    memory.put_tail(0, 0, 3, 3)
    memory.keep(0, State(3, TIME_NS, b"abc", PID))
    assert memory.claim(0, 1, 77)
    assert not memory.claim(0, 1, 78)
    assert Tail(fd, 0, 1).read() == (b"abc", 3)
    assert Tail(fd, 0, 2).read() == (b"", 0)
    assert not memory.claim(0, 2, 77)
    assert memory.restore(0)[0].held == b""
    assert Tail(fd, 0, 2).read() == (b"", 0)
    os.close(fd)


def test_what_another_version_has_left_is_not_read() -> None:
    fd = os.memfd_create("logs")
    os.pwrite(fd, b"initpyL1" + b"\xff" * 100_000, 0)
    memory = Memory(fd, 2)
    memory.claim(1, 1, 1)
    assert memory.restore(1)[0].total == 0
    os.close(fd)
