"""How long a regular expression may take: nothing can interrupt Python's, once it has begun."""

from __future__ import annotations

import sys
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_WAYS = 20_000
"""To go through all of so many takes a tenth of a millisecond for a line of START_BYTES."""

_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")

_ENDLESS = MOST_WAYS + 1


def ways(pattern: str, length: int) -> int:
    """In how many ways `pattern` can be laid over so many characters, at the most: so often has it
    to be tried where it does not match. More than MOST_WAYS are not counted.

    Raises:
        re.error: it is no regular expression.
    """
    # Private, but the only one who reads expressions as `re` does.
    parser = import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")
    return _ways(parser.parse(pattern), length)


def _ways(items: Any, length: int) -> int:
    """Of one item after the other."""
    found = 1
    for kind, argument in items:
        found = min(found * _ways_of(str(kind), argument, length), _ENDLESS)
    return found


def _ways_of(kind: str, argument: Any, length: int) -> int:
    match kind, argument:
        case "BRANCH", (_, branches):
            return sum([_ways(branch, length) for branch in branches])
        case "SUBPATTERN", (*_, items):
            return _ways(items, length)
        case "ATOMIC_GROUP", items:
            return _ways(items, length)
        case (("ASSERT" | "ASSERT_NOT"), (_, items)):
            return _ways(items, length)
        case "GROUPREF_EXISTS", (_, one, other):
            return _ways(one, length) + _ways(other or (), length)
        case repeat, (least, most, items) if repeat in _REPEATS:
            return _ways_of_repeat(_ways(items, length), int(least), min(int(most), length))
    return 1


def _ways_of_repeat(once: int, least: int, most: int) -> int:
    if once == 1:
        return max(1, most - least + 1)
    found = 0
    for count in range(least, most + 1):
        found += once**count
        if found > MOST_WAYS:
            return _ENDLESS
    return max(1, found)
