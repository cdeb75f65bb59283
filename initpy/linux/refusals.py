"""Why a step on the way to exec was refused, in words for the operator. Imported in the child that
it was refused to; PID 1 does without.
"""

from __future__ import annotations

import errno
import resource

from initpy.linux.errnos import errno_name


def why_not(step: str, exc: BaseException, limit: tuple[int, int, int]) -> str:
    """What failed in a step, which is a verb: "setuid to 33".

    `limit` is the resource limit that was to be set last: its number, the soft and the hard limit.
    """
    if step.startswith("set rlimit"):
        return _why_not_limited(exc, *limit)
    if isinstance(exc, ImportError):
        return (
            f"couldn't {step}: this Python has no ctypes, through which it is set (on Debian,"
            " ctypes comes with python3, not with python3-minimal)"
        )
    if not isinstance(exc, OSError):
        return f"couldn't {step}: {exc!r}"
    hint = ""
    if isinstance(exc, PermissionError) and step.startswith("set oom_") and not exc.filename:
        hint = ": a value below the one that initpy has takes CAP_SYS_RESOURCE"
    elif isinstance(exc, PermissionError) and step.startswith("set nice"):
        hint = ": a value below the one that initpy has takes CAP_SYS_NICE"
    return f"couldn't {step}: {errno_name(exc)}{hint}"


def _why_not_limited(exc: BaseException, number: int, soft: int, hard: int) -> str:
    why = repr(exc)
    if isinstance(exc, OSError):
        why = errno_name(exc)
        if exc.errno == errno.EPERM:
            why += ": a hard limit above the one that initpy has takes CAP_SYS_RESOURCE"
            if number == resource.RLIMIT_NOFILE:
                why += ", and none can be above /proc/sys/fs/nr_open"
    elif isinstance(exc, ValueError):
        why = "EINVAL: the soft limit is above the hard limit"
    to = _limit(soft) if soft == hard else f"{_limit(soft)} (hard limit: {_limit(hard)})"
    return f"couldn't set rlimit {_limit_name(number)} to {to}: {why}"


def _limit(value: int) -> str:
    return "unlimited" if value == resource.RLIM_INFINITY else str(value)


def _limit_name(number: int) -> str:
    """nofile for RLIMIT_NOFILE."""
    for name in dir(resource):
        if name.startswith("RLIMIT_") and getattr(resource, name) == number:
            return name.removeprefix("RLIMIT_").lower()
    return str(number)
