"""A hangup that somebody sends while initpy starts on a terminal."""

from __future__ import annotations

import os
import pty
import signal
import sys

from tests.support import REPO, wait_for


def test_a_hup_that_waits_since_the_start_reaches_the_command() -> None:
    """It is blocked and pending before initpy gives its terminal up, and told from what the kernel
    then sends."""
    code = (
        "import os, signal, sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        f"sys.path.insert(0, {str(REPO)!r})\n"
        "sys.argv = ['initpy', '--', sys.executable, '-c',"
        " 'import signal; print(signal.sigpending()); print(\"done\")']\n"
        "from initpy import cli\n"
        "cli.main()\n"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", code])
    said = b""

    def has_said() -> bool:
        nonlocal said
        try:
            said += os.read(terminal, 4096)
        except OSError:  # the end of it
            said += b"done"
        return b"done" in said

    wait_for(has_said, about="the command's words")
    os.close(terminal)
    os.waitpid(pid, 0)
    assert str(signal.SIGHUP) in said.decode() or "Signals.SIGHUP" in said.decode()
