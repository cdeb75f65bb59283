"""`initpy hash-password`: what the configuration can have in the place of a password."""

from __future__ import annotations

import os
import sys

from initpy.control.passwords import SALT_BYTES, hashed
from initpy.ctl import console, exits


def main() -> int:
    """Ask for a password twice, or take a line of stdin; print its hash."""
    console.prepare()
    if sys.stdin.isatty():
        import getpass  # noqa: PLC0415

        password = getpass.getpass("Password: ").encode()
        if getpass.getpass("Again: ").encode() != password:
            console.complain("they are not the same")
            return exits.FAILED
    else:
        password = sys.stdin.buffer.readline().rstrip(b"\r\n")
    if not password:
        console.complain("expected a password, and got nothing")
        return exits.FAILED
    console.say(hashed(password, os.urandom(SALT_BYTES).hex()))
    return exits.OK
