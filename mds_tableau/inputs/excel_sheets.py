"""Reads one sheet of an Excel workbook: its header, and the cells below with their rows.

The stored values are read, not what formats make of them. What an extract could only hold as
something else (an error, a formula that was never computed, a merged cell, a day before March 1900)
is refused here with its cell. The file belongs to `excel_workbook`,
types and the table to `excel_files`.
"""

import datetime as dt
import re
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Any, Final

from defusedxml.ElementTree import iterparse

from mds_tableau.errors import InputError
from mds_tableau.inputs.csv_options import CsvOptions
from mds_tableau.inputs.excel_workbook import chosen, opened
from mds_tableau.inputs.places import CHUNK, Place

_FIRST_DAY: Final = dt.datetime(1900, 3, 1)
"""Excel counts a 29 February 1900 that never was, so that other programs mean other days before."""
_EPOCH_1900: Final = dt.datetime(1899, 12, 30)
_EITHER: Final = re.compile(rb"<(?:[\w.-]+:)?(?:f|mergeCell)[\s/>]")
_MAIN: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_STRICT: Final = "{http://purl.oclc.org/ooxml/spreadsheetml/main}"


@dataclass(frozen=True)
class Sheet:
    """The table of a sheet.

    Attributes:
        name: Name of the sheet.
        names: Names of its columns.
        letters: Their letters in Excel.
        columns: The values of each column; None where a cell is empty.
        has_clock: For each column, whether a format of its dates has a time of day.
        rows: Number in Excel of each row.
        notes: What was decided, a sentence each.
    """

    name: str
    names: tuple[str, ...]
    letters: tuple[str, ...]
    columns: tuple[list[Any], ...]
    has_clock: tuple[bool, ...]
    rows: tuple[int, ...]
    notes: tuple[str, ...]

    def cell(self, column: int, row: int) -> str:
        """Return what Excel calls the cell of a column and a row, both counted from 0."""
        return f"{_quoted(self.name)}!{self.letters[column]}{self.rows[row]}"


def read_sheet(place: Place, sheet: str, csv: CsvOptions) -> Sheet:
    """Return the table of a sheet.

    Args:
        place: The file.
        sheet: Name of the sheet; "" for the only one that is not hidden.
        csv: Says whether there is a header, how many rows come before, and what means no value.

    Raises:
        InputError: The file or a cell cannot be read as it is; names the cell.
        UsageError: There is no such sheet, or there are several.
    """
    with opened(place) as (workbook, parts):
        found = chosen(place, workbook, sheet)
        reading = _Reading(place, found.title, csv, workbook.epoch == _EPOCH_1900)
        with warnings.catch_warnings():
            # about what it does not read: it says so with the cell where that matters
            warnings.simplefilter("ignore")
            found.reset_dimensions()
            for number, row in enumerate(found.iter_rows(), start=1):
                reading.take(number, row)
        made = reading.table()
        _refuse_hidden_loss(place, made, reading.header_row, parts[found.title])
    return made


class _Reading:
    """One pass over the rows of a sheet."""

    def __init__(self, place: Place, title: str, csv: CsvOptions, counts_from_1900: bool) -> None:
        self.header_row = 0
        self._place = place
        self._title = title
        self._csv = csv
        self._counts_from_1900 = counts_from_1900
        self._nulls = frozenset(csv.nulls)
        self._header: list[Any] = []
        self._columns: list[list[Any]] = []
        self._has_clock: list[bool] = []
        self._rows: list[int] = []

    def take(self, number: int, row: Sequence[Any]) -> None:
        """Take a row, the first with a value as the header."""
        if number <= self._csv.skip:
            return
        # also a formula whose result is no character leaves a row empty
        if all(cell.value is None or cell.value == "" for cell in row):
            return
        values = [self._value(cell, number, index) for index, cell in enumerate(row)]
        if not self.header_row:
            self.header_row = number
            if self._csv.header is not False:
                self._header = values
                return
        for _ in range(len(self._columns), len(values)):
            self._columns.append([None] * len(self._rows))
            self._has_clock.append(False)
        for index, column in enumerate(self._columns):
            value = values[index] if index < len(values) else None
            column.append(value)
            if type(value) is dt.datetime and not self._has_clock[index]:
                self._has_clock[index] = _has_clock(row[index].number_format)
        self._rows.append(number)

    def table(self) -> Sheet:
        """Return what was read."""
        if not self.header_row:
            raise InputError(f"The sheet '{self._title}' of {self._place.name} is empty.")
        used = [
            index
            for index in range(max(len(self._columns), len(self._header)))
            if self._named(index) or self._values(index)
        ]
        notes = []
        if self._rows and self._rows[-1] - self._rows[0] >= len(self._rows):
            notes.append("Rows without a value are left out.")
        return Sheet(
            self._title,
            self._names(used),
            tuple(_letter(index) for index in used),
            tuple(self._values(index) or [None] * len(self._rows) for index in used),
            tuple(index < len(self._has_clock) and self._has_clock[index] for index in used),
            tuple(self._rows),
            tuple(notes),
        )

    def _named(self, index: int) -> Any:
        return self._header[index] if index < len(self._header) else None

    def _values(self, index: int) -> list[Any]:
        column = self._columns[index] if index < len(self._columns) else []
        return column if any(value is not None for value in column) else []

    def _names(self, used: Sequence[int]) -> tuple[str, ...]:
        if self._csv.header is False:
            return tuple(f"column{index}" for index in used)
        names: list[str] = []
        for index in used:
            value = self._named(index)
            cell = f"{_quoted(self._title)}!{_letter(index)}{self.header_row}"
            if self._csv.header is None and not (isinstance(value, str) and value.strip()):
                what = "is empty, and there are values below" if value is None else "is no text"
                raise InputError(
                    f"{self._place.name}: {cell}, in the first row with a value, {what}, so that "
                    "it does not look like a row of names. If a title stands above the table, say "
                    "--skip with the number of rows to leave out; otherwise say --header or "
                    "--no-header."
                )
            names.append(as_text(value).strip() if value is not None else f"column{index}")
        folded = [name.casefold() for name in names]
        twice = sorted({name for name in names if folded.count(name.casefold()) > 1})
        if twice:
            raise InputError(
                f"{self._place.name}: names of columns of the sheet '{self._title}' appear twice: "
                f"{', '.join(map(repr, twice))}. Name them otherwise in the file, or use "
                "--no-header with --skip to call them column0, column1 and so on."
            )
        return tuple(names)

    def _value(self, cell: Any, row: int, column: int) -> Any:
        value = cell.value
        if value is None:
            return None
        if cell.data_type == "e":
            return self._of_error(str(value), row, column)
        if isinstance(value, str):
            text = _unescaped(value) if "_x" in value else value
            return None if text in self._nulls else text
        if isinstance(value, dt.datetime) and self._counts_from_1900 and value < _FIRST_DAY:
            raise InputError(
                f"{self._place.name}: {_quoted(self._title)}!{_letter(column)}{row} is a day "
                "before 1 March 1900, which programs count in different ways. Make it text."
            )
        return value

    def _of_error(self, error: str, row: int, column: int) -> None:
        if error in self._nulls:
            return
        raise InputError(
            f"{self._place.name}: {_quoted(self._title)}!{_letter(column)}{row} holds the error "
            f"{error}. Correct it, or say --null '{error}' to have no value there."
        )


def _refuse_hidden_loss(
    place: Place, made: Sheet, header_row: int, part: tuple[zipfile.ZipFile, str]
) -> None:
    """Refuse what would look like an empty cell, though in Excel it is none.

    Raises:
        InputError: A formula has no result, or cells are merged; names them.
    """
    archive, path = part
    with archive.open(path) as file:
        # most sheets have neither, and parsing them again takes as long as reading them
        if not _has_either(file):
            return
    with archive.open(path) as file:
        for _, element in iterparse(file, events=("end",)):
            tag = element.tag.removeprefix(_MAIN).removeprefix(_STRICT)
            if tag == "c":
                children = {one.tag.rpartition("}")[2]: one.text for one in element}
                # a text without characters is a result
                if "f" in children and not (children.get("v") or element.get("t") == "str"):
                    raise InputError(
                        f"{place.name}: {_quoted(made.name)}!{element.get('r')} is a formula whose "
                        "result is not in the file, as the program that wrote it did not compute "
                        "it. Open the file in Excel, and save it."
                    )
            elif tag == "mergeCell":
                span = str(element.get("ref"))
                last = int("".join(filter(str.isdigit, span.rpartition(":")[2])))
                if last >= header_row:
                    raise InputError(
                        f"{place.name}: the cells {_quoted(made.name)}!{span} are merged, and only "
                        "the first of them has the value. Unmerge them in Excel, and fill each; a "
                        "title above the table is left out by --skip."
                    )
            elif tag == "row":
                element.clear()


def _has_either(file: IO[bytes]) -> bool:
    """Return whether the XML of a sheet may have formulas or merged cells."""
    end = b""
    while chunk := file.read(CHUNK):
        if _EITHER.search(end + chunk):
            return True
        end = chunk[-100:]
    return False


def as_text(value: Any) -> str:
    """Return a value as text: whole numbers without a point, dates and times as in ISO 8601."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, dt.datetime):
        return value.isoformat(" ") if value.time() != dt.time() else value.date().isoformat()
    return str(value)


def _unescaped(text: str) -> str:
    from openpyxl.utils.escape import unescape

    return str(unescape(text))


@lru_cache(maxsize=1000)
def _has_clock(number_format: str) -> bool:
    from openpyxl.styles.numbers import is_datetime

    return bool(is_datetime(number_format) != "date")


def _letter(index: int) -> str:
    from openpyxl.utils import get_column_letter

    return str(get_column_letter(index + 1))


def _quoted(title: str) -> str:
    return title if title.isidentifier() else "'" + title.replace("'", "''") + "'"
