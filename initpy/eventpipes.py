"""Floor 2: the pipes between event listeners and the control helper.

Each instance of a listener gets pipes of its own for its stdin and its stdout, so that nothing of
an earlier one is in them. PID 1 makes them, hands its ends to the helper, and keeps them as well,
so that an instance sees no end of file while it lives; it never reads or writes them. What a
listener and a helper had said to each other goes with the helper: such listeners have to be started
anew.

Where there are no listeners, nothing of this is loaded.
"""

from __future__ import annotations

import posix

from initpy.eventplan import EventsBirth
from initpy.linux import syscalls
from initpy.linux.errnos import errno_name
from initpy.linux.handing import hand_over, pair
from initpy.linux.spawn import SpawnError
from initpy.wire import frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.eventplan import ListenerPlan
    from initpy.plan import Plan, ProcessSpec

CLOSED = -1


class EventPipes:
    """The pipes that PID 1 has, and the listeners whose pipes the helper has."""

    KEPT = (
        "_door_fd",
        "_given",
        "_lost",
        "_memory_fd",
        "_own",
        "_output_fd",
        "plans",
        "relay_fd",
        "told_groups",
    )

    def __init__(self, *, is_boot: bool) -> None:
        """`is_boot`: there is no plan yet."""
        self.plans: tuple[ListenerPlan, ...] = ()
        """What there is to be told, and to whom."""
        self.told_groups: tuple[str, ...] | None = None if is_boot else ()
        """Of which groups the first helper is to tell; None: nothing has been planned so far."""
        self._own: dict[str, tuple[int, int, int]] = {}
        """By key: the pid of the instance, and our ends of its stdin and its stdout."""
        self._given: dict[str, int] = {}
        """By key: the pids of those whose ends the helper has."""
        self._lost: dict[str, int] = {}
        """By key: the pids of those whose ends a helper had that is gone; or that have none, by a
        fault."""
        self._made: tuple[int, ...] = ()
        """Of one that is being spawned: the ends that are its own, and ours."""
        self._door_fd = CLOSED
        """Where the helper is handed ends; CLOSED: there is none."""
        self._memory_fd = CLOSED
        self._output_fd = CLOSED
        self.relay_fd = CLOSED
        """Where the relay of the logs tells the helper what programs write; CLOSED: nowhere."""

    def set_plan(self, plan: Plan) -> None:
        """These are the listeners from now on."""
        self.plans = plan.listeners
        if self.told_groups is None:
            self.told_groups = tuple(dict.fromkeys([spec.group for spec in plan.processes]))
        if self.plans and self.relay_fd == CLOSED and any(map(_is_told_of, plan.processes)):
            try:
                self.relay_fd, self._output_fd = pair()
            except OSError:  # of output, nobody hears
                return
            posix.set_blocking(self._output_fd, False)
            self.close_door()  # the helper that there is knows nothing of it

    # ------------------------------------------------------------ listeners

    def fds_for(self, spec: ProcessSpec) -> tuple[int, int]:
        """What a new instance's stdin and stdout are to be, until `started` or `not_started`.

        Raises:
            SpawnError: there are no descriptors for its pipes.
        """
        self.not_started()
        try:
            stdin_fd, own_stdin = posix.pipe2(posix.O_CLOEXEC)
            self._made = (stdin_fd, own_stdin)
            own_stdout, stdout_fd = posix.pipe2(posix.O_CLOEXEC)
            self._made = (stdin_fd, stdout_fd, own_stdin, own_stdout)
            for fd in (own_stdin, own_stdout):
                posix.set_blocking(fd, False)
            for fd in (stdin_fd, stdout_fd):
                posix.fchown(fd, spec.uid, spec.gid)  # or it could not open its /dev/stdout
        except OSError as exc:
            self.not_started()
            raise SpawnError(
                f"no pipe for the events of '{spec.name}': {errno_name(exc)}"
            ) from None
        return stdin_fd, stdout_fd

    def not_started(self) -> None:
        """There is no instance: its pipes are not wanted."""
        made, self._made = self._made, ()
        for fd in made:
            syscalls.close(fd)

    def started(self, key: str, pid: int) -> None:
        """There is one: its ends are its own, and ours wait for `give`."""
        stdin_fd, stdout_fd, own_stdin, own_stdout = self._made
        self.ended(key)
        self._own[key] = (pid, own_stdin, own_stdout)
        self._made = ()
        syscalls.close(stdin_fd)
        syscalls.close(stdout_fd)

    def give(self) -> None:
        """Hand the helper, if there is one, what it does not have.

        Raises:
            OSError: it takes nothing.
        """
        if self._door_fd == CLOSED:
            return
        for key, (pid, own_stdin, own_stdout) in self._own.items():
            if key not in self._given and key not in self._lost:
                hand_over(self._door_fd, frame((key, pid)), (own_stdin, own_stdout))
                self._given[key] = pid

    def ended(self, key: str) -> None:
        """The instance is gone."""
        self._given.pop(key, None)
        self._lost.pop(key, None)
        if key in self._own:
            _, *ends = self._own.pop(key)
            for fd in ends:
                syscalls.close(fd)

    # ------------------------------------------------------------ the helper

    def open_door(self) -> EventsBirth:
        """What a helper that is about to be forked is started with; `door_fd` is for it, and to be
        closed here.

        Raises:
            OSError: there are no descriptors.
        """
        if self._memory_fd == CLOSED:
            self._memory_fd = posix.memfd_create("initpy-events", posix.MFD_CLOEXEC)
        self.close_door()
        self._door_fd, door_fd = pair()
        groups = self.told_groups or ()
        return EventsBirth(self.plans, door_fd, self._memory_fd, self._output_fd, groups)

    def was_born(self) -> None:
        """The helper that `open_door` was for is there."""
        self.told_groups = ()

    def has_door(self) -> bool:
        """The helper that there is can be handed something."""
        return self._door_fd != CLOSED

    def close_door(self) -> None:
        """There is no helper any more, or will soon be none."""
        self._lost.update(self._given)
        self._given.clear()
        fd, self._door_fd = self._door_fd, CLOSED
        if fd != CLOSED:
            syscalls.close(fd)

    def orphaned(self) -> tuple[str, ...]:
        """The listeners that have to be started anew."""
        return tuple(self._lost)

    # ------------------------------------------------------------ from image to image

    def fds(self) -> list[int]:
        """All that the next image of PID 1 has to have open."""
        own = (self._door_fd, self._memory_fd, self._output_fd, self.relay_fd)
        found = [fd for fd in own if fd != CLOSED]
        return found + [fd for _, *ends in self._own.values() for fd in ends]

    def heal(self, live: dict[int, str]) -> None:
        """After a fault, half-way through something, or a hand-over: `live` are the programs, pid
        to key. Listeners that have lost their pipes are `orphaned`."""
        for key, (pid, *_) in [*self._own.items()]:
            if live.get(pid) != key:
                self.ended(key)
        keys = {key for plan in self.plans for key in plan.keys}
        for pid, key in live.items():
            if key in keys and key not in self._own:
                self._lost[key] = pid


def _is_told_of(spec: ProcessSpec) -> bool:
    """Whether event listeners hear of what it writes."""
    return any(it is not None and it.told_as for it in (spec.stdout, spec.stderr))
