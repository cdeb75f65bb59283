"""Files with rotation: at the ends of lines, and exactly within the limit."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

MODE = 0o644
NEWLINE = 10
COPY_BYTES = 64 * 1024


class LogFile:
    """A file that is appended to, and rotated to FILE.1, FILE.2 … (FILE.1.gz with `gzips`).

    No file is longer than `max_bytes`, unless a single line is; with 0 there is no limit. With no
    backups, what has been written is gone at each rotation.
    """

    def __init__(
        self,
        path: bytes,
        max_bytes: int = 0,
        backups: int = 0,
        *,
        gzips: bool = False,
    ) -> None:
        """Nothing is opened before the first write."""
        self.path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._gzips = gzips
        self._packer = 0
        """The process that compresses a file; 0: none does."""
        self._packs_inode = 0
        self._fd = -1
        self._size = self._inode = 0
        self._is_regular = True
        self.is_mid_line = False
        """What was last written has no newline at its end yet."""

    def room(self) -> int:
        """How many bytes it takes before it has to be rotated.

        Raises:
            OSError: it cannot be opened.
        """
        self._open()
        return self._max_bytes - self._size if self._rotates else 2**62

    def identity(self) -> tuple[int, int]:
        """The inode and the size of the file; (0, 0) if it is none that is appended to.

        Raises:
            OSError: it cannot be opened.
        """
        self._open()
        return (self._inode, self._size) if self._is_regular else (0, 0)

    def write(self, raw: bytes | mmap.mmap, start: int, end: int) -> int:
        """Append raw[start:end], which ends with a line; rotates before a line that has no room.

        Returns how much was written: all, unless the disk is full.

        Raises:
            OSError: nothing could be written, or a rotation went wrong. What had been written
                before that is in `written` of a ShortWriteError.
        """
        at = start
        try:
            self._open()
            while at < end:
                upto = self._upto(raw, at, end)
                if upto == at:
                    self._rotate()
                    continue
                with memoryview(raw) as view, view[at:upto] as piece:
                    done = os.write(self._fd, piece)
                at += done
                self._size += done
                self.is_mid_line = done > 0 and raw[at - 1] != NEWLINE
        except OSError as exc:
            raise ShortWriteError(exc, at - start) from None
        return at - start

    def reopen(self) -> None:
        """The file may have been moved away: the next write opens what is there then."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def _rotates(self) -> bool:
        return bool(self._max_bytes) and self._is_regular

    def _upto(self, raw: bytes | mmap.mmap, at: int, end: int) -> int:
        """How far to write before a rotation; `at`: it is due."""
        if not self._rotates or end - at <= self._max_bytes - self._size:
            return end
        room = max(0, self._max_bytes - self._size)
        newline = raw.rfind(b"\n", at, at + room)
        if newline >= 0:
            return newline + 1
        if self._size and not self.is_mid_line:
            return at
        newline = raw.find(b"\n", at, end)  # one line alone, which is too long
        return end if newline < 0 else newline + 1

    def _open(self) -> None:
        if self._fd >= 0:
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY
        self._fd = os.open(self.path, flags, MODE)
        status = os.fstat(self._fd)
        self._is_regular = status.st_mode & 0o170000 == 0o100000
        self._size, self._inode = status.st_size, status.st_ino
        self.is_mid_line = False
        if self._rotates and self._size:
            with open(self.path, "rb", buffering=0) as beginning:
                beginning.seek(-1, os.SEEK_END)
                self.is_mid_line = beginning.read(1) != b"\n"

    def _rotate(self) -> None:
        """FILE.1 becomes FILE.2 and so on, FILE becomes FILE.1, and a new FILE is begun.

        The names change one at a time, from the oldest on, and each by a rename: at whatever
        instant it ends, each file is there under one name.
        """
        path = self.path
        if not self._backups:
            os.ftruncate(self._fd, 0)
            self._size = 0
            return
        for number in range(self._backups, 0, -1):
            for gz in (b"", b".gz") if self._gzips else (b"",):
                if number == self._backups:
                    _unlink_if_there(self._backup(number, gz))
                else:
                    _rename_if_there(self._backup(number, gz), self._backup(number + 1, gz))
        _rename_if_there(path, self._backup(1))
        self.reopen()
        self._open()
        self.look_after_packer()

    # ------------------------------------------------------------ compression

    @property
    def is_packing(self) -> bool:
        """Whether to call `look_after_packer` from time to time."""
        return bool(self._packer)

    def look_after_packer(self) -> None:
        """Compress old files, one after the other, each in a process of its own.

        That process only makes FILE.gz.tmp; the names are changed here, where no rotation can come
        between.
        """
        if self._packer:
            pid, _ = os.waitpid(self._packer, os.WNOHANG)
            if not pid:
                return
            self._packer = 0
            self._put_packed()
        for plain, inode in self._plain_backups() if self._gzips else ():
            self._packs_inode = inode
            self._packer = _start_packer(plain, self.path + b".gz.tmp")
            return

    def _put_packed(self) -> None:
        temporary = self.path + b".gz.tmp"
        for number in range(1, self._backups + 1):
            try:
                inode = os.stat(self._backup(number)).st_ino
            except FileNotFoundError:
                continue
            if inode == self._packs_inode and os.path.exists(temporary):
                os.rename(temporary, self._backup(number, b".gz"))
                os.unlink(self._backup(number))
                self._packs_inode = 0  # the number may be given to another file

    def _plain_backups(self) -> Iterator[tuple[bytes, int]]:
        for number in range(1, self._backups + 1):
            try:
                inode = os.stat(self._backup(number)).st_ino
            except FileNotFoundError:
                continue
            if inode != self._packs_inode:  # else it has been tried, and failed
                yield self._backup(number), inode

    def _backup(self, number: int, gz: bytes = b"") -> bytes:
        return self.path + b".%d" % number + gz


class ShortWriteError(OSError):
    """Not all could be written."""

    def __init__(self, cause: OSError, written: int) -> None:
        super().__init__(cause.errno, cause.strerror)
        self.written = written


def _rename_if_there(old: bytes, new: bytes) -> None:
    try:
        os.rename(old, new)
    except FileNotFoundError:
        return


def _unlink_if_there(path: bytes) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _start_packer(path: bytes, packed: bytes) -> int:
    source_fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # now: it will soon have another name
    pid = os.fork()
    if pid:
        os.close(source_fd)
        return pid
    code = 1
    try:
        os.nice(10)
        _gzip(source_fd, packed)
        code = 0
    finally:
        if code:
            _unlink_if_there(packed)  # what is there must be whole
        os._exit(code)


def _gzip(source_fd: int, packed: bytes) -> None:
    import zlib  # noqa: PLC0415 - in this process only

    packer = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    with open(packed, "wb") as target:
        while piece := os.read(source_fd, COPY_BYTES):
            target.write(packer.compress(piece))
        target.write(packer.flush())
