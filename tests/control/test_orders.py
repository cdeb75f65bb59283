"""Starting, stopping and signalling over the API of a real initpy: waits, faults, results."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from initpy.control.configs import Configs
from initpy.control.methods import Methods, reading_methods
from initpy.control.orders import Orders
from initpy.control.stdin import Stdin
from initpy.control.tails import Tails
from tests.control.rpc import fault_of, rpc
from tests.pid1.faults import Faulty
from tests.pid1.toml import command, program
from tests.support import Init, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., Init]


class Waiter(threading.Thread):
    """A client that waits for its answer while others go on."""

    def __init__(self, init: Init, method: str, *parameters: object) -> None:
        super().__init__()
        self.init, self.method, self.parameters = init, method, parameters
        self.answer: Any = None
        self.start()

    def run(self) -> None:
        with rpc(self.init) as supervisor:
            call = getattr(supervisor, self.method)
            try:
                self.answer = call(*self.parameters)
            except Exception as exc:
                self.answer = (exc.faultCode, exc.faultString)  # type: ignore[attr-defined]

    def answered(self) -> Any:
        self.join(30)
        assert not self.is_alive()
        return self.answer


def state_of(supervisor: Any, name: str) -> str:
    return str(supervisor.getProcessInfo(name)["statename"])


MANUAL: dict[str, object] = {"autostart": False, "startsecs": 0.2, "critical": False}
FAILING: dict[str, object] = {**MANUAL, "startsecs": 30, "startretries": 0}
"""Of what ends before it is RUNNING, however slow the machine is."""


def test_a_start_is_answered_when_it_has_succeeded(start_init: Start) -> None:
    init = start_init(program("keep") + program("web", **MANUAL))
    with rpc(init) as supervisor:
        assert supervisor.startProcess("web") is True
        assert state_of(supervisor, "web") == "RUNNING"
        assert fault_of(supervisor.startProcess, "web") == (60, "ALREADY_STARTED: web")
        assert supervisor.stopProcess("web") is True
        assert state_of(supervisor, "web") == "STOPPED"
        assert fault_of(supervisor.stopProcess, "web") == (70, "NOT_RUNNING: web")
        assert supervisor.startProcess("web", False) is True
        assert state_of(supervisor, "web") in ("STARTING", "RUNNING")


def test_the_first_start_that_fails_is_the_answer(start_init: Start) -> None:
    """Whatever comes of the tries after it, where supervisord may say true to the second."""
    init = start_init(
        program("keep") + program("bad", "after=0:3", **{**FAILING, "startretries": 5})
    )
    with rpc(init) as supervisor:
        assert fault_of(supervisor.startProcess, "bad") == (50, "SPAWN_ERROR: bad")
        assert state_of(supervisor, "bad") in ("BACKOFF", "STARTING")
        wait_for(lambda: state_of(supervisor, "bad") == "BACKOFF")
        assert fault_of(supervisor.startProcess, "bad") == (60, "ALREADY_STARTED: bad")
        assert supervisor.stopProcess("bad") is True
        assert state_of(supervisor, "bad") == "STOPPED"


def test_a_start_of_what_is_being_stopped_waits_and_starts(start_init: Start) -> None:
    init = start_init(
        program("keep") + program("deaf", "ignore=TERM", **{**MANUAL, "stopwaitsecs": 1.5})
    )
    with rpc(init) as supervisor:
        supervisor.startProcess("deaf")
        init.wait_for_output("deaf ready")
        pid = supervisor.getProcessInfo("deaf")["pid"]
        assert supervisor.stopProcess("deaf", False) is True
        assert state_of(supervisor, "deaf") == "STOPPING"
        assert fault_of(supervisor.stopProcess, "deaf") == (70, "NOT_RUNNING: deaf")
        assert supervisor.startProcess("deaf") is True
        info = supervisor.getProcessInfo("deaf")
        assert info["statename"] == "RUNNING"
        assert info["pid"] != pid


def test_who_waits_for_a_start_hears_that_it_was_stopped(start_init: Start) -> None:
    init = start_init(program("keep") + program("slow", **{**MANUAL, "startsecs": 60}))
    waiter = Waiter(init, "startProcess", "slow")
    init.wait_for_log("spawned: 'slow'")
    with rpc(init) as supervisor:
        assert supervisor.stopProcess("slow") is True
    assert waiter.answered() == (40, "ABNORMAL_TERMINATION: slow")


def test_who_waits_hears_of_the_end(start_init: Start) -> None:
    init = start_init(program("keep") + program("slow", **{**MANUAL, "startsecs": 60}))
    waiter = Waiter(init, "startProcess", "slow")
    init.wait_for_log("spawned: 'slow'")
    assert init.stop() == 0
    assert waiter.answered() in ((40, "ABNORMAL_TERMINATION: slow"), (6, "SHUTDOWN_STATE"))


def test_what_cannot_be_executed_is_told_and_changes_nothing(
    start_init: Start, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    plain.touch(0o644)
    init = start_init(
        program("keep")
        + command("missing", ["/no/such"], **MANUAL)
        + command("folder", [str(tmp_path)], **MANUAL)
        + command("plain", [str(plain)], **MANUAL)
    )
    with rpc(init) as supervisor:
        expected = (20, "NO_FILE: can't find command '/no/such'")
        assert fault_of(supervisor.startProcess, "missing") == expected
        expected = (21, f"NOT_EXECUTABLE: command at '{tmp_path}' is a directory")
        assert fault_of(supervisor.startProcess, "folder") == expected
        expected = (21, f"NOT_EXECUTABLE: command at '{plain}' is not executable")
        assert fault_of(supervisor.startProcess, "plain") == expected
        for name in ("missing", "folder", "plain"):
            assert state_of(supervisor, name) == "STOPPED"


def test_results_of_a_group(start_init: Start) -> None:
    init = start_init(
        program("keep")
        + program("a", priority=2, **MANUAL)
        + program("b", priority=1, **{**MANUAL, "startsecs": 3})
        + program("c", "after=0:1", priority=3, **FAILING)
        + '[group.g]\nprograms = ["a", "b", "c"]\n'
    )

    def told(results: list[dict[str, Any]]) -> list[tuple[str, int, str]]:
        assert {it["group"] for it in results} <= {"g", "keep"}
        return [(it["name"], it["status"], it["description"]) for it in results]

    with rpc(init) as supervisor:
        started = told(supervisor.startProcessGroup("g"))
        failed = ("c", 50, "SPAWN_ERROR: g:c")
        assert sorted(started) == [("a", 80, "OK"), ("b", 80, "OK"), failed]
        assert started[-1] == ("b", 80, "OK")  # it took longest
        assert told(supervisor.signalProcess("g:*", "CONT")) == [("b", 80, "OK"), ("a", 80, "OK")]
        bad = [("b", 11, "BAD_SIGNAL: NOPE"), ("a", 11, "BAD_SIGNAL: NOPE")]
        assert told(supervisor.signalProcessGroup("g", "NOPE")) == bad
        assert told(supervisor.stopProcess("g:*")) == [("b", 80, "OK"), ("a", 80, "OK")]
        assert supervisor.stopProcessGroup("g") == []
        assert fault_of(supervisor.startProcessGroup, "nope") == (10, "BAD_NAME: nope")
        assert fault_of(supervisor.startProcess, "g:nope") == (10, "BAD_NAME: g:nope")
        assert told(supervisor.stopAllProcesses()) == [("keep", 80, "OK")]


@pytest.mark.parametrize("signum", ["USR1", "SIGUSR1", "10", 10, " usr1 "])
def test_a_signal_by_any_of_its_names(start_init: Start, signum: object) -> None:
    init = start_init(program("web", "catch=USR1"))
    init.wait_for_output("web ready")
    init.wait_for_log("web entered RUNNING")
    with rpc(init) as supervisor:
        assert supervisor.signalProcess("web", signum) is True
        init.wait_for_output("web got USR1")
        assert fault_of(supervisor.signalProcess, "web", "NOPE") == (11, "BAD_SIGNAL: NOPE")
        assert fault_of(supervisor.signalProcess, "web", 99) == (11, "BAD_SIGNAL: 99")


SLOW_BOOT = """
import time
from initpy.pid1 import Pid1
settle = Pid1._settle
due_at = None
def settle_later(self):
    global due_at
    if due_at is None and [type(fact).__name__ for fact in self.facts] == ["PlanReady"]:
        due_at = time.monotonic() + 1.0
    if due_at is None or time.monotonic() > due_at:
        settle(self)
    else:
        time.sleep(0.02)
Pid1._settle = settle_later
"""
"""The plan is there, and for a second nothing comes of it."""


def test_who_comes_before_the_programs_are_known_waits(start_init: Start, tmp_path: Path) -> None:
    init = Faulty(start_init, tmp_path, program("web"), patch=SLOW_BOOT).init
    with rpc(init) as supervisor:
        assert supervisor.getProcessInfo("web")["name"] == "web"


def test_every_method_is_there_and_described_as_supervisord_describes_it() -> None:
    rpcinterface: Any = pytest.importorskip("supervisor.rpcinterface")
    xmlrpc: Any = pytest.importorskip("supervisor.xmlrpc")
    nowhere: Any = None
    orders = Orders(nowhere, nowhere)
    methods = Methods(
        (
            *reading_methods(lambda: nowhere, "x"),
            *orders.methods(),
            *Configs(nowhere, orders).methods(),
            *Tails(nowhere, orders).methods(),
            *Stdin(orders, -1).methods(),
        )
    )
    daemon = SimpleNamespace(options=SimpleNamespace(mood=1))
    interface = rpcinterface.SupervisorNamespaceRPCInterface(daemon)
    system = xmlrpc.SystemNamespaceRPCInterface([("supervisor", interface)])
    theirs, ours = set(system.listMethods()), set(methods.call("system.listMethods", []))
    assert theirs - ours <= {"supervisor.sendRemoteCommEvent"}  # of the event listeners
    assert ours <= theirs
    for name in ours:
        assert methods.call("system.methodSignature", [name]) == system.methodSignature(name)
