"""Floor 2: whether a new program can take over: asked by a helper, answered by the program.

The program is executed as a child, with a copy of the state and an argument of its own. It says
that it can take over, in a line of its own, and exits with 0: many a program that is no initpy does
the latter. If it cannot, its last line on stdout or stderr says why.
"""

from __future__ import annotations

import posix
import select
import time

from initpy import handover, repair
from initpy.core.door import SIGKILL
from initpy.core.messages import TimerFired
from initpy.core.supervisor import OWN_TIMER, Supervisor, step
from initpy.helpers import send
from initpy.linux.errnos import errno_name
from initpy.linux.image import CHECK, VARIABLE, handed_over, memory_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.pid1 import Pid1

CHECK_S = 5.0
"""A program that has not answered by then hangs."""

MAX_SAID_BYTES = 64 * 1024
NO_SUCH_TIMER = -1


def ask(loop: Pid1, answer_fd: int) -> int:
    """In a helper: ask the open program with a copy of the state, and write why it cannot take over
    (empty: it can), as a frame, to `answer_fd`. Returns the helper's exit code."""
    try:
        copy = memory_file(repair.packed(loop, 0.0, "a copy"))
        why_not = _why_not(
            loop.upgrading.program or 0, loop.image.asking_argv, loop.spawning.environment, copy
        )
    except Exception as exc:
        why_not = f"it could not be asked: {exc}"
    send(answer_fd, why_not)
    return 0


def _why_not(program: int, argv: list[str], environment: dict[bytes, bytes], state_fd: int) -> str:
    until = time.monotonic() + CHECK_S
    read_fd, write_fd = posix.pipe2(posix.O_CLOEXEC)
    pid = posix.fork()
    if pid == 0:
        try:
            posix.setsid()  # whatever it starts, if it is no initpy at all, is ended with it
            posix.dup2(write_fd, 1)
            posix.dup2(write_fd, 2)
            posix.set_inheritable(state_fd, True)
            given = {**environment, VARIABLE: b"%b %d" % (CHECK, state_fd)}
            posix.execve(program, argv, given)
        except OSError as exc:
            posix.write(2, f"it cannot be executed: {errno_name(exc)}".encode())
        finally:
            posix._exit(126)
    posix.close(write_fd)
    said = _hear(read_fd, until)
    while (ended := posix.waitpid(pid, posix.WNOHANG))[0] == 0:
        if time.monotonic() > until:
            posix.killpg(pid, SIGKILL)
            posix.waitpid(pid, 0)
            return f"it has not said within {CHECK_S:g} s whether it can take over"
        time.sleep(0.005)
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    if ended[1] == 0:
        return "" if _answer(posix.getpid()) in lines else "it is no initpy that can take over"
    code = posix.waitstatus_to_exitcode(ended[1])
    how = f"exit status {code}" if code >= 0 else f"ended by signal {-code}"
    return lines[-1].strip() if lines else f"it cannot take over ({how})"


def _answer(pid: int) -> str:
    """What a program says that can take over; `pid` is whose state it was given, the helper's."""
    return f"initpy can take over process {pid}"


def _hear(fd: int, until: float) -> bytes:
    """All that is said, until the end of file or that time."""
    said = b""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while poll.poll(max(0.0, until - time.monotonic()) * 1000):
        part = posix.read(fd, 4096)
        if not part:
            break
        said = (said + part)[-MAX_SAID_BYTES:]
    return said


def answer() -> int:
    """In the new program: take a copy of the state in hand, and change nothing.

    Returns the exit code, 0 if it can be taken over, which is said on stdout; why not, on stderr.
    """
    handed = handed_over()
    if handed is None or handed[0] != CHECK:
        posix.write(2, b"initpy: only a running initpy asks this, in an upgrade\n")
        return 2
    try:
        state, _, pid = handover.unpack(handed[1])
        repair.verify(state)
        supervisor = state["loop"]["state"]
        if type(supervisor) is not Supervisor:
            raise handover.HandOverError("there is no supervisor in the state")
        step(supervisor, TimerFired(OWN_TIMER, NO_SUCH_TIMER), time.monotonic())
        posix.write(1, f"{_answer(pid)}\n".encode())
    except Exception as exc:
        why = str(exc) if isinstance(exc, handover.HandOverError) else repr(exc)
        posix.write(2, f"it cannot take over: {why}\n".encode(errors="replace"))
        return 1
    return 0
