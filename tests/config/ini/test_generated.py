"""Files that nobody would think of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings

from initpy.config import load
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
