from collections.abc import Iterator

import duckdb
import pytest

from mds_tableau.scratch import limit_memory, scratch


def seen(name: str) -> str:
    """What the database that is asked now has for a setting."""
    with scratch() as connection:
        row = connection.execute(f"SELECT current_setting('{name}')").fetchone()
    assert row is not None
    return str(row[0])


@pytest.fixture
def limit() -> Iterator[str]:
    """A limit of memory as DuckDB shows it, which other tests do not keep."""
    before = seen("memory_limit")
    limit_memory("512 MiB")
    yield "512.0 MiB"
    limit_memory(before)


def test_a_database_that_takes_the_place_of_a_broken_one_has_its_limit(limit: str) -> None:
    """After an error nothing is asked of the same database any more, and the next is no larger."""
    assert seen("memory_limit") == limit
    with scratch() as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1").fetchall()
    with pytest.raises(duckdb.ConversionException), scratch() as connection:
        connection.execute("SELECT CAST('x' AS INTEGER)").fetchall()
    with scratch() as connection:
        assert connection.execute("SHOW TABLES").fetchall() == []
    assert (seen("memory_limit"), seen("TimeZone")) == (limit, "UTC")


def test_a_limit_that_is_none_changes_nothing(limit: str) -> None:
    """DuckDB says so at once, and the databases that come after it can be opened."""
    with pytest.raises(duckdb.Error):
        limit_memory("a lot")
    with pytest.raises(duckdb.ConversionException), scratch() as connection:
        connection.execute("SELECT CAST('x' AS INTEGER)").fetchall()
    assert seen("memory_limit") == limit
