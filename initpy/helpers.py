"""Floor 2: the forked helpers of PID 1: what each is to find out, what it has said, how it ends.

A helper outlives the image of PID 1 that has forked it, so what is to be done with its answer is
told by its task, which is a value, and not by a function.
"""

from __future__ import annotations

import posix

from initpy.core.messages import WARN
from initpy.linux import syscalls
from initpy.linux.spawn import fork_helper
from initpy.wire import Frames, WireError, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initpy.core.states import ExitStatus
    from initpy.core.values import Value
    from initpy.linux.signals import Inherited

    ForkHelper = Callable[[str, Callable[[int], int], Value], object]

READ_BYTES = 8192
CLOSED = -1
SIGKILL = 9


def send(fd: int, value: object) -> None:
    """In a helper: send this to PID 1.

    Raises:
        OSError: nobody listens any more.
    """
    message = frame(value)
    while message:
        message = message[posix.write(fd, message) :]


class Helper:
    """A helper that lives."""

    KEPT = ("answered", "fd", "frames", "name", "pid", "task", "values")

    def __init__(self, pid: int, fd: int, name: str, task: Value) -> None:
        self.pid = pid
        self.fd = fd
        """CLOSED after its end of file, or its first nonsense."""
        self.name = name
        self.task = task
        self.frames = Frames()
        self.values: list[object] = []
        """What it has said, and nobody has seen to."""
        self.answered = False
        """A value of it has been seen to."""


class Helpers:
    """All of them, by pid."""

    KEPT = ("by_pid",)

    def __init__(
        self,
        inherited: Inherited,
        watch: Callable[[int, Callable[[], None]], None],
        close: Callable[[int], None],
        say: Callable[[str, str], None],
        form: Callable[[str, str], bytes],
        take_value: Callable[[Helper, object], None],
        take_end: Callable[[Helper, ExitStatus], None],
        oom_file: Callable[[], bytes],
    ) -> None:
        """`watch` and `close` are for the helpers' fds, `say` for the log, and `form` makes what
        `say` would write; `take_value` and `take_end` see to what a helper says, and to its end.
        `oom_file` is as in the plan."""
        self.by_pid: dict[int, Helper] = {}
        self.unheard: list[int] = []
        """Those, by pid, that have said something before a fault, which is still to be seen to;
        nothing more may come from them to wake anybody."""
        self._inherited = inherited
        self._watch = watch
        self._close = close
        self._say = say
        self._form = form
        self._take_value = take_value
        self._take_end = take_end
        self._oom_file = oom_file

    def fork(self, name: str, body: Callable[[int], int], task: Value) -> int:
        """Start a helper that runs `body` with the fd to write its answer to. Returns its pid.

        Raises:
            OSError: pipe or fork failed; or nobody could hear it, and it is none of ours any more.
        """

        def expendable_body(fd: int) -> int:
            try:
                from initpy.linux import victim  # noqa: PLC0415 - in the helper only

                victim.come_before(posix.getppid(), self._oom_file())
            except ImportError:  # the files of initpy are gone: then as it is
                pass
            return body(fd)

        pid, fd = fork_helper(
            expendable_body,
            self._inherited,
            lambda pid, fd: self._record(Helper(pid, fd, name, task)),
            form=lambda text: self._form(WARN, text),
        )
        try:
            self.watch(self.by_pid[pid])
        except OSError:  # no memory for it: whoever asked has it done anew, and by that one alone
            del self.by_pid[pid]
            syscalls.kill(pid, SIGKILL)
            syscalls.close(fd)
            raise
        return pid

    def adopt(self, pid: int, fd: int, name: str, task: Value) -> None:
        """The same for one that has been forked already."""
        self._record(Helper(pid, fd, name, task))
        self.watch(self.by_pid[pid])

    def _record(self, helper: Helper) -> None:
        self.by_pid[helper.pid] = helper

    def watch(self, helper: Helper) -> None:
        """Hear what it says."""
        if helper.fd != CLOSED:
            self._watch(helper.fd, lambda: self.hear(helper))

    def hear(self, helper: Helper) -> None:
        """Take what a helper has sent; its pipe is closed at its end, or at the first nonsense."""
        self._answer(helper)
        while helper.fd != CLOSED:
            try:
                helper.frames.held += (raw := posix.read(helper.fd, READ_BYTES))
                helper.frames.feed(b"", helper.values)
            except BlockingIOError:
                return
            except WireError as exc:
                self._say(WARN, f"the {helper.name} helper sends nonsense: {exc}")
                raw = b""
            self._answer(helper)
            if not raw:
                self.hang_up(helper)

    def look_again(self) -> None:
        """Something has failed half-way: find those that have to be heard."""
        self.unheard = [pid for pid, helper in self.by_pid.items() if helper.values]

    def next_unheard(self) -> Helper | None:
        """The next to be heard; None: all have been."""
        while self.unheard:
            helper = self.by_pid.get(self.unheard[0])
            if helper is not None and helper.values:
                return helper
            del self.unheard[0]
        return None

    def _answer(self, helper: Helper) -> None:
        while helper.values:
            self._take_value(helper, helper.values[0])
            helper.answered = True
            del helper.values[:1]

    def hang_up(self, helper: Helper) -> None:
        """Listen to it no more."""
        if helper.fd != CLOSED:
            fd, helper.fd = helper.fd, CLOSED  # the number will soon be another file's
            self._close(fd)

    def bury(self, pid: int, status: ExitStatus) -> None:
        """It has been reaped."""
        helper = self.by_pid[pid]
        self.hear(helper)
        self.hang_up(helper)
        self._take_end(helper, status)
        self.by_pid.pop(pid, None)
