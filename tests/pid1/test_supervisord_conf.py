"""`initpy -c supervisord.conf`: the image switches by one line."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support import Init, skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CONF = """\
[supervisord]
nodaemon=true
environment=WHO="%(ENV_WHO)s"

[program:web]
command=/bin/sh -c 'printf "%%s|" "$WHO" "$@" && echo && exec sleep 1000' sh
    "%(ENV_WHO)s" %(ENV_WORDS)s ; three words
startsecs=0
process_name=%(program_name)s_%(process_num)02d
numprocs=2

[program:fails]
command=/bin/sh -c "exit 3"
startretries=0
autorestart=false
"""


@pytest.fixture
def start_conf(tmp_path: Path, why_no_namespace: str) -> Iterator[Callable[[str], Init]]:
    started: list[Init] = []

    def start(text: str) -> Init:
        if why_no_namespace:
            skip_or_fail("namespace", why_no_namespace)
        config = tmp_path / "supervisord.conf"
        config.write_text(text)
        env = {"WHO": "a b", "WORDS": "c d"}
        started.append(Init(config, tmp_path, as_pid1=True, env=env))
        return started[-1]

    yield start
    for init in started:
        init.end()


def test_it_runs_and_goes_on_when_a_program_has_failed(
    start_conf: Callable[[str], Init],
) -> None:
    init = start_conf(CONF)
    init.wait_for_output(r"^a b\|a b\|c\|d\|$", times=2)
    init.wait_for_log(r"gave up: fails entered FATAL state")
    init.wait_for_log(r"note: no program in it is critical")
    init.config.write_text(CONF.replace("numprocs=2", "numprocs=oops"))
    init.kill(signal.SIGHUP)
    init.wait_for_log(r"supervisord\.conf:10: \[program:web\] numprocs: expected a whole number")
    assert init.is_running()
    assert init.stop() == 0


def test_a_bad_file_ends_the_container_with_2(start_conf: Callable[[str], Init]) -> None:
    init = start_conf("[program:web]\ncommand=x\nstartsecs=x\n")
    assert init.wait() == 2
    assert "supervisord.conf:3: [program:web] startsecs: expected" in init.log()
