"""Real listeners of a real initpy."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.control.events.support import (
    call,
    helper_of,
    seen,
    state,
    toml,
    wait_until_seen,
)
from tests.pid1.toml import command, program
from tests.support import children, fds_of, is_alive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import Init

WEB = program("web", critical=False)
NO_TICKS = ["PROCESS_STATE", "PROCESS_GROUP", "SUPERVISOR_STATE_CHANGE", "REMOTE_COMMUNICATION"]
QUICK = {"startsecs": 0}


def remote(text: str) -> Callable[..., bool]:
    return lambda it: it.payload == f"type:t\n{text}"


def post(init: Init, *texts: str) -> None:
    for text in texts:
        assert call(init, "supervisor.sendRemoteCommEvent", "t", text) is True


def test_it_is_told_of_what_it_asked_for(start_either: Callable[..., Init], tmp_path: Path) -> None:
    file = tmp_path / "seen"
    init = start_either(WEB + toml("l", file, ["PROCESS_STATE_RUNNING", "TICK"], **QUICK))
    (running,) = wait_until_seen(file, state("web", "RUNNING"))
    assert re.fullmatch(
        r"processname:web groupname:web from_state:STARTING pid:\d+", running.payload
    )
    (tick,) = wait_until_seen(file, lambda it: it.name == "TICK_5")[:1]
    assert int(tick.payload.removeprefix("when:")) % 5 == 0
    assert init.stop() == 0
    assert {it.name for it in seen(file)} <= {"PROCESS_STATE_RUNNING", "TICK_5", "TICK_60"}


def test_nothing_of_this_is_there_without_listeners(start_init: Callable[..., Init]) -> None:
    init = start_init(program("web"))
    init.wait_for_log("success: web")
    assert [pid for pid in children(init.pid) if is_alive(pid)] == children(init.pid)
    assert len(children(init.pid)) == 1
    assert not any("initpy-events" in it for it in fds_of(init.pid))


def test_a_refused_event_comes_again_first(start_init: Callable[..., Init], tmp_path: Path) -> None:
    file = tmp_path / "seen"
    listener = toml("l", file, ["REMOTE_COMMUNICATION"], "FAIL", "FAIL", **QUICK)
    init = start_init(WEB + listener)
    init.wait_for_log("success: l")
    post(init, "a", "b")
    wait_until_seen(file, remote("b"))
    assert [(it.serial, it.payload[-1]) for it in seen(file)] == [
        (0, "a"), (0, "a"), (0, "a"), (1, "b"),
    ]  # fmt: skip
    assert re.search(r"WARN l: event 0 was rejected: 'FAIL'", init.log())


def test_an_event_outlives_its_listener(start_init: Callable[..., Init], tmp_path: Path) -> None:
    file = tmp_path / "seen"
    init = start_init(WEB + toml("l", file, ["REMOTE_COMMUNICATION"], "die", **QUICK))
    init.wait_for_log("success: l")
    post(init, "a")
    first, second = wait_until_seen(file, remote("a"), times=2)
    assert (first.serial, first.header["poolserial"]) == (second.serial, "0")
    assert first.pid != second.pid


def test_who_talks_nonsense_is_told_nothing_until_it_is_restarted(
    start_init: Callable[..., Init], tmp_path: Path
) -> None:
    file = tmp_path / "seen"
    init = start_init(WEB + toml("l", file, ["REMOTE_COMMUNICATION"], "chat", **QUICK))
    init.wait_for_log("success: l")
    post(init, "a")
    (first,) = wait_until_seen(file, remote("a"))
    init.wait_for_log(r"WARN l: bad result line: 'I am busy'; it has entered the UNKNOWN state")
    post(init, "b")
    assert [it.payload for it in seen(file)] == ["type:t\na"]
    os.kill(_inside(init, first.pid), signal.SIGKILL)
    wait_until_seen(file, remote("b"))
    assert [it.payload[-1] for it in seen(file)] == ["a", "a", "b"]


@pytest.mark.parametrize(("number", "pipe"), [(0, "stdin"), (1, "stdout")])
def test_who_closes_a_pipe_is_told_nothing_until_it_is_restarted(
    start_init: Callable[..., Init], tmp_path: Path, number: int, pipe: str
) -> None:
    """Which is said once; not of one that has died."""
    file = tmp_path / "seen"
    listener = toml("l", file, ["REMOTE_COMMUNICATION"], f"close{number}", **QUICK)
    init = start_init(WEB + listener)
    init.wait_for_log("success: l")
    post(init, "a")
    (first,) = wait_until_seen(file, remote("a"))
    said = f"WARN l has closed its {pipe}: it gets no events until it is restarted"
    init.wait_for_log(said)
    post(init, "b")
    assert [it.payload[-1] for it in seen(file)] == ["a"]
    os.kill(_inside(init, first.pid), signal.SIGKILL)
    wait_until_seen(file, remote("b"))
    assert [it.payload[-1] for it in seen(file)] == ["a", "a", "b"]
    assert init.log().count("has closed its") == 1


def test_what_the_helper_has_to_say_is_in_the_form_of_the_log(
    start_init: Callable[..., Init], tmp_path: Path
) -> None:
    file = tmp_path / "seen"
    listener = toml("l", file, ["REMOTE_COMMUNICATION"], "chat", **QUICK)
    init = start_init('[init]\nlog_format = "json"\n' + WEB + listener)
    init.wait_for_log("success: l")
    post(init, "a")
    init.wait_for_log("has entered the UNKNOWN state")
    lines = [json.loads(line) for line in init.log().splitlines()]
    (said,) = [line for line in lines if "UNKNOWN" in line["message"]]
    assert (said["level"], said["program"]) == ("WARN", "initpy")
    assert not said["time"].endswith(("000000000Z", ",000Z"))


def test_a_pool_shares_its_events(start_init: Callable[..., Init], tmp_path: Path) -> None:
    """Two listeners of which each keeps its first event for ever: the third event waits."""
    name = '"%(program_name)s_%(process_num)d"'
    listener = toml("l", tmp_path / "seen", ["REMOTE_COMMUNICATION"], "hang", "hang", **QUICK)
    listener = listener.replace('seen"', 'seen%(process_num)d"')
    init = start_init(WEB + listener + f"numprocs = 2\nprocess_name = {name}\n")
    init.wait_for_log("success: l_[01]", times=2)
    post(init, "a", "b")
    wait_until_seen(tmp_path / "seen0", lambda _: True)
    wait_until_seen(tmp_path / "seen1", lambda _: True)
    both = [it for number in (0, 1) for it in seen(tmp_path / f"seen{number}")]
    assert sorted(it.payload[-1] for it in both) == ["a", "b"]
    assert {it.header["pool"] for it in both} == {"l"}
    post(init, "c")
    os.kill(_inside(init, both[0].pid), signal.SIGKILL)
    wait_until_seen(tmp_path / "seen0", remote("a"), times=2)


def test_len_counts_characters_or_bytes(start_init: Callable[..., Init], tmp_path: Path) -> None:
    """The script reads text: of a length in bytes, it reads on into the next event."""
    characters, in_bytes = tmp_path / "characters", tmp_path / "bytes"
    init = start_init(
        WEB
        + toml("c", characters, ["REMOTE_COMMUNICATION"], **QUICK)
        + toml("b", in_bytes, ["REMOTE_COMMUNICATION"], "hang", **QUICK, len_in='"bytes"'),
        env={"PYTHONUTF8": "1"},
    )
    init.wait_for_log("success: [bc] ", times=2)
    post(init, "\u00e9", "x")
    one, _ = wait_until_seen(characters, lambda _: True, times=2)
    assert (one.header["len"], one.payload) == ("8", "type:t\n\u00e9")
    assert seen(in_bytes) == []  # it waits for a ninth character


# ---------------------------------------------------------------- the helper's end


def test_when_the_helper_is_killed_the_listeners_are_started_anew(
    start_either: Callable[..., Init], tmp_path: Path
) -> None:
    file = tmp_path / "seen"
    listener = toml("l", file, ["REMOTE_COMMUNICATION", "PROCESS_STATE_RUNNING"], **QUICK)
    init = start_either(WEB + listener)
    (web,) = wait_until_seen(file, state("web", "RUNNING"))
    post(init, "a")
    (before,) = wait_until_seen(file, remote("a"))
    os.kill(helper_of(init), signal.SIGKILL)
    init.wait_for_log("the control helper died")
    init.wait_for_log("success: l ", times=2)
    post(init, "b")
    (after,) = wait_until_seen(file, remote("b"))
    assert after.pid != before.pid
    assert after.serial > before.serial
    assert int(after.header["poolserial"]) > int(before.header["poolserial"])
    assert len(wait_until_seen(file, state("web", "RUNNING"))) == 1  # the program runs on
    assert web.payload in [it.payload for it in seen(file)]
    assert init.stop() == 0


def test_what_the_helper_had_not_delivered_is_counted(
    start_init: Callable[..., Init], tmp_path: Path
) -> None:
    file = tmp_path / "seen"
    init = start_init(WEB + toml("l", file, ["REMOTE_COMMUNICATION"], "hang", **QUICK))
    init.wait_for_log("success: l")
    post(init, "a", "b", "c")
    wait_until_seen(file, remote("a"))
    os.kill(helper_of(init), signal.SIGKILL)
    init.wait_for_log(
        "WARN pool l: 2 events were lost with the control helper; 1 were with a listener"
    )
    init.wait_for_log("success: l ", times=2)
    post(init, "d")
    (found,) = wait_until_seen(file, remote("d"))
    assert (found.serial, found.header["poolserial"]) == (3, "3")


@pytest.mark.parametrize("times", [3])
def test_a_helper_that_is_killed_again_and_again_is_replaced(
    start_init: Callable[..., Init], tmp_path: Path, times: int
) -> None:
    file = tmp_path / "seen"
    init = start_init(WEB + toml("l", file, ["REMOTE_COMMUNICATION"], **QUICK))
    for number in range(times):
        init.wait_for_log("success: l ", times=number + 1)
        post(init, str(number))
        wait_until_seen(file, remote(str(number)))
        os.kill(helper_of(init), signal.SIGKILL)
    init.wait_for_log("success: l ", times=times + 1)
    assert init.stop() == 0


def test_listeners_go_on_when_pid1_executes_itself_anew(
    start_init: Callable[..., Init], tmp_path: Path
) -> None:
    """An upgrade to the same program: another helper, and listeners that are started anew."""
    file = tmp_path / "seen"
    init = start_init(WEB + toml("l", file, NO_TICKS, **QUICK))
    wait_until_seen(file, state("web", "RUNNING"))
    init.kill(59)
    init.wait_for_log("took over 2 processes")
    init.wait_for_log("success: l ", times=2)
    post(init, "a")
    wait_until_seen(file, remote("a"))
    names = [it.name for it in seen(file)]
    assert names.count("SUPERVISOR_STATE_CHANGE_RUNNING") == 1
    assert init.stop() == 0


# ---------------------------------------------------------------- reloads


def test_a_reload_brings_listeners_and_takes_them_away(
    start_init: Callable[..., Init], tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    init = start_init(WEB)
    init.wait_for_log("success: web")
    for text, file in ((toml("one", one, NO_TICKS), one), (toml("two", two, NO_TICKS), two)):
        init.config.write_text(WEB + text)
        init.kill(signal.SIGHUP)
        wait_until_seen(file, state(file.name, "RUNNING"))
    wait_until_seen(two, lambda it: it.payload == "groupname:one\n")
    names = [(it.name, it.payload) for it in seen(two) if it.name.startswith("PROCESS_GROUP")]
    assert names == [
        ("PROCESS_GROUP_ADDED", "groupname:two\n"),
        ("PROCESS_GROUP_REMOVED", "groupname:one\n"),
    ]
    assert [it.name for it in seen(one)][:2] == ["PROCESS_GROUP_ADDED", "PROCESS_STATE_STARTING"]
    init.config.write_text(WEB)
    init.kill(signal.SIGHUP)
    init.wait_for_log("stopped: two")
    assert init.stop() == 0


def test_a_reload_that_changes_what_a_listener_is_told_of_leaves_it_running(
    start_init: Callable[..., Init], tmp_path: Path
) -> None:
    file = tmp_path / "seen"
    init = start_init(WEB + toml("l", file, ["PROCESS_STATE_RUNNING"], **QUICK))
    (before,) = wait_until_seen(file, state("web", "RUNNING"))
    init.config.write_text(WEB + toml("l", file, ["REMOTE_COMMUNICATION"], **QUICK))
    init.kill(signal.SIGHUP)
    init.wait_for_log("reloaded: no program is to be started or stopped")
    post(init, "a")
    (after,) = wait_until_seen(file, remote("a"))
    assert after.pid == before.pid


# ---------------------------------------------------------------- the end


def test_a_container_ends_when_listeners_are_all_that_is_left(
    start_init: Callable[..., Init], tmp_path: Path
) -> None:
    file = tmp_path / "seen"
    job = command("job", ["sh", "-c", "exit 0"], startsecs=0, autorestart=False)
    init = start_init(job + toml("l", file, NO_TICKS, **QUICK))
    assert init.wait() == 0
    assert "none ended unexpectedly" in init.log()


def test_it_hears_of_everything_up_to_the_end(
    start_either: Callable[..., Init], tmp_path: Path
) -> None:
    file = tmp_path / "seen"
    init = start_either(WEB + toml("l", file, NO_TICKS, "deaf", stopwaitsecs=3, **QUICK))
    wait_until_seen(file, state("web", "RUNNING"))
    init.kill(signal.SIGTERM)
    wait_until_seen(file, state("web", "STOPPED"))
    init.wait()
    names = [it.name.removeprefix("PROCESS_STATE_") for it in seen(file)]
    assert names[-4:-1] == ["SUPERVISOR_STATE_CHANGE_STOPPING", "STOPPING", "STOPPED"]


SCRIPT = """
while echo READY && read -r header; do
    payload=$(head -c "${header##*len:}")
    echo "$(id -u) is told: $payload" >&2
    printf 'RESULT 2\\nOK'
done
"""


def test_a_listener_of_another_user_that_is_no_python(start_init: Callable[..., Init]) -> None:
    script = command("l", ["sh", "-c", SCRIPT.replace("$", "$$")], startsecs=0, user="nobody")
    listener = script.replace("[program.", "[eventlistener.") + 'events = "PROCESS_STATE"\n'
    init = start_init(WEB + listener)
    init.wait_for_log(r"^65534 is told: processname:web groupname:web from_state:STARTING pid:\d+$")
    assert init.stop() == 0


def _inside(init: Init, pid: int) -> int:
    """The pid, as seen from here, of a child that knows itself as `pid`."""
    for child in children(init.pid):
        with open(f"/proc/{child}/status") as status:
            numbers = next(it for it in status if it.startswith("NSpid:")).split()[1:]
        if int(numbers[-1]) == pid:
            return child
    raise AssertionError(f"{pid} is not there")
