"""HTTP/1.1 as far as the control plane needs it: requests out of bytes, however they arrive.

Our own, and not http.server's: that takes 250 ms to load, and would wait for a slow client as long
as one byte comes now and then. No sockets here.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_HEADER_BYTES = 64 * 1024
MAX_BODY_BYTES = 2 * 1024 * 1024

REASONS = {
    100: "Continue",
    200: "OK",
    202: "Accepted: the order was given, ask for the state",  # supervisorctl prints it
    301: "Moved Permanently",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    411: "Length Required",
    413: "Payload Too Large",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")


class HttpError(Exception):
    """This request is answered with an error."""

    def __init__(self, status: int, text: str = "") -> None:
        self.status = status
        self.text = text or REASONS[status]
        super().__init__(self.text)


class HttpRequest:
    """One request, whole."""

    __slots__ = ("body", "headers", "is_1_0", "method", "path", "query")

    def __init__(
        self, method: str, target: str, headers: dict[str, str], body: bytes, *, is_1_0: bool
    ) -> None:
        self.method = method
        self.path, _, self.query = target.partition("?")
        """The path is as it was sent, still quoted."""
        self.headers = headers
        """By their names in lower case."""
        self.body = body
        self.is_1_0 = is_1_0

    @property
    def keeps_alive(self) -> bool:
        """Whether another may follow on the same connection."""
        words = [word.strip() for word in self.headers.get("connection", "").lower().split(",")]
        return "keep-alive" in words if self.is_1_0 else "close" not in words


class Requests:
    """Cuts what arrives into requests. Holds one request and one read at the most."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._searched = 0
        """So far there is no end of the header in what is held."""
        self._head: tuple[str, str, dict[str, str], bool] | None = None
        self._length = 0
        self.wants_continue = False
        """The client waits to be told that it may send the body."""

    @property
    def has_begun(self) -> bool:
        """Something of a request has come."""
        return bool(self._held) or self._head is not None

    def feed(self, raw: bytes) -> HttpRequest | None:
        """The next request, if it is whole with `raw`; None: more has to come.

        Raises:
            HttpError: what comes is no request that is taken; nothing after it can be read.
        """
        self._held += raw
        if self._head is None and not self._take_head():
            return None
        if len(self._held) < self._length or self._head is None:
            return None
        method, target, headers, is_1_0 = self._head
        body = bytes(self._held[: self._length])
        del self._held[: self._length]
        self._head = None
        self._searched = 0
        self.wants_continue = False
        return HttpRequest(method, target, headers, body, is_1_0=is_1_0)

    def _take_head(self) -> bool:
        while self._held[:2] == b"\r\n":  # some send one behind a body
            del self._held[:2]
        end = self._held.find(b"\r\n\r\n", max(self._searched - 3, 0))
        if end < 0:
            self._searched = len(self._held)
            if self._searched > MAX_HEADER_BYTES:
                raise HttpError(431)
            return False
        if end > MAX_HEADER_BYTES:
            raise HttpError(431)
        lines = self._held[:end].decode("latin-1").split("\r\n")
        del self._held[: end + 4]
        words = lines[0].split(" ")
        if len(words) != 3 or not words[0].isalpha() or not words[1]:
            raise HttpError(400)
        if words[2] not in ("HTTP/1.1", "HTTP/1.0"):
            raise HttpError(505 if words[2].startswith("HTTP/") else 400)
        headers = _headers(lines[1:])
        self._length = _length(words[0], headers)
        expects = headers.get("expect", "").lower()
        self.wants_continue = expects == "100-continue" and self._length > len(self._held)
        self._head = (words[0], words[1], headers, words[2] == "HTTP/1.0")
        return True


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or not name or not _TOKEN.issuperset(name):
            raise HttpError(400)
        if "\0" in value or "\r" in value or "\n" in value:
            raise HttpError(400)
        value = value.strip(" \t")
        if name in headers and name in ("content-length", "host", "authorization"):
            raise HttpError(400)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _length(method: str, headers: dict[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise HttpError(411)
    text = headers.get("content-length")
    if text is None:
        if method == "POST":
            raise HttpError(411)
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise HttpError(400)
    if int(text) > MAX_BODY_BYTES:
        raise HttpError(413)
    return int(text)


def response(
    status: int,
    body: bytes,
    content_type: str = "text/plain; charset=utf-8",
    *extra: str,
    closes: bool = False,
    is_1_0: bool = False,
) -> bytes:
    """An answer as bytes; `extra` are header lines."""
    lines = [
        f"HTTP/1.{0 if is_1_0 else 1} {status} {REASONS[status]}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        *extra,
    ]
    if closes:
        lines.append("Connection: close")
    elif is_1_0:
        lines.append("Connection: keep-alive")
    return "\r\n".join([*lines, "\r\n"]).encode("latin-1", "replace") + body


def stream(parts: Iterator[bytes], *, is_chunked: bool) -> Iterator[bytes]:
    """An answer that goes on as long as parts come; an empty one sends nothing."""
    lines = [
        f"HTTP/1.{int(is_chunked)} 200 OK",
        "Content-Type: text/plain;charset=utf-8",
        "X-Accel-Buffering: no",
        *(["Transfer-Encoding: chunked"] if is_chunked else []),
        "Connection: close",
    ]
    yield "\r\n".join([*lines, "\r\n"]).encode()
    for part in parts:
        yield b"%x\r\n%b\r\n" % (len(part), part) if part and is_chunked else part
