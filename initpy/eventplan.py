"""Floor 0: the event listeners, as the configuration says and the control helper gets them."""

from __future__ import annotations

from initpy.core.values import Value

BUFFER_SIZE = 1000
"""The default of `buffer_size`."""


class ListenerPlan(Value):
    """What an [eventlistener.NAME] says of its events; its processes are among the others."""

    name: str
    """Of the pool, and of its group."""
    keys: tuple[str, ...]
    """Of its processes, in the order in which they are served."""
    events: tuple[str, ...]
    """The types of events that it wants, by their names; it gets what belongs to them as well."""
    buffer_size: int = BUFFER_SIZE
    """So many events wait at the most."""
    in_bytes: bool = False
    """`len` in the header counts bytes, not characters."""


class EventsBirth(Value):
    """What a control helper is started with, where there are listeners."""

    plans: tuple[ListenerPlan, ...]
    door_fd: int
    """A packet comes from here for each new instance of a listener: a frame of (key, pid), and with
    it the fds of our ends of its stdin and its stdout."""
    memory_fd: int
    """A memory file that outlives the helper: see control.events.ledger."""
    output_fd: int = -1
    """Packets come from here as logplan.LogPlan has them: what programs have written; -1: none."""
    groups: tuple[str, ...] = ()
    """At the very start of initpy: the groups that there will be, of which nobody has been told;
    later: none."""
