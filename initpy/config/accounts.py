"""Users and groups: from names and numbers to what setuid and setgroups take.

An account that is not there is no problem of the configuration: the image may be built before it
exists. The process then cannot be spawned, and says why in supervisord's words.
"""

from __future__ import annotations

import posix

from initpy.config.paths import exists
from initpy.config.problems import escaped
from initpy.core.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pwd import struct_passwd
    from typing import Any

    from initpy.config.etc_files import User

PASSWD, GROUP = "/etc/passwd", "/etc/group"

NOT_ROOT = "Can't drop privilege as nonroot user"


class Credentials(Value):
    """Whose rights a process has."""

    uid: int = -1
    """-1: those of initpy, and so for the others."""
    gid: int = -1
    groups: tuple[int, ...] = ()
    """Empty: those of initpy."""
    unspawnable: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    """HOME, USER and LOGNAME."""


def own_credentials() -> Credentials:
    """What initpy itself runs as, and what every process has that asks for nothing else."""
    gid = posix.getegid()
    return Credentials(posix.geteuid(), gid, tuple(sorted({gid, *posix.getgroups()})))


def credentials(user: str | int | None, group: str | int | None, own: Credentials) -> Credentials:
    """What to become for a process with these settings, where initpy itself is `own`.

    What would change nothing is left at -1: a process without capabilities cannot call setgroups,
    not even to keep its groups.
    """
    if user is None:
        return _with_group(group, own)
    entry = _user_entry(user)
    uid = _number(user) if entry is None else entry.pw_uid
    if uid is None:
        return _no_user(user, f"Can't find username '{user}'{_no_file(PASSWD)}")
    home: tuple[tuple[str, str], ...] = ()
    if entry is not None:
        home = _home(entry.pw_name, entry.pw_dir)
    elif uid != own.uid:  # those of initpy's own user would be wrong; / is what Docker takes
        home = _home(str(uid), "/")
    gid = None if group is None else _gid(group)
    if group is not None and gid is None:
        return _no_group(group, f"Can't find group '{group}'{_no_file(GROUP)}", home)
    if own.uid != 0:
        if uid != own.uid:
            return _no_user(user, NOT_ROOT, home)
        if gid not in (None, own.gid):
            return _no_group(group, NOT_ROOT, home)
        return Credentials(environment=home)
    if entry is not None:
        gid = entry.pw_gid if gid is None else gid
        try:
            groups = tuple(sorted({gid, *_group_list(entry.pw_name, gid)}))
        except OSError as exc:
            return _no_user(user, f"Can't find its groups: {exc.strerror}", home)
    elif gid is not None:
        groups = (gid,)
    else:
        reason = f"uid {uid} is not in /etc/passwd, so its `group` has to be named"
        return _no_user(user, reason, home)
    if (uid, gid) == (own.uid, own.gid):
        return Credentials(environment=home)
    return Credentials(uid, gid, groups, environment=home)


def ids_of(what: str, account: str | int) -> tuple[int, int] | None:
    """The uid and the gid that a user's name or number stands for (-1: no gid is known), or a
    group's (uid -1); None: there is none of that name."""
    if what == "group":
        gid = _gid(account)
        return None if gid is None else (-1, gid)
    entry = _user_entry(account)
    if entry is not None:
        return entry.pw_uid, entry.pw_gid
    uid = _number(account)
    return None if uid is None else (uid, -1)


def _home(name: str, directory: str) -> tuple[tuple[str, str], ...]:
    return (("HOME", directory), ("USER", name), ("LOGNAME", name))


def _with_group(group: str | int | None, own: Credentials) -> Credentials:
    if group is None:
        return Credentials()
    gid = _gid(group)
    if gid is None:
        return _no_group(group, f"Can't find group '{group}'{_no_file(GROUP)}")
    if gid == own.gid:
        return Credentials()
    return Credentials(gid=gid) if own.uid == 0 else _no_group(group, NOT_ROOT)


def _no_user(
    user: str | int, reason: str, environment: tuple[tuple[str, str], ...] = ()
) -> Credentials:
    text = escaped(f"couldn't setuid to {user}: {reason}")
    return Credentials(unspawnable=text, environment=environment)


def _no_group(
    group: str | int | None, reason: str, environment: tuple[tuple[str, str], ...] = ()
) -> Credentials:
    text = escaped(f"couldn't setgid to {group}: {reason}")
    return Credentials(unspawnable=text, environment=environment)


def _no_file(path: str) -> str:
    """What to add to the reason, where there is no such file at all."""
    return "" if exists(path) else f": there is no {path}"


def _user_entry(user: str | int) -> struct_passwd | User | None:
    """The passwd entry; a name of digits that no user has is a number."""
    pwd = _database("pwd")
    if isinstance(user, str):
        try:
            named: struct_passwd | User = pwd.getpwnam(user)
            return named
        except (KeyError, ValueError):  # ValueError: it cannot be encoded
            pass
    number = _number(user)
    if number is None:
        return None
    try:
        numbered: struct_passwd | User = pwd.getpwuid(number)
        return numbered
    except KeyError:
        return None


def _gid(group: str | int) -> int | None:
    grp = _database("grp")
    if isinstance(group, str):
        try:
            return int(grp.getgrnam(group).gr_gid)
        except (KeyError, ValueError):
            pass
    return _number(group)


def _group_list(name: str, gid: int) -> list[int]:
    ask = getattr(_database("grp"), "getgrouplist", posix.getgrouplist)
    groups: list[int] = ask(name, gid)
    return groups


def _database(name: str) -> Any:
    """The module `pwd` or `grp`; in the static executable, what stands in for both."""
    try:
        return __import__(name)
    except ImportError:
        from initpy.config import etc_files  # noqa: PLC0415

        return etc_files


def _number(account: str | int) -> int | None:
    if isinstance(account, int):
        return account
    if not (account.isascii() and account.isdigit() and len(account) <= 10):
        return None
    return int(account) if int(account) < 2**32 - 1 else None
