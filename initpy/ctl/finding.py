"""Where the control plane of this container listens, when nobody says so."""

from __future__ import annotations

import os
import re
import stat

from initpy.ctl.calls import UNIX, Server, UnreachableError
from initpy.ctl.connection import ETIMEDOUT
from initpy.ctl.upgrade import is_initpy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "INITPY_SOCKET"
DEFAULTS = ("/run/initpy.sock", "/tmp/initpy.sock")  # noqa: S108 - the peer is looked at

_LISTENS = 0x10000
"""A flag in /proc/net/unix (__SO_ACCEPTCON)."""

UNTIL_READY = "~"
"""What the kernel knows a socket by has this behind its name: see linux.listening."""

NOTHING_FOUND = (
    "nothing answers: there is no control socket at {}. Is an initpy running here, and does its "
    "configuration not say [control] socket = false? Another path goes behind -s, or in the "
    "variable INITPY_SOCKET"
)


class NotFoundError(Exception):
    """There is none; the text says what to do."""


def found(url: str = "", username: str = "", password: str = "") -> Server:
    """The server of `url` (or a path); without one, that of this container.

    Raises:
        NotFoundError: there is none.
        UnreachableError: there is one, which hangs.
        ValueError: `url` is none.
    """
    if not url and os.environ.get(VARIABLE) == "":
        raise NotFoundError(f"{VARIABLE} is empty, which means that there is no control socket")
    url = url or os.environ.get(VARIABLE, "")
    if url:
        is_path = "://" not in url
        return Server(f"{UNIX}{os.path.abspath(url)}" if is_path else url, username, password)
    for path in (*DEFAULTS, *_of_process_1()):
        server = Server(UNIX + path, username, password)
        if _is_socket(path) and _answers(server):
            return server
    raise NotFoundError(NOTHING_FOUND.format(" or ".join(DEFAULTS)))


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def _answers(server: Server) -> bool:
    """Whether somebody listens there who can be trusted: in /tmp it could be anybody.

    Raises:
        NotFoundError: there is somebody, and it is not for us.
        UnreachableError: there is somebody, who does not take the connection.
    """
    try:
        _, uid = server.peer()
    except UnreachableError as exc:
        if exc.errno in _NOT_FOR_US:
            text = "it is for root and its owner, unless [control] names others in `allow`"
            raise NotFoundError(f"cannot open {server.where}: {text}") from None
        if exc.errno == ETIMEDOUT:
            raise
        return False
    if uid in (0, os.geteuid(), _uid_of_process_1()):
        return True
    server.close()
    return False


def _uid_of_process_1() -> int:
    try:
        return os.stat("/proc/1").st_uid
    except OSError:
        return 0


def _of_process_1() -> Iterator[str]:
    """The paths of the Unix sockets on which process 1 listens, if it is an initpy."""
    try:
        if not is_initpy(1):
            return
        with open("/proc/net/unix", "rb") as table:
            lines = table.read().splitlines()[1:]
        fds = [os.readlink(f"/proc/1/fd/{fd}") for fd in os.listdir("/proc/1/fd")]
    except OSError:
        return
    inodes = {it[1] for it in map(re.compile(r"socket:\[(\d+)\]").fullmatch, fds) if it}
    for line in lines:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and int(fields[3], 16) & _LISTENS and fields[6].decode() in inodes:
            path = os.fsdecode(fields[7]).removesuffix(UNTIL_READY)
            if path.startswith("/"):
                yield path


_NOT_FOR_US = (1, 13)
"""EPERM, EACCES."""
