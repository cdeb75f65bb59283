"""The floors of the house and PID 1's import allow-list, read from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import REPO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGE = REPO / "initpy"

FLOORS = {
    "initpy.core": 0,
    "initpy.plan": 0,
    "initpy.logplan": 0,
    "initpy.controlplan": 0,
    "initpy.eventplan": 0,
    "initpy.wire": 0,
    "initpy.linux": 1,
    "initpy.pid1": 2,
    "initpy.watches": 2,
    "initpy.spawning": 2,
    "initpy.sweeping": 2,
    "initpy.parts": 2,
    "initpy.rest": 2,
    "initpy.renewal": 2,
    "initpy.logging_out": 2,
    "initpy.serving": 2,
    "initpy.eventpipes": 2,
    "initpy.inputs": 2,
    "initpy.opening": 2,
    "initpy.ownlog": 2,
    "initpy.feeding": 2,
    "initpy.early": 2,
    "initpy.helpers": 2,
    "initpy.tracing": 2,
    "initpy.tracefile": 2,
    "initpy.repair": 2,
    "initpy.handover": 2,
    "initpy.upgrade": 2,
    "initpy.single": 2,
    "initpy.options": 2,
    "initpy.dropin": 2,
    "initpy.config": 3,
    "initpy.logs": 3,
    "initpy.control": 3,
    "initpy.ctl": 4,
    "initpy.cli": 5,
    "initpy.commands": 5,
    "initpy.__main__": 6,
}

PID1_MAY_IMPORT = {
    "__future__",
    "_initpy",  # built into the static executable, and there only
    "_collections",
    "_signal",
    "errno",
    "gc",
    "posix",
    "resource",
    "select",
    "time",
    "sys",
}
"""DESIGN §7: the last two rows of its table, and sys."""

PID1_IMPORTS_ELSEWHERE = {
    ("initpy.single", "fcntl"),  # only when stdin is a terminal
    ("initpy.linux.native", "ctypes"),  # for prctl: not as PID 1, or in a child that renounces
    ("initpy.linux.log", "_socket"),  # only when stderr is a socket
    ("initpy.feeding", "fcntl"),  # only while a control helper is being told something
    ("initpy.linux.listening", "_socket"),  # only while a socket is being made
    ("initpy.linux.handing", "_socket"),  # only while a listener is being handed over
}
"""Imports inside a function, each with its reason."""

PURE_MAY_IMPORT = {"__future__", "_collections"}


def module_of(path: Path) -> str:
    name = ".".join(path.relative_to(REPO).with_suffix("").parts)
    return name.removesuffix(".__init__")


def floor_of(module: str) -> int | None:
    while module:
        if module in FLOORS:
            return FLOORS[module]
        module = module.rpartition(".")[0]
    return None


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Each imported module, and whether that is at the module's own level. What stands under
    `if TYPE_CHECKING` is never run, and left out."""
    tree = ast.parse(path.read_text())
    for node, is_top in _run_nodes(tree, is_top=True):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, is_top
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module, is_top
            if node.module.startswith("initpy"):
                for alias in node.names:
                    as_module = f"{node.module}.{alias.name}"
                    if (REPO / f"{as_module.replace('.', '/')}.py").exists():
                        yield as_module, is_top


def _run_nodes(tree: ast.AST, *, is_top: bool) -> Iterator[tuple[ast.AST, bool]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield other, is_top
                yield from _run_nodes(other, is_top=is_top)
            continue
        yield node, is_top
        in_function = isinstance(node, (ast.FunctionDef, ast.Lambda))
        yield from _run_nodes(node, is_top=is_top and not in_function)


SOURCES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_imports_go_down_only(path: Path) -> None:
    own = module_of(path)
    own_floor = floor_of(own)
    for module, _ in imports(path):
        floor = floor_of(module)
        if module.startswith("initpy.") and own != "initpy":
            assert own_floor is not None, f"{own} stands on no floor"
            assert floor is not None, f"{module} stands on no floor"
            assert floor <= own_floor, f"{own} (floor {own_floor}) imports {module} ({floor})"


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_helpers_do_not_touch_the_loop_or_the_syscalls(path: Path) -> None:
    if floor_of(module_of(path)) == FLOORS["initpy.config"]:
        for module, _ in imports(path):
            assert not module.startswith(("initpy.pid1", "initpy.linux")), module


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_pid1_imports_only_what_is_on_the_list(path: Path) -> None:
    own = module_of(path)
    floor = floor_of(own)
    if floor in (FLOORS["initpy.config"], FLOORS["initpy.ctl"]) or own == "initpy.commands":
        return
    for module, is_top in imports(path):
        if module.partition(".")[0] == "initpy":
            continue
        if is_top or (own, module) not in PID1_IMPORTS_ELSEWHERE:
            assert module in PID1_MAY_IMPORT, f"{own} imports {module}"


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_the_ground_floor_has_no_clock_no_path_and_no_syscall(path: Path) -> None:
    if floor_of(module_of(path)) != 0:
        return
    for module, _ in imports(path):
        assert module in PURE_MAY_IMPORT or floor_of(module) == 0, module
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("open", "print", "exec", "eval", "__import__"), node.func.id


def test_nothing_else_is_loaded_when_pid1_has_started() -> None:
    """The list again, this time as the interpreter sees it."""
    bare = _modules_after("pass")
    loaded = _modules_after("import initpy.cli, initpy.pid1") - bare
    foreign = {module for module in loaded if not module.startswith("initpy")}
    assert foreign <= PID1_MAY_IMPORT
    assert not any(module.startswith("initpy.config") for module in loaded)
    assert not {"initpy.logging_out", "initpy.logplan"} & loaded  # only where output is captured
    assert not {"initpy.serving", "initpy.controlplan"} & loaded  # only where clients can connect
    assert not {"initpy.eventpipes", "initpy.eventplan"} & loaded  # only where there are listeners
    assert "initpy.inputs" not in loaded  # only where a program's stdin is a pipe
    assert not {"initpy.tracing", "initpy.tracefile"} & loaded  # only where there is a trace


@pytest.mark.parametrize("module", ["options", "single", "dropin.tini", "dropin.dumb_init"])
def test_the_pid1_of_one_command_loads_next_to_nothing(module: str) -> None:
    bare = _modules_after("pass")
    loaded = _modules_after(f"import initpy.cli, initpy.single, initpy.{module}") - bare
    assert {name for name in loaded if not name.startswith("initpy")} <= {"__future__", "errno"}
    ours = {name for name in loaded if name.startswith("initpy.")}
    assert ours <= {
        "initpy.cli",
        "initpy.linux",
        "initpy.linux.native",
        "initpy.single",
        "initpy.options",
        "initpy.dropin",
        "initpy.dropin.getopt",
        f"initpy.{module}",
    }


def _modules_after(statement: str) -> set[str]:
    code = f"import sys; sys.path.insert(0, {str(REPO)!r}); {statement}; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", code]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_the_guard_sees_a_forbidden_import(tmp_path: Path) -> None:
    """What these tests rest on: nested, conditional and renamed imports are found, and those for
    the type checker are not."""
    source = tmp_path / "m.py"
    source.write_text(
        "TYPE_CHECKING = False\n"
        "if TYPE_CHECKING:\n    import typing\n"
        "else:\n    import json\n"
        "def f():\n    import re as x\n"
        "class C:\n    from socket import socket\n"
    )
    assert set(imports(source)) == {("json", True), ("re", False), ("socket", True)}
