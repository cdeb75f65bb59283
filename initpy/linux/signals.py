"""The signals of PID 1: noted in a flag each, and a wakeup pipe that ends the wait.

The bytes in the pipe mean nothing but "look at the flags": a full pipe loses bytes, never a signal.
"""

from __future__ import annotations

import posix
import resource

from initpy.core.values import Value, replace
from initpy.linux import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
else:
    import _signal

SIGQUIT, SIGKILL, SIGPIPE, SIGCHLD, SIGSTOP = 3, 9, 13, 17, 19
SIGTTIN, SIGTTOU, SIGXFSZ = 21, 22, 25
FROM_THE_KERNEL = (4, 7, 8, 11)
"""ILL, BUS, FPE and SEGV, when a fault of ours has raised them, keep their default action: a
handler that returns would run the faulty instruction again, for ever. Only the executable can tell
those that somebody has sent, and handles them."""

OF_OUR_OWN_DOING = (SIGPIPE, SIGTTIN, SIGTTOU, SIGXFSZ)
"""What the kernel sends PID 1 when it writes to a pipe that nobody reads, to a file that may not
grow, or to a terminal that is another's: the errno says all of it. To forward that would end
programs; and who handles TTOU would repeat its write for ever."""

IGNORED_BY_PYTHON = () if native.IS_BINARY else (SIGPIPE, SIGXFSZ)
"""Those which CPython ignores from its start, unless it is told not to, as the executable
does. What they were before cannot be known; programs get the default, as nearly every parent leaves
it."""

ALL = tuple(sorted([int(signum) for signum in _signal.valid_signals()]))
"""Without those that belong to the C library: 32 and 33 in glibc, 34 too in musl."""

_UNHANDLED = (SIGKILL, SIGSTOP, *(() if native.IS_BINARY else FROM_THE_KERNEL))

HANDLED = tuple([n for n in ALL if n not in _UNHANDLED])
"""Those whose disposition PID 1 changes."""

MAX_QUEUED = 64
"""Real-time signals queue, each beside the others, and while some wait no Python runs between two
of them: 100,000 would make PID 1 deaf for a minute. Beyond this limit a further one of the same
number is merged with those that wait, as all signals below 32 always are."""


class Inherited(Value):
    """What PID 1 was started with, and programs are started with again."""

    mask: tuple[int, ...]
    """Blocked signals."""
    ignored: tuple[int, ...]
    """Ignored signals, of those that PID 1 changes."""
    max_queued: tuple[int, int]
    """RLIMIT_SIGPENDING, soft and hard."""
    max_files: tuple[int, int] | None = None
    """RLIMIT_NOFILE, soft and hard; None: PID 1 has not changed it."""


def block_all() -> tuple[int, ...]:
    """Block every signal; those that arrive wait. Returns the mask as it was."""
    return tuple([int(signum) for signum in _signal.pthread_sigmask(_signal.SIG_BLOCK, ALL)])


def set_mask(mask: tuple[int, ...]) -> None:
    """Block exactly these signals."""
    _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)


def make_room_for_files(inherited: Inherited, count: int) -> Inherited:
    """Raise our own limit of open files, as far as it may be, so that there can be `count`.

    Returns `inherited`, in which the limit is as it was.
    """
    try:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    except OSError:
        return inherited
    soft, hard = limits
    wanted = count if hard < 0 else min(count, hard)  # -1: unlimited
    if soft < 0 or soft >= wanted:
        return inherited
    if not _set_limit(resource.RLIMIT_NOFILE, (wanted, hard)):
        return inherited
    return replace(inherited, max_files=inherited.max_files or limits)


def _set_limit(limit: int, values: tuple[int, int]) -> bool:
    """Whether the kernel, or what stands between us and it, has allowed it."""
    try:
        resource.setrlimit(limit, values)
    except (OSError, ValueError):  # EPERM is a ValueError there
        return False
    return True


class Signals:
    """PID 1's handlers for all signals that can be handled, from construction on.

    `fd` becomes readable when there is something to `take`.
    """

    KEPT = ("inherited",)

    def __init__(self, mask: tuple[int, ...], inherited: Inherited | None = None) -> None:
        """Install the handlers, then let through what has been waiting.

        `mask` is what `block_all` returned at the start. `inherited` is what the image before this
        one was started with: what this one finds is that one's doing.
        """
        self._flags = [False] * (ALL[-1] + 1)
        self.fd, self._write_fd = posix.pipe()  # pipe2 is 64 kB more of Python's own file
        for fd in (self.fd, self._write_fd):
            posix.set_blocking(fd, False)
        _signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        ignored = []
        for signum in HANDLED:
            is_own = signum in OF_OUR_OWN_DOING
            handler: Callable[..., None] | int = _signal.SIG_IGN if is_own else self._note
            before = _signal.signal(signum, handler)
            if before == _signal.SIG_IGN and signum not in IGNORED_BY_PYTHON:
                ignored.append(signum)
            if signum in FROM_THE_KERNEL:
                native.handle_sent(signum)
        if inherited is None:
            limits = resource.getrlimit(resource.RLIMIT_SIGPENDING)
            hard = limits[1]  # -1: unlimited
            soft = hard if 0 <= hard < MAX_QUEUED else MAX_QUEUED
            _set_limit(resource.RLIMIT_SIGPENDING, (soft, hard))  # it is only against floods
            inherited = Inherited(mask, tuple(ignored), limits)
        self.inherited = inherited
        set_mask(())

    def _note(self, signum: int, _frame: object) -> None:
        self._flags[signum] = True
        try:  # Python itself has tried it, and if that has failed, nobody would look at the flag
            posix.write(self._write_fd, b"\0")
        except OSError:  # it is full
            return

    def take(self, taken: list[int] | None = None) -> list[int]:
        """The signals that have come since the last call, each once, added to `taken`.

        Which came first cannot be known. QUIT is last, for after another signal it says more.
        """
        try:
            while len(posix.read(self.fd, 4096)) == 4096:
                pass
        except BlockingIOError:
            pass
        if taken is None:
            taken = []
        for signum in ALL:
            if self._flags[signum]:
                if signum not in taken:
                    taken.append(signum)
                self._flags[signum] = False  # before it is acted on: a second must not be lost
        if SIGQUIT in taken:
            taken.remove(SIGQUIT)
            taken.append(SIGQUIT)
        return taken


def restore_in_child(inherited: Inherited) -> None:
    """In a forked child, signals still blocked: the dispositions as PID 1 got them.

    Without it, a signal that comes before exec would run PID 1's handlers, in the child, and wake
    PID 1 through the pipe that the two share.

    All are reset, though exec itself would reset the handlers, and needs to be told of the ignored
    signals only. But exec may take seconds, on a slow file system, and until then a stop signal
    must end the child, not set a flag that nobody will look at; and PID 1's handlers must not pass
    for the program's in /proc, or it gets a signal forwarded that kills it. The sixty syscalls are
    about 40 µs of the 1,000 that fork and exec cost the child.
    """
    _signal.set_wakeup_fd(-1)
    resource.setrlimit(resource.RLIMIT_SIGPENDING, inherited.max_queued)
    for signum in HANDLED:
        _signal.signal(signum, _signal.SIG_DFL)
    for signum in inherited.ignored:
        _signal.signal(signum, _signal.SIG_IGN)
