"""The lint: what a plan says that cannot work, or does not do what it seems to. All of it warnings.

A warning names a thing that breaks, and what to write instead; matters of taste are none of ours.
It looks at the disk as it is now: at boot that of the container, at `initpy check` that of whoever
checks. What cannot be seen from here is not warned of.
"""

from __future__ import annotations

import time

from initpy.config.accounts import NOT_ROOT
from initpy.config.lint.commands import read
from initpy.config.lint.daemons import daemon_of, foreground_of
from initpy.config.lint.files import (
    FINE,
    MISSING,
    NO_DIRECTORY,
    NOT_A_FILE,
    NOT_EXECUTABLE,
    Files,
    decoded,
    shown_path,
)
from initpy.config.problems import shown
from initpy.core.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from initpy.config.lint.commands import Reading
    from initpy.config.problems import Place
    from initpy.config.reading import Block, Sections
    from initpy.plan import Plan, ProcessSpec

_TERM = 15

MAX_OF_PROGRAM = 20
"""Processes of a program that are judged: the others only differ in their numbers."""

MAX_IN_ALL = 2000
"""Processes that are judged, before a flood of warnings hides itself."""

MAX_S = 2.0
"""After that long, no more are judged: nothing starts before, and all this is only advice."""

_OPERATORS, _EXPANDED = ("&", "|", ";", "<", ">"), frozenset("$`*")
"""Without one of these, a string has nothing in it for a shell. In a list, only a word that begins
with an operator (behind the 2 of `2>`) can be one."""

MAX_PATH_CHARS = 200
"""Of a PATH that is shown; a longer one only hides what the warning is about."""

HEAD_BYTES = 256
"""What the kernel reads of a script's first line."""

_MISUSED = ("nginx", "openresty", "sshd")
"""Commands that are often called in a way in which they cannot work."""

_NOT_ENDED_BY_TERM = ("mariadbd-safe", "mysqld_safe", "pg_ctlcluster", "postgres", "uwsgi")
"""With what the names of commands begin that TERM does not stop (well); it stops all others."""


def lint(plan: Plan, sections: Sections, environ: Mapping[str, str]) -> Plan:
    """Warn of what is wrong in the plan, at the places in `sections` that it comes from.

    Returns the plan, in which every process that is known to leave the foreground has `foreground`.
    """
    linter = _Linter(plan, sections, environ)
    return replace(plan, processes=tuple([linter.process(spec) for spec in plan.processes]))


class _Linter:
    def __init__(self, plan: Plan, sections: Sections, environ: Mapping[str, str]) -> None:
        self._plan = plan
        self._sections = sections
        self._environ = environ
        self._files = Files()
        self._counts: dict[str, int] = {}
        """How many processes of each program have been judged, and in all."""
        self._count = 0
        self._due_at = time.monotonic() + MAX_S
        self._foregrounds: dict[str, str] = {}
        self._by_key: dict[str, ProcessSpec] = {}

    def process(self, spec: ProcessSpec) -> ProcessSpec:
        """The same with `foreground`; its warnings are reported."""
        name = spec.program
        count = self._counts.get(name, 0)
        if count < MAX_OF_PROGRAM and self._count < MAX_IN_ALL and self._has_time():
            self._counts[name] = count + 1
            self._count += 1
            block = self._sections.programs[name]
            try:
                self._foregrounds[name] = self._judge(spec, block, is_first=not count)
            except Exception as exc:  # a bug of ours: no reason to refuse a good file
                text = f"cannot be judged, by a fault of initpy: {exc!r}"
                block.at("command").problem(text, is_warning=True)
        foreground = self._foregrounds.get(name, "")
        return replace(spec, foreground=foreground) if foreground else spec

    def _has_time(self) -> bool:
        return time.monotonic() < self._due_at

    def _judge(self, spec: ProcessSpec, block: Block, *, is_first: bool) -> str:
        """Report what is wrong with a process; returns what keeps it in the foreground."""
        words = tuple([decoded(word) for word in spec.argv])
        reading = read(words)
        place = block.at("command")
        if not self._ends_with_an_error(reading, place, is_first=is_first):
            self._warn_of_file(spec, words[0], spec.paths, place)
            if not spec.oneshot and (reading.layers or any(map(daemon_of, reading.commands))):
                self._warn_of_running(spec, reading, place)
            self._warn_of_stopping(spec, reading, block)
        if spec.stop_command:
            self._warn_of_stop_command(spec, block, is_first=is_first)
        if spec.unspawnable:
            _warn(block.at(_key_of(spec.unspawnable)), [_with_advice(spec.unspawnable)])
        if spec.directory:
            self._warn_of_directory(spec, block.at("directory"))
        return _foreground(reading)

    def _ends_with_an_error(self, reading: Reading, place: Place, *, is_first: bool) -> bool:
        """Whether its words alone make it fail; all else that could be said comes of that."""
        said: list[str] = []
        if reading.layers or (reading.commands and reading.commands[0].name in _MISUSED):
            from initpy.config.lint.background import misused  # noqa: PLC0415

            said += misused(reading)
        if not said and is_first:
            said += _shell_syntax(place)
        return bool(_warn(place, said))

    def _warn_of_running(self, spec: ProcessSpec, reading: Reading, place: Place) -> None:
        # Here and below: few programs need these modules, and all would wait for them.
        from initpy.config.lint import background  # noqa: PLC0415

        _warn(place, background.left_foreground(reading, spec.directory, self._files))
        if reading.layers:
            _, path = self._files.command(spec.directory, spec.paths)
            _warn(place, background.behind_layers(reading, path))
            if not spec.stopasgroup:
                _warn(place, background.shell_in_front(reading, path))

    def _warn_of_stopping(self, spec: ProcessSpec, reading: Reading, block: Block) -> None:
        if not reading.commands or spec.stop_command:
            return
        name = reading.commands[-1].name
        if spec.stopsteps[0][0] == _TERM and not name.startswith(_NOT_ENDED_BY_TERM):
            return
        from initpy.config.lint import stopping  # noqa: PLC0415

        said = stopping.not_stopped(spec, reading.commands[-1], self._environ, self._files)
        _warn(block.at("stopsignal"), said)

    def _warn_of_stop_command(self, spec: ProcessSpec, block: Block, *, is_first: bool) -> None:
        place = block.at("stop_command")
        if not (is_first and _warn(place, _shell_syntax(place))):
            self._warn_of_file(spec, decoded(spec.stop_command[0]), spec.stop_paths, place)

    def _warn_of_file(
        self, spec: ProcessSpec, word: str, paths: tuple[bytes, ...], place: Place
    ) -> None:
        """What there is to execute, if anything."""
        found, path = self._files.command(spec.directory, paths)
        if found == FINE:
            _warn(place, self._wrong_with_script(path))
        elif found == NOT_A_FILE:
            _warn(place, [f"{shown_path(decoded(path))} is no file, and cannot be executed"])
        elif found == NOT_EXECUTABLE:
            text = "is not executable: run chmod +x on it, or put its interpreter before it"
            _warn(place, [f"{shown_path(decoded(path))} {text}"])
        elif found == MISSING and not self._is_prepared(spec):
            _warn(place, [_missing(word, paths)])

    def _wrong_with_script(self, path: bytes) -> Iterable[str]:
        """What makes the kernel refuse a file that is executable."""
        head = self._files.head(path, HEAD_BYTES)
        if head is None or head.startswith(b"\x7fELF"):
            return
        line = head.partition(b"\n")[0]
        name = shown_path(decoded(path))
        if head.startswith(b"#!"):
            interpreter = (line[2:].split() or [b""])[0]
            if line.endswith(b"\r"):
                yield f"{name} has the line ends of Windows, so its interpreter is not found"
            elif interpreter.startswith(b"/") and not self._files.exists(interpreter):
                found = shown_path(decoded(interpreter))
                yield f"{name} cannot be executed: its first line names {found}, which is not there"
        elif b"\0" not in head:
            yield f"{name} cannot be executed: its first line has no #! that names an interpreter"

    def _warn_of_directory(self, spec: ProcessSpec, place: Place) -> None:
        found = self._files.directory(spec.directory)
        name = shown_path(decoded(spec.directory))
        if found == NO_DIRECTORY:
            _warn(place, [f"{name} is no directory, so it cannot be started there"])
        elif found == MISSING and not self._is_prepared(spec):
            text = "so it cannot be started there: create it, or correct the path"
            _warn(place, [f"there is no directory {name}, {text}"])

    def _is_prepared(self, spec: ProcessSpec) -> bool:
        """It comes after a oneshot, which may make the files that it needs."""
        if not self._by_key:
            self._by_key = {other.key: other for other in self._plan.processes}
        seen = set(spec.after)
        waiting = list(spec.after)
        while waiting:
            other = self._by_key.get(waiting.pop())
            if other is None:
                continue
            if other.oneshot:
                return True
            waiting += [key for key in other.after if key not in seen]
            seen.update(other.after)
        return False


def _warn(place: Place, said: Iterable[str]) -> int:
    """Report warnings; returns how many."""
    count = 0
    for text in said:
        place.problem(text, is_warning=True)
        count += 1
    return count


def _shell_syntax(place: Place) -> Iterable[str]:
    """What is meant for a shell in the command at `place`, as it is written there."""
    value = place.document.value(place.path)
    if isinstance(value, list):
        words = [word for word in value if isinstance(word, str)]
        is_suspect = any(word.lstrip("12").startswith(_OPERATORS) for word in words)
        text = "".join(words)
    else:
        text = str(value)
        is_suspect = any(operator in text for operator in _OPERATORS)
    if not is_suspect and _EXPANDED.isdisjoint(text.replace("${", "")):
        return ()
    from initpy.config.lint.syntax import for_a_shell  # noqa: PLC0415

    return for_a_shell(value)


def _missing(word: str, paths: tuple[bytes, ...]) -> str:
    if "/" in word:
        return f"there is no {shown_path(word)}: correct the path, or put the file there"
    name = shown(word)
    from initpy.config.lint.syntax import instead_of_builtin  # noqa: PLC0415

    if instead := instead_of_builtin(word):
        return f"{name} is only known to a shell, and there is none: {instead}"
    if " " in word:
        return f"there is no {name}: a list has one word in each item"
    where = ":".join([decoded(path[: path.rfind(b"/")] or b"/") for path in paths])
    path = f"PATH ({where})" if len(where) <= MAX_PATH_CHARS else "PATH"
    return f"there is no {name} in {path}: correct the name, or install it"


def _foreground(reading: Reading) -> str:
    """What keeps in the foreground what is in it at the end; empty: nothing leaves it."""
    if any(layer.name == "setsid" for layer in reading.layers):
        return "no setsid"
    if any((layer.script or "").rstrip().endswith("&") for layer in reading.layers):
        return 'no "&" at the end'
    return next(filter(None, map(foreground_of, reversed(reading.commands))), "")


def _key_of(unspawnable: str) -> str:
    return "group" if unspawnable.startswith("couldn't setgid") else "user"


def _with_advice(unspawnable: str) -> str:
    if NOT_ROOT in unspawnable:
        return f"{unspawnable}: run initpy as root, or leave it out"
    if "Can't find" in unspawnable:
        return f"{unspawnable}: correct the name, or create it in the image"
    return unspawnable
