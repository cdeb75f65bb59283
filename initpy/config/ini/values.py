"""What is written in an option of a supervisord.conf, as the TOML would have it.

Only how it is written changes here; whether it can be used is for the setting's kind to say, as
for the TOML. So what cannot be read goes on as the string that it is.
"""

from __future__ import annotations

import re
import shlex

from initpy.config.kinds import Autorestart, ExitCodes, Flag, Seconds, Whole, flag_of
from initpy.config.texts import Environment, Names
from initpy.config.toml import FloatText

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from initpy.config.kinds import Kind

_FORMAT = (
    r"%%"
    r"|%\([A-Za-z_][A-Za-z0-9_]*\)[-#0 +]*[0-9]*(?:\.[0-9]*)?[A-Za-z]"
)
"""What Python's % operator takes, when it is given names."""


class DialectError(Exception):
    """A value is not what supervisord would take; the text says why, and shows none of it."""


class Variables:
    """A value of `environment`, taken apart."""

    def __init__(self, text: str) -> None:
        """Read `NAME=value,NAME2="value 2"` with the lexer that supervisord has for it.

        `%(name)s` and `%%` go through as they are: supervisord replaces them before it looks for
        names and values, which breaks whatever has a comma or a quote in it.

        Raises:
            DialectError: it cannot be read.
        """
        self.values: dict[str, str] = {}
        self.strange: list[str] = []
        """What supervisord leaves out without a word."""
        kept: list[str] = []
        word = "initpy"
        while word in text:
            word += "Q"

        def keep(found: re.Match[str]) -> str:
            if found[0] == "%%":
                return "%"
            kept.append(found[0])
            return f"{word}{len(kept) - 1}{word}"

        def give_back(token: str) -> str:
            return re.sub(
                f"{word}([0-9]+){word}", lambda it: kept[int(it[1])], token.replace("%", "%%")
            )

        plain = re.sub(_FORMAT, keep, text)
        tokens = _tokens(plain)
        for at in range(0, len(tokens), 4):
            triple = tokens[at : at + 3]
            if len(triple) != 3 or triple[1] != "=":
                raise DialectError('expected NAME="value", with a comma between two of them')
            name, value = triple[0], give_back(triple[2].strip("'\""))
            if word in name:
                raise DialectError("expected a name without %(…)s in it")
            self.values[name] = value
            if tokens[at + 3 : at + 4] not in ([], [","]):
                self.strange.append(
                    f"expected a comma or the end behind the value of {name}: what is there is "
                    "left out, as supervisord does; quote the value"
                )
        if "#" in text and tokens != _tokens(plain, comments=""):
            self.strange.append(
                'all from "#" to the end of the line is left out, as supervisord does; '
                "quote the value"
            )


def _tokens(text: str, comments: str = "#") -> list[str]:
    lexer = shlex.shlex(text)
    lexer.commenters = comments
    lexer.wordchars += "/.+-():"
    try:
        return list(lexer)
    except ValueError:
        raise DialectError("expected a closing quote") from None


def lone_percent(text: str) -> bool:
    """There is a `%` in it that supervisord cannot make anything of."""
    return "%" in re.sub(_FORMAT, "", text)


def escaped_dollars(text: str) -> str:
    """The same for the TOML, where `${` and `$$` have a meaning."""
    return re.sub(r"\$+(?=\{)|\${2,}", lambda it: it[0] * 2, text)


def value_of(kind: Kind, text: str) -> Any:
    """An option's text as the TOML has it for a setting of this kind.

    Raises:
        DialectError: it cannot be read.
    """
    if isinstance(kind, Flag):
        return flag_of(text)
    if isinstance(kind, Autorestart):
        return text.lower() if text.lower() == "unexpected" else flag_of(text)
    if isinstance(kind, Seconds):
        return _seconds(text)
    if isinstance(kind, Whole):
        return _whole(text)
    if isinstance(kind, ExitCodes):
        return [_whole(item.strip()) for item in text.split(",")] if text else []
    if isinstance(kind, Names):
        return [escaped_dollars(item.strip()) for item in text.split(",")] if text else []
    if isinstance(kind, Environment):
        variables = Variables(text).values
        return {name: escaped_dollars(value) for name, value in variables.items()}
    return escaped_dollars(text)


def _whole(text: str) -> int | str:
    found = re.fullmatch(r"[-+]?[0-9]{1,20}", text, re.ASCII)
    return int(text) if found else text


def _seconds(text: str) -> int | float | str:
    found = re.fullmatch(r"\+?[0-9]{1,20}\.[0-9]{1,20}", text, re.ASCII)
    return FloatText(text.removeprefix("+")) if found else _whole(text)
