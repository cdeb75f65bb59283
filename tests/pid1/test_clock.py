"""The wall clock jumps, and nothing happens: everything that waits counts monotonic seconds."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.pid1.toml import program
from tests.support import REPO, skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Init

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


@pytest.mark.parametrize("jump", ["+10y", "-10y"])
def test_a_jump_of_ten_years(start_init: Callable[..., Init], tmp_path: Path, jump: str) -> None:
    """libfaketime moves the wall clock that initpy sees, while it runs; the kernel's own is
    everybody's. A start (startsecs), a delay (BACKOFF) and a stop (stopwaitsecs) are under way."""
    if FAKETIME is None:
        skip_or_fail("namespace", "libfaketime is not installed (Debian's package faketime)")
    now = tmp_path / "now"
    now.write_text("+0")
    env = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(now),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "TZ": "UTC",
    }
    own = {"environment": {"LD_PRELOAD": ""}}  # the programs keep the real clock
    init = start_init(
        program("web", startsecs=1.5, **own)
        + program("bad", "after=0:1", startretries=1, critical=False, **own)
        + program("deaf", "ignore=TERM", startsecs=0, stopwaitsecs=1, **own),
        env=env,
    )
    init.wait_for_log("exited: bad")
    before = year(init)
    now.write_text(jump)
    init.wait_for_log("gave up: bad")  # after its delay of a second, and not at once or never
    init.wait_for_log("success: web")
    assert abs(year(init) - before) == 10
    assert init.log().count("spawned: 'web'") == 1
    assert init.log().count("spawned: 'bad'") == 2
    now.write_text("+0")
    assert init.stop() == 0
    assert "stopped: web (terminated by SIGTERM)" in init.log()
    assert "killing 'deaf'" in init.log()


def year(init: Init) -> int:
    return int(re.findall(r"^(\d{4})-", init.log(), re.MULTILINE)[-1])


def test_only_the_log_and_the_trace_look_at_the_wall_clock() -> None:
    for path in (REPO / "initpy").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "time":
                wall = node.attr not in ("monotonic", "sleep")
                is_log = path.name in ("log.py", "tracing.py")
                is_log |= bool({"logs", "control", "ctl"} & set(path.parts))
                assert not wall or is_log, f"{path} uses time.{node.attr}"
