"""A Procfile, as Heroku, foreman and honcho read it: a name, a colon and a command for a shell."""

from __future__ import annotations

import os
import re
import shlex

from initpy.config.problems import Problem
from initpy.config.toml_text import comment, key_of, text_of, verbatim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from initpy.config.problems import Report

RELEASE = "release"
"""Heroku runs this one once, before it starts the others."""

_LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(.+)")

_NEEDS_SHELL = frozenset("$`|&;<>()*?[]{}~#!\n")
"""Characters with a meaning for a shell, quotes and backslashes apart."""

_SIMPLE = re.compile(r"\$\{\w+(?::[-=?+][^{}]*)?\}|[0-9]*(?:>>?|<)&?")
"""Variables and redirections, with which it still is one command."""

_COMPOUND = re.compile(r"[|&;<>()`{}\n]")
"""Then there may be more than one in it."""

_NO_COMMAND = frozenset(
    (
        "!",
        ".",
        "[",
        "case",
        "cd",
        "exec",
        "export",
        "for",
        "if",
        "read",
        "set",
        "source",
        "test",
        "ulimit",
        "umask",
        "until",
        "while",
    )
)
"""With what a line begins that `exec` cannot stand before."""

_PORT = (
    "PORT: Heroku sets it; foreman and honcho give 5000 to the first program, 5100 to the second "
    "and so on. initpy does not: set it in the container's environment, or here."
)
_DOT_ENV = (
    "foreman and honcho read variables from .env; initpy does if it is told to: "
    'env_file = [".env"] in a program.'
)
_END = (
    "When a program has failed for good, the container ends. foreman and honcho end all at the end "
    "of any; initpy starts again what fails, and goes on without what ends well."
)


def is_procfile(file: str, text: str) -> bool:
    """It is named so, or each line that is no comment reads so."""
    name = os.path.basename(file)
    if name.startswith("Procfile") or name.endswith(".procfile"):
        return True
    lines = [line.strip() for line in text.split("\n")]
    lines = [line for line in lines if line and not line.startswith("#")]
    return bool(lines) and all(_LINE.fullmatch(line) for line in lines)


def toml_of_procfile(file: str, text: str, report: Report) -> str:
    """The TOML for it; what is wrong goes to the report."""
    parts: list[list[str]] = []
    comments: list[str] = []
    commands: dict[str, str] = {}
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        found = _LINE.fullmatch(line)
        if not line or line.startswith("#"):
            comments.append(line[1:].strip())
        elif not found:
            report.add(Problem(file, number, "", "expected `name: command`"))
        elif found[1] in commands:
            report.add(Problem(file, number, found[1], "there is another of that name above"))
        else:
            commands[found[1]] = found[2]
            parts.append([*verbatim(filter(None, comments))])
            comments.clear()
    if not commands:
        report.add(Problem(file, 0, "", "no `name: command` in it: nothing to run"))
    lines = [*comment(f"Made of {os.path.basename(file)} by `initpy convert`."), *comment(_END)]
    if any("PORT" in command for command in commands.values()):
        lines += comment(_PORT)
    lines += comment(_DOT_ENV)
    for (name, command), above in zip(commands.items(), parts, strict=True):
        lines += ["", *above, *_program(name, command, has_release=RELEASE in commands)]
    return "\n".join([*lines, *verbatim(filter(None, comments))]) + "\n"


def _program(name: str, command: str, *, has_release: bool) -> Iterator[str]:
    yield f"[{key_of('program', name)}]"
    words = _words(command)
    if words is not None:
        yield f"command = {text_of(command.replace('%', '%%'))}"
    else:
        line, is_alone = _line(command)
        shell = ["sh", "-c", line.replace("%", "%%").replace("$$", "$$$$").replace("${", "$${")]
        yield f"command = {text_of(shell)}"
        if not is_alone:
            yield from comment("The shell stays in front of what it runs, so all get the signals.")
            yield "stopasgroup = true"
    if name == RELEASE:
        yield 'type = "oneshot"'
    elif has_release:
        yield f'after = ["{RELEASE}"]'


def _words(command: str) -> list[str] | None:
    """The words, if there is nothing in it for a shell."""
    if not _NEEDS_SHELL.isdisjoint(command):
        return None
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    is_command = bool(words) and "=" not in words[0] and words[0] not in _NO_COMMAND
    return words if is_command else None


def _line(command: str) -> tuple[str, bool]:
    """What the shell gets, and whether it gives way to the program."""
    first = command.split(maxsplit=1)[0]
    if _COMPOUND.search(_SIMPLE.sub("", command)) or first in _NO_COMMAND:
        return command, first == "exec"
    if "=" in first:
        return f"exec env {command}", True
    return f"exec {command}", True
