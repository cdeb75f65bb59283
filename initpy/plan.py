"""The compiled configuration, as PID 1 gets it: nothing in it has to be parsed or looked up.

The config helper makes a `Plan` out of TOML and sends it through `wire`. What exec needs is bytes,
so that PID 1 never encodes; what a person reads is text.
"""

from __future__ import annotations

from initpy.core.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.controlplan import ControlPlan
    from initpy.eventplan import ListenerPlan
    from initpy.logplan import ChannelPlan

# When an exited process is started again (supervisord's `autorestart`).
NEVER, UNEXPECTED, ALWAYS = 0, 1, 2

# What PID 1 does when it gets a signal (`[init.signals]`).
SHUTDOWN, RELOAD, FORWARD, IGNORE = "shutdown", "reload", "forward", "ignore"
REOPEN = "reopen"
UPGRADE = "upgrade"
UPGRADE_SIGNAL = 59
"""What does that if nothing else is said. By number, for glibc and musl count the real-time signals
from different ones; it is glibc's RTMIN+25, with which systemd, too, is executed anew."""


class Backoff(Value):
    """The delays between failed starts: `initial_s`, then each `factor` times the one before, up to
    `max_s`; each stretched by up to `jitter` of itself, drawn anew."""

    initial_s: float
    factor: float
    max_s: float
    jitter: float
    """0.0 to 1.0."""


class RestartLimit(Value):
    """At most `count` restarts in any `window_s` seconds."""

    count: int
    window_s: float


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
    """Set on top of the environment that PID 1 itself was given, or (`clean_environment`) alone;
    the SUPERVISOR_* variables come from `name` and `group`."""
    clean_environment: bool = False
    directory: bytes = b""
    """Empty: the one PID 1 was started in."""
    uid: int = -1
    """-1: the user, group and groups of PID 1 stay."""
    gid: int = -1
    groups: tuple[int, ...] = ()
    umask: int = -1
    """-1: PID 1's own."""
    rlimits: tuple[tuple[int, int, int], ...] = ()
    """The resource's number, its soft and its hard limit (-1: unlimited)."""
    nice: int | None = None
    """None, here and below: PID 1's own."""
    oom_score_adj: int | None = None
    no_new_privs: bool = False
    unspawnable: str = ""
    """Why no attempt to spawn it can succeed (an unknown user); empty: nothing known against it."""
    after: tuple[str, ...] = ()
    """Keys of the processes that have to be RUNNING before it starts."""
    group_priority: int = 999
    priority: int = 999
    autostart: bool = True
    oneshot: bool = False
    """Its work is done when it ends with an expected code; what comes after it waits for that."""
    startsecs: float = 1.0
    startretries: int = 3
    autorestart: int = UNEXPECTED
    exitcodes: tuple[int, ...] = (0,)
    backoff: Backoff | None = None
    """None: 1, 2, 3 … seconds, as supervisord."""
    restart_limit: RestartLimit | None = None
    """For those that end after they have been RUNNING; over it: FATAL. None: no limit."""
    drain_s: float = 0.0
    """When the container is asked to stop: how long it runs on before the first signal."""
    stop_command: tuple[bytes, ...] = ()
    """Run before the first signal; empty: none."""
    stop_paths: tuple[bytes, ...] = ()
    """Where to look for stop_command[0], as `paths`."""
    stop_command_s: float = 10.0
    """How long it, and what it brings about, may take before the first signal."""
    stopsteps: tuple[tuple[int, float], ...] = ((15, 10.0),)
    """Signals, and the seconds each has to work; after the last comes SIGKILL."""
    stopasgroup: bool = False
    killasgroup: bool = True
    critical: bool = True
    foreground: str = ""
    """What keeps this program in the foreground, if it is known to leave it; for the log."""
    stdout: ChannelPlan | None = None
    """What becomes of its output; None: it goes to PID 1's own, untouched."""
    stderr: ChannelPlan | None = None
    redirect_stderr: bool = False
    """Its stderr is its stdout, whatever that is."""
    stdin_pipe: bool = False
    """Its stdin is a pipe, into which clients can write; else it is /dev/null."""
    is_listener: bool = False
    """It is told of events: its stdin and its stdout are pipes to the control helper."""


class SignalRule(Value):
    """What a signal to PID 1 does."""

    signum: int
    action: str
    """SHUTDOWN, RELOAD, REOPEN, UPGRADE, FORWARD or IGNORE."""
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
    oom_file: bytes = b""
    """The file in which the kernel counts the memory cgroup's OOM kills; empty: there is none."""
    log_format: str = "text"
    """PID 1's own lines: "text", "prefix" or "json"."""
    prefix_width: int = 0
    """How wide the names before the lines of programs are."""
    listeners: tuple[ListenerPlan, ...] = ()
    """What is to be told to the processes that are listeners."""
    control: ControlPlan | None = None
    """Where clients connect; None: nowhere."""
    trace: bytes = b""
    """The file in which all that the core is told and decides is written down; empty: none."""
