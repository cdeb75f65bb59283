"""The second half of the table of scenarios: those that a client, a listener or a file shows.

Both daemons have the same supervisord.conf, each in a folder of its own. A conversation does
something, and returns what has come of it; that is compared with what supervisord is known to do,
and with what initpy does where that is another thing on purpose. The tolerances are those of
`scenarios`: here, all but X are equal.
"""

from __future__ import annotations

import re
import shlex
import signal
import socket
import sys
import threading
import xmlrpc.client
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initpy.control import faults
from tests.compat.peers import PATIENCE_S, UnixConnection
from tests.compat.servers import OURS, Server
from tests.support import probe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HERE = Path(__file__).resolve().parent
THE_SAME: Any = object()


@dataclass(frozen=True)
class Conversation:
    """What is said to a daemon, and what comes of it."""

    number: str
    promise: str
    tolerance: str
    talk: Callable[[Server], Any]
    expected: Any
    initpy: Any = THE_SAME
    why: str = ""
    """X: why initpy does not do what supervisord does."""


# ---------------------------------------------------------------- the file


def python(script: str, *words: str) -> str:
    return shlex.join([sys.executable, "-I", "-S", str(HERE / script), *words])


LATE_S = 30
"""The startsecs of what fails: supervisord may see its end late, and would say that it had been
RUNNING."""

AT_ONCE: Mapping[str, object] = {"stopsignal": "KILL"}
"""For what is stopped as soon as it has been started: supervisord's child has its handlers for a
moment, and loses a TERM."""


def superlance(name: str, *words: str) -> str:
    return shlex.join([sys.executable, "-W", "ignore", "-m", f"superlance.{name}", *words])


def section(head: str, command: str, **options: object) -> str:
    """Of a program or a listener; it can be started by hand, unless its options say more."""
    is_program = head.startswith("program:")
    own: dict[str, object] = {"command": command, "startsecs": 0}
    if is_program:
        own |= {"autostart": "false", "stdout_logfile": f"%(here)s/{head[8:]}.log"}
        own |= {"redirect_stderr": "true", "stdout_logfile_maxbytes": 0}
    own |= options
    return f"[{head}]\n" + "".join(f"{key} = {value}\n" for key, value in own.items())


def listener(name: str, events: str, *reactions: str, **options: object) -> str:
    command = python("reacting.py", f"%(here)s/{name}", *reactions)
    return section(f"eventlistener:{name}", command, events=events, **options)


def conf(port: int, page: str, mailbox: str) -> str:
    """The whole file. `port`: that of the server which asks for a password; `page` is what httpok
    looks at, and `mailbox` where fatalmailbatch sends its mails."""
    return "\n".join(
        [
            DAEMON.format(port=port),
            section("program:steady", python("actor.py", "tick", "0.05"), autostart="true"),
            section("program:slowly", "sleep 600", startsecs=600, **AT_ONCE),
            section("program:backing", "false", startsecs=LATE_S, startretries=100),
            section("program:retrying", "false", startsecs=LATE_S, startretries=100),
            section("program:leaver", shlex.join(probe("leaver", "shutdown-delay=1:0"))),
            section("program:falsy", "false", startsecs=LATE_S, startretries=0),
            section("program:fileless", "/no/such"),
            section("program:a", "sleep 600", priority=10, **AT_ONCE),
            section("program:b", "sleep 600", priority=30, **AT_ONCE),
            section("program:c", "sleep 600", priority=20, **AT_ONCE),
            "[group:trio]\nprograms = c,a,b\n",
            section("program:cue", "sleep 600", **AT_ONCE),
            section("program:twenty", "sh -c 'printf 0123456789abcdefghij && exec sleep 600'"),
            section("program:eight", "sh -c 'printf abcdefgh && exec sleep 600'"),
            section(
                "program:filling",
                python("actor.py", "fill", "%(here)s/filling.log", "30", "500"),
                stdout_logfile_maxbytes=500,
                stdout_logfile_backups=2,
            ),
            section(
                "program:turning",
                python("actor.py", "tick", "0.05"),
                stdout_logfile_maxbytes=200,
                stdout_logfile_backups=2,
            ),
            section(
                "program:teller",
                python("actor.py", "tell", *TOLD, "x" * 100),
                stdout_capture_maxbytes="1MB",
                autorestart="false",
            ),
            section(
                "program:laconic",
                "sh -c 'printf hi && exec sleep 0.5'",
                stdout_capture_maxbytes="1MB",
                autorestart="false",
            ),
            listener("watch", "PROCESS_STATE,PROCESS_COMMUNICATION", priority=1, buffer_size=1000),
            listener("ear", "REMOTE_COMMUNICATION", priority=2, buffer_size=1000),
            listener("slow", "REMOTE_COMMUNICATION", "h1=hold", priority=3, buffer_size=2),
            listener("picky", "REMOTE_COMMUNICATION", "r1=refuse:2", priority=4),
            listener("choosy", "REMOTE_COMMUNICATION", "n1=refuse:1", priority=5),
            listener("neighbour", "PROCESS_STATE", priority=5),
            listener("confused", "REMOTE_COMMUNICATION", "c1=nonsense", priority=6),
            listener("chatty", "REMOTE_COMMUNICATION", "c1=chat", priority=7),
            listener("mortal", "REMOTE_COMMUNICATION", "d1=die", priority=8),
            section("program:grown", python("actor.py", "grow", "%(here)s/has-grown", "64")),
            section("program:ill", "sleep 600"),
            section("program:crash", "sh -c 'sleep 2 && exit 7'", autorestart="false"),
            section(
                "program:fatal", "sh -c 'sleep 0.5 && exit 3'", startsecs=LATE_S, startretries=0
            ),
            section(
                "eventlistener:memmon",
                superlance("memmon", "-p", "grown=48MB"),
                events="TICK_5",
                priority=9,
                serverurl="unix://%(here)s/memmon.tap",
            ),
            section(
                "eventlistener:httpok",
                superlance("httpok", "-p", "ill", "-t", "5", page),
                events="TICK_5",
                priority=10,
                serverurl="unix://%(here)s/httpok.tap",
            ),
            section(
                "eventlistener:crashmail",
                superlance("crashmail", "-p", "crash", "-m", "me@x", "-s", "cat >>%(here)s/mail"),
                events="PROCESS_STATE_EXITED",
                priority=11,
            ),
            section(
                "eventlistener:fatalmailbatch",
                superlance(
                    "fatalmailbatch",
                    "--toEmail=me@x",
                    "--fromEmail=it@x",
                    f"--smtpHost={mailbox}",
                    "--tickEvent=TICK_5",
                    "--interval=0.05",
                ),
                events="PROCESS_STATE_FATAL,TICK_5",
                priority=12,
            ),
        ]
    )


DAEMON = """\
[supervisord]
nodaemon = true
logfile = %(here)s/log
logfile_maxbytes = 0
pidfile = %(here)s/pid
childlogdir = %(here)s
[unix_http_server]
file = %(here)s/s
[inet_http_server]
port = 127.0.0.1:{port}
username = me
password = secret
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

ENDING = DAEMON.partition("[inet_http_server]")[0] + "\n".join(
    [
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
        section("program:steady", python("actor.py", "tick", "0.05"), autostart="true"),
        section(
            "program:deaf",
            shlex.join(probe("deaf", "ignore=TERM")),
            autostart="true",
            stopwaitsecs=4,
        ),
        listener("watch", "PROCESS_STATE"),
    ]
)

TOLD = (
    "before ",
    "<!--XSUPERVI",
    "SOR:BEGIN-->one and ",
    "two<!--XSUPERVISOR",
    ":END-->",
    "after ",
)

# ---------------------------------------------------------------- processes


def stop_while_starting(server: Server) -> list[Any]:
    answers: list[Any] = []
    waiter = threading.Thread(target=lambda: answers.append(server.ask("startProcess", "slowly")))
    waiter.start()
    server.wait_for_state("slowly", "STARTING")
    answers.append(server.ask("stopProcess", "slowly"))
    waiter.join(PATIENCE_S)
    return sorted(map(str, answers))


def stop_in_backoff(server: Server) -> Any:
    """What it went through from the stop on; tries are counted from the last before it."""
    server.ask("startProcess", "backing", False)
    server.wait_for_moves(5, "backing")
    server.wait_for_state("backing", "BACKOFF")  # the next try is in 3 s
    assert server.ask("stopProcess", "backing") is True
    server.wait(lambda: "backing STOPPED pid:0" in server.moves("backing"), "it has stopped")
    # supervisord reaps before it answers: on a slow machine, it may have ended by then.
    assert server.ask("startProcess", "backing", False) in (True, f"fault {faults.SPAWN_ERROR}")
    at = server.moves("backing").index("backing STOPPED pid:0")
    moves = server.wait_for_moves(at + 3, "backing")
    server.ask("stopProcess", "backing")
    before, after = int(moves[at - 1].rpartition(":")[2]), moves[at:]
    assert moves[at - 1] == f"backing BACKOFF tries:{before}"
    return before >= 3, [
        it.replace(f":{before}", ":N").replace(f":{before + 1}", ":N+1") for it in after
    ]


def start_in_backoff(server: Server) -> Any:
    server.ask("startProcess", "retrying", False)
    server.wait_for_moves(3, "retrying")
    server.wait_for_state("retrying", "BACKOFF")
    answer = server.ask("startProcess", "retrying")
    server.ask("stopProcess", "retrying")
    return answer


def start_while_stopping(server: Server) -> Any:
    server.ask("startProcess", "leaver")
    server.wait(lambda: "leaver ready" in server.text("leaver.log"), "leaver")
    server.ask("stopProcess", "leaver", False)
    server.wait(lambda: "leaver got TERM" in server.text("leaver.log"), "leaver's TERM")
    answer = server.ask("startProcess", "leaver")
    server.wait(lambda: server.state("leaver") in ("STOPPED", "RUNNING"), "leaver's end")
    return answer, server.state("leaver")


def start_what_fails(server: Server) -> Any:
    answers = [server.ask("startProcess", "falsy")]
    server.wait_for_state("falsy", "FATAL")
    answers.append(server.ask("startProcess", "falsy"))
    server.wait_for_state("falsy", "FATAL")
    return answers, server.wait_for_moves(6, "falsy")


def start_what_is_missing(server: Server) -> Any:
    answer = server.ask("startProcess", "fileless")
    server.ask("startProcess", "cue")
    server.ask("stopProcess", "cue")
    server.wait(lambda: any("cue STOPPED" in it for it in server.moves("cue")), "a later event")
    return answer, server.state("fileless"), server.moves("fileless")


def start_and_stop_a_group(server: Server) -> Any:
    answers = [server.ask("startProcessGroup", "trio"), server.ask("stopProcessGroup", "trio")]
    server.wait_for_moves(12, "a", "b", "c")
    moves = server.moves("a", "b", "c")
    statuses = [sorted((it["name"], it["status"]) for it in answer) for answer in answers]
    begun = [it[0] for it in moves if "STARTING" in it]
    return statuses, begun, [it[0] for it in moves if "STOPPING" in it]


def groups_that_are_there(server: Server) -> Any:
    return [
        server.ask("addProcessGroup", "steady"),
        server.ask("removeProcessGroup", "steady"),
        server.ask("addProcessGroup", "nope"),
        server.ask("removeProcessGroup", "nope"),
    ]


def calls_while_it_ends(server: Server) -> Any:
    server.wait(lambda: "deaf ready" in server.text("deaf.log"), "deaf")
    assert server.ask("shutdown") is True
    server.wait(lambda: server.ask("getState") == "fault 6", "the end has begun")
    asked: list[tuple[str, tuple[object, ...]]] = [
        ("getAllProcessInfo", ()),
        ("startProcess", ("steady",)),
        ("getPID", ()),
        ("reloadConfig", ()),
        ("shutdown", ()),
    ]
    answers = [server.ask(method, *parameters) for method, parameters in asked]
    with server.proxy() as proxy:
        names = proxy.system.listMethods()
    assert isinstance(names, list)
    return answers, "supervisor.startProcess" in names


# ---------------------------------------------------------------- logs


def logs_are_renamed(server: Server) -> Any:
    """What is said after USR2 goes to new files, and to these alone."""
    old = server.folder / "steady.old"
    server.wait(lambda: server.text("steady.log"), "a log")
    (server.folder / "steady.log").rename(old)
    server.kill(signal.SIGUSR2)
    server.wait(lambda: server.text("steady.log"), "a new log")
    last = old.read_text()
    server.wait(lambda: server.text("steady.log").count("\n") > 3, "more in it")
    before, after = (map(int, re.findall(r"\d+", it)) for it in (last, server.text("steady.log")))
    assert max(before) + 1 == min(after), "nothing is lost"
    return old.read_text() == last


def once_there(server: Server, name: str, text: str) -> None:
    if server.state(name) != "RUNNING":
        server.ask("startProcess", name)
    server.wait(lambda: server.text(f"{name}.log") == text, f"the log of {name}")


def log_is_read(server: Server) -> Any:
    once_there(server, "twenty", "0123456789abcdefghij")
    spans = [(-12, 0), (-12, 5), (0, -5), (10**6, 0), (0, 0), (5, 3), (-100, 0)]
    return [server.ask("readProcessStdoutLog", "twenty", *span) for span in spans]


def log_has_a_tail(server: Server) -> Any:
    once_there(server, "eight", "abcdefgh")
    spans = [(0, 5), (4, 100), (50, 100), (0, 8), (0, 0), (3, 2), (0, 1)]
    return [server.ask("tailProcessStdoutLog", "eight", *span) for span in spans]


def log_is_rotated(server: Server) -> Any:
    server.ask("startProcess", "filling")
    names = ["filling.log", "filling.log.1", "filling.log.2", "filling.log.3"]
    server.wait(lambda: any("029x" in server.text(it) for it in names[:2]), "the last line")
    whole = "".join(server.text(it) for it in reversed(names))
    kept = [int(it) for it in re.findall(r"^(\d+)x", whole, re.MULTILINE)]
    assert kept == [*range(kept[0], 30)]
    return [len(server.text(it)) for it in names]


def log_is_followed(server: Server) -> Any:
    """Over several rotations."""
    server.ask("startProcess", "turning")
    server.wait(lambda: server.text("turning.log"), "a log")
    connection = UnixConnection(str(server.folder / "s"))
    text, numbers = "", [0]
    try:
        connection.request("GET", "/logtail/turning")
        answer = connection.getresponse()
        while numbers[-1] < numbers[0] + 70:
            text += answer.read1().decode()
            numbers = [int(it) for it in re.findall(r"^line (\d+)\n", text, re.MULTILINE)] or [0]
    finally:
        connection.close()
        server.ask("stopProcess", "turning")
    assert numbers == sorted(set(numbers))
    return answer.status, answer.headers["Content-Type"]


# ---------------------------------------------------------------- calls


def many_calls(server: Server) -> Any:
    calls: list[Any] = [
        {"methodName": "supervisor.getAPIVersion", "params": []},
        {"methodName": "supervisor.getIdentification"},
        {"methodName": "nope", "params": []},
        {"params": []},
        {"methodName": "system.multicall", "params": [[]]},
        {"methodName": "supervisor.getProcessInfo", "params": ["nope"]},
        {"methodName": "supervisor.getState", "params": [1]},
        {"methodName": "supervisor.startProcess", "params": ["fileless"]},
        {"methodName": "supervisor.startProcess", "params": ["cue"]},
        {"methodName": "supervisor.stopProcess", "params": ["cue"]},
    ]
    with server.proxy() as proxy:
        results = proxy.system.multicall(calls)
    assert isinstance(results, list)
    return [it["faultCode"] if isinstance(it, dict) and "faultCode" in it else it for it in results]


def http_matrix(server: Server) -> Any:
    """What is no call; over TCP, for root needs no password on the unix socket."""
    port = int(re.findall(r"port = 127\.0\.0\.1:(\d+)", server.conf.read_text())[0])
    known = f"Authorization: Basic {b64encode(b'me:secret').decode()}\r\n"
    wrong = f"Authorization: Basic {b64encode(b'me:nope').decode()}\r\n"
    host = f"Host: 127.0.0.1:{port}\r\nConnection: close\r\n"
    call = xmlrpc.client.dumps((), "supervisor.getAPIVersion")
    length = f"Content-Type: text/xml\r\nContent-Length: {len(call)}\r\n"
    requests = [
        f"GET /RPC2 HTTP/1.1\r\n{host}{known}\r\n",
        f"POST /RPC2 HTTP/1.1\r\n{host}{known}\r\n",
        f"POST /RPC2 HTTP/1.1\r\n{host}{known}Content-Length: 4\r\n\r\n<a/>",
        f"GET /nope HTTP/1.1\r\n{host}{known}\r\n",
        f"GET /logtail/nope HTTP/1.1\r\n{host}{known}\r\n",
        f"POST /RPC2 HTTP/1.1\r\n{host}{length}\r\n{call}",
        f"POST /RPC2 HTTP/1.1\r\n{host}{wrong}{length}\r\n{call}",
        f"GET /nope HTTP/1.1\r\n{host}\r\n",
        f"POST /RPC2 HTTP/1.1\r\n{host}{known}{length}\r\n{call}",
    ]
    found = []
    for request in requests:
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as sock:
            sock.sendall(request.encode())
            answer = b"".join(iter(lambda sock=sock: sock.recv(65536), b""))  # type: ignore[misc]
        found.append(int(answer.split()[1]))
        if found[-1] == 401:
            assert b'Basic realm="default"' in answer
    return found


# ---------------------------------------------------------------- events


def communication(server: Server) -> Any:
    server.ask("startProcess", "teller")
    server.wait_for_state("teller", "EXITED")

    def told() -> list[str]:
        found = [it for it in server.seen("watch") if it.name.startswith("PROCESS_COMM")]
        texts = [f"{it.name} {it.payload}" for it in found if "processname:teller" in it.payload]
        return [re.sub(r"pid:\d+", "pid:N", it) for it in texts]

    server.wait(told, "the event")
    server.wait(lambda: "after" in server.text("teller.log"), "the log")
    return told(), server.text("teller.log").rstrip("x")


def last_words(server: Server) -> Any:
    server.ask("startProcess", "laconic")
    server.wait_for_state("laconic", "EXITED")
    if server.name == OURS:
        server.wait(lambda: server.text("laconic.log"), "the log")
    return server.text("laconic.log")


def overflow(server: Server) -> Any:
    server.send("h1")
    server.wait_for_types("slow", "h1")
    server.send("h2", "h3", "h4", "h5", "h6")
    server.wait_for_types("ear", "h6")
    (server.folder / "slow.go").touch()
    server.wait_for_types("slow", "h6")
    server.wait_for_log("pool slow event buffer overflowed, discarding event")
    mine = [it for it in server.seen("slow") if re.fullmatch(r"h\d", it.type)]
    return [(it.serial - mine[0].serial, it.type) for it in mine]


def refusals(server: Server) -> Any:
    server.send("r1", "r2")
    server.wait_for_types("picky", "r2")
    mine = [it for it in server.seen("picky") if it.type in ("r1", "r2")]
    return [(it.serial - mine[0].serial, it.type) for it in mine]


def refusal_beside_others(server: Server) -> Any:
    server.send("n1")
    server.wait(lambda: len(server.types("choosy", "n1")) == 2, "it is sent again")
    server.ask("startProcess", "cue")
    server.ask("stopProcess", "cue")
    server.wait(
        lambda: any("processname:cue" in it.payload for it in server.seen("neighbour")),
        "the neighbour has seen what is for it",
    )
    return [it.name for it in server.seen("neighbour") if not it.name.startswith("PROCESS_STATE")]


def nonsense(server: Server) -> Any:
    server.send("c1")
    for name in ("confused", "chatty"):
        server.wait_for_log(f"{name}: .*has entered the UNKNOWN state and will no longer receive")
    server.send("c2")
    server.wait_for_types("ear", "c2")
    server.wait_for_types("picky", "c2")
    names = ("confused", "chatty")
    return [(server.types(name, "c1", "c2"), server.state(f"{name}:{name}")) for name in names]


def death_while_busy(server: Server) -> Any:
    server.send("d1", "d2")
    server.wait_for_types("mortal", "d2")
    mine = [it for it in server.seen("mortal") if it.type in ("d1", "d2")]
    assert mine[0].pid != mine[1].pid == mine[2].pid
    return [(it.serial - mine[0].serial, it.type) for it in mine]


# ---------------------------------------------------------------- superlance


SLOW_S = 90.0
"""Ticks come every 5 s, and then there are programs to be run."""


def changes(calls: list[tuple[str, ...]], count: int) -> list[tuple[str, ...]]:
    """The first of those that are about one process, and what came before: as the listener has
    made them, once."""
    (first,) = [at for at, call in enumerate(calls) if len(call) > 1][:1]
    return [calls[first - 1], *calls[first : first + count]]


def acting(plugin: str, ill: str, count: int) -> Callable[[Server], Any]:
    """The `count` calls that a plugin makes about the program that it is to see to."""

    def talk(server: Server) -> Any:
        server.ask("startProcess", ill)
        calls = server.taps[plugin]
        server.wait(
            lambda: len([it for it in calls if len(it) > 1]) >= count,
            f"{plugin} acts: {calls}",
            SLOW_S,
        )
        server.wait_for_state(ill, "RUNNING")
        return changes(calls, count)

    return talk


def crashmail(server: Server) -> Any:
    """It also tells of listeners that crash, in other conversations."""

    def mine() -> list[str]:
        mails = server.text("mail").split("To: ")
        return [it for it in mails if "Process crash " in it and "from state" in it]

    server.ask("startProcess", "crash")
    server.wait(mine, "a mail", SLOW_S)
    return worded(mine()[0])


def fatalmailbatch(server: Server) -> Any:
    server.ask("startProcess", "fatal", False)
    server.wait(lambda: any("fatal:" in it for it in server.mails), "a mail", SLOW_S)
    (mail,) = [it for it in server.mails if "fatal:" in it]
    said = worded(mail.partition("\r\n\r\n")[2])
    return [it for it in said if "fatal:" in it]  # others may have failed in that minute


def worded(mail: str) -> list[str]:
    """Its lines, without what is another each time."""
    stamp = r"\d{4}-\d\d-\d\d [\d:]+(,\d+)?|pid \d+"
    return [re.sub(stamp, "N", it) for it in mail.splitlines() if it]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


# ---------------------------------------------------------------- the table

STARTED = ["STARTING tries:0", "RUNNING"]
FAILED = ["STARTING tries:0", "BACKOFF tries:1", "FATAL"]
CALLS_OF_HTTPOK = [("getAllProcessInfo",), ("stopProcess", "ill"), ("startProcess", "ill")]
CALLS_OF_MEMMON = [
    ("getAllProcessInfo",),
    ("getProcessInfo", "grown:grown"),
    ("stopProcess", "grown:grown"),
    ("startProcess", "grown:grown"),
]
DONE = [("a", 80), ("b", 80), ("c", 80)]


def of(process: str, *moves: str) -> list[str]:
    return [f"{process} {move}" for move in moves]


TOGETHER = (
    Conversation(
        "18, with a waiting client",
        "a stop while it is STARTING ends the start that is waited for",
        "O",
        stop_while_starting,
        ["True", "fault 40"],
    ),
    Conversation(
        "19",
        "a stop in BACKOFF kills nothing, and what has failed so far is remembered",
        "O",
        stop_in_backoff,
        (True, of("backing", "STOPPED pid:0", "STARTING tries:N", "BACKOFF tries:N+1")),
    ),
    Conversation("20", "a start in BACKOFF", "O", start_in_backoff, "fault 60"),
    Conversation(
        "21",
        "a start while it is STOPPING, with a waiting client",
        "X",
        start_while_stopping,
        ("fault 40", "STOPPED"),
        (True, "RUNNING"),
        why="supervisord refuses it; initpy starts the program as soon as it has stopped",
    ),
    Conversation(
        "24",
        "a start that fails, from STOPPED and from FATAL",
        "L",
        start_what_fails,
        (["fault 50"] * 2, of("falsy", *FAILED, *FAILED)),
    ),
    Conversation(
        "25",
        "the start of a missing file is refused, and changes nothing",
        "O",
        start_what_is_missing,
        ("fault 20", "STOPPED", []),
    ),
    Conversation(
        "32",
        "a group is started and stopped by priority",
        "O",
        start_and_stop_a_group,
        ([DONE, DONE], ["a", "c", "b"], ["a", "c", "b"]),
    ),
    Conversation("39", "USR2 after logs have been renamed", "T", logs_are_renamed, True),
    Conversation(
        "42",
        "a group is added twice; one that runs is removed",
        "O",
        groups_that_are_there,
        ["fault 90", "fault 91", "fault 10", "fault 10"],
    ),
    Conversation(
        "45",
        "parts of a log",
        "O",
        log_is_read,
        [
            "89abcdefghij"[-12:],
            "fault 3",
            "fault 3",
            "",
            "0123456789abcdefghij",
            "567",
            "0123456789abcdefghij",
        ],
    ),
    Conversation(
        "46",
        "the tail of a log",
        "O",
        log_has_a_tail,
        [
            ["defgh", 8, True],
            ["abcdefgh", 8, False],
            ["", 8, False],
            ["abcdefgh", 8, False],
            ["", 8, True],
            ["gh", 8, True],
            ["h", 8, True],
        ],
    ),
    Conversation(
        "47",
        "many calls in one",
        "O",
        many_calls,
        ["3.0", "supervisor", 1, 2, 2, 10, 2, 20, True, True],
    ),
    Conversation(
        "48",
        "30 lines of 101 bytes, at most 500 bytes in a file",
        "X",
        log_is_rotated,
        [0, 505, 505, 0],
        [202, 404, 404, 0],
        why="supervisord rotates a file that has become too long; initpy's are never longer",
    ),
    Conversation(
        "49",
        "what a program tells between two tags, which come in pieces",
        "O",
        communication,
        (
            ["PROCESS_COMMUNICATION_STDOUT processname:teller groupname:teller pid:N\none and two"],
            "before after ",
        ),
    ),
    Conversation(
        "50",
        "the last words of a program whose tags are captured",
        "X",
        last_words,
        "",
        "hi",
        why="supervisord holds back what could be the beginning of a tag, and loses it",
    ),
    Conversation(
        "51",
        "six events for a listener that is busy and has a buffer of two",
        "O",
        overflow,
        [(0, "h1"), (4, "h5"), (5, "h6")],
    ),
    Conversation(
        "52",
        "an event that is refused twice",
        "O",
        refusals,
        [(0, "r1"), (0, "r1"), (0, "r1"), (1, "r2")],
    ),
    Conversation(
        "53",
        "an event that is refused, and a pool of the same priority",
        "X",
        refusal_beside_others,
        ["REMOTE_COMMUNICATION"],
        [],
        why="supervisord gives it to the other pool, too, which has not asked for such events",
    ),
    Conversation(
        "54",
        "listeners that talk nonsense, or talk when they are to wait, get no more events",
        "O",
        nonsense,
        [(["c1"], "RUNNING"), (["c1"], "RUNNING")],
    ),
    Conversation(
        "55",
        "a listener that dies with an event",
        "L",
        death_while_busy,
        [(0, "d1"), (0, "d1"), (1, "d2")],
    ),
    Conversation(
        "56",
        "what is no call, or comes without the password",
        "O",
        http_matrix,
        [400, 411, 400, 404, 404, 401, 401, 401, 200],
    ),
    Conversation(
        "57",
        "a log that is followed while it is rotated",
        "L",
        log_is_followed,
        (200, "text/plain;charset=utf-8"),
    ),
    Conversation(
        "59, memmon", "restarts what has grown", "L", acting("memmon", "grown", 3), CALLS_OF_MEMMON
    ),
    Conversation(
        "59, httpok",
        "restarts what does not answer",
        "L",
        acting("httpok", "ill", 2),
        CALLS_OF_HTTPOK,
    ),
    Conversation(
        "59, crashmail",
        "tells of a crash",
        "L",
        crashmail,
        [
            "me@x",
            "Subject:  crash crashed at N",
            "Process crash in group crash exited unexpectedly (N) from state RUNNING",
        ],
    ),
    Conversation(
        "59, fatalmailbatch",
        "tells of what could not be started",
        "L",
        fatalmailbatch,
        ["N -- Process fatal:fatal failed to start too many times"],
    ),
)

APART = (
    Conversation(
        "36",
        "while it ends, no call but system.* is taken",
        "O",
        calls_while_it_ends,
        (["fault 6"] * 5, True),
    ),
)
ELSEWHERE = {"58": "test_supervisorctl_at_initpy.py"}
"""Numbers of the notes that another file is about."""
