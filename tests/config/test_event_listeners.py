"""[eventlistener.NAME]: a program, and what it is told of."""

from __future__ import annotations

import pytest

from initpy.core.values import replace
from initpy.eventplan import ListenerPlan
from tests.config.support import WEB, plan_of, problem_of, problems_of

MEM = '[eventlistener.mem]\ncommand = "/bin/sh"\nevents = ["TICK_60"]\n'


def listener(options: str) -> ListenerPlan:
    (found,) = plan_of(WEB + MEM.replace('events = ["TICK_60"]\n', "") + options).listeners
    return found


def test_it_is_a_process_before_all_others_and_not_critical() -> None:
    mem, web = plan_of(WEB + MEM).processes
    assert (mem.key, mem.group_priority, mem.priority) == ("mem", -1, 999)
    assert (mem.is_listener, mem.critical) == (True, False)
    assert (web.is_listener, web.critical) == (False, True)
    (same,) = plan_of(WEB).processes
    assert web == same


def test_it_is_otherwise_what_a_program_is() -> None:
    mem, _ = plan_of(WEB + MEM).processes
    (program,) = plan_of(MEM.replace("eventlistener", "program").replace("events", "#")).processes
    own = {"is_listener": True, "critical": False, "group_priority": -1, "drain_s": 0.25}
    assert mem == replace(program, **own)


def test_what_it_is_told_of() -> None:
    assert plan_of(WEB + MEM).listeners == (ListenerPlan("mem", ("mem",), ("TICK_60",)),)
    assert listener('events = "event"').events == ("EVENT",)
    assert listener('events = ["TICK", "tick", "Process_State"]').events == (
        "TICK",
        "PROCESS_STATE",
    )
    assert listener('events = "${NO:-TICK}_5"').events == ("TICK_5",)
    found = listener('events = "EVENT"\nbuffer_size = 7\nlen_in = "bytes"')
    assert (found.buffer_size, found.in_bytes) == (7, True)


def test_a_pool() -> None:
    options = 'numprocs = 2\nprocess_name = "%(program_name)s_%(process_num)d"\npriority = 5\n'
    plan = plan_of(WEB + MEM + options)
    assert [it.keys for it in plan.listeners] == [("mem:mem_0", "mem:mem_1")]
    assert [(it.group_priority, it.priority) for it in plan.processes[:2]] == [(5, 5), (5, 5)]


def test_one_that_is_not_enabled_is_not_there() -> None:
    plan = plan_of(WEB + MEM + "enabled = false")
    assert plan.listeners == ()
    assert [it.key for it in plan.processes] == ["web"]


def test_its_stderr_is_that_of_any_program_and_its_stdout_is_not() -> None:
    plan = plan_of('[init]\nlog = "prefix"\n' + WEB + MEM)
    mem, web = plan.processes
    assert mem.stdout is None
    assert mem.stderr is not None
    assert web.stdout is not None
    assert plan_of(WEB + MEM + 'stderr = "json"').processes[0].stderr is not None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ('stdout = "json"', "stdout: the stdout of an event listener is how it speaks with initpy"),
        ("redirect_stderr = true", "redirect_stderr: the stdout of an event listener is how"),
        ('log = "json"', "log: the stdout of an event listener is how it speaks with initpy; for"),
        ('result_handler = "a:b"', "result_handler: initpy runs nobody's code in itself"),
        ('type = "oneshot"', "type: an event listener waits for events as long as it runs"),
        ("buffer_size = 0", "buffer_size: expected a whole number from 1 to 100000, not 0"),
        ('len_in = "words"', 'len_in: expected "characters" or "bytes", not "words"'),
        ("event = 1", "event: unknown key; did you mean events?"),
    ],
)
def test_what_it_cannot_have(options: str, said: str) -> None:
    assert problem_of(WEB + MEM + options).startswith(f"initpy.toml:6: eventlistener.mem.{said}")


def test_what_it_can_only_be_told_of() -> None:
    text = WEB + MEM.replace("TICK_60", "TICK_6")
    key = "eventlistener.mem.events[0]"
    said = f'initpy.toml:5: {key}: expected a type of event, not "TICK_6"; did you mean TICK_60?'
    assert problem_of(text) == said
    for events in ("[]", "1", '""', "[1]"):
        (line,) = problems_of(WEB + MEM.replace('["TICK_60"]', events))
        assert "eventlistener.mem.events" in line
    without = problem_of(WEB + MEM.replace("events", "# events"))
    assert "events: missing; expected a list of types of events, or one" in without


def test_it_is_a_group_of_its_own() -> None:
    assert problem_of(WEB + MEM + '[group.g]\nprograms = ["web", "mem"]').endswith(
        '"mem" is an event listener: that is a group of its own'
    )
    assert "already in initpy.toml:1" in problem_of(WEB + MEM.replace("mem", "web"))


def test_listeners_alone_are_nothing_to_run() -> None:
    assert problem_of(MEM) == "initpy.toml: no [program.NAME] in it: nothing to run"
    assert "no program in it is enabled" in problem_of(WEB + "enabled = false\n" + MEM)


def test_output_is_told_where_there_is_a_listener() -> None:
    told = WEB + 'stdout_events_enabled = true\nstderr_capture_maxbytes = "1KB"\n'
    (web,) = plan_of(told).processes
    assert (web.stdout, web.stderr) == (None, None)
    _, web = plan_of(told + MEM).processes
    assert web.stdout is not None
    assert web.stderr is not None
    assert (web.stdout.told_as, web.stdout.tells_all, web.stdout.capture_bytes) == ("web", True, 0)
    assert (web.stderr.told_as, web.stderr.tells_all, web.stderr.capture_bytes) == (
        "web",
        False,
        1024,
    )
    assert [sink.kind for sink in web.stdout.sinks] == ["stream"]


def test_output_that_goes_nowhere_has_to_be_read_to_be_told() -> None:
    text = WEB + 'stdout_events_enabled = true\nstdout_logfile = "NONE"\n'
    _, web = plan_of(text + MEM).processes
    assert web.stdout is not None
    assert [sink.target for sink in web.stdout.sinks] == [b"/dev/null"]


def test_without_a_socket_there_is_a_control_plane_all_the_same() -> None:
    plan = plan_of("[control]\nsocket = false\n" + WEB + MEM)
    assert plan.control is not None
    assert plan.control.has_socket is False
    assert plan_of("[control]\nsocket = false\n" + WEB).control is None
