"""What Python does not offer: from the static executable's own module in C; elsewhere from ctypes,
or not at all."""

from __future__ import annotations

import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Iterable
else:
    import _signal

IS_BINARY = "_initpy" in sys.builtin_module_names
"""Whether this is the static executable."""

PR_GET_CHILD_SUBREAPER = 37

OUR_GROUP, OWN_SESSION, OWN_GROUP = range(3)
"""Where a command is: with us, or alone in a session or a process group."""

if IS_BINARY:
    import _initpy


def complete_python() -> None:
    """Initialise what the executable starts without, which is everything that PID 1 does not need:
    `open`, `print`, encodings by their names. For short-lived processes."""
    if IS_BINARY:
        _initpy.complete()


def mask_at_exec() -> tuple[int, ...] | None:
    """The signals that were blocked when this process was executed; None: only the executable,
    which has blocked all of them since, knows."""
    return _initpy.inherited_mask if IS_BINARY else None


def handle_sent(signum: int) -> None:
    """Have the handler of SEGV, ILL, FPE or BUS called only when somebody sends the signal.

    One that the kernel raises ends the process, as without a handler. For the executable only.
    """
    _initpy.handle_sent(signum)


def pass_on(pid: int, signals: frozenset[int]) -> tuple[int, int]:
    """Wait for signals, all of which are blocked, and send those in `signals` to a process (below
    0: a process group). Returns the number and the si_code of the first that is not in `signals`,
    or could not be sent.

    After a long sleep, what has to be fetched again into the processor's caches is what takes time:
    30 µs with Python's loop, and next to nothing with the executable's.
    """
    if IS_BINARY:
        return _initpy.pass_on(pid, bits(signals))
    wait, kill, every = _signal.sigwaitinfo, posix.kill, _signal.valid_signals()
    while True:
        info = wait(every)
        signum = info.si_signo
        if signum in signals:
            try:
                kill(pid, signum)
                continue
            except OSError:  # the caller judges that
                pass
        return signum, info.si_code


def started() -> int:
    """The pid of the one command, if the executable has started it before Python; or 0.

    It does where `OneCommand.run` would have nothing to say, or to do, before that but what its
    main does, too; all signals are blocked since.
    """
    return _initpy.started if IS_BINARY else 0


def helper() -> tuple[int, int] | None:
    """The config helper that the executable has started before Python, so that the two start at
    the same time: its pid, and the fd to read from. In the helper itself: 0, and the fd to write
    to. None: it has not.
    """
    if not IS_BINARY or _initpy.helper_fd < 0:
        return None
    return _initpy.helper_pid, _initpy.helper_fd


def spawn(argv: list[str], place: int, mask: Iterable[int], defaults: Iterable[int]) -> int:
    """Start a command, the last of our own arguments, with vfork: the time that takes does not
    depend on how large we are. It gets our environment and descriptors, `mask` is what is blocked
    in it, and `defaults` are no longer ignored; `place` is one of the three above.

    Returns the pid, or 0: it cannot be executed, or the arguments are not the last of ours. For the
    executable only.
    """
    if sys.argv[-len(argv) :] != argv:
        return 0
    return _initpy.spawn(len(argv), place, bits(mask), bits(defaults))


def bits(signals: Iterable[int]) -> int:
    """A set of signals as the executable takes it."""
    return sum([1 << signum - 1 for signum in signals])


def prctl(option: int, argument: int) -> None:
    """prctl(2), for an option with one number.

    Raises:
        OSError: the kernel refuses.
        ImportError: it takes ctypes, and this Python has none.
    """
    if IS_BINARY:
        _initpy.prctl(option, argument)
        return
    import ctypes  # noqa: PLC0415 - 2 MB that PID 1 does without

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, argument, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "prctl")


def drop_pages() -> None:
    """Give back what has been mapped of the executable's file, most of which the start alone has
    needed; the rest comes back. For PID 1's memory: nothing, elsewhere."""
    if IS_BINARY:
        _initpy.drop_pages()


def is_subreaper() -> bool:
    """Whether orphaned descendants are handed to this process; False where nobody can tell."""
    if IS_BINARY:
        return _initpy.is_subreaper()
    try:
        import ctypes  # noqa: PLC0415
    except ImportError:
        return False
    flag = ctypes.c_int()
    address = ctypes.byref(flag)
    return ctypes.CDLL(None).prctl(PR_GET_CHILD_SUBREAPER, address, 0, 0, 0) == 0 and bool(flag)
