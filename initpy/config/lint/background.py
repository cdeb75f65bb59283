"""Commands that leave the foreground: what they are told, by their words or in their files."""

from __future__ import annotations

import itertools
import os

from initpy.config.lint.commands import SHELLS, script_of, user_of_su, without_assignments
from initpy.config.lint.configs import LEAVES, SILENT, verdict
from initpy.config.lint.daemons import daemon_of
from initpy.config.lint.files import shown_path
from initpy.config.lint.options import Options
from initpy.config.problems import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from initpy.config.lint.commands import Command, Layer, Reading
    from initpy.config.lint.daemons import Daemon
    from initpy.config.lint.files import Files

_PREPARES = frozenset(
    [".", ":", "cd", "export", "set", "source", "test", "true", "ulimit", "umask", "unset", "["]
)
"""What a shell does itself before a command, which then can take the shell's place."""

_OWN = _PREPARES | frozenset(
    ["echo", "eval", "exec", "exit", "false", "printf", "read", "return", "shift", "trap", "wait"]
)
"""What a shell does itself."""


def left_foreground(reading: Reading, directory: bytes, files: Files) -> Iterator[str]:
    """What is wrong with each command that puts itself in the background."""
    for command in reading.commands:
        found = daemon_of(command)
        if found is None:
            continue
        daemon, arguments = found
        cause = _cause(daemon, command, arguments, directory, files)
        if cause is None:
            continue
        if daemon.starts_another:
            does = f"{_name(command.words[0])} starts a program in the background"
        else:
            does = f"{cause}{_name(command.name)} puts itself in the background"
        if command.is_last:
            does += ", and initpy sees it end; to keep it in the foreground"
        else:
            does += (
                ", where initpy does not see it; give it a [program.NAME] of its own, and to keep "
                "it in the foreground there"
            )
        yield f"{does}: {daemon.foreground}"


def misused(reading: Reading) -> Iterator[str]:
    """Words with which a known command ends with an error, or is another than it seems."""
    for layer in reading.layers:
        _, operands = script_of(layer.words)
        if layer.name in SHELLS and operands and "$" not in str(layer.script):
            yield (
                f"the shell runs no more than {shown(layer.script)}, for its -c takes one word: "
                "quote all that is meant"
            )
            return
    for command in reading.commands:
        words = command.words
        if command.name == "sshd" and not words[0].startswith("/"):
            yield "sshd refuses to run unless it is called by its whole path: /usr/sbin/sshd"
        if command.name in ("nginx", "openresty") and "-g" in words[:-1]:
            value = words[words.index("-g") + 1].strip()
            if value in ("daemon", "daemon off"):
                yield "nginx takes what follows -g as one word with a semicolon: 'daemon off;'"


def behind_layers(reading: Reading, path: bytes) -> Iterator[str]:
    """What the wrappers around a command do to it; `path` is where the first of them is."""
    name = _name(reading.commands[-1].name) if reading.commands else "the command"
    for layer in reading.layers:
        if layer.name == "nohup":
            yield f"nohup makes {name} ignore HUP, and does nothing else here: leave nohup out"
        elif layer.name == "setsid":
            yield from _setsid(layer, name)
        elif layer.name in ("su", "runuser") and _real_name(path) != b"busybox":
            user = shown(user_of_su(layer.words) or "root")
            yield (
                f"{layer.name} passes on no signal but TERM, and kills {name} 2 s after that: "
                f"leave it out, and set user = {user}"
            )
    from initpy.config.lint.shell import ends_in_background  # noqa: PLC0415

    for layer in reading.layers:
        if layer.script is not None and ends_in_background(layer.script):
            yield (
                'the "&" at the end puts it in the background, the shell ends, and initpy takes '
                'that for the end of the program: leave the "&" out'
            )
            return


def shell_in_front(reading: Reading, path: bytes) -> Iterator[str]:
    """A shell that stays where the command could be, and gets its signals; `path` as above."""
    flat = reading.layers[0].flat
    if flat is None or not flat.commands or flat.joints[-1] not in ("", ";", "\n"):
        return
    *before, last = flat.commands
    last = without_assignments(last)
    if not last or last[0] in _OWN or any(words[0] not in _PREPARES for words in before):
        return
    if any(joint not in ("&&", ";", "\n") for joint in flat.joints[:-1]):
        return
    real = _real_name(path)
    # Debian's sh never leaves its place to the last command by itself; bash does, unless it is
    # redirected; busybox and the others always do.
    if real == b"dash" or (real == b"bash" and flat.is_redirected):
        name = _name(last[0])
        yield (
            f"the shell stays in front of {name}, and signals end the shell alone: write exec "
            f"before {name}"
        )


def _cause(
    daemon: Daemon, command: Command, arguments: tuple[str, ...], directory: bytes, files: Files
) -> str | None:
    """Why it leaves the foreground, as the beginning of a sentence; None: it does not."""
    options = Options(arguments, daemon.short)
    if options.has(daemon.once) or options.has(daemon.stays):
        return None
    if word := options.has(daemon.leaves):
        return f"with {word}, "
    if daemon.config is not None:
        name = command.name
        digits = name.strip("abcdefghijklmnopqrstuvwxyz-")
        said, file = verdict(daemon.config, digits, options, directory, files)
        if said == LEAVES:
            return f"as {shown_path(file)} says, " if file else ""
        if said != SILENT:
            return None
    if daemon.leaves:
        return None
    return f"{daemon.unless}, " if daemon.unless else ""


def _real_name(path: bytes) -> bytes:
    """The name of the program at `path`: what sh is, differs."""
    return os.path.basename(os.path.realpath(path))


def _name(word: str) -> str:
    return shown(word)[1:-1]


def _setsid(layer: Layer, name: str) -> Iterator[str]:
    own = itertools.takewhile(lambda word: word.startswith("-"), layer.words[1:])
    if Options(tuple(own)).has("-w --wait"):
        yield f"setsid stays in front of {name}, and signals end setsid alone: leave setsid out"
    else:
        yield (
            f"setsid puts {name} in the background, and initpy sees it end; it already has a "
            "session of its own: leave setsid out"
        )
