"""The memory file: what a relay holds, where the next one, and readers of the tails, find it.

It is a memfd that PID 1 makes and keeps; a relay maps its first part and writes to the rest. In it
are, from the beginning:

- the head: which channel is being read, and how much of it has come (`Memory.begin_read`);
- a slot for each channel: the two latest states of it, of which the sequence number tells the valid
  one, and how far its sinks have come with what is held;
- the desk: what is being worked on;
- a region for each channel: a ring with its last 64 KiB, and twice the room for what is held.

A state becomes the valid one by one store of eight bytes, which a kill cannot cut in two. And
whether a read that was begun has taken its bytes out of the pipe is seen on the desk, where a guard
stands that they overwrite. So nothing is lost, whenever the relay is killed. What may happen is
that it is killed while a sink takes bytes, before it has noted how many: then what this one write
has taken is written once more. (Not to a file that one channel alone writes to: its size tells.)
"""

from __future__ import annotations

import mmap
import os
import struct

MAGIC = b"initpyL1"

SLOTS_AT = 4096
SLOT_BYTES = 256
MAX_SLOTS = 16_000
DESK_AT = 8 * 2**20
DESK_BYTES = 512 * 1024
REGIONS_AT = 16 * 2**20
REGION_BYTES = 2 * 2**20

TAIL_BYTES = 64 * 1024
"""What is kept of each channel, at the beginning of its region."""

_HOLDS_AT = (512 * 1024, 1024 * 1024)
"""In a region; each has room for a desk."""

_HEAD = struct.Struct("=8siIQI")  # magic; channel, bytes ahead, its sequence number, expected
_GOT = struct.Struct("=I")
_GOT_AT = 64
_SEQ = struct.Struct("=Q")
_STATE = struct.Struct("=QQIIB")  # total, time_ns, held, pid, continues
_STATES_AT = (8, 56)
_PROGRESS = struct.Struct("=Q4Q")  # of which sequence number; of each sink
_PROGRESS_AT = (104, 144)
_TAIL_AT = 184  # bytes that ever came into the ring
_CLAIM_AT = 192  # the same, and those that are being put there
_FILE = struct.Struct("=QQQ")  # of which sequence number; the inode of a file, and its size
_FILE_AT = 200

_OWNER = struct.Struct("=Q")  # the serial number of the channel whose slot it is
_OWNER_AT = 224

GUARD = b"\xff\x00\xfe\x01\xff\x00\xfe\x02\xff\x00\xfe\x03\xff\x00\xfe\x04"
"""Stands on the desk where a read will put its bytes; no text has such a beginning."""


def size_for(slots: int) -> int:
    """The size of a memory file with so many slots. Nearly all of it is holes."""
    return REGIONS_AT + slots * REGION_BYTES


class State:
    """What is known of a channel at the end of a step of the relay's."""

    __slots__ = ("continues", "held", "pid", "time_ns", "total")

    def __init__(
        self,
        total: int = 0,
        time_ns: int = 0,
        held: bytes = b"",
        pid: int = 0,
        continues: bool = False,
    ) -> None:
        self.total = total
        """Bytes that ever came out of the pipe."""
        self.time_ns = time_ns
        """When the last of them did."""
        self.held = held
        """Those of them that not all sinks have yet."""
        self.pid = pid
        self.continues = continues
        """The first of them go on with a line whose beginning has been written."""


class Memory:
    """A relay's side of the file."""

    def __init__(self, fd: int, slots: int) -> None:
        """Map it, and make it large enough."""
        if os.fstat(fd).st_size < size_for(slots):
            os.ftruncate(fd, size_for(slots))
        self._fd = fd
        self._head = mmap.mmap(fd, DESK_AT)
        self.desk = mmap.mmap(fd, DESK_BYTES, offset=DESK_AT)
        self.desk_view = memoryview(self.desk)
        self._can_be_searched = hasattr(self.desk, "find")
        """Not in the static executable, which has no module mmap."""
        self._seqs: dict[int, int] = {}

    # ------------------------------------------------------------ reading

    def begin_read(self, slot: int, ahead: int, expected: int) -> None:
        """`expected` bytes of a channel's pipe are about to be read to the desk, behind the `ahead`
        that are held."""
        guard = GUARD[:expected]
        self.desk[ahead : ahead + len(guard)] = guard
        _GOT.pack_into(self._head, _GOT_AT, 0)
        _HEAD.pack_into(self._head, 0, MAGIC, slot, ahead, self._seq(slot), expected)

    def worked_on(self, end: int) -> bytes | mmap.mmap:
        """What is on the desk up to `end`, as it is now."""
        return self.desk if self._can_be_searched else bytes(self.desk_view[:end])

    def end_read(self, got: int) -> None:
        """They have come."""
        _GOT.pack_into(self._head, _GOT_AT, got)

    def put_tail(self, slot: int, start: int, end: int, total: int) -> None:
        """What is on the desk from `start` to `end` goes into the channel's ring; with it, `total`
        bytes have come out of its pipe."""
        start = max(start, end - TAIL_BYTES)
        at = (total - (end - start)) % TAIL_BYTES
        first = min(end - start, TAIL_BYTES - at)
        region = REGIONS_AT + slot * REGION_BYTES
        slot_at = SLOTS_AT + slot * SLOT_BYTES
        _SEQ.pack_into(self._head, slot_at + _CLAIM_AT, total)
        os.pwrite(self._fd, self.desk_view[start : start + first], region + at)
        if start + first < end:
            os.pwrite(self._fd, self.desk_view[start + first : end], region)
        _SEQ.pack_into(self._head, slot_at + _TAIL_AT, total)

    def tail_total(self, slot: int) -> int:
        """The bytes that ever came into the ring."""
        (total,) = _SEQ.unpack_from(self._head, SLOTS_AT + slot * SLOT_BYTES + _TAIL_AT)
        return int(total)

    # ------------------------------------------------------------ states

    def keep(self, slot: int, state: State, taken: tuple[int, ...] = ()) -> None:
        """`state` is the channel's from now on, and `taken` how much each sink has of what is made
        of the bytes that it holds."""
        seq = self._seq(slot) + 1
        way = seq & 1
        at = SLOTS_AT + slot * SLOT_BYTES
        if state.held:
            region = REGIONS_AT + slot * REGION_BYTES
            os.pwrite(self._fd, state.held, region + _HOLDS_AT[way])
        fields = (state.total, state.time_ns, len(state.held), state.pid, state.continues)
        _STATE.pack_into(self._head, at + _STATES_AT[way], *fields)
        if taken:
            _PROGRESS.pack_into(self._head, at + _PROGRESS_AT[way], seq, *_four(taken))
        _SEQ.pack_into(self._head, at, seq)
        self._seqs[slot] = seq

    def note_progress(self, slot: int, taken: tuple[int, ...]) -> None:
        """How many bytes each sink has of what has been made of the bytes in work."""
        seq = self._seq(slot)
        at = SLOTS_AT + slot * SLOT_BYTES + _PROGRESS_AT[seq & 1]
        _PROGRESS.pack_into(self._head, at, seq, *_four(taken))

    def note_file(self, slot: int, inode: int, size: int) -> None:
        """The file to which what is in work is about to be appended, and what it has so far."""
        at = SLOTS_AT + slot * SLOT_BYTES + _FILE_AT
        _FILE.pack_into(self._head, at, self._seq(slot), inode, size)

    def noted_file(self, slot: int) -> tuple[int, int] | None:
        """The inode and the size of the file, if bytes in work were about to go there."""
        seq, inode, size = _FILE.unpack_from(self._head, SLOTS_AT + slot * SLOT_BYTES + _FILE_AT)
        return (inode, size) if seq == self._seq(slot) and inode else None

    def restore(self, slot: int) -> tuple[State, list[int]]:
        """What the last relay has left of a channel: its state, with all that was read, and what
        each sink has of it already."""
        seq = self._seq(slot)
        at = SLOTS_AT + slot * SLOT_BYTES
        total, time_ns, held_bytes, pid, continues = _STATE.unpack_from(
            self._head, at + _STATES_AT[seq & 1]
        )
        region = REGIONS_AT + slot * REGION_BYTES
        held = os.pread(self._fd, held_bytes, region + _HOLDS_AT[seq & 1])
        read = self._read_in_work(slot, seq)
        progress_seq, *taken = _PROGRESS.unpack_from(self._head, at + _PROGRESS_AT[seq & 1])
        state = State(total + len(read), time_ns, held + read, pid, bool(continues))
        return state, taken if progress_seq == seq else []

    def claim(self, slot: int, serial: int) -> None:
        """The slot is this channel's from now on; what another has left there is forgotten."""
        at = SLOTS_AT + slot * SLOT_BYTES
        (owner,) = _OWNER.unpack_from(self._head, at + _OWNER_AT)
        if owner == serial:
            return
        seq = self._seq(slot) + 1
        self._head[at : at + SLOT_BYTES] = bytes(SLOT_BYTES)
        _SEQ.pack_into(self._head, at, seq)
        _OWNER.pack_into(self._head, at + _OWNER_AT, serial)
        self._seqs[slot] = seq

    def _read_in_work(self, slot: int, seq: int) -> bytes:
        """The bytes that were read to the desk and that no state tells of yet."""
        magic, of_slot, ahead, of_seq, expected = _HEAD.unpack_from(self._head, 0)
        if (magic, of_slot, of_seq) != (MAGIC, slot, seq):
            return b""
        (got,) = _GOT.unpack_from(self._head, _GOT_AT)
        guard = GUARD[:expected]
        if not got and self.desk[ahead : ahead + len(guard)] != guard:
            got = expected  # they came, and the relay died before it could say so
        return bytes(self.desk_view[ahead : ahead + got])

    def _seq(self, slot: int) -> int:
        if slot not in self._seqs:
            (self._seqs[slot],) = _SEQ.unpack_from(self._head, SLOTS_AT + slot * SLOT_BYTES)
        return self._seqs[slot]


def _four(taken: tuple[int, ...]) -> tuple[int, ...]:
    return (*taken, 0, 0, 0, 0)[:4]


class Tail:
    """Reads the last bytes of a channel, while a relay goes on writing or is dead."""

    def __init__(self, fd: int, slot: int) -> None:
        """`fd` is the memory file."""
        self._fd = fd
        self._at = SLOTS_AT + slot * SLOT_BYTES + _TAIL_AT
        self._ring_at = REGIONS_AT + slot * REGION_BYTES

    def total(self) -> int:
        """How many bytes the channel ever had; a follower compares it with what it has seen."""
        return self._totals()[0]

    def read(self, since: int = 0) -> tuple[bytes, int]:
        """The bytes from the `since`th on, as far as they are kept, and the total with them.

        What comes back is always a run of the channel as it was: bytes that are overwritten while
        they are read are left out.
        """
        total, _ = self._totals()
        ring = os.pread(self._fd, TAIL_BYTES, self._ring_at)
        ring += bytes(TAIL_BYTES - len(ring))
        _, claimed = self._totals()
        at = total % TAIL_BYTES
        run = ring[at:] + ring[:at]
        begins = total - TAIL_BYTES
        oldest = max(0, begins, claimed - TAIL_BYTES, since)
        return run[oldest - begins :], total

    def _totals(self) -> tuple[int, int]:
        """What is in the ring, and what is being put there besides."""
        raw = os.pread(self._fd, 2 * _SEQ.size, self._at)
        if len(raw) < 2 * _SEQ.size:  # no relay has been there yet
            return 0, 0
        (total,), (claimed,) = _SEQ.iter_unpack(raw)
        return total, claimed
