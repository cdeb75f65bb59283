"""No signal is lost, however many come: in a process of its own, for handlers are global."""

from __future__ import annotations

import subprocess
import sys

from tests.support import REPO

PRELUDE = f"""
import sys; sys.path.insert(0, {str(REPO)!r})
import os, signal
from initpy.linux import signals
mask = signals.block_all()
"""


def run(script: str) -> str:
    """What the script prints; it has to end well."""
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", "-c", PRELUDE + script],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_a_full_wakeup_pipe_does_not_lose_a_signal() -> None:
    said = run(
        "s = signals.Signals(mask)\n"
        "for _ in range(100_000): os.kill(os.getpid(), signal.SIGUSR1)\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "print(s.take() == [signal.SIGUSR1, signal.SIGTERM], s.take())"
    )
    assert said == "True []"


def test_queued_real_time_signals_do_not_make_it_deaf() -> None:
    """Each that the kernel queues runs the C handler once, before any Python."""
    said = run(
        "s = signals.Signals(mask)\n"
        "import resource\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    for _ in range(20_000): os.kill(os.getppid(), signal.SIGRTMIN)\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
        "fields = dict(line.split(':') for line in open('/proc/self/status'))\n"
        "queued = int(fields['SigQ'].split('/')[0])\n"
        "print(signal.SIGRTMIN in s.take(), queued <= signals.MAX_QUEUED)\n"
        "signals.restore_in_child(s.inherited)\n"
        "print(resource.getrlimit(resource.RLIMIT_SIGPENDING) == s.inherited.max_queued)"
    )
    assert said.split() == ["True", "True", "True"]


def test_quit_is_taken_last() -> None:
    """After another signal it kills at once; before it, it is one more way to ask."""
    said = run(
        "s = signals.Signals(mask)\n"
        "for n in (signal.SIGQUIT, signal.SIGTERM, signal.SIGINT): os.kill(os.getpid(), n)\n"
        "print(s.take() == [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])"
    )
    assert said == "True"


def test_signals_that_came_before_the_handlers_are_taken() -> None:
    said = run(
        "for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGRTMIN): os.kill(os.getpid(), n)\n"
        "s = signals.Signals(mask)\n"
        "print(s.take() == [signal.SIGHUP, signal.SIGTERM, signal.SIGRTMIN])"
    )
    assert said == "True"


def test_faults_of_our_own_keep_their_default_action() -> None:
    said = run(
        "s = signals.Signals(mask)\n"
        "faults = (signal.SIGSEGV, signal.SIGILL, signal.SIGFPE, signal.SIGBUS)\n"
        "print({signal.getsignal(n) for n in faults} == {signal.SIG_DFL})"
    )
    assert said == "True"


def test_a_signal_to_a_forked_child_does_not_reach_the_parent() -> None:
    said = run(
        "s = signals.Signals(mask)\n"
        "before = signals.block_all()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    signals.restore_in_child(s.inherited)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    signals.set_mask(())\n"
        "    os._exit(0)\n"
        "signals.set_mask(before)\n"
        "_, status = os.waitpid(pid, 0)\n"
        "print(os.WTERMSIG(status) == signal.SIGTERM, signal.SIGTERM in s.take())"
    )
    assert said == "True False"


def test_the_handlers_of_pid_1_do_not_pass_for_the_program_s() -> None:
    """Not even for a moment: who is seen to catch a signal gets it forwarded, and dies of it."""
    said = run(
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "s = signals.Signals(mask)\n"
        "signals.restore_in_child(s.inherited)\n"
        "fields = dict(line.split(':') for line in open('/proc/self/status'))\n"
        "standard = (1 << 31) - 1  # 32 and 33 belong to the C library, which may ignore them\n"
        "print(int(fields['SigCgt'], 16), int(fields['SigIgn'], 16) & standard)"
    )
    assert said == "0 1"


def test_what_was_ignored_is_ignored_again_in_the_child() -> None:
    said = run(
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "s = signals.Signals(mask)\n"
        "signals.restore_in_child(s.inherited)\n"
        "print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN,\n"
        "      signal.getsignal(signal.SIGPIPE) == signal.SIG_DFL,\n"
        "      signal.getsignal(signal.SIGINT) == signal.SIG_DFL)"
    )
    assert said == "True True True"
