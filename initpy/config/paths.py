"""As much of `os` as a plain configuration takes, in the words that `os` and `os.path` have for it.

`os` itself brings eight modules along, with 25 classes: 2 of the 5 ms that the helper took until it
had read its file. Whoever needs more of it imports it in the function that does.
"""

from __future__ import annotations

import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import AnyStr


def environ() -> dict[str, str]:
    """A copy of os.environ."""
    encoding = sys.getfilesystemencoding()
    return {
        name.decode(encoding, "surrogateescape"): value.decode(encoding, "surrogateescape")
        for name, value in posix.environ.items()
    }


def join(directory: AnyStr, path: AnyStr) -> AnyStr:
    """os.path.join, of two."""
    slash = "/" if isinstance(directory, str) else b"/"
    if path.startswith(slash):
        return path
    if not directory or directory.endswith(slash):
        return directory + path
    return directory + slash + path


def dirname(path: str) -> str:
    """os.path.dirname."""
    head = path[: path.rfind("/") + 1]
    return head.rstrip("/") or head


def abspath(path: str) -> str:
    """os.path.abspath.

    Raises:
        OSError: the path is relative, and the working directory is gone.
        ValueError: there is a null character in it.
    """
    full = path if path.startswith("/") else f"{posix.getcwd()}/{path}".removesuffix("/")
    if "\0" in full or "//" in full or "/." in full or full.endswith("/"):
        import os  # noqa: PLC0415

        return os.path.abspath(path)
    return full


def exists(path: str) -> bool:
    """os.path.exists."""
    try:
        posix.stat(path)
    except (OSError, ValueError):
        return False
    return True
