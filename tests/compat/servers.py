"""supervisord and initpy with the same supervisord.conf, as clients and listeners see them."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import xmlrpc.client
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.compat.peers import PATIENCE_S, UnixConnection, UnixTransport
from tests.support import REPO, Init, descendants, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REAL, OURS = "supervisord", "initpy"


class Seen(NamedTuple):
    """An event, as a listener has had it."""

    serial: int
    """In its pool."""
    name: str
    payload: str
    pid: int
    """The listener's."""

    @property
    def type(self) -> str:
        """Of a remote event."""
        return self.payload.partition("\n")[0].removeprefix("type:")


class Server:
    """A daemon in a folder of its own, and what is seen of it from outside."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = Path(tempfile.mkdtemp(prefix="initpy-"))
        self.conf = self.folder / "supervisord.conf"
        self.taps: dict[str, list[tuple[str, ...]]] = {}
        """By superlance's listeners: the calls that each has made."""
        self.mails: list[str] = []
        """What has come into its mailbox."""
        self._init: Init | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, conf: str) -> None:
        """`conf` has its socket at `%(here)s/s`, and the listener `watch` writes to `watch`."""
        self.conf.write_text(conf)
        if self.name == OURS:
            self._init = Init(self.conf, self.folder, as_pid1=False)
            return
        with (self.folder / "said").open("wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.conf)],
                cwd=REPO,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )

    def end(self) -> None:
        """Leave nothing behind, whatever the test has come to."""
        if self._init is not None:
            self._init.end()
        if self._process is not None:
            for pid in [self._process.pid, *descendants(self._process.pid)]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait(PATIENCE_S)
        shutil.rmtree(self.folder)

    def kill(self, signum: int) -> None:
        """Send the daemon a signal."""
        if self._init is not None:
            self._init.kill(signum)
        if self._process is not None:
            self._process.send_signal(signum)

    def log(self) -> str:
        """What the daemon itself has said."""
        file = self.folder / ("log" if self._init is None else "stderr")
        return file.read_text(errors="replace") if file.exists() else ""

    def wait(self, fact: Callable[[], Any], about: str, within_s: float = PATIENCE_S) -> Any:
        """What `fact` returns as soon as that is true."""
        try:
            return wait_for(fact, within_s=within_s, about=about)
        except AssertionError as exc:
            watched = "\n".join(map(str, self.seen("watch")))
            raise AssertionError(f"{self.name}: {exc}\n{self.log()}\n{watched}") from None

    def wait_for_log(self, pattern: str) -> None:
        self.wait(lambda: re.search(pattern, self.log()), f"the log: {pattern}")

    def text(self, file: str) -> str:
        """What is in one of its files; nothing if there is none."""
        path = self.folder / file
        return path.read_text(errors="replace") if path.exists() else ""

    # ------------------------------------------------------------ clients

    @contextmanager
    def proxy(self) -> Iterator[xmlrpc.client.ServerProxy]:
        transport = UnixTransport(str(self.folder / "s"))
        with xmlrpc.client.ServerProxy("http://localhost", transport) as proxy:
            yield proxy

    @contextmanager
    def rpc(self) -> Iterator[Any]:
        """The methods of supervisor.*"""
        with self.proxy() as proxy:
            yield proxy.supervisor

    def ask(self, method: str, *parameters: object) -> Any:
        """The result of a method of supervisor.*; a fault's code, if that is what comes."""
        with self.rpc() as rpc:
            try:
                return getattr(rpc, method)(*parameters)
            except xmlrpc.client.Fault as exc:
                return f"fault {exc.faultCode}"

    def state(self, process: str) -> str:
        """That of a process."""
        return str(self.ask("getProcessInfo", process)["statename"])

    def wait_for_state(self, process: str, state: str) -> None:
        self.wait(lambda: self.state(process) == state, f"{process} is {state}")

    def is_up(self) -> bool:
        """It answers, and its first programs run."""
        try:
            return self.state("steady") == self.state("watch:watch") == "RUNNING"
        except (OSError, TypeError):
            return False

    # ------------------------------------------------------------ events

    def seen(self, listener: str) -> list[Seen]:
        """What a listener has seen so far."""
        text = self.text(listener)
        lines = text[: text.rfind("\n") + 1].splitlines()  # the last may be half written
        return [Seen(*json.loads(line)) for line in lines]

    def types(self, listener: str, *of: str) -> list[str]:
        """The types of those remote events of these types that it has seen."""
        return [it.type for it in self.seen(listener) if it.type in of]

    def send(self, *types: str) -> None:
        """Remote events."""
        for kind in types:
            assert self.ask("sendRemoteCommEvent", kind, "") is True

    def wait_for_types(self, listener: str, *types: str) -> None:
        """Until it has seen these remote events, in this order, and others of these types maybe."""
        self.wait(lambda: self.types(listener, *types)[-1:] == [types[-1]], f"{listener}: {types}")

    def moves(self, *processes: str) -> list[str]:
        """What these processes have gone through, as `watch` has it: "NAME STATE more:…"."""
        found = []
        for it in self.seen("watch"):
            if it.name.startswith("PROCESS_STATE_"):
                words = dict(word.split(":") for word in it.payload.split())
                if words["processname"] in processes:
                    more = [f"{k}:{words[k]}" for k in ("tries", "expected") if k in words]
                    more += ["pid:0"] if words.get("pid") == "0" else []
                    state = it.name.removeprefix("PROCESS_STATE_")
                    found.append(" ".join([words["processname"], state, *more]))
        return found

    def wait_for_moves(self, count: int, *processes: str) -> list[str]:
        """As soon as there are so many of them: these."""
        self.wait(lambda: len(self.moves(*processes)) >= count, f"{count} moves of {processes}")
        return self.moves(*processes)[:count]


# ---------------------------------------------------------------- between a client and a server


class _Handler(http.server.BaseHTTPRequestHandler):
    """Passes calls on, and writes down which they are."""

    protocol_version = "HTTP/1.1"
    path_of_server: str
    calls: list[tuple[str, ...]]

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        parameters, method = xmlrpc.client.loads(raw)
        assert method is not None
        names = [str(it) for it in parameters if isinstance(it, str)]
        self.calls.append((method.removeprefix("supervisor."), *names))
        connection = UnixConnection(self.path_of_server)
        try:
            connection.request("POST", self.path, raw, {"Content-Type": "text/xml"})
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        self.send_response(answer.status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is said."""


class _TapServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@contextmanager
def tapped(path: Path, server: Path) -> Iterator[list[tuple[str, ...]]]:
    """A socket at `path` that passes on what it gets to that of a server; the calls that came."""

    class Own(_Handler):
        path_of_server = str(server)
        calls: list[tuple[str, ...]] = []  # noqa: RUF012 - each tap has a class of its own

    with _TapServer(str(path), Own) as tap:
        thread = threading.Thread(target=tap.serve_forever, daemon=True)
        thread.start()
        try:
            yield Own.calls
        finally:
            tap.shutdown()
            thread.join()
            os.unlink(path)
