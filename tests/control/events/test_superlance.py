"""superlance's listeners, as they come from PyPI, at work."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.control.events.outside import mailbox, page
from tests.pid1.toml import command, program
from tests.support import REPO, skip_or_fail, toml_list, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Init

PATIENCE_S = 90.0
"""Ticks come every 5 s, and each listener is a Python that starts, and runs `ps`."""

ACTOR = REPO / "tests" / "compat" / "actor.py"


@pytest.fixture(autouse=True)
def _has_superlance() -> None:
    if importlib.util.find_spec("superlance") is None:
        skip_or_fail("compat", "superlance is not installed (PyPI's package superlance)")


def listener(name: str, *arguments: str, events: list[str]) -> str:
    """An [eventlistener.NAME] that runs superlance's script of that name."""
    argv = [sys.executable, "-W", "ignore", "-m", f"superlance.{name}", *arguments]
    lines = [
        f"[eventlistener.{name}]",
        f"command = {toml_list(argv)}",
        f"events = {toml_list(events)}",
    ]
    return "\n".join(lines) + "\n"


def test_memmon_restarts_what_has_grown(start_either: Callable[..., Init], tmp_path: Path) -> None:
    """Its first instance takes 64 MiB, and none after it; the other program stays as it is."""
    actor = [sys.executable, "-I", "-S", str(ACTOR), "grow", str(tmp_path / "has-grown"), "64"]
    text = command("web", actor, critical=False) + program("small", critical=False)
    options = ["-p", "web=48MB", "-p", "small=48MB"]
    init = start_either(text + listener("memmon", *options, events=["TICK_5"]))
    init.wait_for_log("Restarting web:web", within_s=PATIENCE_S)
    init.wait_for_log(r"Restarting web:web[\s\S]*success: web", within_s=PATIENCE_S)
    init.wait_for_log("RSS of web:web is [0-9]{7}$", within_s=PATIENCE_S)
    assert init.log().count("stopped: web") == 1
    assert "stopped: small" not in init.log()
    assert init.stop() == 0


def test_httpok_restarts_what_does_not_answer_well(start_init: Callable[..., Init]) -> None:
    """And lets it be once it does."""
    with page() as (address, sick):
        text = program("web", critical=False)
        options = ["-p", "web", "-t", "3", address]
        init = start_init(text + listener("httpok", *options, events=["TICK_5"]))
        init.wait_for_log("stopped: web", within_s=PATIENCE_S)
        sick.status = 200
        init.wait_for_log(r"stopped: web[\s\S]*success: web", within_s=PATIENCE_S)
        healthy = sick.asked
        wait_for(
            lambda: sick.asked >= healthy + 2, within_s=PATIENCE_S, about="it looks again, twice"
        )
        assert init.log().count("stopped: web") == 1
        assert init.stop() == 0


def test_crashmail_tells_who_has_crashed(start_init: Callable[..., Init], tmp_path: Path) -> None:
    mails = tmp_path / "mails"
    crash = command("crash", ["sh", "-c", "sleep 2; exit 7"], critical=False, autorestart=False)
    options = ["-p", "crash", "-m", "me@example.com", "-s", f"cat >> {mails}"]
    init = start_init(
        program("web", critical=False)
        + crash
        + listener("crashmail", *options, events=["PROCESS_STATE_EXITED"])
    )
    init.wait_for_log("exited: crash", within_s=PATIENCE_S)
    wait_for(
        lambda: mails.exists() and "exited unexpectedly" in mails.read_text(), within_s=PATIENCE_S
    )
    assert re.search(
        r"To: me@example.com\nSubject:  crash crashed at .*\n\nProcess crash in group crash exited"
        r" unexpectedly \(pid \d+\) from state RUNNING",
        mails.read_text(),
    )
    assert init.stop() == 0


def test_fatalmailbatch_tells_who_is_fatal(start_init: Callable[..., Init]) -> None:
    fails = command("fails", ["sh", "-c", "sleep 0.9; exit 3"], critical=False, startretries=1)
    with mailbox() as (address, mails):
        options = ["--toEmail=me@example.com", "--fromEmail=it@example.com"]
        options += [f"--smtpHost={address}", "--tickEvent=TICK_5", "--interval=0.05"]
        events = ["PROCESS_STATE_FATAL", "TICK_5"]
        text = program("web", critical=False) + fails
        init = start_init(text + listener("fatalmailbatch", *options, events=events))
        init.wait_for_log("gave up: fails", within_s=PATIENCE_S)
        said = "fails:fails failed to start too many times"
        wait_for(lambda: any(said in it for it in mails), within_s=PATIENCE_S)
        assert init.stop() == 0
