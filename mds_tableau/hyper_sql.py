"""The SQL that an extract is made, read and written back with, in Hyper's dialect.

Only texts are made here; `hyper` and `conversion` have them run.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mds_tableau.columns import HyperType, quote_identifier, quote_text

Columns = Sequence[tuple[str, HyperType]]

SCHEMA: Final = '"Extract"'
TABLE: Final = f'{SCHEMA}."Extract"'
"""The one table of an extract; servers up to 2019.4 accept no other name."""

MOST_COUNTED: Final = 4096
"""Columns whose values are counted at once; a query can have no more results than a table columns,
and the rows are counted besides."""

_SQL: Final = {
    "BOOL": "boolean",
    "SMALL_INT": "smallint",
    "INT": "integer",
    "BIG_INT": "bigint",
    "DOUBLE": "double precision",
    "NUMERIC": "numeric",
    "TEXT": "text",
    "DATE": "date",
    "TIME": "time",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP_TZ": "timestamptz",
    "GEOGRAPHY": "tableau.tabgeography",
}


def creating(path: Path, file_version: int) -> str:
    """Return the command that creates an empty `.hyper`.

    One process serves all file versions, as the version is an option of the database.
    """
    return f"CREATE DATABASE {quote_identifier(str(path))} WITH VERSION {file_version}"


def attaching(path: Path) -> str:
    """Return the command that opens a `.hyper` as the database `given`, to be read only."""
    return f"ATTACH DATABASE {quote_identifier(str(path))} AS given WITH (access_mode = 'readonly')"


def declaring(columns: Columns) -> str:
    """Return the command that creates the table of an extract.

    Nullable throughout: whether DuckDB marks a Parquet column REQUIRED depends on the data.
    """
    declared = ", ".join(f"{quote_identifier(name)} {_sql(t)}" for name, t in columns)
    return f"CREATE TABLE {TABLE} ({declared})"


def loading(parts: Sequence[Path], columns: Columns) -> str:
    """Return the command that loads Parquet into the table of an extract."""
    if not has_geography(columns):
        # COPY matches columns by name; INSERT ... SELECT would match them by position
        return f"COPY {TABLE} FROM {_array(parts)} WITH (FORMAT => 'parquet')"
    names = ", ".join(quote_identifier(name) for name, _ in columns)
    return f"INSERT INTO {TABLE} ({names}) {_reading(parts, columns)}"


def counting(columns: Columns) -> str:
    """Return the query that counts rows, and values of each column; of `MOST_COUNTED` at most."""
    counts = "".join(f", COUNT({quote_identifier(name)})" for name, _ in columns)
    return f"SELECT COUNT(*){counts} FROM {TABLE}"  # noqa: S608


def writing_back(columns: Columns, path: Path) -> str:
    """Return the command that writes the table of an extract to a Parquet file."""
    return _writing(_shown(columns, TABLE), path)


def writing_read(parts: Sequence[Path], columns: Columns, path: Path) -> str:
    """Return the command that writes what Hyper makes of Parquet to a Parquet file."""
    return _writing(_shown(columns, f"({_reading(parts, columns)}) AS read"), path)


def refusing(parts: Sequence[Path], name: str) -> str:
    """Return the query for what Hyper takes for no geography in a column of Parquet: rows, one."""
    quoted = quote_identifier(name)
    return (
        f"SELECT COUNT(*), MIN({quoted}) FROM external({_array(parts)}, FORMAT => 'parquet', "  # noqa: S608
        f"COLUMNS => DESCRIPTOR({quoted} text)) "
        f"WHERE {quoted} IS NOT NULL AND TRY_CAST({quoted} AS tableau.tabgeography) IS NULL"
    )


def has_geography(columns: Columns) -> bool:
    """Whether Hyper itself converts a column while it reads it."""
    return any(hyper_type.name == "GEOGRAPHY" for _, hyper_type in columns)


def _writing(select: str, path: Path) -> str:
    return f"COPY ({select}) TO {quote_text(str(path))} WITH (FORMAT => 'parquet')"


def _shown(columns: Columns, source: str) -> str:
    # Hyper writes no geography to Parquet, but its own text of one
    values = ", ".join(
        f"CAST({quote_identifier(name)} AS text) AS {quote_identifier(name)}"
        if hyper_type.name == "GEOGRAPHY"
        else quote_identifier(name)
        for name, hyper_type in columns
    )
    return f"SELECT {values} FROM {source}"  # noqa: S608


def _reading(parts: Sequence[Path], columns: Columns) -> str:
    values = ", ".join(
        f"CAST({quote_identifier(name)} AS {_sql(t)}) AS {quote_identifier(name)}"
        for name, t in columns
    )
    # declared, and so nullable in all parts, whatever the first one says of itself
    declared = ", ".join(
        f"{quote_identifier(name)} {'text' if t.name == 'GEOGRAPHY' else _sql(t)}"
        for name, t in columns
    )
    return (
        f"SELECT {values} FROM external({_array(parts)}, FORMAT => 'parquet', "  # noqa: S608
        f"COLUMNS => DESCRIPTOR({declared}))"
    )


def _array(parts: Sequence[Path]) -> str:
    return f"ARRAY[{', '.join(quote_text(str(path)) for path in parts)}]"


def _sql(hyper_type: HyperType) -> str:
    digits = f"({hyper_type.precision},{hyper_type.scale})" if hyper_type.name == "NUMERIC" else ""
    return _SQL[hyper_type.name] + digits
