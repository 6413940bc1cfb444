"""Finds how a CSV file is written: the delimiter, the header, and where the rows begin.

Looks at the first rows only; encodings belong to `text_encoding`, ends of lines to `csv_bytes`, the
types of the values to `text_types`.
"""

import csv as csv_module
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

import duckdb

from mds_tableau.columns import quote_text
from mds_tableau.errors import InputError
from mds_tableau.inputs.csv_bytes import TextFile
from mds_tableau.inputs.csv_options import CsvOptions

_CANDIDATES: Final = (",", ";", "\t", "|")
_NAMES: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "space"}
_SNIFFED_ROWS: Final = 1000
_LOOKED_AT: Final = 20
"""Rows after the first that are looked at to tell a header."""
_VALUE: Final = re.compile(
    r"[-+(]?[\d.,:/' -]*\d[\d.,:/' -]*([eE][-+]?\d+)?[)%]?|(?i:true|false|nan)"
)


@dataclass(frozen=True)
class Dialect:
    """How a file is written.

    Attributes:
        delimiter: Between two fields.
        quote: Around fields, or "".
        names: Names of the columns.
        unnamed: Positions of the columns that have no name in the file.
        has_header: Whether the names are from the file.
        skip: Lines before the header, or before the first row.
        first: Lines before the first row.
        notes: What was decided, in sentences.
    """

    delimiter: str
    quote: str
    names: tuple[str, ...]
    unnamed: tuple[int, ...]
    has_header: bool
    skip: int
    first: int
    notes: tuple[str, ...]


def find_dialect(connection: duckdb.DuckDBPyConnection, text: TextFile, csv: CsvOptions) -> Dialect:
    """Return how a file is written, as far as it is not said in `csv`.

    Raises:
        InputError: The file is empty, its names are not usable, or whether it has a header cannot
            be told.
    """
    quote = csv.quote_sign
    hint = _hint(text, csv.skip)
    if hint:
        csv = replace(csv, delimiter=csv.delimiter or hint, skip=csv.skip + 1)
    delimiter = csv.delimiter or _delimiter(connection, text, csv)
    with records(text, delimiter, quote, csv.skip) as rows:
        head = list(islice(rows, _LOOKED_AT + 1))
    if not head:
        after = f" after the {csv.skip} lines that --skip leaves out" if csv.skip else ""
        raise InputError(f"{text.place.name} is empty: it has no line with text{after}.")
    start, end, first = head[0]
    header = _has_header(text, [row for _, _, row in head]) if csv.header is None else csv.header
    notes = []
    if not csv.delimiter and delimiter != "," and len(first) > 1:
        notes.append(f"The delimiter is a {_NAMES[delimiter]}.")
    if not header:
        names = tuple(f"column{index}" for index in range(len(first)))
        if csv.header is None:
            notes.append(
                f"No header was found, so the columns are column0 to {names[-1]}; --header takes "
                "the first row as names."
            )
        return Dialect(delimiter, quote, names, (), False, start - 1, start - 1, tuple(notes))
    names, unnamed = _names(text, first, notes)
    return Dialect(delimiter, quote, names, unnamed, True, start - 1, end, tuple(notes))


@contextmanager
def records(
    text: TextFile, delimiter: str, quote: str, skip: int, *, blank: bool = False
) -> Iterator[Iterator[tuple[int, int, list[str]]]]:
    """Give the records of a file as the standard library reads them, with first and last line.

    Slower than DuckDB by far: for the head of a file, for finding the line of an error, and for
    counting where DuckDB's count needs a second opinion. Blank lines are left out unless asked for.

    Raises:
        InputError: A quote is not closed, or a field before it has an end is larger than memory
            ought to hold.
    """
    before = csv_module.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        with text.path.open(encoding="utf-8-sig", newline="") as file:
            for _ in range(skip):
                file.readline()
            yield _numbered(
                csv_module.reader(
                    file,
                    delimiter=delimiter,
                    quotechar=quote or None,
                    quoting=csv_module.QUOTE_MINIMAL if quote else csv_module.QUOTE_NONE,
                    skipinitialspace=delimiter != " ",
                    strict=False,
                ),
                skip,
                blank,
            )
    except csv_module.Error as error:
        raise InputError(f"{text.place.name} cannot be read as CSV: {error}.") from error
    finally:
        csv_module.field_size_limit(before)


class _Reader(Protocol):
    """What the standard library's reader of CSV offers."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...


def _numbered(reader: _Reader, skip: int, blank: bool) -> Iterator[tuple[int, int, list[str]]]:
    last = 0
    for row in reader:
        if row or blank:
            yield skip + last + 1, skip + reader.line_num, row
        last = reader.line_num


def _hint(text: TextFile, skip: int) -> str:
    """Return the delimiter that a first line such as `sep=;` tells Excel, or ""."""
    with text.path.open(encoding="utf-8-sig", newline="") as file:
        for _ in range(skip):
            file.readline()
        found = re.fullmatch(r'"?sep=(.)"?', file.readline(100).rstrip("\r\n"))
    return found[1] if found else ""


def _delimiter(connection: duckdb.DuckDBPyConnection, text: TextFile, csv: CsvOptions) -> str:
    quote = quote_text(csv.quote_sign)
    try:
        row = connection.execute(
            f"SELECT Delimiter, len(Columns) FROM sniff_csv({glob_safe(text.path)}, "  # noqa: S608
            f"quote = {quote}, escape = {quote}, comment = '', skip = {csv.skip}, "
            f"all_varchar = true, sample_size = {_SNIFFED_ROWS})"
        ).fetchone()
    except duckdb.Error:
        row = None
    with records(text, ",", "", csv.skip) as rows:
        first = next((",".join(row) for _, _, row in rows), "")
    counts = {sign: first.count(sign) for sign in _CANDIDATES}
    if row and row[0] in counts and row[1] > 1 and counts[row[0]] > 0:
        with records(text, row[0], csv.quote_sign, csv.skip) as rows:
            if len(next(rows, (0, 0, []))[2]) == row[1]:
                return str(row[0])
    # rows that do not fit are then an error with a line, and not a table of one column
    return max(_CANDIDATES, key=lambda sign: counts[sign])


def glob_safe(path: Path) -> str:
    """Return a path as SQL text for DuckDB, which would take brackets and stars for a glob."""
    return quote_text(re.sub(r"([\[*?])", r"[\1]", str(path)))


def _has_header(text: TextFile, head: Sequence[list[str]]) -> bool:
    first, rest = head[0], head[1:]
    values = [bool(_VALUE.fullmatch(cell.strip())) for cell in first if cell.strip()]
    if not any(values):
        return True
    if all(values) and rest:
        return False
    for index, cell in enumerate(first):
        below = [row[index].strip() for row in rest if index < len(row) and row[index].strip()]
        name_above = cell.strip() and not _VALUE.fullmatch(cell.strip())
        if name_above and below and all(_VALUE.fullmatch(value) for value in below):
            return True
    shown = ", ".join(first)[:80]
    raise InputError(
        f"{text.place.name}: whether its first row gives names or values cannot be told ({shown}). "
        "Say --header or --no-header."
    )


def _names(
    text: TextFile, first: Sequence[str], notes: list[str]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    names = [cell.strip() for cell in first]
    if any(cell != cell.strip() for cell in first):
        notes.append("Blanks around the names of columns were left out.")
    unnamed = tuple(index for index, name in enumerate(names) if not name)
    for index in unnamed:
        names[index] = f"column{index}"
    seen: dict[str, str] = {}
    double = []
    for name in names:
        # DuckDB folds the letters of ASCII
        if (folded := name.lower() if name.isascii() else name) in seen:
            double.append(f"'{seen[folded]}' and '{name}'")
        seen.setdefault(folded, name)
    if double:
        more = f" and {len(double) - 5} more" if len(double) > 5 else ""
        raise InputError(
            f"{text.place.name}: names of columns appear twice, which DuckDB does not tell apart: "
            f"{', '.join(double[:5])}{more}. Name them otherwise in the file, or use --no-header "
            "with --skip to call them column0, column1 and so on."
        )
    return tuple(names), unnamed
