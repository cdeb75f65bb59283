"""The command is started as if there were no init: signals, descriptors, environment, place."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.single.support import BINARY, NAMESPACE, PYTHON, Init, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ALL = ("our initpy", "our tini", "our docker-init", "our dumb-init", "tini", "dumb-init")
SIGNALS = ["grep", "^Sig[BIC]", "/proc/self/status"]

CASES = {
    "nothing": [],
    "blocked": ["block=1,10,15,17,34,64"],
    "ignored": ["ignore=1,2,3,12,15,21,22,40"],
    "both": ["block=2,13,20", "ignore=2,20,28,25"],
}


def masks(init: Init, dress: list[str], *, as_pid1: bool) -> str:
    ran = run(init.command((), *SIGNALS), dress=dress, as_pid1=as_pid1)
    assert ran.code == 0, ran.stderr
    return ran.stdout


def expected(case: list[str]) -> str:
    """What the command would have without any init, read with the same means."""
    return run(SIGNALS, dress=case or ["block="]).stdout


@pytest.mark.namespace
@pytest.mark.usefixtures("need_namespace")
@pytest.mark.parametrize("as_pid1", [True, False], ids=["as PID 1", "as an ordinary process"])
@pytest.mark.parametrize("case", [name for name in CASES if name != "both"])
@pytest.mark.parametrize("name", [name for name in ALL if "dumb" not in name])
def test_mask_and_ignored_signals_reach_the_command_unchanged(
    find_init: Callable[[str], Init], name: str, case: str, as_pid1: bool
) -> None:
    seen = masks(find_init(name), CASES[case], as_pid1=as_pid1)
    assert seen == expected(CASES[case])


@pytest.mark.parametrize("name", ["our initpy", "our tini", "tini"])
def test_what_python_ignores_itself_is_not_ignored_in_the_command(
    find_init: Callable[[str], Init], name: str
) -> None:
    """PIPE and XFSZ. Had they been ignored before, only the static executable could know."""
    seen = masks(find_init(name), CASES["both"], as_pid1=False)
    if name.startswith("our") and BINARY is None:
        assert seen == expected(["block=2,13,20", "ignore=2,20,28"])
    else:
        assert seen == expected(CASES["both"])


@pytest.mark.parametrize("case", CASES)
def test_dumb_init_sets_everything_back(find_init: Callable[[str], Init], case: str) -> None:
    theirs = masks(find_init("dumb-init"), CASES[case], as_pid1=False)
    assert masks(find_init("our dumb-init"), CASES[case], as_pid1=False) == theirs


@pytest.mark.parametrize("name", ["our initpy", "our tini", "our dumb-init"])
def test_an_ignored_chld_is_no_obstacle(find_init: Callable[[str], Init], name: str) -> None:
    """The kernel would reap the command in our place; the real tini then waits for ever."""
    ran = run(find_init(name).command((), *SIGNALS), dress=["ignore=17"])
    assert ran.code == 0
    is_reset = "dumb" in name
    assert ("SigIgn:\t0000000000010000" in ran.stdout) is not is_reset


PLACE = """
import os
own = os.getpid()
parent = os.getppid()
words = ["leads its session" if os.getsid(0) == own else "same session" if
         os.getsid(0) == os.getsid(parent) else "other session"]
words += ["leads its group" if os.getpgrp() == own else "same group" if
          os.getpgrp() == os.getpgid(parent) else "other group"]
print(*words, sep=", ")
"""


@pytest.mark.namespace
@pytest.mark.usefixtures("need_namespace")
@pytest.mark.parametrize(
    ("name", "options", "place"),
    [
        ("tini", [], "same session, leads its group"),
        ("dumb-init", [], "leads its session, leads its group"),
        ("dumb-init", ["-c"], "same session, same group"),
        ("initpy", [], "leads its session, leads its group"),
        ("initpy", ["--no-session"], "same session, same group"),
    ],
)
def test_sessions_and_groups(
    find_init: Callable[[str], Init], name: str, options: list[str], place: str
) -> None:
    for which in (name, f"our {name}"):
        if which == "initpy":
            continue
        command = find_init(which).command(options, *PYTHON, "-c", PLACE)
        for as_pid1 in (True, False):
            assert run(command, as_pid1=as_pid1).stdout == f"{place}\n", which


@pytest.mark.namespace
@pytest.mark.usefixtures("need_namespace")
@pytest.mark.parametrize("name", ALL)
def test_descriptors_environment_and_directory(
    find_init: Callable[[str], Init], name: str, tmp_path: Path
) -> None:
    """Descriptors stay open, as systemd's socket activation needs them; and Python adds nothing
    to the environment, not even where there is no locale in it."""
    script = "ls -l /proc/self/fd | grep -c null; pwd; env | sort"
    dress = ["bare", "fd=9"]
    command = find_init(name).command((), "sh", "-c", script)
    bare = run(["sh", "-c", script], dress=dress, cwd=tmp_path)
    assert run(command, dress=dress, cwd=tmp_path, as_pid1=True).stdout == bare.stdout
    assert bare.stdout.splitlines()[1] == str(tmp_path)


@pytest.mark.namespace
@pytest.mark.usefixtures("need_namespace")
@pytest.mark.parametrize("name", ALL)
def test_arguments_may_be_any_bytes(find_init: Callable[[str], Init], name: str) -> None:
    words = [b"\xff\xfe", "ä€".encode(), b"", b"a\nb", b"--", b"-v"]
    command: list[str | bytes] = [*find_init(name).command((), "printf", "%s|"), *words]
    for env in ({"LC_ALL": "C"}, {"LC_ALL": "C.UTF-8"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}):
        ran = subprocess.run(
            [*NAMESPACE, *command],
            capture_output=True,
            check=True,
            timeout=90,
            env={**os.environ, **env},
        )
        assert ran.stdout == b"|".join([*words, b""])


@pytest.mark.parametrize("closed", ["0", "1", "2", "0 1 2"])
@pytest.mark.parametrize("name", ["our initpy", "our tini", "our dumb-init"])
def test_closed_standard_descriptors_stay_closed(
    find_init: Callable[[str], Init], name: str, closed: str, tmp_path: Path
) -> None:
    """As the originals; but tini, which needs stdin to be open."""
    out = tmp_path / "out"
    listing = f"import os; open({str(out)!r}, 'w').write(repr(sorted(os.listdir('/proc/self/fd'))))"
    close = " ".join(f"{number}>&-" for number in closed.split())
    codes, fds = [], []
    for which in (name, name.removeprefix("our ")):
        if which == "initpy":
            continue
        out.unlink(missing_ok=True)
        command = find_init(which).command((), *PYTHON, "-c", listing)
        ran = subprocess.run(
            ["sh", "-c", f'exec "$@" {close}', "sh", *command],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=90,
            check=False,
        )
        codes.append(ran.returncode)
        fds.append(out.read_text() if out.exists() else "")
    assert codes[0] == codes[-1]
    assert fds[0] == fds[-1]
    if name == "our initpy":
        assert codes == [0]


def test_the_dress_is_worn() -> None:
    """What these tests rest on: the circumstances are as they are asked for."""
    ran = run(SIGNALS, dress=["block=1,64", "ignore=2"])
    assert "SigBlk:\t8000000000000001" in ran.stdout
    assert "SigIgn:\t0000000000000002" in ran.stdout
