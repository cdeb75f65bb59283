"""The other syscalls of PID 1, each in one place, each errno judged there."""

from __future__ import annotations

import posix

from initpy.linux.errnos import EIO, errno_name
from initpy.linux.native import prctl

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36

MAX_LAST_WORDS_BYTES = 4000
"""Kubernetes keeps 4096 bytes of it."""

_S_IFMT, _S_IFREG = 0o170000, 0o100000


def kill(pid: int, signum: int) -> int:
    """Send a signal to a process. Returns 0, or the errno."""
    try:
        posix.kill(pid, signum)
    except OSError as exc:
        return exc.errno or EIO
    return 0


def kill_group(group: int, signum: int) -> int:
    """Send a signal (0: none, just look) to a process group. Returns 0, or the errno.

    Raises:
        ValueError: `group` is 0 or 1, which to the kernel means "mine" and "everybody".
    """
    if group <= 1:
        raise ValueError(f"{group} is no process group of a program")
    return kill(-group, signum)


def kill_everyone(signum: int) -> None:
    """As PID 1: send a signal to every other process in the PID namespace."""
    kill(-1, signum)


def open_standard_fds() -> None:
    """See that 0, 1 and 2 are open, so that no file of ours gets one of these numbers."""
    fd = -1
    while fd < 3:
        fd = open_null()
    posix.close(fd)


def keep_inherited_fds_to_ourselves() -> None:
    """Have exec close every fd above 2 that we were started with; our own are so from birth.

    Once, at the start: to close them in each child would take one syscall for each possible number
    where there is no close_range (musl, older kernels and C libraries).
    """
    try:
        fds = [int(name) for name in posix.listdir("/proc/self/fd")]
    except OSError:  # no /proc: the numbers that a shell or a container engine would use
        fds = list(range(1024))
    for fd in fds:
        if fd > 2:
            try:
                posix.set_inheritable(fd, False)
            except OSError:  # not open (any more)
                continue


def close(fd: int) -> None:
    """Close a descriptor. Whatever the kernel says of it (EIO, EINTR), it has let go of it, see
    close(2); so there is nothing to be done, and what comes next must not be left undone."""
    try:
        posix.close(fd)
    except OSError:
        return


def close_all_but(keep: set[int]) -> None:
    """Close every other descriptor."""
    lowest = 0
    for fd in sorted(keep):
        if lowest < fd:  # closerange(0, 0) would close all that there are
            posix.closerange(lowest, fd)
        lowest = fd + 1
    posix.closerange(lowest, 2**20)


def open_null() -> int:
    """/dev/null for reading and writing; where there is none, a pipe that nobody writes to."""
    try:
        return posix.open("/dev/null", posix.O_RDWR | posix.O_CLOEXEC)
    except OSError:
        read_fd, write_fd = posix.pipe2(posix.O_CLOEXEC)
        posix.close(write_fd)
        return read_fd


def leave_last_words(path: str, text: str) -> None:
    """Write to a file that somebody has put there to be told why we ended, if there is one."""
    try:
        flags = posix.O_WRONLY | posix.O_NONBLOCK | posix.O_NOCTTY | posix.O_CLOEXEC
        fd = posix.open(path, flags)
    except OSError:
        return
    try:
        if posix.fstat(fd).st_mode & _S_IFMT == _S_IFREG:
            posix.ftruncate(fd, 0)
            posix.write(fd, text.encode(errors="replace")[:MAX_LAST_WORDS_BYTES] + b"\n")
    except OSError:  # a full disk: the log has it, too
        pass
    finally:
        posix.close(fd)


def become_subreaper() -> str:
    """Have orphaned descendants handed to this process. Returns why not, or nothing.

    Only for when it is not PID 1, to whom they are handed anyway.
    """
    return _prctl(PR_SET_CHILD_SUBREAPER, 1)


def set_pdeathsig(signum: int) -> str:
    """Have the kernel send us a signal when our parent dies. Returns why not, or nothing."""
    parent = posix.getppid()
    why_not = _prctl(PR_SET_PDEATHSIG, signum)
    if not why_not and posix.getppid() != parent:  # it has died just now
        kill(posix.getpid(), signum)
    return why_not


def _prctl(option: int, argument: int) -> str:
    """Returns why not, or nothing."""
    try:
        prctl(option, argument)
    except ImportError:
        return "this Python has no ctypes"
    except OSError as exc:
        return errno_name(exc)
    return ""
