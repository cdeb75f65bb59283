"""Files with rotation: at the ends of lines, and exactly within the limit."""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable, Iterator, Sequence

MODE, OWN_MODE = 0o644, 0o600
SIGKILL = 9
MOST_FDS = 2**20
NEWLINE = 10
COPY_BYTES = 64 * 1024
SEEK_END = 2

MAX_DIGITS = 10

MOST_MOVES = 100
"""So many files get another name in a single write, at the most: some milliseconds. With many small
files there would be no end to it while others wait."""


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
        is_generated: bool = False,
    ) -> None:
        """Nothing is opened before the first write. `is_generated`: see `logplan.Sink`."""
        self.path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._gzips = gzips
        self._mode = OWN_MODE if is_generated else MODE
        self._flags = posix.O_NOFOLLOW if is_generated else 0
        self._packer = 0
        """The process that compresses a file; 0: none does."""
        self._packs_inode = 0
        self._has_plain_backups = gzips
        """There may be some, which are to be compressed."""
        self._unpackable: set[int] = set()
        """The inodes of those with which it went wrong, since the last rotation."""
        self._has_cleaned = False
        self._fd = -1
        self._size = self._inode = 0
        self._is_regular = True
        self._is_mid_line = False
        """What was last written has no newline at its end yet."""
        self._shifts = 0
        """A rotation is under way: the old file that is to get another name next."""
        self._moves = 0
        """How many names the present write may still change."""

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

    def ends_mid_line(self) -> bool:
        """What was last written has no newline at its end yet.

        Raises:
            OSError: it cannot be opened.
        """
        self._open()
        return self._is_mid_line

    def grown_since(self, inode: int, size: int) -> int:
        """How much has been written since the file was that one and had that size, as far as it is
        still there; it may have been rotated since."""
        try:
            self._open()
        except OSError:
            return 0
        if not inode or not self._is_regular:
            return 0
        if inode == self._inode:
            return max(0, self._size - size)
        newer = self._size
        for number in reversed(self._old_numbers(self._backups)):  # a rotation may have left a gap
            try:
                status = posix.stat(self._backup(number))
            except OSError:  # it has been compressed
                return 0
            if status.st_ino == inode:
                return newer + max(0, status.st_size - size)
            newer += status.st_size
        return 0

    def write(self, raw: bytes | mmap.mmap, start: int, end: int) -> int:
        """Append raw[start:end], which ends with a line; rotates before a line that has no room.

        Returns how much was written: all, unless it has had to change MOST_MOVES names before that.
        What it has not finished then, the next write goes on with.

        Raises:
            OSError: nothing could be written, or a rotation went wrong. What had been written
                before that is in `written` of a ShortWriteError.
        """
        at = start
        self._moves = MOST_MOVES
        try:
            self._open()
            while at < end:
                upto = self._upto(raw, at, end)
                if upto == at:
                    if not self._rotate():
                        break
                    continue
                with memoryview(raw) as view, view[at:upto] as piece:
                    done = posix.write(self._fd, piece)
                at += done
                self._size += done
                self._is_mid_line = done > 0 and raw[at - 1] != NEWLINE
        except OSError as exc:
            raise ShortWriteError(exc, at - start) from None
        return at - start

    def close(self) -> None:
        """It is given up: nobody is left to use what is being compressed."""
        self.reopen()
        if self._packer:
            posix.kill(self._packer, SIGKILL)
            posix.waitpid(self._packer, 0)
            _unlink_if_there(self._temporary(self._packer))
            self._packer = 0

    def reopen(self) -> None:
        """The file may have been moved away: the next write opens what is there then."""
        if self._fd >= 0:
            posix.close(self._fd)
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
        if self._size and not self._is_mid_line:
            return at
        newline = raw.find(b"\n", at, end)  # one line alone, which is too long
        return end if newline < 0 else newline + 1

    def _open(self) -> None:
        if self._fd >= 0:
            return
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND | posix.O_CLOEXEC | posix.O_NOCTTY
        self._fd = posix.open(self.path, flags | self._flags, self._mode)
        status = posix.fstat(self._fd)
        self._is_regular = status.st_mode & 0o170000 == 0o100000
        self._size, self._inode = status.st_size, status.st_ino
        self._is_mid_line = False
        if self._is_regular and self._size:
            try:
                with open(self.path, "rb", buffering=0) as beginning:
                    beginning.seek(-1, SEEK_END)
                    self._is_mid_line = beginning.read(1) != b"\n"
            except OSError:  # it may be written to, and not be read
                return

    def _rotate(self) -> bool:
        """FILE.1 becomes FILE.2 and so on, FILE becomes FILE.1, and a new FILE is begun. Returns
        whether that is done: if not, or if something goes wrong, it is gone on with when it is
        called again.

        The names change one at a time, from the oldest on, and each by a rename: at whatever
        instant it ends, each file is there under one name.
        """
        path = self.path
        if not self._backups:
            posix.ftruncate(self._fd, 0)
            self._size = 0
            return True
        self._shifts = self._shifts or self._backups
        if self._moves <= 0:
            return False
        for number in self._old_numbers(self._shifts):
            if self._moves <= 0:
                return False
            for gz in (b"", b".gz"):  # it may have been compressed when the plan was another
                if number == self._backups:
                    _unlink_if_there(self._backup(number, gz))
                else:
                    _rename_if_there(self._backup(number, gz), self._backup(number + 1, gz))
            self._moves -= 1
            self._shifts = number - 1 or 1
        _rename_if_there(path, self._backup(1))
        self._moves -= 1
        self._shifts = 0
        self.reopen()
        self._open()
        self._has_plain_backups = self._gzips
        self._unpackable.clear()
        return True

    def _old_numbers(self, most: int) -> Sequence[int]:
        """Those of the old files, from `most` down."""
        folder, name = self._folder_and_name()
        begin = name + b"."
        try:
            others = posix.listdir(folder or b".")
        except OSError:  # then try them all
            return range(most, 0, -1)
        ends = [it[len(begin) :].removesuffix(b".gz") for it in others if it.startswith(begin)]
        found = {int(end) for end in ends if end.isdigit() and len(end) < MAX_DIGITS}
        return sorted([number for number in found if 0 < number <= most], reverse=True)

    def _folder_and_name(self) -> tuple[bytes, bytes]:
        """The folder with the slash behind it; empty: the current one."""
        begin = self.path.rfind(b"/") + 1
        return self.path[:begin], self.path[begin:]

    # ------------------------------------------------------------ compression

    @property
    def is_packing(self) -> bool:
        """Whether to call `look_after_packer` from time to time."""
        return self._has_plain_backups

    def look_after_packer(self) -> None:
        """Compress old files, one after the other, each in a process of its own.

        That process only makes a temporary file; the names are changed here, where no rotation can
        come between, when it has ended well. What was under way when another relay died is begun
        anew.
        """
        if not self._has_cleaned:
            self._has_cleaned = True
            self._remove_temporaries()
        if self._packer:
            pid, status = posix.waitpid(self._packer, posix.WNOHANG)
            if not pid:
                return
            self._packer = 0
            if status or not self._put_packed(self._temporary(pid)):
                self._unpackable.add(self._packs_inode)
                _unlink_if_there(self._temporary(pid))
        for plain, inode in self._plain_backups():
            self._packs_inode = inode
            try:
                self._packer = _start_packer(plain, self._temporary)
            except OSError:  # no descriptor, no process: perhaps at the next rotation
                break
            return
        self._has_plain_backups = False

    def _temporary(self, pid: int) -> bytes:
        return self.path + b".gz.%d.tmp" % pid

    def _remove_temporaries(self) -> None:
        """What the packers of other relays have left; one that is still at it works in vain."""
        folder, name = self._folder_and_name()
        begin, end = name + b".gz.", b".tmp"
        try:
            others = posix.listdir(folder or b".")
        except OSError:  # then there are none
            return
        for other in others:
            is_ours = other.startswith(begin) and other.endswith(end)
            if is_ours and other[len(begin) : -len(end)].isdigit():
                _unlink_if_there(folder + other)

    def _put_packed(self, temporary: bytes) -> bool:
        """Put it in the place of what it was made of. Returns whether that was possible."""
        try:
            for number in range(1, self._backups + 1):
                if _inode_of(self._backup(number)) == self._packs_inode:
                    posix.rename(temporary, self._backup(number, b".gz"))
                    posix.unlink(self._backup(number))
                    return True
        except OSError:
            return False
        return False  # it has been rotated away

    def _plain_backups(self) -> Iterator[tuple[bytes, int]]:
        for number in range(1, self._backups + 1) if self._gzips else ():
            inode = _inode_of(self._backup(number))
            if inode and inode not in self._unpackable:
                yield self._backup(number), inode

    def _backup(self, number: int, gz: bytes = b"") -> bytes:
        return self.path + b".%d" % number + gz


class ShortWriteError(OSError):
    """Not all could be written."""

    def __init__(self, cause: OSError, written: int) -> None:
        super().__init__(cause.errno, cause.strerror)
        self.written = written


def _inode_of(path: bytes) -> int:
    """0: there is no such file."""
    try:
        return posix.stat(path).st_ino
    except OSError:
        return 0


def _rename_if_there(old: bytes, new: bytes) -> None:
    try:
        posix.rename(old, new)
    except FileNotFoundError:
        return


def _unlink_if_there(path: bytes) -> None:
    try:
        posix.unlink(path)
    except FileNotFoundError:
        return


def _start_packer(path: bytes, temporary: Callable[[int], bytes]) -> int:
    # Now, for it will soon have another name.
    source_fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    pid = posix.fork()
    if pid:
        posix.close(source_fd)
        return pid
    code = 1
    try:
        posix.closerange(0, source_fd)  # for it may outlive the relay
        posix.closerange(source_fd + 1, MOST_FDS)
        posix.nice(10)
        _gzip(source_fd, temporary(posix.getpid()))
        code = 0
    finally:
        if code:
            _unlink_if_there(temporary(posix.getpid()))
        posix._exit(code)


def _gzip(source_fd: int, packed: bytes) -> None:
    import zlib  # noqa: PLC0415 - in this process only

    packer = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    with open(packed, "wb") as target:
        while piece := posix.read(source_fd, COPY_BYTES):
            target.write(packer.compress(piece))
        target.write(packer.flush())
