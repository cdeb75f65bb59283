"""The config helper's whole work: read the file, and send PID 1 the plan or tell why not."""

from __future__ import annotations

import os

from initpy.config.loading import load
from initpy.config.problems import ConfigError
from initpy.wire import WireError, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from initpy.config.problems import Problem

SENT, FAILED, REFUSED = 0, 1, 2
"""Exit codes: the plan is sent; a fault of ours; the file cannot be used."""


def send_plan(path: str, fd: int) -> int:
    """Write the plan that the file makes to `fd`; what is wrong with it, to stderr.

    Returns the exit code.
    """
    try:
        loaded = load(path)
        _say(loaded.warnings)
        message = frame(loaded.plan)
    except ConfigError as exc:
        _say(exc.problems)
        return REFUSED
    except WireError as exc:
        _write(2, f"{path}: too much for one container: {exc}\n".encode(errors="replace"))
        return REFUSED
    except Exception as exc:
        _write(
            2, f"{path}: cannot be read, by a fault of initpy: {exc!r}\n".encode("ascii", "replace")
        )
        return FAILED
    _write(fd, message)
    return SENT


def _say(problems: Iterable[Problem]) -> None:
    _write(2, "".join([f"{problem}\n" for problem in problems]).encode(errors="replace"))


def _write(fd: int, message: bytes) -> None:
    """Write all of it; who has stopped listening misses it."""
    try:
        while message:
            message = message[os.write(fd, message) :]
    except OSError:
        return
