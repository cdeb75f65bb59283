"""One life of an initpy as PID 1, from its boot to its stop, with strace at it; and what became of
it, judged from outside: by what the programs wrote, by /proc, and by the exit code.

Nothing here asks PID 1 how it is. Its log is looked at where it could not start, to see that it
says why, and for people.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import subprocess
import tempfile
import time
import xmlrpc.client
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tests.control.rpc import _Transport
from tests.faults import gate
from tests.support import REPO, children, descendants, status_field

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

HERE = Path(__file__).resolve().parent

PYTHON = "/usr/bin/python3"
SOURCE = f"""\
import _signal, posix, sys
sys.path.append({str(REPO)!r})
from initpy.cli import main
if b"INITPY_HANDOVER" not in posix.environ:
    _signal.pthread_sigmask(_signal.SIG_BLOCK, [{gate.GATE}, {gate.MARK}])
    _signal.sigwait([{gate.GATE}])
main()
"""
"""The package as `docker/pip/initpy` starts it, but for a wait before it does anything: what fails
earlier, in Python's own start, is Python's matter. An image that takes over does not wait."""

LOOK_S = 0.01
STEP_S = 30.0
"""What a step may take, backoffs and helpers that are started anew included, under load."""

AGAIN_S = 3.0
"""An order is given once more after this long, as an operator would, if nothing has come of it."""

KILLED = "was not stopped, but killed"

CONFIG = """\
[init]
log = "prefix"
shutdown_timeout = 6
[control]
[program.a]
command = ["{probe}", "a", "{journal}"]
startsecs = 0.1
stopwaitsecs = 1
backoff = {{ initial = 0.1 }}
[program.b]
command = ["{probe}", "b", "{journal}", "child"]
startsecs = 0.1
stopwaitsecs = 1
backoff = {{ initial = 0.1 }}
[program.c]
command = ["{probe}", "c", "{journal}"]
startsecs = 0.1
stopwaitsecs = 1
backoff = {{ initial = 0.1 }}
after = ["a"]
stdout_logfile = "{folder}/c.log"
"""

ADDED = """\
[program.d]
command = ["{probe}", "d", "{journal}"]
startsecs = 0.1
stopwaitsecs = 1
backoff = {{ initial = 0.1 }}
"""

CALM_S = 5.0
"""By then, all zombies are buried."""

STOP_S = 15.0
"""More than twice shutdown_timeout: that it fits is another test's matter."""

HELPERS = 2
"""So many run when nothing happens: the relay of the logs, and the control helper."""

REFUSED = (1, 2)
"""Exit codes of an initpy that cannot start."""

STARTS = {"a": 2, "b": 2, "c": 2, "d": 1}
"""How often each program is started in a scenario that runs to its end."""


class ScenarioError(Exception):
    """Something that should have happened has not."""


@dataclass(frozen=True)
class Injection:
    """One syscall that fails: the `when`-th of its name with this errno, from the gate on."""

    syscall: str
    errno: str
    when: int
    trigger: int = 0
    """If not 0: so manieth wait fails before it, which PID 1 takes for a bug of its own."""

    def options(self) -> list[str]:
        # Where brk fails, the kernel returns no errno, but where the break is.
        result = "retval=0" if self.syscall == "brk" else f"error={self.errno}"
        options = [f"--inject={self.syscall}:{result}:when={self.when}"]
        traced = self.syscall
        if self.trigger:
            options.append(trigger(self.trigger))
            traced += f",{WAIT}"
        return [f"--trace={traced}", *options]


WAIT = "epoll_wait"


def trigger(when: int) -> str:
    """The option by which this wait fails as it never should."""
    return f"--inject={WAIT}:error=EBADF:when={when}"


@dataclass
class Outcome:
    """What became of one life."""

    problems: list[str] = field(default_factory=list)
    hits: int = 0
    """How many injections have struck."""
    ended_early: bool = False
    """PID 1 has ended before its first program."""
    repeats: int = 0
    """Orders that had to be given again."""
    repairs: int = 0
    """How often PID 1 has executed itself anew."""
    code: int | None = None
    log: str = ""
    trace: str = ""
    steps: dict[str, float] = field(default_factory=dict)
    """When each step began, by the wall clock, as strace's stamps are."""


class Life:
    """A namespace with an initpy in it, and strace at its first process."""

    def __init__(self, probe: Path, binary: Path | None, strace: Sequence[str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="initpy-fault-"))
        self.journal = self.folder / "journal"
        self.journal.touch()
        self.config = self.folder / "initpy.toml"
        self.socket = self.folder / "socket"
        self._probe = probe
        self.write_config()
        command = [PYTHON, "-I", "-S", "-c", SOURCE, "-c", str(self.config)]
        if binary is not None:
            script = str(HERE / "gate.py")
            command = [PYTHON, "-I", "-S", script, str(binary), "-c", str(self.config)]
        with (self.folder / "stdout").open("wb") as out, (self.folder / "stderr").open("wb") as err:
            self.outer = subprocess.Popen(
                ["unshare", "-pf", "--mount-proc", "--kill-child", *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd="/",
                env={
                    "PATH": "/usr/bin:/bin",
                    "INITPY_SOCKET": str(self.socket),
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
            )
        self.strace: subprocess.Popen[bytes] | None = None
        self.pid = 0
        try:
            self.pid = self.wait(lambda: next(iter(children(self.outer.pid)), 0), "unshare's child")
            self.wait(self._waits_at_gate, "the gate")
            self.strace = subprocess.Popen(
                ["strace", "-q", "-ttt", "-o", self.folder / "trace", *strace, "-p", str(self.pid)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            self.wait(lambda: status_field(self.pid, "TracerPid") != "0", "strace")
            os.kill(self.pid, gate.GATE)
        except BaseException:
            self.end()
            raise

    def _waits_at_gate(self) -> bool:
        blocked = status_field(self.pid, "SigBlk")
        return bool(blocked) and bool(int(blocked, 16) >> (gate.MARK - 1) & 1)

    def write_config(self, added: str = "") -> None:
        names = {"probe": self._probe, "journal": self.journal, "folder": self.folder}
        self.config.write_text((CONFIG + added).format(**names))

    # ------------------------------------------------------------ what is seen from outside

    def wait(self, fact: Callable[[], T], about: str, within_s: float = STEP_S) -> T:
        """What `fact` returns as soon as that is true.

        Raises:
            ScenarioError: it never was, or PID 1 has ended meanwhile.
        """
        due_at = time.monotonic() + within_s
        while not (seen := fact()):
            if self.outer.poll() is not None:
                raise ScenarioError(f"PID 1 ended with {self.outer.returncode} before {about}")
            if time.monotonic() > due_at:
                raise ScenarioError(f"never came: {about}")
            time.sleep(LOOK_S)
        return seen

    def noted(self, name: str, what: str) -> list[int]:
        """The pids, in the namespace, that have written this, in their order."""
        lines = [line.split() for line in self.journal.read_text().splitlines()]
        return [int(pid) for who, told, pid in lines if (who, told) == (name, what)]

    def inside(self) -> dict[int, int]:
        """All that descend from PID 1: their pids in the namespace, and outside."""
        found = {}
        for pid in descendants(self.pid):
            numbers = status_field(pid, "NSpid").split()
            if numbers:
                found[int(numbers[-1])] = pid
        return found

    def programs(self) -> dict[str, list[int]]:
        """The living instances of each program, by its name: pids outside."""
        found: dict[str, list[int]] = {}
        for pid in children(self.pid):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0] == os.fsencode(self._probe) and len(words) > 1:
                found.setdefault(words[1].decode(), []).append(pid)
        return found

    def zombies(self) -> list[int]:
        return [pid for pid in children(self.pid) if status_field(pid, "State")[:1] == "Z"]

    def log(self) -> str:
        return (self.folder / "stderr").read_text(errors="replace")

    def trace(self) -> str:
        """What strace has written; PID 1 has ended, or is left alone by strace."""
        assert self.strace is not None
        if self.outer.poll() is None:
            self.strace.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.strace.wait(10)
        return (self.folder / "trace").read_text(errors="replace")

    def end(self) -> None:
        """Leave nothing of it behind."""
        mine = [self.outer.pid, *descendants(self.outer.pid)]
        if self.outer.poll() is None:
            for pid in mine:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.outer.wait(90)
        if self.strace is not None:
            try:
                self.strace.wait(5)
            except subprocess.TimeoutExpired:
                self.strace.kill()
                self.strace.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


# ---------------------------------------------------------------- one life


def run(probe: Path, binary: Path | None, strace: Sequence[str]) -> Outcome:
    """Live one life, with these options of strace."""
    outcome = Outcome()
    life = Life(probe, binary, strace)
    try:
        try:
            _act(life, outcome)
        except ScenarioError as exc:
            _see_failure(life, outcome, str(exc))
        outcome.log = life.log()
        outcome.trace = life.trace()
        outcome.repairs = outcome.log.count("a bug in initpy")
        outcome.hits = outcome.trace.count("(INJECTED)")
    finally:
        life.end()
    return outcome


def _see_failure(life: Life, outcome: Outcome, what: str) -> None:
    outcome.code = life.outer.poll()
    said = life.log().strip()
    if outcome.code is not None and not life.journal.read_text():
        outcome.ended_early = True
        if outcome.code not in REFUSED or not said or "Traceback" in said or len(said) > 300:
            outcome.problems.append(f"{what}, and said {said!r}")
    else:
        outcome.problems.append(what)


def _act(life: Life, outcome: Outcome) -> None:
    def step(name: str) -> None:
        outcome.steps[name] = time.time()

    def insist(order: Callable[[], object], fact: Callable[[], bool], about: str) -> None:
        """Give an order until it is carried out."""
        due_at = time.monotonic() + STEP_S
        while True:
            order()
            try:
                life.wait(fact, about, min(AGAIN_S, max(0.0, due_at - time.monotonic())))
            except ScenarioError:
                if life.outer.poll() is not None or time.monotonic() > due_at:
                    raise
                outcome.repeats += 1
            else:
                return

    def starts(name: str, count: int) -> Callable[[], bool]:
        return lambda: len(life.noted(name, "start")) >= count

    step("boot")
    for name in "abc":
        life.wait(starts(name, 1), f"the start of {name}")
    step("crash")
    left = life.wait(lambda: life.noted("b", "child"), "b's child")[0]
    _crash(life, "b")
    life.wait(starts("b", 2), "b's restart")
    if left in life.inside():
        outcome.problems.append("what b left behind is there beside its next instance")
    step("reload")
    life.write_config(ADDED)
    insist(lambda: os.kill(life.pid, signal.SIGHUP), starts("d", 1), "the start of d")
    step("order")
    first = life.noted("a", "start")[0]
    insist(
        lambda: _stop(life, again=outcome.repeats > 0),
        lambda: first not in life.inside(),
        "a's stop",
    )
    if first not in life.noted("a", "stop"):
        outcome.problems.append(f"a {KILLED}")
    insist(lambda: _order(life, "startProcess", False), starts("a", 2), "a's start by a client")
    step("crash again")
    _crash(life, "c")
    life.wait(starts("c", 2), "c's restart")
    step("calm")
    try:
        life.wait(lambda: not _what_is_wrong(life), "calm", CALM_S)
    except ScenarioError as exc:
        outcome.problems += _what_is_wrong(life) or [str(exc)]
    step("stop")
    live = {name: life.noted(name, "start")[-1] for name in STARTS}
    os.kill(life.pid, signal.SIGTERM)
    try:
        outcome.code = life.outer.wait(STOP_S)
    except subprocess.TimeoutExpired:
        outcome.problems.append(f"has not ended {STOP_S:g} s after TERM")
        return
    step("end")
    outcome.problems += [
        f"{name} {KILLED}" for name, pid in live.items() if pid not in life.noted(name, "stop")
    ]
    if outcome.code != 0:
        outcome.problems.append(f"the exit code is {outcome.code}")


def _crash(life: Life, name: str) -> None:
    live = life.inside()
    pid = live.get(life.noted(name, "start")[-1])
    if pid is None:
        raise ScenarioError(f"{name} was gone before it was killed")
    os.kill(pid, signal.SIGKILL)


def _stop(life: Life, *, again: bool) -> None:
    """Have a stopped. If the kernel has refused to signal it, it is UNKNOWN from then on, as with
    supervisord, and the operator signals it without us."""
    _order(life, "stopProcess", False)
    pid = life.inside().get(life.noted("a", "start")[0])
    if again and pid is not None:
        with contextlib.suppress(ProcessLookupError):  # it has ended by now
            os.kill(pid, signal.SIGTERM)


def _order(life: Life, method: str, *arguments: object) -> None:
    """An order from a client, who bears with a helper that dies."""
    with contextlib.suppress(OSError, http.client.HTTPException, xmlrpc.client.Error):
        transport = _Transport(life.socket)
        with xmlrpc.client.ServerProxy("http://localhost", transport) as proxy:
            getattr(proxy.supervisor, method)("a", *arguments)


def _what_is_wrong(life: Life) -> list[str]:
    """With the programs, when nothing is to happen to them."""
    wrong = []
    inside = life.inside()
    programs = life.programs()
    for name, count in STARTS.items():
        noted = life.noted(name, "start")
        pids = programs.get(name, [])
        if len(pids) != 1:
            wrong.append(f"{name} is there {len(pids)} times")
        elif inside.get(noted[-1]) != pids[0]:
            wrong.append(f"{name}'s living instance is not the last that was started")
        if len(noted) != count:
            wrong.append(f"{name} was started {len(noted)} times, not {count}")
    if zombies := life.zombies():
        wrong.append(f"{len(zombies)} zombies")
    others = len(children(life.pid)) - sum(map(len, programs.values())) - len(zombies)
    if others > HELPERS:
        wrong.append(f"{others} helpers run")
    return wrong
