"""What events say: the text behind the header, to the byte as supervisord has it."""

from __future__ import annotations

from initpy.control.events import kinds
from initpy.core.states import STATE_NAMES, State
from initpy.core.values import Value


class Event(Value):
    """Something that has happened, for whoever wants to hear of it."""

    name: str
    """One of kinds.TYPES."""
    payload: str


def process_state(
    process: str,
    group: str,
    state: int,
    old: int,
    *,
    pid: int = 0,
    tries: int = 0,
    expected: bool = True,
) -> Event:
    """A process has changed its state, from `old`.

    `pid` is that of the instance concerned, also when it has just ended; 0: there was none.
    `tries` counts the starts that have failed in a row. `expected` is about an exit.
    """
    said = f"processname:{process} groupname:{group} from_state:{STATE_NAMES[old]}"
    if state in (State.STARTING, State.BACKOFF):
        said += f" tries:{tries}"
    elif state in (State.RUNNING, State.STOPPING, State.STOPPED):
        said += f" pid:{pid}"
    elif state == State.EXITED:
        said += f" expected:{int(expected)} pid:{pid}"
    return Event(f"{kinds.PROCESS_STATE}_{STATE_NAMES[state]}", said)


def process_log(process: str, group: str, pid: int, channel: str, raw: bytes) -> Event:
    """A program has written something. `channel` is "stdout" or "stderr"."""
    head = f"processname:{process} groupname:{group} pid:{pid} channel:{channel}\n"
    return Event(f"{kinds.PROCESS_LOG}_{channel.upper()}", head + _text(raw))


def process_communication(process: str, group: str, pid: int, channel: str, raw: bytes) -> Event:
    """A program has written something to be told of, between the marks of `capture`."""
    head = f"processname:{process} groupname:{group} pid:{pid}\n"
    return Event(f"{kinds.PROCESS_COMMUNICATION}_{channel.upper()}", head + _text(raw))


def remote_communication(kind: str, text: str) -> Event:
    """Somebody has called sendRemoteCommEvent."""
    return Event(kinds.REMOTE_COMMUNICATION, f"type:{kind}\n{text}")


def group_added(group: str) -> Event:
    return Event(kinds.GROUP_ADDED, f"groupname:{group}\n")


def group_removed(group: str) -> Event:
    return Event(kinds.GROUP_REMOVED, f"groupname:{group}\n")


def tick(period_s: int, when: int) -> Event:
    """A period of the wall clock has begun at `when`, in seconds since 1970."""
    return Event(f"{kinds.TICK}_{period_s}", f"when:{when}")


SUPERVISOR_RUNNING = Event(kinds.SUPERVISOR_RUNNING, "")
SUPERVISOR_STOPPING = Event(kinds.SUPERVISOR_STOPPING, "")


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return f"Undecodable: {raw!r}"


def envelope(
    event: Event, server: str, pool: str, serial: int, pool_serial: int, *, in_bytes: bool = False
) -> bytes:
    """The header line and the payload, as a listener reads them.

    `len` counts characters, as supervisord does, which is what who reads text needs; or, with
    `in_bytes`, the bytes.
    """
    payload = event.payload.encode("utf-8", "surrogateescape")
    length = len(payload) if in_bytes else len(event.payload)
    header = (
        f"ver:3.0 server:{server} serial:{serial} pool:{pool} poolserial:{pool_serial}"
        f" eventname:{event.name} len:{length}\n"
    )
    return header.encode("utf-8", "surrogateescape") + payload
