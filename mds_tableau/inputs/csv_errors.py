"""Finds out where a CSV file is wrong, and says it with the line, the column and a remedy.

Also proves that no row was lost. Everything here may read the file again, as it happens after a
failure, or where counts differ.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import duckdb

from mds_tableau.columns import quote_identifier
from mds_tableau.errors import InputError, first_line
from mds_tableau.inputs.csv_bytes import TextFile, open_lines
from mds_tableau.inputs.csv_dialect import Dialect, records
from mds_tableau.inputs.kinds import Kind

_SHOWN: Final = 80
"""Characters of a value or line that are shown."""


@dataclass(frozen=True)
class SomeFile:
    """A file and how it is written.

    Attributes:
        text: The file.
        dialect: How it is written.
        row_lines: Whether the rows are one on each line of the file that was given, of which this
            one was made.
    """

    text: TextFile
    dialect: Dialect
    row_lines: bool = False

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.text.place.name

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided about it."""
        encoding = self.text.encoding
        read = () if encoding == "utf-8" else (f"The encoding is {encoding}.",)
        return (*read, *self.dialect.notes)


def explained(
    connection: duckdb.DuckDBPyConnection,
    error: duckdb.Error,
    sources: Sequence[tuple[SomeFile, str]],
) -> InputError:
    """Return what DuckDB says about one of some files, with the file and the line."""
    for file, sql in sources if len(sources) > 1 else ():
        try:
            connection.execute(f"SELECT count(c0) FROM ({sql})").fetchall()  # noqa: S608
        except duckdb.Error as found:  # noqa: PERF203 - once for each file
            return _explained(found, file)
    if len(sources) > 1:
        names = f"{sources[0][0].name} and {len(sources) - 1} more"
        return InputError(f"{names} cannot be loaded: {_said(error)}")
    return _explained(error, sources[0][0])


def _explained(error: duckdb.Error, file: SomeFile) -> InputError:
    text = str(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return InputError(f"{file.name} cannot be loaded: {_said(error)}")
    if "Maximum line size" in text:
        return InputError(
            f"{file.name}{_line(text)}: a line has more than 256 MiB. If a quote is not closed "
            "there, close it, or say --quote '' when quotes mean nothing in the file."
        )
    if "unterminated quote" in text:
        return InputError(
            f"{file.name}{_line(text)}: a quoted value has no proper end: {_original(text)}. A "
            "quote within quotes has to be doubled; if quotes mean nothing in the file, say "
            "--quote ''."
        )
    if "Expected Number of Columns" in text:
        return _ragged(file) or InputError(
            f"{file.name}{_line(text)}: not as many fields as columns: {_original(text)}. "
            + _RAGGED_REMEDY
        )
    return InputError(f"{file.name}{_line(text)} cannot be read as CSV: {_said(error)}")


_RAGGED_REMEDY: Final = (
    "If the delimiter or the quote is another, say --delimiter or --quote; lines before the header "
    "are left out with --skip; else mend the line. No row is left out."
)


def _ragged(file: SomeFile) -> InputError | None:
    dialect, expected = file.dialect, len(file.dialect.names)
    rows = records(file.text, dialect.delimiter, dialect.quote, dialect.first)
    with rows as numbered:
        for line, _, row in numbered:
            if len(row) < expected or any(row[expected:]):
                shown = dialect.delimiter.join(row)[:_SHOWN]
                return InputError(
                    f"{file.name}, line {line}: {len(row)} {_plural('field', len(row))} for "
                    f"{expected} {_plural('column', expected)}: {shown!r}. {_RAGGED_REMEDY}"
                )
    return None


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"


def _line(text: str) -> str:
    found = re.search(r"CSV Error on Line: (\d+)", text)
    return f", line {found[1]}" if found else ""


def _original(text: str) -> str:
    found = re.search(r"Original Line: ?(.*)", text)
    return repr(found[1][:_SHOWN]) if found else "..."


def _said(error: duckdb.Error) -> str:
    return first_line(error)[:300]


def first_misfit(
    connection: duckdb.DuckDBPyConnection,
    sources: Sequence[tuple[SomeFile, str]],
    column: str,
    name: str,
    kind: Kind,
    wanted: str,
) -> str:
    """Return a message about the first value of a column that is not of its kind."""
    for file, sql in sources:
        row = connection.execute(
            f"SELECT n, v FROM (SELECT row_number() OVER () AS n, {column} AS v FROM ({sql})) "  # noqa: S608
            f"WHERE NOT {kind.fits('v')} ORDER BY n LIMIT 1"
        ).fetchone()
        if row:
            line = line_of(file, row[0])
            return (
                f"{file.name}, line {line}, column {name!r}: {row[1][:_SHOWN]!r} is not "
                f"{kind.what}, which --type {name}={wanted} asks for. Ask for another type, such "
                f"as --type {name}=VARCHAR, or read the text as missing with --null. Dates of "
                "other forms are read with --date-format or --timestamp-format."
            )
    raise AssertionError(f"a value of {name} did not fit, and now all do")


def line_of(file: SomeFile, row: int) -> int:
    """Return the line on which the row of a number, from 1, begins."""
    dialect = file.dialect
    if file.row_lines:
        return _filled_line(file, row)
    rows = records(file.text, dialect.delimiter, dialect.quote, dialect.first, blank=_one(file))
    with rows as numbered:
        for count, (line, _, _) in enumerate(numbered, start=1):
            if count == row:
                return line
    return dialect.first + row


def _filled_line(file: SomeFile, number: int) -> int:
    """Return the line that is the nth with something on it, of the file that was given."""
    with open_lines(file.text.place) as lines:
        filled = (line for line, text in enumerate(lines, start=1) if text.strip())
        return next(islice(filled, number - 1, None), 0)


def _one(file: SomeFile) -> bool:
    """Whether the file has one column, of which a blank line is a missing value."""
    return len(file.dialect.names) == 1


def check_rows(
    connection: duckdb.DuckDBPyConnection, table: str, files: Sequence[SomeFile]
) -> None:
    """Check by another way that a table has all the rows of the files.

    Raises:
        InputError: It has not.
    """
    quoted = quote_identifier(table)
    row = connection.execute(f"SELECT count(*) FROM {quoted}").fetchone()  # noqa: S608
    seen = row[0] if row else 0
    if seen == sum(max(0, file.text.lines - file.dialect.first) for file in files):
        return
    if _with_ends(connection, table, seen, files):
        return
    wanted = sum(_counted(file) for file in files)
    if seen != wanted:
        names = ", ".join(file.name for file in files[:3])
        raise InputError(
            f"{names}: {seen:,} rows were loaded, but {wanted:,} are counted. The quotes are "
            "perhaps not what they seem; say --quote or --delimiter. Nothing is loaded."
        )


def _with_ends(
    connection: duckdb.DuckDBPyConnection, table: str, rows: int, files: Sequence[SomeFile]
) -> bool:
    """Whether rows and ends of lines within values are together the lines of the files."""
    texts = [file.text for file in files]
    if any(text.blank or text.mixed or not text.newlines for text in texts):
        return False
    described = connection.execute(f"DESCRIBE {quote_identifier(table)}").fetchall()
    columns = [quote_identifier(row[0]) for row in described if row[1] == "VARCHAR"]
    counts = " + ".join(
        f"coalesce(sum(length({name}) - length(replace({name}, chr(10), ''))), 0)"
        for name in columns
    )
    found = connection.execute(
        f"SELECT {counts or 0} FROM {quote_identifier(table)}"  # noqa: S608
    ).fetchone()
    lines = sum(text.lines for text in texts) - sum(file.dialect.first for file in files)
    return found is not None and rows + found[0] == lines


def _counted(file: SomeFile) -> int:
    dialect = file.dialect
    rows = records(file.text, dialect.delimiter, dialect.quote, dialect.first, blank=_one(file))
    with rows as numbered:
        return sum(1 for _ in numbered)
