"""Floor 5: argument parsing and dispatch.

`initpy -c FILE` is what runs as PID 1. It is recognised here by hand, because argparse would cost
PID 1 more memory than its own code; everything else, mistakes included, goes to argparse, in a
process that lives for a moment.
"""

from __future__ import annotations

import sys

from initpy.linux import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import NoReturn

    from initpy.logplan import LogPlan

DEFAULT_CONFIG = "/etc/initpy.toml"


def main() -> NoReturn:
    """The `initpy` command. Ends the process; the exit codes are in the README."""
    mask = signals.block_all()  # from here on, no signal is lost: those that come wait
    arguments = sys.argv[1:]
    path = _config_path(arguments)
    if path is not None:
        _run(path, mask)
    signals.set_mask(mask)
    sys.exit(_dispatch(arguments))


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


def _run(path: str, mask: tuple[int, ...]) -> NoReturn:
    """Be PID 1, with as little in memory as that takes."""
    import gc  # noqa: PLC0415
    import posix  # noqa: PLC0415

    from initpy.early import Early  # noqa: PLC0415

    def read_config(fd: int) -> int:
        from initpy.config.helper import send_plan  # noqa: PLC0415 - in the helper only

        return send_plan(path, fd)

    def run_relay(plan: LogPlan, report_fd: int) -> int:
        from initpy.logs.relay import run  # noqa: PLC0415 - in the helper only

        return run(plan, report_fd)

    gc.disable()  # while so much is made that stays, looking for what does not is wasted time
    try:
        early = Early(read_config, mask)
        from initpy.pid1 import Pid1  # noqa: PLC0415 - while the helper reads

        pid1 = Pid1(early, run_relay)
    except OSError as exc:  # no descriptors, no memory: before anything has been started
        message = f"initpy: cannot start: {exc.strerror}\n"
        posix.write(2, message.encode(errors="replace"))
        posix._exit(1)
    sys.path_importer_cache.clear()  # what is imported later, in helpers, may look again
    gc.freeze()  # nor is it looked at later, which would have the kernel copy it at each fork
    gc.enable()
    posix._exit(pid1.run())


def _dispatch(arguments: list[str]) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.config is not None:
        parser.error("-c FILE runs FILE, and goes with nothing else")
    from initpy.config import check  # noqa: PLC0415

    if options.schema:
        return check.print_schema()
    return check.main(options.file)


def _parser() -> argparse.ArgumentParser:
    import argparse  # noqa: PLC0415

    from initpy import __version__  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="initpy",
        usage=f"initpy [-c FILE]          run the programs of FILE ({DEFAULT_CONFIG})\n"
        "       initpy check FILE        say what is wrong with FILE, and run nothing\n"
        "       initpy check --schema    print a JSON Schema of the file, for editors",
        description="The init that runs as PID 1 in a container and supervises the programs in it.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"initpy {__version__}")
    parser.add_argument(
        "-c", "--config", metavar="FILE", help="the TOML file that names the programs"
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    check = commands.add_parser(
        "check",
        help="say what is wrong with a file (exit code 0: nothing, 2: something)",
        usage="initpy check FILE | initpy check --schema",
        allow_abbrev=False,
    )
    what = check.add_mutually_exclusive_group(required=True)
    what.add_argument("file", nargs="?", metavar="FILE", help="the TOML file")
    what.add_argument("--schema", action="store_true", help="print the JSON Schema instead")
    return parser
