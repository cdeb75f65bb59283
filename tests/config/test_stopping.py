"""How a program is stopped: steps, a command, a drain, and whether they fit a shutdown."""

from __future__ import annotations

import pytest

from initpy.config import ConfigError, budget
from initpy.core import supervisor
from tests.config.support import WEB, load_text, plan_of, problem_of, problems_of, web


def warnings_of(text: str) -> list[str]:
    return [str(warning) for warning in load_text(text).warnings]


# stopsignal


@pytest.mark.parametrize(
    ("stopsignal", "steps"),
    [
        ('["TERM 4", "INT 1.5", "KILL"]', ((15, 4.0), (2, 1.5))),
        ('["TERM 4", "INT 1.5"]', ((15, 4.0), (2, 1.5))),
        ('["TERM", "INT 1"]', ((15, 3.0), (2, 1.0))),
        ('["sigquit 2"]', ((3, 2.0),)),
        ('["RTMIN+3 2", "9"]', ((37, 2.0),)),
        ('["15 2", 2, 9]', ((15, 2.0), (2, 3.0))),
        ('["TERM 0"]', ((15, 0.0),)),
        ('["  TERM\\t 2 "]', ((15, 2.0),)),
        ('["KILL"]', ((9, 3.0),)),
        ('"KILL"', ((9, 3.0),)),
        ('["TERM 1", "TERM 1"]', ((15, 1.0), (15, 1.0))),
    ],
)
def test_the_steps_of_a_stop(stopsignal: str, steps: tuple[tuple[int, float], ...]) -> None:
    loaded = load_text(WEB + f"stopwaitsecs = 3\nstopsignal = {stopsignal}")
    assert loaded.plan.processes[0].stopsteps == steps
    assert all(type(span_s) is float for _, span_s in loaded.plan.processes[0].stopsteps)


STEP = 'expected a signal and its seconds, such as "TERM 10"'
ONLY_LAST = "expected KILL as the last step only, for nothing survives it"


@pytest.mark.parametrize(
    ("stopsignal", "said"),
    [
        ("[]", ': expected a signal, or a list of steps such as ["TERM 10", "INT 5", "KILL"], '
         "not an empty list"),
        ('["TERM x"]', f'[0]: {STEP}, not "TERM x"'),
        ('["TERM 1", "TERM 1 2"]', f'[1]: {STEP}, not "TERM 1 2"'),
        ('["TERMM 1"]', f'[0]: {STEP}, not "TERMM 1"'),
        ('["TERM -1"]', f'[0]: {STEP}, not "TERM -1"'),
        ('["TERM ٣"]', f'[0]: {STEP}, not "TERM ٣"'),
        ('["TERM 1e3"]', f'[0]: {STEP}, not "TERM 1e3"'),
        ('["TERM 10s"]', f'[0]: {STEP}, not "TERM 10s"'),
        ('[""]', f'[0]: {STEP}, not ""'),
        ("[65]", f"[0]: {STEP}, not 65"),
        ("[0x" + "f" * 5000 + "]", f"[0]: {STEP}, not so large a number"),
        ("[true]", f"[0]: {STEP}, not true"),
        ('[["TERM", 1]]', f"[0]: {STEP}, not an array"),
        ('["TERM 1.2.3"]', '[0]: expected a number of seconds, 0 or more, not "1.2.3"'),
        ('["TERM 2147483648"]', "[0]: expected at most 2147483647 seconds, not 2147483648"),
        ('["KILL", "TERM 1"]', f"[0]: {ONLY_LAST}"),
        ('["KILL 1", "TERM 1"]', f"[0]: {ONLY_LAST}"),
        ('["TERM 1", 9, "KILL"]', f"[1]: {ONLY_LAST}"),
        ('["TERM 1", "KILL 5"]',
         '[1]: expected "KILL" without seconds, for nothing comes after it'),
        ('["SIGKILL 0"]', '[0]: expected "KILL" without seconds, for nothing comes after it'),
    ],
)  # fmt: skip
def test_steps_that_cannot_be(stopsignal: str, said: str) -> None:
    problem = problem_of(WEB + f"stopsignal = {stopsignal}")
    assert problem == f"initpy.toml:3: program.web.stopsignal{said}"


def test_every_bad_step_is_told() -> None:
    assert len(problems_of(WEB + 'stopsignal = ["a", "TERM 1", "b", "KILL 1"]')) == 3


def test_stopwaitsecs_beside_steps_that_all_have_their_own_seconds() -> None:
    said = (
        "initpy.toml:3: warning: program.web.stopwaitsecs: it has no meaning where every step of "
        "stopsignal has its own seconds"
    )
    steps = 'stopwaitsecs = 3\nstopsignal = ["TERM 1", "INT 1", "KILL"]\n'
    assert warnings_of(WEB + steps) == [said]
    assert warnings_of(WEB + steps + 'stop_command = "x"') == []
    assert warnings_of(WEB + steps.replace("INT 1", "INT")) == []
    assert warnings_of(WEB + 'stopwaitsecs = 3\nstopsignal = ["KILL"]') == []


# stop_command and drain


def test_a_stop_command_is_read_as_the_command_is() -> None:
    spec = web(
        "stop_command = \"nginx -s %(program_name)s '${SPACED}' ${A}\"\n"
        'environment = { PATH = "/x:/y", A = "b" }'
    )
    assert spec.stop_command == (b"nginx", b"-s", b"web", b"a b", b"b")
    assert spec.stop_paths == (b"/x/nginx", b"/y/nginx")
    spec = web('stop_command = ["/bin/stop", ""]')
    assert (spec.stop_command, spec.stop_paths) == ((b"/bin/stop", b""), (b"/bin/stop",))


def test_a_stop_command_has_stopwaitsecs() -> None:
    assert web('stop_command = "x"').stop_command_s == 10.0
    assert web('stop_command = "x"\nstopwaitsecs = 2.5').stop_command_s == 2.5


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("3", ": expected a list of strings, or one string that is split as a shell splits it, "
         "not 3"),
        ("[]", ": command is empty"),
        ('""', ": command is empty"),
        ('["${EMPTY}"]', ": command is empty"),
        ('["a", 1]', "[1]: expected a string, not 1"),
        ('"a \'b"', ': can\'t parse command "a \'b": No closing quotation'),
        ('"a ${NOPE}"', ": the environment has no NOPE; for a default, write ${NOPE:-…}"),
    ],
)  # fmt: skip
def test_stop_commands_that_cannot_be(value: str, said: str) -> None:
    problem = problem_of(WEB + f"stop_command = {value}")
    assert problem == f"initpy.toml:3: program.web.stop_command{said}"


def test_stop_commands_count_for_the_size_of_the_plan() -> None:
    text = (
        '[program.a]\ncommand = "a"\nstop_command = ["a", "${BIG}"]\nnumprocs = 1000\n'
        'process_name = "%(process_num)d"'
    )
    assert problem_of(text, {"BIG": "x" * 100_000}) == (
        "initpy.toml: all processes together take more than 33554432 bytes"
    )


@pytest.mark.parametrize(("drain", "drain_s"), [("0", 0.0), ("0.5", 0.5), ("2", 2.0)])
def test_the_drain(drain: str, drain_s: float) -> None:
    assert web(f"drain = {drain}\nstopwaitsecs = 1").drain_s == drain_s


def test_a_drain_that_cannot_be() -> None:
    assert problem_of(WEB + "drain = -1") == (
        "initpy.toml:3: program.web.drain: expected a number of seconds, 0 or more, not -1"
    )


# Whether all of that fits shutdown_timeout.


def test_the_shares_are_those_of_the_core() -> None:
    assert budget.LATER_TIER_S == supervisor.LATER_TIER_S
    assert budget.REST_S == supervisor.REST_S


def programs(*options: str, timeout: float = 9) -> str:
    """Programs p0, p1, … with these options, each after the one before, six lines for each."""
    text = f"[init]\nshutdown_timeout = {timeout}\n"
    for number, its in enumerate(options):
        after = f'after = "p{number - 1}"\n' if number else "after = []\n"
        lines = (its + "\n" * 3).split("\n")[:3]
        text += f'[program.p{number}]\ncommand = "x"\n{after}' + "\n".join(lines) + "\n"
    return text


@pytest.mark.parametrize(
    "text",
    [
        programs("", "", ""),
        programs("", "", timeout=0.1),
        programs('stopsignal = "QUIT"', 'stop_command = "x"', "stopasgroup = true"),
        programs('stopsignal = ["TERM", "INT"]'),
        programs("drain = 0", "stopwaitsecs = 0", 'stopsignal = ["TERM 0"]', timeout=0.1),
        programs("stopwaitsecs = 8.5"),
        programs("stopwaitsecs = 4\nstop_command = 'x'"),
        programs('stopsignal = ["TERM 5", "INT 2", "KILL"]\ndrain = 1.5'),
        programs("stopwaitsecs = 2.5", "stopwaitsecs = 6"),
        programs("stopwaitsecs = 8.5", ""),  # what p1 may take is a default, and no promise
        programs("stopwaitsecs = 100", timeout=100.5),
    ],
)
def test_what_fits_and_what_is_a_default_is_no_cause_to_warn(text: str) -> None:
    plan_of(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (programs("stopwaitsecs = 30"),
         ["6: warning: program.p0.stopwaitsecs: it may take 30 s to stop, and a shutdown may "
          "leave it 8.5 s; set less, or set shutdown_timeout to 30.5 s and the engine's own limit "
          "above that"]),
        (programs("stopwaitsecs = 10"),  # the default, but now somebody counts on it
         ["6: warning: program.p0.stopwaitsecs: it may take 10 s to stop, and a shutdown may "
          "leave it 8.5 s; set less, or set shutdown_timeout to 10.5 s and the engine's own limit "
          "above that"]),
        (programs('stopsignal = ["TERM 8", "INT 0.75"]'),
         ["6: warning: program.p0.stopsignal: it may take 8.75 s to stop, and a shutdown may "
          "leave it 8.5 s; set less, or set shutdown_timeout to 9.25 s and the engine's own limit "
          "above that"]),
        (programs('stop_command = "x"\nstopwaitsecs = 5'),
         ["7: warning: program.p0.stopwaitsecs: it may take 10 s to stop (stop_command 5 s, "
          "stopsignal 5 s), and a shutdown may leave it 8.5 s, cutting all of these alike; set "
          "less, or set shutdown_timeout to 10.5 s and the engine's own limit above that"]),
        (programs("drain = 5"),  # the drain is cut, because the default shares the time with it
         ["6: warning: program.p0.drain: it may take 15 s to stop (drain 5 s, stopsignal 10 s), "
          "and a shutdown may leave it 8.5 s, cutting all of these alike; set less, or set "
          "shutdown_timeout to 15.5 s and the engine's own limit above that"]),
        (programs('drain = 1\nstop_command = "x"\nstopsignal = ["TERM 4", "INT"]'),
         ["6: warning: program.p0.drain: it may take 25 s to stop (drain 1 s, stop_command 10 s, "
          "stopsignal 14 s), and a shutdown may leave it 8.5 s, cutting all of these alike; set "
          "less, or set shutdown_timeout to 25.5 s and the engine's own limit above that"]),
        # A second for each tier that stops later.
        (programs("", "", "stopwaitsecs = 7"),
         ["18: warning: program.p2.stopwaitsecs: it may take 7 s to stop, and a shutdown may "
          "leave it 6.5 s; set less, or set shutdown_timeout to 9.5 s and the engine's own limit "
          "above that"]),
        # What those before it are promised; and less than is left to wish for is not promised.
        (programs("stopwaitsecs = 3", "stopwaitsecs = 6"),
         ["6: warning: program.p0.stopwaitsecs: it may take 3 s to stop, and a shutdown may "
          "leave it 2.5 s; set less, or set shutdown_timeout to 9.5 s and the engine's own limit "
          "above that"]),
        (programs("stopwaitsecs = 3", "stopwaitsecs = 60"),
         ["6: warning: program.p0.stopwaitsecs: it may take 3 s to stop, and a shutdown may "
          "leave it 1 s; set less, or set shutdown_timeout to 63.5 s and the engine's own limit "
          "above that",
          "12: warning: program.p1.stopwaitsecs: it may take 60 s to stop, and a shutdown may "
          "leave it 7.5 s; set less, or set shutdown_timeout to 61.5 s and the engine's own limit "
          "above that"]),
        (programs("stopwaitsecs = 3", 'stopwaitsecs = 3\nstop_command = "x"'),
         ["6: warning: program.p0.stopwaitsecs: it may take 3 s to stop, and a shutdown may "
          "leave it 2.5 s; set less, or set shutdown_timeout to 9.5 s and the engine's own limit "
          "above that"]),
        # Too many tiers for a second each: equal shares.
        (programs("", "", "stopwaitsecs = 1", timeout=2),
         ["18: warning: program.p2.stopwaitsecs: it may take 1 s to stop, and a shutdown may "
          "leave it 0.5 s; set less, or set shutdown_timeout to 3.5 s and the engine's own limit "
          "above that"]),
    ],
)  # fmt: skip
def test_times_that_a_shutdown_cannot_keep_are_told(text: str, said: list[str]) -> None:
    assert warnings_of(text) == [f"initpy.toml:{line}" for line in said]


@pytest.mark.parametrize(
    "text",
    [
        programs("stopwaitsecs = 3", "stopwaitsecs = 60"),
        programs("drain = 5", "stopwaitsecs = 4", 'stop_command = "x"\nstopwaitsecs = 5'),
        programs("", "", "stopwaitsecs = 1", timeout=2),
    ],
)
def test_with_the_timeout_that_the_warnings_name_all_fits(text: str) -> None:
    wanted = [
        float(line.partition("set shutdown_timeout to ")[2].partition(" s ")[0])
        for line in warnings_of(text)
    ]
    _, _, rest = text.partition("\n[program")
    plan_of(f"[init]\nshutdown_timeout = {max(wanted)}\n[program{rest}")
    assert warnings_of(f"[init]\nshutdown_timeout = {max(wanted) - 0.1}\n[program{rest}") != []


def test_programs_of_one_tier_stop_together() -> None:
    plan_of('[program.a]\ncommand = "a"\nstopwaitsecs = 8\n[program.b]\ncommand = "b"\ndrain = 1\n'
            "stopwaitsecs = 7")  # fmt: skip


def test_one_warning_for_all_processes_of_a_program() -> None:
    many = 'numprocs = 9\nprocess_name = "%(process_num)d"\nstopwaitsecs = 20'
    assert len(warnings_of(WEB + many)) == 1


def test_who_is_not_enabled_takes_no_time_and_has_no_tier() -> None:
    text = programs("enabled = false\nstopwaitsecs = 60", "stopwaitsecs = 8.5")
    plan_of(text)
    assert len(warnings_of(text.replace("false", "true"))) == 2


def test_beside_problems_nothing_is_said_of_times() -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(programs("stopwaitsecs = 30", "startsecs = -1"))
    assert caught.value.warnings == ()
    circle = programs("stopwaitsecs = 30", "").replace("after = []", 'after = "p1"')
    assert problems_of(circle) == [
        "initpy.toml:5: program.p0.after: they wait for each other: p0 -> p1 -> p0"
    ]
