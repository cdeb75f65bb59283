"""What the executable starts before Python: one command, where it does the same as Python would;
and the config helper."""

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

RUN = ["run", "--program", "a=true", "--set", "program.a.autorestart=false"]

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
    assert (
        starts_first([str(named[name]), *options, "true"], tmp_path / "trace", dress, env)
        is is_first
    )


@pytest.mark.parametrize(
    ("arguments", "dress", "env", "is_first"),
    [
        (["-c", "FILE"], [], {}, True),
        (["--config", "FILE"], ["ignore=2,13", "block=1,15"], {}, True),
        (["-c", "FILE"], ["terminal"], {}, True),
        (["--config=FILE"], [], {}, False),
        (["-c", "FILE"], ["ignore=17"], {}, False),
        (["-c", "FILE"], ["close=0"], {}, False),
        (["-c", "FILE"], ["close=2"], {}, False),
        (["-c", "FILE"], [], {"INITPY_HANDOVER": "nonsense"}, False),
        ([*RUN, "--set", "program.a.startsecs=0"], [], {}, False),
    ],
)
def test_when_the_config_helper_is_started_before_python(
    named: dict[str, Path],
    tmp_path: Path,
    arguments: Sequence[str],
    dress: Sequence[str],
    env: dict[str, str],
    is_first: bool,
) -> None:
    """Either way the file's program is run, and is all that there is."""
    file = tmp_path / "initpy.toml"
    file.write_text('[program.a]\ncommand = ["true"]\nstartsecs = 0\nautorestart = false\n')
    words = [word.replace("FILE", str(file)) for word in arguments]
    trace = tmp_path / "trace"
    assert starts_first([str(named["initpy"]), *words], trace, dress, env) is is_first


def starts_first(
    command: Sequence[str], trace: Path, dress: Sequence[str], env: dict[str, str]
) -> bool:
    """Run an init to the end, which has to be a good one; returns whether its first child is there
    before Python has asked for memory."""
    strace = shutil.which("strace")
    if strace is None:
        skip_or_fail("namespace", "strace is not installed")
    master, slave = os.openpty()
    ran = subprocess.run(
        [strace or "", "-o", trace, *DRESS, *dress, "--", *command],
        stdin=slave if "terminal" in dress else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={**os.environ, **env},
    )
    os.close(master)
    os.close(slave)
    assert ran.returncode == 0, ran.stderr
    calls = trace.read_text().partition(f'execve("{command[0]}"')[2]
    child, memory = re.search(r"^(vfork|fork|clone3?)\(", calls, re.M), calls.index("\nmmap(")
    assert child is not None
    return child.start() < memory


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
            timeout=90,
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
            assert init.wait(90) == 128 + signal.SIGTERM


def _is_on_its_way(pid: int) -> bool:
    """Whether it blocks signals, or, at the end of its start, waits for them, with a child."""
    return status_field(pid, "SigBlk") != "0" * 16 or bool(children(pid))
