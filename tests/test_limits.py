from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mds_tableau import export as exporting
from mds_tableau.column_options import ColumnOptions
from mds_tableau.columns import quote_identifier
from mds_tableau.conversion import convert
from mds_tableau.errors import UnsupportedColumn
from mds_tableau.export import export_mart
from mds_tableau.export_plan import MartExport, plan_mart
from mds_tableau.hyper import Hyper
from mds_tableau.parquet import FOOTER_LIMIT, ParquetVersion, footer_bytes
from tests.stages import tree

pytestmark = pytest.mark.hyper

Query = Callable[..., list[list[Any]]]
Export = Callable[..., ParquetVersion]

COUNT = 'SELECT COUNT(*) FROM "Extract"."Extract"'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the extracts are."""
    return tmp_path / "hyper"


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups of the smallest size there is, so that a mart of few rows has many."""
    options = f"{exporting._COPY_OPTIONS}, ROW_GROUP_SIZE 2048"
    monkeypatch.setattr(exporting, "_COPY_OPTIONS", options)


@pytest.mark.usefixtures("small_groups")
def test_a_footer_beyond_the_limit_is_one_of_several_parts(
    duck: duckdb.DuckDBPyConnection, hyper: Hyper, query_hyper: Query, tmp_path: Path, folder: Path
) -> None:
    """What Hyper would refuse as one file it reads as several; names count once in each group."""
    names = [f"{number:04}{'x' * 3996}" for number in range(250)]
    columns = ", ".join(f"1 AS {quote_identifier(name)}" for name in names)
    duck.execute(f"CREATE VIEW mart AS SELECT {columns} FROM range(2048 * 17)")
    version = export_mart(duck, MartExport("mart", "mart", "mart.sql"), tmp_path / "parquet")
    footers = [footer_bytes(path) for path in version.paths]
    assert len(footers) > 1
    assert sum(footers) > FOOTER_LIMIT > max(footers)
    made = convert(hyper, version, extract="mart", folder=folder)
    assert made.row_hash == version.row_hash
    assert query_hyper(made.path, COUNT) == [[2048 * 17]]


@pytest.mark.usefixtures("small_groups")
def test_extremes_of_long_texts_are_written_in_parts_too(
    duck: duckdb.DuckDBPyConnection,
    hyper: Hyper,
    query_hyper: Query,
    tmp_path: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only writing tells how long they are, so the mart is written again, in smaller parts."""
    budget = 1024**2
    monkeypatch.setattr(exporting, "_FOOTER_BUDGET", budget)
    text = "repeat(CASE i % 2048 WHEN 0 THEN 'a' WHEN 1 THEN 'z' END, 9000)"
    columns = ", ".join(f"coalesce({text}, 'm') AS c{number}" for number in range(100))
    duck.execute(f"CREATE TABLE mart AS SELECT {columns} FROM range(2048 * 20) AS r(i)")
    version = export_mart(duck, MartExport("mart", "mart", "mart.sql"), tmp_path / "parquet")
    footers = [footer_bytes(path) for path in version.paths]
    assert len(footers) > 1
    assert sum(footers) > budget > max(footers)
    assert sorted(path.name for path in version.folder.iterdir()) == sorted(
        ["_manifest.json", *(part.file for part in version.parts)]
    )
    made = convert(hyper, version, extract="mart", folder=folder)
    assert made.row_hash == version.row_hash
    assert query_hyper(made.path, COUNT) == [[2048 * 20]]


def test_as_many_columns_as_hyper_has_are_an_extract(
    duck: duckdb.DuckDBPyConnection, hyper: Hyper, query_hyper: Query, tmp_path: Path, folder: Path
) -> None:
    """The most columns arrive; with one more the mart is refused, and nothing is written."""
    columns = ", ".join(f"{number} AS c{number}" for number in range(16_384))
    duck.execute(f"CREATE TABLE mart AS SELECT {columns}")
    mart = MartExport("mart", "mart", "models/mart.sql")
    version = export_mart(duck, mart, tmp_path / "parquet")
    made = convert(hyper, version, extract="mart", folder=folder)
    assert len(made.columns) == 16_384
    assert query_hyper(made.path, 'SELECT c0, c9999, c16383 FROM "Extract"."Extract"') == [
        [0, 9999, 16383]
    ]
    before = tree(version.folder.parent)
    message = (
        r"^Cannot export mart 'mart' \(models/mart\.sql\):\n- there are 16,385 columns, and an "
        r"extract holds at most 16,384\. Leave columns out, or make several extracts of them\.$"
    )
    duck.execute("ALTER TABLE mart ADD COLUMN one_more INTEGER")
    with pytest.raises(UnsupportedColumn, match=message):
        export_mart(duck, mart, tmp_path / "parquet")
    assert tree(version.folder.parent) == before


NAMES = [
    'a "quoted" name',
    "it's",
    "a.b",
    '"Extract"."Extract"',
    " ",
    "two  words ",
    "tab\tand\nline",
    "😀 ünï",
    "e\u0301",
    "é",
    "select",
    "CTID",
    "{i} %s $1 ?",
    "[brackets]",
    "back\\slash",
    "x;--",
    "long" * 2500,
]


@pytest.mark.parametrize("options", ["plain", "with a geography"])
def test_columns_may_have_any_name(
    export: Export, hyper: Hyper, query_hyper: Query, folder: Path, options: str
) -> None:
    """Quotes, dots, spaces, emoji, 10,000 characters: all arrive as they are, in order."""
    columns = ", ".join(f"{n} AS {quote_identifier(name)}" for n, name in enumerate(NAMES))
    asked = {}
    if options != "plain":
        columns = f"'POINT(1 2)' AS place, {columns}"
        asked = {"place": ColumnOptions(as_="geography")}
    made = convert(hyper, export(f"SELECT {columns}", options=asked), extract="mart", folder=folder)
    assert [name for name, _ in made.columns if name != "place"] == NAMES
    for number, name in enumerate(NAMES):
        query = f'SELECT {quote_identifier(name)} FROM "Extract"."Extract"'
        assert query_hyper(made.path, query) == [[number]]


@pytest.mark.parametrize(
    "name", ["it's", 'a "mart"', "a.b", "two words", "😀 ünï", "[x] *?", "ü" * 100]
)
def test_marts_may_have_any_name(
    duck: duckdb.DuckDBPyConnection, hyper: Hyper, query_hyper: Query, tmp_path: Path, name: str
) -> None:
    """Relations, schemas, marts and the folders that are named after them."""
    quoted = quote_identifier(name)
    duck.execute(f"CREATE SCHEMA {quoted}")
    duck.execute(f"CREATE TABLE {quoted}.{quoted} AS SELECT 7 AS {quoted}")
    mart = MartExport(name, f"{quoted}.{quoted}", f"models/{name}.sql")
    version = export_mart(duck, mart, tmp_path / name)
    assert version.mart == name
    made = convert(hyper, version, extract=name, folder=tmp_path / "hyper")
    assert query_hyper(made.path) == [[7]]


TWINS = 'SELECT 1 AS "A", 2 AS "a"'
REFUSED = (
    r"^Cannot export mart 'mart' \(mart\.sql\):\n- the query selects 'A' and 'a', which DuckDB "
    r"does not tell apart: it has renamed the second to 'a_1'\. Give one of them another name\.$"
)


@pytest.mark.parametrize("what", ["TABLE", "VIEW"])
@pytest.mark.parametrize(
    "compiled",
    [
        TWINS,
        f"{TWINS};",
        f"{TWINS} -- the last line\n",
        f"with final as ({TWINS}) select * from final",
        f"select * from ({TWINS} union all {TWINS})",
    ],
)
def test_twins_that_duckdb_renames_are_refused(
    duck: duckdb.DuckDBPyConnection, tmp_path: Path, what: str, compiled: str
) -> None:
    """Names that differ in case alone become others without a word; the query tells them."""
    duck.execute(f"CREATE {what} mart AS {TWINS}")
    assert [row[0] for row in duck.execute("DESCRIBE mart").fetchall()] == ["A", "a_1"]
    mart = MartExport("mart", "mart", "mart.sql", compiled=compiled)
    with pytest.raises(UnsupportedColumn, match=REFUSED):
        export_mart(duck, mart, tmp_path / "parquet")
    assert tree(tmp_path / "parquet") == {}
    with pytest.raises(UnsupportedColumn, match=REFUSED):
        plan_mart(duck, mart)


def test_twins_are_told_with_all_other_columns(duck: duckdb.DuckDBPyConnection) -> None:
    """Every pair, and what else the mart has that an extract cannot hold, in one error."""
    query = """SELECT 1 AS "A", 2 AS "a", [3] AS many, 4 AS ctid, 5 AS "B", 6 AS b"""
    duck.execute(f"CREATE TABLE mart AS {query}")
    with pytest.raises(UnsupportedColumn) as refused:
        plan_mart(duck, MartExport("mart", "mart", "mart.sql", compiled=query))
    told = str(refused.value).split("\n- ")[1:]
    assert [line[:30] for line in told] == [
        "the query selects 'A' and 'a',",
        "the query selects 'B' and 'b',",
        "column 'ctid' is called like o",
        "column 'many' has type INTEGER",
    ]


@pytest.mark.parametrize("query", ["SELECT a.*, b.* FROM a, b", "SELECT * FROM a JOIN b ON true"])
def test_columns_that_a_star_selects_twice_are_a_warning(
    duck: duckdb.DuckDBPyConnection, tmp_path: Path, query: str
) -> None:
    """What DuckDB has renamed is told with both names; what is called so by intent is not."""
    duck.execute("CREATE TABLE a AS SELECT 1 AS id, 2 AS net, 3 AS net_1")
    duck.execute('CREATE TABLE b AS SELECT 1 AS "ID", 4 AS other')
    duck.execute(f"CREATE TABLE mart AS {query}")
    mart = MartExport("mart", "mart", "mart.sql", compiled=f"{query} -- the last line")
    version = export_mart(duck, mart, tmp_path / "parquet")
    assert [column.name for column in version.columns] == ["id", "net", "net_1", "ID_1", "other"]
    assert version.warnings == (
        "column 'ID_1' is one of several that the query selects as 'ID', and DuckDB has renamed "
        "it. Give it a name of its own, or leave it out: * EXCLUDE (ID).",
    )


@pytest.mark.parametrize(
    "compiled",
    [
        "SELECT 1 AS x, 2 AS x_1, 3 AS x_2",
        "SELECT 1 AS x, 2 AS x_1, 3 AS x_2 ;",
        "WITH t AS (SELECT 1 AS x, 2 AS X, 3 AS y) SELECT x, x_1, y AS x_2 FROM t",
        "",
        "SELECT * FROM a_model_that_is_gone",
        "def model(dbt, session): return session.sql('SELECT 1')",
        "{{ config(materialized='incremental') }} SELECT 1",
    ],
)
def test_names_that_only_look_renamed_are_kept(
    duck: duckdb.DuckDBPyConnection, tmp_path: Path, compiled: str
) -> None:
    """Also where the query is not known, or is none that DuckDB can be asked about."""
    duck.execute("CREATE TABLE mart AS SELECT 1 AS x, 2 AS x_1, 3 AS x_2")
    mart = MartExport("mart", "mart", "mart.sql", compiled=compiled)
    assert [plan.name for plan in plan_mart(duck, mart)] == ["x", "x_1", "x_2"]
    version = export_mart(duck, mart, tmp_path / "parquet")
    assert [column.name for column in version.columns] == ["x", "x_1", "x_2"]
