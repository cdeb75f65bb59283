"""Who comes after whom: tiers for starting and stopping, and the cycles that forbid them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class CycleError(Exception):
    """Some names come after each other.

    `names` is one such circle, its first name repeated at its end.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(" -> ".join(names))
        self.names = names


def tiers(after: Mapping[str, Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    """The names in tiers: each comes after names in earlier tiers only, as early as it can.

    `after` gives, for each name, the names it comes after; within a tier its own order is kept.

    Raises:
        CycleError: there is no such order.
        KeyError: a name comes after one that `after` does not have.
    """
    depth: dict[str, int] = {}
    for name in after:
        _settle_depth(name, after, depth)
    count = max(depth.values(), default=-1) + 1
    found: list[list[str]] = [[] for _ in range(count)]
    for name in after:
        found[depth[name]].append(name)
    return tuple([tuple(tier) for tier in found])


def with_first(
    tiered: tuple[tuple[str, ...], ...], first: tuple[str, ...]
) -> tuple[tuple[str, ...], ...]:
    """The same, but with these names in a tier of their own before all others."""
    if not first:
        return tiered
    rest = [tuple([name for name in tier if name not in first]) for tier in tiered]
    return (first, *[tier for tier in rest if tier])


def _settle_depth(name: str, after: Mapping[str, Iterable[str]], depth: dict[str, int]) -> None:
    """Fill in the depth of `name` and all it comes after; iterative, for chains of any length."""
    path = {name: iter(after[name])}
    while path:
        current = next(reversed(path))
        for earlier in path[current]:
            if earlier in path:
                names = list(path)
                raise CycleError((*names[names.index(earlier) :], earlier))
            if earlier not in depth:
                path[earlier] = iter(after[earlier])
                break
        else:
            depth[current] = 1 + max([depth[earlier] for earlier in after[current]], default=-1)
            del path[current]
