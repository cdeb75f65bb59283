"""initpy under the name supervisord: a link is enough, and the options are supervisord's."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.ctl.support import TIMEOUT_S, Client
from tests.support import REPO, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CONF = "[program:web]\ncommand=sleep 1000\nstartsecs=0\n[supervisord]\nidentifier=from-the-file\n"

Supervisord = list[str]


@pytest.fixture
def supervisord(initpy_command: list[str], tmp_path: Path) -> Supervisord:
    """How initpy is started under that name."""
    if len(initpy_command) > 1:
        return [*initpy_command, "--invoked-as", "/usr/bin/supervisord"]
    link = tmp_path / "supervisord"
    link.symlink_to(initpy_command[0])
    return [str(link)]


@pytest.fixture
def run(
    supervisord: Supervisord, initpy_command: list[str], tmp_path: Path
) -> Iterator[Callable[..., tuple[subprocess.Popen[bytes], Client]]]:
    """Start it; whatever becomes of the test, it ends."""
    started: list[subprocess.Popen[bytes]] = []
    socket = f"/tmp/initpy-ctl-{os.getpid()}-{os.urandom(4).hex()}"

    def run(*words: str, cwd: Path = REPO) -> tuple[subprocess.Popen[bytes], Client]:
        env = {**os.environ, "INITPY_SOCKET": socket, "PYTHONPATH": str(REPO)}
        with (tmp_path / "log").open("wb") as log:
            it = subprocess.Popen(
                [*supervisord, *words], cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log,
            )  # fmt: skip
        started.append(it)
        return it, Client(initpy_command, socket)

    yield run
    for it in started:
        if it.poll() is None:
            it.terminate()
            it.wait(TIMEOUT_S)


def wait_for_log(folder: Path, pattern: str) -> None:
    log = folder / "log"
    wait_for(lambda: re.search(pattern, log.read_text()), within_s=TIMEOUT_S, about=pattern)


def identification(client: Client) -> str:
    from initpy.ctl.calls import Server

    server = Server(f"unix://{client.env['INITPY_SOCKET']}")
    try:
        return str(server.call("supervisor.getIdentification"))
    finally:
        server.close()


def test_the_options_that_mean_something(
    run: Callable[..., tuple[subprocess.Popen[bytes], Client]], tmp_path: Path
) -> None:
    conf = tmp_path / "x.conf"
    conf.write_text(CONF)
    options = ["-n", "-c", str(conf), "-i", "mine", "-l", "/no/such/log", "-j", "/p", "-e", "debug"]
    it, client = run(*options)
    client.wait_until(web="RUNNING")
    assert identification(client) == "mine"
    log = (tmp_path / "log").read_text()
    said = "initpy: -l -j -e: not used: initpy stays in the foreground and logs to stderr\n"
    assert log.count(said) == 1
    it.terminate()
    assert it.wait(TIMEOUT_S) == 0


def test_long_options(
    run: Callable[..., tuple[subprocess.Popen[bytes], Client]], tmp_path: Path
) -> None:
    conf = tmp_path / "x.conf"
    conf.write_text(CONF)
    _, client = run("--nodaemon", f"--configuration={conf}", "--identifier", "long")
    client.wait_until(web="RUNNING")
    assert identification(client) == "long"


def test_the_file_is_looked_for_where_supervisord_looks(
    run: Callable[..., tuple[subprocess.Popen[bytes], Client]], tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    (folder / "etc").mkdir(parents=True)
    (folder / "etc" / "supervisord.conf").write_text(CONF)
    _, client = run(cwd=folder)
    client.wait_until(web="RUNNING")
    assert identification(client) == "from-the-file"


def test_it_outlives_a_reload_and_an_upgrade(
    run: Callable[..., tuple[subprocess.Popen[bytes], Client]], tmp_path: Path
) -> None:
    """What the arguments say holds then, too, and nothing is said a second time."""
    conf = tmp_path / "x.conf"
    conf.write_text(CONF)
    it, client = run("-c", str(conf), "-i", "mine", "-l", "x")
    client.wait_until(web="RUNNING")
    pid = client.status()["web"]["pid"]
    it.send_signal(1)
    wait_for_log(tmp_path, "reloaded: |nothing is reloaded")
    assert identification(client) == "mine"
    it.send_signal(59)
    wait_for_log(tmp_path, "took over")
    assert client.status()["web"]["pid"] == pid
    assert identification(client) == "mine"
    assert (tmp_path / "log").read_text().count("not used") == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-v"], 0, "4.3.0\n"),
        (["--version"], 0, "4.3.0\n"),
        (["-h"], 0, "supervisord -- run a set of applications"),
        (["-x"], 2, "Error: invalid option -- 'x'\nFor help, use "),
        (["-c"], 2, "Error: option requires an argument -- 'c'\nFor help, use "),
        (["start"], 2, "Error: positional arguments are not supported: ['start']\nFor help, use "),
        (["-c", "/no/such.conf"], 2, "/no/such.conf: cannot read it: No such file or directory"),
    ],
)
def test_what_runs_nothing(
    supervisord: Supervisord, words: list[str], code: int, said: str
) -> None:
    done = subprocess.run(
        [*supervisord, *words], cwd=REPO, capture_output=True, text=True, timeout=TIMEOUT_S,
        check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert said in (done.stderr if code else done.stdout)
    assert "Traceback" not in done.stderr


def test_no_file_anywhere(supervisord: Supervisord, tmp_path: Path) -> None:
    if any(os.path.exists(path) for path in ("/etc/supervisord.conf", "/etc/initpy.toml")):
        pytest.skip("there is one")
    done = subprocess.run(
        [*supervisord, "-n"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("Error: No config file found at default paths (supervisord.conf,")
