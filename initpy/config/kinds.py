"""The kinds of values that settings take: what each accepts, and how that is said.

A kind knows its words for "expected …", its JSON Schema, and how to read what tomllib made of the
file. `read` reports what is wrong and then returns None. Here are those that are a number or a
word; what is text is in `texts`, what is about signals in `signalkinds`.
"""

from __future__ import annotations

from abc import abstractmethod

from initpy.config.expansion import expanded
from initpy.config.problems import shown
from initpy.config.toml import FloatText
from initpy.core.values import Value
from initpy.plan import (
    ALWAYS,
    NEVER,
    UNEXPECTED,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeGuard

    from initpy.config.problems import Place

    Schema = dict[str, Any]

MOST = 2**31 - 1
"""The largest number anywhere: what the clients of supervisord's API can be told."""

TEMPLATE_PATTERN = "\\$\\{|%\\("
"""In JSON Schema: a string with something in it that is replaced."""

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
        return {"type": ["boolean", "string"], "pattern": TEMPLATE_PATTERN}

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
            "pattern": TEMPLATE_PATTERN,
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
            "pattern": TEMPLATE_PATTERN,
        }

    def read(self, value: object, place: Place) -> float | None:
        value = filled_in(value, place, number_of)
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
            "pattern": TEMPLATE_PATTERN,
        }

    def read(self, value: object, place: Place) -> float | None:
        value = filled_in(value, place, number_of)
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
            "pattern": f"^(?:0o)?[0-7]{{1,4}}$|{TEMPLATE_PATTERN}",
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


class Autorestart(Kind):
    @property
    def expected(self) -> str:
        return 'true, false or "unexpected"'

    @property
    def schema(self) -> Schema:
        template = {"type": "string", "pattern": TEMPLATE_PATTERN}
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


def is_whole(value: object) -> TypeGuard[int]:
    """It is an integer; True and False are none here."""
    return isinstance(value, int) and not isinstance(value, bool)


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


def number_of(text: str) -> float | str:
    """The number that a string is; of any other, the string itself."""
    try:
        return FloatText(text) if text.isascii() else text
    except ValueError:
        return text


def has_no_nul(text: str, place: Place) -> bool:
    if "\0" in text:
        place.problem("expected text without a NUL byte")
        return False
    return True
