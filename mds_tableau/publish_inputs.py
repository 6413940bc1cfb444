"""What the `publish` command reads, by its options: files, or a table or query of a database.

Reading belongs to `inputs`; a URL with a password is never an option.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any, Final

import click

from mds_tableau.columns import counted
from mds_tableau.errors import UsageError
from mds_tableau.inputs import Loaded, Progress
from mds_tableau.inputs.database_reader import DatabaseInput
from mds_tableau.inputs.database_url import FromVariable, holds_secret, is_url
from mds_tableau.inputs.databases import is_database_file, load_database, tables_of
from mds_tableau.inputs.files import CsvOptions, FileInput, load_files
from mds_tableau.orders import Load
from mds_tableau.settings import variable

_TABLES_SHOWN: Final = 20
"""Tables of a database that are listed, where none was named."""


def load_of(given: Mapping[str, Any], table: str) -> Load:
    """Return what reads the input: a database where a table or query of one is asked for.

    Raises:
        UsageError: The options do not go together, or name what is not there.
        DatabaseUnreachable: A database was named without a table, and cannot be asked for some.
    """
    places: tuple[str, ...] = given["places"]
    query = given["query"] or ""
    if not (table or query):
        for place in places:
            _refuse_whole_database(place, given["kind"] or "")
        return partial(_load_files, _files(given))
    if len(places) > 1:
        raise click.UsageError("--table, --tables and --query are for one --input.")
    wanted = DatabaseInput(_url(places[0]), table=table, query=query, types=given["types"])
    return partial(_load_database, wanted)


def _url(place: str) -> str:
    """Return the URL or the file of a database that was named, perhaps by a variable."""
    if place.startswith("env:"):
        url = variable(place.removeprefix("env:"))
        if not url:
            raise UsageError(f"--input {place}: there is no such environment variable.")
        return FromVariable(url, place.removeprefix("env:"))
    if holds_secret(place):
        raise UsageError(
            "--input holds a password, which others can see on the command line. Put the URL "
            "into an environment variable and name that: --input env:NAME. For PostgreSQL, "
            "PGPASSWORD or a .pgpass file does, too."
        )
    return place


def _refuse_whole_database(place: str, kind: str) -> None:
    """Raise an error where a database is named, and not what to read of it."""
    is_named = place.startswith("env:") or is_url(place)
    if not is_named and (kind or not is_database_file(Path(place))):
        return
    tables = tables_of(_url(place))
    if not tables:
        raise UsageError(f"--input {place} is a database without a table that you may see.")
    more = f" and {len(tables) - _TABLES_SHOWN:,} more" if len(tables) > _TABLES_SHOWN else ""
    listed = "\n".join(f"- {table}" for table in tables[:_TABLES_SHOWN])
    raise UsageError(
        f"--input {place} is a database. Say what to read of it: --table {quote(tables[0])}, or "
        f"--query with a SELECT, or several with --tables. It has {counted(len(tables), 'table')}:"
        f"\n{listed}{more}"
    )


def _load_files(wanted: FileInput, connection: Any, progress: Progress) -> Loaded:
    return load_files(connection, wanted, table="input", progress=progress)


def _load_database(wanted: DatabaseInput, connection: Any, progress: Progress) -> Loaded:
    return load_database(connection, wanted, table="input", progress=progress)


def _files(given: Mapping[str, Any]) -> FileInput:
    return FileInput(
        given["places"],
        format=given["kind"] or "",
        csv=CsvOptions(
            delimiter=given["delimiter"],
            quote=given["quote"],
            encoding=given["encoding"],
            header=given["header"],
            decimal=given["decimal"],
            thousands=given["thousands"],
            date_format=given["date_format"],
            timestamp_format=given["timestamp_format"],
            nulls=given["nulls"],
            skip=given["skip"],
        ),
        types=given["types"],
        sheet=given["sheet"] or "",
    )
