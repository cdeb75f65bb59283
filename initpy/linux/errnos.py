"""The errnos that PID 1 judges, by number.

The errno module has 134 of them, each twice: 27 kB. These are Linux's numbers on every architecture
but alpha, mips, parisc and sparc.
"""

from __future__ import annotations

EPERM = 1
ENOENT = 2
ESRCH = 3
EIO = 5
ENOEXEC = 8
EAGAIN = 11
EACCES = 13
ENOTDIR = 20
EINVAL = 22
ENFILE = 23
EMFILE = 24
EFBIG = 27
ENOSPC = 28
ENOSYS = 38
EADDRINUSE = 98
ECONNREFUSED = 111
EDQUOT = 122


def errno_name(exc: OSError) -> str:
    """ENOENT for 2."""
    return name_of(exc.errno or 0)


def name_of(number: int) -> str:
    """The same for the number alone."""
    import errno  # noqa: PLC0415 - built into every Python, so that it is there at any time

    return errno.errorcode.get(number, str(number))
