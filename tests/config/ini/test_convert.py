"""`initpy convert`: the TOML, its comments, and that it comes to the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from initpy.config import ConfigError, check, convert, load
from initpy.config.convert import converted
from tests.config.ini.comparing import CORPUS, ENVIRON
from tests.config.ini.support import WEB

FILES = [*sorted(CORPUS.glob("*.conf")), CORPUS / "include" / "supervisord.conf"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CORPUS)))
def test_it_comes_to_the_same_as_the_file(
    file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(file.parent, folder, dirs_exist_ok=True)
    Path("initpy.toml").write_text(converted(file.name, ENVIRON), "utf-8")
    plan, toml_plan = load(file.name, ENVIRON).plan, load("initpy.toml", ENVIRON).plan
    assert toml_plan == plan
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    assert check.main("initpy.toml") == 0
    assert capfd.readouterr().out.startswith("initpy.toml: ok, ")


def test_what_it_looks_like() -> None:
    Path("supervisord.conf").write_text(
        """\
; our site

[unix_http_server]
file = /run/s.sock ; where

[supervisord]
nodaemon = true
environment = LANG=C.UTF-8

; the one that
; answers
[program:web] ; front
command = web --user "%(ENV_USER)s" ; no root
stdout_logfile = /var/log/web.log
; be patient
stopwaitsecs = 7
environment = SECRET="a\\b,c",HOME="/srv/www/of/web",PATH="/srv/bin:%(ENV_PATH)s",DEBUG=""

[group:all]
programs=web

[eventlistener:mem]
; 200 MB
command=memmon -a 200MB
events=TICK_60
; the end
"""
    )
    toml = """\
# Made of supervisord.conf by `initpy convert`.
# critical = false: as with supervisord, the container runs on when the program has failed for good.
# Without that line it would end, so that whoever runs the container learns of it.
# stdin = "pipe": as with supervisord, what a program reads from has no end, and `initpy fg` writes
# to it. Without that line it is /dev/null.

[init]
environment = { LANG = "C.UTF-8" }

# our site
[control]
socket = "/run/s.sock"  # where

# the one that
# answers
[program.web]  # front
command = 'web --user "%(ENV_USER)s"'  # no root
stdout_logfile = "/var/log/web.log"
# be patient
stopwaitsecs = 7
critical = false
stdin = "pipe"
expand_first = true
[program.web.environment]
SECRET = 'a\\b,c'
HOME = "/srv/www/of/web"
PATH = "/srv/bin:%(ENV_PATH)s"
DEBUG = ""

[group.all]
programs = ["web"]

[eventlistener.mem]
# 200 MB
command = "memmon -a 200MB"
events = ["TICK_60"]
# the end

# [supervisord]
# nodaemon = true
"""
    assert converted("supervisord.conf", {}) == toml


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ('a "b" c', """'a "b" c'"""),
        ("a 'b' \"c\" \\d", r'''"a 'b' \"c\" \\d"'''),
        ("a\u00e9\u20ac", '"a\u00e9\u20ac"'),
        ("a\x07b\x7f", r'"a\u0007b\u007f"'),
        ("a\n  'b' \"c\"", '"""\na\n\'b\' \\"c\\""""'),
        ("a $HOME ${X} $$ %%", '"a $HOME $${X} $$$$ %%"'),
    ],
)
def test_strings(value: str, written: str) -> None:
    Path("x.conf").write_text(f"[program:web]\ncommand={value}\n", "utf-8")
    toml = converted("x.conf", {})
    assert f"\ncommand = {written}\n" in toml
    Path("initpy.toml").write_text(toml, "utf-8")
    assert load("initpy.toml", {}).plan == load("x.conf", {}).plan


def test_what_is_included_and_what_depends_on_the_place(folder: Path) -> None:
    Path("sub").mkdir()
    Path("x.conf").write_text("[include]\nfiles=sub/*.conf\n" + WEB)
    Path("sub/y.conf").write_text("[program:y]\ncommand=%(here)s/run\n")
    toml = converted("x.conf", {})
    assert f"it where the old one was, in {folder}." in " ".join(toml.replace("\n#", "").split())
    assert '# From sub/y.conf.\n[program.y]\ncommand = "%(here)s/sub/run"\n' in toml


def test_a_name_that_has_to_be_quoted() -> None:
    Path("x.conf").write_text("[program:a.b]\ncommand=x\n[group:é]\nprograms=a.b\n")
    assert '[program."a.b"]' in (toml := converted("x.conf", {}))
    assert '[group."é"]' in toml


def test_the_environment_of_the_container_need_not_be_there() -> None:
    text = "[program:w]\ncommand=%(ENV_A)s\nnumprocs=%(ENV_B)s\nautostart=%(ENV_C)s\nuser=%(ENV_D)s"
    Path("x.conf").write_text(text + "\numask=%(ENV_E)s\nexitcodes=%(ENV_F)s\n")
    toml = converted("x.conf", {})
    assert 'numprocs = "%(ENV_B)s"\n' in toml
    assert 'exitcodes = ["%(ENV_F)s"]\n' in toml


def test_what_cannot_be_converted(capfd: pytest.CaptureFixture[str]) -> None:
    Path("x.conf").write_text(WEB + "startsecs=x\npriority=y\n")
    assert convert.main("x.conf") == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert [line.partition(" expected")[0] for line in err.splitlines() if "note" not in line] == [
        "x.conf:3: [program:web] startsecs:",
        "x.conf:4: [program:web] priority:",
    ]
    assert convert.main("none.conf") == 2
    assert capfd.readouterr() == ("", "none.conf: cannot read it: No such file or directory\n")


@pytest.mark.parametrize("name", ["initpy.toml", "x"])
def test_what_is_toml_already(name: str) -> None:
    Path(name).write_text('[program.web]\ncommand = "x"\n')
    with pytest.raises(ConfigError) as caught:
        converted(name)
    assert str(caught.value) == (
        f"{name}: expected a supervisord.conf or a Procfile: this is neither, or TOML already"
    )


def test_a_wrong_name_does_not_matter_here() -> None:
    Path("x.toml").write_text(WEB)
    assert '[program.web]\ncommand = "/bin/sh"\n' in converted("x.toml")


@pytest.mark.parametrize(
    ("name", "command", "is_first"),
    [
        ("web", "a 'b c' $D", False),
        ("web", "a --%(program_name)s-%(process_num)02d %% %(group_name)s", False),
        ("we\\b", "a %(program_name)s", True),
        ("web", "a %(ENV_HOME)s", True),
        ("web", "a %(here)s", True),
    ],
)
def test_only_where_it_matters_is_a_command_expanded_first(
    name: str, command: str, is_first: bool
) -> None:
    Path("x.conf").write_text(f"[program:{name}]\ncommand={command}\n")
    assert ("expand_first = true" in converted("x.conf")) == is_first


def test_where_a_program_finds_the_api_becomes_a_variable() -> None:
    Path("supervisord.conf").write_text(
        """\
[program:both]
command=/bin/sh
; its own
serverurl=unix://%(here)s/s ; beside
environment=A=1
[program:variable]
command=/bin/sh
environment=SUPERVISOR_SERVER_URL=x
serverurl=y
[program:alone]
command=/bin/sh
; its own
serverurl=http://$a%% ; beside
[program:auto]
command=/bin/sh
serverurl=auto
"""
    )
    written = converted("supervisord.conf", ENVIRON)
    name = "SUPERVISOR_SERVER_URL"
    assert f'# its own\nenvironment = {{ {name} = "unix://%(here)s/s", A = "1" }}\n' in written
    assert f'\nenvironment = {{ {name} = "x" }}\n' in written
    assert f'# its own\nenvironment = {{ {name} = "http://$a%%" }}  # beside\n' in written
    assert written.count("environment =") == 3
    Path("initpy.toml").write_text(written)
    plan = load("initpy.toml", ENVIRON).plan
    assert plan == load("supervisord.conf", ENVIRON).plan
    urls = [dict(it.environment).get(name.encode()) for it in plan.processes]
    assert sorted(map(str, urls)) == sorted(
        map(str, [b"unix://%b/s" % str(Path.cwd()).encode(), b"x", b"http://$a%", None])
    )
