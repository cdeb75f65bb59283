"""Where a resource ends that a container has only so much of."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from initpy.tracing import Tracing
from tests.pid1.toml import command, program
from tests.support import REPO, Init, children, is_alive, skip_or_fail, status_field, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[..., Init]

pytestmark = pytest.mark.namespace

MAX_PIDS = 40
SIGNALS = 100_000

BOMB = """
import os, time
os.write(1, b"bomb ready %d\\n" % os.getpid())
while True:
    try:
        if os.fork() == 0:
            time.sleep(1000)
    except OSError:
        time.sleep(0.001)
"""

SENDER = """
import os, signal, time
for number in range({count}):
    os.kill(1, {signums}[number % {kinds}])
os.write(1, b"sender is done\\n")
time.sleep(1000)
"""


def _cgroup_of_few() -> Path | None:
    """None: none can be made."""
    for top in (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")):
        with contextlib.suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix="initpy-", dir=top))
            try:
                (folder / "pids.max").write_text(str(MAX_PIDS))
            except OSError:
                folder.rmdir()
            else:
                return folder
    return None


@pytest.fixture
def few_pids(why_no_namespace: str) -> Iterator[Path]:
    """A cgroup with room for MAX_PIDS processes, and threads."""
    folder = None if why_no_namespace else _cgroup_of_few()
    if folder is None:
        skip_or_fail("namespace", why_no_namespace or "no cgroup that limits pids can be made")
    assert folder is not None
    yield folder
    wait_for(lambda: not (folder / "cgroup.procs").read_text())
    folder.rmdir()


def _in(folder: Path) -> list[str]:
    """What a command is started with, that is to live in this cgroup."""
    return ["sh", "-c", f'echo $$ >{folder}/cgroup.procs; exec "$@"', "sh"]


def python(script: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", script]


def status(init: Init) -> subprocess.Popen[str]:
    """A client that asks for it."""
    return subprocess.Popen(
        [sys.executable, "-m", "initpy", "status"],
        cwd=REPO,
        env={**os.environ, "INITPY_SOCKET": str(init.socket)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def answer(client: subprocess.Popen[str]) -> str:
    """What it has been told."""
    said, _ = client.communicate(timeout=60)
    assert client.returncode == 0, said
    return said


def stops_well(init: Init) -> None:
    """To have executed itself anew would be no answer to what is tried here."""
    assert init.stop() == 0
    assert "a bug in initpy" not in init.log()


AGAIN = {"startretries": 1000, "backoff": {"initial": 0.1, "factor": 1}, "startsecs": 0.1}
"""Of a program that cannot be started for a while."""


def test_a_fork_bomb_costs_itself(few_pids: Path, start_init: Start) -> None:
    """At the limit, no helper can look for what a dead program has left: its group is ended."""
    init = start_init(
        command("bomb", python(BOMB), autorestart=False, critical=False)
        + program("web", "exit=TERM:0", **AGAIN),
        wrapper=_in(few_pids),
    )
    init.wait_for_output("^web ready")
    init.wait_for_output("^bomb ready")
    wait_for(lambda: int((few_pids / "pids.current").read_text()) >= MAX_PIDS)
    web, bomb = (_child(init, word) for word in ("probe.py", "os.fork"))
    os.kill(web, signal.SIGKILL)
    init.wait_for_log("Too many processes|exited: web")
    os.kill(bomb, signal.SIGKILL)
    init.wait_for_output("^web ready", times=2)
    wait_for(lambda: int((few_pids / "pids.current").read_text()) < MAX_PIDS / 2)
    stops_well(init)


def test_a_fork_bomb_is_stopped_while_it_goes_off(few_pids: Path, start_init: Start) -> None:
    """Where no helper can be forked, and each of its processes forks for ever."""
    endless = (
        "import os\nos.write(1, b'bomb ready\\n')\nwhile True:\n try: os.fork()\n except OSError: 0"
    )
    init = start_init(
        '[init]\nlog = "prefix"\nshutdown_timeout = 3\n'
        + command("bomb", python(endless), critical=False)
        + program("web", "exit=TERM:0", **AGAIN),
        wrapper=_in(few_pids),
    )
    init.wait_for_output("web ready")
    init.wait_for_output("bomb ready")
    wait_for(lambda: int((few_pids / "pids.current").read_text()) >= MAX_PIDS)
    client = status(init)
    init.wait_for_log("cannot start the control helper: EAGAIN; trying on")
    stops_well(init)
    client.communicate(timeout=60)


def _child(init: Init, word: str) -> int:
    """The program with this word in its command, as its pid outside."""
    for pid in children(init.pid):
        with contextlib.suppress(OSError):
            if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
    raise AssertionError(f"there is no {word}")


@pytest.mark.parametrize(
    "signums", [(signal.SIGUSR1,), (signal.SIGCHLD,), (signal.SIGUSR1, signal.SIGRTMIN, 17, 40)]
)
def test_a_hundred_thousand_signals_from_a_program(
    start_init: Start, signums: tuple[int, ...]
) -> None:
    sender = SENDER.format(count=SIGNALS, signums=tuple(map(int, signums)), kinds=len(signums))
    init = start_init(
        command("sender", python(sender))
        + program("web", "catch=USR1", "exit=TERM:0", startsecs=0.1)
    )
    init.wait_for_output("^web ready")
    os.kill(_child(init, "probe.py"), signal.SIGKILL)  # in the middle of it
    init.wait_for_output("^web ready", times=2, within_s=60)
    init.wait_for_output("^sender is done", within_s=60)
    assert is_alive(init.pid)
    stops_well(init)
    assert init.log().count("spawned: 'web'") == 2


def test_a_sender_of_signals_without_end_is_stopped(start_init: Start) -> None:
    """One after the other, as fast as it can, before and while it is to stop."""
    endless = (
        "import os, signal\nsignal.signal(15, signal.SIG_IGN)\nos.write(1, b'sender ready\\n')\n"
        "while True:\n for signum in (10, 17, 28, 40): os.kill(1, signum)"
    )
    init = start_init(
        command("sender", python(endless), startsecs=0, stopwaitsecs=0.3)
        + program("web", "catch=USR1", "exit=TERM:0", startsecs=0.1)
    )
    init.wait_for_output("^web ready")
    init.wait_for_output("^sender ready")
    init.wait_for_log("success: web")
    os.kill(_child(init, "probe.py"), signal.SIGKILL)
    init.wait_for_output("^web ready", times=2)
    stops_well(init)
    assert "killing 'sender'" in init.log()


def test_who_has_stopped_itself_is_ended(start_init: Start) -> None:
    """TERM is followed by CONT; who stops himself again is killed when his time is over."""
    stubborn = (
        "import os, signal\nfor signum in (2, 3, 15, 18):\n"
        " signal.signal(signum, lambda *_: os.kill(os.getpid(), 19))\n"
        "os.write(1, b'stubborn ready\\n')\nwhile True: os.kill(os.getpid(), 19)"
    )
    init = start_init(
        program("web", "stop", "exit=TERM:0", startsecs=0)
        + command("stubborn", python(stubborn), startsecs=0, stopwaitsecs=0.3)
    )
    init.wait_for_output("web ready")
    init.wait_for_output("stubborn ready")
    for word in ("probe.py", "stubborn"):
        pid = _child(init, word)
        wait_for(lambda pid=pid: status_field(pid, "State")[:1] == "T")  # type: ignore[misc]
    stops_well(init)
    assert "web got TERM" in init.output()
    assert "stopped: stubborn (terminated by SIGKILL)" in init.log()


def test_a_thousand_programs(start_init: Start, binary: Path) -> None:
    many = {"process_name": "many_%(process_num)d", "numprocs": 1000}
    init = start_init(command("many", ["sleep", "1000"], startsecs=0, **many), binary=binary)
    init.wait_for_log("success: many_", times=1000, within_s=60)
    os.kill(children(init.pid)[500], signal.SIGKILL)
    init.wait_for_log("success: many_", times=1001)
    assert answer(status(init)).count("RUNNING") == 1000
    stops_well(init)
    assert init.log().count("stopped: many_") == 1000


def test_full_pipes_everywhere(start_init: Start, tmp_path: Path) -> None:
    """stdout and stderr of the container, the programs' own, and those to all the helpers, which
    read nothing: programs crash, and are restarted, a reload comes, and a stop."""
    crashing = f"echo x >>{tmp_path}/starts; echo said; sleep 0.02; exit 3"
    flood = "import os\nwhile True: os.write(1, b'y' * 4000 + b'\\n'); os.write(2, b'z' * 4000)"
    fifo = tmp_path / "full"
    os.mkfifo(fifo)
    full = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(full, bytes(4096))
    init = start_init(
        f'[init]\nlog = "prefix"\ntrace = "{tmp_path}/trace"\nshutdown_timeout = 2\n'
        + command("flood", python(flood), startsecs=0)
        + command("crash", ["sh", "-c", crashing], startsecs=0, autorestart=True),
        wrapper=["sh", "-c", f'exec "$@" >{fifo} 2>&1', "sh"],
    )
    starts = tmp_path / "starts"

    def restarts(count: int) -> None:
        """See so many."""
        before = starts.stat().st_size
        wait_for(lambda: starts.stat().st_size >= before + 2 * count, within_s=60)

    wait_for(starts.exists)
    assert "RUNNING" in answer(status(init))
    helpers = _forked(init)
    restarts(2)
    helpers &= _forked(init)  # and not what was on its way to exec
    assert len(helpers) >= 2  # logs, trace; and control, if it has not left
    for pid in helpers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    init.kill(signal.SIGHUP)
    restarts(3)  # each waits for the relay for a second (`logging_out.BIRTH_S`)
    assert init.stop() == 0
    os.close(full)


def _forked(init: Init) -> set[int]:
    """The children of PID 1 that have executed nothing."""
    own = Path(f"/proc/{init.pid}/cmdline").read_bytes()
    found = set()
    for pid in children(init.pid):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/cmdline").read_bytes() == own:
                found.add(pid)
    return found


def test_no_descriptors_for_helpers(start_init: Start) -> None:
    """All that run are killed, and none can be forked; when there is room again, all are back."""
    init = start_init('[init]\nlog = "prefix"\n' + program("web", "exit=TERM:0", **AGAIN))
    init.wait_for_output("web ready")
    own, others = resource.prlimit(init.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(init.pid, resource.RLIMIT_NOFILE, (3, others))
    client = status(init)
    for pid in children(init.pid):
        os.kill(pid, signal.SIGKILL)
    init.kill(signal.SIGHUP)
    for what in (
        "cannot start the control helper: .*; trying on",
        "cannot start the relay of the logs: EMFILE; trying on",
        "nothing is reloaded, .*: Too many open files",
    ):
        init.wait_for_log(what)
    resource.prlimit(init.pid, resource.RLIMIT_NOFILE, (own, others))
    init.wait_for_output("web ready", times=2)
    assert "web" in answer(client)
    init.kill(signal.SIGHUP)
    init.wait_for_log("reloaded: no program")
    stops_well(init)


def test_a_full_disk_for_all_that_is_to_be_made(
    start_init: Start, why_no_namespace: str, tmp_path: Path
) -> None:
    """The control socket, the trace, and a program's log file are to lie where no file can be made;
    when there is room again, they are made."""
    if why_no_namespace:
        skip_or_fail("namespace", why_no_namespace)
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = (
        f'mount -t tmpfs -o nr_inodes=4 none {disk}; touch {disk}/1 {disk}/2 {disk}/3; exec "$@"'
    )
    init = start_init(
        f'[init]\ntrace = "{disk}/trace"\n'
        + program("web", "exit=TERM:0", startsecs=0, log={"file": f"{disk}/web"}),
        wrapper=["unshare", "-m", "sh", "-c", mount, "sh"],
        env={"INITPY_SOCKET": f"{disk}/socket"},
    )
    for name in ("no control socket: ", "nothing is traced: ", "cannot write to "):
        init.wait_for_log(name + f"{disk}/.*(No space left on device|ENOSPC)")
    init.wait_for_log("success: web")
    inside = Path(f"/proc/{init.pid}/root{disk}")
    for name in ("1", "2", "3"):
        (inside / name).unlink()
    init.kill(signal.SIGHUP)
    wait_for(lambda: sorted(os.listdir(inside)) == ["socket", "trace", "web"])
    wait_for(lambda: "web ready" in (inside / "web").read_text())
    stops_well(init)
    assert init.log().count("spawned: 'web'") == 1


def test_neither_proc_nor_dev_null(start_init: Start, why_no_namespace: str) -> None:
    if why_no_namespace:
        skip_or_fail("namespace", why_no_namespace)
    script = 'umount -l /proc; mount -t tmpfs none /dev; exec "$@"'
    init = start_init(
        '[init]\nlog = "prefix"\n' + command("web", python(NO_STDIN), startsecs=0),
        wrapper=["unshare", "-mpf", "--kill-child", "sh", "-c", script, "sh"],
        as_pid1=False,
    )
    init.wait_for_output("web reads b''")
    os.kill(_child(init, "reads"), signal.SIGKILL)
    init.wait_for_output("web reads b''", times=2)
    init.kill(signal.SIGHUP)
    init.wait_for_log("reloaded: no program")
    assert "RUNNING" in answer(status(init))
    stops_well(init)


NO_STDIN = "import os, time; os.write(1, b'web reads %r\\n' % os.read(0, 9)); time.sleep(1000)"

TELLING_OF_THE_DRAIN = f"""
import posix, sys, time
sys.path.insert(0, {str(REPO)!r})
import initpy.cli, initpy.logging_out
drain = initpy.logging_out.LoggingOut.drain
def telling(self, until):
    posix.write(1, b"drains for %.3f s\\n" % (until - time.monotonic()))
    drain(self, until)
initpy.logging_out.LoggingOut.drain = telling
initpy.cli.main()
"""


def test_a_trace_has_its_time_within_that_of_the_stop(start_init: Start, tmp_path: Path) -> None:
    """Where output cannot be written, that takes all the time there is: but for what the end of the
    trace gets, which comes after it."""
    launcher = tmp_path / "launcher.py"
    launcher.write_text(TELLING_OF_THE_DRAIN)
    init = start_init(
        f'[init]\nlog = "prefix"\ntrace = "{tmp_path}/trace"\n' + program("web", "exit=TERM:0"),
        python=[sys.executable],
        script=[str(launcher)],
    )
    init.wait_for_output("web ready")
    stops_well(init)
    assert float(init.wait_for_output(r"drains for ([\d.]+) s")) <= 9 - Tracing.LAST_S
