"""What supervisorctl's actions do, and say: its words, its order of calls, its exit codes.

`initpy start` and its kind are the same, so that scripts can be moved from one to the other.
"""

from __future__ import annotations

import time

from initpy.control.faults import (
    ABNORMAL_TERMINATION,
    ALREADY_ADDED,
    ALREADY_STARTED,
    BAD_NAME,
    BAD_SIGNAL,
    CANT_REREAD,
    FAILED,
    NO_FILE,
    NOT_EXECUTABLE,
    NOT_RUNNING,
    SHUTDOWN_STATE,
    SPAWN_ERROR,
    STILL_RUNNING,
    SUCCESS,
)
from initpy.core.states import State
from initpy.ctl import exits
from initpy.ctl.calls import AcceptedError, Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from initpy.ctl.calls import Server

ALL = "all"

STOPPED_STATES = (State.STOPPED, State.EXITED, State.FATAL, State.UNKNOWN)

_DEAD = (SPAWN_ERROR, ABNORMAL_TERMINATION, NOT_RUNNING)

_STARTING = {
    BAD_NAME: "no such process",
    NO_FILE: "no such file",
    NOT_EXECUTABLE: "file is not executable",
    ALREADY_STARTED: "already started",
    SPAWN_ERROR: "spawn error",
    ABNORMAL_TERMINATION: "abnormal termination",
}
_SIGNALLING = {
    BAD_NAME: "no such process",
    BAD_SIGNAL: "bad signal name",
    NOT_RUNNING: "not running",
}
_CLEARING = {BAD_NAME: "no such process", FAILED: "failed"}
_READING = {
    NO_FILE: "no log file",
    FAILED: "unknown error reading log",
    BAD_NAME: "no such process name",
}

SHOWN_BYTES = 1600
"""Of a log, if nothing is said."""

MIN_NAME_WIDTH = 30

LOOK_S = 0.2
"""How often is looked what comes of an order, where nobody tells."""


def split_name(namespec: str) -> tuple[str, str | None]:
    """The group and the process that GROUP:NAME or NAME stands for; no process: all of them."""
    group, colon, name = namespec.partition(":")
    if not colon:
        return namespec, namespec
    return group, None if name in ("", "*") else name


def join_name(group: str, name: str | None) -> str:
    """The other way."""
    return group if name in (None, group) else f"{group}:{name}"


class Actions:
    """Each does what it is asked, says what came of it, and leaves its mark in `code`."""

    def __init__(self, server: Server, say: Callable[[str], None]) -> None:
        self.server = server
        self.say = say
        self.code = exits.OK

    def call(self, method: str, *parameters: Any) -> Any:
        return self.server.call(f"supervisor.{method}", *parameters)

    # Starting, stopping, signalling.

    def start(self, names: Sequence[str]) -> None:
        if ALL in names:
            self._results(self.call("startAllProcesses"), _STARTING, "started", ALREADY_STARTED)
            return
        for name in names:
            self._one_or_group(name, "start", (), _STARTING, "started", ALREADY_STARTED)

    def stop(self, names: Sequence[str]) -> None:
        if ALL in names:
            self._results(self.call("stopAllProcesses"), _SIGNALLING, "stopped", NOT_RUNNING)
            return
        for name in names:
            self._one_or_group(name, "stop", (), _SIGNALLING, "stopped", NOT_RUNNING)

    def signal(self, signal: str, names: Sequence[str]) -> None:
        if ALL in names:
            results = self.call("signalAllProcesses", signal)
            self._results(results, _SIGNALLING, "signalled", SUCCESS)
            return
        for name in names:
            self._one_or_group(name, "signal", (signal,), _SIGNALLING, "signalled", SUCCESS)

    def clear(self, names: Sequence[str]) -> None:
        if ALL in names:
            self._results(self.call("clearAllProcessLogs"), _CLEARING, "cleared", SUCCESS)
            return
        for namespec in names:
            group, name = split_name(namespec)
            self._one(group, name, "clearProcessLogs", (namespec,), _CLEARING, "cleared", SUCCESS)

    def _one_or_group(
        self,
        namespec: str,
        verb: str,
        parameters: tuple[str, ...],
        errors: dict[int, str],
        done: str,
        fine: int,
    ) -> None:
        group, name = split_name(namespec)
        if name is not None:
            given = (namespec, *parameters)
            self._one(group, name, f"{verb}Process", given, errors, done, fine)
            return
        try:
            results = self.call(f"{verb}ProcessGroup", group, *parameters)
        except Fault as exc:
            if exc.code != BAD_NAME:
                self.code = exits.FAILED
                raise
            self.say(f"{group}: ERROR (no such group)")
            self.code = exits.MISUSED if verb == "start" else exits.FAILED
        else:
            self._results(results, errors, done, fine)

    def _one(
        self,
        group: str,
        name: str | None,
        method: str,
        parameters: tuple[str, ...],
        errors: dict[int, str],
        done: str,
        fine: int,
    ) -> None:
        """A call for one process; a fault is shown as a result of several would be."""
        code, text = SUCCESS, ""
        try:
            try:
                self.call(method, *parameters)
            except AcceptedError:
                if method not in ("startProcess", "stopProcess"):
                    raise
                code = self._outcome(parameters[0], is_start=method == "startProcess")
        except Fault as exc:
            code, text = exc.code, exc.text
        found = {"group": group, "name": name, "status": code, "description": text}
        self._results([found], errors, done, fine)

    def _outcome(self, name: str, *, is_start: bool) -> int:
        """What comes of an order that was given, by looking. (Who waits for it, else, is the
        control helper; it has been replaced meanwhile.)"""
        while True:
            info = self.call("getProcessInfo", name)
            state = info["state"]
            if not is_start and state in STOPPED_STATES:
                return SUCCESS
            if is_start and state in (State.BACKOFF, State.FATAL):
                return SPAWN_ERROR
            if is_start and state not in (State.STARTING, State.RUNNING):
                return ABNORMAL_TERMINATION
            if is_start and state == State.RUNNING:
                return SUCCESS
            time.sleep(LOOK_S)

    def _results(
        self, results: list[dict[str, Any]], errors: dict[int, str], done: str, fine: int
    ) -> None:
        """Say what became of each; `fine` is what is no failure either."""
        for result in results:
            name = join_name(result["group"], result["name"])
            code = result["status"]
            if code == SUCCESS:
                self.say(f"{name}: {done}")
            elif code in errors:
                self.say(f"{name}: ERROR ({errors[code]})")
            elif code == FAILED and errors is _SIGNALLING:
                self.say(result["description"])
            else:
                self.say(f"{name}: ERROR ({result['description']})")
            self._note(code, fine)

    def _note(self, code: int, fine: int) -> None:
        if code in _DEAD and code != fine:
            self.code = exits.NOT_RUNNING
        elif code not in (fine, SUCCESS):
            self.code = exits.FAILED

    # Looking.

    def show_pids(self, names: Sequence[str]) -> None:
        if not names:
            self.say(str(self.call("getPID")))
        elif ALL in names:
            for info in self.call("getAllProcessInfo"):
                self.say(str(info["pid"]))
        else:
            for name in names:
                self._show_pid(name)

    def _show_pid(self, name: str) -> None:
        try:
            pid = self.call("getProcessInfo", name)["pid"]
        except Fault as exc:
            self.code = exits.FAILED
            if exc.code != BAD_NAME:
                raise
            self.say(f"No such process {name}")
            return
        self.say(str(pid))
        if pid == 0:
            self.code = exits.NOT_RUNNING

    def show_version(self) -> None:
        self.say(self.call("getSupervisorVersion"))

    def show_available(self) -> None:
        for info in self.call("getAllConfigInfo"):
            name = join_name(info["group"], info["name"])
            in_use = "in use" if info["inuse"] else "avail"
            start = "auto" if info["autostart"] else "manual"
            priority = f"{info['group_prio']}:{info['process_prio']}"
            self.say(f"{name:<32} {in_use:<9} {start:<9} {priority}")

    def show_log(self, name: str, channel: str, size_bytes: int) -> None:
        """The end of a process's output."""
        method = "readProcessStdoutLog" if channel == "stdout" else "readProcessStderrLog"
        self._show_log(name, method, (name, -size_bytes, 0))

    def show_main_log(self, size_bytes: int) -> None:
        self._show_log("supervisord", "readLog", (-size_bytes, 0))

    def _show_log(self, name: str, method: str, parameters: tuple[Any, ...]) -> None:
        try:
            text = self.call(method, *parameters)
        except Fault as exc:
            self.code = exits.FAILED
            if exc.code not in _READING:
                raise
            self.say(f"{name}: ERROR ({_READING[exc.code]})")
        else:
            self.say(text)

    def show_statuses(self, names: Sequence[str]) -> None:
        """supervisorctl's table."""
        everything = self.call("getAllProcessInfo")
        found = everything if not names or ALL in names else self._matching(everything, names)
        texts = [join_name(info["group"], info["name"]) for info in found]
        width = max([MIN_NAME_WIDTH, *map(len, texts)]) + 3
        for text, info in zip(texts, found, strict=True):
            self.say(f"{text:<{width}}{info['statename']:<10}{info['description']}")
        if any(info["state"] in STOPPED_STATES for info in found):
            self.code = exits.STATUS_STOPPED

    def _matching(
        self, everything: list[dict[str, Any]], names: Sequence[str]
    ) -> list[dict[str, Any]]:
        found = []
        for namespec in names:
            group, name = split_name(namespec)
            matching = [
                info
                for info in everything
                if info["group"] == group and name in (None, info["name"])
            ]
            if not matching and name is None:
                self.say(f"{group}: ERROR (no such group)")
            elif not matching:
                self.say(f"{namespec}: ERROR (no such process)")
            if not matching:
                self.code = exits.STATUS_UNKNOWN
            found += matching
        return found

    # The configuration.

    def reread(self) -> None:
        try:
            added, changed, removed = self.call("reloadConfig")[0]
        except Fault as exc:
            self.code = exits.FAILED
            if exc.code == SHUTDOWN_STATE:
                self.say("ERROR: supervisor shutting down")
            elif exc.code == CANT_REREAD:
                self.say(f"ERROR: {exc.text}")
            else:
                raise
            return
        texts = {
            **dict.fromkeys(added, "available"),
            **dict.fromkeys(changed, "changed"),
            **dict.fromkeys(removed, "disappeared"),
        }
        for name in sorted(texts):
            self.say(f"{name}: {texts[name]}")
        if not texts:
            self.say("No config updates to processes")

    def add(self, names: Sequence[str]) -> None:
        for name in names:
            try:
                self.call("addProcessGroup", name)
            except Fault as exc:
                if exc.code == ALREADY_ADDED:
                    self.say("ERROR: process group already active")
                    continue
                self.code = exits.FAILED
                if exc.code == SHUTDOWN_STATE:
                    self.say("ERROR: shutting down")
                elif exc.code == BAD_NAME:
                    self.say(f"ERROR: no such process/group: {name}")
                else:
                    raise
            else:
                self.say(f"{name}: added process group")

    def remove(self, names: Sequence[str]) -> None:
        for name in names:
            try:
                self.call("removeProcessGroup", name)
            except Fault as exc:
                self.code = exits.FAILED
                if exc.code == STILL_RUNNING:
                    self.say(f"ERROR: process/group still running: {name}")
                elif exc.code == BAD_NAME:
                    self.say(f"ERROR: no such process/group: {name}")
                else:
                    raise
            else:
                self.say(f"{name}: removed process group")

    def update(self, names: Sequence[str]) -> None:
        """Do what has changed in the configuration, for these groups, or for all."""
        try:
            added, changed, removed = self.call("reloadConfig")[0]
        except Fault as exc:
            self.code = exits.FAILED
            if exc.code == SHUTDOWN_STATE:
                self.say("ERROR: already shutting down")
            elif exc.code == CANT_REREAD:
                self.say(f"ERROR: {exc.text}")
            else:
                raise
            return
        wanted = set() if ALL in names else set(names)
        if wanted:
            known = {info["group"] for info in self.call("getAllProcessInfo")} | {*added}
            for name in sorted(wanted - known):
                self.say(f"ERROR: no such group: {name}")
                self.code = exits.FAILED
        for name in removed:
            if not wanted or name in wanted:
                self._remove_group(name)
        for name in changed:
            if not wanted or name in wanted:
                self.call("stopProcessGroup", name)
                self.say(f"{name}: stopped")
                self.call("removeProcessGroup", name)
                self.call("addProcessGroup", name)
                self.say(f"{name}: updated process group")
        for name in added:
            if not wanted or name in wanted:
                self.call("addProcessGroup", name)
                self.say(f"{name}: added process group")

    def _remove_group(self, name: str) -> None:
        results = self.call("stopProcessGroup", name)
        self.say(f"{name}: stopped")
        if any(result["status"] == FAILED for result in results):
            self.say(f"{name}: has problems; not removing")
            self.code = exits.FAILED
            return
        self.call("removeProcessGroup", name)
        self.say(f"{name}: removed process group")
