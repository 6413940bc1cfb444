"""Makes a `.hyper` out of Parquet with Hyper's own COPY, and checks it by asking Hyper.

The only module that talks to Hyper. It reads Parquet and nothing else, so whoever wrote the Parquet
may be any engine; what becomes of a column is decided in `columns`, and publishing the result does
not belong here.
"""

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version as installed_version
from pathlib import Path
from types import TracebackType
from typing import Final

from tableauhyperapi import (
    Connection,
    HyperException,
    HyperProcess,
    SqlType,
    TableDefinition,
    TableName,
    Telemetry,
    escape_name,
    escape_string_literal,
)

from mds_tableau.columns import HyperType, file_version
from mds_tableau.errors import ExtractError
from mds_tableau.files import read_json, remove, sha256, sole_writer, write_json
from mds_tableau.parquet import ParquetVersion

TABLE: Final = TableName("Extract", "Extract")
"""The one table of an extract; servers up to 2019.4 accept no other name."""

_FILE_MODE: Final = 0o644


@dataclass(frozen=True)
class ExtractFile:
    """A `.hyper` and what was verified about it when it was made; kept beside it as JSON.

    Attributes:
        extract: Name of the extract.
        path: The `.hyper`.
        rows: Rows in it, counted by Hyper.
        columns: Name and type of each column, in order.
        bytes: Its size.
        sha256: Digest of its bytes.
        file_version: Hyper file version.
        raised_by: Columns that raised the version above the base.
        fingerprint: That of the Parquet version it was made from.
        seconds: Wall time of the conversion.
        created_at: When it was complete, UTC, ISO 8601.
    """

    extract: str
    path: Path
    rows: int
    columns: tuple[tuple[str, HyperType], ...]
    bytes: int
    sha256: str
    file_version: int
    raised_by: tuple[str, ...]
    fingerprint: str
    seconds: float
    created_at: str


class Hyper:
    """A running Hyper process; a context manager, one for each run.

    It writes no log, sends no telemetry, and ends when its owner ends, however that happens.

    Raises:
        ExtractError: Hyper could not be started.
    """

    def __init__(self) -> None:
        self._process: HyperProcess | None = None

    def __enter__(self) -> "Hyper":
        try:
            self._process = HyperProcess(
                Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU,
                "mds_tableau",
                # by default it writes hyperd.log into the working directory, and does not start
                # where that cannot be written
                parameters={"log_config": ""},
            )
        except HyperException as error:
            raise ExtractError(f"Hyper does not start: {_main_message(error)}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    def connect(self, database: Path | None = None) -> Connection:
        """Open a connection to Hyper, attached to the `.hyper` at `database` if one is given.

        Raises:
            ExtractError: The process is not running.
        """
        if self._process is None:
            raise ExtractError("Hyper is not running; use it as a context manager.")
        if database is None:
            return Connection(self._process.endpoint)
        return Connection(self._process.endpoint, str(database))

    def convert(self, version: ParquetVersion, *, extract: str, folder: Path) -> ExtractFile:
        """Make `<folder>/<extract>.hyper` of a Parquet version and return what was verified.

        Rows, and values of each column, are compared between the manifest and the extract as
        Hyper counts them. The file that was there stays until the new one is verified; on any
        failure it stays as it is, byte for byte, and nothing else is left.

        Raises:
            ExtractError: Hyper refuses the Parquet, the disk is full, Hyper died, or what Hyper
                holds differs from the manifest.
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
                _check_parts(version)
                rows = self._build(version, beside, columns, needed)
                # Hyper makes files that only the owner and his group can read
                beside.chmod(_FILE_MODE)
                with beside.open("rb+") as file:
                    os.fsync(file.fileno())
                made = ExtractFile(
                    extract=extract,
                    path=target,
                    rows=rows,
                    columns=columns,
                    bytes=beside.stat().st_size,
                    sha256=sha256(beside),
                    file_version=needed,
                    raised_by=raised_by,
                    fingerprint=version.fingerprint,
                    seconds=round(time.perf_counter() - started, 3),
                    created_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                )
                _write_record(made, record)
                # a record without its file is noticed, and so is a file without its record
                record.replace(_record_path(target))
                beside.replace(target)
            except HyperException as error:
                raise ExtractError(
                    f"Cannot convert extract '{extract}' from {version.folder}: "
                    f"{_main_message(error)}"
                ) from error
            except OSError as error:
                raise ExtractError(f"Cannot write extract '{extract}': {error}") from error
            finally:
                remove(beside)
                remove(record)
        return made

    def _build(
        self,
        version: ParquetVersion,
        path: Path,
        columns: tuple[tuple[str, HyperType], ...],
        needed: int,
    ) -> int:
        with self.connect() as connection:
            # one process serves all file versions: the version is an option of the database
            connection.execute_command(
                f"CREATE DATABASE {escape_name(str(path))} WITH VERSION {needed}"
            )
        # nullable throughout: whether DuckDB marks a Parquet column REQUIRED depends on the data
        definition = TableDefinition(
            TABLE, [TableDefinition.Column(name, _sql_type(t)) for name, t in columns]
        )
        with self.connect(path) as connection:
            connection.catalog.create_schema(TABLE.schema_name)
            connection.catalog.create_table(definition)
            sources = ", ".join(escape_string_literal(str(part)) for part in version.paths)
            # COPY matches columns by name; INSERT ... SELECT would match them by position
            copied = _cancellable(
                connection, f"COPY {TABLE} FROM ARRAY[{sources}] WITH (FORMAT => 'parquet')"
            )
            counts = ", ".join(f"COUNT({escape_name(name)})" for name, _ in columns)
            [row] = connection.execute_list_query(f"SELECT COUNT(*), {counts} FROM {TABLE}")  # noqa: S608
        _compare(version, copied, row)
        return int(row[0])


def read_extract(folder: Path, extract: str) -> ExtractFile:
    """Return what was verified about `<folder>/<extract>.hyper`, having checked its size.

    Raises:
        ExtractError: There is no such extract, or the file is not the one that was verified.
    """
    path = folder.absolute() / f"{extract}.hyper"
    record = read_json(_record_path(path))
    if record is None or not path.is_file():
        raise ExtractError(
            f"There is no extract {path}. Build it first, for example with "
            f"--select '*tableau/{extract}'."
        )
    size = path.stat().st_size
    if size != record.get("bytes"):
        raise ExtractError(
            f"{path} has {size} bytes, but {record.get('bytes')} were verified when it was "
            f"made. Build it again, for example with --select 'hyper/{extract}'."
        )
    try:
        columns = tuple((name, HyperType.parse(text)) for name, text in record.pop("columns"))
        raised_by = tuple(record.pop("raised_by"))
        return ExtractFile(**record, path=path, columns=columns, raised_by=raised_by)
    except (KeyError, TypeError, ValueError) as error:
        raise ExtractError(
            f"{_record_path(path)} is not the record of an extract ({error!r}). Build the extract "
            f"again, for example with --select 'hyper/{extract}'."
        ) from error


def library_version() -> str:
    """Return the version of the Hyper API that is installed."""
    return installed_version("tableauhyperapi")


def _record_path(path: Path) -> Path:
    return path.with_suffix(".json")


def _write_record(made: ExtractFile, path: Path) -> None:
    record = {
        name: getattr(made, name) for name in ExtractFile.__dataclass_fields__ if name != "path"
    }
    record["columns"] = [[name, str(hyper_type)] for name, hyper_type in made.columns]
    write_json(path, record)


def _debris(target: Path) -> list[Path]:
    # with the process id in the pattern: '.mart.*' would find what is written for 'mart.v2' too
    ours = rf"\.{re.escape(target.stem)}\.\d+\.tmp"
    names = re.compile(rf"{ours}\.(hyper|json)|\.{ours}\.json\.\d+\.tmp")
    return [path for path in target.parent.iterdir() if names.fullmatch(path.name)]


def _check_parts(version: ParquetVersion) -> None:
    # neither Hyper nor DuckDB checks a checksum of Parquet's pages
    for part, path in zip(version.parts, version.paths, strict=True):
        try:
            has_changed = part.sha256 and sha256(path) != part.sha256
        except OSError as error:
            raise ExtractError(
                f"Cannot read part {path} of mart '{version.mart}': {error}. Export the mart "
                f"again, for example with --select 'parquet/{version.mart}'."
            ) from error
        if has_changed:
            raise ExtractError(
                f"Part {path} of mart '{version.mart}' has changed since it was verified. Export "
                f"the mart again, for example with --select 'parquet/{version.mart}'."
            )


def _compare(version: ParquetVersion, copied: int | None, row: list[object]) -> None:
    if copied != version.rows or row[0] != version.rows:
        raise ExtractError(
            f"The extract of mart '{version.mart}' has {row[0]:,} rows, COPY reported "
            f"{copied or 0:,}, and the manifest in {version.folder} says {version.rows:,}. Nothing "
            "was kept of it."
        )
    for column, seen in zip(version.columns, row[1:], strict=True):
        if seen != column.not_null:
            raise ExtractError(
                f"Column '{column.name}' of the extract of mart '{version.mart}' has {seen:,} "
                f"values, and the manifest in {version.folder} says {column.not_null:,}. Nothing "
                "was kept of it."
            )


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


def _sql_type(hyper_type: HyperType) -> SqlType:
    if hyper_type.name == "NUMERIC":
        return SqlType.numeric(hyper_type.precision, hyper_type.scale)
    factory = getattr(SqlType, hyper_type.name.lower())
    made: SqlType = factory()
    return made


def _main_message(error: HyperException) -> str:
    hint = f" {error.hint}" if error.hint else ""
    return f"{error.main_message}{hint}"
