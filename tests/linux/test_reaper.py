"""Reaping, with real children; each test in a process that has no other children."""

from __future__ import annotations

import subprocess
import sys

from tests.support import REPO

SCRIPT = f"""
import sys; sys.path.insert(0, {str(REPO)!r})
import os, signal
from initpy.linux import reaper
from initpy.linux.reaper import FLOOD, MAX_REAPS, exit_status, has_children

def reap(ours):
    # who is told of, and what is returned
    found = []
    reaped = reaper.reap(ours, found)
    return found, reaped.has_more, reaped.has_children

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
    run("assert reap(None) == ([], False, False)")


def test_one_that_lives_is_left_alone() -> None:
    run(
        "pid = os.fork()\n"
        "if pid == 0: signal.pause()\n"
        "assert reap(None) == ([], False, True)\n"
        "assert has_children()\n"
        "os.kill(pid, 9); os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)\n"
        "(found,) = reap(None)[0]\n"
        "assert exit_status(found.wait_status).signal == 9\n"
        "assert not has_children()\n"
    )


def test_only_ours_are_told_of_and_all_are_reaped() -> None:
    run(
        "ours, others = dead(2, code=3), dead(3)\n"
        "reaped, _, is_any_left = reap({*ours, 1})\n"
        "assert sorted(found.pid for found in reaped) == sorted(ours)\n"
        "assert {exit_status(found.wait_status).code for found in reaped} == {3}\n"
        "assert all(found.peak_kib > 1000 for found in reaped)\n"
        "assert not is_any_left and not has_children()\n"
    )


def test_in_a_flood_ours_are_told_of_too_only_without_their_memory() -> None:
    run(
        "orphans = dead(FLOOD + 50)\n"
        "ours = dead(2)\n"
        "found, _, _ = reap(set(ours))\n"
        "assert sorted(each.pid for each in found) == sorted(ours)\n"
        "assert [each.peak_kib for each in found] == [0, 0], found\n"
        "assert not has_children()\n"
    )


def test_one_turn_has_its_limit() -> None:
    run(
        "dead(MAX_REAPS + 1)\n"
        "found, has_more, has_children = reap(None)\n"
        "assert (len(found), has_more, has_children) == (MAX_REAPS, True, True)\n"
        "found, has_more, has_children = reap(None)\n"
        "assert (len(found), has_more, has_children) == (1, False, False)\n"
    )
