"""Proxies, certificates and redirects, with the real client and real servers on loopback."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from mds_tableau.errors import ConnectionBlocked, MdsTableauError, ServerUnreachable
from mds_tableau.sandbox import Sandbox
from mds_tableau.tableau import Patience, Route, sign_in
from tests.certificates import self_signed
from tests.tableau.conftest import TOKEN

NAME = "tableau.test"
"""A host that no name server knows, so that only a proxy can lead there."""

ONCE = Patience(attempts=1, connect_seconds=5, read_seconds=5)


class _Quiet(BaseHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing."""


class _Page(_Quiet):
    """Answers, but not as Tableau Server does."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", "0")
        self.end_headers()


def _tls(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy to this machine, whatever host is asked for; with the hosts that were."""
    asked: list[str] = []

    class Proxy(_Quiet):
        def do_CONNECT(self) -> None:
            host, _, port = self.path.rpartition(":")
            asked.append(host)
            with socket.create_connection(("127.0.0.1", int(port))) as server:
                self.send_response(200)
                self.end_headers()
                back = Thread(target=_copy, args=(server, self.connection))
                back.start()
                _copy(self.connection, server)
                back.join()

    with _serving(Proxy, None) as port:
        yield f"http://127.0.0.1:{port}", asked


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while some := source.recv(65536):
            target.sendall(some)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        target.close()


def test_server_is_reached_through_the_proxy_and_by_the_own_authority(
    tmp_path: Path, proxy: tuple[str, list[str]]
) -> None:
    """With both set, a server that has neither a public name nor certificate does answer."""
    url, asked = proxy
    certificate, key = self_signed(tmp_path, NAME)
    with _serving(_Page, _tls(certificate, key)) as port:
        server = f"https://{NAME}:{port}"
        with (
            pytest.raises(ServerUnreachable, match="answered with a page"),
            sign_in(server, "", TOKEN, ONCE, Route(ca_bundle=str(certificate), proxy=url)),
        ):
            pass
        assert set(asked) == {NAME}
        with (
            pytest.raises(ConnectionBlocked, match=r"not trusted.*TABLEAU_CA_BUNDLE"),
            sign_in(server, "", TOKEN, ONCE, Route(proxy=url)),
        ):
            pass


def test_proxy_that_is_not_there_is_named_by_its_setting(free_port: int) -> None:
    """A proxy that does not answer is told as such, without its password."""
    route = Route(proxy=f"http://ada:hidden@127.0.0.1:{free_port}")
    with (
        pytest.raises(ConnectionBlocked, match=r"the proxy does not.*TABLEAU_PROXY") as raised,
        sign_in(f"https://{NAME}", "", TOKEN, ONCE, route),
    ):
        pass
    assert "hidden" not in str(raised.value) + repr(route)


def test_proxy_of_the_environment_is_not_asked_for_this_machine(
    server: Sandbox, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine behind a proxy still reaches the sandbox."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")
    with sign_in(server.url, "", TOKEN, ONCE) as session:
        assert session.client.projects.get()[0]


def test_redirect_to_another_host_is_not_followed() -> None:
    """Password and session are not carried to a host that nobody named."""

    class Redirect(_Quiet):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(302)
            self.send_header("location", f"https://{NAME}/api")
            self.send_header("content-length", "0")
            self.end_headers()

        do_POST = do_GET  # noqa: N815

    with (
        _serving(Redirect, None) as port,
        pytest.raises(ConnectionBlocked, match=rf"redirects to https://{NAME}/api, which is anot"),
        sign_in(f"http://127.0.0.1:{port}", "", TOKEN, ONCE),
    ):
        pass


def test_nothing_goes_over_plain_http_to_another_machine() -> None:
    """Whoever names such a server reads what to write instead, and nothing is sent."""
    with (
        pytest.raises(ConnectionBlocked, match=rf"http://{NAME}/api.* over plain http.*https://"),
        sign_in(f"http://{NAME}", "", TOKEN, ONCE),
    ):
        pass


def test_client_certificate_is_shown(tmp_path: Path) -> None:
    """A server that asks for a certificate is reached with one, and not without."""
    certificate, key = self_signed(tmp_path)
    context = _tls(certificate, key)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    bundle = str(certificate)
    with _serving(_Page, context) as port:
        server = f"https://127.0.0.1:{port}"
        route = Route(ca_bundle=bundle, client_certificate=bundle, client_key=str(key))
        # what it answers is not Tableau's, but it does answer
        with (
            pytest.raises(ServerUnreachable, match="answered with a page"),
            sign_in(server, "", TOKEN, ONCE, route),
        ):
            pass
        with (
            pytest.raises(MdsTableauError) as raised,
            sign_in(server, "", TOKEN, ONCE, Route(ca_bundle=bundle)),
        ):
            pass
        assert "answered with a page" not in str(raised.value)
