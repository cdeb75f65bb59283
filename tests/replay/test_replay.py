"""`[init] trace` and `initpy replay`, with real runs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from initpy.core.messages import Log
from initpy.ctl.replay import Replayed, TraceError, replay
from initpy.tracefile import MAGIC
from initpy.wire import decode, frame
from tests.control.rpc import rpc
from tests.pid1.faults import AGAIN, Faulty
from tests.pid1.toml import command, program
from tests.support import REPO, children, is_alive, status_field, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support import Init

    Start = Callable[..., Init]

TRACES = sorted((Path(__file__).resolve().parent / "traces").glob("*.trace"))


def traced(path: Path, *programs: str) -> str:
    return f'[init]\ntrace = "{path}"\n' + "".join(programs)


def records(raw: bytes) -> Iterator[tuple[Any, ...]]:
    at = len(MAGIC)
    while at < len(raw):
        end = at + 4 + int.from_bytes(raw[at : at + 4], "big")
        record: Any = decode(raw[at + 4 : end])
        yield record
        at = end


def last_effect(trace: Path) -> Any:
    all_effects = [it[1:] for it in records(trace.read_bytes()) if it[0] == "effects"]
    return [effects for effects in all_effects if effects][-1][-1]


def joined(changed: list[tuple[Any, ...]]) -> bytes:
    return MAGIC + b"".join(map(frame, changed))


def initpy_replay(path: Path) -> subprocess.CompletedProcess[str]:
    given = [sys.executable, "-m", "initpy", "replay", str(path)]
    return subprocess.run(given, cwd=REPO, capture_output=True, text=True, check=False, timeout=60)


def replayed(path: Path) -> Replayed:
    """What comes of a trace that is as it should be."""
    found = replay(path.read_bytes())
    assert not found.differences
    return found


def tracer_of(init: Init, path: Path) -> int:
    """The helper's pid: who has the file open."""

    def find() -> int:
        for pid in children(init.pid):
            for fd in Path(f"/proc/{pid}/fd").iterdir():
                try:
                    if Path(os.readlink(fd)) == path:
                        return pid
                except OSError:  # closed meanwhile
                    continue
        return 0

    return wait_for(find, about="the helper that traces")


@pytest.mark.namespace
def test_a_whole_life_is_written_down_and_decided_alike(
    start_either: Start, tmp_path: Path
) -> None:
    trace = tmp_path / "life.trace"
    init = start_either(
        traced(
            trace,
            program("web", "catch=USR1", startsecs=0),
            command("crash", ["sh", "-c", "exit 3"], critical=False, startsecs=0.01, startretries=1,
                    backoff={"initial": 0.01}),
            program("later", after=["web"], autostart=False, startsecs=0),
        )
    )  # fmt: skip
    init.wait_for_log("crash entered FATAL state")
    with rpc(init) as supervisor:
        assert supervisor.startProcess("later")
        assert supervisor.stopProcess("later")
    init.config.write_text(init.config.read_text() + program("new", startsecs=0))
    init.kill(signal.SIGHUP)
    init.wait_for_output("new ready")
    init.kill(signal.SIGUSR1)
    init.wait_for_output("web got USR1")
    assert init.stop() == 0
    assert replayed(trace).begins[0][0] == "begins"
    assert last_effect(trace)[:2] == ("Exit", 0)
    names = {record[3][0] for record in records(trace.read_bytes()) if record[0] == "fact"}
    assert names >= {"PlanReady", "Spawned", "Executed", "Exited", "TimerFired", "Request"}
    assert names >= {"SignalReceived", "CatchersFound", "ChildrenGone"}
    said = initpy_replay(trace)
    assert (said.returncode, said.stderr) == (0, "")
    assert re.search(r"\d+ facts, .* decides the same\n$", said.stdout)
    assert trace.stat().st_mode & 0o777 == 0o600


@pytest.fixture
def short_trace(start_init: Start, tmp_path: Path) -> Path:
    trace = tmp_path / "short.trace"
    init = start_init(traced(trace, program("web", "catch=USR1", startsecs=0)), as_pid1=False)
    init.wait_for_output("web ready")
    assert init.stop() == 0
    return trace


def test_another_decision_is_shown(short_trace: Path) -> None:
    whole = list(records(short_trace.read_bytes()))
    at, kill = next(
        (number, effect)
        for number, record in enumerate(whole)
        if record[0] == "effects"
        for effect in record
        if effect[0] == "Kill"
    )
    whole[at] = tuple([("Kill", *kill[1:3], 9) if it == kill else it for it in whole[at]])
    short_trace.write_bytes(joined(whole))
    said = initpy_replay(short_trace)
    assert said.returncode == 1
    assert re.search(r"^  - Kill\(key='web', pid=\d+, signum=9\)$", said.stdout, re.MULTILINE)
    assert re.search(r"^  \+ Kill\(key='web', pid=\d+, signum=15\)$", said.stdout, re.MULTILINE)
    assert "decides otherwise 1 times" in said.stdout


def test_a_fact_that_is_missing_shows(short_trace: Path) -> None:
    whole = list(records(short_trace.read_bytes()))
    at = next(n for n, it in enumerate(whole) if it[0] == "fact" and it[3][0] == "Spawned")
    effects = next(n for n, it in enumerate(whole) if n > at and it[0] == "effects")
    del whole[effects], whole[at]
    assert replay(joined(whole)).differences


def test_a_file_that_is_no_trace_or_damaged_is_one_clear_line(short_trace: Path) -> None:
    raw = short_trace.read_bytes()
    whole = list(records(raw))
    classes = [it for it in whole if it[0] == "class" and it[1] == "Process"]
    unknown = [("class", "Process", (*it[2], "soul")) if it in classes else it for it in whole]
    for content, line in (
        (b"\x7fELF", "that is no trace of initpy"),
        (b"", "that is no trace of initpy"),
        (b"initpy-trace 2\n", "it is a trace of another format"),
        (MAGIC, "there is nothing in it"),
        (raw[:-30] + b"\xff" * 30, r"it is damaged at byte \d+: .*"),
        (raw[: len(MAGIC)] + b"\xff" * 40, r"it is damaged at byte 15: a record of \d+ bytes"),
        (joined([("fact",), *whole]), r"it is damaged at byte 15: no record is 'fact'"),
        (joined(unknown), r"it is of initpy \S+, and has a soul of Process in it, .*"),
    ):
        short_trace.write_bytes(content)
        said = initpy_replay(short_trace)
        assert said.returncode == 2, content
        assert not said.stdout
        assert re.fullmatch(f"initpy: {short_trace}: {line}\n", said.stderr), said.stderr
    said = initpy_replay(short_trace.with_name("none"))
    assert (said.returncode, said.stderr.count("\n")) == (2, 1)


def test_no_damage_leads_to_anything_but_a_clear_word(short_trace: Path) -> None:
    raw = bytearray(short_trace.read_bytes())
    for at in range(len(MAGIC), len(raw), 37):
        damaged = bytearray(raw)
        damaged[at] ^= 0x41
        try:
            replay(bytes(damaged))
        except TraceError:
            continue


def test_a_trace_that_is_cut_off_is_replayed_so_far(short_trace: Path) -> None:
    short_trace.write_bytes(short_trace.read_bytes()[:-5])
    said = initpy_replay(short_trace)
    assert said.returncode == 0
    assert "the last record is cut off" in said.stdout


def test_a_second_life_is_appended_and_half_a_record_cut_off(
    start_init: Start, short_trace: Path
) -> None:
    short_trace.write_bytes(short_trace.read_bytes()[:-5])
    init = start_init(traced(short_trace, program("web", "catch=USR1", startsecs=0)), as_pid1=False)
    init.wait_for_output("web ready")
    assert init.stop() == 0
    found = replayed(short_trace)
    assert [why for why, *_ in found.begins] == ["begins", "begins"]
    assert not found.is_cut


@pytest.mark.namespace
def test_to_kill_the_helper_leaves_a_gap_and_nothing_else(
    start_either: Start, tmp_path: Path
) -> None:
    trace = tmp_path / "gap.trace"
    init = start_either(traced(trace, program("web", "catch=USR1", startsecs=0)))
    init.wait_for_output("web ready")
    first = tracer_of(init, trace)
    os.kill(first, signal.SIGKILL)
    init.wait_for_log("the helper that traces died .terminated by SIGKILL.: there is a gap")
    assert tracer_of(init, trace) != first
    init.kill(signal.SIGUSR1)
    init.wait_for_output("web got USR1")
    assert init.log().count("spawned: ") == 1
    assert init.stop() == 0
    assert [why for why, *_ in replayed(trace).begins] == ["begins", "gap"]


@pytest.mark.namespace
def test_a_helper_that_does_not_read_costs_records_and_holds_nobody_up(
    start_init: Start, tmp_path: Path
) -> None:
    trace = tmp_path / "stuck.trace"
    toml = traced(
        trace, program("web", "catch=USR1", startsecs=0, environment={"LONG": "x" * 100_000})
    )
    init = start_init(toml)
    init.wait_for_output("web ready")
    tracer = tracer_of(init, trace)
    os.kill(tracer, signal.SIGSTOP)
    for times in range(1, 18):  # each has 100 kB to tell; 1 MB may wait
        init.kill(signal.SIGHUP)
        init.wait_for_log("no program is to be started or stopped", times=times)
    assert int(status_field(init.pid, "VmRSS").split()[0]) < 40_000
    os.kill(tracer, signal.SIGCONT)
    size = trace.stat().st_size
    wait_for(lambda: trace.stat().st_size > size + 1_000_000)
    init.kill(signal.SIGUSR1)
    init.wait_for_output("web got USR1")
    assert init.stop() == 0
    begins = replayed(trace).begins
    assert [why for why, *_ in begins] == ["begins", "gap"]
    assert begins[1][1] > 3


@pytest.mark.namespace
def test_self_repair_keeps_tracing(start_init: Start, tmp_path: Path) -> None:
    trace = tmp_path / "repaired.trace"
    toml = traced(trace, program("web", "catch=USR1", startsecs=0))
    faulty = Faulty(start_init, tmp_path, toml, "initpy.spawning:Spawning.spawn before 1")
    init = faulty.init
    init.wait_for_log(AGAIN)
    init.wait_for_output("web ready")
    tracer = tracer_of(init, trace)
    assert init.stop() == 0
    assert not is_alive(tracer)
    assert [why for why, *_ in replayed(trace).begins] == ["begins", "repaired"]
    assert last_effect(trace)[:2] == ("Exit", 0)


@pytest.mark.namespace
def test_a_fault_of_the_core_is_in_the_trace(start_init: Start, tmp_path: Path) -> None:
    """Where PID 1 failed and the core of today does not, that is a difference."""
    trace = tmp_path / "core.trace"
    toml = traced(trace, program("web", "catch=USR1", startsecs=0))
    faulty = Faulty(start_init, tmp_path, toml, "initpy.pid1:step before 3")
    faulty.init.wait_for_log(AGAIN)
    faulty.init.wait_for_output("web ready")
    assert faulty.init.stop() == 0
    (difference,) = replay(trace.read_bytes()).differences
    assert difference.was == ["it failed"]
    assert difference.fact.startswith("Executed(")


@pytest.mark.namespace
def test_an_upgrade_keeps_tracing(start_init: Start, tmp_path: Path) -> None:
    trace = tmp_path / "upgraded.trace"
    init = start_init(traced(trace, program("web", "catch=USR1", startsecs=0)))
    init.wait_for_output("web ready")
    init.kill(59)
    init.wait_for_log("took over 1 process from initpy")
    assert init.stop() == 0
    assert [why for why, *_ in replayed(trace).begins] == ["begins", "upgraded"]


def test_tracing_begins_moves_and_ends_with_a_reload(start_init: Start, tmp_path: Path) -> None:
    first, second = tmp_path / "first.trace", tmp_path / "second.trace"
    web = program("web", "catch=USR1", startsecs=0)
    init = start_init(web, as_pid1=False)
    init.wait_for_output("web ready")
    for times, toml in enumerate((traced(first, web), traced(second, web), web), 1):
        init.config.write_text(toml)
        init.kill(signal.SIGHUP)
        init.wait_for_log("no program is to be started or stopped", times=times)
    wait_for(lambda: len(children(init.pid)) == 1, about="the helpers' end")
    assert init.stop() == 0
    for trace in (first, second):
        assert [why for why, *_ in replayed(trace).begins] == ["begins"]
        assert replayed(trace).facts > 0
    assert init.log().count("that traces died") == 0


@pytest.mark.parametrize("kind", ["foreign", "a folder", "in no folder"])
def test_a_file_that_cannot_be_written_is_said_once_and_holds_nobody_up(
    kind: str, start_init: Start, tmp_path: Path
) -> None:
    trace = tmp_path / "in use"
    if kind == "foreign":
        trace.write_text("a letter")
    elif kind == "a folder":
        trace.mkdir()
    else:
        trace /= "file"
    init = start_init(traced(trace, program("web", "catch=USR1", startsecs=0)), as_pid1=False)
    init.wait_for_output("web ready")
    init.wait_for_log(f"WARN nothing is traced: {trace}: ")
    assert init.stop() == 0
    assert init.log().count("nothing is traced") == 1
    if kind == "foreign":
        assert trace.read_text() == "a letter"


@pytest.mark.namespace
def test_the_executable_does_the_same(start_init: Start, binary: Path, tmp_path: Path) -> None:
    trace = tmp_path / "executable.trace"
    init = start_init(traced(trace, program("web", startsecs=0)), binary=binary)
    init.wait_for_output("web ready")
    assert init.stop() == 0
    given = [str(binary), "replay", str(trace)]
    said = subprocess.run(given, capture_output=True, text=True, check=False, timeout=60)
    assert (said.returncode, said.stderr) == (0, "")
    assert replayed(trace).facts > 4


def test_who_does_not_trace_has_no_helper_for_it(start_init: Start) -> None:
    init = start_init(program("web", "catch=USR1", startsecs=0), as_pid1=False)
    init.wait_for_output("web ready")
    wait_for(lambda: len(children(init.pid)) == 1)
    assert init.stop() == 0


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_what_was_decided_once_is_decided_today(path: Path) -> None:
    """Runs that were worth keeping; the wording of the log may have become another."""
    found = replay(path.read_bytes(), ignored=(Log,))
    assert found.facts
    assert [(it.number, it.fact, it.was, it.is_now) for it in found.differences] == []


def test_there_are_such_runs() -> None:
    assert len(TRACES) >= 3
