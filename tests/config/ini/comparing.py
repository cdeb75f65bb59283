"""The same file, read by supervisord 4.3.0 and by initpy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initpy.config import ConfigError, load
from initpy.config.documents import read_text
from initpy.config.ini.document import IniDocument, read_ini
from initpy.config.problems import Report
from initpy.plan import ALWAYS, NEVER, UNEXPECTED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from initpy.plan import Plan

CORPUS = Path(__file__).resolve().parent / "corpus"

ENVIRON = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/root",
    "CONCURRENCY": "4",
    "REDIS_PASSWORD": "s3,c#r=et",
    "RUN_BEAT": "false",
    "FLOWER_USER": "ann",
    "FLOWER_PASSWORD": "p w",
    "SUPERVISOR_PHP_COMMAND": "/usr/bin/php -d variables_order=EGPCS /app/artisan serve",
    "SUPERVISOR_PHP_USER": "nobody",
    "WORKERS": "3",
    "START_XVFB": "True",
    "START_VNC": "no",
    "CELERYD_OPTS": "--autoscale=4,1 -Q 'one two'",
    "GUNICORN_CMD_ARGS": "",
    "WORKER_USER": "daemon",
    "UMASK": "027",
    "STOPSIGNAL": "quit",
    "STOPWAIT": "33",
    "CODE": "7",
}
"""What the files of the corpus refer to."""

_AUTORESTART: dict[object, int] = {
    False: NEVER,
    "RestartWhenExitUnexpected": UNEXPECTED,
    "RestartUnconditionally": ALWAYS,
}


class RealParser:
    """supervisord's parser, asked over a pipe."""

    def __init__(self) -> None:
        command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("real.py"))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def read(self, file: str | Path, environ: Mapping[str, str] = ENVIRON) -> dict[str, Any]:
        """`{"groups": […]}`, or `{"error": …}`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"file": str(file), "environ": dict(environ)}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


def document_of(file: str | Path, environ: Mapping[str, str] = ENVIRON) -> IniDocument:
    """The file as the tables that it is translated to."""
    report = Report()
    text = read_text(str(file), report)
    document = None if text is None else read_ini(str(file), text, environ, report)
    assert document is not None, report.problems()
    return document


def plan_of_file(file: str | Path, environ: Mapping[str, str] = ENVIRON) -> Plan | str:
    """The plan, or what is wrong."""
    try:
        return load(str(file), environ).plan
    except ConfigError as exc:
        return str(exc)


def ours(plan: Plan) -> list[dict[str, Any]]:
    """A plan in the words of the real parser's answer."""
    groups: dict[str, dict[str, Any]] = {}
    for spec in plan.processes:
        group = groups.setdefault(
            spec.group, {"name": spec.group, "priority": spec.group_priority, "processes": []}
        )
        ((stopsignal, stopwaitsecs),) = spec.stopsteps
        group["processes"].append(
            {
                "name": spec.name,
                "argv": [word.decode() for word in spec.argv],
                "directory": spec.directory.decode(),
                "umask": spec.umask,
                "priority": spec.priority,
                "autostart": spec.autostart,
                "autorestart": spec.autorestart,
                "startsecs": spec.startsecs,
                "startretries": spec.startretries,
                "stopsignal": stopsignal,
                "stopwaitsecs": stopwaitsecs,
                "stopasgroup": spec.stopasgroup,
                "killasgroup": spec.killasgroup,
                "exitcodes": list(spec.exitcodes),
                "environment": {name.decode(): it.decode() for name, it in spec.environment},
                "unspawnable": spec.unspawnable,
                "uid": spec.uid,
            }
        )
    return list(groups.values())


def assert_alike(real: list[dict[str, Any]], plan: Plan, document: IniDocument) -> None:
    """The same groups with the same processes, but for what initpy means to do otherwise."""
    kinds = ("ProcessGroupConfig", "EventListenerPoolConfig")
    groups = [group for group in real if group["kind"] in kinds]
    assert [(group["name"], group["priority"]) for group in groups] == [
        (group["name"], group["priority"]) for group in ours(plan)
    ]
    listeners = {it.name: it for it in plan.listeners}
    for group, own_group in zip(groups, ours(plan), strict=True):
        listener = listeners.pop(group["name"], None)
        assert group["events"] == sorted(listener.events if listener else ())
        given = document.table.get("eventlistener", {}).get(group["name"], {})
        if listener is not None and "buffer_size" in given:
            assert listener.buffer_size == group["buffer_size"]
        theirs = _by_name(group["processes"])
        own = _by_name(own_group["processes"])
        assert [*theirs] == [*own]
        for name, process in theirs.items():
            program = next(spec.program for spec in plan.processes if spec.name == name)
            _assert_process(process, own[name], document, program)
    assert not listeners


def _assert_process(
    real: dict[str, Any], own: dict[str, Any], document: IniDocument, program: str
) -> None:
    kind = "program" if program in document.table.get("program", {}) else "eventlistener"
    options = document.table[kind][program]
    uid, unspawnable = own.pop("uid"), own.pop("unspawnable")
    wanted_uid = real.pop("uid")
    if wanted_uid is not None and wanted_uid != 0 and os.geteuid() != 0:
        assert unspawnable  # nobody but root becomes another user
    elif wanted_uid is not None and wanted_uid != 0:
        assert (uid if uid != -1 else None) == (wanted_uid if wanted_uid > 0 else None)
        assert bool(unspawnable) == (wanted_uid < 0)
    if "killasgroup" not in options:  # initpy leaves nobody behind, unless it is told to
        assert own.pop("killasgroup") is True
        real.pop("killasgroup")
    for name in ("umask", "directory"):  # [supervisord] has them for all, and supervisord itself
        origin = document.translation.origins.get((kind, program, name))
        if origin is not None and origin.name.startswith("[supervisord]"):
            real[name] = own[name]
    for name in ("HOME", "USER", "LOGNAME"):  # of the user, where there is one
        if name not in real["environment"]:
            own["environment"].pop(name, None)
    real["autorestart"] = _AUTORESTART[real["autorestart"]]
    assert own == real


def _by_name(processes: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """In order of the names, where supervisord sorts them and initpy counts; see test_groups."""
    return {process["name"]: process for process in sorted(processes, key=lambda it: it["name"])}
