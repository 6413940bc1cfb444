"""Looks whether a disk has room for what is about to be written, before the first byte is.

What a stage needs is estimated from what it left the last time, else from what it reads. Making
room belongs to `retention`.
"""

import shutil
from pathlib import Path
from typing import Final

import duckdb

from mds_tableau.amounts import shown
from mds_tableau.errors import NoRoom
from mds_tableau.extract_file import record_path
from mds_tableau.files import read_json
from mds_tableau.parquet import ParquetVersion
from mds_tableau.verify import Level

_MARGIN: Final = 1.2
"""More than the last time that is reckoned with."""
_PARQUET_OF_TABLE: Final = 1.0
"""Bytes of Parquet for a byte of a table in DuckDB; 0.8 of keys, numbers and texts."""
_HYPER_OF_PARQUET: Final = 2.5
"""Bytes of an extract for a byte of Parquet; 2.5 of keys, numbers and texts."""
_BACK_OF_PARQUET: Final = 1.5
"""Bytes that Hyper writes back, to be compared, for a byte of Parquet."""


def free_bytes(folder: Path) -> int:
    """Return the room on the disk of a folder, which need not be there yet."""
    return shutil.disk_usage(_there(folder)).free


def disk_bytes(folder: Path) -> int:
    """Return the size of the disk of a folder, which need not be there yet."""
    return shutil.disk_usage(_there(folder)).total


def require_room(folder: Path, needed: int, doing: str) -> None:
    """Stop when a disk has less room than is needed.

    Args:
        folder: Where it is going to be written.
        needed: Bytes.
        doing: What is going to be done, such as `Exporting mart 'sales'`.

    Raises:
        NoRoom: There is too little; names the folder, what is free and what is needed.
    """
    free = free_bytes(folder)
    if free < needed:
        raise NoRoom(
            f"{doing} needs about {shown(needed)} in {folder}, and {shown(free)} are free there. "
            "Nothing was written. Make room: `mds-tableau prune --dry-run` tells what can go, "
            "and MDS_KEEP and MDS_KEEP_SIZE how many published versions stay; or set MDS_DATA_DIR "
            "to a larger disk."
        )


def needed_for_export(
    connection: duckdb.DuckDBPyConnection, relation: str, last: ParquetVersion | None
) -> int:
    """Return about how many bytes of Parquet a mart becomes.

    Args:
        connection: Has the mart.
        relation: Its quoted name.
        last: Its last version, if there is one.

    Returns:
        0 for a view that was never exported, of which nothing is known.
    """
    if last is not None:
        return int(last.bytes * _MARGIN)
    return int(_table_bytes(connection, relation) * _PARQUET_OF_TABLE)


def needed_for_extract(
    version: ParquetVersion, folder: Path, extract: str, *, verify: Level
) -> int:
    """Return about how many bytes a conversion takes: the extract, and what is written back of it.

    Args:
        version: What it is made of.
        folder: Where extracts are; of the last one, which stays meanwhile, bytes a row are known.
        extract: Name of the extract.
        verify: How it is compared; by counts alone nothing is written back.
    """
    record = read_json(record_path(folder / f"{extract}.hyper")) or {}
    rows, size = record.get("rows"), record.get("bytes")
    if isinstance(rows, int) and isinstance(size, int) and rows > 0:
        made = size / rows * version.rows * _MARGIN
    else:
        made = version.bytes * _HYPER_OF_PARQUET
    back = version.bytes * _BACK_OF_PARQUET if verify == "exact" else 0
    return int(made + back)


def _table_bytes(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    """Return what a table takes in its file; 0 for a view, or where it is not told."""
    # of its own: what fails would end the transaction of the connection
    with connection.cursor() as looking:
        try:
            row = looking.execute(
                "SELECT count(DISTINCT block_id) FILTER (block_id >= 0) "
                "FROM pragma_storage_info(?)",
                [relation],
            ).fetchone()
            size = looking.execute("SELECT max(block_size) FROM pragma_database_size()").fetchone()
        except duckdb.Error:
            return 0
    return int(row[0] or 0) * int(size[0] or 0) if row and size else 0


def _there(folder: Path) -> Path:
    return next(one for one in (folder, *folder.parents) if one.exists())
