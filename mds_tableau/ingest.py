"""Brings the table of a database into the warehouse, whole or by what is new, as one moment of it.

What a value becomes and how a database is asked is decided in `inputs`; which tables are wanted is
decided in `database_sources`, what is kept of an earlier time in `ingest_record`. Rows arrive in a
table beside and are put in place by one transaction, so that dbt never finds half of them.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import duckdb

from mds_tableau.columns import counted, quote_identifier
from mds_tableau.database_sources import DatabaseSource
from mds_tableau.errors import InputError, MdsTableauError, first_line
from mds_tableau.figures import ENGINE
from mds_tableau.ingest_record import Record, digest
from mds_tableau.inputs import Progress, silent
from mds_tableau.inputs.database_reader import DatabaseInput
from mds_tableau.inputs.database_url import FromVariable, scrubbed
from mds_tableau.inputs.databases import load_database
from mds_tableau.inputs.increasing import CannotContinueError, Increasing, Watermark
from mds_tableau.warehouse_tables import Column, Tables

Mode = Literal["full", "increasing"]

_MEMORY: Final = "1GB"
"""What DuckDB may hold: more would only be what it keeps of pages that are written already."""


@dataclass(frozen=True)
class Ingested:
    """What came of reading a table.

    Attributes:
        mode: Whether all rows were read, or what was new.
        rows_read: Rows that were read.
        rows: Rows that the table in the warehouse has now.
        seconds: How long it took.
        columns: Name and type of each column.
        high: Largest value of the increasing column, as text; "" for none.
        version: Differs when the rows or columns do, however they were read.
        notes: What was decided on the way, a sentence each.
    """

    mode: Mode
    rows_read: int
    rows: int
    seconds: float
    columns: tuple[tuple[str, str], ...]
    high: str
    version: str
    notes: tuple[str, ...]


def ingest(
    warehouse: Path,
    source: DatabaseSource,
    url: str,
    *,
    again: bool = False,
    progress: Progress = silent,
) -> Ingested:
    """Read the table of a source into the warehouse.

    When anything fails, the table there is as it was. Of an increasing source, what had arrived is
    kept beside, and the next time goes on from there.

    Args:
        warehouse: The DuckDB file; nobody else may have it open.
        source: What to read, and where to.
        url: The URL of the database, which no message repeats.
        again: Whether all rows of an increasing source are read again.
        progress: Told how many rows have arrived.

    Raises:
        InputError: The variable is not set, what is asked for is not there, or a value would change
            on its way.
        DatabaseUnreachable: The database does not answer, or the connection was lost.
        DatabaseLocked: Another process holds the DuckDB file that is read.
    """
    if not url:
        raise InputError(
            f"Cannot read the dbt source '{source.name}' ({source.file}): the environment variable "
            f"{source.connection} is not set. Set it, or write it into .env, to the URL of the "
            "database, such as postgresql://user@host/database."
        )
    url = FromVariable(url, source.connection)
    try:
        with duckdb.connect(str(warehouse), config={"memory_limit": _MEMORY}) as connection:
            return _Ingest(connection, source, url, progress).run(again=again)
    except MdsTableauError as error:
        raise _told(error, source, url) from None
    except duckdb.Error as error:
        said = scrubbed(first_line(error), url)
        raise InputError(
            f"Cannot keep the dbt source '{source.name}' in {warehouse}: {said} The table there is "
            "as it was."
        ) from None


def _told(error: MdsTableauError, source: DatabaseSource, url: str) -> MdsTableauError:
    """Return an error with the name of the variable in the place of the URL."""
    return type(error)(
        f"Cannot read the dbt source '{source.name}' ({source.file}, {source.connection}): "
        f"{scrubbed(str(error), url)}"
    )


class _Ingest:
    """One reading of one source."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        source: DatabaseSource,
        url: str,
        progress: Progress,
    ) -> None:
        self._tables = Tables(connection)
        self._source = source
        self._record = Record(self._tables, source, url)
        self._url = url
        self._table = source.identifier
        self._arrived = 0
        self._notes: list[str] = []
        self._watermark = Watermark()
        self._told = progress

    def run(self, *, again: bool) -> Ingested:
        """Read what is to be read."""
        started = time.monotonic()
        self._enter_schema()
        mode = self._newer_or_all(again=again) if self._source.increasing else self._whole()
        columns = tuple((c.name, c.type) for c in self._tables.columns(self._table))
        rows = self._tables.count(self._table)
        increasing = self._source.increasing
        return Ingested(
            mode=mode,
            rows_read=self._arrived,
            rows=rows,
            seconds=time.monotonic() - started,
            columns=columns,
            high=self._tables.largest(self._table, increasing) if increasing else "",
            version=digest(repr(columns), str(rows), str(self._record.content()), ENGINE),
            notes=tuple(self._notes),
        )

    def _enter_schema(self) -> None:
        connection, source = self._tables.connection, self._source
        here = str(self._tables.value("SELECT current_database()"))
        if source.database.casefold() != here.casefold():
            raise InputError(
                f"the source is in the database '{source.database}', and the warehouse is "
                f"'{here}'. Remove 'database' from the source."
            )
        connection.execute("SET TimeZone = 'UTC'")
        schema = f"{quote_identifier(here)}.{quote_identifier(source.schema)}"
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        connection.execute(f"USE {schema}")
        kind = self._tables.kind(self._table)
        if kind not in {"", "BASE TABLE"}:
            raise InputError(
                f"{schema}.{quote_identifier(self._table)} of the warehouse is a {kind}, which is "
                "not replaced. Drop it, or give the source another schema or identifier."
            )

    def _whole(self) -> Mode:
        self._record.forget()
        beside = self._record.beside()
        try:
            self._load(beside, None)
            self._put_in_place(beside)
        finally:
            self._tables.drop(beside)
        return "full"

    def _newer_or_all(self, *, again: bool) -> Mode:
        before, reason = "", ""
        if again:
            self._record.forget()
            reason = "it was asked for"
        elif self._record.content() is not None:
            before = self._tables.largest(self._table, self._source.increasing)
        if before:
            try:
                self._add(before)
            except CannotContinueError as error:
                reason = str(error)
            else:
                return "increasing"
        elif self._tables.kind(self._table) and not reason:
            reason = "the table in the warehouse is empty or was not read from there"
        if reason:
            self._notes.append(f"All rows are read, because {reason}.")
        try:
            self._all_in_order()
        except CannotContinueError as error:
            self._notes.append(f"What was kept of a broken run is read again, because {error}.")
            self._all_in_order()
        return "full"

    def _add(self, before: str) -> None:
        """Read the rows from a value on, and put them in the place of those from there on."""
        tables, table = self._tables, self._table
        beside = self._record.beside(before)
        self._record.forget(but=beside)
        column = tables.column(table, self._source.increasing)
        content = self._record.content()
        assert column is not None  # noqa: S101  it has a largest value
        assert content is not None  # noqa: S101  what was read from elsewhere is not added to
        self._read_on(beside, tables.columns(table), before, column.type)
        with tables.at_once():
            replaced = column.at_least(before)
            content += tables.row_hash(beside) - tables.row_hash(table, replaced)
            tables.delete(table, replaced)
            tables.append(beside, table)
            self._require_rows(tables.count(table), "with those that were read before")
            self._record.keep(content)

    def _all_in_order(self) -> None:
        beside = self._record.beside()
        self._record.forget(but=beside)
        kept = self._tables.columns(beside) if self._tables.kind(beside) else ()
        self._read_on(beside, kept, "", "")
        if kept:
            try:
                self._require_rows(self._tables.count(beside), "with those of the broken run")
            except CannotContinueError:
                self._tables.drop(beside)
                raise
        self._put_in_place(beside)

    def _read_on(self, beside: str, expected: Sequence[Column], before: str, of_type: str) -> None:
        """Read into a table beside, going on where an earlier time stopped.

        Raises:
            CannotContinueError: What is there cannot be gone on with; the table beside is gone.
        """
        tables, increasing, start = self._tables, self._source.increasing, before
        column = tables.column(beside, increasing) if tables.kind(beside) else None
        if column is not None and (kept := tables.largest(beside, increasing)):
            # those of the largest value may not have arrived together
            tables.delete(beside, column.at_least(kept))
            rows = counted(tables.count(beside), "row")
            self._notes.append(
                f"Goes on at {increasing} {kept}, where the last run broke off, with {rows} kept."
            )
            start, of_type = kept, column.type
        wanted = Increasing(
            increasing,
            start,
            [(column.name, column.type) for column in expected],
            lambda seen: self._check(seen, start, of_type),
        )
        try:
            self._load(beside, wanted)
        except CannotContinueError:
            tables.drop(beside)
            raise

    def _check(self, seen: Watermark, start: str, of_type: str) -> None:
        """Look at the table in the moment that its rows are read from.

        Raises:
            InputError: Rows have no value in the increasing column.
            CannotContinueError: It has not come as far as what was read before.
        """
        column = self._source.increasing
        if seen.nulls:
            raise InputError(
                f"{counted(seen.nulls, 'row')} of the table have no value in '{column}', which "
                "'increasing' names, so that it cannot be told whether they are new. Give each row "
                "a value, or leave 'increasing' out: then all rows are read each time."
            )
        self._watermark = seen
        if not start:
            return
        below = f"SELECT coalesce(TRY_CAST(? AS {of_type}) < CAST(? AS {of_type}), true)"
        if seen.high is None or self._tables.value(below, seen.high, start):
            now = f"is {seen.high}" if seen.high is not None else "is none, as it has no rows"
            raise CannotContinueError(
                f"the largest '{column}' of the table {now}, and {start} was read before"
            )

    def _require_rows(self, rows: int, together: str) -> None:
        """Raise an error when rows are missing or too many, as of deletions and late commits."""
        if rows != self._watermark.rows:
            raise CannotContinueError(
                f"the table has {counted(self._watermark.rows or 0, 'row')}, and what was read "
                f"{together} are {rows:,}: some were deleted there, or came later with a smaller "
                f"'{self._source.increasing}'"
            )

    def _load(self, beside: str, increasing: Increasing | None) -> None:
        last = 0

        def progress(what: str, done: int, total: int | None) -> None:
            nonlocal last
            self._arrived += done - last
            last = done
            self._told(what, done, total)

        source = self._source
        given = DatabaseInput(self._url, source.table, source.query, source.types, increasing)
        loaded = load_database(self._tables.connection, given, table=beside, progress=progress)
        self._notes += loaded.notes

    def _put_in_place(self, beside: str) -> None:
        content = self._tables.row_hash(beside)
        with self._tables.at_once():
            self._tables.replace(beside, self._table)
            self._record.keep(content)
