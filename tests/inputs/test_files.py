import gzip
import io
import json
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mds_tableau.errors import InputError
from mds_tableau.export import export_mart
from mds_tableau.export_plan import MartExport
from mds_tableau.inputs.files import CsvOptions, FileInput, load_files
from tests.inputs.loading import load

AB = {"a": "BIGINT", "b": "BIGINT"}


def test_a_folder_is_one_table_whatever_the_order_of_columns(tmp_path: Path) -> None:
    """The files of a folder are matched by the names of columns, each with its own dialect."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_bytes(b"a,b\n1,2\n")
    (tmp_path / "in" / "2.tsv").write_bytes(b"b\ta\r\n4\t3\r\n")
    (tmp_path / "in" / "3.csv.gz").write_bytes(gzip.compress("b;a\n6;5\n".encode("utf-16")))
    (tmp_path / "in" / ".hidden.csv").write_bytes(b"x\n")
    (tmp_path / "in" / "README.md").write_bytes(b"x\n")

    columns, rows, loaded = load(tmp_path, "in")

    assert (columns, sorted(rows)) == (AB, [(1, 2), (3, 4), (5, 6)])
    assert loaded.origin.endswith("1.csv and 2 more")


def test_a_glob_has_the_types_that_hold_for_all_files(tmp_path: Path) -> None:
    """A file whose values are of another kind than those of the first one changes the type."""
    (tmp_path / "1.csv").write_bytes(b"a\n1\n")
    (tmp_path / "2.csv").write_bytes(b"a\n2.5\n")
    (tmp_path / "x[1]*?.csv").write_bytes(b"a\n00\n")

    columns, rows, _ = load(tmp_path, "[12].csv")
    odd = load(tmp_path, "x[1]*?.csv")

    assert (columns, sorted(rows)) == ({"a": "DECIMAL(18,1)"}, [(Decimal(1),), (Decimal("2.5"),)])
    assert odd[:2] == ({"a": "VARCHAR"}, [("00",)])


def test_three_hundred_files(tmp_path: Path) -> None:
    """Many files are one table, with every row of each."""
    for number in range(300):
        (tmp_path / f"{number}.csv").write_text(f"n,t\n{number},x{number}\n")

    _, rows, _ = load(tmp_path, "*.csv")

    assert sorted(rows) == [(number, f"x{number}") for number in range(300)]


def test_other_columns_are_named_with_their_file(tmp_path: Path) -> None:
    """Files with other columns than the first are an error that names file and columns."""
    (tmp_path / "1.csv").write_bytes(b"a,b\n1,2\n")
    (tmp_path / "2.csv").write_bytes(b"a,c\n1,2\n")

    with pytest.raises(InputError, match=r"(?s)1\.csv:\n- .*2\.csv lacks 'b' and adds 'c'"):
        load(tmp_path, "*.csv")


def test_a_damaged_row_is_told_with_its_file(tmp_path: Path) -> None:
    """Of several files, the error names the one that is wrong, and its line."""
    (tmp_path / "1.csv").write_bytes(b"a,b\n1,2\n")
    (tmp_path / "2.csv").write_bytes(b"a,b\n1,2\n3\n")

    with pytest.raises(InputError, match=r"2\.csv, line 3: 1 field for 2 columns"):
        load(tmp_path, "*.csv")


@pytest.mark.parametrize("cut", [1, 5, 12])
def test_a_gzip_file_that_was_cut_is_refused(cut: int, tmp_path: Path) -> None:
    """A truncated gzip file never loads as the rows before the cut."""
    packed = gzip.compress(b"a,b\n" + b"1,2\n" * 1000)
    (tmp_path / "x.csv.gz").write_bytes(packed[:-cut])

    with pytest.raises(InputError, match=r"x\.csv\.gz is damaged or not complete"):
        load(tmp_path, "x.csv.gz")


def test_standard_input_is_read_once_and_kept_beside_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is piped in loads like a file, and needs its format to be said."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"a,b\n1,2\n")))

    columns, rows, loaded = load(tmp_path, "-", format="csv")

    assert (columns, rows, loaded.origin) == (AB, [(1, 2)], "standard input")
    with pytest.raises(InputError, match="--format csv"):
        load(tmp_path, "-")


@pytest.mark.parametrize(
    ("names", "places", "words"),
    [
        ((), ("none.csv",), "is not there"),
        ((), ("*.csv",), "No file matches"),
        (("in/x.md",), ("in",), "has no file"),
        (("x.dat",), ("x.dat",), "--format"),
        (("x.csv.zst",), ("x.csv.zst",), "unpack it"),
        (("x.csv", "y.parquet"), ("x.csv", "y.parquet"), "several formats"),
        (("x.xlsx",), ("x.xlsx",), "is no Excel workbook"),
    ],
)
def test_what_is_not_to_be_read_is_refused(
    names: tuple[str, ...], places: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    """A place without files, or with files of no known format, says what to do."""
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"a\n1\n")

    with pytest.raises(InputError, match=words):
        load(tmp_path, *places)


def test_parquet_is_a_view_with_every_value(tmp_path: Path) -> None:
    """Parquet files are read where they are, with the types and values that Arrow wrote."""
    one = pa.table({"a": [1, None], "day": [date(2026, 1, 31)] * 2, "d": [Decimal("1.50")] * 2})
    (tmp_path / "a=9").mkdir()
    pq.write_table(one, tmp_path / "a=9" / "1.parquet")
    pq.write_table(one.select(["d", "day", "a"]), tmp_path / "a=9" / "2.parquet")

    columns, rows, loaded = load(tmp_path, "a=9")

    assert columns == {"a": "BIGINT", "day": "DATE", "d": "DECIMAL(3,2)"}
    expected = [tuple(row.values()) for row in one.to_pylist()]
    assert sorted(rows, key=str) == sorted(expected * 2, key=str)
    assert loaded.relation == '"it\'s"'


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ([{"a": [1], "b": [1]}, {"a": [1]}], r"2\.parquet lacks 'b'"),
        ([{"a": [1]}, {"a": ["x"]}], r"2\.parquet has 'a' as VARCHAR and not BIGINT"),
        ([{"a": [1], "A": [2]}], r"does not tell apart"),
        ([{"s": [{"x": 1, "y": [2]}], "a": [1], "A": [2]}], r"does not tell apart"),
    ],
)
def test_parquet_that_duckdb_would_change_is_refused(
    tables: list[dict[str, Any]], words: str, tmp_path: Path
) -> None:
    """Other columns, other types and names that DuckDB renames are errors, not conversions."""
    for number, table in enumerate(tables, start=1):
        pq.write_table(pa.table(table), tmp_path / f"{number}.parquet")

    with pytest.raises(InputError, match=words):
        load(tmp_path, "*.parquet")


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    """A file of another format is named, as is a type that Parquet has no use for."""
    (tmp_path / "x.parquet").write_bytes(b"a,b\n1,2\n")

    with pytest.raises(InputError, match=r"x\.parquet cannot be read as Parquet"):
        load(tmp_path, "x.parquet")
    with pytest.raises(InputError, match="--type a=") as caught:
        load(tmp_path, "x.parquet", types={"a": "int"})
    assert "Parquet files say the types" in str(caught.value)


def test_json_lines_keep_digits_and_keys(tmp_path: Path) -> None:
    """Numbers keep all digits, late keys become columns, and texts stay what they are."""
    lines = [
        '{"n": 12345678901234567.89, "t": "00123", "when": "2026-01-31", "on": true}',
        "",
        '{"o": {"k": [1, 2.50]}, "t": "a \\"b\\"\\n,c", "late": 7, "n": 1}',
        '{"t": "", "mixed": 1, "when": null}',
        '{"mixed": "x"}',
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(lines), encoding="utf-8")

    columns, rows, loaded = load(tmp_path, "x.jsonl")

    assert columns == {
        "n": "DECIMAL(38,2)", "t": "VARCHAR", "when": "DATE", "on": "BOOLEAN", "o": "VARCHAR",
        "late": "BIGINT", "mixed": "VARCHAR",
    }  # fmt: skip
    assert rows == [
        (Decimal("12345678901234567.89"), "00123", date(2026, 1, 31), True, None, None, None),
        (Decimal(1), 'a "b"\n,c', None, None, '{"k":[1,2.50]}', 7, None),
        (None, "", None, None, None, None, "1"),
        (None, None, None, None, None, None, "x"),
    ]
    assert "'mixed' stays text" in "\n".join(loaded.notes)


def test_json_lines_round_trip(tmp_path: Path) -> None:
    """What Python's writer of JSON writes comes back as the same values."""
    written = [{"i": n, "f": n / 7, "s": f'x{n}\u2028,"', "b": n % 2 == 0} for n in range(500)]
    content = "\n".join(json.dumps(row) for row in written)
    (tmp_path / "x.ndjson.gz").write_bytes(gzip.compress(content.encode()))

    columns, rows, _ = load(tmp_path, "x.ndjson.gz")

    assert list(columns.values()) == ["BIGINT", "DOUBLE", "VARCHAR", "BOOLEAN"]
    assert rows == [tuple(row.values()) for row in written]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a": 1}\n{"a": 2', r"line 2: no JSON"),
        (b'{"a": 1}\n[2]\n', r"line 2: '\[2\]"),
        (b'{"a": 1, "a": 2}\n', r"line 1: the key 'a' is there twice"),
        (b'{"a": 1}\n\n{"a": NaN}\n', r"line 3: NaN is no value"),
        (b'{"a": "\xff"}\n', r"line 1: byte 8 of the line is no UTF-8"),
        (b'{"a": "\\u0000"}\n', r"line 1: a text has a NUL"),
        (b'{"a": "\\ud800"}\n', r"line 1: a text has a NUL or half"),
        (b'{"a": 1, "A": 2}\n', r"'a' and 'A' are not told apart"),
        (b'{"": 1}\n', r"are empty"),
        (b"", r"no line with a key"),
    ],
)
def test_json_lines_that_are_wrong_are_refused(content: bytes, words: str, tmp_path: Path) -> None:
    """A line that is no object, or not one that a table can hold, is refused with its number."""
    (tmp_path / "x.jsonl").write_bytes(content)

    with pytest.raises(InputError, match=words):
        load(tmp_path, "x.jsonl")


def test_a_type_for_json_lines_names_the_line(tmp_path: Path) -> None:
    """A value that does not fit is found again in the file that was given."""
    (tmp_path / "x.jsonl").write_bytes(b'{"a": "1"}\n\n{"a": "x\\ny"}\n')

    with pytest.raises(InputError, match=r"x\.jsonl, line 3, column 'a'"):
        load(tmp_path, "x.jsonl", types={"a": "int"})


def test_five_thousand_columns(tmp_path: Path) -> None:
    """As many columns as a wide file has are loaded, each with its type."""
    names = [f"c{n}" for n in range(5000)]
    row = [f"x{n}" if n % 10 else str(n) for n in range(5000)]
    (tmp_path / "x.csv").write_text("\n".join([",".join(names), *[",".join(row)] * 3]))

    columns, rows, _ = load(tmp_path, "x.csv")

    assert list(columns) == names
    assert list(columns.values()) == ["BIGINT", *["VARCHAR"] * 9] * 500
    assert rows == [tuple(int(text) if text.isdigit() else text for text in row)] * 3


def test_progress_ends_with_all_bytes(tmp_path: Path) -> None:
    """Progress is told in bytes that only grow, up to the size of the file."""
    (tmp_path / "x.csv").write_bytes(b"a,b\n" + b"1,2\n" * 600_000)
    told: list[tuple[str, int, int | None]] = []
    with duckdb.connect(tmp_path / "work.duckdb") as connection:
        load_files(
            connection,
            FileInput((str(tmp_path / "x.csv"),)),
            table="t",
            progress=lambda *what: told.append(what),
        )

    size = (tmp_path / "x.csv").stat().st_size
    for stage in ("Checking", "Reading"):
        done = [(step, total) for what, step, total in told if what.startswith(stage)]
        assert (done[0], done[-1]) == ((0, size), (size, size))
        assert done == sorted(done)


def test_a_csv_of_ten_times_the_memory_limit(tmp_path: Path) -> None:
    """A file far larger than the memory that DuckDB may use is loaded with every row."""
    block = "".join(f'{n},"text {n * 7919 % 100_003}",{n / 8},2026-01-31\n' for n in range(50_000))
    with (tmp_path / "x.csv").open("w") as file:
        file.write("n,t,f,d\n")
        for _ in range(110):
            file.write(block)
    with duckdb.connect(tmp_path / "work.duckdb") as connection:
        connection.execute("SET memory_limit = '20MB'; SET threads = 2")
        loaded = load_files(connection, FileInput((str(tmp_path / "x.csv"),)), table="t")
        found = connection.execute(
            f"SELECT count(*), sum(n), sum(f) FROM {loaded.relation}"
        ).fetchone()

    assert (tmp_path / "x.csv").stat().st_size > 200e6
    assert found is not None
    assert [float(value) for value in found] == [5.5e6, 110 * 1249975000, 110 * 1249975000 / 8]


def test_what_is_loaded_can_be_exported(tmp_path: Path) -> None:
    """The core writes the loaded table, and reads back the same rows, as for any mart."""
    (tmp_path / "x.csv").write_bytes("id;zip;net\n1;00123;1,50\n2;;\n".encode("cp1252"))
    with duckdb.connect(tmp_path / "work.duckdb") as connection:
        given = FileInput((str(tmp_path / "x.csv"),), csv=CsvOptions(encoding="cp1252"))
        loaded = load_files(connection, given, table="x")
        version = export_mart(
            connection, MartExport("x", loaded.relation, loaded.origin), tmp_path / "out"
        )

    rows = [
        row
        for part in version.parts
        for row in pq.read_table(version.folder / part.file).to_pylist()
    ]
    assert rows == [
        {"id": 1, "zip": "00123", "net": Decimal("1.50")},
        {"id": 2, "zip": None, "net": None},
    ]
