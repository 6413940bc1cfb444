"""Makes the three assets of each extract: `parquet/*`, `hyper/*` and `tableau/*`.

One op for each asset, so that what fails stops itself, what stands behind it, and nothing else.
The work is done by `mds_tableau.parquet`, `hyper` and `tableau`; what is exported is decided in
`mds_tableau.extracts`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import dagster as dg
import duckdb
from dagster_duckdb import DuckDBResource
from pydantic import Field

from mds_tableau.defs.dbt import POOL
from mds_tableau.defs.failing import told_plainly
from mds_tableau.defs.metadata import (
    comparison_metadata,
    described_columns,
    hyper_metadata,
    parquet_metadata,
    published_metadata,
)
from mds_tableau.defs.resources import HyperResource, TableauServer
from mds_tableau.errors import ExtractError, HeldBack
from mds_tableau.export import MartExport, export_mart
from mds_tableau.extract_file import read_extract
from mds_tableau.extracts import Extract
from mds_tableau.files import sha256
from mds_tableau.manifest import Mart
from mds_tableau.parquet import newest_version
from mds_tableau.published import record_published, refuse_loss
from mds_tableau.verify import VerificationFailed
from mds_tableau.warehouse import wait_until_free

Gate = Callable[[dg.AssetExecutionContext, Mart], AbstractContextManager[Sequence[str]]]
"""Gives why a mart may not be exported now, one sentence for each reason, none when it may; the
answer holds until the block ends."""

EQUALS_MART: Final = "equals_mart"
"""Name of the check of each extract."""

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
    """

    key: dg.AssetKey
    owners: Sequence[str] = ()
    after: Sequence[dg.AssetKey] = field(default=())
    compiled: Callable[[], str] = lambda: ""


@dataclass(frozen=True)
class Folders:
    """Where the stages leave what they make: files below one folder, and the server.

    Attributes:
        data: The folder.
        target: The server and site, in words.
        max_row_fall: Largest share of its rows that a datasource there may lose in one publish,
            unless its model says otherwise.
    """

    data: Path
    target: str
    max_row_fall: float

    @property
    def parquet(self) -> Path:
        """Folder of the Parquet versions, one folder for each mart."""
        return self.data / "parquet"

    @property
    def hyper(self) -> Path:
        """Folder of the extracts."""
        return self.data / "hyper"

    @property
    def published(self) -> Path:
        """Folder with what was published last, one file for each extract."""
        return self.data / "published"


@contextmanager
def reading(
    resource: DuckDBResource, context: dg.AssetExecutionContext
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the marts for reading, and close them whatever happens within.

    The resource itself leaves the file open, and so locked, after an error.

    Raises:
        DatabaseLocked: Another process writes and does not let go in time.
    """
    path = Path(resource.database)
    wait_until_free(path, read_only=True, log=context.log.warning)
    with resource.get_connection() as connection:
        try:
            yield connection
        finally:
            connection.close()


def extract_assets(
    extract: Extract, *, upstream: Upstream, gate: Gate, folders: Folders
) -> list[dg.AssetsDefinition]:
    """Return the assets of one extract, in order; without `tableau/*` if it is not published."""
    assets = [
        _parquet_asset(extract, upstream, gate, folders),
        _hyper_asset(extract, upstream, folders),
    ]
    if extract.publish:
        assets.append(_tableau_asset(extract, upstream, folders))
    return assets


def _parquet_asset(
    extract: Extract, upstream: Upstream, gate: Gate, folders: Folders
) -> dg.AssetsDefinition:
    [mart] = extract.marts

    @dg.asset(
        key=["parquet", mart.name],
        deps=[upstream.key, *upstream.after],
        group_name="parquet",
        kinds={"duckdb", "parquet"},
        owners=upstream.owners,
        pool=POOL,
        description=(
            f"The mart `{mart.name}` as one complete version of Parquet files, compared with the "
            "mart: rows, values of each column and a hash of all rows."
        ),
        metadata={"model": mart.file, **described_columns(mart)},
        required_resource_keys={DUCKDB},
    )
    def parquet(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        with told_plainly(), gate(context, mart) as refusals:
            if refusals:
                reasons = "".join(f"\n- {reason}" for reason in refusals)
                raise HeldBack(
                    f"Mart '{mart.name}' ({mart.file}) is held back, because what it holds is not "
                    f"known to be right:{reasons}\nCorrect the data, the model or the test, then "
                    f"build it again, for example with --select '*tableau/{extract.name}'."
                )
            with reading(getattr(context.resources, DUCKDB), context) as connection:
                source = MartExport(
                    mart.name, mart.relation, mart.file, extract.options, upstream.compiled()
                )
                version = export_mart(connection, source, folders.parquet / mart.name)
        for warning in version.warnings:
            context.log.warning(f"Mart '{mart.name}': {warning}")
        context.log.info(
            f"Exported {version.rows:,} rows of '{mart.name}' in {version.seconds:.2f} seconds, "
            f"{version.bytes:,} bytes in {len(version.parts)} part(s) at {version.folder}."
        )
        return dg.MaterializeResult(
            metadata=parquet_metadata(version, mart),
            data_version=dg.DataVersion(version.fingerprint),
        )

    return parquet


def _hyper_asset(extract: Extract, upstream: Upstream, folders: Folders) -> dg.AssetsDefinition:
    [mart] = extract.marts
    key = dg.AssetKey(["hyper", extract.name])
    check = dg.AssetCheckSpec(
        EQUALS_MART,
        asset=key,
        blocking=True,
        description=(
            f"The extract `{extract.name}` holds what the mart `{mart.name}` held when it was "
            "exported: the same rows with the same values. An extract that does not is thrown away."
        ),
    )

    @dg.asset(
        key=key,
        deps=[["parquet", mart.name]],
        group_name="hyper",
        kinds={"hyper"},
        owners=upstream.owners,
        description=(
            f"The extract `{extract.name}.hyper`, made from Parquet by Hyper's COPY and compared "
            "with the mart before it took the place of the last one."
        ),
        metadata=described_columns(mart),
        check_specs=[check],
    )
    def hyper(context: dg.AssetExecutionContext, hyper: HyperResource) -> Iterator[Any]:
        with told_plainly():
            version = newest_version(folders.parquet / mart.name)
            if version is None:
                raise ExtractError(
                    f"There is no Parquet of mart '{mart.name}' in {folders.parquet}. Export it "
                    f"first, for example with --select '*hyper/{extract.name}'."
                )
            selected = context.run.asset_selection
            if selected and dg.AssetKey(["parquet", mart.name]) not in selected:
                context.log.warning(
                    f"This run does not export '{mart.name}': the extract is made of the Parquet "
                    f"of {version.created_at}."
                )
            try:
                made = hyper.convert(version, extract=extract.name, folder=folders.hyper)
            except VerificationFailed as error:
                yield dg.AssetCheckResult(
                    asset_key=key,
                    check_name=EQUALS_MART,
                    passed=False,
                    description=str(error),
                    metadata=comparison_metadata(error.comparison),
                )
                raise
        for warning in made.warnings:
            context.log.warning(f"Mart '{mart.name}': {warning}")
        raised = (
            f", raised from 2 by NUMERIC of more than 18 digits in {', '.join(made.raised_by)}"
            if made.raised_by
            else ""
        )
        context.log.info(
            f"Converted {made.rows:,} rows of '{extract.name}' in {made.seconds:.2f} seconds, "
            f"{made.bytes:,} bytes; file version {made.file_version}{raised}."
        )
        yield dg.MaterializeResult(
            metadata=hyper_metadata(made, version, mart),
            data_version=dg.DataVersion(made.fingerprint),
            check_results=[
                dg.AssetCheckResult(
                    asset_key=key,
                    check_name=EQUALS_MART,
                    passed=True,
                    metadata=comparison_metadata(made.comparison),
                )
            ],
        )

    return hyper


class PublishConfig(dg.Config):
    """What may be asked of one publish, in the launchpad or as the config of a run."""

    allow_row_fall: bool = Field(
        False, description="Publish although more rows were lost than may be lost in one publish."
    )


def _tableau_asset(extract: Extract, upstream: Upstream, folders: Folders) -> dg.AssetsDefinition:
    [mart] = extract.marts

    @dg.asset(
        key=["tableau", extract.name],
        deps=[["hyper", extract.name]],
        group_name="tableau",
        kinds={"tableau"},
        owners=upstream.owners,
        description=(
            f"The datasource `{extract.datasource}` in the project `{extract.project}` on Tableau "
            f"Server.\n\n{extract.description}"
        ).strip(),
        metadata={
            "datasource": extract.datasource,
            "project": extract.project,
            **described_columns(mart),
        },
    )
    def tableau(
        context: dg.AssetExecutionContext, config: PublishConfig, tableau: TableauServer
    ) -> dg.MaterializeResult[Any]:
        with told_plainly():
            made = read_extract(folders.hyper, extract.name)
            if sha256(made.path) != made.sha256:
                raise ExtractError(
                    f"{made.path} has changed since it was verified. It is not published; build it "
                    f"again, for example with --select 'hyper/{extract.name}'."
                )
            refuse_loss(
                folders.published,
                extract,
                made.rows,
                target=folders.target,
                max_row_fall=folders.max_row_fall,
                allow_row_fall=config.allow_row_fall,
            )
            published = tableau.publish(
                made.path,
                datasource=extract.datasource,
                project=extract.project,
                description=extract.description,
            )
            record_published(
                folders.published,
                made,
                published,
                target=folders.target,
                run_id=context.run.run_id,
            )
        context.log.info(
            f"Published {made.rows:,} rows as '{published.datasource}' to '{published.project}' on "
            f"{published.server} in {published.seconds:.2f} seconds: {published.url}"
        )
        return dg.MaterializeResult(
            metadata=published_metadata(published, made, mart),
            data_version=dg.DataVersion(made.fingerprint),
        )

    return tableau
