"""The config helper's whole work: read the file, and send PID 1 the plan, or what is wrong."""

from __future__ import annotations

import posix

from initpy.config.cgroups import oom_file
from initpy.config.loading import load
from initpy.config.problems import ConfigError, escaped, say
from initpy.core.values import replace
from initpy.wire import WireError, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.config.arguments import Arguments

STDERR = 2

MAX_TOLD = 1000
"""Characters of what is wrong that a client gets, who has asked for the file to be read."""

SENT, FAILED, REFUSED = 0, 1, 2
"""Exit codes: the plan is sent; a fault of ours; the file cannot be used."""


def send_plan_of_arguments(programs: tuple[str, ...], settings: tuple[str, ...], fd: int) -> int:
    """As `send_plan`, for what `initpy run` was given."""
    from initpy.config.arguments import NAME, Arguments  # noqa: PLC0415

    return _send(Arguments(programs, settings), NAME, fd, "")


def send_plan(path: str, fd: int, identifier: str = "") -> int:
    """Write the plan that the file makes to `fd`, or a text of what is wrong; and to stderr all
    that is wrong, or strange. `identifier` goes before the one in the file.

    Returns the exit code.
    """
    return _send(path, path, fd, identifier)


def _send(source: str | Arguments, name: str, fd: int, identifier: str) -> int:
    try:
        loaded = load(source)
        plan = replace(loaded.plan, oom_file=oom_file())
        if identifier and plan.control is not None:
            plan = replace(plan, control=replace(plan.control, identifier=identifier))
        message = frame(plan)
    except ConfigError as exc:
        say(STDERR, (*exc.warnings, *exc.problems))
        return _refuse(fd, "; ".join([str(problem) for problem in exc.problems]))
    except WireError as exc:
        problem = escaped(f"{name}: too much for one container: {exc}")
        say(STDERR, [problem])
        return _refuse(fd, problem)
    except Exception as exc:  # a bug of ours; still no traceback for who has only asked
        say(STDERR, [escaped(f"{name}: cannot be read, by a fault of initpy: {exc!r}")])
        return FAILED
    say(STDERR, loaded.warnings)
    _write(fd, message)
    return SENT


def _refuse(fd: int, problems: str) -> int:
    if len(problems) > MAX_TOLD:
        problems = f"{problems[:MAX_TOLD]}..."
    _write(fd, frame(problems))
    return REFUSED


def _write(fd: int, message: bytes) -> None:
    while message:
        message = message[posix.write(fd, message) :]
