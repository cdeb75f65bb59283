"""Which processes a name on the command line means."""

from __future__ import annotations

from initpy.ctl.actions import ALL, join_name, split_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

_MAGIC = "*?["


def is_pattern(name: str) -> bool:
    """Whether it is to be matched, and not only looked up: `GROUP:*` is a name of its own."""
    group, _, process = name.partition(":")
    return any(ch in group or (process != "*" and ch in process) for ch in _MAGIC)


def matching(infos: Iterable[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The processes that NAME, GROUP:NAME, GROUP:*, `all` or a pattern means, in their order.

    A pattern without a colon is matched with what a process is called, and with its name alone.
    """
    if name == ALL:
        return [*infos]
    if not is_pattern(name):
        group, process = split_name(name)
        return [it for it in infos if it["group"] == group and process in (None, it["name"])]
    from fnmatch import fnmatchcase  # noqa: PLC0415 - few use any

    found = []
    for info in infos:
        names = [join_name(info["group"], info["name"])]
        if ":" in name:
            names = [f"{info['group']}:{info['name']}"]
        else:
            names.append(info["name"])
        if any(fnmatchcase(it, name) for it in names):
            found.append(info)
    return found


def without_patterns(
    infos: Sequence[dict[str, Any]], names: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The names, with what each pattern matches in its place; and the patterns that match none."""
    found: dict[str, None] = {}
    lost = []
    for name in names:
        if name == ALL or not is_pattern(name):
            found[name] = None
            continue
        matched = [join_name(it["group"], it["name"]) for it in matching(infos, name)]
        found |= dict.fromkeys(matched)
        if not matched:
            lost.append(name)
    return [*found], lost
