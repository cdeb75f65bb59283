"""Whose socket it is that is found: in /tmp, anybody can make one."""

from __future__ import annotations

import os
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from initpy.ctl import finding
from initpy.ctl.calls import Server
from initpy.ctl.finding import NotFoundError, found
from tests.config.support import unprivileged
from tests.support import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def listener(*, by_a_stranger: bool) -> Iterator[str]:
    """The path of a socket on which root listens, or another user."""
    folder = Path(tempfile.mkdtemp(prefix="initpy-"))
    folder.chmod(0o777)
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as it:
        if by_a_stranger:
            with unprivileged():
                it.bind(str(path))
                it.listen()
        else:
            it.bind(str(path))
            it.listen()
        try:
            yield str(path)
        finally:
            path.unlink()
            folder.rmdir()


@pytest.fixture
def default(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths where a socket is looked for."""
    paths: list[str] = []
    monkeypatch.setattr(finding, "DEFAULTS", paths)
    monkeypatch.delenv("INITPY_SOCKET", raising=False)
    return paths


def test_the_first_that_answers_is_taken(default: list[str], tmp_path: Path) -> None:
    with listener(by_a_stranger=False) as path, listener(by_a_stranger=False) as other:
        (tmp_path / "file").touch()
        default += [str(tmp_path / "none"), str(tmp_path / "file"), path, other]
        server = found()
        assert server.path == path
        assert server.peer() == (os.getpid(), os.geteuid())
        server.close()


def test_a_stranger_s_socket_is_not_taken(default: list[str]) -> None:
    if os.geteuid() != 0:
        skip_or_fail("namespace", "only root can be another user")
    with listener(by_a_stranger=True) as path:
        default.append(path)
        with pytest.raises(NotFoundError, match="nothing answers: there is no control socket at"):
            found()
        server = found(path)  # but who names it means it
        assert isinstance(server, Server)


def test_a_socket_that_is_not_for_us_is_no_reason_to_look_on(default: list[str]) -> None:
    if os.geteuid() != 0:
        skip_or_fail("namespace", "only root can be another user")
    with listener(by_a_stranger=False) as path:
        os.chmod(path, 0o600)
        default.append(path)
        with unprivileged(), pytest.raises(NotFoundError, match=f"cannot open {path}: it is for"):
            found()
