"""The life of a helper, from fork to exit."""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
    from typing import NoReturn
else:
    import _signal


def be_helper(
    body: Callable[[int], int], write_fd: int, restore: Callable[[], None] | None = None
) -> NoReturn:
    """Run `body` with the fd to write to, in a session of our own, and exit with its result.

    `restore` sets back what PID 1 has changed before it forked. Without it, that is nothing but the
    mask, and the session is there.
    """
    code = 1
    try:
        if restore is not None:
            restore()
            posix.setsid()
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
        code = body(write_fd)
    except BaseException as exc:  # whatever it is: two PID 1s must never return from fork
        posix.write(2, f"initpy: a helper process failed: {exc!r}\n".encode(errors="replace"))
    finally:
        posix._exit(code)
