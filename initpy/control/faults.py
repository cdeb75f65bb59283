"""The faults of supervisord's API: what a call gets instead of a result."""

from __future__ import annotations

UNKNOWN_METHOD = 1
INCORRECT_PARAMETERS = 2
BAD_ARGUMENTS = 3
SIGNATURE_UNSUPPORTED = 4
SHUTDOWN_STATE = 6
BAD_NAME = 10
BAD_SIGNAL = 11
NO_FILE = 20
NOT_EXECUTABLE = 21
FAILED = 30
ABNORMAL_TERMINATION = 40
SPAWN_ERROR = 50
ALREADY_STARTED = 60
NOT_RUNNING = 70
SUCCESS = 80
ALREADY_ADDED = 90
STILL_RUNNING = 91
CANT_REREAD = 92

CODES = {
    name: code for name, code in list(globals().items()) if name.isupper() and type(code) is int
}
"""By their names."""

_NAMES = {code: name for name, code in CODES.items()}


class Fault(Exception):  # noqa: N818 - its name in XML-RPC
    """A call cannot be answered. The text is its name, and after a colon what it is about."""

    def __init__(self, code: int, about: str | None = None) -> None:
        self.code = code
        self.text = _NAMES[code] if about is None else f"{_NAMES[code]}: {about}"
        super().__init__(self.text)
