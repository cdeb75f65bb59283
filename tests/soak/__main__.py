"""`python -m tests.soak [--seconds S]`: some real minutes of a whole initpy as PID 1, under load.

Crash loops, floods of output through the relay into rotated files, clients, reloads, orphans, and
the relay and the control helper killed now and then. Every so often all is calmed by a reload, and
looked at: descriptors, memory, zombies and children of PID 1 and of its helpers. Between the first
calm and the last, none of them may have grown. Prints a table; exit code 1: something has grown.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import signal
import sys
import tempfile
import time
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path

from tests.control.rpc import rpc
from tests.pid1.toml import command, program
from tests.support import Init, children, descendants, fds_of, status_field, wait_for

CALMS = 5
"""How often it is looked at."""

MAX_GROWTH_KIB = 1024
"""Of the memory of PID 1, or of a helper: what an allocator may keep."""

SETTLE_S = 15.0

HEAD = "[init]\nshutdown_timeout = 5\n[control]\nidle = 3600\n"


@dataclass
class Look:
    """What there is when all is calm."""

    fds: int
    """Of PID 1."""
    memory_kib: int
    children: int
    helper_fds: int
    """Of all helpers together."""
    helpers_kib: int
    zombies: int
    """In the whole container."""


def calm(folder: Path) -> str:
    logged = {"stdout_logfile": f"{folder}/steady.log", "startsecs": 0}
    return HEAD + program("steady", **logged)


def busy(folder: Path) -> str:
    flood = "i=0; while [ $i -lt 20000 ]; do echo line $i of many that fill a log; i=$((i+1)); done"
    forever = {"critical": False, "autorestart": True, "startsecs": 0}
    return calm(folder) + "".join(
        [
            command("crash", ["sh", "-c", "exit 3"], critical=False, startretries=1_000_000,
                    backoff={"initial": 0.02, "max": 0.05}),
            command("killed", ["sh", "-c", "kill -9 $$$$"],
                    **forever, backoff={"initial": 0.05}),
            command("orphans", ["sh", "-c", "for i in 1 2 3; do (sleep 0.05 &) ; done; sleep 0.1"],
                    **forever),
            command("flood", ["sh", "-c", f"{flood}; sleep 0.2"], **forever,
                    stdout_logfile=f"{folder}/flood.log", stdout_logfile_maxbytes="1MB",
                    stdout_logfile_backups=2),
        ]
    )  # fmt: skip


def processes_of(init: Init) -> dict[int, str]:
    """All in the container and their states."""
    return {pid: status_field(pid, "State")[:1] for pid in descendants(init.pid)}


def helpers_of(init: Init) -> list[int]:
    """Forks of PID 1 itself: they have its command line."""
    own = Path(f"/proc/{init.pid}/cmdline").read_bytes()
    found = []
    for pid in children(init.pid):
        try:
            if Path(f"/proc/{pid}/cmdline").read_bytes() == own:
                found.append(pid)
        except OSError:  # it has just ended
            continue
    return found


def memory_kib(pid: int) -> int:
    """What is its own: private pages, and its share of others."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


def look(init: Init) -> Look:
    """As soon as nothing is going on: PID 1, the relay, the control helper, and one program."""
    with rpc(init) as supervisor:
        assert supervisor.getProcessInfo("steady")["statename"] == "RUNNING"
    wait_for(lambda: len(children(init.pid)) == 3 and len(helpers_of(init)) == 2, within_s=60)
    helpers = helpers_of(init)
    states = processes_of(init)
    return Look(
        len(fds_of(init.pid)),
        memory_kib(init.pid),
        len(states),
        sum(len(fds_of(pid)) for pid in helpers),
        sum(memory_kib(pid) for pid in helpers),
        [*states.values()].count("Z"),
    )


def grown_between(first: Look, last: Look) -> list[str]:
    return [
        what
        for what, value in vars(last).items()
        if value > vars(first)[what] + (MAX_GROWTH_KIB if what.endswith("kib") else 0)
    ]


def calm_look(init: Init, first: Look) -> Look:
    """As soon as nothing has grown: pipes of programs that are gone are open for a while, until the
    relay has seen to the last of what is in them."""
    until = time.monotonic() + SETTLE_S
    while grown_between(first, it := look(init)) and time.monotonic() < until:
        time.sleep(0.2)
    return it


def reload(init: Init, toml: str) -> None:
    times = init.log().count(" reloaded: ")
    init.config.write_text(toml)
    init.kill(signal.SIGHUP)
    init.wait_for_log(" reloaded: ", times=times + 1, within_s=60)


def be_busy(init: Init, folder: Path, until: float, draw: random.Random) -> int:
    """Returns how many requests clients have had answered."""
    answered = 0
    toml = busy(folder)
    reload(init, toml)
    while time.monotonic() < until:
        try:
            with rpc(init) as supervisor:
                for _ in range(20):
                    supervisor.getAllProcessInfo()
                    answered += 1
                supervisor.tailProcessStdoutLog("flood", 0, 1000)
                supervisor.stopProcess("orphans")
                supervisor.startProcess("orphans")
                answered += 3
        except (
            OSError,
            http.client.HTTPException,
            xmlrpc.client.Fault,
        ):  # the helper was killed, or the program was in no state for it
            if not init.is_running():
                raise
        if draw.random() < 0.3 and (helpers := helpers_of(init)):
            os.kill(draw.choice(helpers), signal.SIGKILL)
        if draw.random() < 0.5:
            reload(init, toml + f"# {draw.random()}\n")
        if draw.random() < 0.1:
            reload(init, toml.replace("exit 3", f"exit {draw.randrange(1, 100)}"))
    reload(init, calm(folder))
    return answered


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--binary", type=Path, help="the static executable, in place of the source")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="initpy-soak-") as name:
        folder = Path(name)
        config = folder / "initpy.toml"
        config.write_text(calm(folder))
        lean = ["/usr/bin/python3", "-I", "-S"]
        init = Init(config, folder, as_pid1=True, python=lean, binary=options.binary)
        try:
            return soak(init, folder, options.seconds, draw)
        finally:
            init.end()


def soak(init: Init, folder: Path, seconds: float, draw: random.Random) -> int:
    init.wait_for_output("", within_s=30)
    init.wait_for_log("steady entered RUNNING", within_s=30)
    say = sys.stdout.write
    say("| s | spawned | requests | fds | PSS, kB | processes | helpers' fds | helpers' PSS, kB ")
    say("| zombies |\n" + "|---" * 9 + "|\n")
    began_at = time.monotonic()
    be_busy(init, folder, began_at + min(5.0, seconds / 10), draw)  # all that is ever loaded is
    looks = [look(init)]
    requests = 0
    for number in range(CALMS + 1):
        if number:
            until = began_at + seconds * number / CALMS
            requests += be_busy(init, folder, until, draw)
            looks.append(calm_look(init, looks[0]))
        it = looks[-1]
        spawned = init.log().count("spawned: ")
        cells = [f"{time.monotonic() - began_at:.0f}", f"{spawned:,}", f"{requests:,}"]
        cells += [f"{value:,}" for value in vars(it).values()]
        say(f"| {' | '.join(cells)} |\n")
        sys.stdout.flush()
    code = init.stop()
    grown = grown_between(looks[0], looks[-1])
    bugs = init.log().count("a bug in initpy")
    say(f"exit code {code}; bugs: {bugs}; grown: {', '.join(grown) or 'nothing'}\n")
    return int(bool(grown or bugs or code))


if __name__ == "__main__":
    sys.exit(main())
