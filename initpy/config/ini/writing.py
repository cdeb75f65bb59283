"""The TOML that a supervisord.conf comes to, with the comments of the file."""

from __future__ import annotations

import os

from initpy.config.ini.translating import NOT_CRITICAL
from initpy.config.toml_text import comment, key_of, text_of, verbatim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from initpy.config.ini.document import IniDocument
    from initpy.config.ini.syntax import Option, Section
    from initpy.config.problems import Path, Problem

_MAX_INLINE = 80
"""Characters of an environment that is written in one line."""

_CRITICAL = (
    "critical = false: as with supervisord, the container runs on when the program has failed for "
    "good. Without that line it would end, so that whoever runs the container learns of it."
)
_STDIN = (
    'stdin = "pipe": as with supervisord, what a program reads from has no end, and `initpy fg` '
    "writes to it. Without that line it is /dev/null."
)
_HERE = "%(here)s is the directory that this file is in: keep it where the old one was, in {}."


def toml_of(document: IniDocument, warnings: Sequence[Problem]) -> str:
    """The text of a TOML file. `warnings` go where what they are about has gone."""
    return "\n".join(_Writer(document, warnings).lines()) + "\n"


class _Writer:
    def __init__(self, document: IniDocument, warnings: Sequence[Problem]) -> None:
        self._document = document
        self._translation = document.translation
        self._warnings: dict[tuple[str, int], list[str]] = {}
        """What is to be said, by file and line."""
        for warning in warnings:
            said = f"{warning.key}: {warning.text}" if warning.key else warning.text
            if warning.text != NOT_CRITICAL:
                self._warnings.setdefault((warning.file, warning.line), []).append(said)
        self._file = document.file

    def lines(self) -> Iterator[str]:
        body = [line for part in self._parts() for line in ("", *part)]
        yield from comment(f"Made of {os.path.basename(self._document.file)} by `initpy convert`.")
        programs = self._document.table.get("program", {}).values()
        if not all(table["critical"] for table in programs):
            yield from comment(_CRITICAL)
        if programs:
            yield from comment(_STDIN)
        if any("%(here)s" in line for line in body):
            yield from comment(_HERE.format(self._document.here))
        for texts in self._warnings.values():  # what has found no other place
            for text in texts:
                yield from comment(text)
        yield from body

    def _parts(self) -> Iterator[list[str]]:
        """The sections, and then what is left of them."""
        if "init" in self._document.table:
            yield [*self._init()]
        if "control" in self._document.table:
            table = dict(self._document.table["control"])
            http = table.pop("http", None)
            yield [*self._server(("control",), table)]
            if http is not None:
                yield [*self._server(("control", "http"), http)]
        for name, path in self._translation.paths.items():
            if path[0] not in ("init", "control"):
                yield [*self._section(name, path)]
        placed = {*self._translation.paths, "include"}
        for name in self._translation.sections:
            if name not in placed and (left := [*self._left_out(name)]):
                yield left

    def _init(self) -> Iterator[str]:
        table = dict(self._document.table["init"])
        environment = table.pop("environment", None)
        yield "[init]"
        for section in ("init", "supervisord"):
            if section in self._translation.sections:
                for option in self._translation.sections[section][1].values():
                    yield from self._option(option, table)
        if environment is not None:
            option = self._translation.sections["supervisord"][1]["environment"]
            yield from self._environment(("init",), environment, option)

    def _server(self, path: Path, table: dict[str, Any]) -> Iterator[str]:
        """What servers have become, whose options are called otherwise in the TOML."""
        sections = self._translation.sections
        own = [name for name, known in self._translation.paths.items() if known == path]
        parts = [part for name in own for part in sections[name][2]]
        options = {
            (option.file, option.line): option
            for name in (*own, "supervisord")
            if name in sections
            for option in sections[name][1].values()
        }
        for part in parts:
            yield from _comments(part.before)
            yield from self._said(part)
        yield _with_comment(f"[{key_of(*map(str, path))}]", parts[0].beside if parts else ())
        for key, value in table.items():
            where = (*path, key)
            origin = self._translation.origins[where]
            option = options.pop((origin.file, origin.line), None)
            if option is not None:
                yield from _comments(option.before)
                yield from self._said(option)
            line = f"{key_of(key)} = {text_of(value)}"
            yield line if option is None else _with_comment(line, option.beside)
        for name in own:
            for option in sections[name][1].values():
                if (name, option.name) not in self._translation.used:
                    yield from (*_comments(option.before), *self._said(option))
                    yield from _as_it_was(option)
        for part in parts:
            yield from _comments(part.after)

    def _section(self, name: str, path: Path) -> Iterator[str]:
        first, options, parts = self._translation.sections[name]
        table = dict(self._value(path))
        if first.file != self._file:
            self._file = first.file
            yield from comment(f"From {first.file}.")
        for part in parts:
            yield from _comments(part.before)
            yield from self._said(part)
        yield _with_comment(f"[{key_of(*map(str, path))}]", first.beside)
        environment = table.pop("environment", None)
        left: list[str] = []
        for option in options.values():
            if option.name in table:
                yield from self._option(option, table)
            elif option.name == "serverurl":  # a variable: below, if it is the only one
                left += _comments(option.before) if "environment" in options else ()
            elif option.name != "environment":
                left += [*_comments(option.before), *self._said(option), *_as_it_was(option)]
        for key, value in table.items():
            yield f"{key_of(key)} = {text_of(value)}"
        yield from left
        if environment is not None:
            option = options["environment" if "environment" in options else "serverurl"]
            yield from self._environment(path, environment, option)
        for part in parts:
            yield from _comments(part.after)

    def _option(self, option: Option, table: dict[str, Any]) -> Iterator[str]:
        """A line, if the table has it; it is taken from the table."""
        if option.name in table:
            yield from _comments(option.before)
            yield from self._said(option)
            value = text_of(table.pop(option.name))
            yield _with_comment(f"{key_of(option.name)} = {value}", option.beside)

    def _environment(self, path: Path, values: dict[str, Any], option: Option) -> Iterator[str]:
        """In a line of its section if it is short; else in a section."""
        yield from _comments(option.before)
        yield from self._said(option)
        text = text_of(values)
        if len(text) <= _MAX_INLINE and "\n" not in text:
            yield _with_comment(f"environment = {text}", option.beside)
            return
        yield _with_comment(f"[{key_of(*map(str, path), 'environment')}]", option.beside)
        for name, value in values.items():
            yield f"{key_of(name)} = {text_of(value)}"

    def _left_out(self, name: str) -> Iterator[str]:
        """A section that there is not in the TOML, as a comment; or what is left of it."""
        _, _, parts = self._translation.sections[name]
        for part in parts:
            options = [
                option
                for option in part.options
                if (name, option.name) not in self._translation.used
            ]
            if not options and part.options:
                continue
            yield from _comments(part.before)
            yield from self._said(part)
            yield _with_comment(f"# [{part.name}]", part.beside)
            for option in options:
                yield from _comments(option.before)
                yield from self._said(option)
                yield from _as_it_was(option)
            yield from _comments(part.after)

    def _said(self, of: Section | Option) -> Iterator[str]:
        for text in self._warnings.pop((of.file, of.line), ()):
            yield from comment(text)

    def _value(self, path: Path) -> dict[str, Any]:
        value = self._document.value(path)
        return value if isinstance(value, dict) else {}


def _comments(texts: Sequence[str]) -> Iterator[str]:
    """Those above an option; blank lines at their ends are left out, and others are comments."""
    while texts and not texts[0]:
        texts = texts[1:]
    while texts and not texts[-1]:
        texts = texts[:-1]
    yield from verbatim(texts)


def _as_it_was(option: Option) -> Iterator[str]:
    lines = option.text.split("\n")
    line = f"{option.name} = {lines[0]}"
    yield from verbatim([line, *[f"    {rest}" for rest in lines[1:]]])


def _with_comment(line: str, beside: Sequence[str]) -> str:
    texts = [*verbatim(["; ".join(beside)])] if beside else []
    return "  ".join([line, *texts])
