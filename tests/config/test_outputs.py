"""What becomes of the output of programs: what the file may say, and what is made of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from initpy.config import load
from initpy.logplan import FILE, JSON, PREFIX, RAW, STREAM, SYSLOG, ChannelPlan, Sink
from tests.config.support import ENVIRON, load_text, plan_of, problem_of

if TYPE_CHECKING:
    from pathlib import Path

SYSTEM_LOG = Sink(SYSLOG, b"unix:/dev/log")

WEB = '[program.web]\ncommand = "web"\n'


def channels(toml: str) -> tuple[ChannelPlan | None, ChannelPlan | None]:
    spec = plan_of(toml).processes[0]
    return spec.stdout, spec.stderr


def sinks(toml: str) -> list[tuple[Sink, ...] | None]:
    """Of stdout and stderr; None: inherited."""
    return [None if it is None else it.sinks for it in channels(toml)]


def test_by_default_output_is_inherited() -> None:
    assert channels(WEB) == (None, None)


def test_one_word_in_init_holds_for_all_who_say_nothing() -> None:
    toml = '[init]\nlog = "prefix"\n' + WEB
    assert sinks(toml) == [(Sink(STREAM, b"1", PREFIX),), (Sink(STREAM, b"2", PREFIX),)]
    assert sinks(toml + 'log = "inherit"\n') == [None, None]
    assert sinks(toml + 'stdout = "json"\n') == [
        (Sink(STREAM, b"1", JSON),),
        (Sink(STREAM, b"2", PREFIX),),
    ]


def test_several_sinks(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "web.log")
    toml = WEB + f'log = ["inherit", {{ file = "{tmp_path}/%(program_name)s.log" }}]\n'
    assert sinks(toml)[0] == (
        Sink(STREAM, b"1"),
        Sink(FILE, path, max_bytes=50 * 2**20, backups=10),
    )


def test_all_that_a_file_can_be_told(tmp_path: Path) -> None:
    toml = (
        f'log = {{ file = "{tmp_path}/log", max_bytes = "3kb", backups = 2, compress = true,'
        ' format = "json", policy = "drop" }\njson_merge = true\n'
    )
    sink = Sink(FILE, os.fsencode(tmp_path / "log"), JSON, True, 3072, 2, True, False, True)
    assert sinks(WEB + toml)[0] == (sink,)


def test_what_is_said_of_lines() -> None:
    toml = 'stdout = "json"\nmax_line = 100\nmultiline = "[0-9]"\nstrip_ansi = true\n'
    stdout, _ = channels(WEB + toml + "rate_limit = { lines = 5, per = 0.5 }\n")
    assert stdout is not None
    assert (stdout.max_line, stdout.multiline, stdout.strip_ansi) == (100, "[0-9]", True)
    assert stdout.rate_limit == (5, 0.5)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (
            'stderr_logfile = "auto"\nstderr_logfile_backups = 1',
            [
                None,
                (
                    Sink(
                        FILE,
                        b"/tmp/web-stderr---web.log",
                        max_bytes=50 * 2**20,
                        backups=1,
                        is_generated=True,
                    ),
                ),
            ],
        ),
        ("stdout_syslog = true", [(Sink(STREAM, b"1"), SYSTEM_LOG), None]),
        ('stderr_syslog = true\nstderr_logfile = "NONE"', [None, (SYSTEM_LOG,)]),
        ('stdout_logfile = "none"', [(), None]),
        ('stdout_logfile = "/dev/stdout"', [None, None]),
        ('stdout_logfile = "/dev/fd/1"\nstdout_logfile_maxbytes = 0', [None, None]),
        ('stderr_logfile = "/dev/stdout"', [None, (Sink(STREAM, b"1"),)]),
        ('stdout_logfile = "syslog"', [(Sink(SYSLOG, b"unix:/dev/log"),), None]),
        (
            'stderr_logfile = "/tmp/e"\nstderr_logfile_maxbytes = "1MB"\n'
            "stderr_logfile_backups = 3",
            [None, (Sink(FILE, b"/tmp/e", RAW, max_bytes=2**20, backups=3),)],
        ),
        ("strip_ansi = true", [(Sink(STREAM, b"1"),), (Sink(STREAM, b"2"),)]),
    ],
)
def test_the_keys_of_supervisord(line: str, wanted: list[tuple[Sink, ...] | None]) -> None:
    assert sinks(WEB + line + "\n") == wanted


def test_generated_names_are_in_their_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process and each program has its own."""
    toml = 'stdout_logfile = "AUTO"\nnumprocs = 2\nprocess_name = "%(process_num)d"\n'
    two = "[init]\n{}" + WEB + toml + WEB.replace("web", "b") + toml
    names = [f"{number}-stdout---{name}.log" for name in ("b", "web") for number in (0, 1)]

    def targets(toml: str) -> list[bytes]:
        plans = [spec.stdout for spec in plan_of(toml).processes]
        return [plan.sinks[0].target for plan in plans if plan]

    assert targets(two.format("")) == [os.fsencode(f"/tmp/{name}") for name in names]
    init = f'childlogdir = "{tmp_path}/%(ENV_HOME)s"\n'
    home = ENVIRON["HOME"].strip("/")
    assert targets(two.format(init)) == [os.fsencode(tmp_path / home / name) for name in names]


def test_stderr_can_be_stdout() -> None:
    assert plan_of(WEB + "redirect_stderr = true\n").processes[0].redirect_stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('log = "prefixed"', "log: expected \"inherit\", \"prefix\" or \"json\", a table"),
        ("log = []", "log: expected one to 4 of them, not a list of 0"),
        ('log = { file = "/tmp/x", maxbytes = 3 }',
         "log.maxbytes: unknown key; did you mean max_bytes?"),
        ('log = { file = "/tmp/x", max_bytes = "5 M" }',
         "log.max_bytes: expected a number of bytes"),
        ('log = { syslog = "tcp:" }', 'log.syslog: "tcp:" is no address of a syslog server'),
        ('multiline = "("\nlog = "json"', "multiline: it is no regular expression"),
        ('stdout = "json"\nstdout_logfile = "/tmp/x"', 'stdout_logfile: "stdout" says already'),
        ("max_line = 1", "max_line: expected a whole number from 64 to 131072, not 1"),
    ],
)  # fmt: skip
def test_what_cannot_be(line: str, said: str) -> None:
    _, _, problem = problem_of(WEB + line + "\n").partition(": program.web.")
    assert problem.startswith(said)


def test_settings_that_have_no_meaning_are_warned_of() -> None:
    (warning,) = load_text(WEB + "json_merge = true\n").warnings
    assert (warning.key, warning.text) == (
        "program.web.json_merge",
        'it has no meaning where output is "inherit"',
    )


def test_what_is_said_of_stderr_has_no_meaning_where_it_is_stdout() -> None:
    (warning,) = load_text(WEB + 'redirect_stderr = true\nstderr_logfile = "/tmp/x"\n').warnings
    assert warning.key == "program.web.stderr_logfile"
    assert not load_text(WEB + 'redirect_stderr = true\nstderr_logfile = "NONE"\n').warnings


def test_a_directory_that_is_not_there_is_warned_of() -> None:
    load_text(WEB + 'stdout = { file = "/no/where/log" }\n')
    texts = [warning.text for warning in load("initpy.toml", ENVIRON).warnings]
    assert 'there is no directory "/no/where"' in texts


SLOW = "it may take too long to see that a line does not match"


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b",
        "(?:a|a)*b",
        "(?:a|ab?){30}c",
        "(.*)*",
        ".*.*.*x",
        "(?x) ( \\\\w+ \\\\s? )* :",
        "(?=(a*)*b)",
    ],
)
def test_a_pattern_that_may_take_too_long_is_refused(pattern: str) -> None:
    problem = problem_of(WEB + f'log = "json"\nmultiline = "{pattern}"\n')
    assert f"multiline: {SLOW}" in problem


@pytest.mark.parametrize(
    "pattern",
    [
        r"\\d{4}-\\d\\d-\\d\\d[ T]",
        "(?:ERROR|WARN|INFO)\\\\b",
        r"\\S+ \\S+ \\[",
        r"(?:\\d{1,3}\\.){3}\\d{1,3} ",
        r"\\S",
        "(?i)(?:err|warn)?:",
    ],
)
def test_usual_patterns_are_taken(pattern: str) -> None:
    plan_of(WEB + f'log = "json"\nmultiline = "{pattern}"\n')


def test_one_file_with_different_settings_is_warned_of() -> None:
    one = '[program.a]\ncommand = "a"\nlog = {{ file = "/tmp/x"{} }}\n'
    two = '[program.b]\ncommand = "b"\nnumprocs = 2\nprocess_name = "b%(process_num)d"\n'
    two += 'log = {{ file = "/tmp/y/../x"{} }}\n'
    plan_of(one.format("") + two.format(""))
    plan_of(one.format("") + two.format(", max_bytes = 1") + "enabled = false\n")
    warnings = load_text(one.format("") + two.format(", backups = 1, compress = true")).warnings
    assert {(it.key, it.text) for it in warnings} == {
        (
            "program.b.log.file",
            'the stdout of "a" goes to "/tmp/x" as well, which is rotated in one way only:'
            " backups = 10 there and 1 here, compress = false there and true here",
        )
    }
