"""The executable starts one command before Python, where it does the same as Python would."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.single.support import HERE, NAMESPACE, PYTHON
from tests.support import children, skip_or_fail, status_field

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DRESS = (*PYTHON, str(HERE / "dress.py"))

FIRST = [
    ("initpy", ["--"], [], {}),
    ("initpy", ["--"], ["ignore=2,13", "block=1,15"], {"TINI_VERBOSITY": "3"}),
    ("any-name", ["--"], [], {}),
    ("tini", ["--"], ["subreaper"], {}),
    ("tini", ["--"], ["subreaper"], {"TINI_KILL_PROCESS_GROUP": "1"}),
    ("docker-init", ["--"], ["subreaper"], {}),
    ("dumb-init", ["--"], [], {}),
    ("dumb-init", [], ["ignore=2,13", "block=1,15"], {}),
]

LATER = [
    ("initpy", ["--group", "--"], [], {}),
    ("initpy", ["--"], ["ignore=17"], {}),
    ("initpy", ["--"], ["terminal"], {}),
    ("tini", ["--"], [], {}),
    ("tini", [], ["subreaper"], {}),
    ("tini", ["-s", "--"], [], {}),
    ("tini", ["--"], ["subreaper"], {"TINI_SUBREAPER": ""}),
    ("tini", ["--"], ["subreaper"], {"TINI_VERBOSITY": "3"}),
    ("dumb-init", ["-v", "--"], [], {}),
    ("dumb-init", ["--"], ["ignore=17"], {}),
    ("dumb-init", ["--"], ["terminal"], {}),
    ("dumb-init", ["--"], [], {"DUMB_INIT_DEBUG": "1"}),
    ("dumb-init", ["--"], [], {"DUMB_INIT_SETSID": "0"}),
]


@pytest.fixture
def named(binary: Path, tmp_path: Path) -> dict[str, Path]:
    """Links to the executable."""
    links = {name: tmp_path / name for name in ("initpy", "any-name", "tini", "docker-init")}
    links["dumb-init"] = tmp_path / "dumb-init"
    for link in links.values():
        link.symlink_to(binary.resolve())
    return links


@pytest.mark.parametrize(
    ("name", "options", "dress", "env", "is_first"),
    [(*case, True) for case in FIRST] + [(*case, False) for case in LATER],
)
def test_what_is_started_before_python(
    named: dict[str, Path],
    tmp_path: Path,
    name: str,
    options: Sequence[str],
    dress: Sequence[str],
    env: dict[str, str],
    is_first: bool,
) -> None:
    """The child is there before Python has asked for memory."""
    strace = shutil.which("strace")
    if strace is None:
        skip_or_fail("namespace", "strace is not installed")
    trace = tmp_path / "trace"
    init = str(named[name])
    master, slave = os.openpty()
    ran = subprocess.run(
        [strace or "", "-o", trace, *DRESS, *dress, "--", init, *options, "true"],
        stdin=slave if "terminal" in dress else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **env},
    )
    os.close(master)
    os.close(slave)
    assert ran.returncode == 0, ran.stderr
    calls = trace.read_text().partition(f'execve("{init}"')[2]
    child, memory = re.search(r"^(vfork|fork|clone3?)\(", calls, re.M), calls.index("\nmmap(")
    assert child is not None
    assert (child.start() < memory) is is_first


@pytest.mark.namespace
@pytest.mark.parametrize("as_pid1", [True, False], ids=["as PID 1", "as an ordinary process"])
@pytest.mark.parametrize("name", ["initpy", "tini", "dumb-init"])
def test_one_that_dies_at_once_is_reaped_with_its_code(
    named: dict[str, Path], why_no_namespace: str, name: str, as_pid1: bool
) -> None:
    if as_pid1 and why_no_namespace:
        skip_or_fail("namespace", why_no_namespace)
    namespace = NAMESPACE if as_pid1 else ()
    for code in range(1, 60):
        ran = subprocess.run(
            [*namespace, named[name], "--", "sh", "-c", f"exit {code}"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=30,
            check=False,
        )
        assert ran.returncode == code


@pytest.mark.parametrize("name", ["initpy", "dumb-init"])
def test_a_term_that_comes_while_python_starts_reaches_it(
    named: dict[str, Path], name: str
) -> None:
    """At 200 moments of the 8 ms after the init's first instruction."""
    for number in range(200):
        words = [str(named[name]), "--", "sleep", "600"]
        with subprocess.Popen(words, stdin=subprocess.DEVNULL) as init:
            give_up_at = time.monotonic() + 15
            while not _is_on_its_way(init.pid):  # without a pause, which would take too long
                assert time.monotonic() < give_up_at
            due_at = time.monotonic() + number * 40e-6
            while time.monotonic() < due_at:
                continue
            init.send_signal(signal.SIGTERM)
            assert init.wait(20) == 128 + signal.SIGTERM


def _is_on_its_way(pid: int) -> bool:
    """Whether it blocks signals, or, at the end of its start, waits for them, with a child."""
    return status_field(pid, "SigBlk") != "0" * 16 or bool(children(pid))
