"""Local servers that catch what is sent: over HTTP, by mail, and such as take nothing."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Catcher:
    """A web hook that keeps what it gets.

    Attributes:
        port: Where it listens.
        status: What it answers.
        caught: Content of each request.
    """

    port: int = 0
    status: int = 200
    caught: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its URL for apprise, with a password and a secret header."""
        return f"json://bob:hushhush@127.0.0.1:{self.port}/hook?+X-Key=verysecret"

    @property
    def name(self) -> str:
        """What it is called."""
        return f"JSON (json://127.0.0.1:{self.port})"

    def titles(self) -> list[str]:
        """The titles of what was caught, in order."""
        return [one["title"] for one in self.caught]


@contextmanager
def http_catcher() -> Iterator[Catcher]:
    """A web hook on a port of its own."""
    catcher = Catcher()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if catcher.status == 200:
                catcher.caught.append(json.loads(body))
            self.send_response(catcher.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        catcher.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield catcher
        finally:
            server.shutdown()
            thread.join()


class Anywhere(Controller):
    """A mail server that finds out which port it was given."""

    def _trigger_server(self) -> None:
        # it connects to itself to see whether it runs
        server: Any = self.server
        self.port = server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]  # it brings no types


@contextmanager
def mail_catcher() -> Iterator[tuple[int, list[Any]]]:
    """A mail server on a port of its own, and the mails that it gets."""
    mails: list[Any] = []

    class Handler:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
            mails.append(message_from_bytes(envelope.content))
            return "250 taken"

    controller = Anywhere(Handler(), hostname="127.0.0.1", port=0)
    controller.start()
    try:
        yield controller.port, mails
    finally:
        controller.stop()


@contextmanager
def silent_server() -> Iterator[tuple[int, Callable[[], None]]]:
    """A server that takes connections and never answers, until it is told to hang up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        open_ones: list[socket.socket] = []
        ends = threading.Event()

        def accept() -> None:
            with suppress(OSError):
                while not ends.is_set():
                    open_ones.append(server.accept()[0])

        def hang_up() -> None:
            ends.set()
            server.shutdown(socket.SHUT_RDWR)
            for one in open_ones:
                one.close()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1], hang_up
        finally:
            if not ends.is_set():
                hang_up()
            thread.join()


def unused_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
