"""What clients ask of the core: the whole grid of orders and phases, and what becomes of groups."""

from __future__ import annotations

from itertools import product

import pytest

from initpy.core.messages import (
    Answer,
    Executed,
    Exited,
    PlanReady,
    PlanRefused,
    ReadPlan,
    Refuse,
    ReopenLogs,
    Request,
    Signal,
    Spawn,
    Spawned,
    Start,
    Stop,
    TimerFired,
    UsePlan,
)
from initpy.core.orders import (
    AddGroup,
    Reload,
    RemoveGroup,
    Reopen,
    Reread,
    Restart,
    ShutDown,
)
from initpy.core.states import ExitStatus, State, Wanted
from initpy.core.supervisor import Phase, Supervisor, step
from initpy.core.values import Value, replace
from initpy.plan import NEVER, Plan, ProcessSpec

ORDERS: tuple[Value, ...] = (
    Start("web", by_operator=True),
    Start("nobody", by_operator=True),
    Stop("web", by_operator=True),
    Signal("web", 1),
    AddGroup("web"),
    AddGroup("nobody"),
    RemoveGroup("web"),
    RemoveGroup("nobody"),
    Reload(),
    Reread(),
    Restart(),
    Reopen(),
    ShutDown(),
)
PHASES = range(Phase.BOOT, Phase.OVER)


def spec(name: str, group: str = "", **options: object) -> ProcessSpec:
    group = group or name
    key = name if name == group else f"{group}:{name}"
    argv = (name.encode(),)
    given: dict[str, object] = {"startsecs": 0.0, **options}
    return ProcessSpec(key, name, group, name, argv, argv, **given)  # type: ignore[arg-type]


def plan_of(*specs: ProcessSpec) -> Plan:
    return Plan(specs)


class Story:
    """A supervisor that goes through something; every process does at once what it is told."""

    def __init__(self, *specs: ProcessSpec) -> None:
        self.state = Supervisor()
        self.now = 0.0
        self.pid = 100
        self.number = 0
        self.answers: dict[int, str] = {}
        self.effects: list[Value] = []
        self.tell(PlanReady(plan_of(*specs)))

    def tell(self, event: Value) -> list[Value]:
        """All effects that come of it; spawns succeed."""
        self.now += 0.01
        self.state, effects = step(self.state, event, self.now)
        found = list(effects)
        for effect in effects:
            if isinstance(effect, Answer):
                assert effect.asker == 7
                assert effect.number not in self.answers
                self.answers[effect.number] = effect.fault
            if isinstance(effect, Spawn):
                self.pid += 1
                found += self.tell(Spawned(effect.key, self.pid))
                found += self.tell(Executed(effect.key, self.pid))
        return found

    def ask(self, order: Value) -> str | None:
        """The fault that it is answered with at once; None: there is no answer yet."""
        self.number += 1
        self.effects = self.tell(Request(7, self.number, order))
        return self.answers.get(self.number)

    def exit(self, key: str, code: int = 0) -> None:
        pid = self.state.processes[key].pid
        self.tell(Exited(key, pid, ExitStatus(code=code)))
        process = self.state.processes.get(key)
        if process is not None and process.group:
            from initpy.core.messages import SurvivorsGone

            self.tell(SurvivorsGone(key, pid))

    def state_of(self, key: str) -> int | None:
        process = self.state.processes.get(key)
        return None if process is None else process.state

    def reread(self, *specs: ProcessSpec) -> str | None:
        assert self.ask(Reread()) is None
        assert ReadPlan(spare=True) in self.effects
        self.tell(PlanReady(plan_of(*specs), spare=True))
        return self.answers[self.number]


@pytest.mark.parametrize(("phase", "order"), [*product(PHASES, ORDERS)])
def test_every_order_is_answered_in_every_phase_and_once(phase: int, order: Value) -> None:
    story = Story(spec("web"))
    story.state = replace(story.state, phase=phase)
    fault = story.ask(order)
    if phase == Phase.UP and isinstance(order, (Reload, Reread, Restart)):
        assert fault is None
        story.tell(PlanReady(plan_of(spec("web")), spare=isinstance(order, Reread)))
        assert story.answers[1] == ""
    elif isinstance(order, Reopen):
        assert fault == ""
    elif phase > Phase.UP:
        assert fault == "SHUTDOWN_STATE"
    else:
        assert fault is not None
    assert not any(isinstance(it, Refuse) for it in story.effects)


@pytest.mark.parametrize(
    ("order", "fault"),
    [
        (Start("web", by_operator=True), "ALREADY_STARTED"),
        (Start("nobody", by_operator=True), "BAD_NAME"),
        (Stop("web", by_operator=True), ""),
        (Stop("down", by_operator=True), "NOT_RUNNING"),
        (Signal("down", 1), "NOT_RUNNING"),
        (Signal("web", 1), ""),
        (AddGroup("web"), "ALREADY_ADDED"),
        (AddGroup("nobody"), "BAD_NAME"),
        (RemoveGroup("web"), "STILL_RUNNING"),
        (RemoveGroup("nobody"), "BAD_NAME"),
        (RemoveGroup("down"), ""),
        (Reopen(), ""),
    ],
)
def test_what_an_order_is_answered(order: Value, fault: str) -> None:
    story = Story(spec("web"), spec("down", autostart=False))
    assert story.ask(order) == fault
    assert (ReopenLogs() in story.effects) == isinstance(order, Reopen)


def test_a_start_of_what_is_being_stopped_comes_after_the_stop() -> None:
    story = Story(spec("web"))
    assert story.ask(Stop("web", by_operator=True)) == ""
    assert story.state_of("web") == State.STOPPING
    assert story.ask(Start("web", by_operator=True)) == ""
    assert story.state_of("web") == State.STOPPING
    story.exit("web")
    assert story.state_of("web") == State.RUNNING


# ---------------------------------------------------------------- groups


def test_what_was_read_changes_nothing_until_it_is_added() -> None:
    story = Story(spec("web"))
    assert story.reread(spec("web", nice=5), spec("new")) == ""
    assert set(story.state.processes) == {"web"}
    assert story.state.processes["web"].spec.nice is None
    assert story.ask(AddGroup("new")) == ""
    assert UsePlan() in story.effects
    assert story.state_of("new") == State.RUNNING
    assert [it.key for it in story.state.plan.processes] == ["web", "new"]
    assert story.state.processes["web"].spec.nice is None
    assert story.ask(AddGroup("new")) == "ALREADY_ADDED"


def test_a_group_that_has_changed_is_replaced_as_supervisorctl_does_it() -> None:
    story = Story(spec("web"), spec("other"))
    story.reread(spec("web", nice=5), spec("other"))
    assert story.ask(Stop("web", by_operator=True)) == ""
    story.exit("web")
    assert story.ask(RemoveGroup("web")) == ""
    assert set(story.state.processes) == {"other"}
    assert story.ask(AddGroup("web")) == ""
    assert story.state_of("web") == State.RUNNING
    assert story.state.processes["web"].spec.nice == 5
    assert [it.key for it in story.state.plan.processes] == ["web", "other"]


def test_a_group_that_was_removed_can_be_added_again() -> None:
    """As it was, for the configuration still has it."""
    story = Story(spec("a", "g"), spec("b", "g"), spec("web"))
    for key in ("g:a", "g:b"):
        story.ask(Stop(key, by_operator=True))
        story.exit(key)
    assert story.ask(RemoveGroup("g")) == ""
    assert set(story.state.processes) == {"web"}
    assert story.ask(RemoveGroup("g")) == "BAD_NAME"
    assert story.ask(AddGroup("g")) == ""
    assert [it.key for it in story.state.plan.processes] == ["g:a", "g:b", "web"]
    assert story.state_of("g:a") == story.state_of("g:b") == State.RUNNING


def test_a_late_timer_of_one_that_was_removed_is_not_of_the_one_that_is_added() -> None:
    story = Story(spec("web"), spec("other"))
    for _ in range(3):
        story.ask(Stop("web", by_operator=True))
        story.exit("web")
        story.ask(Start("web", by_operator=True))
    story.ask(Stop("web", by_operator=True))
    story.exit("web")
    old = story.state.processes["web"].epoch
    story.ask(RemoveGroup("web"))
    story.ask(AddGroup("web"))
    assert story.state.processes["web"].epoch > old


def test_the_last_group_can_be_taken_away_and_the_container_stays_up() -> None:
    story = Story(spec("web"))
    story.ask(Stop("web", by_operator=True))
    story.exit("web")
    assert story.ask(RemoveGroup("web")) == ""
    assert not story.state.processes
    assert story.state.phase == Phase.UP
    assert story.ask(AddGroup("web")) == ""
    assert story.state_of("web") == State.RUNNING
    story.exit("web")
    assert story.state.phase > Phase.UP


def test_what_came_after_a_group_that_is_gone_starts_without_it() -> None:
    story = Story(spec("db", autostart=False), spec("web", after=("db",)))
    assert story.state_of("web") == State.STOPPED
    assert story.ask(RemoveGroup("db")) == ""
    assert story.state_of("web") == State.RUNNING


def test_an_added_group_waits_for_what_it_comes_after() -> None:
    story = Story(spec("db", startsecs=5.0))
    story.reread(spec("db", startsecs=5.0), spec("web", after=("db",)))
    assert story.ask(AddGroup("web")) == ""
    assert story.state_of("web") == State.STOPPED
    story.tell(TimerFired("db", story.state.processes["db"].epoch))
    assert story.state_of("web") == State.RUNNING


def test_the_exit_code_of_what_is_gone_is_nobodys() -> None:
    story = Story(spec("web"), spec("other", autorestart=NEVER))
    story.state = replace(story.state, plan=replace(story.state.plan, exit_code_from=("web",)))
    story.ask(Stop("web", by_operator=True))
    story.exit("web")
    assert story.ask(RemoveGroup("web")) == ""
    assert story.state.phase == Phase.UP
    story.exit("other", code=3)
    assert story.state.phase > Phase.UP


# ---------------------------------------------------------------- reading again


def test_what_cannot_be_read_changes_nothing_and_says_why() -> None:
    for order in (Reload(), Reread(), Restart()):
        story = Story(spec("web"))
        before = replace(story.state.processes["web"])
        assert story.ask(order) is None
        story.tell(PlanRefused(2, "it is wrong", spare=isinstance(order, Reread)))
        assert story.answers == {1: "CANT_REREAD: it is wrong"}
        assert story.state.processes["web"] == before
        assert not story.state.restarting


def test_each_reread_has_a_read_of_its_own() -> None:
    """The file may have changed since the first began."""
    story = Story(spec("web"))
    assert story.ask(Reread()) is None
    assert story.ask(Reread()) is None
    assert ReadPlan(spare=True) not in story.effects
    more = story.tell(PlanReady(plan_of(spec("web")), spare=True))
    assert story.answers == {1: ""}
    assert ReadPlan(spare=True) in more
    story.tell(PlanRefused(2, "now it is wrong", spare=True))
    assert story.answers == {1: "", 2: "CANT_REREAD: now it is wrong"}


def test_a_reload_is_answered_by_the_last_read() -> None:
    story = Story(spec("web"))
    assert story.ask(Reload()) is None
    assert story.ask(Reload()) is None
    more = story.tell(PlanReady(plan_of(spec("web"), spec("new"))))
    assert not story.answers
    assert ReadPlan() in more
    story.tell(PlanReady(plan_of(spec("web"))))
    assert story.answers == {1: "", 2: ""}


def test_a_reload_forgets_what_was_read_apart() -> None:
    story = Story(spec("web"))
    story.reread(spec("web"), spec("new"))
    story.ask(Reload())
    story.tell(PlanReady(plan_of(spec("web"))))
    assert story.state.spare is None
    assert story.ask(AddGroup("new")) == "BAD_NAME"


def test_a_restart_starts_everything_anew_also_what_was_stopped() -> None:
    story = Story(spec("web"), spec("other"), spec("manual", autostart=False))
    story.ask(Stop("other", by_operator=True))
    story.exit("other")
    pid = story.state.processes["web"].pid
    assert story.ask(Restart()) is None
    story.tell(PlanReady(story.state.plan))
    assert story.answers[story.number] == ""
    assert story.state_of("other") == State.RUNNING
    assert story.state_of("web") == State.STOPPING
    story.exit("web")
    assert story.state_of("web") == State.RUNNING
    assert story.state.processes["web"].pid != pid
    assert story.state_of("manual") == State.STOPPED


def test_who_waits_for_a_read_when_the_end_comes_is_told_so() -> None:
    story = Story(spec("web"))
    story.ask(Reread())
    story.ask(Reload())
    assert story.ask(ShutDown()) == ""
    assert story.answers == {1: "SHUTDOWN_STATE", 2: "SHUTDOWN_STATE", 3: ""}


def test_the_answer_to_a_shutdown_comes_before_all_that_it_brings() -> None:
    story = Story(spec("web"))
    story.ask(ShutDown())
    assert isinstance(story.effects[0], Answer)
    assert story.state.cause is not None
    assert story.state.cause.code == 0


def test_what_is_the_same_in_both_plans_is_there_once() -> None:
    story = Story(spec("web"), spec("other"))
    story.reread(spec("web"), spec("other", nice=1))
    spare = story.state.spare
    assert spare is not None
    assert spare.processes[0] is story.state.processes["web"].spec
    assert spare.processes[1] is not story.state.processes["other"].spec


def test_wanted_is_what_was_asked_for() -> None:
    story = Story(spec("web"))
    story.ask(Stop("web", by_operator=True))
    assert story.state.processes["web"].wanted == Wanted.DOWN
