"""Floor 2: what PID 1 does before it has loaded the rest of itself.

From here on no signal is lost and no descriptor leaks; and the config helper reads the file while
PID 1 is still importing, which takes about as long.
"""

from __future__ import annotations

from initpy.linux import syscalls
from initpy.linux.signals import Signals
from initpy.linux.spawn import fork_helper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Early:
    """The signals, and the helper that was started."""

    def __init__(self, read_config: Callable[[int], int], mask: tuple[int, ...]) -> None:
        """Make ready, and start the config helper.

        `read_config` is run in it: it writes the plan, as a frame, to the fd it is given, and
        returns its exit code; what is wrong with the file it says on stderr itself. `mask` is what
        `signals.block_all` returned when the program began.

        Raises:
            OSError: there is no descriptor for the signals, or no process for the helper.
        """
        syscalls.open_standard_fds()
        syscalls.keep_inherited_fds_to_ourselves()
        self.read_config = read_config
        self.signals = Signals(mask)
        self.helper_pid, self.helper_fd = fork_helper(read_config, self.signals.inherited)
