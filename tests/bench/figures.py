"""What is measured: each figure sets stages for one peer, and adds its samples to the results."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.stage import DEATH, GONE, LEFT, START, TERM, Stage, StageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.peers import Peer
    from tests.bench.stage import Workshop

SETTLE_S = 0.3
"""From the last program's start to the next thing that is done to the init."""

SIGNALS = 20
ORPHANS = 20_000
STORM_S = 2.0
"""The span in which starts are counted."""
CALM_S = 2.0
"""From the last program's start until an init has nothing more to do: its helpers have left, and it
has given back what only its start needed. Each peer would show that in its own way, if at all."""
IDLE_S = 10.0
"""The span in which syscalls are counted."""
ATTACH_S = 1.0
"""strace itself wakes what it attaches to; what is seen in this time does not count."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    key: str
    title: str
    unit: str = "ms"


ROWS = (
    Row("start", "exec of the init to its program's first instruction"),
    Row("boot", "exec of the init to the first instruction of the last of 50 programs"),
    Row("restart", "a program dies after 5 ms; its replacement's first instruction"),
    Row("restart-late", "a program dies after 1.1 s; its replacement's first instruction"),
    Row("storm", "restarts of a program that exits at once (more is better)", "/s"),
    Row("orphans-burst", f"{ORPHANS:,} orphans die at once; from the last death to no zombie left"),
    Row("orphans-stream", f"{ORPHANS:,} orphans die one by one; the same"),
    Row("term", "TERM to the init; its program has it"),
    Row("latency", "USR1 to an init at rest; its program has it", "µs"),
    Row("stop", "TERM to the init; 50 obedient programs and the init are gone"),
    Row("pss-1", "memory (PSS) of PID 1 with 1 program", "kB"),
    Row("pss-50", "memory (PSS) of PID 1 with 50 programs", "kB"),
    Row("pss-200", "memory (PSS) of PID 1 with 200 programs", "kB"),
    Row("pss-all", "memory (PSS) of PID 1 and its helpers with 50 programs", "kB"),
    Row("idle", f"syscalls in {IDLE_S:g} s with 50 idle programs", ""),
)


@dataclass
class Results:
    """Samples by row and peer; and what is to be said of those that are no plain numbers."""

    samples: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    notes: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, row: str, peer: Peer, *values: float) -> None:
        self.samples.setdefault((row, peer.name), []).extend(values)

    def note(self, row: str, peer: Peer, text: str) -> None:
        self.notes[row, peer.name] = text


@dataclass(frozen=True)
class Figure:
    """A kind of stage, and the rows that it has samples for."""

    name: str
    measure: Callable[[Peer, Workshop, Results], None]
    rows: tuple[str, ...]
    concerns: Callable[[Peer], bool]
    every: int = 1
    """Measured in each so-manieth round only, because it takes long and varies little."""


def _start(peer: Peer, workshop: Workshop, results: Results) -> None:
    with Stage(peer, workshop, ["w"]) as stage:
        born = stage.wait_for(START)[0]
        results.add("start", peer, _ms(born.ns - stage.gun_ns()))
        time.sleep(SETTLE_S)
        if peer.stops:
            sent_ns = stage.terminate()
            results.add("term", peer, _ms(stage.wait_for(TERM)[0].ns - sent_ns))


def _latency(peer: Peer, workshop: Workshop, results: Results) -> None:
    with Stage(peer, workshop, ["s"]) as stage:
        stage.wait_for(START)
        time.sleep(SETTLE_S)
        for number in range(1, SIGNALS + 1):
            sent_ns = stage.send(signal.SIGUSR1)
            results.add("latency", peer, (stage.wait_for(TERM, number)[-1].ns - sent_ns) / 1e3)


def _boot(peer: Peer, workshop: Workshop, results: Results) -> None:
    with Stage(peer, workshop, ["w"] * 50) as stage:
        last = stage.wait_for(START, 50, within_s=60.0)[-1]
        results.add("boot", peer, _ms(last.ns - stage.gun_ns()))
        time.sleep(SETTLE_S)
        if peer.stops:
            sent_ns, gone_ns = stage.terminate_and_wait()
            if len(stage.lines(TERM)) == 50:
                results.add("stop", peer, _ms(gone_ns - sent_ns))
            else:
                results.note("stop", peer, f"{50 - len(stage.lines(TERM))} never got it")


def _restart(peer: Peer, workshop: Workshop, results: Results) -> None:
    _kill_often(peer, workshop, results, "restart", "k5", count=100, within_s=6.5)


def _restart_late(peer: Peer, workshop: Workshop, results: Results) -> None:
    _kill_often(peer, workshop, results, "restart-late", "k1100", count=3, within_s=12.0)


def _kill_often(
    peer: Peer,
    workshop: Workshop,
    results: Results,
    row: str,
    mode: str,
    *,
    count: int,
    within_s: float,
) -> None:
    with Stage(peer, workshop, [mode], restart=True) as stage:
        stage.wait_for(DEATH)
        with contextlib.suppress(StageError):  # what there is by then will do
            stage.wait_for(START, count + 1, within_s=within_s)
        deaths, births = stage.lines(DEATH), stage.lines(START)
        gaps = [_ms(born.ns - dead.ns) for dead, born in zip(deaths, births[1:], strict=False)]
        if not gaps:
            results.note(row, peer, f"more than {within_s:g} s")
        results.add(row, peer, *gaps)


def _storm(peer: Peer, workshop: Workshop, results: Results) -> None:
    with Stage(peer, workshop, ["x"], restart=True) as stage:
        first = stage.wait_for(START)[0]
        time.sleep(SETTLE_S + STORM_S)
        born_ns = [line.ns - first.ns for line in stage.lines(START)]
    since_ns = SETTLE_S * 1e9
    count = sum(since_ns <= at < since_ns + STORM_S * 1e9 for at in born_ns)
    results.add("storm", peer, count / STORM_S)


def _orphans(peer: Peer, workshop: Workshop, results: Results) -> None:
    for mode, row in ("b", "orphans-burst"), ("o", "orphans-stream"):
        with Stage(peer, workshop, [f"{mode}{ORPHANS}"]) as stage:
            with contextlib.suppress(StageError):
                stage.wait_for(GONE + LEFT, within_s=60.0)
            left, gone = stage.lines(LEFT), stage.lines(GONE)
            if left:
                results.note(row, peer, f"{left[0].number:,} left after {left[0].ns / 1e9:.0f} s")
            elif not gone:
                results.note(row, peer, "did not get so far")
            else:
                results.add(row, peer, _ms(gone[0].ns))
                if gone[0].number < ORPHANS:
                    results.note(row, peer, f"only {gone[0].number:,} could be made")


def _memory(peer: Peer, workshop: Workshop, results: Results) -> None:
    for count in (1, 50, 200) if peer.many else (1,):
        with Stage(peer, workshop, ["w"] * count) as stage:
            stage.wait_for(START, count, within_s=60.0)
            time.sleep(CALM_S)
            results.add(f"pss-{count}", peer, _pss_kb(stage.init_pid))
            if count == 50:
                results.add("pss-all", peer, sum(map(_pss_kb, stage.helpers())))


def _idle(peer: Peer, workshop: Workshop, results: Results) -> None:
    strace = shutil.which("strace")
    if strace is None:
        results.note("idle", peer, "no strace")
        return
    with Stage(peer, workshop, ["w"] * 50) as stage:
        stage.wait_for(START, 50, within_s=60.0)
        time.sleep(CALM_S)
        trace = workshop.folder / "strace"
        pids = [f"-p{pid}" for pid in stage.helpers()]
        since = time.time() + ATTACH_S
        with subprocess.Popen([strace, "-f", "-qq", "-ttt", "-o", trace, *pids]) as tracer:
            time.sleep(ATTACH_S + IDLE_S)
            tracer.terminate()
        seen = [line.split() for line in trace.read_text().splitlines()]
        calls = [words for words in seen if len(words) > 2 and words[2][0].isalpha()]
        results.add("idle", peer, sum(since <= float(at) < since + IDLE_S for _, at, *_ in calls))


ONE_COMMAND = ("start", "latency", "orphans", "memory")
"""The figures of inits that run one command."""

FIGURES = (
    Figure("start", _start, ("start", "term"), lambda _: True),
    Figure("latency", _latency, ("latency",), lambda peer: not peer.many),
    Figure("boot", _boot, ("boot", "stop"), lambda peer: peer.many),
    Figure("restart", _restart, ("restart",), lambda peer: peer.restarts),
    Figure("restart-late", _restart_late, ("restart-late",), lambda peer: peer.restarts, 5),
    Figure("storm", _storm, ("storm",), lambda peer: peer.restarts, 2),
    Figure("orphans", _orphans, ("orphans-burst", "orphans-stream"), lambda _: True, 5),
    Figure("memory", _memory, ("pss-1", "pss-50", "pss-200", "pss-all"), lambda _: True, 5),
    Figure("idle", _idle, ("idle",), lambda peer: peer.many, 1000),
)


def _ms(ns: int) -> float:
    return ns / 1e6


def _pss_kb(pid: int) -> float:
    """The process's proportional share of the memory it maps, in the kernel's kB: 1,024 bytes."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    line = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
    return float(line.split()[1])
