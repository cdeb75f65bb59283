"""Where each key of a TOML text is; tomllib does not say.

This is no parser: the text is one that tomllib has accepted, so only what tells keys from values
has to be seen: headers, keys, strings, brackets and comments.
"""

from __future__ import annotations

import re

from initpy.config import toml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.config.problems import Path

MAX_DEPTH = 8
"""A key deeper than this is found where its table is; no setting is deeper than five."""

_BLANK = re.compile(r"(?:[\s,]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[^\s.=\[\]{}\"'#,]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


class Positions:
    """Offsets of the keys and values in a text, by key path: `("program", "web", "command")`.

    A table is where its header is, or else where its first key is; an item of an array
    (`(…, "command", 1)`) is where it begins.

    The text has to be TOML that tomllib accepts; of any other nothing is promised but an end.
    """

    def __init__(self, text: str) -> None:
        self.keys: dict[Path, int] = {}
        self.values: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._open: list[tuple[Path, int | None]] = []
        """The arrays (with how many items were seen) and the inline tables that we are in."""
        self._items: dict[Path, int] = {}
        """How many tables each array of tables has so far."""
        table: Path = ()
        while self._skip_blank():
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        """`[table]` or `[[table]]`: the path of the table it opens."""
        start = self._at
        is_array = self._text.startswith("[[", start)
        self._at += 1 + is_array
        parts = self._key()
        self._at += 1 + is_array
        table: Path = ()
        for part in parts[:-1]:
            table = self._newest_item((*table, part))
            self.keys.setdefault(table, start)
        table = (*table, *parts[-1:])
        if is_array:
            self.keys.setdefault(table, start)
            self._items[table] = self._items.get(table, 0) + 1
            table = self._newest_item(table)
        self.keys[table] = start  # though a table in it may have been seen before
        return table

    def _newest_item(self, path: Path) -> Path:
        return (*path, self._items[path] - 1) if path in self._items else path

    def _pair(self, table: Path) -> None:
        """`key = value`, with all that is in the value, however deep it nests."""
        self._value(self._pair_key(table))
        while self._open and self._skip_blank():
            path, items = self._open[-1]
            if self._text[self._at] in "]}":
                self._at += 1
                self._open.pop()
            elif items is None:
                self._value(self._pair_key(path))
            else:
                self._open[-1] = (path, items + 1)
                path = (*path, items)[:MAX_DEPTH]
                self.keys.setdefault(path, self._at)
                self._value(path)

    def _pair_key(self, table: Path) -> Path:
        """`key =`: the path of what follows."""
        start = self._at
        path = table
        for part in self._key():
            path = (*path, part)[:MAX_DEPTH]
            self.keys.setdefault(path, start)
        self._at += 1
        self._skip_blank()
        return path

    def _value(self, path: Path) -> None:
        """A value, but of an array or an inline table only the bracket."""
        self.values.setdefault(path, self._at)
        first = self._text[self._at : self._at + 1]
        if first in ("[", "{"):
            self._at += 1
            self._open.append((path, 0 if first == "[" else None))
        elif first in ('"', "'"):
            self._take(_STRING)
        else:
            self._take(_SCALAR)

    def _key(self) -> list[str]:
        """The parts of a dotted key, the first MAX_DEPTH of them."""
        parts: list[str] = []
        while self._skip_blank():
            if self._text[self._at] in "\"'":
                part = _unquoted(self._take(_STRING))
            else:
                part = self._take(_BARE_KEY)
            if len(parts) < MAX_DEPTH:
                parts.append(part)
            if not self._skip_blank() or self._text[self._at] != ".":
                break
            self._at += 1
        return parts

    def _skip_blank(self) -> bool:
        """Go on to what is neither blank nor comment nor comma; False: there is no more."""
        self._take(_BLANK)
        return self._at < len(self._text)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            self._at += 1  # not TOML; go on, so as to end
            return ""
        self._at = match.end()
        return match[0]


def _unquoted(key: str) -> str:
    """What a quoted key says."""
    if not key.startswith('"') or "\\" not in key:
        return key[1:-1]
    try:
        return str(toml.parse(f"key = {key}")["key"])
    except ValueError:
        return key  # not TOML
