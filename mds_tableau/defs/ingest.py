"""Reads the dbt sources that are in databases, as a part of the step that runs dbt.

What is read, how and into what is decided in `mds_tableau.database_sources` and `ingest`. A source
that cannot be read raises nothing here: its failure is recorded, and dbt and the exports decide
about what depends on it.
"""

import time
import traceback
from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dagster as dg
from dagster_dbt import DagsterDbtTranslator

from mds_tableau.columns import counted
from mds_tableau.database_sources import DatabaseSource
from mds_tableau.errors import MdsTableauError
from mds_tableau.ingest import Ingested, ingest
from mds_tableau.inputs.database_url import FromVariable, scrubbed
from mds_tableau.manifest import Manifest
from mds_tableau.results import STARTED, NodeResult, ResultStore
from mds_tableau.settings import variable
from mds_tableau.warehouse import wait_until_free

_SAYS_EVERY: Final = 30.0
"""Seconds between two lines about the rows that have arrived."""


class IngestConfig(dg.Config):
    """What may be asked of one run."""

    read_all: bool = False
    """Whether all rows of sources with `increasing` are read again."""


@dataclass(frozen=True)
class Ingester:
    """Reads sources into the warehouse and records what came of it.

    Attributes:
        sources: The sources.
        manifest: The manifest that they are of.
        translator: Names and describes their assets.
        results: Where the results are recorded, beside those of dbt.
        warehouse: The DuckDB file that they are read into.
    """

    sources: Sequence[DatabaseSource]
    manifest: Manifest
    translator: DagsterDbtTranslator
    results: ResultStore
    warehouse: Path

    def specs(self) -> Iterator[dg.AssetSpec]:
        """Yield the asset of each source."""
        for source in self.sources:
            spec = self._translated(source)
            yield dg.AssetSpec(
                spec.key,
                description=self.manifest.content["sources"][source.unique_id].get("description"),
                group_name="raw",
                owners=spec.owners,
                tags={k: v for k, v in spec.tags.items() if not k.startswith("dagster/kind/")},
                kinds={"database", "duckdb"},
                metadata={
                    name: value
                    for name, value in spec.metadata.items()
                    if name in {"dagster/column_schema", "dagster/table_name"}
                }
                | {
                    "connection": source.connection,
                    "reads": source.table or source.query,
                    "increasing": source.increasing or "no: all rows are read each time",
                },
                skippable=True,
            )

    @property
    def by_key(self) -> dict[dg.AssetKey, str]:
        """Unique id of each source by the key of its asset."""
        return {self._translated(source).key: source.unique_id for source in self.sources}

    @property
    def by_source(self) -> dict[dg.AssetKey, DatabaseSource]:
        """The sources by the key of their assets."""
        return {self._translated(source).key: source for source in self.sources}

    def run(
        self, context: dg.AssetExecutionContext, *, run: str, again: bool
    ) -> Generator[Any, None, list[NodeResult]]:
        """Read the sources that are selected, one after another, and yield what was read.

        Args:
            context: Says which are selected.
            run: The chain of runs that the results belong to.
            again: Whether all rows of increasing sources are read again.

        Returns:
            What could not be read.

        Raises:
            DatabaseLocked: Another process holds the warehouse.
        """
        failed = []
        for source in self.sources:
            key = self._translated(source).key
            if key not in context.selected_asset_keys:
                continue
            wait_until_free(self.warehouse, read_only=False, log=context.log.warning)
            self.results.record_one(NodeResult(source.unique_id, STARTED, "", None, 0.0, run))
            started = time.monotonic()
            done = self._read(context, source, again=again)
            seconds = time.monotonic() - started
            if isinstance(done, Ingested):
                result = NodeResult(source.unique_id, "success", "", None, seconds, run)
                self.results.record_one(result)
                yield _materialized(key, done)
            else:
                context.log.error(done)
                result = NodeResult(source.unique_id, "error", done, None, seconds, run)
                self.results.record_one(result)
                failed.append(result)
        return failed

    def warn_of_older(self, context: dg.AssetExecutionContext, read: Collection[str]) -> None:
        """Say of sources that are about to be read, and not selected, that they may be old."""
        results = self.results.load()
        for source in self.sources:
            if source.unique_id not in read:
                continue
            if self._translated(source).key in context.selected_asset_keys:
                continue
            last = results.get(source.unique_id)
            if last is None:
                context.log.warning(
                    f"The dbt source '{source.name}' is not read in this run and was not read "
                    "before; select its asset too."
                )
            elif last.status != "success":
                context.log.warning(
                    f"The dbt source '{source.name}' is not read in this run, and could not be "
                    f"read last time. What is built of it is as of the time before. {last.reason}"
                )

    def _read(
        self, context: dg.AssetExecutionContext, source: DatabaseSource, *, again: bool
    ) -> Ingested | str:
        """Return what was read, or why nothing was."""
        said = time.monotonic()

        def progress(what: str, done: int, total: int | None) -> None:
            nonlocal said
            if time.monotonic() - said >= _SAYS_EVERY:
                said = time.monotonic()
                of_all = f" of {total:,}" if total else ""
                context.log.info(f"{what}: {done:,}{of_all} rows.")

        url = ""
        try:
            url = FromVariable(variable(source.connection), source.connection)
            done = ingest(self.warehouse, source, url, again=again, progress=progress)
        except MdsTableauError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  # what is wrong with one must not stop others
            context.log.error(scrubbed(traceback.format_exc(), url))
            said_of_it = scrubbed(str(error), url)
            return f"Cannot read '{source.name}': {type(error).__name__}: {said_of_it}"
        for note in done.notes:
            context.log.info(f"{source.name}: {note}")
        context.log.info(
            f"Read {counted(done.rows_read, 'row')} of '{source.name}' in {done.seconds:.2f} "
            f"seconds ({done.mode}); it has {counted(done.rows, 'row')} now."
        )
        return done

    def _translated(self, source: DatabaseSource) -> dg.AssetSpec:
        return self.translator.get_asset_spec(self.manifest.content, source.unique_id, None)


def _materialized(key: dg.AssetKey, done: Ingested) -> dg.MaterializeResult[Any]:
    return dg.MaterializeResult(
        asset_key=key,
        data_version=dg.DataVersion(done.version),
        metadata={
            "dagster/row_count": done.rows,
            "rows_read": done.rows_read,
            "seconds": round(done.seconds, 3),
            "mode": done.mode,
            **({"largest": done.high} if done.high else {}),
            "dagster/column_schema": dg.TableSchema(
                columns=[dg.TableColumn(name, of_type) for name, of_type in done.columns]
            ),
        },
    )
