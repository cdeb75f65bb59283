"""`initpy upgrade`: have a running initpy go on with the program that lies at its path now.

It is asked by a signal, and answers in its log.
"""

from __future__ import annotations

import os
import sys

from initpy.plan import UPGRADE_SIGNAL

ASKED, NOT_ASKED = 0, 1
"""Exit codes."""

_REAL_TIME = sum([1 << (signum - 1) for signum in range(35, 65)])
"""Signals that hardly any other program catches, let alone all of them. 34 is the C library's own
in musl."""


def main(pid: int) -> int:
    """Ask process `pid`, which has to be an initpy: the signal would end any other."""
    try:
        why = "" if is_initpy(pid) else "it is no initpy"
        if not why:
            os.kill(pid, UPGRADE_SIGNAL)
    except OSError as exc:
        why = exc.strerror or str(exc)
    if why:
        sys.stderr.write(f"initpy: cannot ask process {pid}: {why}\n")
        return NOT_ASKED
    sys.stdout.write(f"process {pid} was asked to upgrade; its log says what comes of it\n")
    return ASKED


def is_initpy(pid: int) -> bool:
    """By what it does with signals, for its file and arguments may have any name.

    Raises:
        OSError: there is no such process, or no /proc.
    """
    with open(f"/proc/{pid}/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return int(fields["SigCgt"], 16) & _REAL_TIME == _REAL_TIME
