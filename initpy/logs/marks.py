"""Whose words a channel's are, for its pipe outlives the instances that write to it."""

from __future__ import annotations

from initpy.logs.memory import MOST_MARKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque

    from initpy.logs.memory import Memory
else:
    from _collections import deque  # `collections` takes 2 ms, and a relay has to be there soon


class Marks:
    """Where in what the channel ever had an instance has ended, or the next begins, as far as that
    has not been read; each is kept in the memory file. What would be more than MOST_MARKS is not
    told apart."""

    def __init__(self, memory: Memory, slot: int, last_pid: int, *, is_idle: bool) -> None:
        """Take over what the last relay has left. `last_pid` is that of the last instance that
        there was; `is_idle`: it has ended."""
        self._memory = memory
        self._slot = slot
        pid, marks = memory.marks(slot)
        self._marks = deque(marks)
        """Positions, each with the pid of who begins there, or 0 where one has ended."""
        self.pid = (pid if marks or is_idle else 0) or last_pid
        """Whose words are read, up to the first mark."""

    def __bool__(self) -> bool:
        return bool(self._marks)

    @property
    def first(self) -> tuple[int, int]:
        return self._marks[0]

    def go_on(self, end: int, last_pid: int, *, is_idle: bool) -> None:
        """A relay begins: the channel has had so much, with what is in the pipe, and nobody has
        noted what has become of its instances meanwhile."""
        self._marks = deque([(min(position, end), pid) for position, pid in self._marks])
        if not is_idle and self._marks and not self._marks[-1][1]:
            self._marks.append((self._marks[-1][0], last_pid))
        elif is_idle and last_pid:  # else the first instance may be writing by now
            self._marks.append((end, 0))
        self._keep()

    def begin(self, pid: int) -> None:
        """What follows the last mark is this instance's."""
        if not self._marks:
            self.pid = pid
        elif len(self._marks) < MOST_MARKS:
            self._marks.append((self._marks[-1][0], pid))
        self._keep()

    def end(self, position: int) -> None:
        """An instance has ended there."""
        mark = (position, 0)
        if len(self._marks) < MOST_MARKS and not (self._marks and self._marks[-1] == mark):
            self._marks.append(mark)
            self._keep()

    def leave_behind(self) -> None:
        """The first has been read up to, and seen to."""
        self.pid = self._marks[0][1] or self.pid
        self._marks.popleft()
        self._keep()

    def _keep(self) -> None:
        self._memory.keep_marks(self._slot, self.pid, self._marks)
