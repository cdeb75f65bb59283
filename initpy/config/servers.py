"""The kinds of settings of the control plane: who it listens to, and where."""

from __future__ import annotations

from initpy.config.expansion import expanded
from initpy.config.kinds import Account, Kind, has_no_nul, is_whole
from initpy.config.problems import kind_of, shown
from initpy.config.texts import Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from initpy.config.kinds import Schema
    from initpy.config.problems import Place

MAX_PORT = 65535

ALL = ""
"""The host that stands for all addresses there are."""

_ALL_NAMES = ("", "*")
_LOCALHOST = "127.0.0.1"


class SocketPath(Kind):
    """Read as the path, not expanded yet; empty: there shall be no socket."""

    @property
    def expected(self) -> str:
        return "a path, or false"

    @property
    def schema(self) -> Schema:
        return {"anyOf": [{"type": "string"}, {"const": False}]}

    @property
    def expands(self) -> bool:
        return True

    def read(self, value: object, place: Place) -> str | None:
        if value is False:
            return ""
        if isinstance(value, str):
            return value if has_no_nul(value, place) else None
        place.expected(self.expected, value)
        return None


class Accounts(Kind):
    """Users, by name or number; read as a tuple of (name not expanded yet or number, its place)."""

    @property
    def expected(self) -> str:
        return "a list of users, by name or number, or one"

    @property
    def schema(self) -> Schema:
        one = Account("user").schema
        return {"anyOf": [{"type": "array", "items": one}, one]}

    @property
    def expands(self) -> bool:
        return True

    def read(self, value: object, place: Place) -> tuple[tuple[str | int, Place], ...] | None:
        account = Account("user")
        items: list[tuple[Any, Place]] = [(value, place)]
        if isinstance(value, list):
            items = [(item, place.at(number)) for number, item in enumerate(value)]
        elif not (is_whole(value) or isinstance(value, str)):
            place.expected(self.expected, value)
            return None
        found = [(account.read(item, at), at) for item, at in items]
        return tuple([(it, at) for it, at in found if it is not None])


class Listen(Kind):
    """Addresses to listen on; read as a tuple of (text not expanded yet, its place)."""

    @property
    def expected(self) -> str:
        return 'an address such as "127.0.0.1:9001", "[::1]:9001" or ":9001", or a list of these'

    @property
    def schema(self) -> Schema:
        one = {"type": "string", "pattern": ":[0-9]{1,5}$|\\$\\{|%\\("}
        return {"anyOf": [{"type": "array", "items": one, "minItems": 1}, one]}

    @property
    def expands(self) -> bool:
        return True

    def read(self, value: object, place: Place) -> tuple[tuple[str, Place], ...] | None:
        items: list[tuple[object, Place]] = [(value, place)]
        if isinstance(value, list):
            items = [(item, place.at(number)) for number, item in enumerate(value)]
            if not items:
                place.problem(f"expected {self.expected}, not an empty list")
        found = []
        for item, at in items:
            if isinstance(item, str):
                found.append((item, at))
            else:
                at.expected(self.expected, item)
        return tuple(found) if found else None


class Secret(Text):
    """A text that no problem shows; read as it is, not expanded yet."""

    def read(self, value: object, place: Place) -> str | None:
        if not isinstance(value, str) or not value:
            what = "an empty string" if value == "" else kind_of(value)
            place.problem(f"expected {self.expected}, not {what}")
            return None
        return value if has_no_nul(value, place) else None


class Subsection(Kind):
    """A section within the section; read as (its table, its place)."""

    title: str

    @property
    def expected(self) -> str:
        return f"a section [{self.title}]"

    @property
    def label(self) -> str:
        return "a section of its own"

    @property
    def schema(self) -> Schema:
        return {"type": "object"}

    def read(self, value: object, place: Place) -> tuple[dict[str, Any], Place] | None:
        if isinstance(value, dict):
            return value, place
        place.expected(self.expected, value)
        return None


def address_of(text: str, place: Place) -> tuple[str, int, bool] | None:
    """The host (a number, or ALL), the port, and whether it can only be reached from here.

    None: the text is no such address, which is a problem at `place`.
    """
    value = expanded(text, place, place.expander)
    if value is None:
        return None
    host, colon, digits = value.strip().rpartition(":")
    port = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 5 else 0
    if not colon or not 1 <= port <= MAX_PORT:
        place.expected(f"HOST:PORT, with a port from 1 to {MAX_PORT}", value)
        return None
    if host in _ALL_NAMES:
        return ALL, port, False
    host = _LOCALHOST if host == "localhost" else host
    packed = _packed(host)
    if packed is None:
        place.expected('an IP address (of version 6: in brackets), "localhost", or nothing', host)
        return None
    is_here = packed[0] == 127 if len(packed) == 4 else packed == bytes(15) + b"\1"
    return host.strip("[]"), port, is_here


def _packed(host: str) -> bytes | None:
    """The bytes of an address; None: it is none."""
    import socket  # noqa: PLC0415 - few listen on any

    in_brackets = host.startswith("[") and host.endswith("]")
    family = socket.AF_INET6 if in_brackets else socket.AF_INET
    try:
        return socket.inet_pton(family, host[1:-1] if in_brackets else host)
    except (OSError, ValueError):
        return None


def shown_address(host: str, port: int) -> str:
    """As a problem has it."""
    return shown(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
