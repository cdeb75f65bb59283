"""Clients of a real initpy, over its Unix socket."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import children, fds_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support import Init


_ACCEPTS = 0x10000
"""Of a socket in /proc/net/unix: it listens."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = connected(self._path)


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> Any:
        if self._connection[1] is None:
            self._connection = host, _Connection(self._path)
        return self._connection[1]


def connected(path: Path) -> socket.socket:
    """A connection, nothing sent yet."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(str(path))  # waits where many have connected and not been accepted
    except BaseException:
        sock.close()
        raise
    sock.settimeout(30)
    return sock


@contextmanager
def rpc(init: Init) -> Iterator[Any]:
    """The methods of supervisor.*, once initpy listens."""
    wait_for(init.socket.exists, about="the control socket")
    with xmlrpc.client.ServerProxy("http://localhost", _Transport(init.socket)) as proxy:
        yield proxy.supervisor


@contextmanager
def system(init: Init) -> Iterator[Any]:
    """The methods of system.*."""
    wait_for(init.socket.exists, about="the control socket")
    with xmlrpc.client.ServerProxy("http://localhost", _Transport(init.socket)) as proxy:
        yield proxy.system


def fault_of(call: Any, *arguments: object) -> tuple[int, str]:
    """The fault that a call gets."""
    try:
        answer = call(*arguments)
    except xmlrpc.client.Fault as exc:
        return exc.faultCode, exc.faultString
    raise AssertionError(f"no fault, but {answer!r}")


def exchange(path: Path, raw: bytes) -> bytes:
    """All that is answered to these bytes, until the connection ends."""
    with connected(path) as sock:
        sock.sendall(raw)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while part := sock.recv(65536):
            answer += part
        return answer


def helper_of(init: Init) -> int:
    """The pid of its control helper, as soon as there is one: the child that has its socket."""

    def find() -> int:
        for pid in children(init.pid):
            try:
                if listening & {*fds_of(pid)}:
                    return pid
            except OSError:
                continue
        return 0

    known = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    accepting = {f"socket:[{it[6]}]" for it in known if int(it[3], 16) & _ACCEPTS}
    listening = accepting & {*fds_of(init.pid)}
    assert listening
    return wait_for(find, about="the control helper")
