"""Reading SQLite: what each declared type becomes, and values that are not of it."""

import datetime as dt
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mds_tableau.errors import InputError
from mds_tableau.inputs.database_reader import DatabaseInput
from mds_tableau.inputs.databases import load_database, tables_of

Make = Callable[..., Path]


@pytest.fixture
def made(tmp_path: Path) -> Make:
    """Makes a SQLite file by statements."""

    def run(*statements: str) -> Path:
        path = tmp_path / "shop's 100%.sqlite"
        with closing(sqlite3.connect(path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)
        return path

    return run


CASES: Sequence[tuple[str, list[str], str]] = [
    ("INTEGER", ["-9223372036854775808", "9223372036854775807"], "BIGINT"),
    ("TINYINT", ["300"], "BIGINT"),
    ("UNSIGNED BIG INT", ["1"], "BIGINT"),
    ("REAL", ["1.7976931348623157e308", "5e-324", "0.1", "7", "9007199254740993.0"], "DOUBLE"),
    ("DOUBLE PRECISION", ["-0.5"], "DOUBLE"),
    ("FLOAT", ["1e400"], "DOUBLE"),
    ("TEXT", ["''", "'ä€😀'", "'0012'", "'a' || char(0) || 'b'", "5"], "VARCHAR"),
    ("VARCHAR(3)", ["'longer than that'"], "VARCHAR"),
    ("CLOB", ["'x'"], "VARCHAR"),
    ("BLOB", ["x'00ff'", "x''"], "BLOB"),
    ("BOOLEAN", ["0", "1"], "BOOLEAN"),
    ("DATE", ["'2024-02-29'", "'0001-01-01'", "'9999-12-31'"], "DATE"),
    ("DATETIME", ["'2024-02-29 23:59:59.123456'", "'2024-02-29T01:02'"], "TIMESTAMP"),
    ("TIMESTAMP", ["'2024-02-29'"], "TIMESTAMP"),
    ("TIME", ["'23:59:59.500'", "'00:00'"], "TIME"),
    ("DECIMAL(10,2)", ["1.1", "-99999999.99", "7", "0.07"], "DECIMAL(10,2)"),
    ("NUMERIC(38,0)", ["9223372036854775807"], "DECIMAL(38,0)"),
    ("NUMERIC", ["1.5", "9007199254740992"], "DOUBLE"),
    ("", ["1", "2"], "BIGINT"),
    ("", ["1", "2.5"], "DOUBLE"),
    ("", ["'a'", "2.5", "1", "0.1 + 0.2"], "VARCHAR"),
    ("", ["x'01'"], "BLOB"),
    ("", [], "VARCHAR"),
    ("STRING", ["'a'"], "VARCHAR"),
    ("JSON", ["'{}'"], "VARCHAR"),
]


@pytest.mark.parametrize(
    ("declared", "values", "becomes"), CASES, ids=[f"{c[0]}-{c[2]}" for c in CASES]
)
def test_values_are_those_of_sqlite(
    made: Make, duck: duckdb.DuckDBPyConnection, declared: str, values: list[str], becomes: str
) -> None:
    """Each declared type arrives as the type documented for it, each value as sqlite3 reads it."""
    # the first rows hold nothing, from which the driver would guess a type
    rows = [*["NULL"] * 2, *values]
    path = made(
        f"CREATE TABLE t (x {declared})",
        *(f"INSERT INTO t VALUES ({value})" for value in rows),
    )
    got = load_database(duck, DatabaseInput(str(path), table="t"), table="t")
    [[described]] = duck.execute("SELECT DISTINCT typeof(x) FROM t").fetchall()
    arrived = [row[0] for row in duck.execute("SELECT x FROM t ORDER BY rowid").fetchall()]
    with closing(sqlite3.connect(path)) as connection:
        wanted = [row[0] for row in connection.execute("SELECT x FROM t ORDER BY rowid").fetchall()]
    assert described == becomes
    assert [_plain(a, w) for a, w in zip(arrived, wanted, strict=True)] == wanted
    assert bool(got.notes) == (declared in {"", "STRING", "JSON"})


def _plain(arrived: Any, wanted: Any) -> Any:
    """Return what arrived as Python's sqlite3 would have it."""
    if isinstance(arrived, (dt.date, dt.time)):
        return wanted if type(arrived).fromisoformat(wanted) == arrived else arrived
    return wanted if wanted is None else type(wanted)(arrived)


@pytest.mark.parametrize(
    ("declared", "value", "held", "becomes"),
    [
        ("INTEGER", "'abc'", "'abc'", "BIGINT"),
        ("INTEGER", "1.5", "1.5", "BIGINT"),
        ("INTEGER", "9223372036854775808", "9.2233720368547", "BIGINT"),
        ("REAL", "'n/a'", "'n/a'", "DOUBLE"),
        ("TEXT", "x'00'", "X'00'", "VARCHAR"),
        ("BLOB", "'text'", "'text'", "BLOB"),
        ("BOOLEAN", "2", "2", "BOOLEAN"),
        ("BOOLEAN", "'true'", "'true'", "BOOLEAN"),
        ("DATE", "'2024-02-30'", "2024-02-30", "DATE"),
        ("DATE", "'29.02.2024'", "29.02.2024", "DATE"),
        ("DATE", "'2024-02-29 12:00'", "2024-02-29 12:00", "DATE"),
        ("DATE", "2460369.5", "2460369.5", "DATE"),
        ("DATETIME", "1709164800", "1709164800", "TIMESTAMP"),
        ("DATETIME", "'2024-02-29 12:00:00Z'", "2024-02-29 12:00:00Z", "TIMESTAMP"),
        ("DATETIME", "'2024-02-29 12:00:00.1234567'", "2024-02-29 12:00:00.1234567", "TIMESTAMP"),
        ("TIME", "'25:00'", "25:00", "TIME"),
        ("DECIMAL(10,2)", "1.005", "1.005", "DECIMAL(10,2)"),
        ("DECIMAL(10,2)", "0.1 + 0.2", "0.30000000000000004", "DECIMAL(10,2)"),
        ("DECIMAL(4,2)", "100", "100", "DECIMAL(4,2)"),
        ("NUMERIC", "9007199254740993", "9007199254740993", "DOUBLE"),
        ("NUMERIC", "'12,5'", "'12,5'", "DOUBLE"),
    ],
)
def test_value_that_is_not_of_its_column(
    made: Make,
    duck: duckdb.DuckDBPyConnection,
    declared: str,
    value: str,
    held: str,
    becomes: str,
) -> None:
    """A value that the declared type does not allow stops the load, named with row and column."""
    path = made(
        f"CREATE TABLE t (id INTEGER, x {declared})",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000) "
        "INSERT INTO t SELECT i, NULL FROM n",
        f"INSERT INTO t VALUES (9001, {value})",
    )
    with pytest.raises(InputError) as error:
        load_database(duck, DatabaseInput(str(path), table="t"), table="t")
    said = str(error.value)
    assert said.startswith(f"Row 9,001 of table t of {path.name}: column 'x' ({declared}) holds")
    assert f"holds {held}" in said
    assert f"cannot be {becomes} without a change" in said
    assert duck.execute("SHOW TABLES").fetchall() == []
    # and what the message proposes does help
    other = "BLOB" if becomes == "VARCHAR" else "VARCHAR"
    load_database(duck, DatabaseInput(str(path), table="t", types={"x": other}), table="t")
    assert duck.execute("SELECT count(x), max(typeof(x)) FROM t").fetchone() == (1, other)


def test_text_that_is_not_utf8(made: Make, duck: duckdb.DuckDBPyConnection) -> None:
    """Bytes that are stored as text without being any are named."""
    path = made("CREATE TABLE t (x TEXT)", "INSERT INTO t VALUES ('ok'), (CAST(x'ff41' AS TEXT))")
    with pytest.raises(InputError, match=r"Row 2 of table t .* holds b'\\xffA', which is not text"):
        load_database(duck, DatabaseInput(str(path), table="t"), table="t")


@pytest.mark.parametrize(
    ("types", "wanted"),
    [
        ({"x": "DOUBLE"}, 0.1),
        ({"X": "VARCHAR"}, "0.1"),
        ({"x": "DECIMAL(5,3)"}, "0.100"),
    ],
)
def test_asked_type(
    made: Make, duck: duckdb.DuckDBPyConnection, types: dict[str, str], wanted: object
) -> None:
    """A type that is asked for takes the place of the declared one."""
    path = made("CREATE TABLE t (x NUMERIC(6,2))", "INSERT INTO t VALUES (0.1)")
    load_database(duck, DatabaseInput(str(path), table="t", types=types), table="t")
    row = duck.execute("SELECT x FROM t").fetchone()
    assert row is not None
    assert str(row[0]) == str(wanted)


def test_query_and_view(made: Make, duck: duckdb.DuckDBPyConnection) -> None:
    """A query keeps the declared types of plain columns, and says what it made of the others."""
    path = made(
        "CREATE TABLE t (day DATE, net DECIMAL(9,2))",
        "INSERT INTO t VALUES ('2024-02-29', 1.1), ('2024-03-01', NULL)",
        "CREATE VIEW days AS SELECT day, count(*) AS n FROM t GROUP BY 1",
    )
    given = DatabaseInput(f"sqlite:///{path}", query="SELECT day, net, 1 + 1 AS two FROM t -- all")
    got = load_database(duck, given, table="q")
    view = load_database(duck, DatabaseInput(str(path), table="days"), table="v")
    types = "SELECT typeof(COLUMNS(*)) FROM {} LIMIT 1"
    assert duck.execute(types.format("q")).fetchone() == ("DATE", "DECIMAL(9,2)", "BIGINT")
    assert duck.execute(types.format("v")).fetchone() == ("DATE", "BIGINT")
    assert got.notes == (
        "Column 'two' declares no type; all its values are integers, and it became BIGINT.",
    )
    assert view.origin == f"table days of {path.name}"
    assert tables_of(str(path)) == ["days", "t"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("INSERT INTO t VALUES (1)", "begins with INSERT"),
        ("SELECT nope FROM t", "no such column: nope"),
        ("SELECT 1 AS a, 2 AS A", "which are one name"),
        ("WITH d AS (SELECT 1) DELETE FROM t", "syntax error"),
        ("SELECT 1 AS x UNION ALL SELECT x'01'", "Row 2 of query over"),
    ],
)
def test_query_that_is_refused(
    made: Make, duck: duckdb.DuckDBPyConnection, query: str, said: str
) -> None:
    """A query that writes, or that SQLite refuses, says why and changes nothing."""
    path = made("CREATE TABLE t (x)", "INSERT INTO t VALUES (5)")
    before = path.read_bytes()
    with pytest.raises(InputError) as error:
        load_database(duck, DatabaseInput(str(path), query=query), table="t")
    assert said in str(error.value)
    assert path.read_bytes() == before


def test_file_that_another_program_writes(made: Make, duck: duckdb.DuckDBPyConnection) -> None:
    """What another connection has not committed yet is not read, and does not hinder reading."""
    path = made(
        "PRAGMA journal_mode = WAL", "CREATE TABLE t (x INTEGER)", "INSERT INTO t VALUES (1)"
    )
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO t VALUES (2)")
        load_database(duck, DatabaseInput(str(path), table="t"), table="t")
        writer.execute("ROLLBACK")
    assert duck.execute("SELECT x FROM t").fetchall() == [(1,)]


def test_damaged_file(made: Make, duck: duckdb.DuckDBPyConnection) -> None:
    """A file that is cut off stops the load and leaves no table."""
    path = made(
        "CREATE TABLE t (id INTEGER, x TEXT)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
        "INSERT INTO t SELECT i, 'some text that takes room ' || i FROM n",
    )
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 8192] = b"\xff" * 8192
    path.write_bytes(content)
    with pytest.raises(InputError, match="malformed"):
        load_database(duck, DatabaseInput(str(path), query="SELECT * FROM t"), table="t")
    assert duck.execute("SHOW TABLES").fetchall() == []


def test_million_rows(tmp_path: Path, made: Make) -> None:
    """A million rows arrive in little memory, though the first ten thousand hold nothing."""
    path = made(
        "CREATE TABLE t (id INTEGER, net DECIMAL(12,2), name TEXT, day DATE)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) "
        "INSERT INTO t SELECT i, CASE WHEN i > 10000 THEN i / 100.0 END, CASE WHEN i > 10000 THEN "
        "'order ' || i END, date('2020-01-01', '+' || (i % 1000) || ' days') FROM n",
    )
    steps: list[tuple[int, int | None]] = []
    with duckdb.connect(str(tmp_path / "w.duckdb"), config={"memory_limit": "200MB"}) as duck:
        load_database(
            duck,
            DatabaseInput(str(path), table="t"),
            table="t",
            progress=lambda _, done, total: steps.append((done, total)),
        )
        got = duck.execute(
            "SELECT count(*), sum(id), CAST(sum(net) * 100 AS BIGINT), sum(length(name)), "
            "count(DISTINCT day) FROM t"
        ).fetchone()
    with closing(sqlite3.connect(path)) as connection:
        wanted = connection.execute(
            "SELECT count(*), sum(id), sum(CAST(round(net * 100) AS INTEGER)), sum(length(name)), "
            "count(DISTINCT day) FROM t"
        ).fetchone()
    assert got == wanted
    assert steps[-1] == (1_000_000, 1_000_000)
    assert len(steps) > 5
