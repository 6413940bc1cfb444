import re
from collections.abc import Callable

import duckdb
import pytest

from mds_tableau.column_options import ALLOWED_OPTIONS, ColumnOptions, parse_options
from mds_tableau.column_types import plan_columns
from mds_tableau.columns import ColumnPlan
from mds_tableau.errors import UnsupportedColumn
from mds_tableau.export_plan import describe
from mds_tableau.parquet import ParquetVersion
from mds_tableau.wording import MODEL
from tests.type_cases import Case, Refused, known, options
from tests.type_marts import mart_of
from tests.types_bad_values import BAD
from tests.types_of_time import ZONE
from tests.types_table import CASES, REFUSED

Export = Callable[..., ParquetVersion]

TYPES = sorted({case.sql for case in CASES})
AS = ALLOWED_OPTIONS["as"].removeprefix("one of ").partition(", with")[0].split(", ")
WORDS = [
    *(f"as: {word}" for word in AS if word != "numeric(p,s)"),
    *("as: numeric(38,38)", "infinity: null", "truncate: us", f"timezone: {ZONE}"),
]
"""Everything that may be asked, once each."""


def plan(sql: str, asked: str = "") -> ColumnPlan:
    """The plan of a column `v`."""
    wanted = {"v": options(asked)} if asked else {}
    [found] = plan_columns([("v", sql)], mart="m", file="m.sql", options=wanted)
    return found


def refusal(sql: str, asked: str = "") -> str:
    """What is said of a column `v` that has no plan."""
    with pytest.raises(UnsupportedColumn) as caught:
        plan(sql, asked)
    assert (caught.value.mart, caught.value.columns) == ("m", ("v",))
    first, line = str(caught.value).splitlines()
    assert first == "Cannot export mart 'm' (m.sql):"
    return line.removeprefix("- ")


def general(asked: str) -> str:
    """An option as a message names all of its kind."""
    asked = re.sub(r"numeric\(\d+,\d+\)", "numeric(p,s)", asked)
    return re.sub(r"timezone: .*/.*", "timezone: <zone>", asked)


def allowed(sql: str) -> set[str]:
    """The single options that the table has for a type."""
    asked = [case.asked for case in CASES if case.sql == sql]
    return {general(word) for word in asked if word and ", " not in word}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_way_of_each_type_is_planned(case: Case) -> None:
    """Cast, type in the extract and what is lost are those of the table."""
    found = plan(case.sql, case.asked)
    assert (found.cast, str(found.hyper_type), found.loses) == (case.cast, case.hyper, case.loses)
    assert (found.expression == '"v"') == (not case.cast)


def test_each_check_of_each_way_is_in_the_table_of_bad_values() -> None:
    """No check is left without a test, and the table has none that is not there."""
    planned = {
        (case.sql, case.asked, check.what, MODEL.ask(check.options), check.stops)
        for case in CASES
        for check in plan(case.sql, case.asked).checks
    }
    assert planned == {(bad.sql, bad.asked, bad.says, bad.remedy, bad.stops) for bad in BAD}


def test_each_case_is_in_the_table_once() -> None:
    """A case is known by type and option."""
    assert len({str(case) for case in CASES}) == len(CASES)


def test_duckdb_describes_the_types_as_the_table_has_them(duck: duckdb.DuckDBPyConnection) -> None:
    """What is planned by the table's names is planned by DuckDB's own."""
    cases = known(duck, CASES)
    mart, names = mart_of(duck, cases)
    described = dict(describe(duck, mart.relation))
    assert {described[names[case]] for case in cases} == {case.sql for case in cases}


def test_every_type_of_the_installed_duckdb_is_in_the_table(
    duck: duckdb.DuckDBPyConnection,
) -> None:
    """A type that a new DuckDB brings is noticed before a mart has it."""
    rows = duck.execute("SELECT DISTINCT logical_type FROM duckdb_types()").fetchall()
    heads = {re.split(r"[(\[]", sql)[0].strip('"') for sql in TYPES}
    assert {row[0] for row in rows} <= heads | {"LIST", "ARRAY"}


def test_what_is_asked_in_the_table_can_be_written_in_a_model() -> None:
    """The table asks for nothing that `parse_options` refuses."""
    for case in CASES:
        if case.asked:
            meta = dict(word.split(": ") for word in re.split(", (?=[a-z])", case.asked))
            assert parse_options(meta, where="column 'v'") == case.options


@pytest.mark.parametrize("refused", REFUSED, ids=str)
def test_types_without_a_default_are_refused_with_what_to_ask_for(refused: Refused) -> None:
    """A refusal names mart, file, column and type, and all that there is to do."""
    assert refusal(refused.sql) == (
        f"column 'v' has type {refused.sql}, which a Hyper extract cannot hold. {refused.remedy} "
        "under config.meta.tableau of the column, convert it in the model, or leave it out."
    )
    assert refused.sql not in {case.sql for case in CASES if not case.asked}


@pytest.mark.parametrize("sql", TYPES)
def test_only_options_of_the_table_suit_a_type(sql: str) -> None:
    """An option either has a case in the table, or is refused with those that have one."""
    suited = allowed(sql)
    for word in WORDS:
        if general(word) in suited:
            plan(sql, word)
            continue
        said, _, listed = refusal(sql, word).partition(" does not suit. ")
        assert said == f"column 'v' has type {sql}, which '{word}' under config.meta.tableau"
        assert set(listed.removeprefix("It can be ").removesuffix(".").split(" or ")) == suited


@pytest.mark.parametrize(
    ("sql", "asked"),
    [
        ("DECIMAL(18,2)", "as: numeric(18,1)"),
        ("DECIMAL(38,38)", "as: numeric(38,9)"),
        ("DECIMAL(4,1)", "as: bigint"),
        ("TIME WITH TIME ZONE", f"timezone: {ZONE}"),
        ("TIME WITH TIME ZONE", "timezone: Etc/UTC"),
        ("FUTURE(7)", "as: text"),
    ],
)
def test_options_that_would_round_or_guess_are_refused(sql: str, asked: str) -> None:
    """No option cuts digits of a decimal, or needs a date that a time of day does not have."""
    assert f"which '{asked}' under config.meta.tableau does not suit" in refusal(sql, asked)


def test_all_options_that_do_not_suit_are_told_together() -> None:
    """One sentence names all of them."""
    assert refusal("DATE", f"infinity: null, truncate: us, timezone: {ZONE}") == (
        f"column 'v' has type DATE, which 'truncate: us, timezone: {ZONE}' under "
        "config.meta.tableau does not suit. It can be as: text or infinity: null."
    )


def test_an_option_for_a_type_that_takes_none_is_to_be_removed() -> None:
    """Nothing is offered where nothing is possible."""
    assert refusal("FUTURE(7)", "as: text").endswith("does not suit. Remove it.")


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        ("ENUM('DATE[]', 'x')", "TEXT"),
        ("ENUM('x(', ']')", "TEXT"),
        ("DECIMAL(1,0)", "NUMERIC(1,0)"),
        ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP_TZ"),
    ],
)
def test_a_type_is_told_by_its_head(described: str, expected: str) -> None:
    """Arguments of a type, even odd ones, do not change what it is."""
    assert str(plan(described).hyper_type) == expected


def test_all_refused_columns_are_told_together() -> None:
    """One message names every refused column, in order, with its own remedy."""
    described = [("a", "BLOB"), ("b", "DATE"), ('c "q"', "INTEGER[]"), ("d", "FUTURE(7)")]
    asked = {"B": ColumnOptions(truncate="us"), "aa": ColumnOptions(as_="hex")}
    with pytest.raises(UnsupportedColumn) as caught:
        plan_columns(described, mart="m", file="models/m.sql", options=asked)
    first, *lines = str(caught.value).splitlines()
    assert first == "Cannot export mart 'm' (models/m.sql):"
    assert lines[0] == (
        "- config.meta.tableau asks something for column 'aa', which the mart does not have. "
        "Did you mean 'a'?"
    )
    assert [line.partition(" has type ")[0] for line in lines[1:]] == [
        "- column 'a'",
        "- column 'b'",
        "- column 'c \"q\"'",
        "- column 'd'",
    ]
    assert lines[4] == (
        "- column 'd' has type FUTURE(7), which a Hyper extract cannot hold. Cast it in the model "
        "to a type that docs/types.md lists, or leave it out."
    )
    assert caught.value.columns == ("a", "b", 'c "q"', "d")


def test_options_find_their_column_in_any_case() -> None:
    """As DuckDB does, an option does not tell `Net` from `net`."""
    [found] = plan_columns(
        [("Net", "HUGEINT")], mart="m", file="m.sql", options={"nET": ColumnOptions(as_="text")}
    )
    assert str(found.hyper_type) == "TEXT"


@pytest.mark.parametrize("name", ["{}", "a {} b", '"', "v'", "\\1", "ä.b"])
@pytest.mark.parametrize("sql", ["HUGEINT", "TIMESTAMPTZ_NS", "INTERVAL"])
def test_a_name_is_never_taken_for_sql(
    duck: duckdb.DuckDBPyConnection, export: Export, name: str, sql: str
) -> None:
    """Whatever a column is called, its own values are looked at and exported."""
    case = Case(sql, "", {})
    if not known(duck, [case]):
        pytest.skip(f"DuckDB {duckdb.__version__} has no type {sql}")
    quoted = name.replace('"', '""')
    wanted = {"INTERVAL": {name: ColumnOptions(as_="seconds")}}.get(sql, {})
    version = export(f'SELECT CAST(NULL AS {sql}) AS "{quoted}"', options=wanted)
    assert [column.name for column in version.columns] == [name]


def test_a_column_without_a_type_is_refused_where_duckdb_has_one(
    duck: duckdb.DuckDBPyConnection,
) -> None:
    """`SELECT NULL AS v` is refused, with the cast to write; DuckDB 1.5 makes it an integer."""
    [(_, described)] = describe(duck, "(SELECT NULL AS v)")
    if described == "INTEGER":
        pytest.skip("DuckDB 1.5 makes it an integer")
    assert "CAST(NULL AS VARCHAR)" in refusal(described)
