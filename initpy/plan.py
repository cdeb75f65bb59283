"""The compiled configuration, as PID 1 gets it: nothing in it has to be parsed or looked up.

The config helper makes a `Plan` out of TOML and sends it through `wire`. What exec needs is bytes,
so that PID 1 never encodes; what a person reads is text.
"""

from __future__ import annotations

from initpy.core.values import Value

# When an exited process is started again (supervisord's `autorestart`).
NEVER, UNEXPECTED, ALWAYS = 0, 1, 2

# What PID 1 does when it gets a signal (`[init.signals]`).
SHUTDOWN, RELOAD, FORWARD, IGNORE = "shutdown", "reload", "forward", "ignore"


class ProcessSpec(Value):
    """One process to be: what to execute, as whom, and how to supervise it."""

    key: str
    """Unique: the name alone, or `group:name` when the two differ."""
    name: str
    """The process's name, which the log lines use."""
    group: str
    program: str
    """The `[program.NAME]` it comes from."""
    argv: tuple[bytes, ...]
    paths: tuple[bytes, ...]
    """Where to look for argv[0], in order; tried at every spawn."""
    environment: tuple[tuple[bytes, bytes], ...] = ()
    """Set on top of the environment that PID 1 itself was given."""
    directory: bytes = b""
    """Empty: the one PID 1 was started in."""
    uid: int = -1
    """-1: the user, group and groups of PID 1 stay."""
    gid: int = -1
    groups: tuple[int, ...] = ()
    umask: int = -1
    """-1: PID 1's own."""
    unspawnable: str = ""
    """Why no attempt to spawn it can succeed (an unknown user); empty: nothing known against it."""
    after: tuple[str, ...] = ()
    """Keys of the processes that have to be RUNNING before it starts."""
    group_priority: int = 999
    priority: int = 999
    autostart: bool = True
    startsecs: float = 1.0
    startretries: int = 3
    autorestart: int = UNEXPECTED
    exitcodes: tuple[int, ...] = (0,)
    stopsignal: int = 15
    stopwaitsecs: float = 10.0
    stopasgroup: bool = False
    killasgroup: bool = True
    critical: bool = True


class SignalRule(Value):
    """What a signal to PID 1 does."""

    signum: int
    action: str
    """SHUTDOWN, RELOAD, FORWARD or IGNORE."""
    keys: tuple[str, ...] = ()
    """FORWARD: to these processes; empty: to every process that catches `send`."""
    send: int = 0
    """FORWARD: the signal they get."""


class Plan(Value):
    """All that the file says."""

    processes: tuple[ProcessSpec, ...]
    """In the order in which supervisord would start them."""
    signals: tuple[SignalRule, ...] = ()
    """For each signal with an action of its own; any other is forwarded to who catches it."""
    shutdown_timeout_s: float = 9.0
    """For the whole container: from the stop request to the exit of PID 1."""
    exit_code_from: tuple[str, ...] = ()
    """Processes of the program whose exit code becomes the container's; empty: the culprit's."""
