"""The benchmarks: initpy and its peers side by side, round by round, as one table.

`tests/bench/run` fetches the peers and calls this; docs/benchmarks.md says what is measured.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.figures import FIGURES, Results
from tests.bench.figures import ONE_COMMAND as FIGURES_OF_ONE
from tests.bench.peers import (
    ONE_COMMAND,
    PEER_NAMES,
    REPO,
    binary_one,
    find_peers,
    initpy,
    initpy_binary,
    initpy_one,
    python_of,
)
from tests.bench.stage import NAMESPACE, StageError, Workshop
from tests.bench.table import BEGIN, put, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.figures import Figure
    from tests.bench.peers import Peer

DOCUMENTS = (REPO / "README.md", REPO / "docs" / "benchmarks.md")


BINARY = os.environ.get("INITPY_BINARY")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the table on stdout. Returns 0, or 1 when nothing can be measured."""
    options = _parser().parse_args(arguments)
    if os.geteuid() != 0 or subprocess.run([*NAMESPACE, "true"], check=False).returncode != 0:
        say("it takes root, and PID namespaces (unshare -pf --mount-proc)")
        return 1
    python = python_of(options.python)
    names = [name for name in options.peers if not options.one or name in ONE_COMMAND]
    others, missing = find_peers(names, options.peers_dir.resolve())
    if missing:
        say(f"not found, and left out: {', '.join(missing)}")
    trees = (REPO, *options.tree)
    if options.one:
        peers = [*others, *[initpy_one(tree, python) for tree in trees]]
        peers += [binary_one(Path(BINARY).resolve())] if BINARY else []
    else:
        ours = [initpy(tree, python) for tree in trees]
        ours[1:1] = [initpy_binary(Path(BINARY).resolve())] if BINARY else []
        peers = [*ours, *others]
    figures = [figure for figure in FIGURES if figure.name in options.only]
    if options.one:
        figures = [figure for figure in figures if figure.name in FIGURES_OF_ONE]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # leave nothing behind
    workshop = Workshop.make()
    try:
        workshop.compile_probes()
        results = measure(figures, peers, workshop, options.rounds)
    finally:
        workshop.remove()
    text = f"{table(results, peers)}\n{_circumstances(python, options.rounds, peers[0].name)}\n"
    sys.stdout.write(text)
    if options.write:
        for document in DOCUMENTS:
            if not put(text, document):
                say(f"{document} has no {BEGIN}")
    return 0


def measure(
    figures: Sequence[Figure], peers: Sequence[Peer], workshop: Workshop, rounds: int
) -> Results:
    """Round by round, figure by figure, one peer after the other, each round beginning with
    another: so that what else goes on in the machine meets all of them."""
    results = Results()
    for number in range(rounds):
        for figure in figures:
            if number % figure.every:
                continue
            say(f"round {number + 1} of {rounds}: {figure.name}")
            first = number % len(peers)
            for peer in [*peers[first:], *peers[:first]]:
                if not figure.concerns(peer):
                    continue
                try:
                    figure.measure(peer, workshop, results)
                except StageError as exc:
                    say(str(exc))
                    for row in figure.rows:
                        results.note(row, peer, "failed")
    return results


def _circumstances(python: Path, rounds: int, first: str) -> str:
    version = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return (
        f"Each cell: the median (the least to the greatest), and how many times {first}'s it is."
        f" {rounds} rounds, interleaved; {os.cpu_count()} CPUs ({_processor()}), Linux"
        f" {platform.release().partition('-')[0]}, {system}, {version.strip()}."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "CPU part"):
            return value.strip()
    return platform.machine()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__)
    names = [figure.name for figure in FIGURES]

    def words(known: Sequence[str], given: str) -> list[str]:
        chosen = [word for word in given.split(",") if word]
        unknown = [word for word in chosen if word not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return chosen

    parser.add_argument("--rounds", type=int, default=20, help="default: %(default)s")
    parser.add_argument(
        "--only",
        type=lambda given: words(names, given),
        default=names,
        metavar="FIGURE,…",
        help=f"of {', '.join(names)}",
    )
    parser.add_argument(
        "--peers",
        type=lambda given: words(PEER_NAMES, given),
        default=PEER_NAMES,
        metavar="NAME,…",
        help=f"of {', '.join(PEER_NAMES)}; '' for none",
    )
    parser.add_argument(
        "--peers-dir",
        type=Path,
        default=REPO / ".venv" / "peers",
        help="the venv, and node_modules, with the peers from PyPI and npm",
    )
    parser.add_argument(
        "--one",
        action="store_true",
        help="the inits of one command, as times tini's; with the static executable INITPY_BINARY",
    )
    parser.add_argument("--python", help="that runs initpy; default: /usr/bin/python3")
    parser.add_argument(
        "--tree",
        type=Path,
        action="append",
        default=[],
        help="another checkout of initpy, to be compared with this one; may be repeated",
    )
    parser.add_argument(
        "--write", action="store_true", help="put the table into README.md and docs/benchmarks.md"
    )
    return parser


def say(text: str) -> None:
    """Progress, and what is amiss, on stderr."""
    sys.stderr.write(f"bench: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
