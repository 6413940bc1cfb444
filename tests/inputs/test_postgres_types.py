"""What each type of PostgreSQL becomes, compared with what the server itself says of its values."""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import psycopg
import pytest

from mds_tableau.column_options import ColumnOptions
from mds_tableau.column_types import plan_columns
from mds_tableau.errors import InputError, UnsupportedColumn
from mds_tableau.export_plan import describe
from mds_tableau.inputs.database_reader import DatabaseInput
from mds_tableau.inputs.databases import load_database
from tests.postgres_server import fresh_database, run_sql


@dataclass(frozen=True)
class Case:
    """A type, its extreme values, and SQL on both sides that says the same of a value."""

    declared: str
    values: Sequence[str]
    becomes: str
    server: str = "{}::text"
    duck: str = "CAST({} AS VARCHAR)"
    noted: bool = False


_MICROSECONDS = (
    "CASE WHEN isfinite({0}) THEN (extract(epoch FROM {0}) * 1000000)::numeric(30,0)::text "
    "ELSE {0}::text END"
)
_MICROSECONDS_DUCK = (
    "CASE WHEN isfinite({0}) THEN CAST(epoch_us({0}) AS VARCHAR) ELSE CAST({0} AS VARCHAR) END"
)
_DAYS = "CASE WHEN isfinite({0}) THEN ({0} - DATE '1970-01-01')::text ELSE {0}::text END"
_DAYS_DUCK = (
    "CASE WHEN isfinite({0}) THEN CAST(date_diff('day', DATE '1970-01-01', {0}) AS VARCHAR) "
    "ELSE CAST({0} AS VARCHAR) END"
)
_LIST = "array_to_string({}, '|', 'NULL')"
_LIST_DUCK = (
    "array_to_string(list_transform({}, lambda x: coalesce(CAST(x AS VARCHAR), 'NULL')), '|')"
)
_TRUTH = "CASE {} WHEN true THEN 'true' WHEN false THEN 'false' END"
_BITS = "({}::float8)::text"

CASES = [
    Case("boolean", ["true", "false"], "BOOLEAN", _TRUTH),
    Case("smallint", ["-32768", "32767"], "SMALLINT"),
    Case("integer", ["-2147483648", "2147483647"], "INTEGER"),
    Case("bigint", ["-9223372036854775808", "9223372036854775807"], "BIGINT"),
    Case("bigserial", ["1", "9223372036854775807"], "BIGINT"),
    Case("oid", ["0", "4294967295"], "BIGINT"),
    Case(
        "double precision", ["1.7976931348623157e308", "5e-324", "0.1", "'-0.0'", "'NaN'"], "DOUBLE"
    ),
    Case("real", ["3.4028235e38", "0.1"], "FLOAT", _BITS, "CAST(CAST({} AS DOUBLE) AS VARCHAR)"),
    Case("numeric(10,2)", ["-99999999.99", "99999999.99", "0"], "DECIMAL(10,2)"),
    Case(
        "numeric(38,10)",
        ["9999999999999999999999999999.9999999999", "-0.0000000001"],
        "DECIMAL(38,10)",
    ),
    Case("numeric(5,-2)", ["1234567", "-9999949"], "DECIMAL(7,0)"),
    Case(
        "numeric(3,5)", ["0.00999", "-0.00001"], "DECIMAL(5,5)", duck="printf('%.5f', {}::DOUBLE)"
    ),
    Case("numeric(50,3)", [f"{'9' * 47}.999"], "VARCHAR", noted=True),
    Case(
        "numeric",
        ["12345678901234567890123456789.123456789", "-1.5", "2.50"],
        "DECIMAL(38,9)",
        "trim_scale({})::text",
        "regexp_replace(CAST({} AS VARCHAR), '0+$', '')",
        noted=True,
    ),
    Case("money", ["'-92233720368547758.08'", "1234.56"], "DECIMAL(19,2)", "{}::numeric::text"),
    Case("text", ["''", "'ä€😀'", "E'a\\nb\\tc'", r"'\N'"], "VARCHAR"),
    Case("varchar(5)", ["'abcde'", "'a '"], "VARCHAR"),
    Case("char(5)", ["'ab'", "'abcde'"], "VARCHAR", "rpad({}, 5)"),
    Case('"char"', ["'x'"], "VARCHAR"),
    Case("name", ["'pg_class'"], "VARCHAR"),
    Case("mood", ["'sad'", "'very happy'"], "VARCHAR"),
    Case("cents", ["-0.01", "99999999.99"], "DECIMAL(10,2)"),
    Case("bytea", [r"'\x00ff'", "''"], "BLOB", "upper(encode({}, 'hex'))", "hex({})"),
    Case(
        "date",
        ["'4714-11-24 BC'", "'5874897-12-31'", "'infinity'", "'-infinity'", "'2024-02-29'"],
        "DATE",
        _DAYS,
        _DAYS_DUCK,
    ),
    Case(
        "timestamp",
        ["'4714-11-24 00:00:00 BC'", "'294246-12-31 23:59:59.999999'", "'infinity'", "'-infinity'"],
        "TIMESTAMP",
        _MICROSECONDS,
        _MICROSECONDS_DUCK,
    ),
    Case(
        "timestamptz",
        ["'2024-03-31 02:30:00.000001+05:45'", "'4714-11-24 00:00:00+00 BC'", "'infinity'"],
        "TIMESTAMP WITH TIME ZONE",
        _MICROSECONDS,
        _MICROSECONDS_DUCK,
    ),
    Case("time", ["'00:00'", "'23:59:59.999999'", "'24:00'"], "TIME"),
    Case("timetz", ["'12:30:00.5+05:30'", "'24:00-15:59'"], "TIME WITH TIME ZONE"),
    Case(
        "interval",
        ["'-1 year -2 mons +3 days -04:05:06.789'", "'178000000 years'", "'999:59:59.999999'"],
        "INTERVAL",
        "(extract(year FROM {0}) * 12 + extract(month FROM {0}))::bigint || ' ' || "
        "extract(day FROM {0}) || ' ' || (extract(hour FROM {0}) * 3600000000 + "
        "extract(minute FROM {0}) * 60000000 + extract(microseconds FROM {0}))::bigint",
        "(date_part('year', {0}) * 12 + date_part('month', {0})) || ' ' || date_part('day', {0}) "
        "|| ' ' || (date_part('hour', {0}) * 3600000000 + date_part('minute', {0}) * 60000000 + "
        "date_part('microsecond', {0}))",
    ),
    Case("uuid", ["'ffffffff-ffff-ffff-ffff-ffffffffffff'", f"'{'0' * 32}'"], "UUID"),
    Case("json", ["""'{"b":1,  "a":[null]}'""", "'1e400'", "'null'"], "JSON"),
    Case("jsonb", ["""'{"b":1,  "a":[1.50]}'""", "'null'"], "JSON"),
    Case("int[]", ["'{1,NULL,3}'", "'{}'"], "INTEGER[]", _LIST, _LIST_DUCK),
    Case("text[]", ["""'{a,"b,c",""}'"""], "VARCHAR[]", _LIST, _LIST_DUCK),
    Case("float8[]", ["'{0.1,NULL}'"], "DOUBLE[]", _LIST, _LIST_DUCK),
    Case("mood[]", ["'{sad}'"], "VARCHAR[]", _LIST, _LIST_DUCK, noted=True),
    Case("numeric(6,2)[]", ["'{1.50,NaN}'"], "VARCHAR[]", _LIST, _LIST_DUCK, noted=True),
    Case("timestamptz[]", ["'{infinity}'"], "VARCHAR[]", _LIST, _LIST_DUCK, noted=True),
    Case("int4range", ["'[1,5)'", "'empty'"], "VARCHAR", noted=True),
    Case("tstzrange", ["'[2024-01-01 00:00+05,)'"], "VARCHAR", noted=True),
    Case("int4multirange", ["'{[1,2),[5,9)}'"], "VARCHAR", noted=True),
    Case("inet", ["'10.0.0.1/8'", "'::1'"], "VARCHAR", noted=True),
    Case("macaddr", ["'08:00:2b:01:02:03'"], "VARCHAR", noted=True),
    Case("bit(3)", ["B'101'"], "VARCHAR", noted=True),
    Case("point", ["'(1,2.5)'"], "VARCHAR", noted=True),
    Case("tsvector", ["'a fat cat'"], "VARCHAR", noted=True),
    Case("pair", ["'(1,\"a b\")'"], "VARCHAR", noted=True),
    Case("point3", ["'(1,2,3)'"], "VARCHAR", noted=True),
]
"""xml needs a server that is built with it, and citext and geometry an extension: they take the way
of a type that is not known, as `point3` does."""


@pytest.fixture(scope="module")
def typed(postgres: str) -> str:
    """A database with a table `typed`, a column for each case, that has a row for each value."""
    width = max(len(case.values) for case in CASES)
    columns = ", ".join(f"c{n} {case.declared} NULL" for n, case in enumerate(CASES))
    columns = columns.replace("bigserial NULL", "bigint")
    rows = [
        ", ".join(
            f"CAST({case.values[row]} AS {case.declared.replace('bigserial', 'bigint')})"
            if row < len(case.values)
            else "NULL"
            for case in CASES
        )
        for row in range(width + 1)
    ]
    url = fresh_database(postgres, "types")
    run_sql(
        url,
        "CREATE TYPE mood AS ENUM ('sad', 'very happy')",
        "CREATE DOMAIN cents AS numeric(10,2)",
        "CREATE TYPE pair AS (a int, b text)",
        "CREATE TYPE point3 AS (x int, y int, z int)",
        f"CREATE TABLE typed ({columns})",
        *(f"INSERT INTO typed VALUES ({row})" for row in rows),
    )
    return url


@pytest.fixture(scope="module")
def loaded(typed: str) -> duckdb.DuckDBPyConnection:
    """A DuckDB with that table in it, and the notes about it in a table of their own."""
    duck = duckdb.connect()
    duck.execute("SET TimeZone = 'America/New_York'")
    got = load_database(duck, DatabaseInput(typed, table="typed"), table="typed")
    duck.execute("CREATE TABLE notes AS SELECT unnest(?::VARCHAR[]) AS note", [list(got.notes)])
    return duck


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.declared for case in CASES])
def test_values_are_those_of_the_server(
    number: int, typed: str, loaded: duckdb.DuckDBPyConnection
) -> None:
    """Each type arrives as the type documented for it, each value as the server says it is."""
    case, column = CASES[number], f"c{number}"
    with psycopg.connect(typed) as server:
        server.execute("SET TimeZone = 'UTC'")
        wanted = server.execute(
            f"SELECT {case.server.format(column)} FROM typed ORDER BY ctid".encode()
        ).fetchall()
    got = loaded.execute(f"SELECT {case.duck.format(column)} FROM typed ORDER BY rowid").fetchall()
    [[becomes]] = loaded.execute(f"SELECT DISTINCT typeof({column}) FROM typed").fetchall()
    [[noted]] = loaded.execute(
        "SELECT count(*) FROM notes WHERE contains(note, ?)", [f"'{column}'"]
    ).fetchall()
    assert [_same(v, case) for [v] in got] == [_same(v, case) for [v] in wanted]
    assert wanted[-1] == (None,)
    assert becomes == case.becomes
    assert noted == int(case.noted)


def _same(value: str | None, case: Case) -> str | None:
    """Two servers may write one double in two ways."""
    return value and float(value).hex() if case.becomes in {"DOUBLE", "FLOAT"} else value


@pytest.mark.parametrize(
    ("expression", "column", "value"),
    [
        ("'NaN'::numeric(10,2)", "DECIMAL(10,2)", "NaN"),
        ("'Infinity'::numeric", "DECIMAL(38,9)", "Infinity"),
        ("0.1234567891::numeric", "DECIMAL(38,9)", "0.1234567891"),
        ("1e30::numeric", "DECIMAL(38,9)", "1" + "0" * 30),
        ("'{{1,2},{3,4}}'::int[]", "INTEGER[]", "{{1,2},{3,4}}"),
        ("'infinity'::interval", "INTERVAL", "infinity"),
        ("'3000000 hours'::interval", "INTERVAL", "3000000:00:00"),
        ("'294276-12-31 23:59:59'::timestamp", "TIMESTAMP", "294276-12-31 23:59:59"),
    ],
)
def test_value_that_does_not_fit(
    postgres: str, duck: duckdb.DuckDBPyConnection, expression: str, column: str, value: str
) -> None:
    """A value that its column cannot hold stops the load and is named with row and column."""
    declared = expression.rpartition("::")[2]
    query = f"SELECT NULL::{declared} AS odd UNION ALL SELECT {expression}"
    with pytest.raises(InputError) as error:
        load_database(duck, DatabaseInput(postgres, query=query), table="t")
    assert "Row 2 of query over postgres at 127.0.0.1" in str(error.value)
    assert f"column 'odd' ({_declared(expression)}" in str(error.value)
    assert f"holds {value}, which cannot be {column} without a change" in str(error.value)
    assert duck.execute("SHOW TABLES").fetchall() == []


def _declared(expression: str) -> str:
    word = expression.rpartition("::")[2].partition("(")[0]
    return {"int[]": "integer[]"}.get(word, word)


@pytest.mark.parametrize(
    ("expression", "asked", "becomes"),
    [
        ("'NaN'::numeric", "VARCHAR", "NaN"),
        ("0.12345678912345::numeric", "decimal(20,14)", "0.12345678912345"),
        ("0.1::numeric", "double", "0.1"),
        ("'$1,234.56'::money", "decimal(12,2)", "1234.56"),
        ("'{{1,2},{3,4}}'::int[]", "VARCHAR", "{{1,2},{3,4}}"),
        ("timestamp '2024-01-02 00:00'", "date", "2024-01-02"),
        ("'ab'::char(4)", "varchar", "ab  "),
        ("'2024-01-02 03:04:05+02'::text", "TIMESTAMPTZ", "2024-01-02 01:04:05+00"),
        ("7::bigint", "tinyint", "7"),
        ("true", "varchar", "true"),
        (r"'\x00ff'::bytea", "varchar", r"\x00ff"),
    ],
)
def test_asked_type(
    postgres: str, duck: duckdb.DuckDBPyConnection, expression: str, asked: str, becomes: str
) -> None:
    """A type that is asked for takes the place of the usual one, in any case of letters."""
    given = DatabaseInput(postgres, query=f"SELECT {expression} AS x", types={"X": asked})
    load_database(duck, given, table="t")
    assert duck.execute("SELECT CAST(x AS VARCHAR) FROM t").fetchone() == (becomes,)


@pytest.mark.parametrize(
    ("expression", "asked"),
    [
        ("1.005::numeric", "DECIMAL(18,2)"),
        ("1.5::float8", "BIGINT"),
        ("'2024-01-02 03:04:05+02'::text", "TIMESTAMP"),
        ("'2024-01-02 03:04:05'::text", "TIMESTAMPTZ"),
        ("'2024-01-02 03:04:05.1234567'::text", "TIMESTAMP"),
        ("timestamp '2024-01-02 03:04'", "DATE"),
        ("300", "TINYINT"),
        ("'1.5'::text", "INTEGER"),
    ],
)
def test_asked_type_that_would_change_a_value(
    postgres: str, duck: duckdb.DuckDBPyConnection, expression: str, asked: str
) -> None:
    """A type that is asked for never rounds, cuts off or moves a value to another zone."""
    given = DatabaseInput(postgres, query=f"SELECT {expression} AS x", types={"x": asked})
    with pytest.raises(InputError, match="without a change"):
        load_database(duck, given, table="t")


def test_arrays_and_json_meet_the_plan(postgres: str, duck: duckdb.DuckDBPyConnection) -> None:
    """Arrays are refused, or converted as asked, by the column plan; json is text to it."""
    query = """SELECT '{1,2}'::int[] AS list, '{"a":1}'::jsonb AS doc"""
    got = load_database(duck, DatabaseInput(postgres, query=query), table="t")
    described = describe(duck, got.relation)
    with pytest.raises(UnsupportedColumn, match=r"'list' has type INTEGER.*Ask for as: json"):
        plan_columns(described, mart="t", file=got.origin)
    asked = {"list": ColumnOptions(as_="json")}
    plans = plan_columns(described, mart="t", file=got.origin, options=asked)
    selected = ", ".join(plan.selected for plan in plans)
    assert duck.execute(f"SELECT {selected} FROM t").fetchall() == [("[1,2]", '{"a": 1}')]
