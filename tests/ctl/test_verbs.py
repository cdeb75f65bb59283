"""`initpy status` and its kind, against a real initpy with real programs."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from initpy import __version__
from tests.control.rpc import rpc
from tests.ctl.support import TIMEOUT_S, Client, Said
from tests.pid1.toml import command, program
from tests.support import REPO, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import Init

    Start = Callable[..., tuple[Init, Client]]

LAZY = {"startsecs": 0, "critical": False}
SLEEP = ["sleep", "1000"]
THREE = command("w", SLEEP, numprocs=3, process_name="w_%(process_num)d", **LAZY)
FALSE = command("bad", ["false"], autostart=False, startretries=0, critical=False)


def test_the_table_has_what_there_is_to_know(start: Start) -> None:
    _, client = start(
        command("web", SLEEP, **LAZY)
        + command("killed", ["sh", "-c", "kill -9 $$$$"], autorestart=False, **LAZY)
        + command("idle", SLEEP, autostart=False)
    )
    client.wait_until(web="RUNNING", killed="EXITED", idle="STOPPED")
    said = client("status")
    assert said.code == 3
    heading, idle, killed, web = said.lines
    assert heading.split() == ["NAME", "STATE", "PID", "UPTIME", "RESTARTS", "CPU", "MEMORY", *(
        "LAST", "EXIT")]  # fmt: skip
    assert idle.split() == ["idle", "STOPPED", "-", "-", "0", "-", "-", "-"]
    assert re.fullmatch(r"killed +EXITED +- +- +0 +- +- +terminated by SIGKILL, \d+\w* ago", killed)
    pid = client.status()["web"]["pid"]
    assert re.fullmatch(rf"web +RUNNING +{pid} +\d+\w* +0 +\d\.\d% +\d+(\.\d)?[KM] +-", web)


def test_status_of_some(start: Start) -> None:
    _, client = start(command("web", SLEEP, **LAZY) + THREE + FALSE)
    client.wait_until(web="RUNNING", w_0="RUNNING", w_2="RUNNING")
    assert client("status", "web").code == 0
    assert [line.split()[0] for line in client("status", "w:*", "web", "w_?").lines[1:]] == [
        *("w:w_0", "w:w_1", "w:w_2", "web")
    ]
    assert client("status", "bad", "nope").code == 3
    said = client("status", "web", "nope")
    assert (said.code, len(said.lines)) == (4, 2)
    assert said.err == "initpy: there is no program, group or process nope\n"
    assert client("status", "--names").lines == ["bad", "w:w_0", "w:w_1", "w:w_2", "web"]


def test_status_as_json(start: Start) -> None:
    init, client = start(command("web", ["sh", "-c", "sleep 1000 & wait"], **LAZY) + FALSE)
    client.wait_until(web="RUNNING", bad="STOPPED")
    assert client("start", "bad").code == 7
    bad, web = json.loads(client("status", "--json").out)
    assert (bad["why"], bad["exitcode"], bad["signal"], bad["pid"]) == (
        *("exit status 1; too quickly", 1, 0, 0),
    )
    assert (bad["critical"], bad["memory_bytes"], bad["cpu_seconds"]) == (False, None, None)
    assert web["pid"] in (init.pid, *map(int, re.findall(r"'web' with pid (\d+)", init.log())))
    assert web["processes"] == 2
    assert web["memory_bytes"] > 0
    assert web["now"] >= web["start"] > 0


def test_restarts_are_counted_until_somebody_starts_it(start: Start) -> None:
    argv = ["sh", "-c", "sleep 0.05; exit 3"]
    _, client = start(command("flap", argv, autorestart=True, **LAZY) + command("web", SLEEP))
    client.wait_until(web="RUNNING")
    wait_for(lambda: client.status()["flap"]["restarts"] >= 3, within_s=TIMEOUT_S)
    assert client.status()["web"]["restarts"] == 0
    assert client("restart", "web").code == 0
    assert client.status()["web"]["restarts"] == 0
    assert client.status()["web"]["why"] == "terminated by SIGTERM"
    client("stop", "flap")
    before = client.status()["flap"]["restarts"]
    client("start", "flap")
    assert before >= 3
    assert client.status()["flap"]["restarts"] < before


def test_orders_by_name_group_and_pattern(start: Start) -> None:
    _, client = start(command("web", SLEEP, **LAZY) + THREE)
    client.wait_until(web="RUNNING", w_0="RUNNING", w_1="RUNNING", w_2="RUNNING")
    assert client("stop", "w:w_1", "web") == Said(0, "w:w_1: stopped\nweb: stopped\n", "")
    assert client("stop", "web") == Said(0, "web: ERROR (not running)\n", "")
    said = client("start", "w_*", "web")
    assert said.code == 0
    assert said.lines == [
        "w:w_0: ERROR (already started)",
        "w:w_1: started",
        "w:w_2: ERROR (already started)",
        "web: started",
    ]
    said = client("restart", "w:*")
    assert (said.code, sorted(said.lines)) == (
        0,
        sorted([f"w:w_{number}: {done}" for number in range(3) for done in ("stopped", "started")]),
    )
    assert sorted(client("stop", "all").lines) == [
        *[f"w:w_{number}: stopped" for number in range(3)],
        "web: stopped",
    ]
    assert set(client.states().values()) == {"STOPPED"}


def test_names_that_nobody_has(start: Start) -> None:
    _, client = start(command("web", SLEEP, **LAZY))
    client.wait_until(web="RUNNING")
    assert client("start", "nope") == Said(1, "nope: ERROR (no such process)\n", "")
    assert client("start", "nope:*") == Said(2, "nope: ERROR (no such group)\n", "")
    assert client("stop", "nope:*") == Said(1, "nope: ERROR (no such group)\n", "")
    said = client("restart", "x*", "web")
    assert said == Said(1, "web: stopped\nweb: started\n", "initpy: no process matches x*\n")
    assert client("stop", "x*") == Said(1, "", "initpy: no process matches x*\n")


def test_what_cannot_be_started(start: Start) -> None:
    _, client = start(
        command("web", SLEEP, **LAZY) + FALSE + command("none", ["/no/such"], autostart=False)
    )
    client.wait_until(web="RUNNING")
    assert client("start", "bad") == Said(7, "bad: ERROR (spawn error)\n", "")
    assert client("start", "none") == Said(1, "none: ERROR (no such file)\n", "")
    assert client("start", "web") == Said(0, "web: ERROR (already started)\n", "")


def test_a_rolling_restart_is_one_after_the_other(start: Start) -> None:
    """The next is only stopped when the last is RUNNING again."""
    init, client = start(
        command("w", SLEEP, numprocs=3, process_name="w_%(process_num)d", startsecs=0.3)
    )
    client.wait_until(w_0="RUNNING", w_1="RUNNING", w_2="RUNNING")
    before = len(init.log())
    assert client("restart", "--rolling", "w:*").lines == [f"w:w_{it}: started" for it in range(3)]
    found = re.findall(r"(stopped|success): (w_\d)", init.log()[before:])
    assert found == [(what, f"w_{it}") for it in range(3) for what in ("stopped", "success")]


def test_a_rolling_restart_ends_where_one_does_not_come_up(start: Start, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    script = f"[ $0 = 1 ] && [ -e {flag} ] && exit 1; exec sleep 1000"
    argv = ["sh", "-c", script, "%(process_num)d"]
    options = {"numprocs": 3, "process_name": "w_%(process_num)d", "startretries": 0}
    _, client = start(command("w", argv, startsecs=0.3, critical=False, **options))
    client.wait_until(w_0="RUNNING", w_1="RUNNING", w_2="RUNNING")
    pid = client.status()["w_2"]["pid"]
    flag.touch()
    said = client("restart", "--rolling", "w*")
    assert said.code == 7
    assert said.lines == [
        "w:w_0: started",
        "w:w_1: ERROR (spawn error)",
        "w:w_2: not restarted",
    ]
    assert client.status()["w_2"]["pid"] == pid
    assert client("restart", "--rolling", "nope").lines == ["nope: ERROR (no such process)"]


def test_signals(start: Start) -> None:
    init, client = start(program("web", "catch=USR1,HUP", **LAZY) + FALSE)
    init.wait_for_output("web ready")
    assert client("signal", "HUP", "web") == Said(0, "web: signalled\n", "")
    init.wait_for_output("web got HUP")
    assert client("signal", "10", "w*") == Said(0, "web: signalled\n", "")
    init.wait_for_output("web got USR1")
    assert client("signal", "NOPE", "web") == Said(1, "web: ERROR (bad signal name)\n", "")
    assert client("signal", "HUP", "bad") == Said(7, "bad: ERROR (not running)\n", "")


def test_pids_and_versions(start: Start) -> None:
    init, client = start(command("web", SLEEP, **LAZY) + FALSE)
    client.wait_until(web="RUNNING")
    web = client.status()["web"]["pid"]
    assert client("pid") == Said(0, f"{init.pid}\n", "")
    assert client("pid", "web") == Said(0, f"{web}\n", "")
    assert client("pid", "all") == Said(0, f"0\n{web}\n", "")
    assert client("pid", "bad") == Said(7, "0\n", "")
    assert client("pid", "nope") == Said(1, "No such process nope\n", "")
    assert client("version") == Said(0, f"initpy {__version__}\n", "")


def test_shutdown(start: Start) -> None:
    init, client = start(command("web", SLEEP, **LAZY))
    client.wait_until(web="RUNNING")
    assert client("shutdown") == Said(0, "shutting down\n", "")
    assert init.wait() == 0
    said = client("status")
    assert said.code == 4
    assert said.err.startswith("initpy: nothing answers at ")


def test_events_as_they_come(start: Start) -> None:
    _, client = start(command("web", SLEEP, **LAZY))
    client.wait_until(web="RUNNING")
    with client.begin("events", "--json") as events, client.begin("events") as texts:
        assert events.stdout is not None
        assert texts.stdout is not None
        seen: list[dict[str, str]] = []
        try:
            # Until it listens, there is nothing that it says.
            ready = wait_for_first(client, events)
            wait_for_first(client, texts)
            client("stop", "web")
            while not seen or seen[-1]["to"] != "STOPPED":
                seen.append(json.loads(events.stdout.readline()))
            lines = [texts.stdout.readline()]
            while "-> STOPPED" not in lines[-1]:
                lines.append(texts.stdout.readline())
        finally:
            for each in (events, texts):
                each.send_signal(signal.SIGINT)
        assert events.wait(TIMEOUT_S) == 130
    assert ready.startswith("{")
    assert (seen[-1]["name"], seen[-1]["from"]) == ("web", "STOPPING")
    assert seen[-1]["why"] == "terminated by SIGTERM"
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  web  STOPPING -> STOPPED  \(terminated by SIGTERM\)\n",
        lines[-1],
    )


def wait_for_first(client: Client, events: subprocess.Popen[str]) -> str:
    """Have something happen until it is told of."""
    import select

    assert events.stdout is not None
    while not select.select([events.stdout], [], [], 0)[0]:
        client("restart", "web")
    return events.stdout.readline()


def test_watching_goes_on_until_it_is_ended(start: Start) -> None:
    _, client = start(command("web", SLEEP, **LAZY))
    client.wait_until(web="RUNNING")
    with client.begin("status", "--watch", "0.1") as watch:
        assert watch.stdout is not None
        seen = 0
        while seen < 3:
            seen += watch.stdout.readline().startswith("web ")
        watch.send_signal(signal.SIGINT)
        assert watch.wait(TIMEOUT_S) == 130
        assert "Traceback" not in watch.communicate()[1]


def test_nobody_who_reads_is_no_failure(start: Start) -> None:
    _, client = start(command("web", SLEEP, **LAZY))
    client.wait_until(web="RUNNING")
    with client.begin("status", "--watch", "0.1") as watch:
        assert watch.stdout is not None
        watch.stdout.close()
        assert watch.wait(TIMEOUT_S) == 0
        assert watch.stderr is not None
        assert watch.stderr.read() == ""


@pytest.mark.parametrize(
    ("env", "has_colours"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
    ids=str,
)
def test_colours_are_for_terminals(start: Start, env: dict[str, str], has_colours: bool) -> None:
    _, client = start(command("web", SLEEP, **LAZY))
    client.wait_until(web="RUNNING")
    assert "\x1b" not in client("status", **env).out
    leader, follower = pty.openpty()
    plain = {name: value for name, value in client.env.items() if name != "NO_COLOR"}
    words = [*client.command, "status"]
    with subprocess.Popen(words, cwd=REPO, env={**plain, **env}, stdout=follower) as it:
        os.close(follower)
        raw = b""
        try:
            while piece := os.read(leader, 4096):
                raw += piece
        except OSError:  # EIO: the other side is closed
            pass
        assert it.wait(TIMEOUT_S) == 0
    os.close(leader)
    assert (b"\x1b[32mRUNNING" in raw) == has_colours
    assert (b"\x1b" in raw) == has_colours


def test_nothing_answers(initpy_command: list[str], tmp_path: Path) -> None:
    """What to do is said, and no traceback."""

    def said_of(*words: str, socket: str) -> Said:
        env = {**os.environ, "INITPY_SOCKET": socket}
        done = subprocess.run(
            [*initpy_command, *words], cwd=REPO, env=env, capture_output=True, text=True,
            timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        return Said(done.returncode, done.stdout, done.stderr)

    nowhere = str(tmp_path / "none")
    for verb, code in (("version", 7), ("shutdown", 7), ("status", 4)):
        assert said_of(verb, socket=nowhere) == Said(
            code, "", f"initpy: nothing answers at {nowhere}: No such file or directory\n"
        )
    assert (said_of("status", socket="").code, said_of("health", socket="").code) == (4, 1)
    assert said_of("health", "-s", nowhere, socket="").code == 1
    assert said_of("version", socket="") == Said(
        7, "", "initpy: INITPY_SOCKET is empty, which means that there is no control socket\n"
    )
    assert said_of("version", "-s", "ftp://x", socket="").code == 2
    assert said_of("version", "-s", "http://127.0.0.1:1", socket="") == Said(
        7, "", "initpy: nothing answers at http://127.0.0.1:1: Connection refused\n"
    )


def test_misuse_is_told(initpy_command: list[str]) -> None:
    for words in (["start"], ["signal", "HUP"], ["status", "--watch", "0"], ["fg"],
                  ["tail", "x", "stdin"], ["completion", "csh"], ["logs", "-n", "x"]):  # fmt: skip
        done = subprocess.run(
            [*initpy_command, *words], cwd=REPO, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (2, ""), words
        assert done.stderr.startswith(f"usage: initpy {words[0]} [-h]"), done.stderr


@pytest.mark.parametrize("as_pid1", [True], ids=["as PID 1"])
def test_a_socket_elsewhere_is_found_through_process_1(
    start_init: Callable[..., Init], initpy_command: list[str], tmp_path: Path, as_pid1: bool
) -> None:
    """What `docker exec` does, with a socket that the file has put elsewhere."""
    path = tmp_path / "s"
    control = f'[control]\nsocket = "{path}"\n'
    init = start_init(control + command("web", SLEEP, **LAZY), as_pid1=as_pid1)
    init.wait_for_log("success: web")
    wrapper = ["nsenter", "-t", str(init.pid), "-p", "-m"]
    client = Client(initpy_command, init.socket, wrapper)
    client.env["PYTHONPATH"] = str(REPO)
    del client.env["INITPY_SOCKET"]
    said = client("status")
    assert said.code == 0, said
    assert re.search(r"^web +RUNNING +\d+ +\d+\w* +0 +\d\.\d%", said.out, re.MULTILINE)
    assert client("health") == Said(0, "", "")
    assert client("pid") == Said(0, "1\n", "")
    outside = Client(initpy_command, path)
    table = outside("status").lines  # its pids are those of another namespace
    assert table[1].split()[5:] == ["-", "-", "-"]


def test_completion_in_other_shells_names_every_command(initpy_command: list[str]) -> None:
    for shell in ("zsh", "fish"):
        done = subprocess.run(
            [*initpy_command, "completion", shell], cwd=REPO, capture_output=True, text=True,
            timeout=TIMEOUT_S, check=True,
        )  # fmt: skip
        for verb in ("status", "restart", "hash-password", "check"):
            assert re.search(rf"\b{verb}\b", done.stdout), (shell, verb)


def test_a_password_is_hashed_with_a_salt(initpy_command: list[str]) -> None:
    from initpy.control.passwords import Accounts, why_not_taken

    def hashed(word: bytes) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*initpy_command, "hash-password"], cwd=REPO, input=word, capture_output=True,
            timeout=TIMEOUT_S, check=False,
        )  # fmt: skip

    one, other = hashed(b"s3cret\n").stdout.decode().strip(), hashed(b"s3cret").stdout.decode()
    assert one != other.strip()
    assert why_not_taken(one) == why_not_taken(other.strip()) == ""
    accounts = Accounts((("u", one),))
    assert accounts.are_right(b"u", b"s3cret")
    assert not accounts.are_right(b"u", b"s3cres")
    assert hashed(b"\n").returncode == 1


def test_the_slow_way_to_hash_is_the_same() -> None:
    from hashlib import pbkdf2_hmac

    from initpy.control.passwords import _slow_pbkdf2

    for password in (b"", b"x", b"x" * 64, b"y" * 65):
        assert _slow_pbkdf2(password, b"salt", 7) == pbkdf2_hmac("sha256", password, b"salt", 7)


def test_a_reload_is_of_the_whole_file(start: Start) -> None:
    """Of who may call as well, and a bad file changes nothing."""
    web = command("web", SLEEP, **LAZY)
    control = '[control]\nidentifier = "one"\n'
    init, client = start(web + control)
    client.wait_until(web="RUNNING")
    init.config.write_text("[program.web\n")
    said = client("reload")
    assert said.code == 1
    why = f"CANT_REREAD: {init.config}:1: "
    assert said.err.startswith(f"initpy: nothing is reloaded: {why}")
    for verb in ("reread", "update"):
        assert client(verb).out.startswith(f"ERROR: {why}")
    assert client("reread").code == 1
    init.config.write_text(web + program("new") + control.replace("one", "two"))
    assert client("reload") == Said(0, "reloaded\n", "")
    client.wait_until(web="RUNNING", new="RUNNING")
    init.wait_for_log("reloaded: added new")
    with rpc(init) as api:
        assert api.getIdentification() == "two"
    assert init.stop() == 0
