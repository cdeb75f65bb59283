"""What the tests of the config helper share: a file out of a string, and what came of it."""

from __future__ import annotations

import os
import tracemalloc
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from initpy.config import ConfigError, Loaded, Problem, load
from initpy.core.values import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from initpy.plan import Plan, ProcessSpec

ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/root", "EMPTY": "", "SPACED": "a b", "PCT": "50%s$$"}

UNPRIVILEGED = 65534

WEB = '[program.web]\ncommand = "/bin/sh"\n'


def load_text(text: str, environ: Mapping[str, str] = ENVIRON, **files: str) -> Loaded:
    """Load `text` as initpy.toml of the working directory; `files` are written beside it."""
    Path("initpy.toml").write_text(text, "utf-8")
    for name, content in files.items():
        Path(f"{name}.toml").write_text(content, "utf-8")
    loaded = load("initpy.toml", environ)
    return replace(loaded, warnings=without_the_disk(loaded.warnings))


def without_the_disk(warnings: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Those that are not about what is missing on this machine: most commands, directories and
    users here are inventions. What is said of them is tested in test_lint.py."""
    made_up = ("there is no ", "couldn't set")
    return tuple([it for it in warnings if not it.text.startswith(made_up)])


def plan_of(text: str, environ: Mapping[str, str] = ENVIRON, **files: str) -> Plan:
    """The plan of a file that has neither problems nor warnings."""
    loaded = load_text(text, environ, **files)
    assert loaded.warnings == ()
    return loaded.plan


def web(options: str, environ: Mapping[str, str] = ENVIRON) -> ProcessSpec:
    """The only process of a file with [program.web], a command, and `options`."""
    command = "" if options.startswith("command") else 'command = "/bin/sh"\n'
    (spec,) = plan_of(f"[program.web]\n{command}{options}\n", environ).processes
    return spec


def problems_of(text: str, environ: Mapping[str, str] = ENVIRON, **files: str) -> list[str]:
    """The lines that a bad file makes."""
    with pytest.raises(ConfigError) as caught:
        load_text(text, environ, **files)
    assert str(caught.value).split("\n") == [str(problem) for problem in caught.value.problems]
    return [str(problem) for problem in caught.value.problems]


def problem_of(text: str, environ: Mapping[str, str] = ENVIRON, **files: str) -> str:
    """The only line that a bad file makes."""
    (problem,) = problems_of(text, environ, **files)
    return problem


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root is nobody for a while, whoever is not root stays."""
    uid = os.geteuid()
    if uid == 0:
        os.seteuid(UNPRIVILEGED)
    try:
        yield
    finally:
        os.seteuid(uid)


@contextmanager
def at_most(size_bytes: int) -> Iterator[None]:
    """Fails if what is inside has needed more memory at any time."""
    tracemalloc.start()
    try:
        yield
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes <= size_bytes
