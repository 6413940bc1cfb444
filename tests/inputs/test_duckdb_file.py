"""Reading another DuckDB file."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from mds_tableau.errors import InputError
from mds_tableau.inputs.database_reader import DatabaseInput
from mds_tableau.inputs.databases import load_database, tables_of

MADE = """
CREATE TABLE orders AS SELECT 1 AS id, 1.50::DECIMAL(10,2) AS net, {'k': [1, 2]} AS nested,
    'b'::ENUM ('a', 'b') AS kind, TIMESTAMPTZ '2024-01-01 00:00:00+00' AS moment;
CREATE SCHEMA old;
CREATE TABLE old.orders AS SELECT 'x' AS code UNION ALL SELECT '12';
CREATE TABLE old.items AS SELECT 7 AS n;
CREATE VIEW totals AS SELECT sum(net) AS total FROM orders;
CREATE MACRO twice(x) AS x * 2;
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A DuckDB file with tables in two schemas, a view and a macro."""
    path = tmp_path / "it's a shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(MADE)
    return path


def test_table(shop: Path, duck: duckdb.DuckDBPyConnection) -> None:
    """A table arrives with its own types and values, and the file is let go of afterwards."""
    got = load_database(duck, DatabaseInput(str(shop), table="Orders"), table="t")
    described = {row[0]: row[1] for row in duck.execute("DESCRIBE t").fetchall()}
    assert described == {
        "id": "INTEGER",
        "net": "DECIMAL(10,2)",
        "nested": "STRUCT(k INTEGER[])",
        "kind": "ENUM('a', 'b')",
        "moment": "TIMESTAMP WITH TIME ZONE",
    }
    assert duck.execute("SELECT CAST(nested AS VARCHAR) FROM t").fetchone() == ("{'k': [1, 2]}",)
    assert got.origin == f"table orders of {shop.name}"
    assert duck.execute("SELECT current_database()").fetchone() == ("memory",)
    assert duck.execute("SHOW DATABASES").fetchall() == [("memory",)]
    with duckdb.connect(str(shop)) as again:
        again.execute("DROP TABLE old.items")


@pytest.mark.parametrize(
    ("given", "first"),
    [
        ({"table": "old.items"}, 7),
        ({"table": "items"}, 7),
        ({"query": "SELECT twice(n) FROM old.items -- of the file"}, 14),
        ({"query": "WITH o AS (SELECT * FROM orders) SELECT count(*) FROM o"}, 1),
        ({"table": "orders", "types": {"ID": "DOUBLE"}}, 1.0),
    ],
)
def test_ways_to_name_it(
    shop: Path, duck: duckdb.DuckDBPyConnection, given: dict[str, object], first: object
) -> None:
    """Tables of other schemas, queries over the file's own names, and other types can be had."""
    load_database(duck, DatabaseInput(f"duckdb:///{shop}", **given), table="t")  # type: ignore[arg-type]
    row = duck.execute("SELECT * FROM t").fetchone()
    assert row is not None
    assert row[0] == first
    assert type(row[0]) is type(first)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"table": "order"}, "has no table order. Did you mean orders or old.orders?"),
        ({"query": "DROP TABLE orders"}, "begins with DROP"),
        ({"query": "SELECT * FROM nope"}, "Table with name nope does not exist"),
        (
            {"table": "old.orders", "types": {"code": "BIGINT"}},
            "column 'code' (VARCHAR) holds x, which cannot be BIGINT without a change",
        ),
        (
            {"query": "SELECT TIMESTAMP '2024-01-01 12:00' AS at", "types": {"at": "DATE"}},
            "cannot be DATE without a change",
        ),
    ],
)
def test_what_is_refused(
    shop: Path, duck: duckdb.DuckDBPyConnection, given: dict[str, object], said: str
) -> None:
    """What cannot be read says why, and leaves the table that was there."""
    duck.execute("CREATE TABLE t AS SELECT 'kept' AS was")
    with pytest.raises(InputError) as error:
        load_database(duck, DatabaseInput(str(shop), **given), table="t")  # type: ignore[arg-type]
    assert said in str(error.value)
    assert duck.execute("SELECT was FROM t").fetchall() == [("kept",)]
    assert duck.execute("SHOW DATABASES").fetchall() == [("memory",)]


def test_tables_that_there_are(shop: Path) -> None:
    """Tables and views are listed as they may be asked for."""
    assert tables_of(str(shop)) == ["old.items", "old.orders", "orders", "totals"]


def test_file_that_another_process_writes(shop: Path, duck: duckdb.DuckDBPyConnection) -> None:
    """A file that another process holds is waited for, and read as that process leaves it."""
    code = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); "
        'sys.stdin.readline(); c.execute("INSERT INTO old.items VALUES (8)"); c.close()'
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(shop)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        holder.stdin.write("\n")
        holder.stdin.flush()
        load_database(duck, DatabaseInput(str(shop), table="items"), table="t")
    assert duck.execute("SELECT n FROM t ORDER BY n").fetchall() == [(7,), (8,)]
