"""The lines of an INI file: against the parser that supervisord uses, and by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initpy.config.ini.syntax import DEFAULT, sections

if TYPE_CHECKING:
    from initpy.config.ini.syntax import Section

PIECES = st.sampled_from(
    ["[a]", "[b:c]", "[DEFAULT]", "[a] x", "k = v", "K: w", "k=", "= v", "word", "two words",
     "a:b=c", "a=b:c", ";c", "# c", "v ; c", "v;w", "#", " ", "\t", "  ", "]", "é = ü", "\r",
     "\x0b", "\x85", "\u2028"]
)  # fmt: skip


def has_two_comments(text: str) -> bool:
    """Versions of Python differ where the first of two possible comments begins with the later
    mark: it stands behind a mark that begins none."""
    return any(line.count(";") + line.count("#") > 1 for line in text.split("\n"))


def read(text: str) -> tuple[dict[str, dict[str, str]], list[int]]:
    """All options by section, and the numbers of the lines that are none."""
    refused: list[int] = []
    merged: dict[str, dict[str, str]] = {}
    for section in sections(text, "f", lambda line, _: refused.append(line)):
        merged.setdefault(section.name, {}).update({it.name: it.text for it in section.options})
    return merged, refused


@settings(max_examples=2000)
@given(
    st.lists(st.lists(PIECES, max_size=4).map("".join), max_size=12)
    .map("\n".join)
    .filter(lambda text: not has_two_comments(text))
)
def test_the_same_options_as_in_the_parser_of_supervisord(text: str) -> None:
    configparser = pytest.importorskip("configparser")
    options = pytest.importorskip("supervisor.options")
    parser = options.UnhosedConfigParser()
    merged, refused = read(text)
    try:
        parser.read_string(text.replace("\r\n", "\n").replace("\r", "\n"))
    except configparser.Error as exc:
        first = exc.errors[0][0] if hasattr(exc, "errors") else exc.lineno
        assert refused[0] == first
        return
    assert refused == []
    own = {section: dict(options) for section, options in parser._sections.items()}
    assert {name: it for name, it in merged.items() if name != DEFAULT} == own
    assert merged.get(DEFAULT, {}) == dict(parser._defaults)


def only(text: str) -> Section:
    (section,) = sections(text, "f", lambda line, what: pytest.fail(f"{line}: {what}"))
    return section


def test_lines_are_counted_and_comments_are_kept() -> None:
    section = only(
        "; above\n\n[a] ; beside\n# of k\nk = 1 ; why\n  2 # more\n ; between\n  3\n;end\n"
    )
    (option,) = section.options
    assert (section.line, section.before, section.beside) == (3, ("above", ""), ("beside",))
    assert (option.line, option.before) == (5, ("of k",))
    assert option.beside == ("why", "more", "between")
    assert (option.text, option.lines) == ("1\n2\n3", ((6, "2"), (8, "3")))
    assert section.after == ("end", "")


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("k = v\n[a]\n", [(1, "expected a section such as [program:web] before it")]),
        ("[a]\nword\n", [(2, "expected `name = value`")]),
        ("[a]\nk = v\nword\n",
         [(3, "expected `name = value`; a line that continues a value has to be indented")]),
        ("[a]\n= v\n", [(2, "expected `name = value`")]),
        ("[a]\nx\n[b]\ny\n", [(2, "expected `name = value`"), (4, "expected `name = value`")]),
    ],
)  # fmt: skip
def test_what_is_no_option(text: str, refused: list[tuple[int, str]]) -> None:
    found: list[tuple[int, str]] = []
    sections(text, "f", lambda line, what: found.append((line, what)))
    assert found == refused


def test_of_two_comments_the_first_counts() -> None:
    assert only("[a]\nk = v;w #x ;y\n").options[0].text == "v;w"
    assert only("[a]\nk = v;w ;x\n").options[0].text == "v;w"


def test_a_large_file_takes_no_longer_than_its_size() -> None:
    """A megabyte of blank lines, which all might belong to the value: not the square of that."""
    assert only("[a]\nk = v\n" + "\n" * 1_000_000 + "  w\n").options[0].text.endswith("w")
