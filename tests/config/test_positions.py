"""Where keys are: checked against TOML that is generated together with its positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from initpy.config import toml
from initpy.config.positions import Positions

if TYPE_CHECKING:
    from initpy.config.problems import Path


def lines(text: str) -> dict[Path, int]:
    toml.parse(text)  # only what is TOML has to be understood
    return {path: text.count("\n", 0, at) + 1 for path, at in Positions(text).keys.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# a = 1\n\n", {}),
        ("a = 1\nb = 2", {("a",): 1, ("b",): 2}),
        ("[a]\nb = 1\n[a.c]\nd = 1", {("a",): 1, ("a", "b"): 2, ("a", "c"): 3, ("a", "c", "d"): 4}),
        ("[a.b]\n[a]\nc = 1", {("a",): 2, ("a", "b"): 1, ("a", "c"): 3}),
        (" [ a . 'b.c' . \"d\\u0065\" ] # x\n\tf = 1",
         {("a",): 1, ("a", "b.c"): 1, ("a", "b.c", "de"): 1, ("a", "b.c", "de", "f"): 2}),
        ("a.b = 1\na.'c' = 2", {("a",): 1, ("a", "b"): 1, ("a", "c"): 2}),
        ("\"\" = 1\n'y' . x = 1", {("",): 1, ("y",): 2, ("y", "x"): 2}),
        ("[[a]]\nb = 1\n[[a]]\nb = 2\n[a.c]\nd = 3\n[[a.e]]\n[[a.e]]\nf = 1", {
            ("a",): 1, ("a", 0): 1, ("a", 0, "b"): 2, ("a", 1): 3, ("a", 1, "b"): 4,
            ("a", 1, "c"): 5, ("a", 1, "c", "d"): 6, ("a", 1, "e"): 7, ("a", 1, "e", 0): 7,
            ("a", 1, "e", 1): 8, ("a", 1, "e", 1, "f"): 9,
        }),
        ('a = """\nb = 1\n\\"""\n"" """\nc = 1', {("a",): 1, ("c",): 5}),
        ("a = '''\nb = 1\n\\'''\nc = 1", {("a",): 1, ("c",): 4}),
        ('a = """x"""""\nb = 1', {("a",): 1, ("b",): 2}),
        ('a = """"""\nb = """"\n"""\nc = 1', {("a",): 1, ("b",): 2, ("c",): 4}),
        ("a = ''''x'''''\nb = 1", {("a",): 1, ("b",): 2}),
        ('a = "\\"[#"\nb = \'\\\'\nc = 1', {("a",): 1, ("b",): 2, ("c",): 3}),
        ("a = [ # ]\n  1, # x\n\n  '2',\n]\nb = 1",
         {("a",): 1, ("a", 0): 2, ("a", 1): 4, ("b",): 6}),
        ("a = [[], [[1],\n2]]\nb=1", {
            ("a",): 1, ("a", 0): 1, ("a", 1): 1, ("a", 1, 0): 1, ("a", 1, 0, 0): 1, ("a", 1, 1): 2,
            ("b",): 3,
        }),
        ("a = { b = 1, c.d = [\n{e = 1}], 'f' = \"}\" }\ng = 1", {
            ("a",): 1, ("a", "b"): 1, ("a", "c"): 1, ("a", "c", "d"): 1, ("a", "c", "d", 0): 2,
            ("a", "c", "d", 0, "e"): 2, ("a", "f"): 2, ("g",): 3,
        }),
        ("a = {}\nb = 1979-05-27 07:32:00 # x\nc = -inf\nd = +1_0.5e-3",
         {("a",): 1, ("b",): 2, ("c",): 3, ("d",): 4}),
        ("a=1#x\nb=[]#y\n[c]#z\nd='#'", {("a",): 1, ("b",): 2, ("c",): 3, ("c", "d"): 4}),
        ("1.2 = 3\n-_ = 4", {("1",): 1, ("1", "2"): 1, ("-_",): 2}),
    ],
)  # fmt: skip
def test_where_keys_are(text: str, expected: dict[Path, int]) -> None:
    assert lines(text) == expected


def test_where_values_are() -> None:
    text = "[a]\nb = 0o22\nc.d = [\n 1, { e = 'x' }]\n"
    seen = {path: text[at : at + 4] for path, at in Positions(text).values.items()}
    assert seen == {
        ("a", "b"): "0o22",
        ("a", "c", "d"): "[\n 1",
        ("a", "c", "d", 0): "1, {",
        ("a", "c", "d", 1): "{ e ",
        ("a", "c", "d", 1, "e"): "'x' ",
    }


class Writer:
    """Writes TOML, and notes where each key and item goes."""

    def __init__(self) -> None:
        self.text = ""
        self.seen: dict[Path, int] = {}

    def add(self, text: str) -> None:
        self.text += text

    def here(self, path: Path) -> None:
        self.seen.setdefault(path, self.text.count("\n") + 1)


BARE = st.text("abAB01-_", min_size=1, max_size=3)
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
TRICKY = st.text(st.sampled_from("[]{}=#'\".,\n\\ a"), max_size=8)
KEY = st.one_of(BARE, ANY, TRICKY)
BLANK = st.sampled_from(["", " ", "\t", "  "])
BREAK = st.sampled_from(["", " ", "\n", " # ]}'\"\n", "\n\n  "])


def basic(text: str) -> str:
    escaped = [
        f"\\U{ord(ch):08x}" if ch in '"\\' or ch < " " or ch == "\x7f" else ch for ch in text
    ]
    return f'"{"".join(escaped)}"'


@st.composite
def scalar(draw: st.DrawFn) -> str:
    text = draw(TRICKY | ANY).replace("\r", "")
    kind = draw(st.sampled_from(["basic", "literal", "long", "long literal", "other"]))
    if kind == "literal" and not any(ch < " " or ch in "'\x7f" for ch in text):
        return f"'{text}'"
    if kind == "long":
        inner = text.replace("\\", "\\\\").replace('"""', '""\\"')
        inner = "".join([ch for ch in inner if ch in "\n\t" or (ch >= " " and ch != "\x7f")])
        return f'"""\n{inner}"""'
    if kind == "long literal" and "''" not in text and not text.endswith("'"):
        inner = "".join([ch for ch in text if ch in "\n\t" or (ch >= " " and ch != "\x7f")])
        return f"'''{inner}'''" if "''" not in inner and not inner.endswith("'") else "0"
    if kind == "other":
        return draw(
            st.sampled_from(
                ["1", "-1.5e3", "true", "nan", "0x1f", "1979-05-27 07:32:00Z", "07:32:00.5"]
            )
        )
    return basic(text)


VALUE = st.recursive(
    scalar(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEY, inner, max_size=4),
    max_leaves=8,
)
TABLE = st.dictionaries(KEY, VALUE, max_size=4)
SECTIONS = st.lists(st.tuples(st.lists(KEY, min_size=1, max_size=3), st.booleans(), TABLE))


@st.composite
def documents(draw: st.DrawFn) -> Writer:
    """A TOML text and where all is in it."""
    out = Writer()

    def write_key(key: str, path: Path) -> None:
        out.here((*path, key))
        is_bare = key != "" and all(ch in "abAB01-_" for ch in key)
        out.add(key if is_bare and draw(st.booleans()) else basic(key))

    def write_pairs(table: dict[str, Any], path: Path, *, inline: bool) -> None:
        for number, (key, value) in enumerate(table.items()):
            if inline and number:
                out.add("," + draw(BLANK))
            elif not inline:
                out.add(draw(BREAK.filter(lambda it: it != " # ]}'\"\n")) + draw(BLANK))
            write_key(key, path)
            out.add(f"{draw(BLANK)}={draw(BLANK)}")
            write_value(value, (*path, key))
            if not inline:
                out.add(draw(st.sampled_from(["\n", " # x = [\n", "\r\n"])))

    def write_value(value: object, path: Path) -> None:
        if isinstance(value, str):
            out.add(value)
        elif isinstance(value, dict):
            out.add("{" + draw(BLANK))
            write_pairs(value, path, inline=True)
            out.add(draw(BLANK) + "}")
        elif isinstance(value, list):
            out.add("[" + draw(BREAK))
            for number, item in enumerate(value):
                out.here((*path, number))
                write_value(item, (*path, number))
                out.add(draw(BREAK))
                if number + 1 < len(value) or draw(st.booleans()):
                    out.add("," + draw(BREAK))
            out.add("]")

    write_pairs(draw(TABLE), (), inline=False)
    arrays: dict[str, int] = {}
    names = set(toml.parse(out.text))
    for number, (keys, is_array, table) in enumerate(draw(SECTIONS)):
        keys = [f"s{number}", *keys]  # a name of its own: no table is defined twice  # noqa: PLW2901
        if is_array and arrays and draw(st.booleans()):
            keys[0] = draw(st.sampled_from(sorted(arrays)))  # one more item of an array before
            keys = keys[:1]  # noqa: PLW2901
        if keys[0] in names:
            continue
        path: Path = ()
        for key in keys[:-1]:
            path = (*path, key)
            out.here(path)
        path = (*path, keys[-1])
        out.here(path)
        if is_array:
            index = arrays.get(keys[0], 0) if len(keys) == 1 else 0
            if len(keys) == 1:
                arrays[keys[0]] = index + 1
            path = (*path, index)
            out.here(path)
        dots = f"{draw(BLANK)}.{draw(BLANK)}".join([basic(key) for key in keys])
        out.add(("[[" if is_array else "[") + dots + ("]]" if is_array else "]") + "\n")
        write_pairs(table, path, inline=False)
    return out


@given(documents())
@settings(max_examples=200, deadline=None)
def test_every_key_of_any_toml_is_where_it_was_written(out: Writer) -> None:
    assert {path: line for path, line in lines(out.text).items() if len(path) < 8} == {
        path: line for path, line in out.seen.items() if len(path) < 8
    }


@given(documents())
@settings(max_examples=60, deadline=None)
def test_the_keys_are_those_that_the_parser_sees(out: Writer) -> None:
    def paths(value: object, path: Path) -> set[Path]:
        found = {path} if path else set()
        if isinstance(value, dict):
            return found.union(*[paths(item, (*path, key)) for key, item in value.items()])
        if isinstance(value, list):
            return found.union(*[paths(item, (*path, at)) for at, item in enumerate(value)])
        return found

    table = toml.parse(out.text.replace("\r\n", "\n"))
    shallow = {path for path in paths(table, ()) if len(path) < 8}
    assert {path for path in lines(out.text) if len(path) < 8} == shallow


@given(st.text(st.sampled_from("[]{}=#'\".,\n\\ ab"), max_size=60))
@example("[")
@example("'")
@example("a = [")
@example("=")
@settings(max_examples=300)
def test_what_is_no_toml_still_comes_to_an_end(text: str) -> None:
    Positions(text)


def test_depth_costs_neither_stack_nor_memory() -> None:
    deep = Positions(
        "a = " + "[" * 100_000 + "]" * 100_000 + "\n" + ".".join(["b"] * 10_000) + "=1"
    )
    assert max(map(len, deep.keys)) == 8
