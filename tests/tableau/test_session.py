"""Signing in and out, with the real client against a running sandbox."""

from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import jwt
import pytest
import tableauserverclient as TSC  # noqa: N812

from mds_tableau.errors import ConnectionBlocked, ServerUnreachable, SignInError
from mds_tableau.sandbox import Sandbox
from mds_tableau.tableau import ConnectedApp, Credentials, Password, Patience, Token, sign_in
from tests.tableau.conftest import APP, TOKEN


@pytest.mark.parametrize(
    "credentials",
    [TOKEN, Password("ada", "a-password"), ConnectedApp(*APP, username="ada")],
    ids=str,
)
@pytest.mark.parametrize("site", ["", "retail"])
def test_each_way_signs_in(server: Sandbox, credentials: Credentials, site: str) -> None:
    """Each of the three ways gives a session that can ask, on either site."""
    with sign_in(server.url, site, credentials) as session:
        projects, _ = session.client.projects.get()
        assert [project.name for project in projects if project.name == "Default"] == ["Default"]
        assert session.client.version == "3.25"


def test_a_home_that_cannot_be_written_to_is_no_hindrance(
    server: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Turns are taken in the folder for temporary files then."""
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with sign_in(server.url, "", TOKEN) as session:
        assert session.client.projects.get()[0]


def test_session_ends_even_after_an_error(server: Sandbox) -> None:
    """The server has signed the session out after an error within the block."""
    stack = ExitStack()
    client = stack.enter_context(sign_in(server.url, "", TOKEN)).client
    kept = (client.site_id, client.user_id, client.auth_token, "")
    assert client.projects.get()[0]
    assert stack.__exit__(RuntimeError, RuntimeError("within"), None) is False
    client._set_auth(*kept)
    with pytest.raises(TSC.NotSignedInError):
        client.projects.get()


@pytest.mark.parametrize(
    ("site", "credentials", "named"),
    [
        ("", Token("publisher", "wrong-secret"), "token 'publisher'"),
        ("", Password("ada", "wrong-secret"), "user 'ada'"),
        ("", ConnectedApp(APP[0], APP[1], "x" * 44, "ada"), "connected app 'client-1'"),
        ("nowhere", TOKEN, "site 'nowhere'"),
    ],
    ids=["token", "password", "connected app", "site"],
)
def test_refused_sign_in_says_who_and_never_the_secret(
    server: Sandbox, site: str, credentials: Credentials, named: str
) -> None:
    """A refusal names the credentials, the site and the server's code, and no secret."""
    with pytest.raises(SignInError) as raised, sign_in(server.url, site, credentials):
        pass
    message = str(raised.value)
    assert named in message
    assert "401001" in message
    assert "wrong-secret" not in message + repr(credentials)
    assert "x" * 44 not in message + repr(credentials)


def test_unreachable_server_is_named(free_port: int) -> None:
    """Nobody listening is an error that names the address and the setting."""
    url = f"http://127.0.0.1:{free_port}"
    with (
        pytest.raises(ServerUnreachable, match=rf"{url} cannot be reached.*TABLEAU_SERVER"),
        sign_in(url, "", TOKEN, Patience(first_pause=0.01)),
    ):
        pass


def test_page_of_somebody_else_is_not_taken_for_tableau(web_page: str) -> None:
    """A page with status 200, as a proxy gives, is an error about what stands in between."""
    with (
        pytest.raises(ServerUnreachable, match=r"answered with a page.*proxy"),
        sign_in(web_page, "", TOKEN),
    ):
        pass


def test_untrusted_certificate_says_what_to_set(tls_server: str) -> None:
    """A certificate that is not trusted is refused, with the setting for an own authority."""
    with (
        pytest.raises(ConnectionBlocked, match=r"not trusted.*TABLEAU_CA_BUNDLE"),
        sign_in(tls_server, "", TOKEN),
    ):
        pass


def test_token_of_a_connected_app_is_short_lived_and_narrow() -> None:
    """The token that is sent lives five minutes, is for one use and asks only for publishing."""
    auth = ConnectedApp(*APP, username="ada").authentication("retail")
    claims = jwt.decode(auth.jwt, APP[2], algorithms=["HS256"], audience="tableau")
    assert claims["sub"] == "ada"
    assert "tableau:datasources:create" in claims["scp"]
    assert not [scope for scope in claims["scp"] if "delete" in scope or "*" in scope]
    assert jwt.get_unverified_header(auth.jwt)["kid"] == APP[1]


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer with a page."""
        self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b"<html><body>Please sign in to the company's proxy</body></html>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def web_page() -> object:
    """URL of a server that answers everything with a page."""
    with HTTPServer(("127.0.0.1", 0), _Page) as httpd:
        thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@pytest.fixture
def tls_server(tmp_path: Path) -> object:
    """URL of a sandbox whose certificate nobody has signed."""
    from mds_tableau.sandbox import SandboxConfig
    from tests.certificates import self_signed

    config = SandboxConfig(data_dir=tmp_path / "tls", tokens={TOKEN.name: TOKEN.value})
    with Sandbox(config, host="127.0.0.1", port=0, tls=self_signed(tmp_path)) as sandbox:
        yield sandbox.url
