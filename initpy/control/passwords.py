"""Passwords as the plan has them, which is never as they are, and how a caller's is compared."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN = "sha256$"
"""What a password that the configuration has as it is becomes: enough to show none by accident."""
SHA1 = "{SHA}"
"""supervisord's: not salted, and quick to guess."""
PBKDF2 = "pbkdf2_sha256$"
"""What `initpy hash-password` makes; Django has the same."""

ITERATIONS = 600_000
MAX_ITERATIONS = 10_000_000
MAX_CHARS = 1000
SALT_BYTES = 16

MAX_WAITING = 8
"""So many wait while another's password is compared."""

WRONG_S = 0.5
"""After a wrong one, the next is compared so much later."""

MAX_WRONG = 1000
"""Wrong ones that are remembered."""

Account = tuple[str, str]
"""A name, and a password as the plan has it."""


def plain(username: str, password: str) -> str:
    """A password as the plan has it. The name is its salt: the same file makes the same plan."""
    text = f"{username}:{password}".encode("utf-8", "surrogateescape")
    return PLAIN + hashlib.sha256(text).hexdigest()


def hashed(password: bytes, salt: str, iterations: int = ITERATIONS) -> str:
    """What goes into a file in the place of a password."""
    digest = base64.b64encode(_pbkdf2(password, salt.encode(), iterations)).decode()
    return f"{PBKDF2}{iterations}${salt}${digest}"


def why_not_taken(text: str) -> str:
    """Why a text is no hash that can be compared with; empty: it is one."""
    if text.startswith(SHA1):
        digest = text.removeprefix(SHA1)
        is_hash = len(digest) == 40 and set(digest) <= set("0123456789abcdef")
        return "" if is_hash else "expected 40 digits, 0 to 9 or a to f, after {SHA}"
    parts = text.split("$")
    if len(text) > MAX_CHARS or len(parts) != 4 or not text.startswith(PBKDF2):
        return "expected what `initpy hash-password` prints"
    iterations = parts[1]
    if not (iterations.isascii() and iterations.isdigit() and len(iterations) <= 8):
        return "expected a number of iterations"
    if not 1 <= int(iterations) <= MAX_ITERATIONS:
        return f"expected 1 to {MAX_ITERATIONS} iterations"
    return "" if parts[2] and parts[3] else "expected a salt and a digest"


class TooManyError(Exception):
    """Too many passwords are being tried."""


class Accounts:
    """Whose password is right.

    To compare with a modern hash is costly, and anybody can ask for it. So it is done once for each
    password that is right, or wrong; for one at a time, after a pause if that was wrong; and while
    MAX_WAITING others wait for their turn, nobody else is listened to.
    """

    def __init__(
        self, accounts: tuple[Account, ...], pause: Callable[[float], object] = time.sleep
    ) -> None:
        """`pause` waits for so many seconds."""
        self._accounts = accounts
        self._pause = pause
        self._costly = [it for it in accounts if it[1].startswith(PBKDF2)]
        self._key = os.urandom(32)
        self._right: set[bytes] = set()
        """Digests of names and passwords that were."""
        self._wrong: dict[bytes, None] = {}
        """The same of the last that were not."""
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._waiting = 0
        self.compared = 0
        """How often that was costly."""

    def are_right(self, username: bytes, password: bytes) -> bool:
        """Compared in a time that does not depend on what is wrong with them.

        Raises:
            TooManyError: there is no answer, as too many others have asked for one.
        """
        is_right = False
        for name, stored in self._accounts:
            if not stored.startswith(PBKDF2):
                is_right |= _is_named(username, name) & _is_right(username, password, stored)
        if is_right or not self._costly:
            return is_right
        digest = hmac.digest(self._key, b"%d:%b%b" % (len(username), username, password), "sha256")
        if digest in self._right or digest in self._wrong:
            return digest in self._right
        with self._lock:
            if self._waiting > MAX_WAITING:
                raise TooManyError
            self._waiting += 1
        try:
            with self._turn:
                return self._compare(digest, username, password)
        finally:
            with self._lock:
                self._waiting -= 1

    def _compare(self, digest: bytes, username: bytes, password: bytes) -> bool:
        if digest in self._right or digest in self._wrong:  # by the one before us
            return digest in self._right
        named = [stored for name, stored in self._costly if _is_named(username, name)]
        if not named:  # so that it takes as long
            _is_right(username, password, self._costly[0][1])
        self.compared += len(named) or 1
        if any(_is_right(username, password, stored) for stored in named):
            self._right.add(digest)
            return True
        self._wrong[digest] = None
        if len(self._wrong) > MAX_WRONG:
            del self._wrong[next(iter(self._wrong))]
        self._pause(WRONG_S)
        return False


def _is_named(username: bytes, name: str) -> bool:
    return hmac.compare_digest(username, name.encode("utf-8", "surrogateescape"))


def _is_right(username: bytes, password: bytes, stored: str) -> bool:
    if stored.startswith(SHA1):
        found = SHA1 + hashlib.sha1(password).hexdigest()  # noqa: S324 - theirs
    elif stored.startswith(PBKDF2):
        _, iterations, salt, _ = stored.split("$")
        digest = base64.b64encode(_pbkdf2(password, salt.encode(), int(iterations))).decode()
        found = f"{PBKDF2}{iterations}${salt}${digest}"
    else:
        found = PLAIN + hashlib.sha256(username + b":" + password).hexdigest()
    return hmac.compare_digest(found.encode(), stored.encode("utf-8", "surrogateescape"))


def _pbkdf2(password: bytes, salt: bytes, iterations: int) -> bytes:
    """PBKDF2-HMAC-SHA256, of 32 bytes."""
    try:
        from hashlib import pbkdf2_hmac  # noqa: PLC0415 - not there without OpenSSL
    except ImportError:
        return _slow_pbkdf2(password, salt, iterations)
    return pbkdf2_hmac("sha256", password, salt, iterations)


def _slow_pbkdf2(password: bytes, salt: bytes, iterations: int) -> bytes:
    """RFC 8018, with the two halves of HMAC prepared: four times as quick as hmac's own."""
    block = password if len(password) <= 64 else hashlib.sha256(password).digest()
    inner = hashlib.sha256(bytes([byte ^ 0x36 for byte in block.ljust(64, b"\0")]))
    outer = hashlib.sha256(bytes([byte ^ 0x5C for byte in block.ljust(64, b"\0")]))
    message = salt + b"\0\0\0\1"
    total = 0
    for _ in range(iterations):
        first, second = inner.copy(), outer.copy()
        first.update(message)
        second.update(first.digest())
        message = second.digest()
        total ^= int.from_bytes(message, "big")
    return total.to_bytes(32, "big")
