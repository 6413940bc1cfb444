"""Decides as what a column of any database that SQLAlchemy reaches travels, and what it becomes.

The decision is by the type that SQLAlchemy finds declared; where there is none, by first values.
Asking the database belongs to `other_databases`, making Arrow of values to `arrow_values`.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mds_tableau.inputs.casts import cast
from mds_tableau.inputs.landing import ArrivingColumn

if TYPE_CHECKING:
    from mds_tableau.inputs.arrow_values import Kind


@dataclass(frozen=True)
class SentColumn:
    """A column as it is asked of the database.

    Attributes:
        name: Its name.
        kind: How its values travel; None when the first rows say so.
        words: Its declared type, for messages.
        note: What was decided about it.
        digits: Precision and scale that the driver told, if it did.
        as_text: Whether the database has to make a text of it.
    """

    name: str
    kind: "Kind | None"
    words: str = ""
    note: str = ""
    digits: tuple[int, int] | None = None
    as_text: bool = False


def described_column(described: Sequence[Any]) -> SentColumn:
    """Return a column of a query, by what its cursor describes."""
    return SentColumn(described[0], None, digits=_digits(described))


def _digits(described: Sequence[Any]) -> tuple[int, int] | None:
    precision, scale = described[4], described[5]
    if isinstance(precision, int) and isinstance(scale, int) and 0 <= scale <= precision <= 38:
        return (precision, scale) if precision else None
    return None


def declared_column(name: str, declared: Any, asked: str) -> SentColumn:
    """Return a column of a table.

    Args:
        name: Its name.
        declared: Its type as SQLAlchemy found it.
        asked: DuckDB type that is asked for it, or "".
    """
    return replace(_by_type(name, declared, asked), words=str(declared))


def _by_type(name: str, declared: Any, asked: str) -> SentColumn:
    import sqlalchemy as sa

    from mds_tableau.inputs import arrow_values as kinds

    as_text = SentColumn(name, kinds.TEXT, as_text=True)
    if asked == "VARCHAR" and not isinstance(declared, sa.String):
        return as_text
    if isinstance(declared, sa.Numeric) and not isinstance(declared, sa.Float):
        return _numeric(name, declared, asked)
    if isinstance(declared, sa.Integer):
        large = isinstance(declared, sa.BigInteger) and getattr(declared, "unsigned", False)
        return SentColumn(name, kinds.UBIGINT if large else kinds.BIGINT)
    if isinstance(declared, sa.DateTime):
        return SentColumn(name, kinds.TIMESTAMPTZ if declared.timezone else kinds.TIMESTAMP)
    if isinstance(declared, (sa.JSON, sa.Enum)):
        return as_text
    plain = (
        (sa.Boolean, kinds.BOOLEAN),
        (sa.Float, kinds.DOUBLE),
        (sa.Date, kinds.DATE),
        (sa.Time, kinds.TIME),
        (sa.Uuid, kinds.UUID),
        (sa.LargeBinary, kinds.BLOB),
        (sa.String, kinds.TEXT),
    )
    for sqlalchemy_type, kind in plain:
        if isinstance(declared, sqlalchemy_type):
            return SentColumn(name, kind)
    if _is_interval(declared):
        return SentColumn(name, kinds.INTERVAL)
    note = (
        f"Column '{name}' is {declared!r}, which has no counterpart, and arrived as the text that "
        "the database makes of it."
    )
    return replace(as_text, note=note)


def _is_interval(declared: Any) -> bool:
    # a database's own kind of interval shares no public class with the general one
    try:
        return bool(declared.python_type is dt.timedelta)
    except NotImplementedError:
        return False


def _numeric(name: str, declared: Any, asked: str) -> SentColumn:
    from mds_tableau.inputs import arrow_values as kinds

    precision, scale = declared.precision, declared.scale
    if precision is not None and 0 <= (scale or 0) <= precision <= 38:
        return SentColumn(name, kinds.decimal(precision, scale or 0))
    if asked:
        return SentColumn(name, kinds.NUMBER_TEXT)
    note = (
        f"Column '{name}' is {declared} and became DECIMAL(38,9); ask for other digits where they "
        f"are known: {name}=DECIMAL(18,2)."
    )
    return SentColumn(name, kinds.decimal(38, 9), note=note)


def settled_column(column: SentColumn, number: int, first: Sequence[Sequence[Any]]) -> SentColumn:
    """Return the column with its kind, by its first values where nothing else tells."""
    if column.kind is not None:
        return column
    from mds_tableau.inputs import arrow_values as kinds

    values = [row[number] for row in first]
    kind = kinds.kind_of(values, column.digits) or kinds.TEXT
    empty = all(value is None for value in values)
    note = (
        f"Column '{column.name}' is NULL in the first rows of the query and became VARCHAR; ask "
        f"for another type where it is known: {column.name}=DOUBLE."
    )
    return replace(column, kind=kind, note=note if empty else "")


def arriving(number: int, column: SentColumn, asked: str | None) -> ArrivingColumn:
    """Return what becomes of the column that arrives as number so and so, from 1."""
    from mds_tableau.inputs import arrow_values as kinds

    assert column.kind is not None  # noqa: S101  settled before
    arrives = column.kind.duckdb_type
    target = asked or ("UUID" if column.kind is kinds.UUID else arrives)
    value, misfit = cast(f"c{number}", arrives, target)
    return ArrivingColumn(
        column.name, target, value, misfit, shown=f"c{number}", declared=column.words
    )
