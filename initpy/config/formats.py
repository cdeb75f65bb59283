"""Which of its two formats a file is in: TOML, or the INI of a supervisord.conf."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_INI_NAMES = (".conf", ".ini")
_TOML_NAMES = (".toml",)

_INI_SECTIONS = ("supervisord", "supervisorctl", "unix_http_server", "inet_http_server")
_INI_PREFIXES = tuple(
    [
        f"{kind}:"
        for kind in (
            "program",
            "group",
            "eventlistener",
            "fcgi-program",
            "rpcinterface",
            "ctlplugin",
            "unix_http_server",
            "inet_http_server",
        )
    ]
)
_TOML_SECTIONS = ("init", "program", "group", "control", "eventlistener")
"""With or without a dot and a name behind it. [init] alone is one in both."""


class FormatError(Exception):
    """A file is named as the one, and is the other; the text says what to do."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


def is_ini(file: str, text: str) -> bool:
    """Whether a file is a supervisord.conf.

    The first header that only one of the formats has decides; where there is none, the file's name
    does; a file with any other name is TOML.

    Raises:
        FormatError: the name says something else.
    """
    is_named_ini, is_named_toml = file.endswith(_INI_NAMES), file.endswith(_TOML_NAMES)
    for line, header in _headers(text):
        if header.startswith(_INI_PREFIXES) or (header in _INI_SECTIONS and not is_named_toml):
            if is_named_toml:
                raise FormatError(
                    line,
                    f"cannot parse it: [{header}] is a section of a supervisord.conf, and the file "
                    "is named as TOML: name it .conf, or make TOML of it with `initpy convert`",
                )
            return True
        if _is_of_toml(header):
            if is_named_ini:
                raise FormatError(
                    line,
                    f"cannot parse it: [{header}] is a section of initpy's TOML, and the file is "
                    "named as a supervisord.conf: name it .toml",
                )
            return False
    return is_named_ini


def _headers(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        header, bracket, _ = line.strip().partition("]")
        if header.startswith("[") and bracket:
            yield number, header.strip("[ \t")


def _is_of_toml(header: str) -> bool:
    kind, dot, _ = header.partition(".")
    return bool(dot) and kind.strip() in _TOML_SECTIONS
