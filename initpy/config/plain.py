"""The plain part of TOML, read in a tenth of the time that it takes to import a whole parser.

Tables with bare names, `key = value` with bare keys, strings on one line without escapes, integers,
plain fractions, booleans, and arrays and inline tables of these: that is what nearly every
configuration is made of. Whatever else a text has, and whatever is wrong with it, is not judged
here: the answer is None, and the whole parser's is what counts.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_BARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_DIGITS = frozenset("0123456789")
_AFTER_VALUE = frozenset(" \t\n,]}#")
_MAX_DEPTH = 8


class _NotPlainError(Exception):
    """There is something in the text that only the whole parser understands."""


def read_plain(text: str, fraction: Callable[[str], float]) -> dict[str, Any] | None:
    """The table that `text` is; None: ask the whole parser. `fraction` makes the floats."""
    if not text.isprintable() and not text.replace("\n", "").replace("\t", "").isprintable():
        return None
    try:
        return _Reader(text + "\n", fraction).document()
    except (_NotPlainError, IndexError):  # IndexError: the text ends too early
        return None


class _Reader:
    def __init__(self, text: str, fraction: Callable[[str], float]) -> None:
        self.text = text
        self.at = 0
        self.fraction = fraction
        self.headed: set[int] = set()
        """The ids of the tables that headers have made: only these may get more tables."""

    def document(self) -> dict[str, Any]:
        root: dict[str, Any] = {}
        self.headed.add(id(root))
        table: dict[str, Any] = root
        while self.gap() < len(self.text):
            if self.text[self.at] == "[":
                table = self.header(root)
            else:
                self.pair(table)
            self.end_of_line()
        return root

    def gap(self, blank: str = " \t\n") -> int:
        """Go over white space and comments; returns where that ends."""
        text, at = self.text, self.at
        while at < len(text):
            if text[at] == "#":
                at = text.index("\n", at)
            elif text[at] in blank:
                at += 1
            else:
                break
        self.at = at
        return at

    def end_of_line(self) -> None:
        self.gap(" \t")
        self.take("\n")

    def take(self, what: str) -> None:
        if self.text[self.at : self.at + 1] != what:
            raise _NotPlainError
        self.at += 1

    def header(self, root: dict[str, Any]) -> dict[str, Any]:
        self.take("[")
        table: dict[str, Any] = root
        while True:
            name = self.bare_key()
            is_last = self.text[self.at] == "]"
            if name not in table:
                table[name] = {}
                self.headed.add(id(table[name]))
            elif is_last or id(table[name]) not in self.headed:
                raise _NotPlainError
            table = table[name]
            self.at += 1
            if is_last:
                return table
            if self.text[self.at - 1] != ".":
                raise _NotPlainError

    def bare_key(self) -> str:
        text, at = self.text, self.at
        while text[at] in _BARE:
            at += 1
        key = text[self.at : at]
        if not key:
            raise _NotPlainError
        self.at = at
        return key

    def pair(self, table: dict[str, Any], depth: int = 0) -> None:
        key = self.bare_key()
        self.gap(" \t")
        self.take("=")
        self.gap(" \t")
        if key in table:
            raise _NotPlainError
        table[key] = self.value(depth)

    def value(self, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise _NotPlainError
        first = self.text[self.at]
        if first in "\"'":
            return self.string(first)
        if first == "[":
            return self.array(depth)
        if first == "{":
            return self.inline_table(depth)
        return self.word()

    def string(self, quote: str) -> str:
        text, start = self.text, self.at + 1
        end = text.find(quote, start)
        inside = text[start:end]
        if end < 0 or "\n" in inside or (quote == '"' and "\\" in inside):
            raise _NotPlainError
        if not inside and text[end + 1] == quote:  # three quotes: a string of several lines
            raise _NotPlainError
        self.at = end + 1
        return inside

    def array(self, depth: int) -> list[Any]:
        self.take("[")
        items: list[Any] = []
        while self.text[self.gap() : self.at + 1] != "]":
            items.append(self.value(depth + 1))
            if self.text[self.gap() : self.at + 1] == ",":
                self.at += 1
            elif self.text[self.at : self.at + 1] != "]":
                raise _NotPlainError
        self.at += 1
        return items

    def inline_table(self, depth: int) -> dict[str, Any]:
        self.take("{")
        table: dict[str, Any] = {}
        self.gap(" \t")
        while self.text[self.at : self.at + 1] != "}":
            self.pair(table, depth + 1)
            self.gap(" \t")
            if self.text[self.at : self.at + 1] == ",":
                self.at += 1
                self.gap(" \t")
                if self.text[self.at : self.at + 1] == "}":  # TOML 1.0 has no comma there
                    raise _NotPlainError
            elif self.text[self.at : self.at + 1] != "}":
                raise _NotPlainError
        self.at += 1
        return table

    def word(self) -> bool | int | float:
        text, at = self.text, self.at
        while text[at] not in _AFTER_VALUE:
            at += 1
        word = text[self.at : at]
        self.at = at
        if word in ("true", "false"):
            return word == "true"
        whole, point, part = word.removeprefix("-").partition(".")
        if not (whole and _DIGITS.issuperset(whole) and len(whole) < 16):
            raise _NotPlainError
        if whole[0] == "0" and whole != "0":
            raise _NotPlainError
        if not point:
            return int(word)
        if not (part and _DIGITS.issuperset(part)):
            raise _NotPlainError
        return self.fraction(word)
