"""That the bench measures, and puts its table where it belongs. How fast initpy is, is no test."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.figures import Results
from tests.bench.peers import Peer
from tests.bench.table import number, put, table
from tests.support import REPO, skip_or_fail


def _peer(name: str) -> Peer:
    return Peer(name, "1.0", lambda _task, _folder: [])


@pytest.mark.namespace
def test_one_round_of_initpy_alone_makes_a_table(why_no_namespace: str) -> None:
    if why_no_namespace:
        skip_or_fail("namespace", why_no_namespace)
    if shutil.which("gcc") is None:
        skip_or_fail("namespace", "the probes have to be compiled, and there is no gcc")
    bench = [sys.executable, "-m", "tests.bench", "--rounds", "1", "--only", "start", "--peers", ""]
    run = subprocess.run(bench, cwd=REPO, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert [line.count("|") for line in lines[:4]] == [3, 3, 3, 3]
    assert [line.split(",")[0] for line in lines[2:4]] == [
        "| exec of the init to its program's first instruction",
        "| TERM to the init; its program has it",
    ]
    assert all("**" in line for line in lines[2:4]), run.stderr


@pytest.mark.namespace
def test_one_round_of_the_inits_of_one_command(why_no_namespace: str) -> None:
    if why_no_namespace:
        skip_or_fail("namespace", why_no_namespace)
    if shutil.which("gcc") is None:
        skip_or_fail("namespace", "the probes have to be compiled, and there is no gcc")
    bench = [sys.executable, "-m", "tests.bench", "--one", "--rounds", "1", "--peers", "tini"]
    run = subprocess.run(
        [*bench, "--only", "start,latency"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    rows = [line for line in run.stdout.splitlines() if "**" in line]
    assert [row.split(",")[0] for row in rows] == [
        "| exec of the init to its program's first instruction",
        "| TERM to the init; its program has it",
        "| USR1 to an init at rest; its program has it",
    ]
    assert "initpy --" in run.stdout


def test_a_short_look_at_the_control_plane_makes_tables() -> None:
    if importlib.util.find_spec("supervisor") is None:
        skip_or_fail("compat", "supervisord is not installed (PyPI's package supervisor)")
    bench = [sys.executable, "-m", "tests.bench.control", "--rounds", "1", "--times", "1"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    run = subprocess.run(
        [*bench, "--only", "health,orders", "--orders-s", "0.2", "--python", sys.executable],
        cwd=REPO,
        env={**os.environ, "PATH": path, "INITPY_BINARY": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    heads = [line for line in run.stdout.splitlines() if line.startswith("| s")]
    assert [line.split(" | ")[0] for line in heads] == [
        "| signalProcess by 8 clients for 0.2 s",
        "| starts",
    ]
    assert all(line.endswith("| initpy | supervisord |") for line in heads)
    (health,) = [line for line in run.stdout.splitlines() if "initpy health" in line]
    assert health.count("**") == 4


def test_a_cell_has_the_median_the_range_and_the_ratio_to_the_first_column() -> None:
    ours, theirs, other = _peer("ours"), _peer("theirs"), _peer("other")
    results = Results()
    results.add("start", ours, 30.0, 10.0, 20.0)
    results.add("start", theirs, 5.0)
    results.note("start", other, "failed")
    results.add("idle", ours, 0.0)
    results.add("idle", theirs, 12.0)
    assert table(results, [ours, theirs, other]).splitlines() == [
        "|  | ours 1.0 | theirs 1.0 | other 1.0 |",
        "| --- | ---: | ---: | ---: |",
        "| exec of the init to its program's first instruction, ms"
        " | **20.0** (10.0 to 30.0) | **5.00** 0.25x | failed |",
        "| syscalls in 10 s with 50 idle programs | **0** | **12.0** | - |",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.00123, "0.0012"),
        (0.0456, "0.046"),
        (0.456, "0.46"),
        (4.567, "4.57"),
        (45.67, "45.7"),
        (456.7, "457"),
        (45678.9, "45,679"),
    ],
)
def test_a_number_has_no_more_digits_than_it_means(value: float, text: str) -> None:
    assert number(value) == text


def test_the_table_replaces_what_is_between_the_markers(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("a\n<!-- bench -->\nold\nold\n<!-- /bench -->\nb\n")
    assert put("new \\1\n", file)
    assert file.read_text() == "a\n<!-- bench -->\nnew \\1\n<!-- /bench -->\nb\n"
    assert put("newer\n", file)
    assert file.read_text() == "a\n<!-- bench -->\nnewer\n<!-- /bench -->\nb\n"


def test_a_page_without_markers_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("a\n")
    assert not put("new\n", file)
    assert file.read_text() == "a\n"
