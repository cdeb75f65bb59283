"""`env_file` and `clean_environment`: where a program's variables come from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from initpy.config import load
from initpy.plan import ProcessSpec
from tests.config.support import (
    ENVIRON,
    WEB,
    load_text,
    plan_of,
    problem_of,
    problems_of,
    unprivileged,
    web,
)

SECRET = "hunter2"

OURS = ("SUPERVISOR_ENABLED", "SUPERVISOR_PROCESS_NAME", "SUPERVISOR_GROUP_NAME")


def own(spec: ProcessSpec) -> dict[str, str]:
    """The variables of a program, but for those that each has."""
    environment = {os.fsdecode(name): os.fsdecode(value) for name, value in spec.environment}
    return {name: value for name, value in environment.items() if name not in OURS}


def variables(text: str | bytes) -> dict[str, str]:
    """What a program gets from a file with this in it."""
    Path("x.env").write_bytes(text if isinstance(text, bytes) else text.encode())
    return own(web('env_file = "x.env"'))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("A=1\nB=2\n", {"A": "1", "B": "2"}),
        ("A=1", {"A": "1"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        (b"\xef\xbb\xbfA=1\n", {"A": "1"}),
        ("# A=1\n\n  \t\n  # x\n", {}),
        ("A=", {"A": ""}),
        ("A=a b", {"A": "a b"}),
        ("  A=  a b \t\n", {"A": "a b"}),
        ("A=a # b", {"A": "a # b"}),
        ("A=b=c", {"A": "b=c"}),
        ("export A=1\nexport\tB=2\nexport  C=3", {"A": "1", "B": "2", "C": "3"}),
        ("exportA=1\nexport=2", {"exportA": "1", "export": "2"}),
        ("A=\"a b\"\nB='c d'", {"A": "a b", "B": "c d"}),
        ("A=\"  a  \"\nB=' '\nC=\"\"\nD=''", {"A": "  a  ", "B": " ", "C": "", "D": ""}),
        ('A="it\'s"\nB=\'"x"\'', {"A": "it's", "B": '"x"'}),
        ("A={\"a\": 'b'}\nB=it's", {"A": "{\"a\": 'b'}", "B": "it's"}),
        ('A=a\\nb\\\nB="a\\tb"', {"A": "a\\nb\\", "B": "a\\tb"}),
        ("A=${HOME} $HOME $$ %(here)s %%", {"A": "${HOME} $HOME $$ %(here)s %%"}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=a\u2028b\x0bc\x85d", {"A": "a\u2028b\x0bc\x85d"}),
        ("a.b-c=1\né=ü", {"a.b-c": "1", "é": "ü"}),
    ],
)
def test_what_a_file_says(text: str | bytes, found: dict[str, str]) -> None:
    assert variables(text) == found


QUOTED = "expected a quoted value to end with its quote, and not to have it inside"
NAMED = 'expected a name without white space before the "="'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (SECRET, "expected NAME=VALUE"),
        (f"export {SECRET}", "expected NAME=VALUE"),
        (f"={SECRET}", NAMED),
        (f"export ={SECRET}", NAMED),
        (f"A ={SECRET}", NAMED),
        (f"A B={SECRET}", NAMED),
        (f"A\u00a0B={SECRET}", NAMED),
        (f'A="{SECRET}', QUOTED),
        (f"A='{SECRET}", QUOTED),
        (f"A='{SECRET}\"", QUOTED),
        ('A="', QUOTED),
        (f'A="a"{SECRET}"', QUOTED),
        (f'A="{SECRET}" # x', QUOTED),
        (f"A={SECRET}\0", "expected text without a NUL byte"),
        ("A=" + "x" * 131_072, "longer than 131071 characters: no program can be given it"),
    ],
)
def test_a_bad_line_is_named_by_file_and_number_and_never_shown(line: str, said: str) -> None:
    Path("x.env").write_text(f"A=1\n{line}\nB=2\n")
    problem = problem_of(WEB + 'env_file = "x.env"')
    assert problem == f"x.env:2: {said}"


def test_every_bad_line_is_told_but_not_a_thousand() -> None:
    Path("x.env").write_text("x\n" * 1000)
    problems = problems_of(WEB + 'env_file = "x.env"')
    assert problems[:9] == [f"x.env:{line}: expected NAME=VALUE" for line in range(1, 10)]
    assert problems[9:] == ["x.env:10: expected NAME=VALUE; the lines after it are not looked at"]


def test_a_bad_file_of_many_is_told_once() -> None:
    Path("x.env").write_text("x\n")
    many = 'env_file = "x.env"\nnumprocs = 9\nprocess_name = "%(process_num)d"\n'
    assert problems_of(WEB + many + '[program.b]\ncommand = "b"\nenv_file = "x.env"') == [
        "x.env:1: expected NAME=VALUE"
    ]


def test_a_missing_file_is_told_where_it_is_named() -> None:
    assert problem_of(WEB + 'env_file = [\n"/dev/null",\n"no.env"]') == (
        "initpy.toml:5: program.web.env_file[1]: cannot read no.env: No such file or directory"
    )
    twice = WEB + 'env_file = "no.env"\n[program.b]\ncommand = "b"\nenv_file = "no.env"'
    assert problems_of(twice) == [
        "initpy.toml:3: program.web.env_file: cannot read no.env: No such file or directory",
        "initpy.toml:6: program.b.env_file: cannot read no.env: No such file or directory",
    ]


def test_files_that_cannot_be_read() -> None:
    Path("dir").mkdir()
    Path("bytes").write_bytes(b"A=1\nB=" + SECRET.encode() + b"\xff\n")
    Path("large").write_text("#" * (1024 * 1024 + 1))
    Path("closed").write_text("A=1")
    Path("closed").chmod(0)
    Path.cwd().chmod(0o777)
    head = "initpy.toml:3: program.web.env_file: cannot read "
    with unprivileged():
        for name, said in {
            "dir": "Is a directory",
            "bytes": "not UTF-8 in its line 2",
            "large": "larger than 1 MB",
            "closed": "Permission denied",
        }.items():
            assert problem_of(WEB + f'env_file = "{name}"') == f"{head}{name}: {said}"


def test_a_megabyte_is_read() -> None:
    assert variables("A=1\n" + "#" * (1024 * 1024 - 4)) == {"A": "1"}


def test_a_pipe_without_a_writer_does_not_hang() -> None:
    os.mkfifo("pipe")
    assert own(web('env_file = "pipe"')) == {}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("1", ": expected a list of files, or one, not 1"),
        ('""', ': expected a list of files, or one, not ""'),
        ("[1]", "[0]: expected a file, not 1"),
        ('["a\\u0000"]', "[0]: expected text without a NUL byte"),
        ('"${NOPE}"', ": the environment has no NOPE; for a default, write ${NOPE:-…}"),
        ('"${EMPTY}"', ': nothing is left of "${EMPTY}"'),
    ],
)
def test_values_that_cannot_be(value: str, said: str) -> None:
    problem = problem_of(WEB + f"env_file = {value}")
    assert problem == f"initpy.toml:3: program.web.env_file{said}"


def test_files_are_relative_to_the_file_that_names_them(folder: Path) -> None:
    Path("conf.d").mkdir()
    Path("x.env").write_text("A=outer")
    Path("conf.d/x.env").write_text("A=inner")
    Path("conf.d/a.toml").write_text('[program.a]\ncommand = "a"\nenv_file = "x.env"')
    Path("initpy.toml").write_text('include = "conf.d/a.toml"\n' + WEB + 'env_file = "x.env"')
    for path in ("initpy.toml", str(folder / "initpy.toml")):
        found = {spec.key: own(spec) for spec in load(path, ENVIRON).plan.processes}
        assert found == {"a": {"A": "inner"}, "web": {"A": "outer"}}
    Path("conf.d/x.env").unlink()
    assert problem_of(Path("initpy.toml").read_text()) == (
        "conf.d/a.toml:3: program.a.env_file: cannot read conf.d/x.env: No such file or directory"
    )


def test_names_of_files_are_expanded_for_each_process() -> None:
    Path("w0.env").write_text("N=zero")
    Path("w1.env").write_text("N=one")
    plan = plan_of(
        '[program.w]\ncommand = "w"\nnumprocs = 2\nprocess_name = "w%(process_num)d"\n'
        'env_file = "%(here)s/${NO:-w}%(process_num)d.env"'
    )
    assert [own(spec) for spec in plan.processes] == [{"N": "zero"}, {"N": "one"}]


def test_later_files_win_and_environment_wins_over_all() -> None:
    Path("a.env").write_text("A=1\nB=1\nC=1\nSUPERVISOR_ENABLED=no\nUSER=file\nHOME=file")
    Path("b.env").write_text("B=2\nC=2")
    spec = web('user = 0\nenv_file = ["a.env", "b.env"]\nenvironment = { C = 3, HOME = "env" }')
    found = own(spec)
    assert {name: found[name] for name in "ABC"} == {"A": "1", "B": "2", "C": "3"}
    assert (found["USER"], found["HOME"]) == ("file", "env")
    assert dict(spec.environment)[b"SUPERVISOR_ENABLED"] == b"no"
    assert list(own(web('env_file = ["b.env", "a.env"]'))) == ["B", "C", "A", "USER", "HOME"]


def test_strings_of_the_program_may_refer_to_it() -> None:
    Path("x.env").write_text("PORT=80\nHOME=/file\nPATH=/p")
    spec = web(
        'command = ["a", "${PORT}", "${HOME}"]\nenv_file = "x.env"\n'
        'environment = { URL = "http://x:${PORT}${HOME}", HOME = "/env" }\ndirectory = "${HOME}"'
    )
    assert spec.argv == (b"a", b"80", b"/env")
    assert spec.directory == b"/env"
    assert dict(spec.environment)[b"URL"] == b"http://x:80/file"
    assert spec.paths == (b"/p/a",)


def test_but_not_what_is_asked_before_it_is_read() -> None:
    Path("x.env").write_text("N=2\nF=x.env\nON=on")
    for line in ('numprocs = "${N}"', 'enabled = "${ON}"', 'after = "${N}"'):
        problem = problem_of(WEB + f'env_file = "x.env"\n{line}')
        assert "the environment has no " in problem


# clean_environment


def test_a_clean_environment_has_a_path_where_commands_are_looked_for() -> None:
    spec = web('command = "a"\nclean_environment = true\nenvironment = { A = "${HOME}" }')
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert spec.clean_environment
    assert own(spec) == {"A": "/root", "PATH": path}
    assert list(spec.paths) == [f"{directory}/a".encode() for directory in path.split(":")]


@pytest.mark.parametrize("line", ['environment = { PATH = "/y" }', 'env_file = "x.env"'])
def test_or_the_path_that_it_is_given(line: str) -> None:
    Path("x.env").write_text("PATH=/y")
    spec = web(f'command = "a"\nstop_command = "b"\nclean_environment = true\n{line}')
    assert own(spec) == {"PATH": "/y"}
    assert (spec.paths, spec.stop_paths) == ((b"/y/a",), (b"/y/b",))


def test_an_ordinary_environment_is_not_given_a_path() -> None:
    spec = web('command = "a"', {})
    assert own(spec) == {}
    assert len(spec.paths) == 6


def test_the_user_s_home_belongs_to_a_clean_environment() -> None:
    assert set(own(web("clean_environment = true\nuser = 0"))) == {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
    }


def test_a_file_is_read_once_for_all_processes() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"A=1\n")
    os.close(writing)
    try:
        plan = plan_of(
            f'{WEB}env_file = "/dev/fd/{reading}"\nnumprocs = 2\nprocess_name = "%(process_num)d"\n'
            f'[program.b]\ncommand = "b"\nenv_file = "/dev/fd/{reading}"'
        )
    finally:
        os.close(reading)
    assert [own(spec) for spec in plan.processes] == [{"A": "1"}] * 3


def test_files_are_read_anew_at_each_load() -> None:
    text = WEB + 'env_file = "x.env"'
    Path("x.env").write_text("A=1")
    assert own(load_text(text).plan.processes[0]) == {"A": "1"}
    Path("x.env").write_text("A=2")
    assert own(load_text(text).plan.processes[0]) == {"A": "2"}
