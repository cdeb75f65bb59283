"""The results as one Markdown table, and its place in the documents."""

from __future__ import annotations

import re
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.figures import ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.bench.figures import Results, Row
    from tests.bench.peers import Peer

BEGIN, END = "<!-- bench -->", "<!-- /bench -->"
NONE = "-"


def table(results: Results, peers: Sequence[Peer]) -> str:
    """One row for each figure that was measured, one column for each peer, the first one's ratio
    being 1."""
    rows = [row for row in ROWS if any((row.key, peer.name) in results.samples for peer in peers)]
    lines = [["", *[peer.title for peer in peers]], ["---", *["---:" for _ in peers]]]
    for row in rows:
        ours = results.samples.get((row.key, peers[0].name))
        base = median(ours) if ours else 0.0
        cells = [_cell(row, results, peer, base if peer is not peers[0] else 0.0) for peer in peers]
        lines.append([f"{row.title}, {row.unit}" if row.unit else row.title, *cells])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _cell(row: Row, results: Results, peer: Peer, base: float) -> str:
    """The median, the range, and the ratio to `base` unless that is 0; or why there is none."""
    note = results.notes.get((row.key, peer.name), "")
    samples = results.samples.get((row.key, peer.name))
    if not samples:
        return note or NONE
    middle = median(samples)
    text = f"**{number(middle)}**"
    if number(min(samples)) != number(max(samples)):
        text += f" ({number(min(samples))} to {number(max(samples))})"
    if base:
        text += f" {number(middle / base)}x"
    return f"{text}; {note}" if note else text


def number(value: float) -> str:
    """Three digits, or all those before the point."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 2 if abs(value) < 10 else 1
    while abs(value) < 0.1 * 10.0 ** (2 - digits) and digits < 4:
        digits += 1
    return f"{value:.{digits}f}"


def put(text: str, file: Path) -> bool:
    """Replace what is between the markers in the file; returns whether it has them."""
    old = file.read_text()
    between = re.compile(f"({re.escape(BEGIN)}\n).*?({re.escape(END)})", re.DOTALL)
    new, count = between.subn(lambda match: match[1] + text + match[2], old)
    if count:
        file.write_text(new)
    return bool(count)
