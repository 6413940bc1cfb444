import datetime as dt
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tableauhyperapi import Connection, Date, HyperException, SqlType, TableName, Timestamp

from mds_tableau.columns import HyperType, file_version, plan_columns, quote_identifier
from mds_tableau.errors import ExportError, ExtractError, UnsupportedColumn
from mds_tableau.hyper import Hyper
from mds_tableau.parquet import ParquetVersion, describe, export_mart

Query = Callable[..., list[list[Any]]]
Export = Callable[..., ParquetVersion]

IS_DUCKDB_2 = int(duckdb.__version__.split(".")[0]) >= 2


@dataclass(frozen=True)
class Kept:
    """A type that an extract holds: its cast, its type there, and values at its edges."""

    sql: str
    cast: str | None
    hyper: str
    values: Sequence[str] = field(repr=False)

    def rows(self) -> str:
        """SELECT of an `n` and a `v`, one row for each value and one without."""
        numbered = enumerate([*self.values, "NULL"])
        return " UNION ALL ".join(
            f"SELECT {n}::INTEGER AS n, CAST({value} AS {self.sql}) AS v" for n, value in numbered
        )


@dataclass(frozen=True)
class Refused:
    """A type that an extract cannot hold, and what the refusal tells to do."""

    sql: str
    remedy: str
    value: str = "NULL"


def decimals(numbers: str) -> tuple[str, ...]:
    """Literals in quotes, because DuckDB reads a bare number of many digits as a DOUBLE."""
    return tuple(f"'{number}'" for number in numbers.split())


FLOATS = ("0.1", "'nan'", "'inf'", "'-inf'", "'-0.0'", "1e-45", "3.4028234663852886e38")
CHARACTERS = (
    "''",
    "' '",
    "'NULL'",
    "'ends with spaces  '",
    "'it''s \"quoted\", \\ and ; -- '",
    "'zażółć gęślą jaźń'",
    "'👩‍👩‍👧‍👦'",
    "'e' || chr(769)",  # combining, must not be normalised
    "'a' || chr(0) || 'b'",
    "chr(65535)",
    "chr(1114111)",
    "chr(65279) || 'after a byte order mark'",
    "chr(13) || chr(10) || chr(9)",
    "repeat('x', 1000000)",
)
MOMENTS = (
    "'4713-01-01 (BC) 00:00:00'",
    "'0044-03-15 (BC) 12:00:00'",
    "'0001-01-01 00:00:00'",
    "'1969-12-31 23:59:59'",
    "'1970-01-01 00:00:00'",
    "'2262-04-12 00:00:00'",
    "'9999-12-31 23:59:59'",
    "'294247-01-10 04:00:54'",
)

KEPT = [
    Kept("BOOLEAN", None, "BOOL", ("true", "false")),
    Kept("TINYINT", None, "SMALL_INT", ("-128", "0", "127")),
    Kept("SMALLINT", None, "SMALL_INT", ("-32768", "0", "32767")),
    Kept("UTINYINT", None, "SMALL_INT", ("0", "128", "255")),
    # neighbours further apart than 2^31: DuckDB 2.0.0 writes these so that Hyper reads
    # (3, NULL, 0), when it is told to write Parquet V2
    Kept("INTEGER", None, "INT", ("3", "NULL", "-2147483648", "2147483647", "0")),
    Kept("USMALLINT", None, "INT", ("0", "32768", "65535")),
    Kept("BIGINT", None, "BIG_INT", ("-9223372036854775808", "0", "9223372036854775807")),
    Kept("UINTEGER", None, "BIG_INT", ("0", "2147483648", "4294967295")),
    Kept(
        "HUGEINT",
        "BIGINT",
        "BIG_INT",
        ("-9223372036854775808", "9007199254740993", "9223372036854775807"),
    ),
    Kept("UBIGINT", "DECIMAL(20,0)", "NUMERIC(20,0)", ("0", "9223372036854775808", f"{2**64 - 1}")),
    Kept("UHUGEINT", "DECIMAL(38,0)", "NUMERIC(38,0)", ("0", "9007199254740993", "9" * 38)),
    Kept("BIGNUM", "VARCHAR", "TEXT", ("0", "-1", f"'{'123456789' * 20}'")),
    Kept("FLOAT", "DOUBLE", "DOUBLE", FLOATS),
    Kept("DOUBLE", None, "DOUBLE", (*FLOATS, "5e-324", "1.7976931348623157e308")),
    Kept("DECIMAL(4,1)", None, "NUMERIC(4,1)", decimals("-999.9 -0.1 0 0.1 999.9")),
    Kept("DECIMAL(9,9)", None, "NUMERIC(9,9)", decimals(f"-0.{'9' * 9} -0.05 0.000000001")),
    Kept("DECIMAL(18,2)", None, "NUMERIC(18,2)", decimals(f"-{'9' * 16}.99 -0.05 {'9' * 16}.99")),
    Kept("DECIMAL(19,4)", None, "NUMERIC(19,4)", decimals(f"-{'9' * 15}.9999 -0.0001 0")),
    Kept("DECIMAL(38,0)", None, "NUMERIC(38,0)", decimals(f"-{'9' * 38} 0 {'9' * 38}")),
    Kept(
        "DECIMAL(38,10)", None, "NUMERIC(38,10)", decimals(f"-{'9' * 28}.{'9' * 10} 0.0000000001")
    ),
    Kept("DECIMAL(38,38)", None, "NUMERIC(38,38)", decimals(f"-0.{'9' * 38} 0.{'0' * 37}1")),
    Kept("VARCHAR", None, "TEXT", CHARACTERS),
    Kept("ENUM('b', 'a''s ]', '')", "VARCHAR", "TEXT", ("'b'", "'a''s ]'", "''")),
    Kept("JSON", "VARCHAR", "TEXT", ("""'{"a": [1, null, "é"]}'""", "'null'", "'\"x\"'")),
    Kept("BIT", "VARCHAR", "TEXT", ("'0'", "'1'", "'000010101'")),
    Kept("UUID", "VARCHAR", "TEXT", (f"'{'0' * 32}'", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'")),
    Kept(
        "DATE",
        None,
        "DATE",
        (*(value[:-10] + "'" for value in MOMENTS[:-1]), "'294276-12-31'"),
    ),
    Kept("TIME", None, "TIME", ("'00:00:00'", "'12:34:56.000001'", "'23:59:59.999999'")),
    Kept("TIME_NS", "VARCHAR", "TEXT", ("'00:00:00'", "'23:59:59.999999999'")),
    Kept("TIMETZ", "VARCHAR", "TEXT", ("'12:34:56+05:30'", "'00:00:00-15:59'", "'24:00:00+00'")),
    Kept(
        "TIMESTAMP",
        None,
        "TIMESTAMP",
        (*MOMENTS, "'1969-12-31 23:59:59.999999'", "'294247-01-10 04:00:54.775806'"),
    ),
    Kept("TIMESTAMP_S", "TIMESTAMP", "TIMESTAMP", MOMENTS),
    Kept("TIMESTAMP_MS", "TIMESTAMP", "TIMESTAMP", (*MOMENTS, "'1969-12-31 23:59:59.999'")),
    Kept(
        "TIMESTAMPTZ",
        None,
        "TIMESTAMP_TZ",
        (*(value[:-1] + "+00'" for value in MOMENTS), "'2026-10-25 02:30:00.000001+05:30'"),
    ),
]

NESTED = r"CAST\(to_json\(\"v\"\) AS VARCHAR\) or one column for each part, or leave it out"
REFUSED = [
    Refused("BLOB", r"Leave it out, or convert it in the model: hex\(\"v\"\) or base64\(\"v\"\)"),
    Refused("GEOMETRY", r"Leave it out, or export its text from the model: ST_AsText\(\"v\"\)"),
    Refused("INTERVAL", r"Tableau has no such type.*epoch_us\(\"v\"\).*CAST\(\"v\" AS VARCHAR\)"),
    Refused("INTEGER[]", NESTED),
    Refused("DATE[3]", NESTED),
    Refused("DECIMAL(18,2)[][]", NESTED),
    Refused("STRUCT(a INTEGER, b VARCHAR[])", NESTED),
    Refused("MAP(VARCHAR, INTEGER)", NESTED),
    Refused("UNION(number INTEGER, text VARCHAR)", NESTED),
    Refused("VARIANT", NESTED),
    Refused("TIMESTAMP_NS", r"cuts nanoseconds off.*CAST\(\"v\" AS TIMESTAMP\) rounds"),
    Refused("TIMESTAMPTZ_NS", r"cuts nanoseconds off.*CAST\(\"v\" AS TIMESTAMPTZ\) rounds"),
]

CASES: list[Kept | Refused] = [*KEPT, *REFUSED]
TESTED_BY_EXPRESSION = {"NULL", "TUPLE", "TYPE"}
"""Types that no column can be declared with; each has a test of its own below."""

SQL_TYPES = {
    "BOOL": SqlType.bool(),
    "SMALL_INT": SqlType.small_int(),
    "INT": SqlType.int(),
    "BIG_INT": SqlType.big_int(),
    "DOUBLE": SqlType.double(),
    "TEXT": SqlType.text(),
    "DATE": SqlType.date(),
    "TIME": SqlType.time(),
    "TIMESTAMP": SqlType.timestamp(),
    "TIMESTAMP_TZ": SqlType.timestamp_tz(),
}
"""The official API's type for each of ours but NUMERIC."""


def is_known_type(duck: duckdb.DuckDBPyConnection, sql: str) -> bool:
    """Whether the installed DuckDB, unless it is a new one, has a type."""
    try:
        duck.execute(f"SELECT CAST(NULL AS {sql})").fetchall()
    except duckdb.CatalogException:
        if IS_DUCKDB_2:
            raise
        return False
    return True


def only_known_types(duck: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Skip where the installed DuckDB is older than a type."""
    if not is_known_type(duck, sql):
        pytest.skip(f"DuckDB {duckdb.__version__} has no type {sql}")


def bits(value: Any) -> Any:
    """Make values comparable that Python's == takes for equal, or for different, wrongly."""
    if isinstance(value, float):
        return "NaN" if value != value else struct.pack(">d", value)
    if isinstance(value, Date):
        return value.year, value.month, value.day
    if isinstance(value, Timestamp):
        assert value.tzinfo in {None, dt.timezone.utc}
        seconds = value.second * 1_000_000 + value.microsecond
        return value.year, value.month, value.day, value.hour, value.minute, seconds
    return tuple(value) if isinstance(value, list) else value


def expected_values(duck: duckdb.DuckDBPyConnection, case: Kept) -> list[Any]:
    """What DuckDB's own CAST makes of the values; moments as parts, for years before our era."""
    value = f"CAST(v AS {case.cast})" if case.cast else "v"
    if case.hyper == "TIMESTAMP_TZ":
        value = "(v AT TIME ZONE 'UTC')"
    parts = {
        "DATE": ("year", "month", "day"),
        "TIMESTAMP": ("year", "month", "day", "hour", "minute", "microsecond"),
    }.get(case.hyper.removesuffix("_TZ"))
    if parts:
        value = f"CASE WHEN v IS NOT NULL THEN [{', '.join(f'{p}({value})' for p in parts)}] END"
    rows = duck.execute(f"SELECT {value} FROM ({case.rows()}) ORDER BY n").fetchall()
    return [bits(row[0]) for row in rows]


def sql_type(name: str) -> SqlType:
    """The official API's type that a plan's type stands for."""
    if name.startswith("NUMERIC"):
        precision, scale = name[8:-1].split(",")
        return SqlType.numeric(int(precision), int(scale))
    return SQL_TYPES[name]


def declared(hyper: Hyper, path: Path) -> list[tuple[str, SqlType, str]]:
    """Name, type and nullability of each column, as the official API tells them."""
    with hyper.connect(path) as connection:
        assert isinstance(connection, Connection)
        table = connection.catalog.get_table_definition(TableName("Extract", "Extract"))
        return [(c.name.unescaped, c.type, c.nullability.name) for c in table.columns]


def held_file_version(hyper: Hyper, path: Path) -> int:
    """Tell a file's version by what it accepts: 128-bit numerics came with 3, REAL with 4."""
    with hyper.connect(path) as connection:
        return 2 + _accepts(connection, "NUMERIC(38,0)") + _accepts(connection, "REAL")


def _accepts(connection: Connection, column: str) -> bool:
    try:
        connection.execute_command(f"CREATE TABLE probe_{column[:4]} (v {column})")
    except HyperException as error:
        if "This database does not support" not in str(error):
            raise
        return False
    return True


@pytest.mark.parametrize("case", KEPT, ids=lambda case: case.sql)
def test_each_type_that_an_extract_holds_has_its_plan(
    duck: duckdb.DuckDBPyConnection, case: Kept
) -> None:
    """Cast and Hyper type of each DuckDB type are those of the measured table."""
    only_known_types(duck, case.sql)
    described = describe(duck, f"(SELECT CAST(NULL AS {case.sql}) AS v)")
    [plan] = plan_columns(described, mart="m", file="m.sql")
    assert (plan.name, plan.cast, str(plan.hyper_type)) == ("v", case.cast, case.hyper)
    assert plan.expression == (f'CAST("v" AS {case.cast}) AS "v"' if case.cast else '"v"')


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.sql)
def test_each_type_that_an_extract_cannot_hold_is_refused_with_its_remedy(
    duck: duckdb.DuckDBPyConnection, case: Refused
) -> None:
    """A refusal names mart, file, column and type, and tells what to write in the model."""
    only_known_types(duck, case.sql)
    described = describe(duck, f"(SELECT CAST(NULL AS {case.sql}) AS v)")
    refusal = r"(?s)mart 'm' \(m\.sql\):\n- column 'v' has type .*cannot hold\. .*" + case.remedy
    with pytest.raises(UnsupportedColumn, match=refusal) as caught:
        plan_columns(described, mart="m", file="m.sql")
    assert (caught.value.mart, caught.value.columns) == ("m", ("v",))


def test_every_type_of_the_installed_duckdb_is_in_the_table(
    duck: duckdb.DuckDBPyConnection,
) -> None:
    """A type that a new DuckDB brings is noticed before a mart has it."""
    rows = duck.execute("SELECT DISTINCT logical_type FROM duckdb_types()").fetchall()
    names = {"TIMETZ": "TIME WITH TIME ZONE", "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}
    tested = {names.get(case.sql, case.sql.partition("(")[0]) for case in CASES}
    assert {row[0] for row in rows} <= tested | TESTED_BY_EXPRESSION | {"LIST", "ARRAY"}


def test_a_column_without_a_type_is_refused_where_duckdb_has_one(
    duck: duckdb.DuckDBPyConnection,
) -> None:
    """`SELECT NULL AS v` is refused, with the cast to write; DuckDB 1.5 makes it an integer."""
    described = describe(duck, "(SELECT NULL AS v)")
    if not IS_DUCKDB_2:
        [plan] = plan_columns(described, mart="m", file="m.sql")
        assert str(plan.hyper_type) == "INT"
        return
    with pytest.raises(UnsupportedColumn, match=r"no type at all.*CAST\(NULL AS VARCHAR\)"):
        plan_columns(described, mart="m", file="m.sql")


def test_a_row_is_refused(duck: duckdb.DuckDBPyConnection) -> None:
    """A struct without names, a type of its own in DuckDB 2, is refused like a struct."""
    described = describe(duck, "(SELECT row(1, 'a') AS v)")
    with pytest.raises(UnsupportedColumn, match=r"cannot hold\. .*in the model.*or leave it out"):
        plan_columns(described, mart="m", file="m.sql")


@pytest.mark.hyper
def test_a_type_as_a_value_arrives_as_its_name(
    export: Export, hyper: Hyper, query_hyper: Query, tmp_path: Path
) -> None:
    """TYPE, which no table can store but a view can give, becomes text."""
    version = export("SELECT get_type(1::DECIMAL(9,2)) AS v")
    made = hyper.convert(version, extract="types", folder=tmp_path)
    assert version.columns[0].source_type == "TYPE"
    assert query_hyper(made.path) == [["DECIMAL(9,2)"]]


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        ("ENUM('DATE[]', 'x')", "TEXT"),
        ("DECIMAL(1,0)", "NUMERIC(1,0)"),
        ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP_TZ"),
    ],
)
def test_a_type_is_told_by_its_head(described: str, expected: str) -> None:
    """Arguments of a type, even odd ones, do not change what it is."""
    [plan] = plan_columns([("v", described)], mart="m", file="m.sql")
    assert str(plan.hyper_type) == expected


def test_all_refused_columns_are_told_together() -> None:
    """One message names every refused column, in order, with its own remedy."""
    described = [("a", "BLOB"), ("b", "DATE"), ('c "q"', "INTEGER[]"), ("d", "FUTURE(7)")]
    with pytest.raises(UnsupportedColumn, match=r"'a' has type BLOB") as caught:
        plan_columns(described, mart="m", file="models/m.sql")
    first, *lines = str(caught.value).splitlines()
    assert first == "Cannot export mart 'm' (models/m.sql):"
    assert [line.partition(" has type ")[0] for line in lines] == [
        "- column 'a'",
        "- column 'c \"q\"'",
        "- column 'd'",
    ]
    assert 'to_json("c ""q""")' in lines[1]
    assert "has type FUTURE(7)" in lines[2]
    assert "Cast it in the model to a type that the README lists, or leave it out" in lines[2]
    assert caught.value.columns == ("a", 'c "q"', "d")


@pytest.mark.parametrize(
    "text", ["", "numeric(1,2)", "NUMERIC", "NUMERIC(1)", "INT(1,2)", "REAL", "INT ", "BYTES"]
)
def test_only_types_of_an_extract_are_parsed(text: str) -> None:
    """What `str` of a type could not have made is an error that shows it."""
    with pytest.raises(ValueError, match=r"is not a type of an extract"):
        HyperType.parse(text)


@pytest.mark.parametrize("case", KEPT, ids=lambda case: case.sql)
def test_types_survive_their_text(case: Kept) -> None:
    """Parsing undoes `str`, for every type that a plan can have."""
    assert str(HyperType.parse(case.hyper)) == case.hyper


@settings(max_examples=30)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_quoting_makes_any_name_an_identifier(name: str) -> None:
    """DuckDB gives back any name that was quoted."""
    with duckdb.connect() as connection:
        [row] = connection.execute(f"DESCRIBE SELECT 1 AS {quote_identifier(name)}").fetchall()
    assert row[0] == name


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ({}, (2, ())),
        ({"a": "TEXT", "b": "NUMERIC(18,4)"}, (2, ())),
        ({"a": "NUMERIC(19,0)", "b": "INT", "c": "NUMERIC(38,38)"}, (3, ("a", "c"))),
    ],
)
def test_the_file_version_is_raised_only_by_wide_numerics(
    types: Mapping[str, str], expected: tuple[int, tuple[str, ...]]
) -> None:
    """Version 2 unless a NUMERIC has more than 18 digits, and the columns that have are named."""
    assert file_version((name, HyperType.parse(text)) for name, text in types.items()) == expected


@pytest.mark.hyper
@pytest.mark.parametrize("case", KEPT, ids=lambda case: case.sql)
def test_values_of_each_type_arrive_exactly(
    duck: duckdb.DuckDBPyConnection,
    export: Export,
    hyper: Hyper,
    query_hyper: Query,
    tmp_path: Path,
    case: Kept,
) -> None:
    """Hyper holds what DuckDB's CAST gives, extremes and NULL included, in the planned type."""
    only_known_types(duck, case.sql)
    made = hyper.convert(export(case.rows()), extract="types", folder=tmp_path)

    rows = query_hyper(made.path, 'SELECT v FROM "Extract"."Extract" ORDER BY n')
    assert [bits(row[0]) for row in rows] == expected_values(duck, case)
    assert declared(hyper, made.path) == [
        ("n", SqlType.int(), "NULLABLE"),
        ("v", sql_type(case.hyper), "NULLABLE"),
    ]
    is_wide = HyperType.parse(case.hyper).file_version == 3
    assert (made.file_version, made.raised_by) == ((3, ("v",)) if is_wide else (2, ()))


@pytest.mark.hyper
@pytest.mark.parametrize(
    ("sql", "expected"),
    [("FLOAT", 2), ("DECIMAL(18,2)", 2), ("DECIMAL(19,4)", 3), ("UBIGINT", 3), ("UHUGEINT", 3)],
)
def test_the_file_has_the_version_that_is_told(
    export: Export, hyper: Hyper, tmp_path: Path, sql: str, expected: int
) -> None:
    """No file is of a later version than its types need, and the record says which it is."""
    made = hyper.convert(export(f"SELECT 1::{sql} AS v"), extract="types", folder=tmp_path)
    assert made.file_version == expected
    assert held_file_version(hyper, made.path) == expected


@pytest.mark.hyper
@pytest.mark.parametrize("rows", [2, 0])
def test_columns_without_any_value_keep_their_type(
    duck: duckdb.DuckDBPyConnection, export: Export, hyper: Hyper, tmp_path: Path, rows: int
) -> None:
    """All-NULL columns and marts without rows give the same schema as full ones."""
    cases = {f"v{n}": case for n, case in enumerate(KEPT) if is_known_type(duck, case.sql)}
    columns = ", ".join(f"CAST(NULL AS {case.sql}) AS {name}" for name, case in cases.items())
    version = export(f"SELECT {columns} FROM range({rows})")
    made = hyper.convert(version, extract="types", folder=tmp_path)
    assert made.rows == rows
    assert declared(hyper, made.path) == [
        (name, sql_type(case.hyper), "NULLABLE") for name, case in cases.items()
    ]


@pytest.mark.hyper
def test_a_plain_sum_of_integers_keeps_all_its_digits(
    export: Export, hyper: Hyper, query_hyper: Query, tmp_path: Path
) -> None:
    """`sum(bigint)` is HUGEINT, which DuckDB would write to Parquet as DOUBLE."""
    version = export(
        "SELECT sum(i) AS total, sum(d) AS net "
        "FROM (VALUES (9007199254740992::BIGINT, 0.01::DECIMAL(9,2)), (1, 0.02)) AS t(i, d)"
    )
    made = hyper.convert(version, extract="sums", folder=tmp_path)
    assert [column.source_type for column in version.columns] == ["HUGEINT", "DECIMAL(38,2)"]
    assert query_hyper(made.path) == [[9007199254740993, Decimal("0.03")]]
    assert (made.file_version, made.raised_by) == (3, ("net",))


@pytest.mark.hyper
def test_floats_are_summed_as_doubles(
    export: Export, hyper: Hyper, query_hyper: Query, tmp_path: Path
) -> None:
    """A sum in Hyper over a FLOAT column is right, where a REAL one would give 100354.2."""
    version = export("SELECT 0.1::FLOAT AS v FROM range(1000000)")
    made = hyper.convert(version, extract="floats", folder=tmp_path)
    [[total]] = query_hyper(made.path, 'SELECT SUM(v) FROM "Extract"."Extract"')
    assert total == pytest.approx(struct.unpack("f", struct.pack("f", 0.1))[0] * 1e6, rel=1e-9)


@pytest.mark.parametrize(
    ("sql", "cast", "bad", "good"),
    [
        ("HUGEINT", "BIGINT", "9223372036854775808", "9223372036854775807"),
        ("UHUGEINT", r"DECIMAL\(38,0\)", "1" + "0" * 38, "9" * 38),
    ],
)
def test_integers_that_do_not_fit_are_an_error(
    export: Export, tmp_path: Path, sql: str, cast: str, bad: str, good: str
) -> None:
    """The error names column, type, number of bad rows and an example; no version is left."""
    many = f"SELECT 1 AS fine, CAST(unnest(['{bad}', '{good}', NULL, '{bad}']) AS {sql}) AS total"
    message = (
        rf"mart 'mart' \(models/mart\.sql\): values are out of range\.\n- column 'total' \({sql}\)"
        rf": 2 rows do not fit {cast}, for example {bad}\. Cast it in the model"
    )
    with pytest.raises(ExportError, match=message):
        export(many)
    assert list(tmp_path.rglob("*.parquet")) == []


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize(
    "sql", ["DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP WITH TIME ZONE"]
)
def test_infinite_moments_are_an_error(export: Export, tmp_path: Path, sql: str, sign: str) -> None:
    """Hyper would read some as the year 294247; the error names column, number and remedy."""
    moments = f"unnest([NULL, '{sign}infinity', '2026-01-31', '{sign}infinity'])"
    message = (
        rf"mart 'mart' \(models/mart\.sql\):\n- column 'a \"v\"' \({sql}\): 2 rows are infinite, "
        r'which an extract cannot hold\. .* CASE WHEN isfinite\("a ""v"""\) THEN "a ""v""" END\.$'
    )
    with pytest.raises(ExportError, match=message):
        export(f"""SELECT 1 AS fine, CAST({moments} AS {sql}) AS "a ""v""\"""")
    assert list(tmp_path.rglob("*.parquet")) == []


def test_all_infinite_columns_are_told_together(export: Export) -> None:
    """One message names every column that has an infinite moment, and no other."""
    columns = "DATE 'infinity' AS a, DATE '2026-01-31' AS b, TIMESTAMP '-infinity' AS c"
    with pytest.raises(ExportError, match="infinite") as caught:
        export(f"SELECT {columns}")
    assert [line.partition(": ")[0] for line in str(caught.value).splitlines()[1:]] == [
        "- column 'a' (DATE)",
        "- column 'c' (TIMESTAMP)",
    ]


@pytest.mark.hyper
@pytest.mark.parametrize(
    "value",
    [
        "DATE '4714-12-31 (BC)'",
        "DATE '294277-01-01'",
        "TIME '24:00:00'",
        "TIMESTAMP '4714-12-31 (BC) 00:00:00'",
    ],
)
def test_moments_that_an_extract_cannot_hold_are_an_error(
    export: Export, hyper: Hyper, tmp_path: Path, value: str
) -> None:
    """A date or time out of Hyper's range stops the mart, and never becomes another one."""
    with pytest.raises((ExportError, ExtractError), match=r"(?s)Cannot .*\bv\b"):
        hyper.convert(export(f"SELECT {value} AS v"), extract="moments", folder=tmp_path)


@pytest.mark.hyper
@pytest.mark.parametrize("name", ["ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"])
def test_names_that_hyper_keeps_for_itself_are_an_error(
    export: Export, hyper: Hyper, tmp_path: Path, name: str
) -> None:
    """A column named like one of Hyper's system columns is refused by name."""
    with pytest.raises(ExtractError, match=rf"'mart'.*'{name}' conflicts with a system column"):
        hyper.convert(export(f"SELECT 1 AS {name}"), extract="mart", folder=tmp_path)


SYSTEM_COLUMNS = {"ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"}
NAMES = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12
).filter(lambda name: name not in SYSTEM_COLUMNS)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def _integers(size: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (size - 1)), 2 ** (size - 1) - 1)


def _decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    digits = st.integers(-(10**precision) + 1, 10**precision - 1)
    # by text: arithmetic would round to the 28 digits of the default context
    return digits.map(lambda number: Decimal(f"{number}e-{scale}"))


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "BOOLEAN": st.booleans(),
    "TINYINT": _integers(8),
    "SMALLINT": _integers(16),
    "INTEGER": _integers(32),
    "BIGINT": _integers(64),
    "HUGEINT": _integers(64),
    "UBIGINT": st.integers(0, 2**64 - 1).map(Decimal),
    "FLOAT": st.floats(width=32),
    "DOUBLE": st.floats(),
    "DECIMAL(9,2)": _decimals(9, 2),
    "DECIMAL(38,10)": _decimals(38, 10),
    "VARCHAR": TEXT,
    "UUID": st.uuids().map(str),
    "DATE": st.dates(),
    "TIME": st.times(),
    "TIMESTAMP": st.datetimes(),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, str], list[tuple[Any, ...]]]:
    """Type of each column by name, and rows of Python values."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique_by=str.casefold))
    types = {name: draw(st.sampled_from(sorted(VALUES))) for name in names}
    row = st.tuples(*(st.none() | VALUES[sql] for sql in types.values()))
    return types, draw(st.lists(row, max_size=8))


def _text_for_duckdb(value: Any) -> str | None:
    return None if value is None else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Date | Timestamp):
        value = value.to_date() if isinstance(value, Date) else value.to_datetime()
    # Hyper stores -0.0 and 0.0 as one value when a column has both; they are equal in any query
    return bits(0.0 if value == 0 and isinstance(value, float) else value)


@pytest.mark.hyper
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(table=tables())
def test_random_tables_arrive_exactly(
    hyper: Hyper,
    query_hyper: Query,
    tmp_path_factory: pytest.TempPathFactory,
    table: tuple[dict[str, str], list[tuple[Any, ...]]],
) -> None:
    """Any names, types, values and NULLs in Python come out of the extract as they went in."""
    types, rows = table
    folder = tmp_path_factory.mktemp("random")
    columns = ", ".join(f"{quote_identifier(name)} {sql}" for name, sql in types.items())
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE mart ({columns})")
        casts = ", ".join(f"CAST(? AS {sql})" for sql in types.values())
        for row in rows:
            connection.execute(
                f"INSERT INTO mart VALUES ({casts})", list(map(_text_for_duckdb, row))
            )
        version = export_mart(
            connection, relation="mart", mart="mart", file="m.sql", folder=folder / "mart"
        )
    made = hyper.convert(version, extract="mart", folder=folder)

    assert [column[0] for column in declared(hyper, made.path)] == list(types)
    assert Counter(tuple(map(_plain, row)) for row in query_hyper(made.path)) == Counter(
        tuple(map(_plain, row)) for row in rows
    )
