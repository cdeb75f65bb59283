"""`${VAR}` and `%(name)s`."""

from __future__ import annotations

import os
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initpy.config.expansion import MAX_CHARS, Expander, ExpansionError
from tests.config.support import at_most

OUTER = {"HOME": "/root", "EMPTY": "", "TRICKY": "${HOME} $$ %(here)s %%", "A": "outer"}


def expander() -> Expander:
    return Expander("/etc", OUTER, program_name="web", process_num=7, numprocs=12)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", ""),
        ("plain é", "plain é"),
        ("${HOME}", "/root"),
        ("a${HOME}b${HOME}c", "a/rootb/rootc"),
        ("${EMPTY}", ""),
        ("${HOME:-x}", "/root"),
        ("${NOPE:-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${NOPE:-}", ""),
        ("${NOPE:- }", " "),
        ("${NOPE:-a:-b}", "a:-b"),
        ("${NOPE:-${HOME}/x}y", "/root/xy"),
        ("${NOPE:-${EMPTY:-${NOPE2:-deep}}}", "deep"),
        ("${NOPE:-%(program_name)s}", "web"),
        ("${NOPE:-$$}", "$"),
        ("${HOME:-${NOPE}}", "/root"),  # the default is not looked at when it is not used
        ("${TRICKY}", "${HOME} $$ %(here)s %%"),  # what comes out is not looked at again
        ("$$", "$"),
        ("$$$$", "$$"),
        ("$${HOME}", "${HOME}"),
        ("$$${HOME}", "$/root"),
        ("$", "$"),
        ("$HOME $1 $( $) ${ $} ${} ${1} ${-}", "$HOME $1 $( $) ${ $} ${} ${1} ${-}"),
        ("${HOME ${HOME-x} ${HOME:+x} ${#HOME} ${HOME%/}", "${HOME ${HOME-x} ${HOME:+x} "
         "${#HOME} ${HOME%/}"),
        ("${HOME", "${HOME"),
        ("%%", "%"),
        ("%%%%", "%%"),
        ("%%(here)s", "%(here)s"),
        ("%", "%"),
        ("date +%H:%M %s %d 100%", "date +%H:%M %s %d 100%"),
        ("%( %() %(1)s %(a b)s %(here %{http_code}", "%( %() %(1)s %(a b)s %(here %{http_code}"),
        ("%(here)s", "/etc"),
        ("%(ENV_HOME)s", "/root"),
        ("%(ENV_EMPTY)s", ""),
        ("%(program_name)s", "web"),
        ("%(program_name)5s|%(program_name)-5s|%(program_name).1s", "  web|web  |w"),
        ("%(process_num)d", "7"),
        ("%(process_num)s", "7"),
        ("%(process_num)02d", "07"),
        ("%(process_num)+d %(process_num)-3d| %(process_num) d", "+7 7  |  7"),
        ("%(numprocs)03d", "012"),
        ("%(host_node_name)s", os.uname().nodename),
        ("%(here)s%(here)s", "/etc/etc"),
    ],
)  # fmt: skip
def test_what_a_string_becomes(text: str, result: str) -> None:
    assert expander().expand(text) == result


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${NOPE}", "the environment has no NOPE; for a default, write ${NOPE:-…}"),
        ("%(ENV_NOPE)s", "the environment has no NOPE, for %(ENV_NOPE)s"),
        ("${EMPTY:-${NOPE}}", "the environment has no NOPE; for a default, write ${NOPE:-…}"),
        ("%(nope)s", "there is no %(nope)s here; to have it as it is, write %%(nope)"),
        ("--format=%(refname)",
         "there is no %(refname)s here; to have it as it is, write %%(refname)"),
        ("%(group_name)s", "there is no %(group_name)s here; to have it as it is, write "
         "%%(group_name)"),
        ("%(here)d", "expected s after %(here)"),
        ("%(ENV_HOME)d", "expected s after %(ENV_HOME)"),
        ("%(here)", "expected s after %(here)"),
        ("%(here)/x", "expected s after %(here)"),
        ("%(process_num)", "expected s or d after %(process_num)"),
        ("%(process_num)x", "expected s or d after %(process_num)"),
        ("%(process_num)0999999999d", "expected s or d after %(process_num)"),
        ("${NOPE:-x", "${NOPE:-… has no closing brace; if there are spaces, quote it"),
        ("${HOME:-${A}", "${HOME:-… has no closing brace; if there are spaces, quote it"),
        ("${A:-" * 11 + "}" * 11, None),
        ("${NOPE:-" * 11 + "}" * 11, None),
        ("${NOPE:-" * 12 + "}" * 12, "the defaults in it are nested too deep"),
    ],
)  # fmt: skip
def test_what_cannot_be_expanded_is_named(text: str, said: str | None) -> None:
    if said is None:
        expander().expand(text)
        return
    with pytest.raises(ExpansionError) as caught:
        expander().expand(text)
    assert str(caught.value) == said


def test_an_environment_before_the_others() -> None:
    inner = expander().with_environ({"A": "inner", "HOME": ""})
    assert inner.expand("${A} ${HOME}|${HOME:-x} %(ENV_A)s %(program_name)s ${EMPTY:-e}") == (
        "inner |x inner web e"
    )
    assert expander().expand("${A}") == "outer"


def test_no_result_is_longer_than_the_kernel_takes() -> None:
    big = Expander("/", {"BIG": "x" * 1000})
    assert len(big.expand("${BIG}" * 131 + "x" * 71)) == MAX_CHARS
    for text in ("${BIG}" * 131 + "x" * 72, "x" * (MAX_CHARS + 1), "${BIG}" * 10**5):
        with at_most(2 * 1024 * 1024), pytest.raises(ExpansionError, match="longer than 131071"):
            big.expand(text)


def test_a_million_unclosed_defaults_end_soon() -> None:
    with pytest.raises(ExpansionError, match="no closing brace"):
        expander().expand("${A:-" * 100_000)


VARIABLES = st.text(string.ascii_letters + "_", min_size=1, max_size=5)
LITERAL = st.text(st.characters(exclude_characters="$%", exclude_categories=["Cs"]))


@given(LITERAL)
def test_without_dollar_and_percent_nothing_changes(text: str) -> None:
    assert expander().expand(text) == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_doubled_signs_are_the_signs(text: str) -> None:
    assert expander().expand(text.replace("$", "$$").replace("%", "%%")) == text


@given(st.text(st.sampled_from("${}:-%()sdA0N_ é"), max_size=60))
def test_any_text_expands_or_says_why_not(text: str) -> None:
    try:
        result = expander().expand(text)
    except ExpansionError as exc:
        result = str(exc)
    assert "\n" not in result
    assert len(result) <= MAX_CHARS


@given(st.lists(st.tuples(LITERAL, VARIABLES)), st.dictionaries(VARIABLES, st.text("${}%a()s")))
def test_a_variable_is_its_value_or_its_default(
    parts: list[tuple[str, str]], environ: dict[str, str]
) -> None:
    plain = {name: value for name, value in environ.items() if "\ud800" not in value}
    text = "".join([f"{before}${{{name}:-[{name}]}}" for before, name in parts])
    expected = "".join([f"{before}{plain.get(name) or f'[{name}]'}" for before, name in parts])
    assert Expander("/", plain).expand(text) == expected


@given(st.integers(0, 10**6), st.integers(0, 99))
def test_a_number_in_any_width(number: int, width: int) -> None:
    assert Expander("/", process_num=number).expand(f"%(process_num)0{width}d") == (
        str(number).zfill(width)
    )
