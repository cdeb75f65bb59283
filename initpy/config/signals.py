"""Names and numbers of signals."""

from __future__ import annotations

from initpy.core.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal  # without the enums of `signal`, which take a millisecond of a container's start

MAX_SIGNUM = _signal.NSIG - 1

_NUMBERS: dict[str, int] = {
    name[3:]: int(number)
    for name, number in vars(_signal).items()
    if name.startswith("SIG") and name[3:4].isalpha()
}
"""Aliases (IOT, POLL, CLD) included."""

SIGNAL_NAMES = tuple(sorted(_NUMBERS, key=_NUMBERS.__getitem__))

_RESERVED: dict[int, str] = {
    _signal.SIGKILL: "the kernel never delivers it to initpy",
    _signal.SIGSTOP: "the kernel never delivers it to initpy",
    _signal.SIGCHLD: "initpy needs it to learn of its children's deaths",
    _signal.SIGSEGV: "it means that initpy itself has crashed",
    _signal.SIGILL: "it means that initpy itself has crashed",
    _signal.SIGFPE: "it means that initpy itself has crashed",
    _signal.SIGBUS: "it means that initpy itself has crashed",
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
        return _RESERVED[signum]
    if _signal.SIGSYS < signum < _signal.SIGRTMIN:
        return "the C library keeps it for itself"
    return ""


def _signum_of_name(name: str) -> int | None:
    base, sign, offset = name[:5], name[5:6], name[6:]
    if (base, sign) in (("RTMIN", "+"), ("RTMAX", "-")):
        if not (offset.isascii() and offset.isdigit() and len(offset) <= 2):
            return None
        low, high = int(_signal.SIGRTMIN), int(_signal.SIGRTMAX)
        signum = low + int(offset) if sign == "+" else high - int(offset)
        return signum if low <= signum <= high else None
    return _NUMBERS.get(name)
