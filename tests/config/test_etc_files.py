"""/etc/passwd and /etc/group, read without the C library's help."""

from __future__ import annotations

import grp
import os
import pwd
from typing import TYPE_CHECKING

import pytest

from initpy.config import etc_files
from initpy.config.accounts import Credentials, credentials

if TYPE_CHECKING:
    from pathlib import Path

ROOT = Credentials(0, 0, (0,))


def test_it_finds_whom_the_c_library_finds() -> None:
    for entry in pwd.getpwall():
        for found in (etc_files.getpwnam(entry.pw_name), etc_files.getpwuid(entry.pw_uid)):
            assert found.pw_uid == entry.pw_uid
        named = etc_files.getpwnam(entry.pw_name)
        assert (named.pw_name, named.pw_gid, named.pw_dir) == (
            *(entry.pw_name, entry.pw_gid, entry.pw_dir),
        )
        groups = etc_files.getgrouplist(entry.pw_name, entry.pw_gid)
        assert sorted(set(groups)) == sorted(set(os.getgrouplist(entry.pw_name, entry.pw_gid)))
    for group in grp.getgrall():
        assert etc_files.getgrnam(group.gr_name).gr_gid == group.gr_gid


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(etc_files, "PASSWD", str(tmp_path / "passwd"))
    monkeypatch.setattr(etc_files, "GROUP", str(tmp_path / "group"))
    monkeypatch.setattr("initpy.config.accounts.PASSWD", str(tmp_path / "passwd"))
    monkeypatch.setattr("initpy.config.accounts.GROUP", str(tmp_path / "group"))
    monkeypatch.setattr("initpy.config.accounts._database", lambda _: etc_files)
    return tmp_path


def test_the_groups_of_a_user_and_lines_that_are_no_entries(etc: Path) -> None:
    (etc / "passwd").write_bytes(
        b"# a comment\n\n+::::::\nweb:x:not-a-number:5::/:\nshort:x:1\n"
        b"web:x:33:34:\xff,,,:/srv/web:/bin/sh\nweb:x:99:99:second::\n"
    )
    (etc / "group").write_text("web:x:34:\nadm:x:4:root,web\nno:x:x:web\naudio:x:29:web,me\n")
    assert credentials("web", None, ROOT) == Credentials(
        *(33, 34, (4, 29, 34), ""),
        (("HOME", "/srv/web"), ("USER", "web"), ("LOGNAME", "web")),
    )
    assert credentials("33", "audio", ROOT).gid == 29
    assert credentials(None, "adm", ROOT) == Credentials(gid=4)


def test_without_the_files_only_a_name_is_a_problem(etc: Path) -> None:
    assert credentials(None, None, ROOT) == Credentials()
    assert credentials(33, 34, ROOT).unspawnable == ""
    assert credentials("web", None, ROOT).unspawnable == (
        f"couldn't setuid to web: Can't find username 'web': there is no {etc}/passwd"
    )
    assert credentials(33, "web", ROOT).unspawnable == (
        f"couldn't setgid to web: Can't find group 'web': there is no {etc}/group"
    )
