"""What stands for something else in a string: `${VAR}`, and supervisord's `%(name)s`.

`${VAR}`, `${VAR:-default}` and `$$` are the shell's; `%(ENV_VAR)s`, `%(program_name)s`,
`%(process_num)02d` … and `%%` are supervisord's. Any other `$` and `%` stays as it is.
"""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from initpy.config.problems import Place

MAX_CHARS = 131_071
"""The kernel takes no longer argument or variable (MAX_ARG_STRLEN)."""

PROGRAM_NAME = "%(program_name)s"
"""The default of process_name."""

MAX_DEPTH = 10
"""Of defaults within defaults."""

_REFERENCE = (
    r"\$\$|%%"
    r"|\$\{(?P<variable>[A-Za-z_][A-Za-z0-9_]*)(?P<after>\}|:-)"
    r"|%\((?P<name>[A-Za-z_][A-Za-z0-9_]*)\)"
    r"(?P<format>[-#0 +]*[0-9]{0,3}(?:\.[0-9]{0,3})?[A-Za-z]?)"
)
_BRACE = r"\$\{|\}"
"""Compiled when needed, in few files: `re` takes 5 ms of a container's start."""


class ExpansionError(Exception):
    """A string cannot be expanded; the text names what is missing, and shows no value."""


class Expander:
    """Expands strings with the variables of some environments and some names of ours."""

    def __init__(self, here: str, *environs: Mapping[str, str], **names: str | int) -> None:
        """Take the names; a variable is looked up in the first of `environs` that has it."""
        self._environs = environs
        self._names: dict[str, str | int] = {"here": here, **names}

    def with_environ(self, environ: Mapping[str, str]) -> Expander:
        """The same with one more environment, which goes before the others."""
        new = Expander("", environ, *self._environs)
        new._names = self._names
        return new

    def with_names(self, **names: str | int) -> Expander:
        """The same with more names of ours."""
        new = Expander("", *self._environs)
        new._names = {**self._names, **names}
        return new

    def expand(self, text: str) -> str:
        """`text` with everything in it replaced.

        Raises:
            ExpansionError: something in it is not known, or the result is longer than MAX_CHARS.
        """
        text = self._expand(text, 0)
        try:
            text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise ExpansionError("a character in it cannot be encoded") from None
        return text

    def _expand(self, text: str, depth: int) -> str:
        if "$" not in text and "%" not in text:
            return _bounded(text)
        if text == PROGRAM_NAME:  # what most processes have
            return self._name("program_name", "s")
        if depth > MAX_DEPTH:
            raise ExpansionError("the defaults in it are nested too deep")
        parts: list[str] = []
        chars = at = 0
        import re  # noqa: PLC0415

        pattern = re.compile(_REFERENCE)
        while token := pattern.search(text, at):
            parts.append(text[at : token.start()])
            at = token.end()
            if token["variable"] and token["after"] == "}":
                parts.append(self._variable(token["variable"]))
            elif token["variable"]:
                end = _closing_brace(text, at, token["variable"])
                value = self._environ(token["variable"])
                parts.append(value or self._expand(text[at:end], depth + 1))
                at = end + 1
            elif token["name"]:
                parts.append(self._name(token["name"], token["format"]))
            else:
                parts.append(token[0][0])
            chars += len(parts[-1]) + len(parts[-2])
            if chars > MAX_CHARS:
                break
        parts.append(text[at:])
        return _bounded("".join(parts))

    def _environ(self, variable: str) -> str | None:
        for environ in self._environs:
            if variable in environ:
                return environ[variable]
        return None

    def _variable(self, variable: str) -> str:
        value = self._environ(variable)
        if value is None:
            raise ExpansionError(
                f"the environment has no {variable}; for a default, write ${{{variable}:-…}}"
            )
        return value

    def _name(self, name: str, form: str) -> str:
        if name.startswith("ENV_"):
            value: str | int | None = self._environ(name[4:])
            if value is None:
                raise ExpansionError(f"the environment has no {name[4:]}, for %({name})s")
        elif name == "host_node_name":
            value = posix.uname().nodename
        else:
            value = self._names.get(name)
            if value is None:
                raise ExpansionError(
                    f"there is no %({name})s here; to have it as it is, write %%({name})"
                )
        if form[-1:] == "s" or (form[-1:] == "d" and isinstance(value, int)):
            return f"%{form}" % value
        kinds = "s or d" if isinstance(value, int) else "s"
        raise ExpansionError(f"expected {kinds} after %({name})")


def expanded(text: str, place: Place, expander: Expander) -> str | None:
    """`text` expanded; None: it cannot be, which is a problem at `place`."""
    try:
        return expander.expand(text)
    except ExpansionError as exc:
        place.problem(str(exc))
        return None


def _closing_brace(text: str, at: int, variable: str) -> int:
    """Where the `}` is that ends a default which begins at `at`."""
    import re  # noqa: PLC0415

    depth = 1
    for brace in re.compile(_BRACE).finditer(text, at):
        depth += 1 if brace[0] == "${" else -1
        if depth == 0:
            return brace.start()
    raise ExpansionError(f"${{{variable}:-… has no closing brace; if there are spaces, quote it")


def _bounded(text: str) -> str:
    if len(text) > MAX_CHARS:
        raise ExpansionError(f"longer than {MAX_CHARS} characters: no program can be given it")
    return text
