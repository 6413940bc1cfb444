"""A session with Tableau Server: signed in, shared by all threads, signed in again when it ends.

What is done within a session belongs to `projects`, `uploads` and `publish`; which requests may be
repeated in place to `http`.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import requests
import tableauserverclient as TSC  # noqa: N812

from mds_tableau.errors import ServerUnreachable, SessionEnded, SignInError
from mds_tableau.tableau.credentials import Credentials, Token
from mds_tableau.tableau.failures import translated
from mds_tableau.tableau.http import HttpSession, HttpSessions
from mds_tableau.tableau.patience import Patience
from mds_tableau.tableau.route import Route
from mds_tableau.tableau.turns import token_turn

_LOWEST_API: Final = (3, 0)
"""Tableau 2018.1. The client stays at 2.4, silently, when it cannot learn the server's version."""

_RENEWALS: Final = 5
_RENEWALS_WITHIN: Final = 600.0
"""How often, in so many seconds, a session is signed in again before something is wrong with it."""

_SIGN_INS: Final = 3
_ASKS: Final = 3
"""How often a sign-in, and a request that may be repeated, are tried."""

_FIRST_API: Final = "2.4"
"""Where the client starts; what it made of a broken answer is forgotten before it signs in."""

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True)
class Project:
    """A project on the server: its LUID, and its path as the server spells it."""

    id: str
    path: str


class Session:
    """A signed-in session, which threads may share.

    Attributes:
        client: The client; every request goes through it.
        server: URL of the server, as people and messages know it.
        site: Content URL of the site, "" for the default site.
        patience: How long the server is waited for.
        known_projects: The projects as they were last listed; empty before.
        known_datasources: LUIDs by project and folded name, as they were last listed.
        has_listed: Whether they were.
        known_users: LUIDs by folded name, as they were last listed; empty before.
    """

    def __init__(
        self,
        server: str,
        site: str,
        credentials: Credentials,
        patience: Patience,
        route: Route,
        shown_as: str = "",
    ) -> None:
        self.server = shown_as or server
        self.site = site
        self.patience = patience
        self.known_projects: list[Project] = []
        self.known_datasources: dict[tuple[str, str], str] = {}
        self.has_listed = False
        self.known_users: dict[str, str] = {}
        self._http = HttpSessions(patience, server)
        self.client = TSC.Server(
            server,
            use_server_version=True,
            http_options={"timeout": patience.timeout, **route.options(server)},
            session_factory=self._http,
        )
        self._credentials = credentials
        self._lock = threading.Lock()
        self._renewals: list[float] = []

    def __repr__(self) -> str:
        return f"Session({self.server!r}, {self.site!r}, {self._credentials})"

    @property
    def site_name(self) -> str:
        """The site in words."""
        return f"site '{self.site}'" if self.site else "the default site"

    @property
    def last_status(self) -> int:
        """Status of the last answer to this thread, 0 when none came."""
        http = self.client.session
        return http.last_status if isinstance(http, HttpSession) else 0

    def sign_in(self) -> None:
        """Sign in.

        Raises:
            SignInError: The server refuses the credentials or the site.
            ServerUnreachable: It does not answer, or what answers is not Tableau Server.
        """
        # who waits here may have misspelled the server; a run that is retried comes back later
        patience = replace(self.patience, attempts=min(_SIGN_INS, self.patience.attempts))
        patience.persist(self._sign_in_once, _log.warning)

    def _sign_in_once(self) -> None:
        with self.translated("Signing in"):
            if not _is_usable(self.client):
                self.client.version = _FIRST_API
            try:
                self.client.auth.sign_in(self._credentials.authentication(self.site))
            except TSC.FailedSignInError as error:
                raise SignInError(
                    f"{self.server} refused the sign-in of {self._credentials} to "
                    f"{self.site_name} ({error.code}: {error.detail}). Check the name, the secret "
                    "and TABLEAU_SITE; a personal access token ends when it is not used for 15 "
                    "days."
                ) from error
        _require_version(self.client, self.server)

    def ask(self, doing: str, work: Callable[[TSC.Server], _T]) -> _T:
        """Return what `work` returns, calling it again after what can pass.

        When the session had ended, it is signed in again before.

        Args:
            doing: What is being done, such as `Listing the projects`.
            work: Makes requests that may be repeated, as they only read or always do the same.

        Raises:
            MdsTableauError: As `translated` says.
        """

        def once() -> _T:
            token = self.token
            try:
                with self.translated(doing):
                    return work(self.client)
            except SessionEnded:
                self.renew(token)
                raise

        return replace(self.patience, attempts=min(_ASKS, self.patience.attempts)).persist(
            once, _log.warning
        )

    def translated(self, doing: str) -> AbstractContextManager[None]:
        """Return the context in which what goes wrong with the server becomes an error of ours."""
        return translated(doing, self.server, lambda: self.last_status)

    def renew(self, ended: str | None) -> None:
        """Sign in again, unless another thread already has since `ended` was the token.

        Raises:
            SignInError: The server refuses it, or has ended too many sessions.
        """
        with self._lock:
            if self.token != ended:
                return
            now = time.monotonic()
            self._renewals = [at for at in self._renewals if now - at < _RENEWALS_WITHIN]
            self._renewals.append(now)
            if len(self._renewals) > _RENEWALS:
                raise SignInError(
                    f"{self.server} has ended the session of {self._credentials} "
                    f"{len(self._renewals)} times in ten minutes. Something else signs in with "
                    "it at the same time: a personal access token has one session at a time. Give "
                    "each its own token."
                )
            _log.warning("%s has ended the session; signing in again.", self.server)
            self.sign_in()

    def sign_out(self) -> None:
        """Sign out; whatever happens to that, the session is over."""
        try:
            self.client.auth.sign_out()
        except (TSC.NotSignedInError, requests.exceptions.RequestException) as error:
            # this must not hide what happened within
            _log.info("The session could not be signed out: %s", type(error).__name__)
        except Exception as error:  # noqa: BLE001  # the client raises anything on a strange answer
            _log.warning("The session could not be signed out: %s", type(error).__name__)

    def close(self) -> None:
        """Close the connections, of all threads."""
        self._http.close()

    @property
    def token(self) -> str | None:
        """What tells one session from the next; never to be shown."""
        try:
            return str(self.client.auth_token)
        except TSC.NotSignedInError:
            return None


@contextmanager
def sign_in(
    server: str,
    site: str,
    credentials: Credentials,
    patience: Patience | None = None,
    route: Route | None = None,
    *,
    shown_as: str = "",
) -> Iterator[Session]:
    """Sign in, yield the session, and sign out whatever happened within.

    A personal access token has one session at a time, and a second sign-in ends the first: other
    processes of this user on this machine wait for their turn.

    Args:
        server: URL of the server.
        site: Content URL of the site, "" for the default one.
        credentials: As whom to sign in.
        patience: How long the server is waited for.
        route: How it is reached; by default as the environment says.
        shown_as: URL that messages and results call it by, where that is another one.

    Raises:
        SignInError: The server refuses the credentials or the site.
        ServerUnreachable: It does not answer, or what answers is not Tableau Server.
        ConnectionBlocked: A certificate or a proxy is in the way.
        TokenInUse: Another process had the token for longer than a publish may take.
    """
    server = server.rstrip("/")
    patience = patience or Patience()
    with ExitStack() as stack:
        if isinstance(credentials, Token):
            stack.enter_context(token_turn(server, credentials, patience.publish_seconds))
        session = Session(server, site, credentials, patience, route or Route(), shown_as)
        stack.callback(session.close)
        session.sign_in()
        stack.callback(session.sign_out)
        yield session


def _is_usable(client: TSC.Server) -> bool:
    parts = str(client.version).split(".")
    return all(p.isdigit() for p in parts) and tuple(map(int, parts)) >= _LOWEST_API


def _require_version(client: TSC.Server, server: str) -> None:
    if not _is_usable(client):
        raise ServerUnreachable(
            f"{server} did not tell a usable version of its REST API (seen: {client.version}, "
            f"needed: {_LOWEST_API[0]}.{_LOWEST_API[1]} or later). Something between here and the "
            "server may be answering in its place."
        )
