"""Casts what arrives from a database to the type it is to have, and finds what would change by it.

The SQL here is DuckDB's and works on one arrived column; what a column arrives as, and which type
it is to have, belongs to the readers.
"""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Final

import duckdb

from mds_tableau.errors import UsageError

_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_ ]*(\(\s*\d+\s*(,\s*\d+\s*)?\))?(\[\d*\])*")
_WHOLE: Final = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"} | {
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
}
_ZONE: Final = r"\d:\d\d.*([zZ]|[+-]\d\d?(:?\d\d)?|[A-Za-z_/]+)\s*$"
_MIDNIGHT: Final = r"[ T]00:00(:00(\.0+)?)?$"
_BELOW_MICROSECONDS: Final = r"\.\d{6}\d*[1-9]"


def asked_types(
    connection: duckdb.DuckDBPyConnection,
    types: Mapping[str, str],
    names: Sequence[str],
    *,
    origin: str,
) -> dict[str, str]:
    """Return the type that is asked for each column, by the column's own name, as DuckDB writes it.

    Args:
        connection: Knows which types there are.
        types: Type for each column; case does not matter in a column's name.
        names: Columns there are.
        origin: What messages call the data.

    Raises:
        InputError: A column is not there, or a type is none; names all of them.
    """
    known = {name.lower(): name for name in names}
    asked: dict[str, str] = {}
    problems = []
    for name, wanted in types.items():
        column = known.get(name.lower())
        if column is None:
            near = get_close_matches(name.lower(), known, n=1)
            hint = f" Did you mean '{known[near[0]]}'?" if near else ""
            problems.append(f"a type is asked for column '{name}', which is not there.{hint}")
            continue
        found = _known_type(connection, wanted)
        if found is None:
            problems.append(
                f"'{wanted}', asked for column '{column}', is no type of DuckDB. There are for "
                "example VARCHAR, BIGINT, DOUBLE, DECIMAL(18,2), DATE, TIMESTAMP, BOOLEAN."
            )
        else:
            asked[column] = found
    if problems:
        raise UsageError(f"Cannot read {origin}:" + "".join(f"\n- {line}" for line in problems))
    return asked


def cast(arrived: str, source: str, target: str) -> tuple[str, str]:
    """Return SQL of the cast value, and of a condition that is true where it would change.

    Nothing may be lost but what DOUBLE and FLOAT cannot hold: they are asked for as the nearest.

    Args:
        arrived: SQL of what arrived.
        source: DuckDB type that it arrived as.
        target: DuckDB type that it is to have.

    >>> cast('"a"', "VARCHAR", "VARCHAR")
    ('"a"', '')
    """
    if source == target:
        return arrived, ""
    tried = f"TRY_CAST({arrived} AS {target})"
    misfits = [f"{tried} IS NULL", *_silent(arrived, source, target, tried)]
    return f"CAST({arrived} AS {target})", f"{arrived} IS NOT NULL AND ({' OR '.join(misfits)})"


def decimal_of_double(arrived: str, target: str) -> tuple[str, str]:
    """Return what `cast` does, for a decimal that arrives as the text of the nearest double."""
    tried = f"TRY_CAST({arrived} AS {target})"
    changed = f"{tried} IS NULL OR CAST({tried} AS DOUBLE) <> CAST({arrived} AS DOUBLE)"
    return f"CAST({arrived} AS {target})", f"{arrived} IS NOT NULL AND ({changed})"


def _silent(arrived: str, source: str, target: str, tried: str) -> list[str]:
    """Return conditions for what DuckDB's cast would change without an error."""
    if source == "VARCHAR":
        scale = re.fullmatch(r"DECIMAL\(\d+,(\d+)\)", target)
        return _silent_text(arrived, target, int(scale[1]) if scale else None)
    if target in {"VARCHAR", "JSON", "DOUBLE", "FLOAT"}:
        return []
    return [f"TRY_CAST({tried} AS {source}) IS DISTINCT FROM {arrived}"]


def _silent_text(arrived: str, target: str, scale: int | None) -> list[str]:
    if scale is not None or target in _WHOLE:
        digits = f"split_part({arrived}, '.', 2)"
        # the short question first, as trimming takes longer
        lost = f"length({digits}) > {scale or 0} AND length(rtrim({digits}, '0')) > {scale or 0}"
        return [f"({lost})", f"contains(lower({arrived}), 'e')"]
    zone = f"regexp_matches({arrived}, '{_ZONE}')"
    if target == "DATE":
        return [f"contains({arrived}, ':') AND NOT regexp_matches({arrived}, '{_MIDNIGHT}')"]
    if target in {"TIMESTAMP", "TIME"}:
        return [zone, f"regexp_matches({arrived}, '{_BELOW_MICROSECONDS}')"]
    if target == "TIMESTAMP WITH TIME ZONE":
        # else the zone of this machine would decide
        outside = f"(NOT {zone} AND NOT contains({arrived}, 'infinity'))"
        return [outside, f"regexp_matches({arrived}, '{_BELOW_MICROSECONDS}')"]
    return []


def _known_type(connection: duckdb.DuckDBPyConnection, wanted: str) -> str | None:
    if not _TYPE.fullmatch(wanted.strip()):
        return None
    try:
        row = connection.execute(f"SELECT typeof(CAST(NULL AS {wanted}))").fetchone()
    except duckdb.Error:
        return None
    # one without digits would be DECIMAL(18,3), which nobody has asked for
    bare = wanted.strip().upper() in {"DECIMAL", "NUMERIC", "DEC"}
    return None if row is None or bare else str(row[0])
