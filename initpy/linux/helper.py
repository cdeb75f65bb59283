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


def plain(text: str) -> bytes:
    """The line, where it is not known which form lines have."""
    return f"initpy: {text}\n".encode(errors="replace")


def be_helper(
    body: Callable[[int], int],
    write_fd: int,
    restore: Callable[[], None] | None = None,
    form: Callable[[str], bytes] = plain,
) -> NoReturn:
    """Run `body` with the fd to write to, in a session of our own, and exit with its result.

    `restore` sets back what PID 1 has changed before it forked. Without it, that is nothing but the
    mask, and the session is there. `form` makes the line that says why it has failed.
    """
    code = 1
    try:
        if restore is not None:
            restore()
            posix.setsid()
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
        code = body(write_fd)
    except BaseException as exc:  # whatever it is: two PID 1s must never return from fork
        posix.write(2, form(f"a helper process failed: {exc!r}"))
    finally:
        posix._exit(code)
