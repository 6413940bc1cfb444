"""Reads a table or a query of a database: which kind it is, and which reader knows that kind.

How each kind is read belongs to its own module; what is done with the rows to whoever asked.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from mds_tableau.columns import quote_identifier
from mds_tableau.errors import MdsTableauError, UsageError
from mds_tableau.inputs import (
    Loaded,
    Progress,
    duckdb_file,
    other_databases,
    postgres,
    silent,
    sqlite,
)
from mds_tableau.inputs.database_reader import DatabaseInput, Reader
from mds_tableau.inputs.database_url import (
    file_of,
    is_url,
    require_form,
    scheme,
    scrubbed,
    shown,
)
from mds_tableau.inputs.increasing import Watermark

_SQLITE: Final = b"SQLite format 3\x00"
_DUCKDB: Final = b"DUCK"


def load_database(
    connection: duckdb.DuckDBPyConnection,
    given: DatabaseInput,
    *,
    table: str,
    progress: Progress = silent,
) -> Loaded:
    """Read a table or query into a table of DuckDB, every value as it is in the database.

    All rows are of one moment. When anything fails, a table of that name is as it was before, and
    there is none if there was none.

    Args:
        connection: Where the table is made; has no open transaction.
        given: What to read.
        table: Name of the table to make, or to put another in place of.
        progress: Told how many rows have arrived.

    Raises:
        InputError: What is asked for is not there or is not allowed, a value would change on its
            way, or a package is not installed.
        DatabaseUnreachable: The database does not answer, or the connection was lost.
        DatabaseLocked: Another process holds the DuckDB file.
        CannotContinueError: The columns are not those that `given.increasing` expects.
    """
    if given.increasing is not None and given.query:
        raise UsageError("Only a table can be read in the order of a column, not a query.")
    if bool(given.table) == bool(given.query):
        raise UsageError(f"Give either a table or a query to read of {shown(given.url)}.")
    with _reading(given.url) as reader:
        return reader.load(connection, given, table=quote_identifier(table), progress=progress)


def watermark(url: str, table: str, column: str = "") -> Watermark:
    """Return how far a table has come, without reading its rows, to tell whether it has changed.

    Args:
        url: As of `DatabaseInput`.
        table: As of `DatabaseInput`.
        column: A column that only grows, as the database writes it, whose largest value is asked;
            "" for the number of rows.

    Raises:
        InputError: The table or column is not there, or the database refuses.
        DatabaseUnreachable: The database does not answer.
        DatabaseLocked: Another process holds the DuckDB file.
    """
    with _reading(url) as reader:
        return reader.watermark(url, name=table, column=column)


def tables_of(url: str) -> list[str]:
    """Return the tables and views of a database, each as it may be asked for.

    Raises:
        InputError: There is no such database, or it refuses.
        DatabaseUnreachable: The database does not answer.
        DatabaseLocked: Another process holds the DuckDB file.
    """
    with _reading(url) as reader:
        return sorted(map(str, reader.tables(url)))


@contextmanager
def _reading(url: str) -> Iterator[Reader]:
    """Give the reader of a database; no error of it shows anything secret."""
    require_form(url)
    try:
        yield _reader(url)
    except MdsTableauError as error:
        error.args = (scrubbed(str(error), url),)
        raise


def _reader(url: str) -> Reader:
    kind = scheme(url)
    if kind in {"postgresql", "postgres"}:
        return postgres
    if kind == "sqlite":
        return sqlite
    if kind == "duckdb":
        return duckdb_file
    if is_url(url):
        return other_databases
    return _of_file(file_of(url))


def is_database_file(path: Path) -> bool:
    """Return whether a path is that of a SQLite or DuckDB file."""
    try:
        return _reader_of(path) is not None
    except OSError:
        return False


def _of_file(path: Path) -> Reader:
    try:
        reader = _reader_of(path)
    except OSError as error:
        raise UsageError(f"Cannot open {path}: {error.strerror}.") from None
    if reader is not None:
        return reader
    raise UsageError(
        f"{path} is neither a SQLite nor a DuckDB file. Give the URL of a database "
        "(postgresql://user@host/database) or the path of such a file."
    )


def _reader_of(path: Path) -> Reader | None:
    with path.open("rb") as file:
        start = file.read(16)
    if start == _SQLITE:
        return sqlite
    return duckdb_file if start[8:12] == _DUCKDB else None
