"""What the lint looks at on the disk: without side effects, without waiting, and within bounds."""

from __future__ import annotations

import _stat
import posix

from initpy.config.paths import join
from initpy.config.problems import escaped

MAX_TEXT_BYTES = 32 * 1024
"""Of a configuration file. Redis' example has 100 KB of comments, and `daemonize` behind 12."""

MAX_SHOWN_CHARS = 400
"""Of a path in a warning."""

MAX_READS = 500
"""Files, for all programs together."""

# What a command or a directory is found to be. UNKNOWN: it may be there, but not for our eyes.
FINE, MISSING, NOT_A_FILE, NO_DIRECTORY, NOT_EXECUTABLE, UNKNOWN = range(6)

_OPEN = posix.O_RDONLY | posix.O_NONBLOCK | posix.O_NOCTTY | posix.O_CLOEXEC


class Files:
    """Looks at each path once, whoever asks for it."""

    def __init__(self) -> None:
        self._commands: dict[tuple[bytes, tuple[bytes, ...]], tuple[int, bytes]] = {}
        self._heads: dict[tuple[bytes, int], bytes | None] = {}
        self._reads = 0

    def command(self, directory: bytes, candidates: tuple[bytes, ...]) -> tuple[int, bytes]:
        """What there is to execute, run from `directory`, and under which path: the first of the
        candidates that can be executed, else the first that is there, else the last."""
        asked = directory, candidates
        if asked not in self._commands:
            self._commands[asked] = _look_for(directory, candidates)
        return self._commands[asked]

    def directory(self, path: bytes) -> int:
        """FINE, MISSING, NO_DIRECTORY or UNKNOWN."""
        try:
            mode = posix.stat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return MISSING
        except (OSError, ValueError):
            return UNKNOWN
        return FINE if _stat.S_ISDIR(mode) else NO_DIRECTORY

    def head(self, path: bytes, size_bytes: int) -> bytes | None:
        """The first bytes of a regular file; None: it cannot be read."""
        asked = path, size_bytes
        if asked not in self._heads:
            self._reads += 1
            self._heads[asked] = _read(path, size_bytes) if self._reads <= MAX_READS else None
        return self._heads[asked]

    def text(self, path: bytes) -> tuple[str, bool]:
        """The text of a configuration file, or the beginning of it, or nothing; and whether that
        is all of it."""
        raw = self.head(path, MAX_TEXT_BYTES + 1)
        if raw is None:
            return "", False
        return decoded(raw[:MAX_TEXT_BYTES]), len(raw) <= MAX_TEXT_BYTES

    def exists(self, path: bytes) -> bool:
        """It is there, or it cannot be known."""
        try:
            posix.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except (OSError, ValueError):
            return True
        return True

    def names(
        self, directory: bytes, prefix: bytes, suffix: bytes, most: int
    ) -> list[bytes] | None:
        """The sorted paths in a directory that begin and end so; None: there are more than `most`,
        or it cannot be read."""
        found = []
        try:
            with posix.scandir(directory) as entries:
                for entry in entries:
                    if entry.name.startswith(prefix) and entry.name.endswith(suffix):
                        found.append(entry.path)
                        if len(found) > most:
                            return None
        except FileNotFoundError:
            return []
        except (OSError, ValueError):
            return None
        return sorted(found)


def shown_path(path: str) -> str:
    """A path in a warning; of a very long one, the end says more than the beginning."""
    cut = path if len(path) <= MAX_SHOWN_CHARS else "…" + path[-MAX_SHOWN_CHARS:]
    return f'"{escaped(cut)}"'


def decoded(raw: bytes) -> str:
    """Words and texts as the lint handles them; `encoded` makes the same bytes of them again."""
    return raw.decode("utf-8", "surrogateescape")


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _look_for(directory: bytes, candidates: tuple[bytes, ...]) -> tuple[int, bytes]:
    """As PID 1 will look for it: it goes on behind what is there but cannot be executed."""
    result, found = MISSING, candidates[-1] if candidates else b""
    for candidate in candidates:
        path = join(directory, candidate)
        try:
            mode = posix.stat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError):
            return UNKNOWN, path
        if _stat.S_ISREG(mode) and mode & 0o111:
            return FINE, path
        if result == MISSING:
            result, found = NOT_EXECUTABLE if _stat.S_ISREG(mode) else NOT_A_FILE, path
    return result, found


def _read(path: bytes, size_bytes: int) -> bytes | None:
    try:
        # A look before it is opened: to open a device can set things in motion.
        if not _stat.S_ISREG(posix.stat(path).st_mode):
            return None
        fd = posix.open(path, _OPEN)
    except (OSError, ValueError):
        return None
    try:
        if not _stat.S_ISREG(posix.fstat(fd).st_mode):
            return None
        return posix.read(fd, size_bytes)
    except OSError:
        return None
    finally:
        posix.close(fd)
