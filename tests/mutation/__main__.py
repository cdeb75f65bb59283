"""`python -m tests.mutation`: see the package."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.running import (
    CORE,
    KILLED,
    REPO,
    SURVIVED,
    TESTS,
    Seen,
    run_all,
    start,
    tests_for,
    verdict_of,
    watch_all,
)

DOCUMENT = REPO / "docs" / "reliability.md"
DEFAULT_RESULTS = Path(tempfile.gettempdir()) / "initpy-mutation.jsonl"
MAX_SURVIVORS = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--sample", type=int, help="only so many, drawn at random by the seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--module", help="only those of this module of initpy.core")
    parser.add_argument(
        "--results",
        type=Path,
        default=DEFAULT_RESULTS,
        help="where verdicts are kept: what is in it for the same source is not run again; a"
        " survivor is, once tests/core is another (default: %(default)s)",
    )
    options = parser.parse_args()
    chosen: list[Mutant] = []
    for path in sorted(CORE.glob("*.py")):
        if options.module in (None, path.stem):
            chosen += mutants_of(f"initpy.core.{path.stem}", path.read_text())
    random.Random(options.seed).shuffle(chosen)  # so that what has been run is always a sample
    chosen = chosen[: options.sample]
    verdicts = _known(options.results, chosen)
    left = [mutant for mutant in chosen if mutant.name not in verdicts]
    say(f"{len(chosen)} mutants, {len(left)} of them to run")
    if left:
        _run(left, verdicts, options.results, options.jobs)
    return _report(chosen, verdicts)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _run(left: list[Mutant], verdicts: dict[str, str], results: Path, jobs: int) -> None:
    seen = _watched(results.with_suffix(".seen"))
    running: dict[int, Mutant] = {}
    began_at = time.monotonic()
    done = 0
    with results.open("a") as file:

        def judge(mutant: Mutant, verdict: str) -> None:
            verdicts[mutant.name] = verdict
            file.write(json.dumps([mutant.name, _source_of(mutant), _tests(), verdict]) + "\n")
            file.flush()

        while left or running:
            while left and len(running) < jobs:
                mutant = left.pop(0)
                order = tests_for(mutant, seen)
                if order:
                    running[start(mutant, order)] = mutant
                else:
                    judge(mutant, SURVIVED)
            if running:
                pid, status = os.wait()
                mutant = running.pop(pid)
                judge(mutant, verdict_of(status))
                done += 1
                if done % 50 == 0:
                    say(f"{done} run, {len(left)} left, {time.monotonic() - began_at:.0f} s")


def _watched(kept: Path) -> Seen:
    """What each test executes, as it is in the file `kept`, if nothing has changed since."""
    state = [_tests(), *[_hash(path) for path in sorted(CORE.glob("*.py"))]]
    if kept.exists():
        of_state, seen = json.loads(kept.read_text())
        if of_state == state:
            return dict(seen)
    if (pid := os.fork()) == 0:
        run_all()
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{TESTS} fails as it is")
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "seen"
        if (pid := os.fork()) == 0:
            watch_all(answer)
        os.waitpid(pid, 0)
        seen = json.loads(answer.read_text())
    kept.write_text(json.dumps([state, seen]))
    return dict(seen)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _source_of(mutant: Mutant) -> str:
    return _hash(CORE / f"{mutant.module.rpartition('.')[2]}.py")


def _tests() -> str:
    paths = sorted((REPO / TESTS).glob("*.py"))
    return hashlib.sha256(b"".join([path.read_bytes() for path in paths])).hexdigest()[:16]


def _known(results: Path, chosen: list[Mutant]) -> dict[str, str]:
    """Verdicts that still hold."""
    lines: list[list[Any]] = []
    if results.exists():
        lines = [json.loads(line) for line in results.read_text().splitlines()]
    found = {(name, source): (tests, verdict) for name, source, tests, verdict in lines}
    verdicts: dict[str, str] = {}
    sources = {mutant.module: _source_of(mutant) for mutant in chosen}
    tests_now = _tests()
    for mutant in chosen:
        tests, verdict = found.get((mutant.name, sources[mutant.module]), ("", ""))
        if verdict and (verdict != SURVIVED or tests == tests_now):
            verdicts[mutant.name] = verdict
    return verdicts


def _report(chosen: list[Mutant], verdicts: dict[str, str]) -> int:
    """Print the table by module and the survivors; 1 if these are too many, or not judged."""
    judged = DOCUMENT.read_text() if DOCUMENT.exists() else ""
    say("\n| module | mutants | killed | timed out | survivors |\n|---|---|---|---|---|")
    modules = sorted({mutant.module for mutant in chosen})
    for module in (*modules, ""):
        own = [verdicts[it.name] for it in chosen if module in ("", it.module)]
        survived = own.count(SURVIVED)
        timed_out = len(own) - own.count(KILLED) - survived
        name = f"`{module}`" if module else "all"
        share = f" ({survived / len(own):.1%})" if own else ""
        say(f"| {name} | {len(own)} | {own.count(KILLED)} | {timed_out} | {survived}{share} |")
    survivors = [mutant for mutant in chosen if verdicts[mutant.name] == SURVIVED]
    unjudged = [mutant for mutant in survivors if mutant.name not in judged]
    say("")
    for mutant in survivors:
        mark = "not judged: " if mutant in unjudged else ""
        say(f"{mark}{mutant.name} (line {mutant.lines[0]})")
    if len(survivors) > MAX_SURVIVORS * len(chosen):
        say(f"more than {MAX_SURVIVORS:.0%} survive")
        return 1
    return int(bool(unjudged))


if __name__ == "__main__":
    sys.exit(main())
