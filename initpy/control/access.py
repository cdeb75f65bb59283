"""Who may call: known users on the Unix socket, and whoever has the password elsewhere."""

from __future__ import annotations

import base64
import binascii
import os

from initpy.control.http import HttpError
from initpy.control.passwords import Accounts, TooManyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.control.http import HttpRequest
    from initpy.control.server import Peer
    from initpy.controlplan import ControlPlan

CHALLENGE = 'WWW-Authenticate: Basic realm="default"'


class Access:
    """Decides that, for each request."""

    def __init__(self, plan: ControlPlan) -> None:
        self._uids = {0, os.geteuid(), *plan.allowed_uids}
        if plan.uid != -1:
            self._uids.add(plan.uid)
        self._has_accounts = {True: bool(plan.socket_accounts), False: bool(plan.http_accounts)}
        self._accounts = {
            True: Accounts(plan.socket_accounts),
            False: Accounts(plan.http_accounts),
        }

    def check(self, request: HttpRequest, peer: Peer) -> None:
        """Raises:
        HttpError: the request is not answered.
        """
        is_local = peer.uid is not None
        if is_local and peer.uid in self._uids:
            return
        if self._has_accounts[is_local]:
            name, password = _credentials(request.headers.get("authorization", ""))
            try:
                if not self._accounts[is_local].are_right(name, password):
                    raise HttpError(401)
            except TooManyError:
                raise HttpError(503, "too many passwords are being tried: ask again") from None
        elif is_local:
            raise HttpError(403, f"user {peer.uid} may not call here: see [control] allow")
        else:
            _check_host(request.headers.get("host", ""))
        if not is_local:
            _check_origin(request)


def _credentials(header: str) -> tuple[bytes, bytes]:
    kind, _, encoded = header.partition(" ")
    if kind.lower() != "basic":
        raise HttpError(401)
    try:
        raw = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise HttpError(401) from None
    name, _, password = raw.partition(b":")
    return name, password


def _check_host(host: str) -> None:
    """Where no password is asked for, a name that leads here might be a stranger's, in whose page
    a browser calls us."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    is_number = name.startswith("[") or name.replace(".", "").isdigit()
    if name and not is_number and name.lower() not in ("localhost", "localhost."):
        raise HttpError(403, "this name is not known here: call by the address, or localhost")


def _check_origin(request: HttpRequest) -> None:
    """A page of somebody else's may not have the browser call us."""
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise HttpError(403, "another site's page may not call here")
