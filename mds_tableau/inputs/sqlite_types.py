"""Decides what a column of SQLite becomes, and as which one storage class it travels.

The decision is by the declared type; where that says nothing, by the storage classes of all values.
Asking SQLite belongs to `sqlite`.
"""

import re
from dataclasses import dataclass
from typing import Final

from mds_tableau.inputs.casts import cast, decimal_of_double
from mds_tableau.inputs.landing import ArrivingColumn

EXACT: Final = 2**53
_DAY: Final = r"\d{4}-\d\d-\d\d"
_CLOCK: Final = r"\d\d:\d\d(:\d\d(\.\d{1,6}0*)?)?"
_CLOCKS: Final = {
    "DATE": _DAY,
    "TIME": _CLOCK,
    "TIMESTAMP": f"{_DAY}([ T]{_CLOCK})?",
}
KINDS: Final = {
    "integer": "1",
    "real": "1.5",
    "text": "''",
    "blob": "x'00'",
}
"""A value of each storage class, which comes before all rows and so decides the driver's type."""

# 15 digits where they are enough, as people have written the number, else all 17
_REAL_TEXT: Final = (
    "CASE WHEN CAST(printf('%!.15g', {0}) AS REAL) = {0} THEN printf('%!.15g', {0}) "
    "ELSE printf('%!.17g', {0}) END"
)
_NUMBER_TEXT: Final = (
    f"CASE typeof({{0}}) WHEN 'integer' THEN CAST({{0}} AS TEXT) WHEN 'real' THEN {_REAL_TEXT} END"
)
_ANY_TEXT: Final = (
    "CASE typeof({0}) WHEN 'text' THEN {0} WHEN 'integer' THEN CAST({0} AS TEXT) WHEN 'real' THEN "
    f"{_REAL_TEXT} END"
)
_DOUBLE: Final = (
    "CASE typeof({0}) WHEN 'real' THEN {0} WHEN 'integer' THEN CASE WHEN {0} BETWEEN "
    f"-{EXACT} AND {EXACT} THEN CAST({{0}} AS REAL) END END"
)


@dataclass(frozen=True)
class SentColumn:
    """How a column travels, and what becomes of it.

    Attributes:
        name: Its name.
        declared: Its declared type, "" for none.
        duckdb_type: Its type in the table.
        kind: The storage class that it travels as.
        travels: SQLite's SQL of its value, `{0}` for the column, NULL where it does not fit.
        cast: DuckDB's SQL of its value and of a misfit, `{0}` for what arrived.
        note: What was decided.
    """

    name: str
    declared: str
    duckdb_type: str
    kind: str
    travels: str
    cast: tuple[str, str] = ("{0}", "")
    note: str = ""


def arriving(number: int, column: SentColumn) -> ArrivingColumn:
    """Return what becomes of the column that arrives at a place, from 1."""
    source = f"c{number}"
    value, misfit = (sql.replace("{0}", source) for sql in column.cast)
    odd = f"starts_with(odd, '{number}:')"
    return ArrivingColumn(
        name=column.name,
        duckdb_type=column.duckdb_type,
        value=value,
        misfit=f"coalesce({odd}, false)" + (f" OR ({misfit})" if misfit else ""),
        shown=f"CASE WHEN {odd} THEN substr(odd, {len(str(number)) + 2}) ELSE "
        f"CAST({source} AS VARCHAR) END",
        declared=column.declared,
        note=column.note,
    )


def _only(kind: str) -> str:
    return f"CASE typeof({{0}}) WHEN '{kind}' THEN {{0}} END"


def sent_column(name: str, declared: str, asked: str, kinds: set[str] | None) -> SentColumn:
    """Return how a column travels and what it becomes.

    Args:
        name: Its name.
        declared: Its declared type, "" for none.
        asked: DuckDB type that is asked for, "" for none.
        kinds: Storage classes of its values, and `large` for integers that no double holds; None
            where they were not looked at.
    """
    if asked == "BLOB":
        return SentColumn(name, declared, asked, "blob", _only("blob"))
    if asked:
        return SentColumn(name, declared, asked, "text", _ANY_TEXT, _asked(asked))
    return by_declaration(name, declared) or _by_values(name, declared, kinds or set())


def _asked(asked: str) -> tuple[str, str]:
    if asked.startswith("DECIMAL"):
        return decimal_of_double("{0}", asked)
    return cast("{0}", "VARCHAR", asked)


def by_declaration(name: str, declared: str) -> SentColumn | None:
    """Return the column as its declared type asks for; None where that says nothing."""
    words = declared.upper().partition("(")[0].strip()
    if words in {"BOOL", "BOOLEAN"}:
        travels = "CASE WHEN typeof({0}) = 'integer' AND {0} IN (0, 1) THEN {0} END"
        return SentColumn(
            name, declared, "BOOLEAN", "integer", travels, ("CAST({0} AS BOOLEAN)", "")
        )
    if words in {"DATE", "TIME", "DATETIME", "TIMESTAMP"}:
        target = "TIMESTAMP" if words == "DATETIME" else words
        changed = f"NOT regexp_full_match({{0}}, '{_CLOCKS[target]}')"
        tried = f"TRY_CAST({{0}} AS {target}) IS NULL"
        sql = (f"CAST({{0}} AS {target})", f"{{0}} IS NOT NULL AND ({changed} OR {tried})")
        return SentColumn(name, declared, target, "text", _only("text"), sql)
    # the order of SQLite's own rules
    if "INT" in words:
        return SentColumn(name, declared, "BIGINT", "integer", _only("integer"))
    if any(part in words for part in ("CHAR", "CLOB", "TEXT")):
        return SentColumn(name, declared, "VARCHAR", "text", _only("text"))
    if "BLOB" in words:
        return SentColumn(name, declared, "BLOB", "blob", _only("blob"))
    if any(part in words for part in ("REAL", "FLOA", "DOUB")):
        return SentColumn(name, declared, "DOUBLE", "real", _DOUBLE)
    if words in {"DECIMAL", "NUMERIC", "NUMBER"}:
        return _decimal(name, declared)
    return None


def _decimal(name: str, declared: str) -> SentColumn:
    digits = re.search(r"\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)", declared)
    if digits and int(digits[2] or 0) <= int(digits[1]) <= 38 and int(digits[1]):
        target = f"DECIMAL({int(digits[1])},{int(digits[2] or 0)})"
        sql = decimal_of_double("{0}", target)
        return SentColumn(name, declared, target, "text", _NUMBER_TEXT, sql)
    return SentColumn(name, declared, "DOUBLE", "real", _DOUBLE)


def _by_values(name: str, declared: str, kinds: set[str]) -> SentColumn:
    """Return a column without a telling declaration, as the storage classes of its values allow."""
    whole = {"integer", "large"}
    if kinds and kinds <= whole:
        duckdb_type, kind, travels, what = "BIGINT", "integer", _only("integer"), "are integers"
    elif kinds and kinds <= {"integer", "real"}:
        duckdb_type, kind, travels, what = "DOUBLE", "real", _DOUBLE, "are numbers"
    elif kinds == {"blob"}:
        duckdb_type, kind, travels, what = "BLOB", "blob", _only("blob"), "are bytes"
    else:
        duckdb_type, kind, travels = "VARCHAR", "text", _ANY_TEXT
        what = " and ".join(["are", *sorted(kinds - {"large"})]).replace("are and", "are")
    words = f"is declared as {declared}, which does not tell" if declared else "declares no type"
    seen = f"all its values {what}" if kinds else "it holds none"
    note = f"Column '{name}' {words}; {seen}, and it became {duckdb_type}."
    return SentColumn(name, declared, duckdb_type, kind, travels, note=note)
