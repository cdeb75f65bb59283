"""[control]: where clients are answered, and who they may be."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from initpy.config import load
from initpy.control.passwords import Accounts, hashed
from initpy.controlplan import ControlPlan
from tests.config.ini.support import CRITICAL, load_conf
from tests.config.ini.support import WEB as WEB_INI
from tests.config.ini.support import problems_of as problems_of_conf
from tests.config.support import WEB, load_text, plan_of, problem_of

SECRET = "s3cr3t-word"
SHA = "{SHA}" + hashlib.sha1(SECRET.encode()).hexdigest()
PBKDF2 = hashed(SECRET.encode(), "salt", 2)


def control(text: str) -> ControlPlan:
    """The plan of a file with [control], or [control.http], and these lines."""
    found = plan_of(WEB + text).control
    assert found is not None
    return found


def http(lines: str) -> ControlPlan:
    return control(f'[control.http]\nlisten = ":9001"\n{lines}')


def conf(text: str) -> ControlPlan:
    found = load_conf(WEB_INI + CRITICAL + text).plan.control
    assert found is not None
    return found


def test_there_is_a_socket_if_nothing_is_said() -> None:
    assert control("") == control("[control]\n") == ControlPlan()


def test_all_that_can_be_said_of_the_socket(folder: Path) -> None:
    text = (
        'socket = "%(here)s/${HOME}.sock"\nmode = "0660"\nowner = "nobody"\nallow = [7, "root"]\n'
    )
    found = control(f'[control]\n{text}identifier = "shop"\nidle = 2.5\n')
    assert found == ControlPlan(
        socket=f"{folder}//root.sock".replace("//", "/").encode(),
        mode=0o660,
        uid=65534,
        gid=65534,
        allowed_uids=(0, 7),
        identifier="shop",
        idle_s=2.5,
    )
    assert control('[control]\nowner = 12345\ngroup = "root"\n').gid == 0
    assert control("[control]\nowner = 12345\n").gid == -1


@pytest.mark.parametrize("off", ["false", '""', '"${EMPTY}"'])
def test_without_a_socket(off: str) -> None:
    assert plan_of(f"{WEB}[control]\nsocket = {off}\n").control is None
    found = control(f'[control]\nsocket = {off}\n[control.http]\nlisten = "127.0.0.1:1"\n')
    assert (found.has_socket, found.listen) == (False, ((b"127.0.0.1", 1),))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9001", (b"127.0.0.1", 9001)),
        ("127.9.0.1:1", (b"127.9.0.1", 1)),
        ("localhost:65535", (b"127.0.0.1", 65535)),
        ("[::1]:9001", (b"::1", 9001)),
    ],
)
def test_addresses_that_only_this_host_reaches(text: str, address: tuple[bytes, int]) -> None:
    assert control(f'[control.http]\nlisten = "{text}"\n').listen == (address,)


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        (":9001", (b"", 9001), ":9001"),
        ("*:9001", (b"", 9001), ":9001"),
        ("0.0.0.0:9001", (b"0.0.0.0", 9001), "0.0.0.0:9001"),
        ("[::]:9001", (b"::", 9001), "[::]:9001"),
        ("10.0.0.1:80", (b"10.0.0.1", 80), "10.0.0.1:80"),
        ("[fe80::1]:80", (b"fe80::1", 80), "[fe80::1]:80"),
    ],
)
def test_addresses_that_others_reach_have_to_have_a_password(
    text: str, address: tuple[bytes, int], shown: str
) -> None:
    listen = f'[control.http]\nlisten = "{text}"\n'
    assert problem_of(WEB + listen) == (
        f'initpy.toml:4: control.http.listen: "{shown}" can be reached from other hosts, so it has '
        'to have a username and a password; or listen on "127.0.0.1" only'
    )
    assert control(f'{listen}username = "u"\npassword = "p"\n').listen == (address,)


@pytest.mark.parametrize(
    "text",
    ["9001", "127.0.0.1", ":", ":0", ":65536", ":x", "::1:9001", "[127.0.0.1]:1", "web:1", "a:b:1",
     "1.2.3:4", "[::1:1", ":123456", "\u0665:1", ":\u0665"],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    assert "control.http.listen: expected " in problem_of(f'{WEB}[control.http]\nlisten="{text}"\n')


def test_several_addresses() -> None:
    found = control('[control.http]\nlisten = ["127.0.0.1:1", "[::1]:${PORT:-2}"]\n')
    assert found.listen == ((b"127.0.0.1", 1), (b"::1", 2))
    twice = f'{WEB}[control.http]\nlisten = ["localhost:1", "127.0.0.1:1"]\n'
    assert problem_of(twice).endswith('listen[1]: "127.0.0.1:1" is in it twice')


def test_the_ways_to_say_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("word").write_text(f"{SECRET}\n")
    environ = {"WORD": SECRET}
    for line in (
        f'password = "{SECRET}"',
        'password = "${WORD}"',
        'password_file = "word"',
        'password_env = "WORD"',
        f'password_hash = "{PBKDF2}"',
        f'password_hash = "{SHA}"',
    ):
        text = f'{WEB}[control.http]\nlisten = ":1"\nusername = "u"\n{line}\n'
        plan = load_text(text, environ).plan
        assert plan.control is not None
        assert SECRET not in repr(plan)
        accounts = Accounts(plan.control.http_accounts)
        assert accounts.are_right(b"u", SECRET.encode()), line
        assert not accounts.are_right(b"u", SECRET[:-1].encode())
        assert not accounts.are_right(b"v", SECRET.encode())


def test_the_socket_can_have_one_as_well() -> None:
    found = control('[control]\nusername = "u"\npassword = "p"\n')
    assert Accounts(found.socket_accounts).are_right(b"u", b"p")
    assert found.http_accounts == ()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('username = "u"', "username: there is no password for it: password, password_file, "
                           "password_env or password_hash"),
        (f'password = "{SECRET}"', "password: there is no username for it"),
        (f'username = "u"\npassword = "{SECRET}"\npassword_env = "HOME"',
         "password_env: password is there already; only one of them can be"),
        (f'username = "u:v"\npassword = "{SECRET}"',
         'username: expected a name without ":" or control characters in it'),
        ('username = "u"\npassword = ["' + SECRET + '"]',
         "password: expected a password, not an array"),
        ('username = "u"\npassword = ""', "password: expected a password, not an empty string"),
        ('username = "u"\npassword = "${EMPTY}"', "password: nothing is left of it"),
        ('username = "u"\npassword_env = "NOT_THERE"',
         'password_env: the environment has no "NOT_THERE", or it is empty'),
        ('username = "u"\npassword_env = "EMPTY"',
         'password_env: the environment has no "EMPTY", or it is empty'),
        ('username = "u"\npassword_hash = "' + SECRET + '"',
         "password_hash: expected what `initpy hash-password` prints"),
        ('username = "u"\npassword_hash = "{SHA}' + SECRET + '"',
         "password_hash: expected 40 digits, 0 to 9 or a to f, after {SHA}"),
        ('username = "u"\npassword_hash = "' + PBKDF2.replace("$2$", "$99999999$") + '"',
         "password_hash: expected 1 to 10000000 iterations"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_password_is_said_without_it(lines: str, said: str) -> None:
    from tests.config.support import problems_of

    found = problems_of(f'{WEB}[control.http]\nlisten = "127.0.0.1:1"\n{lines}\n')
    assert any(it.endswith(f": control.http.{said}") for it in found), found
    assert not any(SECRET in it for it in found)


def test_files_with_passwords() -> None:
    start = f'{WEB}[control.http]\nlisten = "127.0.0.1:1"\nusername = "u"\npassword_file = '
    assert problem_of(f'{start}"none"\n').endswith(
        'password_file: cannot read "none": No such file or directory'
    )
    for content in (b"", b"\n", b"a\nb\n", b"x" * 1025):
        Path("word").write_bytes(content)
        expected = 'password_file: expected one line of at most 1024 bytes in "word"'
        assert problem_of(f'{start}"word"\n').endswith(expected)
    Path("word").write_bytes(b"\xff\r\n")
    found = plan_of(f'{start}"word"\n').control
    assert found is not None
    assert Accounts(found.http_accounts).are_right(b"u", b"\xff")


def test_a_hash_that_is_soon_guessed_is_a_warning() -> None:
    text = f'{WEB}[control]\nusername = "u"\npassword_hash = "{SHA}"\n'
    (warning,) = load_text(text).warnings
    assert str(warning) == (
        "initpy.toml:5: warning: control.password_hash: a password is soon guessed from {SHA}: use "
        "what `initpy hash-password` prints"
    )


def test_users_that_are_not_there() -> None:
    text = '[control]\nowner = "nobody-here"\ngroup = "nor-here"\nallow = ["who", 5]\n'
    Path("initpy.toml").write_text(WEB + text)
    loaded = load("initpy.toml", {})
    assert loaded.plan.control == ControlPlan(allowed_uids=(5,))
    assert [str(it).partition("control.")[2] for it in loaded.warnings] == [
        'owner: there is no user "nobody-here": the socket is initpy\'s own',
        'group: there is no group "nor-here": the socket has initpy\'s own',
        'allow[0]: there is no user "who": nobody is let in',
    ]


def test_a_path_that_the_kernel_does_not_take() -> None:
    text = f'{WEB}[control]\nsocket = "/{"x" * 107}"\n'
    assert "expected a path of at most 107 bytes, not of 108" in problem_of(text)
    assert control(f'[control]\nsocket = "/{"x" * 106}"\n').socket == b"/" + b"x" * 106


def test_a_name_of_it_all_with_a_space() -> None:
    assert "control.identifier: expected a name without white space" in problem_of(
        f'{WEB}[control]\nidentifier = "a b"\n'
    )


def test_several_files() -> None:
    main = f'include = "more.toml"\n{WEB}[control]\nsocket = "/a"\n'
    found = plan_of(main, more='[control]\nmode = "0600"\n[control.http]\nlisten="[::1]:1"\n')
    assert found.control == ControlPlan(socket=b"/a", listen=((b"::1", 1),))
    assert problem_of(main, more='[control]\nsocket = "/b"\n') == (
        "more.toml:2: control.socket: already in initpy.toml:5"
    )


# supervisord.conf


def test_the_sections_of_a_supervisord_conf() -> None:
    assert conf(
        "[supervisord]\nidentifier=shop\n"
        "[unix_http_server]\nfile=/run/x.sock\nchmod=0770\nchown=nobody:root\n"
        "[inet_http_server]\nport=localhost:9001\n"
    ) == ControlPlan(
        socket=b"/run/x.sock",
        mode=0o770,
        uid=65534,
        gid=0,
        listen=((b"127.0.0.1", 9001),),
        identifier="shop",
    )


def test_passwords_of_a_supervisord_conf() -> None:
    server = f"username=u\npassword={SECRET}%%\n"
    for port in ("9001", "*:9001", ":9001"):
        found = conf(f"[inet_http_server]\nport={port}\n{server}")
        assert found.listen == ((b"", 9001),)
        assert Accounts(found.http_accounts).are_right(b"u", f"{SECRET}%".encode())
    found = conf(f"[unix_http_server]\nfile=/x\nusername=u\npassword={SHA}\n")
    assert Accounts(found.socket_accounts).are_right(b"u", SECRET.encode())


def test_a_port_for_all_without_a_password_is_refused() -> None:
    assert problems_of_conf(f"{WEB_INI}[inet_http_server]\nport=9001\n") == [
        'supervisord.conf:4: [inet_http_server] port: ":9001" can be reached from other hosts, so '
        'it has to have a username and a password; or listen on "127.0.0.1" only'
    ]


def test_several_servers() -> None:
    more = "[inet_http_server:b]\nport=127.0.0.1:2\n[inet_http_server:c]\nport=[::1]:3\n"
    found = conf(f"[inet_http_server]\nport=127.0.0.1:1\n{more}")
    assert found.listen == ((b"127.0.0.1", 1), (b"127.0.0.1", 2), (b"::1", 3))
    (problem,) = problems_of_conf(
        f"{WEB_INI}[inet_http_server]\nport=127.0.0.1:1\n[inet_http_server:b]\nport=127.0.0.1:2\n"
        f"username=u\npassword={SECRET}\n"
    )
    assert problem.startswith("supervisord.conf:5: [inet_http_server:b]: initpy has one [control.")
    assert SECRET not in problem
    (problem,) = problems_of_conf(
        f"{WEB_INI}[unix_http_server]\nfile=/a\n[unix_http_server:b]\nfile=/b\n"
    )
    assert "initpy has one Unix socket only" in problem


def test_servers_without_what_they_need() -> None:
    assert problems_of_conf(f"{WEB_INI}[unix_http_server]\nchmod=0700\n") == [
        "supervisord.conf:3: [unix_http_server]: file: missing; expected the path of the socket"
    ]
    assert problems_of_conf(f"{WEB_INI}[inet_http_server]\nusername=a\npassword=b\n") == [
        "supervisord.conf:3: [inet_http_server]: port: missing; expected HOST:PORT or a port"
    ]


def test_servers_are_converted() -> None:
    from initpy.config.convert import converted

    text = (
        "[supervisord]\nidentifier=shop ; the name\n[inet_http_server]\n; inside only\n"
        "port=127.0.0.1:1\n[inet_http_server:b]\nport=127.0.0.1:2\n"
        f"[unix_http_server]\nfile=/x\nchown=root\nusername=u\npassword={SHA}\n{WEB_INI}{CRITICAL}"
    )
    plan = load_conf(text).plan
    toml = converted("supervisord.conf", os.environ)
    assert toml.partition("[program.web]")[0] == (
        "# Made of supervisord.conf by `initpy convert`.\n"
        '# stdin = "pipe": as with supervisord, what a program reads from has no end, and '
        "`initpy fg` writes\n# to it. Without that line it is /dev/null.\n"
        "\n"
        "[control]\n"
        'identifier = "shop"  # the name\n'
        'socket = "/x"\n'
        'owner = "root"\n'
        'username = "u"\n'
        f'password_hash = "{SHA}"\n'
        "\n"
        "[control.http]\n"
        "# inside only\n"
        'listen = ["127.0.0.1:1", "127.0.0.1:2"]\n'
        "\n"
    )
    Path("initpy.toml").write_text(toml)
    assert load("initpy.toml").plan == plan
