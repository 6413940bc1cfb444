"""The resources of a run: one Hyper process, and one session with Tableau Server.

Both start when the first step needs them and end with the run. What they do belongs to
`mds_tableau.conversion` and `mds_tableau.tableau`; secrets reach them from the environment only.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import dagster as dg
from dagster import InitResourceContext
from pydantic import Field, PrivateAttr

from mds_tableau.conversion import convert
from mds_tableau.defs.hearing import heard
from mds_tableau.destination import Destination, LocalSandbox, SignIn
from mds_tableau.errors import MdsTableauError
from mds_tableau.extract_file import ExtractFile
from mds_tableau.extracts import PublishMode
from mds_tableau.hyper import Hyper
from mds_tableau.parquet import ParquetVersion
from mds_tableau.room import needed_for_extract, require_room
from mds_tableau.settings import Settings
from mds_tableau.tableau import (
    About,
    Earlier,
    Patience,
    Published,
    Route,
    Session,
    Uploads,
    publish,
    still_holds,
    uploading,
)
from mds_tableau.verify import Level

_PATHS: Final = ("ca_bundle", "client_certificate", "client_key")


class _RunScoped(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A resource that opens things on first use and closes them when the run ends."""

    _opened: ExitStack | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: InitResourceContext) -> Iterator["_RunScoped"]:
        """Hand the resource to the run, and close what it opened when the run ends."""
        with ExitStack() as self._opened:
            if context.log is not None:
                # uploads go on between two steps
                self._opened.enter_context(heard(context.log))
            yield self

    def _stack(self) -> ExitStack:
        if self._opened is None:
            raise RuntimeError("The resource is used outside of a run.")
        return self._opened


class HyperResource(_RunScoped):
    """One Hyper process for the whole run."""

    verify: Level = Field(
        "exact", description="How extracts are compared with their marts: `exact` or `rows`."
    )
    memory: str = Field("", description="What Hyper and DuckDB may take together; none: no limit.")

    _engine: Hyper | None = PrivateAttr(default=None)

    def convert(self, version: ParquetVersion, *, extract: str, folder: Path) -> ExtractFile:
        """Make an extract of a Parquet version, as `mds_tableau.conversion.convert` says.

        Raises:
            NoRoom: The disk has less room than it is going to take.
        """
        needed = needed_for_extract(version, folder, extract, verify=self.verify)
        require_room(folder, needed, f"Converting extract '{extract}'")
        return convert(self.engine, version, extract=extract, folder=folder, verify=self.verify)

    @property
    def engine(self) -> Hyper:
        """The running process."""
        if self._engine is None:
            self._engine = self._stack().enter_context(Hyper(self.memory))
        return self._engine


class TableauServer(_RunScoped):
    """Tableau Server, signed in to once in a run.

    Without `server` the local sandbox is started, in this process and on loopback, and the same
    client talks to it over HTTP.
    """

    server: str = Field("", description="URL of the server; none: the local sandbox.")
    site: str = Field("", description="Content URL of the site; none: the default site.")
    token_name: str = Field("", description="Name of a personal access token.")
    token_value: str = Field("", description="Its secret.", repr=False)
    username: str = Field("", description="User to sign in as, or to act for.")
    password: str = Field("", description="Password of that user.", repr=False)
    connected_app_client_id: str = Field("", description="Connected app: client id.")
    connected_app_secret_id: str = Field("", description="Connected app: secret id.")
    connected_app_secret_value: str = Field("", description="Connected app: secret.", repr=False)
    proxy: str = Field("", description="URL of the proxy to the server.", repr=False)
    ca_bundle: str = Field("", description="PEM file or folder of authorities to trust.")
    client_certificate: str = Field("", description="PEM file of a certificate of our own.")
    client_key: str = Field("", description="PEM file of its key, where it is apart.")
    connect_timeout: float = Field(15, description="Seconds that a connection may take to open.")
    read_timeout: float = Field(300, description="Seconds that the server may stay silent.")
    publish_timeout: float = Field(3600, description="Seconds that one publish may take.")
    sandbox_dir: str = Field("data/sandbox", description="Folder of the local sandbox.")
    sandbox_url: str = Field(
        "http://127.0.0.1:8850", description="Where `mds-tableau sandbox` shows that folder."
    )

    sandbox_projects: list[str] = Field([], description="Projects that the sandbox has.")
    create_projects: bool = Field(False, description="Whether missing projects are created.")
    upload_workers: int = Field(2, description="Extracts that are uploaded at the same time.")

    _session: Session | None = PrivateAttr(default=None)
    _uploads: Uploads | None = PrivateAttr(default=None)
    _is_useless: bool = PrivateAttr(default=False)

    @classmethod
    def from_settings(cls, settings: Settings) -> "TableauServer":
        """Return the resource with a `dagster.EnvVar` for each variable that is set."""
        given = {
            name: dg.EnvVar(f"TABLEAU_{name.upper()}")
            for name in cls.model_fields
            if f"tableau_{name}" in settings.model_fields_set and name not in _PATHS
        }
        # relative to the folder that the settings were read in, which a run need not start in
        paths = {name: getattr(settings, f"tableau_{name}") for name in _PATHS}
        return cls(
            **given,
            **{name: str(path) for name, path in paths.items() if path is not None},
            connect_timeout=settings.mds_connect_timeout,
            read_timeout=settings.mds_read_timeout,
            publish_timeout=settings.mds_publish_timeout,
            sandbox_dir=str(settings.mds_data_dir / "sandbox"),
            sandbox_url=f"http://127.0.0.1:{settings.mds_sandbox_port}",
            sandbox_projects=settings.sandbox_projects,
            create_projects=settings.mds_create_projects,
            upload_workers=settings.mds_upload_workers,
        )

    @property
    def session(self) -> Session:
        """The session of this run; signs in when it is first asked for.

        Raises:
            SignInError: The server refuses the credentials.
            ServerUnreachable: The server does not answer.
            SandboxError: The sandbox cannot be started.
        """
        if self._session is None:
            self._session = self._stack().enter_context(self._destination().session())
        return self._session

    def begin(self, path: Path) -> None:
        """Begin to upload an extract in the background; a small one goes with its publish.

        What goes wrong is left to the publish, which tries again and can tell what it was for.
        """
        if self._is_useless:
            return
        try:
            self.uploads.begin(path)
        except MdsTableauError:
            # signing in takes its time to fail, and would fail for the next extract too
            self._is_useless = True

    @property
    def uploads(self) -> Uploads:
        """The uploads of this run; signs in when they are first asked for.

        Raises:
            MdsTableauError: As `session` says.
        """
        if self._uploads is None:
            self._uploads = self._stack().enter_context(
                uploading(self.session, self.upload_workers)
            )
        return self._uploads

    def publish(
        self,
        path: Path,
        *,
        datasource: str,
        project: str,
        about: About,
        mode: PublishMode,
        earlier: Earlier | None,
    ) -> Published:
        """Publish a `.hyper`, as `mds_tableau.tableau.publish` says.

        Raises:
            MdsTableauError: As `mds_tableau.tableau.publish` and `session` say.
        """
        return publish(
            self.session,
            path,
            datasource=datasource,
            project=project,
            about=about,
            mode=mode,
            earlier=earlier,
            uploads=self.uploads,
            create_project=self.create_projects,
        )

    def still_holds(
        self, published: Published, *, datasource: str, project: str, about: About
    ) -> bool:
        """Return whether the server holds the last publish, as `tableau.still_holds` says."""
        return still_holds(
            self.session, published, datasource=datasource, project=project, about=about
        )

    def _destination(self) -> Destination:
        return Destination(
            server=self.server,
            site=self.site,
            sign_in=SignIn(
                self.token_name,
                self.token_value,
                self.connected_app_client_id,
                self.connected_app_secret_id,
                self.connected_app_secret_value,
                self.username,
                self.password,
            ),
            patience=Patience(
                connect_seconds=self.connect_timeout,
                read_seconds=self.read_timeout,
                publish_seconds=self.publish_timeout,
            ),
            route=Route(self.ca_bundle, self.proxy, self.client_certificate, self.client_key),
            sandbox=LocalSandbox(
                Path(self.sandbox_dir), self.sandbox_url, tuple(self.sandbox_projects)
            ),
        )
