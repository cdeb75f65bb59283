"""What the command lines of several benches have in common."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def parser_of(module: str, doc: str | None, figures: Sequence[str]) -> argparse.ArgumentParser:
    """With --rounds, and --only for some of the figures."""
    parser = argparse.ArgumentParser(prog=f"tests.bench.{module}", description=doc)
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument(
        "--only",
        type=lambda names: names.split(","),
        default=[*figures],
        metavar="NAMES",
        help=f"of {', '.join(figures)}",
    )
    return parser
