"""Floor 2: the processes of programs, from fork by way of exec to their burial, and the signals to
them; and the stop commands, which are spawned as they are.

A pid is recorded as the next act after fork, and is signalled only as long as it is on record: it
is reaped by PID 1 alone, so until then its number cannot be somebody else's.
"""

from __future__ import annotations

import posix

from initpy.core.door import SIGKILL
from initpy.core.messages import (
    WARN,
    ExecFailed,
    Executed,
    Exited,
    KillFailed,
    Spawned,
    SpawnFailed,
    StopCommandFailed,
)
from initpy.core.states import State
from initpy.core.words import ended
from initpy.linux import syscalls
from initpy.linux.errnos import ESRCH
from initpy.linux.memory import OomKills
from initpy.linux.spawn import SpawnError, read_reason, spawn, spawn_stop_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initpy.core.states import ExitStatus
    from initpy.core.supervisor import Supervisor
    from initpy.core.values import Value
    from initpy.linux.log import LogWriter
    from initpy.linux.signals import Signals
    from initpy.parts import Parts
    from initpy.sweeping import Sweeping
    from initpy.watches import Watches


class StopCommand:
    """A stop command that runs: whose it is, which instance it is to stop, and the pipe from which
    comes why it could not be executed."""

    KEPT = ("key", "main_pid", "reason_fd")

    def __init__(self, key: str, main_pid: int, reason_fd: int) -> None:
        self.key = key
        self.main_pid = main_pid
        self.reason_fd = reason_fd


class Spawning:
    """All that live, by pid, and what each new one is given."""

    KEPT = ("commands", "environment", "held", "keys", "oom_file", "reasons")

    def __init__(
        self,
        state: Callable[[], Supervisor],
        tell: Callable[[Value], None],
        note_done: Callable[[], None],
        signals: Signals,
        log: LogWriter,
        watches: Watches,
        sweeping: Sweeping,
        parts: Parts,
    ) -> None:
        """`state` is the core's; `tell` takes facts; `note_done` is called when what cannot be
        undone of an effect is done."""
        self._state = state
        self._tell = tell
        self._note_done = note_done
        self._signals = signals
        self._log = log
        self._watches = watches
        self._sweeping = sweeping
        self._parts = parts
        self.keys: dict[int, str] = {}
        """Live processes: pid to key."""
        self.reasons: dict[int, int] = {}
        """Children on their way to exec: pid to the fd of the reason."""
        self.commands: dict[int, StopCommand] = {}
        """Stop commands that run, by their pid."""
        self.held: list[str] = []
        """Processes that are to be spawned when the relay of the logs knows of it."""
        self.environment: dict[bytes, bytes] = {}
        self._stdin_fd = syscalls.open_null()
        self.oom_file = b""
        self.oom_kills = OomKills(b"")

    def count_oom_kills(self, oom_file: bytes) -> None:
        """From now on, in this file."""
        self.oom_kills.close()
        self.oom_file = oom_file
        self.oom_kills = OomKills(self.oom_file)

    # ------------------------------------------------------------ to exec

    def spawn(self, key: str) -> None:
        process = self._state().processes[key]
        spec = process.spec
        if process.state != State.STARTING:  # a stop has overtaken it
            self._note_not_spawned(key, "it was stopped before it was spawned")
            return
        if spec.unspawnable:
            self._note_not_spawned(key, spec.unspawnable)
            return
        if self._parts.output is not None and not self._parts.output.may_start(key):
            if key not in self.held:
                self.held.append(key)
            return
        mark = self._sweeping.next_mark(key)

        def record(pid: int, fd: int) -> None:
            self.keys[pid] = key
            self.reasons[pid] = fd
            self._tell(Spawned(key, pid))
            self._note_done()

        stdin_fd = self._stdin_fd
        try:
            fds = self._parts.output_fds(spec)
            if spec.is_listener and self._parts.events is not None:
                stdin_fd, stdout_fd = self._parts.events.fds_for(spec)
                fds = (stdout_fd, fds[1])
            elif spec.stdin_pipe and self._parts.inputs is not None:
                stdin_fd = self._parts.inputs.fd_for(spec)
            given = (self.environment, stdin_fd, self._signals.inherited)
            pid, fd = spawn(spec, *given, mark, record, fds, self._parts.url())
        except SpawnError as exc:
            if self._parts.events is not None:
                self._parts.events.not_started()
            if self._parts.inputs is not None:
                self._parts.inputs.ended(key)
            self._note_not_spawned(key, str(exc))
            return
        if spec.is_listener and self._parts.events is not None and self._parts.serving is not None:
            self._parts.events.started(key, pid)
            self._parts.serving.give_listeners()
        if self._parts.inputs is not None:
            self._parts.inputs.started()
        self._sweeping.forget(key)
        if self._parts.output is not None:
            self._parts.output.started(key, pid)
        self.watch_reason(pid, fd)

    def _note_not_spawned(self, key: str, reason: str) -> None:
        if self._parts.output is not None:
            self._parts.output.not_started(key)
        self._tell(SpawnFailed(key, reason))

    def watch_reason(self, pid: int, fd: int) -> None:
        try:
            self._watches.watch(fd, lambda: self._read_reason(pid))
        except OSError as exc:  # no memory: take it that exec works, or hear the reason at its end
            key = self.keys[pid]
            self._log.line(WARN, f"cannot watch '{key}' on its way to exec: {exc.strerror}")
            self._tell(Executed(key, pid))

    def _read_reason(self, pid: int) -> None:
        """The child has executed the program, or says why not."""
        fd = self.reasons[pid]
        key = self.keys[pid]
        reason = read_reason(fd)
        self._tell(ExecFailed(key, pid, reason) if reason else Executed(key, pid))
        del self.reasons[pid]
        self._watches.close(fd)

    # ------------------------------------------------------------ signals

    def kill(self, key: str, pid: int, signum: int) -> None:
        if self.keys.get(pid) != key:
            return  # it has been reaped, and its number may be somebody else's
        failed = syscalls.kill(pid, signum)
        self._note_done()
        if failed not in (0, ESRCH):
            self._tell(KillFailed(key, pid, failed))

    def kill_group(self, key: str, group: int, signum: int) -> None:
        if self.keys.get(group) != key:
            return  # as above
        failed = syscalls.kill_group(group, signum)
        if failed != ESRCH:
            self._note_done()
        if failed == ESRCH:
            self.kill(key, group, signum)  # the child has yet to become a group of its own
        elif failed:
            self._tell(KillFailed(key, group, failed))

    # ------------------------------------------------------------ stop commands

    def run_stop_command(self, key: str, main_pid: int) -> None:
        """The stop command, as if it were the program; how it ends is told if it has failed."""
        if self.keys.get(main_pid) != key:
            return
        spec = self._state().processes[key].spec
        mark = self._sweeping.mark_of(key)

        def record(pid: int, fd: int) -> None:
            self.commands[pid] = StopCommand(key, main_pid, fd)
            self._note_done()

        try:
            fds = self._parts.output_fds(spec)
            given = (self.environment, self._stdin_fd, self._signals.inherited)
            spawn_stop_command(spec, *given, mark, main_pid, record, fds, self._parts.url())
        except SpawnError as exc:
            self._tell(StopCommandFailed(key, main_pid, str(exc)))

    def bury_stop_command(self, pid: int, status: ExitStatus) -> None:
        command = self.commands[pid]
        reason = read_reason(command.reason_fd)
        if status.code != 0:
            reason = reason or ended(status)
            self._tell(StopCommandFailed(command.key, command.main_pid, reason))
        del self.commands[pid]
        syscalls.close(command.reason_fd)

    # ------------------------------------------------------------ burial

    def bury(self, pid: int, status: ExitStatus, peak_kib: int) -> None:
        if pid in self.reasons:
            self._read_reason(pid)
        oom_kills = self.oom_kills.new() if status.signal == SIGKILL else 0
        draw = int.from_bytes(posix.urandom(4), "big") / 2**32
        if self._parts.output is not None:
            self._parts.output.ended(self.keys[pid])
        if self._parts.events is not None:
            self._parts.events.ended(self.keys[pid])
        if self._parts.inputs is not None:
            self._parts.inputs.ended(self.keys[pid])
        self._tell(Exited(self.keys[pid], pid, status, peak_kib, oom_kills, draw))
        del self.keys[pid]
