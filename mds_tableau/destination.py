"""Where extracts are published to: a server to sign in to, or the local sandbox when there is none.

Used by the assets and by the command line alike. Checking the settings belongs to `settings`, and
what is done within a session to `tableau`.
"""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mds_tableau.settings import Settings
from mds_tableau.settings_rules import one_spelling
from mds_tableau.tableau import (
    ConnectedApp,
    Credentials,
    Password,
    Patience,
    Route,
    Session,
    Token,
    sign_in,
)


@dataclass(frozen=True)
class SignIn:
    """What was given to sign in with; the first way of three that has a name is taken.

    Attributes:
        token_name: Name of a personal access token.
        token_value: Its secret.
        app_client_id: Client id of a connected app.
        app_secret_id: Its secret's id.
        app_secret_value: Its secret.
        username: User to sign in as, or that the app acts for.
        password: Password of that user.
    """

    token_name: str = ""
    token_value: str = field(default="", repr=False)
    app_client_id: str = ""
    app_secret_id: str = ""
    app_secret_value: str = field(default="", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)

    @property
    def credentials(self) -> Credentials:
        """The credentials that it makes."""
        if self.token_name:
            return Token(self.token_name, self.token_value)
        if self.app_client_id:
            return ConnectedApp(
                self.app_client_id, self.app_secret_id, self.app_secret_value, self.username
            )
        return Password(self.username, self.password)


@dataclass(frozen=True)
class LocalSandbox:
    """The sandbox of this machine.

    Attributes:
        folder: What it keeps.
        url: Where `mds-tableau sandbox` shows it.
        projects: Paths of the projects that it has beside Default.
    """

    folder: Path
    url: str
    projects: tuple[str, ...] = ()

    @contextmanager
    def running(self) -> Iterator[tuple[str, Credentials]]:
        """Run it in this process; give its address, and credentials for nobody else.

        Raises:
            SandboxError: It cannot be started.
        """
        # a real server needs no sandbox, and nobody should wait for it to load
        from mds_tableau.sandbox import Sandbox, SandboxConfig

        user = Password("mds-tableau-run", secrets.token_urlsafe(24))
        config = SandboxConfig(
            data_dir=self.folder,
            users={user.username: user.password},
            projects=self.projects,
            public_url=self.url,
        )
        with Sandbox(config, host="127.0.0.1", port=0) as sandbox:
            yield sandbox.url, user


@dataclass(frozen=True)
class Destination:
    """A server and how to get in, or the local sandbox.

    Attributes:
        server: Its URL; "" for the sandbox, and the same client talks to that over HTTP.
        site: Content URL of the site, "" for the default one.
        sign_in: What to sign in with.
        patience: How long it is waited for.
        route: How it is reached.
        sandbox: The sandbox.
    """

    server: str
    site: str
    sign_in: SignIn
    patience: Patience
    route: Route
    sandbox: LocalSandbox

    @classmethod
    def of(cls, settings: Settings) -> "Destination":
        """Return the destination that is configured."""
        return cls(
            server=settings.tableau_server,
            site=settings.tableau_site,
            sign_in=SignIn(
                settings.tableau_token_name,
                settings.tableau_token_value.get_secret_value(),
                settings.tableau_connected_app_client_id,
                settings.tableau_connected_app_secret_id,
                settings.tableau_connected_app_secret_value.get_secret_value(),
                settings.tableau_username,
                settings.tableau_password.get_secret_value(),
            ),
            patience=Patience(
                connect_seconds=settings.mds_connect_timeout,
                read_seconds=settings.mds_read_timeout,
                publish_seconds=settings.mds_publish_timeout,
            ),
            route=Route(
                str(settings.tableau_ca_bundle or ""),
                settings.tableau_proxy.get_secret_value(),
                str(settings.tableau_client_certificate or ""),
                str(settings.tableau_client_key or ""),
            ),
            sandbox=LocalSandbox(
                settings.mds_data_dir / "sandbox",
                f"http://127.0.0.1:{settings.mds_sandbox_port}",
                tuple(settings.sandbox_projects),
            ),
        )

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Sign in, give the session, and sign out whatever happened within.

        Raises:
            SignInError: The server refuses the credentials or the site.
            ServerUnreachable: It does not answer, or what answers is not Tableau Server.
            ConnectionBlocked: A certificate or a proxy is in the way.
            TokenInUse: Another process had the token for longer than a publish may take.
            SandboxError: The sandbox cannot be started.
        """
        with ExitStack() as stack:
            # the client knows no scheme in capitals, and turns are taken by the spelling
            server, shown_as = one_spelling(self.server), ""
            credentials = self.sign_in.credentials
            if not server:
                server, credentials = stack.enter_context(self.sandbox.running())
                # its own port is gone when somebody reads of it
                shown_as = self.sandbox.url
            yield stack.enter_context(
                sign_in(
                    server, self.site, credentials, self.patience, self.route, shown_as=shown_as
                )
            )
