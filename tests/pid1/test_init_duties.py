"""What an init owes to the processes in its container."""

from __future__ import annotations

import os
import pwd
import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.pid1.toml import command, program
from tests.support import children, status_field, wait_for, wait_for_descendants

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Init

    Start = Callable[..., Init]


def test_an_adopted_orphan_is_reaped(start_either: Start) -> None:
    init = start_either(program("web", "orphan", startsecs=0))
    init.wait_for_output(r"web orphan \d+")
    init.wait_for_output("web ready")
    # The orphan lives for 0.2 s more, as a child of init; then only the program is left.
    wait_for(lambda: len(children(init.pid)) == 1)
    assert init.stop() == 0


def test_three_hundred_orphans_at_once(start_either: Start) -> None:
    argv = ["sh", "-c", "for i in $(seq 300); do (sleep 0.3 &) ; done; echo born; exec sleep 60"]
    init = start_either(command("web", argv, startsecs=0))
    init.wait_for_output("born")
    wait_for(lambda: len(children(init.pid)) == 1)
    assert init.stop() == 0


def test_the_orphans_test_can_fail(start_init: Start) -> None:
    """The fact the tests above wait for is not there while nobody reaps."""
    argv = ["sh", "-c", "(sleep 0.2 &) ; exec sleep 60"]
    init = start_init(command("web", argv, startsecs=0))
    wait_for(lambda: len(children(init.pid)) == 2)
    os.kill(init.pid, signal.SIGSTOP)
    try:
        wait_for(lambda: any(status_field(pid, "State")[:1] == "Z" for pid in children(init.pid)))
    finally:
        os.kill(init.pid, signal.SIGCONT)
    wait_for(lambda: len(children(init.pid)) == 1)


def test_orphans_are_ended_with_the_container(start_either: Start) -> None:
    argv = [
        "sh",
        "-c",
        "(setsid sleep 300 &) ; (setsid sh -c 'trap \"\" TERM; sleep 300' &);"
        " echo up; exec sleep 300",
    ]
    init = start_either(command("web", argv, startsecs=0))
    init.wait_for_output("up")
    everybody = wait_for_descendants(init.pid, 4)
    assert init.stop() == 0
    wait_for(lambda: not any(status_field(pid, "State") for pid in everybody))


def test_it_says_once_that_it_is_not_pid_1(start_init: Start) -> None:
    init = start_init(program("web", startsecs=0), as_pid1=False)
    init.wait_for_output("web ready")
    init.stop()
    assert init.log().count(f"not PID 1 but {init.pid}: acting as a subreaper") == 1


def test_as_pid_1_it_is_silent_about_that(start_init: Start) -> None:
    init = start_init(program("web", startsecs=0))
    init.wait_for_output("web ready")
    init.stop()
    assert "subreaper" not in init.log()


def test_a_program_gets_clean_descriptors_and_an_empty_stdin(start_either: Start) -> None:
    init = start_either(program("web", "fds", "stdin", startsecs=0))
    init.wait_for_output("web ready")
    init.stop()
    assert "web fds 0 1 2\n" in init.output()
    assert "web stdin b'' /dev/null\n" in init.output()


def test_an_inherited_descriptor_does_not_leak(start_init: Start) -> None:
    wrapper = ["bash", "-c", 'exec 7</dev/null; exec "$@"', "bash"]
    init = start_init(program("web", "fds", startsecs=0), wrapper=wrapper)
    init.wait_for_output("web ready")
    assert "web fds 0 1 2\n" in init.output()


SIGNAL_FIELDS = ("SigBlk", "SigIgn", "SigCgt", "SigPnd")


def test_signal_mask_and_dispositions_are_the_default(start_either: Start) -> None:
    argv = ["sh", "-c", "exec cat /proc/self/status"]
    init = start_either(command("web", argv, startsecs=0, autorestart=False))
    assert init.wait() == 0
    for field in SIGNAL_FIELDS:
        assert re.search(rf"^{field}:\s*0+$", init.output(), re.MULTILINE), init.output()


def test_signal_mask_and_dispositions_are_handed_on(start_init: Start) -> None:
    """nohup ignores HUP; a parent that blocked USR2 is played by Python."""
    block = (
        "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2});"
        " os.execvp(sys.argv[1], sys.argv[1:])"
    )
    wrapper = ["nohup", "python3", "-c", block]
    argv = ["cat", "/proc/self/status"]
    init = start_init(
        command("web", argv, startsecs=0, autorestart=False), as_pid1=False, wrapper=wrapper
    )
    assert init.wait() == 0
    blocked = 1 << (signal.SIGUSR2 - 1)
    ignored = 1 << (signal.SIGHUP - 1)
    assert re.search(rf"^SigBlk:\s*{blocked:016x}$", init.output(), re.MULTILINE)
    # The Python that plays the parent ignores PIPE and XFSZ, and its children inherit that. Only
    # the executable can know.
    by_python = 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)
    expected = ignored | by_python if init.is_binary else ignored
    assert re.search(rf"^SigIgn:\s*{expected:016x}$", init.output(), re.MULTILINE), init.output()


def test_a_program_leads_its_own_session(start_either: Start) -> None:
    init = start_either(program("web", "ids", startsecs=0, umask="027"))
    init.wait_for_output(r"web ids .* 0o27 True")


def test_directory_environment_and_umask(start_either: Start) -> None:
    init = start_either(
        program(
            "web",
            "cwd",
            "env=COLOUR",
            "env=SUPERVISOR_PROCESS_NAME",
            "env=KEPT",
            startsecs=0,
            directory="/usr",
            environment={"COLOUR": "${KEPT}-blue"},
        ),
        env={"KEPT": "kept"},
    )
    init.wait_for_output("web ready")
    said = init.output().splitlines()
    assert "web cwd /usr" in said
    assert "web env COLOUR=kept-blue" in said
    assert "web env SUPERVISOR_PROCESS_NAME=web" in said
    assert "web env KEPT=kept" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_user_group_and_home(start_either: Start) -> None:
    daemon = pwd.getpwnam("daemon")
    argv = ["sh", "-c", "echo $(id -u) $(id -g) $HOME $USER $LOGNAME; exec sleep 60"]
    init = start_either(command("web", argv, startsecs=0, user="daemon"))
    expected = f"{daemon.pw_uid} {daemon.pw_gid} {daemon.pw_dir} daemon daemon"
    init.wait_for_output(f"^{expected}$")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_group_of_its_own(start_either: Start) -> None:
    argv = ["sh", "-c", "echo $(id -u) $(id -g); exec sleep 60"]
    init = start_either(command("web", argv, startsecs=0, user="12345", group="54321"))
    init.wait_for_output("^12345 54321$")


def test_usr1_reaches_those_who_catch_it_and_nobody_else(start_either: Start) -> None:
    init = start_either(
        program("catcher", "catch=USR1", startsecs=0) + program("innocent", startsecs=0)
    )
    init.wait_for_output("ready", times=2)
    init.kill(signal.SIGUSR1)
    init.wait_for_output("catcher got USR1")
    assert re.search(r"forwarding SIGUSR1 to 'catcher' \(\d+\)", init.log())
    assert init.stop() == 0
    assert "innocent (terminated by SIGUSR1" not in init.log()


def test_real_time_signals_are_forwarded_too(start_either: Start) -> None:
    argv = ["bash", "-c", "trap 'echo got it' RTMIN; echo up; while :; do sleep 0.05; done"]
    init = start_either(command("web", argv, startsecs=0))
    init.wait_for_output("up")
    init.kill(signal.SIGRTMIN)
    init.wait_for_output("got it")


@pytest.mark.parametrize("signum", [signal.SIGWINCH, signal.SIGUSR2])
def test_some_signals_are_ignored(start_either: Start, signum: signal.Signals) -> None:
    name = signum.name.removeprefix("SIG")
    init = start_either(program("web", f"catch={name},USR1", startsecs=0))
    init.wait_for_output("web ready")
    init.kill(signum)
    init.kill(signal.SIGUSR1)  # comes after it, so what is to be seen has been
    init.wait_for_output("web got USR1")
    assert f"web got {name}" not in init.output()
    assert init.stop() == 0


def test_signals_can_be_given_another_meaning(start_either: Start) -> None:
    init = start_either(
        '[init.signals]\nUSR1 = "forward:web=HUP"\nHUP = "forward"\nTERM = "forward:web"\n'
        'USR2 = "shutdown"\nINT = "ignore"\n'
        + program("web", "catch=HUP,TERM", startsecs=0, stopwaitsecs=0.2)
        + program("other", "catch=HUP,TERM", startsecs=0, stopwaitsecs=0.2)
    )
    init.wait_for_output("ready", times=2)
    init.kill(signal.SIGUSR1)
    init.wait_for_output("web got HUP")
    init.kill(signal.SIGTERM)
    init.wait_for_output("web got TERM")
    assert "other got" not in init.output()
    init.kill(signal.SIGHUP)
    init.wait_for_output("other got HUP")
    init.kill(signal.SIGINT)
    init.wait_for_log("received SIGINT, which is ignored")
    assert "other got TERM" not in init.output()
    assert init.stop(signal.SIGUSR2) == 0


def test_a_signal_during_the_boot_is_not_lost(start_init: Start) -> None:
    init = start_init(program("web", startsecs=0), as_pid1=False)
    wait_for(lambda: _blocks_or_handles(init.pid, signal.SIGTERM))
    init.kill(signal.SIGTERM)
    assert init.wait() == 0
    assert "received SIGTERM indicating exit request" in init.log()


def _blocks_or_handles(pid: int, signum: int) -> bool:
    fields = (status_field(pid, "SigBlk"), status_field(pid, "SigCgt"))
    return any(int(field or "0", 16) >> (signum - 1) & 1 for field in fields)
