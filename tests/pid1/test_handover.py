"""The state of PID 1 as bytes: what goes in comes out, and what was torn apart is put right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

import initpy
from initpy import handover
from initpy.core.door import Process, is_waiting
from initpy.core.messages import Executed, Spawned, Start, TimerFired
from initpy.core.states import State
from initpy.core.supervisor import Supervisor
from initpy.handover import HandOverError, pack, unpack
from initpy.linux import image
from initpy.pid1 import Pid1
from initpy.renewal import Faults
from initpy.repair import verify, what_is_missing
from initpy.rest import Rest
from initpy.spawning import Spawning
from initpy.sweeping import Case
from tests.core.specs import plan, spec
from tests.core.test_supervisor_machine import WholeLives

if TYPE_CHECKING:
    from tests.core.kernel import Kernel


def missing_in(kernel: Kernel) -> tuple[list[object], list[object]]:
    keys = {pid: instance.key for pid, instance in kernel.instances.items()}
    reasons = [pid for pid, instance in kernel.instances.items() if not instance.executed]
    queued = (*kernel.queue, *kernel.unanswered)
    facts, effects = what_is_missing(
        kernel.supervisor, kernel.armed, keys, reasons, kernel.cases, queued
    )
    return list(facts), list(effects)


class HandedOver(WholeLives):
    """Whole lives, in which the state is handed over now and then, and sometimes torn apart."""

    @rule()
    def it_executes_itself_anew(self) -> None:
        kernel = self.kernel
        state, version, _ = unpack(pack((kernel.supervisor, list(kernel.queue), kernel.armed)))
        assert state == (kernel.supervisor, list(kernel.queue), kernel.armed)
        assert version == initpy.__version__
        kernel.supervisor = state[0]

    @precondition(lambda self: not self.kernel.dead)
    @rule()
    def nothing_is_missing(self) -> None:
        """What is no fault is not put right. (The dead are left out: here their survivors may
        outlive the looks for them.)"""
        assert missing_in(self.kernel) == ([], [])

    @precondition(lambda self: self.kernel.armed)
    @rule(data=st.data())
    def a_timer_is_lost(self, data: st.DataObject) -> None:
        kernel = self.kernel
        kernel.settle()
        processes = kernel.supervisor.processes
        awaited = [  # others are superseded, and mean nothing
            key
            for key, (_, epoch) in kernel.armed.items()
            if key == ""
            or (key in processes and is_waiting(processes[key]) and processes[key].epoch == epoch)
        ]
        if not awaited or kernel.exit_code is not None:
            return
        lost = data.draw(st.sampled_from(sorted(awaited)))
        before = dict(kernel.armed)
        del kernel.armed[lost]
        _, effects = missing_in(kernel)
        for effect in effects:
            if type(effect).__name__ == "SetTimer":
                kernel.armed[effect.key] = (effect.due_at, effect.epoch)  # type: ignore[attr-defined]
        assert kernel.armed.keys() == before.keys()
        if lost:  # PID 1's own has no time in the state: the end of the end has to do
            assert kernel.armed == before

    @precondition(
        lambda self: any(isinstance(fact, (Spawned, Executed)) for fact in self.kernel.queue)
    )
    @rule(data=st.data())
    def a_fact_is_lost(self, data: st.DataObject) -> None:
        kernel = self.kernel
        of_the_live = [
            fact
            for fact in kernel.queue
            if isinstance(fact, (Spawned, Executed))
            and fact.pid in kernel.instances
            and self._matters(fact)
        ]
        if not of_the_live:
            return
        lost = data.draw(st.sampled_from(of_the_live))
        kernel.queue.remove(lost)
        facts, _ = missing_in(kernel)
        assert lost in facts
        kernel.queue.extend(facts)  # type: ignore[arg-type]

    def _matters(self, fact: Spawned | Executed) -> bool:
        """Who was stopped before exec is not asked any more whether that has come through."""
        process = self.kernel.supervisor.processes.get(fact.key)
        if isinstance(fact, Spawned) or process is None or process.pid != fact.pid:
            return True
        return process.state == State.STARTING


TestHandedOver = HandedOver.TestCase
TestHandedOver.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    derandomize=True,
    deadline=None,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def test_every_container_comes_back_as_what_it_was() -> None:
    state = {"a": [1, (2.5, None)], 7: {"x", "y"}, "b": bytearray(b"raw"), "c": {}, "d": True}
    assert unpack(pack(state))[0] == state
    assert type(unpack(pack(state))[0]["b"]) is bytearray


def test_what_is_not_frozen_is_each_its_own() -> None:
    first, second = unpack(pack(([], [])))[0]
    assert first == second == []
    assert first is not second


def test_what_many_have_in_common_is_in_memory_once() -> None:
    """The specs of the plan are those of the processes, and so they are afterwards."""
    specs = [spec(key=f"web{number}") for number in range(3)]
    supervisor = Supervisor(plan=plan(*specs), processes={s.key: Process(s) for s in specs})
    again = unpack(pack(supervisor))[0]
    assert again == supervisor
    for each in again.plan.processes:
        assert again.processes[each.key].spec is each


def test_an_object_comes_back_with_what_it_keeps() -> None:
    case = Case("web", 7, 15)
    case.known.add(8)
    case.look_at = 1.5
    (again,) = unpack(pack((case,)))[0]
    assert vars(again) == vars(case)


def test_all_that_an_object_has_is_kept() -> None:
    """Or it has to be made anew by who takes over."""
    assert vars(Case("web", 7, 15)).keys() == set(Case.KEPT)


def test_what_the_loop_once_kept_has_a_place_in_its_rooms() -> None:
    """Earlier versions hand all of this over as the loop's own."""
    kept = (
        "at_once commands culprits dead effects ending_code environment exit_code facts faults"
        " held keys oom_file reasons rest_signal state sweeps taken"
    )
    verify({"loop": dict.fromkeys(kept.split())})
    rooms = [*Pid1.KEPT, *Spawning.KEPT, *Rest.KEPT, *Faults.KEPT]
    assert sorted(rooms) == sorted(set(rooms))


@pytest.mark.parametrize("value", [object(), 1j, {1: object()}, frozenset()])
def test_what_cannot_be_carried_is_refused(value: object) -> None:
    with pytest.raises(HandOverError, match="cannot carry"):
        pack(value)


def test_a_state_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "MAX_STATE_BYTES", 1000)
    assert pack(b"x" * 500)
    with pytest.raises(HandOverError, match="too long"):
        pack(b"x" * 1001)


@pytest.mark.parametrize("other", [0, 2, 99])
def test_another_format_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, other: int) -> None:
    monkeypatch.setattr(handover, "FORMAT", other)
    raw = pack(Supervisor())
    monkeypatch.setattr(handover, "FORMAT", image.FORMAT)
    with pytest.raises(HandOverError, match=f"format {other} .*takes over format 1"):
        unpack(raw)


def test_a_field_that_is_new_has_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older initpy's state, of the same format."""
    monkeypatch.setattr(Start, "__match_args__", ("key",))
    raw = pack(Start("web"))
    monkeypatch.undo()
    assert unpack(raw)[0] == Start("web", by_operator=False)


def test_a_field_that_is_not_known_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = pack(TimerFired("web", 1))
    monkeypatch.setattr(TimerFired, "__match_args__", ("key",))
    with pytest.raises(HandOverError, match="TimerFired has a epoch"):
        unpack(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"initpy-state 1 0.1 1",
        b"initpy-state 1 0.1 1\n",
        b"initpy-state x 0.1 1\nN",
        b"initpy-state 1 0.1 1\nN",
        b"#!/bin/sh\n",
        pytest.param(pack(Supervisor())[:-1], id="cut off"),
        pytest.param(pack(Supervisor()) + b"N", id="more behind it"),
    ],
)
def test_nonsense_is_refused(raw: bytes) -> None:
    with pytest.raises(HandOverError):
        unpack(raw)
