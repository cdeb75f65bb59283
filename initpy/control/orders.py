"""The methods of supervisord's API that change something, with its names, faults and waits.

Whether an order can be carried out, PID 1 alone decides. Who waits sees each move of a process in
its order, and so misses nothing: the first start that fails is the answer.
"""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from abc import ABC, abstractmethod

from initpy.control import faults
from initpy.control.faults import (
    ABNORMAL_TERMINATION,
    BAD_NAME,
    BAD_SIGNAL,
    FAILED,
    NO_FILE,
    NOT_EXECUTABLE,
    SHUTDOWN_STATE,
    SPAWN_ERROR,
    SUCCESS,
    Fault,
)
from initpy.control.http import HttpError
from initpy.control.link import LinkError
from initpy.control.methods import Method
from initpy.control.patience import waiting
from initpy.core.states import IDLE, SIGNALLABLE, State, Wanted
from initpy.core.supervisor import Phase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from initpy.control.link import Link
    from initpy.control.mirror import Mirror
    from initpy.core.door import Process

    Results = list[dict[str, Any]]

_LENIENT = ("signalProcess", "signalProcessGroup", "signalAllProcesses")
"""Those that take numbers for names."""

ACCEPTED = 202
"""HTTP's status for what has been begun, and is not done."""

NOT_KNOWN = (
    "the order was given, but what comes of it is not heard of here any more, as the control "
    "helper is being replaced: ask for the state\n"
)

RUNNING_STATES = (State.STARTING, State.RUNNING, State.BACKOFF)
STOPPED_STATES = (*IDLE, State.UNKNOWN)


class Wait(ABC):
    """What is waited for of one process: fed by the mirror with its moves, in their order."""

    def __init__(self, key: str, name: str) -> None:
        self.key = key
        self.name = name
        """As the client has it."""
        self.is_over = threading.Event()
        self.fault: Fault | None = None
        """Once it is over: None if it has come to what was wanted."""
        self.ended_at: float | None = None
        self._has_begun = False

    def begin(self, process: Process | None) -> None:
        """The order has been taken, and this is what has become of the process by then."""
        self._has_begun = True
        self.look_first(process)

    def see(self, process: Process | None) -> None:
        """It has moved; None: it is no more."""
        if self._has_begun and not self.is_over.is_set():
            self.look(process)

    @abstractmethod
    def look_first(self, process: Process | None) -> None:
        """Whether there is anything to wait for."""

    @abstractmethod
    def look(self, process: Process | None) -> None:
        """Whether it is over."""

    def end(self, fault: Fault | None = None) -> None:
        self.fault = fault
        self.ended_at = time.monotonic()
        self.is_over.set()


class WaitForStart(Wait):
    """Until it is RUNNING (a oneshot: has done its work), or that has failed."""

    def look_first(self, process: Process | None) -> None:
        if process is None:
            self.look(None)

    def look(self, process: Process | None) -> None:
        if process is None or process.state in (State.STOPPING, State.UNKNOWN):
            self.end(Fault(ABNORMAL_TERMINATION, self.name))
        elif process.state == State.RUNNING:
            self.end()
        elif process.state in (State.BACKOFF, State.FATAL):
            self.end(Fault(SPAWN_ERROR, self.name))
        elif process.state == State.EXITED and process.spec.oneshot:
            self.end()
        elif process.state in IDLE and process.wanted == Wanted.DOWN:
            self.end(Fault(ABNORMAL_TERMINATION, self.name))


class WaitForStop(Wait):
    """Until nothing of it runs."""

    def look_first(self, process: Process | None) -> None:
        self.look(process)

    def look(self, process: Process | None) -> None:
        if process is None or process.state in STOPPED_STATES:
            self.end()


class Orders:
    """The methods, each to be called in whichever thread."""

    def __init__(self, mirror: Mirror, link: Link) -> None:
        self._mirror = mirror
        self._link = link

    def methods(self) -> tuple[Method, ...]:
        wait, name, results = ("boolean",), ("string",), ("array",)
        two, truth = ("string", "string"), ("boolean",)
        table: list[tuple[str, tuple[str, ...], int, str, Callable[..., Any]]] = [
            ("startProcess", (*truth, *name, *wait), 1, "Start NAME or GROUP:NAME.", self.start),
            (
                "startProcessGroup",
                (*results, *name, *wait),
                1,
                "Start all processes of a group.",
                self.start_group,
            ),
            ("startAllProcesses", (*results, *wait), 1, "Start all.", self.start_all),
            ("stopProcess", (*truth, *name, *wait), 1, "Stop NAME or GROUP:NAME.", self.stop),
            (
                "stopProcessGroup",
                (*results, *name, *wait),
                1,
                "Stop all processes of a group.",
                self.stop_group,
            ),
            ("stopAllProcesses", (*results, *wait), 1, "Stop all.", self.stop_all),
            ("signalProcess", (*truth, *two), 0, "Send a signal, by name or number.", self.signal),
            (
                "signalProcessGroup",
                (*results, *two),
                0,
                "Send a signal to all processes of a group.",
                self.signal_group,
            ),
            ("signalAllProcesses", (*results, *name), 0, "Signal all.", self.signal_all),
            ("shutdown", truth, 0, "Stop everything and exit.", self.shut_down),
            (
                "restart",
                truth,
                0,
                "Read the configuration and start everything anew; initpy itself runs on.",
                self.restart,
            ),
        ]
        return tuple(
            [
                Method(f"supervisor.{own}", signature, text, call, optional, own in _LENIENT)
                for own, signature, optional, text, call in table
            ]
        )

    # ------------------------------------------------------------ start

    def start(self, name: str, wait: bool = True) -> bool | Results:
        process = self.process(name)
        if process is None:
            return self.start_group(name.partition(":")[0], wait)
        self._begin_start(process, name, wait).finish()
        return True

    def start_group(self, name: str, wait: bool = True) -> Results:
        return self._for_all(self._group(name), _is_not_running, self._begin_start, wait)

    def start_all(self, wait: bool = True) -> Results:
        return self._for_all(self.all_processes(), _is_not_running, self._begin_start, wait)

    def _begin_start(self, process: Process, name: str, wait: bool) -> _Begun:
        if process.state in STOPPED_STATES:
            _check_executable(process)
        return self._begin("start", process, name, WaitForStart if wait else None)

    # ------------------------------------------------------------ stop

    def stop(self, name: str, wait: bool = True) -> bool | Results:
        process = self.process(name)
        if process is None:
            return self.stop_group(name.partition(":")[0], wait)
        self._begin_stop(process, name, wait).finish()
        return True

    def stop_group(self, name: str, wait: bool = True) -> Results:
        return self._for_all(self._group(name), _is_up, self._begin_stop, wait)

    def stop_all(self, wait: bool = True) -> Results:
        return self._for_all(self.all_processes(), _is_up, self._begin_stop, wait)

    def _begin_stop(self, process: Process, name: str, wait: bool) -> _Begun:
        return self._begin("stop", process, name, WaitForStop if wait else None)

    # ------------------------------------------------------------ signals

    def signal(self, name: str, signum: object) -> bool | Results:
        process = self.process(_text(name))
        if process is None:
            return self.signal_group(name.partition(":")[0], signum)
        self._begin_signal(process, name, signum).finish()
        return True

    def signal_group(self, name: str, signum: object) -> Results:
        return self._for_all(self._group(_text(name)), _is_signallable, self._begin_signal, signum)

    def signal_all(self, signum: object) -> Results:
        return self._for_all(self.all_processes(), _is_signallable, self._begin_signal, signum)

    def _begin_signal(self, process: Process, name: str, signum: object) -> _Begun:
        number = _signal_number(signum)
        return self._begin("signal", process, name, None, number)

    # ------------------------------------------------------------ the whole

    def shut_down(self) -> bool:
        return self.ask("shutdown")

    def restart(self) -> bool:
        return self.ask("restart")

    def ask(self, verb: str, *words: str) -> bool:
        """Give an order for which there is nothing to wait but its answer."""
        self.check_phase()
        _raise(self._order(verb, *words), words[0] if words else None)
        return True

    # ------------------------------------------------------------ how

    def _begin(
        self,
        verb: str,
        process: Process,
        name: str,
        wait_type: type[Wait] | None,
        *words: object,
    ) -> _Begun:
        """Give an order that is about one process.

        Raises:
            Fault: it is refused.
        """
        key = process.spec.key
        if wait_type is None:
            _raise(self._order(verb, key, *words), name)
            return _Begun(None, self._mirror)
        wait = wait_type(key, name)
        self._mirror.add_wait(wait)
        try:
            _raise(
                self._order(verb, key, on_success=lambda: self._mirror.begin_wait(wait)),
                name,
            )
        except BaseException:
            self._mirror.remove_wait(wait)
            raise
        return _Begun(wait, self._mirror)

    def _order(self, *words: object, on_success: Callable[[], None] | None = None) -> str:
        try:
            return self._link.order(*words, on_success=on_success)
        except LinkError:
            self.check_phase()
            raise HttpError(503, "initpy has hung up on this helper: ask again") from None

    def _for_all(
        self,
        processes: list[Process],
        concerns: Callable[[Process], bool],
        begin: Callable[..., _Begun],
        argument: object,
    ) -> Results:
        """Have something begun for all that it concerns, in their order, and then finished.

        The results are in supervisord's order: what was clear at once, then what came of the others
        second by second, and within each as the processes are.
        """
        begun: list[tuple[Process, _Begun | Fault]] = []
        for process in processes:
            if not concerns(process):
                continue
            spec = process.spec
            name = spec.name if spec.name == spec.group else f"{spec.group}:{spec.name}"
            try:
                begun.append((process, begin(process, name, argument)))
            except Fault as exc:
                begun.append((process, exc))
        try:
            results = [(_result(process, it), _rank(process, it)) for process, it in begun]
        finally:
            for _, each in begun:
                if isinstance(each, _Begun):
                    each.forget()
        return [result for result, _ in sorted(results, key=lambda it: it[1])]

    def check_phase(self) -> None:
        """Raises:
        Fault: everything is being stopped.
        """
        if self._mirror.phase > Phase.UP:
            raise Fault(SHUTDOWN_STATE)

    def process(self, name: str) -> Process | None:
        """The process of this name; None: it is a group's, as `GROUP:*`.

        Raises:
            Fault: there is neither.
        """
        self.check_phase()
        group, colon, own = name.partition(":")
        if colon and own in ("", "*"):
            if not self._members(group):
                raise Fault(BAD_NAME, name)
            return None
        for process in self._members(group):
            if process.spec.name == (own if colon else group):
                return process
        raise Fault(BAD_NAME, name)

    def _group(self, name: str) -> list[Process]:
        self.check_phase()
        members = self._members(name)
        if not members:
            raise Fault(BAD_NAME, name)
        return members

    def _members(self, name: str) -> list[Process]:
        return _by_priority(it for it in self._processes() if it.spec.group == name)

    def all_processes(self) -> list[Process]:
        self.check_phase()
        return _by_priority(self._processes())

    def _processes(self) -> list[Process]:
        with self._mirror.changed:
            return list(self._mirror.processes.values())


class _Begun:
    """An order that PID 1 has taken."""

    def __init__(self, wait: Wait | None, mirror: Mirror) -> None:
        self._wait = wait
        self._mirror = mirror
        self._begun_at = time.monotonic()

    @property
    def is_quick_start(self) -> bool:
        """It was a start, and has succeeded."""
        return isinstance(self._wait, WaitForStart) and self._wait.fault is None

    @property
    def whole_seconds(self) -> int:
        """How long it took, once it is finished; -1: it was clear at once."""
        if self._wait is None or self._wait.ended_at is None:
            return -1
        return int(self._wait.ended_at - self._begun_at)

    def finish(self) -> None:
        """Wait for what was to be waited for.

        Raises:
            Fault: it has failed.
            HttpError: the client has gone, or the helper is to leave: what has become of it is not
                known here.
        """
        wait = self._wait
        if wait is None:
            return
        try:
            with waiting(wait.is_over.set, hurries=False) as patience:
                if not patience.has_ended:
                    wait.is_over.wait()
        finally:
            self.forget()
        if wait.ended_at is None:
            raise HttpError(ACCEPTED, NOT_KNOWN)
        if wait.fault is not None:
            raise wait.fault

    def forget(self) -> None:
        """Nobody waits for it any more."""
        if self._wait is not None:
            self._mirror.remove_wait(self._wait)


def _rank(process: Process, begun: _Begun | Fault) -> int:
    """By which results are sorted. A start without startsecs is a success at once, for whoever
    does not look closely."""
    if isinstance(begun, Fault):
        return -1
    return -1 if begun.is_quick_start and not process.spec.startsecs else begun.whole_seconds


def _result(process: Process, begun: _Begun | Fault) -> dict[str, Any]:
    status, text = SUCCESS, "OK"
    try:
        if isinstance(begun, Fault):
            raise begun
        begun.finish()
    except Fault as exc:
        status, text = exc.code, exc.text
    spec = process.spec
    return {"name": spec.name, "group": spec.group, "status": status, "description": text}


def _by_priority(processes: Iterable[Process]) -> list[Process]:
    """In the order in which supervisord goes through them."""
    return sorted(
        processes,
        key=lambda it: (it.spec.group_priority, it.spec.group, it.spec.priority),
    )


def _is_up(process: Process) -> bool:
    """It runs, or will by itself."""
    comes_up = process.state in IDLE and process.wanted == Wanted.UP
    return process.state in RUNNING_STATES or comes_up


def _is_not_running(process: Process) -> bool:
    return process.state not in RUNNING_STATES


def _is_signallable(process: Process) -> bool:
    return process.state in SIGNALLABLE


def _raise(fault: str, about: str | None) -> None:
    """Raise what PID 1 has answered, if it is a fault."""
    if not fault:
        return
    name, _, more = fault.partition(": ")
    code = faults.CODES.get(name, FAILED)
    if code == SHUTDOWN_STATE:
        raise Fault(code)
    if code == FAILED:
        raise Fault(FAILED, f"{about} is in an unknown process state")
    raise Fault(code, more or about)


def _text(name: object) -> str:
    if not isinstance(name, str):
        raise Fault(faults.INCORRECT_PARAMETERS)
    return name


def _signal_number(value: object) -> int:
    """15 for TERM, SIGTERM, "15" or 15."""
    text = str(value).strip()
    number: int | None = None
    if text.isascii() and text.isdigit() and len(text) < 4:
        number = int(text)
    elif text.isascii() and text.replace("+", "").isalnum():
        name = text.upper().removeprefix("SIG")
        found = getattr(signal, f"SIG{name}", None)
        number = int(found) if isinstance(found, signal.Signals) else None
    if number is None or number not in signal.valid_signals():
        raise Fault(BAD_SIGNAL, str(value))
    return number


def _check_executable(process: Process) -> None:
    """A start that cannot succeed changes nothing, as with supervisord."""
    spec = process.spec
    found, mode = spec.argv[0], None
    for path in spec.paths:
        where = os.path.join(spec.directory, path) if spec.directory else path
        try:
            mode = os.stat(where).st_mode
        except OSError:
            continue
        found = path
        if not stat.S_ISDIR(mode) and mode & 0o111:
            break
    name = repr(found.decode(errors="replace"))
    if mode is None:
        raise Fault(NO_FILE, f"can't find command {name}")
    if stat.S_ISDIR(mode):
        raise Fault(NOT_EXECUTABLE, f"command at {name} is a directory")
    if not mode & 0o111:
        raise Fault(NOT_EXECUTABLE, f"command at {name} is not executable")
