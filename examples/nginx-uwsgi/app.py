"""A small WSGI application, to see what becomes of requests."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MAX_SECONDS = 60.0


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """`/`: a greeting; `/pid`: who answers; `/slow?seconds=N`: half now, half in N seconds."""
    match environ["PATH_INFO"]:
        case "/":
            body = b"Hello from uWSGI, behind nginx, under initpy.\n"
        case "/pid":
            body = f"{os.getpid()}\n".encode()
        case "/slow":
            return slow(environ, start_response)
        case _:
            return answer(start_response, "404 Not Found", b"There is /, /pid and /slow.\n")
    return answer(start_response, "200 OK", body)


def slow(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """An answer that takes its time, and whose length says if all of it has arrived."""
    words = parse_qs(environ.get("QUERY_STRING", "")).get("seconds", ["1"])
    try:
        seconds = float(words[0])
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_SECONDS:
        return answer(start_response, "400 Bad Request", b"seconds: a number from 0 to 60\n")
    halves = [b"begun\n", b"done\n"]
    start_response("200 OK", headers(sum(map(len, halves))))

    def body() -> Iterator[bytes]:
        yield halves[0]
        print(f"slow: {seconds:g} seconds to go", file=environ["wsgi.errors"], flush=True)
        time.sleep(seconds)
        yield halves[1]

    return body()


def answer(start_response: StartResponse, status: str, body: bytes) -> Iterable[bytes]:
    """A whole answer at once."""
    start_response(status, headers(len(body)))
    return [body]


def headers(length: int) -> list[tuple[str, str]]:
    return [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(length))]
