"""Finds the files that were asked for, in a fixed order, and their format.

What is in the files belongs to the readers of each format.
"""

import glob
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import duckdb

from mds_tableau.errors import UsageError
from mds_tableau.inputs import Progress

STANDARD_INPUT: Final = "-"
CHUNK: Final = 1 << 20
"""Bytes that are read at a time."""

_SUFFIXES: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xls": "excel",
    ".xlsb": "excel",
    ".ods": "excel",
}
_COMPRESSED: Final = (".gz",)
_OTHER_COMPRESSION: Final = (".zst", ".bz2", ".xz", ".zip", ".7z")


@dataclass(frozen=True)
class Place:
    """One file to read.

    Attributes:
        path: Where it is.
        name: What messages call it.
    """

    path: Path
    name: str


def find_places(
    given: Sequence[str], kind: str, connection: duckdb.DuckDBPyConnection, progress: Progress
) -> tuple[str, tuple[Place, ...]]:
    """Return the format of the files that were asked for, and the files.

    Of a folder, its own files with a known suffix are taken; hidden ones are left. Standard input
    is copied into a file beside the database.

    Raises:
        InputError: Nothing is found, formats differ, or a format is not known.
    """
    if not given:
        raise UsageError("No input was named; name a file, a folder, a glob or - with --input.")
    if STANDARD_INPUT in given:
        return _standard_input(given, kind, connection, progress)
    found = [path for place in given for path in _expand(place, kind)]
    unique = list(dict.fromkeys(found))
    formats = {path: kind or _format_of(path) for path in unique}
    if len(set(formats.values())) > 1:
        examples = {name: path for path, name in reversed(formats.items())}
        listed = ", ".join(f"{path} ({name})" for name, path in sorted(examples.items()))
        raise UsageError(
            f"The files have several formats: {listed}. Read one format at a time, for example "
            "with a glob such as 'folder/*.csv'."
        )
    return formats[unique[0]], tuple(Place(path, str(path)) for path in unique)


def origin(places: Sequence[Place]) -> str:
    """Return what messages call some files together."""
    first = places[0].name
    return first if len(places) == 1 else f"{first} and {len(places) - 1} more"


def spool_folder(connection: duckdb.DuckDBPyConnection) -> Path:
    """Return the folder of the connection's database, where temporary files may be put."""
    row = connection.execute(
        "SELECT path FROM duckdb_databases() WHERE database_name = current_database()"
    ).fetchone()
    return Path(row[0]).parent if row and row[0] else Path(tempfile.gettempdir())


def _standard_input(
    given: Sequence[str], kind: str, connection: duckdb.DuckDBPyConnection, progress: Progress
) -> tuple[str, tuple[Place, ...]]:
    if len(given) > 1:
        raise UsageError("Standard input (-) cannot be read together with other inputs.")
    if not kind:
        raise UsageError("Standard input has no suffix that tells its format; give --format csv.")
    stream: BinaryIO = sys.stdin.buffer
    with tempfile.NamedTemporaryFile(
        dir=spool_folder(connection), prefix="stdin-", suffix=f".{kind}", delete=False
    ) as spool:
        done = 0
        while chunk := stream.read(CHUNK):
            spool.write(chunk)
            done += len(chunk)
            progress("Reading standard input", done, None)
    return kind, (Place(Path(spool.name), "standard input"),)


def _expand(place: str, kind: str) -> list[Path]:
    path = Path(place)
    if path.is_dir():
        return _of_folder(path, kind)
    if path.is_file():
        return [path]
    if path.exists():
        raise UsageError(
            f"{place} is no file, perhaps a pipe; give its output to --input - instead."
        )
    if glob.has_magic(place):
        found = sorted(Path(name) for name in glob.glob(place, recursive=True))  # noqa: PTH207 - absolute patterns too
        files = [path for path in found if path.is_file()]
        if files:
            return files
        raise UsageError(f"No file matches {place}.")
    raise UsageError(f"{place} is not there. Name a file, a folder or a glob such as 'in/*.csv'.")


def _of_folder(folder: Path, kind: str) -> list[Path]:
    files = sorted(
        path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")
    )
    known = [path for path in files if _suffix(path) in _SUFFIXES]
    chosen = [path for path in known if not kind or _SUFFIXES[_suffix(path)] == kind]
    if not chosen:
        wanted = f"{kind} files" if kind else f"file with one of {', '.join(_SUFFIXES)}"
        deeper = f" For files further down use a glob such as '{folder}/**/*.csv'."
        raise UsageError(f"The folder {folder} has no {wanted}.{deeper}")
    return chosen


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in _COMPRESSED else suffix


def _format_of(path: Path) -> str:
    if path.suffix.lower() in _OTHER_COMPRESSION:
        raise UsageError(f"{path} is compressed in a way that is not read; unpack it, or use gzip.")
    known = _SUFFIXES.get(_suffix(path))
    if known is None:
        raise UsageError(
            f"{path} has no suffix that tells its format ({', '.join(_SUFFIXES)}); give it with "
            "--format csv, parquet, jsonl or excel."
        )
    return known
