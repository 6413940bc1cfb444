"""What is asked of a database, and what each reader of one kind of database has to offer.

How a kind is read belongs to its own module, which kind a database is to `databases`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import duckdb

from mds_tableau.inputs import Loaded, Progress
from mds_tableau.inputs.database_url import place, shown
from mds_tableau.inputs.increasing import Increasing, Watermark
from mds_tableau.inputs.tables import TableName, checked_query, find_table


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


@dataclass(frozen=True)
class Relation:
    """What an input asks for, found in its database.

    Attributes:
        origin: What messages call it, such as `table orders of shop.sqlite`.
        query: SQL of all its rows.
        table: The table; None for a query.
    """

    origin: str
    query: str
    table: TableName | None = None


def find_relation(given: DatabaseInput, tables: Callable[[], Sequence[TableName]]) -> Relation:
    """Return the table or query that an input asks for.

    Args:
        given: What is asked for.
        tables: Asks the database for the tables that there are.

    Raises:
        InputError: The table is not there, or the query does anything else than read.
    """
    if not given.table:
        return Relation(f"query over {place(given.url)}", checked_query(given.query))
    found = find_table(given.table, tables(), place=place(given.url))
    query = f"SELECT * FROM {found.quoted}"  # noqa: S608
    return Relation(f"table {found} of {place(given.url)}", query, found)


class Reader(Protocol):
    """A module that reads one kind of database, and writes nothing there.

    Everything raises:
        InputError: What is asked for is not there or not allowed, the database refuses, or a
            package is not installed.
        DatabaseUnreachable: The database does not answer, the connection was lost, or another
            program keeps a SQLite file locked.
        DatabaseLocked: Another process holds a DuckDB file.
    """

    def load(
        self,
        connection: duckdb.DuckDBPyConnection,
        given: DatabaseInput,
        *,
        table: str,
        progress: Progress,
    ) -> Loaded:
        """Read a table or query into a table of DuckDB, all rows as of one moment.

        Args:
            connection: Where the table is made; has no open transaction.
            given: What to read: either a table or a query.
            table: Quoted name of the table to make, or to put another in place of.
            progress: Told how many rows have arrived.

        Raises:
            InputError: Also when a value does not fit its column.
            CannotContinueError: The columns are not those that `given.increasing` expects.
        """

    def watermark(self, url: str, *, name: str, column: str) -> Watermark:
        """Return the largest value of a column, or the number of rows when none is named."""

    def tables(self, url: str) -> list[TableName]:
        """Return the tables and views that there are."""
