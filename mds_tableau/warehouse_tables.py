"""Looks at tables of one schema of the warehouse, and puts one in the place of another.

What is read into them, and when, is decided in `ingest`; waiting for the file itself belongs to
`warehouse`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from mds_tableau.columns import quote_identifier, quote_text
from mds_tableau.figures import hash_of

_HERE = "table_catalog = current_database() AND table_schema = current_schema()"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its name.
        type: Its type, as DuckDB writes it.
    """

    name: str
    type: str

    def at_least(self, value: str) -> str:
        """Return SQL that is true for rows with that value, given as text, or a larger one."""
        return f"{quote_identifier(self.name)} >= CAST({quote_text(value)} AS {self.type})"


class Tables:
    """The tables of the current schema of a connection, by name, without quotes.

    Args:
        connection: The connection.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def kind(self, table: str) -> str:
        """Return whether something of that name is a `BASE TABLE` or a `VIEW`; "" for nothing."""
        sql = f"SELECT table_type FROM information_schema.tables WHERE {_HERE} AND "  # noqa: S608
        return str(self.value(f"{sql} lower(table_name) = lower(?)", table) or "")

    def beginning_with(self, prefix: str) -> list[str]:
        """Return the tables whose names begin so."""
        sql = f"SELECT table_name FROM information_schema.tables WHERE {_HERE} AND "  # noqa: S608
        rows = self.connection.execute(f"{sql} starts_with(table_name, ?)", [prefix]).fetchall()
        return [str(row[0]) for row in rows]

    def columns(self, table: str) -> tuple[Column, ...]:
        """Return the columns in order."""
        rows = self.connection.execute(f"DESCRIBE {quote_identifier(table)}").fetchall()
        return tuple(Column(str(row[0]), str(row[1])) for row in rows)

    def column(self, table: str, name: str) -> Column | None:
        """Return the column of that name; one as it is written wins over another case."""
        same = [column for column in self.columns(table) if column.name.lower() == name.lower()]
        return next((column for column in same if column.name == name), same[0] if same else None)

    def largest(self, table: str, name: str) -> str:
        """Return the largest value of a column as text; "" for none."""
        column = self.column(table, name)
        if column is None:
            return ""
        largest = f"CAST(max({quote_identifier(column.name)}) AS VARCHAR)"
        value = self.value(f"SELECT {largest} FROM {quote_identifier(table)}")  # noqa: S608
        return "" if value is None else str(value)

    def count(self, table: str) -> int:
        """Return the number of rows."""
        return int(str(self.value(f"SELECT count(*) FROM {quote_identifier(table)}")))  # noqa: S608

    def row_hash(self, table: str, where: str = "true") -> int:
        """Return the sum of the hashes of rows: that of two sets of rows is the sum of theirs."""
        names = ", ".join(quote_identifier(column.name) for column in self.columns(table))
        sql = f"SELECT {hash_of(names)} FROM {quote_identifier(table)} WHERE {where}"  # noqa: S608
        return int(str(self.value(sql)))

    def comment(self, table: str) -> str:
        """Return what `say` has said of a table; "" for nothing."""
        sql = "SELECT comment FROM duckdb_tables() WHERE database_name = current_database() AND "
        sql += "schema_name = current_schema() AND lower(table_name) = lower(?)"
        return str(self.value(sql, table) or "")

    def say(self, table: str, comment: str) -> None:
        """Keep a comment with a table, where it stays when the file is copied."""
        sql = f"COMMENT ON TABLE {quote_identifier(table)} IS {quote_text(comment)}"
        self.connection.execute(sql)

    def delete(self, table: str, where: str) -> None:
        """Delete rows."""
        self.connection.execute(f"DELETE FROM {quote_identifier(table)} WHERE {where}")  # noqa: S608

    def drop(self, table: str) -> None:
        """Drop a table, if there is one."""
        self.connection.execute(f"DROP TABLE IF EXISTS {quote_identifier(table)}")

    def append(self, beside: str, table: str) -> None:
        """Move the rows of a table to another of the same columns."""
        moved = f"INSERT INTO {quote_identifier(table)} FROM {quote_identifier(beside)}"
        self.connection.execute(moved)
        self.drop(beside)

    def replace(self, beside: str, table: str) -> None:
        """Put a table in the place of another, if there is one; views over it stay."""
        self.drop(table)
        renamed = f"ALTER TABLE {quote_identifier(beside)} RENAME TO {quote_identifier(table)}"
        self.connection.execute(renamed)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Do all that is done within, or nothing of it."""
        self.connection.begin()
        done = False
        try:
            yield
            self.connection.commit()
            done = True
        finally:
            if not done:
                self.connection.rollback()

    def value(self, sql: str, *values: str) -> object:
        """Return the first value of the first row; None when there is none."""
        row = self.connection.execute(sql, list(values)).fetchone()
        return row[0] if row else None
