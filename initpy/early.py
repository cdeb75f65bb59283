"""Floor 2: what PID 1 does before it has loaded the rest of itself.

From here on no signal is lost and no descriptor leaks; and the config helper reads the file while
PID 1 is still importing, which takes about as long. An image that takes over from another has no
need of a helper; what it takes over is read here.
"""

from __future__ import annotations

import posix

from initpy.linux import last_resort, native, syscalls
from initpy.linux.image import TAKE, Image, handed_over
from initpy.linux.signals import Signals
from initpy.linux.spawn import fork_helper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

LAST_RESORT_S = 9.0
"""What a stop has, where not even the plan is known."""


class Early:
    """The signals, and the helper that was started; or the state that is handed over."""

    def __init__(self, read_config: Callable[[int], int], mask: tuple[int, ...]) -> None:
        """Make ready, and start the config helper.

        `read_config` is run in it: it writes the plan, as a frame, to the fd it is given, and
        returns its exit code; what is wrong with the file it says on stderr itself. `mask` is what
        `signals.block_all` returned when the program began.

        Raises:
            OSError: there is no descriptor for the signals, or no process for the helper.
        """
        handed = handed_over()
        syscalls.open_standard_fds()
        syscalls.keep_inherited_fds_to_ourselves()
        self.read_config = read_config
        self.image = Image()
        self.state: dict[str, dict[str, Any]] | None = None
        self.version = ""
        if handed is None or handed[0] != TAKE:
            self.signals = Signals(mask)
            started = native.helper()
            if started is None:
                started = fork_helper(read_config, self.signals.inherited)
            else:
                posix.set_blocking(started[1], False)
            self.helper_pid, self.helper_fd = started
            return
        _, raw = handed
        try:
            from initpy import handover  # noqa: PLC0415

            self.state, self.version, pid = handover.unpack(raw)
            if pid != posix.getpid():
                raise handover.HandOverError(f"the state is process {pid}'s")
            self.signals = Signals(mask, self.state["signals"]["inherited"])
        except BaseException as exc:
            self.give_up(f"cannot take over from itself: {exc}")

    def give_up(self, why: str) -> NoReturn:
        """There are programs of the image before this one, and nobody else to see to them."""
        last_resort.run(why, (), LAST_RESORT_S)
