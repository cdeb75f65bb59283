"""A sample of the cases, in every run of the tests; all of them: `python -m tests.faults`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.faults.__main__ import build_probe, live, record
from tests.faults.cases import BEGINNING, IN_A_REPAIR, Case, cases, sample, unknown
from tests.faults.errnos import ERRNOS, NONE
from tests.faults.scenario import run
from tests.faults.table import BEGIN, END, Result, put, table
from tests.support import skip_or_fail

if TYPE_CHECKING:
    from pathlib import Path

PARTS = 2
LIVES = 20
"""In each part, of each kind."""


@pytest.fixture
def probe(tmp_path: Path, why_no_namespace: str) -> Path:
    """The scenario's program."""
    if why_no_namespace:
        skip_or_fail("namespace", why_no_namespace)
    for tool in ("strace", "gcc"):
        if shutil.which(tool) is None:
            skip_or_fail("namespace", f"{tool} is not installed")
    return build_probe(tmp_path)


@pytest.mark.namespace
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("kind", ["source", "binary"])
def test_a_failed_syscall_costs_what_it_was_for_and_nothing_else(
    kind: str, part: int, probe: Path, request: pytest.FixtureRequest
) -> None:
    binary = request.getfixturevalue("binary") if kind == "binary" else None
    trace, steps = record(probe, binary)
    assert not unknown(trace)
    found = []
    for case in sample(cases(kind, trace, steps, thorough=True), LIVES, seed=part):
        lived, outcome = live(case, probe, binary)
        if outcome.problems:
            found.append(f"{case.name} ({lived.when}): {outcome.problems}\n{outcome.log}")
    assert not found, "\n".join(found)


@pytest.mark.namespace
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--inject=wait4:error=ECHILD:when=1+"], "b's restart"),  # the dead are never buried
        (["--inject=kill:retval=0:when=1+"], "not stopped, but killed"),  # nobody is ever stopped
        (["--inject=exit_group:signal=KILL:when=1"], "the exit code"),  # the wrong end
    ],
)
def test_the_judge_sees_what_is_wrong(probe: Path, options: list[str], problem: str) -> None:
    outcome = run(probe, None, options)
    assert problem in " ".join(outcome.problems)


TRACE = f"""\
1.0 rt_sigtimedwait([RT_31], NULL, NULL, 8) = 63
1.1 brk(NULL) = 0x1000
1.2 {BEGINNING}(SIG_BLOCK, ~[], [], 8) = 0
1.3 brk(0x2000) = 0x2000
1.4 epoll_wait(5, [], 1, -1) = 1
1.5 --- SIGCHLD {{si_signo=SIGCHLD}} ---
2.0 epoll_wait(5, [], 1, -1) = 1
3.0 epoll_wait(5, [], 1, -1) = 1
3.1 clone(child_stack=NULL) = 7
3.2 epoll_wait(5, [], 1, -1) = 1
"""


def chosen(syscall: str, *, thorough: bool) -> set[tuple[str, int]]:
    steps = {"boot": 1.0, "crash": 1.45, "crash again": 2.5}
    found = cases("source", TRACE, steps, thorough=thorough)
    return {(it.which, it.when) for it in found if it.syscall == syscall}


def test_first_second_and_last_from_the_beginning_on() -> None:
    assert chosen("brk", thorough=False) == {("first", 2)}
    assert chosen("epoll_wait", thorough=False) == {("first", 1), ("second", 2), ("last", 4)}
    assert chosen("epoll_wait", thorough=True) == {
        ("first", 1),
        ("second", 2),
        ("first of crash again", 3),
        ("last", 4),
    }


def test_every_errno_of_its_manual() -> None:
    found = cases("source", TRACE, {"crash again": 2.5}, thorough=False)
    assert {it.errno for it in found if it.syscall == "clone"} == set(ERRNOS["clone"])
    repair = [it for it in found if it.which == IN_A_REPAIR]
    assert {it.syscall for it in repair} == {"memfd_create", "execveat"}
    assert {it.trigger for it in repair} == {2}


def test_no_syscall_is_in_both_tables() -> None:
    assert not set(ERRNOS) & set(NONE)
    assert unknown(TRACE + "4.0 io_uring_setup(1) = 3\n") == ["io_uring_setup"]


def test_a_sample_is_the_same_each_time_and_has_of_everything() -> None:
    every = cases("source", TRACE, {"crash again": 2.5}, thorough=False)
    assert sample(every, 5, seed=1) == sample(every, 5, seed=1) != sample(every, 5, seed=2)
    assert {it.syscall for it in sample(every, 5, seed=1)} == {it.syscall for it in every}
    assert len(sample(every, 10**6, seed=1)) == len(every)


def test_the_table_counts_what_has_struck(tmp_path: Path) -> None:
    case = Case("source", "clone", "EAGAIN", "first", 1)
    result = Result(
        case.name,
        "source",
        "clone",
        "EAGAIN",
        "first",
        1,
        is_hit=True,
        ended_early=True,
        repairs=0,
        repeats=0,
        problems=[],
    )
    text = table([result])
    assert "| `clone` | EAGAIN (1) | 1 | 1 | 0 | 0 |" in text
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    put(text, page)
    assert page.read_text() == f"before\n{BEGIN}\n{text}{END}\nafter\n"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="no <!-- faults -->"):
        put(text, page)
