"""When a program is started again, and what does not need to be: with real programs."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.pid1.toml import command, program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import Init

    Start = Callable[..., Init]


def spawns(init: Init, name: str) -> int:
    return init.log().count(f"spawned: '{name}'")


def test_a_backoff_of_its_own(start_either: Start) -> None:
    """Ten tries within a second, for which supervisord's delays would take 45 seconds."""
    backoff = {"initial": 0.01, "factor": 1.5, "max": 0.1, "jitter": 0.5}
    web = program("web", "after=0:3", startsecs=5, startretries=9, backoff=backoff)
    init = start_either(web)
    assert init.wait() == 3
    assert spawns(init, "web") == 10


def test_who_dies_too_often_after_startsecs_is_given_up(start_either: Start) -> None:
    limit = {"count": 3, "window": 600}
    init = start_either(program("web", "after=0.05:3", startsecs=0, restart_limit=limit))
    assert init.wait() == 3
    assert spawns(init, "web") == 4
    assert (
        "gave up: web entered FATAL state, it was to be restarted more than 3 times in 600 seconds"
        in init.log()
    )


ONCE = "import os, sys; os.write(1, b'done\\n'); sys.exit(int(open(sys.argv[1]).read()))"


def oneshot(path: Path, **options: object) -> str:
    argv = [sys.executable, "-I", "-S", "-c", ONCE, str(path)]
    return command("migrate", argv, type="oneshot", **options)


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """What the oneshot exits with."""
    path = tmp_path / "code"
    path.write_text("0")
    return path


def test_what_comes_after_a_oneshot_starts_when_that_has_finished(
    start_either: Start, code: Path
) -> None:
    init = start_either(oneshot(code) + program("web", startsecs=0, after="migrate"))
    init.wait_for_output("web ready")
    assert init.output().startswith("done\n")
    log = init.log()
    assert log.index("exited: migrate (exit status 0; expected)") < log.index("spawned: 'web'")
    assert "migrate entered RUNNING" not in log
    assert init.stop() == 0


def test_a_oneshot_that_fails_is_tried_again(start_either: Start, code: Path) -> None:
    code.write_text("4")
    once = oneshot(code, backoff={"initial": 0.2, "max": 0.2})
    init = start_either(once + program("web", startsecs=0, after="migrate"))
    init.wait_for_log(r"exited: migrate \(exit status 4; not expected\)")
    code.write_text("0")
    init.wait_for_output("web ready")
    assert init.stop() == 0


def test_a_oneshot_that_goes_on_failing_ends_the_container_with_its_code(
    start_either: Start, code: Path
) -> None:
    code.write_text("4")
    once = oneshot(code, startretries=1, backoff={"initial": 0, "max": 0})
    init = start_either(once + program("web", startsecs=0, after="migrate"))
    assert init.wait() == 4
    assert spawns(init, "migrate") == 2
    assert spawns(init, "web") == 0


def test_oneshots_alone_end_the_container_when_they_are_done(
    start_either: Start, code: Path
) -> None:
    init = start_either(oneshot(code))
    assert init.wait() == 0


def test_a_oneshot_that_is_done_is_not_run_again_by_a_reload(
    start_either: Start, code: Path
) -> None:
    web = program("web", startsecs=0, after="migrate")
    init = start_either(oneshot(code) + web)
    init.wait_for_output("web ready")
    init.kill(signal.SIGHUP)
    init.wait_for_log("reloaded")
    init.config.write_text(oneshot(code, umask="022") + web)
    init.kill(signal.SIGHUP)
    init.wait_for_log("spawned: 'migrate'", times=2)
    assert init.stop() == 0
    assert spawns(init, "migrate") == 2
    assert spawns(init, "web") == 1


def test_a_program_that_is_not_enabled_is_not_there(start_either: Start) -> None:
    worker = program("worker", startsecs=0, enabled="${WITH_WORKER:-no}")
    init = start_either(worker + program("web", startsecs=0, after="worker"))
    init.wait_for_output("web ready")
    assert init.stop() == 0
    assert spawns(init, "worker") == 0
