"""fork and exec of a program or its stop command, and fork of a helper.

PID 1 forks, and does not use posix_spawn, because that holds the parent until exec is done, which
a slow file system can make seconds (DESIGN §8). What the child finds wrong comes back as text
through a pipe that exec closes: nothing in it means that the program runs.
"""

from __future__ import annotations

import posix
import resource
import sys

from initpy.linux.errnos import (
    EACCES,
    EAGAIN,
    EMFILE,
    ENFILE,
    ENOENT,
    ENOEXEC,
    ENOTDIR,
    errno_name,
)
from initpy.linux.helper import be_helper
from initpy.linux.native import prctl
from initpy.linux.signals import block_all, restore_in_child, set_mask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initpy.linux.signals import Inherited
    from initpy.plan import ProcessSpec

MAX_REASON_BYTES = 2048
"""Below PIPE_BUF, so that the child's one write arrives whole."""

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""Exit codes of a child that could not become the program, as a shell has them."""

PR_SET_NO_NEW_PRIVS = 38

RLIMIT_LOCKS = 10
"""Linux, every architecture; the resource module does not name it."""

MARK_VARIABLE = b"INITPY_PROCESS"

_S_IFMT, _S_IFDIR = 0o170000, 0o040000


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
    """Fork and have the child execute the program, with `output_fds` as its stdout and stderr.

    `environment` is PID 1's own, over which the program's is laid. `mark` is a number by which all
    that the program leaves behind is known, see `sweep`. `record` is given what is returned, and is
    the next act after the fork: whatever goes wrong then, the child is known. `server_url` is where
    the program finds the control plane; empty: nowhere.

    Returns the pid, and the fd from which the reason comes if exec fails, non-blocking: end of
    file means that it has succeeded.

    Raises:
        SpawnError: pipe or fork failed.
    """

    def become(write_fd: int) -> None:
        argv, paths = spec.argv, spec.paths
        _redirect(output_fds)
        given = (environment, stdin_fd, write_fd, inherited, mark, server_url)
        _become(spec, argv, paths, (), *given)

    return _fork(spec.name, become, record)


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

    def become(write_fd: int) -> None:
        argv, paths = spec.stop_command, spec.stop_paths
        _redirect(output_fds)
        given = (environment, stdin_fd, write_fd, inherited, mark, server_url)
        _become(spec, argv, paths, added, *given)

    return _fork(f"{spec.name}'s stop_command", become, record)


def _redirect(output_fds: tuple[int, int]) -> None:
    """In the child: its stdout and stderr. The second may be the first's number, 1."""
    for number, fd in zip((1, 2), output_fds, strict=True):
        if fd != number:
            posix.dup2(fd, number)


def _fork(
    name: str, become: Callable[[int], None], record: Callable[[int, int], None]
) -> tuple[int, int]:
    """Fork, and run `become` in the child, which must not return from it, with the fd that takes
    the reason. Returns the pid, and the fd to read the reason from."""
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
        pid = posix.fork()
        if pid == 0:
            become(write_fd)
        record(pid, reason_fd)
    except OSError as exc:
        posix.close(reason_fd)
        if exc.errno == EAGAIN:
            reason = f"Too many processes in process table to spawn '{name}'"
        else:
            reason = f"unknown error during fork for '{name}': {errno_name(exc)}"
        raise SpawnError(reason) from None
    finally:
        posix.close(write_fd)
        set_mask(mask)
    return pid, reason_fd


def fork_helper(
    body: Callable[[int], int], inherited: Inherited, record: Callable[[int, int], None] = _nobody
) -> tuple[int, int]:
    """Fork a child that runs `body` with the fd of a pipe to write to, and exits with its result.

    It has a session of its own, so that a Ctrl-C reaches PID 1 alone, and the signal dispositions
    of a program. `record` is as for `spawn`.

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
            be_helper(body, write_fd, lambda: restore_in_child(inherited))
        record(pid, read_fd)
    except OSError:
        posix.close(read_fd)
        raise
    finally:
        posix.close(write_fd)
        set_mask(mask)
    return pid, read_fd


def _become(
    spec: ProcessSpec,
    argv: tuple[bytes, ...],
    paths: tuple[bytes, ...],
    added: tuple[tuple[bytes, bytes], ...],
    environment: dict[bytes, bytes],
    stdin_fd: int,
    write_fd: int,
    inherited: Inherited,
    mark: int,
    server_url: bytes,
) -> None:
    """The child's life up to exec; does not return.

    What takes files, memory or privileges comes before the limits and the user that may refuse
    them.
    """
    code = NOT_EXECUTABLE
    reason = ""
    step = f"prepare '{spec.name}'"
    limit = (-1, -1, -1)
    try:
        restore_in_child(inherited)
        posix.setsid()
        posix.dup2(stdin_fd, 0)
        outer = environment.get(MARK_VARIABLE, b"")  # another initpy has started this one
        if spec.clean_environment:
            environment = {}
        environment[b"SUPERVISOR_ENABLED"] = b"1"  # in the child's own copy of PID 1's memory
        environment[b"SUPERVISOR_PROCESS_NAME"] = spec.name.encode("utf-8", "surrogateescape")
        environment[b"SUPERVISOR_GROUP_NAME"] = spec.group.encode("utf-8", "surrogateescape")
        if server_url:
            environment[b"SUPERVISOR_SERVER_URL"] = server_url
        environment.update(spec.environment)
        environment.update(added)
        environment[MARK_VARIABLE] = b"%b:%d" % (outer, mark) if outer else b"%d" % mark
        _set_mark(mark)
        if spec.no_new_privs:  # it bars nothing before exec
            step = "set no_new_privs"
            prctl(PR_SET_NO_NEW_PRIVS, 1)
        if spec.oom_score_adj is not None:
            step = f"set oom_score_adj to {spec.oom_score_adj}"
            _set_oom_score_adj(spec.oom_score_adj)
        if inherited.max_files is not None:  # from here on, nothing is opened
            resource.setrlimit(resource.RLIMIT_NOFILE, inherited.max_files)
        for limit in spec.rlimits:
            step = f"set rlimit {limit[0]}"
            resource.prlimit(0, limit[0], limit[1:])  # unlike setrlimit, it tells the errno
        if spec.nice is not None:  # after the limits: RLIMIT_NICE may be what allows it
            step = f"set nice to {spec.nice}"
            posix.setpriority(posix.PRIO_PROCESS, 0, spec.nice)
        if spec.gid != -1:
            step = f"setgid to {spec.gid}"
            if spec.groups:
                posix.setgroups(spec.groups)
            posix.setgid(spec.gid)
        if spec.uid != -1:
            step = f"setuid to {spec.uid}"
            posix.setuid(spec.uid)
        if spec.directory:
            step = f"chdir to {spec.directory.decode(errors='replace')}"
            posix.chdir(spec.directory)
        if spec.umask != -1:
            posix.umask(spec.umask)
        step = "prepare to exec"
        set_mask(inherited.mask)
        path, failed = _exec(argv, paths, environment)
        if failed.errno in (ENOENT, ENOTDIR):
            code = NOT_FOUND
        reason = _why_not_executed(path, failed)
    except BaseException as exc:  # whatever it is: two PID 1s must never return from fork
        reason = _why_not(step, exc, limit)
    finally:
        posix.write(write_fd, reason.encode(errors="replace")[:MAX_REASON_BYTES])
        posix._exit(code)


def _why_not(step: str, exc: BaseException, limit: tuple[int, int, int]) -> str:
    """In the child: why a step before exec has failed, in words of which PID 1 has no need; where
    these cannot be loaded (any more), in short."""
    try:
        sys.dont_write_bytecode = True  # the umask may be the program's by now
        from initpy.linux import refusals  # noqa: PLC0415 - in the child only

        return refusals.why_not(step, exc, limit)
    except BaseException:
        why = errno_name(exc) if isinstance(exc, OSError) else repr(exc)
        return f"couldn't {step}: {why}"


def _set_mark(mark: int) -> None:
    _, hard = resource.getrlimit(RLIMIT_LOCKS)
    if not 0 <= hard < mark:  # else the environment alone has to do
        resource.setrlimit(RLIMIT_LOCKS, (mark, hard))


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
            if exc.errno in (ENOENT, ENOTDIR, EACCES) and not _exists(path):
                continue
            if exc.errno in (ENOENT, ENOTDIR):
                return path, exc
            failed = (path, exc)
            if exc.errno != EACCES:
                break
    return failed


def _exists(path: bytes) -> bool:
    try:
        posix.stat(path)
    except OSError:
        return False
    return True


def _why_not_executed(path: bytes, exc: OSError) -> str:
    """The reason in supervisord's words, where it has some."""
    name = path.decode(errors="replace")
    try:
        mode = posix.stat(path).st_mode
    except OSError:
        mode = None
    if exc.errno in (ENOENT, ENOTDIR):
        if mode is None:
            return f"can't find command '{name}'"
        return (
            f"couldn't exec {name}: ENOENT: it is there, but the interpreter that its first line"
            " names, or its dynamic loader, is not"
        )
    if exc.errno == EACCES and mode is not None:
        if mode & _S_IFMT == _S_IFDIR:
            return f"command at '{name}' is a directory"
        if not mode & 0o111:
            return f"command at '{name}' is not executable"
        return f"no permission to run command '{name}'"
    if exc.errno == ENOEXEC:
        return (
            f"couldn't exec {name}: ENOEXEC: it is no program for this kind of machine, or a script"
            " without #! in its first line"
        )
    if exc.errno == EAGAIN:
        return f"couldn't exec {name}: EAGAIN: its user has more processes than rlimit nproc allows"
    return f"couldn't exec {name}: {errno_name(exc)}"
