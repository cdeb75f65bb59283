"""supervisord and initpy, side by side: given one setup, told the same things, and looked at."""

from __future__ import annotations

import http.client
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import xmlrpc.client
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.compat.histories import from_events, from_log
from tests.compat.setups import WATCHER, to_ini, to_own_ini, to_toml
from tests.support import REPO, Init, descendants, skip_or_fail, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.compat.histories import Move
    from tests.compat.setups import Program, Setup

LISTENER = Path(__file__).resolve().parent / "listener.py"
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
PATIENCE_S = 90.0
"""How long a fact may take to come true: supervisord looks around once a second, and the machine
may be busy."""

Diff = tuple[list[str], list[str], list[str]]
"""What a new configuration has added, changed and removed."""


class Peer(ABC):
    """A supervisor that runs a setup, in a folder of its own."""

    name: str

    def __init__(self, setup: Setup, folder: Path) -> None:
        self.setup = setup
        self.folder = folder
        self._read: dict[str, tuple[int, list[Move]]] = {}

    # ------------------------------------------------------------ the daemon

    @property
    @abstractmethod
    def pid(self) -> int:
        """Its pid, as seen from here."""

    @abstractmethod
    def log(self) -> str:
        """What it has logged so far."""

    @abstractmethod
    def is_running(self) -> bool:
        """Whether the daemon is there."""

    @abstractmethod
    def wait(self) -> int:
        """Wait for its end; the exit code, or -signal."""

    @abstractmethod
    def end(self) -> None:
        """Leave nothing behind, whatever the test has come to."""

    def kill(self, signum: int) -> None:
        """Send the daemon a signal."""
        os.kill(self.pid, signum)

    def signals_sent(self) -> list[tuple[str, str]]:
        """Of a traced daemon: which program was sent which signal, in their order."""
        names = {
            pid: name for name, pid in re.findall(r"spawned: '(\S+)' with pid (\d+)", self.log())
        }
        kills = (self.folder / "kills").read_text()
        sent = re.findall(r"^kill\((\d+), (\w+)\) += 0$", kills, re.MULTILINE)
        return [(names[pid], signame) for pid, signame in sent if pid in names]

    def wait_for_log(self, pattern: str, *, times: int = 1) -> None:
        """Wait until the log matches, at least so many times."""
        self._wait(lambda: len(re.findall(pattern, self.log())) >= times, f"the log: {pattern}")

    # ------------------------------------------------------------ its programs

    def output(self) -> str:
        """What the programs have said so far."""
        return (self.folder / "stdout").read_text(errors="replace")

    def wait_for_output(self, pattern: str) -> str:
        """Wait until a program says it. Returns the match, or its first group."""
        self._wait(lambda: re.search(pattern, self.output()), f"the output: {pattern}")
        return str(re.findall(pattern, self.output())[0])

    def logged(self, *processes: str) -> list[Move]:
        """The history of some processes, or of all, as far as the log tells it."""
        moves = self._parsed("log", self.log(), lambda text: from_log(text, self._who))
        return [move for move in moves if not processes or move.process in processes]

    def history(self, *processes: str) -> list[Move]:
        """The history of some processes, or of all, from the best that there is to read."""
        return self.logged(*processes)

    def states(self, *processes: str) -> str:
        """The states that these processes went through, as one line."""
        return " ".join(move.state for move in self.history(*processes))

    def wait_for_state(self, process: str, state: str, *, times: int = 1) -> None:
        """Wait until the process has entered the state, so many times."""
        self._wait(
            lambda: self.states(process).split().count(state) >= times,
            f"{process} enters {state}, {times} times",
        )

    def _who(self, reason: str) -> str:
        """The program whose command a reason is about."""
        for program in self.setup.programs:
            if f"'{program.command}'" in reason or repr(program.command) in reason:
                return program.name
        raise AssertionError(f"{self.name}: whose is this? {reason}")

    def _parsed(self, of: str, text: str, parse: Callable[[str], list[Move]]) -> list[Move]:
        """`parse(text)`, done once for a text that has not grown."""
        if self._read.get(of, (-1, []))[0] != len(text):
            self._read[of] = (len(text), parse(text))
        return self._read[of][1]

    def _wait(self, fact: Callable[[], object], about: str) -> None:
        try:
            wait_for(fact, within_s=PATIENCE_S, about=about)
        except AssertionError as exc:
            raise AssertionError(f"{self.name}: {exc}\n{self.report()}") from None

    def report(self) -> str:
        """All that it has said, for a test that has failed."""
        return f"---- {self.name}\nlog:\n{self.log()}\noutput:\n{self.output()}"

    # ------------------------------------------------------------ orders

    @abstractmethod
    def stop(self, name: str) -> None:
        """Order a program to be stopped; return when it has been told."""

    @abstractmethod
    def start(self, name: str) -> None:
        """Order a program that was stopped to be started; return when that has been taken in."""

    @abstractmethod
    def signal(self, name: str, signum: signal.Signals) -> None:
        """Pass a signal on to a program."""

    @abstractmethod
    def update(self, change: Callable[[Setup], Setup]) -> Diff:
        """Change the configuration, and have what is different done."""

    @abstractmethod
    def write(self, setup: Setup) -> None:
        """Change the configuration on disk, and nothing else."""

    def jump(self, span_s: int) -> None:
        """Move the wall clock that it sees, from where it has been at the start."""
        (self.folder / "now").write_text(f"{span_s:+d}")


class Supervisord(Peer):
    """The real one, driven through its own XML-RPC, seen through its own events."""

    name = "supervisord"

    def __init__(
        self,
        setup: Setup,
        folder: Path,
        *,
        as_pid1: bool = False,
        wrapper: Sequence[str] = (),
        env: Mapping[str, str],
    ) -> None:
        super().__init__(setup, folder)
        for name in ("log", "events", "stdout"):
            (folder / name).touch()
        self.write(setup)
        unshare = ["unshare", "-pf", "--mount-proc", "--kill-child"] if as_pid1 else []
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(folder / "ini")]
        with (folder / "said").open("wb") as said:
            self._outer = subprocess.Popen(
                [*wrapper, *unshare, *command],
                cwd=REPO,  # as initpy
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env={**os.environ, **env},
            )
        self._direct = not (as_pid1 or wrapper)

    def write(self, setup: Setup) -> None:
        self.setup = setup
        listener = [sys.executable, "-I", "-S", str(LISTENER)]
        (self.folder / "ini").write_text(to_ini(setup, self.folder, listener))

    @property
    def pid(self) -> int:
        return self._outer.pid if self._direct else wait_for(self._find_pid, about="its start")

    def _find_pid(self) -> int:
        """Down from a wrapper to the first Python."""
        for pid in descendants(self._outer.pid):
            with suppress(OSError):
                if (
                    Path(f"/proc/{pid}/cmdline")
                    .read_bytes()
                    .startswith(os.fsencode(sys.executable))
                ):
                    return pid
        return 0

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def is_running(self) -> bool:
        return self._outer.poll() is None

    def wait(self) -> int:
        try:
            return self._outer.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end\n{self.report()}") from None

    def end(self) -> None:
        if self.is_running():
            for pid in [self._outer.pid, *descendants(self._outer.pid)]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._outer.wait(10)

    def report(self) -> str:
        said = (self.folder / "said").read_text(errors="replace")
        return f"{super().report()}\nstdout and stderr:\n{said}"

    def history(self, *processes: str) -> list[Move]:
        text = (self.folder / "events").read_text()
        text = text[: text.rfind("\n") + 1]  # the last line may be half written
        return [
            move
            for move in self._parsed("events", text, from_events)
            if move.process in processes or (not processes and move.process != WATCHER)
        ]

    @contextmanager
    def rpc(self) -> Iterator[Any]:
        """The `supervisor` namespace of its XML-RPC."""
        transport = UnixTransport(str(self.folder / "rpc"))
        with xmlrpc.client.ServerProxy("http://localhost", transport) as proxy:
            yield proxy.supervisor

    def stop(self, name: str) -> None:
        with self.rpc() as rpc:
            assert rpc.stopProcess(name, False) is True

    def start(self, name: str) -> None:
        with self.rpc() as rpc:
            assert rpc.startProcess(name, False) is True

    def signal(self, name: str, signum: signal.Signals) -> None:
        with self.rpc() as rpc:
            assert rpc.signalProcess(name, int(signum)) is True

    def update(self, change: Callable[[Setup], Setup]) -> Diff:
        """As `supervisorctl update` does it."""
        self.write(change(self.setup))
        before = self.history()
        with self.rpc() as rpc:
            ((added, changed, removed),) = rpc.reloadConfig()
            named = (*added, *changed, *removed)
            unchanged = [move for move in before if move.process in named]
            assert not named or self.history(*named) == unchanged, "reread does nothing itself"
            for name in (*removed, *changed):
                rpc.stopProcessGroup(name)
                assert rpc.removeProcessGroup(name) is True
            for name in (*changed, *added):
                assert rpc.addProcessGroup(name) is True
        return added, changed, removed


class InitPy(Peer):
    """Ours, driven by signals and its file: to stop a program is to take it out of the file."""

    name = "initpy"

    def __init__(
        self,
        setup: Setup,
        folder: Path,
        *,
        as_pid1: bool = False,
        wrapper: Sequence[str] = (),
        env: Mapping[str, str],
        reads: str = "initpy.toml",
    ) -> None:
        super().__init__(setup, folder)
        self._stopped: dict[str, Program] = {}
        self._file = folder / reads
        self.write(setup)
        self._init = Init(self._file, folder, as_pid1=as_pid1, wrapper=wrapper, env=env)

    def write(self, setup: Setup) -> None:
        self.setup = setup
        is_toml = self._file.suffix == ".toml"
        text = to_toml(setup) if is_toml else to_own_ini(setup, self.folder)
        self._file.write_text(text)

    @property
    def pid(self) -> int:
        return self._init.pid

    def log(self) -> str:
        return self._init.log()

    def is_running(self) -> bool:
        return self._init.is_running()

    def wait(self) -> int:
        return self._init.wait(PATIENCE_S)

    def end(self) -> None:
        self._init.end()

    def stop(self, name: str) -> None:
        if name in self._stopped:  # it is to be stopped again
            self.update(lambda setup: setup)
            return
        self._stopped[name] = self.setup.find(name)
        added, changed, removed = self.update(lambda setup: setup.without(name))
        assert (added, changed, removed) == ([], [], [name]), self.report()

    def start(self, name: str) -> None:
        program = self._stopped.pop(name)
        self.update(lambda setup: setup.with_program(program))

    def signal(self, name: str, signum: signal.Signals) -> None:
        """It goes to all that catch it: a scenario sees to it that `name` alone does."""
        self.kill(signum)
        self.wait_for_log(f"forwarding {signum.name} to '{name}'")

    def update(self, change: Callable[[Setup], Setup]) -> Diff:
        done = self._reloads()
        self.write(change(self.setup))
        self.kill(signal.SIGHUP)
        self._wait(lambda: len(self._reloads()) > len(done), "an answer to HUP")
        said = self._reloads()[-1]
        named = {what: names.split(", ") for what, names in re.findall(r"(\w+) ([^;]+)", said)}
        if said.startswith("no program"):
            named = {}
        return named.get("added", []), named.get("changed", []), named.get("removed", [])

    def _reloads(self) -> list[str]:
        return re.findall(r"INFO reloaded: (.*)\n", self.log())


class Pair:
    """Both, with one setup. What the scenarios tell it, it tells both."""

    def __init__(
        self,
        setup: Setup,
        folder: Path,
        *,
        env: Mapping[str, str] | None = None,
        own_clock: bool = False,
        traced: bool = False,
        as_pid1: bool = False,
        reads: str = "initpy.toml",
    ) -> None:
        """`reads`: the name of initpy's file, by which it is TOML or the same as supervisord's."""
        _skip_without_supervisord()
        folders = [folder / Supervisord.name, folder / InitPy.name]
        for own in folders:
            own.mkdir()
        how: list[dict[str, Any]] = [
            {
                "as_pid1": as_pid1,
                "wrapper": _tracer(own) if traced else [],
                "env": {**(env or {}), **(_clock(own) if own_clock else {})},
            }
            for own in folders
        ]
        self.supervisord = Supervisord(setup, folders[0], **how[0])
        self.initpy = InitPy(setup, folders[1], reads=reads, **how[1])
        self.peers: tuple[Peer, ...] = (self.supervisord, self.initpy)

    def end(self) -> None:
        for peer in self.peers:
            peer.end()

    def stop(self, name: str) -> None:
        for peer in self.peers:
            peer.stop(name)

    def kill(self, signum: int) -> None:
        for peer in self.peers:
            peer.kill(signum)

    def wait(self) -> list[int]:
        """Wait for both to end; their exit codes."""
        return [peer.wait() for peer in self.peers]

    def wait_for_log(self, pattern: str, *, times: int = 1) -> None:
        for peer in self.peers:
            peer.wait_for_log(pattern, times=times)

    def wait_for_output(self, pattern: str) -> list[str]:
        return [peer.wait_for_output(pattern) for peer in self.peers]

    def wait_for_state(self, process: str, state: str, *, times: int = 1) -> None:
        for peer in self.peers:
            peer.wait_for_state(process, state, times=times)

    def each(self, ready: Callable[[Peer], bool], order: Callable[[Peer], None]) -> None:
        """Give each its order as soon as it is ready, whichever is first."""
        waiting = list(self.peers)

        def none_waits() -> bool:
            for peer in [peer for peer in waiting if ready(peer)]:
                waiting.remove(peer)
                order(peer)
            return not waiting

        try:
            wait_for(none_waits, within_s=PATIENCE_S)
        except AssertionError:
            raise AssertionError("\n".join(peer.report() for peer in waiting)) from None

    def let_pass(self, ticker: str) -> None:
        """Let both look around: until each has started a program, which ends and is restarted all
        the time, twice more. What would have happened in between has."""
        before = [peer.states(ticker).split().count("STARTING") for peer in self.peers]
        for peer, times in zip(self.peers, before, strict=True):
            peer.wait_for_state(ticker, "STARTING", times=times + 2)


def _skip_without_supervisord() -> None:
    if importlib.util.find_spec("supervisor") is None:
        skip_or_fail("compat", "supervisord is not installed (PyPI's package supervisor)")


def _tracer(folder: Path) -> list[str]:
    """The command that writes down the signals which a process sends."""
    if shutil.which("strace") is None:
        skip_or_fail("compat", "strace is not installed")
    return ["strace", "-e", "trace=kill", "-o", str(folder / "kills")]


def _clock(folder: Path) -> dict[str, str]:
    """Variables that give a process a wall clock of its own, which `jump` moves; the monotonic one
    stays the kernel's."""
    if FAKETIME is None:
        skip_or_fail("compat", "libfaketime is not installed (Debian's package faketime)")
    (folder / "now").write_text("+0")
    return {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(folder / "now"),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


class UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        self.close()  # the one of the call before
        connection = UnixConnection(self._path)
        self._connection = host, connection
        return connection


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(self._path)
