"""Groups, the order of starting, `after`, and what signals are forwarded to."""

from __future__ import annotations

import pytest

from initpy.plan import SignalRule
from tests.config.support import WEB, plan_of, problem_of, problems_of


def programs(*names: str, **options: str) -> str:
    """Programs with these names; an option by the name of one goes into it."""
    return "".join(
        [f'[program.{name}]\ncommand = "{name}"\n{options.get(name, "")}\n' for name in names]
    )


def keys(text: str) -> list[str]:
    return [spec.key for spec in plan_of(text).processes]


def after(text: str) -> dict[str, tuple[str, ...]]:
    return {spec.key: spec.after for spec in plan_of(text).processes}


# Groups.


def test_a_program_leaves_its_own_group() -> None:
    plan = plan_of(programs("a", "b", "c") + '[group.g]\nprograms = ["b", "a"]\npriority = 5')
    seen = [(it.key, it.name, it.group, it.program, it.group_priority) for it in plan.processes]
    assert seen == [
        ("g:b", "b", "g", "b", 5),
        ("g:a", "a", "g", "a", 5),
        ("c", "c", "c", "c", 999),
    ]


def test_a_group_may_have_the_name_of_a_program_in_it() -> None:
    text = programs("a", "b") + '[group.a]\nprograms = ["a", "b"]'
    assert keys(text) == ["a", "a:b"]


def test_group_name_expands_to_the_group() -> None:
    text = programs("a", a='directory = "/%(group_name)s/%(program_name)s"')
    (spec,) = plan_of(text + '[group.g]\nprograms = "a"').processes
    assert spec.directory == b"/g/a"


def test_groups_start_by_priority_then_name_and_programs_as_their_group_has_them() -> None:
    text = programs("z", "y", "b", "a", "m", z="priority = 1", m="priority = 1000", a="priority=1")
    assert keys(text + '[group.n]\nprograms = ["y", "b"]\npriority = 998\n') == [
        "a",
        "z",
        "n:y",
        "n:b",
        "m",
    ]


def test_processes_of_a_program_start_by_number_and_not_by_name() -> None:
    many = 'numprocs = 12\nprocess_name = "p%(process_num)d"'
    assert keys(programs("a", a=many)) == [f"a:p{number}" for number in range(12)]


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ("[group.g]", "7: group.g.programs: missing; expected a list of programs, or one"),
        ("[group.g]\nprograms = []",
         "8: group.g.programs: expected a list of programs, or one, not an empty list"),
        ("[group.g]\nprograms = 1",
         "8: group.g.programs: expected a list of programs, or one, not 1"),
        ('[group.g]\nprograms = ["a", 1]', "8: group.g.programs[1]: expected a name, not 1"),
        ('[group.g]\nprograms = ["a",\n"wbe"]',
         '9: group.g.programs[1]: no program "wbe"; did you mean web?'),
        ('[group.g]\nprograms = ["a", "a"]', '8: group.g.programs[1]: "a" is in it twice'),
        ('[group.g]\nprograms = "a"\n[group.h]\nprograms = ["web", "a"]',
         '10: group.h.programs[1]: "a" is already in group g, in initpy.toml:7'),
        ('[group.web]\nprograms = "a"',
         "7: group.web: a program that is not in it has the same name, in initpy.toml:4"),
        ('[group.g]\nprograms = "a"\npriority = "high"',
         '9: group.g.priority: expected a whole number, not "high"'),
        ('[group.g]\nprograms = "a"\nprogams = 1',
         "9: group.g.progams: unknown key; did you mean programs?"),
        ('[group.g]\nprograms = "${NOPE}"',
         "8: group.g.programs: the environment has no NOPE; for a default, write ${NOPE:-…}"),
    ],
)  # fmt: skip
def test_groups_that_cannot_be(group: str, said: str) -> None:
    assert problem_of(programs("a", "web") + group) == f"initpy.toml:{said}"


def test_two_programs_of_a_group_with_processes_of_one_name() -> None:
    text = programs("a", "b", a='process_name = "x"', b='process_name = "x"')
    assert keys(text) == ["a:x", "b:x"]
    assert problem_of(text + '[group.g]\nprograms = ["a", "b"]') == (
        'initpy.toml:6: program.b.process_name: two processes are called "g:x"; '
        "the other is in initpy.toml:3"
    )


# after


def test_after_has_the_processes_of_programs_and_groups() -> None:
    text = programs(
        "a", "b", "c", "d", c='after = ["g", "d"]', d='after = "a"',
        b='numprocs = 2\nprocess_name = "b%(process_num)d"',
    )  # fmt: skip
    assert after(text + '[group.g]\nprograms = ["a", "b"]') == {
        "c": ("g:a", "g:b0", "g:b1", "d"),
        "d": ("g:a",),
        "g:a": (),
        "g:b0": (),
        "g:b1": (),
    }


def test_every_process_of_a_program_comes_after() -> None:
    text = programs("a", "b", a='after = "b"\nnumprocs = 2\nprocess_name = "a%(process_num)d"')
    assert after(text) == {"a:a0": ("b",), "a:a1": ("b",), "b": ()}


def test_a_name_that_comes_twice_counts_once() -> None:
    text = programs("a", "b", b='after = ["a", "g", "a"]') + '[group.g]\nprograms = "a"'
    assert after(text)["b"] == ("g:a",)


def test_a_name_of_both_a_program_and_a_group_is_the_program() -> None:
    text = programs("a", "b", "c", b='after = "a"', c='after = "a"')
    assert after(text + '[group.a]\nprograms = ["a", "b"]') == {
        "a": (),
        "a:b": ("a",),
        "c": ("a",),
    }


def test_after_is_expanded() -> None:
    text = programs("a-db", "a", a='after = "%(program_name)s-${SUFFIX:-db}"')
    assert after(text)["a"] == ("a-db",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (programs("a", a='after = ["a"]'), "3: program.a.after[0]: a program cannot come after "
         "itself"),
        (programs("app", "b", b='after = "ap"'),
         '6: program.b.after: no program or group "ap"; did you mean app?'),
        (programs("a", "b", b='after = "grup"') + '[group.group]\nprograms = "a"',
         '6: program.b.after: no program or group "grup"; did you mean group?'),
        (programs("a", "b", b='after = "g"') + '[group.g]\nprograms = ["a", "b"]',
         '6: program.b.after: a program cannot come after its own group "g"'),
        (programs("a", "b", a="autostart = false", b='after = "a"'),
         '6: program.b.after: it would never start: "a" has autostart = false'),
        (programs("a", "b", a="autostart = false", b='after = "g"')
         + '[group.g]\nprograms = ["a"]',
         '6: program.b.after: it would never start: "a" has autostart = false'),
        (programs("a", "b", a='after = "b"', b='after = "a"'),
         "3: program.a.after: they wait for each other: a -> b -> a"),
        (programs("a", "b", "c", "d", a='after = "b"', b='after = ["d", "c"]', c='after = "b"'),
         "6: program.b.after: they wait for each other: b -> c -> b"),
        (programs("a", "b", "c", a='after = "g"', c='after = "a"')
         + '[group.g]\nprograms = ["b", "c"]',
         "3: program.a.after: they wait for each other: a -> c -> a"),
    ],
)  # fmt: skip
def test_an_order_that_cannot_be(text: str, said: str) -> None:
    assert problem_of(text) == f"initpy.toml:{said}"


def test_what_is_started_by_hand_may_come_after_what_is_started_by_hand() -> None:
    text = programs("a", "b", a="autostart = false", b='after = "a"\nautostart = false')
    assert after(text)["b"] == ("a",)


def test_every_circle_is_shown() -> None:
    text = programs(
        "a", "b", "c", "d", a='after = "b"', b='after = "a"', c='after = "d"', d='after = "c"'
    )
    assert problems_of(text) == [
        "initpy.toml:3: program.a.after: they wait for each other: a -> b -> a",
        "initpy.toml:9: program.c.after: they wait for each other: c -> d -> c",
    ]


def test_a_thousand_circles_are_not_all_shown() -> None:
    names = [f"p{number}" for number in range(60)]
    everyone = {name: f"after = {[it for it in names if it != name]}" for name in names}
    assert len(problems_of(programs(*names, **everyone))) == 10


def test_a_chain_longer_than_python_s_stack() -> None:
    names = [f"p{number}" for number in range(3000)]
    before = dict(zip(names[1:], [f'after = "{name}"' for name in names], strict=False))
    assert after(programs(*names, **before))["p2999"] == ("p2998",)


# init.signals

DEFAULTS = {
    1: SignalRule(1, "reload"),
    2: SignalRule(2, "shutdown"),
    3: SignalRule(3, "shutdown"),
    12: SignalRule(12, "reopen"),
    15: SignalRule(15, "shutdown"),
    28: SignalRule(28, "ignore"),
    59: SignalRule(59, "upgrade"),
}

FARM = (
    programs("a", "b", "c", b='numprocs = 2\nprocess_name = "x_%(process_num)02d"')
    + programs("d", d='numprocs = 2\nprocess_name = "x_%(process_num)02d"\nnumprocs_start = 1')
    + '[group.g]\nprograms = ["a", "b"]\n'
)


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ('HUP = "shutdown"', SignalRule(1, "shutdown")),
        ('USR1 = "upgrade"', SignalRule(10, "upgrade")),
        ('59 = "ignore"', SignalRule(59, "ignore")),
        ('TERM = "ignore"', SignalRule(15, "ignore")),
        ('USR1 = "reopen"', SignalRule(10, "reopen")),
        ('SIGUSR1 = "forward"', SignalRule(10, "forward", (), 10)),
        ('usr1 = "forward"', SignalRule(10, "forward", (), 10)),
        ('sigUSR1 = "ignore"', SignalRule(10, "ignore")),
        ('10 = "ignore"', SignalRule(10, "ignore")),
        ('"RTMIN+3" = "ignore"', SignalRule(37, "ignore")),
        ('"rtmax-1" = "ignore"', SignalRule(63, "ignore")),
        ('RTMIN = "ignore"', SignalRule(34, "ignore")),
        ('64 = "ignore"', SignalRule(64, "ignore")),
        ('TERM = "forward=QUIT"', SignalRule(15, "forward", (), 3)),
        ('TERM = "forward=9"', SignalRule(15, "forward", (), 9)),
        ('USR1 = "forward:c"', SignalRule(10, "forward", ("c",), 10)),
        ('USR1 = "forward:c=sighup"', SignalRule(10, "forward", ("c",), 1)),
        ('USR1 = "forward:c=RTMIN+1"', SignalRule(10, "forward", ("c",), 35)),
        ('USR1 = "forward:b"', SignalRule(10, "forward", ("g:x_00", "g:x_01"), 10)),
        ('USR1 = "forward:g"', SignalRule(10, "forward", ("g:a", "g:x_00", "g:x_01"), 10)),
        ('USR1 = "forward:x_00"', SignalRule(10, "forward", ("g:x_00",), 10)),
        ('USR1 = "forward:g:x_01"', SignalRule(10, "forward", ("g:x_01",), 10)),
        ('USR1 = "forward:d:x_01=HUP"', SignalRule(10, "forward", ("d:x_01",), 1)),
    ],
)
def test_the_action_of_a_signal(line: str, rule: SignalRule) -> None:
    rules = {**DEFAULTS, rule.signum: rule}
    plan = plan_of(f"{FARM}[init.signals]\n{line}")
    assert plan.signals == tuple(rules[signum] for signum in sorted(rules))


EXPECTED_ACTION = (
    'expected "shutdown", "reload", "reopen", "upgrade", "ignore", "forward", "forward:NAME", '
    '"forward:NAME=SIGNAL" or "forward=SIGNAL", not '
)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('HUP = "restart"', f'HUP: {EXPECTED_ACTION}"restart"'),
        ('HUP = "reopens"', f'HUP: {EXPECTED_ACTION}"reopens"'),
        ('HUP = ""', f'HUP: {EXPECTED_ACTION}""'),
        ('HUP = "forwards"', f'HUP: {EXPECTED_ACTION}"forwards"'),
        ("HUP = 1", f"HUP: {EXPECTED_ACTION}1"),
        ('HUP = "forward:"', 'HUP: expected a name after ":", not "forward:"'),
        ('HUP = "forward:=HUP"', 'HUP: expected a name after ":", not "forward:=HUP"'),
        ('HUP = "forward="', 'HUP: expected a signal after "=", not "" in "forward="'),
        ('HUP = "forward:c=FOO"',
         'HUP: expected a signal after "=", not "FOO" in "forward:c=FOO"'),
        ('HUP = "forward:nope"', 'HUP: no program, group or process "nope"'),
        ('HUP = "forward:x_03"',
         'HUP: no program, group or process "x_03"; did you mean x_02?'),
        ('HUP = "forward:x_01"', 'HUP: expected one of g:x_01, d:x_01, not "x_01"'),
        ('KILL = "ignore"', "KILL: cannot be changed: the kernel never delivers it to initpy"),
        ('9 = "ignore"', "9: cannot be changed: the kernel never delivers it to initpy"),
        ('SIGSTOP = "ignore"',
         "SIGSTOP: cannot be changed: the kernel never delivers it to initpy"),
        ('CHLD = "ignore"',
         "CHLD: cannot be changed: initpy needs it to learn of its children's deaths"),
        ('SEGV = "ignore"', "SEGV: cannot be changed: it means that initpy itself has crashed"),
        ('ILL = "forward"', "ILL: cannot be changed: it means that initpy itself has crashed"),
        ('FPE = "forward"', "FPE: cannot be changed: it means that initpy itself has crashed"),
        ('BUS = "forward"', "BUS: cannot be changed: it means that initpy itself has crashed"),
        ('33 = "ignore"', "33: cannot be changed: the C library keeps it for itself"),
        ('FOO = "ignore"', "FOO: no such signal"),
        ('USR3 = "ignore"', "USR3: no such signal; did you mean USR2?"),
        ('0 = "ignore"', "0: no such signal"),
        ('65 = "ignore"', "65: no such signal"),
        ('99999 = "ignore"', "99999: no such signal"),
        ('"" = "ignore"', '"": no such signal'),
        ('"RTMIN+31" = "ignore"', '"RTMIN+31": no such signal; did you mean RTMIN?'),
        ('"RTMIN-1" = "ignore"', "RTMIN-1: no such signal; did you mean RTMIN?"),
        ('HUP = "ignore"\nSIGHUP = "ignore"', "SIGHUP: the same signal as HUP"),
    ],
)  # fmt: skip
def test_actions_that_cannot_be(line: str, said: str) -> None:
    problem = problem_of(f"{FARM}[init.signals]\n{line}")
    at = FARM.count("\n") + 2 + line.count("\n")
    assert problem == f"initpy.toml:{at}: init.signals.{said}"


def test_signals_that_are_no_table() -> None:
    assert problem_of('[init]\nsignals = "ignore"\n' + WEB) == (
        'initpy.toml:2: init.signals: expected a table of signals and their actions, not "ignore"'
    )


def test_a_target_is_not_called_unknown_when_its_name_is_only_wrong() -> None:
    text = programs("a", a='process_name = "${NOPE}"') + '[init.signals]\nHUP = "forward:x"'
    assert problem_of(text).startswith("initpy.toml:3: program.a.process_name: ")
