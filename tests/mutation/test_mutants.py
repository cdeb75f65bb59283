"""The runner itself: what it changes, and that tests/core sees a change, and none where none is."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.mutants import mutants_of, mutated
from tests.mutation.running import CORE, KILLED, SURVIVED
from tests.support import REPO

SOURCE = '''
LIMIT = 3
"""What it means."""

def f(a: int = 1) -> bool:
    if a < LIMIT and not done:
        return True
    match a:
        case 4 if LIMIT:
            g("x")
'''


def test_each_small_change_is_one_mutant() -> None:
    names = [it.name.partition(": ")[2] for it in mutants_of("pkg.m", SOURCE)]
    assert names == [
        "`3` → `4`",
        "`1` → `2`",
        "`if a < LIMIT and (not done)` → `if not (a < LIMIT and (not done))`",
        "`a < LIMIT and (not done)` → `a < LIMIT or not done`",
        "`a < LIMIT and (not done)` → `not done`",
        "`a < LIMIT and (not done)` → `a < LIMIT`",
        "`a < LIMIT` → `a <= LIMIT`",
        "`not done` → `done`",
        "`return True` → `return None`",
        "`True` → `False`",
        "`case 4 if LIMIT` → `case 4`",
        "`case 4 if LIMIT` → `case 4 if False`",
        "`4` → `5`",
        "`g('x')` → `pass`",
        "`'x'` → `'XXx'`",
    ]


@pytest.mark.parametrize("path", sorted(CORE.glob("*.py")), ids=lambda path: path.stem)
def test_every_mutant_of_the_core_has_a_name_of_its_own_and_compiles(path: Path) -> None:
    source = path.read_text()
    found = mutants_of(f"initpy.core.{path.stem}", source)
    assert len({it.name for it in found}) == len(found)
    for mutant in found[::25]:
        tree = mutated(source, mutant)
        compile(tree, str(path), "exec")
        assert ast.unparse(tree) != ast.unparse(ast.parse(source))


VERDICT = """
import os, sys
from pathlib import Path
from tests.mutation.mutants import mutants_of
from tests.mutation.running import start, verdict_of
name, source, *tests = sys.argv[1:]
found = mutants_of("initpy.core.timers", Path(source).read_text())
(mutant,) = [it for it in found if it.name == name]
_, status = os.waitpid(start(mutant, tests), 0)
print("verdict:", verdict_of(status))
"""


def run(mutant_name: str, *tests: str) -> str:
    """In a Python that has not loaded the core yet."""
    argv = [sys.executable, "-c", VERDICT, mutant_name, str(CORE / "timers.py"), *tests]
    ran = subprocess.run(argv, cwd=REPO, capture_output=True, text=True, check=False)
    _, _, verdict = ran.stdout.rpartition("verdict: ")
    return verdict.strip() if ran.returncode == 0 else ran.stderr


def test_a_test_that_sees_the_change_kills_the_mutant_and_another_does_not() -> None:
    name = "timers.Timers.pop_due: `due.sort()` → `pass`"
    seeing = "tests/core/test_timers.py::test_what_is_due_comes_in_the_order_of_its_time"
    assert run(name, seeing) == KILLED
    assert "could not be run" in run(name, "tests/core/test_words.py::there_is_none")
    words = "tests/core/test_what_is_fixed.py::test_seconds_for_people"
    assert run(name, words) == SURVIVED
