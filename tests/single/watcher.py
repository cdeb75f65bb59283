"""A command for the inits: it says what it was given, then every signal that it gets.

"ready PID", then "got NUMBER" for each, in the order in which they come; USR1 with "exit" among the
arguments ends it with 0. All signals are blocked, so that even SEGV can be told.
"""

import os
import signal
import sys


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def main() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    if "orphan" in sys.argv:
        if os.fork() == 0:
            if os.fork() == 0:
                os._exit(0)
            os._exit(0)
        os.wait()
    say("ready", os.getpid())
    while True:
        signum = signal.sigwait(signal.valid_signals())
        say("got", signum)
        if signum in (signal.SIGUSR1, signal.SIGTERM) and "exit" in sys.argv:
            os._exit(0)


main()
