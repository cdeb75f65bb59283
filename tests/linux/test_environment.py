"""The environment that programs are given: that of initpy's exec, where execve takes it."""

from __future__ import annotations

import ctypes
import os
import sys

from tests.support import REPO

CODE = (
    f"import sys; sys.path.insert(0, {str(REPO)!r})\n"
    "from initpy.linux.environment import given_environment\n"
    "import os; os.write(int(sys.argv[1]), repr(given_environment()).encode())"
)


def given(*entries: bytes) -> str:
    """What a process says that is executed with these, which need not be NAME=VALUE."""
    read_fd, write_fd = os.pipe()
    command = [os.fsencode(sys.executable), b"-I", b"-S", b"-c", CODE.encode(), b"%d" % write_fd]
    pid = os.fork()
    if pid == 0:
        os.set_inheritable(write_fd, True)
        argv = (ctypes.c_char_p * (len(command) + 1))(*command, None)
        envp = (ctypes.c_char_p * (len(entries) + 1))(*entries, None)
        ctypes.CDLL(None).execve(command[0], argv, envp)
        os._exit(1)
    os.close(write_fd)
    with os.fdopen(read_fd) as said:
        text = said.read()
    assert os.waitpid(pid, 0)[1] == 0
    return text


def test_of_two_with_the_same_name_the_first_counts() -> None:
    assert given(b"A=1", b"A=2", b"B=\xff=") == repr({b"A": b"1", b"B": b"\xff="})


def test_what_execve_would_refuse_is_left_out() -> None:
    assert given(b"=X", b"lonely", b"", b"A=") == repr({b"A": b""})
