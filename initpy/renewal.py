"""Floor 2: what leads to another image of PID 1: a fault of its own, or an upgrade.

What is done then is in `repair`, which is imported when it is needed; what has to be there even
where that is gone is here. Both are parts of `Pid1` that stand apart, and go about its fields as
their own.
"""

from __future__ import annotations

import time

from initpy.core.messages import CRITICAL, WARN, Upgrade
from initpy.linux import last_resort, syscalls
from initpy.linux.image import open_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from initpy.core.values import Value
    from initpy.pid1 import Pid1

LAST_LINES_S = 0.2
"""What a slow reader of stderr gets, at the very end, to take the last lines."""

MAX_FAULTS, WITHIN_S = 5, 60.0
"""More in so long a time, and to execute itself anew does not help."""

MEMORY_PAUSE_S = 0.05
MAX_MEMORY_ERRORS = 100
"""In a row: for 5 s PID 1 waits that there is memory again, then it takes it for a bug."""


class Faults:
    """Those of late, and what is done about one."""

    KEPT = ("culprits", "faults")

    def __init__(self, loop: Pid1) -> None:
        self._loop = loop
        self.faults: list[float] = []
        """When there was one of our own, in the last minute."""
        self.culprits: list[object] = []
        """What was being seen to then, and has not been done since."""
        self.shortages = 0
        """How many turns in a row have failed for lack of memory."""

    def note_turn(self) -> None:
        """A turn of the loop has come to its end."""
        self.shortages = 0

    def clear(self, suspect: Value) -> None:
        """It has been seen to."""
        if suspect in self.culprits:
            self.culprits.remove(suspect)

    def run_short(self, exc: MemoryError) -> None:
        """To execute itself anew takes memory as well: wait, and go on where it was."""
        self.shortages += 1
        self._loop.doing = None
        if self.shortages > MAX_MEMORY_ERRORS:
            self.repair(exc)
        else:
            time.sleep(MEMORY_PAUSE_S)

    def repair(self, exc: BaseException) -> None:
        """A bug has shown itself: have it put right. It must not end the container."""
        self._loop.doing = None
        now = time.monotonic()
        self.faults = [*[earlier for earlier in self.faults if earlier > now - WITHIN_S], now]
        if len(self.faults) > MAX_FAULTS:
            self.give_up(f"{len(self.faults)} faults in {WITHIN_S:g} s, the last: {exc!r}")
        try:
            if why_not := self._loop.image.why_not_again():
                self._go_on(exc, why_not)
            else:
                from initpy import repair  # noqa: PLC0415 - seldom needed, and it is there

                repair.repair(self._loop, exc)
        except BaseException as failed:
            self._go_on(exc, repr(failed))

    def _go_on(self, exc: BaseException, why_not: str) -> None:
        """It cannot be put right: go on without what has failed."""
        loop = self._loop
        for queue in (loop.at_once, loop.facts, loop.effects, loop.dead):
            if queue and queue[0] is loop.at:
                del queue[0]
                break
        try:
            if isinstance(loop.at, int) and loop.at != loop.signals.fd:
                loop.watches.unwatch(loop.at)
            text = f"a bug in initpy: {exc!r}; cannot execute itself anew, goes on: {why_not}"
            loop.log.line(CRITICAL, text)
        except BaseException:  # the log is what fails
            loop.log.give_up()

    def give_up(self, why: str) -> NoReturn:
        """From now on only a stop is obeyed."""
        loop = self._loop
        try:
            loop.log.flush_before_exit(LAST_LINES_S)
        except BaseException:  # the last resort says what matters
            loop.log.give_up()
        children = (*loop.spawning.keys, *loop.helpers.by_pid)
        last_resort.run(why, children, loop.state.plan.shutdown_timeout_s)


class Upgrading:
    """A program that is being asked whether it can take over."""

    def __init__(self, loop: Pid1) -> None:
        self._loop = loop
        self.program: int | None = None
        """The open file that is being asked whether it can take over."""
        self.answer: str | None = None
        """What it has said: why not; empty: it can."""

    def ask(self) -> None:
        """Have a helper ask the program that lies at our path now."""
        if self.program is not None:
            return  # it is being asked

        def ask_it(fd: int) -> int:
            from initpy import upgrade  # noqa: PLC0415 - in the helper only

            return upgrade.ask(self._loop, fd)

        try:
            self.program = open_program(self._loop.image.path)
            self._loop.helpers.fork("upgrade", ask_it, Upgrade())
        except OSError as exc:
            self.answer = exc.strerror

    def hand_over(self, why_not: str) -> None:
        """It has answered. Where it can take over it does, and otherwise all runs on."""
        program, self.program, self.answer = self.program, None, None
        if not why_not and program is not None:
            try:
                from initpy import repair  # noqa: PLC0415 - the helper has just imported the same

                repair.hand_over(self._loop, time.monotonic(), "another", program)
            except Exception as exc:
                why_not = str(exc)
        text = f"not upgraded, everything runs on as it is: {self._loop.image.path}: {why_not}"
        self._loop.log.line(WARN, text)
        if program is not None:
            syscalls.close(program)
