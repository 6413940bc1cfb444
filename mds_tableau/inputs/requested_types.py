"""Reads the types that are asked for with --type, and finds the kind of values for each.

The text of the file is what becomes the type, never a number or date that was found in it first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import duckdb

from mds_tableau.errors import UsageError
from mds_tableau.inputs import kinds
from mds_tableau.inputs.csv_options import CsvOptions
from mds_tableau.inputs.kinds import Kind, Signs
from mds_tableau.inputs.text_types import Found

_OF_TIME: Final = {
    kind.sql_type: kind for kind in (kinds.DATE, kinds.TIMESTAMP, kinds.TIMESTAMPTZ, kinds.TIME)
}


def requested_types(
    connection: duckdb.DuckDBPyConnection, types: Mapping[str, str], names: Sequence[str]
) -> dict[int, str]:
    """Return the types that are asked for, as DuckDB prints them, by the position of the column.

    Raises:
        InputError: A column is not there or a type is none; all of them are listed together.
    """
    folded = {name.lower(): index for index, name in enumerate(names)}
    found, problems = {}, []
    for name, text in types.items():
        index = names.index(name) if name in names else folded.get(name.lower())
        if index is None:
            shown = ", ".join(names[:20]) + (" and others" if len(names) > 20 else "")
            problems.append(
                f"--type {name}={text}: there is no column {name!r}; there are {shown}."
            )
            continue
        sql_type = _parsed(connection, text)
        if sql_type:
            found[index] = sql_type
        else:
            problems.append(
                f"--type {name}={text}: {text} is no type of DuckDB; for example VARCHAR, BIGINT, "
                "DOUBLE, DECIMAL(18,2), BOOLEAN, DATE, TIMESTAMP."
            )
    if problems:
        raise UsageError("\n".join(problems))
    return found


def _parsed(connection: duckdb.DuckDBPyConnection, text: str) -> str:
    """Return a type as DuckDB prints it, so that nothing else gets into a statement, or ""."""
    try:
        return str(connection.type(text))
    except duckdb.Error:
        return ""


def requested_kind(sql_type: str, found: Found, csv: CsvOptions) -> Kind:
    """Return the kind of values of a type that is asked for, of a column with what was found."""
    if sql_type not in _OF_TIME:
        signs = Signs(csv.decimal_sign, csv.thousands)
        # groups that were found beside a decimal sign that was said
        is_said = bool(csv.decimal) and not (found.signs and found.signs.decimal == csv.decimal)
        return kinds.requested(sql_type, signs if is_said else found.signs or signs)
    kind = found.kind
    if kind.sql_type == sql_type:
        return kind
    if kind.sql_type == "DATE" and sql_type == "TIMESTAMP":
        value = f"CAST({kind.value} AS TIMESTAMP)"
        return replace(kind, sql_type=sql_type, value=value, quick="")
    if sql_type == "DATE" and csv.date_format:
        return kinds.formatted(sql_type, [csv.date_format])
    if csv.timestamp_format and (given := kinds.stamped(csv.timestamp_format)).sql_type == sql_type:
        return given
    return _OF_TIME[sql_type]
