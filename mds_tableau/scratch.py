"""Gives a DuckDB in memory, opened once, to look into files with.

Opening one takes longer than most of what is asked of it. Nothing is kept in it; the warehouse and
what is loaded into a database belong elsewhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import duckdb

from mds_tableau.columns import quote_text


@cache
def _database() -> duckdb.DuckDBPyConnection:
    database = duckdb.connect()
    # Parquet of other engines may hold moments that DuckDB shows by the clock of a zone
    database.execute("SET GLOBAL TimeZone = 'UTC'")
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
    _database().execute(f"SET GLOBAL memory_limit = {quote_text(limit)}")
