"""What clients have to say to programs: `sendProcessStdin`.

PID 1 has the pipes (see `inputs`), and hands over the one that is to be written to, each time.
"""

from __future__ import annotations

import array
import os
import select
import socket
import threading
import time

from initpy.control import faults
from initpy.control.faults import FAILED, NO_FILE, Fault
from initpy.control.methods import Method
from initpy.core.states import State
from initpy.wire import Frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.control.orders import Orders

PACKET_BYTES = 4096

FULL_S = 10.0
"""So long a program may leave its pipe full, in all."""


class Stdin:
    """The method, to be called in whichever thread."""

    def __init__(self, orders: Orders, door_fd: int) -> None:
        """`door_fd`: where PID 1 hands pipes over; -1: nowhere, for no program has any."""
        self._orders = orders
        self._door = socket.socket(fileno=door_fd) if door_fd >= 0 else None
        self._lock = threading.Lock()
        """Who has it asks for a pipe."""
        self._writers: dict[str, threading.Lock] = {}
        """By key: who has it writes, so that what two clients send does not get mixed up."""

    def methods(self) -> tuple[Method, ...]:
        return (
            Method(
                "supervisor.sendProcessStdin",
                ("boolean", "string", "string"),
                "Write to the stdin of the process NAME or GROUP:NAME, if that is a pipe.",
                self.send,
                is_lenient=True,
            ),
        )

    def send(self, name: object, chars: object) -> bool:
        if not isinstance(chars, (str, bytes)):
            raise Fault(faults.INCORRECT_PARAMETERS, str(chars))
        if not isinstance(name, str):
            raise Fault(faults.INCORRECT_PARAMETERS)
        process = self._orders.process(name)
        if process is None:
            raise Fault(faults.BAD_NAME, name)
        if not process.pid or process.state == State.STOPPING:
            raise Fault(faults.NOT_RUNNING, name)
        if not process.spec.stdin_pipe or self._door is None:
            raise Fault(NO_FILE, name)
        raw = chars.encode(errors="surrogateescape") if isinstance(chars, str) else chars
        with self._lock:
            writer = self._writers.setdefault(process.spec.key, threading.Lock())
            self._orders.ask("stdin", process.spec.key)
            fd = self._handed(self._door, process.spec.key)
        try:
            if not writer.acquire(timeout=FULL_S):  # another client has as long for its own
                raise Fault(FAILED, f"{name} does not read its stdin: no bytes were taken")
            try:
                write(fd, raw, name)
            finally:
                writer.release()
        finally:
            os.close(fd)
        return True

    def _handed(self, door: socket.socket, key: str) -> int:
        """What PID 1 has handed over before it answered: once, or, after a fault of its own, more
        often."""
        found = -1
        room = socket.CMSG_SPACE(array.array("i").itemsize)
        while True:
            try:
                raw, ancillary, _, _ = door.recvmsg(PACKET_BYTES, room, socket.MSG_DONTWAIT)
            except BlockingIOError:
                raw = b""
            if not raw:
                break
            fds = array.array("i")
            for level, kind, numbers in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(numbers)
            if found >= 0:
                os.close(found)
            found = fds[0] if fds else -1
            if found >= 0 and Frames().feed(raw) != [(key,)]:
                os.close(found)
                found = -1
        if found < 0:  # descriptors ran out on the way
            raise Fault(FAILED, f"the stdin of {key} could not be opened")
        return found


def write(fd: int, raw: bytes, name: str, full_s: float = FULL_S) -> None:
    """Write all of it.

    Raises:
        Fault: nobody reads from it any more; or what has been written before is not read.
    """
    until = time.monotonic() + full_s
    room = select.poll()
    room.register(fd, select.POLLOUT)
    left = memoryview(raw)
    while left:
        try:
            left = left[os.write(fd, left) :]
        except BlockingIOError:
            left_s = until - time.monotonic()
            if left_s <= 0:
                taken = f"{len(raw) - len(left)} of {len(raw)} bytes were taken"
                raise Fault(FAILED, f"{name} does not read its stdin: {taken}") from None
            room.poll(left_s * 1000)
        except BrokenPipeError:
            raise Fault(NO_FILE, name) from None
