"""Floor 0: where the control plane listens, and whom it answers, as the configuration says."""

from __future__ import annotations

from initpy.core.values import Value

LEFT, TOLD_TO_LEAVE = 4, 5
"""Exit codes of the control helper: it had nothing to do; PID 1 has asked it to leave."""


class ControlPlan(Value):
    """What PID 1 listens on, and what it hands to the helper that answers."""

    socket: bytes = b""
    """The path of the Unix socket, if the file names one."""
    has_socket: bool = True
    """False: there is to be no Unix socket; else, without a path, it is where it is by default."""
    mode: int = 0o600
    uid: int = -1
    """The owner of the Unix socket; -1: PID 1's own."""
    gid: int = -1
    listen: tuple[tuple[bytes, int], ...] = ()
    """TCP: addresses and ports. An empty address: all that there are."""
    allowed_uids: tuple[int, ...] = ()
    """Who may call over the Unix socket, apart from root and its owner."""
    socket_accounts: tuple[tuple[str, str], ...] = ()
    """Names and passwords (as control.passwords has them) with which others may call there."""
    http_accounts: tuple[tuple[str, str], ...] = ()
    """Those that a caller over TCP has to have; empty: there is no need of any."""
    identifier: str = "supervisor"
    idle_s: float = 60.0
    """How long the helper stays when nobody calls any more."""


class Listener(Value):
    """A socket that is listened on."""

    fd: int
    path: bytes = b""
    """Of a Unix socket; empty: it is one of the network."""
    inode: int = 0
    """By which the path is known as ours."""
    host: bytes = b""
    port: int = 0
