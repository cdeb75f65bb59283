"""The sink that is a log file; loaded only where there is one."""

from __future__ import annotations

import time

from initpy.logs.files import LogFile, ShortWriteError
from initpy.logs.sinks import FULL_DISK, Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initpy.logs.sinks import Buffer, Waiter


class FileSink(Sink):
    """A log file. When it cannot be written to, that is said once, and it is tried again; when it
    can, that is said as well, with what was lost meanwhile."""

    file: LogFile

    def __init__(
        self,
        file: LogFile,
        report: Callable[[str, str], None],
        now: Callable[[], float] = time.monotonic,
        *,
        is_shared: bool = False,
    ) -> None:
        """`is_shared`: several channels write to it."""
        super().__init__(report, now)
        self.file = file
        self._is_shared = is_shared
        self._is_pausing = False
        self._last: Waiter | None = None
        """Who goes on with the last line, if that is unfinished."""
        self._name = file.path.decode(errors="backslashreplace")

    def write(self, who: Waiter, raw: Buffer, start: int, end: int) -> int:
        if self._is_shared and self.owner is None and who is not self._last and start < end:
            self._end_line(who)
        return super().write(who, raw, start, end)

    @property
    def is_pausing(self) -> bool:
        return self._is_pausing and self.is_stalled

    def _end_line(self, who: Waiter) -> None:
        """An unfinished one of somebody else, who has ended, before one of `who`."""
        try:
            if self.file.ends_mid_line():
                self.file.write(b"\n", 0, 1)
            self._last = who
        except OSError:  # what is to be written will not be either
            return

    def set_ended(self, who: Waiter) -> None:
        self._last = None if self._last is who else self._last

    def reopen(self) -> None:
        self.file.reopen()
        self._retry_at = self._now()

    def _take(self, raw: Buffer, start: int, end: int) -> int:
        if self._now() < self._retry_at:
            return 0
        self._is_pausing = False
        try:
            taken = self.file.write(raw, start, end)
        except ShortWriteError as exc:
            self._fail(self._name, exc)
            if exc.errno not in FULL_DISK:
                self.file.reopen()
            return exc.written
        self._recover(self._name)
        if taken < end - start:
            self._is_pausing = True
            self._retry_at = self._now()  # in the next turn
        return taken
