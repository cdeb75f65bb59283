"""dress.py [WORD …] -- COMMAND: become the command in circumstances that an init may be found in.

block=N,N     with these signals blocked
ignore=N,N    with these signals ignored
terminal      as the leader of a session whose controlling terminal is stdin
bare          with no environment but PATH
fd=N          with /dev/null as this descriptor
close=N       without this descriptor
subreaper     as a process to which orphaned descendants are handed
"""

import ctypes
import fcntl
import os
import signal
import sys
import termios


def main() -> None:
    at = sys.argv.index("--")
    words, command = sys.argv[1:at], sys.argv[at + 1 :]
    environment = dict(os.environ)
    for signum in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(signum, signal.SIG_DFL)
    for word in words:
        name, _, value = word.partition("=")
        numbers = [int(number) for number in value.split(",") if number]
        if name == "block":
            signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        elif name == "ignore":
            for number in numbers:
                signal.signal(number, signal.SIG_IGN)
        elif name == "terminal":
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        elif name == "bare":
            environment = {"PATH": os.environ["PATH"]}
        elif name == "close":
            os.close(numbers[0])
        elif name == "subreaper":
            ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
        elif name == "fd":
            os.dup2(os.open("/dev/null", os.O_RDONLY), numbers[0], inheritable=True)
    os.execvpe(command[0], command, environment)


main()
