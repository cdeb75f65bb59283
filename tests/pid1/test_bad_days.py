"""The kernel says no, the file is no file, nobody reads the log: the rest goes on."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.pid1.toml import command, program
from tests.support import REPO, wait_for, wait_for_descendants

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import Init

    Start = Callable[..., Init]


def test_no_descriptors_left_is_a_backoff_and_over_when_there_are(start_either: Start) -> None:
    init = start_either(
        program("web", startsecs=0, startretries=20) + program("other", startsecs=0)
    )
    init.wait_for_output("ready", times=2)
    own, others = resource.prlimit(init.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(init.pid, resource.RLIMIT_NOFILE, (3, others))
    os.kill(wait_for_descendants(init.pid, 2)[0], signal.SIGKILL)
    init.wait_for_log("spawnerr: too many open files to spawn '(web|other)'")
    resource.prlimit(init.pid, resource.RLIMIT_NOFILE, (own, others))
    init.wait_for_output("ready", times=3)
    assert init.stop() == 0


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize(
    ("inject", "spawnerr"),
    [
        (
            "clone:error=EAGAIN:when=3",
            "Too many processes in process table to spawn 'web'",
        ),
        (
            "clone:error=ENOMEM:when=3",
            "unknown error during fork for 'web': ENOMEM",
        ),
    ],
)
def test_a_fork_that_fails_is_a_backoff(start_init: Start, inject: str, spawnerr: str) -> None:
    """The first fork is the config helper's, the second the program's first start."""
    wrapper = ["strace", "-o", "/dev/null", "-e", "trace=clone", "-e", f"inject={inject}"]
    toml = program("web", "after=0.3:1", startsecs=0)
    init = start_init(toml, as_pid1=False, wrapper=wrapper)
    init.wait_for_output("web ready", times=2)
    assert f"spawnerr: {spawnerr} (web)" in init.log()
    assert init.stop() == 0


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_without_close_range_nothing_is_slower_and_nothing_leaks(start_init: Start) -> None:
    """Older kernels and musl do not have it; a close for each possible number takes minutes."""
    wrapper = ["bash", "-c", 'exec 7</dev/null; exec "$@"', "bash"]
    wrapper += ["strace", "-f", "-o", "/dev/null", "-e", "trace=close_range"]
    wrapper += ["-e", "inject=close_range:error=ENOSYS"]
    init = start_init(program("web", "fds", startsecs=0), as_pid1=False, wrapper=wrapper)
    init.wait_for_output("web ready")
    assert "web fds 0 1 2\n" in init.output()
    assert init.stop() == 0


@pytest.mark.parametrize("option", ["startsecs", "stopwaitsecs"])
def test_a_wait_of_years(start_init: Start, option: str) -> None:
    init = start_init(program("web", "exit=TERM:0", **{option: 2_000_000_000}))
    init.wait_for_output("web ready")
    assert init.stop() == 0
    assert "fault" not in init.log()


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_fork_that_always_fails_is_fatal_with_126(start_init: Start) -> None:
    wrapper = ["strace", "-o", "/dev/null", "-e", "trace=clone"]
    wrapper += ["-e", "inject=clone:error=EAGAIN:when=2+"]
    init = start_init(program("web", startretries=1), as_pid1=False, wrapper=wrapper)
    assert init.wait() == 126
    assert "gave up: web entered FATAL state" in init.log()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, "No such file or directory"),
        (lambda path: path.mkdir(), "directory"),
        (lambda path: path.write_bytes(b""), "nothing to run"),
        (lambda path: path.write_bytes(b"[program.a]\ncommand = '\xff'\n"), "UTF-8"),
        (lambda path: path.write_bytes(b"#" * 10_000_000), "large"),
    ],
    ids=["missing", "directory", "empty", "not UTF-8", "10 MB"],
)
def test_a_file_that_is_no_configuration(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    path = tmp_path / "initpy.toml"
    make(path)
    for argument in (["-c", str(path)], [f"--config={path}"], [f"-c{path}"]):
        ran = subprocess.run(
            [sys.executable, "-m", "initpy", *argument],
            cwd=REPO,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 2
        said = [line for line in ran.stderr.splitlines() if str(path) in line]
        assert len(said) == 1
        assert message in said[0]
        assert "Traceback" not in ran.stderr


def test_a_stop_does_not_wait_for_the_last_of_many_starts(start_either: Start) -> None:
    """1,000 programs are 1,000 forks; TERM is taken between two of them."""
    init = start_either(
        command(
            "many",
            ["sleep", "1000"],
            process_name="many_%(process_num)d",
            numprocs=1000,
            startsecs=60,
        )
    )
    init.wait_for_log("spawned: 'many_20'")
    assert init.stop() == 0
    log = init.log()
    spawned = log.count("spawned: ")
    assert spawned < 1000
    assert log.count("stopped: ") == spawned


def run_with_helper(body: str) -> subprocess.Popen[str]:
    """A PID 1 whose config helper does `body`, in place of reading a file."""
    script = (
        f"import sys; sys.path.insert(0, {str(REPO)!r})\n"
        "from initpy.linux import signals; mask = signals.block_all()\n"
        "import os; from initpy.early import Early; from initpy.pid1 import Pid1\n"
        f"def read_config(fd):\n    {body}\n    return 0\n"
        "os._exit(Pid1(Early(read_config, mask), None, None).run())\n"
    )
    command = [sys.executable, "-I", "-S", "-c", script]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


HANGS = "import time; time.sleep(60)"


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("os.kill(os.getpid(), 9)", 1, "died (terminated by SIGKILL)"),
        ("raise RuntimeError('mad')", 1, "initpy: a helper process failed: RuntimeError('mad')"),
        ("os.write(fd, b'no plan at all')", 1, "died (exit status 0)"),
        ("os.write(fd, bytes(4096))", 1, "the config helper sends nonsense"),
        ("os.write(fd, b'\\xff' * 4096)", 1, "the config helper sends nonsense"),
        (
            "from initpy import plan, wire; s = plan.ProcessSpec('a', 'a', 'a', 'a', (), ());"
            " os.write(fd, wire.frame(plan.Plan((s,), exit_code_from=5)))",
            1,
            "the plan that the config helper sent makes no sense",
        ),
        ("os._exit(2)", 2, "the configuration cannot be used"),
    ],
)
def test_a_config_helper_gone_mad(body: str, code: int, message: str) -> None:
    init = run_with_helper(body)
    _, said = init.communicate(timeout=90)
    assert init.returncode == code
    assert message in said


def test_a_stop_while_the_configuration_is_still_being_read() -> None:
    init = run_with_helper(HANGS)
    try:
        wait_for_descendants(init.pid, 1)
        init.send_signal(signal.SIGTERM)
        _, said = init.communicate(timeout=90)
        assert init.returncode == 0
        assert "received SIGTERM indicating exit request" in said
    finally:
        init.kill()
        init.wait()


def test_a_full_stderr_stops_nothing(tmp_path: Path) -> None:
    """Nobody reads the pipe: programs crash, restart and stop as before."""
    marker = tmp_path / "starts"
    config = tmp_path / "initpy.toml"
    line = f"echo x >> {marker}; sleep 0.01; exit 1"
    config.write_text(command("web", ["sh", "-c", line], startsecs=0))
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    try:
        while True:
            os.write(write_fd, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(write_fd, True)
    init = subprocess.Popen(
        [sys.executable, "-m", "initpy", "-c", str(config)], cwd=REPO, stderr=write_fd
    )
    os.close(write_fd)
    try:
        wait_for(lambda: marker.exists() and len(marker.read_text()) >= 2 * 20)
        init.send_signal(signal.SIGTERM)
        assert init.wait(10) == 0
    finally:
        init.kill()
        init.wait()
        os.close(read_fd)


def test_lines_that_found_no_room_are_counted(tmp_path: Path) -> None:
    """Once somebody reads again, the log says how many lines it has lost."""
    starts = tmp_path / "starts"
    config = tmp_path / "initpy.toml"
    argv = ["sh", "-c", f"echo x >> {starts}"]
    config.write_text(command("web", argv, startsecs=0, autorestart=True))
    read_fd, write_fd = os.pipe()
    init = subprocess.Popen(
        [sys.executable, "-m", "initpy", "-c", str(config)], cwd=REPO, stderr=write_fd
    )
    os.close(write_fd)
    said = b""
    try:
        # Three lines a start, over 200 bytes: more than fit into 256 KiB of queue and the pipe.
        wait_for(lambda: starts.exists() and starts.stat().st_size > 2 * 2000, within_s=120)
        os.set_blocking(read_fd, False)
        due_at = time.monotonic() + 60
        while b"log lines were dropped: there was no room for them" not in said:
            assert time.monotonic() < due_at
            select.select([read_fd], [], [], 1)
            with contextlib.suppress(BlockingIOError):
                said += os.read(read_fd, 65536)
    finally:
        init.kill()
        init.wait()
        os.close(read_fd)
