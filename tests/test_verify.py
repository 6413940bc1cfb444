import json
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tableauhyperapi import Connection

from mds_tableau.column_options import ColumnOptions
from mds_tableau.conversion import convert
from mds_tableau.errors import ExtractError
from mds_tableau.extract_file import read_extract
from mds_tableau.hyper import Hyper
from mds_tableau.hyper_sql import TABLE
from mds_tableau.parquet import MANIFEST, ParquetVersion, read_version
from mds_tableau.verify import Level
from tests.stages import Mistaken, foreign_version, tree

pytestmark = pytest.mark.hyper

Query = Callable[..., list[list[Any]]]
Export = Callable[..., ParquetVersion]

PLACE = {"p": ColumnOptions(as_="geography")}


class Rotting(Hyper):
    """A Hyper on whose disk a bit flips between the closing of a file and its validation."""

    def __init__(self, mark: bytes) -> None:
        super().__init__()
        self._mark = mark

    def connect(self, database: Path | None = None) -> Connection:
        """Open a connection after which a bit of its database flips."""
        connection = super().connect(database)
        close = connection.close

        def close_and_rot() -> None:
            close()
            if database is not None:
                content = bytearray(database.read_bytes())
                content[content.index(self._mark)] ^= 1
                database.write_bytes(content)

        connection.close = close_and_rot
        return connection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the extracts are."""
    return tmp_path / "hyper"


def refused(hyper: Hyper, version: ParquetVersion, folder: Path, verify: Level = "exact") -> str:
    """Return why an extract is refused, having seen that the old one stays and nothing is left."""
    with hyper as running:
        before = tree(folder)
        with pytest.raises(ExtractError) as told:
            convert(running, version, extract="mart", folder=folder, verify=verify)
    assert tree(folder) == before
    return str(told.value)


@pytest.fixture(autouse=True)
def _old_extract(export: Export, hyper: Hyper, folder: Path) -> None:
    convert(hyper, export("SELECT 'old' AS a"), extract="mart", folder=folder)


VALUES = {
    "BOOL": ("true", "false"),
    "SMALL_INT": ("32767::SMALLINT", "32766"),
    "INT": ("(-2147483648)::INTEGER", "-2147483647"),
    "BIG_INT": ("9007199254740993::BIGINT", "9007199254740992"),
    "DOUBLE": ("0.1::DOUBLE", "0.10000000000000002"),
    "NUMERIC(9,2)": ("0.01::DECIMAL(9,2)", "0.02"),
    "NUMERIC(18,4)": ("99999999999999.9999::DECIMAL(18,4)", "99999999999999.9998"),
    "NUMERIC(38,0)": ("99999999999999999999999999999999999999::DECIMAL(38,0)", "1"),
    "TEXT": ("'Zürich 😀'", "'Zürich 😀 '"),
    "DATE": ("DATE '0001-01-01'", "DATE '0001-01-02'"),
    "TIME": ("TIME '23:59:59.999999'", "TIME '23:59:59.999998'"),
    "TIMESTAMP": ("TIMESTAMP '1969-12-31 23:59:59.999999'", "TIMESTAMP '1970-01-01 00:00:00'"),
    "TIMESTAMP_TZ": (
        "TIMESTAMPTZ '2026-10-25 00:30:00+00'",
        "TIMESTAMPTZ '2026-10-25 01:30:00+00'",
    ),
}
"""For each type a value in DuckDB, and in Hyper another one that is close to it."""


@pytest.mark.parametrize("of_type", VALUES)
def test_one_other_value_is_found(export: Export, folder: Path, of_type: str) -> None:
    """Of any type, in one of many rows; the column is named, and that it is the extract's."""
    right, wrong = VALUES[of_type]
    version = export(f"SELECT i AS id, {right} AS v, {right} AS w FROM range(5000) AS r(i)")
    assert str(version.columns[1].hyper_type) == of_type
    said = refused(Mistaken(f"UPDATE {TABLE} SET v = {wrong} WHERE id = 4321"), version, folder)
    assert said == (
        "The extract of mart 'mart' differs from the mart: values differ in 'v'. Nothing was kept "
        f"of it; the Parquet is in {version.folder}. Export the mart again, for example with "
        "--select 'parquet/mart*'. If that happens again, the disk, DuckDB or Hyper is at fault."
    )


ROWS = (
    "SELECT * FROM (VALUES (1, 10, 100, 'x', 'u'), (2, 20, 200, '', 'v'), (3, 30, 300, NULL, 'w')) "
    "AS rows(id, a, b, t, u)"
)


@pytest.mark.parametrize(
    ("mistakes", "message"),
    [
        ([f"UPDATE {TABLE} SET a = b, b = a"], "values differ in 'a', 'b'"),
        (
            [f"UPDATE {TABLE} SET a = CASE id WHEN 1 THEN 20 WHEN 2 THEN 10 ELSE a END"],
            "the values of 'a' are right, but stand in other rows",
        ),
        (
            [
                f"UPDATE {TABLE} SET a = CASE id WHEN 1 THEN 20 ELSE 10 END, "
                "u = CASE id WHEN 1 THEN 'v' ELSE 'u' END WHERE id < 3"
            ],
            "the values of each column are right, but stand in other rows",
        ),
        ([f"UPDATE {TABLE} SET t = NULL WHERE id = 2"], "column 't' has 1 value for 2"),
        ([f"UPDATE {TABLE} SET t = '' WHERE id = 3"], "column 't' has 3 values for 2"),
        (
            [f"UPDATE {TABLE} SET t = CASE id WHEN 2 THEN NULL ELSE '' END WHERE id > 1"],
            "the values of 't' are right, but stand in other rows",
        ),
        (
            [
                f"INSERT INTO {TABLE} SELECT * FROM {TABLE} WHERE id = 1",
                f"DELETE FROM {TABLE} WHERE id = 2",
            ],
            "values differ in 'id', 'a', 'b', 't', 'u'",
        ),
    ],
)
def test_whatever_else_differs_is_found(
    export: Export, folder: Path, mistakes: list[str], message: str
) -> None:
    """Swapped columns or values, gaps for empty texts, one row twice for another: all are told."""
    said = refused(Mistaken(*mistakes), export(ROWS), folder)
    assert said.startswith(f"The extract of mart 'mart' differs from the mart: {message}. Nothing")


@pytest.mark.parametrize("verify", ["exact", "rows"])
@pytest.mark.parametrize(
    ("mistake", "counted"),
    [
        (f"DELETE FROM {TABLE} WHERE id = 1", 2),
        (f"INSERT INTO {TABLE} SELECT * FROM {TABLE} WHERE id = 1", 4),
    ],
)
def test_a_row_too_few_or_too_many_is_found(
    export: Export, folder: Path, mistake: str, counted: int, verify: Level
) -> None:
    """Where only rows are counted, too: what was loaded has to be there."""
    said = refused(Mistaken(mistake), export(ROWS), folder, verify)
    assert said == (
        f"Hyper reported 3 rows when it loaded mart 'mart', and counts {counted} now. Nothing was "
        "kept of it; run it again."
    )


def test_counting_finds_gaps_and_nothing_else(
    export: Export, folder: Path, query_hyper: Query
) -> None:
    """Level `rows` finds another number of values, and lets another value pass: it has no hash."""
    version = export(ROWS)
    gap = f"UPDATE {TABLE} SET u = NULL WHERE id = 3"
    said = refused(Mistaken(gap), version, folder, "rows")
    assert "differs from the mart: column 'u' has 2 values for 3." in said
    with Mistaken(f"UPDATE {TABLE} SET a = 11 WHERE id = 1") as mistaken:
        made = convert(mistaken, version, extract="mart", folder=folder, verify="rows")
    assert (made.rows, made.not_null, made.row_hash) == (3, (3, 3, 3, 2, 3), None)
    assert sorted(row[1] for row in query_hyper(made.path)) == [11, 20, 30]


def forged(right: ParquetVersion, other: ParquetVersion) -> ParquetVersion:
    """The version `right` with the parts of another, and a manifest that lists these."""
    manifest = json.loads((right.folder / MANIFEST).read_text())
    manifest["parts"] = []
    for path in right.paths:
        path.unlink()
    for part, path in zip(other.parts, other.paths, strict=True):
        content = path.read_bytes()
        (right.folder / part.file).write_bytes(content)
        manifest["parts"].append(
            {
                "file": part.file,
                "rows": part.rows,
                "bytes": len(content),
                "sha256": sha256(content).hexdigest(),
            }
        )
    manifest["rows"] = other.rows
    (right.folder / MANIFEST).write_text(json.dumps(manifest))
    return read_version(right.folder)


CHANGED = "the Parquet no longer holds what was exported of it"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (ROWS.replace("200", "201"), CHANGED),
        (f"SELECT id, b AS a, a AS b, t, u FROM ({ROWS})", CHANGED),
        (f"SELECT id, 40 - a AS a, b, t, u FROM ({ROWS})", CHANGED),
        (
            f"{ROWS} WHERE id > 1",
            "column 'id' has 2 values for 3, column 'a' has 2 values for 3, column 'b' has 2 "
            "values for 3, column 't' has 1 value for 2, column 'u' has 2 values for 3",
        ),
        (ROWS.replace("''", "NULL::VARCHAR"), "column 't' has 1 value for 2"),
    ],
)
@pytest.mark.parametrize("with_place", [False, True])
def test_parquet_that_was_changed_together_with_its_manifest_is_found(
    export: Export, tmp_path: Path, folder: Path, other: str, message: str, with_place: bool
) -> None:
    """Sizes, digests and rows of a part may be right; the figures are still those of the mart."""
    source, options = "({})", None
    if with_place:
        source, options = "(SELECT *, CASE id WHEN 3 THEN 'POINT(8 47)' END AS p FROM ({}))", PLACE
    version = forged(
        export(f"SELECT * FROM {source.format(ROWS)}", options=options),
        export(f"SELECT * FROM {source.format(other)}", options=options, folder=tmp_path / "other"),
    )
    said = refused(Hyper(), version, folder)
    assert said.startswith(f"The extract of mart 'mart' differs from the mart: {message}. Nothing")
    assert f"the Parquet is in {version.folder}. Export the mart again" in said


def test_what_is_right_has_the_hash_of_the_mart(export: Export, hyper: Hyper, folder: Path) -> None:
    """Values of every type are compared, with gaps, limits and in any order of rows."""
    columns = ", ".join(
        f"CASE WHEN i % 7 > 0 THEN {value} END AS c{number}"
        for number, (value, _) in enumerate(VALUES.values())
    )
    version = export(f"SELECT hash(i) AS id, {columns} FROM range(10000) AS r(i) ORDER BY i % 10")
    made = convert(hyper, version, extract="mart", folder=folder)
    assert made.row_hash == version.row_hash
    assert made.not_null == (10000, *[8571] * len(VALUES))
    assert read_extract(folder, "mart") == made


def test_a_bit_that_flips_before_the_validation_is_found(export: Export, folder: Path) -> None:
    """Hyper itself checks the closed file, and what it says of it is told."""
    version = export("SELECT i AS id, sha256(i::VARCHAR) AS t FROM range(3000) AS r(i)")
    said = refused(Rotting(sha256(b"1234").hexdigest().encode()), version, folder)
    assert said.startswith(f"Hyper finds .mart.{os.getpid()}.tmp.hyper damaged right after writing")
    assert "invalid checksum" in said
    assert said.endswith("Nothing was kept of it; look after the disk.")


def test_values_of_another_engine_are_told_with_what_it_can_write(
    hyper: Hyper, tmp_path: Path
) -> None:
    """Who wrote the Parquet may have no dbt project, so the remedy is one of the writer."""
    version = foreign_version(
        tmp_path / "v",
        "SELECT DATE 'infinity' AS day, TIME '24:00:00' AS clock, DOUBLE 'NaN' AS net",
        columns={"day": "DATE", "clock": "TIME", "net": "DOUBLE"},
    )
    with pytest.raises(ExtractError) as refused:
        convert(hyper, version, extract="mart", folder=tmp_path)
    assert str(refused.value).splitlines() == [
        f"Cannot convert mart 'mart' from {version.folder}:",
        "- column 'day' (DATE): 1 row is infinite, for example infinity. Have spark 4.1 write NULL "
        "instead.",
        "- column 'clock' (TIME): 1 row is 24:00:00, which Hyper cannot hold, for example "
        "24:00:00. Have spark 4.1 write the column as text, declared as TEXT in the manifest.",
    ]


def test_what_is_only_worth_a_warning_is_told_so_too(hyper: Hyper, tmp_path: Path) -> None:
    """NaN from another engine is published, with the words of that engine."""
    version = foreign_version(
        tmp_path / "v", "SELECT DOUBLE 'NaN' AS net", columns={"net": "DOUBLE"}
    )
    assert convert(hyper, version, extract="mart", folder=tmp_path).warnings == (
        "column 'net' (DOUBLE): 1 row is NaN or infinite, which spoils every sum, average and "
        "maximum, for example nan. Have spark 4.1 write NULL instead.",
    )
