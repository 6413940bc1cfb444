"""Gives a DuckDB in memory, opened once, to look into files with.

Opening one takes longer than most of what is asked of it. Nothing is kept in it; the warehouse and
what is loaded into a database belong elsewhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

import duckdb

from mds_tableau.columns import quote_text

# Parquet of other engines may hold moments that DuckDB shows by the clock of a zone
_SETTINGS: Final = {"TimeZone": "UTC"}
"""What each database is opened with, also one that takes the place of a broken one."""


@cache
def _database() -> duckdb.DuckDBPyConnection:
    database = duckdb.connect()
    for name, value in _SETTINGS.items():
        _set(database, name, value)
    return database


@contextmanager
def scratch() -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a connection to a database in memory, in UTC, that nothing is kept in."""
    try:
        with _database().cursor() as connection:
            yield connection
    except duckdb.Error:
        # an internal error of DuckDB leaves a database that answers no more
        _database.cache_clear()
        raise


def limit_memory(limit: str) -> None:
    """Have what is asked in scratch databases take no more than a `memory_limit` of DuckDB says."""
    _set(_database(), "memory_limit", limit)
    _SETTINGS["memory_limit"] = limit


def _set(database: duckdb.DuckDBPyConnection, name: str, value: str) -> None:
    database.execute(f"SET GLOBAL {name} = {quote_text(value)}")
