"""Runs tests/core against one changed module, in a forked child of a process that has pytest in
memory and nothing of initpy."""

from __future__ import annotations

import ast
import importlib.abc
import importlib.util
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import Phase

from tests.mutation.mutants import mutated

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, FrameType, ModuleType

    from tests.mutation.mutants import Mutant

REPO = Path(__file__).resolve().parents[2]
CORE = REPO / "initpy" / "core"
TESTS = "tests/core"

KILLED, SURVIVED, TIMED_OUT = "killed", "survived", "timed out"

NOT_RUN = 70

CPU_S = 60
"""Of processor time: a mutant whose tests take more loops for ever. All take a fifth of it."""

MEMORY_BYTES = 2 * 1024**3

Seen = dict[str, tuple[float, dict[str, list[int]]]]
"""By test: its seconds, and the lines of each module that it executes."""


class _Loader(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds one module, in a changed form."""

    def __init__(self, module: str, tree: ast.Module, path: Path) -> None:
        self._module = module
        self._tree = tree
        self._path = path

    def find_spec(self, fullname: str, _path: object, _target: object = None) -> Any:
        if fullname != self._module:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=str(self._path))

    def get_source(self, _fullname: str) -> str:
        return self._path.read_text()

    def get_code(self, _fullname: str) -> CodeType:
        return compile(self._tree, str(self._path), "exec")

    def exec_module(self, module: ModuleType) -> None:
        exec(self.get_code(module.__name__), module.__dict__)


class _Chosen:
    """Has only these tests run, in this order."""

    def __init__(self, order: Sequence[str]) -> None:
        self._place = {name: number for number, name in enumerate(order)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        chosen = [item for item in items if item.nodeid in self._place]
        items[:] = sorted(chosen, key=lambda item: self._place[item.nodeid])


class _Watching:
    """Notes which lines of initpy.core each test executes, and how long it takes."""

    def __init__(self) -> None:
        self.seen: Seen = {}
        self._lines: set[tuple[str, int]] = set()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        self._lines.clear()
        began_at = time.perf_counter()
        sys.settrace(self._enter)
        yield
        sys.settrace(None)
        lines: dict[str, list[int]] = {}
        for path, line in sorted(self._lines):
            lines.setdefault(Path(path).stem, []).append(line)
        self.seen[item.nodeid] = (time.perf_counter() - began_at, lines)

    def _enter(self, frame: FrameType, _event: str, _argument: object) -> Any:
        path = frame.f_code.co_filename
        if not path.startswith(str(CORE)):
            return None
        lines = self._lines
        lines.add((path, frame.f_lineno))

        def step(frame: FrameType, _event: str, _argument: object) -> Any:
            lines.add((path, frame.f_lineno))
            return step

        return step


def _run_pytest(files: Sequence[str], plugin: object, *, stops: bool) -> int:
    """Pytest's exit code. Its words go nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    os.close(nowhere)
    os.chdir(REPO)
    # What a failing example shrinks to is of no interest, and takes a while to find.
    no_shrinking = hypothesis.settings(phases=(Phase.explicit, Phase.reuse, Phase.generate))
    hypothesis.settings.register_profile("mutation", no_shrinking)
    hypothesis.settings.load_profile("mutation")
    arguments = [*files, "-q", "-p", "no:cacheprovider"]
    arguments += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hypothesis is here already
    return int(pytest.main([*arguments, *(["-x"] if stops else [])], plugins=[plugin]))


def watch_all(answer: Path) -> None:
    """In a child: run all tests as they are, and write what they execute to `answer`. One that
    counts its own memory fails under a trace."""
    watching = _Watching()
    _run_pytest([TESTS], watching, stops=False)
    answer.write_text(json.dumps(watching.seen))
    os._exit(0)


def run_all() -> None:
    """In a child: whether all tests pass, as they are."""
    os._exit(_run_pytest([TESTS], object(), stops=True))


def tests_for(mutant: Mutant, seen: Seen) -> list[str]:
    """Those that execute what is changed, the quickest first; where it is executed when it is
    imported, all."""
    module = mutant.module.rpartition(".")[2]
    first, last = mutant.lines
    found = [
        (took_s, name)
        for name, (took_s, lines) in seen.items()
        if mutant.where == "(module)"
        or _is_class_level(mutant)
        or any(first <= line <= last for line in lines.get(module, ()))
    ]
    return [name for _, name in sorted(found)]


def _is_class_level(mutant: Mutant) -> bool:
    """Executed with the class, or a default, which is executed with the function's head."""
    functions = [field for field, _ in mutant.path if field in ("defaults", "kw_defaults")]
    return bool(functions) or mutant.where.rpartition(".")[2][:1].isupper()


def start(mutant: Mutant, order: Sequence[str]) -> int:
    """Fork a child that runs these tests against it. Its exit code is pytest's; its pid is
    returned."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        sys.dont_write_bytecode = True
        path = CORE / f"{mutant.module.rpartition('.')[2]}.py"
        tree = mutated(path.read_text(), mutant)
        sys.meta_path.insert(0, _Loader(mutant.module, tree, path))
        for stage in _stages(order):
            files = sorted({_file_of(name) for name in stage})
            code = _run_pytest(files, _Chosen(stage), stops=True)
            if code:
                break
        os._exit(code)
    finally:
        os._exit(NOT_RUN)


def _stages(order: Sequence[str]) -> list[list[str]]:
    """To collect all tests takes longer than most mutants live: those of one file come first, that
    has most of them, then of three more, and then the rest."""
    files = [_file_of(name) for name in order]
    ranked = sorted(set(files), key=lambda file: (-files.count(file), file))
    staged = [ranked[:1], ranked[1:4], ranked[4:]]
    return [[it for it in order if _file_of(it) in stage] for stage in staged if stage]


def _file_of(name: str) -> str:
    return name.partition("::")[0]


def verdict_of(wait_status: int) -> str:
    """What the end of such a child says.

    Raises:
        RuntimeError: nothing of the mutant: the tests were not even begun.
    """
    code = os.waitstatus_to_exitcode(wait_status)
    if code in (NOT_RUN, pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise RuntimeError(f"the tests could not be run: pytest ended with {code}")
    if code == -signal.SIGXCPU:
        return TIMED_OUT
    return SURVIVED if code == 0 else KILLED
