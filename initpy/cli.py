"""Floor 5: what the command line asks for.

What runs as PID 1 is recognised here by hand, because argparse would cost PID 1 more memory than
its own code: `initpy -c FILE`, `initpy run …`, `initpy [options] -- COMMAND`, and the names of
other inits. Everything else, mistakes included, goes to `commands`, in a process that lives for a
moment.
"""

from __future__ import annotations

import sys

from initpy.linux.native import complete_python, helper, mask_at_exec

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
    from typing import NoReturn

    from initpy.early import Early
    from initpy.feeding import Birth
    from initpy.logplan import LogPlan
else:
    import _signal

DEFAULT_CONFIG = "/etc/initpy.toml"

INVOKED_AS = "--invoked-as"
"""By what name, says the script that pip installs."""


def main() -> NoReturn:
    """The `initpy` command. Ends the process; the exit codes are in the README."""
    mask = _block_signals()
    argv = sys.argv
    if argv[1:2] == [INVOKED_AS]:
        argv = argv[2:]
    name = argv[0].rpartition("/")[2]
    if name in ("tini", "docker-init"):
        from initpy.dropin import tini  # noqa: PLC0415

        _leave(tini.main(argv, mask))
    if name == "dumb-init":
        from initpy.dropin import dumb_init  # noqa: PLC0415

        _leave(dumb_init.main(argv, mask))
    arguments = argv[1:]
    if arguments == ["--can-take-over"]:  # linux.image.ASKED_TO_CHECK
        from initpy import upgrade  # noqa: PLC0415

        _leave(upgrade.answer())
    if name == "supervisord":
        _run_as_supervisord(argv, mask)
    if name == "supervisorctl":
        _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)
        complete_python()
        from initpy.ctl import supervisorctl  # noqa: PLC0415

        sys.exit(supervisorctl.main(argv))
    if _is_one_command(arguments):
        _run_one(arguments, mask)
    if arguments[:1] == ["run"] and not {"-h", "--help"} & set(arguments):
        _run_arguments(arguments[1:], mask)
    path = _config_path(arguments)
    if path is not None:
        _run_file(path, mask)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)
    if arguments[:1] == ["health"] and not any(word.startswith("-") for word in arguments):
        from initpy.ctl import health  # noqa: PLC0415 - without argparse: it is called all the time

        _leave(health.main(arguments[1:]))
    complete_python()
    from initpy.commands import dispatch  # noqa: PLC0415

    sys.exit(dispatch(arguments))


def _block_signals() -> tuple[int, ...]:
    """From here on, no signal is lost: those that come wait. Returns the mask as it was."""
    mask = tuple(_signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals()))
    at_exec = mask_at_exec()
    return mask if at_exec is None else at_exec


def _leave(code: int) -> NoReturn:
    import posix  # noqa: PLC0415

    posix._exit(code)


def _is_one_command(arguments: list[str]) -> bool:
    """Whether they are `[options] -- COMMAND`."""
    if "--" not in arguments:
        return False
    return arguments[0].startswith("--") and not arguments[0].startswith("--config")


def _run_one(arguments: list[str], mask: tuple[int, ...]) -> NoReturn:
    """Be PID 1 for one command."""
    from initpy.single import OneCommand  # noqa: PLC0415

    at = arguments.index("--")
    command = OneCommand(arguments[at + 1 :], mask)
    if at:
        from initpy import options  # noqa: PLC0415

        try:
            options.parse(arguments[:at], command)
        except options.UsageError as exc:
            _refuse(str(exc))
    if not command.argv:
        _refuse("there is no command after --")
    _leave(command.run())


def _config_path(arguments: list[str]) -> str | None:
    """The file to run from, if the arguments name that and nothing else."""
    match arguments:
        case []:
            return DEFAULT_CONFIG
        case ["-c" | "--config", path]:
            return path
        case [joined] if joined.startswith("--config="):
            return joined.partition("=")[2]
        case [joined] if joined.startswith("-c") and len(joined) > 2:
            return joined[2:]
        case _:
            return None


def _run_as_supervisord(argv: list[str], mask: tuple[int, ...]) -> NoReturn:
    """Be PID 1 for the programs of a file that supervisord's options name."""
    import posix  # noqa: PLC0415

    from initpy.dropin.supervisord import Asked  # noqa: PLC0415

    asked = Asked(argv)
    if asked.text:
        posix.write(2 if asked.code else 1, asked.text.encode("utf-8", "surrogateescape"))
        _leave(asked.code)
    if asked.unused and b"INITPY_HANDOVER" not in posix.environ:
        text = f"initpy: {' '.join(asked.unused)}: not used: initpy stays in the foreground and "
        posix.write(2, f"{text}logs to stderr\n".encode())
    _run_file(asked.path, mask, asked.identifier)


def _run_file(path: str, mask: tuple[int, ...], identifier: str = "") -> NoReturn:
    """Be PID 1 for the programs of a file. `identifier`: to go before the one that it has."""

    def read_config(fd: int) -> int:
        from initpy.config.helper import send_plan  # noqa: PLC0415 - in the helper only

        return send_plan(path, fd, identifier)

    _run(read_config, mask)


def _run_arguments(arguments: list[str], mask: tuple[int, ...]) -> NoReturn:
    """Be PID 1 for the programs that the arguments of `run` name."""
    given: dict[str, list[str]] = {"--program": [], "--set": []}
    left = list(arguments)
    while left:
        option, is_joined, value = left.pop(0).partition("=")
        if option not in given:
            _refuse(f"run takes --program NAME=COMMAND and --set KEY=VALUE, not {option!r}")
        if not is_joined and not left:
            _refuse(f"{option} needs a value")
        given[option].append(value if is_joined else left.pop(0))
    if not given["--program"]:
        _refuse("run needs at least one --program NAME=COMMAND")

    def read_config(fd: int) -> int:
        from initpy.config.helper import send_plan_of_arguments  # noqa: PLC0415

        return send_plan_of_arguments(tuple(given["--program"]), tuple(given["--set"]), fd)

    _run(read_config, mask)


def _run(read_config: Callable[[int], int], mask: tuple[int, ...]) -> NoReturn:
    """Be PID 1, with as little in memory as that takes."""
    import gc  # noqa: PLC0415
    import posix  # noqa: PLC0415

    # PID 1 makes no reference cycles (a test looks for them). To look for them here would write to
    # every object, and so have the kernel copy most of the memory at the next fork.
    gc.disable()
    _make_room()
    started = helper()
    if started is not None and started[0] == 0:
        from initpy.linux.helper import be_helper  # noqa: PLC0415

        be_helper(read_config, started[1])

    def run_relay(plan: LogPlan, report_fd: int) -> int:
        complete_python()
        from initpy.logs.relay import run  # noqa: PLC0415 - in the helper only

        return run(plan, report_fd)

    def run_control(birth: Birth, orders_fd: int) -> int:
        complete_python()
        from initpy.control.helper import run  # noqa: PLC0415 - in the helper only

        return run(birth, orders_fd)

    early: Early | None = None
    try:
        from initpy import early as beginning  # noqa: PLC0415

        early = beginning.Early(read_config, mask)
        sys.path_importer_cache.clear()  # 200 names of the standard library; room for what follows
        from initpy.pid1 import Pid1  # noqa: PLC0415 - while the helper reads

        pid1 = Pid1(early, run_relay, run_control)
    except Exception as exc:  # no descriptors, no memory, a disk that cannot be read
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else repr(exc)
        if early is not None and early.state is not None:  # of the image before, programs run
            early.give_up(f"cannot take over from itself: {why}")
        message = f"initpy: cannot start: {why}\n"
        posix.write(2, message.encode(errors="replace"))
        posix._exit(1)
    sys.path_importer_cache.clear()  # what is imported later, in helpers, may look again
    posix._exit(pid1.run())


def _make_room() -> None:
    """Let go of what Python has loaded and neither PID 1 nor its helpers need, 60 kB: what is
    imported next takes its place."""
    for name in ("stdin", "stdout", "__stdin__", "__stdout__"):
        setattr(sys, name, None)
    aliases = sys.modules.get("encodings.aliases")
    if aliases is not None:  # utf-8, ascii and latin-1 are found without them
        aliases.aliases.clear()


def _refuse(text: str) -> NoReturn:
    """Say how it is to be written; ends the process with 2."""
    complete_python()
    from initpy.commands import refuse  # noqa: PLC0415

    refuse(text)
