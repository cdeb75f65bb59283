"""`initpy check`: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from initpy.config import check
from tests.config.support import WEB
from tests.support import REPO


def run(
    code: str, *options: str, stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    """Run code as the config helper is run: an isolated Python without site-packages."""
    head = f"import sys; sys.path.insert(0, {str(REPO)!r}); "
    return subprocess.run(
        [sys.executable, "-I", "-S", *options, "-c", head + code],
        stdout=stdout,
        stderr=stderr,
        check=False,
        env={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
    )


CHECK = "from initpy.config import check; sys.exit(check.main('initpy.toml'))"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (WEB, "1 program, 1 process"),
        (WEB + 'numprocs = 3\nprocess_name = "%(process_num)d"', "1 program, 3 processes"),
        (WEB + '[program.b]\ncommand = "sh"', "2 programs, 2 processes"),
    ],
)
def test_a_good_file(text: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("initpy.toml").write_text(text)
    assert check.main("initpy.toml") == 0
    assert capfd.readouterr() == (f"initpy.toml: ok, {said}\n", "")


def test_a_bad_file(capfd: pytest.CaptureFixture[str]) -> None:
    Path("initpy.toml").write_text("a = 1\nb = 1\n" + WEB)
    assert check.main("initpy.toml") == 2
    assert capfd.readouterr() == (
        "",
        "initpy.toml:1: a: unknown key\ninitpy.toml:2: b: unknown key\n",
    )


@pytest.mark.parametrize(("extra", "code"), [("", 0), ("nope = 1\n", 2)])
def test_warnings_are_told_and_do_not_fail(
    extra: str, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("initpy.toml").write_text(f'include = "no/*"\n{extra}{WEB}')
    assert check.main("initpy.toml") == code
    said = capfd.readouterr().err
    assert said.startswith("initpy.toml:1: warning: include: no file matches it\n")
    assert said.count("\n") == 1 + bool(code)


def test_a_missing_file(capfd: pytest.CaptureFixture[str]) -> None:
    assert check.main("no.toml") == 2
    assert capfd.readouterr() == ("", "no.toml: cannot read it: No such file or directory\n")


def test_what_a_terminal_might_trip_over_is_spelt_out(capfd: pytest.CaptureFixture[str]) -> None:
    name = "\x1b[31m\udcff\n.toml"
    Path(name).write_text('"\\u001b[0m\\n" = 1\n' + WEB, "utf-8")
    assert check.main(name) == 2
    assert capfd.readouterr().err == ('\\x1b[31m\\udcff\\n.toml:1: "\\x1b[0m\\n": unknown key\n')
    Path(name).write_text(WEB)
    assert check.main(name) == 0
    assert capfd.readouterr().out == "\\x1b[31m\\udcff\\n.toml: ok, 1 program, 1 process\n"


def test_it_works_in_an_isolated_python_with_an_ascii_locale() -> None:
    Path("initpy.toml").write_text('[program."é"]\ncommand = "${NOPE}"', "utf-8")
    result = run(CHECK)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.decode() == (
        'initpy.toml:2: program."é".command: the environment has no NOPE; for a default, write '
        "${NOPE:-…}\n"
    )


@pytest.mark.parametrize(("text", "code"), [(WEB, 0), ("nope = 1\n" * 1, 2)])
def test_nobody_listens(text: str, code: int) -> None:
    Path("initpy.toml").write_text(text)
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = run(CHECK, stdout=writing, stderr=writing)
        assert result.returncode == code
        result = run(CHECK, stdout=writing)
        assert result.returncode == code
        assert b"Traceback" not in result.stderr
    finally:
        os.close(writing)


def test_a_full_disk() -> None:
    Path("initpy.toml").write_text(WEB)
    with Path("/dev/full").open("wb") as full:
        result = run(CHECK, stdout=full.fileno())
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize("text", [WEB, "nope = 1"])
def test_closed_outputs(text: str) -> None:
    Path("initpy.toml").write_text(text)
    code = f"import os; os.close(1); os.close(2); {CHECK}"
    assert run(code).returncode == (0 if text == WEB else 2)


def test_a_slow_reader_gets_every_line() -> None:
    Path("initpy.toml").write_text("".join([f"a{number} = 1\n" for number in range(5000)]) + WEB)
    result = run(f"import os; os.set_blocking(2, False); {CHECK}")
    lines = result.stderr.decode().splitlines()
    assert len(lines) == 5000
    assert lines[-1] == "initpy.toml:5000: a4999: unknown key"


def test_the_schema(capfd: pytest.CaptureFixture[str]) -> None:
    assert check.print_schema() == 0
    printed = capfd.readouterr()
    assert json.loads(printed.out)["title"] == "initpy"
    assert printed.out == (REPO / "docs" / "initpy.schema.json").read_text("utf-8")
    assert printed.err == ""


def test_a_bug_of_ours_is_no_traceback() -> None:
    code = f"from initpy.config import check; check.load = None; {CHECK}"
    result = run(code)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.startswith(b"initpy.toml: cannot be checked, by a fault of initpy: ")
    assert result.stderr.count(b"\n") == 1


def test_a_good_file_costs_few_imports() -> None:
    """Boot speed: what only a mistake, an include or an editor needs is not even imported."""
    Path("initpy.toml").write_text('[program.web]\ncommand = ["sh", "${HOME:-x}"]\n')
    listing = "from initpy.config import load; load('initpy.toml'); print(*sys.modules)"
    loaded = run(listing).stdout.decode().split()
    assert "initpy.config.loading" in loaded
    dear = {"json", "difflib", "shlex", "glob", "dataclasses", "inspect", "argparse", "subprocess"}
    late = {"initpy.config.positions", "initpy.config.schema", "initpy.config.docs", "pwd", "grp"}
    late |= {"initpy.config.env_files", "initpy.config.budget", "resource"}
    if sys.version_info < (3, 11):
        late -= {"pwd"}  # of site, which has to find tomli
    assert set(loaded) & (dear | late) == set()
