"""Floor 5: the commands that run nothing, and mistakes: argparse, in a process that soon ends."""

from __future__ import annotations

import argparse
import shlex

from initpy import __version__
from initpy.cli import DEFAULT_CONFIG
from initpy.ctl.arguments import VERBS, add_verbs
from initpy.options import FLAGS, HELP, WITH_VALUE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

COMMANDS = ("run", "check", "convert", "replay", "upgrade", "hash-password", *VERBS)


def refuse(text: str) -> NoReturn:
    """Say how it is to be written; ends the process with 2."""
    _parser().error(text)


def dispatch(arguments: list[str]) -> int:
    _refuse_command_without_dashes(arguments)
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.config is not None:
        parser.error("-c FILE runs FILE, and goes with nothing else")
    if "convert" in options:
        from initpy.config import convert  # noqa: PLC0415

        return convert.main(options.convert)
    if "replay" in options:
        from initpy.ctl import replay  # noqa: PLC0415

        return replay.main(options.replay)
    if "verb" in options:
        from initpy.ctl import verbs  # noqa: PLC0415

        return verbs.run(options)
    if options.command == "hash-password":
        from initpy.ctl import hash_password  # noqa: PLC0415

        return hash_password.main()
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
    at = 0
    while at < len(arguments) and arguments[at].partition("=")[0] in (*FLAGS, *WITH_VALUE):
        at += 2 if arguments[at] in WITH_VALUE else 1
    before, behind = arguments[:at], arguments[at:]
    if behind and behind[0].startswith("-"):
        refuse(f"{behind[0]} is no option of initpy")
    command = f"{shlex.join(['initpy', *before])} -- {shlex.join(behind) or 'COMMAND'}"
    refuse(f"to run one command, write -- before it: {command}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="initpy",
        usage=f"initpy [-c FILE]          run the programs of FILE ({DEFAULT_CONFIG})\n"
        "       initpy [options] -- COMMAND   run one command\n"
        "       initpy run --program NAME=COMMAND [--program …] [--set KEY=VALUE …]\n"
        "                                run these programs, without a file\n"
        "       initpy check FILE        say what is wrong with FILE, and run nothing\n"
        "       initpy check --schema    print a JSON Schema of the file, for editors\n"
        "       initpy convert FILE      make TOML of a supervisord.conf or a Procfile\n"
        "       initpy replay FILE       say whether this initpy decides as the one in a trace\n"
        "       initpy upgrade           have a running initpy go on with the one installed now\n"
        "       initpy status, initpy start NAME, …   speak to a running initpy: see below",
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
        title="commands", required=True, metavar="COMMAND", dest="command", prog="initpy"
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
    replay = commands.add_parser(
        "replay",
        help="decide once more what a trace tells of (exit code 0: the same, 1: something else, 2:"
        " that is no trace)",
        usage="initpy replay FILE",
        description="FILE is what [init] trace has named while initpy ran.",
        allow_abbrev=False,
    )
    replay.add_argument("replay", metavar="FILE", help="the trace")
    upgrade = commands.add_parser(
        "upgrade",
        help="have a running initpy go on with the program that lies at its path now",
        usage="initpy upgrade [--pid PID]",
        allow_abbrev=False,
    )
    upgrade.add_argument("--pid", type=int, default=1, metavar="PID", help="of that initpy (1)")
    commands.add_parser(
        "hash-password",
        help="what the configuration can have in the place of a password",
        usage="initpy hash-password [<FILE]",
        description="It asks for the password, or reads the first line of its input.",
        allow_abbrev=False,
    )
    add_verbs(commands)
    return parser
