"""HTTP out of bytes, however they arrive."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initpy.control.http import (
    MAX_BODY_BYTES,
    MAX_HEADER_BYTES,
    HttpError,
    HttpRequest,
    Requests,
    response,
    stream,
)

POST = b"POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
GET = b"GET /a?b=c HTTP/1.1\r\nConnection: close\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"


def told(request: HttpRequest) -> tuple[str, str, str, bytes, bool]:
    return request.method, request.path, request.query, request.body, request.keeps_alive


def read(parts: list[bytes]) -> list[tuple[str, str, str, bytes, bool]]:
    requests, found = Requests(), []
    for part in parts:
        request = requests.feed(part)
        while request is not None:
            found.append(told(request))
            request = requests.feed(b"")
    return found


EXPECTED = [
    ("POST", "/RPC2", "", b"hello", True),
    ("GET", "/a", "b=c", b"", False),
    ("GET", "/", "", b"", False),
]


@given(cuts=st.lists(st.integers(0, len(POST + GET + OLD)), max_size=8))
def test_requests_do_not_depend_on_how_the_bytes_arrived(cuts: list[int]) -> None:
    whole = POST + GET + OLD
    edges = [0, *sorted(cuts), len(whole)]
    parts = [whole[begin:end] for begin, end in pairwise(edges)]
    assert read(parts) == EXPECTED


def test_byte_by_byte() -> None:
    assert read([bytes([byte]) for byte in POST + GET + OLD]) == EXPECTED


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/1.1\r\nX\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA b: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: x\0\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / FTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1e3\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), 413),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * MAX_HEADER_BYTES, 431),
    ],
)
def test_what_is_no_request_that_is_taken(raw: bytes, status: int) -> None:
    requests = Requests()
    with pytest.raises(HttpError) as caught:
        requests.feed(raw)
    assert caught.value.status == status


def test_a_client_that_waits_to_be_told_so() -> None:
    requests = Requests()
    assert (
        requests.feed(b"POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        is None
    )
    assert requests.wants_continue
    request = requests.feed(b"ab")
    assert request is not None
    assert request.body == b"ab"
    assert not requests.wants_continue


def test_an_old_client_that_wants_to_stay() -> None:
    request = Requests().feed(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
    assert request is not None
    assert request.keeps_alive


@settings(max_examples=3000)
@given(
    parts=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from([POST, GET, b"\r\n", b"\r\n\r\n", b"Content-Length: 3", b":", b" "]),
        ),
        max_size=12,
    )
)
def test_nothing_but_requests_or_an_error_comes_of_any_bytes(parts: list[bytes]) -> None:
    requests = Requests()
    with suppress(HttpError):
        for part in parts:
            request = requests.feed(part)
            while request is not None:
                request = requests.feed(b"")


def test_an_answer_says_how_long_it_is() -> None:
    assert response(200, b"hi", "text/xml") == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 2\r\n\r\nhi"
    )
    assert b"\r\nConnection: close\r\n" in response(400, b"", closes=True)


def test_a_stream_is_cut_into_chunks() -> None:
    head, *parts = stream(iter([b"abc", b"", b"d"]), is_chunked=True)
    assert b"Transfer-Encoding: chunked" in head
    assert parts == [b"3\r\nabc\r\n", b"", b"1\r\nd\r\n"]
    _, *plain = stream(iter([b"abc", b""]), is_chunked=False)
    assert plain == [b"abc", b""]
