"""Programs that the executable starts in C, without a copy of its memory.

What is promised of every start in tests/linux/test_spawn.py is promised of this one, in an ordinary
Python that has loaded the executable's modules in C; and it says the same as the forked child does.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.binary.conftest import SOURCES
from tests.binary.held import Held
from tests.linux import test_spawn
from tests.linux.test_spawn import *  # noqa: F403
from tests.linux.test_spawn import NOBODY, UNPRIVILEGED, Ran, as_root, says
from tests.linux.test_spawn import run as run_spawn
from tests.pid1.test_bad_days import test_a_fork_that_fails_is_a_backoff  # noqa: F401
from tests.pid1.toml import command
from tests.support import children, skip_or_fail, status_field, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.support import Init

    Start = Callable[..., Init]

NO_FORK = "posix.fork = None\n"


@pytest.fixture(autouse=True)
def in_c(monkeypatch: pytest.MonkeyPatch, library: Path) -> None:
    """The tests that come from elsewhere, and those here, start in C."""
    monkeypatch.setattr(test_spawn, "LIBRARY", str(library))


del test_without_ctypes_no_new_privs_is_refused  # noqa: F821 - here it is not: see below


def test_no_new_privs_takes_no_ctypes() -> None:
    gone = NO_FORK + "sys.modules['ctypes'] = None"
    ran = run_spawn("/bin/grep", "NoNewPrivs", "/proc/self/status", before=gone, no_new_privs=True)
    assert says(ran).split() == ["NoNewPrivs:", "1"]


@pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm")
@pytest.mark.parametrize("optimised", ["-O0", "-O2", "-O3"])
def test_the_child_calls_nothing_of_the_c_library(tmp_path: Path, optimised: str) -> None:
    """Not even memcpy."""
    compiled = tmp_path / "child.o"
    gcc = ["gcc", "-std=gnu11", optimised, "-c", str(SOURCES / "child.c"), "-o", str(compiled)]
    subprocess.run(gcc, check=True, timeout=60)
    for option, symbols in ("--undefined-only", ""), ("--defined-only", "initpy_become"):
        nm = subprocess.run(
            ["nm", "--extern-only", option, "--format=just-symbols", compiled],
            check=True,
            capture_output=True,
            text=True,
        )
        assert nm.stdout.strip() == symbols


# ---------------------------------------------------------------- as the forked child

EVERYTHING: dict[str, Any] = {
    "directory": b"/usr",
    "umask": 0o27,
    "rlimits": ((resource.RLIMIT_CORE, 0, 0), (resource.RLIMIT_NOFILE, 100, 200)),
    "nice": 5,
    "no_new_privs": True,
    "environment": ((b"COLOUR", b"blue"), (b"EMPTY", b"")),
}

SAID = re.compile(
    r"^(Umask|[UG]id|Groups|Sig(?!Q)\w+|Shd\w+|Cap\w+|NoNewPrivs|Seccomp\w*|Cpus\w+):|^Max |=",
    re.MULTILINE,
)
"""Of /proc/PID/status, limits and environ, the lines that do not depend on when they are read."""


@pytest.fixture
def run_both(monkeypatch: pytest.MonkeyPatch, library: Path) -> Callable[..., list[Ran]]:
    """Run it once forked, as from source, and once in C."""

    def both(*argv: str, before: str = "", **options: Any) -> list[Ran]:
        ran = []
        for path, way in ("", ""), (str(library), NO_FORK):
            monkeypatch.setattr(test_spawn, "LIBRARY", path)
            ran.append(run_spawn(*argv, before=before + way, **options))
        return ran

    return both


@pytest.mark.parametrize("how", ["spawn", "stop"])
@pytest.mark.parametrize("options", [{}, EVERYTHING, {"clean_environment": True, **EVERYTHING}])
@pytest.mark.parametrize("before", ["", UNPRIVILEGED])
def test_a_program_is_born_the_same(
    run_both: Callable[..., list[Ran]], how: str, options: dict[str, Any], before: str
) -> None:
    if before:  # or there is no ctypes for the forked one
        options = options | {"no_new_privs": False}
    before = (
        "inherited = signals.replace(inherited, mask=(10, 40), ignored=(1, 12),"
        " max_files=(300, 400))\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (350, 400))\n"
        "os.umask(0o77)\n" + before
    )
    files = [f"/proc/self/{name}" for name in ("status", "limits", "environ", "oom_score_adj")]
    born = [
        [line for line in re.split("[\n\0]", says(ran)) if SAID.search(line) or line.isdigit()]
        for ran in run_both("/bin/cat", *files, how=how, before=before, **options)
    ]
    assert born[0] == born[1]
    assert {"SigIgn:\t0000000000000801", "SigBlk:\t0000008000000200"} <= set(born[1])
    assert len(born[1]) > 40
    look = ["-l", "--time-style=+", "/proc/self/cwd", "/proc/self/fd"]
    forked, in_c = run_both("/bin/ls", *look, how=how, before=before, **options)
    assert re.sub(r"\d{3,}", "N", says(forked)) == re.sub(r"\d{3,}", "N", says(in_c))
    forked, in_c = run_both("/bin/cat", "/proc/self/stat", how=how, before=before, **options)
    for ran in forked, in_c:
        pid, comm, state, _, group, session, terminal, *_ = says(ran).split()
        assert (group, session, terminal, comm, state) == (pid, pid, "0", "(cat)", "R")
    assert says(forked).split()[18] == says(in_c).split()[18]  # nice


@pytest.fixture
def odd_files() -> Iterator[Path]:
    """A folder of what cannot be executed, each for a reason of its own. Everybody may look into
    it, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        _fill(folder)
        yield folder


def _fill(folder: Path) -> None:
    for name, text, mode in (
        ("plain", "#!/bin/sh\n", 0o644),
        ("secret", "#!/bin/sh\n", 0o700),
        ("no-interpreter", "#!/no/such/interpreter\n", 0o755),
        ("text", "echo without a first line\n", 0o755),
        ("no-binary", "\x7fELF", 0o755),
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(mode)
    (folder / "folder").mkdir()
    (folder / "closed").mkdir(mode=0o700)
    (folder / "loop").symlink_to("loop")


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (["none"], "can't find command"),
        (["plain/file"], "can't find command"),
        (["plain"], "is not executable"),
        (["folder"], "is a directory"),
        (["no-interpreter"], "ENOENT: it is there"),
        (["text"], "ENOEXEC"),
        (["no-binary"], "ENOEXEC"),
        (["loop"], "ELOOP"),
        (["x" * 300], "ENAMETOOLONG"),
        (["x/" * 2100], ": ENAMETOOLONG"),
        ([], "can't find command 'word'"),
        (["none", "plain", "none"], "is not executable"),
        (["plain", "no-interpreter"], "ENOENT: it is there"),
        (["plain", "text", "no-interpreter"], "ENOEXEC"),
        (["none", "plain/file"], "can't find command 'word'"),
        (["bad \udcff name"], "can't find command"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_what_cannot_be_executed_is_told_the_same(
    run_both: Callable[..., list[Ran]], odd_files: Path, paths: Sequence[str], said: str
) -> None:
    where = tuple(os.fsencode(odd_files / path) for path in paths)
    forked, in_c = run_both("word", paths=where)
    assert forked == in_c
    assert said in in_c.reason
    assert in_c.code == (127 if "can't find" in said or "ENOENT" in said else 126)


@as_root
@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (["secret"], "no permission to run command"),
        (["closed/file"], "can't find command"),
        (["secret", "none"], "no permission to run command"),
        (["closed/file", "secret"], "no permission to run command"),
    ],
)
def test_what_a_user_may_not_execute_is_told_the_same(
    run_both: Callable[..., list[Ran]], odd_files: Path, paths: Sequence[str], said: str
) -> None:
    """As that user's own initpy: as another user's, it is forked in any case."""
    where = tuple(os.fsencode(odd_files / path) for path in paths)
    forked, in_c = run_both("word", paths=where, before=UNPRIVILEGED)
    assert forked == in_c
    assert said in in_c.reason


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"directory": b"/no/such/folder"}, "couldn't chdir to /no/such/folder: ENOENT"),
        ({"directory": b"/etc/passwd"}, "couldn't chdir to /etc/passwd: ENOTDIR"),
        ({"rlimits": ((resource.RLIMIT_CORE, 6, 5),)}, "couldn't set rlimit core to 6"),
        ({"rlimits": ((resource.RLIMIT_NOFILE, 1, 2**50),)}, "couldn't set rlimit nofile to 1"),
        ({"rlimits": ((99, 1, 1),)}, "couldn't set rlimit 99 to 1: EINVAL"),
        ({"rlimits": ((0, -1, -1),)}, "couldn't set rlimit cpu to unlimited: EPERM"),
        ({"nice": -5}, "couldn't set nice to -5: EACCES: a value below"),
    ],
)
def test_what_the_kernel_refuses_is_told_the_same(
    run_both: Callable[..., list[Ran]], options: dict[str, Any], said: str
) -> None:
    before = "resource.setrlimit(0, (1000, 2000))\n" + UNPRIVILEGED
    if "nofile" in said:
        before = ""
    forked, in_c = run_both("/bin/true", before=before, **options)
    assert forked == in_c
    assert in_c.reason.startswith(said)
    assert in_c.code == 126


def test_too_much_to_execute_is_told_the_same(run_both: Callable[..., list[Ran]]) -> None:
    forked, in_c = run_both("/bin/true", before="posix.environ[b'A'] = b'x' * 2**18\n")
    assert forked == in_c == Ran("", 126, "couldn't exec /bin/true: E2BIG")


def test_what_exec_cannot_be_given_is_told_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """By way of a fork."""
    for variable in (b"A=B", b""), (b"A", b"\0"):
        in_c = run_spawn("/bin/true", environment=(variable,))
        with monkeypatch.context() as context:
            context.setattr(test_spawn, "LIBRARY", "")
            assert run_spawn("/bin/true", environment=(variable,)) == in_c
        assert in_c.reason.startswith("couldn't prepare to exec: ValueError")


# ---------------------------------------------------------------- the memory they share


@as_root
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "0 0 -"),
        ({"oom_score_adj": 500}, "0 0 500"),
        ({"uid": NOBODY}, f"{NOBODY} 0 -"),
        ({"gid": NOBODY}, f"0 {NOBODY} -"),
    ],
)
def test_what_would_change_us_as_well_changes_the_program_alone(
    options: dict[str, Any], said: str
) -> None:
    """To the kernel, a process that shares our memory has its oom_score_adj in common with us, and
    whether others may look into it."""
    script = "echo $(id -u) $(id -g) $(cat /proc/self/oom_score_adj)"
    look = (  # PR_GET_DUMPABLE
        "sys.stdout.write(str(module.prctl(3, 0)) + ' ')\n"
        "sys.stdout.write(open('/proc/self/oom_score_adj').read())\n"
    )
    own = Path("/proc/self/oom_score_adj").read_text()
    born, ours = says(run_spawn("/bin/sh", "-c", script, after=look, **options)).splitlines()
    assert (born, ours) == (said.replace("-", own.strip()), f"1 {own.strip()}")


MAPS = """
from tests.binary.held import Held
def maps():
    with open("/proc/self/maps") as file:
        return len(file.readlines())
def run(count, size):
    held = Held(PATH)
    one = ProcessSpec("one", "one", "one", "one", (PATH.encode(),), (PATH.encode(),))
    started = [
        spawn.spawn(one, {b"SIZE": b"x" * size}, 0, inherited, 5) for _ in range(count)
    ]
    at_most = maps()
    for _ in started:
        held.let_go()
    held.close()
    for pid, fd in started:
        os.waitpid(pid, 0)
        assert spawn.read_reason(fd) == ""
        os.close(fd)
    return at_most, maps()
first, one = run(1, 10)
for size in 10, 100000:
    many, later = run(20, size)
    print(many > first + 15, later == one)
"""


@as_root
def test_of_the_memory_that_starts_take_one_block_is_kept(held: Held, tmp_path: Path) -> None:
    """However many were on their way at once, and however big they were."""
    held.close()  # that is seen to there
    before = f"PATH = {str(tmp_path / 'other')!r}\n" + NO_FORK + MAPS
    lines = says(run_spawn("/bin/true", before=before)).split("\n")
    assert [line for line in lines if line] == ["True True"] * 2


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    try:
        held = Held(str(tmp_path / "held"))
    except OSError as exc:
        skip_or_fail("namespace", str(exc))
    yield held
    held.close()


def on_its_way(init: Init, count: int) -> list[int]:
    """The children that have yet to become their programs; they look as initpy does."""

    def found() -> list[int]:
        name = status_field(init.pid, "Name")
        pids = [pid for pid in children(init.pid) if status_field(pid, "Name") == name]
        stuck = [pid for pid in pids if status_field(pid, "State").startswith("D")]
        return stuck if len(stuck) == count else []

    init.wait_for_log("spawned: ", times=count)  # before that, the config helper may look so
    return wait_for(found, about=f"{count} children on their way to exec")


def two_held(tmp_path: Path) -> str:
    path = str(tmp_path / "held")
    return "".join(
        command(name, [path, name, "is born"], startsecs=0, autorestart=False, stopwaitsecs=1)
        for name in ("first", "second")
    )


def test_nobody_waits_for_an_exec(start_init: Start, tmp_path: Path, held: Held) -> None:
    """And each has what it was told to be, however many wait."""
    init = start_init(two_held(tmp_path) + command("web", ["sleep", "1000"], startsecs=0))
    on_its_way(init, 2)
    init.wait_for_log("success: web entered RUNNING")
    held.let_go()
    init.wait_for_output("is born")
    held.let_go()
    init.wait_for_output("first is born")
    init.wait_for_output("second is born")
    assert init.stop() == 0


def test_who_is_on_its_way_can_be_stopped(start_init: Start, tmp_path: Path, held: Held) -> None:
    init = start_init(two_held(tmp_path))
    on_its_way(init, 2)
    assert init.stop() == 0
    assert "is born" not in init.output()


def test_it_executes_itself_while_they_are_on_their_way(
    start_init: Start, tmp_path: Path, held: Held
) -> None:
    """The memory is theirs then, and is not touched any more."""
    init = start_init(two_held(tmp_path) + command("web", ["sleep", "1000"], startsecs=0))
    stuck = on_its_way(init, 2)
    for times in (1, 2):
        init.kill(signal.SIGRTMIN + 25)
        init.wait_for_log("took over 3 processes from", times=times)
    assert on_its_way(init, 2) == stuck
    held.let_go()
    held.let_go()
    init.wait_for_output("first is born")
    init.wait_for_output("second is born")
    init.wait_for_log(r"exited: (first|second) \(exit status 0; expected\)", times=2)
    assert init.stop() == 0


def test_it_ends_while_they_are_on_their_way(start_init: Start, tmp_path: Path, held: Held) -> None:
    """As a subreaper, where nobody ends them with it."""
    init = start_init(two_held(tmp_path), as_pid1=False)
    stuck = on_its_way(init, 2)
    init.kill(signal.SIGKILL)
    init.wait()
    assert all(status_field(pid, "State") for pid in stuck)
    held.let_go()
    held.let_go()
    init.wait_for_output("first is born")
    init.wait_for_output("second is born")


def test_the_death_of_a_child_is_its_own(start_init: Start, tmp_path: Path, held: Held) -> None:
    """Before exec, too."""
    path = str(tmp_path / "held")
    init = start_init(command("web", [path, "web is born"], startsecs=0, autorestart=False))
    (stuck,) = on_its_way(init, 1)
    os.kill(stuck, signal.SIGKILL)
    init.wait_for_log("exited: web .terminated by SIGKILL")
    assert init.wait() == 137


# ---------------------------------------------------------------- where the kernel does not let us


needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")

THRICE = {"count": 2, "window": 1000}


def starts_under(
    start_init: Start, tmp_path: Path, outer: Sequence[str], *injected: str
) -> tuple[list[bool], list[str]]:
    """Of a program that is started three times, whether each child shared the memory; and the
    errors of children that could not be made."""
    trace = tmp_path / "trace"
    strace = ["strace", "-o", str(trace), "-e", "trace=clone"]
    toml = command("web", ["true"], startsecs=0, autorestart=True, restart_limit=THRICE)
    init = start_init(toml, as_pid1=False, wrapper=[*outer, *strace, *injected])
    init.wait()
    lines = [line for line in trace.read_text().splitlines() if " = " in line]
    made = {line.split(" = ")[1]: "CLONE_VM" in line for line in lines}
    pids = re.findall(r"spawned: 'web' with pid (\d+)", init.log())
    return [made[pid] for pid in pids], [what.split()[1] for what in made if what.startswith("-")]


@needs_strace
def test_all_starts_share_the_memory(start_init: Start, tmp_path: Path) -> None:
    assert starts_under(start_init, tmp_path, []) == ([True] * 3, [])


@needs_strace
@pytest.mark.parametrize("error", ["EPERM", "EACCES", "EINVAL", "ENOSYS"])
def test_a_kernel_that_refuses_it_is_not_asked_again(
    start_init: Start, tmp_path: Path, error: str
) -> None:
    """The first child that it makes is the config helper."""
    inject = f"inject=clone:error={error}:when=2"
    assert starts_under(start_init, tmp_path, [], "-e", inject) == ([False] * 3, [error])


@needs_strace
@pytest.mark.skipif(shutil.which("setarch") is None, reason="needs setarch")
def test_an_old_kernel_is_not_asked(start_init: Start, tmp_path: Path) -> None:
    """One that calls itself 2.6."""
    old = ["setarch", "--uname-2.6"]
    assert starts_under(start_init, tmp_path, old) == ([False] * 3, [])
