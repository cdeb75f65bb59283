"""What is made of the settings table: the JSON Schema and the tables of the manual."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from initpy.config import docs, toml
from initpy.config.schema import schema, schema_text
from initpy.config.settings import PROGRAM, SECTIONS, SIGNALS
from tests.config.support import WEB, load_text, plan_of, problems_of
from tests.support import REPO

VALIDATOR = Draft202012Validator(schema())

GOOD = [
    "",
    WEB,
    '[init]\nshutdown_timeout = 0.5\nexit_code_from = "web"\n' + WEB,
    '[init.signals]\nHUP = "forward:web=USR1"\n"RTMIN+1" = "forward"\n10 = "ignore"\n' + WEB,
    WEB + '[group.g]\nprograms = ["web"]\npriority = -1',
    WEB + '[group.g]\nprograms = "web"',
    'include = "conf.d/*.toml"\n' + WEB,
    'include = ["*.toml"]\n' + WEB,
    '[include]\nfiles = ["*.toml"]\n' + WEB,
    WEB + 'numprocs = 2\nprocess_name = "%(process_num)d"\nnumprocs_start = 4',
    WEB + 'directory = "/"\nenvironment = { A = "1", B = 2, C = 1.5 }',
    WEB + 'user = "nobody"\ngroup = 65534\numask = "022"',
    WEB + "user = 0\numask = 0o777",
    WEB + 'after = []\nautostart = false\nstartsecs = 0\nstartretries = 0\nautorestart = true',
    WEB + 'autorestart = "unexpected"\nexitcodes = [0, 255]\nstopsignal = "sigquit"',
    WEB + "autorestart = false\nexitcodes = 0\nstopsignal = 64\nstopwaitsecs = 1.5",
    WEB + 'stopsignal = ["TERM 4", "2 0.5", "SIGKILL"]\ndrain = 2',
    WEB + 'stopsignal = [15, "RTMIN+1"]\nstopwaitsecs = 2\nstop_command = ["stop", ""]',
    WEB + 'stop_command = "stop it"',
    WEB + "backoff = {}\nrestart_limit = { count = 1, window = 0.5 }",
    WEB + "backoff = { initial = 0, factor = 1.5, max = 9, jitter = 1 }",
    WEB + 'env_file = []\nclean_environment = true\ntype = "oneshot"\nenabled = true',
    WEB + 'type = "simple"\nenabled = "${NO:-yes}"',
    WEB + 'rlimits = { nofile = 9, core = "unlimited", as = [0, "unlimited"], cpu = "${NO:-1}" }',
    WEB + "nice = -20\noom_score_adj = 1000\nno_new_privs = true",
    WEB + 'numprocs = "${NO:-1}"\nstartsecs = "${NO:-0.5}"\nautostart = "${NO:-false}"',
    WEB + 'autorestart = "${NO:-true}"',
    WEB + 'exitcodes = "${NO:-3}"\nbackoff = { factor = "${NO:-3}" }',
    WEB + 'stopsignal = "RTMAX-1"\nstopasgroup = true\nkillasgroup = true\ncritical = false',
    '[program.web]\ncommand = ["a", ""]',
    WEB + '[control]\nsocket = "/x"\nmode = "0660"\nowner = 0\ngroup = "root"\nallow = ["root", 1]',
    WEB + '[control]\nsocket = false\nidentifier = "a"\nidle = 0.5\nallow = "root"',
    WEB + '[control]\nsocket = ""\nusername = "a"\npassword = "b"',
    WEB + '[control.http]\nlisten = "[::1]:9001"',
    WEB + '[control.http]\nlisten = [":1", "*:2"]\nusername = "a"\npassword_env = "HOME"',
]  # fmt: skip

BAD = [
    "nope = 1\n" + WEB,
    "[init]\nshutdown_timeout = 0\n" + WEB,
    "[init]\nnope = 0\n" + WEB,
    '[init.signals]\nHUP = "restart"\n' + WEB,
    '[init.signals]\nHUP = "forwards"\n' + WEB,
    '[init.signals]\n"a b" = "ignore"\n' + WEB,
    "[program.web]",
    "program = 1",
    '[program."a b"]\ncommand = "x"',
    '[program."a:b"]\ncommand = "x"',
    WEB + "[group.g]",
    WEB + "[group.g]\nprograms = []",
    WEB + '[group.g]\nprograms = "web"\nnope = 1',
    "include = []\n" + WEB,
    "[include]\n" + WEB,
    *[WEB + line for line in (
        "numprocs = 0", "numprocs = 10001", "numprocs = true", "numprocs_start = -1",
        'directory = ""', 'environment = "A=1"', "environment = { A = true }",
        "user = -1", "user = true", 'user = ""', "umask = 512", 'umask = "9"', "priority = 1.5",
        "after = [1]", "after = 1", 'autostart = "yes"', "startsecs = -1", 'startsecs = "1"',
        "startretries = 0.5", 'autorestart = "always"', "exitcodes = [256]", "exitcodes = -1",
        'stopsignal = ""', "stopsignal = 65", 'stopsignal = "022"', 'stopsignal = "a b"',
        "stopwaitsecs = -1", "stopsignal = []", 'stopsignal = ["TERM x"]', "stopsignal = [65]",
        'stopsignal = ["TERM 1 2"]', "drain = -1", "stop_command = []", 'stop_command = ""',
        "backoff = 1", "backoff = { first = 1 }", "backoff = { factor = 0.5 }",
        "backoff = { jitter = 1.5 }", "backoff = { max = -1 }", "restart_limit = { count = 1 }",
        "restart_limit = { count = 0, window = 1 }", "restart_limit = { count = 1, window = 0 }",
        "restart_limit = { count = 1001, window = 1 }", "env_file = 1", 'env_file = ""',
        'clean_environment = "yes"', "rlimits = 1", "rlimits = { files = 1 }",
        "rlimits = { nofile = -1 }", 'rlimits = { nofile = "many" }', "rlimits = { nofile = [1] }",
        "rlimits = { nofile = 9223372036854775808 }", "nice = 20", "nice = -21", "nice = 0.5",
        "oom_score_adj = 1001", "no_new_privs = 1", 'type = "forking"', "type = true",
        "enabled = 1", 'numprocs = "4"', 'nice = "$X"',
        "critical = 1", "autorestrt = true", 'process_name = ""',
    )],
    *[WEB + "[control]\n" + line for line in (
        "socket = true", "socket = 1", 'mode = "0899"', "owner = true", "allow = -1",
        'allow = [""]', "idle = 0", 'identifier = ""', "password = 1", 'password_file = ""',
        "http = 1", "nope = 1",
    )],
    *[WEB + "[control.http]\n" + line for line in (
        "", "listen = 9001", "listen = []", 'listen = "localhost"', 'listen = ":1"\nnope = 1',
        'listen = [":1", 2]', 'listen = ":1"\nusername = ""',
    )],
    "[program.web]\ncommand = []",
    '[program.web]\ncommand = " "',
    "[program.web]\ncommand = [1]",
]  # fmt: skip


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())
    assert json.loads(schema_text()) == schema()


@pytest.mark.parametrize("text", GOOD)
def test_what_we_take_the_schema_takes(text: str) -> None:
    VALIDATOR.validate(toml.parse(text))
    if text and "include" not in text:
        plan_of(text)


@pytest.mark.parametrize("text", BAD)
def test_what_the_schema_refuses_we_refuse(text: str) -> None:
    assert list(VALIDATOR.iter_errors(toml.parse(text))) != []
    problems_of(text)


def test_every_key_is_in_the_schema_with_its_meaning_and_its_default() -> None:
    whole = schema()
    tables = {
        "init": whole["properties"]["init"],
        "init.signals": whole["properties"]["init"]["properties"]["signals"],
        "program.NAME": whole["$defs"]["program"],
        "group.NAME": whole["$defs"]["group"],
        "eventlistener.NAME": whole["$defs"]["eventlistener"],
        "control": whole["properties"]["control"],
        "control.http": whole["properties"]["control"]["properties"]["http"],
        "include": whole["properties"]["include"]["anyOf"][-1],
    }
    assert set(tables) == {section.title for section in SECTIONS}
    for section in SECTIONS:
        properties: dict[str, Any] = tables[section.title]["properties"]
        assert list(properties) == [setting.key for setting in section.settings]
        for setting in section.settings:
            entry = properties[setting.key]
            assert entry["description"]
            assert entry.get("default") == setting.default, setting.key
        if section is not SIGNALS:
            assert tables[section.title]["additionalProperties"] is False


def test_every_default_is_itself_a_value_that_is_taken() -> None:
    lines = [
        f"{setting.key} = {json.dumps(setting.default)}"
        for setting in PROGRAM.settings
        if setting.default is not None
    ]
    loaded = load_text(WEB + "\n".join(lines))
    assert loaded.plan == plan_of(WEB)
    (warning,) = loaded.warnings  # the default is more than a shutdown leaves, and now it is set
    assert warning.key == "program.web.stopwaitsecs"


# The manual.

PAGE = REPO / "docs" / "configuration.md"


def test_the_manual_has_the_tables_of_the_settings() -> None:
    text = PAGE.read_text("utf-8")
    assert docs.with_tables(text) == text, "run python -m initpy.config.docs"
    for section in SECTIONS:
        assert text.count(f"<!-- table: {section.title} -->\n{docs.table(section)}") == 1


def test_the_schema_in_docs_is_the_one_of_the_settings() -> None:
    text = (REPO / "docs" / "initpy.schema.json").read_text("utf-8")
    assert text == schema_text(), "run python -m initpy.config.docs"


def test_a_table_that_has_grown_old_is_made_anew() -> None:
    old = "a\n<!-- table: init -->\n| old |\n<!-- end of table -->\nb\n"
    new = docs.with_tables(old)
    assert new.startswith("a\n<!-- table: init -->\n| Key |")
    assert new.endswith("|\n<!-- end of table -->\nb\n")
    assert docs.with_tables(new) == new


def test_every_row_of_a_table_has_four_cells() -> None:
    for section in SECTIONS:
        rows = docs.table(section).splitlines()
        assert len(rows) == 2 + len(section.settings)
        for row in rows:
            assert len(re.split(r"(?<!\\)\|", row)) == 6, row


EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=[it.split("\n")[0] for it in EXAMPLES])
def test_every_example_of_the_manual_is_good(example: str) -> None:
    assert "[program." in example
    VALIDATOR.validate(toml.parse(example))
    plan_of(re.sub("(?m)^include = .*", "", example), {"DB_PASSWORD": "x"})


def test_the_manual_has_examples() -> None:
    assert len(EXAMPLES) >= 4
