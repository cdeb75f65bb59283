"""In place of the standard library's: what the frozen modules do with it when they run, which is
next to nothing."""

import collections


class _Form:
    def __getitem__(self, parameters):
        return self


Any = BinaryIO = Callable = Tuple = _Form()


class _NamedTupleMeta(type):
    def __new__(cls, name, bases, namespace):
        if not bases:
            return type.__new__(cls, name, bases, namespace)
        return collections.namedtuple(name, namespace["__annotations__"])


class NamedTuple(metaclass=_NamedTupleMeta):
    """Without methods or defaults in the class's body."""
