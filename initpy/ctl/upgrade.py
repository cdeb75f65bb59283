"""`initpy upgrade`: have a running initpy go on with the program that lies at its path now.

It is asked by a signal, and answers in its log.
"""

from __future__ import annotations

import os
import sys

from initpy.plan import UPGRADE_SIGNAL

ASKED, NOT_ASKED = 0, 1
"""Exit codes."""


def main(pid: int) -> int:
    """Ask process `pid`, which has to be an initpy: the signal would end any other."""
    try:
        _see_that_it_is_an_initpy(pid)
        os.kill(pid, UPGRADE_SIGNAL)
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        sys.stderr.write(f"initpy: cannot ask process {pid}: {why}\n")
        return NOT_ASKED
    sys.stdout.write(f"process {pid} was asked to upgrade; its log says what comes of it\n")
    return ASKED


def _see_that_it_is_an_initpy(pid: int) -> None:
    with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
        command = cmdline.read()
    with open(f"/proc/{pid}/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    catches = int(fields["SigCgt"], 16) >> (UPGRADE_SIGNAL - 1) & 1
    if b"initpy" not in command or not catches:
        raise ValueError("it is no initpy")
