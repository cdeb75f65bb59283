"""Listeners that hear of what programs write."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.control.events.support import seen, toml, wait_until_seen
from tests.pid1.toml import command
from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.control.events.support import Seen
    from tests.support import Init

BEGIN, END = "<!--XSUPERVISOR:BEGIN-->", "<!--XSUPERVISOR:END-->"
QUICK = {"startsecs": 0}


def talker(script: str, **options: object) -> str:
    """A program that runs a script when the listener is there, and then sleeps."""
    argv = ["sh", "-c", f"{script}; exec sleep 1000"]
    return command("talker", argv, critical=False, after=["l"], startsecs=0, **options)


def told(found: list[Seen], name: str) -> list[tuple[str, str]]:
    """The first line of each payload but for the pid, and the rest."""
    assert not any(" pid:0" in it.payload for it in found)
    parts = [it.payload.partition("\n") for it in found if it.name == name]
    return [(" ".join(w for w in head.split() if w[:4] != "pid:"), rest) for head, _, rest in parts]


def test_all_that_a_program_writes(start_either: Callable[..., Init], tmp_path: Path) -> None:
    file = tmp_path / "seen"
    text = talker(
        "echo one; sleep 1; printf 'two…'; echo three >&2",
        stdout_events_enabled=True,
        stderr_events_enabled=True,
    )
    env = {"PYTHONUTF8": "1"}
    init = start_either(text + toml("l", file, ["PROCESS_LOG"], **QUICK), env=env)
    wait_until_seen(file, lambda it: it.name == "PROCESS_LOG_STDERR")
    wait_until_seen(file, lambda it: "two" in it.payload)
    head = "processname:talker groupname:talker channel:stdout"
    assert told(seen(file), "PROCESS_LOG_STDOUT") == [(head, "one\n"), (head, "two…")]
    assert told(seen(file), "PROCESS_LOG_STDERR") == [(head.replace("out", "err"), "three\n")]
    init.wait_for_output("^one$")
    init.wait_for_log("^three$")
    assert init.stop() == 0


def test_events_in_the_output(start_init: Callable[..., Init], tmp_path: Path) -> None:
    """They are told, and are no output; also where that goes nowhere."""
    file = tmp_path / "seen"
    script = f"echo 'a {BEGIN}first{END} b'; sleep 0.1; printf '{BEGIN}sec'; sleep 1; "
    script += f"printf 'ond{END}'; echo c"
    text = talker(script, stdout_capture_maxbytes=100, redirect_stderr=True)
    init = start_init(text + toml("l", file, ["PROCESS_COMMUNICATION"], **QUICK))
    wait_until_seen(file, lambda it: "second" in it.payload)
    head = "processname:talker groupname:talker"
    assert told(seen(file), "PROCESS_COMMUNICATION_STDOUT") == [(head, "first"), (head, "second")]
    init.wait_for_output("^a  b$")
    init.wait_for_output("c$")
    assert "first" not in init.output()
    assert "success: l " in init.log()
    assert init.log().count("success: l ") == 1  # the helper knew of output from its birth on
    assert init.stop() == 0


def test_output_that_goes_nowhere_is_told_all_the_same(
    start_init: Callable[..., Init], tmp_path: Path
) -> None:
    file = tmp_path / "seen"
    text = talker("echo one", stdout_events_enabled=True, stdout_logfile="NONE")
    init = start_init(text + toml("l", file, ["PROCESS_LOG"], **QUICK))
    wait_until_seen(file, lambda it: it.payload.endswith("\none\n"))
    assert init.output() == ""
    assert init.stop() == 0


def test_output_is_not_captured_where_nobody_can_be_told(start_init: Callable[..., Init]) -> None:
    text = command("talker", ["sleep", "1000"], stdout_events_enabled=True)
    init = start_init(text)
    init.wait_for_log("success: talker")
    assert init.stop() == 0
    assert "initpy-logs" not in init.log()


def test_a_reload_that_has_output_told(start_init: Callable[..., Init], tmp_path: Path) -> None:
    """The helper is replaced, for it knows nothing of it; the listener is started anew."""
    file = tmp_path / "seen"
    listener = toml("l", file, ["PROCESS_LOG"], **QUICK)
    init = start_init(talker("echo one") + listener)
    init.wait_for_output("^one$")
    init.config.write_text(talker("echo two", stdout_events_enabled=True) + listener)
    init.kill(signal.SIGHUP)
    wait_until_seen(file, lambda it: it.payload.endswith("\ntwo\n"))
    init.wait_for_log("success: l ", times=2)
    assert init.stop() == 0


def test_a_flood_is_told_as_far_as_it_is_taken_and_holds_nobody_up(
    start_init: Callable[..., Init], tmp_path: Path
) -> None:
    file = tmp_path / "seen"
    script = "head -c 5000000 /dev/zero | tr '\\\\0' 'x'; echo; echo done"
    text = talker(
        script,
        stdout_events_enabled=True,
        stdout_logfile=str(tmp_path / "out"),
        stdout_logfile_maxbytes=0,
    )
    init = start_init(text + toml("l", file, ["PROCESS_LOG"], "hang", **QUICK))
    wait_for(
        lambda: (tmp_path / "out").exists() and (tmp_path / "out").stat().st_size > 5_000_000,
        within_s=60,
    )
    wait_until_seen(file, lambda _: True)
    assert init.stop() == 0
