"""The example with Celery, on a real engine: what an operator does to it and sees of it."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import USERS
from tests.docker.engine import DOCKER_STOP_S, in_order, patient
from tests.support import REPO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.docker.engine import Container

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker-celery")]

CANNOT_LOAD_THE_APP = 2
"""Celery's exit code for it."""
TICK_DONE = r"Task tasks\.tick\[[-0-9a-f]+\] succeeded in [^ ]+s: 'it is [0-9:]{8}'"
CALL = """
import sys
sys.path.insert(0, "/app")
import tasks
for _ in range(int(sys.argv[1])):
    print(tasks.slow.delay(float(sys.argv[2])))
"""

READ_WHILE_IT_IS_WRITTEN = """
import os, sys
from queue import Empty
sys.path.insert(0, "/app")
import folder, kombu

def channel():
    where = {"data_folder_in": "/tmp/q", "data_folder_out": "/tmp/q", "control_folder": "/tmp/q"}
    return kombu.Connection(folder.URL, transport_options=where).channel()

os.makedirs("/tmp/q", exist_ok=True)
wanted = list(range(2000))
if os.fork() == 0:
    out = channel()
    for number in wanted:
        out._put("numbers", number)
    os._exit(0)
seen, into = [], channel()
while len(seen) < len(wanted):
    try:
        seen.append(into._get("numbers"))
    except Empty:
        pass
assert sorted(seen) == wanted
"""


@pytest.fixture
def celery(create: Callable[..., Container], user: tuple[str, ...]) -> Iterator[Container]:
    """The example, just started, with a worker that is ready."""
    with create("celery", *user).running() as container:
        container.wait_for_log(r"celery@\w+ ready\.")
        yield container


def call_slow(container: Container, times: int, seconds: float) -> list[str]:
    """Put tasks into the queue; their ids."""
    return container.exec("python3", "-c", CALL, str(times), str(seconds)).split()


def done(log: str, task: str) -> int:
    """How often the log says that the task has been done."""
    return len(re.findall(rf"Task tasks\.slow\[{task}\] succeeded", log))


def children(container: Container, pid: str) -> list[str]:
    """The pids of the children of one of its processes."""
    return container.exec("cat", f"/proc/{pid}/task/{pid}/children").split()


def test_the_worker_does_what_beat_asks_for(celery: Container) -> None:
    celery.wait_for_log(TICK_DONE, times=2)
    log = celery.log()
    in_order(log, "spawned: 'worker'", "worker entered RUNNING", "spawned: 'beat'")
    in_order(
        log,
        r"celery@\w+ ready\.",
        "beat: Starting",
        r"Scheduler: Sending due task every second \(tasks\.tick\)",
        TICK_DONE,
    )


def test_a_stop_lets_the_running_task_finish_and_it_is_done_once(celery: Container) -> None:
    celery.wait_for_log("beat entered RUNNING")
    (task,) = call_slow(celery, 1, 2)
    celery.wait_for_log(rf"{task}\]: slow: 2 seconds to go")
    began = time.monotonic()
    celery.stop()
    assert time.monotonic() - began < DOCKER_STOP_S
    assert celery.wait() == 0
    log = celery.log()
    in_order(
        log,
        "received SIGTERM indicating exit request",
        r"stopped: beat \(exit status 0\)",
        r"stopped: worker \(exit status 0\)",
        r"exit code 0: stopped by SIGTERM\n\Z",
    )
    in_order(  # who writes first when PID 1 signals and says so, nobody knows
        log,
        r"worker: Warm shutdown \(MainProcess\)",
        rf"Task tasks\.slow\[{task}\] succeeded in [^ ]+s: 'done'",
        "stopped: worker",
    )
    celery.start()  # on the same queue: what was not acknowledged would come first
    celery.wait_for_log(TICK_DONE, times=2)
    assert task not in celery.log()


@pytest.mark.parametrize("user", [USERS["as root"]], ids=["as root"], indirect=True)
def test_what_waits_at_a_stop_is_done_after_it(celery: Container) -> None:
    tasks = call_slow(celery, 20, 0.5)
    celery.wait_for_log("slow: 0.5 seconds to go", times=2)
    celery.stop()
    assert celery.wait() == 0
    before = celery.log()
    waiting = [task for task in tasks if not done(before, task)]
    assert waiting
    celery.start()
    for task in waiting:
        celery.wait_for_log(rf"Task tasks\.slow\[{task}\] succeeded")
    celery.wait_for_log(TICK_DONE)
    after = celery.log()
    assert [done(before, task) + done(after, task) for task in tasks] == [1] * len(tasks)


@pytest.mark.parametrize("user", [USERS["as root"]], ids=["as root"], indirect=True)
def test_no_message_is_read_before_it_is_whole(celery: Container) -> None:
    celery.exec("python3", "-c", READ_WHILE_IT_IS_WRITTEN)


def test_what_is_killed_comes_back(celery: Container) -> None:
    celery.wait_for_log("beat entered RUNNING")
    worker = celery.pid_of("worker")
    pool = children(celery, worker)
    assert len(pool) == 2
    celery.kill("9", worker)
    celery.wait_for_log(r"exited: worker \(terminated by SIGKILL; not expected\)")
    celery.wait_for_log("spawned: 'worker'", times=2)
    assert [pid for pid in pool if celery.status_of(pid)] == []
    celery.wait_for_log("worker entered RUNNING", times=2)

    celery.kill("9", celery.pid_of("beat"))
    celery.wait_for_log(r"exited: beat \(terminated by SIGKILL; not expected\)")
    celery.wait_for_log("beat entered RUNNING", times=2)
    ticks = len(re.findall(TICK_DONE, celery.log()))
    celery.wait_for_log(TICK_DONE, times=ticks + 2)

    assert celery.zombies() == []
    log = celery.log()
    assert len(re.findall("spawned: 'worker'", log)) == 2
    assert len(re.findall("spawned: 'beat'", log)) == 2


def test_tasks_that_cannot_be_loaded_end_the_container_with_celerys_code(
    build: Callable[[str], str], start: Callable[..., Container], tmp_path: Path
) -> None:
    tasks = tmp_path / "tasks.py"
    tasks.write_text("import no_such_module\n")
    config = patient(REPO / "examples" / "celery" / "initpy.toml", tmp_path)
    container = start(build("celery"), files={tasks: "/app/tasks.py", config: "/app/initpy.toml"})
    assert container.wait() == CANNOT_LOAD_THE_APP
    in_order(
        container.log(),
        "ModuleNotFoundError: No module named 'no_such_module'",
        r"exited: worker \(exit status 2; not expected\)",
        "worker entered FATAL state",
        r"exit code 2: .*worker.*\n\Z",
    )
    assert "spawned: 'beat'" not in container.log()
