"""Sockets to listen on: made here, and handed on as plain descriptors."""

from __future__ import annotations

import posix

from initpy.linux.errnos import EADDRINUSE, ECONNREFUSED, ENOENT

BACKLOG = 128

MAX_PATH_BYTES = 107
"""What an address of a Unix socket can hold."""

_S_IFMT, _S_IFSOCK = 0o170000, 0o140000


class InUseError(OSError):
    """Somebody else is listening there."""


def listen_at_path(path: bytes, mode: int, uid: int, gid: int) -> int:
    """Listen on a Unix socket of this mode and owner (-1: ours). What is left there of somebody who
    has gone is replaced, and the directory made if there is none.

    Returns the fd, non-blocking.

    Raises:
        InUseError: somebody is listening there.
        OSError: it cannot be made; nothing is left of it.
    """
    directory = path.rpartition(b"/")[0]
    if directory:
        _make_directory(directory)
    _check_unused(path)
    import _socket  # noqa: PLC0415

    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    # It gets its name when it is ready, so that whoever finds it can connect.
    temporary = path + b"~" if len(path) < MAX_PATH_BYTES else path
    umask = posix.umask(0o777)
    try:
        _unlink_if_there(temporary)
        sock.bind(temporary)
        try:
            if uid != -1 or gid != -1:
                posix.chown(temporary, uid, gid)
            posix.chmod(temporary, mode)
            sock.listen(BACKLOG)
            sock.setblocking(False)
            posix.rename(temporary, path)
        except BaseException:
            posix.unlink(temporary)
            raise
    except BaseException:
        sock.close()
        raise
    finally:
        posix.umask(umask)
    return _handed_on(sock)


def listen_on_network(host: bytes, port: int) -> list[int]:
    """Listen on an address in numbers; an empty one stands for all that there are, of IPv6 and
    IPv4.

    Returns the fds, non-blocking.

    Raises:
        InUseError: somebody is listening there.
        OSError: it cannot be made.
    """
    import _socket  # noqa: PLC0415

    families = [_socket.AF_INET6 if b":" in host else _socket.AF_INET]
    if not host:
        families = [_socket.AF_INET6, _socket.AF_INET]
    found: list[int] = []
    for family in families:
        is_last = family == families[-1]
        try:
            sock = _socket.socket(family, _socket.SOCK_STREAM)
        except OSError:  # this kernel has no IPv6
            if is_last and not found:
                raise
            continue
        try:
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
            if family == _socket.AF_INET6:
                sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
            sock.bind((host.decode(), port))
            sock.listen(BACKLOG)
            sock.setblocking(False)
        except OSError as exc:
            sock.close()
            if exc.errno != EADDRINUSE and not is_last:
                continue  # IPv6 is there, and has no addresses
            for fd in found:
                posix.close(fd)
            if exc.errno == EADDRINUSE:
                raise InUseError(exc.errno, exc.strerror) from None
            raise
        found.append(_handed_on(sock))
    return found


def inode_of(path: bytes) -> int:
    """What tells it from another at the same path; 0: there is none."""
    try:
        return posix.stat(path).st_ino
    except OSError:
        return 0


def _handed_on(sock: object) -> int:
    fd: int = sock.detach()  # type: ignore[attr-defined]
    return fd


def _make_directory(path: bytes) -> None:
    try:
        posix.mkdir(path, 0o755)
    except FileNotFoundError:
        parent = path.rpartition(b"/")[0]
        if not parent:
            raise
        _make_directory(parent)
        posix.mkdir(path, 0o755)
    except FileExistsError:
        pass


def _unlink_if_there(path: bytes) -> None:
    """The socket of one that ended while it made it; no other file."""
    try:
        mode = posix.lstat(path).st_mode
    except FileNotFoundError:
        return
    if mode & _S_IFMT != _S_IFSOCK:
        name = path.decode(errors="replace")
        raise FileExistsError(17, f"there is a file of another kind at {name}")
    posix.unlink(path)


def _check_unused(path: bytes) -> None:
    try:
        mode = posix.stat(path).st_mode
    except OSError as exc:
        if exc.errno == ENOENT:
            return
        raise
    if mode & _S_IFMT != _S_IFSOCK:
        raise FileExistsError(17, "there is a file of another kind")
    import _socket  # noqa: PLC0415

    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.connect(path)
    except OSError as exc:
        if exc.errno not in (ECONNREFUSED, ENOENT):  # EAGAIN: it is there, and has much to do
            raise InUseError(EADDRINUSE, "somebody is listening there") from None
    else:
        raise InUseError(EADDRINUSE, "somebody is listening there")
    finally:
        sock.close()
