"""Knows what was verified about a `.hyper`, kept as JSON beside it, and reads it back.

Making and verifying the file belongs to `conversion`; this module asks no Hyper.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from mds_tableau.columns import HyperType
from mds_tableau.errors import ExtractError
from mds_tableau.figures import Figures
from mds_tableau.files import read_json, sha256, write_json
from mds_tableau.parquet import ParquetVersion
from mds_tableau.verify import Comparison


@dataclass(frozen=True)
class ExtractFile:
    """A `.hyper` and what was verified about it when it was made; kept beside it as JSON.

    Attributes:
        extract: Name of the extract.
        path: The `.hyper`.
        rows: Rows in it, counted by Hyper.
        columns: Name and type of each column, in order.
        not_null: Rows where each column has a value, in the order of the columns.
        row_hash: Sum of the hashes of all rows, equal to that of the mart, or, where there are
            geographies, to that of Hyper's reading of it; None when only counts were compared.
        bytes: Its size.
        sha256: Digest of its bytes.
        file_version: Hyper file version.
        raised_by: Columns that raised the version above the base.
        fingerprint: That of the Parquet version it was made from.
        seconds: Wall time of the conversion.
        created_at: When it was complete, UTC, ISO 8601.
        warnings: What was noticed about values that another engine wrote.
        version: Name of the Parquet version it was made from; "" where an earlier release made it.
        is_reused: Whether it was there already, when it was to be made again.
    """

    extract: str
    path: Path
    rows: int
    columns: tuple[tuple[str, HyperType], ...]
    not_null: tuple[int, ...]
    row_hash: int | None
    bytes: int
    sha256: str
    file_version: int
    raised_by: tuple[str, ...]
    fingerprint: str
    seconds: float
    created_at: str
    warnings: tuple[str, ...] = ()
    version: str = ""
    is_reused: bool = False

    @property
    def comparison(self) -> Comparison:
        """The comparison with the mart that the extract passed: both sides are the same."""
        figures = Figures(self.rows, self.not_null, self.row_hash)
        return Comparison(tuple(name for name, _ in self.columns), figures, figures)


def read_extract(folder: Path, extract: str) -> ExtractFile:
    """Return what was verified about `<folder>/<extract>.hyper`, having checked its size.

    Raises:
        ExtractError: There is no such extract, or the file is not the one that was verified.
    """
    path = folder.absolute() / f"{extract}.hyper"
    record = read_json(record_path(path))
    if record is None or not path.is_file():
        raise ExtractError(
            f"There is no extract {path}. Build it first, for example with "
            f"--select '*tableau/{extract}'."
        )
    if record.get("extract") != extract:
        raise ExtractError(
            f"{record_path(path)} is the record of extract '{record.get('extract')}', so the file "
            f"beside it may be that too. Build it again, for example with "
            f"--select 'hyper/{extract}*'."
        )
    size = path.stat().st_size
    if size != record.get("bytes"):
        raise ExtractError(
            f"{path} has {size} bytes, but {record.get('bytes')} were verified when it was "
            f"made. Build it again, for example with --select 'hyper/{extract}*'."
        )
    try:
        columns = tuple((name, HyperType.parse(text)) for name, text in record.pop("columns"))
        raised_by = tuple(record.pop("raised_by"))
        not_null = tuple(record.pop("not_null"))
        row_hash = record.pop("row_hash")
        warnings = tuple(record.pop("warnings"))
        return ExtractFile(
            **record,
            path=path,
            columns=columns,
            raised_by=raised_by,
            not_null=not_null,
            row_hash=None if row_hash is None else int(row_hash),
            warnings=warnings,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ExtractError(
            f"{record_path(path)} is not the record of an extract ({error!r}). Build the extract "
            f"again, for example with --select 'hyper/{extract}*'."
        ) from error


def same_extract(
    folder: Path, extract: str, version: ParquetVersion, *, exact: bool
) -> ExtractFile | None:
    """Return the extract that is there if it was made of a version, else None.

    Args:
        folder: Where extracts are.
        extract: Name of the extract.
        version: What it would be made of.
        exact: Whether it has to have been compared value by value.
    """
    # of another engine nobody knows whether equal fingerprints are equal contents
    if not version.is_exported:
        return None
    started = time.perf_counter()
    try:
        made = read_extract(folder, extract)
    except ExtractError:
        return None
    is_same = (
        # of another version with this fingerprint nobody knows whether it was as whole; by its name
        # and not by its time, as a clock may have been wrong
        made.version == version.name
        and made.fingerprint == version.fingerprint
        and made.columns == tuple((c.name, c.hyper_type) for c in version.columns)
        and (made.row_hash is not None or not exact)
        and sha256(made.path) == made.sha256
    )
    if not is_same:
        return None
    return replace(made, seconds=round(time.perf_counter() - started, 3), is_reused=True)


def record_path(path: Path) -> Path:
    """Return where the record of a `.hyper` is."""
    return path.with_suffix(".json")


def write_record(made: ExtractFile, path: Path) -> None:
    """Write the record of a `.hyper` to `path`."""
    record = {
        name: getattr(made, name)
        for name in ExtractFile.__dataclass_fields__
        if name not in {"path", "is_reused"}
    }
    record["columns"] = [[name, str(hyper_type)] for name, hyper_type in made.columns]
    # more digits than other readers of JSON keep of a number
    record["row_hash"] = None if made.row_hash is None else str(made.row_hash)
    write_json(path, record)
