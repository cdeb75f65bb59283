"""A program for the tests: it says "NAME ready PID", then every signal it gets.

probe.py NAME [WORD …]

catch=TERM,USR1   say "NAME got TERM" and go on
ignore=TERM       be deaf to it
exit=TERM:3       say "NAME got TERM" and exit with 3
after=0.5:3       exit with 3 after half a second
child=SECONDS     leave a child in the same process group ("NAME child PID"), which sleeps
deaf-child=SECONDS   the same, and ignores TERM
session=SECONDS   leave a child in a session of its own ("NAME session PID")
daemon=SECONDS    the same, adopted by init ("NAME daemon PID")
bare-daemon=SECONDS  the same, without an environment
orphan            fork twice: the grandchild ("NAME orphan PID") is adopted by init
say=TEXT          say it once
stop              stop itself with SIGSTOP
shutdown-delay=S:CODE  on TERM, finish S seconds later with CODE
"""

import os
import signal
import sys
import time


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def number(name: str) -> signal.Signals:
    return signal.Signals["SIG" + name]


def sleeper(seconds: str, *, deaf: bool) -> int:
    how = signal.signal(signal.SIGTERM, signal.SIG_IGN) if deaf else None  # from its birth on
    pid = os.fork()
    if pid == 0:
        time.sleep(float(seconds))
        os._exit(0)
    if deaf:
        signal.signal(signal.SIGTERM, how)
    return pid


def loner(seconds: str, *, is_daemon: bool, is_bare: bool) -> int:
    """A sleeper that has left the session, and perhaps its parent and its environment."""
    read_fd, write_fd = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        if not is_daemon or os.fork() == 0:
            os.write(write_fd, str(os.getpid()).encode())
            os.close(write_fd)
            os.execve("/bin/sleep", ["sleep", seconds], {} if is_bare else os.environ)
        os._exit(0)
    os.close(write_fd)
    if is_daemon:
        os.waitpid(child, 0)
    pid = int(os.read(read_fd, 20))
    os.close(read_fd)
    return pid


def main() -> None:
    name, *words = sys.argv[1:]
    end_at = None
    code = 0
    for word in words:
        key, _, value = word.partition("=")
        if key == "catch":
            for caught in value.split(","):

                def tell(_n: int, _f: object, c: str = caught) -> None:
                    say(name, "got", c)

                signal.signal(number(caught), tell)
        elif key == "ignore":
            for ignored in value.split(","):
                signal.signal(number(ignored), signal.SIG_IGN)
        elif key == "exit":
            signame, _, status = value.partition(":")

            def leave(_n: int, _f: object, s: str = signame, c: str = status) -> None:
                say(name, "got", s)
                os._exit(int(c))

            signal.signal(number(signame), leave)
        elif key == "shutdown-delay":
            delay, _, status = value.partition(":")

            def linger(_n: int, _f: object, d: str = delay, c: str = status) -> None:
                say(name, "got", "TERM")
                time.sleep(float(d))
                say(name, "done")
                os._exit(int(c))

            signal.signal(signal.SIGTERM, linger)
        elif key == "after":
            delay, _, status = value.partition(":")
            end_at, code = time.monotonic() + float(delay), int(status)
        elif key in ("child", "deaf-child"):
            say(name, "child", sleeper(value, deaf=key == "deaf-child"))
        elif key in ("session", "daemon", "bare-daemon"):
            pid = loner(value, is_daemon=key != "session", is_bare=key == "bare-daemon")
            say(name, key, pid)
        elif key == "orphan":
            pid = os.fork()
            if pid == 0:
                say(name, "orphan", sleeper("0.2", deaf=False))
                os._exit(0)
            os.waitpid(pid, 0)
        elif key == "fds":
            fds = [int(fd) for fd in os.listdir("/proc/self/fd")]
            say(name, "fds", *[fd for fd in sorted(fds) if os.path.exists(f"/proc/self/fd/{fd}")])
        elif key == "stdin":
            say(name, "stdin", os.read(0, 10), os.readlink("/proc/self/fd/0"))
        elif key == "status":
            with open("/proc/self/status") as lines:
                found = [line.split() for line in lines if line.startswith(value + ":")]
            say(name, value, *found[0][1:])
        elif key == "env":
            say(name, "env", f"{value}={os.environ.get(value)}")
        elif key == "cwd":
            say(name, "cwd", os.getcwd())
        elif key == "ids":
            umask = os.umask(0o77)
            groups = ",".join(map(str, sorted(os.getgroups())))
            leads = os.getsid(0) == os.getpid() == os.getpgrp()
            say(name, "ids", os.getuid(), os.getgid(), groups, oct(umask), leads)
        elif key == "say":
            say(name, value)
    say(name, "ready", os.getpid())
    if "stop" in words:
        os.kill(os.getpid(), signal.SIGSTOP)
    while end_at is None or time.monotonic() < end_at:
        time.sleep(1 if end_at is None else max(0.0, end_at - time.monotonic()))
    os._exit(code)


main()
