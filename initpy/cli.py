"""Floor 5: argument parsing and dispatch.

What runs as PID 1 is recognised here by hand, because argparse would cost PID 1 more memory than
its own code: `initpy -c FILE`, `initpy run …`, `initpy [options] -- COMMAND`, and the names of
other inits. Everything else, mistakes included, goes to argparse, in a process that lives for a
moment.
"""

from __future__ import annotations

import sys

from initpy.linux.native import complete_python, mask_at_exec

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    import signal as _signal
    from collections.abc import Callable
    from typing import NoReturn

    from initpy.logplan import LogPlan
else:
    import _signal

DEFAULT_CONFIG = "/etc/initpy.toml"

COMMANDS = ("run", "check", "convert", "upgrade")

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
    if _is_one_command(arguments):
        _run_one(arguments, mask)
    if arguments[:1] == ["run"] and not {"-h", "--help"} & set(arguments):
        _run_arguments(arguments[1:], mask)
    path = _config_path(arguments)
    if path is not None:
        _run_file(path, mask)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)
    complete_python()
    sys.exit(_dispatch(arguments))


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


def _run_file(path: str, mask: tuple[int, ...]) -> NoReturn:
    """Be PID 1 for the programs of a file."""

    def read_config(fd: int) -> int:
        from initpy.config.helper import send_plan  # noqa: PLC0415 - in the helper only

        return send_plan(path, fd)

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

    from initpy.early import Early  # noqa: PLC0415

    # PID 1 makes no reference cycles (a test looks for them). To look for them here would write to
    # every object, and so have the kernel copy most of the memory at the next fork.
    gc.disable()

    def run_relay(plan: LogPlan, report_fd: int) -> int:
        complete_python()
        from initpy.logs.relay import run  # noqa: PLC0415 - in the helper only

        return run(plan, report_fd)

    try:
        early = Early(read_config, mask)
        sys.path_importer_cache.clear()  # 200 names of the standard library; room for what follows
        from initpy.pid1 import Pid1  # noqa: PLC0415 - while the helper reads

        pid1 = Pid1(early, run_relay)
    except OSError as exc:  # no descriptors, no memory: before anything has been started
        message = f"initpy: cannot start: {exc.strerror}\n"
        posix.write(2, message.encode(errors="replace"))
        posix._exit(1)
    sys.path_importer_cache.clear()  # what is imported later, in helpers, may look again
    posix._exit(pid1.run())


def _refuse(text: str) -> NoReturn:
    """Say how it is to be written; ends the process with 2."""
    _parser().error(text)


def _dispatch(arguments: list[str]) -> int:
    _refuse_command_without_dashes(arguments)
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.config is not None:
        parser.error("-c FILE runs FILE, and goes with nothing else")
    if "convert" in options:
        from initpy.config import convert  # noqa: PLC0415

        return convert.main(options.convert)
    if options.command == "upgrade":
        from initpy.ctl import upgrade  # noqa: PLC0415

        return upgrade.main(options.pid)
    from initpy.config import check  # noqa: PLC0415

    if options.schema:
        return check.print_schema()
    return check.main(options.file)


def _refuse_command_without_dashes(arguments: list[str]) -> None:
    """Nobody has to guess that a command comes after `--` here, and is none of initpy's own."""
    if arguments[0] in (*COMMANDS, "-h", "--help", "--version"):
        return
    if arguments[0].startswith(("-c", "--config")):
        return
    from initpy.options import FLAGS, WITH_VALUE  # noqa: PLC0415

    at = 0
    while at < len(arguments) and arguments[at].partition("=")[0] in (*FLAGS, *WITH_VALUE):
        at += 2 if arguments[at] in WITH_VALUE else 1
    before, behind = arguments[:at], arguments[at:]
    if behind and behind[0].startswith("-"):
        _refuse(f"{behind[0]} is no option of initpy")
    import shlex  # noqa: PLC0415

    command = f"{shlex.join(['initpy', *before])} -- {shlex.join(behind) or 'COMMAND'}"
    _refuse(f"to run one command, write -- before it: {command}")


def _parser() -> argparse.ArgumentParser:
    complete_python()
    import argparse  # noqa: PLC0415

    from initpy import __version__  # noqa: PLC0415
    from initpy.options import HELP  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="initpy",
        usage=f"initpy [-c FILE]          run the programs of FILE ({DEFAULT_CONFIG})\n"
        "       initpy [options] -- COMMAND   run one command\n"
        "       initpy run --program NAME=COMMAND [--program …] [--set KEY=VALUE …]\n"
        "                                run these programs, without a file\n"
        "       initpy check FILE        say what is wrong with FILE, and run nothing\n"
        "       initpy check --schema    print a JSON Schema of the file, for editors\n"
        "       initpy convert FILE      make TOML of a supervisord.conf or a Procfile\n"
        "       initpy upgrade           have a running initpy go on with the one installed now",
        description="The init that runs as PID 1 in a container and supervises the programs in it.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"initpy {__version__}")
    parser.add_argument(
        "-c", "--config", metavar="FILE", help="the TOML file that names the programs"
    )
    commands = parser.add_subparsers(
        title="commands", required=True, metavar="COMMAND", dest="command"
    )
    run = commands.add_parser(
        "run",
        help="run programs without a file",
        usage="initpy run --program NAME=COMMAND [--program …] [--set KEY=VALUE …]",
        description="Each KEY is one of the file, with all its sections: program.web.startsecs=2,"
        " init.shutdown_timeout=20.",
        allow_abbrev=False,
    )
    run.add_argument("--program", metavar="NAME=COMMAND", help="a program to run; may be repeated")
    run.add_argument(
        "--set", metavar="KEY=VALUE", help="what a file would have as KEY = VALUE; may be repeated"
    )
    check = commands.add_parser(
        "check",
        help="say what is wrong with a file (exit code 0: nothing, 2: something)",
        usage="initpy check FILE | initpy check --schema",
        allow_abbrev=False,
    )
    what = check.add_mutually_exclusive_group(required=True)
    what.add_argument("file", nargs="?", metavar="FILE", help="the TOML file")
    what.add_argument("--schema", action="store_true", help="print the JSON Schema instead")
    convert = commands.add_parser(
        "convert",
        help="make TOML of a supervisord.conf or a Procfile, and print it",
        usage="initpy convert FILE > initpy.toml",
        allow_abbrev=False,
    )
    convert.add_argument("convert", metavar="FILE", help="the supervisord.conf or Procfile")
    upgrade = commands.add_parser(
        "upgrade",
        help="have a running initpy go on with the program that lies at its path now",
        usage="initpy upgrade [--pid PID]",
        allow_abbrev=False,
    )
    upgrade.add_argument("--pid", type=int, default=1, metavar="PID", help="of that initpy (1)")
    return parser
