"""Floor 2: the state of PID 1 as bytes, which the image that it executes next takes over.

The bytes are one line, `initpy-state FORMAT VERSION PID`, and then one value of `wire`, in which
what that codec does not carry is written as a tuple with its kind in front:

    ("t", item, …)            a tuple            ("d", key, value, …)   a dict
    ("l", item, …)            a list             ("y", bytes)           a bytearray
    ("u", item, …)            a set              (number, field, …)     an object
    ("r", number)             the tuple or value that was the so-many-th, once more

An object is of the class that has this number in the schema, which comes first and names each
class and its fields. So another version may have more fields, as long as the new ones have
defaults, and may have them in another order; one that has fewer, or other classes, says so.

A part of PID 1 names in `KEPT` what of it is handed over: all that is not made anew.
"""

from __future__ import annotations

import posix

from initpy import (
    __version__,
    controlplan,
    eventpipes,
    eventplan,
    feeding,
    helpers,
    inputs,
    logging_out,
    logplan,
    ownlog,
    parts,
    plan,
    rest,
    serving,
    spawning,
    sweeping,
    tracing,
    wire,
)
from initpy.core import door, messages, orders, states, supervisor
from initpy.core.values import Value
from initpy.linux import reaper, signals
from initpy.linux.image import FORMAT, MAGIC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    State = dict[str, dict[str, Any]]

OWN = "handover"
"""What the state says of the hand-over itself."""

MAX_STATE_BYTES = 64 * 1024 * 1024
"""More is a fault; 1,000 programs make about 1 MB."""

_MODULES = (
    controlplan,
    door,
    eventpipes,
    eventplan,
    feeding,
    helpers,
    inputs,
    logging_out,
    logplan,
    messages,
    orders,
    ownlog,
    parts,
    plan,
    reaper,
    rest,
    serving,
    signals,
    spawning,
    states,
    supervisor,
    sweeping,
    tracing,
    wire,
)


class HandOverError(Exception):
    """This state cannot be taken over; the text is for the operator."""


def _classes() -> dict[str, type]:
    """All that may be in a state, by name: the values, and the objects that say what is KEPT."""
    found = {}
    for module in _MODULES:
        for name, member in vars(module).items():
            if isinstance(member, type) and (issubclass(member, Value) or "KEPT" in vars(member)):
                found[name] = member
    return found


def _fields(cls: type) -> tuple[str, ...]:
    names: tuple[str, ...] = cls.__match_args__ if issubclass(cls, Value) else vars(cls)["KEPT"]
    return names


def capture(parts: Mapping[str, tuple[object, ...]]) -> State:
    """What the parts say they keep; each belongs to one object, or to several."""
    return {
        part: {name: getattr(owner, name) for owner in owners for name in _fields(type(owner))}
        for part, owners in parts.items()
    }


def restore(parts: Mapping[str, tuple[object, ...]], state: State) -> None:
    """Give the parts what was captured of them."""
    for part, owners in parts.items():
        kept = state.get(part, {})
        for owner in owners:
            for name in _fields(type(owner)):
                if name in kept:
                    setattr(owner, name, kept[name])


def verify(parts: Mapping[str, tuple[type, ...]], state: State) -> None:
    """See that there is a place for all that was captured.

    Raises:
        HandOverError: there is none for something.
    """
    for part, kept in state.items():
        known = {name for owner in parts.get(part, ()) for name in _fields(owner)}
        names = kept if part == OWN else known
        for name in kept:
            if name not in names:
                raise HandOverError(f"the state has {part}.{name} in it, which is not known")


# ---------------------------------------------------------------- bytes


def pack(state: object) -> bytes:
    """The state as bytes.

    Raises:
        HandOverError: something in it cannot be carried, or it is too long.
    """
    numbers: dict[type, int] = {}
    try:
        body = _Flattener(numbers).flat(state)
        schema = tuple([(cls.__name__, _fields(cls)) for cls in numbers])
        raw = wire.encode((schema, body))
    except wire.WireError as exc:
        raise HandOverError(str(exc)) from None
    if len(raw) > MAX_STATE_BYTES:
        raise HandOverError(f"the state is too long: {len(raw)} bytes")
    head = b"%b %d %b %d\n" % (MAGIC, FORMAT, __version__.encode(), posix.getpid())
    return head + raw


def unpack(raw: bytes) -> tuple[Any, str, int]:
    """The state, the version of the initpy whose it was, and its pid.

    Raises:
        HandOverError: it is not for this version, or no state at all.
    """
    head, _, body = raw.partition(b"\n")
    words = head.split(b" ")
    if len(words) != 4 or words[0] != MAGIC or not (words[1].isdigit() and words[3].isdigit()):
        raise HandOverError("that is no state of an initpy")
    version = words[2].decode(errors="replace")
    if int(words[1]) != FORMAT:
        raise HandOverError(
            f"the state is of format {int(words[1])} (initpy {version}), and this is"
            f" initpy {__version__}, which takes over format {FORMAT}"
        )
    try:
        decoded = wire.decode(body)
        if type(decoded) is not tuple or len(decoded) != 2:
            raise HandOverError("the state has no schema")
        return _Builder(decoded[0]).built(decoded[1]), version, int(words[3])
    except (wire.WireError, TypeError, ValueError, IndexError) as exc:
        raise HandOverError(f"the state makes no sense: {exc}") from None


_SCALARS = (int, float, str, bytes, bool)


class _Flattener:
    """What is there several times, as the specs of the plan and of the processes, is told once."""

    def __init__(self, numbers: dict[type, int]) -> None:
        """`numbers` is filled with the classes that occur."""
        self._numbers = numbers
        self._classes = _classes()
        self._told: dict[int, int] = {}

    def flat(self, value: Any) -> object:
        cls = type(value)
        if value is None or cls in _SCALARS:
            return value
        if cls is not tuple and not issubclass(cls, Value):
            return self._flat(cls, value)
        if id(value) in self._told:
            return ("r", self._told[id(value)])
        if cls is tuple:
            flat = ("t", *map(self.flat, value))
        else:
            fields = tuple(value)[: len(_fields(cls))]
            flat = (self._number(cls), *map(self.flat, fields))
        self._told[id(value)] = len(self._told)
        return flat

    def _number(self, cls: type) -> int:
        if self._classes.get(cls.__name__) is not cls:
            raise HandOverError(f"cannot carry a {cls.__name__}")
        return self._numbers.setdefault(cls, len(self._numbers))

    def _flat(self, cls: type, value: Any) -> object:
        if cls is list:
            return ("l", *map(self.flat, value))
        if cls is set:
            return ("u", *sorted(value))
        if cls is dict:
            return ("d", *[self.flat(each) for pair in value.items() for each in pair])
        if cls is bytearray:
            return ("y", bytes(value))
        number = self._number(cls)
        return (number, *[self.flat(getattr(value, name)) for name in _fields(cls)])


class _Builder:
    """The way back."""

    def __init__(self, schema: Any) -> None:
        self._told: list[object] = []
        self._schema: list[tuple[type, tuple[str, ...]]] = []
        classes = _classes()
        for name, fields in schema:
            if name not in classes:
                raise HandOverError(f"the state has a {name} in it, of which nothing is known")
            for field in fields:
                if field not in _fields(classes[name]):
                    raise HandOverError(f"{name} has a {field} in the state, which is not known")
            self._schema.append((classes[name], fields))

    def built(self, flat: Any) -> Any:
        if type(flat) is not tuple:
            return flat
        kind, items = flat[0], [self.built(item) for item in flat[1:]]
        if kind == "t":
            value: object = tuple(items)
        elif kind == "r":
            return self._told[items[0]]
        elif kind == "l":
            return items
        elif kind == "u":
            return set(items)
        elif kind == "d":
            return dict(zip(items[::2], items[1::2], strict=True))
        elif kind == "y":
            return bytearray(items[0])
        elif type(kind) is int and 0 <= kind < len(self._schema):
            cls, names = self._schema[kind]
            if not issubclass(cls, Value):
                return _object(cls, names, items)
            if names == cls.__match_args__ and len(names) == len(items):
                value = cls(*items)
            else:
                value = cls(**dict(zip(names, items, strict=True)))
        else:
            raise HandOverError(f"the state has a {kind!r} in it, of which nothing is known")
        self._told.append(value)
        return value


def _object(cls: type, names: tuple[str, ...], items: list[object]) -> object:
    made: object = object.__new__(cls)
    for name, item in zip(names, items, strict=True):
        setattr(made, name, item)
    return made
