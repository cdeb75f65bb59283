"""What pip installs: the command starts PID 1 with -I and -S, wherever and however it is found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from initpy import __version__
from tests.support import REPO, skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.xdist_group(
    "packaging"
)  # one worker: the wheel is built and installed once

PYTHON = f"python{sys.version_info[0]}.{sys.version_info[1]}"
SITE = f"lib/{PYTHON}/site-packages"

CONFIG = """\
[program.web]
command = ["sh", "-c", '''
    tr '\\0' '\\n' </proc/$PPID/cmdline
    echo "FROM_OUTSIDE=$FROM_OUTSIDE PYTHONPATH=$PYTHONPATH PYTHONHOME=$PYTHONHOME"
''']
startsecs = 0
autorestart = false
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=REPO, check=True, capture_output=True, timeout=60)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def venv(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A venv, in a path with a space, with the wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("of the venv") / "my venv"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60
    )
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    install = ["install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([*pip, *install], check=True, capture_output=True, timeout=60)
    if sys.version_info < (3, 11):
        tomli = find_spec("tomli")  # there is no index to install it from; pytest has brought it
        assert tomli is not None
        assert tomli.origin is not None
        shutil.copytree(Path(tomli.origin).parent, folder / SITE / "tomli")
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "initpy.toml"
    path.write_text(CONFIG)
    return path


def run(command: Sequence[str | Path], **options: Any) -> list[str]:
    """The lines of what it prints; it has to end well."""
    ran: subprocess.CompletedProcess[str] = subprocess.run(
        command, capture_output=True, text=True, timeout=90, check=False, **options
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def arguments(config: Path, command: Sequence[str | Path], **options: Any) -> list[str]:
    """The command line of the initpy that the command has become."""
    *argv, _ = run([*command, "-c", config], **options)
    assert argv[-2:] == ["-c", str(config)]
    return argv[:-2]


def lean(python: object, site: object) -> list[str]:
    """What that should be."""
    return [str(python), "-I", "-S", f"{site}/initpy/__main__.py"]


def lean_in(venv: Path) -> list[str]:
    return lean(venv / "bin" / PYTHON, venv / SITE)


def test_the_wheel_has_one_command_and_no_script_of_pip_s_making(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if ".data/" in name] == [
        f"initpy-{__version__}.data/scripts/initpy"
    ]
    assert not any(name.endswith("entry_points.txt") for name in names)


def test_by_its_absolute_path(venv: Path, config: Path) -> None:
    assert arguments(config, [venv / "bin" / "initpy"]) == lean_in(venv)


@pytest.mark.parametrize(("folder", "path"), [(".", "bin/initpy"), ("bin", "./initpy")])
def test_by_a_relative_path(venv: Path, config: Path, folder: str, path: str) -> None:
    assert arguments(config, [path], cwd=venv / folder) == lean_in(venv)


def test_through_path(venv: Path, config: Path) -> None:
    env = {**os.environ, "PATH": f"{venv / 'bin'}:{os.environ['PATH']}"}
    assert arguments(config, ["initpy"], env=env) == lean_in(venv)


def test_by_its_name_alone(venv: Path, config: Path) -> None:
    """What comes of an empty element of PATH, which means the current directory; or of a shell."""
    by_kernel = [sys.executable, "-c", "import os, sys; os.execv('initpy', sys.argv[1:])", "initpy"]
    for command in (by_kernel, ["sh", "initpy"]):
        assert arguments(config, command, cwd=venv / "bin") == lean_in(venv)


def test_through_a_link_to_it(venv: Path, config: Path, tmp_path: Path) -> None:
    """As pipx and uv make them, in a directory of PATH. What an older install has left around the
    link counts for nothing."""
    shutil.copytree(venv / SITE / "initpy", tmp_path / SITE / "initpy")
    link = tmp_path / "bin" / "initpy"
    link.parent.mkdir()
    link.symlink_to(venv / "bin" / "initpy")
    assert arguments(config, [link]) == lean_in(venv)


def test_through_a_link_to_its_directory(venv: Path, config: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").symlink_to(venv / "bin")
    assert arguments(config, [tmp_path / "bin" / "initpy"]) == lean_in(venv)


@pytest.mark.parametrize("shell", [[], ["sh"]], ids=["by its path", "by a shell"])
def test_under_the_names_of_other_inits(venv: Path, tmp_path: Path, shell: list[str]) -> None:
    """A link is enough, with a space in its path, too."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    for name in ("tini", "docker-init", "dumb-init"):
        (folder / name).symlink_to(venv / "bin" / "initpy")
    for name in ("tini", "docker-init"):
        assert run([*shell, folder / name, "--version"]) == ["tini version 0.19.0"]
    for name in ("supervisord", "supervisorctl"):
        (folder / name).symlink_to(venv / "bin" / "initpy")
    assert run([*shell, folder / "supervisord", "-v"]) == ["4.3.0"]
    assert run([*shell, folder / "supervisorctl", "-h"])[0].startswith("supervisorctl -- control")
    script = 'tr "\\0" "\\n" </proc/$PPID/cmdline; echo "$0 $1"'
    for name in ("tini", "dumb-init"):
        command: list[str | Path] = [
            *shell,
            folder / name,
            "--",
            "sh",
            "-c",
            script,
            "a b",
            "--help",
        ]
        *argv, said = run(command, env={**os.environ, "TINI_SUBREAPER": ""})
        assert argv[:4] == lean_in(venv)
        assert argv[4:6] == ["--invoked-as", str(folder / name)]
        assert said == "a b --help"


def test_from_a_venv_that_has_been_moved(venv: Path, config: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(venv, moved, symlinks=True)
    assert arguments(config, [moved / "bin" / "initpy"]) == lean_in(moved)


def test_as_pid_1(venv: Path, config: Path, why_no_namespace: str) -> None:
    if why_no_namespace:
        skip_or_fail("namespace", why_no_namespace)
    unshare = ["unshare", "-pf", "--mount-proc", "--kill-child"]
    assert arguments(config, [*unshare, venv / "bin" / "initpy"]) == lean_in(venv)


@pytest.mark.parametrize(
    "shell", [name for name in ("dash", "bash", "busybox") if shutil.which(name)]
)
def test_with_any_shell(venv: Path, config: Path, tmp_path: Path, shell: str) -> None:
    link = tmp_path / "initpy"
    link.symlink_to(venv / "bin" / "initpy")
    command = {"bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}.get(shell, [shell])
    for script in (venv / "bin" / "initpy", link):
        assert arguments(config, [*command, script]) == lean_in(venv)


@pytest.fixture
def bare_path(tmp_path: Path) -> str:
    """A PATH with the interpreter of this version in its first directory."""
    folder = tmp_path / "interpreters"
    folder.mkdir()
    for name in (PYTHON, "python3"):
        (folder / name).symlink_to(Path(sys.executable).resolve())
    return f"{folder}:/usr/bin:/bin"


@pytest.mark.parametrize(
    ("site", "python"),
    [
        (SITE, PYTHON),  # --user, --prefix
        (f"lib/{PYTHON}/dist-packages", PYTHON),  # Debian's pip, in /usr/local
        ("lib/python3/dist-packages", "python3"),  # Debian's own packages
    ],
)
def test_without_an_interpreter_beside_it(
    venv: Path, config: Path, tmp_path: Path, bare_path: str, site: str, python: str
) -> None:
    """Then it is the one of that version on PATH."""
    prefix = tmp_path / "prefix"
    shutil.copytree(venv / SITE, prefix / site)
    (prefix / "bin").mkdir()
    shutil.copy(venv / "bin" / "initpy", prefix / "bin")
    env = {**os.environ, "PATH": bare_path}
    expected = lean(python, prefix / site)
    assert arguments(config, [prefix / "bin" / "initpy"], env=env) == expected


def test_the_rest_of_another_version_is_passed_over(
    venv: Path, config: Path, tmp_path: Path, bare_path: str
) -> None:
    prefix = tmp_path / "prefix"
    for site in ("lib/python3.1/site-packages", SITE):  # there is no python3.1
        shutil.copytree(venv / SITE, prefix / site)
    (prefix / "bin").mkdir()
    shutil.copy(venv / "bin" / "initpy", prefix / "bin")
    env = {**os.environ, "PATH": bare_path}
    expected = lean(PYTHON, prefix / SITE)
    assert arguments(config, [prefix / "bin" / "initpy"], env=env) == expected


def test_when_the_script_itself_is_a_link_to_a_cache(
    venv: Path, config: Path, tmp_path: Path
) -> None:
    """`uv pip install --link-mode symlink`."""
    moved = tmp_path / "moved"
    shutil.copytree(venv, moved, symlinks=True)
    cache = tmp_path / "cache" / "data" / "scripts"
    cache.mkdir(parents=True)
    script = moved / "bin" / "initpy"
    script.rename(cache / "initpy")
    script.symlink_to(cache / "initpy")
    assert arguments(config, [script]) == lean_in(moved)


def test_an_editable_install(venv: Path, config: Path, tmp_path: Path) -> None:
    """The package is elsewhere, and only the site module knows where."""
    editable = tmp_path / "editable"
    shutil.copytree(venv, editable, symlinks=True)
    shutil.rmtree(editable / SITE / "initpy")
    (editable / SITE / "initpy.pth").write_text(f"{REPO}\n")
    expected = [str(editable / "bin" / "python3"), "-m", "initpy"]
    assert arguments(config, [editable / "bin" / "initpy"], cwd="/") == expected


def test_variables_for_python_leave_pid_1_alone_and_reach_the_programs(
    venv: Path, config: Path, tmp_path: Path
) -> None:
    for module in ("sitecustomize", "select", "resource", "heapq", "initpy", "tomllib", "re"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('not the right module')\n")
    startup = tmp_path / "startup.py"
    startup.write_text("raise SystemExit('not for PID 1')\n")
    env = {
        **os.environ,
        "FROM_OUTSIDE": "there",
        "PYTHONPATH": str(tmp_path),
        "PYTHONHOME": "/nowhere",
        "PYTHONSTARTUP": str(startup),
        "PYTHONVERBOSE": "1",
        "PYTHONINSPECT": "1",
    }
    *_, last = run([venv / "bin" / "initpy", "-c", config], env=env)
    assert last == f"FROM_OUTSIDE=there PYTHONPATH={tmp_path} PYTHONHOME=/nowhere"


def test_exit_codes_and_arguments_pass_through_it(venv: Path, tmp_path: Path) -> None:
    script = str(venv / "bin" / "initpy")
    assert run([script, "--version"]) == [f"initpy {__version__}"]
    path = tmp_path / "a file with spaces.toml"
    path.write_text(
        "[program.web]\ncommand = ['sh', '-c', 'exit 7']\nstartsecs = 0\nautorestart = false\n"
    )
    (said,) = run([script, "check", path])
    assert said.startswith(f"{path}: ok")
    ran = subprocess.run([script, f"-c{path}"], capture_output=True, timeout=90, check=False)
    assert ran.returncode == 7
