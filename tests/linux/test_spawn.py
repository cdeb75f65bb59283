"""What a child does before it executes, in a process of its own that plays PID 1."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from typing import Any, NamedTuple

import pytest

from tests.support import REPO

OURS = (
    "INITPY_PROCESS=5",
    "SUPERVISOR_ENABLED=1",
    "SUPERVISOR_GROUP_NAME=group",
    "SUPERVISOR_PROCESS_NAME=web",
)
"""What every program gets."""

NOBODY = 54321
"""A user that no account has."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

LIBRARY = ""
"""The executable's modules in C, if it is the executable's way that is tested; see
tests/binary/test_start.py."""

SCRIPT = f"""
import sys; sys.path.insert(0, {str(REPO)!r})
import os, posix, resource
if sys.argv[2]:
    import importlib.machinery, importlib.util, signal
    loader = importlib.machinery.ExtensionFileLoader("_initpy", sys.argv[2])
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("_initpy", loader))
    loader.exec_module(module)
    sys.modules["_initpy"] = module
    sys.builtin_module_names += ("_initpy",)
    for signum in (signal.SIGPIPE, signal.SIGXFSZ):  # ignored by this Python, and not by that
        signal.signal(signum, signal.SIG_DFL)
from initpy.linux import signals, spawn
from initpy.plan import ProcessSpec
mask = signals.block_all()
inherited = signals.Signals(mask).inherited
how, options, before, after = eval(sys.argv[1])
exec(before)
spec = ProcessSpec(key="web", name="web", group="group", program="web", **options)
environment = dict(posix.environ)
null = os.open("/dev/null", os.O_RDWR)
if how == "spawn":
    pid, fd = spawn.spawn(spec, environment, null, inherited, 5)
else:
    pid, fd = spawn.spawn_stop_command(spec, environment, null, inherited, 5, 4711)
_, status = os.waitpid(pid, 0)
exec(after)
print("##", os.waitstatus_to_exitcode(status), spawn.read_reason(fd))
assert environment == dict(posix.environ)
"""


class Ran(NamedTuple):
    output: str
    code: int
    reason: str


def run(
    *argv: str,
    how: str = "spawn",
    before: str = "",
    after: str = "",
    env: dict[str, str] | None = None,
    **options: Any,
) -> Ran:
    """What the program (or, with another `how`, its stop command) prints, its exit code, and the
    reason if it could not be executed. `before` is run in the parent, and `after` when the child
    has ended."""
    words = tuple(word.encode() for word in argv)
    if how == "spawn":
        options = {"argv": words, "paths": words[:1]} | options
    else:
        options |= {"argv": (b"main",), "paths": (b"/no/main",)}
        options |= {"stop_command": words, "stop_paths": words[:1]}
    given = repr((how, options, before, after))
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", "-c", SCRIPT, given, LIBRARY],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env=env,
    )
    assert ran.returncode == 0, ran.stderr
    output, _, last = ran.stdout.rpartition("## ")
    code, _, reason = last.rstrip("\n").partition(" ")
    return Ran(output, int(code), reason)


def says(ran: Ran) -> str:
    """The output of a program that has ended well."""
    assert (ran.code, ran.reason) == (0, "")
    return ran.output


def limit(name: str, output: str) -> list[str]:
    """Soft and hard limit, from what /proc/PID/limits says."""
    (line,) = [line for line in output.splitlines() if line.startswith(name)]
    return line.removeprefix(name).split()[:2]


OWN: dict[str, Any] = {"environment": ((b"COLOUR", b"blue"), (b"KEPT", b"changed"))}


def test_the_environment_is_laid_over_the_one_of_pid_1() -> None:
    ran = run("/usr/bin/env", env={"KEPT": "kept", "LC_ALL": "C"}, **OWN)
    names = [*OURS, "COLOUR=blue", "KEPT=changed", "LC_ALL=C"]
    assert sorted(says(ran).split()) == sorted(names)


def test_the_programs_own_environment_goes_over_supervisords_variables() -> None:
    ran = run("/usr/bin/env", environment=((b"SUPERVISOR_ENABLED", b"no"),))
    assert "SUPERVISOR_ENABLED=no" in says(ran).split()


def test_the_mark_goes_behind_that_of_an_outer_initpy() -> None:
    for clean in (False, True):
        ran = run("/usr/bin/env", env={"INITPY_PROCESS": "7:8"}, clean_environment=clean)
        assert "INITPY_PROCESS=7:8:5" in says(ran).split()


def test_the_mark_is_in_the_limits_too_where_they_allow_it() -> None:
    ran = run("/usr/bin/grep", "locks", "/proc/self/limits")
    assert says(ran).split()[3:5] == ["5", "unlimited"]
    tight = "resource.setrlimit(10, (3, 3))"
    ran = run("/usr/bin/grep", "locks", "/proc/self/limits", before=tight)
    assert says(ran).split()[3:5] == ["3", "3"]


def test_a_clean_environment_has_its_own_variables_alone() -> None:
    ran = run("/usr/bin/env", env={"OTHER": "other"}, clean_environment=True, **OWN)
    assert sorted(says(ran).split()) == sorted([*OURS, "COLOUR=blue", "KEPT=changed"])


def test_limits() -> None:
    limits = (
        (resource.RLIMIT_NOFILE, 200, 300),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NPROC, 1000, 2000),
    )
    said = says(run("/bin/cat", "/proc/self/limits", rlimits=limits))
    assert limit("Max open files", said) == ["200", "300"]
    assert limit("Max core file size", said) == ["0", "0"]
    assert limit("Max processes", said) == ["1000", "2000"]


def test_without_limits_those_of_pid_1_stay() -> None:
    before = (
        "assert resource.getrlimit(resource.RLIMIT_SIGPENDING)[0] <= signals.MAX_QUEUED\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (5, 6))"
    )
    said = says(run("/bin/cat", "/proc/self/limits", before=before))
    assert limit("Max core file size", said) == ["5", "6"]
    own = [str(value) for value in resource.getrlimit(resource.RLIMIT_SIGPENDING)]
    assert limit("Max pending signals", said) == [value.replace("-1", "unlimited") for value in own]


def test_a_limit_for_queued_signals_wins_over_the_inherited_one() -> None:
    limits = ((resource.RLIMIT_SIGPENDING, 70, 80),)
    said = says(run("/bin/cat", "/proc/self/limits", rlimits=limits))
    assert limit("Max pending signals", said) == ["70", "80"]


def test_the_hard_limit_of_open_files_cannot_be_above_all_bounds() -> None:
    """Not even for root with every capability."""
    ran = run("/bin/true", rlimits=((resource.RLIMIT_NOFILE, 1024, 2**40),))
    assert ran == Ran(
        "",
        126,
        f"couldn't set rlimit nofile to 1024 (hard limit: {2**40}): EPERM: a hard limit above the"
        " one that initpy has takes CAP_SYS_RESOURCE, and none can be above /proc/sys/fs/nr_open",
    )


UNPRIVILEGED = f"if os.geteuid() == 0: os.setuid({NOBODY})\n"


def test_who_may_not_raise_a_hard_limit_is_told_so() -> None:
    before = "resource.setrlimit(resource.RLIMIT_CORE, (5, 6))\n" + UNPRIVILEGED
    ran = run("/bin/true", before=before, rlimits=((resource.RLIMIT_CORE, -1, -1),))
    assert ran == Ran(
        "",
        126,
        "couldn't set rlimit core to unlimited: EPERM: a hard limit above the one that initpy has"
        " takes CAP_SYS_RESOURCE",
    )


def test_a_soft_limit_above_the_hard_one_is_refused() -> None:
    ran = run("/bin/true", rlimits=((resource.RLIMIT_CORE, 6, 5),))
    assert ran == Ran(
        "",
        126,
        "couldn't set rlimit core to 6 (hard limit: 5): EINVAL: the soft limit is above the hard"
        " limit",
    )


@as_root
def test_a_user_with_too_many_processes_is_told_so() -> None:
    others = [subprocess.Popen(["sleep", "60"], user=NOBODY) for _ in range(2)]
    try:
        ran = run("/bin/true", uid=NOBODY, gid=NOBODY, rlimits=((resource.RLIMIT_NPROC, 1, 1),))
    finally:
        for other in others:
            other.kill()
            other.wait()
    assert ran == Ran(
        "",
        126,
        "couldn't exec /bin/true: EAGAIN: its user has more processes than rlimit nproc allows",
    )


def test_nice_is_absolute() -> None:
    """What `nice` prints; the parent has been nice itself."""
    assert says(run("/usr/bin/nice", before="os.nice(3)", nice=5)) == "5\n"
    assert says(run("/usr/bin/nice", before="os.nice(3)")) == f"{os.nice(0) + 3}\n"


def test_who_may_not_lower_its_nice_value_is_told_so() -> None:
    ran = run("/bin/true", before="os.nice(3)\n" + UNPRIVILEGED, nice=0)
    assert ran == Ran(
        "",
        126,
        "couldn't set nice to 0: EACCES: a value below the one that initpy has takes CAP_SYS_NICE",
    )


@pytest.mark.parametrize(
    ("options", "short"),
    [
        ({"nice": 0}, "couldn't set nice to 0: EACCES"),
        ({"rlimits": ((7, 2, 1),)}, "couldn't set rlimit 7: EINVAL"),
        ({"directory": b"/no"}, "couldn't chdir to /no: ENOENT"),
    ],
)
def test_where_the_words_for_it_are_gone_it_is_told_in_short(
    options: dict[str, Any], short: str
) -> None:
    gone = "sys.modules['initpy.linux.refusals'] = None\nos.nice(3)\n" + UNPRIVILEGED
    ran = run("/bin/true", before=gone, **options)
    assert ran.code == 126
    assert ran.reason.startswith(short)


def test_oom_score_adj() -> None:
    said = says(run("/bin/cat", "/proc/self/oom_score_adj", oom_score_adj=789))
    assert said == "789\n"


def test_who_may_not_lower_its_oom_score_is_told_so() -> None:
    ran = run("/bin/true", before=UNPRIVILEGED, oom_score_adj=-1000)
    # For a process that has given root up, this file is still root's.
    below = ": a value below the one that initpy has takes CAP_SYS_RESOURCE"
    why = "EACCES" if os.geteuid() == 0 else f"EACCES{below}"
    assert ran == Ran("", 126, f"couldn't set oom_score_adj to -1000: {why}")


@pytest.mark.parametrize(("asked", "bit"), [(True, "1"), (False, "0")])
def test_no_new_privs(asked: bool, bit: str) -> None:
    said = says(run("/bin/grep", "NoNewPrivs", "/proc/self/status", no_new_privs=asked))
    assert said.split() == ["NoNewPrivs:", bit]


def test_without_ctypes_no_new_privs_is_refused() -> None:
    ran = run("/bin/true", before="sys.modules['ctypes'] = None", no_new_privs=True)
    assert ran == Ran(
        "",
        126,
        "couldn't set no_new_privs: this Python has no ctypes, through which it is set (on Debian,"
        " ctypes comes with python3, not with python3-minimal)",
    )


@as_root
def test_limits_and_privileges_are_settled_before_the_user_is_changed() -> None:
    """All that takes files, memory or root, for a program that has none of these."""
    script = (
        "cat /proc/self/oom_score_adj; nice; ulimit -n; id -u; grep NoNewPrivs /proc/self/status"
    )
    options: dict[str, Any] = {
        "uid": NOBODY,
        "gid": NOBODY,
        "rlimits": ((resource.RLIMIT_NOFILE, 4, 4), (resource.RLIMIT_NPROC, 50, 50)),
        "nice": 7,
        "oom_score_adj": 321,
        "no_new_privs": True,
    }
    said = says(run("/bin/sh", "-c", script, **options)).split()
    assert said == ["321", "7", "4", str(NOBODY), "NoNewPrivs:", "1"]


def test_a_limit_that_leaves_no_descriptor_is_no_obstacle() -> None:
    """It is executed, though it finds then that it cannot open its libraries."""
    options: dict[str, Any] = {
        "rlimits": ((resource.RLIMIT_NOFILE, 0, 0),),
        "oom_score_adj": 1000,
        "no_new_privs": True,
        "directory": b"/usr",
    }
    assert run("/bin/true", **options).reason == ""


def test_a_stop_command_runs_in_the_circumstances_of_its_program() -> None:
    script = "echo $MAINPID $COLOUR $KEPT $OTHER $(pwd) $(umask) $(ulimit -c) $(nice)"
    ran = run(
        "/bin/sh",
        "-c",
        script,
        how="stop",
        env={"KEPT": "kept", "OTHER": "other", "MAINPID": "1"},
        directory=b"/usr",
        umask=0o27,
        rlimits=((resource.RLIMIT_CORE, 0, 0),),
        nice=5,
        **OWN,
    )
    assert says(ran) == "4711 blue changed other /usr 0027 0 5\n"


def test_a_stop_command_knows_the_pid_in_a_clean_environment_too() -> None:
    ran = run("/usr/bin/env", how="stop", env={"OTHER": "o"}, clean_environment=True, **OWN)
    names = [*OURS, "COLOUR=blue", "KEPT=changed", "MAINPID=4711"]
    assert sorted(says(ran).split()) == sorted(names)


def test_a_stop_command_that_is_not_there() -> None:
    ran = run("/no/such/command", how="stop")
    assert ran == Ran("", 127, "can't find command '/no/such/command'")


def test_a_stop_command_for_which_there_is_no_descriptor() -> None:
    """What is said names the stop command, and not only the program."""
    before = (
        "soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))\n"
        "web = ProcessSpec('web', 'web', 'web', 'web', (b'main',), ())\n"
        "try: spawn.spawn_stop_command(web, {}, 0, inherited, 5, 1)\n"
        "except spawn.SpawnError as exc: print(exc, flush=True)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))"
    )
    said = says(run("/bin/true", before=before))
    assert said == "too many open files to spawn 'web's stop_command'\n"
