"""The table of `initpy status`, and the numbers in it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from initpy.core.states import State
from initpy.ctl.table import Look, cut, lines, size, span
from initpy.ctl.trees import Trees, Usage, cpu_percent, usages
from tests.support import probe, wait_for

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_700_000_000


def info(**changes: Any) -> dict[str, Any]:
    it = {"name": "web", "group": "web", "state": State.RUNNING, "statename": "RUNNING", "pid": 7}
    it |= {"start": NOW - 3725, "stop": 0, "now": NOW, "restarts": 0, "why": ""}
    return it | changes


STOPPED = {"state": State.STOPPED, "statename": "STOPPED", "pid": 0}
DEAD = {"state": State.FATAL, "statename": "FATAL", "pid": 0}


def test_the_table() -> None:
    look = Look(
        (
            info(),
            info(name="api", group="app", pid=1234, restarts=12, start=NOW - 90061,
                 stop=NOW - 90062, why="terminated by SIGKILL"),
            info(name="once", group="once", start=0, **STOPPED),
            info(name="bad", group="bad", stop=NOW - 5, restarts=3, why="exit status 3", **DEAD),
        ),
        {7: Usage(37.25, 100.0, 20 * 2**20, 3)},
        3825.0,
    )  # fmt: skip
    assert lines(look, None, colours=False) == [
        "NAME     STATE     PID  UPTIME  RESTARTS   CPU  MEMORY  LAST EXIT",
        "web      RUNNING     7    1h2m         0  1.0%   20.0M  -",
        "app:api  RUNNING  1234    1d1h        12     -       -  terminated by SIGKILL, 1d1h ago",
        "once     STOPPED     -       -         0     -       -  -",
        "bad      FATAL       -       -         3     -       -  exit status 3, 5s ago",
    ]


def test_colours_change_nothing_else() -> None:
    look = Look((info(), info(**DEAD)), {}, 0.0)
    plain, coloured = (lines(look, None, colours=it) for it in (False, True))
    import re

    assert [re.sub("\x1b\\[[0-9]+m", "", line).rstrip() for line in coloured] == plain
    assert "\x1b[32mRUNNING\x1b[0m" in coloured[1]
    assert "\x1b[31mFATAL  \x1b[0m" in coloured[2]
    assert "\x1b" not in "".join(plain)


def test_a_line_is_cut_where_the_terminal_ends() -> None:
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdef", 5) == "abcd…"
    assert cut("a\x1b[32mbc\x1b[0mdef", 6) == "a\x1b[32mbc\x1b[0mdef"
    assert cut("a\x1b[32mbc\x1b[0mdef", 3) == "a\x1b[32mb\x1b[0m…"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0, "0s"), (59, "59s"), (60, "1m"), (200, "3m20s"), (3600, "1h"), (3661, "1h1m"),
     (90000, "1d1h"), (86400 + 59, "1d"), (10 * 86400 + 3600, "10d1h")],
)  # fmt: skip
def test_spans(seconds: int, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [(0, "0K"), (2048, "2K"), (999 * 1024, "999K"), (1000 * 1024, "1.0M"), (20 * 2**20, "20.0M"),
     (150 * 2**20, "150M"), (2**30, "1.0G"), (5000 * 2**30, "5000G")],
)  # fmt: skip
def test_sizes(bytes_: int, text: str) -> None:
    assert size(bytes_) == text


def test_cpu_is_that_since_the_look_before_or_else_since_the_start() -> None:
    now = Usage(6.0, 100.0, 0, 1)
    assert cpu_percent(now, 110.0, None, 0.0) == pytest.approx(60)
    assert cpu_percent(now, 110.0, Usage(5.5, 100.0, 0, 1), 108.0) == pytest.approx(25)
    another = Usage(900.0, 50.0, 0, 1)  # the pid was another's then
    assert cpu_percent(now, 110.0, another, 108.0) == pytest.approx(60)
    fewer = Usage(50.0, 100.0, 0, 9)  # children have ended, and took their time with them
    assert cpu_percent(now, 110.0, fewer, 108.0) == 0


def test_a_tree_is_a_process_with_all_that_descends_from_it() -> None:
    """Against what the kernel says of each."""
    script = (
        "import subprocess, sys\nx = bytearray(30_000_000)\nx[::4096] = b'x' * len(x[::4096])\n"
    )
    script += "c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'])\n"
    script += "print(c.pid, flush=True)\nc.wait()"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        try:
            trees, found = usages([parent.pid, child, os.getpid(), 2**22 + 1])
            assert trees is not None
            assert set(found) == {parent.pid, child, os.getpid()}
            assert found[parent.pid].count == 2
            assert found[parent.pid].memory_bytes >= found[child].memory_bytes + 30_000_000
            assert found[os.getpid()].count >= 3
            assert found[child].began_at <= trees.taken_at
            assert found[child].began_at >= found[parent.pid].began_at
        finally:
            os.kill(child, 9)
            parent.kill()


def test_time_that_is_used_is_counted() -> None:
    def used_s() -> float:
        usage = Trees().usage(os.getpid())
        assert usage is not None
        return usage.cpu_s

    before_s = used_s()
    wait_for(lambda: sum(range(100_000)) and used_s() > before_s)


def test_what_is_no_process_and_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    for name, text in (("1", "1 (a b) c) S 0 " + "0 " * 30), ("2", "2 (x"), ("x", ""), ("3", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "stat").write_text(text)
    (tmp_path / "4").mkdir()
    _, found = usages([1, 2, 3, 4], str(tmp_path))
    assert set(found) == {1}
    assert usages([1], str(tmp_path / "none")) == (None, {})


def test_a_probe_is_there_to_be_seen() -> None:
    """A process that sleeps has used next to nothing."""
    with subprocess.Popen(probe(), stdout=subprocess.PIPE, text=True) as it:
        try:
            _, found = usages([it.pid])
            assert found[it.pid].count == 1
        finally:
            it.kill()
