"""`mds-tableau inspect` on files that were made by SQL alone."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from rich.console import Console

from mds_tableau import grid
from tests.commands.conftest import Make, Run, told

pytestmark = pytest.mark.hyper

VALUES = {
    "boolean": ("true", "BOOL", True),
    "smallint": ("5", "SMALL_INT", 5),
    "int": ("5", "INT", 5),
    "bigint": ("9223372036854775807", "BIG_INT", 9223372036854775807),
    "oid": ("5", "OID", "5"),
    "real": ("1.5", "FLOAT", 1.5),
    "double precision": ("'NaN'", "DOUBLE", "nan"),
    "numeric(38,2)": ("123456789012345678901234567890.12", "NUMERIC(38,2)", None),
    "text": ("'Größe'", "TEXT", "Größe"),
    "varchar(5)": ("'abc'", "VARCHAR(5)", "abc"),
    "char(1)": ("'a'", "CHAR(1)", "a"),
    "json": ("'{\"a\":1}'", "JSON", '{"a":1}'),
    "bytea": (r"'\xde'", "BYTES", r"\xde"),
    "date": ("'2026-01-02'", "DATE", "2026-01-02"),
    "time": ("'24:00:00'", "TIME", "24:00:00"),
    "timestamp": ("'2026-01-02 03:04:05.123456'", "TIMESTAMP", "2026-01-02 03:04:05.123456"),
    "timestamptz": ("'2026-01-02 03:04:05+01'", "TIMESTAMP_TZ", "2026-01-02 02:04:05+00"),
    "interval": ("'1 month 2 days 3 seconds'", "INTERVAL", "P1M2DT3S"),
    "tableau.tabgeography": ("'POINT(8.5 47.3)'", "GEOGRAPHY", "POINT(8.5000000 47.3000000)"),
}
"""A value of each type that Hyper has, as SQL; the type and the value as they are to be shown."""


@pytest.fixture
def every(make_hyper: Make, tmp_path: Path) -> Path:
    """A file with a column of each type, with a value and a NULL."""
    columns = ", ".join(f'"{name}" {name}' for name in VALUES)
    values = ", ".join(f"CAST({value} AS {name})" for name, (value, _, _) in VALUES.items())
    return make_hyper(
        tmp_path / "every.hyper",
        f"CREATE TABLE every ({columns})",
        f"INSERT INTO every VALUES ({values})",
        f"INSERT INTO every VALUES ({', '.join(f'CAST(NULL AS {name})' for name in VALUES)})",
    )


def test_each_type_is_shown_with_its_values(run: Run, every: Path) -> None:
    """Types have the words of the rest, and values of each are whole, NULL and 24:00 included."""
    contents = told(run("inspect", every, "--json"))
    assert (contents["file_version"], contents["bytes"]) == (4, every.stat().st_size)
    [table] = contents["tables"]
    assert (table["schema"], table["name"], table["rows"]) == ("public", "every", 2)
    assert [one["name"] for one in table["columns"]] == list(VALUES)
    assert [one["type"] for one in table["columns"]] == [of for _, of, _ in VALUES.values()]
    wanted = [value for _, _, value in VALUES.values()]
    wanted[list(VALUES).index("numeric(38,2)")] = "123456789012345678901234567890.12"
    assert table["first"] == [wanted, [None] * len(VALUES)]


def test_a_pipe_gets_whole_lines(run: Run, make_hyper: Make, tmp_path: Path) -> None:
    """However wide a table is, a row of it is one line, and nothing of it is cut off."""
    columns = ", ".join(f'"a column with the number {n}" int' for n in range(300))
    path = make_hyper(
        tmp_path / "wide.hyper",
        'CREATE SCHEMA "odd ""s"',
        f'CREATE TABLE "odd ""s"."t [red]" ({columns})',
        f'INSERT INTO "odd ""s"."t [red]" VALUES ({", ".join(map(str, range(10_000, 10_300)))})',
    )
    result = run("inspect", path, "--rows", 1)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].endswith("file version 4, 1 table")
    assert 'odd "s.t [red]: 1 row, 300 columns' in lines
    assert lines[-1].split() == [str(number) for number in range(10_000, 10_300)]


def test_what_has_no_place_side_by_side_is_a_list() -> None:
    """A narrow terminal gets all of a row too, line by line, and a newline does not break one."""
    console = Console(file=io.StringIO(), width=30)
    grid.show(("name", "what it says"), [("a" * 40, "two\nlines"), ("b", "[bold]")], console)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "name: " + "a" * 40,
        "what it says: 'two\\nlines'",
        "",
        "name: b",
        "what it says: [bold]",
        "",
    ]


@pytest.mark.parametrize("rows", [0, 3, 9])
def test_as_many_rows_as_asked_for(run: Run, make_hyper: Make, tmp_path: Path, rows: int) -> None:
    """Rows are counted all, and shown as many as asked for and there are."""
    path = make_hyper(
        tmp_path / "some.hyper",
        "CREATE TABLE seven AS SELECT * FROM generate_series(1, 7) AS s(n)",
    )
    [table] = told(run("inspect", path, "--json", "--rows", rows))["tables"]
    assert (table["rows"], len(table["first"])) == (7, min(rows, 7))


def test_file_stays_as_it_is(run: Run, make_hyper: Make, tmp_path: Path) -> None:
    """Also one with an empty table, which Hyper changes when it has it open for writing."""
    path = make_hyper(tmp_path / "empty.hyper", "CREATE TABLE nothing (n int)", version=2)
    before = hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns
    contents = told(run("inspect", path, "--json"))
    assert contents["oldest_tableau"].startswith("Tableau 2020.4.15")
    assert contents["tables"][0]["rows"] == 0
    assert (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) == before
    assert {one.name for one in tmp_path.iterdir()} == {"empty.hyper"}


def test_what_is_no_extract_is_refused_by_name(run: Run, every: Path, tmp_path: Path) -> None:
    """A text, a zip, an empty, a cut and a too new file each say so, with what to do."""
    whole = every.read_bytes()
    package = tmp_path / "a.tdsx"
    with zipfile.ZipFile(package, "w") as zipped:
        zipped.writestr("a.tds", "<datasource/>")
    newer = bytearray(whole)
    newer[10] = 9
    for name, content, reason in (
        ("text.hyper", b"id,name\n", "is not a Hyper file: it begins otherwise. Give a .hyper"),
        ("a.tdsx", package.read_bytes(), "It is a zip, as .tdsx and .twbx files are: unpack it"),
        ("none.hyper", b"", "is not a Hyper file"),
        ("cut.hyper", whole[: len(whole) // 2], "file is truncated"),
        ("newer.hyper", bytes(newer), "has version 9 of the file format, and the latest known"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        result = run("inspect", path)
        assert result.exit_code == 1, name
        assert str(path) in result.stderr
        assert reason in result.stderr
        assert path.read_bytes() == content
    assert run("inspect", tmp_path / "missing.hyper").exit_code == 2
