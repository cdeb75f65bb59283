"""The lint: a corpus of good command lines and one of bad ones, and what is behind both."""

from __future__ import annotations

import itertools
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initpy.config import ConfigError, check, load
from initpy.config.lint import MAX_IN_ALL, MAX_OF_PROGRAM
from initpy.config.lint.commands import MAX_LAYERS, read
from initpy.config.lint.daemons import DAEMONS
from initpy.config.lint.files import MAX_READS, MAX_TEXT_BYTES
from initpy.config.lint.shell import script, tokens
from initpy.config.toml import parse
from tests.config.support import unprivileged
from tests.core.profile import REPEATABLE
from tests.support import REPO, toml_list

if TYPE_CHECKING:
    from collections.abc import Callable

    from initpy.plan import ProcessSpec

PROGRAM = b"\x7fELF\0"
"""All that the lint wants to see of one."""

NO_SHELL = 'is for a shell, and there is none: leave it out, or call a shell: ["sh", "-c", "…"]'


@pytest.fixture(autouse=True)
def bin_(folder: Path) -> Path:
    """A PATH with Debian's shells, and with whatever else is asked for."""
    (folder / "bin").mkdir()
    for name in ("bash", "busybox", "dash"):
        put(f"bin/{name}")
    (folder / "bin" / "sh").symlink_to("dash")
    return folder / "bin"


def put(path: str, content: str | bytes = PROGRAM, mode: int = 0o755) -> None:
    raw = content.encode() if isinstance(content, str) else content
    Path(path).write_bytes(raw)
    Path(path).chmod(mode)


def lint(program: str, environ: dict[str, str] | None = None) -> tuple[list[str], ProcessSpec]:
    """The warnings of a [program.web] that begins with its command, and the process."""
    command = parse(program)["command"]
    first = (shlex.split(command) if isinstance(command, str) else command)[0]
    if "/" not in first and not Path("bin", first).exists():
        put(f"bin/{first}")
    return lint_as_it_is(program, environ)


def lint_as_it_is(
    program: str, environ: dict[str, str] | None = None
) -> tuple[list[str], ProcessSpec]:
    """The same, with no program put into PATH."""
    Path("initpy.toml").write_text(f"[init]\nshutdown_timeout = 99\n[program.web]\n{program}\n")
    path = f"{Path.cwd()}/bin"
    loaded = load("initpy.toml", {"PATH": path, **(environ or {})})
    said = [str(it).partition(": warning: program.web.")[2] for it in loaded.warnings]
    return [line.replace(path, "BIN") for line in said], loaded.plan.processes[0]


def warnings_of(program: str, environ: dict[str, str] | None = None) -> list[str]:
    return lint(program, environ)[0]


def leaves(name: str, foreground: str, why: str = "") -> str:
    """What is said of a command that leaves the foreground."""
    return (
        f"command: {why}{name} puts itself in the background, and initpy sees it end; to keep it "
        f"in the foreground: {foreground}"
    )


def starts(name: str, instead: str = "the program itself, not what starts it") -> str:
    """What is said of a command that starts another."""
    return (
        f"command: {name} starts a program in the background, and initpy sees it end; to keep it "
        f"in the foreground: {instead}"
    )


GOOD = r"""
command = "nginx -g 'daemon off;'"
command = ["nginx", "-g", "daemon off;"]
command = ["nginx", "-g", "pid /tmp/nginx.pid; daemon off;", "-c", "/no/such/nginx.conf"]
command = "nginx -c /no/such/nginx.conf"
command = "nginx -t"
command = "nginx" @@ type = "oneshot"
command = "nginx -g 'daemon off;'" @@ stopsignal = "QUIT"
command = "nginx -g 'daemon off;'" @@ stopsignal = ["WINCH 5", "QUIT 5"]
command = "php-fpm8.2 -F"
command = "php-fpm --nodaemonize --fpm-config /no/such.conf"
command = "php-fpm81 -FR"
command = "redis-server --port 6379 --save ''"
command = "redis-server /no/such/redis.conf"
command = "redis-server /no/such/redis.conf --daemonize no"
command = "apache2 -DFOREGROUND" @@ stopsignal = "WINCH"
command = "httpd -D FOREGROUND -f /etc/httpd.conf"
command = "apachectl -D FOREGROUND"
command = "httpd -f -p 8080 -h /www"
command = "busybox httpd -f -p 8080"
command = "cron -f -L 15"
command = "crond -f -l 8"
command = "crond -n"
command = "%(here)s/bin/dash -x"
command = "dropbear -RFE"
command = "postgres -D /data" @@ stopsignal = "INT"
command = "pg_ctlcluster --foreground 15 main start" @@ stopsignal = "INT"
command = "celery -A app worker -l INFO -c 4"
command = "celery -A app worker -B -E --loglevel=info -Q start,mail"
command = "celery -A app worker -Q multi"
command = "celery -A app beat -s /tmp/schedule"
command = "gunicorn -w 4 -b 0.0.0.0:8000 app:app"
command = "gunicorn --worker-tmp-dir /dev/shm --forwarded-allow-ips=* app:app"
command = "uvicorn app:app --host 0.0.0.0 --forwarded-allow-ips *"
command = ["python3", "-m", "gunicorn", "-k", "uvicorn.workers.UvicornWorker", "app:app"]
command = "python -u manage.py runserver 0.0.0.0:8000"
command = "memcached -m 64 -u memcache -l 127.0.0.1"
command = "haproxy -W -db -f /no/such/haproxy.cfg"
command = "haproxy -Ws -D -f /no/such/haproxy.cfg"
command = "mysqld --user=mysql --datadir=/var/lib/mysql"
command = "mongod --bind_ip_all --dbpath /data/db"
command = "rsyslogd -n -iNONE"
command = "supervisord -n -c /no/such.conf"
command = "postfix start-fg"
command = "varnishd -F -a :80 -f /etc/varnish/default.vcl -s malloc,256m"
command = "squid -N -f /etc/squid/squid.conf"
command = "dnsmasq -k --conf-file=/no/such.conf"
command = "dnsmasq --no-daemon --log-queries"
command = "proftpd --nodaemon"
command = "chronyd -d -s"
command = "ntpd -gn"
command = "keepalived -nlD"
command = "uwsgi --socket :3031 --module app --processes 2"
command = "uwsgi --master --die-on-term --http :8080 --module app"
command = "uwsgi --master --http :8080 --module app" @@ stopsignal = "QUIT"
command = "uwsgi --master --http :8080 --module app" @@ stopsignal = ["TERM 5", "INT"]
command = "uwsgi --master --http :8080" @@ stop_command = "sh"
command = ["uwsgi", "-M", "--hook-master-start", "unix_signal:15 gracefully_kill_them_all"]
command = "uwsgi --master --yaml /no/such.yaml"
command = "env -u X APP_ENV=prod PORT=80 gunicorn app:app"
command = "gosu www-data php-fpm -F"
command = ["su-exec", "nobody", "caddy", "run", "--config", "/etc/Caddyfile"]
command = ["setpriv", "--reuid=1000", "--regid", "1000", "--clear-groups", "--", "cron", "-f"]
command = "chpst -u www:www -o 1024 nginx -g 'daemon off;'"
command = "tini -g -- nginx -g 'daemon off;'"
command = "dumb-init --rewrite 15:3 nginx -g 'daemon off;'"
command = "timeout -s TERM 3600 batch"
command = "start-stop-daemon --start --chuid app --exec /usr/bin/app -- --port 80"
command = "service nginx status"
command = "pm2-runtime start ecosystem.config.js"
command = "bundle exec puma -C config/puma.rb"
command = "poetry run celery -A app worker"
command = "busybox su -c 'exec app' www"
command = ["sh", "-c", "exec gunicorn -b 0.0.0.0:$PORT app:app"]
command = ["sh", "-c", "cd /app && exec node server.js > /tmp/log 2>&1"]
command = ["sh", "-c", "while :; do date; sleep 60; done"]
command = ["sh", "-c", "set -e; migrate & seed & wait; exec serve"]
command = ["sh", "-c", "app"] @@ stopasgroup = true
command = ["sh", "-c", "migrate"] @@ type = "oneshot"
command = ["sh", "-c", "exec \"$@\"", "sh", "app", "--x"]
command = ["sh", "-c", "trap 'echo bye' TERM; app"]
command = ["sh", "-c", "tail -F /var/log/app.log | grep -v DEBUG"]
command = ["busybox", "sh", "-c", "app"]
command = ["bash", "-c", "cd /app && app"]
command = ["bash", "-o", "pipefail", "-c", "app 2>&1 | tee /tmp/log"]
command = "java -Xmx512m -cp lib/*:app.jar com.example.Main"
command = "find /tmp -name *.tmp -delete"
command = ["find", "/tmp", "-name", "*.tmp", "-exec", "rm", "{}", ";"]
command = "find /tmp -name '*.tmp' -exec rm {} ;"
command = "app --url http://x/?a=1&b=2;c --pattern a|b --tag '&&' --mark \\; --name=<x>"
command = ["app", "--regex", "^a$|b*", "--price", "$5", "--template", "$(name) x", "a && b"]
command = "app \\$PORT"
command = "bash -c \"$SCRIPT\""
command = ["ruby", "-e", "$(x)"]
command = ["sh", "-c", "! app"]
command = "app --cost $$HOME '$HOME' --at x$HOME"
command = "tail -F /var/log/app.log"
command = ["perl", "-e", "print 1 > 2 && $x;"]
command = ["python3", "-c", "import os; print(os.environ['X'] > 'a')"]
command = "python3 -c '$(x)'"
command = "dbus-daemon --system --nofork"
command = "dbus-daemon --session --address=unix:path=/tmp/bus"
command = "dockerd --host unix:///run/docker.sock"
command = "slapd -h ldap:/// -d 256"
command = "named -g -u bind"
command = "smbd -F --no-process-group"
command = "rsync --daemon --no-detach"
command = "freshclam -d -F -c 4"
command = "lighttpd -D -f /etc/lighttpd/lighttpd.conf"
command = "twistd -ny app.tac"
command = "transmission-daemon -f --log-level=info"
command = "mosquitto -c /etc/mosquitto/mosquitto.conf -v"
command = "exim4 -bdf -q30m"
command = "monit -I -c /etc/monitrc"
command = "spawn-fcgi -n -s /tmp/f -- /usr/bin/app -d"
command = "app --daemon -D --daemonize yes start"
command = "%(here)s/bin/service start"
"""

BAD: list[tuple[str, str]] = [
    # Nothing that could be executed.
    ('command = "cd /app"', 'command: "cd" is only known to a shell, and there is none: set '
     "`directory`"),
    ('command = "export A=b"', 'command: "export" is only known to a shell, and there is none: set '
     "`environment`"),
    ('command = "PORT=80 node x.js"', 'command: "PORT=80" is only known to a shell, and there is '
     "none: set `environment`"),
    ('command = "exec app"', 'command: "exec" is only known to a shell, and there is none: leave '
     "it out, initpy executes the command itself"),
    ('command = "ulimit -n 1000"', 'command: "ulimit" is only known to a shell, and there is none: '
     "set `rlimits`"),
    ('command = "source x"', 'command: "source" is only known to a shell, and there is none: call '
     'a shell: ["sh", "-c", "…"]'),
    ('command = ["app --port 80"]', 'command: there is no "app --port 80": a list has one word in '
     "each item"),
    ('command = "wbe"', 'command: there is no "wbe" in PATH (BIN): correct the name, or install '
     "it"),
    ('command = "/no/such/run.sh"', 'command: there is no "/no/such/run.sh": correct the path, or '
     "put the file there"),
    # What only a shell understands.
    ('command = "cd /app && app"', f'command: "&&" {NO_SHELL}'),
    ('command = "migrate || true"', f'command: "||" {NO_SHELL}'),
    ('command = "app | tee log"', f'command: "|" {NO_SHELL}'),
    ('command = "app > log 2>&1"', f'command: ">" {NO_SHELL}'),
    ('command = "app 2>/dev/null"', f'command: "2>" {NO_SHELL}'),
    ('command = "app >/dev/null"', f'command: ">" {NO_SHELL}'),
    ('command = "app < /dev/null"', f'command: "<" {NO_SHELL}'),
    ('command = "a; b"', f'command: ";" {NO_SHELL}'),
    ('command = ["a", "&&", "b"]', f'command: "&&" {NO_SHELL}'),
    ('command = ["app", ">", "log"]', f'command: ">" {NO_SHELL}'),
    ('command = ["app", ">/dev/null"]', f'command: ">/dev/null" {NO_SHELL}'),
    ('command = ["app", "2>&1"]', f'command: "2>&1" {NO_SHELL}'),
    ('command = "app &"', 'command: "&" is only one more word for the program, for there is no '
     "shell: leave it out"),
    ('command = "app&"', 'command: "&" is only one more word for the program, for there is no '
     "shell: leave it out"),
    ('command = ["app", "&"]', 'command: "&" is only one more word for the program, for there is '
     "no shell: leave it out"),
    ('command = "app --host $(hostname)"', f'command: "$(hostname)" {NO_SHELL}'),
    ('command = ["app", "`hostname`"]', f'command: "`hostname`" {NO_SHELL}'),
    ('command = "app --port $PORT"', "command: $PORT stays as it is, for there is no shell: write "
     "${PORT}"),
    ('command = "app --cost $$X --port \\"$PORT\\""', "command: $PORT stays as it is, for there is "
     "no shell: write ${PORT}"),
    ('command = ["app", "--bind=0.0.0.0:$PORT"]', "command: $PORT stays as it is, for there is no "
     "shell: write ${PORT}"),
    ('command = "$HOME/bin/app"', "command: $HOME stays as it is, for there is no shell: write "
     "${HOME}"),
    ('command = "tail -F /var/log/*.log"', 'command: tail gets "/var/log/*.log" as it is, for '
     'there is no shell that would look for the files: call one: ["sh", "-c", "…"]'),
    ('command = "app"\nstop_command = "sh && sleep 1"', f'stop_command: "&&" {NO_SHELL}'),
    # Shells and wrappers.
    ('command = "sh -c nginx -g \'daemon off;\'"', 'command: the shell runs no more than "nginx", '
     "for its -c takes one word: quote all that is meant"),
    ('command = ["sh", "-c", "app &"]', 'command: the "&" at the end puts it in the background, '
     "the shell ends, and initpy takes that for the end of the program: leave the "
     '"&" out'),
    ('command = ["sh", "-c", "cd /app && (app &)"]', 'command: the "&" at the end puts it in the '
     "background, the shell ends, and initpy takes that for the end of the program: leave the "
     '"&" out'),
    ('command = ["sh", "-c", "app --x"]', "command: the shell stays in front of app, and signals "
     "end the shell alone: write exec before app"),
    ('command = ["sh", "-c", "cd /app && A=b app --x"]', "command: the shell stays in front of "
     "app, and signals end the shell alone: write exec before app"),
    ('command = ["bash", "-c", "app > log"]', "command: the shell stays in front of app, and "
     "signals end the shell alone: write exec before app"),
    ('command = "nohup app"', "command: nohup makes app ignore HUP, and does nothing else here: "
     "leave nohup out"),
    ('command = ["sh", "-c", "exec nohup app"]', "command: nohup makes app ignore HUP, and does "
     "nothing else here: leave nohup out"),
    ('command = "setsid app"', "command: setsid puts app in the background, and initpy sees it "
     "end; it already has a session of its own: leave setsid out"),
    ('command = "setsid -f app"', "command: setsid puts app in the background, and initpy sees it "
     "end; it already has a session of its own: leave setsid out"),
    ('command = "setsid app -w"', "command: setsid puts app in the background, and initpy sees it "
     "end; it already has a session of its own: leave setsid out"),
    ('command = "setsid -w app"', "command: setsid stays in front of app, and signals end setsid "
     "alone: leave setsid out"),
    ('command = "su www -c \'exec app\'"', "command: su passes on no signal but TERM, and kills "
     'app 2 s after that: leave it out, and set user = "www"'),
    ('command = ["su", "-", "-s", "/bin/sh", "-c", "app | cat", "www"]', "command: su passes on no "
     'signal but TERM, and kills cat 2 s after that: leave it out, and set user = "www"'),
    ('command = "runuser -u www -- app"', "command: runuser passes on no signal but TERM, and "
     'kills app 2 s after that: leave it out, and set user = "www"'),
    # Words with which a known command only fails.
    ('command = "nginx -g daemon off;"', "command: nginx takes what follows -g as one word with a "
     "semicolon: 'daemon off;'"),
    ('command = ["nginx", "-g", "daemon off"]', "command: nginx takes what follows -g as one word "
     "with a semicolon: 'daemon off;'"),
    ('command = "sshd -D"', "command: sshd refuses to run unless it is called by its whole path: "
     "/usr/sbin/sshd"),
    # Daemons.
    ('command = "nginx"', leaves("nginx", "-g 'daemon off;'")),
    ('command = "nginx -g \'pid /tmp/x;\'"', leaves("nginx", "-g 'daemon off;'")),
    ('command = "openresty"', leaves("openresty", "-g 'daemon off;'")),
    ('command = "env A=b nice -n 5 nginx"', leaves("nginx", "-g 'daemon off;'")),
    ('command = ["sh", "-c", "cd /x; exec nginx"]', leaves("nginx", "-g 'daemon off;'")),
    ('command = "nice --adjustment 5 cron"', leaves("cron", "-f")),
    ('command = "python3 -W ignore -m gunicorn -D app"',
     leaves("gunicorn", "no --daemon", "with -D, ")),
    ('command = ["bash", "-eo", "pipefail", "-c", "exec cron"]', leaves("cron", "-f")),
    ('command = "docker-entrypoint.sh nginx"', leaves("nginx", "-g 'daemon off;'")),
    ('command = "php-fpm8.2"', leaves("php-fpm8.2", "-F")),
    ('command = "php-fpm7 -R"', leaves("php-fpm7", "-F")),
    ('command = "gosu www-data php-fpm"', leaves("php-fpm", "-F")),
    ('command = "redis-server --daemonize yes"',
     leaves("redis-server", "--daemonize no", "with --daemonize=yes, ")),
    ('command = "httpd"', leaves("httpd", "-D FOREGROUND")),
    ('command = "apache2 -k start"', leaves("apache2", "-D FOREGROUND")),
    ('command = "apachectl start"', leaves("apachectl", "-D FOREGROUND", "with start, ")),
    ('command = "apache2ctl -k start"', leaves("apache2ctl", "-D FOREGROUND", "with start, ")),
    ('command = "httpd -p 8080 -h /www"', leaves("httpd", "-f")),
    ('command = "busybox httpd"', leaves("httpd", "-f")),
    ('command = "cron -L 15"', leaves("cron", "-f")),
    ('command = "crond -l 2"', leaves("crond", "-f (cronie: -n)")),
    ('command = "%(here)s/bin/sshd"', leaves("sshd", "-D", "unless initpy is PID 1, ")),
    ('command = "celery multi start w1 -A app"',
     leaves("celery", "worker or beat, without --detach", "with multi, ")),
    ('command = "celery -A app beat --detach"',
     leaves("celery", "worker or beat, without --detach", "with --detach, ")),
    ('command = "celery -A app worker -D"',
     leaves("celery", "worker or beat, without --detach", "with -D, ")),
    ('command = "gunicorn --daemon app:app"',
     leaves("gunicorn", "no --daemon", "with --daemon, ")),
    ('command = "python3 -m gunicorn -w 4 -D app:app"',
     leaves("gunicorn", "no --daemon", "with -D, ")),
    ('command = "memcached -vdu nobody"', leaves("memcached", "no --daemon", "with -d, ")),
    ('command = "haproxy -D -f /no/such.cfg"', leaves("haproxy", "-db", "with -D, ")),
    ('command = "mysqld --daemonize"', leaves("mysqld", "no --daemonize", "with --daemonize, ")),
    ('command = "mongod --fork --logpath /tmp/log"',
     leaves("mongod", "no --fork", "with --fork, ")),
    ('command = "rsyslogd -iNONE"', leaves("rsyslogd", "-n")),
    ('command = "supervisord"', leaves("supervisord", "--nodaemon")),
    ('command = "postfix start"', leaves("postfix", "start-fg instead of start", "with start, ")),
    ('command = "varnishd -a :80"', leaves("varnishd", "-F")),
    ('command = "squid -f /etc/squid/squid.conf"', leaves("squid", "-N")),
    ('command = "dnsmasq -p 53"', leaves("dnsmasq", "--keep-in-foreground")),
    ('command = "proftpd"', leaves("proftpd", "-n")),
    ('command = "ntpd -g"', leaves("ntpd", "-n")),
    ('command = "chronyd"', leaves("chronyd", "-d")),
    ('command = "keepalived -D"', leaves("keepalived", "--dont-fork")),
    ('command = "uwsgi --daemonize /tmp/log"',
     leaves("uwsgi", "no daemonize", "with --daemonize, ")),
    ('command = "uwsgi -d/tmp/log"', leaves("uwsgi", "no daemonize", "with -d, ")),
    ('command = "pm2 start app.js"', leaves("pm2", "pm2-runtime instead of pm2", "with start, ")),
    ('command = "screen -dmS x app"',
     leaves("screen", "no screen, only what comes after it", "with -d, ")),
    ('command = "start-stop-daemon --start -b --exec /bin/app"',
     leaves("start-stop-daemon", "no --background", "with -b, ")),
    ('command = "start-stop-daemon --start --exec /usr/sbin/cron -- -L 1"', leaves("cron", "-f")),
    # What starts another.
    ('command = "service nginx start"', starts("service")),
    ('command = "systemctl start nginx"', starts("systemctl")),
    ('command = "rc-service nginx restart"', starts("rc-service")),
    ('command = "pg_ctl -D /data start"', starts("pg_ctl", "postgres itself")),
    ('command = "daemonize /bin/app"',
     starts("daemonize", "no daemonize, only what comes after it")),
    ('command = ["sh", "-c", "service nginx start && tail -f log | cat"]',
     "command: service starts a program in the background, where initpy does not see it; give it a "
     "[program.NAME] of its own, and to keep it in the foreground there: the program itself, not "
     "what starts it"),
    # Signals that stop nothing.
    ('command = "uwsgi --master --http :80"', "stopsignal: TERM makes uWSGI reload, not stop: set "
     'die-on-term = true in its configuration, or stopsignal = "QUIT"'),
    ('command = "uwsgi -M --http :80"\nstopsignal = "HUP"',
     "stopsignal: uwsgi does not end on HUP: use QUIT or INT"),
    ('command = "postgres -D /data"', "stopsignal: on TERM, postgres waits until every client has "
     'left, and is killed if one does not: set stopsignal = "INT"'),
    ('command = "mysqld_safe"',
     "stopsignal: mysqld_safe does not end on TERM: execute mysqld itself"),
    ('command = "nginx -g \'daemon off;\'"\nstopsignal = "WINCH"',
     "stopsignal: nginx does not end on WINCH: use QUIT or TERM"),
    ('command = "nginx -g \'daemon off;\'"\nstopsignal = ["HUP 5", "WINCH 5"]',
     "stopsignal: nginx does not end on HUP and WINCH: use QUIT or TERM"),
    ('command = "apache2ctl -D FOREGROUND"\nstopsignal = "WINCH"',
     "stopsignal: apache2ctl does not end on WINCH: execute apache2 itself"),
    ('command = "gunicorn app:app"\nstopsignal = "HUP"',
     "stopsignal: gunicorn does not end on HUP: use TERM"),
    # Users and directories.
    ('command = "app"\nuser = "no-such-user"', "user: couldn't setuid to no-such-user: Can't find "
     "username 'no-such-user': correct the name, or create it in the image"),
    ('command = "app"\ngroup = "no-such-group"', "group: couldn't setgid to no-such-group: Can't "
     "find group 'no-such-group': correct the name, or create it in the image"),
    ('command = "app"\ndirectory = "/no/such"', 'directory: there is no directory "/no/such", so '
     "it cannot be started there: create it, or correct the path"),
    ('command = "app"\ndirectory = "%(here)s/bin/dash"', 'directory: "BIN/dash" is no directory, '
     "so it cannot be started there"),
    ('command = "app"\nstop_command = "no-such"', 'stop_command: there is no "no-such" in PATH '
     "(BIN): correct the name, or install it"),
]  # fmt: skip

MADE_UP = ("cd", "export", "PORT=80", "exec", "ulimit", "source", "wbe", "app --port 80")
"""Commands that are not there; in all other lines the first word is."""


@pytest.mark.parametrize("line", GOOD.strip().splitlines())
def test_a_good_command_is_no_cause_to_warn(line: str) -> None:
    put("bin/service")
    assert warnings_of(line.replace(" @@ ", "\n")) == []


@pytest.mark.parametrize(("program", "said"), BAD)
def test_a_bad_command_gets_one_line(program: str, said: str) -> None:
    put("bin/sshd")
    first = parse(program)["command"]
    first = first[0] if isinstance(first, list) else first.split()[0]
    assert (lint_as_it_is if first in MADE_UP else lint)(program)[0] == [said]


# Their configuration files.

CONFIGS = [
    # the file, what it says, the command, who says it: "" means a warning without a reason
    ("redis.conf", "# daemonize yes\nport 0\n", "redis-server FILE", None),
    ("redis.conf", "port 0\ndaemonize yes\n", "redis-server FILE", "file"),
    ("redis.conf", "daemonize yes\ndaemonize no\n", "redis-server FILE", None),
    ("redis.conf", "daemonize yes\n", "redis-server FILE --daemonize no", None),
    ("sentinel.conf", "daemonize  YES\n", "redis-sentinel ./FILE", "file"),
    ("nginx.conf", "user www;\ndaemon off;  # here\nevents {}\n", "nginx -c FILE", None),
    ("nginx.conf", "user www; daemon off; events {}\n", "nginx -c FILE", None),
    ("nginx.conf", "events {}\n# daemon off;\n", "nginx -c FILE", ""),
    ("nginx.conf", "daemon on;\n", "nginx -c FILE -g 'daemon off;'", None),
    ("nginx.conf", "include extra/*.conf;\nevents {}\n", "nginx -c FILE", None),
    ("nginx.conf", "include extra/*.txt;\nevents {}\n", "nginx -c FILE", ""),
    ("nginx.conf", "include extra/[a]*.conf;\nevents {}\n", "nginx -c FILE", None),
    ("fpm.conf", "[global]\ndaemonize = no\n", "php-fpm -y FILE", None),
    ("fpm.conf", "[global]\n;daemonize = no\n", "php-fpm8.3 --fpm-config=FILE", ""),
    ("etc/fpm.conf", "include=extra/z-*.conf\n", "php-fpm -y FILE", None),
    ("uwsgi.ini", "[uwsgi]\ndaemonize = /tmp/log\n", "uwsgi --ini FILE", "file"),
    ("uwsgi.ini", "[uwsgi]\nhttp = :80\n", "uwsgi FILE", None),
    ("gunicorn.conf.py", "bind = ':80'\ndaemon = True\n", "gunicorn app:app", "file"),
    ("g.py", "daemon = False\n", "gunicorn -c FILE app:app", None),
    ("haproxy.cfg", "global\n    daemon\n", "haproxy -f FILE", "file"),
    ("haproxy.cfg", "global\n    daemon\n", "haproxy -db -f FILE", None),
    ("haproxy.cfg", "global\n    maxconn 9\n", "haproxy -f FILE", None),
    ("haproxy.cfg", "global\n    daemon\n", "haproxy -f no.cfg -f FILE", "file"),
    ("mongod.conf", "  fork: true # or not\n", "mongod --config FILE", "file"),
    ("mongod.conf", "processManagement:\n  fork: true\n", "mongod --config FILE", "file"),
    ("mongod.conf", "processManagement:\n  fork: false\n", "mongod -f FILE", None),
    ("supervisord.conf", "[supervisord]\nnodaemon=true\n", "supervisord", None),
    ("sv.conf", "[supervisord]\nnodaemon=false\n", "supervisord -c FILE", ""),
    ("dnsmasq.conf", "port=0\nkeep-in-foreground\n", "dnsmasq -C FILE", None),
    ("dnsmasq.conf", "port=0\n", "dnsmasq -C FILE", ""),
    ("vsftpd.conf", "listen=YES\nbackground=YES\n", "vsftpd FILE", "file"),
    ("vsftpd.conf", "listen=YES\n", "vsftpd FILE", None),
    ("stunnel.conf", "foreground = yes\n", "stunnel FILE", None),
    ("stunnel.conf", "debug = 7\n", "stunnel4 FILE", ""),
    ("clamd.conf", "Foreground yes\n", "clamd -c FILE", None),
    ("unbound.conf", "server:\n  do-daemonize: no\n", "unbound -c FILE", None),
    ("unbound.conf", 'include: "extra/*.conf"\n', "unbound -c FILE", None),
]


@pytest.mark.parametrize(("file", "content", "command", "who"), CONFIGS)
def test_what_a_configuration_file_says(
    file: str, content: str, command: str, who: str | None
) -> None:
    Path("etc").mkdir()
    Path("extra").mkdir()
    both = "daemon off;\ndaemonize = no\ndo-daemonize: no\n"
    put("extra/z-last.conf", both)
    put("extra/a.txt", "nothing\n")
    put(file, content)
    said = warnings_of(f"command = {toml_list(shlex.split(command.replace('FILE', file)))}")
    if who is None:
        assert said == []
        return
    (line,) = said
    assert (f'{file}" says, ' in line) == (who == "file")
    assert " puts itself in the background" in line


def test_a_configuration_file_is_looked_for_in_the_directory_of_the_program(folder: Path) -> None:
    (folder / "app").mkdir()
    put("app/redis.conf", "daemonize yes\n")
    put("redis.conf", "daemonize no\n")
    command = 'command = "redis-server redis.conf"\n'
    assert warnings_of(command) == []
    said = leaves("redis-server", "--daemonize no", 'as "redis.conf" says, ')
    assert warnings_of(command + f'directory = "{folder}/app"') == [said]


def _fifo(path: str) -> None:
    os.mkfifo(path)


def _too_long(path: str) -> None:
    put(path, b"#" * (MAX_TEXT_BYTES + 1))


def _directory(path: str) -> None:
    Path(path).mkdir()


def _nothing(path: str) -> None:
    pass


@pytest.mark.parametrize("make", [_fifo, _too_long, _directory, _nothing])
def test_what_cannot_be_read_is_not_judged(make: Callable[[str], None]) -> None:
    make("some.conf")
    assert warnings_of('command = "nginx -c some.conf"') == []
    assert warnings_of('command = "supervisord -c some.conf"') == []
    assert warnings_of('command = "uwsgi -M --ini some.conf"') == []


@pytest.mark.parametrize(("lines", "count"), [(-10, 1), (10, 0)])
def test_of_a_long_file_the_beginning_is_read(lines: int, count: int) -> None:
    padding = "#\n" * (MAX_TEXT_BYTES // 2 + lines)
    put("some.conf", padding + "daemonize yes\n" + "#\n" * 100)
    assert len(warnings_of('command = "redis-server some.conf"')) == count


def test_no_file_is_read_when_many_have_been() -> None:
    lines = []
    for number in range(MAX_READS + 10):
        put(f"{number}.conf", "daemonize yes\n")
        command = f'"redis-server {number}.conf"'
        lines.append(f"[program.p{number}]\ncommand = {command}\n")
    put("bin/redis-server")
    Path("initpy.toml").write_text("".join(lines))
    loaded = load("initpy.toml", {"PATH": f"{Path.cwd()}/bin"})
    assert len(loaded.warnings) == MAX_READS - 1  # the program was looked at, too


# uWSGI and TERM.

RELOADS = (
    "stopsignal: TERM makes uWSGI reload, not stop: set die-on-term = true in its configuration, "
    'or stopsignal = "QUIT"'
)


@pytest.mark.parametrize(
    ("ini", "options", "environ", "said"),
    [
        ("master = true", "--ini FILE", {}, [RELOADS]),
        ("master=1", "FILE", {}, [RELOADS]),
        ("master = true\ndie-on-term = true", "--ini FILE", {}, []),
        ("master = true\ndie-on-term = false", "--ini FILE", {}, [RELOADS]),
        ("master = false", "--ini FILE", {}, []),
        ("", "--ini FILE --master", {}, [RELOADS]),
        ("master = true", "--ini FILE --die-on-term", {}, []),
        ("master = true", "", {"UWSGI_INI": "app.ini"}, [RELOADS]),
        ("master = true", "FILE", {"UWSGI_DIE_ON_TERM": "1"}, []),
        ("", "FILE", {"UWSGI_MASTER": "true"}, [RELOADS]),
        ("master = true\nhook-master-start = unix_signal:15 gracefully_kill_them_all", "FILE", {},
         []),
        ("master = true\n[other]\ndie-on-term = true", "FILE", {}, [RELOADS]),
        ("[other]\nmaster = true", "--ini FILE:other", {}, [RELOADS]),
        ("[other]\nmaster = true", "--ini FILE", {}, []),
        ("master = true\nini = more.ini", "--ini FILE", {}, []),
        ("master = true\nini = FILE", "--ini FILE", {}, []),
        ("master = true\nini = no.ini", "--ini FILE", {}, []),
        ("master = true\ninclude = more.xml", "--ini FILE", {}, []),
        ("master = true\nif-env = A\nx = y\nendif = ", "--ini FILE", {}, []),
        ("master = true", "--ini FILE --yaml more.yaml", {}, []),
        ("master = true", "--ini FILE more.xml", {}, []),
    ],
)  # fmt: skip
def test_a_uwsgi_that_reloads_on_term(
    ini: str, options: str, environ: dict[str, str], said: list[str]
) -> None:
    put("app.ini", f"[uwsgi]\n{ini}\n".replace("FILE", "app.ini"))
    put("more.ini", "[uwsgi]\ndie-on-term = true\n")
    command = f'command = "uwsgi {options}"'.replace("FILE", "app.ini")
    assert warnings_of(command, environ) == said
    table = ", ".join([f'{name} = "{value}"' for name, value in environ.items()])
    assert warnings_of(f"{command}\nenvironment = {{ {table} }}") == said


@pytest.mark.parametrize(("clean", "said"), [("true", [RELOADS]), ("false", [])])
def test_uwsgi_has_the_variables_that_its_environment_has(clean: str, said: list[str]) -> None:
    command = f'command = "%(here)s/bin/uwsgi --master"\nclean_environment = {clean}'
    put("bin/uwsgi")
    assert warnings_of(command, {"UWSGI_DIE_ON_TERM": "1"}) == said


# Files to execute, and directories.


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (PROGRAM, 0o755, ""),
        (PROGRAM, 0o644, " is not executable: run chmod +x on it, or put its interpreter before "
         "it"),
        ("#!/bin/sh\n", 0o755, ""),
        ("#! /usr/bin/env python3\n", 0o711, ""),
        ("#!/no/such/python -u\n", 0o755, ' cannot be executed: its first line names '
         '"/no/such/python", which is not there'),
        ("#!/bin/sh\r\n", 0o755, " has the line ends of Windows, so its interpreter is not found"),
        ("echo hello\n", 0o755, " cannot be executed: its first line has no #! that names an "
         "interpreter"),
        ("", 0o755, " cannot be executed: its first line has no #! that names an interpreter"),
        (b"PK\x03\x04\0", 0o755, ""),  # a kind of program that this kernel may know
    ],
)  # fmt: skip
def test_a_file_to_execute(content: str | bytes, mode: int, said: str) -> None:
    put("bin/app", content, mode)
    wanted = [f'command: "BIN/app"{said}'] if said else []
    assert warnings_of('command = "app"') == wanted
    assert warnings_of('command = "%(here)s/bin/app"') == wanted
    relative = [line.replace("BIN", "./bin") for line in wanted]
    assert warnings_of('command = "./bin/app"') == relative
    stop = [line.replace("command:", "stop_command:") for line in wanted]
    assert warnings_of('command = "sh"\nstop_command = "app"') == stop


def test_a_directory_is_no_program(bin_: Path) -> None:
    (bin_ / "app").mkdir()
    said = ['command: "BIN/app" is no file, and cannot be executed']
    assert warnings_of('command = "app"') == said


def test_path_is_searched_as_at_the_start_of_a_program(folder: Path) -> None:
    (folder / "other").mkdir()
    put("other/app", mode=0o644)
    put("bin/app")
    path = f'environment = {{ PATH = "{folder}/other:{folder}/bin" }}'
    assert warnings_of(f'command = "app"\n{path}') == []
    Path("bin/app").unlink()
    said = f'command: "{folder}/other/app" is not executable: run chmod +x on it, or put its '
    assert lint_as_it_is(f'command = "app"\n{path}')[0] == [said + "interpreter before it"]


def test_what_is_there_first_is_named(folder: Path) -> None:
    (folder / "other").mkdir()
    put("other/app", mode=0o644)
    put("bin/app", mode=0o644)
    path = f'environment = {{ PATH = "/no:{folder}/other:{folder}/bin" }}'
    (said,) = warnings_of(f'command = "app"\n{path}')
    assert said.startswith(f'command: "{folder}/other/app" is not executable')


def test_a_relative_command_is_looked_for_in_the_directory(folder: Path) -> None:
    (folder / "app").mkdir()
    put("app/run")
    assert warnings_of(f'command = "./run"\ndirectory = "{folder}/app"') == []
    assert len(warnings_of('command = "./run"')) == 1


def test_of_a_very_long_name_the_end_is_shown() -> None:
    (said,) = warnings_of(f'command = "/no/{"x/" * 500}app\\u001b"')
    assert said.startswith('command: there is no "…x/x/')
    assert said.endswith('x/app\\x1b": correct the path, or put the file there')
    assert len(said) < 500


def test_a_long_path_is_not_shown() -> None:
    path = ":".join(["/no/such/directory"] * 11)
    said = 'command: there is no "x" in PATH: correct the name, or install it'
    assert lint_as_it_is(f'command = "x"\nenvironment = {{ PATH = "{path}" }}')[0] == [said]


def test_what_another_may_not_see_is_not_judged(folder: Path) -> None:
    folder.chmod(0o755)
    (folder / "secret").mkdir()
    (folder / "secret").chmod(0)
    program = f'command = "{folder}/secret/app"\ndirectory = "{folder}/secret/more"'
    with unprivileged():
        Path("/tmp").stat()  # it can see something
        path = Path(f"/tmp/initpy-lint-{os.getpid()}.toml")
        path.write_text(f"[program.web]\n{program}\n")
        try:
            assert load(str(path), {}).warnings == ()
        finally:
            path.unlink()


@pytest.mark.parametrize(("kind", "count"), [("oneshot", 0), ("simple", 4)])
def test_what_a_oneshot_may_prepare_is_not_missed(kind: str, count: int) -> None:
    Path("initpy.toml").write_text(
        f"""
        [program.prepare]
        command = "sh"
        type = "{kind}"
        [program.between]
        command = "sh"
        after = ["prepare"]
        [program.web]
        command = "/no/such/app"
        stop_command = "no-such"
        directory = "/no/such"
        after = ["between"]
        [program.other]
        command = "/no/such/app"
        """
    )
    loaded = load("initpy.toml", {"PATH": f"{Path.cwd()}/bin"})
    about = [it.key.split(".")[1] for it in loaded.warnings]
    assert about == ["web"] * max(count - 1, 0) + ["other"]


# The plan.


@pytest.mark.parametrize(
    ("command", "foreground"),
    [
        ("nginx", "-g 'daemon off;'"),
        ("nginx -g 'daemon off;'", "-g 'daemon off;'"),
        ("php-fpm8.2 -F", "-F"),
        ("/etc/init.d/x start", "the program itself, not what starts it"),
        ("gosu www redis-server", "--daemonize no"),
        ("sh -c 'cd /x && exec cron -f'", "-f"),
        ("sh -c 'service cron start && tail -f log'", "the program itself, not what starts it"),
        ("setsid app", "no setsid"),
        ("sh -c 'app & '", 'no "&" at the end'),
        ("nginx-exporter", ""),
        ("app", ""),
        ("sh", ""),
    ],
)
def test_what_keeps_it_in_the_foreground_is_in_the_plan(command: str, foreground: str) -> None:
    program = f"command = {toml_list(shlex.split(command))}"
    assert lint(program)[1].foreground == foreground
    assert lint(program + '\ntype = "oneshot"')[1].foreground == foreground


def test_every_process_of_a_program_has_it_and_few_are_judged() -> None:
    put("bin/nginx")
    many = MAX_OF_PROGRAM + 5
    name = 'process_name = "%(process_num)d"'
    Path("initpy.toml").write_text(
        f'[program.web]\ncommand = "nginx"\ndirectory = "/no/%(process_num)d"\nnumprocs = {many}\n'
        f"{name}\n"
    )
    loaded = load("initpy.toml", {"PATH": f"{Path.cwd()}/bin"})
    assert [spec.foreground for spec in loaded.plan.processes] == ["-g 'daemon off;'"] * many
    texts = [warning.text for warning in loaded.warnings]
    assert len(texts) == MAX_OF_PROGRAM + 1  # that of nginx is the same for all
    assert sum("no directory" in text for text in texts) == MAX_OF_PROGRAM


def test_after_many_processes_no_more_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("initpy.config.lint.MAX_S", 600.0)  # time is not what ends it here
    many = MAX_IN_ALL + 5
    Path("initpy.toml").write_text(
        "".join([f'[program.p{number}]\ncommand = "/no/such"\n' for number in range(many)])
    )
    assert len(load("initpy.toml", {}).warnings) == MAX_IN_ALL


def test_after_a_long_time_no_more_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("initpy.config.lint.MAX_S", 0.0)
    said, spec = lint('command = "nginx"')
    assert (said, spec.foreground) == ([], "")


def test_it_changes_nothing_else_in_the_plan() -> None:
    put("bin/nginx")
    Path("initpy.toml").write_text('[program.b]\ncommand = "nginx"\n[program.a]\ncommand = "sh"')
    plan = load("initpy.toml", {"PATH": f"{Path.cwd()}/bin"}).plan
    assert [spec.name for spec in plan.processes] == ["a", "b"]
    assert [spec.argv for spec in plan.processes] == [(b"sh",), (b"nginx",)]
    assert plan.shutdown_timeout_s == 9


def test_the_manual_has_the_table() -> None:
    page = (REPO / "docs" / "lint.md").read_text("utf-8")
    table = page.partition("<!-- table: daemons -->\n")[2].partition("<!-- end of table -->")[0]
    rows = ["| Program | What keeps it in the foreground |", "|---|---|"]
    for daemon in sorted(DAEMONS, key=lambda it: it.names.lower()):
        names = ", ".join([f"`{name.replace(':', ' ')}`" for name in daemon.names.split()])
        rows.append(f"| {names} | {daemon.foreground} |")
    assert table.splitlines() == rows


def test_no_program_is_in_the_table_twice() -> None:
    names = [name for daemon in DAEMONS for name in daemon.names.split()]
    assert sorted(names) == sorted(set(names))


# What it never does.


def test_a_warning_refuses_no_file(capfd: pytest.CaptureFixture[str]) -> None:
    Path("initpy.toml").write_text('[program.web]\n\ncommand = "/etc/init.d/nginx start"')
    assert check.main("initpy.toml") == 0
    out, err = capfd.readouterr()
    assert out == "initpy.toml: ok, 1 program, 1 process\n"
    assert f"initpy.toml:3: warning: program.web.{starts('/etc/init.d/nginx')}\n" in err


def test_with_a_problem_in_the_file_nothing_is_linted() -> None:
    Path("initpy.toml").write_text('[program.web]\ncommand = "/no/such"\nnope = 1')
    with pytest.raises(ConfigError) as caught:
        load("initpy.toml", {})
    assert caught.value.warnings == ()


def test_a_bug_of_ours_is_one_more_warning() -> None:
    Path("initpy.toml").write_text('[program.web]\ncommand = "sh"\n')
    code = (
        f"import sys; sys.path.insert(0, {str(REPO)!r}); from initpy.config import check, lint; "
        "lint.read = None; sys.exit(check.main('initpy.toml'))"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0
    assert result.stderr.startswith(
        "initpy.toml:2: warning: program.web.command: cannot be judged, by a fault of initpy: "
    )
    assert result.stderr.count("\n") == 1


def test_the_examples_get_no_warning_but_for_what_is_not_installed() -> None:
    examples = sorted((REPO / "examples").glob("*/initpy.toml"))
    assert examples
    for example in examples:
        texts = [warning.text for warning in load(str(example)).warnings]
        assert [text for text in texts if not text.startswith("there is no ")] == [], example


PIECES = st.sampled_from(
    r"""
    nginx -g daemon off; daemon off sh -c bash && || | & ; > 2>&1 $( ) ` $HOME ${ } * ' " \ # env
    A=b su - -u www gosu setsid python -m celery multi redis-server --daemonize yes uwsgi --ini
    app.ini:x start-stop-daemon --exec -b busybox httpd php-fpm7. /etc/init.d/x service timeout -s
    ( (( << <<- { if do exec é . .. / -- --= = -S docker-entrypoint.sh bundle sshd postgres
    """.split()  # noqa: SIM905 - one can still read it
)
ODD = st.sampled_from(["", "\n", "\udc80"])
WORDS = st.one_of(PIECES, ODD, st.lists(PIECES, max_size=12).map(" ".join), st.text(max_size=20))


@REPEATABLE
@given(st.lists(WORDS, min_size=1, max_size=10))
def test_any_words_are_read_to_an_end(words: list[str]) -> None:
    reading = read(tuple(words))
    assert all(command.words for command in reading.commands)
    text = " ".join(words)
    script(text)
    found = tokens(text)
    assert all(token.start < token.end <= len(text) for token in found)
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))


def test_a_command_in_many_wrappers_is_not_looked_for() -> None:
    wrapped = ("nice",) * (MAX_LAYERS - 1) + ("cron",)
    assert [command.name for command in read(wrapped).commands] == ["cron"]
    assert read(("nice", *wrapped)).commands == ()


def _as_toml(value: str | list[str]) -> str:
    """A TOML string, or an array of them, with nothing in it that a file cannot have."""
    if isinstance(value, list):
        return f"[{', '.join(map(_as_toml, value))}]"
    printable = [ch if ch.isascii() and ch.isprintable() else "é" for ch in value]
    text = "".join(printable).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


@REPEATABLE
@given(st.one_of(st.lists(WORDS, min_size=1, max_size=10), WORDS), st.sampled_from(["TERM", "HUP"]))
def test_any_command_is_judged_without_a_fault(command: Any, stopsignal: str) -> None:
    put("app.ini", "[uwsgi]\nini = app.ini\nmaster = 1\n[x]\nini = app.ini:x\n")
    Path("initpy.toml").write_text(
        f'[program.web]\ncommand = {_as_toml(command)}\nstopsignal = "{stopsignal}"\n', "utf-8"
    )
    try:
        loaded = load("initpy.toml", {"PATH": f"{Path.cwd()}/bin"})
    except ConfigError:
        return
    assert not [str(it) for it in loaded.warnings if "a fault of initpy" in it.text]


def test_most_commands_cost_few_imports() -> None:
    """Boot speed: what only some commands need is not imported for all."""
    program = '[program.web]\ncommand = ["/bin/sh", "--x", "${HOME:-x}"]\ndirectory = "/"\n'
    Path("initpy.toml").write_text(program)
    code = (
        f"import sys; sys.path.insert(0, {str(REPO)!r}); from initpy.config import load; "
        "load('initpy.toml'); print(*[name for name in sys.modules if '.lint.' in name])"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    rooms = {"commands", "daemons", "files"}
    assert set(result.stdout.split()) == {f"initpy.config.lint.{room}" for room in rooms}
