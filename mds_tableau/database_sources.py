"""Decides which dbt sources are read from databases into the warehouse, and how.

The rules of `meta.ingest` are checked here, all problems of a project together. What a variable of
the environment holds is none of this module's business; reading the tables belongs to `ingest`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from mds_tableau.columns import quote_identifier
from mds_tableau.errors import InputError, MartConfigError, MdsTableauError
from mds_tableau.inputs.tables import checked_query
from mds_tableau.manifest import Manifest, SourceRelation, SourceTable

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN: Final = re.compile(r"[^\W\d]\w*")
_TYPE: Final = "a mapping of column names to types of DuckDB, such as {price: 'DECIMAL(18,2)'}"


@dataclass(frozen=True)
class DatabaseSource(SourceRelation):
    """A dbt source whose rows are read from a database into the table that dbt reads.

    Attributes:
        connection: Name of the environment variable that holds the URL of the database.
        table: The table to read; "" for the query.
        query: The query to read; "" for the table.
        increasing: A column that only grows, so that only newer rows are read; "" to read all.
        types: DuckDB type for single columns.
    """

    connection: str
    table: str = ""
    query: str = ""
    increasing: str = ""
    types: Mapping[str, str] = field(default_factory=dict)


def _variable(value: object) -> str | None:
    if isinstance(value, str) and _VARIABLE.fullmatch(value):
        return None
    return (
        "the name of an environment variable, such as SHOP_DATABASE_URL, which holds the URL of "
        "the database"
    )


def _text(value: object) -> str | None:
    return None if isinstance(value, str) and value.strip() else "a text that is not empty"


def _query(value: object) -> str | None:
    if not isinstance(value, str):
        return "a SELECT"
    try:
        checked_query(value)
    except InputError:
        return "a query that begins with SELECT or WITH"
    return None


def _types(value: object) -> str | None:
    if isinstance(value, Mapping) and all(
        isinstance(part, str) and part.strip() for pair in value.items() for part in pair
    ):
        return None
    return _TYPE


ALLOWED_INGEST: Final[Mapping[str, Callable[[object], str | None]]] = {
    "connection": _variable,
    "table": _text,
    "query": _query,
    "increasing": _text,
    "types": _types,
}
"""The keys of `meta.ingest`, each with a check that says what is expected of a bad value."""


@dataclass(frozen=True)
class ProjectSources:
    """The sources of a dbt project that are read from databases.

    Attributes:
        sources: Those that are valid, by unique id.
        errors: What is wrong with others; a MartConfigError at the most.
    """

    sources: tuple[DatabaseSource, ...]
    errors: tuple[MdsTableauError, ...] = ()


def database_sources(manifest: Manifest) -> ProjectSources:
    """Return the sources that are read from databases, and what is wrong with them.

    What stands at the source holds for each of its tables that does not say otherwise; `false` at a
    table leaves it out. The error names every problem with its file: some `meta.ingest` is not
    valid, or the table it names is made by somebody else too.
    """
    tables = [table for table in manifest.source_tables() if _is_asked(table)]
    told = {table.unique_id: list(_problems(table)) for table in tables}
    found = [_source(table) for table in tables if not told[table.unique_id]]
    problems = [problem for of_table in told.values() for problem in of_table]
    problems += _made_twice(found, manifest)
    if not problems:
        return ProjectSources(tuple(found))
    lines = "".join(f"\n- {problem}" for problem in problems)
    error = MartConfigError(f"Sources of the dbt project cannot be ingested as they are:{lines}")
    return ProjectSources(tuple(found), (error,))


def _given(table: SourceTable) -> object:
    """Return what is said of a table, on top of what is said of its source."""
    own, common = table.meta.get("ingest"), table.source_meta.get("ingest")
    if isinstance(own, Mapping) and isinstance(common, Mapping):
        return {**common, **own}
    return own


def _is_asked(table: SourceTable) -> bool:
    return _given(table) is not None and _given(table) is not False


def _source(table: SourceTable) -> DatabaseSource:
    given: Any = _given(table)
    plain = _PLAIN.fullmatch(table.identifier)
    own_name = table.identifier if plain else quote_identifier(table.identifier)
    return DatabaseSource(
        unique_id=table.unique_id,
        name=table.name,
        file=table.file,
        database=table.database,
        schema=table.schema,
        identifier=table.identifier,
        connection=given["connection"],
        table="" if "query" in given else given.get("table", own_name),
        query=given.get("query", ""),
        increasing=given.get("increasing", ""),
        types=dict(given.get("types", {})),
    )


def _problems(table: SourceTable) -> Iterator[str]:
    given = _given(table)
    where = f"the dbt source '{table.name}' ({table.file})"
    allowed = ", ".join(ALLOWED_INGEST)
    if not isinstance(given, Mapping):
        yield f"meta.ingest of {where} is {given!r}. It must be false, or a mapping of {allowed}."
        return
    for key, value in given.items():
        check = ALLOWED_INGEST.get(key)
        if check is None:
            near = get_close_matches(str(key), ALLOWED_INGEST, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            yield f"Unknown key '{key}' under meta.ingest of {where}. Allowed: {allowed}.{hint}"
        elif expected := check(value):
            yield f"meta.ingest.{key} of {where} {_seen(key, value)}. It must be {expected}."
    if "connection" not in given:
        yield (
            f"meta.ingest of {where} has no connection. Give {_variable(None)}: "
            "connection: SHOP_DATABASE_URL."
        )
    if "table" in given and "query" in given:
        yield f"meta.ingest of {where} has a table and a query. Remove one of them."
    if "query" in given and "increasing" in given:
        yield (
            f"meta.ingest.increasing of {where} stands beside a query. Only of a table newer rows "
            "can be read alone: name a table or a view of the database, or remove increasing."
        )
    if table.is_file:
        yield (
            f"{where} has meta.ingest and an external_location, so that dbt reads the file. Remove "
            "one of them."
        )


def _seen(key: str, value: object) -> str:
    # somebody may have put the URL there, with a password in it
    if key == "connection" and isinstance(value, str):
        return "is not shown here, as it may hold a password"
    return f"is {value!r}"


def _made_twice(sources: Sequence[DatabaseSource], manifest: Manifest) -> Iterator[str]:
    made = {mart.relation.casefold(): mart.file for mart in manifest.marts.values()}
    for source in sources:
        parts = (source.database, source.schema, source.identifier)
        relation = ".".join(map(quote_identifier, parts))
        other = made.setdefault(relation.casefold(), f"'{source.name}' ({source.file})")
        if other != f"'{source.name}' ({source.file})":
            yield (
                f"The dbt source '{source.name}' ({source.file}) would be read into {relation}, "
                f"which {other} makes too. Give the source another schema or identifier."
            )
