"""How hypothesis runs here: the same examples every time, and no deadline that a slow machine
could miss."""

from __future__ import annotations

from hypothesis import settings

REPEATABLE = settings(derandomize=True, deadline=None, database=None, max_examples=50)
