"""initpy under the name supervisorctl: its options, its actions, its prompt, its words."""

from __future__ import annotations

import cmd
import errno
import getopt
import os
import sys

from initpy.control.faults import SHUTDOWN_STATE
from initpy.ctl import console, exits
from initpy.ctl.actions import SHOWN_BYTES, Actions
from initpy.ctl.calls import CallError, Fault, RefusedError, Server, UnreachableError
from initpy.ctl.finding import NotFoundError, found
from initpy.ctl.following import Foreground, follow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

API_VERSION = "3.0"

UNKNOWN_METHOD = 1

DEFAULT_PROMPT = "supervisor"

USAGE = """\
supervisorctl -- control applications run by supervisord, or initpy, from the cmd line.

Usage: {} [options] [action [arguments]]

Options:
-c/--configuration FILENAME -- configuration file path (searches if not given)
-h/--help -- print usage message and exit
-i/--interactive -- start an interactive shell after executing commands
-s/--serverurl URL -- URL on which it is listening: unix:///PATH or http://HOST:PORT
     (default: the one in the configuration file, or else the initpy of this container)
-u/--username USERNAME -- username to use for authentication with server
-p/--password PASSWORD -- password to use for authentication with server
-r/--history-file -- keep a readline history (if readline is available)

action [arguments] -- see below

Actions are commands like "tail" or "stop".  If -i is specified or no action is
specified on the command line, a "shell" interpreting actions typed
interactively is started.  Use the action "help" to find out about available
actions.
"""

SEARCHED = (
    "supervisord.conf",
    "etc/supervisord.conf",
    "/etc/supervisord.conf",
    "/etc/supervisor/supervisord.conf",
)

HELP = {
    "add": "add <name> [...]\tActivates any updates in config for process/group",
    "avail": "avail\t\t\tDisplay all configured processes",
    "clear": "clear <name>\t\tClear a process' log files.\n"
    "clear <name> <name>\tClear multiple process' log files\n"
    "clear all\t\tClear all process' log files",
    "exit": "exit\tExit the supervisor shell.",
    "fg": "fg <process>\tConnect to a process in foreground mode\n\t\tCtrl-C to exit",
    "maintail": "maintail -f \tContinuous tail of supervisor main log file (Ctrl-C to exit)\n"
    "maintail -100\tlast 100 *bytes* of supervisord main log file\n"
    "maintail\tlast 1600 *bytes* of supervisor main log file\n",
    "open": "open <url>\tConnect to a remote supervisord process.\n"
    "\t\t(for UNIX domain socket, use unix:///socket/path)",
    "pid": "pid\t\t\tGet the PID of supervisord.\n"
    "pid <name>\t\tGet the PID of a single child process by name.\n"
    "pid all\t\t\tGet the PID of every child process, one per line.",
    "quit": "quit\tExit the supervisor shell.",
    "reload": "reload \t\tRestart the remote supervisord.",
    "remove": "remove <name> [...]\tRemoves process/group from active config",
    "reread": "reread \t\t\tReload the daemon's configuration files without add/remove",
    "restart": "restart <name>\t\tRestart a process\n"
    "restart <gname>:*\tRestart all processes in a group\n"
    "restart <name> <name>\tRestart multiple processes or groups\n"
    "restart all\t\tRestart all processes\n"
    "Note: restart does not reread config files. For that, see reread and update.",
    "shutdown": "shutdown \tShut the remote supervisord down.",
    "signal": "signal <signal name> <name>\t\tSignal a process\n"
    "signal <signal name> <gname>:*\t\tSignal all processes in a group\n"
    "signal <signal name> <name> <name>\tSignal multiple processes or groups\n"
    "signal <signal name> all\t\tSignal all processes",
    "start": "start <name>\t\tStart a process\n"
    "start <gname>:*\t\tStart all processes in a group\n"
    "start <name> <name>\tStart multiple processes or groups\n"
    "start all\t\tStart all processes",
    "status": "status <name>\t\tGet status for a single process\n"
    "status <gname>:*\tGet status for all processes in a group\n"
    "status <name> <name>\tGet status for multiple named processes\n"
    "status\t\t\tGet all process status info",
    "stop": "stop <name>\t\tStop a process\n"
    "stop <gname>:*\t\tStop all processes in a group\n"
    "stop <name> <name>\tStop multiple processes or groups\n"
    "stop all\t\tStop all processes",
    "tail": "tail [-f] <name> [stdout|stderr] (default stdout)\n"
    "Ex:\n"
    "tail -f <name>\t\tContinuous tail of named process stdout\n"
    "\t\t\tCtrl-C to exit.\n"
    "tail -100 <name>\tlast 100 *bytes* of process stdout\n"
    "tail <name> stderr\tlast 1600 *bytes* of process stderr",
    "update": "update\t\t\tReload config and add/remove as necessary, and will restart affected "
    "programs\n"
    "update all\t\tReload config and add/remove as necessary, and will restart affected programs\n"
    "update <gname> [...]\tUpdate specific groups",
    "version": "version\t\t\tShow the version of the remote supervisord process",
}
"""What `help ACTION` says."""

_OF_PROCESSES = ("clear", "fg", "pid", "restart", "signal", "start", "status", "stop", "tail")
_OF_GROUPS = ("add", "remove", "update")


class UsageError(Exception):
    """The command line, or the configuration file, cannot be used."""


class Options:
    """What the command line says, and the section [supervisorctl] of the file."""

    def __init__(self, name: str, arguments: Sequence[str]) -> None:
        """Raises:
        UsageError: there is an option that is none, or a file that cannot be used.
        """
        self.is_interactive = False
        self.prompt = DEFAULT_PROMPT
        self.url = self.username = self.password = self.history_file = ""
        self.asks_for_help = False
        self.arguments: list[str] = []
        path = self._read_arguments(arguments)
        if self.asks_for_help:
            return
        if path is None:
            folder = os.path.dirname(os.path.dirname(name))
            own = [os.path.join(folder, it) for it in ("etc/supervisord.conf", "supervisord.conf")]
            path = next((it for it in (*own, *SEARCHED) if os.path.exists(it)), None)
        if path is not None:
            self._read_file(path)
        self.is_interactive = self.is_interactive or not self.arguments

    def _read_arguments(self, arguments: Sequence[str]) -> str | None:
        """Returns the path of the file, if it is named."""
        longs = ["help", "configuration=", "interactive", "prompt=", "serverurl=", "username="]
        longs += ["password=", "history_file=", "history-file="]
        try:
            options, self.arguments = getopt.getopt([*arguments], "h?c:is:u:p:r:", longs)
        except getopt.GetoptError as exc:
            raise UsageError(str(exc)) from None
        path = None
        for option, value in options:
            if option in ("-h", "-?", "--help"):
                self.asks_for_help = True
            elif option in ("-c", "--configuration"):
                path = value
            elif option in ("-i", "--interactive"):
                self.is_interactive = True
            elif option in ("-s", "--serverurl"):
                self.url = value
                if not value.partition("://")[2]:
                    text = f"invalid value for {option} {value!r}: value of {value!r} is not a URL"
                    raise UsageError(text)
            elif option in ("-u", "--username"):
                self.username = value
            elif option in ("-p", "--password"):
                self.password = value
            elif option == "--prompt":
                self.prompt = value
            else:
                self.history_file = value
        return path

    def _read_file(self, path: str) -> None:
        """Take what the command line does not say."""
        from initpy.config.documents import read_text  # noqa: PLC0415
        from initpy.config.formats import FormatError, is_ini  # noqa: PLC0415
        from initpy.config.problems import Report  # noqa: PLC0415

        if not os.path.exists(path):
            raise UsageError(f"could not find config file {path}")
        report = Report()
        text = read_text(path, report)
        if text is None:
            raise UsageError(f"could not read config file {path}")
        try:
            if not is_ini(path, text):
                return  # initpy's own: its socket is found
        except FormatError as exc:
            raise UsageError(str(exc)) from None
        options = _options_in(path, text)
        if self.url == "" and (url := options.get("serverurl", "http://localhost:9001")):
            is_unix = url.startswith("unix://")
            self.url = f"unix://{os.path.abspath(url[7:])}" if is_unix else url
        self.username = self.username or options.get("username", "")
        self.password = self.password or options.get("password", "")
        self.history_file = self.history_file or options.get("history_file", "")
        if self.prompt == DEFAULT_PROMPT:
            self.prompt = options.get("prompt", DEFAULT_PROMPT)


def _options_in(path: str, text: str) -> dict[str, str]:
    """[supervisorctl] of a supervisord.conf, expanded.

    Raises:
        UsageError: there is none, or something in it cannot be expanded.
    """
    from initpy.config.documents import directory_of  # noqa: PLC0415
    from initpy.config.expansion import Expander, ExpansionError  # noqa: PLC0415
    from initpy.config.ini.syntax import sections  # noqa: PLC0415

    def refuse(line: int, what: str) -> None:
        raise UsageError(f"{path}:{line}: {what}")

    expander = Expander(directory_of(path), os.environ)
    found: dict[str, str] | None = None
    for section in sections(text, path, refuse):
        if section.name != "supervisorctl":
            continue
        found = found or {}
        for option in section.options:
            try:
                found[option.name] = expander.expand(option.text.replace("$", "$$"))
            except ExpansionError as exc:
                raise UsageError(f"{path}:{option.line}: {option.name}: {exc}") from None
    if found is None:
        raise UsageError(".ini file does not include supervisorctl section")
    return found


class Prompt(cmd.Cmd):
    """Takes actions, from the command line or typed one after the other."""

    def __init__(self, options: Options, server: Server) -> None:
        super().__init__()
        self.options = options
        self.prompt = f"{options.prompt}> "
        self.actions = Actions(server, self.output)

    @property
    def code(self) -> int:
        return self.actions.code

    def output(self, text: str) -> None:
        console.say(text)

    def loop(self) -> None:
        """Take what is typed, until the end."""
        try:
            import readline  # noqa: PLC0415 - not everywhere
        except ImportError:
            readline = None  # type: ignore[assignment]
        if readline is not None:
            delimiters = readline.get_completer_delims()
            readline.set_completer_delims(delimiters.translate({ord(ch): None for ch in ":*-"}))
            self._keep_history(readline)
        self.cmdqueue.append("status")
        try:
            self.cmdloop()
        except KeyboardInterrupt:
            self.output("")

    def _keep_history(self, readline: object) -> None:
        import atexit  # noqa: PLC0415
        import contextlib  # noqa: PLC0415

        path = self.options.history_file
        if path:
            with contextlib.suppress(OSError):
                readline.read_history_file(path)  # type: ignore[attr-defined]

            def save() -> None:
                with contextlib.suppress(OSError):
                    readline.write_history_file(path)  # type: ignore[attr-defined]

            atexit.register(save)

    def emptyline(self) -> bool:
        return False

    def default(self, line: str) -> None:
        self.output(f"*** Unknown syntax: {line}")
        self.actions.code = exits.FAILED

    def onecmd(self, line: str) -> bool:
        """One action; whatever goes wrong is a line."""
        action, argument, line = self.parseline(line)
        if not line:
            return self.emptyline()
        if action is None or action == "" or not hasattr(self, f"do_{action}"):
            self.default(line)
            return False
        try:
            return bool(getattr(self, f"do_{action}")(argument or ""))
        except RefusedError as exc:
            if exc.status != console.UNAUTHORIZED:
                self._error(exc)
            elif self._ask_for_password():
                return self.onecmd(line)
        except (CallError, Fault, NotFoundError, ValueError) as exc:
            self._error(exc)
        return False

    def _error(self, exc: Exception) -> None:
        self.output(f"error: {exc}")
        self.actions.code = exits.FAILED

    def _ask_for_password(self) -> bool:
        self.output("Server requires authentication")
        self.actions.code = exits.FAILED
        if not self.options.is_interactive:
            return False
        import getpass  # noqa: PLC0415

        self.options.username = input("Username:")
        self.options.password = getpass.getpass("Password:")
        self.output("")
        self._open(self.actions.server.url)
        return True

    def _open(self, url: str) -> None:
        self.actions.server.close()
        self.actions.server = Server(url, self.options.username, self.options.password)

    def _is_up(self) -> bool:
        """Whether somebody answers that we can speak to; if not, that is said."""
        url = self.actions.server.url
        try:
            version = self.actions.call("getVersion")
        except Fault as exc:
            if exc.code != UNKNOWN_METHOD:
                raise
            self.output(
                "Sorry, supervisord responded but did not recognize the supervisor namespace "
                "commands that supervisorctl uses to control it.  Please check that the "
                "[rpcinterface:supervisor] section is enabled in the configuration file (see "
                "sample.conf)."
            )
            self.actions.code = exits.NO_INTERFACE
            return False
        except UnreachableError as exc:
            if exc.errno == errno.ECONNREFUSED:
                self.output(f"{url} refused connection")
                self.actions.code = exits.REFUSED
            elif exc.errno == errno.ENOENT:
                self.output(f"{url} no such file")
                self.actions.code = exits.NOT_RUNNING
            else:
                raise
            return False
        if version != API_VERSION:
            self.output(
                "Sorry, this version of supervisorctl expects to talk to a server with API "
                f"version {API_VERSION}, but the remote version is {version}."
            )
            self.actions.code = exits.OTHER_VERSION
            return False
        return True

    def _takes_none(self, action: str, argument: str) -> bool:
        if argument:
            self._misused(f"Error: {action} accepts no arguments", action)
        return not argument

    def _misused(self, text: str, action: str = "", code: int = exits.FAILED) -> None:
        self.output(text)
        self.actions.code = code
        if action:
            self.output(HELP[action])

    # The actions.

    def do_help(self, argument: str) -> None:
        if argument.strip() == "help":
            self.output("help\t\tPrint a list of available actions")
            self.output("help <action>\tPrint help for <action>")
        elif argument in HELP:
            self.output(HELP[argument])
        elif argument:
            self.output(f"*** No help on {argument}")
        else:
            self.output("")
            self.print_topics("default commands (type help <topic>):", sorted(HELP), 15, 80)

    def do_EOF(self, _argument: str) -> bool:  # noqa: N802 - the name that cmd has for it
        self.output("")
        return True

    def do_quit(self, argument: str) -> bool:
        return self.do_EOF(argument)

    def do_exit(self, argument: str) -> bool:
        return self.do_EOF(argument)

    def do_status(self, argument: str) -> None:
        if not self._is_up():
            self.actions.code = exits.STATUS_UNKNOWN
            return
        self.actions.show_statuses(argument.split())

    def do_start(self, argument: str) -> None:
        self._order("start", argument, self.actions.start, exits.MISUSED)

    def do_stop(self, argument: str) -> None:
        self._order("stop", argument, self.actions.stop)

    def do_clear(self, argument: str) -> None:
        self._order("clear", argument, self.actions.clear)

    def do_restart(self, argument: str) -> None:
        def restart(names: Sequence[str]) -> None:
            self.do_stop(" ".join(names))
            self.do_start(" ".join(names))

        self._order("restart", argument, restart)

    def _order(
        self,
        action: str,
        argument: str,
        order: Callable[[Sequence[str]], None],
        misused: int = exits.FAILED,
    ) -> None:
        if not self._is_up():
            return
        names = argument.split()
        if names:
            order(names)
        else:
            self._misused(f"Error: {action} requires a process name", action, misused)

    def do_signal(self, argument: str) -> None:
        if not self._is_up():
            return
        words = argument.split()
        if len(words) < 2:
            self._misused("Error: signal requires a signal name and a process name", "signal")
        else:
            self.actions.signal(words[0], words[1:])

    def do_tail(self, argument: str) -> None:
        if not self._is_up():
            return
        words = argument.split()
        if not words or len(words) > 3:
            self._misused(f"Error: too {'many' if words else 'few'} arguments", "tail")
            return
        modifier = words.pop(0) if words[0].startswith("-") else ""
        if not words:
            self._misused("Error: tail requires process name")
            return
        channel = words[-1].lower() if len(words) > 1 else "stdout"
        if channel not in ("stdout", "stderr"):
            self._misused(f"Error: bad channel {channel!r}")
        elif modifier == "-f":
            self._follow(f"/logtail/{words[0]}/{channel}")
        elif (size_bytes := self._size(modifier)) is not None:
            self.actions.show_log(words[0], channel, size_bytes)

    def do_maintail(self, argument: str) -> None:
        if not self._is_up():
            return
        words = argument.split()
        if len(words) > 1:
            self._misused("Error: too many arguments", "maintail")
        elif words == ["-f"]:
            self._follow("/mainlogtail")
        elif words and not words[0].startswith("-"):
            self._misused(f"Error: bad argument {words[0]}")
        elif (size_bytes := self._size("".join(words))) is not None:
            self.actions.show_main_log(size_bytes)

    def _size(self, modifier: str) -> int | None:
        """What -N asks for; None: it is no number, and that is said."""
        try:
            return int(modifier[1:]) if modifier else SHOWN_BYTES
        except ValueError:
            self._misused(f"Error: bad argument {modifier}")
            return None

    def _follow(self, path: str) -> None:
        self.output("==> Press Ctrl-C to exit <==")
        try:
            follow(self.actions.server, path)
        except KeyboardInterrupt:
            self.output("")

    def do_pid(self, argument: str) -> None:
        if self._is_up():
            self.actions.show_pids(argument.split())

    def do_version(self, argument: str) -> None:
        if self._takes_none("version", argument) and self._is_up():
            self.actions.show_version()

    def do_avail(self, argument: str) -> None:
        if not self._takes_none("avail", argument):
            return
        try:
            self.actions.show_available()
        except Fault as exc:
            if exc.code != SHUTDOWN_STATE:
                raise
            self._misused("ERROR: supervisor shutting down")

    def do_reread(self, argument: str) -> None:
        if self._takes_none("reread", argument):
            self.actions.reread()

    def do_add(self, argument: str) -> None:
        self.actions.add(argument.split())

    def do_remove(self, argument: str) -> None:
        self.actions.remove(argument.split())

    def do_update(self, argument: str) -> None:
        self.actions.update(argument.split())

    def do_shutdown(self, argument: str) -> None:
        question = "Really shut the remote supervisord process down y/N? "
        if not self._takes_none("shutdown", argument) or not self._is_sure(question):
            return
        try:
            self.actions.call("shutdown")
        except Fault as exc:
            if exc.code != SHUTDOWN_STATE:
                raise
            self.output("ERROR: already shutting down")
        except UnreachableError as exc:
            why = {errno.ECONNREFUSED: "refused connection", errno.ENOENT: "no such file"}
            if exc.errno not in why:
                raise
            url = self.actions.server.url
            self._misused(f"ERROR: {url} {why[exc.errno]} (already shut down?)")
        else:
            self.output("Shut down")

    def do_reload(self, argument: str) -> None:
        question = "Really restart the remote supervisord process y/N? "
        if not self._takes_none("reload", argument) or not self._is_sure(question):
            return
        try:
            self.actions.call("restart")
        except Fault as exc:
            if exc.code != SHUTDOWN_STATE:
                raise
            self._misused("ERROR: already shutting down")
        else:
            self.output("Restarted supervisord")

    def _is_sure(self, question: str) -> bool:
        return not self.options.is_interactive or input(question).lower().startswith("y")

    def do_open(self, argument: str) -> None:
        url = argument.strip()
        if not url.startswith(("unix://", "http://")):
            self._misused("ERROR: url must be http:// or unix://")
            return
        self._open(url)
        code = self.actions.code
        self.do_status("")
        self.actions.code = code

    def do_fg(self, argument: str) -> None:
        if not self._is_up():
            return
        names = argument.split()
        if not names:
            self._misused("ERROR: no process name supplied", "fg")
        elif len(names) > 1:
            self._misused("ERROR: too many process names supplied")
        else:
            foreground = Foreground(self.actions.server, self.output)
            self.actions.code = foreground.run(names[0]) or self.actions.code

    # Completion of what is typed.

    def completenames(self, text: str, *_: object) -> list[str]:
        return [f"{action} " for action in sorted([*HELP, "help"]) if action.startswith(text)]

    def completedefault(self, *given: object) -> list[str]:
        text, line = str(given[0]), str(given[1])
        action = line.split(maxsplit=1)[0]
        if action not in (*_OF_PROCESSES, *_OF_GROUPS):
            return []
        try:
            everything = self.actions.call("getAllProcessInfo")
        except (CallError, Fault):
            return []
        names: dict[str, None] = {}
        for info in everything:
            if action in _OF_GROUPS:
                names[info["group"]] = None
            elif ":" in text or info["name"] != info["group"]:
                names[f"{info['group']}:{info['name']}"] = None
                names[f"{info['group']}:*"] = None
            else:
                names[info["name"]] = None
        return [f"{name} " for name in names if name.startswith(text)]


def main(argv: Sequence[str]) -> int:
    """What the whole process does; returns the exit code. The first of `argv` is the name."""
    name = argv[0]
    try:
        options = Options(name, argv[1:])
    except UsageError as exc:
        sys.stderr.write(f"Error: {exc}\nFor help, use {name} -h\n")
        return exits.MISUSED
    if options.asks_for_help:
        sys.stdout.write(USAGE.format(name) + "\n")
        return exits.OK
    return console.run(lambda: _run(options))


def _run(options: Options) -> int:
    try:
        server = found(options.url, options.username, options.password)
    except ValueError as exc:
        console.say(f"error: {exc}")
        return exits.FAILED
    prompt = Prompt(options, server)
    if options.arguments:
        prompt.onecmd(" ".join(options.arguments))
        return prompt.code
    prompt.loop()
    return exits.OK
