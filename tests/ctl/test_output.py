"""`initpy logs` and `initpy tail`: what programs have written, and what they write."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.ctl.support import TIMEOUT_S, Client, Said
from tests.pid1.toml import command
from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import Init

    Start = Callable[..., tuple[Init, Client]]

ECHO = "for n in 1 2 3; do echo line $n; done; echo wrong >&2; exec sleep 1000"
"""Three lines and one on stderr."""


def wait_for_lines(client: Client, *words: str, count: int) -> Said:
    """What the command says as soon as it is so many lines."""
    wait_for(lambda: len(client(*words).lines) >= count, within_s=TIMEOUT_S, about=f"{words}")
    return client(*words)


def test_the_last_lines_with_names(start: Start) -> None:
    _, client = start(
        '[init]\nlog = "prefix"\n'
        + command("web", ["sh", "-c", ECHO], startsecs=0)
        + command("w", ["sh", "-c", "echo worker; exec sleep 1000"], startsecs=0)
    )
    said = wait_for_lines(client, "logs", "all", count=5)
    assert said.code == 0
    assert said.lines == [
        "w   | worker",
        "web | line 1",
        "web | line 2",
        "web | line 3",
        "web | wrong",
    ]
    assert client("logs", "-n", "1", "web") == Said(0, "line 3\nwrong\n", "")
    assert client("logs", "nope", "w") == Said(
        1, "worker\n", "initpy: there is no program, group or process nope\n"
    )
    assert client("tail", "web") == Said(0, "line 1\nline 2\nline 3\n\n", "")
    assert client("tail", "-c", "4", "web", "stderr") == Said(0, "ong\n\n", "")


def test_what_goes_straight_to_the_container_is_not_here(start: Start) -> None:
    _, client = start(command("web", ["sh", "-c", ECHO], startsecs=0))
    client.wait_until(web="RUNNING")
    said = client("logs")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("initpy: nothing is kept of it: the output goes to the container's")
    assert client("tail", "web") == Said(1, "web: ERROR (no log file)\n", "")
    said = client("tail", "-f", "web")
    assert (said.code, said.err) == (1, "initpy: there is no log of web (stdout) to follow\n")


def test_following(start: Start, tmp_path: Path) -> None:
    more = tmp_path / "more"
    script = f"echo first; until [ -e {more} ]; do sleep 0.05; done; printf 'sec'; echo ond; "
    script += "exec sleep 1000"
    _, client = start('[init]\nlog = "prefix"\n' + command("web", ["sh", "-c", script]))
    wait_for_lines(client, "logs", "web", count=1)
    with client.begin("logs", "-f", "web") as logs, client.begin("tail", "-f", "web") as tail:
        assert logs.stdout is not None
        assert tail.stdout is not None
        try:
            assert (logs.stdout.readline(), tail.stdout.readline()) == ("first\n", "first\n")
            more.touch()
            assert (logs.stdout.readline(), tail.stdout.readline()) == ("second\n", "second\n")
        finally:
            for each in (logs, tail):
                each.send_signal(signal.SIGINT)
        for each in (logs, tail):
            assert each.wait(TIMEOUT_S) == 130
            assert each.stderr is not None
            assert each.stderr.read() == ""


def test_log_files(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "web.log"
    _, client = start(command("web", ["sh", "-c", ECHO], startsecs=0, stdout_logfile=str(file)))
    wait_for_lines(client, "tail", "web", count=3)
    assert client("clear", "w*") == Said(0, "web: cleared\n", "")
    assert file.read_bytes() == b""
    assert client("clear", "nope") == Said(1, "nope: ERROR (no such process)\n", "")


def test_following_begins_with_a_whole_line_and_then_loses_none(
    start: Start, tmp_path: Path
) -> None:
    more = tmp_path / "more"
    lines = "for n in $(seq 1{0}01 1{0}99); do echo $n-0123456789012345678901234567890; done"
    script = f"{lines.format('0')}; until [ -e {more} ]; do sleep 0.05; done; "
    script += f"{lines.format('1')}; exec sleep 1000"
    _, client = start(command("web", ["sh", "-c", script], stdout_logfile=str(tmp_path / "log")))
    wait_for_lines(client, "logs", "-n", "99", "web", count=99)
    with client.begin("logs", "-f", "web") as logs:
        assert logs.stdout is not None
        try:
            seen = [logs.stdout.readline()]
            more.touch()
            while not seen[-1].startswith("1199-"):
                seen.append(logs.stdout.readline())
        finally:
            logs.send_signal(signal.SIGINT)
    assert {line.partition("-")[2] for line in seen} == {"0123456789012345678901234567890\n"}
    numbers = [int(line.partition("-")[0]) for line in seen]
    assert numbers[0] > 1001
    assert numbers == [*range(numbers[0], 1100), *range(1101, 1200)]


def test_a_program_in_front(start: Start) -> None:
    argv = ["sh", "-c", "while sleep 0.1; do echo tick; done"]
    _, client = start('[init]\nlog = "prefix"\n' + command("web", argv, startsecs=0))
    wait_for_lines(client, "logs", "web", count=1)
    with client.begin("fg", "web") as front:
        assert front.stdout is not None
        assert front.stdin is not None
        assert front.stdout.readline() == "==> Press Ctrl-C to exit <==\n"
        assert front.stdout.readline() == "tick\n"
        front.stdin.write("hello\n")
        front.stdin.flush()
        said = front.communicate(timeout=TIMEOUT_S)[0]
    assert front.returncode == 0
    assert "ERROR: NO_FILE" in said
    assert "Exiting foreground\n" in said
    assert client("fg", "web").out.endswith("Exiting foreground\n")  # nothing is typed
    assert client("fg", "nope") == Said(1, "ERROR: bad process name supplied\n", "")
    client("stop", "web")
    assert client("fg", "web") == Said(1, "ERROR: process not running\n", "")


@pytest.mark.parametrize(
    "words", [["logs", "-f", "web", "quiet"], ["tail", "-f", "web"]], ids=" ".join
)
def test_nobody_who_reads_is_the_end_of_following(start: Start, words: list[str]) -> None:
    argv = ["sh", "-c", "while sleep 0.1; do echo tick; done"]
    quiet = command("quiet", ["sleep", "1000"], startsecs=0)
    _, client = start('[init]\nlog = "prefix"\n' + command("web", argv, startsecs=0) + quiet)
    wait_for_lines(client, "logs", "web", count=1)
    with client.begin(*words) as following:
        assert following.stdout is not None
        assert following.stdout.readline().endswith("tick\n")
        following.stdout.close()
        assert following.wait(TIMEOUT_S) == 0
        assert following.stderr is not None
        assert following.stderr.read() == ""
