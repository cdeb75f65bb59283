"""supervisord.confs out of hypothesis, such as supervisord can read."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

_NAMES = st.text("abcXYZ019_.-", min_size=1, max_size=6)
_PLAIN = st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"], exclude_characters=";#")
"""Without what begins a comment, which cannot be quoted."""

_REFERENCES = st.sampled_from(
    ["%(program_name)s", "%(group_name)s", "%(process_num)02d", "%(here)s", "%(ENV_HOME)s", "%%"]
)
_BOOLEANS = st.sampled_from(["true", "FALSE", "Yes", "no", "on", "Off", "1", "0"])
_COUNTS = st.integers(0, 10_000).map(str)
_WHOLES = st.one_of(_COUNTS, st.sampled_from(["-5", "+3", "007"]))


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


@st.composite
def _word(draw: Callable[[st.SearchStrategy[str]], str]) -> str:
    """A word of a command, perhaps in need of quotes, with references in it."""
    text = _escaped(shlex.quote(draw(st.text(_PLAIN, max_size=8))))
    return (
        draw(st.sampled_from(["{}", "{}", "x={}", "{}{}"]))
        .replace("{}", text, 1)
        .replace("{}", draw(_REFERENCES))
    )


_COMMON_WORDS = st.sampled_from(["$HOME", "${X}", "$$", "a\\ b", "%(ENV_OPTS)s"])
_COMMANDS = st.lists(st.one_of(_word(), _COMMON_WORDS), max_size=4).map(
    lambda words: " ".join(["/bin/run", *words])
)


def _environment(quoted: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    values = st.one_of(
        st.text("abc09/.+-():_", min_size=1, max_size=6),
        quoted.filter(lambda text: '"' not in text).map(lambda text: f'"{text}"'),
    )
    variables = st.dictionaries(st.text("ABC_", min_size=1, max_size=3), values, max_size=3)
    return variables.map(
        lambda given: ", ".join([f"{name}={value}" for name, value in given.items()])
    )


_COMMON_VARIABLES = _environment(
    st.one_of(
        # Without %%, which supervisord 4.3.0 takes for a %, and then stumbles over that.
        st.text(_PLAIN, max_size=8).filter(lambda text: "%" not in text),
        st.sampled_from(["%(ENV_HOME)s/x", "%(here)s"]),
    )
)
_VARIABLES = _environment(
    st.one_of(
        st.text(_PLAIN, max_size=8).map(_escaped),
        st.sampled_from(["%(ENV_HOME)s:%(here)s", "%(program_name)s, %(process_num)d"]),
    )
)

_OPTIONS: dict[str, st.SearchStrategy[str]] = {
    "priority": _WHOLES,
    "autostart": _BOOLEANS,
    "autorestart": st.one_of(_BOOLEANS, st.sampled_from(["unexpected", "Unexpected"])),
    "startsecs": _COUNTS,
    "startretries": _COUNTS,
    "exitcodes": st.lists(st.integers(0, 255).map(str), max_size=3).map(",".join),
    "stopsignal": st.sampled_from(["TERM", "sigint", "15", "QUIT", "usr1", "SIGKILL", "RTMIN"]),
    "stopwaitsecs": _COUNTS,
    "killasgroup": st.just("true"),
    "umask": st.sampled_from(["022", "0", "77", "0027"]),
    "directory": st.sampled_from(["/tmp", "/", "%(here)s/sub dir", "/x%%y", ""]),
    "user": st.sampled_from(["root", "nobody", "0", "65534", "daemon"]),
    "environment": _VARIABLES,
    "numprocs_start": _COUNTS,
    "stdout_logfile": st.sampled_from(["/dev/stdout", "NONE", "/tmp/%(program_name)s.log"]),
    "redirect_stderr": _BOOLEANS,
}


@st.composite
def _line(draw: Callable[..., str], name: str, value: str) -> str:
    """An option as somebody may have written it."""
    name = draw(st.sampled_from([name, name.upper(), name.title()]))
    delimiter = draw(st.sampled_from(["=", " = ", ": ", "\t=\t"]))
    comment = draw(st.sampled_from(["", "", " ; why", "\t# because", " ;"]))
    above = draw(st.sampled_from(["", "", "; a comment\n", "# another: one = two\n", "\n"]))
    if name.lower() == "command" and draw(st.booleans()):
        head, space, rest = value.partition(" ")
        value = f"{head}\n{space}{rest}" if rest else head
        if rest and draw(st.booleans()):
            value = value.replace("\n", "\n  ; between\n", 1)
    return f"{above}{name}{delimiter}{value}{comment}\n"


@st.composite
def confs(draw: Callable[..., object]) -> str:
    """The text of a file that supervisord and initpy should read alike."""
    names: list[str] = draw(st.lists(_NAMES, min_size=1, max_size=4, unique_by=str.lower))  # type: ignore[assignment]
    parts = ["[supervisord]\n", str(draw(_line("environment", str(draw(_COMMON_VARIABLES)))))]
    for name in names:
        given: list[str] = draw(st.lists(st.sampled_from([*_OPTIONS]), max_size=6))  # type: ignore[assignment]
        options = [(option, str(draw(_OPTIONS[option]))) for option in given]
        options.append(("command", str(draw(_COMMANDS))))
        if draw(st.booleans()):
            options += [("numprocs", "2"), ("process_name", "%(program_name)s-%(process_num)03d")]
        rows: list[tuple[str, str]] = draw(st.permutations(options))  # type: ignore[assignment]
        parts.append(f"[program:{name}]\n")
        parts += [str(draw(_line(option, value))) for option, value in rows]
    members: list[str] = draw(st.lists(st.sampled_from(names), unique=True))  # type: ignore[assignment]
    if members:
        parts += ["[group:all]\n", f"programs = {' , '.join(members)}\n", "priority=5\n"]
    return "".join(parts)
