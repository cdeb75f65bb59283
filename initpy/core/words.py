"""What the log says of a process, in supervisord's words: people grep for them."""

from __future__ import annotations

from initpy.core.messages import INFO, WARN
from initpy.core.restart import is_expected
from initpy.core.states import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.core.door import Process
    from initpy.core.messages import Notice
    from initpy.core.states import ExitStatus
    from initpy.plan import RestartLimit

TOO_QUICKLY = "Exited too quickly (process log may have details)"
LEAST_PEAK_KIB = 16 * 1024
"""A smaller peak cannot be told from what PID 1 itself had when it forked the process."""

MAX_NAMED = 5
"""How many processes a line names."""

CONTAINER_STOPS = "the container stops before the next try"

SIGNAL_NAMES = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    5: "SIGTRAP",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    10: "SIGUSR1",
    11: "SIGSEGV",
    12: "SIGUSR2",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
    16: "SIGSTKFLT",
    17: "SIGCHLD",
    18: "SIGCONT",
    19: "SIGSTOP",
    20: "SIGTSTP",
    21: "SIGTTIN",
    22: "SIGTTOU",
    23: "SIGURG",
    24: "SIGXCPU",
    25: "SIGXFSZ",
    26: "SIGVTALRM",
    27: "SIGPROF",
    28: "SIGWINCH",
    29: "SIGIO",
    30: "SIGPWR",
    31: "SIGSYS",
}
"""Linux's numbers on every architecture but alpha, mips, parisc and sparc."""


def signal_name(signum: int) -> str:
    """SIGTERM for 15. Real-time signals stay numbers: glibc and musl count them differently."""
    return SIGNAL_NAMES.get(signum) or f"signal {signum}"


def ended(status: ExitStatus) -> str:
    """How a process ended, as supervisord writes it."""
    if status.signal is not None:
        dumped = " (core dumped)" if status.core_dumped else ""
        return f"terminated by {signal_name(status.signal)}{dumped}"
    return f"exit status {status.code}"


def seconds(span_s: float) -> str:
    """A time span for people: 1, 0.5, 7.5; never more than milliseconds."""
    return f"{span_s:.3f}".rstrip("0").rstrip(".")


def died(process: Process, status: ExitStatus) -> str:
    """The line for an instance that has ended unexpectedly: supervisord's words, and what else is
    known of its end."""
    known = [f"up for {seconds(process.lasted_s)} s"]
    if process.peak_kib >= LEAST_PEAK_KIB:
        known.append(f"peak memory {process.peak_kib // 1024} MiB")
    elif process.peak_kib:
        known.append(f"peak memory under {LEAST_PEAK_KIB // 1024} MiB")
    if process.oom_kills:
        count = process.oom_kills
        times = "once" if count == 1 else f"{count} times"
        known.append(f"the kernel has just killed {times} in this container for lack of memory")
    return f"exited: {process.spec.name} ({ended(status)}; not expected), {', '.join(known)}"


def over_limit(limit: RestartLimit) -> str:
    """Why it is not started again (spawnerr)."""
    return (
        f"it was to be restarted more than {limit.count} times in {seconds(limit.window_s)} seconds"
        " (restart_limit)"
    )


def left_behind(found: tuple[tuple[int, str], ...]) -> str:
    """Processes by name and pid, the first few of them."""
    named = [f"{name} ({pid})" for pid, name in found[:MAX_NAMED]]
    more = len(found) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def line_for(notice: Notice) -> tuple[str, str] | None:
    """The level and the text of the line that a change of state is worth; None: none."""
    process = notice.process
    name, status = process.spec.name, process.status
    match process.state:
        case State.RUNNING if process.spec.oneshot:
            return None
        case State.RUNNING:
            stayed_s = seconds(process.spec.startsecs)
            return INFO, (
                f"success: {name} entered RUNNING state, process has stayed up for > than"
                f" {stayed_s} seconds (startsecs)"
            )
        case State.BACKOFF:
            if process.executed and status is not None:
                return WARN, died(process, status)
            return WARN, f"spawnerr: {process.spawnerr} ({name})"
        case State.EXITED if status is not None:
            if is_expected(process.spec, status):
                return INFO, f"exited: {name} ({ended(status)}; expected)"
            return WARN, died(process, status)
        case State.STOPPED if notice.old in (State.STOPPING, State.UNKNOWN) and status is not None:
            level = INFO if is_expected(process.spec, status) else WARN
            return level, f"stopped: {name} ({ended(status)})"
        case State.FATAL if notice.old == State.BACKOFF and process.spawnerr != CONTAINER_STOPS:
            why = "" if process.spawnerr == TOO_QUICKLY else f": {process.spawnerr}"
            return INFO, (
                f"gave up: {name} entered FATAL state, too many start retries too quickly{why}"
            )
        case State.FATAL:
            return INFO, f"gave up: {name} entered FATAL state, {process.spawnerr}"
        case State.UNKNOWN:
            return WARN, (
                f"{name} entered UNKNOWN state: the kernel refused to signal pid {process.pid}"
            )
        case _:
            return None
