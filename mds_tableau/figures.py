"""Measures a relation so that two stages can be compared: rows, values, and a hash of all rows.

The relation may be a mart, Parquet, or what Hyper wrote back of an extract; whether a difference
stops anything is the caller's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import duckdb

from mds_tableau.columns import HyperType, quote_identifier

ENGINE: Final = f"duckdb {duckdb.__version__}"
"""Who measures; the hashes of two are not comparable."""


@dataclass(frozen=True)
class Figures:
    """What is compared of a relation.

    Attributes:
        rows: Rows in all.
        not_null: Rows where each column has a value, in the order of the columns.
        row_hash: Sum of the hashes of all rows, so equal for equal rows in whatever order; None
            where only counts were asked for. Comparable between values of one DuckDB version.
    """

    rows: int
    not_null: tuple[int, ...]
    row_hash: int | None = None


def measure(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    columns: Sequence[tuple[str, HyperType]],
) -> Figures:
    """Return the figures of a relation, in one pass over it.

    Args:
        connection: Reads the relation.
        relation: SQL of it.
        columns: Name and type in the extract of each column that is compared.

    Raises:
        duckdb.Error: The relation cannot be read, or has a value that does not fit its type.
    """
    values = [_compared(name, hyper_type) for name, hyper_type in columns]
    counts = [f"count({quote_identifier(name)})" for name, _ in columns]
    row = connection.execute(
        f"SELECT count(*), {hash_of(', '.join(values))}, {', '.join(counts)} FROM {relation}"  # noqa: S608
    ).fetchone()
    assert row is not None  # noqa: S101  # an aggregate without GROUP BY has one row
    return Figures(rows=row[0], row_hash=int(row[1]), not_null=tuple(row[2:]))


def column_hashes(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    columns: Sequence[tuple[str, HyperType]],
) -> dict[str, int]:
    """Return a hash of the values of each column alone, to tell which of them differ."""
    hashes = [hash_of(_compared(name, hyper_type)) for name, hyper_type in columns]
    row = connection.execute(f"SELECT {', '.join(hashes)} FROM {relation}").fetchone()  # noqa: S608
    return {name: int(found) for (name, _), found in zip(columns, row or (), strict=True)}


def hashes_without(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    columns: Sequence[tuple[str, HyperType]],
) -> dict[str, int]:
    """Return for each column a hash of all rows without it, to tell which alone is out of place.

    There must be two columns at least, and should be few: each is hashed with all others.
    """
    hashes = [
        hash_of(", ".join(_compared(*column) for column in columns if column != left_out))
        for left_out in columns
    ]
    row = connection.execute(f"SELECT {', '.join(hashes)} FROM {relation}").fetchone()  # noqa: S608
    return {name: int(found) for (name, _), found in zip(columns, row or (), strict=True)}


def _compared(name: str, hyper_type: HyperType) -> str:
    # each column by its name: a table alias would be taken for a column of the same name
    return f"CAST({quote_identifier(name)} AS {hyper_type.compared_as})"


def hash_of(values: str) -> str:
    """Return SQL of the sum of the hashes of all rows, of which these are the values."""
    return f"coalesce(sum(hash({values})::HUGEINT), 0)"
