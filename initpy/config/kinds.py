"""The kinds of values that settings take: what each accepts, and how that is said.

A kind knows its words for "expected …", its JSON Schema, and how to read what tomllib made of the
file. `read` reports what is wrong and then returns None.
"""

from __future__ import annotations

from abc import abstractmethod

from initpy.config.expansion import expanded
from initpy.config.problems import kind_of, nearest, shown
from initpy.config.signals import SIGNAL_NAMES, Action, signum_of, why_not_remapped
from initpy.config.toml import FloatText
from initpy.core.values import Value
from initpy.plan import (
    ALWAYS,
    FORWARD,
    IGNORE,
    NEVER,
    RELOAD,
    REOPEN,
    SHUTDOWN,
    UNEXPECTED,
    UPGRADE,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeGuard

    from initpy.config.problems import Place

    Schema = dict[str, Any]

MOST = 2**31 - 1
"""The largest number anywhere: what the clients of supervisord's API can be told."""

_SIGNAL = "(?:[A-Za-z][A-Za-z0-9]*(?:[+-][0-9]{1,2})?|[0-9]{1,2})"
_SIGNAL_PATTERN = f"^{_SIGNAL}$"

_KILL = 9

_TEMPLATE_PATTERN = "\\$\\{|%\\("

_WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}

_QUOTES = frozenset("\"'\\")
"""Without these, words are what stands between spaces."""


class Kind(Value):
    """What a setting accepts. Kinds without fields are used as they are, others with theirs."""

    @property
    @abstractmethod
    def expected(self) -> str:
        """What follows "expected "."""

    @property
    def label(self) -> str:
        """The same in a table."""
        return self.expected

    @property
    @abstractmethod
    def schema(self) -> Schema:
        """As JSON Schema."""

    @property
    def expands(self) -> bool:
        """`${…}` and `%(…)s` in it are replaced."""
        return False

    @abstractmethod
    def read(self, value: object, place: Place) -> Any:
        """`value` as the program's own type, or None, and a problem at `place`."""


class Flag(Kind):
    @property
    def expected(self) -> str:
        return "true or false"

    @property
    def schema(self) -> Schema:
        return {"type": ["boolean", "string"], "pattern": _TEMPLATE_PATTERN}

    def read(self, value: object, place: Place) -> bool | None:
        value = filled_in(value, place, flag_of)
        if isinstance(value, bool):
            return value
        if value is not None:
            place.expected(self.expected, value)
        return None


class Condition(Kind):
    """A flag for which any string will do that says yes or no; nothing says no."""

    @property
    def expected(self) -> str:
        return (
            'true or false, or a string: "true", "yes", "on", "1", "false", "no", "off", "0" or ""'
        )

    @property
    def label(self) -> str:
        return 'true or false, or a string such as "${VAR:-true}"'

    @property
    def schema(self) -> Schema:
        return {"type": ["boolean", "string"]}

    @property
    def expands(self) -> bool:
        return True

    def read(self, value: object, place: Place) -> bool | None:
        if isinstance(value, str):
            value = expanded(value, place, place.expander)
            if value is None:
                return None
            value = {"": False, **_WORDS}.get(value.strip().lower(), value)
        if isinstance(value, bool):
            return value
        place.expected(self.expected, value)
        return None


class OneOf(Kind):
    words: tuple[str, ...]

    @property
    def expected(self) -> str:
        return " or ".join([shown(word) for word in self.words])

    @property
    def schema(self) -> Schema:
        return {"enum": list(self.words)}

    def read(self, value: object, place: Place) -> str | None:
        if isinstance(value, str) and value in self.words:
            return value
        place.expected(self.expected, value)
        return None


class Whole(Kind):
    least: int = -MOST
    most: int = MOST

    @property
    def expected(self) -> str:
        if self.most < MOST:
            return f"a whole number from {self.least} to {self.most}"
        return f"a whole number, {self.least} or more" if self.least > -MOST else "a whole number"

    @property
    def schema(self) -> Schema:
        return {
            "type": ["integer", "string"],
            "minimum": self.least,
            "maximum": self.most,
            "pattern": _TEMPLATE_PATTERN,
        }

    def read(self, value: object, place: Place) -> int | None:
        value = filled_in(value, place, whole_of)
        if value is None:
            return None
        if not is_whole(value):
            place.expected(self.expected, value)
        elif value > MOST or value < -MOST:
            place.expected(f"a whole number of at most {MOST}", value)
        elif not self.least <= value <= self.most:
            place.expected(self.expected, value)
        else:
            return value
        return None


class Seconds(Kind):
    above_zero: bool = False

    @property
    def expected(self) -> str:
        return "a number of seconds, " + ("above 0" if self.above_zero else "0 or more")

    @property
    def schema(self) -> Schema:
        least = "exclusiveMinimum" if self.above_zero else "minimum"
        return {
            "type": ["number", "string"],
            least: 0,
            "maximum": MOST,
            "pattern": _TEMPLATE_PATTERN,
        }

    def read(self, value: object, place: Place) -> float | None:
        value = filled_in(value, place, _number_of)
        if value is None:
            return None
        if is_whole(value) or isinstance(value, float):
            if value > MOST:
                place.expected(f"at most {MOST} seconds", value)
                return None
            if value > 0 or (value == 0 and not self.above_zero):  # a NaN is neither
                return float(value)
        place.expected(self.expected, value)
        return None


class Number(Kind):
    """With or without a fraction."""

    least: int
    most: int = MOST

    @property
    def expected(self) -> str:
        if self.most < MOST:
            return f"a number from {self.least} to {self.most}"
        return f"a number, {self.least} or more"

    @property
    def schema(self) -> Schema:
        return {
            "type": ["number", "string"],
            "minimum": self.least,
            "maximum": self.most,
            "pattern": _TEMPLATE_PATTERN,
        }

    def read(self, value: object, place: Place) -> float | None:
        value = filled_in(value, place, _number_of)
        if value is None:
            return None
        if is_whole(value) or isinstance(value, float):
            if self.least <= value <= self.most:  # a NaN is not
                return float(value)
            if value > MOST:
                place.expected(f"a number of at most {MOST}", value)
                return None
        place.expected(self.expected, value)
        return None


class Text(Kind):
    what: str = "a string"

    @property
    def expected(self) -> str:
        return self.what

    @property
    def schema(self) -> Schema:
        return {"type": "string", "minLength": 1}

    @property
    def expands(self) -> bool:
        return True

    def read(self, value: object, place: Place) -> str | None:
        if not isinstance(value, str) or not value:
            place.expected(self.expected, value)
        elif has_no_nul(value, place):
            return value
        return None


class Names(Kind):
    """A list of names, or one name alone; read as a tuple of (name, its place)."""

    what: str
    at_least: int = 0
    one: str = "a name"

    @property
    def expected(self) -> str:
        return f"a list of {self.what}, or one"

    @property
    def schema(self) -> Schema:
        item = {"type": "string", "minLength": 1}
        items = {"type": "array", "items": item, "minItems": self.at_least}
        return {"anyOf": [items, item]}

    @property
    def expands(self) -> bool:
        return True

    def read(self, value: object, place: Place) -> tuple[tuple[str, Place], ...] | None:
        if isinstance(value, str) and value:
            return ((value, place),) if has_no_nul(value, place) else None
        if not isinstance(value, list) or len(value) < self.at_least:
            empty = "an empty list" if isinstance(value, list) else shown(value)
            place.problem(f"expected {self.expected}, not {empty}")
            return None
        names = []
        for number, name in enumerate(value):
            item = place.at(number)
            if not isinstance(name, str) or not name:
                item.expected(self.one, name)
            elif has_no_nul(name, item):
                names.append((name, item))
        return tuple(names)


class NamesAmong(Names):
    """The same where each has to be one of `words`, in any case; read as these."""

    words: tuple[str, ...] = ()

    @property
    def schema(self) -> Schema:
        item = {"type": "string", "minLength": 1, "examples": list(self.words)}
        items = {"type": "array", "items": item, "minItems": self.at_least}
        return {"anyOf": [items, item]}

    def read(self, value: object, place: Place) -> tuple[tuple[str, Place], ...] | None:
        found = []
        for text, item in super().read(value, place) or ():
            name = expanded(text, item, item.expander) if is_template(text) else text
            if name is None:
                continue
            if name.upper() not in self.words:
                known = nearest(name.upper(), self.words)
                item.problem(f"expected {self.one}, not {shown(name)}{known}")
            found.append((name.upper(), item))
        return tuple(found)


class Command(Kind):
    """Read as a tuple of (word, its place), not expanded yet."""

    @property
    def expected(self) -> str:
        return "a list of strings, or one string that is split as a shell splits it"

    @property
    def schema(self) -> Schema:
        words = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        return {"anyOf": [words, {"type": "string", "pattern": "\\S"}]}

    @property
    def expands(self) -> bool:
        return True

    def read(self, value: object, place: Place) -> tuple[tuple[str, Place], ...] | None:
        if isinstance(value, str):
            words = self._split(value, place)
            return None if words is None else tuple([(word, place) for word in words])
        if not isinstance(value, list):
            place.expected(self.expected, value)
            return None
        if not value:
            place.problem("command is empty")
            return None
        found = []
        for number, word in enumerate(value):
            item = place.at(number)
            if not isinstance(word, str):
                item.expected("a string", word)
            elif has_no_nul(word, item):
                found.append((word, item))
        return tuple(found) if len(found) == len(value) else None

    def _split(self, value: str, place: Place) -> list[str] | None:
        if not has_no_nul(value, place):
            return None
        try:
            words = _split_as_a_shell(value)
        except ValueError as exc:
            place.problem(f"can't parse command {shown(value)}: {exc}")
            return None
        if not words:
            place.problem("command is empty")
        return words or None


def _split_as_a_shell(text: str) -> list[str]:
    if text.isascii() and text.isprintable() and not _QUOTES.intersection(text):
        return text.split()  # spares a container's start the 6 ms that shlex takes
    import shlex  # noqa: PLC0415

    return shlex.split(text)


class Environment(Kind):
    """Read as a dict of name → (value, its place). A value is never part of a problem."""

    @property
    def expected(self) -> str:
        return 'a table such as { NAME = "value" }'

    @property
    def schema(self) -> Schema:
        return {
            "type": "object",
            "propertyNames": {"pattern": "^[^=]+$"},
            "additionalProperties": {"type": ["string", "number"]},
        }

    @property
    def expands(self) -> bool:
        return True

    def read(self, value: object, place: Place) -> dict[str, tuple[str, Place]] | None:
        if not isinstance(value, dict):
            place.problem(f"expected {self.expected}, not {kind_of(value)}")
            return None
        found = {}
        for name, item in value.items():
            text = self._read_item(name, item, place.at(name))
            if text is not None:
                found[name] = (text, place.at(name))
        return found

    def _read_item(self, name: str, value: object, place: Place) -> str | None:
        if not name or "=" in name or "\0" in name:
            place.problem('expected a name that is not empty and has no "=" or NUL in it')
        elif isinstance(value, bool):
            place.problem('expected a string or a number; quote it: "true" or "false"')
        elif isinstance(value, str):
            return value if has_no_nul(value, place) else None
        elif is_whole(value) and abs(value) < 2**64:
            return str(value)
        elif isinstance(value, FloatText) and value - value == 0:
            return value.text
        elif isinstance(value, (int, float)):
            place.problem("expected a string or an ordinary number; quote it")
        else:
            place.problem(f"expected a string or a number, not {kind_of(value)}")
        return None


class Account(Kind):
    """A user or a group: read as a name (not expanded yet) or a number."""

    what: str

    @property
    def expected(self) -> str:
        return f"the name or the number of a {self.what}"

    @property
    def schema(self) -> Schema:
        return {"type": ["string", "integer"], "minLength": 1, "minimum": 0, "maximum": 2**32 - 2}

    @property
    def expands(self) -> bool:
        return True

    def read(self, value: object, place: Place) -> str | int | None:
        if is_whole(value) and 0 <= value < 2**32 - 1:
            return value
        if isinstance(value, str) and value:
            return value if has_no_nul(value, place) else None
        place.expected(self.expected, value)
        return None


class Umask(Kind):
    """An octal number: of a umask, or of a file's mode."""

    example: str = "022"

    @property
    def expected(self) -> str:
        return f'an octal number, "{self.example}" or 0o{self.example.lstrip("0").rjust(3, "0")}'

    @property
    def schema(self) -> Schema:
        return {
            "type": ["string", "integer"],
            "pattern": f"^(?:0o)?[0-7]{{1,4}}$|{_TEMPLATE_PATTERN}",
            "minimum": 0,
            "maximum": 0o777,
        }

    def read(self, value: object, place: Place) -> int | None:
        mask = -1
        value = filled_in(value, place, str)
        if value is None:
            return None
        if isinstance(value, str):
            digits = value.removeprefix("0o")
            if 1 <= len(digits) <= 4 and set(digits) <= set("01234567"):
                mask = int(digits, 8)
        elif is_whole(value) and (value == 0 or place.raw().startswith("0o")):
            mask = value  # a decimal 22 would silently be 0o026
        if 0 <= mask <= 0o777:
            return mask
        place.expected(self.expected, value)
        return None


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
        one = {**number, "pattern": f"{_SIGNAL_PATTERN}|{_TEMPLATE_PATTERN}"}
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
    elif (span_s := Seconds().read(_number_of(seconds), place)) is not None:
        return signum, span_s
    return None


class Autorestart(Kind):
    @property
    def expected(self) -> str:
        return 'true, false or "unexpected"'

    @property
    def schema(self) -> Schema:
        template = {"type": "string", "pattern": _TEMPLATE_PATTERN}
        return {"anyOf": [{"enum": [True, False, "unexpected"]}, template]}

    def read(self, value: object, place: Place) -> int | None:
        value = filled_in(value, place, flag_of)
        if isinstance(value, bool):
            return ALWAYS if value else NEVER
        if value == "unexpected":
            return UNEXPECTED
        if value is not None:
            place.expected(self.expected, value)
        return None


class ExitCodes(Kind):
    @property
    def expected(self) -> str:
        return "a list of whole numbers from 0 to 255, or one"

    @property
    def schema(self) -> Schema:
        code = Whole(0, 255).schema
        return {"anyOf": [{"type": "array", "items": code}, code]}

    def read(self, value: object, place: Place) -> tuple[int, ...] | None:
        code = Whole(0, 255)
        if is_whole(value) or is_template(value):
            only = code.read(value, place)
            return None if only is None else (only,)
        if not isinstance(value, list):
            place.expected(self.expected, value)
            return None
        codes = [code.read(item, place.at(number)) for number, item in enumerate(value)]
        return tuple([found for found in codes if found is not None])


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


def is_whole(value: object) -> TypeGuard[int]:
    """It is an integer; True and False are none here."""
    return isinstance(value, int) and not isinstance(value, bool)


def _signum(value: object) -> int | None:
    return signum_of(value) if isinstance(value, str) or is_whole(value) else None


def is_template(value: object) -> TypeGuard[str]:
    """It is a string with something in it that is replaced."""
    return isinstance(value, str) and ("${" in value or "%(" in value)


def filled_in(value: object, place: Place, meaning: Callable[[str], object]) -> object:
    """`value`, or the `meaning` of what it expands to if it is a string that has to be expanded.

    None: it cannot be expanded, and that is reported.
    """
    if not is_template(value):
        return value
    text = expanded(value, place, place.expander)
    return None if text is None else meaning(text.strip())


def flag_of(text: str) -> bool | str:
    """What a word of supervisord's says; any other word itself."""
    return _WORDS.get(text.lower(), text)


def whole_of(text: str) -> int | str:
    """The whole number that a string is; of any other, the string itself."""
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 20 else text


def _number_of(text: str) -> float | str:
    try:
        return FloatText(text) if text.isascii() else text
    except ValueError:
        return text


def has_no_nul(text: str, place: Place) -> bool:
    if "\0" in text:
        place.problem("expected text without a NUL byte")
        return False
    return True


def _nearest_signal(name: str) -> str:
    return nearest(name.upper().removeprefix("SIG"), SIGNAL_NAMES)
