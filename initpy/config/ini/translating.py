"""What a supervisord.conf comes to in initpy: the tables that the TOML would have.

What initpy does not have, or does in another way, is said here, once for a file. What supervisord
ignores without a word is ignored with one.
"""

from __future__ import annotations

import re

from initpy.config.ini.syntax import Option, Section
from initpy.config.ini.values import (
    DialectError,
    Variables,
    escaped_dollars,
    lone_percent,
    value_of,
)
from initpy.config.kinds import flag_of, is_template
from initpy.config.problems import Problem, nearest, shown
from initpy.config.settings import EVENTLISTENER, GROUP, INIT, PIPE, PROGRAM
from initpy.config.texts import Command, Environment, Text
from initpy.core.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from initpy.config.problems import Path, Report
    from initpy.config.settings import Setting

    Merged = tuple[Section, dict[str, Option], list[Section]]
    """The first section of a name, the options of all of that name, and all of them."""

_CHANNEL_OPTIONS = tuple(
    [
        f"{channel}_{option}"
        for channel in ("stdout", "stderr")
        for option in (
            "logfile",
            "logfile_maxbytes",
            "logfile_backups",
            "capture_maxbytes",
            "events_enabled",
            "syslog",
        )
    ]
)

PROGRAM_OPTIONS = (
    "command",
    "process_name",
    "numprocs",
    "numprocs_start",
    "priority",
    "autostart",
    "autorestart",
    "startsecs",
    "startretries",
    "exitcodes",
    "stopsignal",
    "stopwaitsecs",
    "stopasgroup",
    "killasgroup",
    "user",
    "umask",
    "directory",
    "environment",
    "serverurl",
    "redirect_stderr",
    *_CHANNEL_OPTIONS,
)
"""What supervisord knows in a [program:x]."""

OWN_OPTIONS = ("critical",)
"""What initpy takes there as well. Its other settings have to be TOML: supervisord ignores what it
does not know, so a file may have had a `group` or a `type` for years, to no effect."""

LISTENER_OPTIONS = (*PROGRAM_OPTIONS, "events", "buffer_size", "result_handler")
GROUP_OPTIONS = ("programs", "priority")
SUPERVISORD_OPTIONS = (
    "logfile",
    "logfile_maxbytes",
    "logfile_backups",
    "loglevel",
    "pidfile",
    "umask",
    "nodaemon",
    "silent",
    "minfds",
    "minprocs",
    "nocleanup",
    "childlogdir",
    "user",
    "directory",
    "strip_ansi",
    "environment",
    "identifier",
)
INIT_OPTIONS = ("shutdown_timeout", "exit_code_from")
SERVER_OPTIONS = {
    "unix_http_server": ("file", "chmod", "chown", "username", "password"),
    "inet_http_server": ("port", "username", "password"),
    "supervisorctl": ("serverurl", "username", "password", "prompt", "history_file"),
}

HTTP_SERVER = "inet_http_server"
UNIX_SERVER = "unix_http_server"

_ACCOUNT = ("username", "password")
SERVER_URL = "SUPERVISOR_SERVER_URL"

_RPC_INTERFACE = "rpcinterface:supervisor"

_DEFAULTS_OF_PROGRAMS = ("user", "directory", "umask", "strip_ansi")
"""Options of [supervisord] that each program gets which has none of its own."""

_OF_INIT = ("environment", "childlogdir")
"""Options of [supervisord] that [init] has as well."""

_LIMITS = {"minfds": "nofile", "minprocs": "nproc"}

_FULFILLED = (
    *_OF_INIT,
    "identifier",
    "nodaemon",
    *[name for name in _DEFAULTS_OF_PROGRAMS if PROGRAM.setting(name) is not None],
    *_LIMITS,
)

_SAFE_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_SAFE_REFERENCE = re.compile(
    r"%\((?:program_name|group_name)\)s|%\((?:process_num|numprocs)\)[-#0+]*[0-9]*[ds]|%%"
)
"""What is one word, whatever it stands for."""

_OPTION_LINE = re.compile(r"([A-Za-z_]+)\s*[=:]")

_HEADER_LINE = re.compile(r"\[[a-z_-]+(?::[^]]+)?\]$")

NOT_CRITICAL = (
    "no program in it is critical: when one has failed for good, the container runs on, as with "
    "supervisord; critical=true in a [program:x] changes that"
)
NOT_USED = "not used: initpy stays in the foreground and logs to stderr, not to a file"
DEFAULT_HANDLER = "supervisor.dispatchers:default_handler"
NO_HANDLER = (
    "not used: initpy runs nobody's code in itself; a result of OK accepts an event, any other has "
    "it sent again"
)
NOT_OF_LISTENERS = (
    "not used: the stdout of an event listener is how it speaks with initpy, and goes nowhere else"
)
NO_REDIRECT = "a listener's stderr would interfere with the event listener protocol on its stdout"
NO_PLUGIN = "not used: initpy's supervisorctl has no plugins"
NO_INTERFACE = "not used: initpy has no other interface than supervisor's own"
NOT_A_SECOND = (
    "initpy has one {} only, with one username and password: leave this section out, or make it "
    "say the same"
)
NO_FASTCGI = (
    "initpy makes no sockets for FastCGI: make it a [program:x] whose command opens the socket "
    "itself, as spawn-fcgi -n does"
)
FOR_EACH = "each program has it now that has none of its own, also with nodaemon"
HOME = "programs with a user get its HOME, USER and LOGNAME; supervisord leaves these as they are"


class Origin(Value):
    """Where a key of the table comes from."""

    file: str
    line: int
    name: str
    """How it is called there: `[program:web] command`."""


class Translation(Value):
    """The outcome."""

    table: dict[str, Any]
    """As the TOML would have it."""
    origins: dict[Path, Origin]
    sections: dict[str, Merged]
    """All that was read."""
    paths: dict[str, Path]
    """What each section with a place in the table has become."""
    used: frozenset[tuple[str, str]]
    """(section, option): what the table has of it."""


class Translator:
    """Goes through the sections; what is wrong is reported."""

    def __init__(self, sections: dict[str, Merged], file: str, report: Report) -> None:
        self._sections = sections
        self._file = file
        self._report = report
        self._table: dict[str, Any] = {}
        self._origins: dict[Path, Origin] = {}
        self._paths: dict[str, Path] = {}
        self._used: set[tuple[str, str]] = set()
        self._first_server: dict[str, str] = {}
        """Of each kind of server, the first section."""

    def translation(self) -> Translation:
        for name in self._sections:
            self._section(name)
        self._give_defaults()
        self._say_what_differs()
        return Translation(
            self._table,
            self._origins,
            self._sections,
            self._paths,
            frozenset(self._used),
        )

    def _section(self, section: str) -> None:
        kind, colon, name = section.partition(":")
        name = name.strip()
        if kind == "program" and colon:
            self._program(section, name)
        elif kind == "group" and colon:
            self._group(section, name)
        elif kind == "fcgi-program" and colon:
            self._problem(self._sections[section][0], section, NO_FASTCGI)
        elif kind == "eventlistener" and colon:
            self._listener(section, name)
        elif kind in SERVER_OPTIONS:
            self._warn_of_unknown(section, SERVER_OPTIONS[kind])
            if kind == UNIX_SERVER:
                self._unix_server(section)
            elif kind == HTTP_SERVER:
                self._http_server(section)
        elif kind in ("rpcinterface", "ctlplugin"):
            text = NO_PLUGIN if kind == "ctlplugin" else NO_INTERFACE
            if section != _RPC_INTERFACE:
                self._problem(self._sections[section][0], section, text, is_note=True)
        elif section == "supervisord":
            self._supervisord(section)
        elif section == "init":
            self._init(section)
        elif section != "include":
            known = [f"{kind}:{name}" for kind in ("program", "group", "eventlistener")]
            known += [*SERVER_OPTIONS, "supervisord", "include", "init"]
            text = f"unknown section: supervisord ignores it, too{nearest(section, known)}"
            self._problem(self._sections[section][0], section, text, is_warning=True)

    # The sections that there are in the TOML.

    def _program(self, section: str, name: str) -> None:
        known = (*PROGRAM_OPTIONS, *OWN_OPTIONS)
        self._process(section, ("program", name), known, {"critical": False, "stdin": PIPE})

    def _listener(self, section: str, name: str) -> None:
        options = self._sections[section][1]
        for option in options.values():
            is_default = option.name == "result_handler" and option.text == DEFAULT_HANDLER
            if option.name == "redirect_stderr":
                if flag_of(option.text) is not False:
                    self._problem(option, section, NO_REDIRECT)
            elif option.name == "result_handler" and not is_default:
                self._problem(option, section, NO_HANDLER, is_warning=True)
            elif option.name == "stdout_logfile" and option.text.upper() not in ("NONE", "AUTO"):
                self._problem(option, section, NOT_OF_LISTENERS, is_note=True)
        self._process(section, ("eventlistener", name), (*LISTENER_OPTIONS, *OWN_OPTIONS), {})

    def _process(
        self, section: str, path: Path, known: tuple[str, ...], unless_given: dict[str, Any]
    ) -> None:
        """A program or a listener, with options that are `known`."""
        kind, name = str(path[0]), str(path[1])
        if name in self._table.get(kind, ()):
            first = next(it for it, other in self._paths.items() if other == path)
            self._problem(self._sections[section][0], section, f"the same program as [{first}]")
            return
        table = self._open(section, path)
        table.update(unless_given)
        options = self._sections[section][1]
        of = PROGRAM if kind == "program" else EVENTLISTENER
        for option in options.values():
            setting = of.setting(option.name)
            if option.name not in known or setting is None:
                continue
            if not option.text and isinstance(setting.kind, Text):
                continue  # as if it were not there
            self._set(section, path, table, option, setting)
        if "serverurl" in options:
            self._server_url(section, path, table)
        command = table.get("command", "")
        if _SAFE_NAME.fullmatch(name):
            command = _SAFE_REFERENCE.sub("", command)
        if is_template(command):
            table["expand_first"] = True
        self._warn_of_unknown(section, known)

    def _server_url(self, section: str, path: Path, table: dict[str, Any]) -> None:
        """Where a program finds the API, if it is not to be told: a variable, as for supervisord,
        for which that of its `environment` goes before it, too."""
        option = self._sections[section][1]["serverurl"]
        self._used.add((section, "serverurl"))
        if lone_percent(option.text):
            self._problem(option, section, 'a "%" on its own: to have one, write "%%"')
        elif option.text and option.text.upper() != "AUTO":
            own = table.get("environment", {})
            if isinstance(own, dict) and SERVER_URL not in own:
                table["environment"] = {SERVER_URL: escaped_dollars(option.text), **own}
                self._origin((*path, "environment", SERVER_URL), option, section)
                if "environment" not in self._sections[section][1]:
                    self._origin((*path, "environment"), option, section)

    def _group(self, section: str, name: str) -> None:
        path = ("group", name)
        table = self._open(section, path)
        for option in self._sections[section][1].values():
            setting = GROUP.setting(option.name)
            if setting is not None:
                self._set(section, path, table, option, setting)
        self._warn_of_unknown(section, GROUP_OPTIONS)

    def _unix_server(self, section: str) -> None:
        options = self._sections[section][1]
        if not self._is_only_one(section, UNIX_SERVER, "Unix socket", ("file", *_ACCOUNT)):
            return
        table = self._open(section, ("control",))
        if "file" not in options:
            text = "missing; expected the path of the socket"
            self._problem(self._sections[section][0], section, f"file: {text}")
        for name, key in (("file", "socket"), ("chmod", "mode")):
            self._rename(section, name, ("control",), key, table)
        if "chown" in options:
            owner, colon, group = options["chown"].text.partition(":")
            for key, value in (("owner", owner), ("group", group if colon else "")):
                if value:
                    table[key] = escaped_dollars(value)
                    self._origin(("control", key), options["chown"], section)
            self._used.add((section, "chown"))
        self._account(section, ("control",), table)

    def _http_server(self, section: str) -> None:
        options = self._sections[section][1]
        if not self._is_only_one(section, HTTP_SERVER, "[control.http]", _ACCOUNT):
            return
        table = self._open(section, ("control", "http"))
        port = options.get("port")
        if port is None:
            text = "port: missing; expected HOST:PORT or a port"
            self._problem(self._sections[section][0], section, text)
            return
        address = port.text if ":" in port.text else f":{port.text}"
        path = ("control", "http", "listen")
        self._used.add((section, "port"))
        self._account(section, ("control", "http"), table)
        if "listen" not in table:
            table["listen"] = escaped_dollars(address)
            self._origin(path, port, section)
            return
        if not isinstance(table["listen"], list):
            table["listen"] = [table["listen"]]
            first = (*path, 0)
            self._origins[first] = self._origins[path]
        table["listen"].append(escaped_dollars(address))
        self._origin((*path, len(table["listen"]) - 1), port, section)

    def _is_only_one(self, section: str, kind: str, what: str, same: tuple[str, ...]) -> bool:
        """Whether it is the first of its kind, or says the same in these options."""
        first = self._first_server.setdefault(kind, section)
        mine, theirs = (self._sections[it][1] for it in (section, first))
        for name in same:
            texts = [options[name].text if name in options else None for options in (mine, theirs)]
            if texts[0] != texts[1]:
                where = self._sections[section][0]
                self._problem(where, section, NOT_A_SECOND.format(what))
                return False
        return True

    def _account(self, section: str, path: Path, table: dict[str, Any]) -> None:
        """The username and the password of a server; a hash goes where hashes are."""
        options = self._sections[section][1]
        self._rename(section, "username", path, "username", table)
        is_hash = "password" in options and options["password"].text.startswith("{SHA}")
        key = "password_hash" if is_hash else "password"
        self._rename(section, "password", path, key, table)

    def _rename(self, section: str, name: str, path: Path, key: str, table: dict[str, Any]) -> None:
        """Put an option where initpy has it, under its name there."""
        option = self._sections[section][1].get(name)
        if option is None:
            return
        self._origin((*path, key), option, section)
        self._used.add((section, name))
        if lone_percent(option.text):
            self._problem(option, section, 'a "%" on its own: to have one, write "%%"')
        elif option.text:
            table[key] = escaped_dollars(option.text)

    def _init(self, section: str) -> None:
        table = self._open(section, ("init",))
        for option in self._sections[section][1].values():
            setting = INIT.setting(option.name)
            if option.name in INIT_OPTIONS and setting is not None:
                self._set(section, ("init",), table, option, setting)
        self._warn_of_unknown(section, INIT_OPTIONS)

    def _supervisord(self, section: str) -> None:
        first, options, _ = self._sections[section]
        if "identifier" in options:
            table = self._table.setdefault("control", {})
            self._rename(section, "identifier", ("control",), "identifier", table)
        for name in _OF_INIT:
            setting = INIT.setting(name)
            if (
                setting is not None
                and name in options
                and (options[name].text or name != "childlogdir")
            ):
                table = self._table.setdefault("init", {})
                self._set(section, ("init",), table, options[name], setting)
        self._warn_of_unknown(section, SUPERVISORD_OPTIONS)
        known = [name for name in options if name in SUPERVISORD_OPTIONS]
        if unused := [name for name in known if name not in _FULFILLED]:
            self._problem(first, section, f"{', '.join(unused)}: {NOT_USED}", is_note=True)

    def _give_defaults(self) -> None:
        """What [supervisord] has for all programs, to each of them."""
        options = self._sections["supervisord"][1] if "supervisord" in self._sections else {}
        programs = {
            (kind, name): table
            for kind in ("program", "eventlistener")
            for name, table in self._table.get(kind, {}).items()
        }
        for name in _DEFAULTS_OF_PROGRAMS:
            option = options.get(name)
            setting = PROGRAM.setting(name)
            if option is None or setting is None or (name, option.text) in _IS_ROOT:
                continue
            given = False
            for path, table in programs.items():
                if name not in table:
                    given = True
                    self._set("supervisord", path, table, option, setting)
            if given and name in ("directory", "umask"):
                self._problem(option, "supervisord", FOR_EACH, is_note=True)
        for name, limit in _LIMITS.items():
            if name in options:
                self._raise_limit(options[name], limit, programs)

    def _raise_limit(
        self, option: Option, limit: str, programs: Mapping[tuple[str, str], dict[str, Any]]
    ) -> None:
        """What supervisord does to its own limits, where they are below what is asked for."""
        import resource  # noqa: PLC0415

        if not re.fullmatch("[0-9]{1,18}", option.text, re.ASCII):
            text = f"expected a whole number, not {shown(option.text)}"
            self._problem(option, "supervisord", text)
            return
        least = int(option.text)
        soft, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{limit.upper()}"))
        if soft == resource.RLIM_INFINITY or soft >= least:
            return
        upper = "unlimited" if hard == resource.RLIM_INFINITY else max(hard, least)
        for path, table in programs.items():
            table.setdefault("rlimits", {})[limit] = [least, upper]
            self._origin((*path, "rlimits", limit), option, "supervisord")

    # What is said once.

    def _say_what_differs(self) -> None:
        programs = {
            section: options
            for section, (_, options, _) in self._sections.items()
            if section.startswith("program:")
        }
        if programs and not any("critical" in options for options in programs.values()):
            self._report.add(self._note(self._file, 0, "", NOT_CRITICAL))
        for name, table in self._table.get("program", {}).items():
            if "user" in table and not {"HOME", "USER"} <= table.get("environment", {}).keys():
                origin = self._origins["program", name, "user"]
                self._report.add(self._note(origin.file, origin.line, origin.name, HOME))
                break

    # Small change.

    def _open(self, section: str, path: Path) -> dict[str, Any]:
        """The table for a section; it may be there already."""
        table = self._table
        for part in path:
            table = table.setdefault(str(part), {})
        first = self._sections[section][0]
        self._origins.setdefault(path, Origin(first.file, first.line, f"[{section}]"))
        self._paths[section] = path
        return table

    def _set(
        self, section: str, path: Path, table: dict[str, Any], option: Option, setting: Setting
    ) -> None:
        """Put an option into a table, as its setting wants it."""
        self._warn_of_lines(section, option)
        self._origin((*path, option.name), option, section)
        self._used.add((section, option.name))
        if lone_percent(option.text):
            self._problem(option, section, 'a "%" on its own: to have one, write "%%"')
            return
        try:
            if isinstance(setting.kind, Environment):
                for text in Variables(option.text).strange:
                    self._problem(option, section, text, is_warning=True)
            table[option.name] = value_of(setting.kind, option.text)
        except DialectError as exc:
            self._problem(option, section, str(exc))
        if isinstance(setting.kind, Command) and option.beside and _has_open_quote(option.text):
            text = (
                'the quotes do not end before " ;" or " #", which begins a comment even in quotes'
            )
            self._problem(option, section, text, is_warning=True)

    def _origin(self, path: Path, option: Option, section: str) -> None:
        self._origins[path] = Origin(option.file, option.line, f"[{section}] {option.name}")

    def _warn_of_unknown(self, section: str, known: tuple[str, ...]) -> None:
        """Of the options that stand in the section itself, not in [DEFAULT]."""
        for part in self._sections[section][2]:
            for option in part.options:
                if option.name in known:
                    continue
                text = f"unknown option: supervisord ignores it, too{nearest(option.name, known)}"
                if known[0] == "command" and PROGRAM.setting(option.name) is not None:
                    text = (
                        "only initpy's TOML has it: supervisord ignores it here, and so does initpy"
                    )
                self._problem(option, section, text, is_warning=True)

    def _warn_of_lines(self, section: str, option: Option) -> None:
        """Lines that were meant as options or sections of their own, and are indented."""
        for number, line in option.lines:
            found = _OPTION_LINE.match(line)
            known = (*PROGRAM_OPTIONS, *OWN_OPTIONS, *GROUP_OPTIONS)
            if (found and found[1].lower() in known) or _HEADER_LINE.match(line):
                text = f"the line is indented, so it continues the value of {option.name}"
                name = f"[{section}] {found[1]}" if found else line
                self._report.add(Problem(option.file, number, name, text, is_warning=True))

    def _problem(
        self,
        at: Section | Option,
        section: str,
        text: str,
        *,
        is_warning: bool = False,
        is_note: bool = False,
    ) -> None:
        key = f"[{section}] {at.name}" if isinstance(at, Option) else f"[{section}]"
        self._report.add(Problem(at.file, at.line, key, text, is_warning or is_note, is_note))

    def _note(self, file: str, line: int, key: str, text: str) -> Problem:
        return Problem(file, line, key, text, is_warning=True, is_note=True)


_IS_ROOT = (("user", "root"), ("user", "0"))
"""What programs run as anyway, where supervisord could do it."""


def _has_open_quote(text: str) -> bool:
    import shlex  # noqa: PLC0415

    try:
        shlex.split(text)
    except ValueError:
        return True
    return False
