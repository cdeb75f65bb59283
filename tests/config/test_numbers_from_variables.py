"""Numbers and flags that come from the environment: `numprocs = "${WORKERS:-4}"`."""

from __future__ import annotations

import resource

import pytest

from initpy import wire
from initpy.plan import ALWAYS, NEVER, UNEXPECTED, Backoff, RestartLimit
from tests.config.support import ENVIRON, WEB, plan_of, problem_of, web

ENV = ENVIRON | {"N": "7", "HALF": " 0.5 ", "MINUS": "-3", "ON": "On", "NO": "no", "WORD": "four"}


@pytest.mark.parametrize(
    ("option", "field", "value"),
    [
        ('startretries = "${N}"', "startretries", 7),
        ('startretries = "${NOPE:-4}"', "startretries", 4),
        ('startretries = "%(ENV_N)s0"', "startretries", 70),
        ('nice = "${MINUS}"', "nice", -3),
        ('startsecs = "${N}"', "startsecs", 7.0),
        ('startsecs = "${HALF}"', "startsecs", 0.5),
        ('startsecs = "${NOPE:-1e1}"', "startsecs", 10.0),
        ('drain = "${HALF}"\nstopwaitsecs = "${HALF}"', "stopsteps", ((15, 0.5),)),
        ('exitcodes = "${N}"', "exitcodes", (7,)),
        ('exitcodes = [0, "${N}"]', "exitcodes", (0, 7)),
        ('autostart = "${NO}"', "autostart", False),
        ('autorestart = "${NO}"', "autorestart", NEVER),
        ('autorestart = "${ON}"', "autorestart", ALWAYS),
        ('autorestart = "${NOPE:-unexpected}"', "autorestart", UNEXPECTED),
        ('no_new_privs = "${ON}"', "no_new_privs", True),
        ('no_new_privs = "${NOPE:-TRUE}"', "no_new_privs", True),
        ('critical = "${NOPE:-0}"', "critical", False),
        ('backoff = { initial = "${HALF}", factor = "${N}" }', "backoff",
         Backoff(0.5, 7.0, 60.0, 0.1)),
        ('restart_limit = { count = "${N}", window = "${N}" }', "restart_limit",
         RestartLimit(7, 7.0)),
        ('rlimits = { nofile = ["${N}", "${NOPE:-unlimited}"] }', "rlimits",
         ((resource.RLIMIT_NOFILE, 7, -1),)),
    ],
)  # fmt: skip
def test_a_string_that_expands_to_one(option: str, field: str, value: object) -> None:
    seen = getattr(web(option, ENV), field)
    assert seen == value
    assert type(seen) is type(value)
    assert wire.decode(wire.encode(seen)) == seen


def test_as_many_processes_as_the_environment_says() -> None:
    names = 'numprocs = "${N}"\nprocess_name = "w%(process_num)d-%(numprocs)d"'
    plan = plan_of(f'{WEB}{names}\n[group.g]\nprograms = "web"\npriority = "${{N}}"', ENV)
    assert [spec.name for spec in plan.processes] == [f"w{number}-7" for number in range(7)]
    assert {spec.group_priority for spec in plan.processes} == {7}


def test_the_shutdown_timeout_too() -> None:
    assert plan_of(f'[init]\nshutdown_timeout = "${{N}}"\n{WEB}', ENV).shutdown_timeout_s == 7.0


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ('startretries = "${WORD}"',
         'startretries: expected a whole number, 0 or more, not "four"'),
        ('startretries = "${HALF}"', 'startretries: expected a whole number, 0 or more, not "0.5"'),
        ('startretries = "${MINUS}"', "startretries: expected a whole number, 0 or more, not -3"),
        ('startretries = "${EMPTY}"', 'startretries: expected a whole number, 0 or more, not ""'),
        ('startretries = "${NOPE:-٣}"',
         'startretries: expected a whole number, 0 or more, not "٣"'),
        ('startretries = "${NOPE:-99999999999}"',
         "startretries: expected a whole number of at most 2147483647, not 99999999999"),
        ('nice = "${NOPE}"',
         "nice: the environment has no NOPE; for a default, write ${NOPE:-…}"),
        ('nice = "${N"', 'nice: expected a whole number from -20 to 19, not "${N"'),
        ('nice = "7"', 'nice: expected a whole number from -20 to 19, not "7"'),
        ('nice = "$N"', 'nice: expected a whole number from -20 to 19, not "$N"'),
        ('nice = "%(process_num)d"',
         "nice: there is no %(process_num)s here; to have it as it is, write %%(process_num)"),
        ('startsecs = "${WORD}"', 'startsecs: expected a number of seconds, 0 or more, not "four"'),
        ('startsecs = "${MINUS}"', "startsecs: expected a number of seconds, 0 or more, not -3"),
        ('startsecs = "${NOPE:-nan}"',
         "startsecs: expected a number of seconds, 0 or more, not nan"),
        ('startsecs = "${NOPE:-1e999}"',
         "startsecs: expected at most 2147483647 seconds, not 1e999"),
        ('startsecs = "${NOPE:-٣}"', 'startsecs: expected a number of seconds, 0 or more, not "٣"'),
        ('autostart = "${WORD}"', 'autostart: expected true or false, not "four"'),
        ('autostart = "${EMPTY}"', 'autostart: expected true or false, not ""'),
        ('autorestart = "${WORD}"',
         'autorestart: expected true, false or "unexpected", not "four"'),
        ('autorestart = "${NOPE}"',
         "autorestart: the environment has no NOPE; for a default, write ${NOPE:-…}"),
        ('autostart = "yes"', 'autostart: expected true or false, not "yes"'),
        ('autostart = "${NOPE}"',
         "autostart: the environment has no NOPE; for a default, write ${NOPE:-…}"),
        ('exitcodes = "${WORD}"', 'exitcodes: expected a whole number from 0 to 255, not "four"'),
        ('backoff = { jitter = "${N}" }', "backoff.jitter: expected a number from 0 to 1, not 7"),
        ('rlimits = { cpu = "${WORD}" }',
         'rlimits.cpu: expected a whole number, 0 or more, or "unlimited", not "four"'),
        ('rlimits = { cpu = "${NOPE}" }',
         "rlimits.cpu: the environment has no NOPE; for a default, write ${NOPE:-…}"),
    ],
)  # fmt: skip
def test_a_string_that_expands_to_none(option: str, said: str) -> None:
    assert problem_of(f"{WEB}{option}", ENV) == f"initpy.toml:3: program.web.{said}"


def test_a_number_sees_the_program_s_name_and_not_its_environment() -> None:
    (spec,) = plan_of('[program.7]\ncommand = "a"\nnice = "%(program_name)s"').processes
    assert spec.nice == 7
    assert problem_of(f'{WEB}environment = {{ X = "1" }}\nnice = "${{X}}"', ENV) == (
        "initpy.toml:4: program.web.nice: the environment has no X; for a default, write ${X:-…}"
    )


def test_the_priority_of_a_group_sees_the_group_s_name() -> None:
    group = '[group.7]\nprograms = "web"\npriority = "%(group_name)s"'
    assert plan_of(f"{WEB}{group}").processes[0].group_priority == 7
