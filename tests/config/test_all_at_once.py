"""One file with everything wrong that can be: all of it is told, in order, in one go."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from initpy.config import ConfigError, Loaded, load
from initpy.config.settings import SECTIONS
from tests.config.support import ENVIRON, problems_of

MAIN = """\
include = ["conf.d/*.toml", "more/*.toml", "gone.toml"]
colour = "red"

[init]
shutdown_timeout = 0
exit_code_from = "wbe"
shutdown_timout = 3

[init.signals]
USR1 = "forward:nginz"
SIGUSR1 = "ignore"
KILL = "ignore"
HUP = "restart"
WINCH = "forward:web=FOO"

[program.web]
command = "nginx -g 'daemon off;"
startsecs = "fast"
autorestrt = true
exitcodes = [
  0,  # fine
  256,
]
environment = { A = true, C = "${NOPE}", D = ["s3cret"] }
after = [
  "ap",
  "everything",
]

[program.app]
command = ["uwsgi", 3, "${PORT}"]
numprocs = 2
after = "worker"

[program.worker]
command = []
after = "app"
autostart = false

[program."my web"]
command = "x"

[program.bare]

[programs.x]
[supervisord]

[group.everything]
programs = ["web", "app", "nobody"]

[group.worker]
programs = ["web"]
"""

INCLUDED = """\
include = "x"
[program.web]
command = "again"
[program.z]
command = '''%(here)s/z %(nothing)s'''
"""

EXPECTED = """\
initpy.toml:2: colour: unknown key
initpy.toml:5: init.shutdown_timeout: expected a number of seconds, above 0, not 0
initpy.toml:6: init.exit_code_from: no program "wbe"; did you mean web?
initpy.toml:7: init.shutdown_timout: unknown key; did you mean shutdown_timeout?
initpy.toml:10: init.signals.USR1: no program, group or process "nginz"
initpy.toml:11: init.signals.SIGUSR1: the same signal as USR1
initpy.toml:12: init.signals.KILL: cannot be changed: the kernel never delivers it to initpy
initpy.toml:13: init.signals.HUP: expected "shutdown", "reload", "reopen", "upgrade", "ignore", \
"forward", "forward:NAME", "forward:NAME=SIGNAL" or "forward=SIGNAL", not "restart"
initpy.toml:14: init.signals.WINCH: expected a signal after "=", not "FOO" in "forward:web=FOO"
initpy.toml:17: program.web.command: can't parse command "nginx -g 'daemon off;": No closing \
quotation
initpy.toml:18: program.web.startsecs: expected a number of seconds, 0 or more, not "fast"
initpy.toml:19: program.web.autorestrt: unknown key; did you mean autorestart?
initpy.toml:22: program.web.exitcodes[1]: expected a whole number from 0 to 255, not 256
initpy.toml:24: program.web.environment.A: expected a string or a number; quote it: "true" or \
"false"
initpy.toml:24: program.web.environment.D: expected a string or a number, not an array
initpy.toml:24: program.web.environment.C: the environment has no NOPE; for a default, write \
${NOPE:-…}
initpy.toml:26: program.web.after[0]: no program or group "ap"; did you mean app?
initpy.toml:27: program.web.after[1]: a program cannot come after its own group "everything"
initpy.toml:30: program.app.process_name: expected "%(process_num)" in it, as numprocs is 2
initpy.toml:31: program.app.command[1]: expected a string, not 3
initpy.toml:33: program.app.after: it would never start: "worker" has autostart = false
initpy.toml:33: program.app.after: they wait for each other: app -> worker -> app
initpy.toml:36: program.worker.command: command is empty
initpy.toml:40: program."my web": a name cannot have white space, control characters, ":", "/" or \
"*" in it
initpy.toml:43: program.bare.command: missing; expected a list of strings, or one string that is \
split as a shell splits it
initpy.toml:45: programs: unknown section; did you mean program?
initpy.toml:46: supervisord: unknown section
initpy.toml:49: group.everything.programs[2]: no program "nobody"
initpy.toml:51: group.worker: a program that is not in it has the same name, in initpy.toml:35
initpy.toml:52: group.worker.programs[0]: "web" is already in group everything, in initpy.toml:48
conf.d/a.toml:1: include: an included file cannot include others
conf.d/a.toml:2: program.web: already in initpy.toml:16
conf.d/a.toml:5: program.z.command: there is no %(nothing)s here; to have it as it is, write \
%%(nothing)
conf.d/b.toml:1: not UTF-8: byte 0xff at offset 5
gone.toml: cannot read it: No such file or directory
"""


def test_every_problem_in_one_go() -> None:
    Path("conf.d").mkdir()
    Path("conf.d/a.toml").write_text(INCLUDED)
    Path("conf.d/b.toml").write_bytes(b'a = "\xff"')
    assert "\n".join(problems_of(MAIN)) + "\n" == EXPECTED


# Whatever is in a file: a plan, or a ConfigError.


def load_bytes(raw: bytes) -> Loaded | None:
    Path("initpy.toml").write_bytes(raw)
    try:
        return load("initpy.toml", ENVIRON)
    except ConfigError as exc:
        problems = [str(problem) for problem in exc.problems]
    assert problems
    assert [problem for problem in problems if not problem.isprintable()] == []
    return None


ANYTHING = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

WORDS = [
    *[setting.key for section in SECTIONS for setting in section.settings],
    *[section.title for section in SECTIONS],
    *["[", "]", "=", "{", "}", '"', "'", '"""', "\n", ".", ",", "a", "1", "true", "[[", "]]"],
    *["${", "%(here)s", "program.a", '"forward:a=HUP"', "0o22", "nan", "-1", "#", " ", "\0"],
]


@given(st.binary(max_size=200))
@example(b"\0")
@ANYTHING
def test_random_bytes(raw: bytes) -> None:
    load_bytes(raw)


@given(st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join))
@ANYTHING
def test_words_of_ours_in_disorder(text: str) -> None:
    load_bytes(text.encode())


SCALARS = """
    1 -1 0o22 1.5 nan inf true 1979-05-27 1e999 999999999999999999999999999999
    "" "a" "${A}" "${NOPE}" "%(process_num)02d" "web" "HUP" "forward:web" "unexpected" "a'b"
    "/" "x/*" "\\u0000" "\\ufffd" "a\\tb" "oneshot" "KILL" "TERM\\t3" "unlimited" "${A:-3}"
""".split()  # noqa: SIM905

VALUES = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda it: f"[{', '.join(it)}]")
        | st.dictionaries(
            st.sampled_from(
                ["HUP", "A", '""', "command", "9", "initial", "max", "count", "window", "nofile"]
            ),
            inner,
            max_size=2,
        ).map(lambda it: "{" + ", ".join([f"{key} = {value}" for key, value in it.items()]) + "}")
    ),
    max_leaves=5,
)


@st.composite
def odd_files(draw: st.DrawFn) -> str:
    """Right sections and keys, any values."""
    text = ""
    for section in SECTIONS:
        for name in draw(st.lists(st.sampled_from(["web", "app", "db"]), unique=True, max_size=3)):
            if name != "web" and "NAME" not in section.title:
                continue
            text += f"[{section.title.replace('NAME', name)}]\n"
            keys = [setting.key for setting in section.settings]
            for key in draw(st.lists(st.sampled_from(keys), unique=True, max_size=8)):
                text += f"{key} = {draw(VALUES)}\n"
    return text


@given(odd_files())
@ANYTHING
def test_any_values_under_our_keys(text: str) -> None:
    load_bytes(text.encode())


@pytest.mark.parametrize("size", [10, 1000])
def test_a_file_of_nothing_but_mistakes(size: int) -> None:
    text = "".join([f"[program.p{number}]\nx = 1\n" for number in range(size)])
    assert len(problems_of(text)) == 2 * size
