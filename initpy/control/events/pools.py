"""The listeners of one [eventlistener.NAME], and the events that wait for them.

Events wait in the order in which they came, and each goes to one listener: the first that is READY.
One that comes back, for it was refused, or its listener broke or died with it, goes to the head and
is sent again after a delay that grows with each time; what is behind it waits as well, so that the
order stays. When the buffer is full, the oldest event is dropped, and that is said.
"""

from __future__ import annotations

from initpy.control.events.payloads import envelope
from initpy.control.events.protocol import (
    ACKNOWLEDGED,
    BUSY,
    READY,
    Accepted,
    Broken,
    Listener,
    Refused,
    shown,
)
from initpy.core.messages import INFO, WARN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initpy.control.events.payloads import Event
    from initpy.eventplan import ListenerPlan

MAX_BUFFER_BYTES = 16 * 1024 * 1024
"""Of all that waits in one pool, whatever buffer_size says: an event may be 100 KiB of output."""

FIRST_DELAY_S, LAST_DELAY_S = 0.1, 30.0
"""An event that comes back is sent again after 100 ms, 200 ms … 30 s."""

PATIENCE_S = 60.0
"""A listener that has had an event for so long is reported; so is one that has not asked for one
all that time, while there are some."""


class Waiting:
    """An event in a pool's buffer, or with one of its listeners."""

    def __init__(self, event: Event, serial: int, pool_serial: int) -> None:
        self.event = event
        self.serial = serial
        """Among all events."""
        self.pool_serial = pool_serial
        """Among those of the pool."""
        self.refusals = 0
        """How often it has come back."""
        self.not_before = 0.0
        """When it may be sent again, by the monotonic clock."""


class Member:
    """A process of the pool, and its instance."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.listener = Listener()
        self.is_connected = False
        """There is an instance, and what is sent to it arrives."""
        self.is_running = False
        """It is RUNNING: only then does it get events."""
        self.sent: Waiting | None = None
        """What it has, and has not answered yet."""
        self.since = 0.0
        """When it was last heard of, or sent something."""
        self.is_reported = False


class Pool:
    """One of them. Times are instants of the monotonic clock."""

    def __init__(
        self, plan: ListenerPlan, server: str, say: Callable[[str, str], None], serial: int = 0
    ) -> None:
        """`server` is the name that the header has for all of initpy; `say` takes a level and a
        line; `serial` is the number of the pool's next event."""
        self.plan = plan
        self.serial = serial
        self._server = server
        self._say = say
        self._buffer: list[Waiting] = []
        self._bytes = 0
        self._members: dict[str, Member] = {}
        self._dropped = 0
        """Since the last event was sent."""
        self.set_plan(plan, 0.0)

    def set_plan(self, plan: ListenerPlan, now: float) -> None:
        """The file has changed; its listeners may be others."""
        self.plan = plan
        for key in self._members.keys() - set(plan.keys):
            self._take_back(self._members.pop(key), now)
        names = {key: key.rpartition(":")[2] for key in plan.keys}
        self._members = {key: self._members.get(key) or Member(names[key]) for key in plan.keys}

    @property
    def waiting(self) -> int:
        """How many events wait to be sent."""
        return len(self._buffer)

    @property
    def sent(self) -> int:
        """How many are with a listener that has not answered yet."""
        return sum([it.sent is not None for it in self._members.values()])

    # ------------------------------------------------------------ events

    def put(self, event: Event, serial: int) -> None:
        """An event, to be sent when there is somebody to send it to."""
        waiting = Waiting(event, serial, self.serial)
        self.serial += 1
        self._make_room(len(event.payload))
        self._buffer.append(waiting)
        self._bytes += len(event.payload)

    def _put_back(self, waiting: Waiting, now: float) -> None:
        """It is the next to be sent, after a while."""
        delay_s = min(FIRST_DELAY_S * 2.0 ** min(waiting.refusals, 20), LAST_DELAY_S)
        waiting.refusals += 1
        waiting.not_before = now + delay_s
        self._make_room(len(waiting.event.payload))
        self._buffer.insert(0, waiting)
        self._bytes += len(waiting.event.payload)

    def _make_room(self, size: int) -> None:
        """For one more, of that size."""
        while self._buffer and (
            len(self._buffer) >= self.plan.buffer_size or self._bytes + size > MAX_BUFFER_BYTES
        ):
            dropped = self._buffer.pop(0)
            self._bytes -= len(dropped.event.payload)
            if not self._dropped:
                serial = dropped.serial
                name = self.plan.name
                self._say(WARN, f"pool {name} event buffer overflowed, discarding event {serial}")
            self._dropped += 1

    def take(self, now: float) -> list[tuple[str, bytes]]:
        """What is to be sent now: the keys of listeners, and the bytes for each."""
        found = []
        for key, member in self._members.items():
            if not self._buffer or self._buffer[0].not_before > now:
                break
            if member.is_connected and member.is_running and member.listener.state == READY:
                found.append((key, self._send(member, now)))
        return found

    def _send(self, member: Member, now: float) -> bytes:
        waiting = self._buffer.pop(0)
        self._bytes -= len(waiting.event.payload)
        member.listener.send()
        member.sent, member.since, member.is_reported = waiting, now, False
        if self._dropped > 1:
            count = self._dropped - 1
            self._say(WARN, f"pool {self.plan.name}: {count} more events were discarded since")
        self._dropped = 0
        return envelope(
            waiting.event,
            self._server,
            self.plan.name,
            waiting.serial,
            waiting.pool_serial,
            in_bytes=self.plan.in_bytes,
        )

    # ------------------------------------------------------------ listeners

    def connect(self, key: str, now: float) -> None:
        """A listener has a new instance."""
        member = self._members[key]
        self.disconnect(key, now)
        member.listener = Listener()
        member.is_connected = True
        member.since, member.is_reported = now, False

    def disconnect(self, key: str, now: float) -> None:
        """Its instance has gone: an event that it had not answered is to be sent again."""
        member = self._members[key]
        member.is_connected = False
        self._take_back(member, now)

    def set_running(self, key: str, is_running: bool) -> None:
        """Whether it is RUNNING."""
        self._members[key].is_running = is_running

    def feed(self, key: str, raw: bytes, now: float) -> None:
        """A listener has written something."""
        member = self._members[key]
        member.since = now
        for said in member.listener.feed(raw):
            match said:
                case Accepted():
                    self._say_if_late(member)
                    member.sent = None
                case Refused(result=result):
                    serial = 0 if member.sent is None else member.sent.serial
                    self._say(WARN, f"{member.name}: event {serial} was rejected: {shown(result)}")
                    self._take_back(member, now)
                case Broken(why=why):
                    self._say(
                        WARN,
                        f"{member.name}: {why}; it has entered the UNKNOWN state and will no "
                        "longer receive events until it is restarted",
                    )
                    self._take_back(member, now)
            member.is_reported = False

    def _take_back(self, member: Member, now: float) -> None:
        waiting, member.sent = member.sent, None
        if waiting is not None:
            self._put_back(waiting, now)

    def _say_if_late(self, member: Member) -> None:
        if member.is_reported and member.sent is not None:
            self._say(INFO, f"{member.name} is done with event {member.sent.serial}")

    # ------------------------------------------------------------ time

    def next_due_at(self) -> float | None:
        """When `take` or `look` may have something that they have not now; None: not before
        something happens."""
        dues = []
        if self._buffer and any(self._could_take(it) for it in self._members.values()):
            dues.append(self._buffer[0].not_before)
        dues += [it.since + PATIENCE_S for it in self._members.values() if self._is_slow(it)]
        return min(dues, default=None)

    def look(self, now: float) -> None:
        """Report, once, who keeps events waiting."""
        for member in self._members.values():
            if not self._is_slow(member) or now < member.since + PATIENCE_S:
                continue
            member.is_reported = True
            if member.sent is not None:
                what = f"event {member.sent.serial} ({member.sent.event.name})"
                text = f"has been busy with {what} for {PATIENCE_S:g} s: it gets no other"
            else:
                text = f"has not asked for an event for {PATIENCE_S:g} s, and there are some"
            self._say(WARN, f"{member.name} {text}")

    def _could_take(self, member: Member) -> bool:
        return member.is_connected and member.is_running and member.listener.state == READY

    def _is_slow(self, member: Member) -> bool:
        """It may become worth a report."""
        if member.is_reported or not member.is_connected:
            return False
        has_task = bool(self._buffer) and member.is_running
        return member.listener.state == BUSY or (member.listener.state == ACKNOWLEDGED and has_task)
