"""The methods of supervisord's API about the configuration: what it says, and taking it over by
groups."""

from __future__ import annotations

import shlex

from initpy.control.methods import Method
from initpy.logplan import FILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from initpy.control.mirror import Mirror
    from initpy.control.orders import Orders
    from initpy.logplan import ChannelPlan
    from initpy.plan import ProcessSpec

NONE = "none"
"""supervisord's word where XML-RPC has no value for it."""

MAX_BYTES, BACKUPS = 50 * 1024 * 1024, 10
"""supervisord's defaults, told where there is no file."""


class Configs:
    """The methods, each to be called in whichever thread."""

    def __init__(self, mirror: Mirror, orders: Orders) -> None:
        self._mirror = mirror
        self._orders = orders

    def methods(self) -> tuple[Method, ...]:
        return (
            Method(
                "supervisor.reloadConfig",
                ("array",),
                "Read the configuration, and say what groups are added, changed and removed in it.",
                self.reread,
            ),
            Method(
                "supervisor.addProcessGroup",
                ("boolean", "string"),
                "Run the programs of a group, as the configuration that was read last has them.",
                lambda name: self._orders.ask("add", name),
            ),
            Method(
                "supervisor.removeProcessGroup",
                ("boolean", "string"),
                "Have no such group any more; all of it has to be stopped.",
                lambda name: self._orders.ask("remove", name),
            ),
            Method(
                "supervisor.getAllConfigInfo",
                ("array",),
                "What the configuration that was read last says of each process.",
                self.all_configs,
            ),
        )

    def reread(self) -> list[list[list[str]]]:
        self._orders.ask("reread")
        running, read = self._by_group()
        added = [name for name in read if name not in running]
        changed = [name for name in read if name in running and read[name] != running[name]]
        removed = [name for name in running if name not in read]
        return [[added, changed, removed]]

    def all_configs(self) -> list[dict[str, Any]]:
        self._orders.check_phase()
        running, read = self._by_group()
        found = [
            _config_of(spec, in_use=group in running)
            for group, specs in read.items()
            for spec in specs
        ]
        return sorted(found, key=lambda it: it["name"])

    def _by_group(self) -> tuple[dict[str, list[ProcessSpec]], dict[str, list[ProcessSpec]]]:
        """What runs, and what was read last."""
        with self._mirror.changed:
            specs = [process.spec for process in self._mirror.processes.values()]
            spare = self._mirror.spare
        return _grouped(specs), _grouped(specs if spare is None else spare.processes)


def _grouped(specs: Iterable[ProcessSpec]) -> dict[str, list[ProcessSpec]]:
    """In supervisord's order, of the groups and in each."""
    found: dict[str, list[ProcessSpec]] = {}
    for spec in sorted(specs, key=lambda it: (it.group_priority, it.group)):
        found.setdefault(spec.group, []).append(spec)
    return {group: sorted(them, key=lambda it: it.key) for group, them in found.items()}


def _config_of(spec: ProcessSpec, *, in_use: bool) -> dict[str, Any]:
    signum, wait_s = spec.stopsteps[0]
    text = {"errors": "replace"}
    url = dict(spec.environment).get(b"SUPERVISOR_SERVER_URL", NONE.encode())
    return {
        "autostart": spec.autostart,
        "directory": spec.directory.decode(**text) or NONE,
        "uid": spec.uid if spec.uid != -1 else NONE,
        "command": shlex.join([word.decode(**text) for word in spec.argv]),
        "exitcodes": list(spec.exitcodes),
        "group": spec.group,
        "group_prio": spec.group_priority,
        "inuse": in_use,
        "killasgroup": spec.killasgroup,
        "name": spec.name,
        "process_prio": spec.priority,
        "redirect_stderr": spec.redirect_stderr,
        "startretries": spec.startretries,
        "startsecs": _number(spec.startsecs),
        **_channel("stdout", spec.stdout),
        "stopsignal": signum,
        "stopwaitsecs": _number(wait_s),
        **_channel("stderr", None if spec.redirect_stderr else spec.stderr),
        "serverurl": url.decode(**text),
    }


def _channel(name: str, plan: ChannelPlan | None) -> dict[str, Any]:
    file, max_bytes, backups = NONE, MAX_BYTES, BACKUPS
    for sink in plan.sinks if plan is not None else ():
        if sink.kind == FILE:
            file = sink.target.decode("utf-8", "replace")
            max_bytes, backups = sink.max_bytes, sink.backups
            break
    return {
        f"{name}_capture_maxbytes": 0 if plan is None else plan.capture_bytes,
        f"{name}_events_enabled": plan is not None and plan.tells_all,
        f"{name}_logfile": file,
        f"{name}_logfile_backups": backups,
        f"{name}_logfile_maxbytes": max_bytes,
        f"{name}_syslog": False,
    }


def _number(seconds: float) -> int | float:
    """As supervisord has it, where it is whole."""
    return int(seconds) if seconds == int(seconds) else seconds
