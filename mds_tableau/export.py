"""Writes a mart as one version of Parquet with DuckDB, and compares it with the mart.

What its columns become is decided in `export_plan`; what a version is, and reading it, belongs to
`parquet`; connections are opened by the caller.
"""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import duckdb

from mds_tableau.columns import ColumnPlan, counted, quote_identifier, quote_path
from mds_tableau.errors import ExportError, ExtractError, first_line
from mds_tableau.export_plan import MartExport, check_mart, plan_mart
from mds_tableau.figures import ENGINE, Figures, measure
from mds_tableau.files import remove, sha256, sole_writer, write_json
from mds_tableau.parquet import (
    MANIFEST,
    ParquetVersion,
    Part,
    footer_bytes,
    newest_version,
    next_version,
    read_version,
    versions,
)
from mds_tableau.parquet_sql import parts_relation, quote_paths
from mds_tableau.room import needed_for_export, require_room
from mds_tableau.scratch import scratch

KEPT_VERSIONS: Final = 2
"""Versions kept for each mart: the newest, and the one that a reader may still have open."""

# V1: with V2 DuckDB 2.0.0 writes integers as deltas that Hyper misreads without an error.
# ZSTD: the smallest of uncompressed, snappy, lz4_raw and zstd, at the same speed both ways.
_COPY_OPTIONS: Final = (
    "FORMAT parquet, PARQUET_VERSION V1, COMPRESSION zstd, FILENAME_PATTERN 'part-{i}', "
    "RETURN_STATS"
)
_FOOTER_BUDGET: Final = 12 * 1024**2
"""Bytes that a footer may have before a mart is written again in smaller parts; Hyper refuses
16 MiB."""
_CHUNK_BYTES: Final = 110
"""Bytes that DuckDB writes into the footer for one column of one row group, without its name."""
_PREVIEW_LENGTH: Final = 200


def export_mart(
    connection: duckdb.DuckDBPyConnection,
    mart: MartExport,
    folder: Path,
    *,
    may_reuse: bool = False,
) -> ParquetVersion:
    """Write the mart as a new version under `folder` and return it.

    Rows, values of each column and a hash of all rows are compared between the mart and what was
    written. On any failure the versions that were there stay as they are, and nothing else is left.

    Args:
        connection: Reads the mart; nothing is written through it but the Parquet files.
        mart: The mart.
        folder: Where the versions of this mart are.
        may_reuse: Whether the newest version is returned, and nothing written, when the mart holds
            what it held then and the parts are what they were.

    Raises:
        UnsupportedColumn: A column has a type or a name that an extract cannot hold.
        RefusedValues: A value does not fit the type it is exported as.
        ExportError: The relation is not there, the disk is full, or what was written differs from
            the mart.
        NoRoom: The disk has less room than it is going to take.
    """
    started = time.perf_counter()
    with sole_writer(folder):
        for debris in folder.glob(".*.tmp"):
            remove(debris)
        version = next_version(folder)
        beside = folder / f".{version}.tmp"
        try:
            # in one transaction now() stays the same, also in a view that is computed three times
            connection.begin()
            plans = plan_mart(connection, mart)
            warnings = check_mart(connection, mart, plans)
            select = f"SELECT {', '.join(plan.selected for plan in plans)} FROM {mart.relation}"  # noqa: S608
            columns = [(plan.name, plan.hyper_type) for plan in plans]
            figures = measure(connection, f"({select})", columns)
            last = _last(folder)
            if may_reuse and (same := _same(last, plans, figures)) is not None:
                return replace(
                    same,
                    seconds=round(time.perf_counter() - started, 3),
                    warnings=tuple(warnings),
                    is_reused=True,
                )
            needed = needed_for_export(connection, mart.relation, last)
            require_room(folder, needed, f"Exporting {mart.wording.what} '{mart.name}'")
            beside.mkdir(parents=True)
            parts = _write(connection, mart, select, plans, figures, beside)
            seconds = time.perf_counter() - started
            preview = _preview(connection, mart.relation, plans)
            _write_manifest(beside, mart, plans, parts, figures, seconds, preview, warnings)
            beside.rename(folder / version)
        except (duckdb.Error, OSError) as error:
            raise mart.cannot(first_line(error)) from error
        finally:
            remove(beside)
            connection.rollback()
        for old in versions(folder)[:-KEPT_VERSIONS]:
            remove(old)
    return read_version(folder / version)


def _write(
    connection: duckdb.DuckDBPyConnection,
    mart: MartExport,
    select: str,
    plans: Sequence[ColumnPlan],
    wanted: Figures,
    folder: Path,
) -> tuple[Part, ...]:
    columns = [(plan.name, plan.hyper_type) for plan in plans]
    names = sum(len(plan.name.encode()) + _CHUNK_BYTES for plan in plans)
    groups = max(1, _FOOTER_BUDGET // names)
    stats = _copy(connection, select, folder, groups)
    while (footer := max(footer_bytes(Path(row[0])) for row in stats)) > _FOOTER_BUDGET:
        # statistics of long texts stand in the footer too, and only writing them tells how long
        written = _most_groups(connection, folder)
        if written == 1:
            break
        for row in stats:
            Path(row[0]).unlink()
        stats = _copy(connection, select, folder, max(1, written * _FOOTER_BUDGET // footer))
    parts = tuple(
        Part(Path(row[0]).name, row[1], row[2], sha256(folder / Path(row[0]).name)) for row in stats
    )
    seen = measure(connection, parts_relation([folder / part.file for part in parts]), columns)
    if seen != wanted or sum(part.rows for part in parts) != wanted.rows:
        raise ExportError(
            f"What was written of mart '{mart.name}' differs from the mart ({mart.file}): "
            f"{counted(seen.rows, 'row')} for {wanted.rows:,}, values of each column "
            f"{list(seen.not_null)} for {list(wanted.not_null)}, row hash "
            f"{'equal' if seen.row_hash == wanted.row_hash else 'different'}. Nothing was kept of "
            "it. A view that is other each time it is read, for example by random(), has to be "
            "materialized as a table; else the disk or DuckDB is at fault."
        )
    return parts


def _copy(
    connection: duckdb.DuckDBPyConnection, select: str, folder: Path, groups: int
) -> list[Any]:
    options = f"{_COPY_OPTIONS}, ROW_GROUPS_PER_FILE {groups}"
    return connection.execute(f"COPY ({select}) TO {quote_path(folder)} ({options})").fetchall()


def _most_groups(connection: duckdb.DuckDBPyConnection, folder: Path) -> int:
    paths = quote_paths(folder.iterdir())
    row = connection.execute(
        f"SELECT max(num_row_groups) FROM parquet_file_metadata({paths})"  # noqa: S608
    ).fetchone()
    return int(row[0]) if row else 1


def _preview(
    connection: duckdb.DuckDBPyConnection, relation: str, plans: Sequence[ColumnPlan]
) -> list[tuple[str | None, ...]]:
    texts = ", ".join(
        f"left(CAST({quote_identifier(plan.name)} AS VARCHAR), {_PREVIEW_LENGTH})" for plan in plans
    )
    return connection.execute(f"SELECT {texts} FROM {relation} LIMIT 5").fetchall()  # noqa: S608


def _write_manifest(
    folder: Path,
    mart: MartExport,
    plans: Sequence[ColumnPlan],
    parts: Sequence[Part],
    figures: Figures,
    seconds: float,
    preview: Sequence[Sequence[str | None]],
    warnings: Sequence[str],
) -> None:
    told = [
        {"cast": plan.cast, "parquet_type": plan.parquet_type, "note": plan.note} for plan in plans
    ]
    for part in parts:
        with (folder / part.file).open("rb+") as file:
            os.fsync(file.fileno())
    write_json(
        folder / MANIFEST,
        {
            "mart": mart.name,
            "engine": ENGINE,
            "created_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "seconds": round(seconds, 3),
            "rows": figures.rows,
            "row_hash": str(figures.row_hash),
            "fingerprint": _fingerprint(plans, figures),
            "parts": [asdict(part) for part in parts],
            "columns": [
                {**one, **more} for one, more in zip(_contents(plans, figures), told, strict=True)
            ],
            "warnings": list(warnings),
            "preview": preview,
        },
    )


def _contents(plans: Sequence[ColumnPlan], figures: Figures) -> list[dict[str, object]]:
    return [
        {
            "name": plan.name,
            "source_type": plan.duckdb_type,
            "hyper_type": str(plan.hyper_type),
            "not_null": not_null,
        }
        for plan, not_null in zip(plans, figures.not_null, strict=True)
    ]


def _fingerprint(plans: Sequence[ColumnPlan], figures: Figures) -> str:
    content = [ENGINE, _contents(plans, figures), figures.rows, str(figures.row_hash)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _same(
    last: ParquetVersion | None, plans: Sequence[ColumnPlan], figures: Figures
) -> ParquetVersion | None:
    """Return the last version if it says that it holds the same, and does, else None."""
    if last is None or last.fingerprint != _fingerprint(plans, figures):
        return None
    columns = [(plan.name, plan.hyper_type) for plan in plans]
    try:
        pairs = zip(last.parts, last.paths, strict=True)
        if any(sha256(path) != part.sha256 for part, path in pairs):
            return None
        # a manifest may have been corrected along with the parts
        with scratch() as connection:
            seen = measure(connection, parts_relation(last.paths), columns)
    except (ExtractError, OSError, duckdb.Error):
        return None
    return last if seen == figures else None


def _last(folder: Path) -> ParquetVersion | None:
    try:
        return newest_version(folder)
    except ExportError:
        return None  # it is damaged, and so nothing is known of it
