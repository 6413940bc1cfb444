import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mds_tableau.column_options import ColumnOptions
from mds_tableau.conversion import convert
from mds_tableau.errors import ExtractError
from mds_tableau.hyper import Hyper
from mds_tableau.hyper_sql import TABLE
from mds_tableau.parquet import ParquetVersion
from tests.stages import Mistaken, foreign_version, tree

pytestmark = pytest.mark.hyper

Query = Callable[..., list[list[Any]]]
Export = Callable[..., ParquetVersion]

SHOWN = 'SELECT id, CAST(place AS text) FROM "Extract"."Extract" ORDER BY id'
OPTIONS = {"place": ColumnOptions(as_="geography"), "other": ColumnOptions(as_="geography")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the extracts are."""
    return tmp_path / "hyper"


def places(*texts: str | None, first: int = 1, **others: str) -> str:
    """A SELECT of a row for each place, and of other columns."""
    values = ", ".join(
        f"({number}, {'NULL' if text is None else repr(text)})"
        for number, text in enumerate(texts, first)
    )
    more = "".join(f", {sql} AS {name}" for name, sql in others.items())
    return f"SELECT id, place::VARCHAR AS place{more} FROM (VALUES {values}) AS v(id, place)"


def only(select: str, *names: str) -> dict[str, ColumnOptions]:
    """The options of the columns that a SELECT has."""
    return {name: OPTIONS[name] for name in names if name in select}


def test_places_arrive_as_hyper_reads_them(
    export: Export, hyper: Hyper, query_hyper: Query, folder: Path
) -> None:
    """Points, lines and gaps are geographies, and each mart with one is verified like any other."""
    version = export(
        places("POINT(8.54 47.37)", None, "LINESTRING(0 0, 0.5 0.5)"),
        options={"place": OPTIONS["place"]},
    )
    made = convert(hyper, version, extract="mart", folder=folder)
    assert (made.rows, made.not_null) == (3, (3, 2))
    assert made.row_hash is not None
    point, gap, line = query_hyper(made.path, SHOWN)
    assert (point[1], gap[1]) == ("POINT(8.5400000 47.3700000)", None)
    assert line[1].startswith("LINESTRING(")
    assert sorted(tree(folder)) == ["mart.hyper", "mart.json"]


def test_a_mart_of_nothing_but_places_is_an_extract(
    export: Export, hyper: Hyper, query_hyper: Query, folder: Path
) -> None:
    """There need not be any other column."""
    version = export("SELECT 'POINT(1 2)' AS place", options={"place": OPTIONS["place"]})
    made = convert(hyper, version, extract="mart", folder=folder)
    assert query_hyper(made.path, 'SELECT CAST(place AS text) FROM "Extract"."Extract"') == [
        ["POINT(1.0000000 2.0000000)"]
    ]


@pytest.mark.parametrize(
    "selects",
    [
        # where no value is missing DuckDB declares that there is none, and Hyper goes by the first
        (places("POINT(1 1)", "POINT(2 2)"), places(None, "POINT(4 4)", first=3)),
        (places(None, "POINT(2 2)"), places("POINT(3 3)", "POINT(4 4)", first=3)),
        (places(None, None), places("POINT(3 3)", first=3)),
        (places("POINT(1 1)") + " WHERE false", places("POINT(1 1)", None)),
        ("SELECT 'POINT(1 1)' AS place, 1 AS id", places("POINT(2 2)", None, first=2)),
    ],
)
def test_several_parts_with_and_without_gaps_are_one_extract(
    hyper: Hyper, query_hyper: Query, tmp_path: Path, folder: Path, selects: tuple[str, str]
) -> None:
    """Whatever the first part says of itself, and in whatever order it has its columns."""
    version = foreign_version(tmp_path / "v", *selects, columns={"id": "INT", "place": "GEOGRAPHY"})
    made = convert(hyper, version, extract="mart", folder=folder)
    rows = query_hyper(made.path, SHOWN)
    assert len(rows) == version.rows
    assert all(text in (None, f"POINT({id_}.0000000 {id_}.0000000)") for id_, text in rows)
    assert made.not_null == (version.rows, sum(text is not None for _, text in rows))


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (f"UPDATE {TABLE} SET place = place_of('POINT(1 1.0001)') WHERE id = 1", "in 'place'"),
        (f"UPDATE {TABLE} SET n = 8 WHERE id = 1", "in 'n'"),
        (f"UPDATE {TABLE} SET place = NULL WHERE id = 1", "'place' has 1 value for 2"),
        (
            f"UPDATE {TABLE} SET place = CASE id WHEN 1 THEN place_of('POINT(2 2)') "
            "ELSE place_of('POINT(1 1)') END",
            "the values of 'id', 'place' are right, but stand in other rows",
        ),
    ],
)
def test_a_difference_is_found(export: Export, folder: Path, mistake: str, message: str) -> None:
    """In places and in the columns beside them."""
    version = export(places("POINT(1 1)", "POINT(2 2)", n="7"), options={"place": OPTIONS["place"]})
    mistake = re.sub(r"place_of\((.*?\)')\)", r"CAST(\1 AS tableau.tabgeography)", mistake)
    with (
        Mistaken(mistake) as mistaken,
        pytest.raises(ExtractError, match=rf"^The extract of mart 'mart' differs .*{message}"),
    ):
        convert(mistaken, version, extract="mart", folder=folder)
    assert tree(folder) == {}


LAST = (
    r"\nWrite well-known text with longitude and latitude in degrees, in this order, such as "
    r"POINT\(8\.54 47\.37\), and NULL where there is nothing\.$"
)


@pytest.mark.parametrize(
    ("select", "message"),
    [
        (
            places("POINT(1 1)", "POINT(1 95)", "POINT(1 -91)", other="'POINT(0 0)'"),
            r"Latitude must not exceed \+/- 90:\n"
            r"- column 'place': 2 rows, for example 'POINT\(1 -91\)'\.",
        ),
        (places(""), r"valid well known text .*\n- column 'place': 1 row, for example ''\."),
        (
            places("POINT(1 1)", other="'here ' || repeat('and there ', 20)"),
            r"valid well known text .*\n"
            r"- column 'other': 1 row, for example 'here (and there ){5}and t…'\.",
        ),
        (
            places("POINT(1 1", other="'POINT 1 1'"),
            r"valid well known text .*\n- column 'place': 1 row, .*\n- column 'other': 1 row, .*",
        ),
    ],
)
def test_what_is_no_place_is_told_with_its_column(
    export: Export, hyper: Hyper, folder: Path, select: str, message: str
) -> None:
    """Hyper says what is wrong, and here it is said where: mart, columns, rows and an example."""
    version = export(select, options=only(select, "place", "other"))
    where = re.escape(str(version.folder))
    with pytest.raises(
        ExtractError,
        match=rf"^Cannot convert mart 'mart' from {where}: invalid geography .*{message}{LAST}",
    ):
        convert(hyper, version, extract="mart", folder=folder)
    assert tree(folder) == {}
    right = export(places("POINT(1 1)"), options={"place": OPTIONS["place"]})
    assert convert(hyper, right, extract="mart", folder=folder).rows == 1
