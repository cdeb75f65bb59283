"""PID 1 has a bug while clients speak to the control plane: each gets its answer in the end."""

from __future__ import annotations

import http.client
import xmlrpc.client
from typing import TYPE_CHECKING, Any

import pytest

from tests.control.rpc import rpc
from tests.pid1.faults import Faulty
from tests.pid1.test_self_repair import FAST
from tests.pid1.toml import program
from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import Init

    Start = Callable[..., Init]

SERVING, FEEDING = "initpy.serving", "initpy.feeding"
POINTS = {
    "a plan": f"{SERVING}:Serving.set_plan",
    "which sockets": "initpy.opening:listeners_for",
    "a socket": "initpy.linux.listening:listen_at_path",
    "waiting": f"{SERVING}:Serving._wait_for_somebody",
    "waiting no more": f"{SERVING}:Serving._wait_for_nobody",
    "the helper": f"{SERVING}:Serving._start",
    "its feed": f"{FEEDING}:Feed.__init__",
    "a request": f"{SERVING}:Serving.request",
    "an order": f"{FEEDING}:order_in",
    "what is done": "initpy.core.requests:take",
    "a notice": f"{SERVING}:Serving.note",
    "following": f"{SERVING}:Serving.follow",
    "all that is different": f"{FEEDING}:Feed.follow",
    "a process": f"{FEEDING}:Feed.tell_process",
    "news": f"{FEEDING}:Feed.tell",
    "writing": f"{FEEDING}:Feed.write",
    "an answer": f"{SERVING}:Serving.answer",
    "its end": f"{SERVING}:Serving.bury",
    "hanging up": f"{SERVING}:Serving._hang_up",
    "staying away": f"{SERVING}:Serving.stay_away",
    "the end": f"{SERVING}:Serving.close",
    "closing": "initpy.opening:close",
}

LIFE = program("web") + program("manual", autostart=False, startsecs=0.1)
NEW = program("new", startsecs=0.1)


def until_answered(init: Init, method: str, *parameters: object) -> Any:
    """The answer, however often it takes another connection; a fault is one."""

    def ask() -> list[Any]:
        try:
            with rpc(init) as supervisor:
                return [getattr(supervisor, method)(*parameters)]
        except xmlrpc.client.Fault as exc:
            return [exc.faultCode]
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError):
            return []

    return wait_for(ask, within_s=300)[0]


def states_of(init: Init) -> dict[str, str]:
    return {it["name"]: it["statename"] for it in until_answered(init, "getAllProcessInfo")}


def lead_a_life(init: Init) -> None:
    """Orders that are lost with a connection may have been carried out."""
    init.wait_for_log("web entered RUNNING", within_s=300)
    assert until_answered(init, "startProcess", "manual") in (True, 60)
    assert until_answered(init, "stopProcess", "manual") in (True, 70)
    init.config.write_text(LIFE + NEW)
    assert until_answered(init, "reloadConfig")
    assert until_answered(init, "addProcessGroup", "new") in (True, 90)
    init.wait_for_log("new entered RUNNING", within_s=300)
    expected = {"web": "RUNNING", "manual": "STOPPED", "new": "RUNNING"}
    wait_for(lambda: states_of(init) == expected, within_s=300)
    assert until_answered(init, "stopProcess", "new") in (True, 70)
    assert until_answered(init, "removeProcessGroup", "new") in (True, 10)
    assert init.stop() == 0
    assert not init.socket.exists()
    assert init.log().count("spawned: 'web'") == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
def test_a_fault_at_every_point(start_init: Start, tmp_path: Path, point: str, when: str) -> None:
    faulty = Faulty(start_init, tmp_path, LIFE, f"{point} {when} 1")
    lead_a_life(faulty.init)
    assert faulty.init.log().count("a bug in initpy") == 1 - len(faulty.left())


@pytest.mark.parametrize("when", ["before", "after", "memory"])
def test_an_order_that_was_heard_is_carried_out_whatever_fails(
    start_init: Start, tmp_path: Path, when: str
) -> None:
    """Nothing more comes from the helper that would have PID 1 look at it again."""
    faulty = Faulty(start_init, tmp_path, LIFE, f"{POINTS['a request']} {when} 1")
    faulty.init.wait_for_log("web entered RUNNING")
    with rpc(faulty.init) as supervisor:
        assert supervisor.startProcess("manual") is True
    assert not faulty.left()


def test_a_fault_in_every_line(start_init: Start, tmp_path: Path) -> None:
    patch = FAST + "from initpy import repair; repair._drop_what_fails_again = lambda _: None\n"
    lines = f"lines {SERVING} {FEEDING} initpy.core.requests\n"
    faulty = Faulty(start_init, tmp_path, LIFE, lines, patch=patch)
    lead_a_life(faulty.init)
    struck = (faulty.folder / "001").read_text().count(".py:")
    assert struck > 80
