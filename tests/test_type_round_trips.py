"""Each type, each way, from a mart through Parquet and Hyper and back, compared exactly."""

import struct
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tableauhyperapi import Connection, HyperException

from mds_tableau.conversion import convert
from mds_tableau.export import export_mart
from mds_tableau.hyper import Hyper
from mds_tableau.parquet import ParquetVersion
from tests.type_cases import Case, expected, known
from tests.type_marts import Made, declared, make, mart_of
from tests.types_of_time import ZONE
from tests.types_table import CASES

pytestmark = pytest.mark.hyper

Query = Callable[..., list[list[Any]]]
Export = Callable[..., ParquetVersion]


def made_of(every_type: list[Made], case: Case) -> Made:
    """The extract that has a case, unless the installed DuckDB has no such type."""
    found = [made for made in every_type if case in made.names]
    if not found:
        pytest.skip(f"DuckDB {duckdb.__version__} has no type {case.sql}")
    return found[0]


def of_the_table(made: Made, case: Case) -> list[Any]:
    """The values that the table says for a case, and NULL in the rows beyond them."""
    values = [expected(case.hyper, text) for text in case.values.values()]
    assert len(values) < made.version.rows
    return values + [None] * (made.version.rows - len(values))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_arrive_as_the_table_says(
    every_type: list[Made], query_hyper: Query, case: Case
) -> None:
    """Extremes, edges and NULL come out of the extract as the table of types has them."""
    made = made_of(every_type, case)
    assert made.values(query_hyper, case) == of_the_table(made, case)


def test_types_arrive_as_the_table_says(every_type: list[Made], hyper: Hyper) -> None:
    """Hyper declares each column with the type of the table, nullable."""
    for made in every_type:
        assert declared(hyper, made.extract.path) == {
            "n": ("INT", "NULLABLE"),
            **{name: (case.hyper, "NULLABLE") for case, name in made.names.items()},
        }


@pytest.mark.parametrize("numbers", [range(100, 102), range(0)])
def test_columns_without_any_value_keep_their_type(
    duck: duckdb.DuckDBPyConnection, hyper: Hyper, tmp_path: Path, numbers: range
) -> None:
    """All-NULL columns and marts without rows give the same schema as full ones."""
    cases = known(duck, CASES)
    made = make(duck, hyper, tmp_path, cases, numbers)
    rows = len(numbers)
    types = declared(hyper, made.extract.path)
    assert made.extract.rows == rows
    assert made.extract.not_null == (rows, *(0 for _ in cases))
    assert {name: types[name] for name in made.names.values()} == {
        name: (case.hyper, "NULLABLE") for case, name in made.names.items()
    }


@pytest.mark.parametrize("zone", [ZONE, "Asia/Kolkata", "Pacific/Apia"])
def test_the_time_zone_of_the_session_changes_nothing(
    duck: duckdb.DuckDBPyConnection, hyper: Hyper, query_hyper: Query, tmp_path: Path, zone: str
) -> None:
    """Moments, their text and the clock of a zone are the same wherever the pipeline runs."""
    duck.execute(f"SET TimeZone = '{zone}'")
    cases = known(duck, [case for case in CASES if "TIME" in case.sql and "[" not in case.sql])
    made = make(duck, hyper, tmp_path, cases)
    for case in cases:
        assert made.values(query_hyper, case) == of_the_table(made, case), case


ODD_SETTINGS = {
    "TimeZone": ZONE,
    "default_collation": "nocase",
    "default_null_order": "nulls_first",
    "default_order": "desc",
    "ieee_floating_point_ops": "false",
    "integer_division": "true",
    "old_implicit_casting": "true",
    "preserve_insertion_order": "false",
    "threads": "1",
}


def test_no_setting_of_a_session_changes_what_is_exported(
    duck: duckdb.DuckDBPyConnection, hyper: Hyper, query_hyper: Query, tmp_path: Path
) -> None:
    """Whatever a dbt profile sets for its views, the casts and the comparison mean the same."""
    cases = known(duck, [case for case in CASES if "[" not in case.sql])
    mart, names = mart_of(duck, cases)
    for name, value in ODD_SETTINGS.items():
        duck.execute(f"SET {name} = '{value}'")
    version = export_mart(duck, mart, tmp_path / "mart")
    made = Made(names, version, convert(hyper, version, extract="mart", folder=tmp_path))
    for case in cases:
        assert made.values(query_hyper, case) == of_the_table(made, case), case


def test_moments_within_json_show_the_clock_of_the_session(
    duck: duckdb.DuckDBPyConnection, hyper: Hyper, query_hyper: Query, tmp_path: Path
) -> None:
    """The one thing that the session's zone changes, which the plan tells; no moment is lost."""
    [case] = [case for case in CASES if case.sql == "TIMESTAMP WITH TIME ZONE[]"]
    duck.execute(f"SET TimeZone = '{ZONE}'")
    made = make(duck, hyper, tmp_path, [case])
    assert made.values(query_hyper, case) == ['["2026-07-01 06:00:00-04"]', None]
    assert "a view's in that of dbt" in made.column(case).note


def test_hyper_keeps_one_sign_of_zero_in_a_column(
    export: Export, hyper: Hyper, query_hyper: Query, tmp_path: Path
) -> None:
    """0.0 beside -0.0 are equal in every query, and only their sign tells them apart."""
    version = export("SELECT unnest([-0.0::DOUBLE, 0.0, -0.0]) AS v")
    made = convert(hyper, version, extract="zeros", folder=tmp_path)
    assert query_hyper(made.path, 'SELECT v, COUNT(*) FROM "Extract"."Extract" GROUP BY 1') in (
        [[0.0, 3]],
        [[-0.0, 3]],
    )


def test_a_plain_sum_of_integers_keeps_all_its_digits(
    export: Export, hyper: Hyper, query_hyper: Query, tmp_path: Path
) -> None:
    """`sum(bigint)` is HUGEINT, which DuckDB would write to Parquet as DOUBLE."""
    version = export(
        "SELECT sum(i) AS total, sum(d) AS net "
        "FROM (VALUES (9007199254740992::BIGINT, 0.01::DECIMAL(9,2)), (1, 0.02)) AS t(i, d)"
    )
    made = convert(hyper, version, extract="sums", folder=tmp_path)
    assert [column.source_type for column in version.columns] == ["HUGEINT", "DECIMAL(38,2)"]
    assert query_hyper(made.path) == [[9007199254740993, Decimal("0.03")]]
    assert (made.file_version, made.raised_by) == (3, ("net",))


def test_floats_are_summed_as_doubles(
    export: Export, hyper: Hyper, query_hyper: Query, tmp_path: Path
) -> None:
    """A sum in Hyper over a FLOAT column is right, where a REAL one would give 100354.2."""
    version = export("SELECT 0.1::FLOAT AS v FROM range(1000000)")
    made = convert(hyper, version, extract="floats", folder=tmp_path)
    [[total]] = query_hyper(made.path, 'SELECT SUM(v) FROM "Extract"."Extract"')
    assert total == pytest.approx(struct.unpack("f", struct.pack("f", 0.1))[0] * 1e6, rel=1e-9)


@pytest.mark.parametrize(
    ("sql", "expected_version"),
    [("FLOAT", 2), ("DECIMAL(18,2)", 2), ("DECIMAL(19,4)", 3), ("UBIGINT", 3), ("UHUGEINT", 3)],
)
def test_the_file_has_the_version_that_is_told(
    export: Export, hyper: Hyper, tmp_path: Path, sql: str, expected_version: int
) -> None:
    """No file is of a later version than its types need, and the record says which it is."""
    made = convert(hyper, export(f"SELECT 1::{sql} AS v"), extract="types", folder=tmp_path)
    assert made.file_version == expected_version
    with hyper.connect(made.path) as connection:
        # 128-bit numerics came with version 3, REAL with 4
        accepted = _accepts(connection, "NUMERIC(38,0)") + _accepts(connection, "REAL")
    assert 2 + accepted == expected_version


def _accepts(connection: Connection, column: str) -> bool:
    try:
        connection.execute_command(f"CREATE TABLE probe_{column[:4]} (v {column})")
    except HyperException as error:
        if "This database does not support" not in str(error):
            raise
        return False
    return True
