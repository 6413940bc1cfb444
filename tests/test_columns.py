from collections.abc import Mapping

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mds_tableau.column_types import plan_columns
from mds_tableau.columns import (
    Check,
    ColumnPlan,
    HyperType,
    file_version,
    quote_identifier,
    quote_text,
)
from tests.type_cases import Case
from tests.type_marts import Made
from tests.types_table import CASES

HYPER_TYPES = sorted({case.hyper for case in CASES})


@pytest.mark.parametrize(
    "text",
    ["", "numeric(1,2)", "NUMERIC", "NUMERIC(1)", "INT(1,2)", "REAL", "INT ", "BYTES", "DATE\n"],
)
def test_only_types_of_an_extract_are_parsed(text: str) -> None:
    """What `str` of a type could not have made is an error that shows it."""
    with pytest.raises(ValueError, match=r"is not a type of an extract"):
        HyperType.parse(text)


@pytest.mark.parametrize("text", HYPER_TYPES)
def test_types_survive_their_text(text: str) -> None:
    """Parsing undoes `str`, for every type that a plan can have."""
    assert str(HyperType.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SMALL_INT", "SMALLINT"),
        ("NUMERIC(38,2)", "DECIMAL(38,2)"),
        ("GEOGRAPHY", "VARCHAR"),
        ("TIMESTAMP_TZ", "TIMESTAMPTZ"),
    ],
)
def test_types_are_compared_as_the_widest_of_their_kind(text: str, expected: str) -> None:
    """Values of two stages are brought to one DuckDB type."""
    assert HyperType.parse(text).compared_as == expected


@pytest.mark.parametrize("text", HYPER_TYPES)
def test_duckdb_knows_what_each_type_is_compared_as(
    duck: duckdb.DuckDBPyConnection, text: str
) -> None:
    """No type is compared as something that is none."""
    duck.execute(f"SELECT CAST(NULL AS {HyperType.parse(text).compared_as})").fetchall()


@settings(max_examples=30)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_quoting_makes_any_name_an_identifier_and_any_text_a_text(name: str) -> None:
    """DuckDB gives back any name and any text that was quoted."""
    with duckdb.connect() as connection:
        selected = f"SELECT {quote_text(name)} AS {quote_identifier(name)}"
        [row] = connection.execute(f"DESCRIBE {selected}").fetchall()
        assert row[0] == name
        assert connection.execute(selected).fetchall() == [(name,)]


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ({}, (2, ())),
        ({"a": "TEXT", "b": "NUMERIC(18,4)", "c": "GEOGRAPHY"}, (2, ())),
        ({"a": "NUMERIC(19,0)", "b": "INT", "c": "NUMERIC(38,38)"}, (3, ("a", "c"))),
    ],
)
def test_the_file_version_is_raised_only_by_wide_numerics(
    types: Mapping[str, str], expected: tuple[int, tuple[str, ...]]
) -> None:
    """Version 2 unless a NUMERIC has more than 18 digits, and the columns that have are named."""
    assert file_version((name, HyperType.parse(text)) for name, text in types.items()) == expected


@pytest.mark.hyper
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_parquet_type_is_told_as_it_is_written(every_type: list[Made], case: Case) -> None:
    """The plan says of each way what the footer of the file then says."""
    found = [made for made in every_type if case in made.names]
    if not found:
        pytest.skip(f"DuckDB {duckdb.__version__} has no type {case.sql}")
    [plan] = plan_columns([("v", case.sql)], mart="m", file="m.sql", options={"v": case.options})
    assert found[0].written(case) == plan.parquet_type == found[0].column(case).parquet_type


def test_what_is_selected_keeps_its_name() -> None:
    """A column that is exported as it is gets no alias, and any other its own name."""
    names = [('a "b"', "DATE"), ('c "d"', "FLOAT")]
    as_it_is, cast = plan_columns(names, mart="m", file="m.sql")
    assert as_it_is.selected == '"a ""b"""'
    assert cast.selected == 'CAST("c ""d""" AS DOUBLE) AS "c ""d"""'


@pytest.mark.parametrize(
    ("loses", "checks", "expected"),
    [
        ("", (), ""),
        ("digits", (), "loses digits"),
        (
            "digits",
            (Check("", "are a"), Check("", "are b"), Check("", "are c", stops=False)),
            "loses digits; refused: rows that are a or are b; counted: rows that are c",
        ),
    ],
)
def test_a_plan_says_what_is_lost_and_looked_at(
    loses: str, checks: tuple[Check, ...], expected: str
) -> None:
    """One line for people, with what stops the export before what does not."""
    plan = ColumnPlan("v", "INT", '"v"', "", "INTEGER", HyperType("INT"), checks, loses)
    assert plan.note == expected
