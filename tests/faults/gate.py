"""What becomes PID 1 first, and waits until strace is there: then it executes its arguments.

In the namespace, so that strace can stay outside: a tracer inside would be one more child of PID 1,
and killed with the rest. The signal waits where it is blocked, so it does not matter when it comes.
"""

import os
import signal
import sys

GATE, MARK = 63, 62
"""Real-time signals that nobody else uses. For the first it waits; the second is blocked as a mark
that it does, for one that is waited for does not count as blocked."""


def wait() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {GATE, MARK})
    signal.sigwait({GATE})


if __name__ == "__main__":
    wait()
    os.execv(sys.argv[1], sys.argv[1:])
