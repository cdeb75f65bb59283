"""Reaping, with real children; each test in a process that has no other children."""

from __future__ import annotations

import subprocess
import sys

from tests.support import REPO

SCRIPT = f"""
import sys; sys.path.insert(0, {str(REPO)!r})
import os, signal
from initpy.linux.reaper import FLOOD, MAX_REAPS, exit_status, has_children, reap

def dead(count, code=0):
    pids = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            os._exit(code)
        pids.append(pid)
    for pid in pids:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return pids

"""


def run(script: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", SCRIPT + script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def test_without_children_there_is_nothing_to_reap() -> None:
    run("assert reap(None) == type(reap(None))((), has_more=False, has_children=False)")


def test_one_that_lives_is_left_alone() -> None:
    run(
        "pid = os.fork()\n"
        "if pid == 0: signal.pause()\n"
        "reaped = reap(None)\n"
        "assert (reaped.ours, reaped.has_more, reaped.has_children) == ((), False, True)\n"
        "assert has_children()\n"
        "os.kill(pid, 9); os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)\n"
        "(found,) = reap(None).ours\n"
        "assert exit_status(found.wait_status).signal == 9\n"
        "assert not has_children()\n"
    )


def test_only_ours_are_told_of_and_all_are_reaped() -> None:
    run(
        "ours, others = dead(2, code=3), dead(3)\n"
        "reaped = reap({*ours, 1})\n"
        "assert sorted(found.pid for found in reaped.ours) == sorted(ours)\n"
        "assert {exit_status(found.wait_status).code for found in reaped.ours} == {3}\n"
        "assert all(found.peak_kib > 1000 for found in reaped.ours)\n"
        "assert not reaped.has_children and not has_children()\n"
    )


def test_in_a_flood_ours_are_told_of_too_only_without_their_memory() -> None:
    run(
        "orphans = dead(FLOOD + 50)\n"
        "ours = dead(2)\n"
        "found = reap(set(ours)).ours\n"
        "assert sorted(each.pid for each in found) == sorted(ours)\n"
        "assert [each.peak_kib for each in found] == [0, 0], found\n"
        "assert not has_children()\n"
    )


def test_one_turn_has_its_limit() -> None:
    run(
        "dead(MAX_REAPS + 1)\n"
        "first = reap(None)\n"
        "assert (len(first.ours), first.has_more, first.has_children) == (MAX_REAPS, True, True)\n"
        "last = reap(None)\n"
        "assert (len(last.ours), last.has_more, last.has_children) == (1, False, False)\n"
    )
