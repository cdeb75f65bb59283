"""Every option of a program: what the plan says for what the file says."""

from __future__ import annotations

import resource
from typing import Any

import pytest

from initpy import wire
from initpy.controlplan import ControlPlan
from initpy.plan import (
    ALWAYS,
    NEVER,
    UNEXPECTED,
    Backoff,
    Plan,
    ProcessSpec,
    RestartLimit,
    SignalRule,
)
from tests.config.support import (
    ENVIRON,
    WEB,
    at_most,
    load_text,
    plan_of,
    problem_of,
    problems_of,
    web,
)


def test_a_command_is_all_that_a_program_needs() -> None:
    assert plan_of(WEB) == Plan(
        processes=(
            ProcessSpec(
                key="web",
                name="web",
                group="web",
                program="web",
                argv=(b"/bin/sh",),
                paths=(b"/bin/sh",),
                environment=(),
                directory=b"",
                uid=-1,
                gid=-1,
                groups=(),
                umask=-1,
                unspawnable="",
                after=(),
                group_priority=999,
                priority=999,
                autostart=True,
                startsecs=1.0,
                startretries=3,
                autorestart=UNEXPECTED,
                exitcodes=(0,),
                stopsteps=((15, 10.0),),
                stopasgroup=False,
                killasgroup=True,
                critical=True,
            ),
        ),
        signals=(
            SignalRule(1, "reload"),
            SignalRule(2, "shutdown"),
            SignalRule(3, "shutdown"),
            SignalRule(12, "reopen"),
            SignalRule(15, "shutdown"),
            SignalRule(28, "ignore"),
            SignalRule(59, "upgrade"),
        ),
        shutdown_timeout_s=9.0,
        exit_code_from=(),
        control=ControlPlan(),
    )


@pytest.mark.parametrize(
    ("option", "field", "value"),
    [
        ('directory = "/srv"', "directory", b"/srv"),
        ('directory = "sub/${HOME}"', "directory", b"sub//root"),
        ('umask = "022"', "umask", 0o022),
        ('umask = "0o27"', "umask", 0o027),
        ('umask = "0"', "umask", 0),
        ("umask = 0o022", "umask", 0o022),
        ("umask = 0", "umask", 0),
        ("umask = 0o777", "umask", 0o777),
        ("priority = 1", "priority", 1),
        ("priority = 7", "group_priority", 7),
        ("priority = -5", "priority", -5),
        ("autostart = false", "autostart", False),
        ("startsecs = 0", "startsecs", 0.0),
        ("startsecs = 0.25", "startsecs", 0.25),
        ("startsecs = 2_147_483_647", "startsecs", 2147483647.0),
        ("startretries = 0", "startretries", 0),
        ("autorestart = true", "autorestart", ALWAYS),
        ("autorestart = false", "autorestart", NEVER),
        ('autorestart = "unexpected"', "autorestart", UNEXPECTED),
        ("exitcodes = [0, 255]", "exitcodes", (0, 255)),
        ("exitcodes = 3", "exitcodes", (3,)),
        ("exitcodes = []", "exitcodes", ()),
        ('stopsignal = "QUIT"', "stopsteps", ((3, 10.0),)),
        ('stopsignal = "sigint"', "stopsteps", ((2, 10.0),)),
        ('stopsignal = "RTMIN+3"', "stopsteps", ((37, 10.0),)),
        ('stopsignal = "15"', "stopsteps", ((15, 10.0),)),
        ("stopsignal = 64", "stopsteps", ((64, 10.0),)),
        ("stopwaitsecs = 0", "stopsteps", ((15, 0.0),)),
        ("stopwaitsecs = 75e-1", "stopsteps", ((15, 7.5),)),
        ("stopwaitsecs = 5", "stop_command_s", 5.0),
        ("stopasgroup = true", "stopasgroup", True),
        ("killasgroup = false", "killasgroup", False),
        ("critical = false", "critical", False),
        ('type = "simple"', "oneshot", False),
        ('type = "oneshot"', "oneshot", True),
        ("backoff = {}", "backoff", Backoff(1.0, 2.0, 60.0, 0.1)),
        ("backoff = { max = 1 }", "backoff", Backoff(1.0, 2.0, 1.0, 0.1)),
        ("backoff = { initial = 0, factor = 1, max = 0, jitter = 0 }", "backoff",
         Backoff(0.0, 1.0, 0.0, 0.0)),
        ("backoff = { initial = 0.5, factor = 1.5, max = 9.5, jitter = 1.0 }", "backoff",
         Backoff(0.5, 1.5, 9.5, 1.0)),
        ("backoff.initial = 60", "backoff", Backoff(60.0, 2.0, 60.0, 0.1)),
        ("restart_limit = { count = 1, window = 0.5 }", "restart_limit", RestartLimit(1, 0.5)),
        ("restart_limit = { window = 60, count = 1000 }", "restart_limit",
         RestartLimit(1000, 60.0)),
        ("nice = -20", "nice", -20),
        ("nice = 0", "nice", 0),
        ("nice = 19", "nice", 19),
        ("oom_score_adj = -1000", "oom_score_adj", -1000),
        ("oom_score_adj = 1000", "oom_score_adj", 1000),
        ("no_new_privs = true", "no_new_privs", True),
        ("clean_environment = true", "clean_environment", True),
        ("rlimits = {}", "rlimits", ()),
        ("rlimits = { nofile = 65536 }", "rlimits", ((resource.RLIMIT_NOFILE, 65536, 65536),)),
        ('rlimits = { core = "unlimited", nproc = [1024, 2048] }', "rlimits",
         ((resource.RLIMIT_CORE, -1, -1), (resource.RLIMIT_NPROC, 1024, 2048))),
        ('rlimits = { as = [0, "unlimited"], cpu = [7, 7] }', "rlimits",
         ((resource.RLIMIT_AS, 0, -1), (resource.RLIMIT_CPU, 7, 7))),
        ("rlimits = { fsize = 9223372036854775807 }", "rlimits",
         ((resource.RLIMIT_FSIZE, 2**63 - 1, 2**63 - 1),)),
        ('rlimits = { stack = ["unlimited", "unlimited"] }', "rlimits",
         ((resource.RLIMIT_STACK, -1, -1),)),
        ('process_name = "w-${EMPTY:-x}%%"', "name", "w-x%"),
        ('process_name = "w-${EMPTY:-x}%%"', "key", "web:w-x%"),
    ],
)  # fmt: skip
def test_an_option_is_in_the_plan(option: str, field: str, value: object) -> None:
    seen = getattr(web(option), field)
    assert seen == value
    assert type(seen) is type(value)  # no FloatText, no bool for an int: the wire takes neither
    assert wire.decode(wire.encode(seen)) == seen


def test_what_is_not_set_is_left_as_it_is() -> None:
    spec = web("")
    assert (spec.nice, spec.oom_score_adj, spec.no_new_privs, spec.rlimits) == (
        None,
        None,
        False,
        (),
    )
    assert (spec.backoff, spec.restart_limit, spec.oneshot) == (None, None, False)
    assert (spec.drain_s, spec.stop_command, spec.stop_paths) == (0.0, (), ())
    assert not spec.clean_environment


def test_every_resource_that_python_knows_can_be_limited() -> None:
    known = {name for name in dir(resource) if name.startswith("RLIMIT_")} - {"RLIMIT_OFILE"}
    names = [name.removeprefix("RLIMIT_").lower() for name in sorted(known)]
    spec = web(f"rlimits = {{ {', '.join([f'{name} = 1' for name in names])} }}")
    assert [number for number, _, _ in spec.rlimits] == [
        getattr(resource, name) for name in sorted(known)
    ]


BACKOFF = "{ initial = 1, factor = 2, max = 60, jitter = 0.1 }"
LIMIT = 'expected a whole number, 0 or more, or "unlimited"'
SOFT_FIRST = "expected a soft limit that is not above the hard one: [soft, hard]"
STOPSIGNAL = 'expected a signal, or a list of steps such as ["TERM 10", "INT 5", "KILL"]'

BAD_OPTIONS = [
    ("command = 3", "command: expected a list of strings, or one string that is split as a shell "
     "splits it, not 3"),
    ("command = []", "command: command is empty"),
    ('command = ""', "command: command is empty"),
    ('command = "  "', "command: command is empty"),
    ('command = [""]', "command: command is empty"),
    ('command = "${EMPTY}"', "command: command is empty"),
    ('command = ["a", 3]', "command[1]: expected a string, not 3"),
    ('command = ["a", ["b"]]', "command[1]: expected a string, not an array"),
    ('command = ["a", "b\\u0000"]', "command[1]: expected text without a NUL byte"),
    ('command = "a \\u0000"', "command: expected text without a NUL byte"),
    ("command = \"a 'b\"", "command: can't parse command \"a 'b\": No closing quotation"),
    ('command = "a \\\\"', 'command: can\'t parse command "a \\\\": No escaped character'),
    ('command = "a ${NOPE}"',
     "command: the environment has no NOPE; for a default, write ${NOPE:-…}"),
    ('process_name = ""', 'process_name: expected a name, not ""'),
    ("process_name = 1", "process_name: expected a name, not 1"),
    ('process_name = "a b"', 'process_name: a name cannot have white space, control characters, '
     '":", "/" or "*" in it: "a b"'),
    ('process_name = "a\\tb"', 'process_name: a name cannot have white space, control characters, '
     '":", "/" or "*" in it: "a\\tb"'),
    ('process_name = "${EMPTY}"', 'process_name: a name cannot be empty: ""'),
    ("numprocs = 0", "numprocs: expected a whole number from 1 to 10000, not 0"),
    ("numprocs = 10001", "numprocs: expected a whole number from 1 to 10000, not 10001"),
    ("numprocs = true", "numprocs: expected a whole number from 1 to 10000, not true"),
    ("numprocs = 2.0", "numprocs: expected a whole number from 1 to 10000, not 2.0"),
    ("numprocs = 2",
     'process_name: expected "%(process_num)" in it, as numprocs is 2'),
    ("numprocs_start = -1", "numprocs_start: expected a whole number, 0 or more, not -1"),
    ('directory = ""', 'directory: expected a directory, not ""'),
    ("directory = 1", "directory: expected a directory, not 1"),
    ('directory = "/a\\u0000"', "directory: expected text without a NUL byte"),
    ('directory = "${EMPTY}"', 'directory: nothing is left of "${EMPTY}"'),
    ('directory = "%(process_name)s"', "directory: there is no %(process_name)s here; to have it "
     "as it is, write %%(process_name)"),
    ("user = true", "user: expected the name or the number of a user, not true"),
    ("user = -1", "user: expected the name or the number of a user, not -1"),
    ("user = 4294967295", "user: expected the name or the number of a user, not 4294967295"),
    ('user = ""', 'user: expected the name or the number of a user, not ""'),
    ('user = "${EMPTY}"', 'user: nothing is left of "${EMPTY}"'),
    ("user = 1.5", "user: expected the name or the number of a user, not 1.5"),
    ("group = []", "group: expected the name or the number of a group, not an array"),
    ('umask = "8"', 'umask: expected an octal number, "022" or 0o022, not "8"'),
    ('umask = "1777"', 'umask: expected an octal number, "022" or 0o022, not "1777"'),
    ('umask = ""', 'umask: expected an octal number, "022" or 0o022, not ""'),
    ("umask = 22", 'umask: expected an octal number, "022" or 0o022, not 22'),
    ("umask = 0x12", 'umask: expected an octal number, "022" or 0o022, not 18'),
    ("umask = 0o1000", 'umask: expected an octal number, "022" or 0o022, not 512'),
    ("umask = -1", 'umask: expected an octal number, "022" or 0o022, not -1'),
    ("umask = true", 'umask: expected an octal number, "022" or 0o022, not true'),
    ("priority = 1.0", "priority: expected a whole number, not 1.0"),
    ('priority = "1"', 'priority: expected a whole number, not "1"'),
    ("priority = 2147483648",
     "priority: expected a whole number of at most 2147483647, not 2147483648"),
    ("priority = 0x" + "f" * 5000,
     "priority: expected a whole number of at most 2147483647, not so large a number"),
    ("after = 1", "after: expected a list of programs or groups, or one, not 1"),
    ('after = ""', 'after: expected a list of programs or groups, or one, not ""'),
    ("after = [1]", "after[0]: expected a name, not 1"),
    ('after = "webb"', 'after: no program or group "webb"; did you mean web?'),
    ('after = ["qqqq"]', 'after[0]: no program or group "qqqq"'),
    ('after = "web"', "after: a program cannot come after itself"),
    ('autostart = "true"', 'autostart: expected true or false, not "true"'),
    ("autostart = 1", "autostart: expected true or false, not 1"),
    ('startsecs = "fast"',
     'startsecs: expected a number of seconds, 0 or more, not "fast"'),
    ("startsecs = -0.5", "startsecs: expected a number of seconds, 0 or more, not -0.5"),
    ("startsecs = nan", "startsecs: expected a number of seconds, 0 or more, not nan"),
    ("startsecs = inf", "startsecs: expected at most 2147483647 seconds, not inf"),
    ("startsecs = -inf", "startsecs: expected a number of seconds, 0 or more, not -inf"),
    ("startsecs = 1e400", "startsecs: expected at most 2147483647 seconds, not 1e400"),
    ("startsecs = 0x" + "f" * 5000,
     "startsecs: expected at most 2147483647 seconds, not so large a number"),
    ("startsecs = true", "startsecs: expected a number of seconds, 0 or more, not true"),
    ("startsecs = 07:32:00",
     "startsecs: expected a number of seconds, 0 or more, not a date or time"),
    ("startretries = -1", "startretries: expected a whole number, 0 or more, not -1"),
    ('autorestart = "always"',
     'autorestart: expected true, false or "unexpected", not "always"'),
    ("autorestart = 1", 'autorestart: expected true, false or "unexpected", not 1'),
    ("exitcodes = [0, 256]", "exitcodes[1]: expected a whole number from 0 to 255, not 256"),
    ("exitcodes = [true]", "exitcodes[0]: expected a whole number from 0 to 255, not true"),
    ("exitcodes = -1", "exitcodes: expected a whole number from 0 to 255, not -1"),
    ('exitcodes = "0,1"',
     'exitcodes: expected a list of whole numbers from 0 to 255, or one, not "0,1"'),
    ('stopsignal = "SIGFOO"', f'stopsignal: {STOPSIGNAL}, not "SIGFOO"'),
    ('stopsignal = "SIG"', f'stopsignal: {STOPSIGNAL}, not "SIG"'),
    ('stopsignal = "RTMIN+99"', f'stopsignal: {STOPSIGNAL}, not "RTMIN+99"'),
    ('stopsignal = 0', f'stopsignal: {STOPSIGNAL}, not 0'),
    ('stopsignal = 65', f'stopsignal: {STOPSIGNAL}, not 65'),
    ('stopsignal = "٣"', f'stopsignal: {STOPSIGNAL}, not "٣"'),
    ('stopsignal = true', f'stopsignal: {STOPSIGNAL}, not true'),
    ('stopsignal = "TERM 10"', f'stopsignal: {STOPSIGNAL}, not "TERM 10"'),
    ('stopsignal = ""', f'stopsignal: {STOPSIGNAL}, not ""'),
    ('stopsignal = {}', f'stopsignal: {STOPSIGNAL}, not a table'),
    ("stopwaitsecs = []", "stopwaitsecs: expected a number of seconds, 0 or more, not an array"),
    ("stopasgroup = true\nkillasgroup = false",
     "killasgroup: expected true, as stopasgroup is true"),
    ("critical = {}", "critical: expected true or false, not a table"),
    ('type = "forking"', 'type: expected "simple" or "oneshot", not "forking"'),
    ("type = true", 'type: expected "simple" or "oneshot", not true'),
    ('type = ["oneshot"]', 'type: expected "simple" or "oneshot", not an array'),
    ('type = "oneshot"\nautorestart = true',
     'autorestart: expected false or "unexpected": with type = "oneshot" it would never be done'),
    ("backoff = 3", f"backoff: expected a table such as {BACKOFF}, not 3"),
    ("backoff = [1]", f"backoff: expected a table such as {BACKOFF}, not an array"),
    ("backoff = { inital = 3 }", "backoff.inital: unknown key; did you mean initial?"),
    ("backoff = { initial = -1 }",
     "backoff.initial: expected a number of seconds, 0 or more, not -1"),
    ("backoff = { factor = 0.9 }", "backoff.factor: expected a number, 1 or more, not 0.9"),
    ("backoff = { factor = nan }", "backoff.factor: expected a number, 1 or more, not nan"),
    ("backoff = { factor = inf }",
     "backoff.factor: expected a number of at most 2147483647, not inf"),
    ("backoff = { factor = true }", "backoff.factor: expected a number, 1 or more, not true"),
    ("backoff = { factor = 0x" + "f" * 5000 + " }",
     "backoff.factor: expected a number of at most 2147483647, not so large a number"),
    ("backoff = { jitter = 1.1 }", "backoff.jitter: expected a number from 0 to 1, not 1.1"),
    ("backoff = { jitter = -0.1 }", "backoff.jitter: expected a number from 0 to 1, not -0.1"),
    ('backoff = { jitter = "1" }', 'backoff.jitter: expected a number from 0 to 1, not "1"'),
    ("backoff = { max = 0.5 }",
     "backoff.max: expected a number of seconds, 1 or more, as initial is 1; not 0.5"),
    ("backoff = { initial = 90 }",
     "backoff.max: expected a number of seconds, 90 or more, as initial is 90; not 60"),
    ("restart_limit = 3",
     "restart_limit: expected a table such as { count = 5, window = 60 }, not 3"),
    ("restart_limit = { count = 3 }",
     "restart_limit.window: missing; expected a number of seconds, above 0"),
    ("restart_limit = { window = 3 }",
     "restart_limit.count: missing; expected a whole number from 1 to 1000"),
    ("restart_limit = { count = 0, window = 3 }",
     "restart_limit.count: expected a whole number from 1 to 1000, not 0"),
    ("restart_limit = { count = 1001, window = 3 }",
     "restart_limit.count: expected a whole number from 1 to 1000, not 1001"),
    ("restart_limit = { count = 3, window = 0 }",
     "restart_limit.window: expected a number of seconds, above 0, not 0"),
    ("restart_limit = { count = 3, window = 1, windo = 1 }",
     "restart_limit.windo: unknown key; did you mean window?"),
    ("nice = 20", "nice: expected a whole number from -20 to 19, not 20"),
    ("nice = -21", "nice: expected a whole number from -20 to 19, not -21"),
    ("nice = 1.0", "nice: expected a whole number from -20 to 19, not 1.0"),
    ("oom_score_adj = 1001", "oom_score_adj: expected a whole number from -1000 to 1000, not 1001"),
    ("oom_score_adj = true", "oom_score_adj: expected a whole number from -1000 to 1000, not true"),
    ("no_new_privs = 1", "no_new_privs: expected true or false, not 1"),
    ('clean_environment = "yes"', 'clean_environment: expected true or false, not "yes"'),
    ("rlimits = 1", "rlimits: expected a table such as { nofile = 65536, core = \"unlimited\", "
     "nproc = [1024, 2048] }, not 1"),
    ("rlimits = { nofiles = 1 }", "rlimits.nofiles: no such limit; did you mean nofile?"),
    ("rlimits = { NOFILE = 1 }", "rlimits.NOFILE: no such limit; did you mean nofile?"),
    ("rlimits = { ofile = 1 }", "rlimits.ofile: no such limit; did you mean nofile?"),
    ("rlimits = { zzz = 1 }", "rlimits.zzz: no such limit"),
    ("rlimits = { nofile = -1 }", f"rlimits.nofile: {LIMIT}, not -1"),
    ("rlimits = { nofile = 1.5 }", f"rlimits.nofile: {LIMIT}, not 1.5"),
    ("rlimits = { nofile = true }", f"rlimits.nofile: {LIMIT}, not true"),
    ('rlimits = { nofile = "infinity" }', f'rlimits.nofile: {LIMIT}, not "infinity"'),
    ("rlimits = { nofile = 9223372036854775808 }",
     f"rlimits.nofile: {LIMIT}, not 9223372036854775808"),
    ('rlimits = { nofile = [1, "2"] }', f'rlimits.nofile[1]: {LIMIT}, not "2"'),
    ("rlimits = { nofile = [[1], 2] }", f"rlimits.nofile[0]: {LIMIT}, not an array"),
    ("rlimits = { nofile = [1] }",
     "rlimits.nofile: expected a limit, or two: [soft, hard]; not a list of 1"),
    ("rlimits = { nofile = [2, 1] }", f"rlimits.nofile: {SOFT_FIRST}"),
    ('rlimits = { nofile = ["unlimited", 1] }', f"rlimits.nofile: {SOFT_FIRST}"),
    ("environment = 1", 'environment: expected a table such as { NAME = "value" }, not a number'),
    ("autorestrt = true", "autorestrt: unknown key; did you mean autorestart?"),
    ("zzzz = true", "zzzz: unknown key"),
    ('"a\\nb" = 1', '"a\\nb": unknown key'),
]  # fmt: skip


@pytest.mark.parametrize(("option", "said"), BAD_OPTIONS, ids=[it[0][:30] for it in BAD_OPTIONS])
def test_a_bad_value_is_one_problem(option: str, said: str) -> None:
    head = "[program.web]\n"
    if not option.startswith("command"):
        head += 'command = "/bin/sh"\n'
    line = head.count("\n") + option.count("\n") + 1
    if said.startswith('process_name: expected "%'):
        line = 1  # it is not in the file; the section is
    assert problem_of(head + option) == f"initpy.toml:{line}: program.web.{said}"


@pytest.mark.parametrize("line", ["startsecs = 3", "restart_limit = { count = 1, window = 1 }"])
def test_what_has_no_meaning_for_a_oneshot_is_a_warning(line: str) -> None:
    loaded = load_text(f'{WEB}type = "oneshot"\n{line}')
    key = line.partition(" ")[0]
    assert [str(warning) for warning in loaded.warnings] == [
        f'initpy.toml:4: warning: program.web.{key}: it has no meaning with type = "oneshot"'
    ]
    assert loaded.plan.processes[0].oneshot


def test_a_oneshot_may_be_told_never_to_try_again() -> None:
    assert web('type = "oneshot"\nautorestart = false').autorestart == NEVER
    assert web('type = "oneshot"\nautorestart = "unexpected"').autorestart == UNEXPECTED


def test_a_missing_command() -> None:
    assert problem_of("\n[program.web]\nautostart = true") == (
        "initpy.toml:2: program.web.command: missing; expected a list of strings, or one string "
        "that is split as a shell splits it"
    )


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        ('"nginx -g \'daemon off;\'"', (b"nginx", b"-g", b"daemon off;")),
        ('["nginx", "-g", "daemon off;"]', (b"nginx", b"-g", b"daemon off;")),
        ('"a ${SPACED} \\"${SPACED}\\""', (b"a", b"a b", b"a b")),  # split first, then expanded
        ('"a ${EMPTY} b"', (b"a", b"", b"b")),
        ('["a", ""]', (b"a", b"")),
        ('"a # b"', (b"a", b"#", b"b")),  # no comments in a command
        ('"date +%H:%M"', (b"date", b"+%H:%M")),
        ('"a $home $$HOME $"', (b"a", b"$home", b"$HOME", b"$")),
        ('"a %(program_name)s-%(group_name)s-%(process_num)03d-%(numprocs)d"',
         (b"a", b"web-web-000-1")),
        ('"a ${PCT}"', (b"a", b"50%s$$")),  # what comes out is not looked at again
        ('"a é"', (b"a", "é".encode())),
    ],
)  # fmt: skip
def test_a_command_becomes_words(command: str, argv: tuple[bytes, ...]) -> None:
    assert web(f"command = {command}").argv == argv


def test_bytes_of_the_environment_that_are_no_utf8_come_through() -> None:
    spec = web('command = ["a", "${RAW}"]\nenvironment = { A = "${RAW}" }', {"RAW": "\udcff\udc80"})
    assert spec.argv == (b"a", b"\xff\x80")
    assert spec.environment[-1] == (b"A", b"\xff\x80")
    assert wire.decode(wire.encode(spec)) == spec


def test_a_surrogate_that_stands_for_no_byte_is_a_problem() -> None:
    problem = problem_of('[program.web]\ncommand = ["a", "${RAW}"]', {"RAW": "\ud800"})
    assert problem == "initpy.toml:2: program.web.command[1]: a character in it cannot be encoded"


@pytest.mark.parametrize(
    ("options", "environ", "paths"),
    [
        ('command = "./a"', ENVIRON, [b"./a"]),
        ('command = "/a"', ENVIRON, [b"/a"]),
        ('command = "sub/a"', ENVIRON, [b"sub/a"]),
        ('command = "a"', ENVIRON, [b"/usr/bin/a", b"/bin/a"]),
        ('command = "a"', {"PATH": "/x::rel:"}, [b"/x/a", b"./a", b"rel/a", b"./a"]),
        ('command = "a"', {"PATH": ""}, [b"./a"]),
        ('command = "a"', {}, [
            b"/usr/local/sbin/a", b"/usr/local/bin/a", b"/usr/sbin/a", b"/usr/bin/a", b"/sbin/a",
            b"/bin/a",
        ]),
        ('command = "a"\nenvironment = { PATH = "/y:${PATH}" }', {"PATH": "/x"},
         [b"/y/a", b"/x/a"]),
    ],
)  # fmt: skip
def test_where_a_command_is_looked_for(
    options: str, environ: dict[str, str], paths: list[bytes]
) -> None:
    assert list(web(options, environ).paths) == paths


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ('"x"', b"x"),
        ('""', b""),
        ("3", b"3"),
        ("-3", b"-3"),
        ("1.10", b"1.10"),  # as it is written: it may be a version
        ("1e3", b"1e3"),
        ("1_0.5", b"10.5"),
        ("0x10", b"16"),
        ('"${HOME}/x %(program_name)s $$ %%"', b"/root/x web $ %"),
        ('"line\\nline"', b"line\nline"),
    ],
)
def test_values_of_the_environment(item: str, value: bytes) -> None:
    assert web(f"environment = {{ A = {item} }}").environment == ((b"A", value),)


def test_the_environment_may_be_a_section_and_its_names_anything_but_equals() -> None:
    spec = web('[program.web.environment]\n"A.b" = "dotted"\n"x y" = "1"')
    assert spec.environment == ((b"A.b", b"dotted"), (b"x y", b"1"))


def test_the_environment_s_values_see_the_outer_one_but_not_each_other() -> None:
    options = 'command = ["a", "${A}", "%(ENV_B)s"]\nenvironment = { A = "1${A:-none}", B = "b" }'
    spec = web(options, {"PATH": "/bin"})
    assert spec.argv == (b"a", b"1none", b"b")
    assert problem_of(WEB + 'environment = { A = "1", B = "${A}" }') == (
        "initpy.toml:3: program.web.environment.B: the environment has no A; "
        "for a default, write ${A:-…}"
    )


SECRET = "hunter2"
SECRETS = [
    (f'"{SECRET}"', "expected a table such as", ""),
    (f'["{SECRET}"]', "expected a table such as", ""),
    (f'{{ A = ["{SECRET}"] }}', "expected a string or a number, not an array", ".A"),
    (f'{{ A = {{ b = "{SECRET}" }} }}', "expected a string or a number, not a table", ".A"),
    (f'{{ A = "{SECRET}\\u0000" }}', "expected text without a NUL byte", ".A"),
    (f'{{ A = "{SECRET}${{NOPE}}" }}', "the environment has no NOPE", ".A"),
    (f'{{ A = "${{NOPE:-{SECRET}" }}', "${NOPE:-… has no closing brace", ".A"),
    (f'{{ A = "%(here)d{SECRET}" }}', "expected s after %(here)", ".A"),
    (f'{{ "A=" = "{SECRET}" }}', 'expected a name that is not empty and has no "="', '."A="'),
    ("{ A = true }", 'expected a string or a number; quote it: "true" or "false"', ".A"),
    ("{ A = nan }", "expected a string or an ordinary number; quote it", ".A"),
    ("{ A = 0x" + "f" * 5000 + " }", "expected a string or an ordinary number; quote it", ".A"),
    ("{ A = 2000-01-01 }", "expected a string or a number, not a date or time", ".A"),
    ('{ "" = "x" }', "expected a name that is not empty", '.""'),
]


@pytest.mark.parametrize(("value", "said", "key"), SECRETS, ids=[it[1] for it in SECRETS])
def test_a_problem_in_the_environment_names_the_key_and_never_the_value(
    value: str, said: str, key: str
) -> None:
    problem = problem_of(WEB + f"environment = {value}")
    assert problem.startswith(f"initpy.toml:3: program.web.environment{key}: {said}")
    assert SECRET not in problem


def test_numbered_processes() -> None:
    plan = plan_of(
        '[program.w]\ncommand = "w %(process_num)d %(numprocs)s"\nnumprocs = 3\n'
        'numprocs_start = 8\nprocess_name = "%(program_name)s_%(process_num)02d"\n'
        'environment = { N = "%(process_num)s" }\ndirectory = "/d%(process_num)d"'
    )
    assert [spec.key for spec in plan.processes] == ["w:w_08", "w:w_09", "w:w_10"]
    assert [spec.name for spec in plan.processes] == ["w_08", "w_09", "w_10"]
    assert {spec.group for spec in plan.processes} == {spec.program for spec in plan.processes}
    assert plan.processes[2].argv == (b"w", b"10", b"3")
    assert plan.processes[2].environment[-1] == (b"N", b"10")
    assert plan.processes[2].directory == b"/d10"


def test_a_problem_that_all_processes_have_is_said_once() -> None:
    text = (
        '[program.w]\ncommand = "w ${NOPE}"\nnumprocs = 500\n'
        'process_name = "w%(process_num)d"\nenvironment = { A = "${NOPE2}" }'
    )
    assert len(problems_of(text)) == 2


def test_two_processes_of_a_program_with_one_name() -> None:
    text = WEB + 'numprocs = 2\nprocess_name = "%%(process_num)d"'
    assert problem_of(text) == (
        'initpy.toml:4: program.web.process_name: two processes are called "web:%(process_num)d"'
    )


def test_more_processes_than_a_kernel_takes() -> None:
    names = 'numprocs = 6000\nprocess_name = "%(process_num)d"\n'
    text = f'[program.a]\ncommand = "a"\n{names}[program.b]\ncommand = "b"\n{names}'
    assert problem_of(text) == "initpy.toml: expected at most 10000 processes, not 12000"


def test_a_plan_too_large_to_send_is_a_problem_and_not_a_crash() -> None:
    text = (
        '[program.a]\ncommand = ["a", "${BIG}", "${BIG}"]\nnumprocs = 1000\n'
        'process_name = "%(process_num)d"'
    )
    with at_most(80 * 1024 * 1024):
        problem = problem_of(text, {"BIG": "x" * 100_000})
    assert problem == "initpy.toml: all processes together take more than 33554432 bytes"


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a:b", "a/b", "a*", "a\tb", "a\nb", "a\x7fb", "a\u200bb", "a\u2028b"]
)
@pytest.mark.parametrize("section", ["program", "group"])
def test_names_that_cannot_be(section: str, name: str) -> None:
    quoted = '"' + "".join([f"\\u{ord(ch):04x}" for ch in name]) + '"'
    rest = 'command = "a"' if section == "program" else 'programs = "web"'
    (problem,) = problems_of(f"{WEB}[{section}.{quoted}]\n{rest}")
    said = "empty" if not name else 'have white space, control characters, ":", "/" or "*" in it'
    assert problem.startswith(f"initpy.toml:3: {section}.")
    assert problem.endswith(f": a name cannot {'be ' * (not name)}{said}")
    assert problem.isprintable()


@pytest.mark.parametrize("name", ["wéb", "a.b", "a=b", "-", "web@1", "日本", "%s", "${X}"])
def test_names_that_can_be(name: str) -> None:
    (spec,) = plan_of(f'[program."{name}"]\ncommand = "a"').processes
    assert (spec.key, spec.name) == (name, name) or "%" in name or "$" in name
    assert wire.decode(wire.encode(spec)) == spec


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour = 1", "1: colour: unknown key"),
        ("[programs.x]\na = 1", "1: programs: unknown section; did you mean program?"),
        ("[supervisord]", "1: supervisord: unknown section"),
        ("program = 3", "1: program: expected sections [program.NAME], not 3"),
        ('[program]\ncommand = "nginx"',
         '2: program.command: expected a section [program.NAME], not "nginx"'),
        ("[[program.x]]", "1: program.x: expected a section [program.NAME], not an array"),
        ("group = []", "1: group: expected sections [group.NAME], not an array"),
        ("init = 1", "1: init: expected a section [init], not 1"),
        ("[init]\nshutdown_timeout = 0",
         "2: init.shutdown_timeout: expected a number of seconds, above 0, not 0"),
        ("[init]\nshutdown_timout = 1",
         "2: init.shutdown_timout: unknown key; did you mean shutdown_timeout?"),
        ('[init]\nexit_code_from = "wbe"',
         '2: init.exit_code_from: no program "wbe"; did you mean web?'),
        ('[init]\nexit_code_from = ["web"]',
         "2: init.exit_code_from: expected the name of a program, not an array"),
    ],
)  # fmt: skip
def test_what_is_wrong_above_the_programs(text: str, said: str) -> None:
    with_web = f'{text}\n[program."web"]\ncommand = "a"\n'
    if text.startswith("program"):
        with_web = text
    assert problem_of(with_web) == f"initpy.toml:{said}"


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [("0.5", 0.5), ("3", 3.0), ("1e-3", 0.001), ("2147483647", 2.0**31 - 1)],
)
def test_the_shutdown_timeout(timeout: str, seconds: float) -> None:
    assert plan_of(f"[init]\nshutdown_timeout = {timeout}\n{WEB}").shutdown_timeout_s == seconds


def test_exit_code_from_has_all_processes_of_the_program() -> None:
    text = WEB + 'numprocs = 2\nprocess_name = "p%(process_num)d"\n[init]\nexit_code_from = '
    assert plan_of(text + '"web"').exit_code_from == ("web:p0", "web:p1")
    environ: dict[str, Any] = {"WHO": "web"}
    assert plan_of(text + '"${WHO}"', environ).exit_code_from == ("web:p0", "web:p1")
