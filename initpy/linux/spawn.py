"""fork and exec of a program or its stop command, and fork of a helper.

PID 1 forks, and does not use posix_spawn, because that holds the parent until exec is done, which
a slow file system can make seconds (DESIGN §8). The static executable has a start in C where it
can be used, which takes half of the time. What the child finds wrong comes back through a pipe that
exec closes: nothing in it means that the program runs.
"""

from __future__ import annotations

import posix
import resource
import sys

from initpy.linux import syscalls
from initpy.linux.errnos import (
    EACCES,
    EAGAIN,
    EINVAL,
    EMFILE,
    ENFILE,
    ENOENT,
    ENOTDIR,
    errno_name,
    name_of,
)
from initpy.linux.helper import be_helper, plain
from initpy.linux.native import IS_BINARY, prctl
from initpy.linux.signals import block_all, restore_in_child, set_mask

if IS_BINARY:
    from _initpy import release

    from initpy.linux.start import start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initpy.linux.signals import Inherited
    from initpy.plan import ProcessSpec

MAX_REASON_BYTES = 2048
"""Below PIPE_BUF, so that the child's one write arrives whole."""

MAX_TEXT_BYTES = 1800
"""Of a path in it: a longer one must not push out what is wrong with it."""

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""Exit codes of a child that could not become the program, as a shell has them."""

PR_SET_NO_NEW_PRIVS = 38

RLIMIT_LOCKS = 10
"""Linux, every architecture; the resource module does not name it."""

MARK_VARIABLE = b"INITPY_PROCESS"

(
    PREPARE,
    NO_NEW_PRIVS,
    OOM_SCORE_ADJ,
    RLIMIT,
    NICE,
    SETGID,
    SETUID,
    CHDIR,
    TO_EXEC,
    EXEC,
) = range(10)
"""The steps on the way to exec; docker/binary/child.c has the same."""

STEPS = (
    "prepare '{1}'",
    "set no_new_privs",
    "set oom_score_adj to {0}",
    "set rlimit {0}",
    "set nice to {0}",
    "setgid to {0}",
    "setuid to {0}",
    "chdir to {1}",
    "prepare to exec",
    "exec {1}",
)
"""What each does, as a verb, with a number or a text that belongs to it."""

_NUMBER_BYTES, _NUMBERS = 8, 6


def _nobody(_pid: int, _fd: int) -> None:
    pass


class SpawnError(Exception):
    """There is no child; the text is what the operator reads."""


def spawn(
    spec: ProcessSpec,
    environment: dict[bytes, bytes],
    stdin_fd: int,
    inherited: Inherited,
    mark: int,
    record: Callable[[int, int], None] = _nobody,
    output_fds: tuple[int, int] = (1, 2),
    server_url: bytes = b"",
) -> tuple[int, int]:
    """Have a child execute the program, with `output_fds` as its stdout and stderr.

    `environment` is PID 1's own, over which the program's is laid. `mark` is a number by which all
    that the program leaves behind is known, see `sweep`. `record` is given what is returned, and is
    the next act after its birth: whatever goes wrong then, the child is known. `server_url` is
    where the program finds the control plane; empty: nowhere.

    Returns the pid, and the fd from which the reason comes if exec fails, non-blocking: end of
    file means that it has succeeded.

    Raises:
        SpawnError: pipe or fork failed.
    """

    given = (environment, stdin_fd, inherited, mark, record, output_fds, server_url)
    return _spawn(spec.name, spec, spec.argv, spec.paths, (), *given)


def spawn_stop_command(
    spec: ProcessSpec,
    environment: dict[bytes, bytes],
    stdin_fd: int,
    inherited: Inherited,
    mark: int,
    main_pid: int,
    record: Callable[[int, int], None] = _nobody,
    output_fds: tuple[int, int] = (1, 2),
    server_url: bytes = b"",
) -> tuple[int, int]:
    """As `spawn`, for the program's stop command: in the same circumstances (user, directory,
    limits, …), and with `main_pid`, the program's, in the variable MAINPID."""
    added = ((b"MAINPID", str(main_pid).encode()),)
    given = (environment, stdin_fd, inherited, mark, record, output_fds, server_url)
    name = f"{spec.name}'s stop_command"
    return _spawn(name, spec, spec.stop_command, spec.stop_paths, added, *given)


def _spawn(
    name: str,
    spec: ProcessSpec,
    argv: tuple[bytes, ...],
    paths: tuple[bytes, ...],
    added: tuple[tuple[bytes, bytes], ...],
    environment: dict[bytes, bytes],
    stdin_fd: int,
    inherited: Inherited,
    mark: int,
    record: Callable[[int, int], None],
    output_fds: tuple[int, int],
    server_url: bytes,
) -> tuple[int, int]:
    def make() -> dict[bytes, bytes]:
        return _environment(spec, environment, added, mark, server_url)

    made = make() if IS_BINARY else {}

    def begin(write_fd: int) -> int:
        fds = (stdin_fd, *output_fds, write_fd)
        pid = 0
        if IS_BINARY:
            pid = start(spec, argv, paths, made, fds, inherited, _mark_limit(mark))
        if not pid:
            pid = posix.fork()
            if pid == 0:  # it makes its environment itself: from source, that spares PID 1 128 kB
                _become(spec, argv, paths, make, fds, inherited, mark)
        return pid

    return _fork(name, begin, record)


def _fork(
    name: str, begin: Callable[[int], int], record: Callable[[int, int], None]
) -> tuple[int, int]:
    """Have `begin` make a child, with the fd that takes the reason, and return its pid. Returns
    that, and the fd to read the reason from."""
    try:
        reason_fd, write_fd = posix.pipe()
        posix.set_blocking(reason_fd, False)  # the write end is an open file of its own
    except OSError as exc:
        if exc.errno in (EMFILE, ENFILE):
            raise SpawnError(f"too many open files to spawn '{name}'") from None
        why = errno_name(exc)
        raise SpawnError(f"unknown error making dispatchers for '{name}': {why}") from None
    mask = block_all()
    try:
        pid = begin(write_fd)
        record(pid, reason_fd)
    except OSError as exc:
        syscalls.close(reason_fd)
        if exc.errno == EAGAIN:
            reason = f"Too many processes in process table to spawn '{name}'"
        else:
            reason = f"unknown error during fork for '{name}': {errno_name(exc)}"
        raise SpawnError(reason) from None
    finally:
        set_mask(mask)
        syscalls.close(write_fd)
    return pid, reason_fd


def fork_helper(
    body: Callable[[int], int],
    inherited: Inherited,
    record: Callable[[int, int], None] = _nobody,
    form: Callable[[str], bytes] = plain,
) -> tuple[int, int]:
    """Fork a child that runs `body` with the fd of a pipe to write to, and exits with its result.

    It has a session of its own, so that a Ctrl-C reaches PID 1 alone, and the signal dispositions
    of a program. `record` is as for `spawn`, `form` as for `be_helper`.

    Returns the pid, and the fd to read from, non-blocking.

    Raises:
        OSError: pipe or fork failed.
    """
    read_fd, write_fd = posix.pipe()
    posix.set_blocking(read_fd, False)  # the write end is an open file of its own
    mask = block_all()
    try:
        pid = posix.fork()
        if pid == 0:
            be_helper(body, write_fd, lambda: restore_in_child(inherited), form)
        record(pid, read_fd)
    except OSError:
        syscalls.close(read_fd)
        raise
    finally:
        set_mask(mask)
        syscalls.close(write_fd)
    return pid, read_fd


def read_reason(fd: int) -> str:
    """Why a child could not become its program; nothing: it has, or cannot tell. To be read when
    the pipe has ended, or the child."""
    if IS_BINARY:
        release()
    try:
        raw = posix.read(fd, MAX_REASON_BYTES)
    except OSError:  # how it ends will have to tell
        return ""
    first = raw[:_NUMBER_BYTES]
    if any(first) or not first:
        return raw.decode(errors="replace")
    begins = range(_NUMBER_BYTES, _NUMBER_BYTES * _NUMBERS, _NUMBER_BYTES)
    numbers = [
        int.from_bytes(raw[at : at + _NUMBER_BYTES], sys.byteorder, signed=True) for at in begins
    ]
    text = raw[_NUMBER_BYTES * _NUMBERS :].decode(errors="replace")
    return _why_not(numbers[0], numbers[1], (numbers[2], numbers[3], numbers[4]), text)


def _environment(
    spec: ProcessSpec,
    environment: dict[bytes, bytes],
    added: tuple[tuple[bytes, bytes], ...],
    mark: int,
    server_url: bytes,
) -> dict[bytes, bytes]:
    """What the program gets; `environment` is PID 1's."""
    outer = environment.get(MARK_VARIABLE, b"")  # another initpy has started this one
    given = {} if spec.clean_environment else environment.copy()
    given[b"SUPERVISOR_ENABLED"] = b"1"
    given[b"SUPERVISOR_PROCESS_NAME"] = spec.name.encode("utf-8", "surrogateescape")
    given[b"SUPERVISOR_GROUP_NAME"] = spec.group.encode("utf-8", "surrogateescape")
    if server_url:
        given[b"SUPERVISOR_SERVER_URL"] = server_url
    given.update(spec.environment)
    given.update(added)
    given[MARK_VARIABLE] = b"%b:%d" % (outer, mark) if outer else b"%d" % mark
    return given


def _become(
    spec: ProcessSpec,
    argv: tuple[bytes, ...],
    paths: tuple[bytes, ...],
    make_environment: Callable[[], dict[bytes, bytes]],
    fds: tuple[int, int, int, int],
    inherited: Inherited,
    mark: int,
) -> None:
    """The child's life up to exec; does not return.

    What takes files, memory or privileges comes before the limits and the user that may refuse
    them.
    """
    stdin_fd, stdout_fd, stderr_fd, write_fd = fds
    code = NOT_EXECUTABLE
    reason = ""
    step = PREPARE
    numbers = (0, 0, 0)
    text = spec.name
    try:
        for number, fd in (1, stdout_fd), (2, stderr_fd):  # the second may be the first's number
            if fd != number:
                posix.dup2(fd, number)
        restore_in_child(inherited)
        posix.setsid()
        posix.dup2(stdin_fd, 0)
        environment = make_environment()
        if limit := _mark_limit(mark):
            resource.setrlimit(limit[0], limit[1:])
        if spec.no_new_privs:  # it bars nothing before exec
            step = NO_NEW_PRIVS
            prctl(PR_SET_NO_NEW_PRIVS, 1)
        if spec.oom_score_adj is not None:
            step, numbers = OOM_SCORE_ADJ, (spec.oom_score_adj, 0, 0)
            _set_oom_score_adj(spec.oom_score_adj)
        if inherited.max_files is not None:  # from here on, nothing is opened
            resource.setrlimit(resource.RLIMIT_NOFILE, inherited.max_files)
        for numbers in spec.rlimits:
            step = RLIMIT
            resource.prlimit(0, numbers[0], numbers[1:])  # unlike setrlimit, it tells the errno
        if spec.nice is not None:  # after the limits: RLIMIT_NICE may be what allows it
            step, numbers = NICE, (spec.nice, 0, 0)
            posix.setpriority(posix.PRIO_PROCESS, 0, spec.nice)
        if spec.gid != -1:
            step, numbers = SETGID, (spec.gid, 0, 0)
            if spec.groups:
                posix.setgroups(spec.groups)
            posix.setgid(spec.gid)
        if spec.uid != -1:
            step, numbers = SETUID, (spec.uid, 0, 0)
            posix.setuid(spec.uid)
        if spec.directory:
            step, text = CHDIR, _as_text(spec.directory)
            posix.chdir(spec.directory)
        if spec.umask != -1:
            posix.umask(spec.umask)
        step = TO_EXEC
        set_mask(inherited.mask)
        path, failed = _exec(argv, paths, environment)
        if failed.errno in (ENOENT, ENOTDIR):
            code = NOT_FOUND
        mode = _mode_of(path)
        numbers = (-1 if mode is None else mode, 0, 0)
        reason = _why_not(EXEC, failed.errno or 0, numbers, _as_text(path))
    except OSError as exc:
        if step == OOM_SCORE_ADJ:
            numbers = (numbers[0], int(exc.filename is not None), 0)
        reason = _why_not(step, exc.errno or 0, numbers, text)
    except BaseException as exc:  # whatever it is: two PID 1s must never return from fork
        if isinstance(exc, ValueError) and step == RLIMIT:
            reason = _why_not(step, EINVAL, numbers, text)
        elif isinstance(exc, ImportError) and step == NO_NEW_PRIVS:
            reason = _why_not(step, 0, numbers, text)
        else:
            reason = f"couldn't {STEPS[step].format(numbers[0], text)}: {exc!r}"
    finally:
        try:
            posix.write(write_fd, reason.encode(errors="replace")[:MAX_REASON_BYTES])
        finally:
            posix._exit(code)


def _why_not(step: int, error: int, numbers: tuple[int, int, int], text: str) -> str:
    """Why a step was refused, in words of which PID 1 has no need: the child loads them, but for
    the executable's, which has no Python. Where they cannot be loaded (any more), in short."""
    try:
        if not IS_BINARY:
            sys.dont_write_bytecode = True  # the umask may be the program's by now
        from initpy.linux import refusals  # noqa: PLC0415 - when it is needed only

        return refusals.why_not(step, error, numbers, text)
    except BaseException:
        return f"couldn't {STEPS[step].format(numbers[0], text)}: {name_of(error)}"


def _as_text(path: bytes) -> str:
    return path[:MAX_TEXT_BYTES].decode(errors="replace")


def _mark_limit(mark: int) -> tuple[int, int, int] | None:
    """The limit that is the mark; None: the environment alone has to do."""
    try:
        _, hard = resource.getrlimit(RLIMIT_LOCKS)
    except OSError:
        return None
    return None if 0 <= hard < mark else (RLIMIT_LOCKS, mark, hard)


def _set_oom_score_adj(adjustment: int) -> None:
    fd = posix.open("/proc/self/oom_score_adj", posix.O_WRONLY | posix.O_CLOEXEC)
    posix.write(fd, str(adjustment).encode())
    posix.close(fd)


def _exec(
    argv: tuple[bytes, ...], paths: tuple[bytes, ...], environment: dict[bytes, bytes]
) -> tuple[bytes, OSError]:
    """Try the paths in order, as execvp does. Returns only when none could be executed: the one
    that says most, and why."""
    path, why = argv[0], FileNotFoundError(ENOENT, "")
    failed: tuple[bytes, OSError] = (path, why)
    for path in paths:
        try:
            posix.execve(path, argv, environment)
        except OSError as exc:
            # Not there; or in a directory of PATH that this user may not search.
            if exc.errno in (ENOENT, ENOTDIR, EACCES) and _mode_of(path) is None:
                continue
            if exc.errno in (ENOENT, ENOTDIR):
                return path, exc
            failed = (path, exc)
            if exc.errno != EACCES:
                break
    return failed


def _mode_of(path: bytes) -> int | None:
    """None: it is not there, or where we may not look."""
    try:
        return posix.stat(path).st_mode
    except OSError:
        return None
