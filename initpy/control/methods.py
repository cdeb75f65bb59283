"""How a method of supervisord's API is called, and those of them that only look."""

from __future__ import annotations

from initpy.control.faults import (
    INCORRECT_PARAMETERS,
    SHUTDOWN_STATE,
    SIGNATURE_UNSUPPORTED,
    UNKNOWN_METHOD,
    Fault,
)
from initpy.control.model import MOODS, MOST, RUNNING
from initpy.core.states import STATE_NAMES
from initpy.core.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from initpy.control.model import ProcessView, Snapshot

    Look = Callable[[], Snapshot]

API_VERSION = "3.0"
"""supervisorctl refuses any other."""

SUPERVISOR_VERSION = "4.3.0"
"""Whose behaviour this is."""

MULTICALL = "system.multicall"
MAX_CALLS = 1000
"""In one of these: all their results are held in memory."""

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "int": (int,),
    "boolean": (bool, int),
    "array": (list,),
}


class Method(Value):
    """One method of the API."""

    name: str
    signature: tuple[str, ...]
    """The XML-RPC types of its result and of its parameters."""
    help: str
    call: Callable[..., Any]
    optional: int = 0
    """So many of the last parameters may be missing."""
    is_lenient: bool = False
    """It looks itself at what it is given."""


class Methods:
    """Looks methods up, checks what they are given, and calls them."""

    def __init__(self, methods: Sequence[Method]) -> None:
        """`methods`: those of supervisor.*; system.* is added."""
        own = (
            Method(
                "system.listMethods",
                ("array",),
                "The names of all methods.",
                lambda: sorted(self._methods),
            ),
            Method(
                "system.methodHelp",
                ("string", "string"),
                "What a method is for.",
                lambda name: self._known(name).help,
            ),
            Method(
                "system.methodSignature",
                ("array", "string"),
                "The types of a method's result and parameters.",
                lambda name: list(self._known(name).signature),
            ),
            Method(
                MULTICALL,
                ("array", "array"),
                "The results of several calls, made one after the other: each is {methodName, "
                "params}. A call that fails has {faultCode, faultString} for its result.",
                self._multicall,
            ),
        )
        self._methods = {method.name: method for method in (*methods, *own)}

    def call(self, name: str, parameters: Sequence[Any]) -> Any:
        """The result of a method.

        Raises:
            Fault: there is no such method, it takes other parameters, or it fails itself.
        """
        method = self._methods.get(name)
        if method is None:
            raise Fault(UNKNOWN_METHOD)
        kinds = [_TYPES[kind] for kind in method.signature[1:]]
        if not len(kinds) - method.optional <= len(parameters) <= len(kinds):
            raise Fault(INCORRECT_PARAMETERS)
        are_right = [type(it) in kind for it, kind in zip(parameters, kinds, strict=False)]
        if not (method.is_lenient or all(are_right)):
            raise Fault(INCORRECT_PARAMETERS)
        return method.call(*parameters)

    def _known(self, name: str) -> Method:
        if name not in self._methods:
            raise Fault(SIGNATURE_UNSUPPORTED)
        return self._methods[name]

    def _multicall(self, calls: list[Any]) -> list[Any]:
        """Results as they are, not each in a list: that is supervisord's way."""
        if len(calls) > MAX_CALLS:
            raise Fault(INCORRECT_PARAMETERS, f"more than {MAX_CALLS} calls in one")
        return [self._one_of_many(call) for call in calls]

    def _one_of_many(self, call: Any) -> Any:
        try:
            if not isinstance(call, dict) or "methodName" not in call:
                raise Fault(INCORRECT_PARAMETERS, "No methodName")
            if call["methodName"] == MULTICALL:
                raise Fault(INCORRECT_PARAMETERS, "Recursive system.multicall forbidden")
            parameters = call.get("params", [])
            if not isinstance(call["methodName"], str) or not isinstance(parameters, list):
                raise Fault(INCORRECT_PARAMETERS)
            return self.call(call["methodName"], parameters)
        except Fault as exc:
            return {"faultCode": exc.code, "faultString": exc.text}


def reading_methods(look: Look, identification: str) -> tuple[Method, ...]:
    """The methods of supervisor.* that only look; `look` gives the newest snapshot."""

    def snapshot() -> Snapshot:
        seen = look()
        if seen.mood < RUNNING:
            raise Fault(SHUTDOWN_STATE)
        return seen

    def constant(value: str) -> Callable[[], str]:
        def method() -> str:
            snapshot()
            return value

        return method

    def state() -> dict[str, Any]:
        mood = snapshot().mood
        return {"statecode": mood, "statename": MOODS[mood]}

    def process_info(name: str) -> dict[str, Any]:
        seen = snapshot()
        return info_of(seen.process(name), seen.now)

    def all_process_info() -> list[dict[str, Any]]:
        seen = snapshot()
        return [info_of(process, seen.now) for process in seen.by_name()]

    version = "The version of this API."
    return (
        Method("supervisor.getAPIVersion", ("string",), version, constant(API_VERSION)),
        Method("supervisor.getVersion", ("string",), version, constant(API_VERSION)),
        Method(
            "supervisor.getSupervisorVersion",
            ("string",),
            "The version of supervisord that is behaved like.",
            constant(SUPERVISOR_VERSION),
        ),
        Method(
            "supervisor.getIdentification",
            ("string",),
            "The name that the configuration gives to the whole.",
            constant(identification),
        ),
        Method("supervisor.getState", ("struct",), "What the whole is doing.", state),
        Method("supervisor.getPID", ("int",), "initpy's pid.", lambda: snapshot().pid),
        Method(
            "supervisor.getProcessInfo",
            ("struct", "string"),
            "All about the process NAME or GROUP:NAME.",
            process_info,
        ),
        Method(
            "supervisor.getAllProcessInfo",
            ("array",),
            "All about all processes.",
            all_process_info,
        ),
    )


def info_of(process: ProcessView, now: int) -> dict[str, Any]:
    """All about a process, as the API has it."""
    return {
        "name": process.name,
        "group": process.group,
        "start": min(process.started_at, MOST),
        "stop": min(process.stopped_at, MOST),
        "now": min(now, MOST),
        "state": int(process.state),
        "statename": STATE_NAMES[process.state],
        "spawnerr": process.spawnerr,
        "exitstatus": process.exitstatus,
        "logfile": process.stdout_logfile,
        "stdout_logfile": process.stdout_logfile,
        "stderr_logfile": process.stderr_logfile,
        "pid": process.pid,
        "description": process.description(now),
    }
