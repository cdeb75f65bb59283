"""The static executable in images that have nothing else, or another Debian, with a real engine."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from initpy import __version__
from tests.docker.conftest import BASE_IMAGE, USERS
from tests.docker.engine import (
    BUILD_S,
    DOCKER_STOP_S,
    base_with_certificates,
    build_image,
    in_order,
)
from tests.support import REPO, skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.docker.engine import Container, Engine

    Start = Callable[..., Container]

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]

PROGRAM = r"""
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* say NAME [CODE]: says its name, and waits for a TERM, or ends with CODE. */
static void on_term(int signum)
{
    (void)signum;
    write(1, "told to stop\n", 13);
    _exit(0);
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_term};
    if (argc == 2)
        sigaction(SIGTERM, &action, NULL);
    printf("I am %s, %d, of user %d\n", argv[1], getpid(), getuid());
    fflush(stdout);
    if (argc > 2)
        return atoi(argv[2]);
    for (;;)
        pause();
}
"""

ONE = """
[program.one]
command = "/say one"
"""

SEVERAL = """
[program.web]
command = "/say web"
startsecs = 0.1
[program.again]
command = "/say again 3"
startsecs = 0
autorestart = true
after = ["web"]
critical = false
[program.ghost]
command = "/nowhere"
startretries = 0
after = ["web"]
critical = false
"""

FATAL = """
[program.web]
command = "/say web"
startsecs = 0
[program.broken]
command = "/say broken 42"
startsecs = 5
startretries = 1
"""


OTHER_INITS = ("tini", "docker-init", "dumb-init")


@pytest.fixture(scope="module")
def scratch(
    engine: Engine, binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """FROM scratch: initpy, a static program, and three configurations."""
    folder = tmp_path_factory.mktemp("scratch")
    shutil.copy(binary, folder / "initpy")
    (folder / "say.c").write_text(PROGRAM)
    gcc = ["gcc", "-static", "-o", str(folder / "say"), str(folder / "say.c")]
    subprocess.run(gcc, check=True, timeout=60)
    for name, text in ("one", ONE), ("several", SEVERAL), ("fatal", FATAL):
        (folder / f"{name}.toml").write_text(text)
    (folder / "Dockerfile").write_text(
        'FROM scratch\nCOPY initpy say *.toml /\nENTRYPOINT ["/initpy"]\nCMD ["-c", "/one.toml"]\n'
        + "".join([f"COPY initpy /{name}\n" for name in OTHER_INITS])
    )
    tag = build_image(engine, folder / "Dockerfile", folder)
    yield tag
    engine("image", "rm", tag)


@pytest.fixture(scope="module")
def build(engine: Engine) -> Iterator[Callable[..., str]]:
    """Build an image on the base image; it is removed in the end."""
    built = []

    def build(dockerfile: str, *arguments: str) -> str:
        base = f"BASE_IMAGE={base_with_certificates(engine, BASE_IMAGE)}"
        built.append(build_image(engine, REPO / dockerfile, REPO, base, *arguments))
        return built[-1]

    yield build
    for tag in built:
        engine("image", "rm", tag)


@pytest.fixture(params=[*USERS])
def start(request: pytest.FixtureRequest, start: Start) -> Start:
    """Start a container as root, and as any user on a read-only root."""

    def start_as(image: str, *command: str) -> Container:
        return start(image, *command, files={}, options=USERS[request.param])

    return start_as


def test_one_program(start: Start, scratch: str) -> None:
    container = start(scratch)
    container.wait_for_log(r"I am one, \d+, of user (0|12345)")
    container.wait_for_log("one entered RUNNING")
    began = time.monotonic()
    container.stop()
    assert time.monotonic() - began < DOCKER_STOP_S
    assert container.wait() == 0
    container.wait_for_log("told to stop")
    container.wait_for_log("exit code 0: stopped by SIGTERM")
    assert "not PID 1" not in container.log()


@pytest.mark.parametrize("name", ["initpy", *OTHER_INITS])
def test_one_command_under_each_name(engine: Engine, scratch: str, name: str) -> None:
    run = ["run", "--rm", "--network", "none", "--entrypoint", f"/{name}", scratch, "--"]
    for command, code, said in (["/say", "it", "7"], 7, "I am it"), (["/nowhere"], None, "nowhere"):
        ended = subprocess.run(
            [engine.binary, *run, *command], capture_output=True, text=True, timeout=60, check=False
        )
        not_found = 2 if name == "dumb-init" else 127  # as dumb-init itself
        assert ended.returncode == (not_found if code is None else code), ended
        assert said in ended.stdout + ended.stderr


def test_several_programs_with_a_restart(start: Start, scratch: str) -> None:
    container = start(scratch, "-c", "/several.toml")
    container.wait_for_log("I am again", times=3)
    container.wait_for_log("can't find command '/nowhere'")
    container.stop()
    assert container.wait() == 0
    log = container.log()
    assert log.count("I am web") == 1
    assert log.count("told to stop") == 1


def test_fatal_ends_the_container_with_the_program_s_code(start: Start, scratch: str) -> None:
    container = start(scratch, "-c", "/fatal.toml")
    assert container.wait() == 42
    in_order(container.log(), "broken entered FATAL", "exit code 42")
    assert "told to stop" in container.log()
    assert container.log().count("I am broken") == 2


@pytest.fixture(scope="module", params=["bookworm", "trixie", "bullseye"])
def debian(
    engine: Engine,
    binary: Path,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """A release of Debian without Python, and initpy in it as users put it there."""
    root = f"initpy-test/root:{request.param}"
    folder = tmp_path_factory.mktemp(request.param)
    if not engine.succeeds("image", "inspect", root):
        if shutil.which("mmdebstrap") is None:
            skip_or_fail("docker", "mmdebstrap is not installed")
        tar = folder / "root.tar"
        words = ["--quiet", "--variant=extract", "--include=base-files,dash,coreutils"]
        command = ["mmdebstrap", *words, request.param, str(tar)]
        subprocess.run(command, check=True, timeout=BUILD_S)
        engine("import", str(tar), root)
        tar.unlink()
    context = folder / "context"
    context.mkdir()
    shutil.copy(binary, context / "initpy")
    (context / "initpy.toml").write_text(CLOCK)
    (context / "Dockerfile").write_text(
        f'FROM {root}\nCOPY initpy /initpy\nCOPY initpy.toml /etc/initpy.toml\nCMD ["/initpy"]\n'
    )
    tag = build_image(engine, context / "Dockerfile", context)
    yield tag
    engine("image", "rm", tag)


CLOCK = """
[program.clock]
command = ["sh", "-c", "trap 'echo bye; exit' TERM; while :; do date +the-time-%s; sleep 1; done"]
startsecs = 0.1
[program.flaky]
command = ["dash", "-c", "sleep 0.2; exit 1"]
startsecs = 0
startretries = 1000
autorestart = true
critical = false
"""


def test_in_a_debian_root(start: Start, debian: str) -> None:
    container = start(debian)
    container.wait_for_log(r"the-time-\d+", times=2)
    container.wait_for_log("exited: flaky", times=2)
    container.stop()
    assert container.wait() == 0
    container.wait_for_log("bye")
    container.wait_for_log("exit code 0: stopped by SIGTERM")


@pytest.fixture(scope="module")
def initpy_image(engine: Engine) -> Iterator[str]:
    """What the Dockerfile at the top makes."""
    base = base_with_certificates(engine, BASE_IMAGE)
    tag = build_image(engine, REPO / "Dockerfile", REPO, f"BASE={base}")
    yield tag
    engine("image", "rm", tag)


def test_the_dockerfile_makes_an_image_of_one_file(
    engine: Engine, initpy_image: str, tmp_path: Path
) -> None:
    said = engine("run", "--rm", "--network", "none", initpy_image, "--version")
    assert said == f"initpy {__version__}\n"
    container = engine("create", initpy_image).strip()
    tar = tmp_path / "image.tar"
    engine("export", "--output", str(tar), container)
    engine("rm", container)
    listing = subprocess.run(["tar", "-tvf", tar], capture_output=True, text=True, check=True)
    files = {line.split()[-1] for line in listing.stdout.splitlines() if line[0] == "-"}
    by_docker = {".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf"}
    assert files - by_docker == {"initpy"}


@pytest.mark.parametrize(
    ("dockerfile", "says"),
    [
        ("examples/quickstart/Dockerfile.binary", ["greeter [|] hello", "clock entered RUNNING"]),
        ("examples/nginx-uwsgi/Dockerfile.binary", ["uwsgi entered RUNNING", "nginx entered RUN"]),
        ("examples/gunicorn-uvicorn/Dockerfile.binary", ["gunicorn entered RUNNING"]),
        ("examples/celery/Dockerfile.binary", ["worker entered RUNNING", "beat entered RUNNING"]),
    ],
)
def test_the_examples_with_the_executable(
    build: Callable[..., str], start: Start, initpy_image: str, dockerfile: str, says: list[str]
) -> None:
    container = start(build(dockerfile, f"INITPY={initpy_image}"))
    for text in says:
        container.wait_for_log(text)
    container.stop()
    assert container.wait() == 0
    container.wait_for_log("exit code 0: stopped by SIGTERM")


def test_the_bases(build: Callable[..., str], start: Start, initpy_image: str) -> None:
    for base, arguments in ("debian", [f"INITPY={initpy_image}"]), ("debian-python", []):
        image = build(f"docker/bases/{base}.Dockerfile", *arguments)
        container = start(image, "--version")
        assert container.wait() == 0
        assert container.log() == f"initpy {__version__}\n"
