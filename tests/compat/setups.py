"""What a scenario configures, said once: rendered as supervisord's INI and as initpy's TOML.

Strings are written as both peers expand them: `%(here)s`, `%(program_name)s`, and `%%` for a `%`.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tests.support import toml_list

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Option = str | int | float | bool | list[int] | list[str] | dict[str, str]

WATCHER = "watcher"
"""The event listener that writes down what supervisord's programs go through."""


@dataclass(frozen=True)
class Program:
    """A program, its options under the names that both peers have for them."""

    name: str
    command: str
    options: Mapping[str, Option] = field(default_factory=dict)
    critical: bool = False
    """initpy alone knows this; supervisord goes on whatever fails."""

    def but(self, **options: Option) -> Program:
        """The same program with some options changed."""
        return replace(self, options={**self.options, **options})


@dataclass(frozen=True)
class Group:
    """Several programs under one name, in the order in which they start."""

    name: str
    programs: list[str]
    priority: int


@dataclass(frozen=True)
class Setup:
    """All that a peer is to run."""

    programs: tuple[Program, ...]
    groups: tuple[Group, ...] = ()

    def without(self, name: str) -> Setup:
        """The same without one program."""
        return replace(self, programs=tuple(p for p in self.programs if p.name != name))

    def with_program(self, program: Program) -> Setup:
        """The same with one program more, or with another one in the place of its namesake."""
        return replace(self, programs=(*self.without(program.name).programs, program))

    def find(self, name: str) -> Program:
        """The program of that name."""
        return next(program for program in self.programs if program.name == name)


def program(
    name: str, command: str | Sequence[str], *, critical: bool = False, **options: Option
) -> Program:
    """A program; its command is a string that is split as a shell does, or a list of words."""
    line = command if isinstance(command, str) else shlex.join(command)
    return Program(name, line, options, critical)


# ---------------------------------------------------------------- supervisord


def to_ini(setup: Setup, folder: Path, listener: Sequence[str]) -> str:
    """supervisord's configuration; what it writes goes to `folder`, its programs' output too, all
    of it to one file as in a container."""
    sections: list[tuple[str, Mapping[str, Option]]] = [
        ("supervisord", _daemon_options(folder)),
        ("unix_http_server", {"file": str(folder / "rpc")}),
        (
            "rpcinterface:supervisor",
            {
                "supervisor.rpcinterface_factory": (
                    "supervisor.rpcinterface:make_main_rpcinterface"
                ),
            },
        ),
        (
            f"eventlistener:{WATCHER}",
            {
                "command": shlex.join([*listener, str(folder / "events")]),
                "events": "PROCESS_STATE",
                "buffer_size": 1000,
                "startsecs": 0,
                "priority": -5,  # of its own: supervisord takes programs of one priority for equal
                "environment": {"LD_PRELOAD": ""},
            },
        ),
    ]
    output: dict[str, Option] = {
        "stdout_logfile": str(folder / "stdout"),
        "stdout_logfile_maxbytes": 0,
        "redirect_stderr": True,
    }
    for each in setup.programs:
        options = {"command": each.command, **each.options, **output}
        sections.append((f"program:{each.name}", options))
    for group in setup.groups:
        sections.append(
            (f"group:{group.name}", {"programs": group.programs, "priority": group.priority})
        )
    return "\n".join(
        f"[{section}]\n" + "".join(f"{key} = {_ini(value)}\n" for key, value in options.items())
        for section, options in sections
    )


def _daemon_options(folder: Path) -> dict[str, Option]:
    return {
        "nodaemon": True,
        "logfile": str(folder / "log"),
        "logfile_maxbytes": 0,
        "pidfile": str(folder / "pid"),
        "childlogdir": str(folder),
    }


def _ini(value: Option) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, dict):
        return ",".join(f'{name}="{text}"' for name, text in value.items())
    text = str(value)
    if any(mark in text for mark in ("\n", " ;", " #")):
        raise ValueError(f"INI has no way to write {text!r}")  # the two marks start a comment
    return text


# ---------------------------------------------------------------- initpy


def to_toml(setup: Setup) -> str:
    """initpy's configuration."""
    lines = ["[init]", "shutdown_timeout = 30"]  # supervisord has none
    for each in setup.programs:
        lines += [f"[program.{each.name}]", f"critical = {_toml(each.critical)}"]
        lines += [f"command = {_toml(each.command)}"]
        lines += [f"{key} = {_toml(value)}" for key, value in each.options.items()]
    for group in setup.groups:
        lines += [f"[group.{group.name}]", f"programs = {_toml(group.programs)}"]
        lines += [f"priority = {_toml(group.priority)}"]
    return "\n".join(lines) + "\n"


def to_own_ini(setup: Setup, folder: Path) -> str:
    """supervisord's configuration, for initpy: the same file, and what it alone knows."""
    lines = [to_ini(setup, folder, ["true"]), "[init]", "shutdown_timeout = 30"]
    for each in setup.programs:
        lines += [f"[program:{each.name}]", f"critical = {_ini(each.critical)}"]
    return "\n".join(lines) + "\n"


def _toml(value: Option) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return toml_list([value.replace("$", "$$")])[1:-1]  # $ is nothing special in an INI
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(text)}" for name, text in value.items()) + "}"
    return repr(value)
