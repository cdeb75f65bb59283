"""The container's exit code is the command's, or says what killed it, or why it never ran."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.single.support import Init, Ran, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

ALL = ("our initpy", "our tini", "our dumb-init", "tini", "dumb-init", "catatonit")
PAIRS = ("tini", "dumb-init")


def run_all(commands: Sequence[Sequence[str]]) -> list[Ran]:
    """Run them as PID 1, some at a time."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda command: run(command, as_pid1=True), commands))


@pytest.mark.namespace
@pytest.mark.usefixtures("need_namespace")
@pytest.mark.parametrize("name", ALL)
def test_each_exit_code_is_the_init_s(find_init: Callable[[str], Init], name: str) -> None:
    init = find_init(name)
    commands = [init.command((), "sh", "-c", f"exit {code}") for code in range(256)]
    assert [ran.code for ran in run_all(commands)] == list(range(256))


DEADLY = [n for n in range(1, 32) if n not in (17, 18, 19, 20, 21, 22, 23, 28)]


@pytest.mark.namespace
@pytest.mark.usefixtures("need_namespace")
@pytest.mark.parametrize("name", ALL)
def test_a_death_by_signal_is_128_and_its_number(
    find_init: Callable[[str], Init], name: str
) -> None:
    init = find_init(name)
    script = "ulimit -c 0; kill -{0} $$; sleep 9"
    commands = [init.command((), "sh", "-c", script.format(signum)) for signum in DEADLY]
    assert [ran.code for ran in run_all(commands)] == [128 + signum for signum in DEADLY]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With everything in it that cannot be executed, and one that only a shell can."""
    (tmp_path / "not-executable").write_text("#!/bin/sh\n")
    (tmp_path / "a-directory").mkdir()
    for name, text in {
        "no-interpreter": "#!/no/such/interpreter\n",
        "no-first-line": 'echo "$0" "$@"; exit 9\n',
        "empty": "",
        "not-for-this-machine": "\x7fELF\x01\x01\x01" + "\0" * 100,
    }.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "not-searchable").mkdir(mode=0)
    return tmp_path


NOT_EXECUTABLE = [
    "no-such-command",
    "./no-such-file",
    "./not-executable",
    "not-executable",
    "./a-directory",
    "./no-interpreter",
    "./no-first-line",
    "no-first-line",
    "./empty",
    "./not-for-this-machine",
    "./empty/below-a-file",
    "",
    "x" * 300,
]


@pytest.mark.parametrize("command", NOT_EXECUTABLE)
@pytest.mark.parametrize("name", PAIRS)
def test_what_cannot_be_executed_is_told_as_the_original_does(
    find_init: Callable[[str], Init], folder: Path, name: str, command: str
) -> None:
    env = {"TINI_SUBREAPER": "", "PATH": f"{folder}:/usr/bin:/bin"}
    theirs, ours = [
        run(find_init(which).command((), command, "a", "b"), cwd=folder, env=env)
        for which in (name, f"our {name}")
    ]
    assert ours == theirs


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("no-such-command", 127, "'no-such-command': not found in PATH"),
        ("./no-such-file", 127, "'./no-such-file': No such file or directory"),
        ("./not-executable", 126, "Permission denied"),
        ("./a-directory", 126, "Permission denied"),
        ("./no-interpreter", 127, "it is there, but the interpreter that its first line names"),
        ("./empty/below-a-file", 127, "Not a directory"),
        ("", 127, "'': not found in PATH"),
    ],
)
def test_what_cannot_be_executed_is_told(
    find_init: Callable[[str], Init], folder: Path, command: str, code: int, said: str
) -> None:
    path = "PATH=/usr/bin:/bin"  # with a directory in it that may not be searched, it is 126
    ran = run(["env", path, *find_init("our initpy").command((), command)], cwd=folder)
    assert (ran.code, ran.stdout) == (code, "")
    assert ran.stderr.startswith("initpy: cannot execute ")
    assert said in ran.stderr


@pytest.mark.parametrize("path", [None, "", ":", "/nonexistent", "/nonexistent:"])
@pytest.mark.parametrize("name", ["our initpy", "our tini", "our dumb-init"])
def test_path_is_searched_as_the_c_library_does(
    find_init: Callable[[str], Init], folder: Path, name: str, path: str | None
) -> None:
    """Unset, there is a default; an empty part is the current directory."""
    wrapper = ["env", "-i" if path is None else f"PATH={path}"]
    results = [
        run([*wrapper, *find_init(which).command((), command, "x")], cwd=folder).code
        for which in ("tini", name)
        for command in ("no-first-line", "true")
    ]
    assert results[:2] == [127 if code == 2 else code for code in results[2:]]


@pytest.mark.parametrize(
    "options",
    [
        ["--map-exit", "7"],
        ["--map-exit=7:0"],
        ["--map-exit", "7:3", "--map-exit=3:0", "--map-exit", "7:0"],
    ],
)
def test_an_exit_code_is_mapped(find_init: Callable[[str], Init], options: list[str]) -> None:
    init = find_init("our initpy")
    assert run(init.command(options, "sh", "-c", "exit 7")).code == 0
    assert run(init.command(options, "sh", "-c", "exit 8")).code == 8
    mapped = init.command(["--map-exit", "143:5"], "sh", "-c", "kill -TERM $$")
    assert run(mapped).code == 5


REMAPS = ["0", "1", "7", "255", "256", "-1", "", " 7", "+7", "7x", "x", "-", "007", "7 ", "7_0"]


@pytest.mark.parametrize("code", REMAPS)
def test_e_is_understood_as_tini_does(find_init: Callable[[str], Init], code: str) -> None:
    for exits_with in (0, 7):
        theirs, ours = [
            run([find_init(which).path, "-s", "-e", code, "sh", "-c", f"exit {exits_with}"])
            for which in ("tini", "our tini")
        ]
        assert ours == theirs
