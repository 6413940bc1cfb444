"""A session with Tableau Server: signed in once, checked, and signed out on every path.

What is done within a session belongs to `projects` and `publish`.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import requests
import tableauserverclient as TSC  # noqa: N812

from mds_tableau.errors import ServerUnreachable, SignInError
from mds_tableau.tableau.credentials import Credentials
from mds_tableau.tableau.failures import translated

_TIMEOUT_SECONDS: Final = (15, 600)  # to connect, and between two bytes; the client has none
_LOWEST_API: Final = (3, 0)
"""Tableau 2018.1. The client stays at 2.4, silently, when it cannot learn the server's version."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Project:
    """A project on the server: its LUID, and its path as the server spells it."""

    id: str
    path: str


@dataclass(frozen=True)
class Session:
    """A signed-in session.

    Attributes:
        client: The client; every request goes through it.
        server: URL of the server.
        site: Content URL of the site, "" for the default site.
        known_projects: The projects as they were last listed; empty before.
    """

    client: TSC.Server
    server: str
    site: str
    known_projects: list[Project] = field(default_factory=list, compare=False, repr=False)

    @property
    def site_name(self) -> str:
        """The site in words."""
        return f"site '{self.site}'" if self.site else "the default site"


@contextmanager
def sign_in(server: str, site: str, credentials: Credentials) -> Iterator[Session]:
    """Sign in, yield the session, and sign out whatever happened within.

    Raises:
        SignInError: The server refuses the credentials or the site.
        ServerUnreachable: It does not answer, or what answers is not Tableau Server.
    """
    server = server.rstrip("/")
    with translated("Signing in", server):
        client = TSC.Server(
            server, use_server_version=True, http_options={"timeout": _TIMEOUT_SECONDS}
        )
    session = Session(client, server, site)
    with translated("Signing in", server):
        try:
            client.auth.sign_in(credentials.authentication(site))
        except TSC.FailedSignInError as error:
            raise SignInError(
                f"{server} refused the sign-in of {credentials} to {session.site_name} "
                f"({error.code}: {error.detail}). Check the name, the secret and TABLEAU_SITE; "
                "a personal access token ends when it is not used for 15 days."
            ) from error
    try:
        _require_version(client, server)
        yield session
    finally:
        _sign_out(client)


def _require_version(client: TSC.Server, server: str) -> None:
    parts = str(client.version).split(".")
    version = tuple(int(part) for part in parts) if all(p.isdigit() for p in parts) else (0,)
    if version < _LOWEST_API:
        raise ServerUnreachable(
            f"{server} did not tell a usable version of its REST API (seen: {client.version}, "
            f"needed: {_LOWEST_API[0]}.{_LOWEST_API[1]} or later). Something between here and the "
            "server may be answering in its place."
        )


def _sign_out(client: TSC.Server) -> None:
    try:
        client.auth.sign_out()
    except (TSC.NotSignedInError, requests.exceptions.RequestException) as error:
        # the session is over either way, and this must not hide what happened within
        _log.info("The session could not be signed out: %s", type(error).__name__)
    except Exception as error:  # noqa: BLE001  # the client raises anything on a strange answer
        _log.warning("The session could not be signed out: %s", type(error).__name__)
