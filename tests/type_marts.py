"""Makes marts of the table of types, and takes them all the way to an extract."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from tableauhyperapi import TableName

from mds_tableau.conversion import convert
from mds_tableau.export import export_mart
from mds_tableau.export_plan import MartExport
from mds_tableau.extract_file import ExtractFile
from mds_tableau.hyper import Hyper
from mds_tableau.parquet import Column, ParquetVersion
from tests.type_cases import Case, bits, literal
from tests.types_table import VIEW_ONLY

Query = Callable[..., list[list[Any]]]


@dataclass(frozen=True)
class Made:
    """A mart with a column for each case, and what became of it."""

    names: dict[Case, str]
    version: ParquetVersion
    extract: ExtractFile

    def column(self, case: Case) -> Column:
        """What the manifest says of the column of a case."""
        [found] = [column for column in self.version.columns if column.name == self.names[case]]
        return found

    def written(self, case: Case) -> str:
        """The Parquet type of the column of a case, read from the file."""
        return written(self.version.paths[0])[self.names[case]]

    def values(self, query: Query, case: Case) -> list[Any]:
        """What the extract holds of a case, as the official API tells it, in the mart's order."""
        # the official API has no value for a geography
        shown = (
            f"CAST({self.names[case]} AS text)" if case.hyper == "GEOGRAPHY" else self.names[case]
        )
        rows = query(self.extract.path, f'SELECT {shown} FROM "Extract"."Extract" ORDER BY n')
        return [bits(row[0]) for row in rows]


def mart_of(
    connection: duckdb.DuckDBPyConnection, cases: Sequence[Case], numbers: range | None = None
) -> tuple[MartExport, dict[Case, str]]:
    """Make a mart of an `n` and a column for each case; beyond its values, it is NULL.

    Args:
        connection: Gets the mart.
        cases: The cases.
        numbers: The rows; by default all that have a value, and one more.
    """
    names = {case: f"v{number}" for number, case in enumerate(cases)}
    stored = [case for case in cases if case.sql not in VIEW_ONLY]
    columns = "".join(f", {names[case]} {case.sql}" for case in stored)
    connection.execute(f"CREATE TABLE stored (n INTEGER{columns})")
    longest = max(len(case.values) for case in cases)
    for number in range(longest + 1) if numbers is None else numbers:
        values = [
            list(case.values)[number] if number < len(case.values) else None for case in stored
        ]
        selected = [
            "NULL" if value is None else literal(value, case.sql)
            for case, value in zip(stored, values, strict=True)
        ]
        connection.execute(
            f"INSERT INTO stored SELECT {', '.join([str(number), *selected])}",
            [value for value, sql in zip(values, selected, strict=True) if "?" in sql],
        )
    shown = "".join(f", {_shown(case)} AS {names[case]}" for case in cases if case not in stored)
    connection.execute(f"CREATE VIEW mart AS SELECT *{shown} FROM stored")
    options = {name: case.options for case, name in names.items() if case.asked}
    return MartExport("mart", '"mart"', "models/mart.sql", options), names


def make(
    connection: duckdb.DuckDBPyConnection,
    hyper: Hyper,
    folder: Path,
    cases: Sequence[Case],
    numbers: range | None = None,
) -> Made:
    """Take a mart of the cases to Parquet and into an extract."""
    mart, names = mart_of(connection, cases, numbers)
    version = export_mart(connection, mart, folder / "mart")
    return Made(names, version, convert(hyper, version, extract="mart", folder=folder))


def declared(hyper: Hyper, path: Path) -> dict[str, tuple[str, str]]:
    """Type and nullability of each column, as the official API tells them, in our words."""
    with hyper.connect(path) as connection:
        table = connection.catalog.get_table_definition(TableName("Extract", "Extract"))
        return {
            column.name.unescaped: (_in_our_words(str(column.type)), column.nullability.name)
            for column in table.columns
        }


def written(path: Path) -> dict[str, str]:
    """Parquet type of each column, as DuckDB reads it from the footer of a file."""
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT name, type, converted_type, logical_type FROM parquet_schema(?) "
            "WHERE num_children IS NULL",
            [str(path)],
        ).fetchall()
    found = {}
    for name, physical, converted, logical in rows:
        kind = converted or (logical or "").partition("Type")[0]
        if kind == "TIMESTAMP_MICROS" and "isAdjustedToUTC=1" in (logical or ""):
            kind += ", UTC"
        found[name] = f"{physical} ({kind})" if kind else physical
    return found


def _shown(case: Case) -> str:
    numbered = [f"WHEN {number} THEN {value}" for number, value in enumerate(case.values)]
    return f"CASE n {' '.join(numbered)} END" if numbered else "NULL"


def _in_our_words(api: str) -> str:
    # the names of the official API but for one, and NUMERIC(9, 2) as NUMERIC(9,2)
    return api.replace(", ", ",").replace("TABLEAU.TABGEOGRAPHY", "GEOGRAPHY")
