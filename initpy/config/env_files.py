"""Files of environment variables: a line `NAME=VALUE` for each.

What is common to `docker run --env-file` and systemd's EnvironmentFile is read as both do. Where
they differ, a line is refused rather than read in one of two ways, but for the quotes around a
value, which are taken off as systemd does. No value is ever shown: they are secrets as often as
not.
"""

from __future__ import annotations

from initpy.config.documents import BYTE_ORDER_MARK, MAX_FILE_BYTES, read_bounded
from initpy.config.expansion import MAX_CHARS
from initpy.config.problems import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.config.problems import Place

MAX_PROBLEMS = 10
"""How many lines of a file are told to be wrong: with more, it is no file of this kind."""

_BLANK = " \t\r"


class LineError(Exception):
    """A line is no variable; the text says what was expected, and nothing of the line."""


def read_env_file(file: str, place: Place) -> dict[str, str] | None:
    """The variables in a file that is named at `place`.

    None: it cannot be read, which is a problem at `place`. A bad line is a problem in the file.
    """
    text = _text(file, place)
    if text is None:
        return None
    found: dict[str, str] = {}
    problems = 0
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            variable = _variable(line.strip(_BLANK))
        except LineError as exc:
            problems += 1
            last = "; the lines after it are not looked at" if problems == MAX_PROBLEMS else ""
            place.report.add(Problem(file, number, "", f"{exc}{last}"))
            if last:
                break
        else:
            found |= variable
    return found


def _text(file: str, place: Place) -> str | None:
    try:
        raw = read_bounded(file)
    except OSError as exc:
        place.problem(f"cannot read {file}: {exc.strerror or exc}")
        return None
    except ValueError as exc:  # a NUL in the name
        place.problem(f"cannot read {file}: {exc}")
        return None
    if len(raw) > MAX_FILE_BYTES:
        place.problem(f"cannot read {file}: larger than 1 MB")
        return None
    try:
        return raw.removeprefix(BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        place.problem(f"cannot read {file}: not UTF-8 in its line {line}")
        return None


def _variable(line: str) -> dict[str, str]:
    """The variable in a line, if it is neither blank nor a comment.

    Raises:
        LineError: it is none of these.
    """
    if not line or line.startswith("#"):
        return {}
    if line.startswith(("export ", "export\t")):
        line = line[len("export ") :].lstrip(_BLANK)
    name, equals, value = line.partition("=")
    if not equals:
        raise LineError("expected NAME=VALUE")
    if not name or any(ch.isspace() for ch in name):
        raise LineError('expected a name without white space before the "="')
    if "\0" in line:
        raise LineError("expected text without a NUL byte")
    if len(value) > MAX_CHARS:
        raise LineError(f"longer than {MAX_CHARS} characters: no program can be given it")
    return {name: _unquoted(value.lstrip(_BLANK))}


def _unquoted(value: str) -> str:
    quote = value[:1]
    if quote not in ("'", '"'):
        return value
    if len(value) < 2 or value[-1] != quote or quote in value[1:-1]:
        raise LineError("expected a quoted value to end with its quote, and not to have it inside")
    return value[1:-1]
