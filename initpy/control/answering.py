"""From a request to its answer: paths, and calls of methods."""

from __future__ import annotations

from initpy import __version__
from initpy.control import xmlrpc
from initpy.control.access import CHALLENGE
from initpy.control.faults import Fault
from initpy.control.http import HttpError, HttpRequest, response, stream
from initpy.control.tails import OWN_PATH
from initpy.core.messages import WARN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from initpy.control.access import Access
    from initpy.control.methods import Methods
    from initpy.control.model import Snapshot
    from initpy.control.server import Peer
    from initpy.control.tails import Tails

RPC = "/RPC2"
XML = "text/xml"
TEXT = "text/plain; charset=utf-8"
WHAT_THIS_IS = (
    f"This is initpy {__version__}. There is no web page here: `initpy status` in the container or "
    "supervisorctl has what there is to see; XML-RPC, as supervisord speaks it, is at /RPC2.\n"
)
LOGTAIL = "/logtail/"
ALL = "supervisor.getAllProcessInfo"


class Answers:
    """Answers requests, in whichever thread."""

    def __init__(
        self,
        access: Access,
        methods: Methods,
        tails: Tails,
        say: Callable[[str, str], None],
        look: Callable[[], Snapshot],
        catch_up: Callable[[], None],
    ) -> None:
        """`say` takes a level and a line for the operator; `look` gives the newest snapshot, which
        is the same value as long as nothing in it is different; `catch_up` returns when all is in
        it that has happened so far."""
        self._access = access
        self._methods = methods
        self._tails = tails
        self._say = say
        self._look = look
        self._catch_up = catch_up
        self._all: tuple[Snapshot, bytes] | None = None
        """Of what snapshot the last answer to ALL was made, and that answer."""

    def answer(self, request: HttpRequest, peer: Peer) -> bytes | Iterator[bytes]:
        closes = not request.keeps_alive
        try:
            self._access.check(request, peer)
            self._catch_up()
            if request.path.startswith(LOGTAIL) or request.path == OWN_PATH:
                return self._follow(request)
            body, content_type = self._body(request)
            return response(200, body, content_type, closes=closes, is_1_0=request.is_1_0)
        except HttpError as exc:
            extra = (CHALLENGE,) if exc.status == 401 else ()
            return response(
                exc.status,
                exc.text.encode(errors="replace"),
                TEXT,
                *extra,
                closes=closes,
                is_1_0=request.is_1_0,
            )
        except Exception as exc:  # a bug of ours costs this request
            self._say(WARN, f"a request failed, by a fault of initpy: {exc!r}")
            return response(500, b"a fault of initpy, see its log\n", closes=True)

    def _follow(self, request: HttpRequest) -> Iterator[bytes]:
        if request.method != "GET":
            raise HttpError(400)
        return stream(
            self._tails.follow(request.path, request.query), is_chunked=not request.is_1_0
        )

    def _body(self, request: HttpRequest) -> tuple[bytes, str]:
        if request.path.startswith(RPC):
            if request.method != "POST":
                raise HttpError(400)
            return self._call(request.body), XML
        if request.method == "GET" and request.path == "/":
            return WHAT_THIS_IS.encode(), TEXT
        raise HttpError(400 if request.method == "POST" else 404)

    def _call(self, raw: bytes) -> bytes:
        try:
            name, parameters = xmlrpc.call_in(raw)
        except xmlrpc.XmlError as exc:
            raise HttpError(400, str(exc)) from None
        try:
            if name == ALL and not parameters:
                return self._all_process_info()
            return xmlrpc.result(self._methods.call(name, parameters))
        except Fault as exc:
            return xmlrpc.fault(exc.code, exc.text)

    def _all_process_info(self) -> bytes:
        """What dashboards ask for all the time, and what takes longest to write."""
        seen, made = self._look(), self._all
        if made is not None and made[0] is seen:
            return made[1]
        raw = xmlrpc.result(self._methods.call(ALL, []))
        self._all = (seen, raw)
        return raw
