"""The program that PID 1 is, and executing it, or the one that has come in its place, anew.

The pid stays, and with it the children. What goes along is a memory file, whose fd the environment
names, and the fds that are in use.
"""

from __future__ import annotations

import posix
import sys

import initpy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

FORMAT = 1
"""Of the state. To be raised by whoever gives something in it another meaning; a field that is
added, with a default, is no new format. It stands here, where it is loaded from the start: in an
upgrade of the package, the rest of the hand-over may be loaded from the new files."""

MAGIC = b"initpy-state"
"""What it begins with."""

VARIABLE = b"INITPY_HANDOVER"
TAKE, CHECK = b"take", b"check"

ASKED_TO_CHECK = "--can-take-over"
"""The only argument of a program that is to say whether it can."""

_READ_BYTES = 1 << 20
_DELETED = " (deleted)"


class Image:
    """What this process was made of when it was executed."""

    KEPT = ("path", "comm")

    def __init__(self) -> None:
        self.argv = sys.orig_argv
        """Of the whole command: with the interpreter and its options, where there is one."""
        own = len(self.argv) - len(sys.argv) + 1
        self.asking_argv = [*self.argv[:own], ASKED_TO_CHECK]
        """What another program is asked with: one that knows nothing of this refuses it. With the
        arguments of this process, it would be an init, and start every program once more."""
        self.path = _as_called(self.argv[0]) or _link("/proc/self/exe") or sys.executable
        """Where another program may come to lie, to which to upgrade."""
        self.comm = _read_file("/proc/self/comm").rstrip(b"\n")
        """The name in `ps`, which executing an fd would change to its number."""
        self._fd = _open("/proc/self/exe") if _link("/proc/self/exe") else _open(self.path)
        self._stamp = _stamp(getattr(initpy, "__file__", None))

    def why_not_again(self) -> str:
        """Why this program cannot be executed again as it is; empty: it can.

        The binary has all of itself in the open file. The package lies in files, which may be gone,
        or another version's by now.
        """
        if self._fd < 0:
            return "there is no /proc to execute it from"
        for name, module in list(sys.modules.items()):
            path = getattr(module, "__file__", None)
            if path and name.partition(".")[0] in ("initpy", "__main__") and not _stamp(path):
                return f"{path} is gone"
        if self._stamp != _stamp(getattr(initpy, "__file__", None)):
            return "its files are not those that it was started from"
        return ""

    def execute_again(self, environment: dict[bytes, bytes], fd: int, kept: list[int]) -> NoReturn:
        """Become this program anew; see `execute`."""
        execute(self._fd, self.argv, environment, fd, kept)

    def keep_name(self) -> None:
        """Be called in `ps` as ever."""
        if self.comm and _read_file("/proc/self/comm").rstrip(b"\n") != self.comm:
            try:
                fd = posix.open("/proc/self/comm", posix.O_WRONLY | posix.O_CLOEXEC)
                posix.write(fd, self.comm)
                posix.close(fd)
            except OSError:
                pass


def open_program(path: str) -> int:
    """An fd to execute what lies at `path` now.

    Raises:
        OSError: nothing does.
    """
    return posix.open(path, posix.O_PATH | posix.O_CLOEXEC)


def execute(
    program: int,
    argv: list[str],
    environment: dict[bytes, bytes],
    fd: int,
    kept: Iterable[int],
) -> NoReturn:
    """Execute an open program in place of this one, with the memory file `fd` to take over from.

    The fds `kept` stay open in it. Signals have to be blocked: those that come wait.

    Raises:
        OSError: it could not be executed; all is as before.
    """
    keep = (fd, *kept)
    try:
        for each in keep:
            posix.set_inheritable(each, True)
        posix.execve(program, argv, {**environment, VARIABLE: b"%b %d" % (TAKE, fd)})
    finally:
        for each in keep:
            posix.set_inheritable(each, False)
    raise AssertionError  # execve does not return


def memory_file(raw: bytes) -> int:
    """A file that lives in memory alone, with `raw` in it.

    Raises:
        OSError: no descriptor or no memory is left.
    """
    fd = posix.memfd_create("initpy-state", posix.MFD_CLOEXEC)
    try:
        rest = memoryview(raw)
        while rest:
            rest = rest[posix.write(fd, rest) :]
    except OSError:
        posix.close(fd)
        raise
    return fd


def handed_over() -> tuple[bytes, bytes] | None:
    """What this image is to do with which state: TAKE it over, or CHECK it. None: it is the first.

    The file is read, and closed.
    """
    word, _, number = posix.environ.pop(VARIABLE, b"").partition(b" ")
    if word not in (TAKE, CHECK) or not (number.isdigit() and len(number) < 10):
        return None
    fd = int(number)
    raw = bytearray()
    try:
        while part := posix.pread(fd, _READ_BYTES, len(raw)):
            raw += part
    except OSError:  # somebody has set the variable
        return None
    if not raw.startswith(MAGIC):
        return None
    posix.close(fd)
    return word, bytes(raw)


def _as_called(name: str) -> str:
    """The path by which it was executed, as far as that is in its name: a link may come to lead to
    another program. Empty: it is not."""
    if "/" not in name:
        return ""
    try:
        path = name if name.startswith("/") else f"{posix.getcwd()}/{name}"
        named, own = posix.stat(path), posix.stat("/proc/self/exe")
    except OSError:
        return ""
    return path if (named.st_dev, named.st_ino) == (own.st_dev, own.st_ino) else ""


def _link(path: str) -> str:
    try:
        found = posix.readlink(path)
    except OSError:
        return ""
    return found[: -len(_DELETED)] if found.endswith(_DELETED) else found


def _open(path: str) -> int:
    try:
        return open_program(path)
    except OSError:
        return -1


def _read_file(path: str) -> bytes:
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return b""
    raw = posix.read(fd, 4096)
    posix.close(fd)
    return raw


def _stamp(path: str | None) -> tuple[int, int] | None:
    """What changes when a file is replaced; None: there is none."""
    try:
        found = posix.stat(path) if path else None
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns) if found else None
