"""Knows what a version of a mart in Parquet is, and reads one from its folder.

A folder holds part files and `_manifest.json`, and gets its name last, so that a reader sees a
version whole or not at all; whoever writes this layout, DuckDB or another engine, can feed the
next stage. Writing one with DuckDB belongs to `export`, looking into the parts to `parts`.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

from mds_tableau.columns import HyperType, counted
from mds_tableau.errors import ExportError
from mds_tableau.files import read_json

MANIFEST: Final = "_manifest.json"
FOOTER_LIMIT: Final = 16 * 1024**2
"""Bytes of a Parquet footer that Hyper still reads."""

_VERSION_FORMAT: Final = "%Y%m%dT%H%M%S.%fZ"
_VERSION_NAME: Final = re.compile(r"\d{8}T\d{6}\.\d{6}Z")
_MAGIC: Final = b"PAR1"


@dataclass(frozen=True)
class Part:
    """One Parquet file of a version.

    Attributes:
        file: Its name in the folder.
        rows: Rows in it.
        bytes: Its size.
        sha256: Digest of its bytes, or "" when who wrote it gave none.
    """

    file: str
    rows: int
    bytes: int
    sha256: str = ""


@dataclass(frozen=True)
class Column:
    """One column of a version.

    Attributes:
        name: Its name.
        source_type: Its type in the mart.
        hyper_type: The type that the extract declares for it.
        not_null: Rows where it has a value; None when who wrote it did not count.
        cast: What the export made of it, or "".
        parquet_type: Physical and logical type in the parts, or "".
        note: What is lost of it and what was checked, or "".
    """

    name: str
    source_type: str
    hyper_type: HyperType
    not_null: int | None = None
    cast: str = ""
    parquet_type: str = ""
    note: str = ""


@dataclass(frozen=True)
class ParquetVersion:
    """One complete version of a mart in Parquet.

    Attributes:
        folder: The folder that holds it.
        mart: Name of the mart.
        engine: Who wrote it, such as `duckdb 2.0.0`.
        parts: Its files.
        columns: Its columns, in order.
        rows: Rows in all parts.
        fingerprint: Equal for equal contents, whatever the order of rows; comparable only between
            versions written by one engine.
        seconds: Wall time of the export.
        created_at: When it was complete, UTC, ISO 8601.
        row_hash: Sum of the hashes of all rows as `figures` makes it, or None when who wrote it
            made none; comparable between values of one engine.
        warnings: What was noticed about its values and did not stop the export.
        preview: Its first rows, five at the most, each value as text or None.
        is_reused: Whether it was there already, when the mart was to be exported again.
    """

    folder: Path
    mart: str
    engine: str
    parts: tuple[Part, ...]
    columns: tuple[Column, ...]
    rows: int
    fingerprint: str
    seconds: float
    created_at: str
    row_hash: int | None = None
    warnings: tuple[str, ...] = ()
    preview: tuple[tuple[str | None, ...], ...] = ()
    is_reused: bool = False

    @property
    def name(self) -> str:
        """Its name, which no other version of the mart has."""
        return self.folder.name

    @property
    def is_exported(self) -> bool:
        """Whether our own export wrote it, with whatever version of DuckDB."""
        return self.engine.startswith("duckdb ")

    @property
    def again(self) -> str:
        """What to do when its files are not what they were, as a sentence."""
        if self.is_exported:
            return f"Export the mart again, for example with --select 'parquet/{self.mart}*'."
        return f"Write it again with {self.engine}."

    @property
    def bytes(self) -> int:
        """Bytes of all parts."""
        return sum(part.bytes for part in self.parts)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Absolute paths of the parts."""
        return tuple((self.folder / part.file).absolute() for part in self.parts)


def newest_version(folder: Path) -> ParquetVersion | None:
    """Return the newest complete version of a mart, or None when there is none.

    Raises:
        ExportError: Its manifest cannot be read, or a part of it is missing or truncated.
    """
    found = versions(folder)
    return read_version(found[-1]) if found else None


def read_version(folder: Path) -> ParquetVersion:
    """Read the manifest of one version and check that its parts are there with their size.

    Raises:
        ExportError: As in `newest_version`.
    """
    content = read_json(folder / MANIFEST)
    if content is None:
        raise ExportError(f"{folder / MANIFEST} is missing or is not JSON. Export the mart again.")
    try:
        version = ParquetVersion(
            folder=folder,
            mart=content["mart"],
            engine=content["engine"],
            parts=tuple(Part(**part) for part in content["parts"]),
            columns=tuple(_column(column) for column in content["columns"]),
            rows=content["rows"],
            fingerprint=content["fingerprint"],
            seconds=float(content.get("seconds", 0)),
            created_at=content["created_at"],
            row_hash=int(content["row_hash"]) if content.get("row_hash") else None,
            warnings=tuple(content.get("warnings", ())),
            preview=tuple(tuple(row) for row in content.get("preview", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ExportError(
            f"{folder / MANIFEST} is not a manifest of a mart ({error!r}). Export the mart again."
        ) from error
    for part, path in zip(version.parts, version.paths, strict=True):
        size = path.stat().st_size if path.is_file() else None
        if size != part.bytes:
            seen = "is missing" if size is None else f"has {counted(size, 'byte')}"
            raise ExportError(
                f"Part {path} {seen}; its manifest says {counted(part.bytes, 'byte')}. "
                f"{version.again}"
            )
    return version


def versions(folder: Path) -> list[Path]:
    """Return the complete versions under the folder of a mart, the oldest first."""
    found = folder.glob(f"*/{MANIFEST}")
    return sorted(path.parent for path in found if _VERSION_NAME.fullmatch(path.parent.name))


def next_version(folder: Path) -> str:
    """Return the name of a version that is newer than all under the folder: a moment in UTC."""
    version = datetime.now(timezone.utc)
    found = versions(folder)
    if found:
        # a clock that was set back must not make a new version look old
        newest = datetime.strptime(found[-1].name, _VERSION_FORMAT).replace(tzinfo=timezone.utc)
        version = max(version, newest + timedelta(microseconds=1))
    return version.strftime(_VERSION_FORMAT)


def footer_bytes(path: Path) -> int:
    """Return the size of the footer of a Parquet file.

    Raises:
        ValueError: It is not a Parquet file.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        tail = file.read(8)
    if tail[4:] != _MAGIC:
        raise ValueError(f"{path} is not a Parquet file: it does not end in PAR1")
    return int.from_bytes(tail[:4], "little")


def _column(content: dict[str, Any]) -> Column:
    # an engine may write more of a column than is read here
    known = {name: content[name] for name in Column.__dataclass_fields__ if name in content}
    return Column(
        **{
            "source_type": "",
            **known,
            "hyper_type": HyperType.parse(content["hyper_type"]),
        }
    )
