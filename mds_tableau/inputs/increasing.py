"""What is asked of a table whose rows only ever get larger in one column, and what may be asked.

Which rows are still to be read is decided by whoever reads a table again and again; how a database
is asked for them belongs to the readers, putting them into a table to `landing`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

import duckdb

from mds_tableau.columns import quote_identifier, quote_text
from mds_tableau.errors import InputError

_WHOLE: Final = re.compile(r"U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|DECIMAL\(\d+,0\)")
_EXACT: Final = re.compile(
    r"DECIMAL\(\d+,\d+\)|DATE|TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE|TIMESTAMPTZ"
)


class CannotContinueError(Exception):
    """What was read before cannot be gone on with, so that all rows have to be read; says why."""


@dataclass(frozen=True)
class Watermark:
    """How far a table has come, as its database says.

    Attributes:
        rows: How many rows it has; None where that was not asked.
        nulls: How many of them have no value in the column; None where that was not asked.
        high: The largest value of the column as text, moments in UTC; None when there is none, or
            no column was named.
    """

    rows: int | None = None
    nulls: int | None = None
    high: str | None = None


def _unchecked(_: Watermark) -> None:
    """Take a table as it is."""


@dataclass(frozen=True)
class Increasing:
    """Which rows of a table are wanted, in the order of a column.

    Attributes:
        column: The column; a name as it is written wins over one that differs in case.
        start: The smallest value that is wanted, as text; "" for all rows.
        expected: Name and type of the columns that the table in DuckDB has, which those that
            arrive have to be; empty when any are welcome.
        check: Told how far the table has come, in the moment that its rows are of and before any is
            read; what it raises ends the reading.
    """

    column: str
    start: str = ""
    expected: Sequence[tuple[str, str]] = ()
    check: Callable[[Watermark], None] = _unchecked


def position_of(
    increasing: Increasing, columns: Sequence[tuple[str, str]], *, origin: str, moments: bool
) -> int:
    """Return which of the columns is the increasing one, from 0.

    Args:
        increasing: What is asked for.
        columns: Name and DuckDB type of each column.
        origin: What messages call the table.
        moments: Whether the database orders decimals, dates and moments as DuckDB does.

    Raises:
        InputError: It is not there, or not of a type in which later rows are surely larger.
    """
    names = [name for name, _ in columns]
    lowered = {name.lower(): name for name in names}
    name = (
        increasing.column if increasing.column in names else lowered.get(increasing.column.lower())
    )
    if name is None:
        near = get_close_matches(increasing.column.lower(), lowered, n=1)
        hint = f" Did you mean '{lowered[near[0]]}'?" if near else ""
        raise InputError(
            f"{origin} has no column '{increasing.column}', which 'increasing' names.{hint} There "
            f"are: {', '.join(names)}."
        )
    position = names.index(name)
    found = columns[position][1]
    if _WHOLE.fullmatch(found) or (moments and _EXACT.fullmatch(found)):
        return position
    why = _why(found, moments)
    raise InputError(
        f"Column '{name}' of {origin} is {found}, and cannot be 'increasing'. {why} Name "
        "another column, or leave 'increasing' out: then all rows are read each time."
    )


def _why(found: str, moments: bool) -> str:
    if found in {"FLOAT", "DOUBLE"}:
        return "Two floating numbers that look alike may differ, so that rows would be left out."
    if found in {"VARCHAR", "JSON"}:
        return "A database orders texts by rules of its own, so that rows would be left out."
    if moments:
        return "It has to be a whole number, a decimal, a date or a moment."
    return "Of this kind of database it has to be a whole number."


def require_columns(
    connection: duckdb.DuckDBPyConnection,
    columns: Sequence[tuple[str, str]],
    increasing: Increasing,
    *,
    origin: str,
) -> None:
    """Raise an error when the columns that arrive are not those that are expected.

    Args:
        connection: Knows how types are written.
        columns: Name and DuckDB type of what arrives.
        increasing: What is expected.
        origin: What messages call the table.

    Raises:
        CannotContinueError: They differ; names the columns.
    """
    if not increasing.expected:
        return
    casts = ", ".join(f"typeof(CAST(NULL AS {of_type}))" for _, of_type in columns)
    types = connection.execute(f"SELECT {casts}").fetchone() or ()
    now = [(name, str(of_type)) for (name, _), of_type in zip(columns, types, strict=True)]
    before = list(increasing.expected)
    if now == before:
        return
    was, became = dict(before), dict(now)
    changes = [
        *(f"'{name}' is new" for name in became if name not in was),
        *(f"'{name}' is gone" for name in was if name not in became),
        *(
            f"'{name}' was {was[name]} and is {became[name]}"
            for name in became
            if name in was and was[name] != became[name]
        ),
    ]
    said = ", ".join(changes) or "they come in another order"
    raise CannotContinueError(f"the columns of {origin} have changed ({said})")


def aggregates(column: str) -> str:
    """Return SQL of rows, values and the largest value of a column, as most databases know it."""
    name = quote_identifier(column)
    return f"count(*), count({name}), CAST(max({name}) AS TEXT)"


def as_watermark(row: Sequence[object]) -> Watermark:
    """Return what a query of `aggregates` says."""
    rows, values, high = row
    count = int(str(rows))
    return Watermark(count, count - int(str(values)), None if high is None else str(high))


def one_aggregate(column: str) -> str:
    """Return SQL of what is cheap to ask: the largest value, or the number of rows of no column."""
    return f"CAST(max({quote_identifier(column)}) AS TEXT)" if column else "count(*)"


def as_cheap_watermark(value: object, column: str) -> Watermark:
    """Return what a query of `one_aggregate` says."""
    if column:
        return Watermark(high=None if value is None else str(value))
    return Watermark(rows=int(str(value)))


def wanted_rows(column: str, increasing: Increasing) -> str:
    """Return what SQL of most databases says behind FROM, for a column's name in it."""
    # without a type of its own, the text is read as one of the column's type
    where = f" WHERE {column} >= {quote_text(increasing.start)}" if increasing.start else ""
    return f"{where} ORDER BY {column}"
