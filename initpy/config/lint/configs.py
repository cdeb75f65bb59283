"""What the configuration files of daemons say on leaving the foreground, as far as it can be read.

This is no parser of any of their languages: a line has a name, and behind white space, `=` or `:`
a value; braces and semicolons end it.
"""

from __future__ import annotations

import os

from initpy.config.lint.files import encoded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from initpy.config.lint.daemons import Config
    from initpy.config.lint.files import Files
    from initpy.config.lint.options import Options

MAX_INCLUDED = 16
"""Files that one names."""

# What it says. UNKNOWN: there is more than could be read.
SILENT, STAYS, LEAVES, UNKNOWN = range(4)

_TO_LINES = str.maketrans(";{}", "\n\n\n")


def verdict(
    config: Config, digits: str, options: Options, directory: bytes, files: Files
) -> tuple[int, str]:
    """What the configuration says that a command with these options reads, and where (if that is a
    file). `digits` is the number in the program's name."""
    for text in options.values(config.inline):
        if said := _says(config, text):
            return said, ""
    named = options.values(config.option) if config.option else [options.first]
    if any(named):
        found = [(_file_says(config, path, directory, files), path) for path in named]
        for wanted in (LEAVES, UNKNOWN, STAYS):
            for said, path in found:
                if said == wanted:
                    return said, path
        return SILENT, ""
    for name in config.files.split():
        path = name.replace("{}", digits)
        if files.exists(os.path.join(directory, encoded(path))):
            return _file_says(config, path, directory, files), path
    return SILENT, ""


def directives(text: str, section: str = "") -> Iterator[tuple[str, str]]:
    """The names and values in a file; with `section`, only those behind `[section]`."""
    inside = not section
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if section and stripped[0] == "[":
            inside = stripped.startswith(f"[{section}]")
        elif inside:
            for part in stripped.split(" #", 1)[0].translate(_TO_LINES).split("\n"):
                yield _directive(part)


def included(value: str, base: bytes, files: Files) -> list[bytes] | None:
    """The files that an include in a file in `base` means; None: that cannot be known."""
    path = os.path.join(base, encoded(value))
    head, tail = os.path.split(path)
    if b"*" not in path:
        return [path]
    if b"*" in head or tail.count(b"*") != 1 or b"?" in path or b"[" in path:
        return None
    prefix, _, suffix = tail.partition(b"*")
    return files.names(head, prefix, suffix, MAX_INCLUDED)


def _directive(part: str) -> tuple[str, str]:
    part = part.strip()
    for at, char in enumerate(part):
        if char in " \t=:":
            return part[:at], part[at:].strip(" \t=:").strip("\"'")
    return part, ""


def _file_says(config: Config, path: str, directory: bytes, files: Files) -> int:
    full = os.path.join(directory, encoded(path))
    text, is_whole = files.text(full)
    said = _says(config, text)
    if said != SILENT or not is_whole:
        return said or UNKNOWN
    base = os.path.dirname(full)
    count = 0
    for name, value in directives(text):
        if not name or name not in config.include.split(","):
            continue
        # Those of php-fpm are relative to its prefix, which is one level up.
        found = included(value, base, files) or included(value, os.path.dirname(base), files)
        if found is None:
            return UNKNOWN
        for other in found:
            count += 1
            text, is_whole = files.text(other) if count <= MAX_INCLUDED else ("", False)
            said = _says(config, text)
            if said != SILENT or not is_whole:
                return said or UNKNOWN
    return SILENT


def _says(config: Config, text: str) -> int:
    """STAYS or LEAVES, whichever comes last, or SILENT."""
    stays, leaves = config.stays.split(","), config.leaves.split(",")
    said = SILENT
    for name, value in directives(text):
        line = f"{name} {value}".lower().strip()
        if name and (line in stays or name in stays):
            said = STAYS
        elif name and (line in leaves or name in leaves):
            said = LEAVES
    return said
