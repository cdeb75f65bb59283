"""The faults of supervisord's API: what a call gets instead of a result."""

from __future__ import annotations

UNKNOWN_METHOD = 1
INCORRECT_PARAMETERS = 2
SIGNATURE_UNSUPPORTED = 4
SHUTDOWN_STATE = 6
BAD_NAME = 10

_NAMES = {
    UNKNOWN_METHOD: "UNKNOWN_METHOD",
    INCORRECT_PARAMETERS: "INCORRECT_PARAMETERS",
    SIGNATURE_UNSUPPORTED: "SIGNATURE_UNSUPPORTED",
    SHUTDOWN_STATE: "SHUTDOWN_STATE",
    BAD_NAME: "BAD_NAME",
}


class Fault(Exception):  # noqa: N818 - its name in XML-RPC
    """A call cannot be answered. The text is its name, and after a colon what it is about."""

    def __init__(self, code: int, about: str | None = None) -> None:
        self.code = code
        self.text = _NAMES[code] if about is None else f"{_NAMES[code]}: {about}"
        super().__init__(self.text)
