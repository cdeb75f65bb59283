"""What the core does otherwise where a process is an event listener."""

from __future__ import annotations

from initpy.core.messages import (
    Executed,
    Exited,
    Kill,
    PlanReady,
    RecordTree,
    SignalReceived,
    Spawned,
    SurvivorsGone,
)
from initpy.core.ordering import with_first
from initpy.core.states import ExitStatus
from initpy.core.supervisor import Phase, Supervisor, step
from initpy.core.values import Value, replace
from initpy.plan import NEVER, SHUTDOWN, Plan, ProcessSpec, SignalRule

WEB = ProcessSpec("web", "web", "web", "web", (b"web",), (b"/web",), startsecs=0.0)
JOB = replace(WEB, key="job", name="job", group="job", autorestart=NEVER)
LISTENER = replace(WEB, key="l", name="l", group="l", group_priority=-1, is_listener=True)
TERM = SignalRule(15, SHUTDOWN)


def run(*events: Value) -> tuple[Supervisor, list[Value]]:
    supervisor = Supervisor()
    found: list[Value] = []
    for now, event in enumerate(events):
        supervisor, effects = step(supervisor, event, float(now))
        found += effects
    return supervisor, found


def up(key: str, pid: int) -> tuple[Value, ...]:
    return (Spawned(key, pid), Executed(key, pid))


def down(key: str, pid: int) -> tuple[Value, ...]:
    return (Exited(key, pid, ExitStatus(0)), SurvivorsGone(key, pid))


def stopped(effects: list[Value]) -> set[str]:
    return {it.key for it in effects if isinstance(it, (Kill, RecordTree))}


def test_listeners_are_the_last_to_stop() -> None:
    plan = Plan((LISTENER, WEB), signals=(TERM,))
    events = (PlanReady(plan), *up("l", 4), *up("web", 5), SignalReceived(15))
    supervisor, effects = run(*events)
    assert supervisor.tiers == (("l",), ("web",))
    assert stopped(effects) == {"web"}
    _, effects = run(*events, *down("web", 5))
    assert stopped(effects) == {"web", "l"}


def test_one_that_comes_after_a_program_stops_before_it() -> None:
    listener = replace(LISTENER, after=("web",))
    plan = Plan((listener, WEB), signals=(TERM,))
    supervisor, _ = run(PlanReady(plan), SignalReceived(15))
    assert supervisor.tiers == (("web",), ("l",))


def test_a_container_does_not_stay_up_for_its_listeners() -> None:
    other = replace(LISTENER, is_listener=False)
    for first, phase in ((LISTENER, Phase.STOPPING), (other, Phase.UP)):
        events = (PlanReady(Plan((first, JOB))), *up("l", 4), *up("job", 5))
        assert run(*events)[0].phase == Phase.UP
        assert run(*events, *down("job", 5))[0].phase == phase


def test_a_tier_before_all_others() -> None:
    tiers = (("a", "b"), ("c",))
    assert with_first(tiers, ()) == tiers
    assert with_first(tiers, ("b",)) == (("b",), ("a",), ("c",))
    assert with_first((("a",), ("c",)), ("a",)) == (("a",), ("c",))
