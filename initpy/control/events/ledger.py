"""What a control helper leaves to the next, should it be killed: how far the numbers of events have
come, how many events waited, and how many listeners had one. It is in a memory file that PID 1
keeps."""

from __future__ import annotations

import os

from initpy.wire import Frames, WireError, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from initpy.control.events.hub import Hub

MAX_BYTES = 1024 * 1024


class Ledger:
    """The memory file `fd`: one frame of (serial, (pool, serial, waiting, sent), …)."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._noted = b""

    def read(self) -> tuple[int, dict[str, tuple[int, int, int]]]:
        """The number of the next event; and by pool, that of its next, how many waited, and how
        many were with listeners. What cannot be read, as the last helper died while it wrote,
        counts from 0."""
        raw = os.pread(self._fd, MAX_BYTES, 0)
        try:
            noted: Any = Frames().feed(raw)
            ((serial, *pools),) = noted
            return serial, {name: (its, waiting, sent) for name, its, waiting, sent in pools}
        except (WireError, ValueError):
            return 0, {}

    def note(self, hub: Hub) -> None:
        """Before events are sent, and after they have been answered."""
        pools = [(it.plan.name, it.serial, it.waiting, it.sent) for it in hub.pools.values()]
        raw = frame((hub.serial, *pools))
        if raw != self._noted:
            self._noted = raw
            os.pwrite(self._fd, raw, 0)
            os.ftruncate(self._fd, len(raw))
