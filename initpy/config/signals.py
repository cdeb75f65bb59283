"""Names and numbers of signals."""

from __future__ import annotations

import signal

from initpy.core.values import Value

MAX_SIGNUM = signal.NSIG - 1

SIGNAL_NAMES = tuple([member.name.removeprefix("SIG") for member in signal.Signals])

_RESERVED = {
    signal.SIGKILL: "the kernel never delivers it to initpy",
    signal.SIGSTOP: "the kernel never delivers it to initpy",
    signal.SIGCHLD: "initpy needs it to learn of its children's deaths",
    signal.SIGSEGV: "it means that initpy itself has crashed",
    signal.SIGILL: "it means that initpy itself has crashed",
    signal.SIGFPE: "it means that initpy itself has crashed",
    signal.SIGBUS: "it means that initpy itself has crashed",
}


class Action(Value):
    """A value of [init.signals], as it is written: the names in it are not looked up yet."""

    action: str
    target: str = ""
    """A program, a group or a process; empty: whoever catches the signal."""
    send: int = 0
    """The signal to send instead; 0: the same."""


def signum_of(name: str | int) -> int | None:
    """A signal's number from `TERM`, `SIGTERM`, `term`, `RTMIN+3`, `15` or `"15"`; or None."""
    if isinstance(name, str) and not (name.isascii() and name.isdigit()):
        return _signum_of_name(name.upper().removeprefix("SIG"))
    if isinstance(name, str) and len(name) > 2:
        return None
    return int(name) if 1 <= int(name) <= MAX_SIGNUM else None


def why_not_remapped(signum: int) -> str:
    """Why [init.signals] cannot have this signal; empty: it can."""
    if signum in _RESERVED:
        return _RESERVED[signal.Signals(signum)]
    if signal.SIGSYS < signum < signal.SIGRTMIN:
        return "the C library keeps it for itself"
    return ""


def _signum_of_name(name: str) -> int | None:
    base, sign, offset = name[:5], name[5:6], name[6:]
    if (base, sign) in (("RTMIN", "+"), ("RTMAX", "-")):
        if not (offset.isascii() and offset.isdigit() and len(offset) <= 2):
            return None
        low, high = signal.SIGRTMIN, signal.SIGRTMAX
        signum = low + int(offset) if sign == "+" else high - int(offset)
        return signum if low <= signum <= high else None
    member = signal.Signals.__members__.get(f"SIG{name}")
    return None if member is None else int(member)
