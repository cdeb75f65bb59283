"""The real supervisorctl, many times in a row: imported once, and forked for each.

To import it takes longer than anything that it then does.

As a program: serves requests on the socket whose fd is its argument, one after the other; each is
{"words", "folder", "input", "output"}: what stands behind the name, where it runs, and the files
that are its stdin, and its stdout and stderr. The answer is the exit code.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S = 60.0
"""So long one may take."""


class Forked:
    """The process that is forked."""

    def __init__(self) -> None:
        self._sock, other = socket.socketpair()
        with other:
            command = [sys.executable, __file__, str(other.fileno())]
            self._process = subprocess.Popen(
                command, pass_fds=[other.fileno()], stdin=subprocess.DEVNULL
            )
        self._sock.settimeout(TIMEOUT_S)
        self._answers = self._sock.makefile("r")

    def run(self, words: list[str], folder: Path, stdin: str, files: Path) -> tuple[int, str]:
        """The exit code, and what it says. `files` is a directory for its stdin and stdout."""
        (files / "stdin").write_text(stdin)
        request = {
            "words": words,
            "folder": str(folder),
            "input": str(files / "stdin"),
            "output": str(files / "stdout"),
        }
        self._sock.sendall(json.dumps(request).encode() + b"\n")
        code = int(self._answers.readline())
        return code, (files / "stdout").read_text()

    def end(self) -> None:
        self._answers.close()
        self._sock.close()
        self._process.kill()
        self._process.wait()


def serve(fd: int) -> bool:
    """Returns True in a child that is to be a supervisorctl, whose words are sys.argv; False when
    nobody asks any more."""
    with socket.socket(fileno=fd) as sock, sock.makefile("r") as requests:
        for line in requests:
            request = json.loads(line)
            pid = os.fork()
            if pid == 0:
                os.chdir(request["folder"])
                for path, flags, own in (
                    (request["input"], os.O_RDONLY, (0,)),
                    (request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, (1, 2)),
                ):
                    opened = os.open(path, flags, 0o600)
                    for number in own:
                        os.dup2(opened, number)
                    os.close(opened)
                sys.argv[1:] = request["words"]
                return True
            _, status = os.waitpid(pid, 0)
            sock.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    return False


if __name__ == "__main__":
    from supervisor import supervisorctl

    gc.freeze()  # or each would look through all that there is
    is_child = serve(int(sys.argv[1]))
    if is_child:
        sys.argv[0] = supervisorctl.__file__
        supervisorctl.main()
