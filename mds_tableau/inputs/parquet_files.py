"""Gives Parquet files as a view, without a copy, after making sure that DuckDB changes nothing.

Files of other formats do not belong here; nor does what an extract can hold.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import duckdb

from mds_tableau.columns import quote_identifier
from mds_tableau.errors import InputError, UsageError, first_line
from mds_tableau.inputs import Loaded, Progress
from mds_tableau.inputs.csv_dialect import glob_safe
from mds_tableau.inputs.places import Place, origin

_MOST_DIGITS: Final = 38
"""Digits of the widest DECIMAL; DuckDB reads wider ones as DOUBLE."""


def load_parquet(
    connection: duckdb.DuckDBPyConnection,
    places: Sequence[Place],
    types: Mapping[str, str],
    *,
    table: str,
    progress: Progress,
) -> Loaded:
    """Create a view of all rows of Parquet files, whose columns have to be the same.

    Raises:
        InputError: A file is no Parquet, differs from the first in columns or types, or has
            something that DuckDB would read as something else.
    """
    if types:
        raise UsageError(
            f"--type {next(iter(types))}=...: Parquet files say the types of their columns; "
            "--type is for CSV and JSON lines."
        )
    size = sum(place.path.stat().st_size for place in places)
    progress(f"Looking at {origin(places)}", 0, size)
    found = [(place, _columns(connection, place)) for place in places]
    first, wanted = found[0]
    problems = [
        f"- {place.name} {difference}"
        for place, columns in found[1:]
        if (difference := _difference(columns, wanted))
    ]
    if problems:
        raise InputError(
            f"The files do not have the columns of the first, {first.name}:\n"
            + "\n".join(problems[:10])
            + "\nRead them apart, or give all of them the same columns."
        )
    listed = ", ".join(glob_safe(place.path.absolute()) for place in places)
    name = quote_identifier(table)
    connection.execute(
        f"CREATE VIEW {name} AS FROM read_parquet([{listed}], union_by_name = true, "
        "hive_partitioning = false)"
    ).fetchall()
    progress(f"Looking at {origin(places)}", size, size)
    return Loaded(name, origin(places))


def _columns(connection: duckdb.DuckDBPyConnection, place: Place) -> dict[str, str]:
    """Return the DuckDB type of each column of a file.

    Raises:
        InputError: The file cannot be read, or not as it is.
    """
    path = glob_safe(place.path)
    try:
        described = connection.execute(
            f"DESCRIBE FROM read_parquet({path}, hive_partitioning = false)"
        ).fetchall()
        schema = connection.execute(
            f"SELECT name, type, precision, num_children FROM parquet_schema({path})"  # noqa: S608
        ).fetchall()
    except duckdb.Error as error:
        raise InputError(f"{place.name} cannot be read as Parquet: {first_line(error)}") from error
    columns = {row[0]: row[1] for row in described}
    names = _top_level(schema)
    renamed = [name for name in names if name not in columns]
    if renamed or len(names) != len(columns):
        raise InputError(
            f"{place.name} has columns that DuckDB does not tell apart, such as "
            f"{', '.join(repr(name) for name in renamed or names)[:200]}; give them other names."
        )
    wide = [name for name, _, precision, _ in schema if (precision or 0) > _MOST_DIGITS]
    if wide:
        raise InputError(
            f"{place.name}: the decimals of {', '.join(map(repr, wide))} have more than "
            f"{_MOST_DIGITS} digits, which DuckDB would round; write them as text or with fewer."
        )
    return columns


def _top_level(schema: Sequence[tuple[str, str, int | None, int | None]]) -> list[str]:
    """Return the names of the columns, of the elements of a schema in depth-first order."""
    names = []
    open_children = [schema[0][3] or 0]
    for name, _, _, children in schema[1:]:
        if len(open_children) == 1:
            names.append(name)
        open_children[-1] -= 1
        if children:
            open_children.append(children)
        while len(open_children) > 1 and open_children[-1] == 0:
            open_children.pop()
    return names


def _difference(columns: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    lacks, adds = wanted.keys() - columns.keys(), columns.keys() - wanted.keys()
    other = [
        f"has {name!r} as {columns[name]} and not {wanted[name]}"
        for name in wanted
        if name in columns and columns[name] != wanted[name]
    ]
    parts = [f"lacks {', '.join(map(repr, sorted(lacks)))}"] if lacks else []
    parts += [f"adds {', '.join(map(repr, sorted(adds)))}"] if adds else []
    return " and ".join(parts + other)
