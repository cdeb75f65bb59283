"""Floor 2: the descriptors that PID 1 waits for, and what is called when one of them is ready."""

from __future__ import annotations

import select

from initpy.linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Watches:
    """One epoll. Nothing of it is handed over: each part watches its own anew."""

    def __init__(self) -> None:
        """Raises:
        OSError: there is no descriptor for it.
        """
        self._epoll = select.epoll(flags=select.EPOLL_CLOEXEC)
        self._callbacks: dict[int, Callable[[], None]] = {}

    def ready(self, wait_s: float) -> list[int]:
        """The fds that are ready, after so many seconds at the most; -1: there is no such limit."""
        return [fd for fd, _ in self._epoll.poll(wait_s)]

    def callback(self, fd: int) -> Callable[[], None] | None:
        """What is to be called when this one is ready; None: it is not watched, or no more."""
        return self._callbacks.get(fd)

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Call when it can be read.

        Raises:
            OSError: there is no memory for it.
        """
        self._epoll.register(fd, select.EPOLLIN)
        self._callbacks[fd] = callback

    def watch_room(self, fd: int, callback: Callable[[], None]) -> None:
        """Call when it can be written to.

        Raises:
            OSError: there is no memory for it.
        """
        self._epoll.register(fd, select.EPOLLOUT)
        self._callbacks[fd] = callback

    def close(self, fd: int) -> None:
        """Unwatch before closing: a forked child may share the open file, and epoll would go on
        reporting it under a number that means something else by then."""
        self.unwatch(fd)
        syscalls.close(fd)

    def unwatch(self, fd: int) -> None:
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)
