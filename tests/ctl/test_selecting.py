"""What a name on the command line means."""

from __future__ import annotations

import pytest

from initpy.ctl.actions import join_name
from initpy.ctl.selecting import is_pattern, matching, without_patterns

INFOS = [
    {"group": group, "name": name}
    for group, name in (
        ("app", "api"),
        ("app", "jobs"),
        ("web", "web"),
        ("worker", "worker_0"),
        ("worker", "worker_1"),
    )
]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("all", "app:api app:jobs web worker:worker_0 worker:worker_1"),
        ("web", "web"),
        ("app", ""),
        ("app:*", "app:api app:jobs"),
        ("app:", "app:api app:jobs"),
        ("app:api", "app:api"),
        ("app:web", ""),
        ("nope", ""),
        ("nope:*", ""),
        ("w*", "web worker:worker_0 worker:worker_1"),
        ("worker_?", "worker:worker_0 worker:worker_1"),
        ("worker:worker_[1-9]", "worker:worker_1"),
        ("*:*s", "app:jobs"),
        ("app:j*", "app:jobs"),
        ("*", "app:api app:jobs web worker:worker_0 worker:worker_1"),
        ("x*", ""),
    ],
)
def test_names(name: str, found: str) -> None:
    them = matching(INFOS, name)
    assert " ".join([join_name(it["group"], it["name"]) for it in them]) == found


def test_only_patterns_are_looked_up() -> None:
    assert [name for name in ("web", "a:b", "a:*", "all", "a:") if is_pattern(name)] == []
    given = ["nope", "w*", "x*", "web", "app:*", "all"]
    names = ["nope", "web", "worker:worker_0", "worker:worker_1", "app:*", "all"]
    assert without_patterns(INFOS, given) == (names, ["x*"])
