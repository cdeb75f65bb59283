"""The inits that are compared: where each one is, and how it is told what to run.

Each gets its own kind of configuration for the same programs, with its own defaults; nothing is
asked of it that they do not need (log files, captured output).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REPO = Path(__file__).resolve().parents[2]
INITPY = "initpy"


@dataclass(frozen=True)
class Task:
    """What an init has to run in one stage."""

    commands: tuple[tuple[str, ...], ...]
    """Each a program; the first word is an absolute path, the second the only argument."""
    restart: bool = False
    """Whether a program that ends is started again, at once and for ever."""


@dataclass(frozen=True)
class Peer:
    """An init, ready to be started."""

    name: str
    version: str
    configure: Callable[[Task, Path], list[str]]
    """Write the configuration for a task into a folder; returns the command to execute."""
    restarts: bool = True
    """It starts a program again that has ended."""
    many: bool = True
    """It runs more than one program."""
    stops: bool = True
    """It stops its programs when it gets TERM, and ends when they have ended."""

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}".strip()


def find_peers(names: Sequence[str], folder: Path) -> tuple[list[Peer], list[str]]:
    """Those of the named peers that are there, and the names of those that are not.

    `folder` holds what comes from PyPI (it is a venv) and from npm.
    """
    found, missing = [], []
    for name in names:
        peer = _PEERS[name](folder)
        if peer is None:
            missing.append(name)
        else:
            found.append(peer)
    return found, missing


def _which(name: str, folder: Path) -> str | None:
    """The program in the peers' own folder, or on PATH."""
    places = [str(folder / "bin"), str(folder / "node_modules" / ".bin"), os.environ["PATH"]]
    return shutil.which(name, path=os.pathsep.join(places))


def _version(*command: str) -> str:
    """The first thing that looks like a version in what the command prints."""
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    match = re.search(r"\d+(\.\d+)+", run.stdout + run.stderr)
    return match.group() if match else ""


# ---------------------------------------------------------------- initpy


def initpy(tree: Path, python: Path) -> Peer:
    """initpy as docker/initpy starts it, from a copy of the package with its bytecode cached.

    `tree` is the checkout it comes from; `python` runs it.
    """

    def configure(task: Task, folder: Path) -> list[str]:
        launcher = install(tree, python, folder.parent)
        return [str(launcher), "-c", str(_toml(task, folder))]

    text = (tree / "initpy" / "__init__.py").read_text()
    match = re.search(r'__version__ = "(.*)"', text)
    name = INITPY if tree == REPO else f"{INITPY} in {tree}"
    return Peer(name, match.group(1) if match else "", configure)


def initpy_one(tree: Path, python: Path) -> Peer:
    """The same with one command."""

    def configure(task: Task, folder: Path) -> list[str]:
        return [str(install(tree, python, folder.parent)), "--", *task.commands[0]]

    name = f"{INITPY} --" if tree == REPO else f"{INITPY} -- in {tree}"
    return Peer(name, "", configure, restarts=False, many=False)


def binary_one(path: Path) -> Peer:
    """The static executable with one command."""

    def configure(task: Task, _: Path) -> list[str]:
        return [str(path), "--", *task.commands[0]]

    return Peer(f"{INITPY} --, static", "", configure, restarts=False, many=False)


def initpy_binary(binary: Path) -> Peer:
    """initpy as its static executable."""

    def configure(task: Task, folder: Path) -> list[str]:
        return [str(binary), "-c", str(_toml(task, folder))]

    return Peer(f"{INITPY}, static", _version(str(binary), "--version"), configure)


def _toml(task: Task, folder: Path) -> Path:
    config = folder / "initpy.toml"
    lines = []
    for number, command in enumerate(task.commands):
        lines += [f"[program.p{number}]", f"command = {json.dumps(command)}", "startsecs = 0"]
        lines += [f"autorestart = {json.dumps(task.restart)}"]
    config.write_text("\n".join(lines) + "\n")
    return config


def install(tree: Path, python: Path, folder: Path) -> Path:
    """A copy of the package in `folder`, made once; returns its launcher."""
    where = folder / ("installed" + str(tree).replace("/", "-"))
    launcher = where / "initpy.py"
    if not where.exists():
        shutil.copytree(
            tree / "initpy", where / "initpy", ignore=shutil.ignore_patterns("__pycache__")
        )
        launcher.write_text(
            f"#!{python} -IS\n"
            "import sys\n"
            f"sys.path.append({str(where)!r})\n"
            "from initpy.cli import main\n"
            "main()\n"
        )
        launcher.chmod(0o755)
        subprocess.run([python, "-m", "compileall", "-q", where / "initpy"], check=True)
    return launcher


# ---------------------------------------------------------------- supervisors


def _supervisord(peers: Path) -> Peer | None:
    executable = _which("supervisord", peers)
    if executable is None:
        return None

    def configure(task: Task, folder: Path) -> list[str]:
        config = folder / "supervisord.conf"
        lines = ["[supervisord]", "nodaemon=true", "user=root", "logfile=/dev/null"]
        lines += ["logfile_maxbytes=0", f"pidfile={folder}/pid"]
        for number, command in enumerate(task.commands):
            lines += [f"[program:p{number}]", f"command={' '.join(command)}", "startsecs=0"]
            lines += [f"autorestart={str(task.restart).lower()}"]
        config.write_text("\n".join(lines) + "\n")
        return [executable, "-c", str(config)]

    return Peer("supervisord", _version(executable, "--version"), configure)


def _circus(peers: Path) -> Peer | None:
    executable = _which("circusd", peers)
    if executable is None:
        return None

    def configure(task: Task, folder: Path) -> list[str]:
        config = folder / "circus.ini"
        lines = ["[circus]", f"endpoint=ipc://{folder}/e", f"pubsub_endpoint=ipc://{folder}/p"]
        for number, command in enumerate(task.commands):
            lines += [f"[watcher:p{number}]", f"cmd={' '.join(command)}", "copy_env=True"]
            lines += [f"respawn={task.restart}", "max_retry=-1"]
        config.write_text("\n".join(lines) + "\n")
        return [executable, str(config)]

    return Peer("circus", _version(executable, "--version"), configure)


def _honcho(peers: Path) -> Peer | None:
    executable = _which("honcho", peers)
    if executable is None:
        return None

    def configure(task: Task, folder: Path) -> list[str]:
        procfile = folder / "Procfile"
        lines = [f"p{n}: exec {' '.join(command)}" for n, command in enumerate(task.commands)]
        procfile.write_text("\n".join(lines) + "\n")
        return [executable, "start", "-f", str(procfile)]

    return Peer("honcho", _version(executable, "version"), configure, restarts=False)


def _pm2(peers: Path) -> Peer | None:
    executable = _which("pm2-runtime", peers)
    if executable is None:
        return None

    def configure(task: Task, folder: Path) -> list[str]:
        config = folder / "ecosystem.json"
        apps = [
            {
                "name": f"p{number}",
                "script": command[0],
                "args": list(command[1:]),
                "interpreter": "none",
                "autorestart": task.restart,
                "max_restarts": 1_000_000_000,
            }
            for number, command in enumerate(task.commands)
        ]
        config.write_text(json.dumps({"apps": apps}))
        own = [f"PM2_HOME={folder}/pm2", "PM2_KILL_SIGNAL=SIGTERM"]  # it would be INT
        return ["/usr/bin/env", *own, executable, "start", str(config)]

    return Peer("pm2", _version(_which("pm2", peers) or executable, "--version"), configure)


def _s6(peers: Path) -> Peer | None:
    executable = _which("s6-svscan", peers)
    if executable is None:
        return None

    def configure(task: Task, folder: Path) -> list[str]:
        _service_folders(task, folder / "service")
        return [executable, str(folder / "service")]

    return Peer("s6", _debian_version("s6"), configure)


def _runit(peers: Path) -> Peer | None:
    executable = _which("runsvdir", peers)
    if executable is None:
        return None

    def configure(task: Task, folder: Path) -> list[str]:
        _service_folders(task, folder / "service")
        return [executable, str(folder / "service")]

    # TERM ends runsvdir at once, and what it ran with it.
    return Peer("runit", _debian_version("runit"), configure, stops=False)


def _service_folders(task: Task, scan: Path) -> None:
    """The folders of s6 and runit, with the `run` scripts that their manuals show.

    They restart whatever ends, so that a task of theirs that is not to be restarted must not end.
    """
    for number, command in enumerate(task.commands):
        service = scan / f"p{number}"
        service.mkdir(parents=True)
        run = service / "run"
        run.write_text(f"#!/bin/sh\nexec {' '.join(command)}\n")
        run.chmod(0o755)


# ---------------------------------------------------------------- inits of one program


def _tini(peers: Path) -> Peer | None:
    return _single("tini", _which("tini", peers))


def _catatonit(peers: Path) -> Peer | None:
    return _single("catatonit", _which("catatonit", peers))


def _dumb_init(peers: Path) -> Peer | None:
    return _single("dumb-init", _which("dumb-init", peers))


def _single(name: str, executable: str | None) -> Peer | None:
    if executable is None:
        return None
    version = _version(executable, "--version")

    def configure(task: Task, _: Path) -> list[str]:
        return [executable, "--", *task.commands[0]]

    return Peer(name, version, configure, restarts=False, many=False)


def _debian_version(package: str) -> str:
    if shutil.which("dpkg-query") is None:
        return ""
    return _version("dpkg-query", "-W", "-f", "${Version}", package)


_PEERS = {
    "supervisord": _supervisord,
    "circus": _circus,
    "honcho": _honcho,
    "pm2": _pm2,
    "s6": _s6,
    "runit": _runit,
    "tini": _tini,
    "dumb-init": _dumb_init,
    "catatonit": _catatonit,
}

PEER_NAMES = tuple(_PEERS)
ONE_COMMAND = ("tini", "dumb-init", "catatonit")
"""Those that run one command."""


def python_of(path: str | None) -> Path:
    """The Python that runs initpy: Debian's own, if there is one."""
    for candidate in (path, "/usr/bin/python3", sys.executable):
        if candidate and Path(candidate).exists():
            return Path(candidate)
    raise FileNotFoundError(path)
