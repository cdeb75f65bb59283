"""Floor 2: the pipes that programs read from, where their stdin is to be a pipe.

Each instance gets a pipe of its own, so that nothing that was meant for an earlier one is in it.
PID 1 keeps the end that is written to, so that the program sees no end of file while it lives; it
never writes. The control helper is handed that end when a client has something to say to the
program, and so a helper that dies takes nothing with it.

Where no program has such a stdin, nothing of this is loaded.
"""

from __future__ import annotations

import posix

from initpy.linux import syscalls
from initpy.linux.errnos import errno_name
from initpy.linux.handing import hand_over, pair
from initpy.linux.spawn import SpawnError
from initpy.wire import frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

    from initpy.plan import ProcessSpec

CLOSED = -1


class Inputs:
    """The pipes, and the door through which the helper is handed one."""

    KEPT = ("_door_fd", "_own")

    def __init__(self) -> None:
        self._own: dict[str, int] = {}
        """By key: the end that is ours."""
        self._made = CLOSED
        """Of one that is being spawned: the end that is its own."""
        self._door_fd = CLOSED
        """CLOSED: there is no helper, or none that knows of this."""

    # ------------------------------------------------------------ programs

    def fd_for(self, spec: ProcessSpec) -> int:
        """What a new instance's stdin is to be, until `started` or `ended`.

        Raises:
            SpawnError: there are no descriptors for it.
        """
        self.ended(spec.key)
        try:
            self._made, own_fd = posix.pipe2(posix.O_CLOEXEC)
            self._own[spec.key] = own_fd  # from here on, it outlives a fault
            posix.set_blocking(own_fd, False)
            posix.fchown(self._made, spec.uid, spec.gid)  # or it could not open its /dev/stdin
        except OSError as exc:
            self.ended(spec.key)
            raise SpawnError(f"no pipe for the stdin of '{spec.name}': {errno_name(exc)}") from None
        return self._made

    def started(self) -> None:
        """There is an instance, which has its end."""
        made, self._made = self._made, CLOSED
        if made != CLOSED:
            syscalls.close(made)

    def ended(self, key: str) -> None:
        """It is gone, or there is none."""
        self.started()
        if key in self._own:
            syscalls.close(self._own.pop(key))

    # ------------------------------------------------------------ the helper

    def open_door(self) -> int:
        """What the next helper is handed pipes through: for it, and to be closed here.

        Raises:
            OSError: there are no descriptors.
        """
        self.close_door()
        self._door_fd, door_fd = pair()
        return door_fd

    def has_door(self) -> bool:
        """The helper that there is can be handed something."""
        return self._door_fd != CLOSED

    def close_door(self) -> None:
        """There is no helper any more, or will soon be none."""
        fd, self._door_fd = self._door_fd, CLOSED
        if fd != CLOSED:
            syscalls.close(fd)

    def give(self, key: str) -> str:
        """Hand the helper our end of a pipe. Returns the fault's name, or nothing."""
        if key not in self._own:
            return "NOT_RUNNING"
        try:
            hand_over(self._door_fd, frame((key,)), (self._own[key],))
        except (ImportError, OSError):
            return ""  # it sees that nothing has come
        return ""

    # ------------------------------------------------------------ from image to image

    def fds(self) -> list[int]:
        """All that the next image of PID 1 has to have open."""
        door = [] if self._door_fd == CLOSED else [self._door_fd]
        return [*door, *self._own.values()]

    def heal(self, live: Container[str]) -> None:
        """After a fault, half-way through something, or a hand-over: `live` are the keys of the
        programs that run."""
        for key in [key for key in self._own if key not in live]:
            self.ended(key)
