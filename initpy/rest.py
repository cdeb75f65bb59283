"""Floor 2: what is left when all programs have been stopped, and is killed at the end.

PID 1 signals everybody. Where initpy is not the first process it is a subreaper: everybody would be
strangers as well, so a helper looks for its own descendants, until none is left.
"""

from __future__ import annotations

import posix

from initpy.core.door import SIGCONT, SIGKILL
from initpy.core.messages import INFO, WARN
from initpy.core.values import Value
from initpy.linux import syscalls
from initpy.linux.children import has_own_proc
from initpy.linux.reaper import has_children

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initpy.helpers import ForkHelper
    from initpy.linux.log import LogWriter

MAX_SWEEPS = 20
"""As a subreaper: how often what is left is looked for and killed."""


class EndRest(Value):
    """The task of a helper: end what is left, where PID 1 is none."""


class Rest:
    """The last signal to it, and the helper that sends it."""

    KEPT = ("rest_signal", "sweeps")

    def __init__(
        self, fork_helper: ForkHelper, note_done: Callable[[], None], log: LogWriter
    ) -> None:
        """`note_done` is called when what cannot be undone of an effect is done."""
        self._fork_helper = fork_helper
        self._note_done = note_done
        self._log = log
        self.rest_signal = 0
        """The last KillRest; 0: none yet."""
        self.sweeps = 0
        self._is_first = posix.getpid() == 1

    def kill(self, signum: int) -> None:
        """Carry out a `KillRest`."""
        self.rest_signal = signum
        self.sweeps = 0
        if self._is_first:
            syscalls.kill_everyone(signum)
            syscalls.kill_everyone(SIGCONT)
            self._note_done()
        elif has_children():
            self._sweep()

    def _sweep(self) -> None:
        """As a subreaper: have a helper signal all our descendants, KILL until none is left."""
        signum = self.rest_signal
        parent = posix.getpid()

        def kill_descendants(_fd: int) -> int:
            from initpy.linux import proc  # noqa: PLC0415 - in the helper only

            for pid in proc.below(parent) if has_own_proc() else ():
                if pid != posix.getpid():
                    syscalls.kill(pid, signum)
                    syscalls.kill(pid, SIGCONT)
            return 0

        try:
            self._fork_helper("sweep", kill_descendants, EndRest())
        except OSError as exc:
            self._log.line(WARN, f"cannot look for what is left: fork: {exc.strerror}")

    def end_sweep(self) -> None:
        """The helper has ended."""
        self.sweeps += 1
        again = self.rest_signal == SIGKILL and self.sweeps < MAX_SWEEPS
        if again and has_children():  # born while the sweep was looking
            self._sweep()

    def become_subreaper(self) -> None:
        """Where initpy is not the first process: have orphans become its children all the same."""
        if self._is_first:
            return
        why_not = syscalls.become_subreaper()
        own = posix.getpid()
        if why_not:
            text = f"not PID 1 but {own}, and no subreaper: {why_not}; orphans will not be reaped"
            self._log.early_line(WARN, text)
        else:
            self._log.early_line(INFO, f"not PID 1 but {own}: acting as a subreaper")
