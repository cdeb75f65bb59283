"""`initpy check`: say what is wrong in a file, or that nothing is."""

from __future__ import annotations

import os
import select

from initpy.config.loading import load
from initpy.config.problems import ConfigError, escaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

STDOUT, STDERR = 1, 2


def main(path: str) -> int:
    """Check a file: problems and warnings to stderr, a line to stdout if it is good.

    Returns the exit code: 0, or 2 if there is a problem.
    """
    try:
        loaded = load(path)
    except ConfigError as exc:
        _print(STDERR, (*exc.warnings, *exc.problems))
        return 2
    except Exception as exc:  # a bug of ours; still no traceback for who has only asked
        _print(STDERR, [escaped(f"{path}: cannot be checked, by a fault of initpy: {exc!r}")])
        return 2
    _print(STDERR, loaded.warnings)
    processes = loaded.plan.processes
    programs = _count(len({spec.program for spec in processes}), "program", "programs")
    count = _count(len(processes), "process", "processes")
    _print(STDOUT, [escaped(f"{path}: ok, {programs}, {count}")])
    return 0


def print_schema() -> int:
    """Print the JSON Schema to stdout; returns the exit code, 0."""
    from initpy.config.schema import schema_text  # noqa: PLC0415 - it needs json

    _print(STDOUT, schema_text().splitlines())
    return 0


def _print(fd: int, lines: Iterable[object]) -> None:
    """Write lines; when nobody reads them any more, or the disk is full, that is not our failure.

    It is UTF-8 whatever the locale, and straight to the file descriptor: sys.stdout may be closed,
    ASCII, or keep a rest that fails when Python exits.
    """
    rest = "".join([f"{line}\n" for line in lines]).encode("utf-8", "backslashreplace")
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            select.select([], [fd], [])
        except OSError:
            return


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
