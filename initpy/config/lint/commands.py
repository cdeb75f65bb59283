"""What a command line comes to: the commands behind wrappers (`env`, `gosu`) and `sh -c`."""

from __future__ import annotations

from initpy.core.values import Value, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.config.lint.shell import Script

MAX_LAYERS = 8
"""Wrappers in wrappers."""

MAX_WORDS = 500
"""Of a command line; those behind are not looked at."""

MAX_COMMANDS = 50
"""In a script."""


class Command(Value):
    """A command at the heart of a command line."""

    words: tuple[str, ...]
    is_busybox: bool = False
    is_last: bool = True
    """In a script: nothing comes after it."""

    @property
    def name(self) -> str:
        return base_name(self.words[0])


class Layer(Value):
    """What is around a command: the command line of a wrapper, or of a shell with a script."""

    words: tuple[str, ...]
    script: str | None = None
    flat: Script | None = None
    """The same, if it is a flat list of commands."""

    @property
    def name(self) -> str:
        return base_name(self.words[0])


class Reading(Value):
    commands: tuple[Command, ...]
    layers: tuple[Layer, ...]
    """From the outermost to the innermost."""


SHELLS = frozenset(("sh", "bash", "dash", "ash", "ksh", "mksh", "zsh"))

_EXEC_ALL = frozenset(
    ("docker-entrypoint.sh", "docker-entrypoint", "docker-php-entrypoint", "entrypoint.sh")
)
"""Scripts that by custom execute their arguments."""

_RUNNERS = frozenset(
    (
        ("bundle", "exec"),
        ("hatch", "run"),
        ("pdm", "run"),
        ("pipenv", "run"),
        ("poetry", "run"),
        ("rye", "run"),
        ("uv", "run"),
    )
)

_WRAPPERS: dict[str, tuple[str, str, int]] = {
    "catatonit": ("", "", 0),
    "chpst": ("uUbenmdofcrtlLpC/", "", 0),
    "chroot": ("", "", 1),
    "chrt": ("TPD", "", 1),
    "command": ("", "", 0),
    "dumb-init": ("r", "rewrite", 0),
    "env": ("uC", "unset chdir", 0),
    "envdir": ("", "", 1),
    "exec": ("a", "", 0),
    "gosu": ("", "", 1),
    "ionice": ("cnp", "class classdata", 0),
    "nice": ("n", "adjustment", 0),
    "nohup": ("", "", 0),
    "numactl": ("NmCipP", "", 0),
    "s6-setuidgid": ("", "", 1),
    "setpriv": (
        "",
        "ruid euid rgid egid reuid regid groups inh-caps ambient-caps bounding-set securebits "
        "pdeathsig selinux-label apparmor-profile",
        0,
    ),
    "setsid": ("", "", 0),
    "setuidgid": ("", "", 1),
    "stdbuf": ("ioe", "input output error", 0),
    "su-exec": ("", "", 1),
    "sudo": ("ugpCDhRrTt", "user group chdir host", 0),
    "taskset": ("", "", 1),
    "time": ("fo", "format output", 0),
    "timeout": ("ks", "kill-after signal", 1),
    "tini": ("pe", "", 0),
    "tini-static": ("pe", "", 0),
    "unbuffer": ("", "", 0),
    "with-contenv": ("", "", 0),
}
"""Commands that execute another, which is a part of their own command line: the letters of their
options with an argument, the long ones where that may be the next word, and how many words of
their own they have between the options and the command."""


def read(words: tuple[str, ...], layers: tuple[Layer, ...] = ()) -> Reading:
    """What `words` come to, inside of `layers`."""
    words = words[:MAX_WORDS]
    while words and len(layers) < MAX_LAYERS:
        inner, script = _peeled(words)
        if script is not None:
            return _read_script(words, script, layers)
        if inner is words:
            is_busybox = bool(layers) and layers[-1].name == "busybox"
            return Reading((Command(words, is_busybox),), layers)
        layers = (*layers, Layer(words))
        words = inner
    return Reading((), layers)


def base_name(word: str) -> str:
    return word[word.rfind("/") + 1 :]


def is_assignment(word: str) -> bool:
    """`NAME=value`, which sets a variable at the beginning of a shell's command."""
    name, equals, _ = word.partition("=")
    return bool(equals) and name.isidentifier() and name.isascii()


def without_assignments(words: tuple[str, ...]) -> tuple[str, ...]:
    at = 0
    while at < len(words) and is_assignment(words[at]):
        at += 1
    return words[at:]


def script_of(words: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """The script that a shell is given with -c, and the words after it; None: it is given none."""
    has_c, at = False, 1
    while at < len(words) and words[at][:1] in "-+" and len(words[at]) > 1:
        word = words[at]
        at += 1
        if word == "--":
            break
        if not word.startswith("--"):
            has_c = has_c or "c" in word
            at += word.count("o")  # set -o takes a name
    return (words[at], words[at + 1 :]) if has_c and at < len(words) else (None, ())


def user_of_su(words: tuple[str, ...]) -> str:
    """Whom su or runuser makes the user; empty: root."""
    for at, word in enumerate(words[:-1]):
        if word in ("-u", "--user"):
            return words[at + 1]
    _, operands = _su(words)
    return operands[0] if operands and operands[0] != "-" else ""


def _peeled(words: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    """The command line inside of `words`, or the script; `words` itself if nothing is around it."""
    name = base_name(words[0])
    if name in _WRAPPERS:
        if name == "env":
            words = _split_env(words)
        inner = words[_end_of_options(words, *_WRAPPERS[name]) :]
        while inner and is_assignment(inner[0]) and name in ("env", "sudo"):
            inner = inner[1:]
        return inner, None
    if name in SHELLS:
        script, _ = script_of(words)
        return words, script
    if name in ("su", "runuser"):
        return _peeled_su(words)
    if name == "busybox" and len(words) > 1:
        return words[1:], None
    if name.startswith(("python", "pypy")):
        return _peeled_python(words), None
    if name == "start-stop-daemon":
        return _peeled_start_stop_daemon(words), None
    if name in _EXEC_ALL and len(words) > 1 and not words[1].startswith("-"):
        return words[1:], None
    if (name, *words[1:2]) in _RUNNERS and len(words) > 2:
        inner = words[3:] if words[2] == "--" else words[2:]
        return (inner, None) if inner and not inner[0].startswith("-") else (words, None)
    return words, None


def _end_of_options(words: tuple[str, ...], short: str, long: str, operands: int = 0) -> int:
    at = 1
    while at < len(words) and words[at].startswith("-") and len(words[at]) > 1:
        word = words[at]
        at += 1
        if word.startswith("--"):
            at += word[2:] in long.split()
            continue
        for number, letter in enumerate(word[1:], 2):
            if letter in short:
                at += number == len(word)
                break
    return at + operands


def _split_env(words: tuple[str, ...]) -> tuple[str, ...]:
    """`env -S "A=b cmd"` as env without -S."""
    for at, word in enumerate(words[1:], 1):
        if word in ("-S", "--split-string") and at + 1 < len(words):
            return (*words[:at], *words[at + 1].split(), *words[at + 2 :])
        if word.startswith(("-S", "--split-string=")):
            text = word.removeprefix("-S").removeprefix("--split-string=")
            return (*words[:at], *text.split(), *words[at + 1 :])
        if not word.startswith("-"):
            break
    return words


def _peeled_su(words: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    script, _ = _su(words)
    if script is not None:
        return words, script
    if "-u" in words or "--user" in words:
        return words[_end_of_options(words, "ugG", "user group supp-group") :], None
    return (), None


def _su(words: tuple[str, ...]) -> tuple[str | None, list[str]]:
    """The script that su is given with -c, and its operands: the user, and words for the shell."""
    script, operands, at = None, [], 1
    while at < len(words):
        word = words[at]
        at += 1
        name, equals, value = word.partition("=")
        if word == "-c" or word in ("--command", "--session-command"):
            script = words[at] if at < len(words) else None
            at += 1
        elif name in ("--command", "--session-command") and equals:
            script = value
        elif word in ("-s", "-g", "-G", "-w", "--shell", "--group", "--supp-group"):
            at += 1
        elif not word.startswith("-"):
            operands.append(word)
    return script, operands


def _peeled_python(words: tuple[str, ...]) -> tuple[str, ...]:
    """`python -m celery …` and `python /usr/bin/celery …` as `celery …`."""
    at = 1
    while at < len(words) and words[at].startswith("-") and len(words[at]) > 1:
        letters = words[at][1:]
        at += 1
        if words[at - 1].startswith("--"):
            continue
        for number, letter in enumerate(letters, 1):
            if letter == "c":
                return words
            if letter == "m":
                module = letters[number:] or "".join(words[at : at + 1])
                after = words[at:] if letters[number:] else words[at + 1 :]
                return (module.rpartition(".")[2], *after) if module else words
            if letter in "WX":
                at += number == len(letters)
                break
    is_script = at < len(words) and not words[at].endswith(".py") and words[at] != "-"
    return words[at:] if is_script else words


def _peeled_start_stop_daemon(words: tuple[str, ...]) -> tuple[str, ...]:
    """What it executes, unless it does that in the background."""
    own = words[: words.index("--")] if "--" in words else words
    found: dict[str, str] = {}
    for word, following in zip(own, (*own[1:], ""), strict=True):
        name, equals, value = word.partition("=")
        if word == "--background" or (word[:1] == "-" and word[1:2] != "-" and "b" in word):
            return words
        if name in ("-x", "--exec", "-a", "--startas"):
            found[name.lstrip("-")[0]] = value if equals else following
    command = found.get("s") or found.get("a") or found.get("e") or found.get("x")
    return (command, *words[len(own) + 1 :]) if command else words


def _read_script(words: tuple[str, ...], text: str, layers: tuple[Layer, ...]) -> Reading:
    """What comes to be of a shell's `words` with a script."""
    from initpy.config.lint.shell import script  # noqa: PLC0415 - few programs need a shell

    flat = script(text)
    layers = (*layers, Layer(words, text, flat))
    if flat is None:
        return Reading((), layers)
    commands: list[Command] = []
    last = len(flat.commands) - 1
    for number, simple in enumerate(flat.commands[:MAX_COMMANDS]):
        inner = read(without_assignments(simple), layers)
        if number == last:
            commands += inner.commands
            layers = inner.layers
        else:
            commands += [replace(command, is_last=False) for command in inner.commands]
    return Reading(tuple(commands), layers)
