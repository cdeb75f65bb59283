"""execvp as the C library does it, which tini and dumb-init go by.

CPython's own differs: it knows nothing of scripts without a first line that names an interpreter.
"""

from __future__ import annotations

import errno
import posix
import sys

DEFAULT_PATH = "/bin:/usr/bin"
"""Where glibc looks when there is no PATH."""

SHELL = "/bin/sh"

NOT_HERE = (errno.ENOENT, errno.ESTALE, errno.ENOTDIR, errno.ENODEV, errno.ETIMEDOUT)
"""The command may still be in the next directory of PATH."""


def execvp(argv: list[str], environment: dict[bytes, bytes]) -> OSError:
    """Become the command that `argv` names. Returns only if that cannot be done: why not."""
    name = argv[0]
    if not name:
        return FileNotFoundError(errno.ENOENT, posix.strerror(errno.ENOENT))
    if "/" in name:
        return _exec(name, argv, environment)
    path = environment.get(b"PATH")
    directories = DEFAULT_PATH if path is None else path.decode(*_fs_encoding())
    why = denied = None
    for directory in directories.split(":"):
        why = _exec(f"{directory}/{name}" if directory else name, argv, environment)
        if why.errno == errno.EACCES:
            denied = why
        elif why.errno not in NOT_HERE:
            return why
    assert why is not None  # noqa: S101 - split always returns a part
    return denied or why


def exit_code_of(why: OSError) -> int:
    """What a shell exits with: 127 if the command is not there, 126 if it cannot be executed."""
    return 127 if why.errno in (errno.ENOENT, errno.ENOTDIR) else 126


def _exec(path: str, argv: list[str], environment: dict[bytes, bytes]) -> OSError:
    try:
        posix.execve(path, argv, environment)
    except OSError as exc:
        if exc.errno != errno.ENOEXEC:
            return exc
    try:  # not a binary, and no #! either: a script for the shell
        posix.execve(SHELL, [SHELL, path, *argv[1:]], environment)
    except OSError as exc:
        return exc
    raise AssertionError


def _fs_encoding() -> tuple[str, str]:
    return sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
