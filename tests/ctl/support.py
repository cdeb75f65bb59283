"""A person at a terminal, who types `initpy …` where an initpy runs."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.support import REPO, wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TIMEOUT_S = 60.0
"""No command of a test takes as long, however busy the machine is."""


class Said(NamedTuple):
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Client:
    """Types commands, and sees what they say."""

    def __init__(
        self, command: Sequence[str], socket: Path | str, wrapper: Sequence[str] = ()
    ) -> None:
        self.command = [*wrapper, *command]
        self.env = {**os.environ, "INITPY_SOCKET": str(socket)}

    def __call__(self, *words: str, stdin: str = "", **env: str) -> Said:
        done = subprocess.run(
            [*self.command, *words],
            cwd=REPO,
            env={**self.env, **env},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Said(done.returncode, done.stdout, done.stderr)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """A command that goes on."""
        return subprocess.Popen(
            [*self.command, *words],
            cwd=REPO,
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def states(self) -> dict[str, str]:
        """Of each process."""
        return {name: info["statename"] for name, info in self.status().items()}

    def status(self) -> dict[str, dict[str, Any]]:
        """What `initpy status --json` has, by the processes' names; nothing before it answers."""
        infos: list[dict[str, Any]] = json.loads(self("status", "--json").out or "[]")
        return {info["name"]: info for info in infos}

    def wait_until(self, **states: str) -> None:
        """Wait until these processes are in these states."""

        def are_there() -> bool:
            return states.items() <= self.states().items()

        wait_for(are_there, within_s=TIMEOUT_S, about=f"{states}")
