"""Reads a table or a query of a database: which kind it is, and which reader knows that kind.

How each kind is read belongs to its own module; what is done with the rows to whoever asked.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

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
from mds_tableau.inputs.database_url import (
    file_of,
    is_url,
    require_form,
    scheme,
    scrubbed,
    shown,
)
from mds_tableau.inputs.increasing import Increasing, Watermark
from mds_tableau.inputs.tables import TableName

_SQLITE: Final = b"SQLite format 3\x00"
_DUCKDB: Final = b"DUCK"


class _Reader(Protocol):
    """A module that reads one kind of database."""

    def load(
        self,
        connection: duckdb.DuckDBPyConnection,
        url: str,
        *,
        name: str,
        query: str,
        types: Mapping[str, str],
        table: str,
        progress: Progress,
        increasing: Increasing | None,
    ) -> tuple[str, tuple[str, ...]]: ...

    def watermark(self, url: str, *, name: str, column: str) -> Watermark: ...

    def tables(self, url: str) -> list[TableName]: ...


@dataclass(frozen=True)
class DatabaseInput:
    """A table or a query to read.

    Attributes:
        url: `postgresql://user@host/database`, `sqlite:///file`, the path of a SQLite or DuckDB
            file, or any other URL that SQLAlchemy knows; one that names a driver, such as
            `postgresql+psycopg://`, is read through SQLAlchemy too.
        table: `table` or `schema.table`; parts may be in double quotes.
        query: A SELECT, instead of a table.
        types: DuckDB type for single columns, by name.
        increasing: Which rows of the table are read, in which order; they are added to the table in
            DuckDB, and stay there when a later one fails. None for all rows or none.
    """

    url: str = field(repr=False)
    table: str = ""
    query: str = ""
    types: Mapping[str, str] = field(default_factory=dict)
    increasing: Increasing | None = None

    def __repr__(self) -> str:
        return (
            f"DatabaseInput(url={shown(self.url)!r}, table={self.table!r}, query={self.query!r}, "
            f"types={dict(self.types)!r})"
        )


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
    quoted = quote_identifier(table)
    with _reading(given.url) as reader:
        origin, notes = reader.load(
            connection,
            given.url,
            name=given.table,
            query=given.query,
            types=given.types,
            table=quoted,
            progress=progress,
            increasing=given.increasing,
        )
    return Loaded(quoted, origin, notes)


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
def _reading(url: str) -> Iterator[_Reader]:
    """Give the reader of a database; no error of it shows anything secret."""
    require_form(url)
    try:
        yield _reader(url)
    except MdsTableauError as error:
        error.args = (scrubbed(str(error), url),)
        raise


def _reader(url: str) -> _Reader:
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


def _of_file(path: Path) -> _Reader:
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


def _reader_of(path: Path) -> _Reader | None:
    with path.open("rb") as file:
        start = file.read(16)
    if start == _SQLITE:
        return sqlite
    return duckdb_file if start[8:12] == _DUCKDB else None
