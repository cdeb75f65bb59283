"""Input that is nearly right: mutated requests, calls and listeners' talk, and what must hold then.

Everything comes from a seed, so what fails can be had again. See test_fuzzing.py for the commands.
"""

from __future__ import annotations

import xmlrpc.client
from contextlib import suppress
from typing import TYPE_CHECKING

from initpy.control.events import payloads
from initpy.control.events.capture import BEGIN, END, Capture, Output, Told
from initpy.control.events.pools import Pool
from initpy.control.http import MAX_BODY_BYTES, HttpError, HttpRequest, Requests
from initpy.control.xmlrpc import XmlError, call_in
from initpy.eventplan import ListenerPlan

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

MAX_PARTS = 5
MAX_BYTES = 64 * 1024
"""Of one input: mutations may double it."""


def call(method: str, *parameters: object) -> bytes:
    """The body of a call."""
    return xmlrpc.client.dumps(parameters, method).encode()  # type: ignore[arg-type]


def post(body: bytes, path: str = "/RPC2", more: str = "") -> bytes:
    """A request with it."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


CALLS = [
    call("supervisor.getAPIVersion"),
    call("supervisor.getState"),
    call("supervisor.getAllProcessInfo"),
    call("supervisor.getAllConfigInfo"),
    call("supervisor.getProcessInfo", "web"),
    call("supervisor.startProcess", "nope", True),
    call("supervisor.startProcess", "web", False),
    call("supervisor.signalProcess", "web", "CONT"),
    call("supervisor.tailProcessStdoutLog", "web", 0, 100),
    call("supervisor.readProcessStderrLog", "web", -10, 0),
    call("supervisor.clearProcessLogs", "web"),
    call("supervisor.sendRemoteCommEvent", "type", "some \u20ac data"),
    call("supervisor.sendProcessStdin", "web", "text\n"),
    call("supervisor.addProcessGroup", "nope"),
    call("supervisor.removeProcessGroup", "web"),
    call("system.listMethods"),
    call("system.methodHelp", "supervisor.getState"),
    call("system.methodSignature", "supervisor.startProcess"),
    call(
        "system.multicall",
        [
            {"methodName": "supervisor.getState", "params": []},
            {"methodName": "supervisor.getProcessInfo", "params": ["web", [1.5, {"a": False}]]},
            {"methodName": "system.multicall", "params": [[]]},
        ],
    ),
    *[
        call("a", 1).replace(b"?>", b" encoding='%b'?>" % encoding)
        for encoding in (b"utf-16", b"ebcdic", b"latin-1", b"hex", b"idna", b"nothing")
    ],
    call("a", b"bytes", xmlrpc.client.DateTime(0), -5, 2.5, True, [[], {}]),
]
"""None that ends anything, whatever is made of it."""

REQUESTS = [
    *[post(it) for it in CALLS],
    post(CALLS[0], more="Connection: close\r\n") + post(CALLS[1]),
    post(CALLS[0], more="Expect: 100-continue\r\n"),
    post(CALLS[0], more="Authorization: Basic bWU6c2VjcmV0\r\n"),
    post(b"", more="Transfer-Encoding: chunked\r\n"),
    b"GET /RPC2 HTTP/1.1\r\n\r\n",
    b"GET /logtail/web/stdout HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /mainlogtail HTTP/1.0\r\n\r\n",
    b"GET /index.html?processname=web&action=stop HTTP/1.1\r\nHost: x\r\n\r\n",
    b"HEAD / HTTP/1.1\r\n\r\n",
]

TALK = [
    b"READY\nRESULT 2\nOK",
    b"READY\nRESULT 4\nFAILREADY\nRESULT 2\nOK",
    b"READY\nRESULT 0\nREADY\n",
    b"READY\nRESULT 12\n0123456789abREADY\n",
    b"READY\nRESULT 2\nOK" * 20,
    b"READY\nRESULT 300\n" + b"x" * 300 + b"READY\nRESULT 2\nOK",
    b"READY\nRESULT 99999999\nREADY\nRESULT -1\nREADY\n",
]

OUTPUT = [
    b"before " + BEGIN + b"told" + END + b" after",
    BEGIN + BEGIN + END + END,
    b"text with no mark in it\n",
    BEGIN + b"x" * 300 + END,
]

TOKENS = [
    b"\r\n", b"\r\n\r\n", b"\n", b"\0", b" ", b":", b"/", b"?", b"%00", b"%", b"\xff\xfe", b"\x80",
    b"-1", b"0", b"00", b"1e9", b"99999999999999999999", b"2147483648", b"+5", b"NaN",
    b"HTTP/1.0", b"HTTP/9.9", b"GET", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"Host: a\r\n", b" folded: x\r\n",
    b"<", b">", b"&", b"&lt;", b"&#0;", b"&#x110000;", b"&e;", b"<!--", b"-->", b"<![CDATA[",
    b"]]>", b"<?xml version='1.1'?>", b"<!DOCTYPE x>", b"<!DOCTYPE x [<!ENTITY e 'ee'>]>",
    b"<params>", b"</params>", b"<param>", b"</param>", b"<value>", b"</value>", b"<array><data>",
    b"</data></array>", b"<struct>", b"</struct>", b"<member>", b"<name>x</name>", b"<nil/>",
    b"<int>", b"</int>", b"<base64>", b"</base64>", b"<double>", b"</double>", b"<boolean>2",
    b"xmlns='x'", b"encoding='utf-16'", b"encoding='ebcdic'",
    b"READY\n", b"RESULT ", b"OK", b"FAIL", BEGIN, END, BEGIN[:11], END[:7],
]  # fmt: skip


def mutated(random: Random, seeds: list[bytes]) -> bytes:
    """One of the seeds, with up to eight things done to it."""
    raw = random.choice(seeds)
    for _ in range(random.randrange(9)):
        at = random.randrange(len(raw) + 1)
        to = min(len(raw), at + random.choice((1, 2, 5, 20, 200)))
        kind = random.randrange(10)
        if kind == 0:
            raw = raw[:at] + bytes([random.randrange(256)]) + raw[at + 1 :]
        elif kind == 1:
            raw = raw[:at] + raw[to:]
        elif kind == 2:
            raw = raw[:to] + raw[at:to] * random.choice((1, 2, 50)) + raw[to:]
        elif kind == 3:
            raw = raw[:at] + random.choice(TOKENS) + raw[at:]
        elif kind == 4:
            raw = raw[:at] + random.choice(TOKENS) + raw[to:]
        elif kind == 5:
            other = random.choice(seeds)
            raw = raw[:at] + other[random.randrange(len(other)) :]
        elif kind == 6:
            raw = raw[:at]
        elif kind < 9:  # what is between two tags, or in a line
            begin = max(raw.rfind(b">", 0, at), raw.rfind(b"\n", 0, at)) + 1
            ends = [found for mark in (b"<", b"\r", b"\n") if (found := raw.find(mark, at)) >= 0]
            raw = raw[:begin] + random.choice(TOKENS) + raw[min(ends, default=len(raw)) :]
        else:
            raw = raw[:at] + random.randbytes(random.randrange(1, 20)) + raw[at:]
    return raw[:MAX_BYTES]


def parts_of(random: Random, raw: bytes) -> list[bytes]:
    """The same, cut anywhere."""
    cuts = sorted(random.randrange(len(raw) + 1) for _ in range(random.randrange(MAX_PARTS)))
    return [raw[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]


# ---------------------------------------------------------------- what must hold


def check_http(random: Random) -> bytes:
    """Requests or an error come of it; the same, however the bytes arrive."""
    raw = mutated(random, REQUESTS)

    def read(parts: list[bytes]) -> list[object]:
        requests, found = Requests(), []  # type: tuple[Requests, list[object]]
        try:
            for part in parts:
                request = requests.feed(part)
                while request is not None:
                    assert len(request.body) <= MAX_BODY_BYTES
                    found.append(told(request))
                    request = requests.feed(b"")
        except HttpError as exc:
            found.append(exc.status)
        return found

    assert read([raw]) == read(parts_of(random, raw))
    return raw


def told(request: HttpRequest) -> tuple[object, ...]:
    return (request.method, request.path, request.query, request.body, request.keeps_alive)


def check_xml(random: Random) -> bytes:
    """A call or an error comes of it."""
    raw = mutated(random, CALLS)
    with suppress(XmlError):
        name, parameters = call_in(raw)
        assert isinstance(name, str)
        assert isinstance(parameters, list)
    return raw


BUFFER_SIZE = 6


def check_listeners(random: Random) -> bytes:
    """A pool with two listeners that say anything holds what it may and no more, sends nobody two
    events at a time, and gives listeners that behave all that is left, once."""
    raw = mutated(random, TALK)
    keys = ("l:0", "l:1")
    plan = ListenerPlan("l", keys, ("EVENT",), buffer_size=BUFFER_SIZE)
    pool = Pool(plan, "supervisor", lambda _level, _text: None)
    now = 0.0
    for key in keys:
        pool.connect(key, now)
        pool.set_running(key, True)
    busy: set[str] = set()
    for serial, part in enumerate([*parts_of(random, raw), *parts_of(random, raw)]):
        now += 60.0
        pool.put(payloads.SUPERVISOR_RUNNING, serial)
        sent = pool.take(now)
        assert busy.isdisjoint(key for key, _ in sent)
        busy.update(key for key, _ in sent)
        key = random.choice(keys)
        pool.feed(key, part, now)
        pool.look(now)
        if random.randrange(8) == 0:
            pool.disconnect(key, now)
            pool.connect(key, now)
        busy.discard(key)  # it may have answered
    for key in keys:
        pool.connect(key, now)
    found = []
    while True:
        now += 60.0
        pool.feed(keys[0], b"READY\n", now)
        if not (sent := pool.take(now)):
            break
        ((key, message),) = sent
        found.append(_serial_in(message))
        pool.feed(key, b"RESULT 2\nOK", now)
    assert len(found) <= BUFFER_SIZE
    assert len(set(found)) == len(found)
    return raw


def _serial_in(message: bytes) -> int:
    return int(message.partition(b" serial:")[2].split(b" ")[0])


def check_capture(random: Random) -> bytes:
    """What is output and what is told is the same, however the bytes arrive; and all of it that is
    neither a mark nor beyond the limit is one of these."""
    raw = mutated(random, OUTPUT)

    def read(parts: list[bytes]) -> tuple[bytes, list[bytes]]:
        capture = Capture(100)
        pieces = [piece for part in parts for piece in capture.feed(part)]
        pieces += capture.end()
        output = b"".join(it.raw for it in pieces if isinstance(it, Output))
        return output, [it.raw for it in pieces if isinstance(it, Told)]

    whole = read([raw])
    assert whole == read(parts_of(random, raw))
    assert len(whole[0]) + sum(map(len, whole[1])) <= len(raw)
    if BEGIN not in raw:
        assert whole == (raw, [])
    return raw


CHECKS: dict[str, tuple[int, Callable[[Random], bytes]]] = {
    "http": (30, check_http),
    "xml": (30, check_xml),
    "listeners": (20, check_listeners),
    "capture": (15, check_capture),
}
"""How many of a hundred inputs each gets; the others go over a real socket."""

SOCKET_PART = 5
