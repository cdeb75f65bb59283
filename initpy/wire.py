"""Messages between PID 1 and its helpers: bounded frames, and values in them.

A frame is a 4-byte big-endian length and that many bytes. The bytes are one value, each item
behind a one-letter tag; what decodes is exactly None, bool, int, float, str, bytes, tuples of
these, and the classes in `_CLASSES`, field by field. An item that is there already is only referred
to: what many programs have in common is in PID 1's memory once. It is our own and not marshal or
pickle because those trust what they read, and a helper may have gone mad (DESIGN §1).
"""

from __future__ import annotations

from initpy.core.values import Value, fields_of
from initpy.plan import Backoff, Plan, ProcessSpec, RestartLimit, SignalRule

MAX_FRAME_BYTES = 64 * 1024 * 1024
"""A longer frame is refused: it can only be a fault. 1,000 programs make about 1 MB."""

MAX_DEPTH = 16

_CLASSES: dict[bytes, type[Value]] = {
    b"P": Plan,
    b"S": ProcessSpec,
    b"R": SignalRule,
    b"B": Backoff,
    b"L": RestartLimit,
}
_LETTERS = {cls: letter for letter, cls in _CLASSES.items()}

_LOADED_LATE = {
    b"W": ("initpy.logplan", "ChannelPlan"),
    b"X": ("initpy.logplan", "Sink"),
    b"C": ("initpy.controlplan", "ControlPlan"),
}
"""Classes of modules that PID 1 only loads where something of them is wanted: 30 kB each."""
_LATE_LETTERS = {name: letter for letter, name in _LOADED_LATE.items()}


class WireError(Exception):
    """The bytes are no value, or no frame, of this codec."""


def encode(value: object) -> bytes:
    """`value` as bytes.

    Raises:
        WireError: it, or something in it, is of a type that the codec does not carry.
    """
    return _encode(value, {}, 0)


def decode(raw: bytes) -> object:
    """The value that `encode` made `raw` from.

    Raises:
        WireError: whatever else `raw` is.
    """
    value, end = _decode(raw, 0, [], 0)
    if end != len(raw):
        raise WireError(f"{len(raw) - end} bytes too many")
    return value


def frame(value: object) -> bytes:
    """`value` as one frame.

    Raises:
        WireError: as `encode`, or it is longer than MAX_FRAME_BYTES.
    """
    raw = encode(value)
    if len(raw) > MAX_FRAME_BYTES:
        raise WireError(f"a frame of {len(raw)} bytes is too long")
    return len(raw).to_bytes(4, "big") + raw


class Frames:
    """Cuts what arrives into frames, however it was cut on the way.

    Holds at most one frame's bytes and one read; a frame that announces more than
    MAX_FRAME_BYTES is refused before its bytes are kept.
    """

    KEPT = ("held",)

    def __init__(self) -> None:
        self.held = bytearray()
        """The beginning of a frame whose rest has yet to come."""

    def feed(self, raw: bytes, values: list[object] | None = None) -> list[object]:
        """The values that are complete with `raw`, added to `values`.

        Raises:
            WireError: the sender does not speak this codec; nothing more can be made of it.
        """
        self.held += raw
        whole = []
        begin = 0
        while len(self.held) >= begin + 4:
            size = int.from_bytes(self.held[begin : begin + 4], "big")
            if size > MAX_FRAME_BYTES:
                raise WireError(f"a frame of {size} bytes is too long")
            end = begin + 4 + size
            if len(self.held) < end:
                break
            whole.append(decode(bytes(memoryview(self.held)[begin + 4 : end])))
            begin = end
        if values is None:
            values = []
        values += whole
        del self.held[:begin]  # last: what goes wrong before costs no bytes
        return values


def _encode(value: object, seen: dict[bytes, int], depth: int) -> bytes:
    """`seen` has the runs and the tuples so far, and the number of each."""
    if depth > MAX_DEPTH:
        raise WireError("nested too deep")
    if value is None:
        return b"N"
    if value is True:
        return b"T"
    if value is False:
        return b"F"
    if isinstance(value, Value):
        fields = [_encode(field, seen, depth + 1) for field in fields_of(value)]
        return _letter(type(value)) + b"".join(fields)
    if type(value) is tuple:
        items = [_encode(item, seen, depth + 1) for item in value]
        encoded = b"t" + len(value).to_bytes(4, "big") + b"".join(items)
    else:
        tag, run = _tagged(value)
        encoded = tag + len(run).to_bytes(4, "big") + run
    if encoded in seen:
        return b"r" + seen[encoded].to_bytes(4, "big")
    seen[encoded] = len(seen)
    return encoded


def _letter(cls: type[Value]) -> bytes:
    if cls in _LETTERS:
        return _LETTERS[cls]
    name = (cls.__module__, cls.__name__)
    if name in _LATE_LETTERS:
        return _LATE_LETTERS[name]
    raise WireError(f"cannot carry a {cls.__name__}")


def _class(letter: bytes) -> type[Value] | None:
    if letter not in _LOADED_LATE:
        return _CLASSES.get(letter)
    module, name = _LOADED_LATE[letter]
    if module == "initpy.logplan":
        import initpy.logplan as loaded  # noqa: PLC0415 - see above
    else:
        import initpy.controlplan as loaded  # type: ignore[no-redef] # noqa: PLC0415
    found: type[Value] = vars(loaded)[name]
    return found


def _tagged(value: object) -> tuple[bytes, bytes]:
    """The tag and the bytes of a scalar."""
    try:
        if type(value) is int:
            return b"i", b"%d" % value
        if type(value) is float:
            return b"f", repr(value).encode()
        if type(value) is str:
            return b"s", value.encode("utf-8", "surrogateescape")
    except ValueError as exc:  # too many digits, or half a character
        raise WireError(str(exc)) from None
    if type(value) is bytes:
        return b"b", value
    raise WireError(f"cannot carry a {type(value).__name__}")


def _decode(raw: bytes, at: int, seen: list[object], depth: int) -> tuple[object, int]:
    if depth > MAX_DEPTH:
        raise WireError("nested too deep")
    tag = raw[at : at + 1]
    at += 1
    if tag == b"r":
        return _referred(raw, at, seen), at + 4
    if tag == b"N":
        return None, at
    if tag == b"T":
        return True, at
    if tag == b"F":
        return False, at
    value: object
    if tag in (b"i", b"f", b"s", b"b"):
        run, at = _decode_run(raw, at)
        value = _scalar(tag, run)
    elif tag == b"t":
        count, at = _decode_count(raw, at)
        value, at = _decode_items(raw, at, count, seen, depth)
    elif (cls := _class(tag)) is not None:
        fields, at = _decode_items(raw, at, len(cls.__match_args__), seen, depth)
        return cls(*fields), at
    else:
        raise WireError(f"no such tag: {tag!r}")
    seen.append(value)
    return value, at


def _decode_items(
    raw: bytes, at: int, count: int, seen: list[object], depth: int
) -> tuple[tuple[object, ...], int]:
    items = []
    for _ in range(count):
        item, at = _decode(raw, at, seen, depth + 1)
        items.append(item)
    return tuple(items), at


def _referred(raw: bytes, at: int, seen: list[object]) -> object:
    number = int.from_bytes(raw[at : at + 4], "big")
    if at + 4 > len(raw) or number >= len(seen):
        raise WireError("refers to what is not there")
    return seen[number]


def _decode_count(raw: bytes, at: int) -> tuple[int, int]:
    """A length or a count, which can never be more than the bytes that are left."""
    end = at + 4
    size = int.from_bytes(raw[at:end], "big")
    if end > len(raw) or size > len(raw) - end:
        raise WireError("cut short")
    return size, end


def _decode_run(raw: bytes, at: int) -> tuple[bytes, int]:
    size, at = _decode_count(raw, at)
    return raw[at : at + size], at + size


def _scalar(tag: bytes, run: bytes) -> object:
    try:
        if tag == b"i":
            return int(run)
        if tag == b"f":
            return float(run.decode())
        if tag == b"s":
            return run.decode("utf-8", "surrogateescape")
    except ValueError:
        raise WireError(f"no {tag.decode()}: {run[:40]!r}") from None
    return run
