"""What the tests with real listeners share."""

from __future__ import annotations

import json
import re
import shlex
import socket
import sys
import xmlrpc.client
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.support import PATIENCE_S, children, fds_of, toml_list, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Init

LISTENER = Path(__file__).resolve().parent / "listener.py"


class Seen(NamedTuple):
    """An event as a listener has read it."""

    pid: int
    """The listener's."""
    header: dict[str, str]
    payload: str

    @property
    def name(self) -> str:
        return self.header["eventname"]

    @property
    def serial(self) -> int:
        return int(self.header["serial"])


def command(file: Path | str, *results: str) -> list[str]:
    """That of a listener that writes down what it sees."""
    return [sys.executable, "-I", "-S", str(LISTENER), str(file), *results]


def line(file: Path | str, *results: str) -> str:
    """The same for a supervisord.conf."""
    return shlex.join(command(file, *results))


def toml(name: str, file: Path, events: list[str], *results: str, **options: object) -> str:
    """An [eventlistener.NAME]; its options are TOML."""
    lines = [
        f"[eventlistener.{name}]",
        f"command = {toml_list(command(file, *results))}",
        f"events = {toml_list(events)}",
        *[f"{key} = {value}" for key, value in options.items()],
    ]
    return "\n".join(lines) + "\n"


def seen(file: Path) -> list[Seen]:
    """What a listener has seen so far; the last line may be half written."""
    if not file.exists():
        return []
    text = file.read_text()
    found = []
    for raw in text[: text.rfind("\n") + 1].splitlines():
        pid, header, payload = json.loads(raw)
        if header != "end of file":
            fields = dict(pair.split(":", 1) for pair in header.split())
            found.append(Seen(pid, fields, payload))
    return found


def wait_until_seen(
    file: Path, wanted: Callable[[Seen], object], *, times: int = 1, within_s: float = PATIENCE_S
) -> list[Seen]:
    """What it has seen of that kind, as soon as there is so much."""

    def found() -> list[Seen]:
        matching = [it for it in seen(file) if wanted(it)]
        return matching if len(matching) >= times else []

    try:
        return wait_for(found, within_s=within_s)
    except AssertionError:
        raise AssertionError(f"never seen; seen: {seen(file)}") from None


def state(process: str, name: str) -> Callable[[Seen], bool]:
    """The event that a process has got into a state."""
    start = f"processname:{process} "
    return lambda it: it.name == f"PROCESS_STATE_{name}" and it.payload.startswith(start)


def without_pids(payload: str) -> str:
    """A payload that compares: pids are of no interest, but for there being one."""
    return re.sub(r"\bpid:[1-9]\d*", "pid:N", payload)


def helper_of(init: Init) -> int:
    """The pid of its control helper, as soon as there is one."""
    mine = Path(f"/proc/{init.pid}/cmdline").read_bytes()

    def find() -> int:
        for pid in children(init.pid):
            with suppress(OSError):
                is_fork = Path(f"/proc/{pid}/cmdline").read_bytes() == mine
                if is_fork and any(it.startswith("socket:") for it in fds_of(pid)):
                    return pid
        return 0

    return wait_for(find, about="a control helper")


def call(init: Init, method: str, *parameters: Any) -> Any:
    """The result of a method of initpy's API."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(str(init.socket))
        body = xmlrpc.client.dumps(parameters, method).encode()
        head = (
            f"POST /RPC2 HTTP/1.0\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        sock.sendall(head.encode() + body)
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    ((result,), _) = xmlrpc.client.loads(answer.partition(b"\r\n\r\n")[2])
    return result
