"""HUP reads the file again; only what has changed is started, stopped or started anew."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

from tests.pid1.toml import program
from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Init

    Start = Callable[..., Init]


def reload(init: Init, toml: str, *, times: int = 1) -> None:
    """Write the file anew, and ask for it."""
    init.config.write_text(toml)
    init.kill(signal.SIGHUP)
    init.wait_for_log("reloaded: |nothing is reloaded", times=times)


def pids(init: Init) -> dict[str, list[str]]:
    """All pids that each program has had."""
    found: dict[str, list[str]] = {}
    for name, pid in re.findall(r"spawned: '(\w+)' with pid (\d+)", init.log()):
        found.setdefault(name, []).append(pid)
    return found


KEPT = program("kept", startsecs=0)


def test_added_changed_removed(start_either: Start) -> None:
    init = start_either(
        KEPT + program("changed", "say=one", startsecs=0) + program("removed", startsecs=0)
    )
    init.wait_for_output("ready", times=3)
    reload(init, KEPT + program("changed", "say=two", startsecs=0) + program("added", startsecs=0))
    init.wait_for_output("added ready")
    init.wait_for_output("changed two")
    assert "reloaded: added added; changed changed; removed removed" in init.log()
    init.wait_for_log("stopped: removed")
    assert {name: len(had) for name, had in pids(init).items()} == {
        "kept": 1,
        "changed": 2,
        "removed": 1,
        "added": 1,
    }
    assert init.stop() == 0
    assert init.log().count("stopped: removed") == 1


def test_a_file_that_has_not_changed_changes_nothing(start_either: Start) -> None:
    init = start_either(KEPT)
    init.wait_for_output("kept ready")
    reload(init, KEPT)
    assert "reloaded: no program is to be started or stopped" in init.log()
    assert len(pids(init)["kept"]) == 1
    assert init.stop() == 0


def test_a_bad_file_changes_nothing_and_says_why(start_either: Start) -> None:
    init = start_either(KEPT)
    init.wait_for_output("kept ready")
    reload(init, KEPT + "stopwaitsecs = 'soon'\nautorestrt = 1\n")
    assert "program.kept.autorestrt: unknown key; did you mean autorestart?" in init.log()
    assert "nothing is reloaded, everything runs on as it is" in init.log()
    reload(init, KEPT, times=2)
    assert len(pids(init)["kept"]) == 1
    assert init.stop() == 0


def test_how_it_is_supervised_changes_without_a_new_start(start_either: Start) -> None:
    init = start_either(program("kept", "ignore=TERM", startsecs=0, stopwaitsecs=60))
    init.wait_for_output("kept ready")
    reload(
        init,
        "[init]\nexit_code_from = 'kept'\n"
        + program("kept", "ignore=TERM", startsecs=0, stopsignal="KILL"),
    )
    assert "reloaded: no program is to be started or stopped" in init.log()
    assert init.stop() == 0
    assert "did not stop in time" not in init.log()


def test_numprocs_up_and_down(start_either: Start) -> None:
    def processes(count: int) -> str:
        return program("x", process_name="x_%(process_num)d", numprocs=count, startsecs=0)

    init = start_either(processes(2))
    init.wait_for_output("ready", times=2)
    reload(init, processes(3))
    init.wait_for_output("ready", times=3)
    assert "reloaded: added x:x_2" in init.log()
    reload(init, processes(1), times=2)
    init.wait_for_log("stopped: x_[12]", times=2)
    assert {name: len(had) for name, had in pids(init).items()} == {"x_0": 1, "x_1": 1, "x_2": 1}
    assert init.stop() == 0


def test_a_program_that_failed_is_started_again_when_it_is_mended(start_either: Start) -> None:
    init = start_either(
        KEPT
        + program("base", "after=0:3", startretries=0, critical=False)
        + program("web", after="base", startsecs=0, critical=False)
    )
    init.wait_for_log("gave up: web")
    reload(
        init,
        KEPT
        + program("base", startsecs=0, critical=False)
        + program("web", after="base", startsecs=0, critical=False),
    )
    init.wait_for_output("web ready")
    assert "reloaded: changed base, web" in init.log()
    assert init.stop() == 0


def test_what_a_reload_starts_does_not_end_the_container(start_either: Start) -> None:
    init = start_either(KEPT)
    init.wait_for_output("kept ready")
    reload(init, KEPT + program("new", "after=0:3", startretries=0))
    init.wait_for_log("gave up: new")
    reload(init, KEPT, times=2)
    assert init.is_running()
    assert init.stop() == 0


def test_the_order_of_the_stop_is_that_of_the_new_file(start_either: Start) -> None:
    init = start_either(program("a", startsecs=0) + program("b", startsecs=0))
    init.wait_for_output("ready", times=2)
    reload(init, program("a", startsecs=0, after="b") + program("b", startsecs=0))
    assert init.stop() == 0
    log = init.log()
    assert log.index("stopped: a") < log.index("stopped: b")


def test_reloads_that_come_too_fast_end_with_the_last_file(start_either: Start) -> None:
    init = start_either(KEPT)
    init.wait_for_output("kept ready")
    for number in range(20):
        init.config.write_text(KEPT + program(f"n{number}", startsecs=0))
        init.kill(signal.SIGHUP)
    init.wait_for_output("n19 ready")
    wait_for(lambda: _settled(init))
    assert init.stop() == 0


def _settled(init: Init) -> bool:
    """All but the last of those that were started have been stopped."""
    started = {name for name in pids(init) if name != "kept"}
    stopped = set(re.findall(r"stopped: (n\d+)", init.log()))
    return started - stopped == {"n19"}


def test_a_stop_during_a_reload(start_either: Start) -> None:
    init = start_either(KEPT + program("slow", "shutdown-delay=0.5:0", startsecs=0))
    init.wait_for_output("ready", times=2)
    reload(init, KEPT)
    init.wait_for_output("slow got TERM")
    assert init.stop() == 0
    assert "slow done" in init.output()
