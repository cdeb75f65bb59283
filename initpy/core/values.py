"""The base of every value that PID 1 handles: frozen, and cheap to import, to make and to copy.

`dataclasses` and `enum` would cost PID 1 more than the rest of it together (DESIGN §7), so this
small class gives the part of a frozen dataclass that is used: fields from the annotations,
defaults, equality, hashing, match arguments, a repr and `replace`. Underneath it is a tuple, as a
namedtuple is, for that is the quickest that Python has; who reads a value goes by its fields. mypy
reads the subclasses as dataclasses.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from typing_extensions import dataclass_transform

    V = TypeVar("V", bound="Value")
    _Fields = object

    def _new(cls: type[V], fields: Any) -> V: ...
    def _tuple(value: Value) -> tuple[Any, ...]: ...
    def _are_equal(one: Value, other: object) -> bool: ...
    def _tuplegetter(place: int, doc: None) -> object: ...
else:
    from _collections import _tuplegetter  # what a namedtuple reads its fields with

    _Fields, _tuple = tuple, tuple
    _new, _are_equal = tuple.__new__, tuple.__eq__

    def dataclass_transform(**_: object) -> object:
        return lambda cls: cls


_NONE: dict[str, Any] = {}
"""The defaults of most."""

UNLUCKY_LENGTH = 20
"""CPython 3.11 sets freed tuples of 20 aside, up to 2,000, and never takes one of them again; each
value that is made frees one. So no value is a tuple of 20."""


@dataclass_transform(frozen_default=True)
class _ValueType(type):
    """Turns a class body's annotations into fields, match arguments and defaults.

    It reads `__annotations__` from the class body, so a module that defines values has to begin
    with `from __future__ import annotations`.
    """

    __match_args__: tuple[str, ...]
    _defaults: dict[str, Any]
    _pad: tuple[None, ...]

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> _ValueType:
        own = tuple(namespace.pop("__annotations__", ()))
        fields: tuple[str, ...] = ()
        defaults: dict[str, Any] = {}
        for base in bases:
            if isinstance(base, _ValueType):
                fields += base.__match_args__
                defaults.update(base._defaults)
        for field in own:
            if field in namespace:
                defaults[field] = namespace.pop(field)
        place = len(fields)
        for field in own:
            namespace[field] = _tuplegetter(place, None)
            place += 1
        namespace["__slots__"] = ()
        cls = super().__new__(mcs, name, bases, namespace)
        cls.__match_args__ = fields + own  # type: ignore[misc]
        cls._defaults = defaults or _NONE
        cls._pad = (None,) if len(cls.__match_args__) == UNLUCKY_LENGTH else ()
        return cls


class Value(_Fields, metaclass=_ValueType):
    """A frozen value: two are equal when their types and all their fields are."""

    def __new__(cls, *given: Any, **named: Any) -> Any:
        """Take the fields in order or by name.

        Raises:
            TypeError: a field is missing, unknown, or given twice.
        """
        fields = cls.__match_args__
        if len(given) > len(fields):
            raise TypeError(f"{cls.__name__} takes {len(fields)} fields, not {len(given)}")
        if named or cls._pad or len(given) < len(fields):
            rest = [cls._field(field, named) for field in fields[len(given) :]]
            given = (*given, *rest, *cls._pad)
        if named:
            raise TypeError(f"{cls.__name__} cannot take {', '.join(named)}")
        return _new(cls, given)

    @classmethod
    def _field(cls, field: str, named: dict[str, Any]) -> Any:
        """A field that was not given in order."""
        if field in named:
            return named.pop(field)
        if field in cls._defaults:
            return cls._defaults[field]
        raise TypeError(f"{cls.__name__} needs {field}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: cannot set {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: cannot delete {name}")

    def __bool__(self) -> bool:
        return True  # also without any fields

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and _are_equal(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((type(self), fields_of(self)))

    def __repr__(self) -> str:
        fields = (f"{field}={getattr(self, field)!r}" for field in type(self).__match_args__)
        return f"{type(self).__name__}({', '.join(fields)})"


def fields_of(value: Value) -> tuple[Any, ...]:
    """The value's fields, in the order of its class body."""
    return _tuple(value)[: len(type(value).__match_args__)]


def replace(value: V, **changes: Any) -> V:
    """A copy of `value` with some fields changed.

    Raises:
        TypeError: a name in `changes` is no field of it.
    """
    cls = type(value)
    names = cls.__match_args__
    fields = [*_tuple(value)]
    for name, changed in changes.items():
        if name not in names:
            raise TypeError(f"{cls.__name__} has no field {name}")
        fields[names.index(name)] = changed
    return _new(cls, fields)
