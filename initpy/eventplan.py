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
