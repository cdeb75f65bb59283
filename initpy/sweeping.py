"""Floor 2: what dead instances have left behind, until nothing is left of it.

PID 1 hears of the death of every orphan, for it is their parent; but not whose orphan it was. So a
helper looks (`linux.sweep`), signals what it finds, and says which these are. When the last of them
has been buried, another look tells whether any were born meanwhile.

No helper is needed in the usual case: where the process group is empty, and PID 1 has no child that
it does not know, nothing can be left. (The orphan of a dead instance has become a child of PID 1,
or descends from one that has.)
"""

from __future__ import annotations

import posix
import time

from initpy.core.door import SIGKILL
from initpy.core.messages import RecordTree, SurvivorsFound, SurvivorsGone, TreeRecorded
from initpy.core.values import Value
from initpy.helpers import send
from initpy.linux import syscalls
from initpy.linux.children import OwnChildren
from initpy.linux.errnos import ESRCH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from initpy.helpers import ForkHelper
    from initpy.linux import sweep
    from initpy.linux.sweep import Found, Tree


FIRST_LOOK_S, LAST_LOOK_S = 0.05, 3.0
"""Where something was found, it is looked for again after 50 ms, 100 ms, 200 ms … to 3.2 s: its
last process may be the child of another, and PID 1 hears nothing of its death."""


MAX_LOOK_S = 5.0
"""A look takes milliseconds; after so long, the next one is not kept waiting any more."""

KEY_BITS, SPAWN_BITS = 18, 24
"""A mark has the number of its process and that of the spawn in it, and above them what is drawn at
random: it stays below 2**62."""

MAX_SPAWNS = 2**SPAWN_BITS - 2
"""After which the spawns of a process are counted anew."""


class Look(Value):
    """The task of a helper that looks into cases."""

    number: int


class Case:
    """A dead instance whose survivors are being ended."""

    KEPT = ("group", "key", "known", "look_at", "signalled", "signum", "told", "waited_s")

    def __init__(self, key: str, group: int, signum: int) -> None:
        self.key = key
        self.group = group
        self.signum = signum
        self.known: set[int] = set()
        """Found by the last look, and not buried since."""
        self.told: set[int] = set()
        """The core has been told of these."""
        self.signalled: set[int] = set()
        """These have had the signal: once is what was promised."""
        self.waited_s = FIRST_LOOK_S / 2
        self.look_at: float | None = None


class Sweeping:
    """The cases, and the one helper that looks into them."""

    KEPT = (
        "_buried",
        "_cases",
        "_first_mark",
        "_latest_marks",
        "_look_number",
        "_look_until",
        "_looking",
        "_to_look",
        "_trees",
    )

    def __init__(
        self,
        fork_helper: ForkHelper,
        tell: Callable[[Value], None],
        is_leader_of: Callable[[int], str | None],
        known_children: Callable[[], Collection[int]],
    ) -> None:
        """`fork_helper` takes a helper's name, what it is to run, and its task; `tell` takes facts;
        `is_leader_of` says whose living instance a pid is; `known_children`
        are the living programs, and the helpers."""
        self._fork_helper = fork_helper
        self._tell = tell
        self._is_leader_of = is_leader_of
        self._known_children = known_children
        self._children = OwnChildren()
        self._cases: dict[str, Case] = {}
        self._to_look: dict[str, None] = {}
        """Keys of the cases that the next look is for."""
        self._looking: dict[str, None] = {}
        """Keys of those that the helper is looking into."""
        self._look_number = 0
        """Answers to earlier looks are not listened to."""
        self._look_until = 0.0
        self._buried: set[int] = set()
        """Orphans that have died while it does."""
        self._first_mark = int.from_bytes(posix.urandom(2), "big") << KEY_BITS + SPAWN_BITS
        """Not another initpy's, whose containers may run in this one."""
        self._latest_marks: dict[str, int] = {}
        """Of each process, the mark of its latest instance."""
        self._trees: dict[str, tuple[int, Tree]] = {}
        """Of each process, the last that was recorded, and of which instance."""

    def next_mark(self, key: str) -> int:
        """The number that marks the next instance of a process, and what it will leave behind."""
        latest = self._latest_marks.get(key, 0)
        if not latest or latest == _first_of(latest) + MAX_SPAWNS:
            latest = self._first_mark + (len(self._latest_marks) << SPAWN_BITS)
        self._latest_marks[key] = latest + 1
        return latest + 1

    def mark_of(self, key: str) -> int:
        """The number that marks the latest instance."""
        return self._latest_marks[key]

    # ------------------------------------------------------------ effects

    def end(self, key: str, group: int, signum: int) -> None:
        """Signal the survivors of an instance that was `group`, and tell when they are gone."""
        case = self._cases.get(key)
        if case is None or (case.group, case.signum) != (group, signum):
            told = case.told if case is not None and case.group == group else set()
            case = self._cases[key] = Case(key, group, signum)
            case.told = told
        if signum == SIGKILL and self._has_group(case):
            syscalls.kill_group(group, signum)  # they have been named, and had their time
        self._look_if_needed(case)

    def forget(self, key: str) -> None:
        """The process has another instance: what the last one left is left for good."""
        self._cases.pop(key, None)
        self._trees.pop(key, None)

    def record_tree(self, key: str, pid: int) -> None:
        """Note what descends from a living instance, by which it is known later."""

        def look(fd: int) -> int:
            from initpy.linux import sweep  # noqa: PLC0415 - in the helper only

            send(fd, sweep.record_tree(pid))
            return 0

        try:
            self._fork_helper("sweep", look, RecordTree(key, pid))
        except OSError:  # then its other marks have to do
            self._tell(TreeRecorded(key, pid))

    def take_tree(self, key: str, pid: int, tree: Tree) -> None:
        """What the helper has found, before its end."""
        self._trees[key] = (pid, tree)

    # ------------------------------------------------------------ facts

    @property
    def is_busy(self) -> bool:
        """Whether it wants to be told of every orphan's death."""
        return bool(self._cases)

    def bury(self, pid: int) -> None:
        """A child that is no program and no helper has been reaped."""
        if self._looking:
            self._buried.add(pid)
        for case in list(self._cases.values()):
            if pid in case.known:
                case.known.discard(pid)
                if case.known and self._may_be_left(case):
                    case.waited_s = FIRST_LOOK_S / 2  # perhaps it was the parent of the others
                    self._look_later(case)
                else:
                    self._look_if_needed(case)

    def next_due_at(self) -> float | None:
        """When to call `look_again`."""
        return min(self._look_times(), default=None)

    def look_again(self, now: float) -> None:
        """Look into the cases whose time has come."""
        for case in list(self._cases.values()):
            if case.look_at is not None and case.look_at <= now:
                case.look_at = None
                self._look_if_needed(case)

    def _look_times(self) -> Iterator[float]:
        return (case.look_at for case in self._cases.values() if case.look_at is not None)

    def cases(self) -> dict[str, int]:
        """Whose survivors are being ended: key and group."""
        return {key: case.group for key, case in self._cases.items()}

    def heal(self, live: Collection[str]) -> None:
        """After a fault, half-way through something: forget the cases of what lives again, and see
        that each other one is looked into once more."""
        now = time.monotonic()
        for key, case in list(self._cases.items()):
            if key in live:
                del self._cases[key]
            elif case.look_at is None:
                case.look_at = now + FIRST_LOOK_S
        for key in [key for key in self._looking if key not in self._cases]:
            del self._looking[key]

    # ------------------------------------------------------------ looking

    def _has_group(self, case: Case) -> bool:
        """Whether the instance's number is still its own, and no other program's."""
        return self._is_leader_of(case.group) is None

    def _may_be_left(self, case: Case) -> bool:
        """False only where nothing can be left."""
        if self._has_group(case) and syscalls.kill_group(case.group, 0) != ESRCH:
            return True
        return self._children.are_more_than(len(self._known_children()))

    def _look_if_needed(self, case: Case) -> None:
        if self._may_be_left(case):
            self._look(case)
        else:
            self._close(case)

    def _look(self, case: Case) -> None:
        if not self._children.can_be_looked_into:
            self._end_group(case)
            return
        self._to_look[case.key] = None
        if self._looking and time.monotonic() > self._look_until:
            self.end_look(self._look_number)  # that helper hangs
        elif not self._looking:
            self._start_look()

    def _start_look(self) -> None:
        """One helper for all the cases that wait."""
        cases = [self._cases[key] for key in self._to_look if key in self._cases]
        self._to_look.clear()
        if not cases:
            return
        marks = [self._marks(case) for case in cases]
        leaders = tuple(self._known_children())

        def look(fd: int) -> int:
            from initpy.linux import sweep  # noqa: PLC0415 - in the helper only

            send(fd, sweep.sweep(marks, leaders))
            return 0

        self._looking = dict.fromkeys([case.key for case in cases])
        self._buried.clear()
        self._look_number += 1
        self._look_until = time.monotonic() + MAX_LOOK_S
        number = self._look_number
        try:
            self._fork_helper("sweep", look, Look(number))
        except OSError:
            self.end_look(number)

    def _marks(self, case: Case) -> sweep.Case:
        # An instance that is spawned while the helper looks has a mark beyond these.
        recorded, tree = self._trees.get(case.key, (0, ()))
        group = case.group if self._has_group(case) else 0
        tree = tree if recorded == case.group else ()
        signalled = tuple(case.signalled)
        latest = self._latest_marks[case.key]
        marks = (_first_of(latest), latest)
        return case.key, marks, group, case.signum, signalled, tree

    def take_answer(self, number: int, answer: tuple[tuple[str, Found], ...]) -> None:
        """What a look has found."""
        for key, found in answer if number == self._look_number else ():
            case = self._cases.get(key)
            if case is not None and key in self._looking:
                del self._looking[key]
                self._take_found(case, found)

    def _take_found(self, case: Case, found: Found) -> None:
        case.signalled |= {pid for pid, _ in found}
        case.known = {pid for pid, _ in found} - self._buried
        new = tuple([(pid, name) for pid, name in found if pid not in case.told])
        if new:
            case.told |= {pid for pid, _ in new}
            self._tell(SurvivorsFound(case.key, case.group, new))
        if case.signum == 0:
            del self._cases[case.key]  # it was only to be looked for
        elif not found:
            self._close(case)
        elif not case.known:
            self._to_look[case.key] = None  # all have died, and may have had children
        else:
            self._look_later(case)

    def end_look(self, number: int) -> None:
        """The helper has ended, perhaps without an answer; or it has had its time."""
        if number != self._look_number:
            return
        self._look_number += 1  # what it says later is out of date
        unanswered, self._looking = self._looking, {}
        for case in [self._cases[key] for key in unanswered if key in self._cases]:
            self._end_group(case)
        if self._to_look:
            self._start_look()

    def _end_group(self, case: Case) -> None:
        """Nobody can look: the process group has to do."""
        if self._has_group(case):
            syscalls.kill_group(case.group, case.signum)
        self._look_later(case)

    def _look_later(self, case: Case) -> None:
        if case.waited_s < LAST_LOOK_S:
            case.waited_s *= 2
            case.look_at = time.monotonic() + case.waited_s

    def _close(self, case: Case) -> None:
        """Nothing is left."""
        del self._cases[case.key]
        self._trees.pop(case.key, None)
        self._tell(SurvivorsGone(case.key, case.group))


def _first_of(mark: int) -> int:
    """The mark of the first instance of the same process."""
    return (mark >> SPAWN_BITS << SPAWN_BITS) + 1
