"""Floor 2: which sockets of the control plane there shall be. Loaded while they are made."""

from __future__ import annotations

import posix

from initpy.controlplan import Listener
from initpy.core.messages import INFO
from initpy.linux.errnos import errno_name
from initpy.linux.listening import InUseError, inode_of, listen_at_path, listen_on_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from initpy.controlplan import ControlPlan

DEFAULT_PATHS = (b"/run/initpy.sock", b"/tmp/initpy.sock")
"""Where the Unix socket is if nothing is said: the first that can be made."""

PATH_VARIABLE = b"INITPY_SOCKET"
"""Says it in their place; empty: nowhere."""


class CannotListenError(Exception):
    """Where the configuration says; the text is for the operator."""


def listeners_for(
    plan: ControlPlan | None,
    environment: Mapping[bytes, bytes],
    before: tuple[Listener, ...],
    say: Callable[[str, str], None],
) -> tuple[Listener, ...]:
    """Those that the plan wants: of `before`, as far as they are among these, and else made.

    Raises:
        CannotListenError: one that the configuration names cannot be made; none has been.
    """
    if plan is None:
        return ()
    found: list[Listener] = []
    try:
        if plan.has_socket:
            found += _at_path(plan, environment, before, say)
        for host, port in plan.listen:
            same = [it for it in before if not it.path and (it.host, it.port) == (host, port)]
            found += same or _on_network(host, port)
    except CannotListenError:
        for listener in found:
            if listener not in before:
                close(listener)
        raise
    return tuple(found)


def _at_path(
    plan: ControlPlan,
    environment: Mapping[bytes, bytes],
    before: tuple[Listener, ...],
    say: Callable[[str, str], None],
) -> list[Listener]:
    paths: tuple[bytes, ...] = DEFAULT_PATHS
    if plan.socket:
        paths = (plan.socket,)
    elif PATH_VARIABLE in environment:
        paths = (environment[PATH_VARIABLE],) if environment[PATH_VARIABLE] else ()
    for listener in before:
        if listener.path in paths and is_there(listener):
            _set_owner(listener.path, plan)
            return [listener]
    for path in paths:
        try:
            fd = listen_at_path(path, plan.mode, plan.uid, plan.gid)
        except OSError as exc:
            is_used = isinstance(exc, InUseError)
            reason = "another is listening there" if is_used else exc.strerror or errno_name(exc)
            text = f"{path.decode(errors='replace')}: {reason}"
            if plan.socket:
                raise CannotListenError(f"cannot listen at {text}") from None
            if is_used or path == paths[-1]:
                say(INFO, f"no control socket: {text}")
                break
        else:
            return [Listener(fd, path, inode_of(path))]
    return []


def is_there(listener: Listener) -> bool:
    """Whether who looks for it finds it; a path may have been removed by somebody."""
    return not listener.path or inode_of(listener.path) == listener.inode


def _set_owner(path: bytes, plan: ControlPlan) -> None:
    try:
        posix.chown(path, plan.uid, plan.gid)
        posix.chmod(path, plan.mode)
    except OSError as exc:
        name = path.decode(errors="replace")
        raise CannotListenError(f"cannot change {name}: {errno_name(exc)}") from None


def _on_network(host: bytes, port: int) -> list[Listener]:
    try:
        return [Listener(fd, b"", 0, host, port) for fd in listen_on_network(host, port)]
    except OSError as exc:
        is_used = isinstance(exc, InUseError)
        reason = "another is listening there" if is_used else exc.strerror
        name = f"[{host.decode()}]" if b":" in host else host.decode() or "*"
        raise CannotListenError(f"cannot listen on {name}:{port}: {reason}") from None


def close(listener: Listener) -> None:
    """Listen there no more, for which this may be called again. A path is removed, if it still is
    ours."""
    for do in (_remove, _close_fd):
        try:
            do(listener)
        except OSError:  # the file system is read-only by now; or a fault has come between
            continue


def _close_fd(listener: Listener) -> None:
    posix.close(listener.fd)


def _remove(listener: Listener) -> None:
    if listener.path and is_there(listener):
        posix.unlink(listener.path)
