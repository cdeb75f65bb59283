"""A file: read within a bound, parsed as TOML, and asked on which line a key is."""

from __future__ import annotations

import posix

from initpy.config import toml
from initpy.config.paths import abspath, dirname
from initpy.config.problems import Problem, key_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from initpy.config.positions import Positions
    from initpy.config.problems import Path, Report

MAX_FILE_BYTES = 1024 * 1024

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Some editors put it at the beginning, where nobody sees it."""


class Document:
    """A parsed file."""

    def __init__(self, file: str, text: str, table: dict[str, Any]) -> None:
        self.file = file
        self.table = table
        self.here = directory_of(file)
        """The absolute directory of the file, for `%(here)s`."""
        self._text = text
        self._positions: Positions | None = None

    def where(self, path: Path) -> tuple[str, int]:
        """The file and the line of a key, or else of the nearest table around it; 0: the file as a
        whole."""
        return self.file, self.line(path)

    def name(self, path: Path) -> str:
        """A key as who wrote the file knows it."""
        return key_text(path)

    def worded(self, text: str) -> str:
        """What is said of it, in the terms of its format."""
        return text

    def line(self, path: Path) -> int:
        """The line of a key, or else of the nearest table around it; 0: the file as a whole."""
        keys = self._find().keys
        while path and path not in keys:
            path = path[:-1]
        return self._text.count("\n", 0, keys[path]) + 1 if path else 0

    def raw(self, path: Path) -> str:
        """The first characters of a value as they are written: for a number, all that matter."""
        at = self._find().values.get(path, len(self._text))
        return self._text[at : at + 20]

    def value(self, path: Path) -> object:
        """What a key has; None: it is not there."""
        value: object = self.table
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def _find(self) -> Positions:
        """Only a problem asks where things are, so only a problem costs a second look."""
        if self._positions is None:
            from initpy.config.positions import Positions  # noqa: PLC0415

            self._positions = Positions(self._text)
        return self._positions


def read_document(file: str, report: Report) -> Document | None:
    """Read and parse a TOML file.

    None: it cannot be read, or is no TOML; the report has one line that says why.
    """
    text = read_text(file, report)
    return None if text is None else parsed(file, text, report)


def read_text(file: str, report: Report) -> str | None:
    """The text of a file; None: it cannot be read, and the report has one line that says why."""
    report.reading(file)
    try:
        raw = read_bounded(file)
    except OSError as exc:
        report.add(Problem(file, 0, "", f"cannot read it: {exc.strerror or exc}"))
        return None
    except ValueError as exc:  # a NUL in the name
        report.add(Problem(file, 0, "", f"cannot read it: {exc}"))
        return None
    if len(raw) > MAX_FILE_BYTES:
        report.add(Problem(file, 0, "", "cannot read it: larger than 1 MB"))
        return None
    try:
        return raw.removeprefix(BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        text = f"not UTF-8: byte 0x{raw[exc.start]:02x} at offset {exc.start}"
        report.add(Problem(file, line, "", text))
        return None


def parsed(file: str, text: str, report: Report) -> Document | None:
    """The document that a TOML text is; None: it is none, and the report has one line on it."""

    def refuse(what: str, line: int = 0) -> None:
        report.add(Problem(file, line, "", f"cannot parse it: {what}"))

    try:
        return Document(file, text, toml.parse(text))
    except RecursionError:
        refuse("nested too deep")
    except ModuleNotFoundError:
        refuse("this Python has neither tomllib nor tomli")
    except ValueError as exc:
        refuse(str(exc), _line_in(str(exc), text))
    return None


def read_bounded(file: str) -> bytes:
    """The file's bytes, at most one more than MAX_FILE_BYTES.

    A named pipe that nobody writes to reads as empty: opening it does not wait.
    """
    fd = posix.open(file, posix.O_RDONLY | posix.O_NONBLOCK | posix.O_NOCTTY | posix.O_CLOEXEC)
    try:
        posix.set_blocking(fd, True)
        parts = []
        left = MAX_FILE_BYTES + 1
        while left and (part := posix.read(fd, left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        posix.close(fd)


def _line_in(message: str, text: str) -> int:
    """The line that the parser's words name: `… (at line 3, column 5)`."""
    if message.endswith("(at end of document)"):
        return text.count("\n") + 1
    number = message.rpartition("(at line ")[2].partition(",")[0]
    return int(number) if number.isdecimal() else 0


def directory_of(file: str) -> str:
    """The absolute directory of a file."""
    directory = dirname(file)
    try:
        return abspath(directory)
    except (OSError, ValueError):  # the working directory is gone
        return directory
