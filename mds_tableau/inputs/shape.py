"""Which columns of an input go into an extract, what they are called there, and which rows.

Types are given where the input is read, as they decide how its text is understood.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

import duckdb

from mds_tableau.columns import quote_identifier
from mds_tableau.errors import UsageError, first_line
from mds_tableau.inputs import Loaded


@dataclass(frozen=True)
class Shape:
    """What is taken of an input.

    Attributes:
        columns: Its columns that are taken, in this order; all of them when empty.
        renames: What columns are called in the extract, by their name in the input.
        where: SQL that is true for the rows that are taken; "" for all.
    """

    columns: Sequence[str] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    where: str = ""


def shaped(
    connection: duckdb.DuckDBPyConnection, loaded: Loaded, shape: Shape, *, view: str
) -> Loaded:
    """Return the input with the columns and rows that are asked for, as a view.

    Args:
        connection: Has the input.
        loaded: The input.
        shape: What is asked for.
        view: Name of the view.

    Raises:
        InputError: A column is asked for that is not there, or the condition cannot be read; all
            such columns are named together.
    """
    if shape == Shape():
        return loaded
    rows = connection.execute(f"DESCRIBE SELECT * FROM {loaded.relation}").fetchall()  # noqa: S608
    names = [str(row[0]) for row in rows]
    problems = [
        *(_missing("--columns", name, names) for name in shape.columns if name not in names),
        *(_missing("--rename", name, names) for name in shape.renames if name not in names),
    ]
    if problems:
        raise UsageError(f"{loaded.origin}:" + "".join(f"\n- {problem}" for problem in problems))
    taken = shape.columns or names
    selected = ", ".join(
        f"{quote_identifier(name)} AS {quote_identifier(shape.renames.get(name, name))}"
        for name in taken
    )
    select = f"SELECT {selected} FROM {loaded.relation}"  # noqa: S608
    if shape.where:
        select += f" WHERE ({shape.where}\n)"
    try:
        if len(duckdb.extract_statements(select)) != 1:
            raise UsageError(f"--where is {shape.where!r}; it must be one condition in SQL.")
        connection.execute(f"CREATE VIEW {quote_identifier(view)} AS {select}")
    except duckdb.Error as error:
        said = first_line(error)
        raise UsageError(
            f"{loaded.origin}: --where {shape.where!r} cannot be read: {said} The columns are "
            f"{', '.join(names)}."
        ) from error
    return replace(loaded, relation=quote_identifier(view))


def _missing(flag: str, name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, list(names), n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return f"{flag} names the column '{name}', which is not there.{hint}"
