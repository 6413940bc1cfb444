"""Reading tables of databases into the warehouse: whole, by what is new, and after a failure.

The warehouse is looked at with a connection of the test's own.
"""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mds_tableau.database_sources import DatabaseSource
from mds_tableau.errors import DatabaseUnreachable, InputError
from mds_tableau.ingest import Ingested, ingest
from mds_tableau.inputs.databases import watermark
from tests.postgres_server import fresh_database, run_sql

ORDERS = DatabaseSource(
    unique_id="source.p.shop.orders",
    name="shop.orders",
    file="models/sources.yml",
    database="warehouse",
    schema="shop",
    identifier="orders",
    connection="SHOP_DATABASE_URL",
    table="orders",
)
GROWING = replace(ORDERS, increasing="order_id")


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    """Where the warehouse is going to be."""
    return tmp_path / "warehouse.duckdb"


@pytest.fixture(scope="module")
def server(postgres: str) -> str:
    """A database of this module's own."""
    return fresh_database(postgres, "ingest")


@pytest.fixture
def shop(server: str) -> str:
    """The same with a table of three orders."""
    run_sql(
        server,
        "DROP TABLE IF EXISTS orders CASCADE",
        "CREATE TABLE orders (order_id int, net numeric(10,2), at timestamptz)",
        "INSERT INTO orders SELECT n, n + 0.25, timestamptz '2026-01-01' + n * interval '1 day' "
        "FROM generate_series(1, 3) AS n",
    )
    return server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A SQLite file with the same."""
    path = tmp_path / "shop.sqlite"
    run_sqlite(
        path,
        "CREATE TABLE orders (order_id INTEGER, net DECIMAL(10,2), note TEXT)",
        "INSERT INTO orders VALUES (1, 1.25, 'a'), (2, 2.25, NULL), (3, 3.25, 'c')",
    )
    return path


def run_sqlite(path: Path, *statements: str) -> None:
    """Run statements on a SQLite file."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def rows(warehouse: Path, sql: str = "FROM shop.orders ORDER BY ALL") -> list[Any]:
    """Return rows of the warehouse."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def tables(warehouse: Path) -> list[str]:
    """Return the tables of the warehouse."""
    return [row[0] for row in rows(warehouse, "SELECT table_name FROM duckdb_tables() ORDER BY 1")]


def ids(warehouse: Path) -> list[int]:
    """Return the order ids in the warehouse, in order."""
    return [row[0] for row in rows(warehouse, "SELECT order_id FROM shop.orders ORDER BY 1")]


def test_full_refresh(shop: str, warehouse: Path) -> None:
    """All rows replace what was there; the version says whether the content differs."""
    first = ingest(warehouse, ORDERS, shop)
    assert (first.mode, first.rows_read, first.rows, first.high) == ("full", 3, 3, "")
    assert first.columns == (
        ("order_id", "INTEGER"),
        ("net", "DECIMAL(10,2)"),
        ("at", "TIMESTAMP WITH TIME ZONE"),
    )
    assert ids(warehouse) == [1, 2, 3]
    again = ingest(warehouse, ORDERS, shop)
    assert again.version == first.version
    run_sql(
        shop,
        "UPDATE orders SET net = 9 WHERE order_id = 2",
        "DELETE FROM orders WHERE order_id = 1",
    )
    changed = ingest(warehouse, ORDERS, shop)
    assert changed.version != first.version
    assert [(row[0], str(row[1])) for row in rows(warehouse)] == [(2, "9.00"), (3, "3.25")]
    assert tables(warehouse) == ["orders"]


def test_query(shop: str, warehouse: Path) -> None:
    """A query is read as a table is, with the types that are asked for."""
    query = "SELECT order_id, net::text AS net FROM orders WHERE order_id > 1"
    source = replace(ORDERS, table="", query=query, types={"net": "DECIMAL(8,3)"})
    done = ingest(warehouse, source, shop)
    assert done.columns == (("order_id", "INTEGER"), ("net", "DECIMAL(8,3)"))
    assert ids(warehouse) == [2, 3]


@pytest.mark.parametrize("kind", ["postgres", "sqlite", "duckdb", "sqlalchemy"])
def test_only_newer_rows_are_read(
    kind: str, shop: str, file: Path, warehouse: Path, tmp_path: Path
) -> None:
    """Rows from the largest value on are read, and take the place of those of that value."""
    duck = tmp_path / "shop.duckdb"

    def run(sql: str) -> None:
        if kind == "postgres":
            run_sql(shop, sql)
        elif kind == "duckdb":
            with duckdb.connect(str(duck)) as connection:
                connection.execute(sql)
        else:
            run_sqlite(file, sql)

    url = {
        "postgres": shop,
        "sqlite": str(file),
        "duckdb": str(duck),
        "sqlalchemy": f"sqlite+pysqlite:///{file}",
    }[kind]
    if kind == "duckdb":
        run("CREATE TABLE orders AS SELECT i AS order_id, i + 0.25 AS net FROM range(1, 4) AS r(i)")
    first = ingest(warehouse, GROWING, url)
    assert (first.mode, first.rows_read, first.high) == ("full", 3, "3")
    same = ingest(warehouse, GROWING, url)
    assert (same.mode, same.rows_read, same.rows, same.version) == (
        "increasing",
        1,
        3,
        first.version,
    )

    run("UPDATE orders SET net = 33 WHERE order_id = 3")
    run("INSERT INTO orders (order_id, net) VALUES (5, 5.25), (4, 4.25), (5, 5.5)")
    newer = ingest(warehouse, GROWING, url)
    assert (newer.mode, newer.rows_read, newer.rows, newer.high) == ("increasing", 4, 6, "5")
    assert newer.version != first.version
    whole = ingest(warehouse, GROWING, url, again=True)
    assert (whole.mode, whole.rows_read, whole.version) == ("full", 6, newer.version)
    found = rows(warehouse, "SELECT order_id, CAST(net AS DOUBLE) FROM shop.orders ORDER BY ALL")
    assert found == [(1, 1.25), (2, 2.25), (3, 33), (4, 4.25), (5, 5.25), (5, 5.5)]
    assert tables(warehouse) == ["orders"]
    assert watermark(url, "orders", "order_id").high == "5"
    assert watermark(url, "orders").rows == 6


@pytest.mark.parametrize("column", ["at", "net"])
def test_moments_and_decimals_of_postgres(column: str, shop: str, warehouse: Path) -> None:
    """They may be increasing as well, and are told in UTC."""
    source = replace(ORDERS, increasing=column)
    ingest(warehouse, source, shop)
    run_sql(shop, "INSERT INTO orders VALUES (4, 4.25, '2026-01-05 00:00:00.000001+00')")
    newer = ingest(warehouse, source, shop)
    assert (newer.mode, newer.rows_read, newer.rows) == ("increasing", 2, 4)
    assert newer.high == {"at": "2026-01-05 00:00:00.000001+00", "net": "4.25"}[column]


@pytest.mark.parametrize(
    ("change", "said", "left"),
    [
        ("ALTER TABLE orders ADD COLUMN note text", "'note' is new", [1, 2, 3]),
        ("ALTER TABLE orders DROP COLUMN net", "'net' is gone", [1, 2, 3]),
        (
            "ALTER TABLE orders ALTER net TYPE numeric(12,3)",
            "'net' was DECIMAL(10,2) and is DECIMAL(12,3)",
            [1, 2, 3],
        ),
        ("DELETE FROM orders WHERE order_id = 3", "'order_id' of the table is 2, and 3", [1, 2]),
        ("DELETE FROM orders", "is none, as it has no rows, and 3 was read before", []),
        ("DELETE FROM orders WHERE order_id = 1", "some were deleted there", [2, 3]),
        ("INSERT INTO orders VALUES (0, 0, NULL)", "or came later with a smaller", [0, 1, 2, 3]),
    ],
)
def test_what_newer_rows_cannot_bring_is_read_anew(
    change: str, said: str, left: list[int], shop: str, warehouse: Path
) -> None:
    """Other columns, a smaller maximum, rows that are gone or came late: all rows are read."""
    ingest(warehouse, GROWING, shop)
    run_sql(shop, change)
    done = ingest(warehouse, GROWING, shop)
    assert done.mode == "full"
    assert said in " ".join(done.notes)
    assert ids(warehouse) == left
    assert tables(warehouse) == ["orders"]
    if left:
        assert ingest(warehouse, GROWING, shop).mode == "increasing"


def test_a_table_of_something_else_is_read_anew(shop: str, warehouse: Path) -> None:
    """A table that was not read from there, or by another rule, is not gone on with."""
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("CREATE SCHEMA shop")
        connection.execute("CREATE TABLE shop.orders AS SELECT 1 AS order_id")
    done = ingest(warehouse, GROWING, shop)
    assert (done.mode, ids(warehouse)) == ("full", [1, 2, 3])
    assert "was not read from there" in " ".join(done.notes)
    run_sql(shop, "CREATE OR REPLACE VIEW others AS SELECT order_id, net FROM orders")
    other = ingest(warehouse, replace(GROWING, table="others"), shop)
    assert (other.mode, len(other.columns)) == ("full", 2)
    asked = ingest(warehouse, replace(GROWING, table="others"), shop, again=True)
    assert (asked.mode, asked.rows_read) == ("full", 3)


def test_a_change_of_the_newest_row_is_another_version(shop: str, warehouse: Path) -> None:
    """Even when there are as many rows, up to the same value; the same content is the same one."""
    first = ingest(warehouse, GROWING, shop)
    run_sql(shop, "UPDATE orders SET net = 7 WHERE order_id = 3")
    second = ingest(warehouse, GROWING, shop)
    assert (second.mode, second.rows, second.high) == ("increasing", first.rows, first.high)
    assert second.version != first.version
    run_sql(shop, "UPDATE orders SET net = 3.25 WHERE order_id = 3")
    assert ingest(warehouse, ORDERS, shop).version == first.version


def test_hashes_of_another_duckdb_are_not_gone_on_with(shop: str, warehouse: Path) -> None:
    """The version is that of a table which this one has read whole."""
    ingest(warehouse, GROWING, shop)
    with duckdb.connect(str(warehouse)) as connection:
        said = "SELECT comment FROM duckdb_tables() WHERE table_name = 'orders'"
        [[comment]] = connection.execute(said).fetchall()
        head, _, _ = comment.partition(", duckdb ")
        connection.execute(f"COMMENT ON TABLE shop.orders IS '{head}, duckdb 1.0.0, content 7'")
    done = ingest(warehouse, GROWING, shop)
    assert done.mode == "increasing"
    assert done.version == ingest(warehouse, ORDERS, shop).version


def test_a_table_that_was_read_whole_is_gone_on_with(shop: str, warehouse: Path) -> None:
    """Adding `increasing` to a source does not need another full refresh."""
    ingest(warehouse, ORDERS, shop)
    assert ingest(warehouse, GROWING, shop).mode == "increasing"


@pytest.mark.parametrize(
    ("column", "of_type", "said"),
    [
        ("order_id", "double precision", "is DOUBLE, .* look alike may differ"),
        ("order_id", "text", "is VARCHAR, .* orders texts by rules of its own"),
        ("order_id", "boolean USING true", "has to be a whole number, a decimal, a date"),
        (
            "orderid",
            "int",
            "no column 'orderid', which 'increasing' names. Did you mean 'order_id'",
        ),
    ],
)
def test_columns_that_cannot_be_increasing(
    column: str, of_type: str, said: str, shop: str, warehouse: Path
) -> None:
    """They are refused in words that say why and what to do."""
    run_sql(shop, f"ALTER TABLE orders ALTER order_id TYPE {of_type}")
    with pytest.raises(InputError, match=said) as error:
        ingest(warehouse, replace(GROWING, increasing=column), shop)
    assert "models/sources.yml, SHOP_DATABASE_URL" in str(error.value)


def test_sqlite_takes_whole_numbers_only(file: Path, warehouse: Path) -> None:
    """What SQLite keeps as text or as a floating number is not in the order of time or size."""
    with pytest.raises(InputError, match="Of this kind of database it has to be a whole number"):
        ingest(warehouse, replace(GROWING, increasing="net"), str(file))


@pytest.mark.parametrize("before", [False, True])
def test_rows_without_a_value_are_refused(before: bool, shop: str, warehouse: Path) -> None:
    """It could not be told whether they are new; the table stays as it was."""
    if before:
        ingest(warehouse, GROWING, shop)
    run_sql(shop, "INSERT INTO orders VALUES (NULL, 1, NULL), (4, 1, NULL)")
    with pytest.raises(InputError, match=r"1 row of the table have no value in 'order_id'"):
        ingest(warehouse, GROWING, shop)
    assert tables(warehouse) == (["orders"] if before else [])
    if before:
        assert ids(warehouse) == [1, 2, 3]


def _cut(url: str, after: int) -> Callable[[str, int, int | None], None]:
    """Return what ends the connection once that many rows have arrived."""
    ended = threading.Event()

    def end(_: str, done: int, __: int | None) -> None:
        if done >= after and not ended.is_set():
            ended.set()
            run_sql(
                url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY %'",
            )

    return end


MILLION = (
    "TRUNCATE orders",
    "INSERT INTO orders SELECT n, n % 1000, now() FROM generate_series(1, 1000000) AS n",
)


def test_a_lost_connection_leaves_the_table_of_a_full_refresh(shop: str, warehouse: Path) -> None:
    """What had arrived never becomes the table, and nothing of it stays."""
    ingest(warehouse, ORDERS, shop)
    run_sql(shop, *MILLION)
    secret = shop.replace("postgres@", "postgres:hunter2@")
    with pytest.raises(DatabaseUnreachable, match=r"shop\.orders.*was lost") as error:
        ingest(warehouse, ORDERS, secret, progress=_cut(shop, 1))
    assert "hunter2" not in str(error.value)
    assert "postgresql://" not in str(error.value)
    assert ids(warehouse) == [1, 2, 3]
    assert tables(warehouse) == ["orders"]


@pytest.mark.parametrize("before", [False, True])
def test_a_broken_run_is_gone_on_with(before: bool, shop: str, warehouse: Path) -> None:
    """What had arrived is kept beside, not in the table, and is not read a second time."""
    if before:
        ingest(warehouse, GROWING, shop)
        run_sql(shop, "INSERT INTO orders SELECT n, 1, now() FROM generate_series(4, 1000000) AS n")
    else:
        run_sql(shop, *MILLION)
    with pytest.raises(DatabaseUnreachable, match="was lost"):
        ingest(warehouse, GROWING, shop, progress=_cut(shop, 100_000))
    kept = [name for name in tables(warehouse) if name != "orders"]
    assert len(kept) == 1
    if before:
        assert ids(warehouse) == [1, 2, 3]
    done = ingest(warehouse, GROWING, shop)
    assert done.mode == ("increasing" if before else "full")
    assert 0 < done.rows_read <= 900_001
    assert "where the last run broke off" in " ".join(done.notes)
    distinct = "SELECT count(*), count(DISTINCT order_id), min(order_id), max(order_id)"
    assert rows(warehouse, f"{distinct} FROM shop.orders") == [(1_000_000, 1_000_000, 1, 1_000_000)]
    assert tables(warehouse) == ["orders"]


def test_a_broken_run_is_not_gone_on_with_when_rows_were_deleted(
    shop: str, warehouse: Path
) -> None:
    """What was kept is then read again, so that nothing stays that is not there any more."""
    run_sql(shop, *MILLION)
    with pytest.raises(DatabaseUnreachable):
        ingest(warehouse, GROWING, shop, progress=_cut(shop, 100_000))
    run_sql(shop, "DELETE FROM orders WHERE order_id = 5")
    done = ingest(warehouse, GROWING, shop)
    assert (done.rows, len(ids(warehouse))) == (999_999, 999_999)
    assert "What was kept of a broken run is read again" in " ".join(done.notes)


def test_a_value_that_does_not_fit_keeps_the_old_table(file: Path, warehouse: Path) -> None:
    """It is refused as of any other input, and the table is as it was."""
    ingest(warehouse, ORDERS, str(file))
    run_sqlite(file, "INSERT INTO orders VALUES (4, 'much', 'd')")
    with pytest.raises(InputError, match=r"column 'net' .*holds 'much'"):
        ingest(warehouse, ORDERS, str(file))
    assert ids(warehouse) == [1, 2, 3]
    assert tables(warehouse) == ["orders"]


def test_what_is_not_set_or_there_is_said(shop: str, warehouse: Path, tmp_path: Path) -> None:
    """The variable, the file and the table are named, and the URL is not."""
    with pytest.raises(InputError, match="variable SHOP_DATABASE_URL is not set"):
        ingest(warehouse, ORDERS, "")
    with pytest.raises(InputError, match=r"has no table order\. Did you mean orders"):
        ingest(warehouse, replace(ORDERS, table="order"), shop)
    with pytest.raises(InputError, match="database 'lake', and the warehouse is 'warehouse'"):
        ingest(warehouse, replace(ORDERS, database="lake"), shop)
    wrong = "postgresql://ann:hunter2@127.0.0.1:1/shop"
    with pytest.raises(
        DatabaseUnreachable, match="Cannot reach the database of SHOP_DATABASE_URL"
    ) as e:
        ingest(warehouse, ORDERS, wrong)
    assert "hunter2" not in str(e.value)
    assert "postgresql://" not in str(e.value)


def test_a_view_of_the_warehouse_is_not_replaced(shop: str, warehouse: Path) -> None:
    """Somebody has made it, and it is no table that was read."""
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("CREATE SCHEMA shop")
        connection.execute("CREATE VIEW shop.Orders AS SELECT 1 AS order_id")
    with pytest.raises(InputError, match="is a VIEW, which is not replaced"):
        ingest(warehouse, ORDERS, shop)


changes = st.lists(
    st.tuples(
        st.sampled_from(["add", "add late", "delete", "change last", "nothing"]), st.integers(0, 6)
    ),
    max_size=6,
)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(changes, min_size=1, max_size=3))
def test_the_warehouse_has_as_many_rows_as_the_table(
    steps: list[list[tuple[str, int]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever rows come and go between two times, each ends with as many, up to the same value."""
    folder = tmp_path_factory.mktemp("grown")
    path, warehouse = folder / "shop.sqlite", folder / "warehouse.duckdb"
    run_sqlite(path, "CREATE TABLE orders (order_id INTEGER, net INTEGER)")
    last = 10
    for step in steps:
        for what, number in step:
            if what == "add":
                last += number
                run_sqlite(path, f"INSERT INTO orders VALUES ({last}, {number})")
            elif what == "add late":
                run_sqlite(path, f"INSERT INTO orders VALUES ({max(last - number, 0)}, {number})")
            elif what == "delete":
                run_sqlite(path, f"DELETE FROM orders WHERE order_id = {last - number}")
            elif what == "change last":
                top = "(SELECT max(order_id) FROM orders)"
                run_sqlite(path, f"UPDATE orders SET net = net + 1 WHERE order_id = {top}")
        done: Ingested = ingest(warehouse, GROWING, str(path))
        with closing(sqlite3.connect(path)) as connection:
            there = connection.execute("SELECT count(*), coalesce(max(order_id), '') FROM orders")
            assert (done.rows, done.high) == tuple(
                value if n == 0 else str(value) for n, value in enumerate(there.fetchone())
            )


def test_a_snapshot_is_read(shop: str, warehouse: Path) -> None:
    """Rows that come while others are read come the next time, and cost no full refresh."""
    run_sql(shop, *MILLION)
    ingest(warehouse, GROWING, shop)
    run_sql(shop, "INSERT INTO orders SELECT n, 1, now() FROM generate_series(1000001, 1400000) n")

    def add(_: str, done: int, __: int | None) -> None:
        with psycopg.connect(shop, autocommit=True) as connection:
            connection.execute("INSERT INTO orders SELECT max(order_id) + 1, 1, now() FROM orders")

    first = ingest(warehouse, GROWING, shop, progress=add)
    assert (first.mode, first.rows) == ("increasing", 1_400_000)
    second = ingest(warehouse, GROWING, shop)
    assert second.mode == "increasing"
    assert second.rows > first.rows
