"""`initpy health`: 0 only when all that matters is up, and one line why not."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.ctl.support import TIMEOUT_S, Client, Said
from tests.pid1.toml import command, program
from tests.support import REPO, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import Init

    Start = Callable[..., tuple[Init, Client]]

SLEEP = ["sleep", "1000"]
WEB = command("web", SLEEP, startsecs=0)


def test_all_is_well(start: Start) -> None:
    """What has finished and was to, and what only counts when somebody starts it, is well."""
    _, client = start(
        WEB
        + command("once", ["true"], type="oneshot")
        + command("done", ["true"], startsecs=0)
        + command("byhand", SLEEP, autostart=False)
        + command("bad", ["false"], critical=False, startretries=0)
    )
    client.wait_until(web="RUNNING", once="EXITED", done="EXITED", bad="FATAL")
    assert client("health") == Said(0, "", "")
    assert client("health", "web", "once") == Said(0, "", "")


def test_what_is_not_running_is_named(start: Start) -> None:
    _, client = start(WEB + command("late", SLEEP, startsecs=1000))
    client.wait_until(web="RUNNING", late="STARTING")
    assert client("health") == Said(1, "late is STARTING\n", "")
    client("stop", "web")
    assert client("health") == Said(
        1, "late is STARTING; web is STOPPED (terminated by SIGTERM)\n", ""
    )
    assert client("health", "web") == Said(1, "web is STOPPED (terminated by SIGTERM)\n", "")


def test_those_that_are_named_count_even_if_they_are_not_critical(start: Start) -> None:
    _, client = start(
        WEB
        + command("bad", ["false"], critical=False, startretries=0)
        + command("w", ["false"], numprocs=5, process_name="<%(process_num)d&>", critical=False,
                  startretries=0)
    )  # fmt: skip
    client.wait_until(bad="FATAL", **{f"<{number}&>": "FATAL" for number in range(5)})
    assert client("health") == Said(0, "", "")
    why = "is FATAL (exit status 1; too quickly)"
    assert client("health", "bad") == Said(1, f"bad {why}\n", "")
    assert client("health", "w:*") == Said(
        1, f"w:<0&> {why}; w:<1&> {why}; w:<2&> {why}; and 2 more\n", ""
    )
    assert client("health", "w:<4&>") == Said(1, f"w:<4&> {why}\n", "")
    assert client("health", "nope") == Said(1, "BAD_NAME: nope\n", "")
    assert client("health", "-s", client.env["INITPY_SOCKET"], "bad").code == 1


def test_a_program_that_starts_again_and_again_is_not_well(start: Start) -> None:
    argv = ["sh", "-c", "exit 3"]
    _, client = start(WEB + command("flap", argv, startretries=1000))
    client.wait_until(web="RUNNING", flap="BACKOFF")
    assert client("health", "flap").out in (
        "flap is BACKOFF (exit status 3; too quickly)\n",
        "flap is STARTING (exit status 3)\n",
    )


def test_while_it_shuts_down_it_is_not_well(start: Start) -> None:
    init, client = start(program("web", "ignore=TERM", startsecs=0))
    init.wait_for_output("web ready")
    assert client("health").code == 0
    init.kill(15)
    init.wait_for_log("received SIGTERM|stopping|TERM")
    said = client("health")
    assert said.code == 1
    assert said.out in ("it is shutting down\n", "no initpy answers\n")


def test_nobody_answers(initpy_command: list[str], tmp_path: Path) -> None:
    import socket

    def health(path: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [*initpy_command, "health"], cwd=REPO, env={**os.environ, "INITPY_SOCKET": path},
            capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    assert health(str(tmp_path / "none")) == (1, "no initpy answers\n", "")
    assert health("") == (1, "no initpy answers\n", "")
    path = f"/tmp/initpy-health-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        try:
            listener.listen()
            env = {**os.environ, "INITPY_SOCKET": path}
            for reply, said in (
                (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
                 "initpy refuses to answer: 403 Forbidden\n"),
                (b"hello", "initpy does not answer: it has sent no answer\n"),
                (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nxx",
                 "initpy has answered something else\n"),
            ):  # fmt: skip
                with subprocess.Popen(
                    [*initpy_command, "health"],
                    cwd=REPO,
                    env=env,
                    stdout=subprocess.PIPE,
                    text=True,
                ) as it:
                    listener.settimeout(TIMEOUT_S)
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(reply)
                        connection.shutdown(socket.SHUT_WR)
                        assert it.communicate(timeout=TIMEOUT_S)[0] == said
                    assert it.returncode == 1
        finally:
            os.unlink(path)


def test_it_loads_next_to_nothing() -> None:
    """It is called every few seconds, in every container."""
    code = f"import sys; sys.path.insert(0, {str(REPO)!r}); bare = set(sys.modules)\n"
    code += "import initpy.cli, initpy.ctl.health; print(*sorted({*sys.modules} - bare))"
    command = [sys.executable, "-I", "-S", "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert {it for it in loaded if not it.startswith("initpy")} <= {"__future__", "_socket"}
    assert {it for it in loaded if it.startswith("initpy.")} <= {
        *("initpy.cli", "initpy.linux", "initpy.linux.native"),
        *("initpy.ctl", "initpy.ctl.health", "initpy.ctl.connection"),
    }


def test_the_helper_that_answers_is_started_by_it(start: Start) -> None:
    """Nobody has spoken to it before."""
    init, client = start(WEB)
    init.wait_for_log("success: web")
    wait_for(lambda: client("health") == Said(0, "", ""), within_s=TIMEOUT_S)
