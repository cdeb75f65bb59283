"""Orders of clients that are about more than one process. PID 1 only loads them when it has
clients."""

from __future__ import annotations

from initpy.core.values import Value


class Reload(Value):
    """Read the configuration, and do what has changed in it."""


class Reopen(Value):
    """Close log files and open them again."""


class Restart(Value):
    """Read the configuration, and start everything anew as it says."""


class Reread(Value):
    """Read the configuration, and change nothing: what it says is for AddGroup."""


class AddGroup(Value):
    """Run the programs of a group, as the configuration that was read last has them."""

    name: str


class RemoveGroup(Value):
    """Have no such group any more; everything in it has to be down."""

    name: str


class ShutDown(Value):
    """Stop everything and exit."""
