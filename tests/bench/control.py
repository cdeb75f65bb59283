"""How quickly questions and orders are answered: initpy and supervisord, interleaved.

`python3 -m tests.bench.control` prints the tables of docs/benchmarks.md that are about the control
plane. The clients are as cheap as Python allows: they send the same bytes all the time, and look
at nothing but the length of the answer.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.arguments import parser_of
from tests.bench.peers import REPO, install, python_of
from tests.bench.table import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BINARY = os.environ.get("INITPY_BINARY")
WITHIN_S = 60.0
SUPERVISORD = "supervisord"
PROGRAMS = 200
ORDERED = 20
WARM_S = 2.0
SESSION_WITHIN_S = 0.1
MOST_IMPORTANT = -20

Command = list[str]


@dataclass
class Figures:
    """What has been measured, by row and column."""

    samples: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def add(self, row: str, column: str, *values: float) -> None:
        self.samples.setdefault((row, column), []).extend(values)

    def table(self, head: str, columns: Sequence[str]) -> str:
        """The medians, and how many times the first column's they are. More or less is better as
        the row says."""
        rows = [*dict.fromkeys(row for row, _ in self.samples)]
        lines = [[head, *columns], ["---", *["---:"] * len(columns)]]
        for row in rows:
            cells, first = [row], self.samples.get((row, columns[0]))
            for column in columns:
                found = self.samples.get((row, column))
                if found is None:
                    cells.append("-")
                    continue
                value = statistics.median(found)
                cell, base = f"**{number(value)}**", statistics.median(first or [0.0])
                if column != columns[0] and base > 0:
                    cell += f" {number(value / base)}x"
                cells.append(cell)
            lines.append(cells)
        return "".join(f"| {' | '.join(cells)} |\n" for cells in lines) + "\n"


class Daemon:
    """One of those that are compared, running."""

    def __init__(self, command: Command, folder: Path, path: Path) -> None:
        self._folder = folder
        self.path = path
        """Of its socket."""
        with (folder / "said").open("wb") as said:
            self._run = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
        self.pid = self._run.pid

    def connected(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(WITHIN_S)
        sock.connect(str(self.path))
        return sock

    def wait_until_running(self, count: int) -> None:
        """Until so many of its programs are RUNNING."""
        until = time.monotonic() + WITHIN_S
        while time.monotonic() < until:
            with contextlib.suppress(OSError), self.connected() as sock:
                if (
                    Client(sock, call("supervisor.getAllProcessInfo"))
                    .ask()
                    .count(b"<string>RUNNING</string>")
                    >= count
                ):
                    return
            time.sleep(0.1)
        raise TimeoutError((self._folder / "said").read_text())

    def wait_for_children(self, count: int) -> None:
        """Until it has no more than so many: its programs, and no helper."""
        until = time.monotonic() + WITHIN_S
        while len(_children(self.pid)) > count:
            if time.monotonic() > until:
                raise TimeoutError("the helper does not leave")
            time.sleep(0.02)

    def put_helper_first(self, programs: int) -> None:
        """As soon as there is one more child than its programs. It has a session of its own, whose
        niceness is another where the kernel groups processes by sessions."""
        until = time.monotonic() + WITHIN_S
        while len(children := _children(self.pid)) <= programs and time.monotonic() < until:
            time.sleep(0.0005)
        with contextlib.suppress(OSError):
            mine, its = (Path(f"/proc/{pid}/autogroup") for pid in ("self", children[-1]))
            until = time.monotonic() + SESSION_WITHIN_S
            while its.read_text() == mine.read_text() and time.monotonic() < until:
                time.sleep(0.0005)
            put_first(children[-1])

    def memory_kb(self, programs: int) -> dict[str, int]:
        """Its proportional set size, and the part of that which is in no file: when it has no
        helper, with which it would share."""
        self.wait_for_children(programs)
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return {
            name: int(kb) for name, kb in re.findall(r"^(\w+): +(\d+) kB", rollup, re.MULTILINE)
        }

    def end(self) -> None:
        self._run.send_signal(signal.SIGTERM)
        self._run.wait(WITHIN_S)


def call(method: str, *parameters: object) -> bytes:
    """A call as bytes."""
    body = xmlrpc.client.dumps(parameters, method).encode()  # type: ignore[arg-type]
    head = "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Client:
    """A connection over which the same is asked again and again."""

    def __init__(self, sock: socket.socket, request: bytes) -> None:
        self.sock = sock
        self._request = request
        self._buffer = bytearray(2**20)
        self._head = b""
        self._left = -1
        """So much of the answer has yet to come; -1: its length is not known."""
        self.asked_at = 0.0

    def send(self) -> None:
        self.asked_at = time.perf_counter()
        self.sock.sendall(self._request)

    def receive(self) -> bool:
        """Take what has come; whether the answer is whole with it."""
        count = self.sock.recv_into(self._buffer)
        if not count:
            raise EOFError("the connection has ended")
        if self._left < 0:
            self._head += self._buffer[:count]
            head, found, rest = self._head.partition(b"\r\n\r\n")
            if not found:
                return False
            if not head.startswith(b"HTTP/1.1 200"):
                raise ValueError(head)
            (length,) = re.findall(rb"(?i)content-length: (\d+)", head)
            self._left, self._head = int(length) - len(rest), b""
        else:
            self._left -= count
        if self._left == 0:
            self._left = -1
            return True
        return False

    def ask(self) -> bytes:
        """The whole answer, for once."""
        self.sock.sendall(self._request)
        answer = b""
        while (found := answer.partition(b"\r\n\r\n"))[1] == b"" or len(found[2]) < int(
            re.findall(rb"(?i)content-length: (\d+)", found[0])[0]
        ):
            part = self.sock.recv(65536)
            if not part:
                raise EOFError("the connection has ended")
            answer += part
        return answer


def asked(daemon: Daemon, request: bytes, clients: int, span_s: float) -> list[float]:
    """How long each answer took, in ms, when so many clients ask for so many seconds, each for the
    next answer as soon as it has one."""
    took: list[float] = []
    with contextlib.ExitStack() as stack:
        all_of_them = {}
        epoll = stack.enter_context(select.epoll())
        for _ in range(clients):
            client = Client(stack.enter_context(daemon.connected()), request)
            client.ask()
            all_of_them[client.sock.fileno()] = client
            epoll.register(client.sock.fileno(), select.EPOLLIN)
            client.send()
        until = time.perf_counter() + span_s
        while time.perf_counter() < until:
            for fd, _ in epoll.poll():
                client = all_of_them[fd]
                if client.receive():
                    took.append((time.perf_counter() - client.asked_at) * 1000)
                    client.send()
        for client in all_of_them.values():  # or it would write to nobody
            while not client.receive():
                pass
    return took


# ---------------------------------------------------------------- what is started


class Bench:
    def __init__(
        self, folder: Path, launchers: dict[str, Command], supervisord: str | None
    ) -> None:
        self.folder = folder
        self.launchers = launchers
        self.is_first = False
        """Before all else that runs on the machine."""
        self._supervisord = supervisord
        self.supervisorctl = Path(supervisord or SUPERVISORD).with_name("supervisorctl")
        self.columns = [*launchers, *([SUPERVISORD] if supervisord else [])]

    @contextlib.contextmanager
    def started(
        self, column: str, programs: int, *, flaps: bool = False, idle_s: float = 60.0
    ) -> Iterator[Daemon]:
        """A daemon with so many programs that sleep; and one that starts ten times a second."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        path = folder / "s"
        if column == SUPERVISORD:
            assert self._supervisord is not None
            command = [self._supervisord, "-c", str(self._conf(folder, programs, flaps=flaps))]
        else:
            config = folder / "initpy.toml"
            lines = ["[control]", f'socket = "{path}"', f"idle = {idle_s}"]
            for each in range(programs):
                lines += [f"[program.p{each}]", 'command = ["sleep", "100000"]']
            if flaps:
                lines += ["[program.flap]", 'command = ["sleep", "0.1"]', "startsecs = 0"]
                lines += ["autorestart = true"]
            config.write_text("\n".join(lines) + "\n")
            command = [*self.launchers[column], "-c", str(config)]
        daemon = Daemon(command, folder, path)
        try:
            daemon.wait_until_running(programs)
            if self.is_first:  # the helper among them, which has been started by that question
                for child in _children(daemon.pid):
                    put_first(child)
            yield daemon
        finally:
            daemon.end()
            shutil.rmtree(folder)

    def _conf(self, folder: Path, programs: int, *, flaps: bool) -> Path:
        lines = ["[supervisord]", "nodaemon=true", "user=root", "logfile=/dev/null"]
        lines += ["logfile_maxbytes=0", "pidfile=%(here)s/pid", "childlogdir=%(here)s"]
        lines += ["[unix_http_server]", "file=%(here)s/s", "[rpcinterface:supervisor]"]
        lines += ["supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface"]
        for each in range(programs):
            lines += [f"[program:p{each}]", "command=sleep 100000"]
        if flaps:
            lines += ["[program:flap]", "command=sleep 0.1", "startsecs=0", "autorestart=true"]
        conf = folder / "supervisord.conf"
        conf.write_text("\n".join(lines) + "\n")
        return conf


# ---------------------------------------------------------------- what is measured


def questions(bench: Bench, figures: Figures, span_s: float) -> None:
    """getAllProcessInfo, by one client and by many, at rest and while something happens."""
    request = call("supervisor.getAllProcessInfo")
    for flaps, what in ((False, ""), (True, ", ten starts a second")):
        with contextlib.ExitStack() as stack:
            daemons = {
                it: stack.enter_context(bench.started(it, PROGRAMS, flaps=flaps))
                for it in bench.columns
            }
            for column, daemon in daemons.items():
                for clients in (1,) if flaps else (1, 16):
                    took = sorted(asked(daemon, request, clients, span_s))
                    who = "one client" if clients == 1 else f"{clients} clients"
                    figures.add(f"{who}{what}: answers/s", column, len(took) / span_s)
                    figures.add(f"{who}{what}: median, ms", column, statistics.median(took))
                    figures.add(f"{who}{what}: 99 %, ms", column, took[len(took) * 99 // 100])


def orders(bench: Bench, figures: Figures, span_s: float) -> None:
    """A signal to a program, again and again; and what that leaves in the daemon, which has been
    asked once before, and is alone before and after."""
    request = call("supervisor.signalProcess", "p1", "CONT")
    for column in bench.columns:
        with bench.started(column, ORDERED, idle_s=0.1) as daemon:
            asked(daemon, request, 8, WARM_S)
            before = daemon.memory_kb(ORDERED)
            took = asked(daemon, request, 8, span_s)
            after = daemon.memory_kb(ORDERED)
            figures.add("orders", column, len(took))
            figures.add("median, ms", column, statistics.median(took))
            figures.add("PSS before them, kB", column, before["Pss"])
            figures.add("PSS after them, kB", column, after["Pss"])
            grown = after["Pss_Anon"] - before["Pss_Anon"]
            figures.add("more of its own (Pss_Anon), kB", column, grown)


def cold(bench: Bench, figures: Figures, times: int) -> None:
    """The first answer when there is no helper, from before the connection is made."""
    request = call("supervisor.getAllProcessInfo")
    for column in bench.launchers:
        for programs in (3, PROGRAMS):
            with bench.started(column, programs, idle_s=0.1) as daemon:
                for _ in range(times):
                    daemon.wait_for_children(programs)
                    begun = time.perf_counter()
                    with daemon.connected() as sock:
                        if bench.is_first:
                            daemon.put_helper_first(programs)
                        Client(sock, request).ask()
                        took = time.perf_counter() - begun
                    figures.add(f"first answer, {programs} programs, ms", column, took * 1e3)


def health(bench: Bench, figures: Figures, times: int) -> None:
    """A whole run of a client, while there is a helper; supervisorctl's nearest is `pid`."""
    for column in bench.columns:
        with bench.started(column, 3) as daemon:
            if column == SUPERVISORD:
                url = f"unix://{daemon.path}"
                command, env = [f"{bench.supervisorctl}", "-s", url, "pid"], dict(os.environ)
            else:
                command = [*bench.launchers[column], "health"]
                env = {**os.environ, "INITPY_SOCKET": str(daemon.path)}
            for _ in range(times):
                begun = time.perf_counter()
                subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
                took = time.perf_counter() - begun
                figures.add("`initpy health` (`supervisorctl pid`), ms", column, took * 1e3)


# ---------------------------------------------------------------- what is printed


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the tables on stdout."""
    options = _parser().parse_args(arguments)
    if options.first:
        os.nice(MOST_IMPORTANT)
        put_first("self")
    path = os.pathsep.join([str(options.peers_dir / "bin"), os.environ.get("PATH", "")])
    with tempfile.TemporaryDirectory(prefix="initpy-") as folder:
        launchers = {"initpy": [str(install(REPO, python_of(options.python), Path(folder)))]}
        if BINARY:
            launchers["initpy, static"] = [str(Path(BINARY).resolve())]
        bench = Bench(Path(folder), launchers, shutil.which(SUPERVISORD, path=path))
        bench.is_first = options.first
        asking, ordering, starting = Figures(), Figures(), Figures()
        for turn in range(options.rounds):
            sys.stderr.write(f"bench: round {turn + 1} of {options.rounds}\n")
            if "questions" in options.only:
                questions(bench, asking, options.span_s)
            if "cold" in options.only:
                cold(bench, starting, options.times)
            if "health" in options.only:
                health(bench, starting, options.times)
        if "orders" in options.only:
            orders(bench, ordering, options.orders_s)
        for figures, head in (
            (asking, f"getAllProcessInfo, {PROGRAMS} programs"),
            (ordering, f"signalProcess by 8 clients for {options.orders_s:g} s"),
            (starting, "starts"),
        ):
            if figures.samples:
                sys.stdout.write(figures.table(head, bench.columns))
    return 0


def put_first(pid: str) -> None:
    """Where the kernel groups processes by sessions, each of these has a niceness."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(MOST_IMPORTANT))


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("control", __doc__, ["questions", "orders", "cold", "health"])
    parser.add_argument(
        "--span-s", type=float, default=5.0, help="of each question; default: %(default)s"
    )
    parser.add_argument(
        "--orders-s", type=float, default=60.0, help="of the orders; default: %(default)s"
    )
    parser.add_argument(
        "--times", type=int, default=10, help="of each start in a round; default: %(default)s"
    )
    parser.add_argument(
        "--first", action="store_true", help="before all else that runs on the machine"
    )
    parser.add_argument("--python", help="that runs initpy; default: /usr/bin/python3")
    parser.add_argument("--peers-dir", type=Path, default=REPO / ".venv" / "peers")
    return parser


if __name__ == "__main__":
    sys.exit(main())
