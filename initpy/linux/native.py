"""What Python does not offer: from the static executable's own module in C; elsewhere from ctypes,
or not at all."""

from __future__ import annotations

import sys

IS_BINARY = "_initpy" in sys.builtin_module_names
"""Whether this is the static executable."""

PR_GET_CHILD_SUBREAPER = 37

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
