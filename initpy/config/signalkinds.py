"""Kinds of settings that are about signals: the steps of a stop, and what initpy does on one."""

from __future__ import annotations

from initpy.config.kinds import TEMPLATE_PATTERN, Kind, Seconds, filled_in, is_whole, number_of
from initpy.config.problems import nearest, shown
from initpy.config.signals import SIGNAL_NAMES, Action, signum_of, why_not_remapped
from initpy.plan import FORWARD, IGNORE, RELOAD, REOPEN, SHUTDOWN, UPGRADE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.config.kinds import Schema
    from initpy.config.problems import Place

_SIGNAL = "(?:[A-Za-z][A-Za-z0-9]*(?:[+-][0-9]{1,2})?|[0-9]{1,2})"
_SIGNAL_PATTERN = f"^{_SIGNAL}$"

_KILL = 9


class StopSignal(Kind):
    """A signal, or steps; read as a tuple of (signal, its seconds), None where none are named.

    KILL as the last of several steps, which is what comes anyway, is left out.
    """

    @property
    def expected(self) -> str:
        return 'a signal, or a list of steps such as ["TERM 10", "INT 5", "KILL"]'

    @property
    def schema(self) -> Schema:
        number = {"type": ["string", "integer"], "minimum": 1, "maximum": 64}
        step = {**number, "pattern": f"^\\s*{_SIGNAL}(?:\\s+[0-9.]+)?\\s*$"}
        steps = {"type": "array", "items": step, "minItems": 1}
        one = {**number, "pattern": f"{_SIGNAL_PATTERN}|{TEMPLATE_PATTERN}"}
        return {"anyOf": [steps, one]}

    def read(self, value: object, place: Place) -> tuple[tuple[int, float | None], ...] | None:
        value = filled_in(value, place, str)
        if value is None:
            return None
        if not isinstance(value, list):
            signum = _signum(value)
            if signum is None:
                place.expected(self.expected, value)
                return None
            return ((signum, None),)
        if not value:
            place.problem(f"expected {self.expected}, not an empty list")
        steps = []
        for number, item in enumerate(value):
            step = _read_step(item, place.at(number), is_last=number == len(value) - 1)
            if step is not None:
                steps.append(step)
        if not steps or len(steps) < len(value):
            return None
        if len(steps) > 1 and steps[-1][0] == _KILL:
            del steps[-1]
        return tuple(steps)


def _read_step(value: object, place: Place, is_last: bool) -> tuple[int, float | None] | None:
    name, seconds = value, ""
    if isinstance(value, str):
        name, _, seconds = " ".join(value.split()).partition(" ")
    signum = _signum(name)
    if signum is None or not set(seconds) <= set("0123456789."):
        place.expected('a signal and its seconds, such as "TERM 10"', value)
    elif signum == _KILL and not is_last:
        place.problem("expected KILL as the last step only, for nothing survives it")
    elif signum == _KILL and seconds:
        place.problem('expected "KILL" without seconds, for nothing comes after it')
    elif not seconds:
        return signum, None
    elif (span_s := Seconds().read(number_of(seconds), place)) is not None:
        return signum, span_s
    return None


class SignalAction(Kind):
    """What initpy does on a signal; read as an Action."""

    @property
    def expected(self) -> str:
        return (
            '"shutdown", "reload", "reopen", "upgrade", "ignore", "forward", "forward:NAME", '
            '"forward:NAME=SIGNAL" or "forward=SIGNAL"'
        )

    @property
    def label(self) -> str:
        return "an action"

    @property
    def schema(self) -> Schema:
        forward = f"forward(?::.+)?(?:={_SIGNAL})?"
        actions = "shutdown|reload|reopen|upgrade|ignore"
        return {"type": "string", "pattern": f"^(?:{actions}|{forward})$"}

    def read(self, value: object, place: Place) -> Action | None:
        if value in (SHUTDOWN, RELOAD, REOPEN, UPGRADE, IGNORE, FORWARD):
            return Action(str(value))
        if not isinstance(value, str) or not value.startswith((f"{FORWARD}:", f"{FORWARD}=")):
            place.expected(self.expected, value)
            return None
        rest = value[len(FORWARD) :]
        target, equals, name = rest.rpartition("=") if "=" in rest else (rest, "", "")
        send = signum_of(name) if equals else 0
        if send is None:
            place.problem(f'expected a signal after "=", not {shown(name)} in {shown(value)}')
        elif target == ":":
            place.problem(f'expected a name after ":", not {shown(value)}')
        else:
            return Action(FORWARD, target[1:], send)
        return None


class SignalTable(Kind):
    """[init.signals]: read as a dict of signal number → (Action, its place)."""

    @property
    def expected(self) -> str:
        return "a table of signals and their actions"

    @property
    def schema(self) -> Schema:
        return {
            "type": "object",
            "propertyNames": {"pattern": _SIGNAL_PATTERN},
            "additionalProperties": SignalAction().schema,
        }

    def read(self, value: object, place: Place) -> dict[int, tuple[Action, Place]] | None:
        if not isinstance(value, dict):
            place.expected(self.expected, value)
            return None
        found: dict[int, tuple[Action, Place]] = {}
        for name, item in value.items():
            at = place.at(name)
            signum = signum_of(name)
            if signum is None:
                at.problem(f"no such signal{_nearest_signal(name)}")
            elif reason := why_not_remapped(signum):
                at.problem(f"cannot be changed: {reason}")
            elif signum in found:
                at.problem(f"the same signal as {found[signum][1].path[-1]}")
            elif (action := SignalAction().read(item, at)) is not None:
                found[signum] = (action, at)
        return found


def _signum(value: object) -> int | None:
    return signum_of(value) if isinstance(value, str) or is_whole(value) else None


def _nearest_signal(name: str) -> str:
    return nearest(name.upper().removeprefix("SIG"), SIGNAL_NAMES)
