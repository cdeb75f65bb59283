"""The environment that PID 1 was given, and hands on."""

from __future__ import annotations

import posix

from initpy.linux.children import has_own_proc

_READ_BYTES = 65536
"""More than 128 KiB at once, and glibc would from then on keep what is freed."""


def given_environment() -> dict[bytes, bytes]:
    """The environment as it was at exec, but for what has no name: execve would refuse that.

    Not as it is: where no locale is set, CPython itself sets LC_CTYPE (PEP 538), whatever its
    options, and the programs were never given that. Without /proc, it is as it is.
    """
    environment = _at_exec() if has_own_proc() else None
    if environment is None:
        environment = dict(posix.environ)
    environment.pop(b"", None)
    return environment


def _at_exec() -> dict[bytes, bytes] | None:
    try:
        fd = posix.open("/proc/self/environ", posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return None
    parts = []
    while part := posix.read(fd, _READ_BYTES):
        parts.append(part)
    posix.close(fd)
    environment: dict[bytes, bytes] = {}
    raw = b"".join(parts)
    begin = 0
    while (end := raw.find(b"\0", begin)) >= 0:  # split: 64 kB of Python's own file
        name, is_one, value = raw[begin:end].partition(b"=")
        if is_one:
            environment.setdefault(name, value)  # of two, getenv takes the first
        begin = end + 1
    return environment
