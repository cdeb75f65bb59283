"""Why a step on the way to exec was refused, in words for the operator. Imported where there has
been such a step: by the child itself, if it was forked, so that PID 1 from source does without.
"""

from __future__ import annotations

import errno
import resource

from initpy.linux.errnos import name_of
from initpy.linux.spawn import EXEC, NICE, NO_NEW_PRIVS, OOM_SCORE_ADJ, RLIMIT, STEPS

_S_IFMT, _S_IFDIR = 0o170000, 0o040000


def why_not(step: int, error: int, numbers: tuple[int, int, int], text: str) -> str:
    """What failed in a step, with which errno.

    What belongs to the step: the number, the soft and the hard value of a resource limit; the
    oom_score_adj, and whether its file could not even be opened; of exec, the mode of the file as
    the child sees it, or -1, and as the text its path; otherwise one number or a text, see `STEPS`.
    An errno of 0: this Python lacks what it takes.
    """
    if step == EXEC:
        return _why_not_executed(text, error, None if numbers[0] == -1 else numbers[0])
    if step == RLIMIT:
        return _why_not_limited(error, *numbers)
    what = STEPS[step].format(numbers[0], text)
    if step == NO_NEW_PRIVS and error == 0:
        return (
            f"couldn't {what}: this Python has no ctypes, through which it is set (on Debian,"
            " ctypes comes with python3, not with python3-minimal)"
        )
    hint = ""
    is_denied = error in (errno.EPERM, errno.EACCES)
    if is_denied and step == OOM_SCORE_ADJ and not numbers[1]:
        hint = ": a value below the one that initpy has takes CAP_SYS_RESOURCE"
    elif is_denied and step == NICE:
        hint = ": a value below the one that initpy has takes CAP_SYS_NICE"
    return f"couldn't {what}: {name_of(error)}{hint}"


def _why_not_executed(name: str, error: int, mode: int | None) -> str:
    """In supervisord's words, where it has some."""
    if error in (errno.ENOENT, errno.ENOTDIR):
        if mode is None:
            return f"can't find command '{name}'"
        return (
            f"couldn't exec {name}: ENOENT: it is there, but the interpreter that its first line"
            " names, or its dynamic loader, is not"
        )
    if error == errno.EACCES and mode is not None:
        if mode & _S_IFMT == _S_IFDIR:
            return f"command at '{name}' is a directory"
        if not mode & 0o111:
            return f"command at '{name}' is not executable"
        return f"no permission to run command '{name}'"
    if error == errno.ENOEXEC:
        return (
            f"couldn't exec {name}: ENOEXEC: it is no program for this kind of machine, or a script"
            " without #! in its first line"
        )
    if error == errno.EAGAIN:
        return f"couldn't exec {name}: EAGAIN: its user has more processes than rlimit nproc allows"
    return f"couldn't exec {name}: {name_of(error)}"


def _why_not_limited(error: int, number: int, soft: int, hard: int) -> str:
    why = name_of(error)
    if error == errno.EPERM:
        why += ": a hard limit above the one that initpy has takes CAP_SYS_RESOURCE"
        if number == resource.RLIMIT_NOFILE:
            why += ", and none can be above /proc/sys/fs/nr_open"
    elif error == errno.EINVAL:
        why += ": the soft limit is above the hard limit"
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
