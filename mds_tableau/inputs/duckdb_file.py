"""Reads a table or query of another DuckDB file, attached read-only for as long as that takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from mds_tableau.columns import quote_identifier, quote_path
from mds_tableau.errors import InputError, UsageError, first_line
from mds_tableau.inputs import Loaded, Progress
from mds_tableau.inputs.casts import asked_types, cast
from mds_tableau.inputs.database_reader import DatabaseInput, find_relation
from mds_tableau.inputs.database_url import file_of, place
from mds_tableau.inputs.increasing import (
    Watermark,
    aggregates,
    as_cheap_watermark,
    as_watermark,
    one_aggregate,
    position_of,
    require_columns,
    wanted_rows,
)
from mds_tableau.inputs.landing import ArrivingColumn, first_misfit
from mds_tableau.inputs.tables import TableName, check_names, find_table
from mds_tableau.warehouse import wait_until_free

_ATTACHED: Final = "mds_tableau_attached"
_NO_MEANING: Final = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)
"""What DuckDB says of a query that it would not run, whatever the data."""


def load(
    connection: duckdb.DuckDBPyConnection,
    given: DatabaseInput,
    *,
    table: str,
    progress: Progress,
) -> Loaded:
    """Read a table or query into a table of DuckDB, as `Reader.load` says."""
    increasing = given.increasing
    home = _here(connection)
    with _attached(connection, file_of(given.url)) as cursor:
        relation = find_relation(given, lambda: _tables(cursor))
        query, origin = relation.query, relation.origin
        described = cursor.execute(f"DESCRIBE (\n{query}\n)").fetchall()
        names = [row[0] for row in described]
        check_names(names, origin=origin)
        asked = asked_types(cursor, given.types, names, origin=origin)
        columns = [_column(row[0], row[1], asked.get(row[0], row[1])) for row in described]
        selected = ", ".join(
            f"{c.selected if c.misfit else c.value} AS {quote_identifier(c.name)}" for c in columns
        )
        wanted = f"SELECT {selected} FROM (\n{query}\n) AS q"  # noqa: S608
        if increasing is not None:
            typed = [(column.name, column.duckdb_type) for column in columns]
            position = position_of(increasing, typed, origin=origin, moments=True)
            figures = f"SELECT {aggregates(names[position])} FROM (\n{query}\n) AS q"  # noqa: S608
            increasing.check(as_watermark(cursor.execute(figures).fetchall()[0]))
            require_columns(connection, typed, increasing, origin=origin)
            wanted += wanted_rows(f"q.{quote_identifier(names[position])}", increasing)
        progress(f"Reading {origin}", 0, None)
        try:
            if increasing is None:
                replacing = f"CREATE OR REPLACE TABLE {home}.{table} AS {wanted}"
                added = cursor.execute(replacing).fetchone()
            else:
                cursor.execute(
                    f"CREATE TABLE IF NOT EXISTS {home}.{table} AS FROM ({wanted}) LIMIT 0"
                )
                added = cursor.execute(f"INSERT INTO {home}.{table} {wanted}").fetchone()
        except duckdb.Error as error:
            raise first_misfit(cursor, f"(\n{query}\n)", columns, 0, origin, error) from None
    rows = int(added[0]) if added else 0
    progress(f"Reading {origin}", rows, rows)
    return Loaded(table, origin)


def watermark(url: str, *, name: str, column: str) -> Watermark:
    """Return how far a table has come, as `Reader.watermark` says."""
    with duckdb.connect() as connection, _attached(connection, file_of(url)) as cursor:
        found = find_table(name, _tables(cursor), place=place(url))
        asked = f"SELECT {one_aggregate(column)} FROM {found.quoted}"  # noqa: S608
        return as_cheap_watermark(cursor.execute(asked).fetchall()[0][0], column)


def tables(url: str) -> list[TableName]:
    """Return the tables and views that there are."""
    with duckdb.connect() as connection, _attached(connection, file_of(url)) as cursor:
        return _tables(cursor)


@contextmanager
def _attached(
    connection: duckdb.DuckDBPyConnection, path: Path
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A cursor whose names are those of the file; the connection's own stay as they are."""
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    wait_until_free(path, read_only=True, log=lambda _: None)
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"ATTACH {quote_path(path)} AS {_ATTACHED} (READ_ONLY)")
        except duckdb.Error as error:
            raise InputError(f"Cannot open {path}: {first_line(error)}") from None
        try:
            cursor.execute(f"USE {_ATTACHED}")
            yield cursor
        except duckdb.Error as error:
            kind = UsageError if isinstance(error, _NO_MEANING) else InputError
            raise kind(f"{path.name} refuses: {first_line(error)}") from None
        finally:
            cursor.execute(f"USE {_here(connection)}")
            cursor.execute(f"DETACH {_ATTACHED}")


def _here(connection: duckdb.DuckDBPyConnection) -> str:
    row = connection.execute("SELECT current_database(), current_schema()").fetchone()
    return ".".join(quote_identifier(part) for part in row or ())


def _tables(cursor: duckdb.DuckDBPyConnection) -> list[TableName]:
    rows = cursor.execute(
        "SELECT table_schema, table_name, table_schema = 'main' FROM information_schema.tables "  # noqa: S608
        f"WHERE table_catalog = '{_ATTACHED}' ORDER BY 1, 2"
    ).fetchall()
    return [TableName(*row) for row in rows]


def _column(name: str, declared: str, wanted: str) -> ArrivingColumn:
    quoted = quote_identifier(name)
    value, misfit = cast(quoted, declared, wanted)
    if declared == wanted:
        # its type cannot always be written down, as that of an ENUM of the file
        return ArrivingColumn(name, wanted, quoted, declared=declared)
    return ArrivingColumn(name, wanted, value, misfit, shown=quoted, declared=declared)
