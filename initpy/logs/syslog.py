"""A sink that speaks to a syslog server: RFC 5424 over a unix socket, UDP or TCP.

It keeps no queue: what the server does not take now stays with the channel, which waits or drops as
its policy says. Only the one message that a TCP connection has taken a part of is held.
"""

from __future__ import annotations

import _socket
import _thread
import errno
import time

from initpy.logs.sinks import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from initpy.logs.sinks import Buffer

RETRY_S = 1.0
"""Between two attempts to connect."""

FULL_S = 0.02
"""How soon a full datagram socket is tried again; the kernel does not wake those who wait."""

MAX_DATAGRAM_BYTES = 60_000
"""A longer message is cut: UDP carries no more than 65,507."""

PORT = 514


class Address:
    """unix:/dev/log, udp:HOST:PORT or tcp:HOST:PORT, taken apart.

    Raises:
        ValueError: it is none of these; the text is for the operator.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.transport, _, rest = text.partition(":")
        self.path, self.host, self.port = rest, "", 0
        if self.transport == "unix":
            if not rest.startswith("/"):
                raise ValueError("unix: is followed by an absolute path")
            return
        if self.transport not in ("udp", "tcp"):
            raise ValueError("it begins with unix:, udp: or tcp:")
        host, _, port = rest.rpartition(":")
        if not host or rest.endswith("]"):
            host, port = rest, str(PORT)
        self.host = host.removeprefix("[").removesuffix("]")
        if not self.host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"{self.transport}: is followed by HOST:PORT")
        self.port = int(port)


class SyslogSink(Sink):
    """One server, for all the channels that write to it."""

    def __init__(
        self,
        address: Address,
        report: Callable[[str, str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(report, now)
        self._address = address
        self._sock: _socket.socket | None = None
        self._is_stream = address.transport == "tcp"
        self._is_connecting = False
        self._frame = b""
        """TCP: a message of which the server has the first `_sent` bytes."""
        self._sent = 0
        self._has_failed = False
        self._resolved: list[tuple[int, Any] | OSError] = []
        self._is_resolving = False
        self._attempts = 0

    def waits_for_fd(self) -> int:
        waits = self._is_stream and self._sock is not None and (self.is_stalled or self._frame)
        return self._sock.fileno() if waits and self._sock is not None else -1

    def waits_until(self) -> float | None:
        if not self.is_stalled or self.waits_for_fd() >= 0:
            return None
        return self._retry_at

    def _take(self, raw: Buffer, start: int, end: int) -> int:
        if self._now() < self._retry_at:
            return 0
        at = start
        try:
            if self._sock is None:
                self._connect()
            sock = self._sock
            if sock is None:
                return 0
            self._flush_frame(sock)
            while at < end:
                space = raw.find(b" ", at, end)
                upto = space + 1 + int(raw[at:space])
                self._send(sock, raw[at if self._is_stream else space + 1 : upto])
                at = upto
                if self._frame:
                    break
        except BlockingIOError:
            if not self._is_stream:
                self._retry_at = self._now() + FULL_S  # the kernel tells nobody that it has room
        except OSError as exc:
            self._lose(exc)
        else:
            if self._has_failed:
                self._have_again()
        return at - start

    def _send(self, sock: _socket.socket, message: bytes) -> None:
        """Send a message, or, on TCP, a part of it: the rest is `_frame`'s.

        Raises:
            BlockingIOError: there is no room; nothing of it was taken.
        """
        if self._is_stream:
            sent = sock.send(message)
            if sent < len(message):
                self._frame, self._sent = message, sent
            return
        message = message[:MAX_DATAGRAM_BYTES]
        try:
            sock.send(message)
        except OSError as exc:
            if exc.errno == errno.ENOBUFS:
                raise BlockingIOError(errno.EAGAIN, "") from None
            if exc.errno != errno.ECONNREFUSED or self._address.transport != "udp":
                raise
            sock.send(message)  # what was refused is an earlier one

    def _flush_frame(self, sock: _socket.socket) -> None:
        """Send the rest of a message that was begun.

        Raises:
            BlockingIOError: there is no room for it yet.
        """
        if self._is_connecting:
            failed = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
            if failed:
                raise OSError(failed, errno.errorcode.get(failed, ""))
        try:
            while self._frame:
                self._sent += sock.send(self._frame[self._sent :])
                if self._sent == len(self._frame):
                    self._frame, self._sent = b"", 0
        except OSError as exc:
            if exc.errno == errno.ENOTCONN and self._is_connecting:
                raise BlockingIOError(errno.EAGAIN, "") from None
            raise
        self._is_connecting = False

    def _connect(self) -> None:
        """Begin to; `_sock` stays None while the name is being looked up."""
        if self._address.transport == "unix":
            self._sock = self._connected(_socket.AF_UNIX, self._address.path)
            return
        if not self._resolved:
            if not self._is_resolving:
                self._is_resolving = True
                _thread.start_new_thread(self._resolve, ())  # DNS may take half a minute
            self._retry_at = self._now() + FULL_S
            return
        answer = self._resolved.pop()
        self._is_resolving = False
        if isinstance(answer, OSError):
            raise answer
        self._sock = self._connected(*answer)

    def _connected(self, family: int, address: Any) -> _socket.socket:
        kind = _socket.SOCK_STREAM if self._is_stream else _socket.SOCK_DGRAM
        sock = _socket.socket(family, kind | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)
        try:
            sock.connect(address)
        except BlockingIOError:
            self._is_connecting = True
        except OSError:
            sock.close()
            raise
        return sock

    def _resolve(self) -> None:
        kind = _socket.SOCK_STREAM if self._is_stream else _socket.SOCK_DGRAM
        host, port = self._address.host, self._address.port
        numeric = _numeric(host)
        if numeric is not None:
            self._resolved.append((numeric, (host, port)))
            return
        if host == "localhost":  # which even the static executable, without a resolver, knows
            found: list[tuple[int, Any]] = [
                (_socket.AF_INET, ("127.0.0.1", port)),
                (_socket.AF_INET6, ("::1", port)),
            ]
        else:
            try:
                name = host.encode("ascii" if host.isascii() else "idna")
                answers = _socket.getaddrinfo(name, port, 0, kind)
            except (OSError, ValueError, LookupError) as exc:
                self._resolved.append(OSError(0, str(exc)))
                return
            found = [(family, address) for family, _, _, _, address in answers]
        self._resolved.append(found[self._attempts % len(found)])  # the next one after a failure
        self._attempts += 1

    def _lose(self, exc: OSError) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        self._sent = 0  # a new connection gets the message from its beginning
        self._is_connecting = False
        self._retry_at = self._now() + RETRY_S
        if not self._has_failed:
            self._has_failed = True
            text = f"cannot reach syslog at {self._address.text}: {exc.strerror}; trying on"
            self._report("WARN", text)

    def _have_again(self) -> None:
        lost = f"{self.lost_lines} lines were lost" if self.lost_lines else "nothing was dropped"
        self._report("INFO", f"syslog at {self._address.text} is there again: {lost}")
        self._has_failed = False
        self.lost_lines = 0


def _numeric(host: str) -> int | None:
    """The family of an address in numbers; None: it is a name."""
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, host)
        except OSError:
            continue
        return family
    return None
