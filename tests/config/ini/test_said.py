"""What initpy says of a supervisord.conf: once, with the file, the line and the names in it."""

from __future__ import annotations

import os

import pytest

from initpy.config import ConfigError
from initpy.config.ini.translating import (
    DEFAULT_HANDLER,
    FOR_EACH,
    HOME,
    NO_FASTCGI,
    NO_HANDLER,
    NO_INTERFACE,
    NO_PLUGIN,
    NOT_CRITICAL,
    NOT_OF_LISTENERS,
    NOT_USED,
)
from initpy.logplan import FILE, STREAM, SYSLOG, Sink
from tests.config.ini.support import CRITICAL, WEB, load_conf, problems_of, said_of, web
from tests.config.support import ENVIRON

F = "supervisord.conf"


def test_no_program_is_critical_and_that_is_said_once() -> None:
    loaded = load_conf(WEB + "[program:b]\ncommand=/bin/sh\n")
    assert [spec.critical for spec in loaded.plan.processes] == [False, False]
    assert [str(it) for it in loaded.warnings] == [f"{F}: note: {NOT_CRITICAL}"]


def test_a_program_can_be_critical_and_then_there_is_nothing_to_say() -> None:
    loaded = load_conf(WEB + CRITICAL)
    assert [spec.critical for spec in loaded.plan.processes] == [True]
    assert loaded.warnings == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[supervisord]\nnodaemon=true\nuser=root\nminfds=1\n", []),
        ("[supervisord]\nlogfile=/x\n\npidfile=/y\n",
         [f"{F}:4: note: [supervisord]: logfile, pidfile: {NOT_USED}"]),
        ("[supervisord]\numask=022\n", [f"{F}:5: note: [supervisord] umask: {FOR_EACH}"]),
        ("[supervisord]\nnodeamon=true\n",
         [f"{F}:5: warning: [supervisord] nodeamon: unknown option: supervisord ignores it, too; "
          "did you mean nodaemon?"]),
        ("[unix_http_server]\nfile=/x\n[rpcinterface:supervisor]\nx=y\n[supervisorctl]\n", []),
        ("[rpcinterface:own]\nx=y\n", [f"{F}:4: note: [rpcinterface:own]: {NO_INTERFACE}"]),
        ("[ctlplugin:own]\nx=y\n", [f"{F}:4: note: [ctlplugin:own]: {NO_PLUGIN}"]),
        ("[inet_http_server]\nport=127.0.0.1:9001\nprot=9001\n",
         [f"{F}:6: warning: [inet_http_server] prot: unknown option: supervisord ignores it, too; "
          "did you mean port?"]),
        ("[eventlistener:l]\ncommand=sh\nevents=tick_5\nbuffer_size=3\nstdout_logfile=NONE\n"
         f"result_handler={DEFAULT_HANDLER}\nredirect_stderr=no\n", []),
        ("[eventlistener:l]\ncommand=sh\nevents=TICK\nresult_handler=my:own\n"
         "stdout_logfile=/l\nevent=TICK_5\n",
         [f"{F}:7: warning: [eventlistener:l] result_handler: {NO_HANDLER}",
          f"{F}:8: note: [eventlistener:l] stdout_logfile: {NOT_OF_LISTENERS}",
          f"{F}:9: warning: [eventlistener:l] event: unknown option: supervisord ignores it, too; "
          "did you mean events?"]),
        ("[unix_http_server]\nfile=/x\nusername=u\npassword={SHA}" + 40 * "a" + "\n",
         [f"{F}:7: warning: [unix_http_server] password: a password is soon guessed from {{SHA}}: "
          "use what `initpy hash-password` prints"]),
        ("[programs:b]\ncommand=x\n",
         [f"{F}:4: warning: [programs:b]: unknown section: supervisord ignores it, too; did you "
          "mean program:b?"]),
        ("[group:g]\nprograms=web\nprio=1\n",
         [f"{F}:6: warning: [group:g] prio: unknown option: supervisord ignores it, too; did you "
          "mean priority?"]),
    ],
)  # fmt: skip
def test_sections(text: str, said: list[str]) -> None:
    assert said_of(WEB + CRITICAL + text) == said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\nredirect_stderr=true", []),
        ("stdout_logfile=/dev/fd/1\nstderr_logfile=/dev/stderr", []),
        ("stdout_logfile=/var/log/a.log\nstderr_logfile=/var/log/b.log", []),
        ("stderr_logfile=NONE", []),
        ("user=nobody", [f"{F}:4: note: [program:web] user: {HOME}"]),
        ("user=nobody\nenvironment=HOME=/x,USER=y", []),
        ("user=nobody\nenvironment=HOME=/x", [f"{F}:4: note: [program:web] user: {HOME}"]),
        ("redirect_stderr=true\nstderr_logfile=AUTO", []),
        ("redirect_stderr=true\nstderr_logfile=/x",
         [f"{F}:5: warning: [program:web] stderr_logfile: it has no meaning with redirect_stderr: "
          "its stderr is its stdout"]),
        ("autorestrat=true",
         [f"{F}:4: warning: [program:web] autorestrat: unknown option: supervisord ignores it, "
          "too; did you mean autorestart?"]),
        ("group=root\nenabled=false",
         [f"{F}:4: warning: [program:web] group: only initpy's TOML has it: supervisord "
          "ignores it here, and so does initpy",
          f"{F}:5: warning: [program:web] enabled: only initpy's TOML has it: supervisord "
          "ignores it here, and so does initpy"]),
        ("stopsignal=TERM\n  autostart=false",
         [f"{F}:5: warning: [program:web] autostart: the line is indented, so it continues the "
          "value of directory"]),
        ("environment=A=b c",
         [f"{F}:4: warning: [program:web] environment: expected a comma or the end behind the "
          "value of A: what is there is left out, as supervisord does; quote the value"]),
        ("environment=A=b#c",
         [f'{F}:4: warning: [program:web] environment: all from "#" to the end of the line is '
          "left out, as supervisord does; quote the value"]),
        ('environment=A="b#c"', []),
        ("stopwaitsecs=600",
         [f"{F}:4: warning: [program:web] stopwaitsecs: it may take 600 s to stop, and a shutdown "
          "may leave it 8.5 s; set less, or set shutdown_timeout=600.5 in a section [init] and the "
          "engine's own limit above that"]),
    ],
)  # fmt: skip
def test_options(options: str, said: list[str]) -> None:
    options = options.replace("stopsignal=TERM\n", "directory=/\n")
    assert said_of(f"[program:web]\ncommand=/bin/sh\ncritical=1\n{options}\n") == said


def test_where_output_goes() -> None:
    """As supervisord has it, but for programs that say nothing: theirs is the container's."""
    text = "[supervisord]\nchildlogdir=%(here)s/log\nstrip_ansi=true\n"
    text += "[program:a]\ncommand=/bin/sh\nstdout_logfile=AUTO\nstdout_logfile_maxbytes=1KB\n"
    text += "stdout_logfile_backups=2\nstderr_logfile=/dev/fd/1\nstderr_syslog=true\n"
    text += "[program:b]\ncommand=/bin/sh\nstdout_logfile=NONE\n"
    a, b = load_conf(text).plan.processes
    assert a.stdout is not None
    (sink,) = a.stdout.sinks
    assert sink.target.endswith(b"/log/a-stdout---a.log")
    assert (sink.kind, sink.max_bytes, sink.backups, a.stdout.strip_ansi) == (FILE, 1024, 2, True)
    assert a.stderr is not None
    assert a.stderr.sinks == (Sink(STREAM, b"1"), Sink(SYSLOG, b"unix:/dev/log"))
    assert b.stdout is not None
    assert b.stderr is not None
    assert (b.stdout.sinks, b.stderr.sinks) == ((), (Sink(STREAM, b"2"),))


def test_what_is_meant_for_a_shell() -> None:
    assert said_of("[program:web]\ncritical=1\ncommand=/bin/sh $HOME\n") == [
        f"{F}:3: warning: [program:web] command: $HOME stays as it is, for there is no shell: "
        "write %(ENV_HOME)s"
    ]
    assert said_of("[program:web]\ncritical=1\ncommand=/bin/sh a && /bin/sh b\n") == [
        f'{F}:3: warning: [program:web] command: "&&" is for a shell, and there is none: leave it '
        'out, or call a shell: sh -c "…"'
    ]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (WEB + "startsecs=soon",
         [f'{F}:3: [program:web] startsecs: expected a number of seconds, 0 or more, not "soon"']),
        (WEB + "startsecs=-1",
         [f"{F}:3: [program:web] startsecs: expected a number of seconds, 0 or more, not -1"]),
        (WEB + "numprocs=0",
         [f"{F}:3: [program:web] numprocs: expected a whole number from 1 to 10000, not 0"]),
        (WEB + "numprocs=2",
         [f'{F}:1: [program:web] process_name: expected "%(process_num)" in it, as numprocs is 2']),
        (WEB + "autostart=maybe",
         [f'{F}:3: [program:web] autostart: expected true or false, not "maybe"']),
        (WEB + "exitcodes=0,256",
         [f"{F}:3: [program:web] exitcodes[1]: expected a whole number from 0 to 255, not 256"]),
        (WEB + "stopasgroup=true\nkillasgroup=false",
         [f"{F}:4: [program:web] killasgroup: expected true, as stopasgroup is true"]),
        (WEB + "umask=888",
         [f'{F}:3: [program:web] umask: expected an octal number, "022" or 0o022, not "888"']),
        ("[program:web]\nautostart=true",
         [f"{F}:1: [program:web] command: missing; expected a list of strings, or one string that "
          "is split as a shell splits it"]),
        ("[program:web]\ncommand=date +%Y",
         [f'{F}:2: [program:web] command: a "%" on its own: to have one, write "%%"']),
        ("[program:web]\ncommand=a %(nope)s",
         [f"{F}:2: [program:web] command: there is no %(nope)s here; to have it as it is, write "
          "%%(nope)"]),
        ("[program:web]\ncommand=a %(ENV_NOPE)s",
         [f"{F}:2: [program:web] command: the environment has no NOPE, for %(ENV_NOPE)s"]),
        (WEB + "environment=A",
         [f'{F}:3: [program:web] environment: expected NAME="value", with a comma between two of '
          "them"]),
        (WEB + 'environment=A="',
         [f"{F}:3: [program:web] environment: expected a closing quote"]),
        (WEB + 'environment=%(program_name)s="',
         [f"{F}:3: [program:web] environment: expected a closing quote"]),
        (WEB + "environment=%(program_name)s=1",
         [f"{F}:3: [program:web] environment: expected a name without %(…)s in it"]),
        (WEB + "environment=A=%(ENV_NOPE)s",
         [f"{F}:3: [program:web] environment.A: the environment has no NOPE, for %(ENV_NOPE)s"]),
        (WEB + "[group:g]\nprograms=web,wbe",
         [f'{F}:4: [group:g] programs[1]: no program "wbe"; did you mean web?']),
        (WEB + "[fcgi-program:f]\ncommand=x\nsocket=tcp://:1",
         [f"{F}:3: [fcgi-program:f]: {NO_FASTCGI}"]),
        (WEB + "[program: web]\ncommand=x",
         [f"{F}:3: [program: web]: the same program as [program:web]"]),
        ("[program:a b]\ncommand=x",
         [f'{F}:1: [program:a b]: a name cannot have white space, control characters, ":", "/" or '
          '"*" in it']),
        ("[supervisord]\n", [f"{F}: no [program:NAME] in it: nothing to run"]),
        ("[supervisord]\nminfds=lots\n" + WEB,
         [f'{F}:2: [supervisord] minfds: expected a whole number, not "lots"']),
        ("[supervisord]\nenvironment=A=%(program_name)s\n" + WEB,
         [f"{F}:2: [supervisord] environment.A: there is no %(program_name)s here; to have it as "
          "it is, write %%(program_name)"]),
        (WEB + "word\n[x\n",
         [f"{F}:3: expected `name = value`; a line that continues a value has to be indented",
          f"{F}:4: expected `name = value`; a line that continues a value has to be indented"]),
        (WEB + "[include]\n",
         [f"{F}:3: [include] files: missing; expected names of files"]),
        (WEB + "[include]\nfiles=%(ENV_NOPE)s",
         [f"{F}:4: [include] files: the environment has no NOPE, for %(ENV_NOPE)s"]),
    ],
)  # fmt: skip
def test_what_is_wrong(text: str, problems: list[str]) -> None:
    assert problems_of(text + "\n") == problems


def test_everything_wrong_is_said_at_once_with_the_file_it_is_in() -> None:
    text = "[include]\nfiles=a.conf b.conf c.conf\n[program:web]\ncommand=/bin/sh\nstartsecs=x\n"
    assert problems_of(text, a="[program:web]\npriority=p\n", b="[program:b]\n") == [
        f'{F}:5: [program:web] startsecs: expected a number of seconds, 0 or more, not "x"',
        'a.conf:2: [program:web] priority: expected a whole number, not "p"',
        "b.conf:1: [program:b] command: missing; expected a list of strings, or one string that is "
        "split as a shell splits it",
    ]


def test_a_comment_in_quotes() -> None:
    text = "[program:web]\ncommand=sh -c 'a ; b'\n"
    with pytest.raises(ConfigError, match="No closing quotation") as caught:
        load_conf(text)
    (warning,) = [it for it in caught.value.warnings if not it.is_note]
    assert str(warning) == (
        f'{F}:2: warning: [program:web] command: the quotes do not end before " ;" or " #", which '
        "begins a comment even in quotes"
    )


def test_no_value_of_an_environment_is_ever_shown() -> None:
    """Not even in the command that it comes into."""
    secret = ENVIRON | {"SECRET": "o'pen"}
    assert problems_of("[program:web]\ncommand=a %(ENV_SECRET)s\n", secret) == [
        f"{F}:2: [program:web] command: can't parse command, once it is expanded: No closing "
        "quotation"
    ]
    for value in ('A="hush', "A=hush,B", "A=hu@sh,B"):
        said = problems_of(f"[program:web]\ncommand=a\nenvironment={value}\n")
        assert not any("hu" in line for line in said)


def test_included_files() -> None:
    text = f"[include]\nfiles = no*.conf a.conf\n{WEB}{CRITICAL}"
    included = "[include]\nfiles=b.conf\n[program:web]\npriority=3\n"
    assert said_of(text, a=included, b="") == [
        f"{F}:2: warning: [include] files: no file matches no*.conf",
        "a.conf:1: warning: [include]: an included file cannot include others: supervisord "
        "ignores it, too",
    ]


def test_a_file_that_is_read_as_supervisord_would_not() -> None:
    """What breaks there: a quote, a comma or a % in a variable that others refer to; and %% in the
    environment of [supervisord] and in log files, which it expands twice."""
    environ = ENVIRON | {"PASSWORD": "a'b\",c=%d"}
    text = '[supervisord]\nenvironment=RATE="5%%"\n'
    text += WEB + 'environment=URL="x://%(ENV_PASSWORD)s@y",RATE2="%(ENV_RATE)s"\n'
    (spec,) = load_conf(text, environ).plan.processes
    assert dict(spec.environment) == {
        b"RATE": b"5%",
        b"URL": b"x://a'b\",c=%d@y",
        b"RATE2": b"5%",
    }


def test_what_supervisord_has_for_all_goes_to_those_that_have_none() -> None:
    text = "[supervisord]\nuser=nobody\ndirectory=/tmp\numask=027\n[program:b]\ncommand=x\n"
    other, spec = load_conf(text + WEB + "user=root\numask=022\n").plan.processes
    assert (spec.uid, spec.directory, spec.umask) == (-1, b"/tmp", 0o022)
    uid = 65534 if os.geteuid() == 0 else -1  # nobody but root becomes another user
    assert (other.uid, other.directory, other.umask) == (uid, b"/tmp", 0o027)


def test_limits_are_only_ever_raised() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    (spec,) = load_conf(f"[supervisord]\nminfds={soft}\n{WEB}").plan.processes
    assert spec.rlimits == ()
    (spec,) = load_conf(f"[supervisord]\nminfds={soft + 1}\n{WEB}").plan.processes
    assert spec.rlimits == ((resource.RLIMIT_NOFILE, soft + 1, max(hard, soft + 1)),)


def test_words_that_only_the_environment_knows() -> None:
    options = "command=/bin/sh %(ENV_SPACED)s '%(ENV_SPACED)s' %(ENV_EMPTY)s end\n"
    assert web(options).argv == (b"/bin/sh", b"a", b"b", b"a b", b"end")


def test_settings_of_its_own() -> None:
    loaded = load_conf("[init]\nshutdown_timeout = 2.5\nexit_code_from = web\n" + WEB)
    assert loaded.plan.shutdown_timeout_s == 2.5
    assert loaded.plan.exit_code_from == ("web",)
    assert said_of("[init]\nsignals = x\n" + WEB) == [
        f"{F}:2: warning: [init] signals: unknown option: supervisord ignores it, too"
    ]


def test_the_file_itself_among_those_it_includes() -> None:
    text = f"[include]\nfiles=./*.conf\n{WEB}{CRITICAL}"
    assert said_of(text, a="[program:web]\npriority=3\n") == []


def test_a_percent_in_a_value() -> None:
    environment = dict(web('environment=A="%%(here)s",B="100%%"').environment)
    assert environment == {b"A": b"%(here)s", b"B": b"100%"}


def test_a_section_that_is_indented() -> None:
    assert said_of(f"{WEB}{CRITICAL}directory=/\n  [program:b]\n  command=x\n") == [
        f"{F}:5: warning: [program:b]: the line is indented, so it continues the value of "
        "directory",
        f"{F}:6: warning: [program:web] command: the line is indented, so it continues the value "
        "of directory",
    ]
