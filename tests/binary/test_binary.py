"""The static executable by itself: what it is made of, and that nothing around it matters."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import build_binary
from tests.pid1.toml import command, program
from tests.support import REPO, skip_or_fail, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Init

    Start = Callable[..., Init]

MAX_SIZE_BYTES = 11 * 1000 * 1000


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=90, check=False, cwd=REPO)


def test_it_is_static_and_no_bigger_than_it_may_be(binary: Path) -> None:
    assert "INTERP" not in run("readelf", "--wide", "--program-headers", binary).stdout
    assert binary.stat().st_size <= MAX_SIZE_BYTES


def test_the_same_sources_give_the_same_bytes_wherever_they_are(
    binary: Path, tmp_path: Path
) -> None:
    if "INITPY_BINARY" in os.environ:
        pytest.skip("INITPY_BINARY may have been built from anything")
    elsewhere = tmp_path / "a copy"
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("docker/binary", "initpy"):
        shutil.copytree(REPO / folder, elsewhere / folder, ignore=ignore)
    for path in elsewhere.rglob("*"):
        os.utime(path, (0, 0))
    build = elsewhere / "docker" / "binary" / "build"
    assert build_binary(tmp_path / "second", build).read_bytes() == binary.read_bytes()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["--help"],
        ["check", "--schema"],
        ["check", "examples/quickstart/initpy.toml"],
        ["check", "/no/such/file"],
        ["check"],
        ["--nonsense"],
        ["check", "/no/such\x01"],
    ],
    ids=lambda arguments: ascii(" ".join(arguments)),
)
def test_its_commands_say_what_the_package_s_do(binary: Path, arguments: list[str]) -> None:
    ran, expected = run(binary, *arguments), run(sys.executable, "-m", "initpy", *arguments)
    assert (ran.returncode, ran.stdout, ran.stderr) == (
        *(expected.returncode, expected.stdout, expected.stderr),
    )


def test_all_problems_of_a_file_are_told_as_from_source(binary: Path, tmp_path: Path) -> None:
    """Among them what takes difflib, shlex, glob and patterns that were not compiled in advance."""
    path = tmp_path / "initpy.toml"
    path.write_text(
        "include = ['conf.d/*.toml', '/no/such/[directory']\n"
        "[init]\nlogg = 'x'\nshutdown_timeout = 1e3\n"
        "[program.web]\ncommand = \"nginx -g 'daemon off\"\nstopsignal = 'TREM'\nnodaemon = 1\n"
        "environment = { A = '${NO:-${B}', C = 1979-05-27T07:32:00Z }\n"
        "[program.'a b']\ncommand = ['gunicorn', '--daemon']\nrlimits = { nofil = 3, core = 'x' }\n"
        "[program.app]\ncommand = '%(ENV_NOPE)s'\nuser = 'nobody-at-all'\nafter = ['web', 'apq']\n"
        '"bad\\u0001key\\u2028" = 1\n'
    )
    ran, expected = run(binary, "check", path), run(sys.executable, "-m", "initpy", "check", path)
    assert ran.stderr == expected.stderr
    assert (ran.returncode, ran.stdout) == (2, "")
    assert len(ran.stderr.splitlines()) >= 8


def test_variables_for_python_leave_pid_1_alone_and_reach_the_programs(
    start_init: Start, tmp_path: Path
) -> None:
    for module in ("sitecustomize", "initpy", "tomllib", "re", "encodings", "os"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('not the right module')\n")
    variables = {
        "PYTHONPATH": str(tmp_path),
        "PYTHONHOME": "/nowhere",
        "PYTHONSTARTUP": str(tmp_path / "os.py"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONVERBOSE": "1",
        "PYTHONUTF8": "0",
        "PYTHONIOENCODING": "utf-16",
        "PYTHONMALLOC": "debug",
        "PYTHONINSPECT": "1",
        "PYTHONFAULTHANDLER": "1",
        "LC_ALL": "de_DE.ISO-8859-1",
    }
    init = start_init(command("web", ["env", "-0"], startsecs=0, autorestart=False), env=variables)
    assert init.wait() == 0
    seen = dict(entry.split("=", 1) for entry in init.output().split("\0") if "=" in entry)
    assert {name: seen.get(name) for name in variables} == variables
    assert {line.split()[2] for line in init.log().splitlines()} == {"INFO"}


def test_nothing_is_added_to_the_environment(start_init: Start) -> None:
    """CPython itself would set LC_CTYPE, in the C locale."""
    init = start_init(
        command("web", ["env", "-0"], startsecs=0, autorestart=False),
        wrapper=["env", "-i", "A=ü", "PATH=/usr/bin:/bin"],
    )
    assert init.wait() == 0
    names = {entry.partition("=")[0] for entry in init.output().split("\0") if entry}
    assert {name for name in names if not name.startswith(("SUPERVISOR_", "INITPY_"))} == {
        *("A", "PATH"),
    }
    assert "A=ü\0" in init.output()


def test_signals_are_blocked_before_python_exists(binary: Path, tmp_path: Path) -> None:
    """Within the few syscalls that the C library makes before main; Python's memory comes later."""
    strace = shutil.which("strace")
    if strace is None:
        skip_or_fail("namespace", "strace is not installed")
    trace = tmp_path / "trace"
    assert run(strace or "", "-o", trace, binary, "--version").returncode == 0
    calls = [line.partition("(")[0] for line in trace.read_text().splitlines()]
    blocked_at = calls.index("rt_sigprocmask")
    assert "mmap" in calls
    assert blocked_at < calls.index("mmap")
    assert blocked_at < 20


def test_a_term_that_comes_while_it_starts_is_not_lost(binary: Path, tmp_path: Path) -> None:
    """Sent as soon as its mask shows that its own code runs: exec itself drops what comes to a PID
    1, and lets it end any other process."""
    config = tmp_path / "initpy.toml"
    config.write_text('[program.web]\ncommand = ["sleep", "600"]\nstartsecs = 0\n')
    before_python = tries = 0
    while before_python < 20:  # a busy machine looks later
        tries += 1
        assert tries <= 400
        with subprocess.Popen([binary, "-c", config], stderr=subprocess.PIPE, text=True) as init:
            seen = wait_for_mask(init.pid)
            init.terminate()
            before_python += int(seen["SigCgt"], 16) == 0
            _, log = init.communicate(timeout=90)
            assert init.returncode == 0, log
            assert "received SIGTERM indicating exit request" in log


def wait_for_mask(pid: int) -> dict[str, str]:
    """/proc/PID/status as soon as signals are blocked or caught."""
    due_at = time.monotonic() + 15
    while time.monotonic() < due_at:
        text = Path(f"/proc/{pid}/status").read_text()
        status = dict(line.split(":\t", 1) for line in text.splitlines())
        if status["Name"] == "initpy" and int(status["SigBlk"], 16) | int(status["SigCgt"], 16):
            return status
    raise AssertionError("never blocked a signal")


@pytest.mark.parametrize("signum", [signal.SIGSEGV, signal.SIGILL, signal.SIGFPE, signal.SIGBUS])
def test_a_fault_s_signal_that_was_sent_is_forwarded(start_init: Start, signum: int) -> None:
    """From source, the first one would end it, or as PID 1 do nothing at all."""
    catch = f"trap 'echo caught' {signum}; echo ready; while :; do sleep 0.05; done"
    init = start_init(command("web", ["sh", "-c", catch], startsecs=0))
    init.wait_for_output("ready")
    for times in (1, 2):
        init.kill(signum)
        init.wait_for_output("caught", times=times)
    assert init.stop() == 0


def test_a_fault_of_its_own_is_its_end(start_init: Start) -> None:
    """A handler that returned to the faulty instruction would run it for ever. Zeros are written
    over the instruction at which it goes on after its sleep: no machine executes them."""
    init = start_init(program("web", startsecs=0), as_pid1=False)
    init.wait_for_output("web ready")
    syscall = Path(f"/proc/{init.pid}/syscall")
    *_, counter = wait_for(lambda: words if len(words := syscall.read_text().split()) > 2 else [])
    with Path(f"/proc/{init.pid}/mem").open("r+b", buffering=0) as memory:
        memory.seek(int(counter, 16))
        memory.write(bytes(16))
    init.kill(signal.SIGWINCH)
    assert init.wait() in (-signal.SIGSEGV, -signal.SIGILL)


def test_a_root_that_has_nothing_but_it_and_a_program(
    binary: Path, tmp_path: Path, why_no_namespace: str
) -> None:
    """No /proc, no /dev, no /etc, no C library; and a user that only a number can name."""
    if why_no_namespace:
        skip_or_fail("namespace", why_no_namespace)
    root = tmp_path / "root"
    root.mkdir()
    source = tmp_path / "hello.c"
    source.write_text(
        "#include <stdio.h>\n#include <unistd.h>\n"
        'int main(void) { return printf("I am %d\\n", getuid()) < 0; }\n'
    )
    subprocess.run(["gcc", "-static", "-o", root / "hello", source], check=True)
    shutil.copy(binary, root / "initpy")
    for name, user, code, said in (
        ("number", '54321"\ngroup = "54321', 0, "I am 54321"),
        ("name", "www-data", 126, "Can't find username 'www-data': there is no /etc/passwd"),
    ):
        config = root / f"{name}.toml"
        config.write_text(
            '[program.web]\ncommand = "/hello"\nstartsecs = 0\nautorestart = false\n'
            f'startretries = 0\nuser = "{user}"\n'
        )
        ran = run(
            "unshare", "-pf", "--kill-child", f"--root={root}", "/initpy", f"-c/{config.name}"
        )
        assert said in ran.stdout + ran.stderr
        assert ran.returncode == code, ran.stderr
