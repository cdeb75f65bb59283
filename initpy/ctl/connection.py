"""HTTP/1.1, as far as a client of the control plane needs it.

Our own, and on `_socket`: http.client alone takes 80 ms to load, and `initpy health` is called
every few seconds.
"""

from __future__ import annotations

import _socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

READ_BYTES = 64 * 1024

MAX_HEAD_BYTES = 64 * 1024

PEER_BYTES = 12
"""Three numbers: pid, uid, gid."""

OK = 200

CONNECT_S = 10
"""Who listens, and has not taken the connection after so many seconds, hangs."""

ETIMEDOUT = 110


class ProtocolError(Exception):
    """What comes is no answer in HTTP, or not all of one."""


class UnsentError(OSError):
    """The request has not been sent whole, so nothing has been done about it."""


class Connection:
    """A connection, and one request after the other on it."""

    def __init__(self, path: str = "", host: str = "", port: int = 0) -> None:
        """Connect to a Unix socket, or (without a path) over TCP.

        Raises:
            OSError: nobody answers there.
        """
        self._held = b""
        """What has come and is not read yet."""
        self._headers: dict[str, str] = {}
        self.status = 0
        self.reason = ""
        if path:
            self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
            self._connect(path.encode("utf-8", "surrogateescape"))
            return
        error = OSError(f"{host} has no address")
        for family, address in _addresses(host, port):
            self._socket = _socket.socket(family, _socket.SOCK_STREAM)
            try:
                self._connect(address)
            except OSError as exc:
                error = exc
            else:
                return
        raise error

    def _connect(self, address: object) -> None:
        try:
            # With settimeout, a Unix socket for which many wait would be an error at once.
            limit = memoryview(bytearray(16)).cast("l")  # struct timeval
            limit[0] = CONNECT_S
            self._socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, limit)
            self._socket.connect(address)  # type: ignore[arg-type]
        except BlockingIOError:
            self._socket.close()
            text = f"it has not taken the connection for {CONNECT_S} s: does it hang?"
            raise TimeoutError(ETIMEDOUT, text) from None
        except BaseException:
            self._socket.close()
            raise

    def set_timeout(self, timeout_s: float | None) -> None:
        """No single read or write may take longer from now on; None: they may."""
        self._socket.settimeout(timeout_s)

    def is_over(self) -> bool:
        """Whether the other side has ended it, as far as that is known here."""
        timeout_s = self._socket.gettimeout()
        self._socket.settimeout(0)
        try:
            self._socket.recv(1, _socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            pass
        finally:
            self._socket.settimeout(timeout_s)
        return True  # what comes without having been asked for is no answer

    def peer(self) -> tuple[int, int]:
        """The pid and the uid of who has made the Unix socket."""
        raw = self._socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, PEER_BYTES)
        parts = memoryview(raw).cast("i")
        return parts[0], parts[1]

    def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> None:
        """Send a request, and read the head of the answer.

        Raises:
            UnsentError: the connection is gone, and nothing has been asked for.
            OSError: it is gone.
            ProtocolError: that is no answer.
        """
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        try:
            self._socket.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        except OSError as exc:
            raise UnsentError(exc.errno, exc.strerror or str(exc)) from None
        self._read_head()

    def _read_head(self) -> None:
        while b"\r\n\r\n" not in self._held:
            piece = self._socket.recv(READ_BYTES)
            if not piece or len(self._held) > MAX_HEAD_BYTES:
                raise ProtocolError("it has sent no answer")
            self._held += piece
        head, _, self._held = self._held.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        status, _, self.reason = rest.partition(" ")
        if not version.startswith("HTTP/1.") or not status.isdecimal():
            raise ProtocolError("it does not speak HTTP")
        self.status = int(status)
        pairs = [line.partition(":") for line in lines]
        self._headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        self._headers.setdefault("connection", "close" if version == "HTTP/1.0" else "")

    @property
    def stays_open(self) -> bool:
        """Whether another request may follow when the body is read."""
        return self._headers["connection"].lower() != "close" and (
            "content-length" in self._headers or self._is_chunked
        )

    @property
    def _is_chunked(self) -> bool:
        return self._headers.get("transfer-encoding", "").lower() == "chunked"

    def body(self) -> bytes:
        """The rest of the answer.

        Raises:
            OSError, ProtocolError: it breaks off.
        """
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """The same as it comes.

        Raises:
            OSError, ProtocolError: it breaks off.
        """
        if self._is_chunked:
            while size := self._chunk_size():
                yield from self._exactly(size)
                self._line()
            while self._line():
                pass
        elif (length := self._headers.get("content-length", "")).isdecimal():
            yield from self._exactly(int(length))
        else:
            while piece := self._some(READ_BYTES):
                yield piece

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self._some(size)
            if not piece:
                raise ProtocolError("it has sent half of an answer")
            size -= len(piece)
            yield piece

    def _chunk_size(self) -> int:
        line = self._line().partition(b";")[0].strip()
        try:
            return int(line, 16)
        except ValueError:
            raise ProtocolError("it does not speak HTTP") from None

    def _line(self) -> bytes:
        while b"\r\n" not in self._held:
            piece = self._socket.recv(READ_BYTES)
            if not piece or len(self._held) > MAX_HEAD_BYTES:
                raise ProtocolError("it has sent half of an answer")
            self._held += piece
        line, _, self._held = self._held.partition(b"\r\n")
        return line

    def _some(self, most: int) -> bytes:
        if not self._held:
            return self._socket.recv(min(most, READ_BYTES))
        piece, self._held = self._held[:most], self._held[most:]
        return piece

    def close(self) -> None:
        self._socket.close()


def _addresses(host: str, port: int) -> list[tuple[int, object]]:
    """Families and addresses. The static executable can look up no other name than localhost."""
    if host == "localhost":
        return [(_socket.AF_INET, ("127.0.0.1", port)), (_socket.AF_INET6, ("::1", port))]
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, host)
        except OSError:
            continue
        return [(family, (host, port))]
    name = host.encode("ascii", "replace")  # as text, it would take the codec idna
    found = _socket.getaddrinfo(name, port, _socket.AF_UNSPEC, _socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]
