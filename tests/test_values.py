import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import duckdb
import pytest

from mds_tableau.column_types import plan_columns
from mds_tableau.columns import Check
from mds_tableau.errors import ExportError
from mds_tableau.export_plan import describe
from mds_tableau.parquet import ParquetVersion
from mds_tableau.values import check_values
from tests.type_cases import literal, options
from tests.types_bad_values import BAD, Bad

Export = Callable[..., ParquetVersion]

WITH_VALUES = [bad for bad in BAD if bad.values]


@pytest.fixture
def export_values(duck: duckdb.DuckDBPyConnection, export: Export) -> Export:
    """Exports a column `v` of a type with some values."""

    def run(sql: str, asked: str, values: Sequence[str | None]) -> ParquetVersion:
        try:
            duck.execute(f"CREATE OR REPLACE TABLE stored (v {sql})")
        except duckdb.CatalogException:
            pytest.skip(f"DuckDB {duckdb.__version__} has no type {sql}")
        for value in values:
            selected = "NULL" if value is None else literal(value, sql)
            duck.execute(
                f"INSERT INTO stored SELECT {selected}", [value] if "?" in selected else []
            )
        return export("SELECT * FROM stored", options={"v": options(asked)} if asked else {})

    return run


@pytest.mark.parametrize("bad", WITH_VALUES, ids=str)
def test_values_that_would_change_are_counted_shown_and_told(
    export_values: Export, bad: Bad
) -> None:
    """One sentence has column, type, rows, an example and a remedy; only some are warnings."""
    values = [None, *bad.fine, *bad.values, bad.values[0]]
    sentence = (
        f"column 'v' ({bad.sql}): {len(bad.values) + 1} rows {bad.says}, "
        f"for example {bad.example or bad.values[0]}.{' ' if bad.remedy else ''}{bad.remedy}"
    )
    if not bad.stops:
        assert export_values(bad.sql, bad.asked, values).warnings == (sentence,)
        return
    with pytest.raises(ExportError) as caught:
        export_values(bad.sql, bad.asked, values)
    assert str(caught.value) == f"Cannot export mart 'mart' (models/mart.sql):\n- {sentence}"


@pytest.mark.parametrize("bad", WITH_VALUES, ids=str)
def test_nothing_is_said_of_other_values(export_values: Export, bad: Bad) -> None:
    """Neighbours of the values that a check speaks of, and NULL, are none of them."""
    version = export_values(bad.sql, bad.asked, [None, *bad.fine])
    assert [told for told in version.warnings if bad.says in told] == []


@pytest.mark.parametrize("bad", [bad for bad in WITH_VALUES if bad.stops], ids=str)
def test_each_option_of_a_remedy_helps(export_values: Export, bad: Bad) -> None:
    """What a message says to ask for can be asked for, and lets the value of its example through.

    `as` stands alone, the other options beside those that are there.
    """
    told = re.findall(r"'(\w+: \w+)'", bad.remedy)
    assert told
    for option in told:
        alone = option.startswith("as") or not bad.asked
        asked = option if alone else f"{option}, {bad.asked}"
        assert export_values(bad.sql, asked, [bad.values[0]]).rows == 1


def test_all_columns_are_told_together(duck: duckdb.DuckDBPyConnection, export: Export) -> None:
    """One message names every column that stops, in order, and no column that is only counted."""
    columns = (
        "DATE 'infinity' AS a, DATE '2026-01-31' AS b, TIMESTAMP '-infinity' AS \"c \"\"q\"\"\", "
        "'nan'::DOUBLE AS d, TIME '24:00:00' AS e"
    )
    with pytest.raises(ExportError) as caught:
        export(f"SELECT {columns}")
    first, *lines = str(caught.value).splitlines()
    assert first == "Cannot export mart 'mart' (models/mart.sql):"
    assert [line.partition(": ")[0] for line in lines] == [
        "- column 'a' (DATE)",
        "- column 'c \"q\"' (TIMESTAMP)",
        "- column 'e' (TIME)",
    ]


def test_warnings_of_several_columns_are_all_kept(export: Export) -> None:
    """What is only counted is in the version, and the values are as they were."""
    version = export("SELECT 'inf'::FLOAT AS a, 1 AS b, DATE '12026-01-01' AS c")
    assert [told.partition(": ")[0] for told in version.warnings] == [
        "column 'a' (FLOAT)",
        "column 'c' (DATE)",
    ]


@pytest.mark.parametrize(("length", "shown"), [(60, "x" * 60), (61, "x" * 60 + "…")])
def test_long_examples_are_cut(duck: duckdb.DuckDBPyConnection, length: int, shown: str) -> None:
    """An example is at most sixty characters, and a mark where more was."""
    [plan] = plan_columns([("v", "VARCHAR")], mart="m", file="m.sql")
    plan = replace(plan, checks=(Check("true", "are texts"),))
    [finding] = check_values(duck, f"(SELECT repeat('x', {length}) AS v)", [plan])
    assert (finding.rows, finding.example) == (1, shown)


def test_numbers_of_rows_are_readable(duck: duckdb.DuckDBPyConnection) -> None:
    """Thousands are set apart."""
    described = describe(duck, "(SELECT 'infinity'::DATE AS v)")
    plans = plan_columns(described, mart="m", file="m.sql")
    relation = "(SELECT 'infinity'::DATE AS v FROM range(1234567))"
    [finding] = check_values(duck, relation, plans)
    assert finding.told("").startswith("column 'v' (DATE): 1,234,567 rows are infinite")


def test_nothing_is_asked_where_nothing_is_to_be_checked(duck: duckdb.DuckDBPyConnection) -> None:
    """Plans without checks need no pass over the relation, so not even the relation."""
    plans = plan_columns([("v", "VARCHAR")], mart="m", file="m.sql")
    assert check_values(duck, "no_such_relation", plans) == ()
