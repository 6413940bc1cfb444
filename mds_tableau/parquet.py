"""Writes a mart as Parquet, one folder for each version, and reads such folders back.

A folder holds part files and `_manifest.json`, and gets its name last, so that a reader sees a
version whole or not at all; whoever writes this layout, DuckDB or another engine, can feed the
next stage. How columns are cast is decided in `columns`; connections are opened by the caller.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import duckdb

from mds_tableau.columns import ColumnPlan, HyperType, plan_columns, quote_identifier, quote_path
from mds_tableau.errors import ExportError
from mds_tableau.files import read_json, remove, sha256, sole_writer, write_json

MANIFEST: Final = "_manifest.json"
KEPT_VERSIONS: Final = 2
"""Versions kept for each mart: the newest, and the one that a reader may still have open."""

# V1: with V2 DuckDB 2.0.0 writes integers as deltas that Hyper misreads without an error.
# ZSTD: the smallest of uncompressed, snappy, lz4_raw and zstd, at the same speed both ways.
# FILE_SIZE_BYTES: one part, unless the mart is large; keeps the footer far below Hyper's 16 MiB.
_COPY_OPTIONS: Final = (
    "FORMAT parquet, PARQUET_VERSION V1, COMPRESSION zstd, FILE_SIZE_BYTES '1GB', "
    "FILENAME_PATTERN 'part-{i}', RETURN_STATS"
)
_VERSION_FORMAT: Final = "%Y%m%dT%H%M%S.%fZ"
_VERSION_NAME: Final = re.compile(r"\d{8}T\d{6}\.\d{6}Z")


@dataclass(frozen=True)
class Part:
    """One Parquet file of a version.

    Attributes:
        file: Its name in the folder.
        rows: Rows in it.
        bytes: Its size.
        sha256: Digest of its bytes, or "" when who wrote it gave none.
    """

    file: str
    rows: int
    bytes: int
    sha256: str = ""


@dataclass(frozen=True)
class Column:
    """One column of a version.

    Attributes:
        name: Its name.
        source_type: Its type in the mart.
        hyper_type: The type that the extract declares for it.
        not_null: Rows where it has a value.
    """

    name: str
    source_type: str
    hyper_type: HyperType
    not_null: int


@dataclass(frozen=True)
class ParquetVersion:
    """One complete version of a mart in Parquet.

    Attributes:
        folder: The folder that holds it.
        mart: Name of the mart.
        engine: Who wrote it, such as `duckdb 2.0.0`.
        parts: Its files.
        columns: Its columns, in order.
        rows: Rows in all parts.
        fingerprint: Equal for equal contents, whatever the order of rows; comparable only between
            versions written by one engine.
        seconds: Wall time of the export.
        created_at: When it was complete, UTC, ISO 8601.
        preview: Its first rows, five at the most, each value as text or None.
    """

    folder: Path
    mart: str
    engine: str
    parts: tuple[Part, ...]
    columns: tuple[Column, ...]
    rows: int
    fingerprint: str
    seconds: float
    created_at: str
    preview: tuple[tuple[str | None, ...], ...] = ()

    @property
    def bytes(self) -> int:
        """Bytes of all parts."""
        return sum(part.bytes for part in self.parts)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Absolute paths of the parts."""
        return tuple((self.folder / part.file).absolute() for part in self.parts)


@dataclass(frozen=True)
class _Figures:
    rows: int
    not_null: tuple[int, ...]
    row_hash: int


def export_mart(
    connection: duckdb.DuckDBPyConnection, *, relation: str, mart: str, file: str, folder: Path
) -> ParquetVersion:
    """Write the mart as a new version under `folder` and return it.

    Rows, values of each column and a hash of all rows are compared between the mart and what was
    written. On any failure the versions that were there stay as they are, and nothing else is left.

    Args:
        connection: Reads the mart; nothing is written through it but the Parquet files.
        relation: Quoted name of the mart's relation.
        mart: Name of the mart.
        file: The model's file, for messages.
        folder: Where the versions of this mart are.

    Raises:
        UnsupportedColumn: A column has a type that an extract cannot hold.
        ExportError: A value does not fit the type it is exported as, the relation is not there,
            the disk is full, or what was written differs from the mart.
    """
    started = time.perf_counter()
    with sole_writer(folder):
        for debris in folder.glob(".*.tmp"):
            remove(debris)
        version = _next_version(folder)
        beside = folder / f".{version}.tmp"
        try:
            # in one transaction now() stays the same, also in a view that is computed three times
            connection.begin()
            plans = _plan(connection, relation, mart, file)
            beside.mkdir(parents=True)
            written = _write(connection, relation, plans, mart, file, beside)
            seconds = time.perf_counter() - started
            preview = _preview(connection, relation, plans)
            _write_manifest(beside, mart, plans, *written, seconds, preview)
            beside.rename(folder / version)
        except (duckdb.Error, OSError) as error:
            raise ExportError(
                f"Cannot export mart '{mart}' ({file}): {_first_line(error)}"
            ) from error
        finally:
            remove(beside)
            connection.rollback()
        for old in _versions(folder)[:-KEPT_VERSIONS]:
            remove(old)
    return read_version(folder / version)


def describe(connection: duckdb.DuckDBPyConnection, relation: str) -> list[tuple[str, str]]:
    """Return name and DuckDB type of each column of a relation, in order."""
    rows = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()  # noqa: S608
    return [(row[0], row[1]) for row in rows]


def newest_version(folder: Path) -> ParquetVersion | None:
    """Return the newest complete version of a mart, or None when there is none.

    Raises:
        ExportError: Its manifest cannot be read, or a part of it is missing or truncated.
    """
    versions = _versions(folder)
    return read_version(versions[-1]) if versions else None


def read_version(folder: Path) -> ParquetVersion:
    """Read the manifest of one version and check that its parts are there with their size.

    Raises:
        ExportError: As in `newest_version`.
    """
    content = read_json(folder / MANIFEST)
    if content is None:
        raise ExportError(f"{folder / MANIFEST} is missing or is not JSON. Export the mart again.")
    try:
        version = ParquetVersion(
            folder=folder,
            mart=content["mart"],
            engine=content["engine"],
            parts=tuple(Part(**part) for part in content["parts"]),
            columns=tuple(
                Column(
                    column["name"],
                    column["source_type"],
                    HyperType.parse(column["hyper_type"]),
                    column["not_null"],
                )
                for column in content["columns"]
            ),
            rows=content["rows"],
            fingerprint=content["fingerprint"],
            seconds=content["seconds"],
            created_at=content["created_at"],
            preview=tuple(tuple(row) for row in content.get("preview", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ExportError(
            f"{folder / MANIFEST} is not a manifest of a mart ({error!r}). Export the mart again."
        ) from error
    for part, path in zip(version.parts, version.paths, strict=True):
        size = path.stat().st_size if path.is_file() else None
        if size != part.bytes:
            seen = "is missing" if size is None else f"has {size:,} bytes"
            raise ExportError(
                f"Part {path} {seen}; its manifest says {part.bytes:,} bytes. "
                "Export the mart again."
            )
    return version


def _versions(folder: Path) -> list[Path]:
    found = folder.glob(f"*/{MANIFEST}")
    return sorted(path.parent for path in found if _VERSION_NAME.fullmatch(path.parent.name))


def _next_version(folder: Path) -> str:
    version = datetime.now(timezone.utc)
    versions = _versions(folder)
    if versions:
        # a clock that was set back must not make a new version look old
        newest = datetime.strptime(versions[-1].name, _VERSION_FORMAT).replace(tzinfo=timezone.utc)
        version = max(version, newest + timedelta(microseconds=1))
    return version.strftime(_VERSION_FORMAT)


def _plan(
    connection: duckdb.DuckDBPyConnection, relation: str, mart: str, file: str
) -> tuple[ColumnPlan, ...]:
    try:
        described = describe(connection, relation)
    except duckdb.CatalogException as error:
        raise ExportError(
            f"Cannot export mart '{mart}' ({file}): {relation} is not in the database. Build it "
            f"first, for example with --select '*parquet/{mart}'."
        ) from error
    return plan_columns(described, mart=mart, file=file)


def _write(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    plans: Sequence[ColumnPlan],
    mart: str,
    file: str,
    folder: Path,
) -> tuple[tuple[Part, ...], _Figures]:
    select = f"SELECT {', '.join(plan.expression for plan in plans)} FROM {relation}"  # noqa: S608
    try:
        _check_values(connection, relation, plans, mart, file)
        wanted = _figures(connection, f"({select})", plans)
        copy = f"COPY ({select}) TO {quote_path(folder)} ({_COPY_OPTIONS})"
        stats = connection.execute(copy).fetchall()
    except (duckdb.ConversionException, duckdb.OutOfRangeException) as error:
        raise ExportError(_misfit(connection, relation, plans, mart, file, error)) from error
    parts = tuple(
        Part(Path(row[0]).name, row[1], row[2], sha256(folder / Path(row[0]).name)) for row in stats
    )
    paths = ", ".join(quote_path(folder / part.file) for part in parts)
    seen = _figures(connection, f"read_parquet([{paths}], hive_partitioning = false)", plans)
    if seen != wanted or sum(part.rows for part in parts) != wanted.rows:
        raise ExportError(
            f"What was written of mart '{mart}' differs from the mart ({file}): "
            f"{seen.rows:,} rows for {wanted.rows:,}, values of each column "
            f"{list(seen.not_null)} for {list(wanted.not_null)}, row hash "
            f"{'equal' if seen.row_hash == wanted.row_hash else 'different'}. Nothing was kept of "
            "it. A view that is other each time it is read, for example by random(), has to be "
            "materialized as a table; else the disk or DuckDB is at fault."
        )
    return parts, wanted


def _figures(
    connection: duckdb.DuckDBPyConnection, relation: str, plans: Sequence[ColumnPlan]
) -> _Figures:
    names = [quote_identifier(plan.name) for plan in plans]
    # each column by its name: a table alias would be taken for a column of the same name
    row_hash = f"coalesce(sum(hash({', '.join(names)})::HUGEINT), 0)"
    counts = ", ".join(f"count({name})" for name in names)
    row = connection.execute(
        f"SELECT count(*), {row_hash}, {counts} FROM {relation}"  # noqa: S608
    ).fetchone()
    assert row is not None  # noqa: S101  # an aggregate without GROUP BY has one row
    return _Figures(rows=row[0], row_hash=row[1], not_null=tuple(row[2:]))


def _check_values(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    plans: Sequence[ColumnPlan],
    mart: str,
    file: str,
) -> None:
    """Look for values that would change on their way, in one pass over the mart."""
    checked = [(plan, plan.bad_value) for plan in plans if plan.bad_value]
    if not checked:
        return
    counts = ", ".join(f"count(*) FILTER (WHERE {bad})" for _, bad in checked)
    row = connection.execute(f"SELECT {counts} FROM {relation}").fetchone()  # noqa: S608
    lines = [
        f"\n- column '{plan.name}' ({plan.duckdb_type}): {count:,} rows are infinite, which an "
        f"extract cannot hold. Write NULL or a real date instead, for example CASE WHEN isfinite("
        f"{quote_identifier(plan.name)}) THEN {quote_identifier(plan.name)} END."
        for (plan, _), count in zip(checked, row or (), strict=True)
        if count
    ]
    if lines:
        raise ExportError(f"Cannot export mart '{mart}' ({file}):{''.join(lines)}")


def _preview(
    connection: duckdb.DuckDBPyConnection, relation: str, plans: Sequence[ColumnPlan]
) -> list[tuple[str | None, ...]]:
    texts = ", ".join(f"CAST({quote_identifier(plan.name)} AS VARCHAR)" for plan in plans)
    return connection.execute(f"SELECT {texts} FROM {relation} LIMIT 5").fetchall()  # noqa: S608


def _misfit(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    plans: Sequence[ColumnPlan],
    mart: str,
    file: str,
    error: duckdb.Error,
) -> str:
    # the error has ended the transaction
    connection.rollback()
    connection.begin()
    lines = []
    for plan in plans:
        if plan.cast is None:
            continue
        name = quote_identifier(plan.name)
        bad = f"{name} IS NOT NULL AND TRY_CAST({name} AS {plan.cast}) IS NULL"
        row = connection.execute(
            f"SELECT count(*), CAST(any_value({name}) AS VARCHAR) FROM {relation} WHERE {bad}"  # noqa: S608
        ).fetchone()
        if row and row[0]:
            lines.append(
                f"\n- column '{plan.name}' ({plan.duckdb_type}): {row[0]:,} rows do not fit "
                f"{plan.cast}, for example {row[1]}. Cast it in the model to DECIMAL(38,0), DOUBLE "
                "or VARCHAR."
            )
    # a view computes while it is read, so the error may be its own
    said = "values are out of range." if lines else _first_line(error)
    return f"Cannot export mart '{mart}' ({file}): {said}{''.join(lines)}"


def _write_manifest(
    folder: Path,
    mart: str,
    plans: Sequence[ColumnPlan],
    parts: Sequence[Part],
    figures: _Figures,
    seconds: float,
    preview: Sequence[Sequence[str | None]],
) -> None:
    engine = f"duckdb {duckdb.__version__}"
    columns: list[Mapping[str, Any]] = [
        {
            "name": plan.name,
            "source_type": plan.duckdb_type,
            "hyper_type": str(plan.hyper_type),
            "not_null": not_null,
        }
        for plan, not_null in zip(plans, figures.not_null, strict=True)
    ]
    content = json.dumps([engine, columns, figures.rows, str(figures.row_hash)])
    for part in parts:
        with (folder / part.file).open("rb+") as file:
            os.fsync(file.fileno())
    write_json(
        folder / MANIFEST,
        {
            "mart": mart,
            "engine": engine,
            "created_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "seconds": round(seconds, 3),
            "rows": figures.rows,
            "fingerprint": hashlib.sha256(content.encode()).hexdigest(),
            "parts": [asdict(part) for part in parts],
            "columns": columns,
            "preview": preview,
        },
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]
