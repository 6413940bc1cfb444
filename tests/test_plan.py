import io
from collections.abc import Callable
from typing import Any

import duckdb
import pytest
from rich.console import Console

from mds_tableau.column_options import ColumnOptions
from mds_tableau.columns import quote_identifier
from mds_tableau.extracts import Extract
from mds_tableau.manifest import Mart
from mds_tableau.parquet import ParquetVersion
from mds_tableau.plan import PLAN_HEADER, ExtractPlan, plan_all
from mds_tableau.plan_command import _show
from mds_tableau.sessions import Session

Export = Callable[..., ParquetVersion]


def extract(name: str, **options: ColumnOptions) -> Extract:
    """An extract of one mart, with what is asked for its columns."""
    mart = Mart(
        unique_id=f"model.shop.{name}",
        name=name,
        relation=quote_identifier(name),
        file=f"models/{name}.sql",
        description="",
        materialized="table",
        meta={},
        tests=(),
    )
    return Extract(
        name=name,
        marts=(mart,),
        datasource=name,
        project="Default",
        description="",
        publish=True,
        options=options,
    )


def plan(
    duck: duckdb.DuckDBPyConnection, *extracts: Extract, compiled: str = ""
) -> tuple[ExtractPlan, ...]:
    """The plans of extracts whose query is known."""
    return plan_all(duck, extracts, lambda _: compiled)


def test_each_column_is_told_with_what_becomes_of_it(duck: duckdb.DuckDBPyConnection) -> None:
    """A row for each column in the mart's order, in the words of the header."""
    duck.execute(
        "CREATE TABLE sales AS SELECT 1 AS id, sum(2) AS total, 1.5::DECIMAL(38,2) AS net, "
        "TIMESTAMP_NS '2026-01-01 00:00:00' AS at, {'a': 1} AS more, 'x' AS note"
    )
    options = {"at": ColumnOptions(truncate="us"), "more": ColumnOptions(as_="json")}
    [planned] = plan(duck, extract("sales", **options))
    assert len(PLAN_HEADER) == 6
    assert [row[:5] for row in planned.types.rows] == [
        ("id", "INTEGER", "", "INT32 (INT_32)", "INT"),
        ("total", "HUGEINT", "::BIGINT", "INT64 (INT_64)", "BIG_INT"),
        ("net", "DECIMAL(38,2)", "", "FIXED_LEN_BYTE_ARRAY (DECIMAL)", "NUMERIC(38,2)"),
        (
            "at",
            "TIMESTAMP_NS",
            "make_timestamp(epoch_ns(…) // 1000 - CAST(epoch_ns(…) % 1000 < 0 AS BIGINT))",
            "INT64 (TIMESTAMP_MICROS)",
            "TIMESTAMP",
        ),
        (
            "more",
            "STRUCT(a INTEGER)",
            "CAST(to_json(…) AS VARCHAR)",
            "BYTE_ARRAY (UTF8)",
            "TEXT",
        ),
        ("note", "VARCHAR", "", "BYTE_ARRAY (UTF8)", "TEXT"),
    ]
    notes = {row[0]: row[5] for row in planned.types.rows}
    assert notes["id"] == notes["note"] == ""
    assert notes["total"] == "refused: rows that do not fit BIGINT"
    assert "loses digits below a microsecond" in notes["at"]
    assert "loses the types within" in notes["more"]
    assert planned.refusal == ""


@pytest.mark.parametrize(
    ("of_type", "version", "oldest"),
    [
        ("DECIMAL(18,2)", 2, "Tableau 2020.4.15, 2021.1.12 or 2022.1.2"),
        ("DECIMAL(19,2)", 3, "Tableau Desktop 2022.4.1, Server 2023.1, Prep 2022.4.1"),
    ],
)
def test_the_file_version_is_told_with_the_columns_that_raise_it(
    duck: duckdb.DuckDBPyConnection, of_type: str, version: int, oldest: str
) -> None:
    """Who has an old Tableau sees beforehand whether it will open the extract."""
    duck.execute(f"CREATE TABLE sales AS SELECT 1 AS id, 1::{of_type} AS net")
    [planned] = plan(duck, extract("sales"))
    assert (planned.types.file_version, planned.types.oldest_tableau) == (version, oldest)
    assert planned.types.raised_by == (("net",) if version == 3 else ())


def test_the_plan_is_what_the_export_does(duck: duckdb.DuckDBPyConnection, export: Export) -> None:
    """What is told beforehand stands in the manifest afterwards, word for word."""
    options = {"spans": ColumnOptions(as_="seconds")}
    version = export(
        "SELECT 1::UTINYINT AS small, 2::UBIGINT AS big, INTERVAL 3 SECONDS AS spans, now() AS at",
        options=options,
    )
    [planned] = plan(duck, extract("mart", **options))
    assert planned.types.rows == [
        (c.name, c.source_type, c.cast, c.parquet_type, str(c.hyper_type), c.note)
        for c in version.columns
    ]


def _broken(duck: duckdb.DuckDBPyConnection) -> list[Extract]:
    duck.execute("CREATE TABLE nested AS SELECT [1] AS many, 'x'::BLOB AS bytes")
    duck.execute("CREATE TABLE asked AS SELECT 1 AS id")
    duck.execute("CREATE TABLE gone AS SELECT 1 AS id")
    duck.execute("CREATE VIEW broken AS SELECT id FROM gone")
    duck.execute("DROP TABLE gone")
    duck.execute("CREATE TABLE right_one AS SELECT 1 AS id")
    return [
        extract("nested"),
        extract("asked", idd=ColumnOptions(as_="text")),
        extract("not_built"),
        extract("broken"),
        extract("right_one"),
    ]


def test_all_refusals_are_told_beside_what_is_right(duck: duckdb.DuckDBPyConnection) -> None:
    """One extract that is refused hides neither the others nor their refusals."""
    plans = {planned.extract.name: planned for planned in plan(duck, *_broken(duck))}
    right = [name for name, one in plans.items() if one.is_built and not one.refusal]
    assert right == ["right_one"]
    assert plans["nested"].types.columns == ()
    assert "column 'many' has type INTEGER[]" in plans["nested"].refusal
    assert "column 'bytes' has type BLOB" in plans["nested"].refusal
    assert (
        "column 'idd', which the mart does not have. Did you mean 'id'?" in plans["asked"].refusal
    )
    assert (plans["not_built"].is_built, plans["not_built"].refusal) == (False, "")
    assert plans["broken"].is_built
    assert "mart 'broken' (models/broken.sql)" in plans["broken"].refusal
    assert "Table with name gone does not exist!" in plans["broken"].refusal
    assert all(
        str(planned.extract.marts[0].file) in planned.refusal
        for planned in plans.values()
        if planned.refusal
    )


def test_values_are_not_looked_at(duck: duckdb.DuckDBPyConnection) -> None:
    """A plan is made of types alone: what cannot even be computed is no hindrance."""
    duck.execute("CREATE VIEW slow AS SELECT error('read')::INTEGER AS v FROM range(10)")
    [planned] = plan(duck, extract("slow"))
    assert [row[0] for row in planned.types.rows] == ["v"]


@pytest.mark.parametrize(
    ("compiled", "refused"),
    [('SELECT 1 AS "A", 2 AS "a"', True), ("SELECT 1 AS a, 2 AS a_1", False), ("no SQL", False)],
)
def test_a_renamed_column_is_refused(
    duck: duckdb.DuckDBPyConnection, compiled: str, refused: bool
) -> None:
    """Where the query is known; one that DuckDB cannot read does not end the planning."""
    duck.execute('CREATE TABLE twins AS SELECT 1 AS "A", 2 AS "a"')
    duck.execute("CREATE TABLE other AS SELECT 1 AS id")
    twins, other = plan(duck, extract("twins"), extract("other"), compiled=compiled)
    assert ("the query selects 'A' and 'a'" in twins.refusal) == refused
    assert bool(twins.types.columns) != refused
    assert [column.name for column in other.types.columns] == ["id"]


def test_odd_names_are_planned(duck: duckdb.DuckDBPyConnection) -> None:
    """Quotes, brackets, emoji and whole lines in names are told as they are."""
    names = ['a "b"', "[red]it's[/red]", "😀", "two\nlines", "x" * 300]
    columns: Any = ", ".join(f"1 AS {quote_identifier(name)}" for name in names)
    duck.execute(f"CREATE TABLE {quote_identifier(names[0])} AS SELECT {columns}")
    [planned] = plan(duck, extract(names[0]))
    assert [row[0] for row in planned.types.rows] == names


def shown(planned: ExtractPlan, width: int) -> str:
    """What is seen of a plan in a terminal of that width."""
    console = Console(file=io.StringIO(), width=width)
    _show(planned, "the server", console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture
def wide(duck: duckdb.DuckDBPyConnection) -> ExtractPlan:
    """A plan with a column for each way to be hard to show."""
    duck.execute(
        'CREATE TABLE wide AS SELECT 2.5::DECIMAL(38,10) AS "[red]it\'s[/red] 😀", '
        "DATE '2026-01-01' AS \"two\nlines\", 1 AS plain"
    )
    [planned] = plan(duck, extract("wide"))
    return planned


@pytest.mark.parametrize("width", [20, 40, 80, 100, 120, 160, 500])
def test_nothing_is_cut_off_whatever_the_width(wide: ExtractPlan, width: int) -> None:
    """Side by side where there is place, else below each other; never with dots for the rest."""
    text = shown(wide, width)
    assert "…" not in text
    words = " ".join(text.split())
    for word in ("[red]it's[/red] 😀", r"'two\nlines'", "DECIMAL(38,10)", "NUMERIC(38,10)"):
        assert word in words
    together = words.replace(" ", "")
    assert "refused:rowsthatareinfiniteorliebefore4713-01-01BCorafter294276-12-31" in together
    assert words.endswith("plain INTEGER INT32 (INT_32) INT") == (width > 120)
    assert words.endswith("plain INTEGER -> INT32 (INT_32) -> INT") == (width <= 120)


def test_a_name_wider_than_the_terminal_is_shown_whole(duck: duckdb.DuckDBPyConnection) -> None:
    """It stands in a line of its own, for the terminal to wrap and for others to find."""
    duck.execute(f"CREATE TABLE long AS SELECT 1 AS {'x' * 250}, 2 AS y")
    [planned] = plan(duck, extract("long"))
    assert "x" * 250 in shown(planned, 160).splitlines()
    assert "  INTEGER -> INT32 (INT_32) -> INT" in shown(planned, 160).splitlines()


def test_a_refusal_is_shown_whole(duck: duckdb.DuckDBPyConnection) -> None:
    """With all its lines, and without a table."""
    planned, *_ = plan(duck, *_broken(duck))
    text = shown(planned, 40)
    assert text == (
        "nested: datasource 'nested' in project 'Default' on the server\n"
        + planned.refusal
        + "\n\n"
    )


def test_a_view_is_planned_with_the_settings_of_dbt(duck: duckdb.DuckDBPyConnection) -> None:
    """A setting can change the type of a column, and the plan shows the one that dbt tested."""
    with duck.cursor() as dbt:
        dbt.execute("SET integer_division = true")
        dbt.execute("CREATE VIEW halves AS SELECT 7 / 2 AS half")
    session = Session(settings={"integer_division": True})
    [planned] = plan_all(duck, [extract("halves")], lambda _: "", lambda: session)
    assert [row[:2] for row in planned.types.rows] == [("half", "INTEGER")]
    wrong = Session(settings={"no_such_thing": 1})
    [refused] = plan_all(duck, [extract("halves")], lambda _: "", lambda: wrong)
    assert "DuckDB refuses the setting 'no_such_thing' of the dbt profile" in refused.refusal


@pytest.mark.parametrize("words", range(1, 24))
def test_nothing_is_cropped_however_long_its_words_together(
    duck: duckdb.DuckDBPyConnection, words: int
) -> None:
    """A name of many short words is shown whole, beside the types or above them."""
    name = " ".join(["column"] * words)
    duck.execute(f"CREATE TABLE sales AS SELECT now() AS {quote_identifier(name)}")
    [planned] = plan(duck, extract("sales"))
    console = Console(file=io.StringIO(), width=160)
    _show(planned, "the server", console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "…" not in text
    assert name in text
    assert "TIMESTAMP WITH TIME ZONE" in text
