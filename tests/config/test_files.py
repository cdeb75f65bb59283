"""The files themselves: those that cannot be read, and those that others include."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from initpy.config import ConfigError, load
from tests.config.support import (
    ENVIRON,
    WEB,
    load_text,
    plan_of,
    problem_of,
    problems_of,
    unprivileged,
)
from tests.support import REPO


def refusal(path: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, ENVIRON)
    (problem,) = caught.value.problems
    assert str(problem) == str(caught.value)
    return str(problem)


def test_a_missing_file() -> None:
    assert refusal("sub/no.toml") == "sub/no.toml: cannot read it: No such file or directory"


def test_a_directory() -> None:
    assert refusal(".") == ".: cannot read it: Is a directory"


def test_a_file_without_permission() -> None:
    Path("secret.toml").write_text(WEB)
    Path("secret.toml").chmod(0)
    Path.cwd().chmod(0o755)
    with unprivileged():
        said = refusal("secret.toml")
    assert said == "secret.toml: cannot read it: Permission denied"


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "[init]\n", "[program]\n", "[group]"])
def test_nothing_to_run(text: str) -> None:
    assert problem_of(text) == "initpy.toml: no [program.NAME] in it: nothing to run"


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "initpy.toml"
    path.write_bytes(b"\xef\xbb\xbf" + WEB.encode())
    assert load(str(path)).plan.processes[0].name == "web"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\xff", "initpy.toml:1: not UTF-8: byte 0xff at offset 0"),
        (b"a = 1\n# \xe9\n", "initpy.toml:2: not UTF-8: byte 0xe9 at offset 8"),
        (b"a = '\xed\xa0\x80'", "initpy.toml:1: not UTF-8: byte 0xed at offset 5"),
        (WEB.encode("utf-16"), "initpy.toml:1: not UTF-8: byte 0xff at offset 0"),
    ],
)
def test_not_utf8(raw: bytes, said: str) -> None:
    Path("initpy.toml").write_bytes(raw)
    assert refusal("initpy.toml") == said


def test_one_megabyte_is_read_and_a_byte_more_is_not() -> None:
    padding = "#" * (1024 * 1024 - len(WEB))
    assert len(plan_of(WEB + padding).processes) == 1
    assert problem_of(WEB + padding + "#") == "initpy.toml: cannot read it: larger than 1 MB"


def test_a_huge_file_is_not_read() -> None:
    with Path("huge.toml").open("wb") as file:
        file.truncate(2**40)
    assert refusal("huge.toml") == "huge.toml: cannot read it: larger than 1 MB"


def test_a_device_without_end() -> None:
    assert refusal("/dev/zero") == "/dev/zero: cannot read it: larger than 1 MB"


def test_a_pipe_without_a_writer_does_not_hang() -> None:
    os.mkfifo("pipe")
    assert refusal("pipe") == "pipe: no [program.NAME] in it: nothing to run"


def test_a_pipe_is_read_to_its_end() -> None:
    reading, writing = os.pipe()

    def write() -> None:
        for part in (WEB[:5], WEB[5:]):
            os.write(writing, part.encode())
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert len(load(f"/dev/fd/{reading}", ENVIRON).plan.processes) == 1
    finally:
        thread.join()
        os.close(reading)


@pytest.mark.parametrize("name", ["nul\0.toml", "\ud800.toml"])
def test_names_that_no_file_can_have(name: str) -> None:
    assert ": cannot read it: " in refusal(name)
    assert refusal(name).isprintable()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = ", 1),
        ("a = 1\nb = [1,\n", 3),
        ("a = 1\n\n[x\n", 3),
        ("a = 1\na = 2\n", 2),
        ('a = """\n\n', 3),
        ("umask = 022\n", 1),
    ],
)
def test_what_is_no_toml(text: str, line: int) -> None:
    problem = problem_of(text)
    assert problem.startswith(f"initpy.toml:{line}: cannot parse it: ")
    assert problem.endswith((")", "document)"))


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 50_000,
        "a = " + "[" * 50_000 + "]" * 50_000,
        "a = " + "{a=" * 50_000,
    ],
)
def test_nested_too_deep(text: str) -> None:
    assert problem_of(text).startswith("initpy.toml")


def test_a_number_of_too_many_digits() -> None:
    assert problem_of("a = " + "1" * 5000).startswith("initpy.toml")


def test_keys_nested_deep_are_only_unknown() -> None:
    text = WEB + ".".join(["a"] * 300) + " = 1"
    assert problem_of(text) == "initpy.toml:3: program.web.a: unknown key"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lines_of_windows(newline: str) -> None:
    Path("initpy.toml").write_bytes((WEB + "\nnope = 1\n").replace("\n", newline).encode())
    assert refusal("initpy.toml") == "initpy.toml:4: program.web.nope: unknown key"


# include


def test_included_files_are_read_in_order_and_here_is_where_each_is(folder: Path) -> None:
    Path("conf.d").mkdir()
    for name in ("b", "a"):
        Path(f"conf.d/{name}.toml").write_text(f'[program.{name}]\ncommand = "%(here)s/x"')
    plan = plan_of('include = ["conf.d/*.toml"]\n[program.web]\ncommand = "%(here)s/x"')
    assert [(spec.key, os.fsdecode(spec.argv[0])) for spec in plan.processes] == [
        ("a", f"{folder}/conf.d/x"),
        ("b", f"{folder}/conf.d/x"),
        ("web", f"{folder}/x"),
    ]


@pytest.mark.parametrize(
    "include",
    [
        'include = "more.toml"',
        'include = ["m*.toml"]',
        'include = ["*.toml"]',  # not the main file again
        'include = ["more.toml", "m?re.toml"]',  # not twice
        'include = "%(here)s/${NAME:-more}.toml"',
        '[include]\nfiles = ["more.toml"]',
        '[include]\nfiles = "[m]ore.toml"',
    ],
)
def test_ways_to_include(include: str) -> None:
    plan = plan_of(f"{include}\n{WEB}", more='[program.more]\ncommand = "more"')
    assert [spec.key for spec in plan.processes] == ["more", "web"]


def test_includes_are_relative_to_the_file_and_not_to_the_working_directory() -> None:
    Path("[etc]").mkdir()
    Path("[etc]/initpy.toml").write_text('include = "x*.toml"')
    Path("[etc]/x1.toml").write_text(WEB)
    assert len(load("[etc]/initpy.toml", ENVIRON).plan.processes) == 1


def test_a_pattern_without_a_match_is_a_warning() -> None:
    loaded = load_text(f'include = [\n"no/*.toml"]\n{WEB}')
    (warning,) = loaded.warnings
    assert str(warning) == "initpy.toml:2: warning: include[0]: no file matches it"
    assert len(loaded.plan.processes) == 1


def test_a_warning_is_told_with_the_problems_too() -> None:
    with pytest.raises(ConfigError) as caught:
        load_text('include = "no/*.toml"\nnope = 1')
    assert str(caught.value) == "initpy.toml:2: nope: unknown key"
    assert [str(warning) for warning in caught.value.warnings] == [
        "initpy.toml:1: warning: include: no file matches it"
    ]


@pytest.mark.parametrize(
    ("include", "said"),
    [
        ("include = 1", "1: include: expected a list of file names or patterns, or one, not 1"),
        ("include = []",
         "1: include: expected a list of file names or patterns, or one, not an empty list"),
        ('include = ""', '1: include: expected a list of file names or patterns, or one, not ""'),
        ("include = [1]", "1: include[0]: expected a name, not 1"),
        ('include = ["a\\u0000"]', "1: include[0]: expected text without a NUL byte"),
        ('include = "${NOPE}"',
         "1: include: the environment has no NOPE; for a default, write ${NOPE:-…}"),
        ('include = "%(program_name)s"', "1: include: there is no %(program_name)s here; to have "
         "it as it is, write %%(program_name)"),
        ("[include]",
         "1: include.files: missing; expected a list of file names or patterns, or one"),
        ('[include]\nfile = "x"', "2: include.file: unknown key; did you mean files?"),
    ],
)  # fmt: skip
def test_includes_that_cannot_be(include: str, said: str) -> None:
    problems = problems_of(f"{include}\n{WEB}")
    assert f"initpy.toml:{said}" in problems
    assert len(problems) == 1 + ("file =" in include)


def test_an_included_file_without_wildcards_has_to_be_there() -> None:
    assert problem_of(f'include = "no.toml"\n{WEB}') == (
        "no.toml: cannot read it: No such file or directory"
    )


def test_bad_included_files_are_a_line_each() -> None:
    Path("d.toml").mkdir()
    Path("u.toml").write_bytes(b"\xff")
    Path("z.toml").write_text("#" * (1024 * 1024 + 1))
    problems = problems_of(f'include = "?.toml"\n{WEB}', b="a = ?\n", g="nope = 1")
    assert [line.replace("Invalid value ", "… ") for line in problems] == [
        "b.toml:1: cannot parse it: … (at line 1, column 5)",
        "d.toml: cannot read it: Is a directory",
        "g.toml:1: nope: unknown key",
        "u.toml:1: not UTF-8: byte 0xff at offset 0",
        "z.toml: cannot read it: larger than 1 MB",
    ]


def test_no_include_in_an_included_file() -> None:
    assert problem_of(f'include = "a.toml"\n{WEB}', a='\ninclude = "b.toml"') == (
        "a.toml:2: include: an included file cannot include others"
    )


def test_a_program_in_two_files() -> None:
    assert problem_of(f'include = "a.toml"\n{WEB}', a=f"\n{WEB}") == (
        "a.toml:2: program.web: already in initpy.toml:2"
    )


def test_a_group_in_two_files() -> None:
    group = '[group.g]\nprograms = "web"\n'
    assert problem_of(f'include = "a.toml"\n{WEB}{group}', a=group) == (
        "a.toml:1: group.g: already in initpy.toml:4"
    )


def test_a_group_of_programs_of_other_files() -> None:
    plan = plan_of('include = "?.toml"\n[group.g]\nprograms = ["web", "x"]', a=WEB, b=(
        '[program.x]\ncommand = "x"\nafter = "web"'
    ))  # fmt: skip
    assert [spec.key for spec in plan.processes] == ["g:web", "g:x"]


def test_init_may_be_spread_over_files_but_no_key_of_it() -> None:
    plan = plan_of(
        f'include = "a.toml"\n{WEB}[init]\nshutdown_timeout = 1',
        a='[init]\nexit_code_from = "web"',
    )
    assert (plan.shutdown_timeout_s, plan.exit_code_from) == (1.0, ("web",))
    problem = problem_of(
        f'include = "a.toml"\n{WEB}[init]\nshutdown_timeout = 1', a="[init]\nshutdown_timeout = 2"
    )
    assert problem == "a.toml:2: init.shutdown_timeout: already in initpy.toml:5"


def test_nothing_to_run_in_any_file() -> None:
    assert problem_of('include = "a.toml"', a="[init]") == (
        "initpy.toml: no [program.NAME] in it: nothing to run"
    )


def test_here_in_a_working_directory_that_is_gone() -> None:
    Path("file.toml").write_text('[program.a]\ncommand = ["a", "%(here)s"]')
    script = (
        f"import os, sys; sys.path.insert(0, {str(REPO)!r}); os.mkdir('gone'); os.chdir('gone'); "
        "os.rmdir('../gone'); from initpy.config import load; "
        f"print(load({str(Path('file.toml').absolute())!r}).plan.processes[0].argv); "
        "\ntry: load('x.toml')\nexcept Exception as exc: print(exc)"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False
    )
    assert result.stderr == ""
    assert result.stdout == (
        f"(b'a', {os.fsencode(Path.cwd())!r})\nx.toml: cannot read it: No such file or directory\n"
    )
