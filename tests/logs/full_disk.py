"""A log on a file system of 1 MB that fills up and is emptied again; prints what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from initpy.logs.memory import Tail
from tests.logs.support import Relay, channel_plan, to_file
from tests.support import wait_for


def run(disk: Path, *, drops: bool) -> dict[str, object]:
    filler = disk / "filler"
    filler.write_bytes(b"x" * 900_000)
    path = disk / "log"
    relay = Relay(channel_plan(to_file(path, drops=drops)))
    lines = [b"%06d %s\n" % (number, b"y" * 20) for number in range(9000)]
    raw = b"".join(lines)
    relay.write(raw[:240_000])
    wait_for(relay.messages)
    if drops:
        relay.write(raw[240_000:])
        wait_for(lambda: Tail(relay.memory_fd, 0).total() == len(raw))
    filler.unlink()
    if not drops:
        relay.write(raw[240_000:])
    wait_for(lambda: Tail(relay.memory_fd, 0).total() == len(raw))

    def is_over() -> bool:
        lines.append(b"and %06d\n" % len(lines))
        relay.write(lines[-1])
        return len(relay.messages()) == 2

    wait_for(is_over)
    relay.drain()
    found = path.read_bytes().splitlines(keepends=True)
    own = [line for line in found if line.startswith(b"initpy: ")]
    assert set(found) - set(own) <= set(lines)
    missing = len(lines) - (len(found) - len(own))
    messages = relay.messages()
    path.unlink()
    relay.close()
    return {"messages": messages, "missing": missing}


def main() -> None:
    disk = Path(sys.argv[1]) / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)]
    subprocess.run(mount, check=True)
    print(json.dumps([run(disk, drops=False), run(disk, drops=True)]))  # noqa: T201


if __name__ == "__main__":
    os.umask(0o22)
    main()
