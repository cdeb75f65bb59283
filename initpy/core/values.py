"""The base of every value that PID 1 handles: frozen, with slots, and cheap to import.

`dataclasses` and `enum` would cost PID 1 more than the rest of it together (DESIGN §7), so this
small class gives the part of a frozen dataclass that is used: fields from the annotations,
defaults, equality, hashing, match arguments, a repr and `replace`. mypy reads the subclasses as
dataclasses.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from typing_extensions import dataclass_transform

    V = TypeVar("V", bound="Value")
else:

    def dataclass_transform(**_: object) -> object:
        return lambda cls: cls


_set = object.__setattr__


@dataclass_transform(frozen_default=True)
class _ValueType(type):
    """Turns a class body's annotations into slots, match arguments and defaults.

    It reads `__annotations__` from the class body, so a module that defines values has to begin
    with `from __future__ import annotations`.
    """

    __match_args__: tuple[str, ...]
    _defaults: dict[str, Any]

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> _ValueType:
        own = tuple(namespace.get("__annotations__", ()))
        defaults = {field: namespace.pop(field) for field in own if field in namespace}
        namespace["__slots__"] = own
        cls = super().__new__(mcs, name, bases, namespace)
        for base in bases:
            if isinstance(base, _ValueType):
                own = base.__match_args__ + own
                defaults = base._defaults | defaults
        cls.__match_args__ = own  # type: ignore[misc]
        cls._defaults = defaults
        return cls


class Value(metaclass=_ValueType):
    """A frozen value: two are equal when their types and all their fields are."""

    def __init__(self, *given: Any, **named: Any) -> None:
        """Take the fields in order or by name.

        Raises:
            TypeError: a field is missing, unknown, or given twice.
        """
        cls = type(self)
        fields = cls.__match_args__
        if len(given) > len(fields):
            raise TypeError(f"{cls.__name__} takes {len(fields)} fields, not {len(given)}")
        for field, value in zip(fields, given, strict=False):
            _set(self, field, value)
        for field in fields[len(given) :]:
            if field in named:
                _set(self, field, named.pop(field))
            elif field in cls._defaults:
                _set(self, field, cls._defaults[field])
            else:
                raise TypeError(f"{cls.__name__} needs {field}")
        if named:
            raise TypeError(f"{cls.__name__} cannot take {', '.join(named)}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: cannot set {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: cannot delete {name}")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return fields_of(self) == fields_of(other)

    def __hash__(self) -> int:
        return hash((type(self), fields_of(self)))

    def __repr__(self) -> str:
        fields = (f"{field}={getattr(self, field)!r}" for field in type(self).__match_args__)
        return f"{type(self).__name__}({', '.join(fields)})"


def fields_of(value: Value) -> tuple[Any, ...]:
    """The value's fields, in the order of its class body."""
    return tuple([getattr(value, field) for field in type(value).__match_args__])


def replace(value: V, **changes: Any) -> V:
    """A copy of `value` with some fields changed.

    Raises:
        TypeError: a name in `changes` is no field of it.
    """
    cls = type(value)
    new = cls.__new__(cls)
    for field in cls.__match_args__:
        _set(new, field, changes.pop(field) if field in changes else getattr(value, field))
    if changes:
        raise TypeError(f"{cls.__name__} has no field {', '.join(changes)}")
    return new
