"""The methods that only look, beside supervisord's own code over the same processes."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initpy.control.faults import (
    BAD_NAME,
    INCORRECT_PARAMETERS,
    SHUTDOWN_STATE,
    SIGNATURE_UNSUPPORTED,
    UNKNOWN_METHOD,
    Fault,
)
from initpy.control.methods import Methods, reading_methods
from initpy.control.model import RESTARTING, RUNNING, SHUTDOWN, ProcessView, Snapshot
from initpy.core.states import STATE_NAMES, State

if TYPE_CHECKING:
    from collections.abc import Sequence

rpcinterface: Any = pytest.importorskip("supervisor.rpcinterface")
xmlrpc: Any = pytest.importorskip("supervisor.xmlrpc")

NOW = 1_700_000_000
NAMES = st.sampled_from(["a", "b", "web", "web_00"])
INSTANTS = st.one_of(st.integers(0, 2**31 - 1), st.integers(NOW - 200_000, NOW + 5))

views = st.builds(
    ProcessView,
    name=NAMES,
    group=NAMES,
    state=st.sampled_from([*STATE_NAMES]),
    started_at=INSTANTS,
    stopped_at=INSTANTS,
    pid=st.integers(0, 2**22),
    exitstatus=st.integers(-1, 255),
    spawnerr=st.sampled_from(["", "can't find command 'x'"]),
    stdout_logfile=st.sampled_from(["", "/tmp/x.log"]),
    stderr_logfile=st.sampled_from(["", "/tmp/y.log"]),
)
snapshots = st.builds(
    Snapshot,
    processes=st.lists(views, max_size=5, unique_by=lambda it: (it.group, it.name)).map(tuple),
    now=INSTANTS,
    pid=st.integers(1, 2**22),
    mood=st.sampled_from([RUNNING, RUNNING, RUNNING, RESTARTING, SHUTDOWN]),
)


def real(snapshot: Snapshot) -> Any:
    """supervisord's methods, over what it would have of these processes."""
    groups: dict[str, Any] = {}
    for view in snapshot.processes:
        config = SimpleNamespace(name=view.group)
        group = groups.setdefault(view.group, SimpleNamespace(config=config, processes={}))
        group.processes[view.name] = SimpleNamespace(
            config=SimpleNamespace(
                name=view.name,
                stdout_logfile=view.stdout_logfile,
                stderr_logfile=view.stderr_logfile,
            ),
            laststart=view.started_at,
            laststop=view.stopped_at,
            spawnerr=view.spawnerr,
            exitstatus=view.exitstatus,
            pid=view.pid,
            get_state=lambda state=view.state: state,
        )
    options = SimpleNamespace(
        mood=snapshot.mood, identifier="supervisor", get_pid=lambda: snapshot.pid
    )
    daemon = SimpleNamespace(
        options=options, process_groups=groups, get_state=lambda: snapshot.mood
    )
    interface = rpcinterface.SupervisorNamespaceRPCInterface(daemon)
    interface._now = lambda: snapshot.now
    return interface


def ours(snapshot: Snapshot) -> Methods:
    return Methods(reading_methods(lambda: snapshot, "supervisor"))


def outcome(call: Any) -> Any:
    """The result, or the fault."""
    try:
        return call()
    except (Fault, xmlrpc.RPCError) as exc:
        return (exc.code, exc.text)


ALL = [
    "getAPIVersion",
    "getVersion",
    "getSupervisorVersion",
    "getIdentification",
    "getState",
    "getPID",
    "getAllProcessInfo",
]


@settings(max_examples=500)
@given(snapshot=snapshots)
def test_each_method_answers_as_supervisord_does(snapshot: Snapshot) -> None:
    interface, methods = real(snapshot), ours(snapshot)
    for name in ALL:
        theirs = outcome(getattr(interface, name))
        own = outcome(lambda name=name: methods.call(f"supervisor.{name}", []))
        assert own == theirs
    for name in ("a", "web", "a:web_00", "web:web", "a:", "a:*", "", ":", "a:b:c"):
        theirs = outcome(lambda name=name: interface.getProcessInfo(name))
        own = outcome(lambda name=name: methods.call("supervisor.getProcessInfo", [name]))
        assert own == theirs


@settings(max_examples=300)
@given(
    snapshot=snapshots,
    calls=st.lists(
        st.one_of(
            st.builds(lambda name: {"methodName": f"supervisor.{name}"}, st.sampled_from(ALL)),
            st.builds(
                lambda name: {"methodName": "supervisor.getProcessInfo", "params": [name]}, NAMES
            ),
            st.sampled_from(
                [
                    {"methodName": "supervisor.getPID", "params": [1]},
                    {"methodName": "supervisor.nope", "params": []},
                    {"methodName": "nope"},
                    {"methodName": "a.b.c"},
                    {"methodName": "system.multicall", "params": [[]]},
                    {"methodName": "supervisor._update", "params": ["x"]},
                    {"params": []},
                    {},
                ]
            ),
        ),
        max_size=5,
    ),
)
def test_several_at_once(snapshot: Snapshot, calls: list[dict[str, Any]]) -> None:
    system = xmlrpc.SystemNamespaceRPCInterface([("supervisor", real(snapshot))])
    assert ours(snapshot).call("system.multicall", [calls]) == system.multicall(calls)


ONE = Snapshot((ProcessView("web", "web", State.STOPPED),), NOW, 1)


@pytest.mark.parametrize(
    ("name", "parameters", "code", "text"),
    [
        ("supervisor.nope", [], UNKNOWN_METHOD, "UNKNOWN_METHOD"),
        ("supervisor", [], UNKNOWN_METHOD, "UNKNOWN_METHOD"),
        ("supervisor.getPID", [1], INCORRECT_PARAMETERS, "INCORRECT_PARAMETERS"),
        ("supervisor.getProcessInfo", [], INCORRECT_PARAMETERS, "INCORRECT_PARAMETERS"),
        ("supervisor.getProcessInfo", [5], INCORRECT_PARAMETERS, "INCORRECT_PARAMETERS"),
        ("supervisor.getProcessInfo", ["x"], BAD_NAME, "BAD_NAME: x"),
        ("system.methodHelp", ["x"], SIGNATURE_UNSUPPORTED, "SIGNATURE_UNSUPPORTED"),
        ("system.methodSignature", ["x"], SIGNATURE_UNSUPPORTED, "SIGNATURE_UNSUPPORTED"),
    ],
)
def test_faults(name: str, parameters: Sequence[Any], code: int, text: str) -> None:
    with pytest.raises(Fault) as caught:
        ours(ONE).call(name, parameters)
    assert (caught.value.code, caught.value.text) == (code, text)


@pytest.mark.parametrize(
    "call", [5, [], {"methodName": 5}, {"methodName": "supervisor.getPID", "params": "x"}]
)
def test_a_call_of_several_that_is_none(call: Any) -> None:
    (answer,) = ours(ONE).call("system.multicall", [[call]])
    assert answer["faultCode"] == INCORRECT_PARAMETERS


def test_while_it_ends_only_system_answers() -> None:
    methods = ours(Snapshot((), NOW, 1, SHUTDOWN))
    assert "supervisor.getPID" in methods.call("system.listMethods", [])
    with pytest.raises(Fault) as caught:
        methods.call("supervisor.getPID", [])
    assert caught.value.code == SHUTDOWN_STATE


def test_methods_are_described_as_supervisord_describes_them() -> None:
    methods = ours(ONE)
    names = methods.call("system.listMethods", [])
    system = xmlrpc.SystemNamespaceRPCInterface([("supervisor", real(ONE))])
    assert set(names) <= set(system.listMethods())
    assert names == sorted(names)
    for name in names:
        signature = methods.call("system.methodSignature", [name])
        assert signature == system.methodSignature(name), name
        assert methods.call("system.methodHelp", [name])


def test_from_2038_on_instants_stay_at_the_most_but_an_uptime_goes_on() -> None:
    """Where supervisord's stands still."""
    view = ProcessView("web", "web", State.RUNNING, started_at=2**31 + 5, pid=7)
    info = ours(Snapshot((view,), 2**31 + 8, 1)).call("supervisor.getProcessInfo", ["web"])
    assert (info["start"], info["now"]) == (2**31 - 1, 2**31 - 1)
    assert info["description"] == "pid 7, uptime 0:00:03"


def test_an_end_is_told_in_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    view = ProcessView("web", "web", State.EXITED, started_at=1, stopped_at=NOW)
    monkeypatch.setenv("TZ", "UTC-2")
    time.tzset()
    assert view.description(NOW) == "Nov 15 12:13 AM"
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("group", "spec"), [("web", "web"), ("all", "all:web")])
def test_a_namespec_can_be_looked_up(group: str, spec: str) -> None:
    view = ProcessView("web", group, State.RUNNING)
    assert view.namespec == spec
    assert Snapshot((view,), NOW, 1).process(spec) is view


def test_how_many_calls_there_may_be_in_one() -> None:
    call = {"methodName": "supervisor.getPID", "params": []}
    assert len(ours(ONE).call("system.multicall", [[call] * 1000])) == 1000
    with pytest.raises(Fault, match="more than 1000 calls in one"):
        ours(ONE).call("system.multicall", [[call] * 1001])
