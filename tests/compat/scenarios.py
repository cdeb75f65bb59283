"""The table of scenarios: what both peers are given, what is done to them, what they do.

The numbers are those of the notes on supervisord 4.3.0 from which initpy was made; where only a
part of what they ask for can be done without a control socket, the number says which. A tolerance
is one of

    O   the order of the states, and what is said of them
    L   that, and the time that has to pass in between; supervisord, which looks around once a
        second, may take longer
    T   that, and a stop takes as long as the program does: neither peer resorts to SIGKILL
    X   they differ on purpose: both are asserted, and `why` is the reason
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
import time
import xmlrpc.client
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.compat.histories import BACKOFF, EXPECTED, RUNNING, STARTING, STOPPED, lines
from tests.compat.setups import WATCHER, Group, Program, Setup, program
from tests.support import children, is_alive, probe, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.compat.peers import Pair, Peer

HERE = Path(__file__).resolve().parent
ORPHANS = HERE / "orphans.py"
ORPHAN_COUNT = 300

METRONOME = [sys.executable, "-I", "-S", str(HERE / "metronome.py")]
REAL_CLOCK: Mapping[str, Any] = {"environment": {"LD_PRELOAD": ""}}
"""Options of programs that are not to have the clock of their daemon."""

KEEPER = program("keeper", METRONOME, startsecs=0, priority=0, **REAL_CLOCK)
"""It keeps initpy up, which ends when nothing is left to run; and supervisord awake, which would
see some things a second late, and then others in their place."""

TICKER = program("ticker", "sleep 0.1", startsecs=0, autorestart=True)
"""Each of its restarts shows that the daemon has looked at all programs."""

COLOUR = {"COMPAT_COLOUR": "blue"}
"""What the daemons find in their environment."""


Play = Callable[["Pair"], AbstractContextManager[None]]


def nothing_more(_pair: Pair) -> AbstractContextManager[None]:
    """The programs do it all by themselves."""
    return nullcontext()


@dataclass(frozen=True)
class Scenario:
    """What happens to some programs.

    Those whose start fails have a startsecs of 3: supervisord may see an exit late, and would say
    that the program had been RUNNING.
    """

    number: str
    promise: str
    tolerance: str
    programs: tuple[Program, ...]
    expected: Mapping[str, str]
    """The states of each process. initpy's are the same unless `initpy` has others."""
    initpy: Mapping[str, str] = field(default_factory=dict)
    said: Mapping[str, list[str]] = field(default_factory=dict)
    """How instances ended, or why there were none, in the words of both logs; initpy's are the same
    unless `initpy_said` has others."""
    initpy_said: Mapping[str, list[str]] = field(default_factory=dict)
    why: str = ""
    """X: why initpy does not do what supervisord does."""
    at_least: tuple[tuple[int, int, float], ...] = ()
    """Seconds from one state of the only program to another, in either log."""
    play: Play = nothing_more
    """Is entered once the daemons have been started: the stimulus. Is left once the states have
    been compared: all else that there is to check."""
    groups: tuple[Group, ...] = ()
    brief_run: bool = False
    """A program ends soon after startsecs. supervisord's log may then omit its RUNNING, which its
    events have."""
    ends_watcher: bool = False
    """The stimulus ends supervisord's event listener: its log, and not its events, is compared."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """How the pair is started."""

    @property
    def setup(self) -> Setup:
        return Setup(self.programs, self.groups)


# ---------------------------------------------------------------- commands


def shell(script: str, *arguments: str) -> str:
    return shlex.join(["sh", "-c", script, *arguments])


def first_runs(count: int, then: str) -> str:
    """A program that does `then` in its first runs, and stays in the next one."""
    script = f'echo >>"$0"; if [ $(wc -l <"$0") -le {count} ]; then {then}; fi; exec sleep 600'
    return shell(script, "%(here)s/%(program_name)s.runs")


# ---------------------------------------------------------------- what is done, and looked at


def times_of(peer: Peer, pattern: str) -> list[float]:
    """When lines that match were logged, by the wall clock."""
    return [at_s for at_s, _, said in lines(peer.log()) if re.search(pattern, said)]


def tells_rpc(name: str, **values: object) -> Play:
    """What supervisord's clients are told of a process besides; initpy has none of them yet."""

    @contextmanager
    def play(pair: Pair) -> Iterator[None]:
        yield
        with pair.supervisord.rpc() as rpc:
            found = rpc.getProcessInfo(name)
        assert {key: found[key] for key in values} == values

    return play


def is_stopped(name: str, **values: object) -> Play:
    """It is stopped once it is ready, and ends without SIGKILL."""

    @contextmanager
    def play(pair: Pair) -> Iterator[None]:
        pair.wait_for_state(name, RUNNING)
        pair.wait_for_output(f"{name} ready")
        pair.stop(name)
        with tells_rpc(name, **values)(pair):
            yield
        for peer in pair.peers:
            assert not times_of(peer, f"killing '{name}'")

    return play


@contextmanager
def deaf_is_stopped(pair: Pair) -> Iterator[None]:
    pair.wait_for_output("deaf ready")
    asked_at_s = time.time()
    pair.stop("deaf")
    yield
    for peer in pair.peers:
        (killed_at_s,) = times_of(peer, r"killing 'deaf' \(\d+\) with SIGKILL")
        assert killed_at_s >= asked_at_s + 2


@contextmanager
def slow_is_stopped(pair: Pair) -> Iterator[None]:
    pair.wait_for_output("slow ready")
    pair.stop("slow")
    yield


@contextmanager
def unlucky_is_stopped(pair: Pair) -> Iterator[None]:
    def is_in_delay(peer: Peer) -> bool:
        return peer.states("unlucky").count(BACKOFF) == 2  # the next try is in 2 s

    pair.each(is_in_delay, lambda peer: peer.stop("unlucky"))
    pair.wait_for_state("luckless", BACKOFF, times=3)  # it has been tried again
    yield
    assert pair.supervisord.states("unlucky").endswith(f"{BACKOFF} {STOPPED}")
    with pair.supervisord.rpc() as rpc:
        assert rpc.getProcessInfo("unlucky")["pid"] == 0


@contextmanager
def again_is_started_too_early(pair: Pair) -> Iterator[None]:
    pair.wait_for_output("again ready")
    pair.stop("again")
    pair.wait_for_output("again got TERM")
    for peer in pair.peers:
        peer.start("again")
    yield


@contextmanager
def leaving_is_stopped_twice(pair: Pair) -> Iterator[None]:
    pair.wait_for_output("leaving ready")
    pair.stop("leaving")
    pair.wait_for_output("leaving got TERM")
    with pytest.raises(xmlrpc.client.Fault, match="NOT_RUNNING") as refused:
        pair.supervisord.stop("leaving")
    assert refused.value.faultCode == 70
    pair.initpy.stop("leaving")
    yield
    for peer in pair.peers:
        assert peer.output().count("leaving got TERM") == 1


@contextmanager
def told_is_told(pair: Pair) -> Iterator[None]:
    pair.wait_for_output("told ready")
    pair.stop("told")
    pair.wait_for_output("told got TERM")
    for peer in pair.peers:
        peer.signal("told", signal.SIGUSR1)
    pair.wait_for_output("told got USR1")
    yield


@contextmanager
def family_is_stopped(pair: Pair) -> Iterator[None]:
    pids = [int(pid) for pid in pair.wait_for_output(r"family child (\d+)")]
    with is_stopped("family")(pair):
        wait_for(lambda: not any(map(is_alive, pids)), about="both children die")
        for peer in pair.peers:
            assert "family done" not in peer.output()  # they have not been ended as survivors
        yield


def leaves_child(name: str) -> Play:
    """It is stopped. Its child outlives it under supervisord, and not under initpy."""

    @contextmanager
    def play(pair: Pair) -> Iterator[None]:
        left, ended = map(int, pair.wait_for_output(rf"{name} child (\d+)"))
        try:
            with is_stopped(name)(pair):
                yield
            wait_for(lambda: not is_alive(ended), about="initpy ends the child")
            assert is_alive(left)
        finally:
            with suppress(ProcessLookupError):
                os.kill(left, signal.SIGKILL)

    return play


@contextmanager
def trio_has_its_order(pair: Pair) -> Iterator[None]:
    yield
    for peer in pair.peers:
        moves = peer.history("a", "b", "c")
        assert [move.process for move in moves if move.state == STARTING] == ["c", "a", "b"]


@contextmanager
def file_changes(pair: Pair) -> Iterator[None]:
    def change(setup: Setup) -> Setup:
        changed = program("changing", probe("changing", "say=anew"), startsecs=0)
        coming = program("coming", "sleep 600", startsecs=0)
        return setup.without("going").with_program(changed).with_program(coming)

    pair.wait_for_output("changing ready")
    for name in ("staying", "going"):
        pair.wait_for_state(name, RUNNING)
    for peer in pair.peers:
        assert peer.update(change) == (["coming"], ["changing"], ["going"])
    pair.wait_for_output("changing anew")
    yield


@contextmanager
def done_is_changed(pair: Pair) -> Iterator[None]:
    def change(setup: Setup) -> Setup:
        return setup.with_program(replace(setup.find("done"), command="sleep 600"))

    pair.wait_for_state("done", EXPECTED)
    for peer in pair.peers:
        assert peer.update(change) == ([], ["done"], [])
    yield


@contextmanager
def there_are_three(pair: Pair) -> Iterator[None]:
    yield
    for peer in pair.peers:
        names = {move.process for move in peer.history()}
        assert {name for name in names if name.startswith("x")} == {"x_05", "x_06", "x_07"}


@contextmanager
def values_are_told(pair: Pair) -> Iterator[None]:
    pair.wait_for_output("values ready")
    yield
    for peer in pair.peers:
        said = [line for line in peer.output().splitlines() if line.startswith("values ")]
        assert said[:-1] == [
            f"values blue, {peer.folder}, 100%",
            f"values values, values, 0, 1, {os.uname().nodename}",
            "values env COMPAT_MOOD=blue and 50%",
            "values env SUPERVISOR_ENABLED=1",
            "values env SUPERVISOR_PROCESS_NAME=values",
            "values env SUPERVISOR_GROUP_NAME=values",
        ]


VALUES = probe(
    "values",
    "say=%(ENV_COMPAT_COLOUR)s, %(here)s, 100%%",
    "say=%(program_name)s, %(group_name)s, %(process_num)d, %(numprocs)d, %(host_node_name)s",
    "env=COMPAT_MOOD",
    "env=SUPERVISOR_ENABLED",
    "env=SUPERVISOR_PROCESS_NAME",
    "env=SUPERVISOR_GROUP_NAME",
)

# ---------------------------------------------------------------- one pair of daemons for all

CROWD = (
    Scenario(
        "1",
        "a program that stays up is RUNNING after startsecs",
        "L",
        (program("sleeper", "sleep 600"),),
        {"sleeper": "STARTING RUNNING"},
        at_least=((0, 1, 1.0),),
    ),
    Scenario(
        "3",
        "one that never starts is tried four times, after 1, 2 and 3 s",
        "L",
        (program("failing", "false", startsecs=3, startretries=3),),
        {"failing": "STARTING BACKOFF " * 4 + "FATAL"},
        said={"failing": ["WARN exit status 1; not expected"] * 4},
        at_least=((1, 2, 1.0), (3, 4, 2.0), (5, 6, 3.0)),
    ),
    Scenario(
        "4",
        "without startretries, the first failure is the last",
        "O",
        (program("hopeless", "false", startsecs=3, startretries=0),),
        {"hopeless": "STARTING BACKOFF FATAL"},
    ),
    Scenario(
        "5",
        "a missing program fails as one that ends too quickly does",
        "O",
        (
            program("absent", "/nonexistent/program", startretries=0),
            program("unheard", "program-that-nobody-has", startretries=0),
        ),
        {"absent": "STARTING BACKOFF FATAL", "unheard": "STARTING BACKOFF FATAL"},
        said={
            "absent": ["can't find command '/nonexistent/program'"],
            "unheard": ["can't find command 'program-that-nobody-has'"],
        },
    ),
    Scenario(
        "6, of three",
        "a directory or a plain file is no program",
        "O",
        (
            program("folder", "/etc", startretries=0),
            program("plain_file", "/etc/passwd", startretries=0),
        ),
        {"folder": "STARTING BACKOFF FATAL", "plain_file": "STARTING BACKOFF FATAL"},
        said={
            "folder": ["command at '/etc' is a directory"],
            "plain_file": ["command at '/etc/passwd' is not executable"],
        },
    ),
    Scenario(
        "7",
        "a bad directory is found by the child",
        "O",
        (program("lost", "true", directory="/nonexistent", startsecs=3, startretries=0),),
        {"lost": "STARTING BACKOFF FATAL"},
        said={"lost": ["WARN exit status 127; not expected"]},
        initpy_said={"lost": ["couldn't chdir to /nonexistent: ENOENT"]},
        why="the states are the same, and initpy's log has the reason, not the child's exit code",
    ),
    Scenario(
        "8",
        "an exit within startsecs is a failure, even with 0",
        "L",
        (program("hasty", "sleep 0.5", startsecs=3, startretries=0),),
        {"hasty": "STARTING BACKOFF FATAL"},
        said={"hasty": ["WARN exit status 0; not expected"]},
    ),
    Scenario(
        "9",
        "without startsecs, an exit with 0 is expected, however soon",
        "O",
        (program("brief", "true", startsecs=0, autorestart=False),),
        {"brief": "STARTING RUNNING EXITED(expected)"},
        said={"brief": ["INFO exit status 0; expected"]},
        brief_run=True,
    ),
    Scenario(
        "10",
        "an unexpected exit code has it restarted",
        "L",
        (program("relapsing", first_runs(1, "sleep 2; exit 3")),),
        {"relapsing": "STARTING RUNNING EXITED(unexpected) STARTING RUNNING"},
        said={"relapsing": ["WARN exit status 3; not expected"]},
        brief_run=True,
    ),
    Scenario(
        "11",
        "an exit code of exitcodes is expected, and not restarted",
        "L",
        (program("content", shell("sleep 2; exit 2"), exitcodes=[0, 2]),),
        {"content": "STARTING RUNNING EXITED(expected)"},
        said={"content": ["INFO exit status 2; expected"]},
        brief_run=True,
    ),
    Scenario(
        "12",
        "with autorestart, it is restarted whatever its exit code, and never FATAL",
        "L",
        (program("tireless", first_runs(6, "exit 0"), startsecs=0, autorestart=True),),
        {"tireless": "STARTING RUNNING EXITED(expected) " * 6 + "STARTING RUNNING"},
        brief_run=True,
    ),
    Scenario(
        "13",
        "without autorestart, an unexpected exit code is the end",
        "L",
        (program("bitter", shell("sleep 2; exit 3"), autorestart=False),),
        {"bitter": "STARTING RUNNING EXITED(unexpected)"},
        said={"bitter": ["WARN exit status 3; not expected"]},
        play=tells_rpc("bitter", exitstatus=3, spawnerr="Bad exit code 3"),
        brief_run=True,
    ),
    Scenario(
        "14",
        "a death by signal is never expected, whatever exitcodes says",
        "O",
        (
            program(
                "suicidal",
                shell("kill -9 $$"),
                startsecs=0,
                exitcodes=[0, 9, 137],
                autorestart=False,
            ),
        ),
        {"suicidal": "STARTING RUNNING EXITED(unexpected)"},
        said={"suicidal": ["WARN terminated by SIGKILL; not expected"]},
        play=tells_rpc("suicidal", exitstatus=-1, spawnerr="Bad exit code -1"),
        brief_run=True,
    ),
    Scenario(
        "15",
        "a stop ends it by its stop signal",
        "T",
        (program("obedient", probe("obedient"), startsecs=0),),
        {"obedient": "STARTING RUNNING STOPPING STOPPED"},
        said={"obedient": ["WARN terminated by SIGTERM"]},
        play=is_stopped("obedient", exitstatus=-1),
    ),
    Scenario(
        "16",
        "one that handles its stop signal ends with its own exit code",
        "T",
        (program("polite", probe("polite", "exit=TERM:0"), startsecs=0),),
        {"polite": "STARTING RUNNING STOPPING STOPPED"},
        said={"polite": ["INFO exit status 0"]},
        play=is_stopped("polite", exitstatus=0),
    ),
    Scenario(
        "17",
        "one that ignores its stop signal is killed after stopwaitsecs",
        "L",
        (program("deaf", probe("deaf", "ignore=TERM"), startsecs=0, stopwaitsecs=2),),
        {"deaf": "STARTING RUNNING STOPPING STOPPED"},
        said={"deaf": ["WARN terminated by SIGKILL"]},
        play=deaf_is_stopped,
    ),
    Scenario(
        "18, without a waiting client",
        "a stop ends it while it is STARTING, too",
        "O",
        (program("slow", probe("slow"), startsecs=600),),
        {"slow": "STARTING STOPPING STOPPED"},
        play=slow_is_stopped,
    ),
    Scenario(
        "21, without waiting",
        "a start while it is STOPPING",
        "X",
        (program("again", probe("again", "shutdown-delay=1:0"), startsecs=0),),
        {"again": "STARTING RUNNING STOPPING STOPPED"},
        initpy={"again": "STARTING RUNNING STOPPING STOPPED STARTING RUNNING"},
        play=again_is_started_too_early,
        why="supervisord says that it will start it, and does not; initpy does, after the stop",
    ),
    Scenario(
        "22",
        "a second stop while it is STOPPING sends no second signal",
        "O",
        (program("leaving", probe("leaving", "shutdown-delay=1:0"), startsecs=0),),
        {"leaving": "STARTING RUNNING STOPPING STOPPED"},
        said={"leaving": ["INFO exit status 0"]},
        play=leaving_is_stopped_twice,
    ),
    Scenario(
        "23",
        "another signal reaches it while it is STOPPING",
        "O",
        (program("told", probe("told", "catch=USR1", "shutdown-delay=1.5:0"), startsecs=0),),
        {"told": "STARTING RUNNING STOPPING STOPPED"},
        said={"told": ["INFO exit status 0"]},
        play=told_is_told,
    ),
    Scenario(
        "26",
        "with stopasgroup, its children get the stop signal too",
        "T",
        (
            program(
                "family",
                probe("family", "child=600", "shutdown-delay=1.5:0"),
                startsecs=0,
                stopasgroup=True,
            ),
        ),
        {"family": "STARTING RUNNING STOPPING STOPPED"},
        said={"family": ["INFO exit status 0"]},
        play=family_is_stopped,
    ),
    Scenario(
        "27",
        "without stopasgroup, its children",
        "X",
        (program("parent", probe("parent", "child=600"), startsecs=0),),
        {"parent": "STARTING RUNNING STOPPING STOPPED"},
        play=leaves_child("parent"),
        why="supervisord leaves them running; initpy ends what a stopped program leaves behind",
    ),
    Scenario(
        "28",
        "with stopasgroup, a child that ignores the stop signal",
        "X",
        (
            program(
                "stubborn",
                probe("stubborn", "deaf-child=600"),
                startsecs=0,
                stopasgroup=True,
                stopwaitsecs=1,
            ),
        ),
        {"stubborn": "STARTING RUNNING STOPPING STOPPED"},
        play=leaves_child("stubborn"),
        why="supervisord forgets it when the leader is gone; initpy kills it within stopwaitsecs",
    ),
    Scenario(
        "31",
        "a group starts in the order of its programs, whatever their priority",
        "O",
        (
            program("a", "sleep 600", priority=10),
            program("b", "sleep 600", priority=30),
            program("c", "sleep 600", priority=20),
        ),
        dict.fromkeys("abc", "STARTING RUNNING"),
        groups=(Group("trio", ["c", "a", "b"], priority=10),),
        play=trio_has_its_order,
    ),
    Scenario(
        "40, and the update that follows",
        "only what has been added, changed or removed is touched",
        "O",
        (
            program("staying", "sleep 600", startsecs=0),
            program("changing", probe("changing"), startsecs=0),
            program("going", "sleep 600", startsecs=0),
        ),
        {
            "staying": "STARTING RUNNING",
            "changing": "STARTING RUNNING STOPPING STOPPED STARTING RUNNING",
            "going": "STARTING RUNNING STOPPING STOPPED",
            "coming": "STARTING RUNNING",
        },
        play=file_changes,
    ),
    Scenario(
        "41, with EXITED for STOPPED",
        "a program that is not up starts when an update changes it",
        "O",
        (program("done", "true", startsecs=0, autorestart=False),),
        {"done": "STARTING RUNNING EXITED(expected) STARTING RUNNING"},
        play=done_is_changed,
        brief_run=True,
    ),
    Scenario(
        "43",
        "numprocs from numprocs_start",
        "O",
        (
            program(
                "x",
                "sleep 600",
                process_name="%(program_name)s_%(process_num)02d",
                numprocs=3,
                numprocs_start=5,
            ),
        ),
        {f"x_{number:02d}": "STARTING RUNNING" for number in (5, 6, 7)},
        play=there_are_three,
    ),
    Scenario(
        "44",
        "what commands and environments expand to",
        "O",
        (program("values", VALUES, environment={"COMPAT_MOOD": "%(ENV_COMPAT_COLOUR)s and 50%%"}),),
        {"values": "STARTING RUNNING"},
        play=values_are_told,
    ),
)

# ---------------------------------------------------------------- a pair of daemons for each


@contextmanager
def instant_is_first(pair: Pair) -> Iterator[None]:
    yield
    for peer in pair.peers:
        moves = [(move.process, move.state) for move in peer.history("default", "instant")]
        assert moves.index(("instant", RUNNING)) < moves.index(("default", RUNNING))


@contextmanager
def quote_is_refused(pair: Pair) -> Iterator[None]:
    assert pair.initpy.wait() == 2
    assert "program.quote.command: " in pair.initpy.log()
    yield
    assert pair.supervisord.is_running()


@contextmanager
def clock_goes_back(pair: Pair) -> Iterator[None]:
    def is_starting(peer: Peer) -> bool:
        return peer.states("gong").endswith(EXPECTED)

    pair.each(is_starting, lambda peer: peer.jump(-1000))
    yield


@contextmanager
def clock_goes_forward(pair: Pair) -> Iterator[None]:
    pair.wait_for_output("careful ready")
    pair.stop("careful")
    pair.wait_for_output("careful got TERM")
    for peer in pair.peers:
        peer.jump(1000)
    pair.kill(signal.SIGUSR2)  # something to wake up for, and to look at the clock
    pair.wait_for_log("received SIGUSR2")
    yield
    assert "killing 'careful'" in pair.supervisord.log()
    assert "killing 'careful'" not in pair.initpy.log()


@contextmanager
def daemons_stop_in_order(pair: Pair) -> Iterator[None]:
    pair.wait_for_output("b ready")
    pair.wait_for_state("low", RUNNING)
    pair.kill(signal.SIGTERM)
    assert pair.wait() == [0, 0]
    yield
    first = ["b", "c", "a", "low"]
    terms = [[n for n, sig in peer.signals_sent() if sig == "SIGTERM"] for peer in pair.peers]
    assert terms == [[*first, WATCHER], first]
    # supervisord stops one group after the other, and takes no less than the sum of their times;
    # initpy makes only those wait that are `after` each other, as it has a time to keep.
    ended = [
        [move.process for move in peer.logged("b", "low") if move.state == STOPPED]
        for peer in pair.peers
    ]
    assert ended == [["b", "low"], ["low", "b"]]


@contextmanager
def one_fails(pair: Pair) -> Iterator[None]:
    assert pair.initpy.wait() == 3
    pair.supervisord.wait_for_log("gave up: bad")
    pair.supervisord.kill(signal.SIGTERM)
    assert pair.supervisord.wait() == 0
    yield


@contextmanager
def daemons_are_asked_twice(pair: Pair) -> Iterator[None]:
    pair.wait_for_output("deaf ready")
    asked_at_s = time.time()
    for times in (1, 2):
        pair.kill(signal.SIGTERM)
        pair.wait_for_log("received SIGTERM indicating exit request", times=times)
    assert pair.wait() == [0, 0]
    yield
    for peer in pair.peers:
        (killed_at_s,) = times_of(peer, r"killing 'deaf' \(\d+\) with SIGKILL")
        assert killed_at_s >= asked_at_s + 2


@contextmanager
def file_is_read_again(pair: Pair) -> Iterator[None]:
    pair.wait_for_state("keeper", RUNNING)
    for peer in pair.peers:
        peer.write(peer.setup.with_program(program("coming", "sleep 600", startsecs=0)))
        peer.kill(signal.SIGHUP)
    yield
    started = re.findall(r"supervisord started with pid (\d+)", pair.supervisord.log())
    assert started == [str(pair.supervisord.pid)] * 2
    assert pair.initpy.is_running()


@contextmanager
def file_is_spoilt(pair: Pair) -> Iterator[None]:
    pair.wait_for_state("keeper", RUNNING)
    for peer in pair.peers:
        peer.write(peer.setup.with_program(KEEPER.but(stopsignal="NOPE")))
        peer.kill(signal.SIGHUP)
    assert pair.supervisord.wait() == 2
    pair.initpy.wait_for_log("nothing is reloaded, everything runs on as it is")
    yield
    assert pair.initpy.is_running()


@contextmanager
def name_is_missed(pair: Pair) -> Iterator[None]:
    assert pair.wait() == [2, 2]
    for peer in pair.peers:
        assert "COMPAT_MISSING" in peer.report()
    yield


@contextmanager
def orphans_end(pair: Pair) -> Iterator[None]:
    pair.wait_for_output("nursery ready")

    def have_orphans() -> bool:
        return all(len(children(peer.pid)) > ORPHAN_COUNT for peer in pair.peers)

    def are_rid_of_them() -> bool:
        for peer in pair.peers:
            if peer.name not in took_s and len(children(peer.pid)) < 10:
                took_s[peer.name] = time.monotonic() - begun_s[peer.name]
        return len(took_s) == len(pair.peers)

    wait_for(have_orphans, about="all orphans are init's")
    begun_s: dict[str, float] = {}
    took_s: dict[str, float] = {}
    for peer in pair.peers:
        begun_s[peer.name] = time.monotonic()
        (peer.folder / "fifo").write_text("go")
    wait_for(are_rid_of_them, within_s=30, about="all orphans are reaped")
    yield
    reaped_at_s = times_of(pair.supervisord, "reaped unknown pid")
    assert len(reaped_at_s) == ORPHAN_COUNT
    assert reaped_at_s[-1] - reaped_at_s[0] > 1.5  # a hundred each second
    assert took_s["initpy"] < took_s["supervisord"]


ALONE = (
    Scenario(
        "2",
        "without startsecs, it is RUNNING at once",
        "L",
        (program("default", "sleep 600"), program("instant", "sleep 600", startsecs=0)),
        {"default": "STARTING RUNNING", "instant": "STARTING RUNNING"},
        play=instant_is_first,
    ),
    Scenario(
        "6, the third",
        "a quote that is not closed",
        "X",
        (KEEPER, program("quote", "sh -c 'exit", startretries=0)),
        {"quote": "STARTING BACKOFF FATAL"},
        initpy={"quote": ""},
        said={"quote": ["""can't parse command "sh -c 'exit": No closing quotation"""]},
        play=quote_is_refused,
        why="to initpy, what can be seen in the file is wrong with the file, and starts nothing",
    ),
    Scenario(
        "19, the stop",
        "a stop in BACKOFF sends no signal, and it is tried no more",
        "O",
        (
            KEEPER,
            program("unlucky", "false", startsecs=3, startretries=100),
            program("luckless", "false", startsecs=3, startretries=100),
        ),
        {"unlucky": "STARTING BACKOFF STARTING BACKOFF"},
        play=unlucky_is_stopped,
        ends_watcher=True,  # neither log has a line for it, only the events
    ),
    Scenario(
        "29",
        "the wall clock goes back while it is STARTING",
        "X",
        (
            KEEPER,
            program(
                "early", probe("early", "after=3.8:0"), startsecs=3, startretries=0, **REAL_CLOCK
            ),
            program("gong", "sleep 1.5", startsecs=0, autorestart=False, **REAL_CLOCK),
        ),
        {"early": "STARTING BACKOFF FATAL"},
        initpy={"early": "STARTING RUNNING EXITED(expected)"},
        play=clock_goes_back,
        options={"own_clock": True},
        why="supervisord counts startsecs anew, so that 3.8 s are too quick; initpy's clock is"
        " monotonic",
    ),
    Scenario(
        "30",
        "the wall clock goes forward while it is STOPPING",
        "X",
        (
            KEEPER,
            program(
                "careful",
                probe("careful", "shutdown-delay=3:0"),
                startsecs=0,
                stopwaitsecs=100,
                **REAL_CLOCK,
            ),
        ),
        {"careful": "STARTING RUNNING STOPPING STOPPED"},
        said={"careful": ["WARN terminated by SIGKILL"]},
        initpy_said={"careful": ["INFO exit status 0"]},
        play=clock_goes_forward,
        options={"own_clock": True},
        why="supervisord thinks that its time to stop is over, and kills it; initpy's clock is"
        " monotonic",
    ),
    Scenario(
        "33",
        "the last to start is told to stop first, the listeners last",
        "O",
        (
            program("a", "sleep 600", priority=10, startsecs=0),
            program("b", probe("b", "shutdown-delay=1:0"), priority=30, startsecs=0),
            program("c", "sleep 600", priority=20, startsecs=0),
            program("low", "sleep 600", priority=5, startsecs=0),
        ),
        dict.fromkeys(("a", "b", "c", "low"), "STARTING RUNNING STOPPING STOPPED"),
        groups=(Group("trio", ["c", "a", "b"], priority=10),),
        play=daemons_stop_in_order,
        ends_watcher=True,
        options={"traced": True},
    ),
    Scenario(
        "34",
        "the exit code when a program is FATAL",
        "X",
        (KEEPER, program("bad", shell("exit 3"), startsecs=3, startretries=0, critical=True)),
        {"bad": "STARTING BACKOFF FATAL"},
        play=one_fails,
        ends_watcher=True,
        why="supervisord stays up without it, and exits with 0 when asked to; initpy ends the"
        " container with the program's code",
    ),
    Scenario(
        "35",
        "a second TERM changes nothing",
        "L",
        (KEEPER, program("deaf", probe("deaf", "ignore=TERM"), startsecs=0, stopwaitsecs=2)),
        {"deaf": "STARTING RUNNING STOPPING STOPPED"},
        said={"deaf": ["WARN terminated by SIGKILL"]},
        play=daemons_are_asked_twice,
        ends_watcher=True,
    ),
    Scenario(
        "37",
        "HUP, a program has been added",
        "X",
        (KEEPER,),
        {
            "keeper": "STARTING RUNNING STOPPING STOPPED STARTING RUNNING",
            "coming": "STARTING RUNNING",
        },
        initpy={"keeper": "STARTING RUNNING"},
        play=file_is_read_again,
        ends_watcher=True,
        why="both start it, under the same pid; supervisord stops and starts all others as well",
    ),
    Scenario(
        "38",
        "HUP, and the file is wrong",
        "X",
        (KEEPER,),
        {"keeper": "STARTING RUNNING STOPPING STOPPED"},
        initpy={"keeper": "STARTING RUNNING"},
        play=file_is_spoilt,
        ends_watcher=True,
        why="supervisord stops everything, and exits with 2; initpy goes on as if nothing had been",
    ),
    Scenario(
        "44, the missing name",
        "a name that does not expand is an error at the start",
        "O",
        (KEEPER, program("wrong", "sleep %(ENV_COMPAT_MISSING)s")),
        {"keeper": "", "wrong": ""},
        play=name_is_missed,
        ends_watcher=True,
    ),
    Scenario(
        "60",
        "300 orphans end at once",
        "X",
        (
            program(
                "nursery",
                [
                    sys.executable,
                    "-I",
                    "-S",
                    str(ORPHANS),
                    "nursery",
                    str(ORPHAN_COUNT),
                    "%(here)s/fifo",
                ],
                startsecs=0,
            ),
        ),
        {"nursery": "STARTING RUNNING"},
        play=orphans_end,
        options={"as_pid1": True},
        why="supervisord reaps at most 100 of them in a turn, and waits up to a second for the next"
        " turn; initpy reaps them all",
    ),
)
