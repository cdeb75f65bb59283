"""Which lives are lived: each syscall of PID 1, each of its errnos, at several of its calls."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.faults.errnos import ERRNOS, NONE
from tests.faults.scenario import WAIT, Injection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CALL = re.compile(r"^(\d+\.\d+) (\w+)\(", re.MULTILINE)

LAST, IN_A_REPAIR = "last", "in a repair"

BEGINNING = "rt_sigprocmask"
"""With this both the package and the executable begin; what comes before is the C library's."""

REPAIRING = ("memfd_create", "execveat")
"""What PID 1 needs to execute itself anew: that these fail in a repair are cases of two faults."""


@dataclass(frozen=True)
class Case:
    """One life to live: in it, one call fails."""

    kind: str
    """"source" or "binary"."""
    syscall: str
    errno: str
    which: str
    """Of its calls: "first", "second", "last", or the first in a step of the scenario."""
    when: int
    """Its number among the calls of this name, from 1."""
    trigger: int = 0

    @property
    def name(self) -> str:
        return f"{self.kind} {self.syscall} {self.errno} {self.which}"

    def injection(self) -> Injection:
        return Injection(self.syscall, self.errno, self.when, self.trigger)


def calls(trace: str) -> list[tuple[float, str]]:
    """When which syscall was made, as strace's -ttt has it."""
    return [(float(stamp), name) for stamp, name in CALL.findall(trace)]


def unknown(trace: str) -> list[str]:
    """Syscalls that neither table has."""
    return sorted({name for _, name in calls(trace)} - set(ERRNOS) - set(NONE))


def cases(kind: str, trace: str, steps: Mapping[str, float], *, thorough: bool) -> list[Case]:
    """All that follow from the trace of a life in which nothing failed.

    `steps` are the beginnings of the scenario's steps; `thorough`: the first call in each of them
    is a case as well.
    """
    found = []
    made = calls(trace)
    beginning = [name for _, name in made].index(BEGINNING)
    before = Counter(name for _, name in made[:beginning])
    counts = Counter(name for _, name in made)
    for syscall in sorted(counts):
        chosen = [("first", before[syscall] + 1), ("second", before[syscall] + 2)]
        if thorough:
            for step, began_at in steps.items():
                earlier = sum(1 for at, name in made if name == syscall and at < began_at)
                chosen.append((f"first of {step}", max(earlier, before[syscall]) + 1))
        chosen.append((LAST, counts[syscall]))
        numbers: dict[int, str] = {}
        for which, when in chosen:
            if before[syscall] < when <= counts[syscall]:
                numbers.setdefault(when, which)
        found += [
            Case(kind, syscall, errno, which, when)
            for errno in ERRNOS.get(syscall, ())
            for when, which in numbers.items()
        ]
    waits = sum(1 for at, name in made if name == WAIT and at < steps["crash again"])
    for syscall in REPAIRING:
        when = counts[syscall] + 1
        found += [Case(kind, syscall, errno, IN_A_REPAIR, when, waits) for errno in ERRNOS[syscall]]
    return found


def sample(given: Iterable[Case], count: int, seed: int) -> list[Case]:
    """So many of them, each syscall as often as any other, the same for the same seed."""
    draw = random.Random(seed)
    by_syscall: dict[str, list[Case]] = {}
    for case in given:
        by_syscall.setdefault(case.syscall, []).append(case)
    for among in by_syscall.values():
        draw.shuffle(among)
    chosen: list[Case] = []
    while len(chosen) < count and any(by_syscall.values()):
        for among in by_syscall.values():
            if among and len(chosen) < count:
                chosen.append(among.pop())
    return chosen
