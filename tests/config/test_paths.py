"""What stands in place of `os` says what `os` says."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from initpy.config import paths
from tests.support import REPO

if TYPE_CHECKING:
    from pathlib import Path

SOME = ["", "/", "//", "///", "a", "a/", "a/b", "/a", "/a/", "/a/b", "//a//b", "a//", "./a", "../a"]
SOME += ["/a/.b/c", "/a/./b", "/a/../b", "/a/b/..", ".", "..", ".a", "a/.b", "/..", "ä/\udcff"]


@pytest.mark.parametrize("path", SOME)
def test_paths_are_taken_apart_as_by_os(path: str) -> None:
    assert paths.dirname(path) == os.path.dirname(path)
    assert paths.abspath(path) == os.path.abspath(path)
    assert paths.exists(path) == os.path.exists(path)
    for other in SOME:
        assert paths.join(path, other) == os.path.join(path, other)
        assert paths.join(os.fsencode(path), os.fsencode(other)) == os.path.join(
            os.fsencode(path), os.fsencode(other)
        )


def test_a_path_with_a_null_character_is_as_for_os() -> None:
    assert paths.exists("/\0") is os.path.exists("/\0")
    assert paths.abspath("/a\0") == os.path.abspath("/a\0")


def test_a_working_directory_may_be_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert paths.abspath("/a") == "/a"
    with pytest.raises(FileNotFoundError):
        paths.abspath("a")


def test_the_environment_is_os_s() -> None:
    """Compared in a process of its own: os.environ may have been changed in this one."""
    code = (
        "import os; from initpy.config import paths; assert paths.environ() == dict(os.environ);"
        " print(ascii(paths.environ()['X']))"
    )
    environment = {**os.environb, b"X": b"\xff\xc3\xa4"}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == "'\\udcff\\xe4'\n", ran.stderr
