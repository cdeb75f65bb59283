"""The logs of programs: in their files, and where there is none, in the relay's memory."""

from __future__ import annotations

import codecs
import os
import stat
import time
from abc import ABC, abstractmethod
from urllib.parse import unquote

from initpy.control.faults import BAD_ARGUMENTS, BAD_NAME, FAILED, NO_FILE, SUCCESS, Fault
from initpy.control.http import HttpError
from initpy.control.methods import Method
from initpy.logs.memory import Tail
from initpy.ownlog import MARGIN_BYTES, RING_AT, RING_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from initpy.control.mirror import Mirror
    from initpy.control.orders import Orders
    from initpy.core.door import Process

MOST_BYTES = 16 * 1024 * 1024
"""Of one answer."""

FOLLOW_FROM_BYTES = 1024
"""A follower first gets so much of what is there."""

LOOK_S, QUIET_LOOK_S = 0.02, 0.1
"""How often a follower looks for more; where nothing has come for QUIET_S, less often."""

QUIET_S = 5.0

PART_BYTES = 64 * 1024

OWN_PATH = "/mainlogtail"
FROM_NOW_ON = "last=0"

OWN_TRIES = 10
"""To read PID 1's lines while it writes none."""

CHANNELS = ("stdout", "stderr")


class Source(ABC):
    """What a channel has written, as far as it is kept."""

    @abstractmethod
    def read(self, start: int, count: int) -> bytes:
        """At most `count` bytes from the `start`th on; those that are not kept are left out.

        Raises:
            OSError: it cannot be read.
        """

    @abstractmethod
    def size(self) -> int:
        """Raises:
        OSError: as above.
        """

    identity: tuple[int, ...] = ()
    """Of a file: another, if another file has the name."""

    def hold(self) -> None:  # noqa: B027 - most have nothing to do for it
        """Go on with this very file, whatever has its name; until `close`.

        Raises:
            OSError: as above.
        """

    def close(self) -> None:  # noqa: B027 - as above
        """It is not read any more."""


class FileSource(Source):
    def __init__(self, path: bytes) -> None:
        """Raises:
        OSError: there is no such file.
        """
        self._path = path
        self._file: int | bytes = path
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(path)
        self.identity = (status.st_dev, status.st_ino)

    def hold(self) -> None:
        self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        status = os.fstat(self._file)
        self.identity = (status.st_dev, status.st_ino)

    def close(self) -> None:
        if isinstance(self._file, int):
            os.close(self._file)
            self._file = self._path

    def read(self, start: int, count: int) -> bytes:
        with open(self._file, "rb", closefd=isinstance(self._file, bytes)) as file:
            file.seek(start)
            return file.read(count)

    def size(self) -> int:
        return os.stat(self._file).st_size


class Unwritten(Source):
    """The file of a program that runs, or has run, and has not written anything."""

    def read(self, start: int, count: int) -> bytes:  # noqa: ARG002 - there is nothing anywhere
        return b""

    def size(self) -> int:
        return 0


class MemorySource(Source):
    def __init__(self, tail: Tail) -> None:
        self._tail = tail

    def read(self, start: int, count: int) -> bytes:
        run, total = self._tail.read(start)
        skipped = total - len(run) - start
        return run[: max(count - max(skipped, 0), 0)]

    def size(self) -> int:
        return self._tail.total()


class OwnSource(Source):
    """PID 1's own lines: see `ownlog`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, start: int, count: int) -> bytes:
        for _ in range(OWN_TRIES):
            total, cleared = self._words()
            ring = os.pread(self._fd, RING_BYTES, RING_AT)
            if self._words() == (total, cleared):
                break
        at = total % RING_BYTES
        run = ring[at:] + ring[:at] if total > RING_BYTES else ring[:total]
        run = run[MARGIN_BYTES - RING_BYTES :]
        first = total - len(run)
        begin = max(cleared + start - first, 0)
        skipped = max(first - cleared - start, 0)
        return run[begin : begin + max(count - skipped, 0)]

    def size(self) -> int:
        total, cleared = self._words()
        return total - cleared

    def clear(self) -> None:
        """What there is, nobody sees any more."""
        total, _ = self._words()
        os.pwrite(self._fd, total.to_bytes(8, "little"), 8)

    def _words(self) -> tuple[int, int]:
        raw = os.pread(self._fd, 16, 0)
        return int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:], "little")


class Tails:
    """The methods, each to be called in whichever thread, and what can be followed."""

    def __init__(self, mirror: Mirror, orders: Orders, own_log_fd: int = -1) -> None:
        """`own_log_fd`: of `ownlog`; -1: there is none."""
        self._mirror = mirror
        self._orders = orders
        self._own = OwnSource(own_log_fd) if own_log_fd >= 0 else None

    def methods(self) -> tuple[Method, ...]:
        found: list[tuple[str, str, str, Callable[..., Any]]] = []
        for names, channel in (
            (("readProcessStdoutLog", "readProcessLog"), "stdout"),
            (("readProcessStderrLog",), "stderr"),
        ):
            found += [(name, "string", "Read", self._reader(channel)) for name in names]
        for names, channel in (
            (("tailProcessStdoutLog", "tailProcessLog"), "stdout"),
            (("tailProcessStderrLog",), "stderr"),
        ):
            found += [(name, "array", "Tail", self._tailer(channel)) for name in names]
        of_processes = [
            Method(
                f"supervisor.{name}",
                (kind, "string", "int", "int"),
                f"{verb} the log of a process: NAME, offset, length.",
                call,
            )
            for name, kind, verb, call in found
        ]
        clearing = [
            Method(f"supervisor.{name}", ("boolean", "string"), "Empty its logs.", self.clear)
            for name in ("clearProcessLogs", "clearProcessLog")
        ]
        return (
            *of_processes,
            *clearing,
            Method("supervisor.clearAllProcessLogs", ("array",), "Empty all.", self.clear_all),
            *[
                Method(f"supervisor.{name}", ("string", "int", "int"), OWN_LOG, self.read_own)
                for name in ("readLog", "readMainLog")
            ],
            Method("supervisor.clearLog", ("boolean",), OWN_LOG, self.clear_own),
        )

    # ------------------------------------------------------------ reading

    def _reader(self, channel: str) -> Callable[[str, int, int], str]:
        def read(name: str, offset: int, length: int) -> str:
            source = self._source(self._process(name), channel)
            return _read(source, offset, length)

        return read

    def _tailer(self, channel: str) -> Callable[[str, int, int], list[Any]]:
        def tail(name: str, offset: int, length: int) -> list[Any]:
            process = self._process(name)
            try:
                source = self._source(process, channel)
                size = source.size()
                start, count, overflow = tail_of(size, offset, length)
                raw = source.read(start, min(count, MOST_BYTES)) if count else b""
            except (Fault, OSError):
                return ["", 0, False]
            return [text_of(raw), size, overflow]

        return tail

    def read_own(self, offset: int, length: int) -> str:
        self._orders.check_phase()
        return _read(self._own_log(), offset, length)

    def clear_own(self) -> bool:
        self._orders.check_phase()
        self._own_log().clear()
        return True

    def _own_log(self) -> OwnSource:
        if self._own is None:
            raise Fault(NO_FILE)
        return self._own

    def _process(self, name: str) -> Process:
        process = self._orders.process(name)
        if process is None:
            raise Fault(BAD_NAME, name)
        return process

    def _source(self, process: Process, channel: str) -> Source:
        captured = self._mirror.captured.get((process.spec.key, channel))
        if captured is None:
            raise Fault(NO_FILE)
        slot, serial, path = captured
        if not path:
            return MemorySource(Tail(self._mirror.memory_fd, slot, serial))
        try:
            return FileSource(path)
        except OSError:
            if process.started_at:  # supervisord has made its file by then
                return Unwritten()
            raise Fault(NO_FILE, path.decode(errors="replace")) from None

    # ------------------------------------------------------------ clearing

    def clear(self, name: str) -> bool:
        process = self._process(name)
        paths = set()
        for channel in CHANNELS:
            captured = self._mirror.captured.get((process.spec.key, channel))
            if captured is not None and captured[2]:
                paths.add(captured[2])
        for path in paths:
            try:
                if stat.S_ISREG(os.stat(path).st_mode):
                    os.truncate(path, 0)
            except FileNotFoundError:
                continue
            except OSError:
                raise Fault(FAILED, name) from None
        if paths:  # how large its files are, the relay remembers
            self._orders.ask("reopen")
        return True

    def clear_all(self) -> list[dict[str, Any]]:
        results = []
        for process in self._orders.all_processes():
            spec = process.spec
            status, text = SUCCESS, "OK"
            try:
                self.clear(spec.name if spec.name == spec.group else f"{spec.group}:{spec.name}")
            except Fault as exc:
                status, text = exc.code, exc.text
            result = {"name": spec.name, "group": spec.group}
            results.append({**result, "status": status, "description": text})
        return results

    # ------------------------------------------------------------ following

    def follow(self, path: str, query: str = "") -> Iterator[bytes]:
        """What comes into the log that `/logtail/…` names, or OWN_PATH, and b"" whenever nothing
        has. FROM_NOW_ON in the query: and nothing that is there.

        Raises:
            HttpError: there is none.
        """
        first_bytes = 0 if query == FROM_NOW_ON else FOLLOW_FROM_BYTES
        if path == OWN_PATH:
            if self._own is None:
                raise HttpError(404)
            return self._readable(self._follow(self._own_log, first_bytes))
        words = [unquote(word) for word in path.split("/")[2:]]
        if len(words) == 1:
            words.append("stdout")
        if len(words) != 2 or words[1] not in CHANNELS:
            raise HttpError(404)
        try:
            process = self._process(words[0])
            self._source(process, words[1])
        except Fault as exc:
            raise HttpError(404, exc.text) from None
        return self._readable(self._follow(lambda: self._source(process, words[1]), first_bytes))

    @staticmethod
    def _readable(parts: Iterator[bytes]) -> Iterator[bytes]:
        """What is no UTF-8 is written as in a Python string; a letter may come in two parts."""
        decode = codecs.getincrementaldecoder("utf-8")("backslashreplace").decode
        for part in parts:
            yield decode(part).encode()

    @staticmethod
    def _follow(find: Callable[[], Source], first_bytes: int) -> Iterator[bytes]:
        source: Source | None = None
        at = 0
        came_at = time.monotonic()
        try:
            while True:
                try:
                    found = find()
                    if source is None:
                        found.hold()
                        source, at = found, max(found.size() - first_bytes, 0)
                    is_other = found.identity != source.identity
                    if isinstance(found, Unwritten):  # what is written may still go to the old one
                        is_other = False
                    size = source.size()
                    if size < at:
                        at = 0
                    if isinstance(source, FileSource):
                        raw = source.read(at, PART_BYTES)
                        at += len(raw)
                    else:
                        raw, at = source.read(at, size - at), size  # what is not kept is left out
                    if is_other and not raw:  # of the one before, all has been read
                        found.hold()
                        source.close()
                        source, at = found, 0
                        continue
                except (Fault, OSError):  # between two plans
                    raw = b""
                yield raw
                now = time.monotonic()
                if raw:
                    came_at = now
                else:
                    time.sleep(LOOK_S if now - came_at < QUIET_S else QUIET_LOOK_S)
        finally:
            if source is not None:
                source.close()


OWN_LOG = "Of the last lines that initpy itself has written to its stderr."


def _read(source: Source, offset: int, length: int) -> str:
    """Raises:
    Fault: it cannot be read; or not in that way.
    """
    if length < 0 or (offset < 0 and length):
        raise Fault(BAD_ARGUMENTS)
    try:
        if offset < 0:
            offset, length = max(source.size() + offset, 0), -offset
        count = min(length or MOST_BYTES, MOST_BYTES)
        return text_of(source.read(offset, count))
    except (OSError, OverflowError):
        raise Fault(FAILED) from None


def tail_of(size: int, offset: int, length: int) -> tuple[int, int, bool]:
    """Where to begin, how much to read, and whether there is more than was asked for: as
    supervisord has it, whatever that means."""
    overflow = size > offset + length
    if overflow:
        offset = size - 1
    if offset + length > size:
        if offset > size - 1:
            length = 0
        offset = size - length
    return max(offset, 0), max(length, 0), overflow


def text_of(raw: bytes) -> str:
    """Readable, whatever a program has written."""
    return raw.decode("utf-8", "backslashreplace")
