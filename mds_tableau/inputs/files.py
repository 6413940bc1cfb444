"""Loads files into a DuckDB connection, whatever their format.

Finding the files belongs to `places`, reading each format to a module of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import duckdb

from mds_tableau.errors import UsageError
from mds_tableau.inputs import Loaded, Progress, silent
from mds_tableau.inputs.csv_files import load_csv
from mds_tableau.inputs.csv_options import CsvOptions
from mds_tableau.inputs.excel_files import load_excel
from mds_tableau.inputs.json_lines import load_json_lines
from mds_tableau.inputs.parquet_files import load_parquet
from mds_tableau.inputs.places import find_places, origin, spool_folder
from mds_tableau.room import require_room

__all__ = ["CsvOptions", "FileInput", "load_files"]

FORMATS: Final = ("csv", "parquet", "jsonl", "excel")
"""Formats that can be read."""

_COPIED: Final = ("csv", "jsonl")
"""Those whose values are copied into the database; they take about as much there as in text."""


@dataclass(frozen=True)
class FileInput:
    """Files to read, and what is said about them.

    Attributes:
        places: Files, folders, globs, or "-" for standard input.
        format: One of `FORMATS`; "" goes by the suffixes, which "-" does not have.
        csv: How CSV files are written.
        types: DuckDB type for columns of CSV, JSON lines and Excel, by name.
        sheet: Name of the sheet of Excel files; "" for the only one.
    """

    places: tuple[str, ...]
    format: str = ""
    csv: CsvOptions = field(default_factory=CsvOptions)
    types: Mapping[str, str] = field(default_factory=dict)
    sheet: str = ""

    def __post_init__(self) -> None:
        """Check the format.

        Raises:
            InputError: It is none that can be read.
        """
        if self.format and self.format not in FORMATS:
            raise UsageError(
                f"--format {self.format} is none of the formats that can be read: "
                f"{', '.join(FORMATS)}."
            )


def load_files(
    connection: duckdb.DuckDBPyConnection,
    given: FileInput,
    *,
    table: str,
    progress: Progress = silent,
) -> Loaded:
    """Load files into a table, or a view of the files where nothing has to be copied.

    Each value is loaded as it is, or the load fails; no row is left out.

    Args:
        connection: To a database in a temporary folder of its own, into which standard input and
            copies of files in other encodings are written.
        given: The files, and what is said about them.
        table: Name of the table or view.
        progress: Told the bytes that were read; also from another thread while DuckDB reads.

    Raises:
        InputError: A file is not there or cannot be read as it is; says where, and what to do.
        NoRoom: The disk has less room than the values are going to take.
    """
    # an extension would be downloaded, which is not possible everywhere and nobody asked for
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET autoload_known_extensions = false")
    kind, places = find_places(given.places, given.format, connection, progress)
    if given.sheet and kind != "excel":
        raise UsageError(f"--sheet is for Excel files, and {places[0].name} is none.")
    if kind in _COPIED:
        size = sum(place.path.stat().st_size for place in places)
        require_room(spool_folder(connection), size, f"Loading {origin(places)}")
    if kind == "csv":
        return load_csv(connection, places, given.csv, given.types, table=table, progress=progress)
    if kind == "excel":
        return load_excel(
            connection, places, given.sheet, given.csv, given.types, table=table, progress=progress
        )
    load = load_parquet if kind == "parquet" else load_json_lines
    return load(connection, places, given.types, table=table, progress=progress)
