"""The kinds of settings that are small tables of their own."""

from __future__ import annotations

from initpy.config.kinds import Kind, Number, Seconds, Whole, filled_in, is_whole, whole_of
from initpy.config.problems import nearest
from initpy.core.values import Value
from initpy.plan import Backoff, RestartLimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from initpy.config.kinds import Schema
    from initpy.config.problems import Place

MAX_RESTARTS = 1000
"""PID 1 remembers the instant of each that counts."""

MAX_LIMIT = 2**63 - 1
"""What setrlimit takes."""

UNLIMITED = -1

RESOURCES = (
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
)
"""The limits that Linux has, and Python's `resource` as RLIMIT_…."""


class Field(Value):
    """One key of such a table."""

    key: str
    kind: Kind
    default: Any = None
    """As the file would have it; None: the key is required."""


class BackoffTable(Kind):
    @property
    def expected(self) -> str:
        return "a table such as { initial = 1, factor = 2, max = 60, jitter = 0.1 }"

    @property
    def schema(self) -> Schema:
        return schema_of(_BACKOFF)

    def read(self, value: object, place: Place) -> Backoff | None:
        found = read_fields(value, place, self.expected, _BACKOFF)
        if found is None:
            return None
        if found["max"] < found["initial"]:
            least, seen = _plain(found["initial"]), _plain(found["max"])
            wanted = f"expected a number of seconds, {least} or more, as initial is {least}"
            place.at("max").problem(f"{wanted}; not {seen}")
            return None
        return Backoff(found["initial"], found["factor"], found["max"], found["jitter"])


class RestartLimitTable(Kind):
    @property
    def expected(self) -> str:
        return "a table such as { count = 5, window = 60 }"

    @property
    def schema(self) -> Schema:
        return schema_of(_RESTART_LIMIT)

    def read(self, value: object, place: Place) -> RestartLimit | None:
        found = read_fields(value, place, self.expected, _RESTART_LIMIT)
        return None if found is None else RestartLimit(found["count"], found["window"])


class RlimitTable(Kind):
    """Read as a tuple of (number of the resource, soft limit, hard limit)."""

    @property
    def expected(self) -> str:
        return 'a table such as { nofile = 65536, core = "unlimited", nproc = [1024, 2048] }'

    @property
    def schema(self) -> Schema:
        limit = Limit().schema
        pair = {"type": "array", "items": limit, "minItems": 2, "maxItems": 2}
        item = {"anyOf": [limit, pair]}
        return {
            "type": "object",
            "additionalProperties": False,
            "properties": dict.fromkeys(RESOURCES, item),
        }

    def read(self, value: object, place: Place) -> tuple[tuple[int, int, int], ...] | None:
        import resource  # noqa: PLC0415 - few files set limits

        if not isinstance(value, dict):
            place.expected(self.expected, value)
            return None
        found = []
        for name, item in value.items():
            at = place.at(name)
            if name not in RESOURCES:
                at.problem(f"no such limit{nearest(name.lower(), RESOURCES)}")
            elif (limits := _soft_and_hard(item, at)) is not None:
                found.append((getattr(resource, f"RLIMIT_{name.upper()}"), *limits))
        return tuple(found)


class Limit(Kind):
    """A soft or a hard limit; read as -1 if there is none."""

    @property
    def expected(self) -> str:
        return 'a whole number, 0 or more, or "unlimited"'

    @property
    def schema(self) -> Schema:
        return {
            "type": ["integer", "string"],
            "minimum": 0,
            "maximum": MAX_LIMIT,
            "pattern": "^unlimited$|\\$\\{|%\\(",
        }

    def read(self, value: object, place: Place) -> int | None:
        value = filled_in(value, place, whole_of)
        if value == "unlimited":
            return UNLIMITED
        if is_whole(value) and 0 <= value <= MAX_LIMIT:
            return value
        if value is not None:
            place.expected(self.expected, value)
        return None


_BACKOFF = (
    Field("initial", Seconds(), 1),
    Field("factor", Number(1), 2),
    Field("max", Seconds(), 60),
    Field("jitter", Number(0, 1), 0.1),
)

_RESTART_LIMIT = (
    Field("count", Whole(1, MAX_RESTARTS)),
    Field("window", Seconds(above_zero=True)),
)


def read_fields(
    value: object, place: Place, expected: str, fields: tuple[Field, ...]
) -> dict[str, Any] | None:
    """The fields of a table, by key; None: something in it is wrong, and reported."""
    if not isinstance(value, dict):
        place.expected(expected, value)
        return None
    known = [field.key for field in fields]
    for key in value:
        if key not in known:
            place.at(key).problem(f"unknown key{nearest(key, known)}")
    found: dict[str, Any] = {}
    for field in fields:
        at = place.at(field.key)
        if field.key in value or field.default is not None:
            found[field.key] = field.kind.read(value.get(field.key, field.default), at)
        else:
            at.problem(f"missing; expected {field.kind.expected}")
    if None in found.values() or set(found) < set(known) or not set(value) <= set(known):
        return None
    return found


def _plain(number: float) -> str:
    return repr(number).removesuffix(".0")


def schema_of(fields: tuple[Field, ...]) -> Schema:
    properties: Schema = {}
    for field in fields:
        properties[field.key] = dict(field.kind.schema)
        if field.default is not None:
            properties[field.key]["default"] = field.default
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": [field.key for field in fields if field.default is None],
    }


def _soft_and_hard(value: object, place: Place) -> tuple[int, int] | None:
    """The two limits that an item of `rlimits` says; None: it is wrong, and reported."""
    if not isinstance(value, list):
        limit = Limit().read(value, place)
        return None if limit is None else (limit, limit)
    if len(value) != 2:
        place.problem(f"expected a limit, or two: [soft, hard]; not a list of {len(value)}")
        return None
    soft, hard = [Limit().read(item, place.at(number)) for number, item in enumerate(value)]
    if soft is None or hard is None:
        return None
    if hard != UNLIMITED and (soft == UNLIMITED or soft > hard):
        place.problem("expected a soft limit that is not above the hard one: [soft, hard]")
        return None
    return soft, hard
