"""The sockets: connections are accepted, each is served by a thread of its own, and idle ones end.

What is asked and answered is no matter of this module; that nobody can keep others out is: the
number of connections is limited, and so is the time that a request may take to come.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from contextlib import suppress

from initpy.control.http import HttpError, HttpRequest, Requests, response
from initpy.controlplan import LEFT, TOLD_TO_LEAVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from initpy.controlplan import Listener

    Answering = Callable[[HttpRequest, "Peer"], bytes | Iterator[bytes]]

MAX_CONNECTIONS = 200
"""Of each listener. Beyond it, one is closed for the new one: one that does nothing, or else the
one whose request has taken longest to come. If all are being answered, the new one is."""

ONLY_FOR_ROOT = 20
"""So many of these on a Unix socket are for root alone: it always gets in."""

REQUEST_S = 30.0
"""From its first byte, a request has so long to come; a new connection, to its first request."""

WRITE_S = 30.0
"""So long a client may take nothing of an answer."""

KEPT_S = 1800.0
"""A connection is kept so long for another request, as supervisord keeps it."""

READ_BYTES = 65536
STACK_BYTES = 512 * 1024
FIRST_LOOK_S = 0.05


class Peer:
    """Who is at the other end."""

    __slots__ = ("pid", "uid")

    def __init__(self, uid: int | None, pid: int) -> None:
        self.uid = uid
        """None: it comes over the network."""
        self.pid = pid


class Server:
    """Accepts connections and has them served, until nobody wants anything any more."""

    def __init__(
        self,
        listeners: tuple[Listener, ...],
        answer: Answering,
        idle_s: float,
        is_needed: Callable[[], bool],
    ) -> None:
        """`answer` makes the whole answer to a request, or yields one that does not end; it is
        called by many threads. `is_needed` says that it is to stay, whether there are connections
        or not."""
        self._sockets = {it.fd: socket.socket(fileno=it.fd) for it in listeners}
        self._answer = answer
        self._idle_s = idle_s
        self._is_needed = is_needed
        self._lock = threading.Lock()
        self._open: dict[int, set[_Connection]] = {fd: set() for fd in self._sockets}
        self._active_at = time.monotonic()
        self._is_leaving = False
        self._wake_fd, self._waker_fd = os.pipe()
        threading.stack_size(STACK_BYTES)

    def serve(self) -> int:
        """Returns the exit code of the helper."""
        poll = select.poll()
        poll.register(self._wake_fd, select.POLLIN)
        for fd in self._sockets:
            poll.register(fd, select.POLLIN)
        while True:
            for fd, _ in poll.poll(self._idle_left_s() * 1000):
                if fd == self._wake_fd:
                    os.read(fd, 4096)
                elif not self._is_leaving:
                    self._accept(fd)
            if self._is_leaving:
                for fd in self._sockets:
                    poll.unregister(fd)
                self._sockets.clear()
                if not self._count():
                    return TOLD_TO_LEAVE
            elif self._idle_left_s() <= 0:
                return LEFT

    def leave(self) -> None:
        """Accept nobody any more, and end when the requests that there are have been answered."""
        with self._lock:
            self._is_leaving = True
            idle = [it for them in self._open.values() for it in them if it.is_idle]
        for connection in idle:
            connection.hang_up()
        self.wake()

    def wake(self) -> None:
        """Have it look around."""
        os.write(self._waker_fd, b"w")

    def _idle_left_s(self) -> float:
        if self._is_leaving or self._count() or self._is_needed():
            return max(self._idle_s, 1.0)
        return max(0.0, self._active_at + self._idle_s - time.monotonic())

    def _count(self) -> int:
        with self._lock:
            return sum(map(len, self._open.values()))

    # ------------------------------------------------------------ connections

    def _accept(self, fd: int) -> None:
        try:
            sock, _ = self._sockets[fd].accept()
        except OSError:  # it is gone again; or there are no descriptors, and the next look is soon
            time.sleep(FIRST_LOOK_S / 10)
            return
        connection = _Connection(self, sock, _peer_of(sock))
        with self._lock:
            them = self._open[fd]
            is_root = connection.peer.uid == 0
            most = MAX_CONNECTIONS
            if connection.peer.uid is not None and not is_root:
                most -= ONLY_FOR_ROOT
            staying = [it for it in them if not it.is_evicted]
            idle = [it for it in staying if it.is_idle] or [it for it in staying if it.half_since]
            has_room = len(them) < most or bool(idle)
            if len(them) >= most and idle:
                evicted = min(idle, key=lambda it: it.half_since or it.idle_since)
                evicted.is_evicted = True
                evicted.hang_up()
            if has_room:
                them.add(connection)
        if not has_room:
            connection.refuse()
            return
        self._active_at = time.monotonic()
        thread = threading.Thread(target=self._run, args=(fd, connection), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no process is left for it
            self._forget(fd, connection)
            connection.refuse()

    def _run(self, fd: int, connection: _Connection) -> None:
        try:
            connection.serve(self._answer)
        finally:
            self._forget(fd, connection)

    def _forget(self, fd: int, connection: _Connection) -> None:
        with self._lock:
            self._open[fd].discard(connection)
            self._active_at = time.monotonic()
            is_last = not any(self._open.values())
        if is_last:
            self.wake()

    @property
    def is_leaving(self) -> bool:
        return self._is_leaving


class _Connection:
    """One client."""

    def __init__(self, server: Server, sock: socket.socket, peer: Peer) -> None:
        self._server = server
        self._sock = sock
        self.half_since = 0.0
        """Since when a part of a request has been there, and not all of it; 0: that is not so."""
        self.is_evicted = False
        """It has to go for another one."""
        self.peer = peer
        self.is_idle = False
        """It waits for another request."""
        self.idle_since = 0.0

    def refuse(self) -> None:
        """There are too many."""
        self._sock.setblocking(False)
        with suppress(OSError):
            self._sock.send(response(503, b"too many connections\n", closes=True))
        self._sock.close()

    def hang_up(self) -> None:
        """End it, from another thread."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def serve(self, answer: Answering) -> None:
        requests = Requests()
        with self._sock:
            try:
                if self._sock.family != socket.AF_UNIX:
                    self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while self._serve_one(requests, answer):
                    pass
            except OSError:  # it has gone away
                pass

    def _serve_one(self, requests: Requests, answer: Answering) -> bool:
        """Returns whether another may follow."""
        try:
            request = self._read(requests)
        except HttpError as exc:
            self._write(response(exc.status, exc.text.encode(), closes=True))
            self._drain()
            return False
        if request is None:
            return False
        self.half_since = 0.0
        answered = answer(request, self.peer)
        if isinstance(answered, bytes):
            self._write(answered)
            return request.keeps_alive and not self._server.is_leaving
        for part in answered:
            if part:
                self._write(part)
            elif self._has_hung_up() or self._server.is_leaving:
                break
        return False

    def _read(self, requests: Requests) -> HttpRequest | None:
        """The next request; None: none comes any more."""
        is_first = not self.idle_since
        until = time.monotonic() + REQUEST_S
        request = requests.feed(b"")
        if request is None and not requests.has_begun:
            self.idle_since = time.monotonic()
            self.is_idle = True
            try:
                self._sock.settimeout(REQUEST_S if is_first else KEPT_S)
                raw = self._sock.recv(READ_BYTES)
            except TimeoutError:
                return None
            finally:
                self.is_idle = False
            if not raw:
                return None
            if not is_first:
                until = time.monotonic() + REQUEST_S
            request = requests.feed(raw)
        while request is None:
            self.half_since = self.half_since or time.monotonic()
            if requests.wants_continue:
                requests.wants_continue = False
                self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise HttpError(408)
            self._sock.settimeout(left_s)
            try:
                raw = self._sock.recv(READ_BYTES)
            except TimeoutError:
                raise HttpError(408) from None
            if not raw:
                return None
            request = requests.feed(raw)
        return request

    def _write(self, raw: bytes) -> None:
        self._sock.settimeout(WRITE_S)
        self._sock.sendall(raw)

    def _drain(self) -> None:
        """Read what the client is still sending, for a moment, or it would not see the answer."""
        until = time.monotonic() + 1.0
        self._sock.shutdown(socket.SHUT_WR)
        while (left_s := until - time.monotonic()) > 0:
            self._sock.settimeout(left_s)
            if not self._sock.recv(READ_BYTES):
                return

    def _has_hung_up(self) -> bool:
        self._sock.setblocking(False)
        try:
            return not self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True


def _peer_of(sock: socket.socket) -> Peer:
    if sock.family != socket.AF_UNIX:
        return Peer(None, 0)
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("=iII"))
    pid, uid, _ = struct.unpack("=iII", raw)
    return Peer(uid, pid)
