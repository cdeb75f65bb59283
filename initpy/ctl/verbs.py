"""What each `initpy VERB` does; the arguments are in `arguments`."""

from __future__ import annotations

import os
import sys
import time

from initpy.control.faults import NOT_RUNNING
from initpy.ctl import console, exits
from initpy.ctl.actions import ALL, STOPPED_STATES, Actions, join_name
from initpy.ctl.calls import Fault, RefusedError, UnreachableError
from initpy.ctl.finding import NotFoundError, found
from initpy.ctl.following import NOT_FOUND, Foreground, Logs, follow
from initpy.ctl.selecting import matching, without_patterns
from initpy.ctl.table import Look, clock, cut, lines
from initpy.ctl.trees import Trees, Usage, usages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence
    from typing import Any

    from initpy.ctl.calls import Server

    _Verb = Callable[[Server, Namespace], int]

_NOBODY = {"status": exits.STATUS_UNKNOWN, "health": exits.FAILED}
"""Exit codes when nobody answers, where they are others than elsewhere."""

OWN_PATH = "/mainlogtail"

HOME_AND_CLEAR = "\x1b[H\x1b[J"


def run(options: Namespace) -> int:
    """Do what the arguments ask for; returns the exit code."""

    def command() -> int:
        if options.verb == "completion":
            from initpy.ctl import completion  # noqa: PLC0415

            return completion.main(options.shell)
        try:
            return _VERBS[options.verb](_server(options), options)
        except (UnreachableError, NotFoundError) as exc:
            console.complain(str(exc))
            return _NOBODY.get(options.verb, exits.NOT_RUNNING)

    return console.run(command)


def _server(options: Namespace) -> Server:
    try:
        return found(options.socket or "", options.user or "", options.password or "")
    except ValueError as exc:
        console.complain(f"-s: {exc}")
        sys.exit(exits.MISUSED)


# ---------------------------------------------------------------- looking


def _status(server: Server, options: Namespace) -> int:
    return _Status(server, options).run()


class _Status:
    def __init__(self, server: Server, options: Namespace) -> None:
        self._server = server
        self._options = options
        self._code = exits.OK
        self._sees_processes: bool | None = None
        """The pids that the server speaks of are those that we see."""

    def run(self) -> int:
        options = self._options
        if options.names_only:
            for info in self._infos():
                console.say(join_name(info["group"], info["name"]))
            return exits.OK
        if options.watch is None:
            self._show(self._look(), None)
            return self._code
        before: Look | None = None
        while True:
            look = self._look()
            self._show(look, before, clears=not options.json)
            before = look
            time.sleep(options.watch)

    def _infos(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._server.call("initpy.getStatus")
        return found

    def _look(self) -> Look:
        self._code = exits.OK
        infos = self._infos()
        shown = []
        for name in self._options.names or [ALL]:
            them = matching(infos, name)
            if not them and name != ALL:
                console.complain(f"there is no program, group or process {name}")
                self._code = exits.STATUS_UNKNOWN
            shown += [info for info in them if info not in shown]
        if any(info["state"] in STOPPED_STATES for info in shown):
            self._code = exits.STATUS_STOPPED
        trees: Trees | None = None
        seen: dict[int, Usage] = {}
        if self._can_see_processes():
            trees, seen = usages(info["pid"] for info in shown if info["pid"])
        return Look(tuple(shown), seen, trees.taken_at if trees is not None else 0.0)

    def _can_see_processes(self) -> bool:
        """Whether it is in our PID namespace: then the kernel has the same pid for it."""
        if self._sees_processes is None:
            self._sees_processes = bool(
                self._server.path
                and self._server.peer()[0] == self._server.call("supervisor.getPID")
            )
        return self._sees_processes

    def _show(self, look: Look, before: Look | None, *, clears: bool = False) -> None:
        if self._options.json:
            console.say(_json([_as_json(info, look) for info in look.infos]))
            return
        found = lines(look, before, colours=_has_colours())
        if clears and sys.stdout.isatty():
            size = os.get_terminal_size(sys.stdout.fileno())
            found = [cut(line, size.columns) for line in found[: size.lines - 1]]
            sys.stdout.write(HOME_AND_CLEAR)
        elif clears and before is not None:
            console.say("")
        console.say("\n".join(found))


def _as_json(info: dict[str, Any], look: Look) -> dict[str, Any]:
    usage = look.usages.get(info["pid"])
    return {
        **info,
        "cpu_seconds": None if usage is None else round(usage.cpu_s, 2),
        "memory_bytes": None if usage is None else usage.memory_bytes,
        "processes": None if usage is None else usage.count,
    }


def _json(value: object) -> str:
    import json  # noqa: PLC0415 - few ask for it

    return json.dumps(value, ensure_ascii=False)


def _has_colours() -> bool:
    """Only for eyes: see https://no-color.org."""
    return (
        sys.stdout.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") != "dumb"
    )


def _health(server: Server, options: Namespace) -> int:
    why = server.call("initpy.health", options.names)
    if why:
        console.say(why)
    return exits.FAILED if why else exits.OK


def _pid(server: Server, options: Namespace) -> int:
    actions = Actions(server, console.say)
    actions.show_pids(options.names)
    return actions.code


def _version(server: Server, _options: Namespace) -> int:
    console.say(f"initpy {server.call('initpy.getVersion')}")
    return exits.OK


# ---------------------------------------------------------------- orders


def _order(carry_out: Callable[[Actions, Sequence[str], Namespace], None]) -> _Verb:
    """A verb that takes names; patterns in them are looked up first."""

    def verb(server: Server, options: Namespace) -> int:
        names: list[str] = options.names
        lost: list[str] = []
        if any("*" in name or "?" in name or "[" in name for name in names):
            infos = server.call("supervisor.getAllProcessInfo")
            names, lost = without_patterns(infos, names)
        actions = Actions(server, console.say)
        if names:
            carry_out(actions, names, options)
        for name in lost:
            console.complain(f"no process matches {name}")
        return actions.code or (exits.FAILED if lost else exits.OK)

    return verb


def _start(actions: Actions, names: Sequence[str], _options: Namespace) -> None:
    actions.start(names)


def _stop(actions: Actions, names: Sequence[str], _options: Namespace) -> None:
    actions.stop(names)


def _signal(actions: Actions, names: Sequence[str], options: Namespace) -> None:
    actions.signal(options.signal, names)


def _clear(actions: Actions, names: Sequence[str], _options: Namespace) -> None:
    actions.clear(names)


def _restart(actions: Actions, names: Sequence[str], options: Namespace) -> None:
    if not options.rolling:
        actions.stop(names)
        actions.start(names)
        return
    infos = actions.call("getAllProcessInfo")
    specs: dict[str, None] = {}
    for name in names:
        them = [join_name(it["group"], it["name"]) for it in matching(infos, name)]
        if not them:
            actions.start([name])  # which says what is wrong with it
            return
        specs |= dict.fromkeys(them)
    _roll(actions, [*specs])


def _roll(actions: Actions, processes: list[str]) -> None:
    """One after the other; after one that does not come up again, no other is touched."""
    for at, process in enumerate(processes):
        try:
            actions.call("stopProcess", process)
        except Fault as exc:
            if exc.code != NOT_RUNNING:
                raise
        actions.start([process])
        if actions.code != exits.OK:
            for other in processes[at + 1 :]:
                actions.say(f"{other}: not restarted")
            return


def _reread(server: Server, _options: Namespace) -> int:
    actions = Actions(server, console.say)
    actions.reread()
    return actions.code


def _update(server: Server, options: Namespace) -> int:
    actions = Actions(server, console.say)
    actions.update(options.names)
    return actions.code


def _reload(server: Server, _options: Namespace) -> int:
    """Not by groups, as `update` does it: [control], [init] and the rest are part of it."""
    try:
        server.call("initpy.reload")
    except Fault as exc:
        console.complain(f"nothing is reloaded: {exc.text}")
        return exits.FAILED
    console.say("reloaded")
    return exits.OK


def _add(server: Server, options: Namespace) -> int:
    actions = Actions(server, console.say)
    actions.add(options.names)
    return actions.code


def _remove(server: Server, options: Namespace) -> int:
    actions = Actions(server, console.say)
    actions.remove(options.names)
    return actions.code


def _shutdown(server: Server, _options: Namespace) -> int:
    server.call("supervisor.shutdown")
    console.say("shutting down")
    return exits.OK


# ---------------------------------------------------------------- output


def _tail(server: Server, options: Namespace) -> int:
    own = options.name is None
    if options.follow:
        path = OWN_PATH if own else f"/logtail/{options.name}/{options.channel}"
        try:
            follow(server, path)
        except RefusedError as exc:
            if exc.status != NOT_FOUND:
                raise
            what = "initpy" if own else f"{options.name} ({options.channel})"
            console.complain(f"there is no log of {what} to follow")
            return exits.FAILED
        return exits.OK
    actions = Actions(server, console.say)
    if own:
        actions.show_main_log(options.bytes)
    else:
        actions.show_log(options.name, options.channel, options.bytes)
    return actions.code


def _logs(server: Server, options: Namespace) -> int:
    infos = server.call("supervisor.getAllProcessInfo")
    shown, code = [], exits.OK
    for name in options.names or [ALL]:
        them = matching(infos, name)
        if not them and name != ALL:
            console.complain(f"there is no program, group or process {name}")
            code = exits.FAILED
        shown += [info for info in them if info not in shown]
    names = [join_name(info["group"], info["name"]) for info in shown]
    logs = Logs(server, names, options.lines)
    return (logs.follow() if options.follow else logs.show()) or code


def _fg(server: Server, options: Namespace) -> int:
    return Foreground(server, console.say).run(options.name)


def _events(server: Server, options: Namespace) -> int:
    """What happens from now on, until Ctrl-C."""
    serial = -1
    while True:
        answer = server.call("initpy.waitForEvents", serial, WAIT_S)
        serial = answer["serial"]
        if answer["lost"]:
            console.complain(f"{answer['lost']} events came too quickly to be shown")
        for event in answer["events"]:
            if options.json:
                console.say(_json(event))
                continue
            name = join_name(event["group"], event["name"])
            about = f"  ({event['why']})" if event["why"] else ""
            pid = f"  pid {event['pid']}" if event["pid"] else ""
            at = clock(event["at"])
            console.say(f"{at}  {name}  {event['from']} -> {event['to']}{pid}{about}")


WAIT_S = 20
"""How long one call waits for events; the server allows no longer."""


_VERBS: dict[str, _Verb] = {
    "status": _status,
    "health": _health,
    "pid": _pid,
    "version": _version,
    "start": _order(_start),
    "stop": _order(_stop),
    "restart": _order(_restart),
    "signal": _order(_signal),
    "clear": _order(_clear),
    "reread": _reread,
    "update": _update,
    "reload": _reload,
    "add": _add,
    "remove": _remove,
    "shutdown": _shutdown,
    "tail": _tail,
    "logs": _logs,
    "fg": _fg,
    "events": _events,
}
