"""The start of a program in C, without a copy of our memory: in the static executable only.

The child does what `spawn._become` does, see docker/binary/spawn.c. Not all programs can be started
so; the others are forked.
"""

from __future__ import annotations

import resource

import _initpy

from initpy.linux.errnos import EACCES, EINVAL, ENOSYS, EPERM
from initpy.linux.native import bits
from initpy.linux.signals import HANDLED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.linux.signals import Inherited
    from initpy.plan import ProcessSpec

REFUSED = (EPERM, EACCES, EINVAL, ENOSYS)
"""Errnos of a kernel, or of a seccomp filter, that allows no such child: an old one, one that is
emulated."""

_HANDLED = bits(HANDLED)

_is_refused = False


def start(
    spec: ProcessSpec,
    argv: tuple[bytes, ...],
    paths: tuple[bytes, ...],
    environment: dict[bytes, bytes],
    fds: tuple[int, int, int, int],
    inherited: Inherited,
    mark_limit: tuple[int, int, int] | None,
) -> int:
    """Have a child execute the program, with `fds` as its stdin, stdout, stderr and the pipe for
    the reason. Returns the pid; 0: it has to be forked.

    Raises:
        OSError: there cannot be another process.
    """
    global _is_refused  # noqa: PLW0603 - what the kernel lets us do is known of all of PID 1
    if _is_refused or spec.uid != -1 or spec.gid != -1 or spec.oom_score_adj is not None:
        return 0
    ours = [(resource.RLIMIT_SIGPENDING, *inherited.max_queued)]
    if mark_limit is not None:
        ours.append(mark_limit)
    if inherited.max_files is not None:
        ours.append((resource.RLIMIT_NOFILE, *inherited.max_files))
    try:
        return _initpy.start(
            argv,
            paths,
            environment,
            spec.name.encode("utf-8", "surrogateescape"),
            spec.directory,
            fds,
            tuple(ours),
            spec.rlimits,
            spec.umask,
            spec.nice,
            spec.no_new_privs,
            _HANDLED,
            bits(inherited.ignored),
            bits(inherited.mask),
        )
    except (ValueError, OverflowError):  # what exec cannot be given: the forked child says so
        return 0
    except OSError as exc:
        if exc.errno not in REFUSED:
            raise
        _is_refused = True
        return 0
