"""Whose rights a process gets, and what is said when there is no such user or group.

These run as root and as anyone: what initpy itself runs as is an argument.
"""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import pytest

from initpy.config.accounts import Credentials, credentials, own_credentials
from tests.config.support import problem_of, unprivileged, web

ROOT = Credentials(0, 0, (0,))
NOBODY = pwd.getpwnam("nobody")
DAEMON = pwd.getpwnam("daemon")
FREE = 54321
"""A number that no user and no group has."""


def home_of(entry: pwd.struct_passwd) -> tuple[tuple[str, str], ...]:
    return (("HOME", entry.pw_dir), ("USER", entry.pw_name), ("LOGNAME", entry.pw_name))


def groups_of(entry: pwd.struct_passwd, gid: int) -> tuple[int, ...]:
    return tuple(sorted({gid, *os.getgrouplist(entry.pw_name, gid)}))


def setup_module() -> None:
    with pytest.raises(KeyError):
        pwd.getpwuid(FREE)
    with pytest.raises(KeyError):
        grp.getgrgid(FREE)


@pytest.mark.parametrize("user", ["daemon", DAEMON.pw_uid, str(DAEMON.pw_uid)])
def test_a_user_by_name_and_by_number(user: str | int) -> None:
    assert credentials(user, None, ROOT) == Credentials(
        DAEMON.pw_uid, DAEMON.pw_gid, groups_of(DAEMON, DAEMON.pw_gid), "", home_of(DAEMON)
    )


@pytest.mark.parametrize("group", [grp.getgrgid(NOBODY.pw_gid).gr_name, NOBODY.pw_gid])
def test_a_group_in_place_of_the_user_s_own(group: str | int) -> None:
    seen = credentials("daemon", group, ROOT)
    assert (seen.uid, seen.gid) == (DAEMON.pw_uid, NOBODY.pw_gid)
    assert seen.groups == groups_of(DAEMON, NOBODY.pw_gid)
    assert NOBODY.pw_gid in seen.groups


def test_a_user_s_supplementary_groups() -> None:
    members = [
        (name, group.gr_gid)
        for group in grp.getgrall()
        for name in group.gr_mem
        if name in {entry.pw_name for entry in pwd.getpwall()}
    ]
    for name, gid in members:
        assert gid in credentials(name, None, Credentials(0, FREE, ())).groups


def test_a_group_alone_changes_only_the_gid() -> None:
    assert credentials(None, NOBODY.pw_gid, ROOT) == Credentials(gid=NOBODY.pw_gid)
    assert credentials(None, FREE, ROOT) == Credentials(gid=FREE)
    assert credentials(None, str(FREE), ROOT) == Credentials(gid=FREE)


def test_a_number_that_no_user_has_needs_a_group() -> None:
    assert credentials(FREE, NOBODY.pw_gid, ROOT) == Credentials(
        FREE,
        NOBODY.pw_gid,
        (NOBODY.pw_gid,),
        environment=(("HOME", "/"), ("USER", str(FREE)), ("LOGNAME", str(FREE))),
    )
    assert credentials(FREE, None, ROOT).unspawnable == (
        f"couldn't setuid to {FREE}: uid {FREE} is not in /etc/passwd, so its `group` has to be "
        "named"
    )


@pytest.mark.parametrize(
    ("user", "group", "said"),
    [
        ("no-such", None, "couldn't setuid to no-such: Can't find username 'no-such'"),
        ("no-such", "nor-this", "couldn't setuid to no-such: Can't find username 'no-such'"),
        ("daemon", "nor-this", "couldn't setgid to nor-this: Can't find group 'nor-this'"),
        (None, "nor-this", "couldn't setgid to nor-this: Can't find group 'nor-this'"),
        ("99999999999", None, "couldn't setuid to 99999999999: Can't find username '99999999999'"),
        ("4294967295", None, "couldn't setuid to 4294967295: Can't find username '4294967295'"),
        ("a\nb", None, "couldn't setuid to a\\nb: Can't find username 'a\\nb'"),
        ("\udcff", None, "couldn't setuid to \\udcff: Can't find username '\\udcff'"),
    ],
)
@pytest.mark.parametrize("own", [ROOT, Credentials(1000, 1000, (1000,))])
def test_who_is_not_there_is_said_in_supervisord_s_words(
    user: str | None, group: str | None, said: str, own: Credentials
) -> None:
    seen = credentials(user, group, own)
    assert seen.unspawnable == said
    assert (seen.uid, seen.gid, seen.groups) == (-1, -1, ())


def test_whoever_is_not_root_can_become_nobody_else() -> None:
    own = Credentials(NOBODY.pw_uid, FREE, (FREE,))
    words = "Can't drop privilege as nonroot user"
    assert credentials("daemon", None, own) == Credentials(
        unspawnable=f"couldn't setuid to daemon: {words}", environment=home_of(DAEMON)
    )
    assert credentials("nobody", NOBODY.pw_gid, own) == Credentials(
        unspawnable=f"couldn't setgid to {NOBODY.pw_gid}: {words}", environment=home_of(NOBODY)
    )
    assert credentials(None, NOBODY.pw_gid, own).unspawnable == (
        f"couldn't setgid to {NOBODY.pw_gid}: {words}"
    )
    assert credentials(FREE, None, own).unspawnable == f"couldn't setuid to {FREE}: {words}"


@pytest.mark.parametrize(
    ("user", "group", "own", "home"),
    [
        (None, None, ROOT, ()),
        ("nobody", None, Credentials(NOBODY.pw_uid, FREE, (FREE,)), home_of(NOBODY)),
        ("nobody", FREE, Credentials(NOBODY.pw_uid, FREE, (FREE,)), home_of(NOBODY)),
        (FREE, None, Credentials(FREE, 0, (0,)), ()),  # a container's arbitrary uid
        (None, FREE, Credentials(1000, FREE, ()), ()),
        (None, 0, ROOT, ()),
        ("root", None, Credentials(0, 0, groups_of(pwd.getpwuid(0), 0)), home_of(pwd.getpwuid(0))),
    ],
)
def test_what_would_change_nothing_is_left_alone(
    user: str | int | None,
    group: str | int | None,
    own: Credentials,
    home: tuple[tuple[str, str], ...],
) -> None:
    assert credentials(user, group, own) == Credentials(environment=home)


def test_who_names_the_user_that_initpy_is_keeps_its_groups() -> None:
    """A container may have been given more groups, and no capability to change them."""
    seen = credentials("root", None, Credentials(0, 0, (0, FREE)))
    assert (seen.uid, seen.gid, seen.groups) == (-1, -1, ())


def test_our_own_groups_include_the_primary_one() -> None:
    own = own_credentials()
    assert (own.uid, own.gid) == (os.geteuid(), os.getegid())
    assert own.groups == tuple(sorted({os.getegid(), *os.getgroups()}))


# The same in the plan.


def test_home_and_user_follow_the_user_unless_the_environment_has_them() -> None:
    spec = web('user = "daemon"\nenvironment = { HOME = "/mine", Z = "1" }')
    assert spec.environment == (
        (b"HOME", b"/mine"),
        (b"USER", b"daemon"),
        (b"LOGNAME", b"daemon"),
        (b"Z", b"1"),
    )


def test_user_and_group_are_expanded() -> None:
    environ = {"WHO": "no-such", "GRP": "nor-this"}
    said = web('user = "${WHO}"\ngroup = "${GRP}"', environ).unspawnable
    assert said == "couldn't setuid to no-such: Can't find username 'no-such'"
    said = web('group = "%(ENV_GRP)s"', environ).unspawnable
    assert said == "couldn't setgid to nor-this: Can't find group 'nor-this'"
    assert problem_of('[program.a]\ncommand = "a"\nuser = "${NOPE}"') == (
        "initpy.toml:3: program.a.user: the environment has no NOPE; for a default, write "
        "${NOPE:-…}"
    )


def test_a_plan_made_by_nobody_cannot_change_users() -> None:
    Path.cwd().chmod(0o777)
    with unprivileged():
        uid = os.geteuid()
        own = web(f"user = {uid}")
        other = web(f'user = "{"daemon" if uid != DAEMON.pw_uid else "nobody"}"')
    assert other.unspawnable.endswith(": Can't drop privilege as nonroot user")
    assert other.environment[0][0] == b"HOME"
    assert (own.uid, own.gid, own.groups, own.unspawnable) == (-1, -1, (), "")
