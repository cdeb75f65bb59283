"""[init] environment, commands that are expanded first, and options that only a variable knows."""

from __future__ import annotations

import pytest

from tests.config.support import ENVIRON, plan_of, problem_of, problems_of, web

WEB = '[program.web]\ncommand = "/bin/sh"\n'


def environment(text: str, **files: str) -> dict[bytes, bytes]:
    (spec,) = plan_of(text, ENVIRON, **files).processes
    return dict(spec.environment)


def test_every_program_has_the_variables_of_init() -> None:
    text = f'[init]\nenvironment = {{ A = "1", B = "${{HOME}}" }}\n{WEB}'
    assert environment(text) == {b"A": b"1", b"B": b"/root"}
    assert environment(text + "clean_environment = true\n")[b"B"] == b"/root"
    assert environment(text + 'environment = { A = "2" }\n') == {b"A": b"2", b"B": b"/root"}


def test_they_come_before_those_of_a_file_and_a_path_counts() -> None:
    plan = plan_of('[init]\nenvironment = { PATH = "/x", A = "1" }\n[program.web]\ncommand = "a"\n')
    assert plan.processes[0].paths == (b"/x/a",)


def test_what_they_say_is_known_in_every_setting_of_a_program() -> None:
    init = '[init]\nenvironment = { N = "2", HOME = "/srv" }\n'
    options = (
        'command = "/bin/sh ${HOME} %(ENV_N)s"\nnumprocs = "${N}"\n'
        'process_name = "%(process_num)d"\ndirectory = "${HOME}"\n'
        'environment = { X = "${N}" }\n'
    )
    first, second = plan_of(f"[program.web]\n{options}{init}").processes
    assert (first.argv, first.directory) == ((b"/bin/sh", b"/srv", b"2"), b"/srv")
    assert second.name == "1"
    assert dict(second.environment)[b"X"] == b"2"


def test_also_where_an_included_file_has_them() -> None:
    text = f'include = "a.toml"\n{WEB}directory = "${{D}}"\n'
    assert environment(text, a='[init]\nenvironment = { D = "/d" }\n') == {b"D": b"/d"}


def test_they_cannot_refer_to_each_other() -> None:
    text = f'[init]\nenvironment = {{ A = "1", B = "${{A}}" }}\n{WEB}'
    assert problem_of(text).startswith(
        "initpy.toml:2: init.environment.B: the environment has no A"
    )


FIRST = "expand_first = true\n"


@pytest.mark.parametrize(
    ("command", "early", "late"),
    [
        ("a ${SPACED} b", ["a", "a b", "b"], ["a", "a", "b", "b"]),
        ("a '${SPACED}'", ["a", "a b"], ["a", "a b"]),
        ("a ${EMPTY} b", ["a", "", "b"], ["a", "b"]),
        ("a ${EMPTY:-x y}", None, ["a", "x", "y"]),
        ("${SPACED}", ["a b"], ["a", "b"]),
    ],
)
def test_a_command_that_is_expanded_first(
    command: str, early: list[str] | None, late: list[str]
) -> None:
    line = f'command = "{command}"\n'
    assert [word.decode() for word in web(line + FIRST).argv] == late
    if early is not None:
        assert [word.decode() for word in web(line).argv] == early


def test_the_stop_command_is_expanded_first_as_well() -> None:
    assert web(f'stop_command = "/bin/sh ${{SPACED}}"\n{FIRST}').stop_command[1:] == (b"a", b"b")


def test_a_list_has_its_words_already() -> None:
    assert web(f'command = ["/bin/sh", "${{SPACED}}"]\n{FIRST}').argv[1:] == (b"a b",)


def test_what_becomes_of_a_command_that_is_expanded_first() -> None:
    head = f"[program.web]\n{FIRST}command = "
    assert problems_of(f'{head}"${{EMPTY}}"') == [
        "initpy.toml:3: program.web.command: command is empty, once it is expanded"
    ]
    assert problems_of(f'{head}"a ${{QUOTE}}"', ENVIRON | {"QUOTE": "s'ecret"}) == [
        "initpy.toml:3: program.web.command: can't parse command, once it is expanded: No closing "
        "quotation"
    ]
    assert problems_of(f'{head}"a ${{NOPE}}"') == [
        "initpy.toml:3: program.web.command: the environment has no NOPE; for a default, write "
        "${NOPE:-…}"
    ]


def test_a_umask_and_a_signal_out_of_variables() -> None:
    environ = ENVIRON | {"UMASK": "027", "SIG": "quit"}
    assert web('umask = "${UMASK}"', environ).umask == 0o027
    assert web('stopsignal = "%(ENV_SIG)s"', environ).stopsteps == ((3, 10.0),)
    assert problem_of(f'{WEB}umask = "${{SPACED}}"') == (
        'initpy.toml:3: program.web.umask: expected an octal number, "022" or 0o022, not "a b"'
    )
    assert problem_of(f'{WEB}stopsignal = "${{NOPE}}"').startswith(
        "initpy.toml:3: program.web.stopsignal: the environment has no NOPE"
    )
