"""Looks into a `.hyper` that anybody may have made: its tables, rows and values by Hyper itself.

Nothing is changed by it. How Hyper is run belongs to `hyper`, and what is shown of the answers to
who asked.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mds_tableau.columns import OLDEST_TABLEAU, quote_identifier, quote_text
from mds_tableau.errors import ExtractError
from mds_tableau.hyper import Hyper, library_version

_MAGIC: Final = b"Hyper"
_VERSION_AT: Final = slice(10, 12)
"""Where a file has the version of its format, in all versions there are."""

_KNOWN_VERSIONS: Final = range(5)
"""Those that the Hyper API makes, and so opens; of a later one it may open a file without its
tables, and say nothing."""

_AS_THEY_ARE: Final = ("BOOL", "SMALL_INT", "INT", "BIG_INT", "DOUBLE", "FLOAT", "TEXT", "JSON")
"""Types whose values Python has as well; all others are read as the text that Hyper makes of them,
which has no limits of its own: the API cannot give a TIME of 24:00:00."""

_IN_PARQUET: Final = (
    *_AS_THEY_ARE,
    *("NUMERIC", "VARCHAR", "BYTES", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP_TZ"),
)
"""Types that Hyper writes to Parquet, by the words before their digits."""

Column = tuple[str, str]
Value = bool | int | float | str | None


@dataclass(frozen=True)
class TableContents:
    """What a table of an extract holds.

    Attributes:
        schema: Name of its schema.
        name: Its name.
        columns: Name and type of each column, in order.
        rows: How many rows it has.
        first: The first of them, as Hyper gives them; in their order is no meaning.
    """

    schema: str
    name: str
    columns: tuple[Column, ...]
    rows: int
    first: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True)
class Contents:
    """What a `.hyper` holds.

    Attributes:
        path: The file.
        bytes: Its size.
        file_version: Version of its format.
        oldest_tableau: The oldest Tableau that opens this version; "" where it is not known.
        tables: Its tables.
    """

    path: Path
    bytes: int
    file_version: int
    oldest_tableau: str
    tables: tuple[TableContents, ...]


def contents_of(hyper: Hyper, path: Path, *, rows: int) -> Contents:
    """Return what a `.hyper` holds.

    Args:
        hyper: A running Hyper.
        path: The file; it is not changed.
        rows: How many rows of each table to give.

    Raises:
        ExtractError: It is no file of Hyper's, too new, damaged, or in use by another process.
    """
    version = _file_version(path)
    with hyper.reading(path) as connection:
        tables = tuple(
            TableContents(
                schema,
                name,
                columns,
                _count(connection, _named(schema, name)),
                _first_rows(connection, _named(schema, name), columns, rows),
            )
            for schema, name, columns in _tables(connection)
        )
    return Contents(path, path.stat().st_size, version, OLDEST_TABLEAU.get(version, ""), tables)


def write_parquet(hyper: Hyper, path: Path, target: Path) -> tuple[int, tuple[str, ...]]:
    """Have Hyper write the one table of an extract to a Parquet file.

    Returns:
        How many rows the table has, and the columns that are in the file as text, as Parquet has
        no type for them.

    Raises:
        ExtractError: As `contents_of` says, or the file has no table or several.
    """
    _file_version(path)
    with hyper.reading(path) as connection:
        tables = _tables(connection)
        if len(tables) != 1:
            names = ", ".join(f"'{schema}.{name}'" for schema, name, _ in tables) or "none"
            raise ExtractError(
                f"{path.name} has {len(tables)} tables ({names}), and one becomes a file. Take it "
                "as it is, with --to hyper."
            )
        [(schema, name, columns)] = tables
        table = _named(schema, name)
        as_text = [column for column, of_type in columns if not _is_one_of(of_type, _IN_PARQUET)]
        values = ", ".join(
            _as_text(column) if column in as_text else quote_identifier(column)
            for column, _ in columns
        )
        connection.execute_command(
            f"COPY (SELECT {values} FROM {table}) TO {quote_text(str(target.absolute()))} "  # noqa: S608
            "WITH (FORMAT => 'parquet')"
        )
        rows = _count(connection, table)
    return rows, tuple(as_text)


def _file_version(path: Path) -> int:
    """Return the version of a file's format.

    Raises:
        ExtractError: It is no file of Hyper's, or one of a version that is not known here.
    """
    with path.open("rb") as file:
        header = file.read(_VERSION_AT.stop)
    if not header.startswith(_MAGIC) or len(header) < _VERSION_AT.stop:
        zipped = header.startswith(b"PK")
        raise ExtractError(
            f"{path} is not a Hyper file: it begins otherwise. "
            + (
                "It is a zip, as .tdsx and .twbx files are: unpack it, and take the .hyper in it."
                if zipped
                else "Give a .hyper file."
            )
        )
    version = int.from_bytes(header[_VERSION_AT], "little")
    if version not in _KNOWN_VERSIONS:
        raise ExtractError(
            f"{path} has version {version} of the file format, and the latest known here is "
            f"{_KNOWN_VERSIONS[-1]}. What made it is newer than the Hyper API {library_version()} "
            "that is installed: update mds-tableau and tableauhyperapi."
        )
    return version


def _tables(connection: Any) -> list[tuple[str, str, tuple[Column, ...]]]:
    catalog = connection.catalog
    names = [
        name
        for schema in catalog.get_schema_names("given")
        for name in catalog.get_table_names(schema)
    ]
    tables = [
        (
            name.schema_name.name.unescaped,
            name.name.unescaped,
            tuple(
                (column.name.unescaped, _type(str(column.type)))
                for column in catalog.get_table_definition(name).columns
            ),
        )
        for name in names
    ]
    return sorted(tables, key=lambda table: table[:2])


def _count(connection: Any, table: str) -> int:
    return int(connection.execute_scalar_query(f"SELECT COUNT(*) FROM {table}"))  # noqa: S608


def _type(told: str) -> str:
    """Return a type as it is written everywhere here."""
    return told.replace(", ", ",").removeprefix("TABLEAU.TAB")


def _first_rows(
    connection: Any, table: str, columns: Sequence[Column], rows: int
) -> tuple[tuple[Value, ...], ...]:
    if not columns or not rows:
        return ()
    values = ", ".join(
        quote_identifier(name) if _is_one_of(of_type, _AS_THEY_ARE) else _as_text(name)
        for name, of_type in columns
    )
    found = connection.execute_list_query(f"SELECT {values} FROM {table} LIMIT {rows}")  # noqa: S608
    return tuple(tuple(_plain(value) for value in row) for row in found)


def _plain(value: Any) -> Value:
    # JSON has no word for these
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _as_text(name: str) -> str:
    quoted = quote_identifier(name)
    return f"CAST({quoted} AS text) AS {quoted}"


def _is_one_of(of_type: str, types: Sequence[str]) -> bool:
    return of_type.partition("(")[0] in types


def _named(schema: str, name: str) -> str:
    return ".".join(map(quote_identifier, ("given", schema, name)))
