"""Loads bytes as a file would be, and looks at the table with a connection of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from mds_tableau.inputs import Loaded
from mds_tableau.inputs.files import CsvOptions, FileInput, load_files

Table = tuple[dict[str, str], list[tuple[Any, ...]], Loaded]


def load(
    folder: Path,
    *places: str,
    csv: CsvOptions | None = None,
    format: str = "",  # noqa: A002 - the field's name
    types: Mapping[str, str] | None = None,
    sheet: str = "",
) -> Table:
    """Return type by column, the rows, and what the load says, of files in a folder."""
    given = FileInput(
        tuple(place if place == "-" else str(folder / place) for place in places),
        format=format,
        csv=csv or CsvOptions(),
        types=types or {},
        sheet=sheet,
    )
    work = folder / ".work"
    work.mkdir(exist_ok=True)
    database = work / "work.duckdb"
    database.unlink(missing_ok=True)
    with duckdb.connect(database) as connection:
        loaded = load_files(connection, given, table="it's")
        columns = connection.execute(f"DESCRIBE {loaded.relation}").fetchall()
        rows = connection.execute(f"FROM {loaded.relation}").fetchall()
    return {column[0]: column[1] for column in columns}, rows, loaded


def load_csv(folder: Path, content: bytes, **options: Any) -> Table:
    """Return the table that a CSV file of these bytes becomes; options as of `CsvOptions`."""
    (folder / "x.csv").write_bytes(content)
    types = options.pop("types", None)
    return load(folder, "x.csv", csv=CsvOptions(**options), types=types)
