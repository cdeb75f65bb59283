"""What a dead instance has left behind: found in /proc, and signalled. In forked helpers only.

An orphan says nowhere whose it was. One of these marks tells, as long as the process is not a
living program and does not descend from one:

    a number                 of the instance that has left it, in places that are inherited: the
                             soft limit RLIMIT_LOCKS, and the environment
    process group, session   of the dead instance: unless it has left them (setsid)
    the recorded tree        it descended from the instance when a stop began
    its parent               is such a process

RLIMIT_LOCKS has had no meaning since Linux 2.6, survives fork, exec, setsid and a change of user,
and may be read by everybody. The environment is gone where a program clears it or (nginx) writes
its title over it, and may not be read where it is another user's, without CAP_SYS_PTRACE; it is
what is left where somebody has reset the limits.
"""

from __future__ import annotations

import posix

from initpy.linux import proc
from initpy.linux.spawn import MARK_VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal_module
    from collections.abc import Collection, Iterable

    Tree = tuple[tuple[int, int], ...]
    Case = tuple[str, tuple[int, int], int, int, tuple[int, ...], Tree]
    Found = tuple[tuple[int, str], ...]
else:
    import _signal as _signal_module

SIGCONT = 18

MAX_ENVIRON_BYTES = 1024 * 1024


def record_tree(pid: int) -> Tree:
    """The process and all that descends from it: pids, each with its start, which together name
    a process for ever."""
    entries = [proc.entry(each) for each in (pid, *proc.below(pid))]
    return tuple([(entry.pid, entry.start) for entry in entries if entry is not None])


def sweep(cases: Iterable[Case], leaders: Collection[int]) -> tuple[tuple[str, Found], ...]:
    """Signal what dead instances have left behind, and say what that is.

    A case is a dead instance: its key, the numbers that mark it and those before it (the first and
    the last), its pid (0: that is another's by now), the signal to send (0: none), the pids that
    have had it already, and the tree that was recorded. `leaders` are the pids of living programs
    and helpers, which with all their descendants are left alone, as is what does not descend from
    our parent: an orphan of a program is its child, or descends from one.

    Returns the key and what was found of each; what may not be signalled is left out, since it
    will not go away.
    """
    below = proc.below(posix.getppid(), {posix.getpid(), *leaders})
    entries = [proc.entry(pid) for pid in below]
    strangers = {entry.pid: entry for entry in entries if entry is not None}
    numbers = {pid: [proc.locks_limit(pid), *_in_environment(pid)] for pid in strangers}
    found = []
    for key, (first, last), leader, signum, signalled, recorded in cases:
        tree = set(recorded)
        ours = [
            pid
            for pid, entry in strangers.items()
            if any(number and first <= number <= last for number in numbers[pid])
            or (leader and leader in (entry.group, entry.session))
            or (pid, entry.start) in tree
        ]
        ours += [child for pid in ours for child in proc.below(pid) if child in strangers]
        told = [
            (pid, strangers[pid].name)
            for pid in dict.fromkeys(ours)
            if strangers[pid].state not in "ZX"
            and _signal(strangers[pid], 0 if pid in signalled else signum)
        ]
        found.append((key, tuple(told)))
    return tuple(found)


def _signal(process: proc.Entry, signum: int) -> bool:
    """Whether the process is still the one that was found, and can be told."""
    try:
        pidfd = posix.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    except (OSError, AttributeError):  # an old kernel or Python: its number has to do
        pidfd = -1
    now = proc.entry(process.pid)
    is_told = now is not None and now.start == process.start
    if is_told and signum:
        is_told = _send(process.pid, pidfd, signum)
        _send(process.pid, pidfd, SIGCONT)  # or a stopped process would never see it
    if pidfd >= 0:
        posix.close(pidfd)
    return is_told


def _send(pid: int, pidfd: int, signum: int) -> bool:
    """Whether that could be done."""
    try:
        if pidfd < 0:
            posix.kill(pid, signum)
        else:
            _signal_module.pidfd_send_signal(pidfd, signum)
    except OSError:
        return False
    return True


def _in_environment(pid: int) -> list[int]:
    """The numbers in a process's environment: more than one, where an initpy runs another."""
    try:
        environ = b"\0" + proc.read(f"/proc/{pid}/environ", MAX_ENVIRON_BYTES)
    except OSError:
        return []
    _, _, rest = environ.partition(b"\0" + MARK_VARIABLE + b"=")
    numbers = rest.partition(b"\0")[0].split(b":")
    return [int(number) for number in numbers if number.isdigit() and len(number) < 20]
