"""Loads a sheet of Excel files into a table, each column with the type that keeps its values.

What a sheet holds belongs to `excel_sheets`; casts to a type that is asked for to `casts`.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import duckdb

from mds_tableau.columns import quote_identifier
from mds_tableau.errors import InputError, UsageError
from mds_tableau.inputs import Loaded, Progress
from mds_tableau.inputs.casts import asked_types, cast
from mds_tableau.inputs.csv_options import CsvOptions
from mds_tableau.inputs.excel_sheets import Sheet, as_text, read_sheet
from mds_tableau.inputs.landing import ArrivingColumn, land
from mds_tableau.inputs.places import Place, origin
from mds_tableau.installing import install

if TYPE_CHECKING:
    import pyarrow

    from mds_tableau.inputs.arrow_values import Kind

_BATCH: Final = 50_000
_WHOLE_64: Final = 2**63
_WORDS: Final = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    dt.datetime: "a date",
    dt.time: "a time of day",
    dt.timedelta: "a duration",
}


@dataclass(frozen=True)
class _Column:
    """What a column becomes.

    Attributes:
        kind: How its values travel.
        note: What to say about it, "" for nothing.
        blank: Whether a text without characters is a missing value.
    """

    kind: "Kind"
    note: str = ""
    blank: bool = False


def load_excel(
    connection: duckdb.DuckDBPyConnection,
    places: Sequence[Place],
    sheet: str,
    csv: CsvOptions,
    types: Mapping[str, str],
    *,
    table: str,
    progress: Progress,
) -> Loaded:
    """Load the rows of a sheet of each file into a new table.

    Args:
        connection: Where the table is made; has no open transaction.
        places: The files, whose sheets have to have the same columns.
        sheet: Name of the sheet; "" for the only one that is not hidden.
        csv: Its `header`, `skip` and `nulls` are for sheets too.
        types: DuckDB type for columns, by name.
        table: Name of the table.
        progress: Told how many rows there are.

    Raises:
        InputError: A cell cannot be read as it is, or is not of the type asked for; names it.
        UsageError: There is no such sheet or column, or a package is not installed.
    """
    _require_packages(places)
    sheets = []
    for place in places:
        progress(f"Reading {place.name}", 0, None)
        sheets.append(read_sheet(place, sheet, csv))
    _refuse_others(places, sheets)
    names = sheets[0].names
    called = origin(places)
    asked = asked_types(connection, types, names, origin=called)
    columns = [_column(sheets, name, asked.get(name, "")) for name in names]
    arriving = [
        _arriving(name, column, asked.get(name, ""))
        for name, column in zip(names, columns, strict=True)
    ]
    total = sum(len(one.rows) for one in sheets)

    def cell(row: int, name: str) -> str:
        for place, one in zip(places, sheets, strict=True):
            if row <= len(one.rows):
                return f"{place.name}: {one.cell(one.names.index(name), row - 1)}"
            row -= len(one.rows)
        raise AssertionError(f"row {row} is beyond the last")

    land(
        connection,
        quote_identifier(table),
        arriving,
        _batches(places, sheets, names, columns),
        origin=called,
        counted=lambda rows: progress(f"Reading {called}", rows, total),
        place=cell,
    )
    notes = [note for one in sheets for note in one.notes]
    notes += [column.note for column in columns if column.note]
    if len(places) == 1:
        called = f"sheet '{sheets[0].name}' of {called}"
    return Loaded(quote_identifier(table), called, tuple(dict.fromkeys(notes)))


def _require_packages(places: Sequence[Place]) -> None:
    try:
        import openpyxl  # noqa: F401
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"{places[0].name} is an Excel file, and what reads these is not installed "
            f"({error.name}). {install('excel')}"
        ) from None


def _refuse_others(places: Sequence[Place], sheets: Sequence[Sheet]) -> None:
    first = set(sheets[0].names)
    problems = [
        f"- {place.name}: {', '.join(sorted(map(repr, first ^ set(one.names))))}"
        for place, one in zip(places, sheets, strict=True)
        if set(one.names) != first
    ]
    if problems:
        raise InputError(
            f"The files do not have the columns of the first, {places[0].name}; what one has and "
            "the other has not:\n"
            + "\n".join(problems[:10])
            + "\nRead them apart, or give all of them the same columns."
        )


def _column(sheets: Sequence[Sheet], name: str, asked: str) -> _Column:
    """Return what holds all values of a column."""
    from mds_tableau.inputs import arrow_values as kinds

    if asked == "VARCHAR":
        return _Column(kinds.TEXT)
    found = [(one, one.names.index(name)) for one in sheets]
    values = [value for one, index in found for value in one.columns[index]]
    types = {int if t is float else t for t in map(type, values)} - {type(None)}
    # a formula gives a text without characters where it gives nothing
    has_blank = types != {str} and "" in values
    if has_blank and not any(isinstance(value, str) and value for value in values):
        types.discard(str)
    note = f"Column {name!r} has empty texts, which are read as missing values." * has_blank
    if types == {int}:
        return _Column(_number(values), note, blank=True)
    if types == {dt.datetime}:
        has_clock = any(
            one.has_clock[index] or any(v and v.time() != dt.time() for v in one.columns[index])
            for one, index in found
        )
        return _Column(kinds.TIMESTAMP if has_clock else kinds.DATE, note, blank=True)
    single: dict[frozenset[type], Kind] = {
        frozenset({bool}): kinds.BOOLEAN,
        frozenset({dt.time}): kinds.TIME,
        frozenset({dt.timedelta}): kinds.INTERVAL,
    }
    if frozenset(types) in single:
        return _Column(single[frozenset(types)], note, blank=True)
    if len(types) < 2:
        return _Column(kinds.TEXT)
    return _Column(kinds.TEXT, _why_text(sheets, name))


def _number(values: Sequence[Any]) -> "Kind":
    from mds_tableau.inputs import arrow_values as kinds

    numbers = [value for value in values if isinstance(value, (int, float))]
    are_whole = all(float(value).is_integer() for value in numbers)
    # beyond 64 bits only a double is left
    fits = are_whole and all(-_WHOLE_64 <= value < _WHOLE_64 for value in numbers)
    return kinds.BIGINT if fits else kinds.DOUBLE


def _why_text(sheets: Sequence[Sheet], name: str) -> str:
    """Return why a column becomes text, with the first cell that is unlike those before it."""
    first = ""
    for one in sheets:
        index = one.names.index(name)
        for row, value in enumerate(one.columns[index]):
            if value is None:
                continue
            words = _WORDS[type(value)]
            if first and words != first:
                return (
                    f"Column {name!r} becomes text, as it has values of several kinds: "
                    f"{one.cell(index, row)} is {words} ({as_text(value)[:40]!r}), and before it "
                    f"there is {first}. --type {name}=VARCHAR settles that; --null with a text "
                    "makes it a missing value."
                )
            first = words
    return ""


def _arriving(name: str, column: _Column, asked: str) -> ArrivingColumn:
    quoted, source = quote_identifier(name), column.kind.duckdb_type
    target = asked or source
    value, misfit = cast(quoted, source, target)
    return ArrivingColumn(name, target, value, misfit, shown=quoted, note=column.note)


def _batches(
    places: Sequence[Place],
    sheets: Sequence[Sheet],
    names: Sequence[str],
    columns: Sequence[_Column],
) -> "Iterator[pyarrow.RecordBatch]":
    import pyarrow as pa

    from mds_tableau.inputs.arrow_values import MisfitError, array

    for place, one in zip(places, sheets, strict=True):
        order = [one.names.index(name) for name in names]
        for start in range(0, len(one.rows), _BATCH):
            arrays = []
            for index, column in zip(order, columns, strict=True):
                values = _made(one.columns[index][start : start + _BATCH], column)
                try:
                    arrays.append(array(values, column.kind))
                except MisfitError as error:
                    row = start + error.position
                    raise InputError(
                        f"{place.name}: {one.cell(index, row)} holds "
                        f"{as_text(one.columns[index][row])[:80]!r}, which cannot be "
                        f"{column.kind.duckdb_type} without a change. Read the column as text: "
                        f"--type {one.names[index]}=VARCHAR."
                    ) from None
            yield pa.record_batch(arrays, names=list(names))


def _made(values: Sequence[Any], column: _Column) -> list[Any]:
    """Return values as the kind of their column takes them."""
    from mds_tableau.inputs import arrow_values as kinds

    if column.blank:
        values = [None if value == "" else value for value in values]
    if column.kind is kinds.TEXT:
        return [None if value is None else as_text(value) for value in values]
    if column.kind is kinds.BIGINT:
        return [None if value is None else int(value) for value in values]
    if column.kind is kinds.DATE:
        return [None if value is None else value.date() for value in values]
    return list(values)
