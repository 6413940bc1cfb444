"""Brings the table of a database into the warehouse, whole or by what is new, as one moment of it.

What a value becomes and how a database is asked is decided in `inputs`; which tables are wanted is
decided in `database_sources`. Rows arrive in a table beside and are put in place by one
transaction, so that dbt never finds half of them.
"""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import duckdb

from mds_tableau.columns import counted, quote_identifier, quote_text
from mds_tableau.database_sources import DatabaseSource
from mds_tableau.errors import InputError, MdsTableauError
from mds_tableau.figures import hash_of
from mds_tableau.inputs import Progress, silent
from mds_tableau.inputs.database_url import is_url, place, scrubbed, shown
from mds_tableau.inputs.databases import DatabaseInput, load_database
from mds_tableau.inputs.increasing import CannotContinueError, Increasing, Watermark

Mode = Literal["full", "increasing"]

_BESIDE: Final = "__mds_arriving"
_COMMENT: Final = "Read by mds_tableau from "


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
        version: Differs when the content may.
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
    try:
        with duckdb.connect(str(warehouse)) as connection:
            return _Ingest(connection, source, url, progress).run(again=again)
    except MdsTableauError as error:
        raise _told(error, source, url) from None
    except duckdb.Error as error:
        said = scrubbed(str(error).strip().splitlines()[0], url)
        raise InputError(
            f"Cannot keep the dbt source '{source.name}' in {warehouse}: {said} The table there is "
            "as it was."
        ) from None


def _told(error: MdsTableauError, source: DatabaseSource, url: str) -> MdsTableauError:
    """Return an error with the name of the variable in the place of the URL."""
    text = str(error)
    # a path is no secret, and part of the name by which it is called
    for secret in sorted({url, shown(url)}, key=len, reverse=True) if is_url(url) else ():
        text = text.replace(secret, f"the database of {source.connection}")
    return type(error)(
        f"Cannot read the dbt source '{source.name}' ({source.file}, {source.connection}): "
        f"{scrubbed(text, url)}"
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
        self._connection = connection
        self._source = source
        self._url = url
        self._table = quote_identifier(source.identifier)
        self._arrived = 0
        self._notes: list[str] = []
        self._watermark = Watermark()
        self._told = progress

    def run(self, *, again: bool) -> Ingested:
        """Read what is to be read."""
        started = time.monotonic()
        self._enter_schema()
        if not self._source.increasing:
            mode, high = self._whole(), ""
        else:
            mode = self._newer_or_all(again=again)
            high = self._largest(self._table)
        columns = self._columns(self._table)
        rows = self._count(self._table)
        return Ingested(
            mode=mode,
            rows_read=self._arrived,
            rows=rows,
            seconds=time.monotonic() - started,
            columns=columns,
            high=high,
            version=self._version(columns, rows, high),
            notes=tuple(self._notes),
        )

    def _enter_schema(self) -> None:
        connection, source = self._connection, self._source
        here = str(self._value("SELECT current_database()"))
        if source.database.casefold() != here.casefold():
            raise InputError(
                f"the source is in the database '{source.database}', and the warehouse is "
                f"'{here}'. Remove 'database' from the source."
            )
        connection.execute("SET TimeZone = 'UTC'")
        schema = f"{quote_identifier(here)}.{quote_identifier(source.schema)}"
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        connection.execute(f"USE {schema}")
        kind = self._kind()
        if kind not in {"", "BASE TABLE"}:
            raise InputError(
                f"{schema}.{self._table} of the warehouse is a {kind}, which is not replaced. Drop "
                "it, or give the source another schema or identifier."
            )

    def _whole(self) -> Mode:
        beside = self._beside("")
        try:
            self._load(beside, None)
            self._put_in_place(quote_identifier(beside))
        finally:
            self._drop(beside)
        return "full"

    def _newer_or_all(self, *, again: bool) -> Mode:
        before = self._largest(self._table) if self._is_of_this_source() else ""
        reason = ""
        if again:
            reason = "it was asked for"
        elif before:
            try:
                self._add(before)
            except CannotContinueError as error:
                reason = str(error)
            else:
                return "increasing"
        elif self._kind():
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
        beside = self._beside(before)
        self._read_on(beside, self._columns(self._table), before)
        quoted, column = quote_identifier(beside), self._column(self._table)
        connection = self._connection
        connection.begin()
        done = False
        try:
            connection.execute(
                f"DELETE FROM {self._table} WHERE {column} >= CAST({quote_text(before)} AS "  # noqa: S608
                f"{self._type_of(self._table)})"
            )
            connection.execute(f"INSERT INTO {self._table} FROM {quoted}")
            connection.execute(f"DROP TABLE {quoted}")
            self._require_rows(self._count(self._table), "with those that were read before")
            connection.commit()
            done = True
        finally:
            if not done:
                connection.rollback()

    def _all_in_order(self) -> None:
        beside = self._beside("")
        quoted = quote_identifier(beside)
        kept = self._kind(beside) != ""
        self._read_on(beside, self._columns(quoted) if kept else (), "")
        if kept:
            try:
                self._require_rows(self._count(quoted), "with those of the broken run")
            except CannotContinueError:
                self._drop(beside)
                raise
        self._put_in_place(quoted)

    def _read_on(self, beside: str, expected: tuple[tuple[str, str], ...], before: str) -> None:
        """Read into a table beside, going on where an earlier time stopped.

        Raises:
            CannotContinueError: What is there cannot be gone on with; the table beside is gone.
        """
        quoted = quote_identifier(beside)
        start, of_type = before, self._type_of(self._table) if before else ""
        if self._kind(beside) and (kept := self._largest(quoted)):
            # those of the largest value may not have arrived together
            column, of_type = self._column(quoted), self._type_of(quoted)
            self._connection.execute(
                f"DELETE FROM {quoted} WHERE {column} >= CAST({quote_text(kept)} AS {of_type})"  # noqa: S608
            )
            self._notes.append(
                f"Goes on at {self._source.increasing} {kept}, where the last run broke off, with "
                f"{counted(self._count(quoted), 'row')} kept."
            )
            start = kept
        increasing = Increasing(
            self._source.increasing,
            start,
            expected,
            lambda seen: self._check(seen, start, of_type),
        )
        try:
            self._load(beside, increasing)
        except CannotContinueError:
            self._drop(beside)
            raise

    def _check(self, seen: Watermark, start: str, of_type: str) -> None:
        column = self._source.increasing
        if seen.nulls:
            raise InputError(
                f"{counted(seen.nulls, 'row')} of the table have no value in '{column}', which "
                "'increasing' names, so that it cannot be told whether they are new. Give each row "
                "a value, or leave 'increasing' out: then all rows are read each time."
            )
        self._watermark = seen
        if start and (seen.high is None or self._is_below(seen.high, start, of_type)):
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
        loaded = load_database(self._connection, given, table=beside, progress=progress)
        self._notes += loaded.notes

    def _put_in_place(self, beside: str) -> None:
        connection = self._connection
        connection.begin()
        done = False
        try:
            connection.execute(f"DROP TABLE IF EXISTS {self._table}")
            connection.execute(f"ALTER TABLE {beside} RENAME TO {self._table}")
            comment = quote_text(_COMMENT + self._identity())
            connection.execute(f"COMMENT ON TABLE {self._table} IS {comment}")
            connection.commit()
            done = True
        finally:
            if not done:
                connection.rollback()

    def _beside(self, before: str) -> str:
        """Return the name of the table beside for what follows a value; drop those for others."""
        prefix = self._source.identifier + _BESIDE
        name = f"{prefix}_{_digest(self._identity(), self._source.increasing, before)}"
        rows = self._connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_catalog = "
            "current_database() AND table_schema = current_schema() "
            "AND starts_with(table_name, ?) AND table_name <> ?",
            [prefix, name],
        ).fetchall()
        for (other,) in rows:
            self._drop(other)
        return name

    def _identity(self) -> str:
        """Return what the rows are of, told by nothing that is secret."""
        source = self._source
        types = sorted(source.types.items())
        return _digest(place(self._url), source.table, source.query, repr(types))

    def _is_of_this_source(self) -> bool:
        comment = self._value(
            "SELECT comment FROM duckdb_tables() WHERE database_name = current_database() AND "
            "schema_name = current_schema() AND lower(table_name) = lower(?)",
            self._source.identifier,
        )
        return comment == _COMMENT + self._identity()

    def _version(self, columns: tuple[tuple[str, str], ...], rows: int, high: str) -> str:
        if self._source.increasing:
            return _digest(repr(columns), str(rows), high)
        names = ", ".join(quote_identifier(name) for name, _ in columns)
        hashed = self._value(f"SELECT {hash_of(names)} FROM {self._table}")  # noqa: S608
        return _digest(repr(columns), str(rows), str(hashed))

    def _kind(self, name: str = "") -> str:
        """Return whether something of that name is a table or a view; "" for nothing."""
        kind = self._value(
            "SELECT table_type FROM information_schema.tables WHERE table_catalog = "
            "current_database() AND table_schema = current_schema() AND "
            "lower(table_name) = lower(?)",
            name or self._source.identifier,
        )
        return str(kind or "")

    def _columns(self, quoted: str) -> tuple[tuple[str, str], ...]:
        rows = self._connection.execute(f"DESCRIBE {quoted}").fetchall()
        return tuple((str(row[0]), str(row[1])) for row in rows)

    def _increasing(self, quoted: str) -> tuple[str, str] | None:
        wanted = self._source.increasing
        columns = self._columns(quoted)
        same = [column for column in columns if column[0].lower() == wanted.lower()]
        return next((c for c in same if c[0] == wanted), same[0] if same else None)

    def _column(self, quoted: str) -> str:
        found = self._increasing(quoted)
        return quote_identifier(found[0] if found else self._source.increasing)

    def _type_of(self, quoted: str) -> str:
        found = self._increasing(quoted)
        return found[1] if found else "VARCHAR"

    def _largest(self, quoted: str) -> str:
        """Return the largest value of the increasing column, as text; "" for none."""
        if self._increasing(quoted) is None:
            return ""
        column = self._column(quoted)
        largest = self._value(f"SELECT CAST(max({column}) AS VARCHAR) FROM {quoted}")  # noqa: S608
        return str(largest) if largest is not None else ""

    def _is_below(self, high: str, start: str, of_type: str) -> bool:
        sql = f"SELECT coalesce(TRY_CAST(? AS {of_type}) < CAST(? AS {of_type}), true)"
        return bool(self._value(sql, high, start))

    def _count(self, quoted: str) -> int:
        return int(str(self._value(f"SELECT count(*) FROM {quoted}")))  # noqa: S608

    def _drop(self, name: str) -> None:
        self._connection.execute(f"DROP TABLE IF EXISTS {quote_identifier(name)}")

    def _value(self, sql: str, *values: str) -> object:
        row = self._connection.execute(sql, list(values)).fetchone()
        return row[0] if row else None


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
