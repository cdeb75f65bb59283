"""`initpy health`: for HEALTHCHECK and probes, which call it every few seconds.

So it loads as little as it can: no argparse, no XML parser.
"""

from __future__ import annotations

import posix

from initpy.ctl.connection import OK, Connection, ProtocolError

HEALTHY, UNHEALTHY = 0, 1
"""Exit codes: Docker knows no others."""

ANSWER_S = 10.0
"""Who takes longer is not well."""

_ESCAPES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))

STDOUT = 1


def main(names: list[str]) -> int:
    """Say why the container is not well, if it is not; returns the exit code."""
    why = _ask(names)
    if why:
        posix.write(STDOUT, f"{why}\n".encode("utf-8", "surrogateescape"))
        return UNHEALTHY
    return HEALTHY


def _ask(names: list[str]) -> str:
    """Why not; empty: all is well."""
    try:
        connection = _connected()
    except TimeoutError as exc:
        return f"initpy does not answer: {exc.strerror}"
    if connection is None:
        return "no initpy answers"
    try:
        connection.set_timeout(ANSWER_S)
        connection.request("POST", "/RPC2", {"Content-Type": "text/xml"}, _call(names))
        answer = connection.body()
    except (OSError, ProtocolError) as exc:
        return f"initpy does not answer: {exc}"
    if connection.status != OK:
        return f"initpy refuses to answer: {connection.status} {connection.reason}"
    return _text_in(answer)


def _connected() -> Connection | None:
    """Where an initpy can be without being looked for; or wherever it is.

    Raises:
        TimeoutError: there is one, which does not take the connection.
    """
    given = posix.environ.get(b"INITPY_SOCKET")
    if given == b"":
        return None  # as for initpy itself: there is no socket
    for path in (given,) if given else (b"/run/initpy.sock", b"/tmp/initpy.sock"):
        try:
            connection = Connection(path.decode("utf-8", "surrogateescape"))
        except TimeoutError:
            raise
        except OSError:
            continue
        if given or not path.startswith(b"/tmp") or connection.peer()[1] in (0, posix.geteuid()):
            return connection
        connection.close()
    return None if given else _looked_for()


def _looked_for() -> Connection | None:
    from initpy.ctl.calls import UnreachableError  # noqa: PLC0415 - they take their time
    from initpy.ctl.finding import NotFoundError, found  # noqa: PLC0415
    from initpy.linux.native import complete_python  # noqa: PLC0415

    complete_python()
    try:
        return Connection(found().path)
    except (OSError, NotFoundError, UnreachableError):
        return None


def _call(names: list[str]) -> bytes:
    escaped = [name.replace("&", "&amp;").replace("<", "&lt;") for name in names]
    values = "".join([f"<value><string>{name}</string></value>" for name in escaped])
    body = f"<params><param><value><array><data>{values}</data></array></value></param></params>"
    call = f"<methodCall><methodName>initpy.health</methodName>{body}</methodCall>"
    return call.encode("utf-8", "surrogateescape")


def _text_in(answer: bytes) -> str:
    """The only string in an answer; of a fault, that is its text."""
    text = answer.decode("utf-8", "replace")
    begin, end = text.find("<string>"), text.find("</string>")
    if begin < 0 or end < 0:
        return "initpy has answered something else"
    found = text[begin + len("<string>") : end]
    for escape, ch in _ESCAPES:
        found = found.replace(escape, ch)
    return found or ("initpy cannot say" if "<fault>" in text else "")
