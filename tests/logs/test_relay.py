"""A relay in a process of its own, with real pipes, files and sockets."""

from __future__ import annotations

import array
import contextlib
import fcntl
import json
import os
import pty
import random
import re
import select
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from initpy.logplan import JSON, LEFT, OUT_OF_TIME, PREFIX, RAW, STREAM, SYSLOG, ChannelPlan, Sink
from initpy.logs.channels import FIONREAD, READ_BYTES
from initpy.logs.memory import TAIL_BYTES, Tail
from initpy.logs.sinks import F_SETPIPE_SZ, PIPE_BYTES
from tests.logs.support import PID, Reader, Relay, channel_plan, to_file, wait_for_content
from tests.support import REPO, skip_or_fail, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., Relay]

STDOUT = b"1"


def numbered(first: int, count: int, name: str = "") -> bytes:
    """Lines of which each is known by its number."""
    return b"".join(
        [
            b"%s%08d %s\n" % (name.encode(), it, b"x" * (it % 90))
            for it in range(first, first + count)
        ]
    )


# ---------------------------------------------------------------- what comes out


def test_raw_bytes_come_through_as_they_are(start_relay: Start, reader: Reader) -> None:
    relay = start_relay(channel_plan(Sink(STREAM, STDOUT)), stdout=reader.write_fd)
    relay.write(b"no line yet\xff")
    reader.wait_for(b"no line yet\xff")
    assert relay.tail() == b"no line yet\xff"


def test_raw_bytes_of_several_come_line_by_line(start_relay: Start, reader: Reader) -> None:
    """None comes into a line of another's; an instance's end is the end of its line."""
    plans = [channel_plan(Sink(STREAM, STDOUT), process=name) for name in ("a", "b")]
    relay = start_relay(*plans, stdout=reader.write_fd)
    relay.write(b"one\nno line")
    reader.wait_for(b"one\n")
    relay.write(b"two\n", 1)
    reader.wait_for(b"one\ntwo\n")
    relay.write(b" yet\nlast words")
    reader.wait_for(b"one\ntwo\nno line yet\n")
    relay.command("ended", 0)
    reader.wait_for(b"one\ntwo\nno line yet\nlast words\n")


@pytest.mark.parametrize("form", [JSON, PREFIX])
def test_on_a_terminal(start_relay: Start, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """JSON stays JSON: it has no colours. The names before lines have them."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    ours, theirs = pty.openpty()
    relay = start_relay(channel_plan(Sink(STREAM, STDOUT, form)), stdout=theirs)
    relay.write(b'say "\x1b[1mhi"\n' + b"x" * 9000 + b"\n")
    seen = b""
    while seen.count(b"\n") < 2:
        seen += os.read(ours, 65536)
    first, second, _ = seen.split(b"\r\n")
    if form == JSON:
        assert [json.loads(it)["message"] for it in (first, second)] == [
            'say "\x1b[1mhi"',
            "x" * 9000,
        ]
    else:
        assert first == b'\x1b[36mweb |\x1b[0m say "\x1b[1mhi"'
        assert second.endswith(b"|\x1b[0m " + b"x" * 9000)
    os.close(ours)
    os.close(theirs)


def test_two_programs_are_told_apart(start_relay: Start, reader: Reader) -> None:
    sink = Sink(STREAM, STDOUT, PREFIX)
    plans = channel_plan(sink, process="web"), channel_plan(sink, process="worker")
    relay = start_relay(*plans, stdout=reader.write_fd)
    relay.write(b"hello\nhalf")
    reader.wait_for(b"web    | hello\n")
    relay.write(b"hi\n", 1)
    reader.wait_for(b"web    | hello\nworker | hi\n")
    relay.write(b" a line\n")
    reader.wait_for(b"web    | hello\nworker | hi\nweb    | half a line\n")


def test_several_sinks_each_have_their_form(
    start_relay: Start, reader: Reader, tmp_path: Path
) -> None:
    sinks = Sink(STREAM, STDOUT, JSON), to_file(tmp_path / "log"), to_file(tmp_path / "p", PREFIX)
    relay = start_relay(channel_plan(*sinks), stdout=reader.write_fd)
    relay.write(b"hello\n")
    wait_for_content(tmp_path / "log", b"hello\n")
    wait_for_content(tmp_path / "p", b"web | hello\n")
    entry = json.loads(wait_for(reader.read))
    assert (entry["message"], entry["pid"], entry["channel"]) == ("hello", PID, "stdout")


def test_a_last_line_without_a_newline_is_written_when_the_program_ends(
    start_relay: Start, reader: Reader
) -> None:
    relay = start_relay(channel_plan(Sink(STREAM, STDOUT, PREFIX)), stdout=reader.write_fd)
    relay.write(b"one\nlast words")
    relay.command("ended", 0)
    reader.wait_for(b"web | one\nweb | last words\n")
    relay.write(b"of a grandchild\n")
    reader.wait_for(b"web | one\nweb | last words\nweb | of a grandchild\n")


def test_the_next_instance_is_told_by_its_pid(start_relay: Start, reader: Reader) -> None:
    relay = start_relay(channel_plan(Sink(STREAM, STDOUT, JSON)), stdout=reader.write_fd)
    relay.write(b"old")
    relay.command("ended", 0)
    wait_for(lambda: reader.read().endswith(b"\n"))
    relay.command("started", 0, 999)
    relay.write(b"new\n")
    wait_for(lambda: reader.read().count(b"\n") == 2)
    entries = [json.loads(line) for line in reader.seen.splitlines()]
    assert [(it["message"], it["pid"]) for it in entries] == [("old", PID), ("new", 999)]


def test_an_unfinished_line_is_not_joined_with_the_next_instances_first(
    start_relay: Start, reader: Reader, tmp_path: Path
) -> None:
    """Where output is raw, it stays unfinished until then."""
    plans = channel_plan(
        Sink(STREAM, STDOUT), to_file(tmp_path / "log"), to_file(tmp_path / "p", PREFIX)
    )
    relay = start_relay(plans, stdout=reader.write_fd)
    for pid in (2, 3):
        relay.write(b"one\nlast")
        relay.command("ended", 0)
        wait_for(
            lambda: (tmp_path / "p").exists() and (tmp_path / "p").read_bytes()[-5:] == b"last\n"
        )
        relay.kill()
        relay.start()
        relay.command("started", 0, pid)
        relay.write(b"next\n")
        wait_for(lambda: (tmp_path / "p").read_bytes()[-5:] == b"next\n")
    assert relay.drain() == 0
    assert (tmp_path / "log").read_bytes() == b"one\nlast\nnext\n" * 2
    assert reader.read() == b"one\nlast\nnext\n" * 2


def test_a_file_of_several_gets_a_newline_only_where_a_line_follows(
    start_relay: Start, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    relay = start_relay(*[channel_plan(to_file(log), process=name) for name in ("a", "b")])
    relay.write(b"one")
    relay.command("ended", 0)
    wait_for_content(log, b"one")
    relay.write(b"two\n", 1)
    wait_for_content(log, b"one\ntwo\n")
    for number in range(2):
        relay.write(b"three")
        relay.command("ended", 0)
        wait_for_content(log, b"one\ntwo\n" + b"\n".join([b"three"] * (number + 1)))
    relay.kill()
    relay.start()
    relay.write(b"four\n", 1)
    wait_for_content(log, b"one\ntwo\nthree\nthree\nfour\n")


def relay_behind_a_full_pipe(start_relay: Start, reader: Reader) -> Relay:
    """It holds a line for which there is no room, and the second instance is there."""
    relay = start_relay(channel_plan(Sink(STREAM, STDOUT, JSON)), stdout=reader.write_fd)
    fcntl.fcntl(reader.write_fd, F_SETPIPE_SZ, PIPE_BYTES)  # the relay would make it larger
    while select.select([], [reader.write_fd], [], 0)[1]:
        os.write(reader.write_fd, b"x" * 4095 + b"\n")
    relay.write(b"begun\n")
    wait_for(lambda: relay.tail() == b"begun\n")
    relay.command("started", 0, 11)
    return relay


def test_what_waits_in_a_full_pipe_is_told_apart_by_instances(
    start_relay: Start, reader: Reader
) -> None:
    """Several crash while nobody reads: none's unfinished line is joined with the next one's."""
    relay = relay_behind_a_full_pipe(start_relay, reader)
    for pid in (11, 12, 13):
        relay.write(b"%d" % pid)
        relay.command("ended", 0)
        relay.command("starting", 0, pid)
        wait_for(lambda pid=pid: (0, pid) in relay.marked())  # type: ignore[misc]
        relay.command("started", 0, pid + 1)
        relay.command("reopen")
    relay.write(b"end\n")
    wait_for(lambda: reader.read().endswith(b'"end"}\n'))
    entries = [json.loads(it) for it in reader.seen.splitlines() if it[:1] == b"{"]
    found = [(it["message"], it["pid"]) for it in entries]
    assert found == [("begun", PID), ("11", 11), ("12", 12), ("13", 13), ("end", 14)]


def entries_in(reader: Reader, count: int) -> list[tuple[str, int]]:
    """The messages that have come, as soon as there are so many, each with its pid."""
    wait_for(lambda: reader.read().count(b"\n") >= count, about=f"{count} lines")
    entries = [json.loads(it) for it in reader.seen.splitlines() if it[:1] == b"{"]
    return [(it["message"], it["pid"]) for it in entries]


def test_what_follows_a_birth_is_read_when_it_is_known_whose_it_is(
    start_relay: Start, reader: Reader
) -> None:
    relay = start_relay(channel_plan(Sink(STREAM, STDOUT, JSON)), stdout=reader.write_fd)
    relay.write(b"half")
    relay.command("ended", 0)
    entries_in(reader, 1)
    relay.write(b"of one that was left")
    relay.command("starting", 0, 7)
    wait_for(lambda: relay.marked() == [(0, 7)])
    assert entries_in(reader, 2) == [("half", PID), ("of one that was left", PID)]
    relay.write(b"new")
    assert not relay.is_spinning()
    assert reader.read().count(b"\n") == 2
    relay.command("started", 0, 999)
    relay.command("ended", 0)
    assert entries_in(reader, 3)[2:] == [("new", 999)]


def test_the_first_instance_does_not_wait_and_its_line_is_whole(
    start_relay: Start, reader: Reader
) -> None:
    """It may have written before the relay hears that it is to be."""
    relay = start_relay(channel_plan(Sink(STREAM, STDOUT, JSON)), stdout=reader.write_fd, pid=0)
    wait_for(relay.is_waiting)
    relay.stop()
    relay.write(b"one")
    relay.command("starting", 0, 0)
    os.kill(relay.pid, signal.SIGCONT)
    wait_for(lambda: not relay.has_commands())
    relay.command("started", 0, 999)
    relay.write(b" line\n")
    assert entries_in(reader, 1) == [("one line", 999)]


def test_where_nothing_comes_of_a_birth_what_others_write_comes_through(
    start_relay: Start, reader: Reader
) -> None:
    relay = start_relay(channel_plan(Sink(STREAM, STDOUT, JSON)), stdout=reader.write_fd)
    relay.command("ended", 0)
    relay.command("starting", 0, 1)
    wait_for(relay.marked)
    relay.write(b"of one that was left\n")
    relay.command("ended", 0)
    assert entries_in(reader, 1) == [("of one that was left", PID)]


@pytest.mark.parametrize("with_news", [True, False])
def test_what_waits_in_a_full_pipe_is_told_apart_by_the_next_relay_as_well(
    start_relay: Start, reader: Reader, with_news: bool
) -> None:
    relay = relay_behind_a_full_pipe(start_relay, reader)
    for pid in (11, 12):
        relay.write(b"%d" % pid)
        relay.command("ended", 0)
        relay.command("starting", 0, pid)
        wait_for(lambda pid=pid: (0, pid) in relay.marked())  # type: ignore[misc]
        if with_news or pid == 11:
            relay.command("started", 0, pid + 1)
            wait_for(lambda: not relay.has_commands())
        relay.kill()
        relay.program_pid = relay.last_pid = pid + 1
        relay.start()
        wait_for(relay.is_waiting)
    relay.write(b"13")
    relay.kill()
    relay.program_pid = 0  # it ended while no relay was there
    relay.start()
    relay.command("starting", 0, 14)
    wait_for(lambda: (0, 14) in relay.marked())
    relay.write(b"end\n")
    relay.command("started", 0, 14)
    wait_for(lambda: reader.read().endswith(b'"end"}\n'))
    found = entries_in(reader, 0)
    assert found == [("begun", PID), ("11", 11), ("12", 12), ("13", 13), ("end", 14)]


def test_what_was_written_while_no_relay_was_there_has_an_end(
    start_relay: Start, reader: Reader
) -> None:
    """The first instance has ended before any relay could read a word of it."""
    relay = start_relay(channel_plan(Sink(STREAM, STDOUT, JSON)), stdout=reader.write_fd, pid=0)
    relay.kill()
    relay.last_pid = 11
    relay.write(b"half")
    relay.start()
    assert entries_in(reader, 1) == [("half", 11)]


def test_lines_of_a_message_are_joined(start_relay: Start, reader: Reader) -> None:
    plan = channel_plan(Sink(STREAM, STDOUT, JSON), multiline=r"\d{4}-")
    relay = start_relay(plan, stdout=reader.write_fd)
    relay.write(b"2024- boom\n  at a\n  at b\n2025- next\n")
    wait_for(lambda: reader.read().count(b"\n") == 2)  # the second after a second without more
    messages = [json.loads(line)["message"] for line in reader.seen.splitlines()]
    assert messages == ["2024- boom\n  at a\n  at b", "2025- next"]


def test_escape_sequences_are_left_out_on_request(start_relay: Start, tmp_path: Path) -> None:
    relay = start_relay(channel_plan(to_file(tmp_path / "log"), strip_ansi=True))
    relay.write(b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07plain\n")
    wait_for_content(tmp_path / "log", b"red plain\n")


def test_an_event_in_pieces_is_left_out(start_relay: Start, tmp_path: Path) -> None:
    """Over several lines, too, and when the relay dies in the middle of it."""
    log = tmp_path / "log"
    plan = channel_plan(to_file(log, PREFIX), told_as="web", capture_bytes=100)
    relay = start_relay(plan)
    seen = b""
    event = b"one<!--XSUPERVISOR:BEGIN-->" + b"x\n" * 40_000 + b"x<!--XSUPERVISOR:EN"
    for piece in (event[:14], event[14:27], event[27:-13], event[-13:]):
        relay.write(piece)
        seen += piece
        wait_for(lambda: relay.tail() == seen[-TAIL_BYTES:])  # noqa: B023
        relay.kill()
        relay.start()
    relay.write(b"D--> line\nand <!--XSUPERVISOR:BEGIN-->half")
    wait_for_content(log, b"web | one line\n")
    relay.command("ended", 0)
    wait_for_content(log, b"web | one line\nweb | and \n")
    relay.write(b"<!--XSUPERVISOR:BEG")
    relay.command("ended", 0)
    wait_for_content(log, b"web | one line\nweb | and \nweb | <!--XSUPERVISOR:BEG\n")


def test_lines_over_the_rate_are_dropped_and_told_of(start_relay: Start, tmp_path: Path) -> None:
    relay = start_relay(channel_plan(to_file(tmp_path / "log"), rate_limit=(2, 0.3)))
    relay.write(b"1\n2\n3\n4\n5\n")
    wait_for_content(tmp_path / "log", b"1\n2\ninitpy: 3 lines were dropped: over rate_limit\n")


def test_the_rest_of_a_dropped_line_is_dropped_by_the_next_relay_as_well(
    start_relay: Start, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    plan = channel_plan(to_file(log, PREFIX), rate_limit=(1, 3600.0), max_line=64)
    relay = start_relay(plan)
    relay.write(b"one\n" + b"x" * 100)
    wait_for(lambda: len(relay.tail()) == 104)
    wait_for(relay.is_waiting)  # so it has noted what it has done
    relay.kill()
    relay.start()
    relay.write(b"y" * 100 + b"\ntwo\n")
    wait_for_content(log, b"web | one\nweb | two\n")


def test_a_programs_processes_and_channels_share_its_rate(
    start_relay: Start, reader: Reader
) -> None:
    """And what was dropped last is told of at the end."""
    sink = Sink(STREAM, STDOUT, PREFIX)
    plans = [
        ChannelPlan("web", f"web_{number}", channel, (sink,), rate_limit=(5, 3600.0))
        for number in (0, 1)
        for channel in ("stdout", "stderr")
    ]
    relay = start_relay(*plans, stdout=reader.write_fd)
    for number in range(4):
        relay.write(b"1\n2\n3\n", number)
        wait_for(lambda number=number: relay.tail(number) == b"1\n2\n3\n")  # type: ignore[misc]
    assert relay.drain() == 0
    *kept, told = reader.read().splitlines()
    assert len(kept) == 5
    assert told.endswith(b" | initpy: 7 lines were dropped: over rate_limit")


def test_reopen_goes_on_in_a_new_file(start_relay: Start, tmp_path: Path) -> None:
    relay = start_relay(channel_plan(to_file(tmp_path / "log")))
    relay.write(b"one\n")
    wait_for_content(tmp_path / "log", b"one\n")
    (tmp_path / "log").rename(tmp_path / "moved")
    relay.command("reopen")
    relay.write(b"two\n")
    assert relay.drain() == 0
    assert (tmp_path / "moved").read_bytes() == b"one\n"
    assert (tmp_path / "log").read_bytes() == b"two\n"


def test_a_flood_is_rotated_within_the_limit_and_compressed(
    start_relay: Start, tmp_path: Path
) -> None:
    sink = to_file(tmp_path / "log", max_bytes=1_000_000, backups=50, gzips=False)
    relay = start_relay(channel_plan(sink))
    raw = numbered(0, 200_000)
    relay.write(raw)
    assert relay.drain() == 0
    files = sorted(tmp_path.glob("log.*"), key=lambda it: -int(it.suffix[1:]))
    contents = [it.read_bytes() for it in [*files, tmp_path / "log"]]
    assert len(contents) > 5
    assert b"".join(contents) == raw
    assert max(map(len, contents)) <= 1_000_000
    assert all(content.endswith(b"\n") for content in contents)


# ---------------------------------------------------------------- the tail


def test_the_tail_has_the_last_bytes_and_outlives_the_relay(
    start_relay: Start, reader: Reader
) -> None:
    relay = start_relay(channel_plan(Sink(STREAM, STDOUT)), stdout=reader.write_fd)
    raw = numbered(0, 5000)
    for at in range(0, len(raw), 9999):
        relay.write(raw[at : at + 9999])
        reader.wait_for(raw[: at + 9999])
    relay.kill()
    assert relay.tail() == raw[-TAIL_BYTES:]
    tail = Tail(relay.memory_fd, 0)
    assert tail.read(since=len(raw) - 10) == (raw[-10:], len(raw))
    assert tail.read(since=len(raw)) == (b"", len(raw))


def test_a_tail_that_is_read_in_a_flood_is_a_run_of_it(start_relay: Start, tmp_path: Path) -> None:
    relay = start_relay(
        channel_plan(Sink(STREAM, STDOUT)), stdout=os.open("/dev/null", os.O_WRONLY)
    )
    raw = b"".join([b"%07d\n" % number for number in range(100_000)])
    writer = os.fork()
    if writer == 0:
        while True:
            relay.write(raw)
    tail = Tail(relay.memory_fd, 0)
    looks = 0
    try:
        while looks < 100:
            run, total = tail.read()
            begin = (total - len(run)) % len(raw)
            assert run == (raw + raw)[begin : begin + len(run)]
            looks += bool(run)
    finally:
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)


# ---------------------------------------------------------------- sinks that stall


def test_a_stalled_stdout_holds_back_only_what_feeds_it(
    start_relay: Start, reader: Reader, tmp_path: Path
) -> None:
    stuck = channel_plan(Sink(STREAM, STDOUT, PREFIX), process="stuck")
    free = channel_plan(to_file(tmp_path / "log"), process="free")
    relay = start_relay(stuck, free, stdout=reader.write_fd)
    os.set_blocking(relay.pipes[0][1], False)
    raw = numbered(0, 100_000)
    written = 0
    due_at = time.monotonic() + 1.0
    while time.monotonic() < due_at:  # until the program would have to wait
        try:
            written += os.write(relay.pipes[0][1], raw[written : written + 65536])
        except BlockingIOError:
            if written > 300_000 and not _has_room(relay.pipes[0][1]):
                break
    relay.write(b"free\n", 1)
    wait_for_content(tmp_path / "log", b"free\n")
    assert written < 2_500_000  # nobody takes it, and memory is bounded
    reader.wait_for(b"".join([b"stuck | " + it + b"\n" for it in raw[:written].split(b"\n")[:-1]]))


def _has_room(fd: int) -> bool:
    return bool(select.select([], [fd], [], 0.05)[1])


def test_lines_of_two_floods_do_not_cut_into_each_other(start_relay: Start, reader: Reader) -> None:
    """A full pipe takes a part of what it is given: what follows is the rest of that, and nothing
    of another's."""
    sink = Sink(STREAM, STDOUT, PREFIX)
    plans = [channel_plan(sink, process=name) for name in ("a", "b")]
    relay = start_relay(*plans, stdout=reader.write_fd)
    floods = [numbered(0, 40_000, "a"), numbered(0, 40_000, "b")]
    writers = []
    for which, raw in enumerate(floods):
        writers.append(os.fork())
        if writers[-1] == 0:
            relay.write(raw, which)
            os._exit(0)
    wait_for(lambda: reader.read().count(b"\n") == 80_000)
    for pid in writers:
        os.waitpid(pid, 0)
    for name, raw in zip((b"a", b"b"), floods, strict=True):
        lines = [line for line in reader.seen.splitlines() if line.startswith(name + b" | ")]
        assert lines == [name + b" | " + line for line in raw.splitlines()]


def test_whose_sink_is_stalled_is_not_read_before_its_turn(
    start_relay: Start, reader: Reader, tmp_path: Path
) -> None:
    """Hundreds of channels that each held a step would be memory."""
    sink = Sink(STREAM, STDOUT, PREFIX)
    plans = (
        channel_plan(sink),
        channel_plan(sink, process="late"),
        channel_plan(to_file(tmp_path / "log"), process="file"),
    )
    relay = start_relay(*plans, stdout=reader.write_fd)
    os.set_blocking(relay.pipes[0][1], False)
    raw = numbered(0, 100_000)
    at = 0
    while _has_room(relay.pipes[0][1]) or _has_room(reader.write_fd):
        with contextlib.suppress(BlockingIOError):
            at += os.write(relay.pipes[0][1], raw[at : at + 4096])
    relay.write(b"hello\n", 1)
    relay.write(b"seen\n", 2)
    wait_for_content(tmp_path / "log", b"seen\n")  # so the relay has looked at the other as well
    waiting = array.array("i", [0])
    fcntl.ioctl(relay.pipes[1][0], FIONREAD, waiting)
    assert waiting[0] == len(b"hello\n")
    wait_for(lambda: b"late | hello\n" in reader.read())
    wait_for(lambda: reader.read().count(b"web  | ") == raw[:at].count(b"\n"))
    assert relay.drain() == 0
    assert relay.tail(1) == b"hello\n"


def test_with_drop_the_program_never_waits_and_what_is_lost_is_counted(
    start_relay: Start, reader: Reader
) -> None:
    plan = channel_plan(Sink(STREAM, STDOUT, PREFIX, drops=True))
    relay = start_relay(plan, stdout=reader.write_fd)
    raw = numbered(0, 100_000)
    relay.write(raw)  # would hang
    wait_for(lambda: Tail(relay.memory_fd, 0).total() == len(raw))
    reader.read()
    relay.write(b"the end\n")
    wait_for(lambda: reader.read().endswith(b"web | the end\n"))
    told = re.findall(rb"^web \| initpy: (\d+) lines were dropped: .*\n", reader.seen, re.MULTILINE)
    lines = set(reader.seen.splitlines()) & {b"web | " + line for line in raw.splitlines()}
    assert len(reader.seen.splitlines()) == len(lines) + len(told) + 1  # none is torn
    assert len(lines) + sum(map(int, told)) == 100_000


@pytest.mark.parametrize("end", [("drain", 30.0), ("leave",), ("close", 0)])
def test_what_was_dropped_last_is_told_in_the_log(
    start_relay: Start, reader: Reader, end: tuple[object, ...]
) -> None:
    """No other line follows, among which it would be told."""
    plan = channel_plan(Sink(STREAM, STDOUT, PREFIX, drops=True))
    relay = start_relay(plan, stdout=reader.write_fd)
    raw = numbered(0, 20_000)
    relay.write(raw)
    wait_for(lambda: Tail(relay.memory_fd, 0).total() == len(raw))
    wait_for(relay.is_waiting)
    relay.command(*end)
    (message,) = wait_for(relay.messages)
    told = re.fullmatch(
        r"(\d+) lines of 'web' on stdout were dropped: they came quicker than they went", message
    )
    assert told
    assert int(told[1]) + reader.read().count(b"\n") == 20_000


def test_a_reader_that_goes_away_stalls_nobody(start_relay: Start, reader: Reader) -> None:
    relay = start_relay(channel_plan(Sink(STREAM, STDOUT)), stdout=reader.write_fd)
    reader.close()
    relay.write(numbered(0, 100_000))
    wait_for(lambda: any("nobody reads stdout" in it for it in relay.messages()))
    assert relay.drain() == 0


def test_a_full_disk_is_said_once_and_so_is_its_end(tmp_path: Path, why_no_namespace: str) -> None:
    """In a mount namespace of its own, with a file system of 1 MB."""
    if why_no_namespace:
        skip_or_fail("namespace", why_no_namespace)
    command = ["unshare", "-m", sys.executable, "-m", "tests.logs.full_disk", str(tmp_path)]
    ran = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    blocked, dropped = json.loads(ran.stdout)
    assert [re.sub(r"[\d.]+ s", "N s", it) for it in blocked["messages"]] == [
        f"cannot write to {tmp_path}/disk/log: No space left on device; trying on",
        f"can write to {tmp_path}/disk/log again after N s: nothing was lost",
    ]
    assert blocked["missing"] == 0
    assert len(dropped["messages"]) == 2
    lost = re.search(r"again after [\d.]+ s: (\d+) lines were lost", dropped["messages"][1])
    assert lost
    assert int(lost[1]) == dropped["missing"] > 0


def test_a_line_of_somebody_else_comes_between_lines(start_relay: Start, reader: Reader) -> None:
    """Whoever writes to the same pipe while it is full now and then, as initpy itself does."""
    relay = start_relay(channel_plan(Sink(STREAM, STDOUT, PREFIX)), stdout=reader.write_fd)
    writer = Writer(relay, numbered(0, 60_000), [10_000])
    other = os.open(f"/proc/self/fd/{reader.write_fd}", os.O_WRONLY | os.O_NONBLOCK)
    others = 0
    try:
        while b"| 00059999" not in reader.seen[-40_000:]:
            if select.select([], [other], [], 0)[1]:
                with contextlib.suppress(BlockingIOError):
                    others += bool(os.write(other, b"other %s\n" % (b"y" * (others % 3000))))
            if select.select([reader.fd], [], [], 0.1)[0]:
                reader.seen += os.read(reader.fd, 9_999)
    finally:
        writer.close()
        os.close(other)
    lines = reader.read().splitlines()
    assert len(lines) == 60_000 + others
    assert sum(re.fullmatch(rb"other y*", line) is not None for line in lines) == others > 100
    assert sum(re.fullmatch(rb"web \| \d{8} x*", line) is not None for line in lines) == 60_000


def test_a_full_disk_behind_stdout_is_said_once(start_relay: Start, tmp_path: Path) -> None:
    """Of a file or a device, epoll does not tell when there is room."""
    full_fd = os.open("/dev/full", os.O_WRONLY)
    plans = channel_plan(Sink(STREAM, STDOUT, PREFIX)), channel_plan(to_file(tmp_path / "log"))
    relay = start_relay(*plans, stdout=full_fd)
    os.close(full_fd)
    relay.write(b"one\n")
    wait_for(relay.messages)
    relay.write(b"two\n", 1)
    wait_for_content(tmp_path / "log", b"two\n")
    assert relay.drain(1.2) == OUT_OF_TIME
    assert relay.messages() == ["cannot write to stdout: No space left on device; trying on"]


def test_dev_full_is_said_once(start_relay: Start, tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    full = channel_plan(to_file(tmp_path / "full"), to_file(tmp_path / "log"))
    relay = start_relay(full)
    relay.write(b"one\n")
    wait_for_content(tmp_path / "log", b"one\n")
    assert relay.drain(1.2) == 3
    assert len(relay.messages()) == 1


# ---------------------------------------------------------------- syslog


@pytest.mark.parametrize("transport", ["unix", "udp", "tcp"])
def test_syslog_gets_each_line(start_relay: Start, tmp_path: Path, transport: str) -> None:
    family = socket.AF_UNIX if transport == "unix" else socket.AF_INET
    kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family, kind) as server:
        server.settimeout(15)
        if transport == "unix":
            server.bind(str(tmp_path / "socket"))
            address = f"unix:{tmp_path}/socket"
        else:
            server.bind(("127.0.0.1", 0))
            address = f"{transport}:localhost:{server.getsockname()[1]}"
            if transport == "tcp":
                server.listen()
        relay = start_relay(channel_plan(Sink(SYSLOG, address.encode())))
        relay.write(b"one\ntwo\n")
        if transport == "tcp":
            with server.accept()[0] as connection:
                raw = b""
                while raw.count(b" - - ") < 2 or not raw.endswith(b"two"):
                    raw += connection.recv(1000)
            assert re.fullmatch(rb"\d+ <14>1 .* - - one\d+ <14>1 .* - - two", raw)
        else:
            messages = [server.recv(1000), server.recv(1000)]
            assert [it.rpartition(b" - - ")[2] for it in messages] == [b"one", b"two"]
            assert re.match(rb"<14>1 \d{4}-\d\d-\d\dT[\d:]+\.\d{6}Z \S+ web 4711 - - ", messages[0])


def test_a_syslog_server_that_comes_back_gets_what_waited(
    start_relay: Start, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    relay = start_relay(channel_plan(Sink(SYSLOG, f"unix:{path}".encode())))
    relay.write(b"one\n")
    wait_for(relay.messages)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(path))
        server.settimeout(15)
        assert server.recv(1000).endswith(b"one")
    wait_for(lambda: len(relay.messages()) == 2)
    assert "is there again" in relay.messages()[1]


# ---------------------------------------------------------------- fairness


def test_a_flood_does_not_hold_up_the_line_of_another(start_relay: Start, tmp_path: Path) -> None:
    """Told without a clock: while a flood is on, another's line arrives, and the flood goes on."""
    flood = channel_plan(to_file(tmp_path / "flood", max_bytes=10**6, backups=1), process="flood")
    calm = channel_plan(to_file(tmp_path / "calm"), process="calm")
    relay = start_relay(flood, calm)
    writer = os.fork()
    if writer == 0:
        while True:
            relay.write(b"x" * 119 + b"\n")
    try:
        seen = Tail(relay.memory_fd, 0)
        wait_for(lambda: seen.total() > 10**6)
        for number in range(20):
            before = seen.total()
            relay.write(b"%d\n" % number, 1)
            wait_for_content(
                tmp_path / "calm", b"".join([b"%d\n" % it for it in range(number + 1)])
            )
            assert seen.total() - before < 200 * 10**6
    finally:
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)


@pytest.mark.parametrize("drops", [False, True])
def test_many_small_files_do_not_hold_up_the_line_of_another(
    start_relay: Start, tmp_path: Path, drops: bool
) -> None:
    """Told without a clock: at each of its lines, the other has hardly gone on. Nothing is lost or
    dropped by that, even if the relay is killed."""
    (tmp_path / "many").mkdir()
    log = tmp_path / "many" / "log"
    small = to_file(log, max_bytes=100, backups=1000, drops=drops)
    relay = start_relay(
        channel_plan(small), channel_plan(to_file(tmp_path / "calm"), process="calm")
    )
    raw = b"".join([b"%089d\n" % number for number in range(150)])
    relay.write(raw)
    calm = b""
    for number in range(5):
        wait_for(log.exists)
        size = len(os.listdir(log.parent))
        calm += b"%d\n" % number
        relay.write(calm[-2:], 1)
        wait_for_content(tmp_path / "calm", calm)
        assert len(os.listdir(log.parent)) - size < 50
        if not drops:
            relay.kill()
            relay.start()
    assert relay.drain() == 0
    assert b"".join([it.read_bytes() for it in oldest_first(log.parent)]) == raw


# ---------------------------------------------------------------- death of the relay


A_HUNDRED_KILLS = (("file", RAW), ("rotated", JSON), ("pipe", PREFIX))
"""For the other ways that lines may go, some thirty do."""


@pytest.mark.parametrize("form", [RAW, PREFIX, JSON])
@pytest.mark.parametrize("where", ["file", "rotated", "pipe"])
def test_a_killed_relay_loses_nothing(
    start_relay: Start, tmp_path: Path, where: str, form: str
) -> None:
    """In a flood, many times. What is repeated is counted: to a file, nothing; to a pipe, at most
    what a killed relay was about to note. No line is torn."""
    kills = 100 if (where, form) in A_HUNDRED_KILLS else 30
    cat = None
    if where == "pipe":
        with (tmp_path / "log").open("wb") as out:
            cat = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=out)
        assert cat.stdin
        relay = start_relay(channel_plan(Sink(STREAM, STDOUT, form)), stdout=cat.stdin.fileno())
    else:
        options = {"max_bytes": 300_000, "backups": 1000} if where == "rotated" else {}
        relay = start_relay(channel_plan(to_file(tmp_path / "log", form, **options)))
    count = 4_000 * kills
    random.seed(1)
    pieces = [random.randrange(1, 30_000) for _ in range(10_000)]
    writer = Writer(relay, numbered(0, count), pieces)
    tail = Tail(relay.memory_fd, 0)
    try:
        for _ in range(kills):
            before = tail.total()

            def has_gone_on(before: int = before) -> bool:
                return tail.total() > before or writer.has_ended()

            wait_for(has_gone_on, within_s=60)
            deadline = time.monotonic() + random.random() * 0.003
            while time.monotonic() < deadline:
                pass
            relay.kill()
            relay.start()
        wait_for(writer.has_ended, within_s=60)
    finally:
        writer.close()
    assert relay.drain() == 0
    if cat:
        cat.communicate()
    text = b"".join([path.read_bytes() for path in oldest_first(tmp_path)])
    lines = re.findall(rb'(?:web \| |"message":"|^)(\d{8}) (x*)(?:"})?$', text, re.MULTILINE)
    assert {int(number): len(xs) for number, xs in lines} == {it: it % 90 for it in range(count)}
    repeated = len(lines) - count
    assert repeated <= (0 if where != "pipe" else kills * READ_BYTES // 55)
    if where != "pipe":
        assert len(lines) == text.count(b"\n")
    sys.stdout.write(f"{where} {form}: {repeated} lines of {count} repeated by {kills} kills\n")


def oldest_first(folder: Path) -> list[Path]:
    """The files of a rotated log."""
    backups = sorted(folder.glob("log.*"), key=lambda it: -int(it.suffix[1:]))
    return [*backups, folder / "log"]


class Writer:
    """A program that writes; it is over at the end of the test, whatever happens."""

    def __init__(self, relay: Relay, raw: bytes, pieces: list[int]) -> None:
        self._pid = os.fork()
        if self._pid == 0:
            at = number = 0
            while at < len(raw):
                piece = pieces[number % len(pieces)]
                at += os.write(relay.pipes[0][1], raw[at : at + piece])
                number += 1
            os._exit(0)

    def has_ended(self) -> bool:
        return _has_ended(self._pid)

    def close(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


@pytest.mark.parametrize("form", [RAW, PREFIX, JSON])
def test_a_relay_that_is_killed_while_its_sink_is_stalled_loses_and_repeats_nothing(
    start_relay: Start, reader: Reader, form: str
) -> None:
    plan = channel_plan(Sink(STREAM, STDOUT, form))
    relay = start_relay(plan, stdout=reader.write_fd)
    raw = numbered(0, 60_000)
    at = 0
    os.set_blocking(relay.pipes[0][1], False)
    while at < len(raw):
        try:
            at += os.write(relay.pipes[0][1], raw[at : at + 50_000])
            continue
        except BlockingIOError:
            pass
        if not _has_room(relay.pipes[0][1]) and relay.is_waiting():
            relay.kill()
            relay.start()
            if select.select([reader.fd], [], [], 0)[0]:
                reader.seen += os.read(reader.fd, 70_001)
    wait_for(lambda: len(re.findall(rb"\d{8} x*", reader.read())) >= 60_000)
    assert relay.drain() == 0
    numbers = [int(it) for it in re.findall(rb"(?<!\d)(\d{8}) x*", reader.read())]
    assert numbers == list(range(60_000))


def test_a_half_line_outlives_the_relay(start_relay: Start, tmp_path: Path) -> None:
    relay = start_relay(channel_plan(to_file(tmp_path / "log", PREFIX)))
    relay.write(b"one ha")
    wait_for(lambda: relay.tail() == b"one ha")
    relay.kill()
    relay.start()
    relay.write(b"lf\n")
    wait_for_content(tmp_path / "log", b"web | one half\n")


def test_what_was_read_and_not_yet_noted_is_found(start_relay: Start, tmp_path: Path) -> None:
    """The narrowest place: the bytes are out of the pipe, and the relay could say nothing."""
    from initpy.logs.memory import Memory

    relay = start_relay(channel_plan(to_file(tmp_path / "log", PREFIX)))
    relay.write(b"ha")
    wait_for(lambda: relay.tail() == b"ha")
    relay.command("leave")  # in its own time, so that this is noted
    relay.wait()
    memory = Memory(relay.memory_fd, 1)
    memory.desk[:2] = b"ha"
    memory.begin_read(0, 2, 4)
    memory.desk[2:6] = b"lf!\n"  # as read() does
    relay.start()
    wait_for_content(tmp_path / "log", b"web | half!\n")


def test_a_read_that_was_begun_and_never_took_place_is_not_made_up(
    start_relay: Start, tmp_path: Path
) -> None:
    from initpy.logs.memory import Memory

    relay = start_relay(channel_plan(to_file(tmp_path / "log", PREFIX)))
    relay.kill()
    Memory(relay.memory_fd, 1).begin_read(0, 0, 4)
    relay.start()
    relay.write(b"one\n")
    wait_for_content(tmp_path / "log", b"web | one\n")


def test_a_signal_to_everyone_does_not_end_the_relay(start_relay: Start, tmp_path: Path) -> None:
    relay = start_relay(channel_plan(to_file(tmp_path / "log")))
    relay.write(b"one\n")
    wait_for_content(tmp_path / "log", b"one\n")
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(relay.pid, signum)
    relay.write(b"two\n")
    wait_for_content(tmp_path / "log", b"one\ntwo\n")


def test_the_relay_ends_when_pid1_is_gone(start_relay: Start, tmp_path: Path) -> None:
    relay = start_relay(channel_plan(to_file(tmp_path / "log")))
    relay.hang_up()
    assert relay.wait() == LEFT


def test_the_relay_leaves_when_it_is_asked_to(start_relay: Start, tmp_path: Path) -> None:
    relay = start_relay(channel_plan(to_file(tmp_path / "log")))
    relay.command("leave")
    assert relay.wait() == LEFT


def test_what_comes_after_it_was_asked_to_leave_is_for_the_next(
    start_relay: Start, reader: Reader
) -> None:
    """Which may have another plan."""
    relay = start_relay(channel_plan(Sink(STREAM, STDOUT, PREFIX)), stdout=reader.write_fd)
    wait_for(relay.is_waiting)
    relay.stop()
    relay.command("leave")
    relay.write(b"one\n")
    os.kill(relay.pid, signal.SIGCONT)
    assert relay.wait() == LEFT
    relay.plans = (channel_plan(Sink(STREAM, STDOUT, JSON)),)
    relay.start()
    assert entries_in(reader, 1) == [("one", PID)]


def test_a_flooded_pipe_is_made_larger(start_relay: Start, tmp_path: Path) -> None:
    relay = start_relay(channel_plan(to_file(tmp_path / "log")))
    assert fcntl.fcntl(relay.pipes[0][1], 1032) == 65536
    relay.write(b"x" * 20_000_000)
    wait_for(lambda: fcntl.fcntl(relay.pipes[0][1], 1032) > 65536)
