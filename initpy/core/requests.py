"""What the supervisor does about a client's request: a part of its turn that only those have in
memory who have clients."""

from __future__ import annotations

from initpy.core.conditions import is_down
from initpy.core.door import Process
from initpy.core.messages import (
    WARN,
    Answer,
    ReadPlan,
    Refuse,
    ReopenLogs,
    Request,
    Signal,
    Start,
    Stop,
    UsePlan,
)
from initpy.core.orders import AddGroup, Reload, RemoveGroup, Reopen, Reread, Restart, ShutDown
from initpy.core.supervisor import Cause, Phase
from initpy.core.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.core.supervisor import Turn
    from initpy.core.values import Value


def take(turn: Turn, request: Request) -> None:
    """Take its order, and answer what comes of that; or, where the configuration has to be read
    first, when it has been."""
    order = request.order
    is_up = turn.supervisor.phase == Phase.UP
    if is_up and isinstance(order, (Reload, Restart, Reread)):
        turn.change(askers=(*turn.supervisor.askers, request))
        if not isinstance(order, Reread):
            turn.change(restarting=turn.supervisor.restarting or isinstance(order, Restart))
            turn.ask_for_plan()
        elif _rereads(turn) == [request]:
            turn.effects.append(ReadPlan(spare=True))
        return
    if is_up and isinstance(order, ShutDown):
        _answer(turn, request, "")  # while there is somebody to hear it
        turn.log(WARN, "a client has asked for the end")
        turn.shut_down(Cause(0, "stopped by a client"), drains=True)
        return
    before = len(turn.effects)
    _obey(turn, order)
    own = turn.effects[before:]
    refused = [it for it in own if isinstance(it, Refuse) and it.order is order]
    turn.effects[before:] = [it for it in own if it not in refused]
    _answer(turn, request, refused[0].fault if refused else "")


def answer_reloads(turn: Turn, fault: str) -> None:
    """The configuration has been read, and is in force; or it cannot be."""
    askers = turn.supervisor.askers
    turn.change(askers=tuple([it for it in askers if isinstance(it.order, Reread)]))
    for request in askers:
        if not isinstance(request.order, Reread):
            _answer(turn, request, fault)


def answer_reread(turn: Turn, fault: str) -> None:
    """The first has its answer; who asked later has another read."""
    asked = _rereads(turn)
    for request in asked[:1]:
        turn.change(askers=tuple([it for it in turn.supervisor.askers if it != request]))
        _answer(turn, request, fault)
    if asked[1:]:
        turn.effects.append(ReadPlan(spare=True))


def _rereads(turn: Turn) -> list[Request]:
    return [it for it in turn.supervisor.askers if isinstance(it.order, Reread)]


def _answer(turn: Turn, request: Request, fault: str) -> None:
    turn.effects.append(Answer(request.asker, request.number, fault))


def _obey(turn: Turn, order: Value) -> None:
    match order:
        case AddGroup(name=name) if turn.supervisor.phase == Phase.UP:
            _add_group(turn, order, name)
        case RemoveGroup(name=name) if turn.supervisor.phase == Phase.UP:
            _remove_group(turn, order, name)
        case Reopen():
            turn.effects.append(ReopenLogs())
        case Start() | Stop() | Signal():
            turn.order(order)
        case _:
            turn.effects.append(Refuse(order, "SHUTDOWN_STATE"))


def _group(turn: Turn, name: str) -> list[Process]:
    return [it for it in turn.supervisor.processes.values() if it.spec.group == name]


def _add_group(turn: Turn, order: AddGroup, name: str) -> None:
    """Its programs come as the configuration that was read last has them, and start as they would
    at the boot, but for that a failure ends nothing."""
    known = turn.supervisor.spare or turn.supervisor.plan
    added = [spec for spec in known.processes if spec.group == name]
    if _group(turn, name):
        turn.effects.append(Refuse(order, "ALREADY_ADDED"))
        return
    if not added:
        turn.effects.append(Refuse(order, "BAD_NAME"))
        return
    there = {spec.key: spec for spec in (*turn.supervisor.plan.processes, *added)}
    place = {spec.key: number for number, spec in enumerate(known.processes)}
    specs = sorted(there.values(), key=lambda spec: place.get(spec.key, -1))
    plan = replace(turn.supervisor.plan, processes=tuple(specs))
    turn.change(plan=plan, spare=known)
    turn.effects.append(UsePlan())
    for spec in added:
        turn.put(Process(spec, epoch=turn.supervisor.past_epoch))
    for spec in added:
        turn.start_after_reload(spec.key)
    turn.start_those_ready()


def _remove_group(turn: Turn, order: RemoveGroup, name: str) -> None:
    """It goes away, and so does what its dead instances have left behind. The configuration still
    has it."""
    processes = _group(turn, name)
    if not processes:
        turn.effects.append(Refuse(order, "BAD_NAME"))
        return
    if not all(is_down(process) for process in processes):
        turn.effects.append(Refuse(order, "STILL_RUNNING"))
        return
    known = turn.supervisor.spare or turn.supervisor.plan
    specs = [spec for spec in turn.supervisor.plan.processes if spec.group != name]
    plan = replace(turn.supervisor.plan, processes=tuple(specs))
    turn.change(plan=plan, spare=known)
    turn.effects.append(UsePlan())
    for process in processes:
        turn.no_longer_waits(process.spec.key)
        turn.stop_for_reload(process.spec.key)
    turn.start_those_ready()
