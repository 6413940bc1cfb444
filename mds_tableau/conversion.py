"""Makes a `.hyper` out of Parquet with Hyper's own COPY, and has Hyper tell what it holds.

Extracts are made of Parquet and of nothing else, so whoever wrote it may be any engine. Running
Hyper belongs to `hyper`, the texts that it is sent to `hyper_sql`; what Hyper holds is compared in
`verify`, and what was verified is kept by `extract_file`. Publishing does not belong here.
"""

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

import duckdb
from tableauhyperapi import Connection, HyperException

from mds_tableau import hyper_sql
from mds_tableau.columns import counted, file_version
from mds_tableau.errors import ExtractError
from mds_tableau.extract_file import ExtractFile, record_path, write_record
from mds_tableau.figures import Figures
from mds_tableau.files import remove, sha256, sole_writer
from mds_tableau.hyper import Hyper, main_message, validate
from mds_tableau.hyper_sql import Columns
from mds_tableau.parquet import ParquetVersion
from mds_tableau.parts import check_parts
from mds_tableau.values import shortened
from mds_tableau.verify import (
    Comparison,
    Level,
    VerificationFailed,
    check_foreign_values,
    compare_counts,
    compare_values,
    figures_of_mart,
)

_FILE_MODE: Final = 0o644


def convert(
    hyper: Hyper,
    version: ParquetVersion,
    *,
    extract: str,
    folder: Path,
    verify: Level = "exact",
) -> ExtractFile:
    """Make `<folder>/<extract>.hyper` of a Parquet version and return what was verified.

    The file that was there stays until the new one is verified; on any failure it stays as it
    is, byte for byte, and nothing else is left.

    Args:
        hyper: A running Hyper.
        version: The Parquet.
        extract: Name of the extract.
        folder: Where extracts are.
        verify: `exact` compares every value with the mart, and has Hyper validate the file;
            `rows` compares rows and values of each column as Hyper counts them.

    Raises:
        VerificationFailed: What Hyper holds differs from the mart.
        ExtractError: Hyper refuses the Parquet, the disk is full, or Hyper died.
    """
    started = time.perf_counter()
    target = folder.absolute() / f"{extract}.hyper"
    with sole_writer(target):
        for debris in _debris(target):
            remove(debris)
        beside = target.with_name(f".{extract}.{os.getpid()}.tmp.hyper")
        record = beside.with_suffix(".json")
        columns = tuple((column.name, column.hyper_type) for column in version.columns)
        needed, raised_by = file_version(columns)
        try:
            check_parts(version)
            warnings = check_foreign_values(version)
            wanted = figures_of_mart(version, columns)
            comparison = _build(hyper, version, beside, columns, wanted, verify)
            with ThreadPoolExecutor(1, thread_name_prefix="hyper") as pool:
                # beside the comparison, which leaves it half of a core
                digest = pool.submit(_completed, beside, verify)
                if verify == "exact" and comparison.is_equal:
                    comparison = _compared(version, columns, wanted, beside)
                _refuse_difference(version, comparison)
                completed = digest.result()
            figures = comparison.seen
            made = ExtractFile(
                extract=extract,
                path=target,
                rows=figures.rows,
                columns=columns,
                not_null=figures.not_null,
                row_hash=figures.row_hash,
                bytes=beside.stat().st_size,
                sha256=completed,
                file_version=needed,
                raised_by=raised_by,
                fingerprint=version.fingerprint,
                seconds=round(time.perf_counter() - started, 3),
                created_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                warnings=warnings,
                version=version.name,
            )
            write_record(made, record)
            # a record without its file is noticed, and so is a file without its record
            record.replace(record_path(target))
            beside.replace(target)
        except HyperException as error:
            raise ExtractError(
                f"Cannot convert extract '{extract}' from {version.folder}: {main_message(error)}"
            ) from error
        except duckdb.Error as error:
            raise ExtractError(
                f"Cannot compare extract '{extract}' with the mart: {error}"
            ) from error
        except OSError as error:
            raise ExtractError(f"Cannot write extract '{extract}': {error}") from error
        finally:
            for path in (beside, record, *_written_back(beside)):
                remove(path)
    return made


def _build(
    hyper: Hyper,
    version: ParquetVersion,
    path: Path,
    columns: Columns,
    wanted: Figures,
    verify: Level,
) -> Comparison:
    """Make the file and compare what Hyper counts in it; have it written back for `exact`."""
    with hyper.connect() as connection:
        connection.execute_command(hyper_sql.creating(path, file_version(columns)[0]))
    with hyper.connect(path) as connection:
        connection.execute_command(f"CREATE SCHEMA {hyper_sql.SCHEMA}")
        connection.execute_command(hyper_sql.declaring(columns))
        try:
            copied = _cancellable(connection, hyper_sql.loading(version.paths, columns))
        except HyperException as error:
            _refuse_geographies(connection, version, columns, main_message(error))
            raise
        seen = _counted(connection, columns)
        comparison = compare_counts(columns, wanted, seen)
        if copied != seen.rows:
            raise ExtractError(
                f"Hyper reported {counted(copied or 0, 'row')} when it loaded mart "
                f"'{version.mart}', and counts {seen.rows:,} now. Nothing was kept "
                "of it; run it again."
            )
        if verify == "exact" and comparison.is_equal:
            back, read = _written_back(path)
            _cancellable(connection, hyper_sql.writing_back(columns, back))
            if hyper_sql.has_geography(columns):
                _cancellable(connection, hyper_sql.writing_read(version.paths, columns, read))
    return comparison


def _counted(connection: Connection, columns: Columns) -> Figures:
    """Return how many rows Hyper counts in an extract, and how many values in each column."""
    rows, not_null = 0, []
    for first in range(0, len(columns), hyper_sql.MOST_COUNTED):
        some = columns[first : first + hyper_sql.MOST_COUNTED]
        [[rows, *counts]] = connection.execute_list_query(hyper_sql.counting(some))
        not_null += counts
    return Figures(rows, tuple(not_null))


def _compared(version: ParquetVersion, columns: Columns, wanted: Figures, path: Path) -> Comparison:
    back, read = _written_back(path)
    converted = read if hyper_sql.has_geography(columns) else None
    return compare_values(version, columns, wanted, back, converted=converted)


def _refuse_geographies(
    connection: Connection, version: ParquetVersion, columns: Columns, said: str
) -> None:
    """Name the columns that Hyper means when it says that something is no geography."""
    if "geography" not in said:
        return
    problems = []
    for name, hyper_type in columns:
        if hyper_type.name == "GEOGRAPHY":
            [row] = connection.execute_list_query(hyper_sql.refusing(version.paths, name))
            if row[0]:
                example = shortened(row[1])
                problems.append(
                    f"\n- column '{name}': {counted(row[0], 'row')}, for example {example!r}."
                )
    if problems:
        raise ExtractError(
            f"Cannot convert mart '{version.mart}' from {version.folder}: {said}:"
            f"{''.join(problems)}\nWrite well-known text with longitude and latitude in degrees, "
            "in this order, such as POINT(8.54 47.37), and NULL where there is nothing."
        )


def _refuse_difference(version: ParquetVersion, comparison: Comparison) -> None:
    if not comparison.is_equal:
        raise VerificationFailed(
            f"The extract of mart '{version.mart}' differs from the mart: {comparison}. Nothing "
            f"was kept of it; the Parquet is in {version.folder}. {version.again} If that happens "
            "again, the disk, DuckDB or Hyper is at fault.",
            comparison,
        )


def _completed(path: Path, verify: Level) -> str:
    """Have a closed `.hyper` validated and written to the disk; return the digest of its bytes."""
    if verify == "exact":
        validate(path)
    # Hyper makes files that only the owner and his group can read
    path.chmod(_FILE_MODE)
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return sha256(path)


def _written_back(path: Path) -> tuple[Path, Path]:
    """Return where Hyper writes back an extract, and its own reading of the Parquet."""
    return path.with_suffix(".back.parquet"), path.with_suffix(".read.parquet")


def _debris(target: Path) -> list[Path]:
    # with the process id in the pattern: '.mart.*' would find what is written for 'mart.v2' too
    ours = rf"\.{re.escape(target.stem)}\.\d+\.tmp"
    names = re.compile(rf"{ours}\.(hyper|json|(back|read)\.parquet)|\.{ours}\.json\.\d+\.tmp")
    return [path for path in target.parent.iterdir() if names.fullmatch(path.name)]


def _cancellable(connection: Connection, sql: str) -> int | None:
    """Run a command so that an interrupt reaches this thread while Hyper works."""
    with ThreadPoolExecutor(1, thread_name_prefix="hyper") as pool:
        future = pool.submit(connection.execute_command, sql)
        try:
            while not future.done():
                wait_for([future], timeout=0.5)
        except BaseException:
            connection.cancel()
            raise
        rows: int | None = future.result()
        return rows
