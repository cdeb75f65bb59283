"""Users and groups as /etc/passwd and /etc/group have them, for the static executable: asking NSS
would load the C library's modules, which the image may have in another version, or not at all.

The functions are those of `pwd`, `grp` and `os`, and raise KeyError likewise; what is no entry is
passed over.
"""

from __future__ import annotations

import os

from initpy.config.accounts import GROUP, PASSWD
from initpy.core.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class User(Value):
    """An entry of /etc/passwd, as far as it matters here."""

    pw_name: str
    pw_uid: int
    pw_gid: int
    pw_dir: str


class Group(Value):
    """An entry of /etc/group."""

    gr_name: str
    gr_gid: int
    gr_mem: tuple[str, ...]


def getpwnam(name: str) -> User:
    """The user of that name."""
    for user in _users():
        if user.pw_name == name:
            return user
    raise KeyError(name)


def getpwuid(uid: int) -> User:
    """The first user with that number."""
    for user in _users():
        if user.pw_uid == uid:
            return user
    raise KeyError(uid)


def getgrnam(name: str) -> Group:
    """The group of that name."""
    for group in _groups():
        if group.gr_name == name:
            return group
    raise KeyError(name)


def getgrouplist(name: str, gid: int) -> list[int]:
    """`gid`, and the groups that have the user as a member."""
    return [gid, *[group.gr_gid for group in _groups() if name in group.gr_mem]]


def _users() -> Iterator[User]:
    for fields in _entries(PASSWD, 7):
        name, _, uid, gid, _, directory, _ = fields
        if uid.isdecimal() and gid.isdecimal():
            yield User(name, int(uid), int(gid), directory)


def _groups() -> Iterator[Group]:
    for name, _, gid, members in _entries(GROUP, 4):
        if gid.isdecimal():
            yield Group(name, int(gid), tuple(members.split(",")))


def _entries(path: str, count: int) -> Iterator[list[str]]:
    """The fields of every line that has so many; none: there is no such file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    raw = b""
    try:
        while part := os.read(fd, 65536):
            raw += part
    finally:
        os.close(fd)
    for line in raw.decode("utf-8", "surrogateescape").splitlines():
        fields = line.split(":")
        if len(fields) == count:
            yield fields
