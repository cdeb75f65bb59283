"""`initpy check`: say what is wrong in a file, or that nothing is."""

from __future__ import annotations

from initpy.config.loading import load
from initpy.config.problems import ConfigError, escaped, say

STDOUT, STDERR = 1, 2


def main(path: str) -> int:
    """Check a file: problems and warnings to stderr, a line to stdout if it is good.

    Returns the exit code: 0, or 2 if there is a problem.
    """
    try:
        loaded = load(path)
    except ConfigError as exc:
        say(STDERR, (*exc.warnings, *exc.problems))
        return 2
    except Exception as exc:  # a bug of ours; still no traceback for who has only asked
        say(STDERR, [escaped(f"{path}: cannot be checked, by a fault of initpy: {exc!r}")])
        return 2
    say(STDERR, loaded.warnings)
    processes = loaded.plan.processes
    programs = _count(len({spec.program for spec in processes}), "program", "programs")
    count = _count(len(processes), "process", "processes")
    say(STDOUT, [escaped(f"{path}: ok, {programs}, {count}")])
    return 0


def print_schema() -> int:
    """Print the JSON Schema to stdout; returns the exit code, 0."""
    from initpy.config.schema import schema_text  # noqa: PLC0415 - it needs json

    say(STDOUT, schema_text().splitlines())
    return 0


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
