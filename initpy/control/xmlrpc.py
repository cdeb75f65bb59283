"""XML-RPC: calls from XML, and results into it.

Our own, and not the standard library's, because that takes 90 ms to load, which the first client
would wait for. What it writes is, byte for byte, what xmlrpc.client writes, wherever that is XML at
all: characters that XML cannot have are written as in a Python string (`\\x1b`), so that a log with
such in it can be read.
"""

from __future__ import annotations

import base64
import binascii
import pyexpat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

MAX_DEPTH = 32
"""Of arrays and structs in each other."""

MAX_ELEMENTS = 50_000
"""Of a call: each costs more memory than the bytes that it comes in."""

MAX_INT = 2**31 - 1

HEAD = "<?xml version='1.0'?>\n"

_UNFIT = {code: f"\\x{code:02x}" for code in range(32) if chr(code) not in "\t\n\r"} | {
    code: f"\\u{code:04x}" for code in (*range(0xD800, 0xE000), 0xFFFE, 0xFFFF)
}
_ESCAPED = {ord("&"): "&amp;", ord(">"): "&gt;", ord("<"): "&lt;", ord("\r"): "&#13;"}
_TRANSLATED = _UNFIT | _ESCAPED


class XmlError(Exception):
    """That is no call in XML-RPC."""


# ---------------------------------------------------------------- calls


def call_in(raw: bytes) -> tuple[str, list[Any]]:
    """The name of the method, and the parameters.

    Raises:
        XmlError: whatever else `raw` is; also with a DOCTYPE or entities of its own, or too much in
            it.
    """
    reader = _read(raw, MAX_ELEMENTS)
    if reader.method is None:
        raise XmlError("no methodName in it")
    return reader.method, reader.parameters


def answer_in(raw: bytes) -> tuple[Any, bool]:
    """The result in the answer to a call, and whether it is a fault.

    Raises:
        XmlError: `raw` is no answer.
    """
    reader = _read(raw, sys.maxsize)
    if len(reader.parameters) != 1:
        raise XmlError("no result in it")
    return reader.parameters[0], reader.is_fault


def _read(raw: bytes, max_elements: int) -> _Reader:
    reader = _Reader(max_elements)
    parser = pyexpat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.begin
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(raw, True)
    except (pyexpat.ExpatError, LookupError, ValueError) as exc:  # or an encoding that is none
        raise XmlError(f"no XML: {exc}") from None
    return reader


def _refuse(*_: object) -> None:
    raise XmlError("a DOCTYPE or entities of its own")


class _Reader:
    """Builds the parameters as the elements come."""

    def __init__(self, max_elements: int) -> None:
        self._elements_left = max_elements
        self.method: str | None = None
        self.is_fault = False
        self.parameters: list[Any] = []
        self._path: list[str] = []
        self._text: list[str] = []
        self._open: list[list[Any]] = [self.parameters]
        """The values of each array or struct that is open; the parameters are the outermost."""
        self._has_type = False
        """The value that is open says of what type it is."""

    def begin(self, tag: str, _attributes: dict[str, str]) -> None:
        self._elements_left -= 1
        if self._elements_left < 0:
            raise XmlError("too many elements")
        self._path.append(tag)
        self._text.clear()
        if tag == "value":
            self._has_type = False
        elif self._path[-2:-1] == ["value"]:
            self._has_type = True
            if tag in ("array", "struct"):
                if len(self._open) > MAX_DEPTH:
                    raise XmlError("nested too deep")
                self._open.append([])

    def text(self, text: str) -> None:
        self._text.append(text)

    def end(self, tag: str) -> None:
        path = self._path
        path.pop()
        text = "".join(self._text)
        self._text.clear()
        if tag == "methodName":
            self.method = text.strip()
        elif tag == "fault":
            self.is_fault = True
        elif tag == "name" and path[-1:] == ["member"]:
            self._open[-1].append(text)
        elif tag == "value":
            if not self._has_type:
                self._open[-1].append(text)
            self._has_type = True
        elif path[-1:] == ["value"]:
            if tag in ("array", "struct"):
                items = self._open.pop()
                self._open[-1].append(items if tag == "array" else _struct(items))
            else:
                self._open[-1].append(_scalar(tag, text))


def _struct(items: list[Any]) -> dict[str, Any]:
    names, values = items[::2], items[1::2]
    if len(names) != len(values) or not all(isinstance(name, str) for name in names):
        raise XmlError("a struct with a member that has no name, or no value")
    return dict(zip(names, values, strict=True))


def _scalar(tag: str, text: str) -> Any:
    try:
        if tag in ("int", "i1", "i2", "i4", "i8", "biginteger"):
            return _int(text)
        if tag == "boolean":
            return {"0": False, "1": True}[text.strip()]
        if tag in ("double", "float"):
            return float(text)
        if tag == "base64":
            return base64.b64decode(text)
    except (ValueError, KeyError, binascii.Error):
        raise XmlError(f"no {tag}: {text[:40]!r}") from None
    if tag in ("string", "dateTime.iso8601"):
        return text
    if tag == "nil":
        return None
    raise XmlError(f"no type is called {tag[:40]!r}")


def _int(text: str) -> int:
    if len(text) > 40:  # Python takes its time for very many digits
        raise ValueError
    return int(text)


# ---------------------------------------------------------------- calls and results


def call_out(name: str, parameters: Sequence[Any]) -> bytes:
    """A call of a method."""
    parts = [HEAD, f"<methodCall>\n<methodName>{escaped(name)}</methodName>\n<params>\n"]
    for parameter in parameters:
        parts.append("<param>\n")
        _write(parameter, parts.append, 0)
        parts.append("</param>\n")
    parts.append("</params>\n</methodCall>\n")
    return "".join(parts).encode()


def result(value: Any) -> bytes:
    """The answer to a call."""
    parts = [HEAD, "<methodResponse>\n<params>\n<param>\n"]
    _write(value, parts.append, 0)
    parts.append("</param>\n</params>\n</methodResponse>\n")
    return "".join(parts).encode()


def fault(code: int, text: str) -> bytes:
    """The answer to a call that has failed."""
    parts = [HEAD, "<methodResponse>\n<fault>\n"]
    _write({"faultCode": code, "faultString": text}, parts.append, 0)
    parts.append("</fault>\n</methodResponse>\n")
    return "".join(parts).encode()


def escaped(text: str) -> str:
    """As it can stand in XML."""
    return text.translate(_TRANSLATED)


def _write(value: Any, write: Callable[[str], None], depth: int) -> None:
    if isinstance(value, bool):
        write(f"<value><boolean>{value:d}</boolean></value>\n")
    elif isinstance(value, int):
        tag = "int" if -MAX_INT - 1 <= value <= MAX_INT else "i8"
        write(f"<value><{tag}>{value}</{tag}></value>\n")
    elif isinstance(value, str):
        write(f"<value><string>{escaped(value)}</string></value>\n")
    elif isinstance(value, float):
        write(f"<value><double>{value!r}</double></value>\n")
    elif value is None:
        write("<value><nil/></value>")
    elif isinstance(value, (list, tuple)):
        write("<value><array><data>\n")
        for item in value:
            _write(item, write, depth + 1)
        write("</data></array></value>\n")
    elif isinstance(value, dict):
        write("<value><struct>\n")
        for name, item in value.items():
            write(f"<member>\n<name>{escaped(name)}</name>\n")
            _write(item, write, depth + 1)
            write("</member>\n")
        write("</struct></value>\n")
    else:
        raise TypeError(f"XML-RPC has no {type(value).__name__}")
