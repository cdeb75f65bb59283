"""Every fault of the kernel that PID 1 can meet, one life each: `python -m tests.faults`.

As root, with strace and a C compiler. What it does is in docs/reliability.md. Results go to a file,
one line each; a run that was broken off goes on where it was, unless `--anew` is given.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.cases import Case, calls, cases, sample, unknown
from tests.faults.scenario import KILLED, Outcome, run
from tests.faults.table import Result, put, table
from tests.support import REPO

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).resolve().parent
DOCUMENT = REPO / "docs" / "reliability.md"
TRIES = 4
"""How often a life is lived until the injection has struck: how many calls there are of a syscall
depends on what comes first, and the last of one life may be none of another's."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0: nothing was found; 1: something was; 2: it cannot be run."""
    options = _parser().parse_args(arguments)
    if os.geteuid() != 0 or not shutil.which("strace") or not shutil.which("gcc"):
        _say("it takes root, strace and gcc")
        return 2
    work = Path(tempfile.mkdtemp(prefix="initpy-faults-"))
    try:
        probe = build_probe(work)
        kinds: dict[str, Path | None] = {"source": None}
        if options.binary:
            kinds["binary"] = options.binary.resolve()
        kinds = {kind: binary for kind, binary in kinds.items() if options.kind in ("", kind)}
        todo: list[Case] = []
        for kind, binary in kinds.items():
            trace, steps = record(probe, binary)
            if missing := unknown(trace):
                _say(f"PID 1 makes syscalls that errnos.py does not know: {', '.join(missing)}")
                return 2
            todo += cases(kind, trace, steps, thorough=options.thorough)
        if options.only:
            todo = [case for case in todo if options.only in f" {case.name} "]
        shard, shards = options.shard
        todo = todo[shard - 1 :: shards]
        if options.sample:
            todo = sample(todo, options.sample, options.seed)
        results = live_all(todo, probe, kinds, options.results, options.jobs, anew=options.anew)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    text = table(results)
    sys.stdout.write(text)
    if options.write:
        put(text, DOCUMENT)
    return int(any(result.problems for result in results))


def build_probe(folder: Path) -> Path:
    """Compile the scenario's program."""
    probe = folder / "probe"
    flags = ["-O2", "-static", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["gcc", *flags, "-o", probe, HERE / "probe.c"], check=True)
    return probe


def record(probe: Path, binary: Path | None) -> tuple[str, dict[str, float]]:
    """The trace of a life in which nothing fails, and when its steps began.

    Raises:
        RuntimeError: something does.
    """
    run(probe, binary, [])  # the first writes bytecode
    outcome = run(probe, binary, [])
    if outcome.problems:
        raise RuntimeError(f"without a fault: {outcome.problems}\n{outcome.log}")
    return outcome.trace, outcome.steps


def live(case: Case, probe: Path, binary: Path | None) -> tuple[Case, Outcome]:
    """Live this life, again with an earlier call where there were fewer than thought."""
    for missed in range(TRIES):
        outcome = run(probe, binary, case.injection().options())
        if is_hit(case, outcome) or outcome.problems:
            break
        made = sum(1 for _, name in calls(outcome.trace) if name == case.syscall)
        case = replace(case, when=max(1, made - 2 * missed))
    if case.syscall == "kill":  # a signal that the kernel does not deliver stops nobody
        outcome.problems = [each for each in outcome.problems if not each.endswith(KILLED)]
    return case, outcome


def is_hit(case: Case, outcome: Outcome) -> bool:
    """Whether all that was to fail has failed."""
    return outcome.hits == (2 if case.trigger else 1)


def live_all(
    todo: Sequence[Case],
    probe: Path,
    kinds: dict[str, Path | None],
    file: Path,
    jobs: int,
    *,
    anew: bool,
) -> list[Result]:
    """Live them all, several at a time; those that the file has are not lived again."""
    if anew:
        file.unlink(missing_ok=True)
    old = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    results = {result.name: result for result in (Result(**each) for each in old)}
    left = [case for case in todo if case.name not in results]
    began_at = time.monotonic()
    with ThreadPoolExecutor(jobs) as pool, file.open("a") as out:
        futures = {pool.submit(live, case, probe, kinds[case.kind]): case for case in left}
        for number, future in enumerate(as_completed(futures), 1):
            name = futures[future].name
            case, outcome = future.result()
            result = results[name] = Result(
                name,
                case.kind,
                case.syscall,
                case.errno,
                case.which,
                case.when,
                is_hit=is_hit(case, outcome),
                ended_early=outcome.ended_early,
                repairs=outcome.repairs,
                repeats=outcome.repeats,
                problems=outcome.problems,
            )
            out.write(json.dumps(asdict(result)) + "\n")
            out.flush()
            if result.problems:
                _say(f"{name} ({case.when}): {'; '.join(result.problems)}\n{outcome.log}")
            if number % 50 == 0 or number == len(left):
                _say(f"{number} of {len(left)}, {time.monotonic() - began_at:.0f} s")
    wanted = {case.name for case in todo}
    return [result for name, result in results.items() if name in wanted]


def _shard(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    shard, shards = int(number), int(count)
    if not 1 <= shard <= shards:
        raise argparse.ArgumentTypeError(f"{text} is no part of a whole")
    return shard, shards


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--binary", type=Path, help="the static executable, to be tried as well")
    parser.add_argument("--kind", choices=("source", "binary"), default="", help="only this one")
    parser.add_argument("--only", default="", help="those whose name has this text: 'clone EAGAIN'")
    parser.add_argument("--shard", type=_shard, default=(1, 1), metavar="I/N", help="a part of all")
    parser.add_argument("--sample", type=int, default=0, help="so many of them")
    parser.add_argument("--seed", type=int, default=1, help="which (default: %(default)s)")
    parser.add_argument(
        "--thorough", action="store_true", help="the first call in each step as well"
    )
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument(
        "--results",
        type=Path,
        default=Path(tempfile.gettempdir()) / "initpy-faults.jsonl",
        help="where they are noted (default: %(default)s)",
    )
    parser.add_argument("--anew", action="store_true", help="forget what is noted there")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT.name}")
    return parser


def _say(text: str) -> None:
    sys.stderr.write(f"faults: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
