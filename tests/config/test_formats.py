"""Whether a file is TOML or a supervisord.conf."""

from __future__ import annotations

from pathlib import Path

import pytest

from initpy.config import ConfigError, load
from initpy.config.formats import is_ini
from tests.config.support import WEB, problem_of

INI = "[program:web]\ncommand=/bin/sh\n"


@pytest.mark.parametrize("name", ["x", "initpy.conf.bak", "/dev/fd/3", "x.conf", "x.ini"])
@pytest.mark.parametrize("head", ["", "# [program.web]\n", "[init]\n", "[include]\nfiles=a\n"])
def test_it_is_what_its_first_telling_section_says(name: str, head: str) -> None:
    for text in (INI, "  [supervisord]\n", "[group:a]\n", "[unix_http_server]\n"):
        assert is_ini(name, head + text)


@pytest.mark.parametrize("name", ["x", "x.toml"])
@pytest.mark.parametrize(
    "text", [WEB, "[ program . web ]\n", "[[program.x]]\n", "[init.signals]\n", '[group."a"]\n']
)
def test_or_it_is_toml(name: str, text: str) -> None:
    assert not is_ini(name, text + "[supervisord]\n")


@pytest.mark.parametrize("text", ["", "[init]\n", "[include]\n", "command = 1\n", "[x]\n"])
def test_where_no_section_tells_the_name_does(text: str) -> None:
    assert [is_ini(name, text) for name in ("x", "x.toml", "x.conf", "x.ini")] == [
        False,
        False,
        True,
        True,
    ]


def test_a_name_that_says_something_else() -> None:
    assert problem_of(INI) == (
        "initpy.toml:1: cannot parse it: [program:web] is a section of a supervisord.conf, and the "
        "file is named as TOML: name it .conf, or make TOML of it with `initpy convert`"
    )
    Path("x.conf").write_text("\n" + WEB)
    with pytest.raises(ConfigError) as caught:
        load("x.conf")
    assert str(caught.value) == (
        "x.conf:2: cannot parse it: [program.web] is a section of initpy's TOML, and the file is "
        "named as a supervisord.conf: name it .toml"
    )
