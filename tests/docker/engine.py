"""What the tests with a real engine share: containers, and requests to what runs in them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support import REPO, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

COMMAND_S = 120.0
"""No single command of the engine takes longer, the image's build aside."""
BUILD_S = 600.0

DOCKER_STOP_S = 10.0
"""What `docker stop` gives PID 1 before it kills."""

CERTIFICATES = Path("/usr/local/share/ca-certificates")
"""Where Debian keeps the authorities that a machine trusts beyond the public ones."""

GET = """
import json, sys, urllib.error, urllib.request
try:
    with urllib.request.urlopen("http://127.0.0.1:8080" + sys.argv[1], timeout=90) as reply:
        answer = [reply.status, reply.read().decode()]
except urllib.error.HTTPError as error:
    answer = [error.code, error.read().decode()]
except Exception as error:  # refused, reset, cut off: no answer, and this is why
    answer = [0, repr(error)]
print(json.dumps(answer))
"""


class Answer(NamedTuple):
    """What a request got. Status 0: no whole answer, and `body` says why."""

    status: int
    body: str


SLOW = Answer(200, "begun\ndone\n")
"""What /slow answers in both of the examples that have it."""


class Engine:
    """A Docker engine, spoken to by its command."""

    def __init__(self, binary: str) -> None:
        self.binary = binary

    def __call__(self, *arguments: str) -> str:
        """Run a command of the engine that has to succeed; what it says, stderr included."""
        done = subprocess.run(
            [self.binary, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=COMMAND_S,
            check=False,
        )
        assert done.returncode == 0, f"docker {' '.join(arguments)}:\n{done.stdout}"
        return done.stdout

    def succeeds(self, *arguments: str) -> bool:
        """Whether a command of the engine succeeds."""
        command = [self.binary, *arguments]
        done = subprocess.run(command, capture_output=True, timeout=COMMAND_S, check=False)
        return done.returncode == 0


def build_example(engine: Engine, example: str, base: str) -> str:
    """Build the image of an example on a base image; its tag."""
    dockerfile = REPO / "examples" / example / "Dockerfile"
    return build_image(engine, dockerfile, REPO, f"BASE_IMAGE={base}")


def build_image(engine: Engine, dockerfile: Path, context: Path, *arguments: str) -> str:
    """Build an image, with build arguments; its tag."""
    tag = f"initpy-test/image:{uuid.uuid4().hex[:12]}"
    said = ""
    for buildkit in ("1", "0"):  # ten times as fast on a slow storage driver, but not everywhere
        done = subprocess.run(
            [
                *(engine.binary, "build", "--network", "host", "--tag", tag),
                *("--file", str(dockerfile)),
                *[f"--build-arg={argument}" for argument in arguments],
                str(context),
            ],
            cwd=REPO,
            env={**os.environ, "DOCKER_BUILDKIT": buildkit},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=BUILD_S,
            check=False,
        )
        said += done.stdout
        if done.returncode == 0:
            return tag
    pytest.fail(f"cannot build the image of {dockerfile}:\n{said}")


def base_with_certificates(engine: Engine, base: str) -> str:
    """The base image, trusting whom this machine trusts: pip may have to talk to a proxy."""
    if not any(CERTIFICATES.glob("*.crt")):
        return base
    tag = "initpy-test/base:with-certificates"
    done = subprocess.run(
        [engine.binary, "build", "--tag", tag, "--file", "-", str(CERTIFICATES)],
        input=f"FROM {base}\nCOPY . {CERTIFICATES}/\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=COMMAND_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return tag


def in_order(log: str, *patterns: str) -> None:
    """Assert that the log matches all of these, in this order."""
    at = 0
    for pattern in patterns:
        match = re.compile(pattern, re.MULTILINE).search(log, at)
        assert match, f"{pattern!r} does not come where it should:\n{log}"
        at = match.end()


def patient(config: Path, folder: Path) -> Path:
    """A copy with a startsecs that no failing start outlasts, however busy the machine is."""
    text, changed = re.subn(r"^startsecs = 3\b", "startsecs = 60", config.read_text(), flags=re.M)
    assert changed == 1
    copy = folder / config.name
    copy.write_text(text)
    return copy


class Container:
    """A container. It may be ended and started again: each life has a log of its own."""

    def __init__(
        self,
        engine: Engine,
        image: str,
        command: Sequence[str] = (),
        *,
        options: Sequence[str] = (),
        files: Mapping[Path, str] | None = None,
    ) -> None:
        """Create it, and copy the files (or folders) to where they are wanted in it."""
        self._engine = engine
        self._follower: subprocess.Popen[bytes] | None = None
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - until `remove`
        self._past = 0
        """Characters of the log that earlier lives have left."""
        self.name = f"initpy-test-{uuid.uuid4().hex[:12]}"
        engine("create", "--name", self.name, *options, image, *command)
        try:
            for source, target in (files or {}).items():
                engine("cp", str(source), f"{self.name}:{target}")
        except BaseException:
            self.remove()
            raise

    def start(self) -> None:
        self._stop_following()
        self._past = len(self._engine("logs", self.name))
        self._said.truncate(0)
        self._said.seek(0)
        self._engine("start", self.name)
        self._follower = subprocess.Popen(
            [self._engine.binary, "logs", "--follow", self.name],
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
        )

    @contextmanager
    def running(self) -> Iterator[Container]:
        """A life of it, in the end ended; its log is shown if the test fails."""
        try:
            self.start()
            yield self
        finally:
            print(self.log())  # noqa: T201
            self.end()

    def end(self) -> None:
        """End it at once, if it runs."""
        if self._engine.succeeds("kill", self.name):
            self.wait()
        self._stop_following()

    def _stop_following(self) -> None:
        if self._follower is not None:
            self._follower.kill()
            self._follower.wait()
            self._follower = None

    def remove(self) -> None:
        self.end()
        self._said.close()
        self._engine("rm", "--force", "--volumes", self.name)

    def log(self) -> str:
        """All that has been said in it on stdout and stderr."""
        return self._engine("logs", self.name)[self._past :]

    def _log_so_far(self) -> str:
        """The same, perhaps a moment late; it costs next to nothing, so it may be polled."""
        size = os.fstat(self._said.fileno()).st_size
        return os.pread(self._said.fileno(), size, 0).decode(errors="replace")[self._past :]

    def last_line(self) -> str:
        return self.log().rstrip("\n").rpartition("\n")[2]

    def wait_for_log(self, pattern: str, *, times: int = 1, within_s: float = 90.0) -> str:
        """Wait until the log matches so often. Returns the last match, or its first group."""

        def found() -> list[str]:
            matches = re.findall(pattern, self._log_so_far(), re.MULTILINE)
            return matches if len(matches) >= times else []

        try:
            return wait_for(found, within_s=within_s, about=pattern)[-1]
        except AssertionError:
            raise AssertionError(f"never said: {pattern!r}\n{self.log()}") from None

    def pid_of(self, program: str) -> str:
        """The pid, inside the container, of the program's newest process."""
        return self.wait_for_log(rf"spawned: '{program}' with pid (\d+)")

    def exec(self, *command: str) -> str:
        """Run a command in it that has to succeed; what it says."""
        return self._engine("exec", self.name, *command)

    def kill(self, signal: str, pid: str) -> None:
        """Send a signal to one of its processes."""
        self.exec("sh", "-c", f"kill -{signal} {pid}")

    def status_of(self, pid: str) -> dict[str, str]:
        """/proc/PID/status of one of its processes; empty when there is none."""
        said = self.exec("sh", "-c", f"cat /proc/{pid}/status 2>/dev/null || true")
        return dict(re.findall(r"^(\w+):\s*(.*)$", said, re.MULTILINE))

    def zombies(self) -> list[str]:
        """The names of its dead that nobody has reaped."""
        said = self.exec("sh", "-c", "cat /proc/[0-9]*/status 2>/dev/null || true")
        return re.findall(r"^Name:\s*(.*)\n(?:.*\n)?State:\s*Z", said, re.MULTILINE)

    def signal(self, name: str) -> None:
        """Send PID 1 a signal."""
        self._engine("kill", "--signal", name, self.name)

    def stop(self) -> None:
        """`docker stop`, as everybody types it: TERM, and KILL after DOCKER_STOP_S."""
        self._engine("stop", self.name)

    def wait(self) -> int:
        """Wait for it to end by itself; its exit code."""
        try:
            return int(self._engine("wait", self.name))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end:\n{self.log()}") from None


class Request:
    """A request that is under way."""

    def __init__(self, engine: Engine, client: Container, path: str) -> None:
        self._process = subprocess.Popen(
            [engine.binary, "exec", client.name, "python3", "-c", GET, path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    def answer(self) -> Answer:
        """Wait for its end."""
        said, _ = self._process.communicate(timeout=COMMAND_S)
        return Answer(*json.loads(said))


class Web:
    """The example, running, and a client that is outside its container but on its network.

    The client is not in the container itself because what is executed there ends with it: it could
    not tell an answer that is cut off from a client that is killed.
    """

    def __init__(self, engine: Engine, client: Container, container: Container) -> None:
        self._engine = engine
        self._client = client
        self.container = container

    def start_get(self, path: str) -> Request:
        return Request(self._engine, self._client, path)

    def get(self, path: str) -> Answer:
        return self.start_get(path).answer()

    def wait_until_it_answers(self) -> None:
        try:
            wait_for(lambda: self.get("/").status == 200, within_s=30, about="an answer")
        except AssertionError:
            raise AssertionError(f"never answered:\n{self.container.log()}") from None
