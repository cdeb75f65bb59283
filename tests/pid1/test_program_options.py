"""What a program of the file is given to live with: environment, limits, priorities, privileges."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.pid1.toml import command

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Init

    Start = Callable[..., Init]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

CIRCUMSTANCES = (
    "echo files $(ulimit -Sn) $(ulimit -Hn) core $(ulimit -c) nice $(nice)"
    " oom $(cat /proc/self/oom_score_adj) $(grep NoNewPrivs /proc/self/status)"
)


def once(name: str, script: str, **options: object) -> str:
    """A program that runs a shell script once."""
    return command(name, ["/bin/sh", "-c", script], startsecs=0, autorestart=False, **options)


def test_limits_priorities_and_privileges(start_either: Start) -> None:
    init = start_either(
        once(
            "web",
            CIRCUMSTANCES,
            rlimits={"nofile": [200, 300], "core": 0},
            nice=5,
            oom_score_adj=789,
            no_new_privs=True,
        )
    )
    assert init.wait() == 0
    assert init.output() == "files 200 300 core 0 nice 5 oom 789 NoNewPrivs: 1\n"


def test_they_are_the_program_s_alone(start_either: Start) -> None:
    """PID 1 itself, and with it the next program, stay as they were."""
    init = start_either(
        once(
            "changed",
            "echo changed",
            clean_environment=True,
            rlimits={"nofile": 200, "core": 0},
            nice=5,
            oom_score_adj=789,
            no_new_privs=True,
        )
        + once("plain", f"echo $FROM_OUTSIDE; {CIRCUMSTANCES}", priority=1000),
        env={"FROM_OUTSIDE": "there"},
    )
    assert init.wait() == 0
    here = subprocess.run(
        ["/bin/sh", "-c", CIRCUMSTANCES], stdout=subprocess.PIPE, text=True, check=True
    )
    assert f"there\n{here.stdout}" in init.output().replace("changed\n", "")


@as_root
def test_as_another_user_too(start_either: Start) -> None:
    init = start_either(
        once(
            "web",
            f"id -u; id -g; {CIRCUMSTANCES}",
            user="12345",
            group="54321",
            rlimits={"nofile": 64, "core": 0, "nproc": 100},
            nice=5,
            oom_score_adj=789,
            no_new_privs=True,
        )
    )
    assert init.wait() == 0
    assert init.output() == "12345\n54321\nfiles 64 64 core 0 nice 5 oom 789 NoNewPrivs: 1\n"


def test_a_clean_environment(start_either: Start) -> None:
    """The container's is left out; what initpy itself says of the process is not."""
    init = start_either(
        once("web", "env", clean_environment=True, environment={"COLOUR": "blue"}),
        env={"SECRET": "xyzzy"},
    )
    assert init.wait() == 0
    names = {line.partition("=")[0] for line in init.output().splitlines()}
    assert {"COLOUR", "SUPERVISOR_PROCESS_NAME"} <= names
    assert "SECRET" not in names
    assert "xyzzy" not in init.output()


def test_a_limit_for_queued_signals_is_the_program_s_own(start_either: Start) -> None:
    """PID 1 has lowered this one for itself."""
    script = "grep pending /proc/self/limits"
    init = start_either(once("web", script, rlimits={"sigpending": [70, 80]}))
    assert init.wait() == 0
    assert init.output().split() == ["Max", "pending", "signals", "70", "80", "signals"]


def test_what_the_kernel_refuses_is_said_and_ends_the_container(start_either: Start) -> None:
    """More open files than the kernel allows anybody."""
    init = start_either(command("web", ["/bin/true"], startretries=0, rlimits={"nofile": 2**40}))
    assert init.wait() == 126
    assert re.search(
        f"couldn't set rlimit nofile to {2**40}: EPERM: a hard limit above the one that initpy has"
        " takes CAP_SYS_RESOURCE, and none can be above /proc/sys/fs/nr_open$",
        init.log(),
        re.MULTILINE,
    )
