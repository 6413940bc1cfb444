"""Reading PostgreSQL: names, queries, snapshots, lost connections, and what is said of them."""

import threading
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import psycopg
import pytest

from mds_tableau.errors import DatabaseUnreachable, InputError
from mds_tableau.inputs.database_reader import DatabaseInput
from mds_tableau.inputs.databases import load_database, tables_of
from tests.postgres_server import fresh_database, run_sql


@pytest.fixture(scope="module")
def shop_database(postgres: str) -> str:
    """A database with a few tables in two schemas; nothing that is asked of it changes it."""
    url = fresh_database(postgres, "shop")
    run_sql(
        url,
        "CREATE SCHEMA shop",
        "CREATE SCHEMA old",
        'CREATE TABLE shop.orders (id int, "Net" numeric(10,2), "a.b" text)',
        "INSERT INTO shop.orders VALUES (1, 9.99, 'x'), (2, NULL, NULL)",
        "CREATE TABLE old.orders AS SELECT 0 AS id",
        "CREATE TABLE old.items (id int)",
        'CREATE TABLE shop."Odd.Name" AS SELECT 7 AS n',
        'CREATE VIEW shop.totals AS SELECT sum("Net") AS total FROM shop.orders',
        "CREATE SEQUENCE shop.numbers",
    )
    return url


@pytest.fixture
def shop(shop_database: str) -> str:
    """The same with one of the schemas on the search path."""
    return f"{shop_database}?options=-csearch_path%3Dshop"


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("orders", (1,)),
        ("ORDERS", (1,)),
        ("old.orders", (0,)),
        ('"old"."orders"', (0,)),
        ('"Odd.Name"', (7,)),
        ("shop.totals", ("9.99",)),
    ],
)
def test_table_by_name(
    shop: str, duck: duckdb.DuckDBPyConnection, asked: str, first: tuple[object]
) -> None:
    """A table is found with and without schema, in any case, and as the search path has it."""
    got = load_database(duck, DatabaseInput(shop, table=asked), table="t")
    row = duck.execute(f"SELECT * FROM {got.relation} LIMIT 1").fetchone()
    assert row is not None
    assert str(row[0]).rstrip("0") == str(first[0]).rstrip("0")


def test_columns_in_order_and_origin(shop: str, duck: duckdb.DuckDBPyConnection) -> None:
    """Columns keep their names and order, and the origin names table and server but no user."""
    steps: list[tuple[str, int, int | None]] = []
    got = load_database(
        duck,
        DatabaseInput(shop, table="orders"),
        table='a "table"',
        progress=lambda *step: steps.append(step),
    )
    described = duck.execute(f"DESCRIBE {got.relation}").fetchall()
    assert [row[0] for row in described] == ["id", "Net", "a.b"]
    assert got.relation == '"a ""table"""'
    assert got.origin.startswith("table orders of shop at 127.0.0.1:")
    assert got.notes == ()
    assert steps == [(f"Reading {got.origin}", 2, None)]


def test_table_that_is_not_there(shop: str, duck: duckdb.DuckDBPyConnection) -> None:
    """A wrong name is answered by near ones and by what there is."""
    with pytest.raises(InputError, match=r"no table order\. Did you mean orders") as error:
        load_database(duck, DatabaseInput(shop, table="order"), table="t")
    assert 'There are: "Odd.Name", old.items, old.orders, orders, totals' in str(error.value)


def test_name_in_several_schemas(shop_database: str, duck: duckdb.DuckDBPyConnection) -> None:
    """A name that the search path does not settle has to be given with its schema."""
    with pytest.raises(InputError, match=r'"old"\."orders", "shop"\."orders"\. Name one fully'):
        load_database(duck, DatabaseInput(shop_database, table="orders"), table="t")


def test_tables_that_there_are(shop: str) -> None:
    """Tables and views are listed as they may be asked for."""
    assert tables_of(shop) == ['"Odd.Name"', "old.items", "old.orders", "orders", "totals"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("DELETE FROM orders", "has to begin with SELECT or WITH"),
        ("-- SELECT\n DROP TABLE orders", "begins with DROP"),
        ("WITH d AS (DELETE FROM orders RETURNING id) SELECT * FROM d", "must be at the top level"),
        ("SELECT 1; DROP TABLE orders", "cannot insert multiple commands"),
        ("SELECT 1) AS q(c1); DROP TABLE orders; --", "syntax error"),
        ("SELECT nextval('numbers')", "read-only transaction"),
        ("SELECT nope FROM orders", 'column "nope" does not exist'),
        ("SELECT 1 / (id - 2) FROM orders", "division by zero"),
        ("SELECT 1 AS a, 2 AS A", "'a' and 'a', which are one name"),
        ("SELECT", "has no columns"),
    ],
)
def test_query_that_is_refused(
    shop: str, duck: duckdb.DuckDBPyConnection, query: str, said: str
) -> None:
    """A query that writes, or that the server refuses, says why and leaves everything as it was."""
    duck.execute("CREATE TABLE t AS SELECT 'kept' AS was")
    with pytest.raises(InputError) as error:
        load_database(duck, DatabaseInput(shop, query=query), table="t")
    assert said in str(error.value)
    assert "Query was" not in str(error.value)
    assert duck.execute("SELECT was FROM t").fetchall() == [("kept",)]
    with psycopg.connect(shop) as server:
        assert server.execute("SELECT count(*) FROM orders").fetchone() == (2,)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id FROM orders ORDER BY id ; ",
        "WITH o AS (SELECT id FROM orders) SELECT * FROM o ORDER BY 1 -- and a comment",
        "/* first */ (SELECT id FROM orders ORDER BY id)",
    ],
)
def test_query(shop: str, duck: duckdb.DuckDBPyConnection, query: str) -> None:
    """A query that reads may be ended, commented, parenthesized and ordered."""
    load_database(duck, DatabaseInput(shop, query=query), table="t")
    assert duck.execute("SELECT * FROM t").fetchall() == [(1,), (2,)]


def test_no_rows(shop: str, duck: duckdb.DuckDBPyConnection) -> None:
    """A table without rows becomes one, with its columns and types."""
    load_database(duck, DatabaseInput(shop, table="items"), table="t")
    assert [row[:2] for row in duck.execute("DESCRIBE t").fetchall()] == [("id", "INTEGER")]


def test_asked_types_are_checked(shop: str, duck: duckdb.DuckDBPyConnection) -> None:
    """Types for columns that are not there, and types that are none, are all named."""
    given = DatabaseInput(
        shop, table="orders", types={"nett": "DOUBLE", "id": "whole", "Net": "decimal"}
    )
    with pytest.raises(InputError) as error:
        load_database(duck, given, table="t")
    assert "column 'nett', which is not there. Did you mean 'Net'?" in str(error.value)
    assert "'whole', asked for column 'id', is no type" in str(error.value)
    assert "'decimal', asked for column 'Net', is no type" in str(error.value)


@pytest.fixture(scope="module")
def million(postgres: str) -> str:
    """A database with a table of a million rows."""
    url = fresh_database(postgres, "million")
    run_sql(
        url,
        "CREATE TABLE million AS SELECT i AS id, (i / 100.0)::numeric(12,2) AS net, "
        "'order ' || i AS name, DATE '2020-01-01' + i % 1000 AS day, "
        "TIMESTAMPTZ '2024-01-01' + i * INTERVAL '1 s' AS moment "
        "FROM generate_series(1, 1000000) i",
    )
    return url


def test_million_rows(million: str, tmp_path: Path) -> None:
    """A million rows arrive, each with its values, in a database on disk."""
    with duckdb.connect(str(tmp_path / "w.duckdb"), config={"memory_limit": "200MB"}) as duck:
        load_database(duck, DatabaseInput(million, table="million"), table="t")
        figures = "count(*), sum(id), sum(net), sum(length(name))"
        [[*got, days, seconds]] = duck.execute(
            f"SELECT {figures}, sum(date_diff('day', DATE '1970-01-01', day)), "
            "sum(epoch_us(moment)) // 1000000 FROM t"
        ).fetchall()
    with psycopg.connect(million) as server:
        wanted = server.execute(
            f"SELECT {figures}, sum(day - DATE '1970-01-01'), "
            "sum(extract(epoch FROM moment))::bigint "
            "FROM million".encode()
        ).fetchone()
    assert (*got, days, seconds) == wanted


def test_connection_lost_in_the_middle(million: str, duck: duckdb.DuckDBPyConnection) -> None:
    """A connection that ends after some rows leaves what was before, and may be tried again."""
    duck.execute("CREATE TABLE t AS SELECT 'kept' AS was")
    ended = threading.Event()

    def end(_: str, rows: int, __: int | None) -> None:
        assert rows < 5_000_000
        if not ended.is_set():
            run_sql(
                million,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY %'",
            )
            ended.set()

    query = "SELECT m.* FROM million AS m, generate_series(1, 5)"
    secret = million.replace("postgres@", "postgres:hunter2@")
    with pytest.raises(DatabaseUnreachable, match="was lost") as error:
        load_database(duck, DatabaseInput(secret, query=query), table="t", progress=end)
    assert ended.is_set()
    assert "run again" in str(error.value)
    assert "hunter2" not in str(error.value)
    assert duck.execute("SHOW TABLES").fetchall() == [("t",)]
    assert duck.execute("SELECT was FROM t").fetchall() == [("kept",)]


def test_server_refuses_in_the_middle(million: str, duck: duckdb.DuckDBPyConnection) -> None:
    """A query that fails after many rows fails the load, which does not try again by itself."""
    given = DatabaseInput(million, query="SELECT 1 / (999999 - id) AS x FROM million")
    with pytest.raises(InputError, match="refuses: division by zero"):
        load_database(duck, given, table="t")
    assert duck.execute("SHOW TABLES").fetchall() == []


def test_one_moment(million: str, duck: duckdb.DuckDBPyConnection) -> None:
    """Rows that somebody adds while others are read do not come along."""
    run_sql(million, "CREATE TABLE growing AS SELECT id, name FROM million")

    def add(_: str, rows: int, __: int | None) -> None:
        run_sql(million, "INSERT INTO growing VALUES (0, 'late')")

    load_database(duck, DatabaseInput(million, table="growing"), table="t", progress=add)
    assert duck.execute("SELECT count(*), min(id) FROM t").fetchone() == (1_000_000, 1)


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (("127.0.0.1:{port}", "127.0.0.1:1"), DatabaseUnreachable, "Connection refused"),
        ((":{port}/postgres", ":{port}/nowhere"), InputError, 'database "nowhere" does not exist'),
        (("postgres:hunter2", "ann:hunter2"), InputError, 'role "ann" does not exist'),
        (("hunter2", "hunt%zz2hunter2"), InputError, "percent-encoded"),
    ],
)
def test_server_that_cannot_be_reached(
    postgres: str,
    duck: duckdb.DuckDBPyConnection,
    change: tuple[str, str],
    kind: type[Exception],
    said: str,
) -> None:
    """What stands in the way is said without the password."""
    port = str(urlsplit(postgres).port)
    url = postgres.replace("postgres@", "postgres:hunter2@")
    old, new = (text.replace("{port}", port) for text in change)
    url = url.replace(old, new)
    with pytest.raises(kind) as error:
        load_database(duck, DatabaseInput(url, table="orders"), table="t")
    assert said in str(error.value)
    assert "hunter2" not in str(error.value)
    assert "hunter2" not in repr(error.value.__cause__)


def test_password_of_the_environment(
    postgres: str, duck: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password in PGPASSWORD opens what asks for one, and none does not."""
    run_sql(
        postgres,
        "DROP ROLE IF EXISTS guarded",
        "CREATE ROLE guarded LOGIN PASSWORD 'let me in'",
    )
    with psycopg.connect(postgres) as server:
        [rules] = server.execute("SHOW hba_file").fetchone() or [""]
    path = Path(str(rules))
    before = path.read_text()
    path.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{before}")
    try:
        run_sql(postgres, "SELECT pg_reload_conf()")
        given = DatabaseInput(postgres.replace("postgres@", "guarded@"), query="SELECT 1 AS x")
        with pytest.raises(InputError, match="no password supplied"):
            load_database(duck, given, table="t")
        monkeypatch.setenv("PGPASSWORD", "let me out")
        with pytest.raises(InputError, match="password authentication failed") as error:
            load_database(duck, given, table="t")
        assert "let me out" not in str(error.value)
        monkeypatch.setenv("PGPASSWORD", "let me in")
        load_database(duck, given, table="t")
        assert duck.execute("SELECT x FROM t").fetchall() == [(1,)]
    finally:
        path.write_text(before)
        run_sql(postgres, "SELECT pg_reload_conf()")
