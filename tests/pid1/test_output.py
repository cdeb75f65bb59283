"""The output of programs, through pipes of PID 1's and the relay."""

from __future__ import annotations

import gzip
import json
import os
import re
import select
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from initpy.logs.memory import size_for
from tests.pid1.toml import command, program
from tests.support import children, fds_of, is_alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Init

    Start = Callable[..., Init]


def relay_of(init: Init) -> int:
    """The pid of its relay, which has mapped the memory file; 0: there is none."""
    for pid in children(init.pid):
        try:
            if "initpy-logs" in Path(f"/proc/{pid}/maps").read_text() and is_alive(pid):
                return pid
        except OSError:
            continue
    return 0


def sleeps(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "S"


def says(name: str, *texts: str) -> str:
    """A shell command that says them and ends."""
    return f"[program.{name}]\ncommand = {json.dumps(['sh', '-c', '; '.join(texts)])}\n"


ONESHOT = 'type = "oneshot"\n'


def only(name: str) -> str:
    """A configuration with this program alone."""
    return '[init]\nlog = "prefix"\n' + program(name)


def test_no_relay_runs_when_nobody_needs_one(start_either: Start) -> None:
    init = start_either(program("web"))
    init.wait_for_output("web ready")
    assert relay_of(init) == 0
    assert not [
        it
        for it in os.listdir(f"/proc/{init.pid}/fd")
        if "initpy-logs" in os.readlink(f"/proc/{init.pid}/fd/{it}")
    ]
    assert init.stop() == 0


def test_two_programs_are_told_apart(start_either: Start) -> None:
    init = start_either('[init]\nlog = "prefix"\n' + program("web") + program("worker"))
    init.wait_for_output(r"^web    \| web ready")
    init.wait_for_output(r"^worker \| worker ready")
    assert init.stop() == 0
    assert "died" not in init.log()


def test_channels_are_kept(start_either: Start) -> None:
    toml = '[init]\nlog = "json"\n' + says("web", "echo out", "echo err >&2") + ONESHOT
    init = start_either(toml)
    assert init.wait() == 0
    (out,) = [json.loads(line) for line in init.output().splitlines()]
    entries = [json.loads(line) for line in init.log().splitlines() if line.startswith("{")]
    (err,) = [entry for entry in entries if entry["program"] != "initpy"]
    assert (out["message"], out["channel"], out["program"]) == ("out", "stdout", "web")
    assert (err["message"], err["channel"], err["pid"]) == ("err", "stderr", out["pid"])


def test_all_that_was_written_is_out_before_it_exits(start_either: Start, tmp_path: Path) -> None:
    flood = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; printf 'no newline'"
    toml = says("web", flood) + ONESHOT + f'log = ["prefix", {{ file = "{tmp_path}/log" }}]\n'
    init = start_either(toml)
    assert init.wait() == 0
    lines = [f"line {number}" for number in range(20000)] + ["no newline"]
    assert init.output() == "".join([f"web | {line}\n" for line in lines])
    assert (tmp_path / "log").read_text() == "\n".join(lines)


def test_what_waits_for_a_slow_reader_is_out_before_it_exits(
    start_init: Start, tmp_path: Path
) -> None:
    """Whoever reads stdout begins when all programs have ended."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    write = f"import os; os.write(1, b'{'x' * 99}\\n' * 8000)"
    toml = command("web", [sys.executable, "-IS", "-c", write], type="oneshot", log="prefix")
    init = start_init(toml, wrapper=["sh", "-c", f'exec "$@" >{fifo}', "sh"])
    init.wait_for_log("exit code 0")
    seen = b""
    os.set_blocking(reader, True)
    while piece := os.read(reader, 1 << 20):
        seen += piece
    os.close(reader)
    assert init.wait() == 0
    assert seen == (b"web | " + b"x" * 99 + b"\n") * 8000


def test_a_program_of_another_user_can_open_its_dev_stdout(start_init: Start) -> None:
    toml = '[init]\nlog = "prefix"\n' + says("web", "echo hello > /dev/stdout") + ONESHOT
    init = start_init(toml + 'user = "nobody"\n')
    assert init.wait() == 0
    assert init.output() == "web    | hello\n"


def test_what_crashes_is_told_apart_however_soon_it_is_back(start_either: Start) -> None:
    """In the first line of each, and in its last, which has no end."""
    toml = '[init]\nlog = "json"\nshutdown_timeout = 3\n'
    toml += says("quick", "echo $$$$", "printf $$$$", "exit 1") + "autorestart = true\n"
    toml += "startsecs = 0\n"
    init = start_either(toml)
    init.wait_for_log("spawned: 'quick'", times=60, within_s=60)
    init.stop()
    entries = [json.loads(line) for line in init.output().splitlines()]
    words = [it for it in entries if it["program"] == "quick"]
    assert len(words) >= 110
    assert [it for it in words if it["message"] != str(it["pid"])] == []
    assert len({it["pid"] for it in words}) >= 55


def test_a_relay_that_hangs_keeps_no_program_down(start_either: Start) -> None:
    toml = '[init]\nlog = "prefix"\nshutdown_timeout = 3\n'
    toml += says("web", "echo up", "read x", "exit 1") + "autorestart = true\nstartsecs = 0\n"
    init = start_either(toml)
    init.wait_for_log("spawned: 'web'", times=3)
    os.kill(relay_of(init), signal.SIGSTOP)
    seen = len(re.findall("spawned: 'web'", init.log()))
    init.wait_for_log("spawned: 'web'", times=seen + 2)
    init.stop()


def test_pipes_outlive_the_programs(start_either: Start, tmp_path: Path) -> None:
    """Each instance waits until the relay has its first line, and ends within its last."""
    until = f"while ! grep -qs up.$$$$ {tmp_path}/log; do sleep 0.01; done"
    toml = says("web", "echo up $$$$", until, "printf half", "exit 1")
    toml += "startretries = 2\nstartsecs = 30\nbackoff = { initial = 0, factor = 1 }\n"
    init = start_either(
        toml + f'log = ["prefix", {{ file = "{tmp_path}/log", format = "prefix" }}]\n'
    )
    assert init.wait() == 1
    lines = [re.sub(r"up \d+", "up", line) for line in init.output().splitlines()]
    assert lines == ["web | up", "web | half"] * 3


def test_a_relay_that_is_killed_is_replaced(start_either: Start, tmp_path: Path) -> None:
    until = f"while ! [ -e {tmp_path}/end ]"
    count = f"i=0; {until}; do echo line $i; i=$((i+1)); done; echo last $i"
    init = start_either(says("web", count) + ONESHOT + 'log = "prefix"\n')
    for number in range(5):
        relay = wait_for(lambda: relay_of(init))
        init.wait_for_output("web", times=100 * (number + 1))
        os.kill(relay, signal.SIGKILL)
        wait_for(lambda relay=relay: relay_of(init) not in (0, relay))  # type: ignore[misc]
    (tmp_path / "end").touch()
    assert init.wait(60) == 0
    numbers = [int(it) for it in re.findall(r"^web \| line (\d+)$", init.output(), re.MULTILINE)]
    (last,) = re.findall(r"^web \| last (\d+)$", init.output(), re.MULTILINE)
    assert set(numbers) == set(range(int(last)))
    assert len(re.findall("the relay of the logs died", init.log())) == 5


def test_a_reload_changes_what_becomes_of_the_output(start_either: Start, tmp_path: Path) -> None:
    """And the program runs on."""
    forward = '[init.signals]\nUSR1 = "forward:web"\n'
    init = start_either(program("web", "catch=USR1") + 'log = "prefix"\n' + forward)
    init.wait_for_output(r"^web \| web ready")
    log = tmp_path / "log"
    toml = program("web", "catch=USR1") + f'log = {{ file = "{log}" }}\n' + forward
    init.config.write_text(toml)
    init.kill(signal.SIGHUP)
    init.wait_for_log("reloaded")
    init.kill(signal.SIGUSR1)
    wait_for(lambda: log.exists() and log.read_text() == "web got USR1\n")
    assert init.stop() == 0
    assert len(re.findall("ready", init.output())) == 1


def test_usr2_reopens_the_files(start_either: Start, tmp_path: Path) -> None:
    log = tmp_path / "log"
    init = start_either(
        program("web", "catch=USR1")
        + f'log = {{ file = "{log}" }}\n[init.signals]\nUSR1 = "forward:web"\n'
    )
    wait_for(lambda: log.exists() and b"web ready" in log.read_bytes())
    log.rename(tmp_path / "moved")
    init.kill(signal.SIGUSR2)
    init.wait_for_log("log reopen request")
    init.kill(signal.SIGUSR1)
    wait_for(lambda: log.exists() and b"web got USR1" in log.read_bytes())
    assert init.stop() == 0


def test_nobody_who_reads_stdout_holds_up_a_stop(start_init: Start, tmp_path: Path) -> None:
    """Programs crash and are restarted, and a stop arrives, while nobody takes what they say."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    toml = (
        '[init]\nlog = "prefix"\nshutdown_timeout = 3\n'
        + command("flood", ["sh", "-c", "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done"])
        + command(
            "crash", ["sh", "-c", "echo x; sleep 0.05; exit 1"], startsecs=0, autorestart=True
        )
    )
    wrapper = ["sh", "-c", f'exec "$@" >{fifo}', "sh"]
    init = start_init(toml, wrapper=wrapper)
    init.wait_for_log("crash", times=6)
    assert init.stop() == 0
    os.close(reader)


@pytest.mark.parametrize("when", ["before the stop", "when it has ended"])
def test_a_reader_that_stops_for_half_a_minute(
    start_init: Start, tmp_path: Path, when: str
) -> None:
    """Programs crash and are restarted, half a minute long, and a stop arrives. Whatever comes out
    is whole, in order, and without a gap; and if the reader goes on in time, it is all there is."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    count = "i=0; while :; do echo flood $i yyyyyyyyyyyyyyyyyyyyyyyyyyyy; i=$((i+1)); done"
    crash = f"n=$(cat {tmp_path}/n || echo 0); echo $((n+1)) >{tmp_path}/n; echo crash $n; "
    crash += "sleep 1; printf 'half a line'; exit 1"
    toml = '[init]\nlog = "prefix"\nshutdown_timeout = 4\n' + command("flood", ["sh", "-c", count])
    toml += command("crash", ["sh", "-c", crash], startsecs=0.5, autorestart=True)
    init = start_init(toml, wrapper=["sh", "-c", f'exec "$@" >{fifo}', "sh"])
    init.wait_for_log("exited: crash", times=30, within_s=90)
    text = b""
    if when == "before the stop":
        while b"flood 200000 " not in text:
            select.select([reader], [], [])
            text += os.read(reader, 1 << 20)
    init.kill(signal.SIGTERM)
    if when == "before the stop":
        os.set_blocking(reader, True)
    else:
        assert init.wait() == 0
    while piece := os.read(reader, 1 << 20):
        text += piece
    os.close(reader)
    assert init.wait() == 0
    *lines, last = text.split(b"\n")
    floods = [int(line.split()[3]) for line in lines if b" | flood " in line]
    crashes = [line for line in lines if line.startswith(b"crash  | ")]
    assert len(floods) + len(crashes) == len(lines)
    assert (floods, last) == (list(range(len(floods))), b"")
    told = [int(line.split()[3]) for line in crashes if b"half" not in line]
    assert told == list(range(len(told)))
    if when == "before the stop":
        assert len(told) == int((tmp_path / "n").read_text())
        assert crashes.count(b"crash  | half a line") >= 30
        assert set(crashes) == {b"crash  | half a line"} | {
            b"crash  | crash %d" % it for it in told
        }


def test_redirect_stderr_and_none(start_either: Start, tmp_path: Path) -> None:
    toml = (
        says("one", "echo out", "echo err >&2", "echo out")
        + ONESHOT
        + f'redirect_stderr = true\nstdout_logfile = "{tmp_path}/one"\n'
        + says("two", "echo lost", "echo kept >&2")
        + ONESHOT
        + 'stdout_logfile = "NONE"\nstderr_logfile = "/dev/stdout"\n'
    )
    init = start_either(toml)
    assert init.wait() == 0
    assert (tmp_path / "one").read_text() == "out\nerr\nout\n"
    assert init.output() == "kept\n"


def test_a_relay_has_nothing_but_what_it_needs(start_init: Start) -> None:
    init = start_init('[init]\nlog = "prefix"\n' + program("web") + program("worker"))
    init.wait_for_output("worker ready")
    init.wait_for_output("web ready")
    relay = relay_of(init)
    fds = [os.readlink(f"/proc/{relay}/fd/{it}") for it in os.listdir(f"/proc/{relay}/fd")]
    assert len([it for it in fds if it.startswith("pipe")]) == 4 + 2  # channels, and PID 1
    assert len(fds) < 16
    rollup = Path(f"/proc/{relay}/smaps_rollup").read_text()
    (pss,) = re.findall(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)
    sys.stdout.write(f"PSS of the relay: {pss} kB\n")
    assert int(pss) < 10_000


def test_one_form_holds_for_all(start_either: Start) -> None:
    """All that comes from a container, initpy's own lines included, is JSON."""
    toml = '[init]\nlog = "json"\n' + says("web", 'echo "a \\"b"') + ONESHOT
    init = start_either(toml)
    assert init.wait() == 0
    entries = [json.loads(line) for line in init.log().splitlines()]
    assert {entry["program"] for entry in entries} == {"initpy"}
    if "acting as a subreaper" in init.log():
        assert "acting as a subreaper" in entries.pop(0)["message"]
    assert entries[0]["message"].startswith("spawned: 'web' with pid")
    (entry,) = [json.loads(line) for line in init.output().splitlines()]
    assert set(entries[0]) - set(entry) == {"level"}
    assert len(entry["time"]) == len(entries[0]["time"])


def test_what_needs_more_of_the_standard_library(start_either: Start, tmp_path: Path) -> None:
    """Merged JSON, messages of several lines, escape sequences, compressed files, syslog."""
    merged = json.dumps({"level": "info", "message": "hello"})
    toml = says("merged", f"echo '{merged}'") + ONESHOT + 'log = "json"\njson_merge = true\n'
    toml += says("many", "echo 'E one'", "echo ' two'", "echo 'E three'") + ONESHOT
    toml += 'log = "json"\nmultiline = "E"\n'
    toml += says("plain", r"printf '\033[31mred\033[0m\n'") + ONESHOT
    toml += 'log = "prefix"\nstrip_ansi = true\n'
    toml += says("gz", *[f"echo {'x' * 90}{number}" for number in range(5)]) + ONESHOT
    toml += f'log = {{ file = "{tmp_path}/gz", max_bytes = 200, backups = 1, compress = true }}\n'
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    server.settimeout(20)
    toml += says("sys", "echo to syslog") + ONESHOT
    toml += f'log = {{ syslog = "udp:localhost:{server.getsockname()[1]}" }}\n'
    init = start_either(toml + program("web"))
    wait_for((tmp_path / "gz.1.gz").exists)
    assert server.recv(9999).endswith(b" to syslog")
    server.close()
    init.wait_for_log("exited: ", times=5)
    assert init.stop() == 0
    lines = init.output().splitlines()
    assert "plain | red" in lines
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    messages = {(it["program"], it["message"]) for it in entries}
    assert messages == {("merged", "hello"), ("many", "E one\n two"), ("many", "E three")}
    assert [it["level"] for it in entries if it["program"] == "merged"] == ["info"]
    assert gzip.decompress((tmp_path / "gz.1.gz").read_bytes()).count(b"\n") == 2


def test_many_programs_need_many_descriptors_and_get_the_limit_that_was(
    start_either: Start,
) -> None:
    toml = '[init]\nlog = "prefix"\n' + says("many", "ulimit -Sn", "ulimit -Hn") + ONESHOT
    toml += 'numprocs = 40\nprocess_name = "many_%(process_num)d"\n'
    wrapper = ["sh", "-c", 'ulimit -Sn 100; ulimit -Hn 4000; exec "$@"', "sh"]
    init = start_either(toml, wrapper=wrapper)
    assert init.wait() == 0
    limits = re.findall(r"\| (\d+)$", init.output(), re.MULTILINE)
    assert sorted(limits) == ["100"] * 40 + ["4000"] * 40


def test_channels_that_are_gone_leave_their_descriptors_and_places(start_either: Start) -> None:
    """However often programs come and go."""
    init = start_either(only("p0"))
    init.wait_for_output("p0 ready")
    before = len(fds_of(init.pid))
    for number in range(1, 6):
        init.config.write_text(only(f"p{number}"))
        init.kill(signal.SIGHUP)
        init.wait_for_output(f"p{number} *. p{number} ready")
        init.wait_for_log(f"stopped: p{number - 1}")
    wait_for(lambda: len(fds_of(init.pid)) <= before + 1)
    relay = relay_of(init)
    maps = Path(f"/proc/{relay}/maps").read_text()
    assert "initpy-logs" in maps
    (memory_fd,) = [
        it
        for it in os.listdir(f"/proc/{init.pid}/fd")
        if "initpy-logs" in os.readlink(f"/proc/{init.pid}/fd/{it}")
    ]
    size = os.stat(f"/proc/{init.pid}/fd/{memory_fd}").st_size
    assert size <= size_for(6)
    assert init.stop() == 0
    assert len(re.findall("ready", init.output())) == 6


def test_a_relay_that_hangs_is_killed_when_it_is_to_leave(start_either: Start) -> None:
    init = start_either(only("one"))
    init.wait_for_output("one ready")
    relay = relay_of(init)
    wait_for(lambda: sleeps(relay))  # so it has noted that this line is out
    os.kill(relay, signal.SIGSTOP)
    init.config.write_text(only("one") + program("two"))
    init.kill(signal.SIGHUP)
    init.wait_for_log("the relay of the logs does not leave: killing it")
    init.wait_for_output("two ready")
    assert init.stop() == 0
    assert len(re.findall("ready", init.output())) == 2
