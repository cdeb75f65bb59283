"""XML-RPC beside the standard library's."""

from __future__ import annotations

import xmlrpc.client
from typing import Any
from xml.parsers import expat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initpy.control.xmlrpc import (
    MAX_DEPTH,
    MAX_ELEMENTS,
    XmlError,
    answer_in,
    call_in,
    fault,
    result,
)

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]))
FIT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
)
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**31), 2**31 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    FIT,
)


def nested(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars, lambda it: st.lists(it, max_size=4) | st.dictionaries(FIT, it, max_size=4)
    )


VALUES = nested(SCALARS)


@settings(max_examples=300)
@given(value=VALUES)
def test_results_are_the_same_bytes(value: Any) -> None:
    theirs = xmlrpc.client.dumps((value,), methodresponse=True)
    assert result(value) == theirs.encode("utf-8", "xmlcharrefreplace")


def test_faults_are_the_same_bytes() -> None:
    theirs = xmlrpc.client.dumps(xmlrpc.client.Fault(10, "BAD_NAME: <x>"))
    assert fault(10, "BAD_NAME: <x>") == theirs.encode()


@settings(max_examples=300)
@given(
    parameters=st.lists(VALUES, max_size=4).map(tuple),
    name=st.from_regex(r"[a-zA-Z_.]{1,20}", fullmatch=True),
)
def test_calls_are_read(parameters: tuple[Any, ...], name: str) -> None:
    raw = xmlrpc.client.dumps(parameters, name.strip()).encode()
    assert call_in(raw) == (name.strip(), list(parameters))


@settings(max_examples=300)
@given(value=nested(TEXT))
def test_whatever_text_there_is_the_result_is_xml_and_readable(value: Any) -> None:
    raw = result(value)
    (found,), _ = xmlrpc.client.loads(raw)
    if isinstance(value, str) and value.isprintable():
        assert found == value


def test_what_xml_has_no_characters_for_is_written_out() -> None:
    (found,), _ = xmlrpc.client.loads(result("\x1b[1mred\x00\r\n\ud800\ufffe"))
    assert found == "\\x1b[1mred\\x00\r\n\\ud800\\ufffe"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<",
        b"<methodCall></methodCall>",
        b"<methodCall><params/></methodCall>",
        b"<!DOCTYPE x><methodCall><methodName>a</methodName></methodCall>",
        b'<!DOCTYPE x [<!ENTITY e "v">]><methodCall><methodName>&e;</methodName></methodCall>',
        b"<methodCall><methodName>&e;</methodName></methodCall>",
        b"<methodCall><methodName>a</methodName><params><param><value><int>x</int></value></param>"
        b"</params></methodCall>",
        b"<methodCall><methodName>a</methodName><params><param><value><nope/></value></param>"
        b"</params></methodCall>",
        b"<methodCall><methodName>a</methodName><params><param><value><int>"
        + b"9" * 5000
        + b"</int></value></param></params></methodCall>",
    ],
)
def test_what_is_no_call(raw: bytes) -> None:
    with pytest.raises(XmlError):
        call_in(raw)


def test_a_call_without_params_is_one() -> None:
    assert call_in(b"<methodCall><methodName>a.b</methodName></methodCall>") == ("a.b", [])


@pytest.mark.parametrize(("depth", "is_read"), [(MAX_DEPTH - 1, True), (MAX_DEPTH + 5, False)])
def test_depth_is_limited(depth: int, is_read: bool) -> None:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    raw = xmlrpc.client.dumps((value,), "a").encode()
    if is_read:
        assert call_in(raw) == ("a", [value])
    else:
        with pytest.raises(XmlError):
            call_in(raw)


def test_the_number_of_elements_of_a_call_is_limited_and_that_of_an_answer_is_not() -> None:
    few = 5  # methodCall, methodName, params, param, value
    lines = [""] * (MAX_ELEMENTS - few - 2)  # array, data
    raw = xmlrpc.client.dumps((lines,), "a").encode().replace(b"<string></string>", b"")
    assert call_in(raw) == ("a", [lines])
    with pytest.raises(XmlError, match="too many elements"):
        call_in(raw.replace(b"</data>", b"<value/></data>"))
    assert answer_in(result(["x"] * MAX_ELEMENTS)) == (["x"] * MAX_ELEMENTS, False)


TAGS = ["methodCall", "methodName", "params", "param", "value", "int", "string", "array", "data"]
TAGS += ["struct", "member", "name", "boolean", "base64", "nil", "double"]


@settings(max_examples=3000)
@given(
    words=st.lists(
        st.one_of(
            st.sampled_from([f"<{tag}>" for tag in TAGS]),
            st.sampled_from([f"</{tag}>" for tag in TAGS]),
            st.sampled_from([f"<{tag}/>" for tag in TAGS]),
            st.sampled_from(["1", "x", "<!--", "-->", "<![CDATA[", "]]>", "&lt;", "\0", "<?x ?>"]),
        ),
        max_size=30,
    )
)
def test_nothing_but_a_call_or_an_error_comes_of_any_words(words: list[str]) -> None:
    text = "".join(words)
    for raw in (text, f"<methodCall><methodName>a</methodName>{text}</methodCall>"):
        try:
            name, parameters = call_in(raw.encode())
        except XmlError:
            continue
        assert isinstance(name, str)
        assert isinstance(parameters, list)


@settings(max_examples=1000)
@given(raw=st.binary(max_size=200))
def test_nothing_but_an_error_comes_of_any_bytes(raw: bytes) -> None:
    with pytest.raises(XmlError):
        call_in(raw)


def test_expat_is_not_one_that_expands_without_limit() -> None:
    """DOCTYPE is refused before any of it; this is the second lock."""
    assert tuple(map(int, expat.EXPAT_VERSION.removeprefix("expat_").split("."))) >= (2, 4, 1)
