"""Rotation: at line ends, within the limit, and nothing torn or lost."""

from __future__ import annotations

import gzip
import os
import random
import signal
from itertools import pairwise
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initpy.logs.files import LogFile, ShortWriteError
from tests.support import children, wait_for

if TYPE_CHECKING:
    from pathlib import Path

LINES = st.lists(st.binary(max_size=30).map(lambda it: it.replace(b"\n", b"") + b"\n"), max_size=40)


def rotated(path: Path) -> list[bytes]:
    """The contents, the oldest first."""
    backups = sorted(path.parent.glob("log.*"), key=lambda it: -int(it.name.split(".")[1]))
    files = [*backups, path]
    return [
        gzip.decompress(it.read_bytes()) if it.suffix == ".gz" else it.read_bytes()
        for it in files
        if it.exists()
    ]


def write_all(file: LogFile, raw: bytes, start: int, end: int) -> int:
    """How often that had to be begun anew."""
    pauses = 0
    while (start := start + file.write(raw, start, end)) < end:
        pauses += 1
    return pauses


@given(lines=LINES, max_bytes=st.integers(1, 60), batches=st.integers(1, 7))
def test_all_files_together_are_the_input(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], max_bytes: int, batches: int
) -> None:
    path = tmp_path_factory.mktemp("rotation") / "log"
    file = LogFile(os.fsencode(path), max_bytes, 60)
    for number in range(0, len(lines), batches):
        raw = b"".join(lines[number : number + batches])
        write_all(file, b"??" + raw + b"??", 2, 2 + len(raw))
    contents = rotated(path)
    assert b"".join(contents) == b"".join(lines)
    for content in contents:
        assert len(content) <= max_bytes or content.count(b"\n") == 1
        assert content.endswith(b"\n") or not content
    for older, newer in pairwise(contents):
        first = newer[: newer.find(b"\n") + 1]
        assert len(older) + len(first) > max_bytes  # it was not rotated before it had to be
    file.reopen()


def test_only_so_many_backups_are_kept(tmp_path: Path) -> None:
    file = LogFile(os.fsencode(tmp_path / "log"), 4, 2)
    for line in (b"one\n", b"two\n", b"thr\n", b"fou\n"):
        file.write(line, 0, 4)
    assert rotated(tmp_path / "log") == [b"two\n", b"thr\n", b"fou\n"]


def test_no_write_changes_more_names_than_it_may(tmp_path: Path) -> None:
    """However many files there are; and it is gone on with where it was."""
    path = tmp_path / "log"
    file = LogFile(os.fsencode(path), 8, 150)
    raw = b"".join([b"line %d\n" % (number % 10) for number in range(170)])
    with patch("posix.rename", wraps=os.rename) as rename:
        at = 0
        while at < len(raw):
            before = rename.call_count
            at += file.write(raw, at, len(raw))
            assert rename.call_count - before <= 200
    assert b"".join(rotated(path)) == raw[-151 * 7 :]
    assert len(list(tmp_path.iterdir())) == 151


def test_a_rotation_that_goes_wrong_is_gone_on_with(tmp_path: Path) -> None:
    """No other old file is given up for it."""
    path = tmp_path / "log"
    file = LogFile(os.fsencode(path), 8, 5)
    for number in range(6):
        file.write(b"line %d\n" % number, 0, 7)
    rename, fails = os.rename, [path.with_suffix(".2")]

    def failing(old: bytes, new: bytes) -> None:
        if os.fsdecode(old) == str(path.with_suffix(".2")) and fails:
            fails.clear()
            raise OSError(28, "No space left on device")
        rename(old, new)

    with patch("posix.rename", failing), pytest.raises(ShortWriteError):
        file.write(b"line 6\n", 0, 7)
    file.write(b"line 6\n", 0, 7)
    assert rotated(path) == [b"line %d\n" % number for number in range(1, 7)]


def test_without_backups_what_was_written_is_gone(tmp_path: Path) -> None:
    file = LogFile(os.fsencode(tmp_path / "log"), 8, 0)
    file.write(b"one\ntwo\nthr\n", 0, 12)
    assert rotated(tmp_path / "log") == [b"thr\n"]


def test_a_file_that_is_there_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"old\n")
    file = LogFile(os.fsencode(path), 8, 1)
    file.write(b"new\nmore\n", 0, 9)
    assert rotated(path) == [b"old\nnew\n", b"more\n"]


def test_a_file_that_was_moved_away_is_reopened_on_request(tmp_path: Path) -> None:
    path = tmp_path / "log"
    file = LogFile(os.fsencode(path))
    file.write(b"one\n", 0, 4)
    path.rename(tmp_path / "moved")
    file.write(b"two\n", 0, 4)
    file.reopen()
    file.write(b"thr\n", 0, 4)
    assert (tmp_path / "moved").read_bytes() == b"one\ntwo\n"
    assert path.read_bytes() == b"thr\n"


def test_old_files_are_compressed_and_keep_their_order(tmp_path: Path) -> None:
    path = tmp_path / "log"
    file = LogFile(os.fsencode(path), 8, 5, gzips=True)
    for number in range(10, 16):
        file.write(b"line %d\n" % number, 0, 8)

    def is_packed() -> bool:
        file.look_after_packer()
        return not file.is_packing

    wait_for(is_packed)
    names = sorted(it.name for it in tmp_path.iterdir())
    assert names == ["log", "log.1.gz", "log.2.gz", "log.3.gz", "log.4.gz", "log.5.gz"]
    assert rotated(path) == [b"line %d\n" % number for number in range(10, 16)]


def test_what_another_relay_has_left_is_compressed_and_its_leavings_removed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log"
    for number in (1, 2):
        (tmp_path / f"log.{number}").write_bytes(b"line %d\n" % number)
    (tmp_path / "log.gz.4711.tmp").write_bytes(b"torn")
    (tmp_path / "log.gz.mine.tmp").write_bytes(b"a file of somebody else's")
    file = LogFile(os.fsencode(path), 8, 5, gzips=True)

    def is_packed() -> bool:
        file.look_after_packer()
        return not file.is_packing

    wait_for(is_packed)
    names = sorted(it.name for it in tmp_path.iterdir())
    assert names == ["log.1.gz", "log.2.gz", "log.gz.mine.tmp"]
    assert gzip.decompress((tmp_path / "log.2.gz").read_bytes()) == b"line 2\n"


def test_a_packer_that_dies_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """As the OOM killer would have it: half a .gz never takes the place of the whole file."""
    path = tmp_path / "log"
    random.seed(1)
    raw = random.randbytes(40_000_000)
    (tmp_path / "log.1").write_bytes(raw)
    others = children(os.getpid())
    file = LogFile(os.fsencode(path), 8, 5, gzips=True)
    file.look_after_packer()
    (packer,) = set(children(os.getpid())) - set(others)
    wait_for(lambda: [it for it in tmp_path.glob("log.gz.*.tmp") if it.stat().st_size])
    os.kill(packer, signal.SIGKILL)

    def is_over() -> bool:
        file.look_after_packer()
        return not file.is_packing

    wait_for(is_over)
    assert [it.name for it in tmp_path.iterdir()] == ["log.1"]
    assert (tmp_path / "log.1").read_bytes() == raw


def test_a_file_that_is_given_up_leaves_nothing_half_done(tmp_path: Path) -> None:
    random.seed(1)
    (tmp_path / "log.1").write_bytes(random.randbytes(40_000_000))
    others = children(os.getpid())
    file = LogFile(os.fsencode(tmp_path / "log"), 8, 5, gzips=True)
    file.look_after_packer()
    wait_for(lambda: list(tmp_path.glob("log.gz.*.tmp")))
    file.close()
    assert not set(children(os.getpid())) - set(others)
    assert [it.name for it in tmp_path.iterdir()] == ["log.1"]


def test_what_was_compressed_when_the_plan_was_another_is_rotated_as_well(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"three\n")
    (tmp_path / "log.1.gz").write_bytes(gzip.compress(b"two\n"))
    (tmp_path / "log.2.gz").write_bytes(gzip.compress(b"one\n"))
    file = LogFile(os.fsencode(path), 8, 3)
    file.write(b"four\n", 0, 5)
    assert rotated(path) == [b"one\n", b"two\n", b"three\n", b"four\n"]
    file.write(b"fifth\n", 0, 6)
    assert rotated(path) == [b"two\n", b"three\n", b"four\n", b"fifth\n"]


def test_a_link_in_the_place_of_a_generated_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(tmp_path / "secret")
    with pytest.raises(ShortWriteError):
        LogFile(os.fsencode(tmp_path / "log"), is_generated=True).write(b"one\n", 0, 4)
    (tmp_path / "log").unlink()
    LogFile(os.fsencode(tmp_path / "log"), is_generated=True).write(b"one\n", 0, 4)
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_says_how_much_was_written() -> None:
    file = LogFile(b"/dev/full", 100, 1)
    with pytest.raises(ShortWriteError) as raised:
        file.write(b"one\n", 0, 4)
    assert raised.value.written == 0


def test_a_device_is_not_rotated(tmp_path: Path) -> None:
    link = tmp_path / "log"
    link.symlink_to("/dev/null")
    file = LogFile(os.fsencode(link), 4, 1)
    assert file.write(b"one\ntwo\n", 0, 8) == 8
    assert [it.name for it in tmp_path.iterdir()] == ["log"]
