"""Programs that their stop signals do not stop."""

from __future__ import annotations

import os

from initpy.config.lint.configs import directives, included
from initpy.config.lint.daemons import daemon_of
from initpy.config.lint.files import encoded
from initpy.config.lint.options import Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from initpy.config.lint.commands import Command
    from initpy.config.lint.files import Files
    from initpy.plan import ProcessSpec

_DEAF = {
    "apachectl": ("WINCH", "execute apache2 itself"),
    "dnsmasq": ("HUP USR1 USR2", "use TERM"),
    "gunicorn": ("HUP TTIN TTOU USR1 USR2 WINCH", "use TERM"),
    "haproxy": ("HUP USR2", "use USR1 or TERM"),
    "httpd": ("HUP USR1", "use WINCH or TERM"),
    "mariadbd-safe": ("HUP INT QUIT TERM", "execute mariadbd itself"),
    "mysqld": ("HUP", "use TERM"),
    "mysqld_safe": ("HUP INT QUIT TERM", "execute mysqld itself"),
    "nginx": ("HUP USR1 USR2 WINCH", "use QUIT or TERM"),
    "php-fpm": ("USR1 USR2", "use QUIT or TERM"),
    "postgres": ("HUP USR1 USR2", "use INT"),
    "redis-server": ("HUP", "use TERM"),
    "rsyslogd": ("HUP", "use TERM"),
    "uwsgi": ("HUP USR1 USR2", "use QUIT or INT"),
}
"""By the first name in a daemon's row, or its own: the signals it does not end on, and the way
out."""

_FALSE = ("0", "false", "no", "off")

_OTHER_LANGUAGES = (".xml", ".yml", ".yaml", ".json", ".js", ".lua", ".sqlite")

_NOT_FOLLOWED = ("config", "for", "include", "inherit", "json", "xml", "yaml")
"""Settings of an ini file that can bring others with them."""

_MAX_INI_FILES = 8


def not_stopped(
    spec: ProcessSpec, command: Command, environ: Mapping[str, str], files: Files
) -> Iterator[str]:
    """What is wrong with the stop signals of a command; at most one thing."""
    found = daemon_of(command)
    name = found[0].names.split()[0] if found else command.name
    signals = {_name_of(signum) for signum, _ in spec.stopsteps}
    deaf, advice = _DEAF.get(name, ("", ""))
    if name == "uwsgi" and _reloads_on_term(spec, command, environ, files):
        deaf += " TERM"
        if signals == {"TERM"}:
            yield (
                "TERM makes uWSGI reload, not stop: set die-on-term = true in its configuration, "
                'or stopsignal = "QUIT"'
            )
            return
    if signals <= set(deaf.split()):
        yield f"{command.name} does not end on {' and '.join(sorted(signals))}: {advice}"
    elif name in ("postgres", "postmaster", "pg_ctlcluster") and signals == {"TERM"}:
        yield (
            "on TERM, postgres waits until every client has left, and is killed if one does not: "
            'set stopsignal = "INT"'
        )


def _name_of(signum: int) -> str:
    import signal  # noqa: PLC0415

    try:
        return signal.Signals(signum).name.removeprefix("SIG")
    except ValueError:  # a real-time signal
        return str(signum)


def _reloads_on_term(
    spec: ProcessSpec, command: Command, environ: Mapping[str, str], files: Files
) -> bool:
    """uWSGI has a master, and nothing in what can be read makes that end on TERM; what cannot be
    read may."""
    inherited = {} if spec.clean_environment else environ
    own = {key.decode("utf-8", "replace"): value for key, value in spec.environment}
    settings: dict[str, str] = {}
    for name in ("UWSGI_MASTER", "UWSGI_DIE_ON_TERM", "UWSGI_INI"):
        if name in own:
            settings[name] = own[name].decode("utf-8", "surrogateescape")
        elif name in inherited:
            settings[name] = inherited[name]
    daemon = daemon_of(command)
    if daemon is None:
        return False
    options = Options(command.words[1:], daemon[0].short)
    if options.has("--xml --yaml --json -x -y -j --config --include --inherit --emperor-vassal"):
        return False
    if any(word.endswith(_OTHER_LANGUAGES) for word in options.operands):
        return False
    named = [*options.values("--ini"), *(word for word in options.operands if ".ini" in word)]
    named += [settings["UWSGI_INI"]] if "UWSGI_INI" in settings else []
    found: list[tuple[str, str]] = []
    for name in dict.fromkeys(named):
        more = _ini(name, spec.directory, files)
        if more is None:
            return False
        found += more
    is_master = bool(options.has("-M --master")) or _is_true(settings.get("UWSGI_MASTER", "0"))
    is_master = is_master or any(key == "master" and _is_true(value) for key, value in found)
    dies = bool(options.has("--die-on-term")) or "UWSGI_DIE_ON_TERM" in settings
    dies = dies or any(key == "die-on-term" and _is_true(value) for key, value in found)
    hooks = options.values("--hook-master-start")
    hooks += [value for key, value in found if key == "hook-master-start"]
    return is_master and not dies and not any("unix_signal:15 " in hook for hook in hooks)


def _ini(name: str, directory: bytes, files: Files) -> list[tuple[str, str]] | None:
    """The settings in an ini file (`FILE`, or `FILE:SECTION`) and in those it names; None: they
    cannot all be known."""
    found: list[tuple[str, str]] = []
    waiting = [(name, directory)]
    for _ in range(_MAX_INI_FILES):
        if not waiting:
            return found
        name, base = waiting.pop()
        path, _, section = name.partition(".ini:")
        full = os.path.join(base, encoded(f"{path}.ini" if section else path))
        text, is_whole = files.text(full)
        if not is_whole:
            return None
        for key, value in directives(text, section or "uwsgi"):
            if key == "ini":
                paths = included(value.partition(":")[0], os.path.dirname(full), files)
                if paths is None or ":" in value or "%" in value:
                    return None
                waiting += [(path.decode("utf-8", "surrogateescape"), b"") for path in paths]
            elif key in _NOT_FOLLOWED or key.startswith(("if-", "for-")):
                return None
            found.append((key, value))
    return None


def _is_true(value: str) -> bool:
    return value.lower() not in _FALSE
