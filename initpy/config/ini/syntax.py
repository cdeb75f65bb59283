"""The lines of an INI file, as Python's configparser sees them with what supervisord sets in it.

That parser does not say on which line an option is, and drops the comments; hence this one. Where
the versions of Python differ, which is where two comments begin in one line, the first counts.
"""

from __future__ import annotations

import re

from initpy.core.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Refuse = Callable[[int, str], None]
    """Gets the number of a line, and what is wrong with it."""

DEFAULT = "DEFAULT"
"""The options of this section are in every other one, too."""

_HEADER = re.compile(r"\[(?P<name>.+)\]")
_OPTION = re.compile(r"(?P<name>.*?)\s*[=:]\s*(?P<value>.*)$")
_COMMENT = re.compile(r"(?:^|(?<=\s))[;#]")


class Option(Value):
    """`name = value`, with the lines of the value that follow."""

    name: str
    """In lower case."""
    text: str
    """Its value."""
    file: str
    line: int
    before: tuple[str, ...] = ()
    """The comments above it, one for each line, without their marks; empty: a blank line."""
    beside: tuple[str, ...] = ()
    """Those at the ends of its lines, or between them."""
    lines: tuple[tuple[int, str], ...] = ()
    """The lines that continue it, with their numbers."""


class Section(Value):
    """A section of one file; there may be others with its name."""

    name: str
    file: str
    line: int
    options: tuple[Option, ...]
    before: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    """The comments below all of it, if it is the last of its file."""


def sections(text: str, file: str, refuse: Refuse) -> tuple[Section, ...]:
    """The sections of a file; what is none of it goes to `refuse`."""
    return _Reader(file, refuse).read(text)


class _Open:
    """An option or a section that may go on."""

    def __init__(self, name: str, line: int, before: tuple[str, ...], beside: str | None) -> None:
        self.name = name
        self.line = line
        self.before = before
        self.beside = [beside] if beside else []
        self.parts: list[str] = []
        self.lines: list[tuple[int, str]] = []
        self.options: list[Option] = []


class _Reader:
    def __init__(self, file: str, refuse: Refuse) -> None:
        self._file = file
        self._refuse = refuse
        self._sections: list[Section] = []
        self._section: _Open | None = None
        self._option: _Open | None = None
        """The one that an indented line continues."""
        self._indent = 0
        self._comments: list[str] = []
        """Of the lines since the last option or header."""

    def read(self, text: str) -> tuple[Section, ...]:
        for number, line in enumerate(_lines(text), 1):
            self._line(number, line)
        self._end_section(tuple(self._comments))
        return tuple(self._sections)

    def _line(self, number: int, line: str) -> None:
        mark = 0 if line.lstrip().startswith((";", "#")) else _mark(line)
        value = line[:mark].strip()
        comment = None if mark is None else line[mark:].strip()[1:].strip()
        if not value:
            if comment is None and self._option is not None:
                self._option.parts.append("")
            self._comments.append(comment or "")
            return
        indent = len(line) - len(line.lstrip())
        if self._option is not None and indent > self._indent:
            self._option.parts.append(value)
            self._option.lines.append((number, value))
            self._option.beside += filter(None, (*self._comments, comment))
            self._comments.clear()
            return
        self._indent = indent
        if header := _HEADER.match(value):
            before = self._taken_comments()
            self._end_section()
            self._section = _Open(header["name"], number, before, comment)
        elif self._section is None:
            self._refuse(number, "expected a section such as [program:web] before it")
        elif (option := _OPTION.match(value)) and option["name"]:
            self._end_option()
            name = option["name"].rstrip().lower()
            self._option = _Open(name, number, self._taken_comments(), comment)
            self._option.parts.append(option["value"].strip())
        else:
            hint = "; a line that continues a value has to be indented" if self._option else ""
            self._refuse(number, f"expected `name = value`{hint}")

    def _taken_comments(self) -> tuple[str, ...]:
        taken = tuple(self._comments)
        self._comments.clear()
        return taken

    def _end_option(self) -> None:
        if self._option is not None and self._section is not None:
            it = self._option
            text = "\n".join(it.parts).rstrip()
            beside, lines = tuple(it.beside), tuple(it.lines)
            self._section.options.append(
                Option(it.name, text, self._file, it.line, it.before, beside, lines)
            )
        self._option = None

    def _end_section(self, after: tuple[str, ...] = ()) -> None:
        self._end_option()
        if self._section is not None:
            it = self._section
            options, beside = tuple(it.options), tuple(it.beside)
            self._sections.append(
                Section(it.name, self._file, it.line, options, it.before, beside, after)
            )
        self._section = None


def _lines(text: str) -> Iterator[str]:
    """As a file that is opened as text yields them; str.splitlines() would see more ends."""
    yield from text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _mark(line: str) -> int | None:
    """Where a comment begins; None: nowhere."""
    found = _COMMENT.search(line)
    return found.start() if found else None
