"""The configuration that `initpy run` gets as arguments, as a document like that of a file."""

from __future__ import annotations

from initpy.config import toml
from initpy.config.documents import MAX_FILE_BYTES, Document
from initpy.config.problems import Problem, escaped, shown
from initpy.core.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.config.problems import Path, Report

NAME = "initpy run"
"""Stands where problems have the name of the file."""


class Arguments(Value):
    """What follows `initpy run`."""

    programs: tuple[str, ...]
    """NAME=COMMAND each."""
    settings: tuple[str, ...]
    """KEY=VALUE each: a key as problems name it, and a TOML value, or else a string."""


class _Lineless(Document):
    """There are no lines to name, though it is read as if each argument were one."""

    def line(self, _path: Path) -> int:
        return 0


def document_of(arguments: Arguments, report: Report) -> Document:
    """The arguments as a document; what is wrong with one is reported, and the rest read."""
    report.reading(NAME)
    text = ""
    for option, words in ("--program", arguments.programs), ("--set", arguments.settings):
        for word in words:
            line = _program(word) if option == "--program" else _setting(word)
            if not line:
                wanted = "NAME=COMMAND" if option == "--program" else "KEY=VALUE"
                _refuse(report, f"expected {option} {wanted}, not {shown(word)}")
            elif len(text) + len(line) > MAX_FILE_BYTES:
                _refuse(report, "the arguments are larger than 1 MB")
                break
            elif not _can_be_parsed(text + line):
                _refuse(report, f"{option} {shown(word)}: what it sets has been set before")
            else:
                text += line
    return _Lineless(NAME, text, toml.parse(text))


def _program(word: str) -> str:
    """The line of TOML that says the same; empty: there is none."""
    name, is_one, command = word.partition("=")
    return f"program.{_quoted(name)}.command = {_quoted(command)}\n" if is_one else ""


def _setting(word: str) -> str:
    key, is_one, value = word.partition("=")
    for line in (f"{key} = {value}\n", f"{key} = {_quoted(value)}\n"):
        if is_one and "\n" not in key + value and _can_be_parsed(line):
            return line
    return ""


def _can_be_parsed(text: str) -> bool:
    try:
        toml.parse(text)
    except (ValueError, RecursionError):
        return False
    return True


def _quoted(text: str) -> str:
    """A TOML string. Bytes that are no UTF-8 stay what Python makes of them."""
    return '"' + "".join(ch if _is_plain(ch) else f"\\U{ord(ch):08X}" for ch in text) + '"'


def _is_plain(ch: str) -> bool:
    return ch not in '"\\' and (ch.isprintable() or "\ud800" <= ch <= "\udfff")


def _refuse(report: Report, text: str) -> None:
    report.add(Problem(NAME, 0, "", escaped(text)))
