"""What is wrong in a file, where it is wrong, and how that is said: one line for each problem."""

from __future__ import annotations

import posix
import select

from initpy.config.toml import FloatText
from initpy.core.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from initpy.config.documents import Document
    from initpy.config.expansion import Expander

    Path = tuple[str | int, ...]
    """A key path: the keys of tables and the indices in arrays."""

MAX_LIKE = 200
"""Names among which the one that was meant is looked for: each takes 10 to 100 µs."""

MAX_SHOWN = 80
"""Characters of a value, a key or a name that a problem shows; the rest is an ellipsis."""

_BARE_KEY = r"[A-Za-z0-9_-]+"


class Problem(Value):
    """One thing that is wrong, or (a warning) that is only strange."""

    file: str
    line: int
    """0: the file as a whole."""
    key: str
    """`program.web.startsecs`; empty: the file as a whole."""
    text: str
    is_warning: bool = False
    is_note: bool = False
    """Of the warnings: nothing is wrong, but who knows supervisord should know it."""

    def __str__(self) -> str:
        """One line, with nothing in it that a terminal or an encoding could trip over."""
        where = f"{self.file}:{self.line}" if self.line else self.file
        parts = [where]
        if self.is_warning:
            parts.append("note" if self.is_note else "warning")
        parts += [part for part in (self.key, self.text) if part]
        return escaped(": ".join(parts))


class ConfigError(Exception):
    """The configuration cannot be used. `problems` has everything that is wrong with it."""

    def __init__(self, problems: tuple[Problem, ...], warnings: tuple[Problem, ...] = ()) -> None:
        super().__init__("\n".join([str(problem) for problem in problems]))
        self.problems = problems
        self.warnings = warnings


class Report:
    """Collects problems; a problem that is found again (a process each) is kept once."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}
        self._files: dict[str, int] = {}
        self.failures = 0
        """How often a problem was reported, warnings apart: more than before, if one has been."""

    def add(self, problem: Problem) -> None:
        self.reading(problem.file)
        self._found[problem] = None
        self.failures += not problem.is_warning

    def reading(self, file: str) -> None:
        """Problems are sorted by the order in which the files were read."""
        self._files.setdefault(file, len(self._files))

    def problems(self) -> tuple[Problem, ...]:
        return self._sorted(problem for problem in self._found if not problem.is_warning)

    def warnings(self) -> tuple[Problem, ...]:
        return self._sorted(problem for problem in self._found if problem.is_warning)

    def _sorted(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        return tuple(sorted(problems, key=lambda it: (self._files[it.file], it.line)))


class Place:
    """A key in a file: where a value was read, and where a problem with it is reported."""

    __slots__ = ("document", "expander", "path", "report")

    def __init__(self, document: Document, path: Path, report: Report, expander: Expander) -> None:
        self.document = document
        self.path = path
        self.report = report
        self.expander = expander
        """Knows what a string that is written here may refer to, as far as the file alone says."""

    def at(self, *parts: str | int) -> Place:
        """The place of a key (or an item) in this one's table (or array)."""
        return Place(self.document, self.path + parts, self.report, self.expander)

    def naming(self, **names: str) -> Place:
        """The same place, where strings may refer to these names as well."""
        expander = self.expander.with_names(**names)
        return Place(self.document, self.path, self.report, expander)

    def knowing(self, environ: Mapping[str, str]) -> Place:
        """The same place, where strings may refer to these variables as well."""
        expander = self.expander.with_environ(environ)
        return Place(self.document, self.path, self.report, expander)

    def problem(self, text: str, *, is_warning: bool = False) -> None:
        file, line = self.document.where(self.path)
        name = self.document.name(self.path)
        self.report.add(Problem(file, line, name, self.document.worded(text), is_warning))

    def expected(self, what: str, value: object) -> None:
        self.problem(f"expected {what}, not {shown(value)}")

    def raw(self) -> str:
        """The beginning of the value as it is written."""
        return self.document.raw(self.path)

    def __str__(self) -> str:
        file, line = self.document.where(self.path)
        return f"{file}:{line}"


def key_text(path: Path) -> str:
    """A key path as a person writes it: `program."my web".command[1]`."""
    import re  # noqa: PLC0415 - 5 ms of a container's start, and only a problem has a path

    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += "." if text else ""
            text += (
                part if re.fullmatch(_BARE_KEY, part) and len(part) <= MAX_SHOWN else shown(part)
            )
    return text


def shown(value: object) -> str:
    """A value in a problem, as TOML has it; what is long is cut, what is nested only named."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        cut = value if len(value) <= MAX_SHOWN else value[:MAX_SHOWN] + "…"
        return '"' + escaped(cut.replace("\\", "\\\\").replace('"', '\\"')) + '"'
    if isinstance(value, int):
        return str(value) if abs(value) < 10**30 else "so large a number"
    if isinstance(value, float):
        return value.text if isinstance(value, FloatText) else repr(value)
    return kind_of(value)


def kind_of(value: object) -> str:
    """What a value is, without saying what it holds."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, list):
        return "an array"
    return "a table" if isinstance(value, dict) else "a date or time"


def escaped(text: str) -> str:
    """`text` with all that is not printable (line ends, escapes, lone surrogates) spelt out."""
    if text.isprintable():
        return text
    return "".join([ch if ch.isprintable() else repr(ch)[1:-1] for ch in text])


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean NAME?` for the known name that is most like `name`, or nothing."""
    import difflib  # noqa: PLC0415 - 5 ms, and only a wrong name needs it

    among = list(known)[:MAX_LIKE]
    found = difflib.get_close_matches(name[:200], among, n=1)
    return f"; did you mean {escaped(found[0])}?" if found else ""


def say(fd: int, lines: Iterable[object]) -> None:
    """Write lines; when nobody reads them any more, or the disk is full, that is not our failure.

    It is UTF-8 whatever the locale, and straight to the file descriptor: sys.stdout may be closed,
    ASCII, or keep a rest that fails when Python exits.
    """
    rest = "".join([f"{line}\n" for line in lines]).encode("utf-8", "backslashreplace")
    while rest:
        try:
            rest = rest[posix.write(fd, rest) :]
        except BlockingIOError:
            select.select([], [fd], [])
        except OSError:
            return
