"""What PID 1 does when nothing else of it works: forward the stop, bury the dead, and end.

A few lines that need nothing of the rest, so that they can stand in for all of it. The programs run
on, and nothing is started again.
"""

from __future__ import annotations

import posix
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Iterable
    from typing import NoReturn
else:
    import _signal

SIGINT, SIGQUIT, SIGKILL, SIGTERM, SIGCHLD, SIGCONT = 2, 3, 9, 15, 17, 18

EXIT_CODE = 1
"""A fault of initpy's own, as where it cannot start."""


def run(why: str, children: Iterable[int], timeout_s: float) -> NoReturn:
    """Until no child is left: send TERM, INT and QUIT on to everything, and after `timeout_s` KILL.

    `children` are the known ones, for where the kernel keeps no list of them and this is not PID 1.
    """
    _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
    _say(f"{why}; from now on nothing is started again, and a stop is all that is obeyed")
    own = posix.getpid()
    kill_at = 0.0
    while True:
        try:
            while posix.waitpid(-1, posix.WNOHANG)[0]:
                pass
        except ChildProcessError:
            _say("nothing is left to run")
            posix._exit(EXIT_CODE)
        if not kill_at:
            signum = _signal.sigwait((SIGCHLD, SIGTERM, SIGINT, SIGQUIT))
        else:
            left_s = max(kill_at - time.monotonic(), 0.0)
            got = _signal.sigtimedwait((SIGCHLD, SIGTERM, SIGINT, SIGQUIT), left_s)
            signum = got.si_signo if got is not None else SIGKILL
        if signum != SIGCHLD:
            now = time.monotonic()
            kill_at = now + 1.0 if signum == SIGKILL else kill_at or now + timeout_s
            for pid in (-1,) if own == 1 else _children(own) or children:
                for each in (signum, SIGCONT):
                    try:
                        posix.kill(pid, each)
                    except OSError:
                        continue


def _children(own: int) -> list[int]:
    try:
        fd = posix.open(f"/proc/self/task/{own}/children", posix.O_RDONLY)
    except OSError:
        return []
    found = posix.read(fd, 1 << 20)
    posix.close(fd)
    return [int(pid) for pid in found.split()]


def _say(text: str) -> None:
    poll = select.poll()
    poll.register(2, select.POLLOUT)
    if any(event == select.POLLOUT for _, event in poll.poll(0)):  # never wait for a reader
        try:
            posix.write(2, f"initpy: {text}\n".encode(errors="replace")[:4096])
        except OSError:
            return
