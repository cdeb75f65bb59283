"""The reader of plain TOML: whatever it reads, the whole parser reads alike."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from initpy.config.plain import read_plain
from tests.support import REPO

if TYPE_CHECKING:
    from collections.abc import Callable

WHOLE: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
EXAMPLES = sorted((REPO / "examples").glob("*/initpy.toml"))

PIECES = (
    *"[]{}=\"'#.,\n\t ab_-+019\\\r\x01\x7fé\u2028",
    *("true", "false", "1.5", "-0", "01", "1e5", "0x1", "inf", "1_000", "12:30:00", "1979-05-27"),
    *(
        '"x"',
        "'x'",
        '""',
        "''",
        '"""',
        "'''",
        "[a]\n",
        "[a.b]\n",
        "[[a]]\n",
        "a = 1\n",
        "b.c = 2\n",
    ),
    *("d = [1, 2]\n", 'e = { f = "g" }\n', "[a.b.c]\n", "\r\n", "# note\n", "a={b=1}\n"),
)


def judged(text: str) -> Any:
    """What the whole parser makes of it."""
    try:
        return WHOLE.loads(text)
    except ValueError as exc:
        return type(exc)


def check(text: str) -> bool:
    """Whether it is plain; if so, it must mean the same."""
    plain = read_plain(text, float)
    if plain is not None:
        assert repr(plain) == repr(judged(text))  # repr: 1, 1.0, True and -0.0 are not the same
    return plain is not None


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
@settings(max_examples=1500, deadline=None)
@example("a=1\n[a]\n")
@example("[a]\nb=1\n[a.b]\n")
@example("[a.b]\n[a]\nc=1\n")
@example("a={b=1}\n[a.c]\n")
@example("a={b=1,}\n")
@example('a=""""""\n')
@example("a=-0\nb=-0.0\n")
@example("a=1 b=2\n")
@example("[a]]\n")
@example("[ a ]\n")
def test_what_it_reads_the_whole_parser_reads_alike(text: str) -> None:
    check(text)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_file_is_read_alike_too(path: Path, data: st.DataObject) -> None:
    text = path.read_text()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        piece = data.draw(st.sampled_from(("", *PIECES)))
        text = text[:at] + piece + text[at + data.draw(st.integers(0, 5)) :]
    check(text)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_the_examples_are_plain(path: Path) -> None:
    assert check(path.read_text())


@pytest.mark.parametrize(
    ("text", "is_plain"),
    [
        ("a = 1\n", True),
        ("a = [1,\n  2, # two\n]\n", True),
        ("a = { b = 'x', c = [true] }", True),
        ("a = 1.50\n", True),
        ("[p.x]\n[p.y]\n", True),
        ("a.b = 1\n", False),
        ('a = "\\n"\n', False),
        ('a = """x"""\n', False),
        ("[[a]]\n", False),
        ("a = 1e5\n", False),
        ("a = 1\na = 2\n", False),
        ("a = 1", True),
        ("a = ", False),
        ("a = [1", False),
        ('a = "x', False),
        ("a = 1\r\n", False),
    ],
)
def test_what_is_plain(text: str, is_plain: bool) -> None:
    assert check(text) is is_plain


def test_fractions_are_made_as_they_were_written() -> None:
    made: list[str] = []

    def fraction(text: str) -> float:
        made.append(text)
        return float(text)

    assert read_plain("a = 1.10\n", fraction) == {"a": 1.1}
    assert made == ["1.10"]


HEAVY = {"re", "enum", "typing", "signal", "shlex", "tomllib", "tomli", "dataclasses", "json"}


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[[Path], set[str]]:
    """The modules that the config helper has loaded when it has sent the plan of a file."""
    code = (
        f"import sys; sys.path.insert(0, {str(REPO)!r})\n"
        "from initpy.config.helper import send_plan\n"
        "import os\n"
        f"fd = os.open({str(tmp_path / 'plan')!r}, os.O_WRONLY | os.O_CREAT)\n"
        "code = send_plan(sys.argv[1], fd)\n"
        "print(code, *sys.modules)"
    )

    def load(path: Path) -> set[str]:
        command = [sys.executable, "-I", "-S", "-c", code, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        code_, *modules = done.stdout.split()
        assert code_ == "0", done.stderr
        return set(modules)

    return load


def test_a_plain_file_needs_no_heavy_module(
    loaded: Callable[[Path], set[str]], tmp_path: Path
) -> None:
    """Each of them would make a container start some milliseconds later (DESIGN §7)."""
    path = tmp_path / "initpy.toml"
    path.write_text(
        '[program.web]\ncommand = ["sleep", "1000"]\n[program.b]\ncommand = "sleep 9"\n'
    )
    assert loaded(path) & HEAVY == set()
    path.write_text("[program.web]\ncommand = \"sh -c 'sleep 1000'\"\n")
    assert loaded(path) & HEAVY == {"enum", "re", "shlex"}
