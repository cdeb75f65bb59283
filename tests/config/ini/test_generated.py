"""Files that nobody would think of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from initpy.config import ConfigError, load
from initpy.config.convert import converted
from initpy.plan import Plan
from tests.config.ini.comparing import ENVIRON, assert_alike, document_of, plan_of_file
from tests.config.ini.generating import confs

if TYPE_CHECKING:
    from tests.config.ini.comparing import RealParser

GIVEN = ENVIRON | {"OPTS": "--one 'two three'", "WORD": "w/o:d"}


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=confs())
def test_both_make_the_same_of_it(text: str, real_parser: RealParser) -> None:
    file = Path("supervisord.conf").resolve()
    file.write_text(text, "utf-8")
    plan = plan_of_file(file, GIVEN)
    answer = real_parser.read(file, GIVEN)
    assert "groups" in answer, answer
    assert isinstance(plan, Plan), plan
    assert_alike(answer["groups"], plan, document_of(file, GIVEN))


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=confs())
def test_what_it_is_converted_to_comes_to_the_same(text: str, folder: Path) -> None:
    Path("supervisord.conf").write_text(text, "utf-8")
    Path("initpy.toml").write_text(converted("supervisord.conf"), "utf-8")
    assert load("initpy.toml", GIVEN).plan == load("supervisord.conf", GIVEN).plan


LINES = st.one_of(
    st.sampled_from(
        ["[program:a]", "[program:]", "[group:a]", "[include]", "[supervisord]", "[init]",
         "[DEFAULT]", "[eventlistener:x]", "[unix_http_server]", "[fcgi-program:f]", "command = a",
         "programs = a,,b", "files = * [", "environment = A=", "environment = %(", "numprocs = 9",
         "process_name = %(process_num)", "  more", "minfds = 99999999999999999999", "umask = 9",
         "user = \x00", "exitcodes = ,", "stopsignal = 99", "command = %(ENV_X)", "critical = %s"]
    ),
    st.text(max_size=20),
)  # fmt: skip


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, max_size=12))
def test_whatever_is_in_it_there_is_an_answer(lines: list[str], folder: Path) -> None:
    """A plan or problems, each with the name of the file; never a fault of ours."""
    text = "\n".join(lines).encode("utf-8", "replace")
    Path("supervisord.conf").write_bytes(text)
    for read in (load, converted):
        files = {"supervisord.conf"}
        try:
            read("supervisord.conf", GIVEN)
        except ConfigError as exc:
            files = {problem.file for problem in exc.problems}
        assert files == {"supervisord.conf"}
