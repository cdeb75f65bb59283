"""Where the kernel counts the OOM kills of our cgroup, in the trees that engines make."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from initpy.config.cgroups import oom_file
from initpy.config.helper import SENT, send_plan
from initpy.plan import Plan
from initpy.wire import Frames
from tests.config.support import WEB

EVENTS = "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\noom_group_kill 0\n"
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"

V2 = "30 23 0:26 {root} {point} ro,nosuid - cgroup2 cgroup rw,nsdelegate\n"
V1 = "36 31 0:32 {root} {point} ro,nosuid master:9 - cgroup cgroup rw,{controller}\n"
OTHERS = (
    "22 1 0:20 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/a:/b\n"
    "23 22 0:21 / /proc rw - proc proc rw\n"
    "31 22 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
)


def tree(cgroup: str, mountinfo: str, **files: str) -> bytes:
    """A root directory with these in /proc/self, and files by their path."""
    root = Path("root")
    for name, text in {"proc/self/cgroup": cgroup, "proc/self/mountinfo": OTHERS + mountinfo,
                       **files}.items():  # fmt: skip
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return os.fsencode(root.absolute())


def v2(root: str = "/", point: str = "/sys/fs/cgroup") -> str:
    return V2.format(root=root, point=point)


def v1(root: str = "/", controller: str = "memory", point: str = "") -> str:
    return V1.format(
        root=root, point=point or f"/sys/fs/cgroup/{controller}", controller=controller
    )


@pytest.mark.parametrize(
    ("cgroup", "mountinfo", "file"),
    [
        # v2, with a namespace: Docker's and Kubernetes' default.
        ("0::/\n", v2(), "sys/fs/cgroup/memory.events"),
        # v2 without one: the whole hierarchy is there.
        ("0::/system.slice/docker-ab.scope\n", v2(),
         "sys/fs/cgroup/system.slice/docker-ab.scope/memory.events"),
        # v2, and only our part of it is mounted.
        ("0::/kubepods/pod1/ab\n", v2("/kubepods/pod1/ab"), "sys/fs/cgroup/memory.events"),
        ("0::/kubepods/pod1/ab\n", v2("/kubepods"), "sys/fs/cgroup/pod1/ab/memory.events"),
        # In a cgroup below the container's own.
        ("0::/init\n", v2(), "sys/fs/cgroup/init/memory.events"),
        # Odd names.
        ("0::/a:b/c\n", v2("/a:b", "/mnt/c\\040g"), "mnt/c g/c/memory.events"),
        ("0::/a b\n", v2("/a\\040b"), "sys/fs/cgroup/memory.events"),
        # v1, as Docker mounts it.
        ("9:pids:/docker/ab\n4:memory:/docker/ab\n", v1("/docker/ab", "pids") + v1("/docker/ab"),
         "sys/fs/cgroup/memory/memory.oom_control"),
        # v1 without a namespace and with all of the hierarchy; several controllers in one.
        ("3:cpu,memory:/x/ab\n0::/\n", v1(controller="cpu,memory", point="/cg/mem"),
         "cg/mem/x/ab/memory.oom_control"),
        # Both: the memory controller is in v1, so what v2 has does not count memory.
        ("4:memory:/x\n0::/\n", v2(point="/sys/fs/cgroup/unified") + v1(),
         "sys/fs/cgroup/memory/x/memory.oom_control"),
    ],
)  # fmt: skip
def test_where_it_is(cgroup: str, mountinfo: str, file: str) -> None:
    text = EVENTS if file.endswith("events") else CONTROL
    root = tree(cgroup, mountinfo, **{file: text})
    assert oom_file(root) == b"/" + file.encode()
    (Path("root") / file).unlink()
    assert oom_file(root) == b""


@pytest.mark.parametrize(
    ("cgroup", "mountinfo", "files"),
    [
        # Another's cgroup is mounted, ours is not.
        ("0::/a\n", v2("/b"), {"sys/fs/cgroup/memory.events": EVENTS}),
        ("0::/ab\n", v2("/a"), {"sys/fs/cgroup/memory.events": EVENTS,
                                "sys/fs/cgroup/b/memory.events": EVENTS,
                                "sys/fs/cgroupb/memory.events": EVENTS}),
        # The path is that of another hierarchy.
        ("4:memory:/x\n", v2(), {"sys/fs/cgroup/x/memory.events": EVENTS}),
        # We are outside of what our namespace shows.
        ("0::/../x\n", v2(), {"sys/fs/cgroup/memory.events": EVENTS,
                              "sys/fs/x/memory.events": EVENTS}),
        # A kernel that does not count.
        ("4:memory:/\n", v1(),
         {"sys/fs/cgroup/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\n"}),
        # Another controller's hierarchy.
        ("4:pids:/\n", v1(), {"sys/fs/cgroup/memory/memory.oom_control": CONTROL}),
        ("4:memory:/\n", v1(controller="pids"),
         {"sys/fs/cgroup/pids/memory.oom_control": CONTROL}),
        ("", v2(), {"sys/fs/cgroup/memory.events": EVENTS}),
        ("0::/\n", "", {"sys/fs/cgroup/memory.events": EVENTS}),
        ("nonsense\n::\n0::\n\n", "x - y\n- \n\n" + v2(), {"sys/fs/cgroup/memory.events": EVENTS}),
    ],
)  # fmt: skip
def test_where_there_is_none(cgroup: str, mountinfo: str, files: dict[str, str]) -> None:
    assert oom_file(tree(cgroup, mountinfo, **files)) == b""


def test_without_proc() -> None:
    assert oom_file(os.fsencode(Path.cwd())) == b""


def test_a_directory_in_its_place() -> None:
    root = tree("0::/\n", v2())
    Path("root/sys/fs/cgroup/memory.events").mkdir(parents=True)
    assert oom_file(root) == b""


def test_the_helper_sends_it_with_the_plan() -> None:
    Path("initpy.toml").write_text(WEB)
    reading, writing = os.pipe()
    try:
        assert send_plan("initpy.toml", writing) == SENT
        (plan,) = Frames().feed(os.read(reading, 65536))
    finally:
        os.close(reading)
        os.close(writing)
    assert isinstance(plan, Plan)
    assert plan.oom_file == oom_file()
    if plan.oom_file:
        assert b"oom_kill " in Path(os.fsdecode(plan.oom_file)).read_bytes()
