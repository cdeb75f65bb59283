"""The memory file: what a relay holds, where the next one, and readers of the tails, find it.

It is a memfd that PID 1 makes and keeps; a relay maps its first part and writes to the rest. In it
are, from the beginning:

- the head: which channel is being read, and how much of it has come (`Memory.begin_read`);
- a slot for each channel: the two latest states of it, of which the sequence number tells the valid
  one, and how far its sinks have come with what is held;
- the desk: what is being worked on;
- a region for each channel: a ring with its last 64 KiB, and twice the room for what is held.

All that is noted in the head and in a slot are words of eight bytes, each of which is stored at
once: a kill cannot cut it in two (as it can struct.pack_into, which writes zeros first). And of
several words, the one that makes them valid is the last. So a state becomes the valid one by the
store of its sequence number. Whether a read that was begun has taken its bytes out of the pipe is
seen on the desk, where a guard stands that they overwrite. So nothing is lost, whenever the relay
is killed. What may happen is that it is killed while a sink takes bytes, before it has noted how
many: then what this one write has taken is written once more. (Not to a file that one channel alone
writes to: its size tells, rotated or not.)
"""

from __future__ import annotations

import mmap
import posix
import time

from initpy.core.values import Value
from initpy.logplan import MAX_SINKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC = int.from_bytes(b"initpyL2", "big")

SLOTS_AT = 4096
SLOT_BYTES = 512
DESK_AT = 12 * 2**20
"""Behind 24,568 slots: two for each of the 10,000 processes that a file may have."""

DESK_BYTES = 512 * 1024
REGIONS_AT = 16 * 2**20
REGION_BYTES = 2 * 2**20

TAIL_BYTES = 64 * 1024
"""What is kept of each channel, at the beginning of its region."""

_MARKS_AT = (128 * 1024, 192 * 1024)
"""In a region."""

MOST_MARKS = 1000

_HOLDS_AT = (512 * 1024, 1024 * 1024)
"""In a region; each has room for a desk."""

_WORD_BYTES = 8

# The head, in words; the sequence number of the channel makes it valid.
_MAGIC, _CHANNEL, _AHEAD, _EXPECTED, _READ_SEQ = 0, 1, 2, 3, 4
_GOT, _GOT_NS, _GOT_PID = 8, 9, 10  # the first makes the others valid

# A slot, in words.
_SEQ = 0
_STATES = (1, 7)  # total, time_ns, bytes held, pid, flags
_PROGRESS = (13, 19)  # of each sink; of which sequence number
_TAIL = 25  # bytes that ever came into the ring
_CLAIM = 26  # the same, and those that are being put there
_OWNER = 27  # the serial number of the channel whose slot it is
_MAKING = 28  # what stands for the way in which its output is formed
_FILES = 29  # of each sink: inode, size, how much of the work it had; of which sequence number
_FILES_SEQ = 41
_MARKS = 42  # how many, and in which of two places they are

_CONTINUES, _IS_MID_LINE, _HAS_ENDED, _ENDING, _DROPS_REST = 1, 2, 4, 8, 64

_NEVER = 2**64 - 1
"""No sequence number."""

GUARD = b"\xff\x00\xfe\x01\xff\x00\xfe\x02\xff\x00\xfe\x03\xff\x00\xfe\x04"
"""Stands on the desk where a read will put its bytes; no text has such a beginning."""


def size_for(slots: int) -> int:
    """The size of a memory file with so many slots. Nearly all of it is holes."""
    return REGIONS_AT + slots * REGION_BYTES


class State:
    """What is known of a channel at the end of a step of the relay's."""

    __slots__ = (
        "continues",
        "drops_rest",
        "ending",
        "has_ended",
        "held",
        "is_mid_line",
        "pid",
        "time_ns",
        "total",
    )

    def __init__(
        self,
        total: int = 0,
        time_ns: int = 0,
        held: bytes = b"",
        pid: int = 0,
        *,
        continues: bool = False,
        is_mid_line: bool = False,
        has_ended: bool = False,
        ending: int = 0,
        drops_rest: bool = False,
    ) -> None:
        self.total = total
        """Bytes that ever came out of the pipe."""
        self.time_ns = time_ns
        """When the last of them did."""
        self.held = held
        """Those of them that not all sinks have yet."""
        self.pid = pid
        """Who has written them; 0: it is not known."""
        self.continues = continues
        """The first of them go on with a line whose beginning has been written."""
        self.drops_rest = drops_rest
        """That beginning was dropped, and they will be."""
        self.is_mid_line = is_mid_line
        """The last byte before them, which has been written, is no newline."""
        self.has_ended = has_ended
        """The instance that wrote it has."""
        self.ending = ending
        """Not 0: the bytes held are in work as the last of something (`channels`)."""


class FileNote(Value):
    """A file that is about to take what is in work."""

    inode: int
    size: int
    """What it has so far."""
    taken: int
    """How much of what is in work that is."""


class Memory:
    """A relay's side of the file."""

    def __init__(self, fd: int, slots: int) -> None:
        """Map it, and make it large enough."""
        if posix.fstat(fd).st_size < size_for(slots):
            posix.ftruncate(fd, size_for(slots))
        self._fd = fd
        self._words = memoryview(mmap.mmap(fd, DESK_AT)).cast("Q")
        self.desk = mmap.mmap(fd, DESK_BYTES, offset=DESK_AT)
        self.desk_view = memoryview(self.desk)
        self._can_be_searched = hasattr(self.desk, "find")
        """Not in the static executable, which has no module mmap."""
        if self._words[_MAGIC] != MAGIC:  # it is new, or another version's
            for at in range(SLOTS_AT // _WORD_BYTES, _at(slots)):
                self._words[at] = 0
            self._words[_READ_SEQ] = _NEVER
            self._words[_MAGIC] = MAGIC

    # ------------------------------------------------------------ reading

    def begin_read(self, slot: int, ahead: int, expected: int) -> None:
        """`expected` bytes of a channel's pipe are about to be read to the desk, behind the `ahead`
        that are held."""
        guard = GUARD[:expected]
        self.desk[ahead : ahead + len(guard)] = guard
        words = self._words
        words[_READ_SEQ] = _NEVER
        words[_CHANNEL] = slot
        words[_AHEAD] = ahead
        words[_EXPECTED] = expected
        words[_GOT] = 0
        words[_READ_SEQ] = words[_at(slot) + _SEQ]

    def worked_on(self, end: int) -> bytes | mmap.mmap:
        """What is on the desk up to `end`, as it is now."""
        return self.desk if self._can_be_searched else bytes(self.desk_view[:end])

    def end_read(self, got: int, time_ns: int, pid: int) -> None:
        """They have come, then, and from that instance."""
        words = self._words
        words[_GOT_NS] = time_ns
        words[_GOT_PID] = pid
        words[_GOT] = got

    def put_tail(self, slot: int, start: int, end: int, total: int) -> None:
        """What is on the desk from `start` to `end` goes into the channel's ring; with it, `total`
        bytes have come out of its pipe."""
        start = max(start, end - TAIL_BYTES)
        at = (total - (end - start)) % TAIL_BYTES
        first = min(end - start, TAIL_BYTES - at)
        region = REGIONS_AT + slot * REGION_BYTES
        words, own = self._words, _at(slot)
        words[own + _CLAIM] = total
        posix.pwrite(self._fd, self.desk_view[start : start + first], region + at)
        if start + first < end:
            posix.pwrite(self._fd, self.desk_view[start + first : end], region)
        words[own + _TAIL] = total

    def tail_total(self, slot: int) -> int:
        """The bytes that ever came into the ring."""
        return self._words[_at(slot) + _TAIL]

    # ------------------------------------------------------------ states

    def keep(self, slot: int, state: State, taken: tuple[int, ...] = ()) -> None:
        """`state` is the channel's from now on, and `taken` how much each sink has of what is made
        of the bytes that it holds."""
        words, own = self._words, _at(slot)
        seq = words[own + _SEQ] + 1
        way = seq & 1
        if state.held:
            region = REGIONS_AT + slot * REGION_BYTES
            posix.pwrite(self._fd, state.held, region + _HOLDS_AT[way])
        at = own + _STATES[way]
        words[at] = state.total
        words[at + 1] = state.time_ns
        words[at + 2] = len(state.held)
        words[at + 3] = state.pid
        words[at + 4] = (
            state.continues * _CONTINUES
            + state.is_mid_line * _IS_MID_LINE
            + state.has_ended * _HAS_ENDED
            + state.ending * _ENDING
            + state.drops_rest * _DROPS_REST
        )
        if taken:
            self._note_progress(own, seq, taken)
        words[own + _SEQ] = seq

    def note_progress(self, slot: int, taken: tuple[int, ...]) -> None:
        """How many bytes each sink has of what has been made of the bytes in work."""
        own = _at(slot)
        self._note_progress(own, self._words[own + _SEQ], taken)

    def _note_progress(self, own: int, seq: int, taken: tuple[int, ...]) -> None:
        words, at = self._words, own + _PROGRESS[seq & 1]
        for number, count in enumerate(taken):
            words[at + number] = count
        for number in range(len(taken), MAX_SINKS):
            words[at + number] = 0
        words[at + MAX_SINKS] = seq

    def note_files(self, slot: int, files: dict[int, FileNote]) -> None:
        """The files to which what is in work is about to be appended, by the number of the sink.
        Once for a state."""
        words, own = self._words, _at(slot)
        for number in range(MAX_SINKS):
            at = own + _FILES + 3 * number
            note = files.get(number)
            words[at] = note.inode if note else 0
            if note:
                words[at + 1] = note.size
                words[at + 2] = note.taken
        words[own + _FILES_SEQ] = words[own + _SEQ]

    def noted_files(self, slot: int) -> dict[int, FileNote]:
        """Those of the state that the last relay has left."""
        words, own = self._words, _at(slot)
        if words[own + _FILES_SEQ] != words[own + _SEQ]:
            return {}
        found = {}
        for number in range(MAX_SINKS):
            at = own + _FILES + 3 * number
            if words[at]:
                found[number] = FileNote(words[at], words[at + 1], words[at + 2])
        return found

    def keep_marks(self, slot: int, pid: int, marks: Sequence[tuple[int, int]]) -> None:
        """Where in what comes out of the channel's pipe the words of other instances begin, at most
        MOST_MARKS; before the first, they are those of `pid`."""
        words, own = self._words, _at(slot)
        way = (words[own + _MARKS] + 1) % 2
        raw = bytearray(_WORD_BYTES * (2 * len(marks) + 1))
        noted = memoryview(raw).cast("Q")
        for number, word in enumerate([pid, *[word for mark in marks for word in mark]]):
            noted[number] = word
        posix.pwrite(self._fd, raw, REGIONS_AT + slot * REGION_BYTES + _MARKS_AT[way])
        words[own + _MARKS] = (len(marks) + 1) * 2 + way

    def marks(self, slot: int) -> tuple[int, list[tuple[int, int]]]:
        """What was kept last; (0, []) if nothing was."""
        count, way = divmod(self._words[_at(slot) + _MARKS], 2)
        if not count:
            return 0, []
        size = (2 * count - 1) * _WORD_BYTES
        raw = posix.pread(self._fd, size, REGIONS_AT + slot * REGION_BYTES + _MARKS_AT[way])
        pid, *words = memoryview(raw).cast("Q")
        return pid, list(zip(words[::2], words[1::2], strict=True))

    def restore(self, slot: int) -> tuple[State, list[int]]:
        """What the last relay has left of a channel: its state, with all that was read, and what
        each sink has of it already."""
        words, own = self._words, _at(slot)
        seq = words[own + _SEQ]
        way = seq & 1
        at = own + _STATES[way]
        total, time_ns, held_bytes, pid, flags = words[at : at + 5]
        region = REGIONS_AT + slot * REGION_BYTES
        held = posix.pread(self._fd, held_bytes, region + _HOLDS_AT[way])
        state = State(
            total,
            time_ns,
            held,
            pid,
            continues=bool(flags & _CONTINUES),
            is_mid_line=bool(flags & _IS_MID_LINE),
            has_ended=bool(flags & _HAS_ENDED),
            ending=flags % _DROPS_REST // _ENDING,
            drops_rest=bool(flags & _DROPS_REST),
        )
        self._add_read_in_work(slot, seq, state)
        at = own + _PROGRESS[way]
        taken = list(words[at : at + MAX_SINKS]) if words[at + MAX_SINKS] == seq else []
        return state, taken

    def _add_read_in_work(self, slot: int, seq: int, state: State) -> None:
        """The bytes that were read to the desk and that no state tells of yet."""
        words = self._words
        if (words[_CHANNEL], words[_READ_SEQ]) != (slot, seq):
            return
        got, ahead, expected = words[_GOT], words[_AHEAD], words[_EXPECTED]
        if got:
            state.time_ns, state.pid = words[_GOT_NS], words[_GOT_PID]
        else:
            guard = GUARD[:expected]
            if self.desk[ahead : ahead + len(guard)] == guard:
                return
            got = expected  # they came, and the relay died before it could say so
            state.time_ns, state.pid = time.time_ns(), 0
        state.held += bytes(self.desk_view[ahead : ahead + got])
        state.total += got

    def claim(self, slot: int, serial: int, making: int) -> bool:
        """The slot is this channel's from now on; what another has left there is forgotten.
        `making` stands for the way in which its output is formed.

        Returns whether that is as it was: then what sinks have taken of what was in work counts.
        """
        words, own = self._words, _at(slot)
        if words[own + _OWNER] != serial:
            if words[_CHANNEL] == slot:
                words[_READ_SEQ] = _NEVER
            for number in range(SLOT_BYTES // _WORD_BYTES):
                words[own + number] = 0
            words[own + _OWNER] = serial
        is_as_it_was = words[own + _MAKING] == making
        words[own + _MAKING] = making
        return is_as_it_was


def _at(slot: int) -> int:
    """Its first word."""
    return (SLOTS_AT + slot * SLOT_BYTES) // _WORD_BYTES


class Tail:
    """Reads the last bytes of a channel, while a relay goes on writing or is dead."""

    def __init__(self, fd: int, slot: int, serial: int = 0) -> None:
        """`fd` is the memory file. The tail is empty until a relay has given the slot to the
        channel with this serial number."""
        self._fd = fd
        self._at = SLOTS_AT + slot * SLOT_BYTES + _TAIL * _WORD_BYTES
        self._ring_at = REGIONS_AT + slot * REGION_BYTES
        self._serial = serial

    def total(self) -> int:
        """How many bytes the channel ever had; a follower compares it with what it has seen."""
        return self._totals()[0]

    def read(self, since: int = 0) -> tuple[bytes, int]:
        """The bytes from the `since`th on, as far as they are kept, and the total with them.

        What comes back is always a run of the channel as it was: bytes that are overwritten while
        they are read are left out.
        """
        total, _ = self._totals()
        ring = posix.pread(self._fd, TAIL_BYTES, self._ring_at)
        ring += bytes(TAIL_BYTES - len(ring))
        _, claimed = self._totals()
        at = total % TAIL_BYTES
        run = ring[at:] + ring[:at]
        begins = total - TAIL_BYTES
        oldest = max(0, begins, claimed - TAIL_BYTES, since)
        return run[oldest - begins :], total

    def _totals(self) -> tuple[int, int]:
        """What is in the ring, and what is being put there besides."""
        raw = posix.pread(self._fd, 3 * _WORD_BYTES, self._at)
        if len(raw) < 3 * _WORD_BYTES:  # no relay has been there yet
            return 0, 0
        total, claimed, owner = memoryview(raw).cast("Q")
        return (total, claimed) if owner == self._serial else (0, 0)
