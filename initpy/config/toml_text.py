"""Values and keys as a person would write them in TOML."""

from __future__ import annotations

import re

from initpy.config.toml import FloatText

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WIDTH = 100
"""Beyond that, a comment goes on in the next line."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")

_SHORT = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def key_of(*parts: str) -> str:
    """A key, or a dotted one."""
    return ".".join([part if _BARE_KEY.fullmatch(part) else _basic(part) for part in parts])


def text_of(value: object) -> str:
    """A value: a string, a number, a boolean, or a list or table of these.

    Raises:
        TypeError: it is something else.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, FloatText):
        return value.text
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join([text_of(item) for item in value])}]"
    if isinstance(value, dict):
        items = [f"{key_of(name)} = {text_of(item)}" for name, item in value.items()]
        return f"{{ {', '.join(items)} }}" if items else "{}"
    raise TypeError(f"no TOML for {value!r}")


def comment(text: str) -> Iterator[str]:
    """The lines of a comment, in which long ones are wrapped."""
    line = "#"
    for word in _printable(text).split():
        if len(line) + 1 + len(word) > WIDTH and line != "#":
            yield line
            line = "#"
        line += f" {word}"
    yield line


def verbatim(lines: Iterable[str]) -> Iterator[str]:
    """The lines as comments, as they are."""
    for line in lines:
        yield f"# {_printable(line)}".rstrip()


def _printable(text: str) -> str:
    """What a comment may hold: no control characters but tabs."""
    return re.sub(r"[\x00-\x08\x0a-\x1f\x7f]", "", text)


def _string(text: str) -> str:
    lines = text.split("\n")
    if len(lines) > 1 and all(line.isprintable() for line in lines):
        return '"""\n' + "\n".join([line.translate(_ESCAPES) for line in lines]) + '"""'
    if ('"' in text or "\\" in text) and "'" not in text and text.isprintable():
        return f"'{text}'"
    return _basic(text)


def _basic(text: str) -> str:
    parts = [
        _SHORT.get(ch) or (ch if ch >= " " and ch != "\x7f" else f"\\u{ord(ch):04x}") for ch in text
    ]
    return f'"{"".join(parts)}"'


_ESCAPES = str.maketrans({'"': '\\"', "\\": "\\\\"})
