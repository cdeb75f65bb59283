"""What goes to who has typed the command."""

from __future__ import annotations

import os
import sys

from initpy.ctl import exits
from initpy.ctl.calls import AcceptedError, CallError, Fault, RefusedError
from initpy.ctl.finding import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
else:
    import _signal

UNAUTHORIZED = 401
FORBIDDEN = 403

INTERRUPTED = 130


def prepare() -> None:
    """Whatever the locale, output is UTF-8, and nothing in it can fail to be written. Who does not
    read it any more makes an error, which `run` knows, and not an end by SIGPIPE."""
    _signal.signal(_signal.SIGPIPE, _signal.SIG_IGN)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace")


def say(text: str) -> None:
    """A line to stdout, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """A line to stderr."""
    sys.stderr.write(f"initpy: {text}\n")


def run(command: Callable[[], int]) -> int:
    """The exit code of a command; what goes wrong in it is one line, whatever it is."""
    prepare()
    try:
        return command()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `initpy logs | head`: nobody reads any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.OK
    except NotFoundError as exc:
        complain(str(exc))
        return exits.NOT_RUNNING
    except RefusedError as exc:
        complain(_about_refusal(exc))
        return exits.FAILED
    except AcceptedError as exc:
        complain(str(exc))
        return exits.FAILED
    except CallError as exc:
        complain(str(exc))
        return exits.NOT_RUNNING
    except Fault as exc:
        complain(exc.text)
        return exits.FAILED


def _about_refusal(error: RefusedError) -> str:
    if error.status == UNAUTHORIZED:
        return "it asks for a name and a password: give -u NAME and -p PASSWORD"
    if error.status == FORBIDDEN:
        return (
            "it answers root, its owner, and whom [control] names in `allow`; or whoever has the "
            "password, with -u NAME and -p PASSWORD"
        )
    return str(error)
