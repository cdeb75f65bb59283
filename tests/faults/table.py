"""The results as a Markdown table, and its place in the document."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BEGIN, END = "<!-- faults -->", "<!-- /faults -->"


@dataclass(frozen=True)
class Result:
    """What became of one case."""

    name: str
    kind: str
    syscall: str
    errno: str
    which: str
    when: int
    is_hit: bool
    ended_early: bool
    repairs: int
    repeats: int
    problems: list[str]


def table(results: Sequence[Result]) -> str:
    """One row for each syscall, with its errnos, the number of runs, and what became of them."""
    header = ["syscall", "errno (runs)", "runs", "did not start", "executed itself anew", "failed"]
    rows = [header, ["---", "---", *["---:"] * 4]]
    for syscall in sorted({result.syscall for result in results}):
        among = [result for result in results if result.syscall == syscall]
        errnos = [
            f"{errno} ({sum(1 for it in among if it.errno == errno and it.is_hit)})"
            for errno in sorted({it.errno for it in among})
        ]
        rows.append([f"`{syscall}`", ", ".join(errnos), *_counts(among)])
    rows.append(["**all**", "", *_counts(results)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows) + "\n"


def _counts(among: Sequence[Result]) -> list[str]:
    numbers = (
        sum(1 for it in among if it.is_hit),
        sum(1 for it in among if it.ended_early),
        sum(1 for it in among if it.repairs),
        sum(1 for it in among if it.problems),
    )
    return [str(number) for number in numbers]


def put(text: str, file: Path) -> None:
    """Replace what is between the markers in the file.

    Raises:
        ValueError: it has none.
    """
    old = file.read_text()
    between = re.compile(f"({re.escape(BEGIN)}\n).*?({re.escape(END)})", re.DOTALL)
    new, count = between.subn(lambda match: match[1] + text + match[2], old)
    if not count:
        raise ValueError(f"{file} has no {BEGIN}")
    file.write_text(new)
