"""The settings table: every key a file may have, what it takes, its default, and what it does.

The validator, the JSON Schema, the tables in docs/configuration.md and the texts of the problems
are all made from it; there is no second list of keys anywhere.
"""

from __future__ import annotations

from initpy.config.kinds import (
    Account,
    Autorestart,
    Condition,
    ExitCodes,
    Flag,
    Kind,
    OneOf,
    Seconds,
    Umask,
    Whole,
)
from initpy.config.outputs import ByteSize, Output, Pattern, RateLimitTable
from initpy.config.servers import Accounts, Listen, Secret, SocketPath, Subsection
from initpy.config.signalkinds import SignalAction, SignalTable, StopSignal
from initpy.config.tables import BackoffTable, RestartLimitTable, RlimitTable
from initpy.config.texts import Command, Environment, Names, NamesAmong, Text
from initpy.control.events.kinds import PARENTS, TYPES
from initpy.core.values import Value, replace
from initpy.eventplan import BUFFER_SIZE
from initpy.logplan import MAX_LINE_BYTES, MOST_LINE_BYTES
from initpy.plan import UPGRADE_SIGNAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SIMPLE, ONESHOT = "simple", "oneshot"
"""What a program's `type` can be."""

PIPE = "pipe"

MAX_PROCESSES = 10_000
"""In all programs together; the kernel's own default limit for pids is 32,768."""


class Setting(Value):
    """One key of a section."""

    key: str
    kind: Kind
    meaning: str
    default: Any = None
    """As the file would have it; None: nothing is set."""
    required: bool = False


class Section(Value):
    """A table of the file; in the title, NAME stands for a name of the user's."""

    title: str
    meaning: str
    settings: tuple[Setting, ...]
    refused: dict[str, str] = {}  # noqa: RUF012 - never changed
    """Keys that one might expect in it, and why they are not."""

    def setting(self, key: str) -> Setting | None:
        for setting in self.settings:
            if setting.key == key:
                return setting
        return None


SIGNALS = Section(
    "init.signals",
    "What a signal to initpy does. The keys are names of signals with or without `SIG`, in any "
    'case, or their numbers in quotes; `"RTMIN+3"` is one too.',
    (
        Setting("TERM", SignalAction(), "Stop everything and exit.", "shutdown"),
        Setting("INT", SignalAction(), "Stop everything and exit.", "shutdown"),
        Setting("QUIT", SignalAction(), "Stop everything and exit.", "shutdown"),
        Setting("WINCH", SignalAction(), "A terminal was resized: nothing.", "ignore"),
        Setting(
            "HUP",
            SignalAction(),
            "Read the file again, and do what has changed.",
            "reload",
        ),
        Setting("USR2", SignalAction(), "Close log files and open them again.", "reopen"),
        Setting(
            str(UPGRADE_SIGNAL),
            SignalAction(),
            "Go on with the initpy that lies at the same path now, if it can take over; `initpy "
            "upgrade` sends it.",
            "upgrade",
        ),
    ),
)

INIT = Section(
    "init",
    "initpy itself. Everything in it is optional.",
    (
        Setting(
            "shutdown_timeout",
            Seconds(above_zero=True),
            "For the whole container, from the request to stop until initpy exits. Keep it "
            "below the time that the container engine gives: 10 s for `docker stop`.",
            9,
        ),
        Setting(
            "exit_code_from",
            Text("the name of a program"),
            "The program whose exit code becomes the container's, instead of the culprit's. The "
            "container ends when this program has ended by itself and is not restarted.",
        ),
        Setting(
            "environment",
            Environment(),
            "Variables for every program, on top of the environment that initpy has.",
            {},
        ),
        Setting(
            "log",
            Output(),
            "What becomes of the output of programs that do not say it themselves: see "
            "[Output](#output).",
            "inherit",
        ),
        Setting(
            "log_format",
            OneOf(("text", "prefix", "json")),
            "How initpy writes its own lines, on stderr: as text, or like those of programs. If it "
            'is not set: as `log` has them, where that is `"prefix"` or `"json"`, else as text.',
        ),
        Setting(
            "childlogdir",
            Text("a directory"),
            "Where a `stdout_logfile` or `stderr_logfile` that is `AUTO` is. If it is not set: "
            "`$TMPDIR`, or `/tmp`.",
        ),
        Setting(
            "trace",
            Text("a file"),
            "Write down, in this file, all that happens and what is decided of it, for `initpy "
            "replay`; see [Reliability](reliability.md#replay). A path from the directory in which "
            "initpy was started. By default, nothing is.",
        ),
        Setting("signals", SignalTable(), "What a signal does: see `[init.signals]`."),
    ),
)

PROGRAM = Section(
    "program.NAME",
    "A program to run and to keep running.",
    (
        Setting(
            "command",
            Command(),
            "What to execute. There is no shell: for pipes, `&&` or globs, call one "
            '(`["sh", "-c", "…"]`). Without a `/`, the command is looked up in `PATH`.',
            required=True,
        ),
        Setting(
            "expand_first",
            Flag(),
            "Expand a command that is one string before it is split, not after, as supervisord "
            "does: a variable can then hold several words, or none, and its quotes count.",
            False,
        ),
        Setting(
            "type",
            OneOf((SIMPLE, ONESHOT)),
            "A `oneshot` does its work and ends: a preparation that others come `after`.",
            SIMPLE,
        ),
        Setting(
            "enabled",
            Condition(),
            "Whether there is such a program at all. One that is not enabled is checked like the "
            "others and left out; nobody waits for it.",
            True,
        ),
        Setting(
            "process_name",
            Text("a name"),
            "The name of each process. With `numprocs` above 1 it has to contain "
            "`%(process_num)`, as in `%(program_name)s_%(process_num)02d`.",
            "%(program_name)s",
        ),
        Setting("numprocs", Whole(1, MAX_PROCESSES), "How many processes to run.", 1),
        Setting("numprocs_start", Whole(0), "The number of the first process.", 0),
        Setting(
            "directory",
            Text("a directory"),
            "Where to run. By default, the directory that initpy was started in.",
        ),
        Setting(
            "environment",
            Environment(),
            "Variables to set on top of the environment that initpy has, of `[init]`'s, and of "
            "`env_file`.",
            {},
        ),
        Setting(
            "env_file",
            Names("files", one="a file"),
            "Files with a variable on each line, `NAME=VALUE`, relative to the file that names "
            "them. Later ones win.",
            [],
        ),
        Setting(
            "clean_environment",
            Flag(),
            "Leave out the environment that initpy has: see [Environment](#environment).",
            False,
        ),
        Setting(
            "user",
            Account("user"),
            "Run as this user, with its groups; `HOME`, `USER` and `LOGNAME` follow, unless "
            "`env_file` or `environment` sets them.",
        ),
        Setting(
            "group",
            Account("group"),
            "Run with this Unix group in place of the user's own; without `user`, only the "
            "group changes.",
        ),
        Setting("umask", Umask(), "The umask. By default, the one that initpy has."),
        Setting(
            "rlimits",
            RlimitTable(),
            "Resource limits, as `ulimit` and `setrlimit` know them: one number for both, or "
            "`[soft, hard]`. By default, those that initpy has.",
        ),
        Setting(
            "nice",
            Whole(-20, 19),
            "The niceness: above 0, others go first. By default, the one that initpy has.",
        ),
        Setting(
            "oom_score_adj",
            Whole(-1000, 1000),
            "How soon the kernel ends it when memory runs out: at 1000 first, at -1000 never. By "
            "default, as initpy.",
        ),
        Setting(
            "no_new_privs",
            Flag(),
            "Nothing that it executes can gain privileges: neither `sudo` nor file capabilities "
            "work.",
            False,
        ),
        Setting(
            "priority",
            Whole(),
            "Programs start in ascending order of this, and then of their names; those of a "
            "`[group.NAME]` where the group does, in its order.",
            999,
        ),
        Setting(
            "after",
            Names("programs or groups"),
            "Start once all of these are running (a `oneshot`: done); stop before they do.",
            [],
        ),
        Setting("autostart", Flag(), "Start it when initpy starts.", True),
        Setting(
            "startsecs",
            Seconds(),
            "How long it has to stay up to be running. At 0, it is running at once, whatever "
            "comes then.",
            1,
        ),
        Setting(
            "startretries",
            Whole(0),
            "How often to try again when it does not start, after 1, 2, 3 … seconds or as "
            "`backoff` says.",
            3,
        ),
        Setting(
            "backoff",
            BackoffTable(),
            "How long to wait before each of these tries: `initial` seconds, then each time "
            "`factor` times as long, at most `max`; stretched by up to `jitter` of it at random.",
        ),
        Setting(
            "autorestart",
            Autorestart(),
            "Start it again when it exits: always, never, or when its exit code is not one of "
            "`exitcodes`.",
            "unexpected",
        ),
        Setting(
            "restart_limit",
            RestartLimitTable(),
            "How often it may be restarted after it has been running: more than `count` times "
            "within `window` seconds, and it is given up. By default, without limit.",
        ),
        Setting(
            "exitcodes",
            ExitCodes(),
            "The expected exit codes. A death by signal is never expected.",
            [0],
        ),
        Setting(
            "drain",
            Seconds(),
            "When the container is asked to stop: how long the program goes on before anything "
            "is done to stop it.",
            0,
        ),
        Setting(
            "stop_command",
            Command(),
            "A command to run before the first signal.",
        ),
        Setting(
            "stopsignal",
            StopSignal(),
            "The signal that stops it, or several, one after the other, each with its seconds.",
            "TERM",
        ),
        Setting(
            "stopwaitsecs",
            Seconds(),
            "How long it may take to stop before it is killed: the seconds of each signal that "
            "has none of its own, and of `stop_command`. In a shutdown, `shutdown_timeout` may "
            "leave it less.",
            10,
        ),
        Setting(
            "stopasgroup",
            Flag(),
            "Send the stop signal to its whole process group. By default, only the process "
            "that initpy started gets it.",
            False,
        ),
        Setting(
            "killasgroup",
            Flag(),
            "When it has to be killed, kill its whole process group.",
            True,
        ),
        Setting(
            "critical",
            Flag(),
            "The container ends when it cannot be started, or exits unexpectedly and is not "
            "to be restarted.",
            True,
        ),
        Setting(
            "stdin",
            OneOf(("null", PIPE)),
            "What it reads from: nothing (`/dev/null`); or a pipe, into which `initpy fg` and "
            "`sendProcessStdin` write, and which has no end as long as the program runs.",
            "null",
        ),
        Setting(
            "log",
            Output(),
            "What becomes of its stdout and its stderr: see [Output](#output). By default, as "
            "`[init]` says.",
        ),
        Setting("stdout", Output(), "The same for its stdout alone."),
        Setting("stderr", Output(), "The same for its stderr alone."),
        Setting("redirect_stderr", Flag(), "Its stderr is its stdout.", False),
        Setting(
            "max_line",
            Whole(64, MOST_LINE_BYTES),
            "Where lines are formed, longer ones are cut, in bytes, and the pieces marked.",
            MAX_LINE_BYTES,
        ),
        Setting(
            "multiline",
            Pattern(),
            "What a message begins with. Lines that do not match are joined to the one before: in "
            "JSON and for syslog, a traceback is one message.",
        ),
        Setting(
            "rate_limit",
            RateLimitTable(),
            "At most `lines` lines in `per` seconds; what is above that is dropped, and a line "
            "says how much. By default, without limit.",
        ),
        Setting(
            "json_merge",
            Flag(),
            "With `json`: a line that is a JSON object already has its fields beside ours; a name"
            " that is taken gets a `_`.",
            False,
        ),
        Setting(
            "strip_ansi",
            Flag(),
            "Leave out the escape sequences for terminals: colours, the cursor, titles,"
            " links, character sets.",
            False,
        ),
        Setting(
            "stdout_logfile",
            Text("a file, or AUTO, NONE, syslog"),
            "As in supervisord: a file, or `NONE`, `/dev/stdout`, `/dev/stderr`, `syslog`; `AUTO`: "
            "a file `PROCESS-stdout---PROGRAM.log` in `childlogdir`, which is gone on with when "
            "the container is started again.",
        ),
        Setting(
            "stdout_logfile_maxbytes",
            ByteSize(),
            "Where `stdout_logfile` is rotated; 0: never.",
            "50MB",
        ),
        Setting("stdout_logfile_backups", Whole(0), "How many old files are kept.", 10),
        Setting(
            "stdout_syslog",
            Flag(),
            "Its stdout also goes to the syslog server at `unix:/dev/log`.",
            False,
        ),
        Setting("stderr_logfile", Text("a file, or AUTO, NONE, syslog"), "The same for stderr."),
        Setting(
            "stderr_logfile_maxbytes",
            ByteSize(),
            "Where `stderr_logfile` is rotated; 0: never.",
            "50MB",
        ),
        Setting("stderr_logfile_backups", Whole(0), "How many old files are kept.", 10),
        Setting("stderr_syslog", Flag(), "The same as `stdout_syslog` for stderr.", False),
        Setting(
            "stdout_events_enabled",
            Flag(),
            "Event listeners are told of all that it writes: `PROCESS_LOG_STDOUT`.",
            False,
        ),
        Setting("stderr_events_enabled", Flag(), "The same for stderr.", False),
        Setting(
            "stdout_capture_maxbytes",
            ByteSize(),
            "Above 0: what it writes between `<!--XSUPERVISOR:BEGIN-->` and "
            "`<!--XSUPERVISOR:END-->`, up to so many bytes, is told to event listeners "
            "(`PROCESS_COMMUNICATION_STDOUT`), and left out of its output.",
            0,
        ),
        Setting("stderr_capture_maxbytes", ByteSize(), "The same for stderr.", 0),
    ),
)

GROUP = Section(
    "group.NAME",
    "Several programs under one name. A program outside of any is a group of its own.",
    (
        Setting(
            "programs",
            Names("programs", at_least=1),
            "The programs in it, in the order in which they start. A program can be in one "
            "group only.",
            required=True,
        ),
        Setting(
            "priority",
            Whole(),
            "Groups start in ascending order of this, and then of their names.",
            999,
        ),
    ),
)

INCLUDE = Section(
    "include",
    'More files. `include = ["conf.d/*.toml"]` above the first section says the same.',
    (
        Setting(
            "files",
            Names("file names or patterns", at_least=1),
            "Files to read as well, relative to the main file; `*`, `?` and `[…]` match as in "
            "a shell.",
            required=True,
        ),
    ),
)

_PROTOCOL = "the stdout of an event listener is how it speaks with initpy; "

_NOT_OF_LISTENERS = {
    "stdin": "an event listener reads its events from there",
    "type": "an event listener waits for events as long as it runs: it is no oneshot",
    "log": f"{_PROTOCOL}for its stderr there is `stderr`",
    "stdout": f"{_PROTOCOL}it goes nowhere else",
    "stdout_logfile": f"{_PROTOCOL}it goes nowhere else",
    "stdout_logfile_maxbytes": f"{_PROTOCOL}it goes nowhere else",
    "stdout_logfile_backups": f"{_PROTOCOL}it goes nowhere else",
    "stdout_events_enabled": f"{_PROTOCOL}it goes nowhere else",
    "stdout_capture_maxbytes": f"{_PROTOCOL}it goes nowhere else",
    "redirect_stderr": f"{_PROTOCOL}what its stderr says would break that",
    "result_handler": "initpy runs nobody's code in itself: a result of OK accepts an event, any "
    "other has it sent again",
}

_IN_LISTENERS = {
    "priority": -1,
    "critical": False,
    "drain": 0.25,
}
"""Defaults that are others than a program's. It is the last to be stopped, and has a moment to hear
of what stopped just before."""

EVENTLISTENER = Section(
    "eventlistener.NAME",
    "A program that is told of events, by supervisord's protocol. The settings of a program are "
    "settings of a listener, too.",
    (
        Setting(
            "events",
            NamesAmong("types of events", 1, "a type of event", (*TYPES, *PARENTS)),
            "What it is told of: see [events.md](events.md).",
            required=True,
        ),
        Setting(
            "buffer_size",
            Whole(1, 100_000),
            "How many events wait for it, at the most; then the oldest is dropped.",
            BUFFER_SIZE,
        ),
        Setting(
            "len_in",
            OneOf(("characters", "bytes")),
            "What `len` in the header of an event counts: characters, as in supervisord, or bytes.",
            "characters",
        ),
        *[
            replace(setting, default=_IN_LISTENERS.get(setting.key, setting.default))
            for setting in PROGRAM.settings
            if setting.key not in _NOT_OF_LISTENERS
        ],
    ),
    _NOT_OF_LISTENERS,
)

_PASSWORDS = (
    Setting("password", Secret("a password"), "Their password, as it is."),
    Setting(
        "password_file",
        Text("a file"),
        "A file with the password in it, relative to the file that names it; a line end behind the "
        "password does not count.",
    ),
    Setting("password_env", Text("the name of a variable"), "A variable that has the password."),
    Setting(
        "password_hash",
        Secret("what `initpy hash-password` prints"),
        "What `initpy hash-password` makes of the password. supervisord's `{SHA}…` is taken as "
        "well, with a warning: it is soon guessed.",
    ),
)
"""Only one of them can be given."""


CONTROL = Section(
    "control",
    "The control plane: what `initpy status`, `supervisorctl` and other clients speak to.",
    (
        Setting(
            "socket",
            SocketPath(),
            "The Unix socket that clients call; `false`: none. By default `/run/initpy.sock`, or "
            "where that cannot be made `/tmp/initpy.sock`.",
        ),
        Setting("mode", Umask("0600"), "The mode of the socket.", "0600"),
        Setting("owner", Account("user"), "The owner of the socket. By default, who runs initpy."),
        Setting("group", Account("group"), "The group of the socket. By default, the owner's."),
        Setting(
            "allow",
            Accounts(),
            "Users who may call, apart from root and the owner. `mode` and `group` have to let "
            "them open the socket, too.",
            [],
        ),
        Setting(
            "username",
            Text("a name"),
            "Whoever else can open the socket may call with this name and a password.",
        ),
        *_PASSWORDS,
        Setting(
            "identifier",
            Text("a name"),
            "What clients and event listeners are told as the name of it all.",
            "supervisor",
        ),
        Setting(
            "idle",
            Seconds(above_zero=True),
            "How long the process that answers clients stays when nobody calls any more.",
            60,
        ),
        Setting("http", Subsection("control.http"), "The same over TCP: see `[control.http]`."),
    ),
)

CONTROL_HTTP = Section(
    "control.http",
    "The control plane over TCP. There is none without this section.",
    (
        Setting(
            "listen",
            Listen(),
            "Where to listen: `HOST:PORT`. The host is an IP address (of version 6: in brackets), "
            "`localhost`, or nothing, which means all addresses. What can be reached from other "
            "hosts has to have a password.",
            required=True,
        ),
        Setting("username", Text("a name"), "The name that callers have to give, with a password."),
        *_PASSWORDS,
    ),
)

SECTIONS = (INIT, SIGNALS, PROGRAM, GROUP, EVENTLISTENER, CONTROL, CONTROL_HTTP, INCLUDE)
