"""What clients write to the stdin of programs, in a real initpy."""

from __future__ import annotations

import http.client
import os
import signal
import xmlrpc.client
from typing import TYPE_CHECKING

import pytest

from initpy.control.faults import Fault
from initpy.control.stdin import write
from tests.control.rpc import fault_of, helper_of, rpc
from tests.control.test_orders import MANUAL
from tests.pid1.faults import AGAIN, Faulty
from tests.pid1.toml import command, program
from tests.support import Init, fds_of, is_alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., Init]

SHELL = 'while read word; do echo "got $word"; done; echo end; exec sleep 1000'
READER = command("reader", ["sh", "-c", SHELL], stdin="pipe", startsecs=0)
CLOSED = command("closed", ["sh", "-c", "exec <&-; echo ready; exec sleep 1000"], stdin="pipe")
INPUTS = "initpy.inputs:Inputs"


def test_a_program_reads_what_is_sent_to_it_whichever_helper_sends_it(start_init: Start) -> None:
    init = start_init(READER)
    init.wait_for_log("reader entered RUNNING")
    with rpc(init) as supervisor:
        assert supervisor.sendProcessStdin("reader", "one\ntw") is True
    init.wait_for_output("got one")
    helper, count = helper_of(init), len(fds_of(init.pid))
    os.kill(helper, signal.SIGKILL)
    wait_for(lambda: not is_alive(helper))
    with rpc(init) as supervisor:
        assert supervisor.sendProcessStdin("reader", "o\n") is True
        for number in range(20):
            assert supervisor.sendProcessStdin("reader:reader", f"{number}\n") is True
        init.wait_for_output("got two")
        init.wait_for_output("got 19")
        assert len(fds_of(init.pid)) == count
        fds = len(fds_of(helper_of(init)))
        assert supervisor.sendProcessStdin("reader", "ünï") is True
        assert len(fds_of(helper_of(init))) == fds
        assert supervisor.stopProcess("reader") is True
        assert supervisor.startProcess("reader") is True  # it knows nothing of the ünï
        assert supervisor.sendProcessStdin("reader", "new\n") is True
    init.wait_for_output("got new")
    assert "end" not in init.output()
    assert len(fds_of(init.pid)) == count


def test_what_there_is_nobody_to_read(start_init: Start) -> None:
    init = start_init(program("web") + program("down", **MANUAL, stdin="pipe") + CLOSED)
    init.wait_for_log("web entered RUNNING")
    init.wait_for_output("ready\n")
    with rpc(init) as supervisor:
        send = supervisor.sendProcessStdin
        assert fault_of(send, "web", "x") == (20, "NO_FILE: web")
        assert fault_of(send, "closed", "x") == (20, "NO_FILE: closed")
        assert fault_of(send, "down", "x") == (70, "NOT_RUNNING: down")
        assert fault_of(send, "nope", "x") == (10, "BAD_NAME: nope")
        assert fault_of(send, "web", 5)[0] == 2


def test_a_reload_brings_the_first(start_init: Start) -> None:
    init = start_init(program("web"))
    init.wait_for_log("web entered RUNNING")
    with rpc(init) as supervisor:  # there is a helper, which knows of no such thing
        assert fault_of(supervisor.sendProcessStdin, "web", "x")[0] == 20
        init.config.write_text(program("web") + READER)
        assert supervisor.reloadConfig() == [[["reader"], [], []]]
        assert supervisor.addProcessGroup("reader") is True
    init.wait_for_log("reader entered RUNNING")

    def is_sent() -> bool:
        try:
            with rpc(init) as supervisor:
                return bool(supervisor.sendProcessStdin("reader", "late\n"))
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):  # it is being replaced
            return False

    wait_for(is_sent)
    init.wait_for_output("got late")


def test_the_helper_that_listeners_need_knows_of_it_from_the_start(start_init: Start) -> None:
    ear = READER.replace("[program.reader]", "[eventlistener.ear]\nevents = 'TICK_60'")
    init = start_init(READER + ear.replace('stdin = "pipe"\n', ""))
    init.wait_for_log("reader entered RUNNING")
    helper = helper_of(init)
    with rpc(init) as supervisor:
        assert supervisor.sendProcessStdin("reader", "x\n") is True
    assert helper_of(init) == helper
    assert "control helper" not in init.log()


def test_a_pipe_that_is_full() -> None:
    read_fd, write_fd = os.pipe()
    try:
        os.set_blocking(write_fd, False)
        with pytest.raises(Fault, match=r"web does not read its stdin: \d+ of 1000000 bytes were"):
            write(write_fd, bytes(1_000_000), "web", 0.0)
    finally:
        os.close(read_fd)
        os.close(write_fd)


def test_faults_of_initpy_end_no_stdin(start_init: Start, tmp_path: Path) -> None:
    faults = ("fd_for after", "started before", "give after", "ended before")
    faulty = Faulty(start_init, tmp_path, READER, *[f"{INPUTS}.{it} 1" for it in faults])
    init = faulty.init
    init.wait_for_log("reader entered RUNNING")
    with rpc(init) as supervisor:
        assert supervisor.sendProcessStdin("reader", "one\n") is True
        assert supervisor.sendProcessStdin("reader", "two\n") is True
        init.wait_for_output("got one\ngot two\n")
        assert supervisor.stopProcess("reader") is True
        assert supervisor.startProcess("reader") is True
        assert supervisor.sendProcessStdin("reader", "three\n") is True
    init.wait_for_output("got three")
    assert not faulty.left()
    assert "end" not in init.output()
    init.wait_for_log(AGAIN, times=len(faults))
