"""Handing open files to another process, over a pair of sockets.

The module of the standard library is loaded when something is handed over, and let go again.
"""

from __future__ import annotations

import sys


def pair() -> tuple[int, int]:
    """Two connected sockets, that keep packets apart: ours, non-blocking, and the other's.

    Raises:
        OSError: there are no descriptors.
    """
    import _socket  # noqa: PLC0415

    kind = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC
    own, other = _socket.socketpair(_socket.AF_UNIX, kind)
    own.setblocking(False)
    sys.modules.pop("_socket", None)
    return own.detach(), other.detach()


def hand_over(fd: int, raw: bytes, fds: tuple[int, ...]) -> None:
    """Send a packet, and these open files with it, through our end of a pair.

    Raises:
        OSError: the other has gone, or takes nothing.
    """
    import _socket  # noqa: PLC0415

    numbers = b"".join([number.to_bytes(4, sys.byteorder) for number in fds])
    sock = _socket.socket(fileno=fd)
    try:
        ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)]
        sock.sendmsg([raw], ancillary, _socket.MSG_NOSIGNAL)
    finally:
        sock.detach()
        sys.modules.pop("_socket", None)
