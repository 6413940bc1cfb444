"""Finds columns that DuckDB renamed because a query selects two of one name.

DuckDB does not tell `A` from `a`: of two such columns it calls the second `a_1`, without a word, so
the mart itself does not show it. The query that dbt ran still does; it is parsed or bound here, and
never run.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb


def renamed_columns(
    connection: duckdb.DuckDBPyConnection, names: Sequence[str], query: str
) -> list[tuple[str, str, str]]:
    """Return first name, second name and the name it got, for each column that was renamed.

    A name such as `line_1` beside `line` is innocent unless some SELECT of the query gives two
    columns the name `line`, and none gives one the name `line_1`.

    Args:
        connection: Parses the query.
        names: Names of the mart's columns.
        query: The SQL that dbt ran for it, "" when it is not known.
    """
    suspects = _suspects(names)
    if not suspects or not query:
        return []
    lists = [list(_names(node)) for node in _selects(_parsed(connection, query))]
    given = {name.casefold() for selected in lists for name in selected}
    found = []
    for name, head in suspects.items():
        twice = [same for s in lists if len(same := [n for n in s if n.casefold() == head]) > 1]
        if twice and name.casefold() not in given:
            found.append((twice[0][0], twice[0][1], name))
    return found


def numbered_columns(
    connection: duckdb.DuckDBPyConnection, names: Sequence[str], query: str
) -> list[tuple[str, str]]:
    """Return name and the name it got, for each column that is another in the query itself.

    Above all these are the second ones of a name that `a.*, b.*` selects, which only DuckDB knows.

    Args:
        connection: Has what the query reads; where it has not, nothing is found.
        names: Names of the mart's columns.
        query: The SQL that dbt ran for it, "" when it is not known.
    """
    suspects = _suspects(names)
    if not suspects or not query:
        return []
    with connection.cursor() as cursor:
        try:
            described = cursor.execute(f"DESCRIBE {query}").fetchall()
        except duckdb.Error:
            return []
    if len(described) != len(names):
        return []
    pairs = [(str(row[0]), name) for row, name in zip(described, names, strict=True)]
    return [(old, new) for old, new in pairs if suspects.get(new) == old.casefold()]


def _suspects(names: Sequence[str]) -> dict[str, str]:
    """Return the names that may be those of renamed columns, with what they would have been."""
    known = {name.casefold() for name in names}
    return {
        name: head.casefold()
        for name in names
        for head, _, number in [name.rpartition("_")]
        if number.isdigit() and head.casefold() in known
    }


def _parsed(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    # a cursor of its own, because an error ends the transaction that it happens in
    with connection.cursor() as cursor:
        try:
            row = cursor.execute("SELECT json_serialize_sql(?)", [query]).fetchone()
        except duckdb.Error:
            return None  # a model in Python, or words that only dbt understands
    return json.loads(row[0]) if row else None


def _selects(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if node.get("type") == "SELECT_NODE":
            yield node
        for value in node.values():
            yield from _selects(value)
    elif isinstance(node, list):
        for value in node:
            yield from _selects(value)


def _names(select: dict[str, Any]) -> Iterator[str]:
    for item in select.get("select_list", ()):
        name = item.get("alias") or (item.get("column_names") or [""])[-1]
        if name:
            yield str(name)
