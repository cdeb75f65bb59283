"""What the tests with real listeners share."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.support import toml_list, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

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
    file: Path, wanted: Callable[[Seen], object], *, times: int = 1, within_s: float = 30.0
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
