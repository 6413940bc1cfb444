"""Loads CSV files into a table: every value as it is, or an error that says where and what to do.

How a file is written belongs to `csv_dialect`, types and the table to `text_table`, errors to
`csv_errors`.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import duckdb

from mds_tableau.errors import InputError
from mds_tableau.inputs import Loaded, Progress
from mds_tableau.inputs.csv_bytes import open_text
from mds_tableau.inputs.csv_dialect import find_dialect
from mds_tableau.inputs.csv_errors import SomeFile, explained
from mds_tableau.inputs.csv_line_ends import one_line_end
from mds_tableau.inputs.csv_options import CsvOptions
from mds_tableau.inputs.places import Place, spool_folder
from mds_tableau.inputs.text_table import TextTable
from mds_tableau.inputs.text_types import check_formats

_LINE_SIZES: Final = (2 << 20, 32 << 20, 256 << 20)
"""Bytes that a line may have: DuckDB's default, and what is tried after it, as it takes memory."""


def load_csv(
    connection: duckdb.DuckDBPyConnection,
    places: Sequence[Place],
    csv: CsvOptions,
    types: Mapping[str, str],
    *,
    table: str,
    progress: Progress,
) -> Loaded:
    """Load the rows of CSV files into a new table.

    Raises:
        InputError: A file is not text, not CSV, or differs from the others in its columns; a value
            is not of the type asked for; or dates can be read in two ways.
    """
    check_formats(connection, csv)
    with tempfile.TemporaryDirectory(dir=spool_folder(connection), prefix="csv-") as folder:
        spool = Path(folder)
        files = [_opened(connection, place, csv, spool, progress) for place in places]
        _same_columns(files)
        load = TextTable(connection, files, csv, types, table=table, progress=progress)
        return run(load, spool)


def run(load: TextTable, spool: Path) -> Loaded:
    """Load files, with longer lines, one thread or other ends of lines if DuckDB stops at them.

    Raises:
        InputError: As `load_csv`.
    """
    sizes = list(_LINE_SIZES)
    while True:
        try:
            return load.run(sizes[0])
        except duckdb.Error as error:  # noqa: PERF203 - a few times at most
            if "Maximum line size" in str(error) and len(sizes) > 1:
                sizes.pop(0)
            elif "Parallel CSV Reader" in str(error) and load.parallel:
                load.parallel = False
            elif any(file.text.mixed for file in load.files):
                load.files = [_even(file, spool) for file in load.files]
            else:
                sources = load.sources(sizes[0])
                raise explained(load.connection, error, sources) from error


def _opened(
    connection: duckdb.DuckDBPyConnection,
    place: Place,
    csv: CsvOptions,
    spool: Path,
    progress: Progress,
) -> SomeFile:
    text = open_text(
        place, encoding=csv.encoding, quote=csv.quote_sign, spool=spool, progress=progress
    )
    if text.mixed and not text.quoted:
        text = one_line_end(text, delimiter="", quote="", spool=spool)
    return SomeFile(text, find_dialect(connection, text, csv))


def _even(file: SomeFile, spool: Path) -> SomeFile:
    if not file.text.mixed:
        return file
    dialect = file.dialect
    text = one_line_end(file.text, delimiter=dialect.delimiter, quote=dialect.quote, spool=spool)
    return SomeFile(text, dialect)


def _same_columns(files: Sequence[SomeFile]) -> None:
    first = files[0]
    wanted = set(first.dialect.names)
    problems = []
    for file in files[1:]:
        names = set(file.dialect.names)
        differences = [
            f"{what} {', '.join(sorted(map(repr, columns))[:10])}"
            for what, columns in (("lacks", wanted - names), ("adds", names - wanted))
            if columns
        ]
        if differences:
            problems.append(f"- {file.text.place.name} {' and '.join(differences)}")
    if problems:
        raise InputError(
            f"The files do not have the columns of the first, {first.text.place.name}:\n"
            + "\n".join(problems[:10])
            + "\nRead them apart, or give all of them the same columns."
        )
