"""What superlance's listeners speak to: a page that may be ill, and a mailbox."""

from __future__ import annotations

import http.server
import socketserver
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Page(http.server.BaseHTTPRequestHandler):
    status: int
    asked: int

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is said."""


class _Mailbox(socketserver.StreamRequestHandler):
    """Enough of SMTP to take a mail."""

    mails: list[str]

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line.split()[0].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                text = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.mails.append(text.decode())
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return


@contextmanager
def _served(handler: type[socketserver.BaseRequestHandler]) -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def page() -> Iterator[tuple[str, type[_Page]]]:
    """The address of a page, and what it answers, its `status`: 500 at first."""

    class Own(_Page):
        status = 500
        asked = 0

    with _served(Own) as address:
        yield f"http://{address}/", Own


@contextmanager
def mailbox() -> Iterator[tuple[str, list[str]]]:
    """Where mails can be sent to, and those that have come."""

    class Own(_Mailbox):
        mails: list[str] = []  # noqa: RUF012 - each mailbox has a class of its own

    with _served(Own) as address:
        yield address, Own.mails
