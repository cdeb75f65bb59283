"""`enabled`, and what becomes of those who refer to a program that is not."""

from __future__ import annotations

import pytest

from initpy.plan import SignalRule
from tests.config.support import ENVIRON, WEB, load_text, plan_of, problem_of, problems_of

JOB = '[program.job]\ncommand = "job"\nenabled = '
OFF = JOB + "false\n"


def keys(text: str, environ: dict[str, str] = ENVIRON) -> list[str]:
    return [spec.key for spec in plan_of(text, environ).processes]


@pytest.mark.parametrize(
    "value",
    ["true", '"true"', '"Yes"', '"ON"', '"1"', '" true "', '"${NO:-yes}"', '"%(ENV_T)s"'],
)
def test_enabled(value: str) -> None:
    assert keys(WEB + JOB + value, ENVIRON | {"T": "True"}) == ["job", "web"]


@pytest.mark.parametrize(
    "value",
    ["false", '"false"', '"No"', '"OFF"', '"0"', '""', '"  "', '"${EMPTY}"', '"${NO:-}"'],
)
def test_not_enabled(value: str) -> None:
    assert keys(WEB + JOB + value) == ["web"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('"maybe"', 'expected true or false, or a string: "true", "yes", "on", "1", "false", '
         '"no", "off", "0" or "", not "maybe"'),
        ('"${SPACED}"', 'expected true or false, or a string: "true", "yes", "on", "1", "false", '
         '"no", "off", "0" or "", not "a b"'),
        ("1", 'expected true or false, or a string: "true", "yes", "on", "1", "false", "no", '
         '"off", "0" or "", not 1'),
        ("[]", 'expected true or false, or a string: "true", "yes", "on", "1", "false", "no", '
         '"off", "0" or "", not an array'),
        ('"${NOPE}"', "the environment has no NOPE; for a default, write ${NOPE:-…}"),
        ('"%(numprocs)d"',
         "there is no %(numprocs)s here; to have it as it is, write %%(numprocs)"),
    ],
)  # fmt: skip
def test_what_says_neither(value: str, said: str) -> None:
    assert problem_of(WEB + JOB + value) == f"initpy.toml:5: program.job.enabled: {said}"


def test_the_program_s_own_name_is_known() -> None:
    own_name = 'command = "x"\nenabled = "%(program_name)s"\n'
    assert keys(f"[program.on]\n{own_name}[program.off]\n{own_name}") == ["on"]


def test_its_mistakes_are_found_all_the_same() -> None:
    text = WEB + OFF + 'user = "${NOPE}"\nstartsec = 1\nafter = "wbe"\nenv_file = "gone.env"'
    assert problems_of(text) == [
        "initpy.toml:6: program.job.user: the environment has no NOPE; for a default, write "
        "${NOPE:-…}",
        "initpy.toml:7: program.job.startsec: unknown key; did you mean startsecs?",
        'initpy.toml:8: program.job.after: no program or group "wbe"; did you mean web?',
        "initpy.toml:9: program.job.env_file: cannot read gone.env: No such file or directory",
    ]


def test_nobody_waits_for_it() -> None:
    text = WEB + 'after = ["job", "db"]\n' + OFF + 'after = "db"\n[program.db]\ncommand = "db"'
    after = {spec.key: spec.after for spec in plan_of(text).processes}
    assert after == {"db": (), "web": ("db",)}


def test_its_group_does_without_it() -> None:
    group = '[group.g]\nprograms = ["job", "web"]\n'
    late = '[program.late]\ncommand = "x"\nafter = "g"\n'
    plan = plan_of(WEB + OFF + group + late)
    assert {spec.key: spec.after for spec in plan.processes} == {"g:web": (), "late": ("g:web",)}
    plan = plan_of(OFF + '[group.g]\nprograms = "job"\n' + late)
    assert {spec.key: spec.after for spec in plan.processes} == {"late": ()}


@pytest.mark.parametrize("target", ["job", "g", "g:job", "job=HUP"])
def test_a_signal_that_goes_to_it_alone_is_ignored_and_not_sent_to_everybody(target: str) -> None:
    text = f'{WEB}{OFF}[group.g]\nprograms = "job"\n[init.signals]\nUSR1 = "forward:{target}"'
    rules = {rule.signum: rule for rule in plan_of(text).signals}
    assert rules[10] == SignalRule(10, "ignore")
    rules = {rule.signum: rule for rule in plan_of(text.replace("false", "true")).signals}
    assert rules[10].keys == ("g:job",)


def test_a_signal_that_goes_to_its_group_goes_to_the_others() -> None:
    text = WEB + OFF + '[group.g]\nprograms = ["job", "web"]\n[init.signals]\nUSR1 = "forward:g"'
    rules = {rule.signum: rule for rule in plan_of(text).signals}
    assert rules[10] == SignalRule(10, "forward", ("g:web",), 10)


def test_a_signal_for_everybody_still_is() -> None:
    rules = {
        rule.signum: rule for rule in plan_of(WEB + OFF + '[init.signals]\n10="forward"').signals
    }
    assert rules[10] == SignalRule(10, "forward", (), 10)


def test_an_exit_code_from_it_is_nobody_s_and_that_is_told() -> None:
    loaded = load_text('[init]\nexit_code_from = "job"\n' + WEB + OFF)
    assert loaded.plan.exit_code_from == ()
    assert [str(warning) for warning in loaded.warnings] == [
        'initpy.toml:2: warning: init.exit_code_from: "job" is not enabled: the container\'s exit '
        "code will be the culprit's"
    ]


def test_one_at_least_has_to_be_enabled() -> None:
    assert problem_of(OFF) == "initpy.toml: no program in it is enabled: nothing to run"
    assert problem_of(OFF + OFF.replace("job", "b")) == (
        "initpy.toml: no program in it is enabled: nothing to run"
    )
