"""What the assets of an extract share: where they leave things, what they take, and the gate.

The assets themselves are made in `extracts` and `publishing`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import dagster as dg
import duckdb
from dagster_duckdb import DuckDBResource

from mds_tableau.extracts import Extract
from mds_tableau.manifest import Mart
from mds_tableau.retention import Limits
from mds_tableau.sessions import Session, session_for
from mds_tableau.settings import Settings
from mds_tableau.warehouse import wait_until_free

Gate = Callable[[dg.AssetExecutionContext, Mart], AbstractContextManager[Sequence[str]]]
"""Gives why a mart may not be exported now, one sentence for each reason, none when it may; the
answer holds until the block ends."""

STAGES: Final = ("parquet", "hyper", "tableau")
"""What an extract goes through, in order: the first part of its assets' keys."""

FORCE: Final = "mds_tableau/force"
"""Tag of a run that makes and publishes also what did not change, with the value `true`."""

DUCKDB: Final = "mds_duckdb"
"""Key of the resource that reads the marts."""


@dataclass(frozen=True)
class Upstream:
    """What the assets of an extract take from the asset of its mart.

    Attributes:
        key: The mart's asset.
        owners: Its owners, who own the extract too.
        after: Assets that only have to be done before the mart is exported.
        compiled: Gives the SQL that dbt ran for the mart, or "" when it is not known.
        session: Tells how dbt sets up its sessions.
    """

    key: dg.AssetKey
    owners: Sequence[str] = ()
    after: Sequence[dg.AssetKey] = field(default=())
    compiled: Callable[[], str] = lambda: ""
    session: Callable[[], Session] = Session


@dataclass(frozen=True)
class Folders:
    """Where the stages leave what they make: files below one folder, and the server.

    Attributes:
        data: The folder.
        target: The server and site, in words.
        max_row_fall: Largest share of its rows that a datasource there may lose in one publish,
            unless its model says otherwise.
        force: Whether also what did not change is made and published again.
        limits: How much of the past is kept.
    """

    data: Path
    target: str
    max_row_fall: float
    force: bool = False
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of(cls, settings: Settings) -> "Folders":
        """Return what the settings say."""
        return cls(
            settings.mds_data_dir,
            settings.target,
            settings.mds_max_row_fall,
            settings.mds_force,
            Limits.of(settings),
        )

    def is_forced(self, context: dg.AssetExecutionContext) -> bool:
        """Whether a run makes and publishes also what did not change."""
        return self.force or context.run.tags.get(FORCE, "").lower() == "true"

    def place_of(self, extract: Extract) -> str:
        """Return where an extract is published to, in words that stay the same from run to run."""
        project = "/".join(part.strip() for part in extract.project.split("/"))
        return f"{self.target}: {project}/{extract.datasource.strip()}".casefold()

    @property
    def parquet(self) -> Path:
        """Folder of the Parquet versions, one folder for each mart."""
        return self.data / "parquet"

    @property
    def hyper(self) -> Path:
        """Folder of the extracts."""
        return self.data / "hyper"

    @property
    def versions(self) -> Path:
        """Folder of the published versions that are kept, one folder for each extract."""
        return self.data / "versions"

    @property
    def published(self) -> Path:
        """Folder with what was published last, one file for each extract."""
        return self.data / "published"


@contextmanager
def reading(
    resource: DuckDBResource, context: dg.AssetExecutionContext, mart: Mart, upstream: Upstream
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the marts for reading one of them, and close them whatever happens within.

    The resource itself leaves the file open, and so locked, after an error.

    Raises:
        DatabaseLocked: Another process writes and does not let go in time.
        ExportError: As in `session_for`.
    """
    path = Path(resource.database)
    wait_until_free(path, read_only=True, log=context.log.warning)
    with resource.get_connection() as connection:
        try:
            with session_for(
                connection, mart.relation, mart=mart.name, dbt_session=upstream.session
            ) as session:
                yield session
        finally:
            connection.close()
