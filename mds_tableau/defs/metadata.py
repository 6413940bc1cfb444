"""The metadata that each materialization carries, in the names that Dagster's UI understands.

Figures are taken over from what the core returns; nothing is measured here.
"""

from collections.abc import Iterable, Mapping
from importlib.metadata import version as installed_version
from typing import Any

import dagster as dg
import duckdb

from mds_tableau.columns import OLDEST_TABLEAU, counted
from mds_tableau.extract_file import ExtractFile
from mds_tableau.hyper import library_version
from mds_tableau.manifest import Mart
from mds_tableau.parquet import ParquetVersion
from mds_tableau.plan import PLAN_HEADER
from mds_tableau.tableau import Published
from mds_tableau.verify import Comparison

Metadata = Mapping[str, Any]


def described_columns(mart: Mart) -> Metadata:
    """Return the columns of a mart as the dbt project describes them; nothing if it does not."""
    columns = [(column.name, column.data_type or "?") for column in mart.columns]
    return {"dagster/column_schema": _schema(columns, mart)} if columns else {}


def parquet_metadata(version: ParquetVersion, mart: Mart) -> Metadata:
    """Return the metadata of `parquet/*`."""
    return {
        **_figures(version.rows, version.bytes, version.seconds, is_made=not version.is_reused),
        "unchanged": version.is_reused,
        "dagster/column_schema": _schema([(c.name, c.source_type) for c in version.columns], mart),
        **_preview(version),
        "fingerprint": version.fingerprint,
        "folder": dg.MetadataValue.path(str(version.folder)),
        "parts": len(version.parts),
        "library": f"duckdb {duckdb.__version__}",
    }


def hyper_metadata(made: ExtractFile, version: ParquetVersion, mart: Mart) -> Metadata:
    """Return the metadata of `hyper/*`."""
    return {
        **_figures(made.rows, made.bytes, made.seconds, is_made=not made.is_reused),
        "unchanged": made.is_reused,
        "dagster/column_schema": _schema(made.columns, mart),
        **_preview(version),
        "fingerprint": made.fingerprint,
        "file": dg.MetadataValue.path(str(made.path)),
        "file_version": made.file_version,
        "file_version_raised_by": ", ".join(made.raised_by) or "no column",
        "oldest_tableau": OLDEST_TABLEAU[made.file_version],
        "plan": _plan(version),
        "sha256": made.sha256,
        "library": f"tableauhyperapi {library_version()}",
    }


def comparison_in_words(comparison: Comparison) -> str:
    """Return what was compared, of an extract that equals its mart."""
    how = (
        "and every value is the same"
        if comparison.seen.row_hash is not None
        else "with as many values in each column"
    )
    return f"{counted(comparison.seen.rows, 'row')} in the mart and in the extract, {how}."


def comparison_metadata(comparison: Comparison) -> Metadata:
    """Return the metadata of the check that an extract equals its mart."""
    wanted, seen = comparison.wanted, comparison.seen
    pairs = zip(comparison.columns, wanted.not_null, seen.not_null, strict=True)
    records = [
        dg.TableRecord(
            {
                "column": name,
                "values_in_mart": in_mart,
                "nulls_in_mart": wanted.rows - in_mart,
                "values_in_extract": in_extract,
                "nulls_in_extract": seen.rows - in_extract,
                "differs": name in comparison.differing or in_mart != in_extract,
            }
        )
        for name, in_mart, in_extract in pairs
    ]
    hashes = (
        # as text: the page would round so many digits
        {"row_hash_in_mart": str(wanted.row_hash), "row_hash_in_extract": str(seen.row_hash)}
        if seen.row_hash is not None
        else {}
    )
    return {
        "compared": "every value" if hashes else "rows and values counted",
        "rows_in_mart": wanted.rows,
        "rows_in_extract": seen.rows,
        **hashes,
        "columns": dg.MetadataValue.table(records),
    }


def published_metadata(
    published: Published, made: ExtractFile, mart: Mart, *, is_unchanged: bool = False
) -> Metadata:
    """Return the metadata of `tableau/*`."""
    return {
        **_figures(made.rows, published.bytes, published.seconds, is_made=not is_unchanged),
        "unchanged": is_unchanged,
        "dagster/column_schema": _schema(made.columns, mart),
        "fingerprint": made.fingerprint,
        "server": published.server,
        "site": published.site or "Default",
        "project": published.project,
        "datasource": published.datasource,
        "datasource_id": published.id,
        "url": dg.MetadataValue.url(published.url),
        "revision": str(published.revision or "not told"),
        "mode": published.mode,
        "library": f"tableauserverclient {installed_version('tableauserverclient')}",
    }


def _schema(columns: Iterable[tuple[str, object]], mart: Mart) -> dg.TableSchema:
    descriptions = {column.name: column.description or None for column in mart.columns}
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name, str(of_type), description=descriptions.get(name))
            for name, of_type in columns
        ]
    )


def _plan(version: ParquetVersion) -> dg.TableMetadataValue:
    records = [
        dg.TableRecord(
            dict(
                zip(
                    PLAN_HEADER,
                    (
                        column.name,
                        column.source_type,
                        column.cast,
                        column.parquet_type,
                        str(column.hyper_type),
                        column.note,
                    ),
                    strict=True,
                )
            )
        )
        for column in version.columns
    ]
    schema = dg.TableSchema(columns=[dg.TableColumn(name, "string") for name in PLAN_HEADER])
    return dg.MetadataValue.table(records, schema=schema)


def _figures(rows: int, size: int, seconds: float, *, is_made: bool) -> Metadata:
    counts = {"dagster/row_count": rows, "bytes": size}
    if not is_made:
        # what was only looked at has no speed, and would draw a wrong line through what was made
        return counts
    return {
        **counts,
        "seconds": round(seconds, 3),
        "rows_per_second": round(rows / seconds) if seconds else 0,
    }


def _preview(version: ParquetVersion) -> Metadata:
    names = [column.name for column in version.columns]
    schema = dg.TableSchema(columns=[dg.TableColumn(name, "string") for name in names])
    records = [
        dg.TableRecord({n: "" if v is None else v for n, v in zip(names, row, strict=True)})
        for row in version.preview
    ]
    return {"preview": dg.MetadataValue.table(records, schema=schema)} if records else {}
