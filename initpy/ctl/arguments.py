"""The arguments of the verbs that speak to a running initpy."""

from __future__ import annotations

from initpy.ctl.actions import SHOWN_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser
    from typing import Any

_NAMES = "NAME, GROUP:NAME, GROUP:*, all, or a pattern such as 'worker-*'"

VERBS = {
    "status": "a table of the programs (exit code 3: one of them is stopped)",
    "start": "start programs, and wait until they are up",
    "stop": "stop programs, and wait until they are gone",
    "restart": "stop and start programs; --rolling: one after the other",
    "signal": "send programs a signal",
    "logs": "what programs have written, with their names before it",
    "tail": "the end of what one program, or initpy itself, has written, as it is",
    "events": "what happens to the programs, as it happens",
    "fg": "show what a program writes, until Ctrl-C",
    "health": "exit code 0 if all that matters is up, 1 if not: for HEALTHCHECK",
    "reread": "read the file again, and say what is different; nothing changes",
    "update": "read the file again, and start, stop or start anew the groups that are different",
    "reload": "read the file again, and do all that is different, as the signal HUP does",
    "add": "start a group that `reread` has found",
    "remove": "forget a group whose programs are stopped",
    "clear": "empty the log files of programs",
    "pid": "the pid of initpy, or of programs",
    "version": "the version of the initpy that runs",
    "shutdown": "stop everything, and initpy itself",
    "completion": "what a shell needs to complete all of this: bash, zsh or fish",
}
"""In the order of the help."""


def add_verbs(commands: Any) -> None:
    """Add them to a parser's subparsers."""
    parsers = {
        verb: commands.add_parser(verb, help=text, description=text, allow_abbrev=False)
        for verb, text in VERBS.items()
    }
    for verb, parser in parsers.items():
        parser.set_defaults(verb=verb)
        if verb != "completion":
            _add_server(parser)
    for verb in ("start", "stop", "restart", "clear"):
        parsers[verb].add_argument("names", nargs="+", metavar="NAME", help=_NAMES)
    for verb in ("status", "logs"):
        parsers[verb].add_argument("names", nargs="*", metavar="NAME", help=_NAMES)
    for verb in ("add", "remove"):
        parsers[verb].add_argument("names", nargs="+", metavar="GROUP")
    parsers["update"].add_argument("names", nargs="*", metavar="GROUP", help="only these")
    parsers["pid"].add_argument("names", nargs="*", metavar="NAME", help="NAME, GROUP:NAME, all")
    parsers["health"].add_argument(
        "names", nargs="*", metavar="NAME", help="these, in place of the critical ones"
    )
    parsers["signal"].add_argument("signal", metavar="SIGNAL", help="HUP, SIGHUP, or a number")
    parsers["signal"].add_argument("names", nargs="+", metavar="NAME", help=_NAMES)
    parsers["restart"].add_argument(
        "--rolling",
        action="store_true",
        help="one process after the other, the next only when the last is RUNNING",
    )
    _add_looks(parsers)


def _add_looks(parsers: dict[str, Any]) -> None:
    status = parsers["status"]
    status.add_argument("--json", action="store_true", help="as JSON, in one line")
    status.add_argument(
        "--watch",
        nargs="?",
        type=_seconds,
        const=2.0,
        metavar="SECONDS",
        help="again and again (2 seconds); CPU is then that since the last time",
    )
    status.add_argument(
        "--names", action="store_true", dest="names_only", help="only the names, one on a line"
    )
    tail = parsers["tail"]
    tail.add_argument(
        "name", nargs="?", metavar="NAME", help="NAME or GROUP:NAME; initpy's own log if missing"
    )
    tail.add_argument("channel", nargs="?", choices=("stdout", "stderr"), default="stdout")
    tail.add_argument("-f", "--follow", action="store_true", help="go on as more comes")
    tail.add_argument(
        "-c",
        "--bytes",
        type=int,
        default=SHOWN_BYTES,
        metavar="N",
        help=f"how many ({SHOWN_BYTES})",
    )
    logs = parsers["logs"]
    logs.add_argument("-f", "--follow", action="store_true", help="go on as more comes")
    logs.add_argument(
        "-n", "--lines", type=int, default=10, metavar="N", help="how many of each (10)"
    )
    parsers["fg"].add_argument("name", metavar="NAME", help="NAME or GROUP:NAME")
    parsers["events"].add_argument("--json", action="store_true", help="as JSON, one on a line")
    parsers["completion"].add_argument("shell", choices=("bash", "zsh", "fish"))


def _add_server(parser: ArgumentParser) -> None:
    parser.add_argument(
        "-s",
        "--socket",
        metavar="WHERE",
        help="a path, unix://PATH or http://HOST:PORT, in place of this container's own",
    )
    parser.add_argument("-u", "--user", metavar="NAME", help="whom to say that one is")
    parser.add_argument("-p", "--password", metavar="PASSWORD", help="and with what password")


def _seconds(text: str) -> float:
    seconds = float(text)
    if not seconds >= 0.1:
        raise ValueError
    return seconds
