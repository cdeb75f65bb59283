"""What supervisord's own parser makes of a file, and what initpy does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from initpy.plan import Plan
from tests.config.ini.comparing import CORPUS, assert_alike, document_of, plan_of_file

if TYPE_CHECKING:
    from tests.config.ini.comparing import RealParser

FILES = [*sorted(CORPUS.glob("*.conf")), CORPUS / "include" / "supervisord.conf"]


def assert_same(real_parser: RealParser, file: Path) -> None:
    answer = real_parser.read(file)
    plan = plan_of_file(file)
    assert isinstance(plan, Plan), plan
    assert "groups" in answer, answer
    assert_alike(answer["groups"], plan, document_of(file))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CORPUS)))
def test_a_file_as_it_is_in_use(file: Path, real_parser: RealParser) -> None:
    if file.name == "selenium.conf":  # the part of it that is included elsewhere
        text = file.read_text() + "[supervisord]\n"
        file = Path("supervisord.conf")
        file.write_text(text)
    assert_same(real_parser, file.resolve())


def test_the_sample_that_comes_with_it(real_parser: RealParser, folder: Path) -> None:
    code = "from supervisor.confecho import main; main()"
    command = [sys.executable, "-W", "ignore", "-c", code]
    sample = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    programs = sample.replace(";[program:theprogramname]", "[program:theprogramname]")
    programs = programs.replace(";command=/bin/cat ", "command=/bin/cat ", 1)
    file = folder / "supervisord.conf"
    file.write_text(programs)
    assert_same(real_parser, file)
