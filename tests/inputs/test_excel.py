"""Excel files: what is stored arrives, and what looks like an empty cell and is none is refused."""

import datetime as dt
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from mds_tableau.errors import InputError, UsageError
from mds_tableau.inputs.files import CsvOptions
from tests.inputs.loading import Table, load

Rows = list[list[Any]]


@pytest.fixture
def book(tmp_path: Path) -> Callable[..., Table]:
    """Writes the rows of a sheet, and loads them."""

    def made(rows: Rows, formats: dict[str, str] | None = None, **options: Any) -> Table:
        workbook = openpyxl.Workbook()
        sheet = workbook.active
        assert sheet is not None
        sheet.title = "Data"
        for row in rows:
            sheet.append(row)
        for cell, number_format in (formats or {}).items():
            sheet[cell].number_format = number_format
        change = options.pop("change", None)
        if change:
            change(workbook)
        workbook.save(tmp_path / "x.xlsx")
        sheet_name, types = options.pop("sheet", ""), options.pop("types", None)
        return load(tmp_path, "x.xlsx", csv=CsvOptions(**options), types=types, sheet=sheet_name)

    return made


def test_each_column_has_the_type_of_what_is_stored(tmp_path: Path) -> None:
    """Numbers, texts, dates, times and formulas, as another library writes them."""
    workbook = xlsxwriter.Workbook(tmp_path / "x.xlsx")
    sheet = workbook.add_worksheet("Data")
    day, clock, stamp = (
        workbook.add_format({"num_format": text})
        for text in ("dd/mm/yyyy", "hh:mm:ss", "yyyy-mm-dd hh:mm")
    )
    money = workbook.add_format({"num_format": "#,##0 €"})
    names = ["id", "net", "zip", "ok", "day", "at", "seen", "sum", "empty"]
    sheet.write_row(0, 0, names)
    stamps = (dt.datetime(2026, 1, 31, 8, 30, 15), dt.datetime(1904, 1, 1))
    for row, moment in enumerate(stamps, start=1):
        number = row
        sheet.write_number(row, 0, number)
        sheet.write_number(row, 1, number + 0.25, money)
        sheet.write_string(row, 2, f"0012{number}")
        sheet.write_boolean(row, 3, number == 1)
        sheet.write_datetime(row, 4, moment.replace(hour=0, minute=0, second=0), day)
        sheet.write_datetime(row, 5, dt.time(23, 59, 58), clock)
        sheet.write_datetime(row, 6, moment, stamp)
        sheet.write_formula(row, 7, f"=A{row + 1}*2", None, number * 2)
    workbook.close()

    columns, rows, loaded = load(tmp_path, "x.xlsx")

    assert columns == {
        "id": "BIGINT",
        "net": "DOUBLE",
        "zip": "VARCHAR",
        "ok": "BOOLEAN",
        "day": "DATE",
        "at": "TIME",
        "seen": "TIMESTAMP",
        "sum": "BIGINT",
        "empty": "VARCHAR",
    }
    at = dt.time(23, 59, 58)
    assert rows == [
        (1, 1.25, "00121", True, dt.date(2026, 1, 31), at, stamps[0], 2, None),
        (2, 2.25, "00122", False, dt.date(1904, 1, 1), at, stamps[1], 4, None),
    ]
    assert loaded.origin.startswith("sheet 'Data' of ")
    assert loaded.notes == ()


def replace(path: Path, old: bytes, new: bytes, part: str = "worksheets/sheet1.xml") -> None:
    """Change what a part of a workbook holds, the first sheet by default."""
    with zipfile.ZipFile(path) as workbook:
        parts = {name: workbook.read(name) for name in workbook.namelist()}
    part = f"xl/{part}"
    assert old in parts[part]
    parts[part] = parts[part].replace(old, new)
    with zipfile.ZipFile(path, "w") as workbook:
        for name, content in parts.items():
            workbook.writestr(name, content)


def test_the_stored_number_is_read_and_not_the_shown_one(
    book: Callable[..., Table], tmp_path: Path
) -> None:
    """Seventeen digits arrive although a format shows two; what no double holds is refused."""
    book([["a"], [0.25], [1e-300], [1e20]], {"A2": "0.00"})
    # as Excel stores it; the library that writes it here has 16 digits only
    replace(tmp_path / "x.xlsx", b"<v>0.25</v>", b"<v>0.30000000000000004</v>")
    assert load(tmp_path, "x.xlsx")[1] == [(0.1 + 0.2,), (1e-300,), (1e20,)]
    book([["a"], [77], [1]])
    replace(tmp_path / "x.xlsx", b"<v>77</v>", b"<v>9007199254740993</v>")
    assert load(tmp_path, "x.xlsx")[:2] == ({"a": "BIGINT"}, [(2**53 + 1,), (1,)])
    book([["a"], [0.5], [77]])
    replace(tmp_path / "x.xlsx", b"<v>77</v>", b"<v>9007199254740993</v>")
    with pytest.raises(InputError, match=r"x\.xlsx: Data!A3 holds '9007199254740993'"):
        load(tmp_path, "x.xlsx")


def test_every_second_of_a_day_arrives_exactly(book: Callable[..., Table]) -> None:
    """Excel keeps a time as a part of a day, which few times are exactly."""
    start = dt.datetime(2026, 3, 1)
    moments = [start + dt.timedelta(seconds=number) for number in range(0, 86_400, 7)]
    assert book([["at"], *([moment] for moment in moments)])[1] == [(one,) for one in moments]


def test_dates_of_the_calendar_from_1904(book: Callable[..., Table]) -> None:
    """Files of old Macs count from another day; in others, days before March 1900 are refused."""

    def count_from_1904(workbook: Any) -> None:
        workbook.epoch = CALENDAR_MAC_1904

    days = [[dt.date(1904, 1, 2)], [dt.date(2026, 1, 31)]]
    found = book([["day"], *days], change=count_from_1904)
    assert found[:2] == ({"day": "DATE"}, [tuple(day) for day in days])
    assert book([["day"], [61]], {"A2": "yyyy-mm-dd"})[1] == [(dt.date(1900, 3, 1),)]
    for serial in (60, 59, 1, -1):
        with pytest.raises(InputError, match=r"Data!A3 is a day before 1 March 1900"):
            book([["day"], [61], [serial]], {"A2": "yyyy-mm-dd", "A3": "yyyy-mm-dd"})
    with pytest.raises(InputError, match=r"Data!A2 holds the error #VALUE!"):
        book([["day"], [3_000_000]], {"A2": "yyyy-mm-dd"})


def test_whether_dates_have_a_time_is_told_by_their_format(book: Callable[..., Table]) -> None:
    """So that a week without a time in it does not change the type of the column."""
    midnight = [["at"], [dt.datetime(2026, 1, 31)]]
    assert book(midnight, {"A2": "yyyy-mm-dd hh:mm"})[0] == {"at": "TIMESTAMP"}
    assert book(midnight, {"A2": "yyyy-mm-dd"})[0] == {"at": "DATE"}


def test_a_column_of_several_kinds_becomes_text_and_says_where(book: Callable[..., Table]) -> None:
    """Nothing is lost; what to say is told, and what is asked for is done or refused by cell."""
    rows: Rows = [["net", "n"], [1.5, 1], [2, 2], ["n/a", 3], [dt.date(2026, 1, 31), 4], [True, 5]]
    columns, found, loaded = book(rows)
    assert columns == {"net": "VARCHAR", "n": "BIGINT"}
    assert [row[0] for row in found] == ["1.5", "2", "n/a", "2026-01-31", "true"]
    [note] = loaded.notes
    assert "Data!A4 is text ('n/a'), and before it there is a number" in note
    assert book(rows[:4], nulls=("n/a",))[:2] == (
        {"net": "DOUBLE", "n": "BIGINT"},
        [(1.5, 1), (2.0, 2), (None, 3)],
    )
    assert book(rows[:4], types={"n": "VARCHAR"})[1][0] == ("1.5", "1")
    assert book(rows[:3], types={"net": "DECIMAL(9,2)"})[0]["net"] == "DECIMAL(9,2)"
    with pytest.raises(InputError, match=r"x\.xlsx: Data!A4, column 'net' holds n/a, which cannot"):
        book(rows[:4], types={"net": "DOUBLE"})
    with pytest.raises(InputError, match=r"Data!A2, column 'net' holds 1\.5"):
        book(rows[:3], types={"net": "BIGINT"})


def test_empty_rows_and_columns_and_texts(tmp_path: Path) -> None:
    """Rows without a value are left out and said; a text without characters is no number."""
    workbook = xlsxwriter.Workbook(tmp_path / "x.xlsx")
    sheet = workbook.add_worksheet()
    for cell, value in {"B2": "a", "D2": "b", "B4": 1, "D4": "x", "D6": "y"}.items():
        sheet.write(cell, value)
    for cell in ("B6", "B8", "D8", "F5"):
        sheet.write_formula(cell, '=""', None, "")
    sheet.write_blank("H3", None, workbook.add_format({"bold": True}))
    sheet.write("D7", "z")
    sheet.write("B7", "nothing")
    workbook.close()
    # as Excel writes it
    replace(tmp_path / "x.xlsx", b'><f>""</f>', b' t="str"><f>""</f>')
    replace(tmp_path / "x.xlsx", b"<t>nothing</t>", b"<t></t>", "sharedStrings.xml")
    columns, found, loaded = load(tmp_path, "x.xlsx")
    assert columns == {"a": "BIGINT", "b": "VARCHAR"}
    assert found == [(1, "x"), (None, "y"), (None, "z")]
    assert "Rows without a value are left out." in loaded.notes
    assert "Column 'a' has empty texts, which are read as missing values." in loaded.notes


def test_signs_that_xml_cannot_hold_are_read(tmp_path: Path) -> None:
    """Ends of lines and blanks stay, also where the file has to write them in another way."""
    text = " a\r\nb\t_x000D_ "
    workbook = xlsxwriter.Workbook(tmp_path / "x.xlsx")
    sheet = workbook.add_worksheet()
    sheet.write_column(0, 0, ["t", text])
    workbook.close()
    assert load(tmp_path, "x.xlsx")[1] == [(text,)]


def _formula(workbook: Any) -> None:
    workbook.active["B3"] = "=A2*2"


def _merged(workbook: Any) -> None:
    workbook.active.merge_cells("A2:A3")


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        ([["a"], [1], ["#N/A"]], {}, "Data!A3 holds the error #N/A. Correct it, or say --null"),
        ([["a", "b"], [1, 2], [3]], {"change": _formula}, "Data!B3 is a formula whose result is"),
        ([["a"], [1], [None], [2]], {"change": _merged}, "the cells Data!A2:A3 are merged"),
        ([["a", "A"], [1, 2]], {}, "appear twice: 'A', 'a'"),
        ([["Report"], ["a", "b"], [1, 2]], {}, "Data!B1, in the first row with a value, is empty"),
        ([[1, "b"], [1, 2]], {}, "Data!A1, in the first row with a value, is no text"),
        ([], {}, "The sheet 'Data' of"),
    ],
)
def test_what_would_be_lost_is_refused_with_its_cell(
    book: Callable[..., Table], rows: Rows, options: dict[str, Any], said: str
) -> None:
    """An error, a formula without a result and merged cells all look like cells without a value."""
    with pytest.raises(InputError) as caught:
        book(rows, **options)
    assert said in str(caught.value)


def test_an_error_can_be_no_value_and_a_title_left_out(book: Callable[..., Table]) -> None:
    """By the options that CSV files have for the same."""
    assert book([["a"], [1], ["#N/A"]], nulls=("#N/A",))[1] == [(1,), (None,)]
    rows: Rows = [["Report", None], [], ["a", "b"], [1, 2]]

    def merge(workbook: Any) -> None:
        workbook.active.merge_cells("A1:B1")

    assert book(rows, skip=2, change=merge)[:2] == ({"a": "BIGINT", "b": "BIGINT"}, [(1, 2)])
    assert list(book([[1, "x"], [2, "y"]], header=False)[0]) == ["column0", "column1"]
    assert list(book([[2025, 2026], [1, 2]], header=True)[0]) == ["2025", "2026"]


def test_which_sheet_is_read_is_never_guessed(book: Callable[..., Table]) -> None:
    """The only one that is seen is taken; of several, one has to be named, also a hidden one."""

    def more(workbook: Any) -> None:
        workbook.create_sheet("Lists").append(["l"])
        workbook["Lists"].append([5])
        workbook["Lists"].sheet_state = "hidden"

    def two(workbook: Any) -> None:
        more(workbook)
        workbook.create_sheet("Q2 2026").append(["q"])

    rows: Rows = [["a"], [1]]
    assert book(rows, change=more)[1] == [(1,)]
    assert book(rows, change=more, sheet="lists")[1] == [(5,)]
    with pytest.raises(UsageError) as caught:
        book(rows, change=two)
    assert "has 2 sheets to choose from; say which with --sheet" in str(caught.value)
    assert str(caught.value).endswith("There are:\n- Data\n- Lists (hidden)\n- Q2 2026")
    with pytest.raises(UsageError, match=r"has no sheet 'Dat'. There are:\n- Data"):
        book(rows, sheet="Dat")


def test_several_files_are_one_table(tmp_path: Path) -> None:
    """By the names of their columns, with the types that hold all of them."""
    for name, rows in {"1": [["a", "b"], [1, "x"]], "2": [["b", "a"], ["y", 2.5]]}.items():
        workbook = openpyxl.Workbook()
        for row in rows:
            workbook.active.append(row)
        workbook.save(tmp_path / f"{name}.xlsx")
    columns, found, _ = load(tmp_path, "*.xlsx")
    assert (columns, found) == ({"a": "DOUBLE", "b": "VARCHAR"}, [(1.0, "x"), (2.5, "y")])
    with pytest.raises(InputError, match=r"2\.xlsx: Sheet!A3, column 'a'|2\.xlsx: Sheet!B2, col"):
        load(tmp_path, "*.xlsx", types={"a": "BIGINT"})
    workbook = openpyxl.Workbook()
    workbook.active.append(["c"])
    workbook.save(tmp_path / "3.xlsx")
    with pytest.raises(InputError, match=r"3\.xlsx: 'a', 'b', 'c'"):
        load(tmp_path, "*.xlsx")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a,b\n1,2\n", "is no Excel workbook: it begins otherwise"),
        (b"PK\x03\x04 cut", "is damaged, or no Excel workbook"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "is a workbook of Excel 97 to 2003"),
        (b"\xd0\xcf\x11\xe0" + "EncryptedPackage".encode("utf-16-le"), "protected by a password"),
        (b"", "is no Excel workbook"),
    ],
)
def test_what_is_no_workbook_is_told(tmp_path: Path, content: bytes, said: str) -> None:
    """With what to do, and never as a traceback."""
    (tmp_path / "x.xlsx").write_bytes(content)
    with pytest.raises(InputError, match=said):
        load(tmp_path, "x.xlsx")


def test_a_workbook_that_was_damaged_is_told(book: Callable[..., Table], tmp_path: Path) -> None:
    """Cut, with a part that is missing, or of another kind of office."""
    book([["a"], *([number] for number in range(5000))])
    whole = (tmp_path / "x.xlsx").read_bytes()
    (tmp_path / "x.xlsx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"x\.xlsx is damaged"):
        load(tmp_path, "x.xlsx")
    (tmp_path / "x.xlsx").write_bytes(whole.replace(b"<sheetData>", b"<sheetDat>"))
    middle = whole.index(b"xl/worksheets/sheet1.xml") + 200
    (tmp_path / "x.xlsx").write_bytes(whole[:middle] + bytes(500) + whole[middle + 500 :])
    with pytest.raises(InputError, match=r"x\.xlsx is damaged"):
        load(tmp_path, "x.xlsx")
    with zipfile.ZipFile(tmp_path / "y.ods", "w") as ods:
        ods.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    with pytest.raises(InputError, match=r"y\.ods is ODS, which is not read. Save it"):
        load(tmp_path, "y.ods")
    with zipfile.ZipFile(tmp_path / "y.xlsb", "w") as other:
        other.writestr("xl/workbook.bin", b"")
    with pytest.raises(InputError, match=r"is a binary workbook"):
        load(tmp_path, "y.xlsb")


def test_without_what_reads_them_it_is_said_how_to_get_it(
    book: Callable[..., Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an analyst who installed the package alone sees it."""
    book([["a"], [1]])
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(UsageError, match=r"\(openpyxl\).*pip install .* -e \"\.\[excel\]\""):
        load(tmp_path, "x.xlsx")
