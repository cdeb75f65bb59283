"""Calls to the control plane: XML-RPC, and what streams, over a Unix socket or TCP."""

from __future__ import annotations

import base64
import time

from initpy.control.xmlrpc import XmlError, answer_in, call_out
from initpy.ctl.connection import OK, Connection, ProtocolError, UnsentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

UNIX, HTTP = "unix://", "http://"

DEFAULT_PORT = 80

ACCEPTED = 202
"""HTTP's status for what has been begun, and is not done."""

ANSWER_S = 30.0
"""Who only looks, gets an answer within so many seconds, or there is something wrong. (Orders may
take any time: a program may need it to come up.)"""

FROM_NOW_ON = "?last=0"
"""Behind the path of a stream: without what is there already."""

RETRY_S = 0.5
"""Before a stream goes on that had nothing in it."""

TRIES = 3
"""Of what has certainly not been done."""

_LOOKING = ("get", "read", "tail", "list", "method", "health", "waitFor")
"""How the methods' names begin that change nothing, so that they may be called twice."""


class CallError(Exception):
    """There is no answer; the text says why, in a way that fits behind `initpy: `."""


class UnreachableError(CallError):
    """Nobody listens there."""

    def __init__(self, where: str, error: OSError) -> None:
        super().__init__(f"nothing answers at {where}: {error.strerror or error}")
        self.errno = error.errno


class CutOffError(CallError):
    """Somebody was there, and is gone."""


class AcceptedError(CallError):
    """The order was given, but there is no hearing what comes of it."""


class RefusedError(CallError):
    """The answer is an HTTP error."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"refused: {status} {reason}")
        self.status = status


class Fault(Exception):  # noqa: N818 - its name in XML-RPC
    """The answer to a call is a fault."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Server:
    """A control plane that is called. Connects when it has to, and keeps the connection."""

    def __init__(self, url: str, username: str = "", password: str = "") -> None:
        """`url` is unix:///PATH or http://HOST[:PORT].

        Raises:
            ValueError: it is neither.
        """
        self.url = url
        self.path = ""
        """Of the Unix socket; empty: it is TCP."""
        self._host, self._port = "", 0
        self._headers: dict[str, str] = {"User-Agent": "initpy"}
        if url.startswith(UNIX):
            self.path = url.removeprefix(UNIX)
        elif url.startswith(HTTP):
            address, _, _ = url.removeprefix(HTTP).partition("/")
            account, has_account, address = address.rpartition("@")
            if has_account and not username:
                username, _, password = account.partition(":")
            self._host, self._port = _host_and_port(address)
        if not self.path and not self._host:
            raise ValueError(f"expected unix://PATH or http://HOST:PORT, not {url!r}")
        if username:
            pair = base64.b64encode(f"{username}:{password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {pair}"
        self._kept: Connection | None = None

    @property
    def where(self) -> str:
        """It, as a person says it."""
        return self.path or self.url.rpartition("@")[2]

    def call(self, method: str, *parameters: Any) -> Any:
        """The result of a method.

        Raises:
            Fault: it is refused by the method.
            CallError: there is no answer.
        """
        is_looking = method.rpartition(".")[2].startswith(_LOOKING)
        raw = self._post(call_out(method, parameters), is_looking=is_looking)
        try:
            answer, is_fault = answer_in(raw)
            if is_fault:
                raise Fault(answer["faultCode"], answer["faultString"])
        except (XmlError, KeyError, TypeError) as exc:
            raise CallError(f"{self.where} does not speak XML-RPC: {exc}") from None
        return answer

    def _post(self, body: bytes, *, is_looking: bool) -> bytes:
        """The answer to a request, on the connection that is there or, where that has been closed
        meanwhile, on a new one. What changes something is sent once more only if it has certainly
        not been done."""
        headers = {**self._headers, "Content-Type": "text/xml"}
        error = CutOffError()
        for _ in range(TRIES):
            connection = self._kept_or_new()
            connection.set_timeout(ANSWER_S if is_looking else None)
            try:
                connection.request("POST", "/RPC2", headers, body)
                return self._read(connection)
            except UnsentError as exc:
                connection.close()
                error = self._cut_off(exc)
            except (OSError, ProtocolError) as exc:
                connection.close()
                error = self._cut_off(exc)
                if isinstance(exc, TimeoutError):
                    raise error from None
                if not is_looking:
                    why = "; whether it has done what it was asked for is not known"
                    raise CutOffError(f"{error}{why}") from None
        raise error

    def _kept_or_new(self) -> Connection:
        kept, self._kept = self._kept, None
        if kept is not None:
            if not kept.is_over():
                return kept
            kept.close()
        return self._connected()

    def _read(self, connection: Connection) -> bytes:
        """Raises:
        OSError, ProtocolError: it breaks off.
        """
        raw = connection.body()
        if connection.stays_open:
            self._kept = connection
        else:
            connection.close()
        if connection.status == ACCEPTED:
            raise AcceptedError(raw.decode(errors="replace").strip())
        if connection.status != OK:
            raise RefusedError(connection.status, connection.reason)
        return raw

    def stream(self, target: str) -> Iterator[bytes]:
        """What the server sends for a GET, as it comes, until it ends. One that breaks off, as its
        helper has been replaced, goes on; what came meanwhile is not in it.

        Raises:
            CallError: there is no answer, or it breaks off and does not go on.
        """
        begun = self._begun_stream(target)
        while True:
            has_any = False
            try:
                for piece in begun.pieces():
                    has_any = True
                    yield piece
            except (OSError, ProtocolError) as exc:
                error = self._cut_off(exc)
            else:
                return
            finally:
                begun.close()
            try:
                begun = self._begun_stream(target + FROM_NOW_ON)
            except CallError:
                raise error from None
            if not has_any:
                time.sleep(RETRY_S)

    def _begun_stream(self, target: str) -> Connection:
        """Asked for more than once, where there is no answer."""
        error = CutOffError()
        for _ in range(TRIES):
            connection = self._connected()
            try:
                connection.request("GET", target, self._headers)
            except (OSError, ProtocolError) as exc:
                connection.close()
                error = self._cut_off(exc)
                continue
            if connection.status == OK:
                return connection
            connection.close()
            raise RefusedError(connection.status, connection.reason)
        raise error

    def peer(self) -> tuple[int, int]:
        """The pid and the uid of the process that has made the Unix socket.

        Raises:
            CallError: nobody listens there.
        """
        if self._kept is None:
            self._kept = self._connected()
        return self._kept.peer()

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _connected(self) -> Connection:
        try:
            return Connection(self.path, self._host, self._port)
        except OSError as exc:
            raise UnreachableError(self.where, exc) from None

    def _cut_off(self, exc: Exception) -> CutOffError:
        if isinstance(exc, TimeoutError):
            return CutOffError(f"{self.where} does not answer: nothing has come for {ANSWER_S:g} s")
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        return CutOffError(f"{self.where} has broken off the connection: {why}")


def _host_and_port(address: str) -> tuple[str, int]:
    """Of HOST, HOST:PORT or [HOST]:PORT; no host: it is none of these."""
    host, colon, digits = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, digits = address, str(DEFAULT_PORT)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5):
        return "", 0
    return host.strip("[]"), int(digits)
