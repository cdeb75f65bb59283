"""The line that tells how a program has died, and where else it can be read."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.pid1.toml import command, program

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Init

    Start = Callable[..., Init]

HUNGRY = "x = bytearray(64 << 20); import os; os._exit(3)"
TERMINATION_LOG = Path("/dev/termination-log")


def last_death(init: Init) -> str:
    lines = re.findall(r"WARN (exited: .*)$", init.log(), re.MULTILINE)
    return str(lines[-1])


def test_the_line_has_code_uptime_and_peak_memory(start_either: Start) -> None:
    argv = [sys.executable, "-I", "-S", "-c", HUNGRY]
    init = start_either(command("web", argv, startsecs=0, autorestart=False))
    assert init.wait() == 3
    found = re.fullmatch(
        r"exited: web \(exit status 3; not expected\), up for ([\d.]+) s, peak memory (\d+) MiB",
        last_death(init),
    )
    assert found, last_death(init)
    assert 64 <= int(found[2]) < 128


def test_the_line_names_the_signal_and_the_core(start_either: Start) -> None:
    abort = ["sh", "-c", "ulimit -c 0; kill -ABRT $$$$"]
    init = start_either(command("web", abort, startsecs=0, autorestart=False))
    assert init.wait() == 128 + 6
    assert re.fullmatch(
        r"exited: web \(terminated by SIGABRT( \(core dumped\))?; not expected\), up for [\d.]+ s,"
        r" peak memory under 16 MiB",
        last_death(init),
    )


def test_a_death_that_was_asked_for_or_expected_has_no_such_line(start_either: Start) -> None:
    init = start_either(program("web", "after=0:0", startsecs=0) + program("other", startsecs=0))
    init.wait_for_log("exited: web .exit status 0; expected.$")
    init.wait_for_output("other ready")
    assert init.stop() == 0
    assert "peak memory" not in init.log()


@pytest.fixture
def in_a_private_dev(tmp_path: Path) -> Callable[[str], list[str]]:
    """A command prefix: a /dev of its own, with the file that Kubernetes would put there."""

    def wrapper(kind: str) -> list[str]:
        made = {
            "file": "echo old > /dev/termination-log",
            "none": "true",
            "folder": "mkdir /dev/termination-log",
            "pipe": "mkfifo /dev/termination-log",
        }[kind]
        keep = f"sh -c 'cat /dev/termination-log > {tmp_path}/said 2>&1' </dev/null"
        script = (
            "mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3;"
            " mknod -m 666 /dev/urandom c 1 9;"
            f' {made}; "$@"; code=$?;'
            f" [ -f /dev/termination-log ] && {keep}; exit $code"
        )
        return ["unshare", "-m", "sh", "-c", script, "sh"]

    return wrapper


@pytest.mark.namespace
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
@pytest.mark.parametrize("kind", ["file", "none", "folder", "pipe"])
def test_the_last_death_is_in_the_termination_log_where_there_is_one(
    start_init: Start,
    in_a_private_dev: Callable[[str], list[str]],
    tmp_path: Path,
    kind: str,
) -> None:
    toml = program("web", "after=0:3", startsecs=1, startretries=0)
    init = start_init(toml, wrapper=in_a_private_dev(kind))
    assert init.wait() == 3
    said = tmp_path / "said"
    if kind == "file":
        assert said.read_text() == last_death(init) + "\n"
    else:
        assert not said.exists()


@pytest.mark.namespace
def test_without_an_unexpected_death_the_termination_log_is_left_alone(
    start_init: Start, in_a_private_dev: Callable[[str], list[str]], tmp_path: Path
) -> None:
    init = start_init(program("web", "after=0:0", startsecs=0), wrapper=in_a_private_dev("file"))
    assert init.wait() == 0
    assert (tmp_path / "said").read_text() == "old\n"
