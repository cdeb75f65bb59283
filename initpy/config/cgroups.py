"""Where the kernel counts what it has killed in our memory cgroup, because memory ran out.

A cgroup is a directory below the mount of its hierarchy: the path in /proc/self/cgroup, seen from
the mount's own root, which /proc/self/mountinfo has. In a container with a cgroup namespace both
are `/`; without one, an engine often mounts no more than the container's part of the hierarchy.
"""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

COUNTER = b"oom_kill "
"""Begins the line that counts."""


def oom_file(root: bytes = b"") -> bytes:
    """The path of the file with the count of OOM kills; empty: there is none that can be read.

    `root` is put before every path that is read, and is no part of the result.
    """
    cgroups = _read(root + b"/proc/self/cgroup")
    mounts = _read(root + b"/proc/self/mountinfo")
    for kind, name in ((b"cgroup2", b"memory.events"), (b"cgroup", b"memory.oom_control")):
        for path in _own_paths(cgroups, kind):
            for directory in _directories(mounts, kind, path):
                file = directory + b"/" + name
                if any(line.startswith(COUNTER) for line in _read(root + file)):
                    return file
    return b""


def _read(file: bytes) -> list[bytes]:
    """The file's lines; none: it cannot be read."""
    try:
        fd = posix.open(file, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return []
    raw = b""
    try:
        while part := posix.read(fd, 65536):
            raw += part
    except OSError:
        return []
    finally:
        posix.close(fd)
    return raw.split(b"\n")


def _own_paths(cgroups: list[bytes], kind: bytes) -> Iterator[bytes]:
    """The path of our cgroup in the hierarchy of that kind that counts memory."""
    for line in cgroups:
        _, _, rest = line.partition(b":")
        controllers, _, path = rest.partition(b":")
        is_ours = b"memory" in controllers.split(b",") if kind == b"cgroup" else not controllers
        if is_ours and path.startswith(b"/") and b".." not in path.split(b"/"):
            yield path


def _directories(mounts: list[bytes], kind: bytes, path: bytes) -> Iterator[bytes]:
    """Where the cgroup with that path can be seen."""
    for line in mounts:
        mount, _, what = line.partition(b" - ")
        fields, kinds = mount.split(b" "), what.split(b" ")
        if len(fields) < 5 or len(kinds) < 3 or kinds[0] != kind:
            continue
        if kind == b"cgroup" and b"memory" not in kinds[2].split(b","):
            continue
        mounted, point = _unescaped(fields[3]).rstrip(b"/"), _unescaped(fields[4])
        if (path + b"/").startswith(mounted + b"/"):
            yield (point.rstrip(b"/") + path[len(mounted) :]).rstrip(b"/")


def _unescaped(field: bytes) -> bytes:
    """mountinfo has white space and backslashes as three octal digits."""
    first, *others = field.split(b"\\")
    return first + b"".join([bytes([int(it[:3], 8)]) + it[3:] for it in others])
