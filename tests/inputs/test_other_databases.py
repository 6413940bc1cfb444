"""Reading what SQLAlchemy reaches: a real PostgreSQL and SQLite by their usual Python drivers."""

import datetime as dt
import decimal
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from mds_tableau.errors import DatabaseUnreachable, InputError
from mds_tableau.inputs import arrow_values
from mds_tableau.inputs.database_reader import DatabaseInput
from mds_tableau.inputs.databases import load_database, tables_of
from tests.postgres_server import fresh_database, run_sql

VALUES = {
    "a": ("bigint", "9223372036854775807", "BIGINT"),
    "b": ("numeric(20,3)", "-12345678901234567.891", "DECIMAL(20,3)"),
    "c": ("text", "'ä %s %(x)s'", "VARCHAR"),
    "d": ("date", "'0001-01-01'", "DATE"),
    "e": ("timestamp", "'9999-12-31 23:59:59.999999'", "TIMESTAMP"),
    "f": ("timestamptz", "'2024-03-31 02:30+05:45'", "TIMESTAMP WITH TIME ZONE"),
    "g": ("time", "'23:59:59.999999'", "TIME"),
    "h": ("double precision", "0.1", "DOUBLE"),
    "i": ("boolean", "true", "BOOLEAN"),
    "j": ("bytea", r"'\x00ff'", "BLOB"),
    "k": ("uuid", "'12345678-1234-1234-1234-123456789abc'", "UUID"),
    "l": ("interval", "'1 day 02:00'", "INTERVAL"),
}


@pytest.fixture(scope="module")
def url(postgres: str) -> str:
    """URL of a database, read through SQLAlchemy as it names a driver."""
    made = fresh_database(postgres, "other")
    run_sql(
        made,
        f"CREATE TABLE kinds ({', '.join(f'{n} {v[0]}' for n, v in VALUES.items())})",
        f"INSERT INTO kinds VALUES ({', '.join(v[1] for v in VALUES.values())})",
        "INSERT INTO kinds DEFAULT VALUES",
        """CREATE TABLE texts AS SELECT '{"b":1,  "a":[1.50]}'::json AS j, '{1,2}'::int[] AS
        l, '10.0.0.1'::inet AS i, 2.5::numeric AS n""",
    )
    return made.replace("://", "+psycopg://")


@pytest.mark.parametrize("given", [{"table": "kinds"}, {"query": "SELECT * FROM kinds"}])
def test_values_are_those_of_the_server(
    url: str, duck: duckdb.DuckDBPyConnection, given: dict[str, str]
) -> None:
    """The usual types arrive, from a table and from a query alike, each value as it was."""
    load_database(duck, DatabaseInput(url, **given), table="t")  # type: ignore[arg-type]
    described = {row[0]: row[1] for row in duck.execute("DESCRIBE t").fetchall()}
    with psycopg.connect(url.replace("+psycopg", "")) as server:
        wanted = server.execute("SELECT * FROM kinds ORDER BY ctid").fetchall()
    assert duck.execute("SELECT * FROM t ORDER BY rowid").fetchall() == wanted
    assert described == {name: value[2] for name, value in VALUES.items()}


def test_types_without_counterpart(url: str, duck: duckdb.DuckDBPyConnection) -> None:
    """What has no counterpart arrives as the server's text and is noted."""
    got = load_database(duck, DatabaseInput(url, table="texts"), table="t")
    row = duck.execute("SELECT * FROM t").fetchone()
    assert row == ('{"b":1,  "a":[1.50]}', "{1,2}", "10.0.0.1/32", decimal.Decimal("2.500000000"))
    assert [note.split("'")[1] for note in got.notes] == ["l", "i", "n"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"query": "SELECT nope"}, 'column "nope" does not exist'),
        ({"query": "DROP TABLE kinds"}, "begins with DROP"),
        ({"query": "SELECT '{1}'::int[] AS l"}, "column 'l' holds '[1]', which cannot be VARCHAR"),
        ({"table": "kind"}, "Did you mean kinds?"),
        ({"query": "SELECT 'infinity'::date AS d"}, "too large"),
        ({"table": "kinds", "types": {"h": "BIGINT"}}, "column 'h' (DOUBLE PRECISION) holds 0.1"),
    ],
)
def test_what_is_refused(
    url: str, duck: duckdb.DuckDBPyConnection, given: dict[str, Any], said: str
) -> None:
    """What cannot be read says why, and leaves no table."""
    with pytest.raises(InputError) as error:
        load_database(duck, DatabaseInput(url, **given), table="t")
    assert said in str(error.value)
    assert duck.execute("SHOW TABLES").fetchall() == []


def test_tables_that_there_are(url: str) -> None:
    """Tables are listed, those of the search path by their name alone."""
    assert {"kinds", "texts"} <= set(tables_of(url))


def test_connection_lost_in_the_middle(
    url: str, postgres: str, duck: duckdb.DuckDBPyConnection
) -> None:
    """A connection that ends after some rows leaves no table, and may be tried again."""

    def end(_: str, rows: int, __: int | None) -> None:
        run_sql(
            postgres,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'FETCH%'",
        )

    secret = url.replace("postgres@", "postgres:hunter2@")
    given = DatabaseInput(secret, query="SELECT i FROM generate_series(1, 400000) i")
    with pytest.raises(DatabaseUnreachable, match="was lost") as error:
        load_database(duck, given, table="t", progress=end)
    assert "hunter2" not in str(error.value)
    assert duck.execute("SHOW TABLES").fetchall() == []


def test_sqlite_by_its_python_driver(tmp_path: Path, duck: duckdb.DuckDBPyConnection) -> None:
    """A URL that names a driver is read through SQLAlchemy, whatever the database."""
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (id INTEGER, day DATE)")
        connection.execute("INSERT INTO t VALUES (1, '2024-02-29'), (NULL, NULL)")
    load_database(duck, DatabaseInput(f"sqlite+pysqlite:///{path}", table="t"), table="t")
    assert duck.execute("SELECT * FROM t").fetchall() == [(1, dt.date(2024, 2, 29)), (None, None)]


@pytest.mark.parametrize(
    ("url", "kind", "said"),
    [
        ("nosuch://ann:hunter2@host/db", InputError, 'pip install -c constraints.txt -e ".[sql]"'),
        ("mysql+pymysql://ann:hunter2@host/db", InputError, "pymysql"),
        ("postgresql+psycopg://ann:hunter2@127.0.0.1:1/db", DatabaseUnreachable, "refused"),
    ],
)
def test_database_that_cannot_be_reached(
    duck: duckdb.DuckDBPyConnection, url: str, kind: type[Exception], said: str
) -> None:
    """A missing driver and a silent server are told with what to do, and no password."""
    with pytest.raises(kind) as error:
        load_database(duck, DatabaseInput(url, table="t"), table="t")
    assert said in str(error.value)
    assert "hunter2" not in str(error.value)
    assert "ann:" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (arrow_values.BOOLEAN, True, 1),
        (arrow_values.BIGINT, 2**63 - 1, 2**63),
        (arrow_values.BIGINT, 0, 1.0),
        (arrow_values.UBIGINT, 2**64 - 1, -1),
        (arrow_values.DOUBLE, 2**53, 2**53 + 1),
        (arrow_values.decimal(5, 2), decimal.Decimal("999.99"), decimal.Decimal("0.001")),
        (arrow_values.decimal(5, 2), decimal.Decimal("1.5000"), decimal.Decimal("NaN")),
        (arrow_values.DATE, dt.date(1, 1, 1), dt.datetime(2024, 1, 1, 12)),
        (arrow_values.TIME, dt.timedelta(hours=23), dt.timedelta(hours=25)),
        (
            arrow_values.TIMESTAMP,
            dt.datetime(2024, 1, 1),
            dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc),
        ),
        (
            arrow_values.TIMESTAMPTZ,
            dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc),
            dt.datetime(2024, 1, 1),
        ),
        (arrow_values.TEXT, "x", b"x"),
        (arrow_values.TEXT, "x", "\ud800"),
        (arrow_values.BLOB, memoryview(b"x"), "x"),
        (arrow_values.UUID, uuid.UUID(int=1), "x"),
        (arrow_values.NUMBER_TEXT, decimal.Decimal("1E+3"), 1.5),
    ],
)
def test_values_that_arrow_would_change(kind: arrow_values.Kind, good: Any, bad: Any) -> None:
    """A value that is not quite of its kind is found, and not cut to it."""
    assert arrow_values.array([None, good], kind).null_count == 1
    with pytest.raises(arrow_values.MisfitError) as error:
        arrow_values.array([None, good, bad, bad], kind)
    assert error.value.position == 2


def test_rows_after_the_first(
    url: str, duck: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column that holds nothing in the first rows of a query is text, and says so."""
    query = "SELECT CASE WHEN i > 1000 THEN 'x' END AS late, i FROM generate_series(1, 1500) i"
    got = load_database(duck, DatabaseInput(url, query=query), table="t")
    assert duck.execute("SELECT count(late), sum(i) FROM t").fetchone() == (500, 1125750)
    assert got.notes[0].startswith("Column 'late' is NULL in the first rows of the query")
    late = query.replace("'x'", "1")
    with pytest.raises(InputError, match=r"Row 1,001 of query .* column 'late' holds '1'"):
        load_database(duck, DatabaseInput(url, query=late), table="t")
