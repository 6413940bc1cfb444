"""Any table arrives exactly, or is refused with the names of its columns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mds_tableau.columns import quote_identifier
from mds_tableau.conversion import convert
from mds_tableau.errors import ExportError, UnsupportedColumn
from mds_tableau.export import export_mart
from mds_tableau.export_plan import MartExport
from mds_tableau.files import remove
from mds_tableau.hyper import Hyper
from tests.random_columns import KINDS, STOP, WORDS, Kind, is_equal, read
from tests.type_cases import options

Query = Callable[..., list[list[Any]]]

EXAMPLES = settings().max_examples if settings.get_current_profile_name() == "long" else 40
"""Enough to notice what is broken; --hypothesis-profile=long looks for what is rare."""

NUMBER = "number of the row"
SYSTEM_NAMES = ("cmax", "cmin", "ctid", "tableoid", "xmax", "xmin")
ODD_NAMES = (
    "select",
    "a.b",
    'a"b',
    "it's",
    "👩‍👩‍👧",
    "É",
    "é",
    "mart",
    "{}",
    "n_1",
    "a b",
    "ctid",
    "CTID",
)
NAMES = st.sampled_from(ODD_NAMES) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12
)


@dataclass(frozen=True)
class RandomColumn:
    """A column, what is asked for it, and its values."""

    name: str
    kind: Kind
    asked: str

    @property
    def is_suited(self) -> bool:
        """Whether what is asked, or the default, is something that the type can be."""
        return self.kind.way(self.asked) is not None

    def expected(self, value: Any) -> Any:
        """What the extract should hold for a value."""
        way = self.kind.way(self.asked)
        assert way is not None
        return None if value is None else way(value)


@st.composite
def columns(draw: st.DrawFn, name: str) -> RandomColumn:
    """A column; half of them ask for something that suits their type."""
    kind = draw(st.sampled_from(KINDS))
    asked = draw(st.sampled_from(sorted(kind.ways)) | st.sampled_from([*sorted(kind.ways), *WORDS]))
    # any zone suits a moment, but not all sources know the same of every zone in every year
    has_clock = kind.way("timezone: UTC") is not None and kind.sql.startswith("TIMESTAMP")
    if has_clock and "timezone" in asked and kind.way(asked) is None:
        asked = ""
    return RandomColumn(name, kind, asked)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[RandomColumn], list[tuple[Any, ...]]]:
    """Columns, and rows of Python values."""
    # names that DuckDB tells apart; those that differ in other letters' case are among them
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique_by=_ascii_lower))
    drawn = [draw(columns(name)) for name in names]
    row = st.tuples(*(st.none() | column.kind.values for column in drawn))
    return drawn, draw(st.lists(row, max_size=6))


def _ascii_lower(name: str) -> str:
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


def _make(
    connection: duckdb.DuckDBPyConnection, drawn: list[RandomColumn], rows: list[tuple[Any, ...]]
) -> None:
    declared = ", ".join(f"{quote_identifier(one.name)} {one.kind.sql}" for one in drawn)
    try:
        connection.execute(f"CREATE TABLE mart ({quote_identifier(NUMBER)} INTEGER, {declared})")
    except duckdb.CatalogException:
        # two names that DuckDB does not tell apart
        assume(len({one.name.casefold() for one in drawn}) == len(drawn))
        raise
    casts = ", ".join(f"CAST(? AS {one.kind.sql})" for one in drawn)
    for number, row in enumerate(rows):
        given = [
            None if value is None else one.kind.text(value)
            for one, value in zip(drawn, row, strict=True)
        ]
        connection.execute(f"INSERT INTO mart VALUES ({number}, {casts})", given)


def _refused_names(drawn: list[RandomColumn]) -> bool:
    folded = {one.name.casefold() for one in drawn}
    return len(folded) < len(drawn) or any(one.name in SYSTEM_NAMES for one in drawn)


@pytest.mark.hyper
@pytest.mark.timeout(0)
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(table=tables())
def test_random_tables_arrive_exactly_or_are_refused(
    hyper: Hyper,
    query_hyper: Query,
    tmp_path_factory: pytest.TempPathFactory,
    table: tuple[list[RandomColumn], list[tuple[Any, ...]]],
) -> None:
    """Nothing differs silently, and nothing fails in another way than with names and reasons."""
    drawn, rows = table
    asked = {one.name: options(one.asked) for one in drawn if one.asked}
    mart = MartExport("mart", '"mart"', "models/mart.sql", asked)
    unsuited = [one.name for one in drawn if not one.is_suited]
    folder = tmp_path_factory.mktemp("random")
    try:
        with duckdb.connect() as connection:
            _make(connection, drawn, rows)
            if unsuited or _refused_names(drawn):
                with pytest.raises(UnsupportedColumn) as refused:
                    export_mart(connection, mart, folder / "mart")
                assert refused.value.columns == tuple(unsuited)
                assert all(f"column '{name}' has type" in str(refused.value) for name in unsuited)
                return
            wanted = [
                tuple(one.expected(value) for one, value in zip(drawn, row, strict=True))
                for row in rows
            ]
            stopped = {one.name for one in drawn if one in _stopping(drawn, wanted)}
            if stopped:
                with pytest.raises(ExportError) as caught:
                    export_mart(connection, mart, folder / "mart")
                said = str(caught.value)
                assert {one.name for one in drawn if _is_told(one, said)} == stopped
                return
            version = export_mart(connection, mart, folder / "mart")
        made = convert(hyper, version, extract="mart", folder=folder)
        assert made.rows == len(rows)
        seen = sorted(query_hyper(made.path), key=lambda row: int(row[0]))
        for wanted_row, (_, *row) in zip(wanted, seen, strict=True):
            for one, value, held in zip(drawn, wanted_row, row, strict=True):
                found = read(one.kind.sql, one.asked, held)
                assert is_equal(one.asked, value, found), (one.name, value, held)
    finally:
        remove(folder)


def _stopping(drawn: list[RandomColumn], wanted: list[tuple[Any, ...]]) -> list[RandomColumn]:
    return [one for place, one in enumerate(drawn) if any(row[place] is STOP for row in wanted)]


def _is_told(one: RandomColumn, said: str) -> bool:
    return f"\n- column '{one.name}' ({one.kind.sql}): " in said
