"""What goes on until somebody has seen enough: output as it comes, and a program in front."""

from __future__ import annotations

import os
import sys
import threading

from initpy.control.faults import BAD_NAME, FAILED, NO_FILE, NOT_RUNNING
from initpy.core.states import State
from initpy.ctl import exits
from initpy.ctl.calls import CallError, Fault, RefusedError, Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


STDOUT = 1

_CHANNELS = ("stdout", "stderr")

READ_BYTES = 64 * 1024
"""Where the last lines are looked for."""

FIRST_BYTES = 1024
"""Of what is there already, a stream begins with so much."""

NOT_FOUND = 404

NOT_KEPT = (
    "nothing is kept of it: the output goes to the container's own, where `docker logs` has it; "
    'with log = "prefix" in the file, the last of it is kept here, too'
)


def follow(server: Server, path: str) -> None:
    """Write what a stream has, as it is, to stdout, until it ends."""
    sys.stdout.flush()
    for piece in server.stream(path):
        _write(piece)


def _write(raw: bytes) -> None:
    """To stdout, past Python's buffer: a thread that writes there when Python exits, with the rest
    of us, would make it abort."""
    while raw:
        raw = raw[os.write(STDOUT, raw) :]


class Foreground:
    """A process whose output is shown, and to which goes what is typed."""

    def __init__(self, server: Server, say: Callable[[str], None]) -> None:
        self._server = server
        self._say = say

    def run(self, name: str) -> int:
        """Until it ends, or Ctrl-C, or the end of what is typed. Returns the exit code."""
        try:
            info = self._server.call("supervisor.getProcessInfo", name)
        except Fault as exc:
            what = "bad process name supplied" if exc.code == BAD_NAME else exc.text
            self._say(f"ERROR: {what}")
            return exits.FAILED
        if info["state"] != State.RUNNING:
            self._say("ERROR: process not running")
            return exits.FAILED
        self._say("==> Press Ctrl-C to exit <==")
        for channel in ("stdout", "stderr"):
            self._show(f"/logtail/{name}/{channel}")
        try:
            self._pass_on(name)
        except (KeyboardInterrupt, EOFError):
            self._say("Exiting foreground")
        return exits.OK

    def _show(self, path: str) -> None:
        def show() -> None:
            try:
                follow(self._server, path)
            except (CallError, ValueError, OSError):  # it has ended; or we have
                return

        threading.Thread(target=show, daemon=True).start()

    def _pass_on(self, name: str) -> None:
        while True:
            line = input() + "\n"
            try:
                self._server.call("supervisor.sendProcessStdin", name, line)
                state = self._server.call("supervisor.getProcessInfo", name)["state"]
                why = "" if state == State.RUNNING else "Process got killed"
            except Fault as exc:
                why = "Process got killed" if exc.code == NOT_RUNNING else f"ERROR: {exc.text}"
            if why:
                self._say(why)
                self._say("Exiting foreground")
                return


class Logs:
    """What several processes have written, and go on to write, line by line."""

    def __init__(self, server: Server, names: list[str], lines: int) -> None:
        """`lines`: how many of each are shown."""
        self._server = server
        self._names = names
        self._lines = max(lines, 0)
        self._width = max(map(len, names), default=0) if len(names) > 1 else 0
        self._lock = threading.Lock()
        self._has_any = False

    def show(self) -> int:
        """What is there; returns the exit code."""
        for name in self._names:
            for channel in _CHANNELS:
                for line in self._last(name, channel):
                    self._write(name, line)
        return self._end()

    def follow(self) -> int:
        """The end of what is there, and what comes, until all of it has ended."""
        threads = [
            threading.Thread(target=self._go_on, args=(name, channel), daemon=True)
            for name in self._names
            for channel in _CHANNELS
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self._end()

    def _end(self) -> int:
        if self._has_any or not self._names:
            return exits.OK
        sys.stderr.write(f"initpy: {NOT_KEPT}\n")
        return exits.FAILED

    def _last(self, name: str, channel: str) -> list[bytes]:
        method = f"supervisor.readProcess{channel.title()}Log"
        try:
            text = self._server.call(method, name, -READ_BYTES, 0)
        except Fault as exc:
            if exc.code not in (NO_FILE, FAILED):
                raise
            return []
        self._has_any = True
        lines: list[bytes] = text.encode("utf-8", "surrogateescape").splitlines()
        return lines[len(lines) - min(self._lines, len(lines)) :]

    def _go_on(self, name: str, channel: str) -> None:
        held = b""
        is_first = True
        try:
            for piece in self._server.stream(f"/logtail/{name}/{channel}"):
                self._has_any = True
                *whole, held = (held + piece).split(b"\n")
                if is_first and len(piece) >= FIRST_BYTES:  # it begins within a line
                    del whole[:1]
                is_first = False
                for line in whole:
                    self._write(name, line)
        except RefusedError as exc:
            if exc.status != NOT_FOUND:
                self._write(name, f"({exc})".encode())
        except CallError as exc:
            self._write(name, f"({exc})".encode())
        except OSError:  # nobody reads any more: `initpy logs -f | head`
            os._exit(exits.OK)

    def _write(self, name: str, line: bytes) -> None:
        before = f"{name:<{self._width}} | ".encode() if self._width else b""
        with self._lock:
            _write(before + line + b"\n")
