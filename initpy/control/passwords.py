"""Passwords as the plan has them, which is never as they are, and how a caller's is compared."""

from __future__ import annotations

import base64
import hashlib
import hmac

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


class Accounts:
    """Whose password is right. The costly comparison is made once for each that is."""

    def __init__(self, accounts: tuple[Account, ...]) -> None:
        self._accounts = accounts
        self._key = hashlib.sha256(repr(accounts).encode()).digest()
        self._seen: dict[int, bytes] = {}
        """Of each account, a digest of the password that was right."""

    def are_right(self, username: bytes, password: bytes) -> bool:
        """Compared in a time that does not depend on what is wrong with them."""
        is_right = False
        for number, (name, stored) in enumerate(self._accounts):
            is_named = hmac.compare_digest(username, name.encode("utf-8", "surrogateescape"))
            is_right |= is_named & self._is_right(number, username, password, stored)
        return is_right

    def _is_right(self, number: int, username: bytes, password: bytes, stored: str) -> bool:
        if not stored.startswith(PBKDF2):
            return _is_right(username, password, stored)
        digest = hmac.digest(self._key, password, "sha256")
        if hmac.compare_digest(digest, self._seen.get(number, b"")):
            return True
        if not _is_right(username, password, stored):
            return False
        self._seen[number] = digest
        return True


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
