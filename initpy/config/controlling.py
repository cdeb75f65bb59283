"""[control], compiled: where to listen, and who may call."""

from __future__ import annotations

from initpy.config.accounts import ids_of
from initpy.config.documents import read_bounded
from initpy.config.expansion import expanded
from initpy.config.paths import abspath, dirname, join
from initpy.config.problems import shown
from initpy.config.servers import address_of, shown_address
from initpy.controlplan import ControlPlan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from initpy.config.problems import Place
    from initpy.config.reading import Block

    Options = Mapping[str, tuple[Any, Place]]

MAX_PATH_BYTES = 107
"""What an address of a Unix socket can hold."""

MAX_PASSWORD_BYTES = 1024

MAX_LISTENERS = 16

_PASSWORDS = ("password", "password_file", "password_env", "password_hash")


def control_plan(options: Options, environ: Mapping[str, str]) -> ControlPlan | None:
    """What [control] says; None: there is to be no control plane."""
    path, has_socket = _socket(options)
    uid, gid = _owner(options)
    block: Block | None = options["http"][0]
    listen: tuple[tuple[bytes, int], ...] = ()
    http_accounts: tuple[tuple[str, str], ...] = ()
    if block is not None:
        of_http = {key: (value, block.at(key)) for key, value in block.options.items()}
        http_accounts = _accounts(of_http, environ)
        listen = _listen(of_http, has_password=_has_password(of_http))
    identifier, place = options["identifier"]
    name = str(_text(identifier, place) or "")
    if any(ch.isspace() or not ch.isprintable() for ch in name):
        place.problem("expected a name without white space or control characters in it")
    socket_accounts = _accounts(options, environ)
    if not has_socket and not listen:
        return None
    return ControlPlan(
        socket=path,
        has_socket=has_socket,
        mode=options["mode"][0],
        uid=uid,
        gid=gid,
        listen=listen,
        allowed_uids=_allowed(options),
        socket_accounts=socket_accounts,
        http_accounts=http_accounts,
        identifier=name,
        idle_s=options["idle"][0],
    )


def _socket(options: Options) -> tuple[bytes, bool]:
    """The path, if one is named, and whether there shall be a socket."""
    text, place = options["socket"]
    if text is None:
        return b"", True
    value = expanded(text, place, place.expander)
    if not value:
        return b"", False
    path = abspath(value).encode("utf-8", "surrogateescape")
    if len(path) > MAX_PATH_BYTES:
        text = f"expected a path of at most {MAX_PATH_BYTES} bytes, not of {len(path)}"
        place.problem(f"{text}: the kernel takes no longer one for a socket")
    return path, True


def _owner(options: Options) -> tuple[int, int]:
    """The numbers of the socket's owner and group; -1: as initpy."""
    (owner, at_owner), (group, at_group) = options["owner"], options["group"]
    owner, group = _text(owner, at_owner), _text(group, at_group)
    uid, gid = -1, -1
    if owner is not None:
        found = ids_of("user", owner)
        uid, gid = found or (-1, -1)
        if found is None:
            text = f"there is no user {shown(owner)}: the socket is initpy's own"
            at_owner.problem(text, is_warning=True)
    if group is not None:
        found = ids_of("group", group)
        gid = -1 if found is None else found[1]
        if found is None:
            text = f"there is no group {shown(group)}: the socket has initpy's own"
            at_group.problem(text, is_warning=True)
    return uid, gid


def _allowed(options: Options) -> tuple[int, ...]:
    uids = []
    for account, place in options["allow"][0] or ():
        name = _text(account, place)
        found = None if name is None else ids_of("user", name)
        if found is not None:
            uids.append(found[0])
        elif name is not None:
            place.problem(f"there is no user {shown(name)}: nobody is let in", is_warning=True)
    return tuple(sorted(set(uids)))


def _listen(options: Options, *, has_password: bool) -> tuple[tuple[bytes, int], ...]:
    found: dict[tuple[bytes, int], None] = {}
    for text, place in options["listen"][0] or ():
        address = address_of(text, place)
        if address is None:
            continue
        host, port, is_here = address
        if not is_here and not has_password:
            where = shown_address(host, port)
            place.problem(
                f"{where} can be reached from other hosts, so it has to have a username and a "
                'password; or listen on "127.0.0.1" only'
            )
        if (host.encode(), port) in found:
            place.problem(f"{shown_address(host, port)} is in it twice")
        found[host.encode(), port] = None
    if len(found) > MAX_LISTENERS:
        place = options["listen"][1]
        place.problem(f"expected at most {MAX_LISTENERS} addresses, not {len(found)}")
    return tuple(found)


# Who may call with a password.


def _has_password(options: Options) -> bool:
    """Whether one is asked for; whether it can be had is another question."""
    return any(options[key][0] is not None for key in _PASSWORDS)


def _accounts(options: Options, environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The name and the password, if they are given; what is wrong with them is reported."""
    given = [key for key in _PASSWORDS if options[key][0] is not None]
    name, at_name = options["username"]
    if name is None and not given:
        return ()
    if len(given) > 1:
        options[given[1]][1].problem(f"{given[0]} is there already; only one of them can be")
        return ()
    if name is None:
        options[given[0]][1].problem("there is no username for it")
        return ()
    if not given:
        at_name.problem(
            f"there is no password for it: {', '.join(_PASSWORDS[:-1])} or {_PASSWORDS[-1]}"
        )
        return ()
    username = expanded(name, at_name, at_name.expander)
    if username is None:
        return ()
    if not username or ":" in username or not username.isprintable():
        at_name.problem('expected a name without ":" or control characters in it')
        return ()
    stored = _stored(username, given[0], *options[given[0]], environ)
    return () if stored is None else ((username, stored),)


def _stored(
    username: str, key: str, text: str, place: Place, environ: Mapping[str, str]
) -> str | None:
    """The password as the plan has it; None: it cannot be had, which is reported, and it is not
    shown there."""
    from initpy.control import passwords  # noqa: PLC0415 - most have none

    value = expanded(text, place, place.expander)
    if value is None:
        return None
    if key == "password_hash":
        if reason := passwords.why_not_taken(value):
            place.problem(reason)
            return None
        if value.startswith(passwords.SHA1):
            place.problem(
                "a password is soon guessed from {SHA}: use what `initpy hash-password` prints",
                is_warning=True,
            )
        return value
    if key == "password_file":
        found = _read_password(value, place)
    elif key == "password_env":
        found = environ.get(value)
        if not found:
            place.problem(f"the environment has no {shown(value)}, or it is empty")
    else:
        found = value
        if not found:
            place.problem("nothing is left of it")
    return passwords.plain(username, found) if found else None


def _read_password(file: str, place: Place) -> str | None:
    """The text of a file, without the line end behind it."""
    path = join(dirname(place.document.file), file)
    try:
        raw = read_bounded(path)
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        place.problem(f"cannot read {shown(path)}: {why}")
        return None
    text = raw.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")
    if not text or len(raw) > MAX_PASSWORD_BYTES or "\n" in text:
        place.problem(f"expected one line of at most {MAX_PASSWORD_BYTES} bytes in {shown(path)}")
        return None
    return text


def _text(value: str | int | None, place: Place) -> str | int | None:
    """An option that is a text, expanded; of which something has to be left."""
    if not isinstance(value, str):
        return value
    found = expanded(value, place, place.expander)
    if found == "":
        place.problem(f"nothing is left of {shown(value)}")
    return found or None
