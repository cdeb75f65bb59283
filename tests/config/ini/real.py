"""supervisord's own parser, in a process of its own: what it makes of a file.

Run as a program it answers requests, a line of JSON each: `{"file": …, "environ": …}`. Accounts and
directories that this machine lacks are let pass, for the files in the tests are not written for it.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import shlex
import signal
import sys
from typing import Any

ABSENT = -2
"""The uid of a user that there is not."""


def main() -> None:
    datatypes: Any = importlib.import_module("supervisor.datatypes")
    options: Any = importlib.import_module("supervisor.options")
    known = datatypes.name_to_uid

    def name_to_uid(name: str) -> int:
        try:
            return int(known(name))
        except ValueError:
            return ABSENT if name else int("no user")

    options.name_to_uid = name_to_uid
    for name in ("existing_dirpath", "existing_directory"):
        setattr(datatypes, name, str)
        setattr(options, name, str)
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any]
        try:
            answer = {"groups": _groups(options.ServerOptions, request["file"], request["environ"])}
        except Exception as exc:
            answer = {"error": f"{type(exc).__name__}: {exc}"}
        print(json.dumps(answer), flush=True)  # noqa: T201


def _groups(make: Any, file: str, environ: dict[str, str]) -> list[dict[str, Any]]:
    options = make()
    options.stderr = options.stdout = io.StringIO()
    options.environ_expansions = {f"ENV_{name}": value for name, value in environ.items()}
    options.configfile = file
    options.process_config_file(do_usage=False)
    section = options.configroot.supervisord
    return [
        {
            "name": group.name,
            "priority": group.priority,
            "kind": type(group).__name__,
            "processes": [_process(config) for config in group.process_configs],
            "events": sorted(map(_name_of, getattr(group, "pool_events", ()))),
            "buffer_size": getattr(group, "buffer_size", 0),
        }
        for group in section.process_group_configs
    ]


def _name_of(event: Any) -> str:
    events: Any = importlib.import_module("supervisor.events")
    return str(events.getEventNameByType(event))


def _process(config: Any) -> dict[str, Any]:
    try:
        argv = shlex.split(config.command)
    except ValueError:
        argv = None
    return {
        "name": config.name,
        "argv": argv,
        "directory": config.directory or "",
        "umask": -1 if config.umask is None else config.umask,
        "priority": config.priority,
        "autostart": config.autostart,
        "autorestart": getattr(config.autorestart, "__name__", False),
        "startsecs": config.startsecs,
        "startretries": config.startretries,
        "stopsignal": int(signal.Signals(config.stopsignal)),
        "stopwaitsecs": config.stopwaitsecs,
        "stopasgroup": config.stopasgroup,
        "killasgroup": config.killasgroup,
        "exitcodes": config.exitcodes,
        "environment": config.environment,
        "uid": config.uid,
    }


if __name__ == "__main__":
    os.environ.clear()
    main()
