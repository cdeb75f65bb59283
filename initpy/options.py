"""Floor 2: the options of `initpy [options] -- COMMAND`, read by hand in what becomes PID 1."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Sequence

    from initpy.single import OneCommand
else:
    import _signal

FLAGS = ("--group", "--no-session", "--subreaper", "--verbose", "--warn-on-reap")
WITH_VALUE = ("--kill-after", "--map-exit", "--pdeathsig", "--rewrite")

HELP = """\
options of initpy [options] -- COMMAND:
  --group               pass signals on to the command's process group, not to the command alone
  --kill-after SECONDS  what the command leaves behind gets TERM, and so much later KILL
                        (default: 5; 0: KILL at once)
  --map-exit CODE[:TO]  exit with TO (default: 0) when the command's exit code is CODE
  --no-session          leave the command in initpy's own session and process group
  --pdeathsig SIGNAL    get this signal, and pass it on, when initpy's parent dies
  --rewrite SIGNAL:TO   pass on TO in place of SIGNAL; TO 0: do not pass it on
  --subreaper           when not PID 1: fail if orphans cannot be adopted, not merely warn
  --verbose             say on stderr what is done
  --warn-on-reap        say on stderr which orphans have been reaped
--map-exit and --rewrite may be repeated; a SIGNAL is a name or a number.
"""


class UsageError(Exception):
    """The command line cannot be understood; the text says why."""


def parse(arguments: Sequence[str], command: OneCommand) -> None:
    """Set the command up as the options, those before `--`, say.

    Raises:
        UsageError: one of them is wrong.
    """
    left = list(arguments)
    while left:
        word = left.pop(0)
        name, is_joined, value = word.partition("=")
        if name in FLAGS:
            if is_joined:
                raise UsageError(f"{name} takes no value")
            _set_flag(name, command)
        elif name in WITH_VALUE:
            if not is_joined:
                if not left:
                    raise UsageError(f"{name} needs a value")
                value = left.pop(0)
            _set(name, value, command)
        elif word.startswith("-"):
            raise UsageError(f"{name} is no option of initpy [options] -- COMMAND")
        else:
            raise UsageError(f"{word!r} stands before --: what is to be run comes after it")


def _set_flag(name: str, command: OneCommand) -> None:
    if name == "--group":
        command.to_group = True
    elif name == "--no-session":
        command.own_session = False
    elif name == "--subreaper":
        command.needs_subreaper = True
    elif name == "--verbose":
        command.is_verbose = True
    else:
        command.warns_on_reap = True


def _set(name: str, value: str, command: OneCommand) -> None:
    if name == "--pdeathsig":
        command.pdeathsig = _signal_number(name, value)
    elif name == "--rewrite":
        signum, colon, to = value.partition(":")
        if not colon:
            raise UsageError(f"{name} expects SIGNAL:TO, not {value!r}")
        sent = 0 if to == "0" else _signal_number(name, to)
        command.rewrites[_signal_number(name, signum)] = sent
    elif name == "--map-exit":
        code, colon, to = value.partition(":")
        command.exit_codes[_code(name, code)] = _code(name, to) if colon else 0
    else:
        command.kill_after_s = _seconds(name, value)


def _signal_number(name: str, text: str) -> int:
    """15 for TERM, SIGTERM or 15."""
    found = None
    if len(text) < 4 and text.isascii() and text.isdigit():
        found = int(text)
    elif text.isascii() and text.isalnum():
        found = getattr(_signal, f"SIG{text.upper().removeprefix('SIG')}", None)
    if not isinstance(found, int) or found not in _signal.valid_signals():
        raise UsageError(f"{name} expects a signal such as TERM, SIGTERM or 15, not {text!r}")
    return int(found)


def _code(name: str, text: str) -> int:
    if not (len(text) < 4 and text.isascii() and text.isdigit() and int(text) <= 255):
        raise UsageError(f"{name} expects exit codes from 0 to 255, not {text!r}")
    return int(text)


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86400:
        raise UsageError(f"{name} expects seconds, from 0 to 86400, not {text!r}")
    return seconds
