"""Kinds of settings that are text: words, names, commands, and an environment."""

from __future__ import annotations

from initpy.config.expansion import expanded
from initpy.config.kinds import Kind, has_no_nul, is_template, is_whole
from initpy.config.problems import kind_of, nearest, shown
from initpy.config.toml import FloatText

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.config.kinds import Schema
    from initpy.config.problems import Place

_QUOTES = frozenset("\"'\\")
"""Without these, words are what stands between spaces."""


class Text(Kind):
    what: str = "a string"

    @property
    def expected(self) -> str:
        return self.what

    @property
    def schema(self) -> Schema:
        return {"type": "string", "minLength": 1}

    @property
    def expands(self) -> bool:
        return True

    def read(self, value: object, place: Place) -> str | None:
        if not isinstance(value, str) or not value:
            place.expected(self.expected, value)
        elif has_no_nul(value, place):
            return value
        return None


class Names(Kind):
    """A list of names, or one name alone; read as a tuple of (name, its place)."""

    what: str
    at_least: int = 0
    one: str = "a name"

    @property
    def expected(self) -> str:
        return f"a list of {self.what}, or one"

    @property
    def schema(self) -> Schema:
        item = {"type": "string", "minLength": 1}
        items = {"type": "array", "items": item, "minItems": self.at_least}
        return {"anyOf": [items, item]}

    @property
    def expands(self) -> bool:
        return True

    def read(self, value: object, place: Place) -> tuple[tuple[str, Place], ...] | None:
        if isinstance(value, str) and value:
            return ((value, place),) if has_no_nul(value, place) else None
        if not isinstance(value, list) or len(value) < self.at_least:
            empty = "an empty list" if isinstance(value, list) else shown(value)
            place.problem(f"expected {self.expected}, not {empty}")
            return None
        names = []
        for number, name in enumerate(value):
            item = place.at(number)
            if not isinstance(name, str) or not name:
                item.expected(self.one, name)
            elif has_no_nul(name, item):
                names.append((name, item))
        return tuple(names)


class NamesAmong(Names):
    """The same where each has to be one of `words`, in any case; read as these."""

    words: tuple[str, ...] = ()

    @property
    def schema(self) -> Schema:
        item = {"type": "string", "minLength": 1, "examples": list(self.words)}
        items = {"type": "array", "items": item, "minItems": self.at_least}
        return {"anyOf": [items, item]}

    def read(self, value: object, place: Place) -> tuple[tuple[str, Place], ...] | None:
        found = []
        for text, item in super().read(value, place) or ():
            name = expanded(text, item, item.expander) if is_template(text) else text
            if name is None:
                continue
            if name.upper() not in self.words:
                known = nearest(name.upper(), self.words)
                item.problem(f"expected {self.one}, not {shown(name)}{known}")
            found.append((name.upper(), item))
        return tuple(found)


class Command(Kind):
    """Read as a tuple of (word, its place), not expanded yet."""

    @property
    def expected(self) -> str:
        return "a list of strings, or one string that is split as a shell splits it"

    @property
    def schema(self) -> Schema:
        words = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        return {"anyOf": [words, {"type": "string", "pattern": "\\S"}]}

    @property
    def expands(self) -> bool:
        return True

    def read(self, value: object, place: Place) -> tuple[tuple[str, Place], ...] | None:
        if isinstance(value, str):
            words = self._split(value, place)
            return None if words is None else tuple([(word, place) for word in words])
        if not isinstance(value, list):
            place.expected(self.expected, value)
            return None
        if not value:
            place.problem("command is empty")
            return None
        found = []
        for number, word in enumerate(value):
            item = place.at(number)
            if not isinstance(word, str):
                item.expected("a string", word)
            elif has_no_nul(word, item):
                found.append((word, item))
        return tuple(found) if len(found) == len(value) else None

    def _split(self, value: str, place: Place) -> list[str] | None:
        if not has_no_nul(value, place):
            return None
        try:
            words = _split_as_a_shell(value)
        except ValueError as exc:
            place.problem(f"can't parse command {shown(value)}: {exc}")
            return None
        if not words:
            place.problem("command is empty")
        return words or None


def _split_as_a_shell(text: str) -> list[str]:
    if text.isascii() and text.isprintable() and not _QUOTES.intersection(text):
        return text.split()  # spares a container's start the 6 ms that shlex takes
    import shlex  # noqa: PLC0415

    return shlex.split(text)


class Environment(Kind):
    """Read as a dict of name → (value, its place). A value is never part of a problem."""

    @property
    def expected(self) -> str:
        return 'a table such as { NAME = "value" }'

    @property
    def schema(self) -> Schema:
        return {
            "type": "object",
            "propertyNames": {"pattern": "^[^=]+$"},
            "additionalProperties": {"type": ["string", "number"]},
        }

    @property
    def expands(self) -> bool:
        return True

    def read(self, value: object, place: Place) -> dict[str, tuple[str, Place]] | None:
        if not isinstance(value, dict):
            place.problem(f"expected {self.expected}, not {kind_of(value)}")
            return None
        found = {}
        for name, item in value.items():
            text = self._read_item(name, item, place.at(name))
            if text is not None:
                found[name] = (text, place.at(name))
        return found

    def _read_item(self, name: str, value: object, place: Place) -> str | None:
        if not name or "=" in name or "\0" in name:
            place.problem('expected a name that is not empty and has no "=" or NUL in it')
        elif isinstance(value, bool):
            place.problem('expected a string or a number; quote it: "true" or "false"')
        elif isinstance(value, str):
            return value if has_no_nul(value, place) else None
        elif is_whole(value) and abs(value) < 2**64:
            return str(value)
        elif isinstance(value, FloatText) and value - value == 0:
            return value.text
        elif isinstance(value, (int, float)):
            place.problem("expected a string or an ordinary number; quote it")
        else:
            place.problem(f"expected a string or a number, not {kind_of(value)}")
        return None
