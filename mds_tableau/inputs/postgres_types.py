"""Decides what a column of PostgreSQL becomes, and how the server and DuckDB cast it on its way.

The decision is by the declared type alone. What the driver would change does not reach it: the
server casts it to text, or sends text beside the values that the driver cannot bring. Measured with
ADBC 1.13 and PostgreSQL 18: it flattens arrays of several dimensions, has no ranges, lets infinity
and late moments overflow, and reads an oid as signed. Asking the server belongs to `postgres`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from mds_tableau.inputs.casts import cast
from mds_tableau.inputs.landing import ArrivingColumn

_AS_IT_IS: Final = {
    "bool": "BOOLEAN",
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "float4": "FLOAT",
    "float8": "DOUBLE",
    "text": "VARCHAR",
    "varchar": "VARCHAR",
    "bpchar": "VARCHAR",  # with its blanks, as the server prints it
    "name": "VARCHAR",
    "bytea": "BLOB",
    "time": "TIME",
}
_THROUGH_TEXT: Final = {
    "json": "JSON",
    "jsonb": "JSON",
    "uuid": "UUID",
    "timetz": "TIME WITH TIME ZONE",
}
_MOMENTS: Final = {
    "date": ("DATE", "isfinite({})"),
    # DuckDB's moments end before those of PostgreSQL
    "timestamp": ("TIMESTAMP", "isfinite({}) AND {} < '294247-01-01'"),
    "timestamptz": ("TIMESTAMP WITH TIME ZONE", "isfinite({}) AND {} < '294247-01-01+00'"),
}
# the driver counts nanoseconds, of which an integer holds 292 years
_INTERVAL: Final = "isfinite({}) AND abs(extract(hour FROM {})) < 2000000"
_LISTS: Final = {
    name: _AS_IT_IS[name]
    for name in ("bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "name")
}
_PLAIN_TEXT: Final = {"citext", "xml", "char"}
_FREE_NUMERIC: Final = "DECIMAL(38,9)"
"""What numeric without digits becomes: enough for money and rates; what does not fit is refused."""


@dataclass(frozen=True)
class Declared:
    """A column as the server declares it.

    Attributes:
        name: Its name.
        base: Name of its type; of a domain, of the type below; of an array, `_` and the element's.
        modifier: Modifier of a numeric, -1 for none.
        words: Its type as the server writes it.
        enum: Whether its values are those of an enum.
    """

    name: str
    base: str
    modifier: int
    words: str
    enum: bool


@dataclass(frozen=True)
class SentColumn:
    """SQL for the server, in order, and what becomes of it."""

    asked: tuple[str, ...]
    column: ArrivingColumn


def sent_column(number: int, declared: Declared, asked: str, money_scale: int) -> SentColumn:
    """Return how a column travels and what it becomes.

    Args:
        number: Its place, from 1; the query has to call it `c` and that number.
        declared: The column.
        asked: DuckDB type that is asked for, "" for none.
        money_scale: Digits after the point of the server's money.
    """
    source = f"c{number}"
    base = declared.base
    if asked:
        return _asked(source, declared, asked)
    if base in _AS_IT_IS:
        return _made([source], declared, _AS_IT_IS[base], source)
    if base in _MOMENTS:
        duckdb_type, whole = _MOMENTS[base]
        whole = whole.replace("{}", source)
        return _with_odd(source, source, whole, declared, duckdb_type)
    if base == "interval":
        whole = _INTERVAL.replace("{}", source)
        return _with_odd(source, source, whole, declared, "INTERVAL", odd_is_read=False)
    if base == "oid":
        return _made([f"{source}::int8 AS {source}"], declared, "BIGINT", source)
    if base == "money":
        digits = f"DECIMAL({17 + money_scale},{money_scale})"
        return _through_text(f"{source}::numeric", source, declared, digits)
    if base == "numeric":
        return _numeric(source, declared)
    if base in _THROUGH_TEXT:
        return _through_text(source, source, declared, _THROUGH_TEXT[base])
    if base.startswith("_"):
        return _array(source, declared)
    note = "" if base in _PLAIN_TEXT or declared.enum else _note(declared)
    column = _made([f"{source}::text AS {source}"], declared, "VARCHAR", source)
    return SentColumn(column.asked, replace(column.column, note=note))


def _made(asked: Sequence[str], declared: Declared, duckdb_type: str, value: str) -> SentColumn:
    column = ArrivingColumn(declared.name, duckdb_type, value, declared=declared.words)
    return SentColumn(tuple(asked), column)


def _note(declared: Declared) -> str:
    return (
        f"Column '{declared.name}' is {declared.words}, which has no counterpart, and arrived as "
        "the text that PostgreSQL writes of it."
    )


def _through_text(travels: str, source: str, declared: Declared, duckdb_type: str) -> SentColumn:
    value, misfit = cast(source, "VARCHAR", duckdb_type)
    column = ArrivingColumn(
        declared.name, duckdb_type, value, misfit, shown=source, declared=declared.words
    )
    return SentColumn((f"{travels}::text AS {source}",), column)


def _with_odd(
    source: str,
    travels: str,
    whole: str,
    declared: Declared,
    duckdb_type: str,
    *,
    odd_is_read: bool = True,
) -> SentColumn:
    """Send a value as it is where the driver brings it, else as text beside it.

    Args:
        source: Name of the column on its way.
        travels: SQL of the value as it is.
        whole: SQL that is true where the driver brings it.
        declared: The column.
        duckdb_type: What it becomes.
        odd_is_read: Whether DuckDB can be trusted to read the text.
    """
    odd = f"{source}_odd"
    value, misfit = source, f"{odd} IS NOT NULL"
    if odd_is_read:
        value = f"CASE WHEN {odd} IS NULL THEN {source} ELSE CAST({odd} AS {duckdb_type}) END"
        misfit += f" AND TRY_CAST({odd} AS {duckdb_type}) IS NULL"
    column = ArrivingColumn(
        declared.name, duckdb_type, value, misfit, shown=odd, declared=declared.words
    )
    asked = (
        f"CASE WHEN {whole} THEN {travels} END AS {source}",
        f"CASE WHEN NOT ({whole}) THEN {source}::text END AS {odd}",
    )
    return SentColumn(asked, column)


def _numeric(source: str, declared: Declared) -> SentColumn:
    if declared.modifier < 0:
        column = _through_text(source, source, declared, _FREE_NUMERIC)
        note = (
            f"Column '{declared.name}' is numeric without digits and became {_FREE_NUMERIC}; ask "
            f"for other digits where they are known: {declared.name}=DECIMAL(18,2)."
        )
        return SentColumn(column.asked, replace(column.column, note=note))
    precision, scale = _digits(declared.modifier)
    if precision <= 38:
        return _through_text(source, source, declared, f"DECIMAL({precision},{scale})")
    column = _made([f"{source}::text AS {source}"], declared, "VARCHAR", source)
    note = (
        f"Column '{declared.name}' is {declared.words}({precision},{scale}), more digits than the "
        "38 that there can be, and arrived as text."
    )
    return SentColumn(column.asked, replace(column.column, note=note))


def _digits(modifier: int) -> tuple[int, int]:
    """Return precision and scale that hold every value of a numeric with that modifier.

    >>> _digits((10 << 16 | 2) + 4), _digits((5 << 16 | (-2 & 0x7FF)) + 4)
    ((10, 2), (7, 0))
    """
    precision = (modifier - 4 >> 16) & 0xFFFF
    scale = ((modifier - 4 & 0x7FF) ^ 1024) - 1024
    if scale < 0:
        return precision - scale, 0
    return max(precision, scale), scale


def _array(source: str, declared: Declared) -> SentColumn:
    """An array of one dimension becomes a list; how many there are is not declared."""
    element = declared.base[1:]
    flat = f"{source} IS NULL OR coalesce(array_ndims({source}), 1) = 1"
    listed = _LISTS.get(element)
    travels = source if listed else f"{source}::text[]"
    made = _with_odd(source, travels, flat, declared, f"{listed or 'VARCHAR'}[]", odd_is_read=False)
    texts = element in {*_PLAIN_TEXT, "bpchar"} or declared.enum
    note = "" if listed or texts else _note(declared)
    return SentColumn(made.asked, replace(made.column, note=note))


def _asked(source: str, declared: Declared, asked: str) -> SentColumn:
    """Send a column so that a cast to any type that suits it is possible."""
    arrives = _AS_IT_IS.get(declared.base, "VARCHAR")
    travels = source
    if arrives == "VARCHAR" or asked == "VARCHAR":
        # a text travels as it is: a cast would take the blanks off a char(n)
        is_text = _AS_IT_IS.get(declared.base) == "VARCHAR"
        number = "::numeric" if declared.base == "money" and asked != "VARCHAR" else ""
        travels = source if is_text else f"{source}{number}::text AS {source}"
        arrives = "VARCHAR"
    value, misfit = cast(source, arrives, asked)
    column = ArrivingColumn(
        declared.name, asked, value, misfit, shown=source, declared=declared.words
    )
    return SentColumn((travels,), column)
