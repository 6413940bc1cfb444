"""Looks into the part files of a version, whoever wrote them.

Footers are read, and the bytes where the manifest has a digest of them, so that a file that Hyper
refuses or misreads is named with a remedy before Hyper sees it. What a type becomes is decided in
`parquet_types`, which names are allowed in `column_names`; values are looked at in `values`, and
DuckDB is told which files to read by `parquet_sql`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb

from mds_tableau.column_names import name_problems
from mds_tableau.columns import HyperType, counted
from mds_tableau.errors import ExtractError, first_line
from mds_tableau.files import sha256
from mds_tableau.parquet import FOOTER_LIMIT, MANIFEST, ParquetVersion, footer_bytes
from mds_tableau.parquet_sql import direct_path, parts_relation, quote_paths
from mds_tableau.parquet_types import CODECS, Field, fits
from mds_tableau.scratch import scratch

_MOST_TOLD: Final = 20
"""Problems that one message lists."""

_MOST_NAMES: Final = 5
_FILES: Final = (
    "SELECT file_name, num_rows, encryption_algorithm IS NOT NULL FROM parquet_file_metadata({})"
)
_SCHEMAS: Final = (
    "SELECT file_name, num_children, name, type, type_length, repetition_type, converted_type, "
    "scale, precision, logical_type FROM parquet_schema({}) ORDER BY file_name, column_id"
)
_CODECS: Final = (
    "SELECT file_name, compression, min(path_in_schema), count(DISTINCT path_in_schema) "  # noqa: S608
    f"FROM parquet_metadata({{}}) WHERE compression NOT IN {CODECS} GROUP BY ALL ORDER BY ALL"
)


def check_parts(version: ParquetVersion) -> None:
    """Check that the parts are those of the manifest, and that Hyper reads them without a change.

    Raises:
        ExtractError: They are not; lists all problems, each naming its part, and what to do.
    """
    problems = _Problems(version)
    _check_manifest(version, problems)
    _check_extra(version, problems)
    _check_footers(version, _whole(version, problems), problems)
    problems.tell()


def describe_parts(version: ParquetVersion) -> list[tuple[str, str]]:
    """Return name and DuckDB type of each column as DuckDB reads the parts, in order.

    Raises:
        duckdb.Error: DuckDB cannot read them; `check_parts` tells why.
        ExtractError: As in `parts_relation`.
    """
    with scratch() as connection:
        described = f"DESCRIBE SELECT * FROM {parts_relation(version.paths)}"  # noqa: S608
        return [(row[0], row[1]) for row in connection.execute(described).fetchall()]


class _Problems:
    """What is wrong with a version, told together; what several parts share is told once."""

    def __init__(self, version: ParquetVersion) -> None:
        self._version = version
        self._found: dict[str, list[Path]] = {}
        self.again = version.again

    def add(self, problem: str, path: Path | None = None) -> None:
        """Note a problem: the end of a sentence about a part, or a sentence about all of them."""
        parts = self._found.setdefault(problem, [])
        if path is not None and path not in parts:
            parts.append(path)

    def tell(self) -> None:
        """Raise what was noted, if anything was."""
        told = [self._sentence(problem, parts) for problem, parts in self._found.items()]
        if not told:
            return
        if len(told) == 1:
            raise ExtractError(told[0])
        lines = [f"\n- {sentence}" for sentence in told[:_MOST_TOLD]]
        if len(told) > _MOST_TOLD:
            lines.append(f"\n- and {len(told) - _MOST_TOLD:,} more")
        raise ExtractError(
            f"Cannot convert mart '{self._version.mart}' from {self._version.folder}, for "
            f"{len(told):,} reasons:{''.join(lines)}"
        )

    def _sentence(self, problem: str, parts: Sequence[Path]) -> str:
        if not parts:
            return problem
        others = f", like {len(parts) - 1:,} more," if len(parts) > 1 else ""
        return f"Part {parts[0]} of mart '{self._version.mart}'{others} {problem}"


def _check_manifest(version: ParquetVersion, problems: _Problems) -> None:
    manifest = f"The manifest {version.folder / MANIFEST} of mart '{version.mart}'"
    for problem in name_problems([column.name for column in version.columns]):
        problems.add(f"{manifest} is refused: {problem}")
    if not version.parts:
        problems.add(
            f"{manifest} lists no parts. Write one; a mart without rows is a part without rows."
        )
    rows = sum(part.rows for part in version.parts)
    if rows != version.rows:
        problems.add(
            f"{manifest} says {counted(version.rows, 'row')}, and {rows:,} for its parts together. "
            f"{problems.again}"
        )


def _check_extra(version: ParquetVersion, problems: _Problems) -> None:
    folder = version.folder.absolute()
    listed = set(version.paths)
    for path in sorted(folder.rglob("*.parquet")):
        # as in Spark, what begins so is no data: _temporary, .part-0.parquet.crc
        hidden = any(name.startswith(("_", ".")) for name in path.relative_to(folder).parts)
        if path not in listed and not hidden and path.is_file():
            problems.add(
                "is not listed in the manifest. List it there with its rows and bytes, or remove "
                "it from the folder.",
                path,
            )


def _whole(version: ParquetVersion, problems: _Problems) -> list[Path]:
    """Return the parts that are there as the manifest has them."""
    whole: list[Path] = []
    for part, path in zip(version.parts, version.paths, strict=True):
        if path in whole:
            problems.add("is listed twice, and would be loaded twice. List it once.", path)
        elif Path(part.file).is_absolute() or ".." in Path(part.file).parts:
            problems.add("is not in the folder of its manifest. Write it there.", path)
        elif problem := _damage(path, part.bytes, part.sha256):
            problems.add(f"{problem}. {problems.again}", path)
        else:
            whole.append(path)
    return whole


def _damage(path: Path, size: int, digest: str) -> str | None:
    try:
        seen = path.stat().st_size
        if seen != size:
            return f"has {counted(seen, 'byte')}; its manifest says {counted(size, 'byte')}"
        # neither Hyper nor DuckDB checks a checksum of Parquet's pages
        if digest and sha256(path) != digest:
            return "has changed since it was verified"
    except FileNotFoundError:
        return f"is missing; its manifest says {counted(size, 'byte')}"
    except OSError as error:
        return f"cannot be read: {error}"
    return None


def _check_footers(version: ParquetVersion, paths: Iterable[Path], problems: _Problems) -> None:
    readable = [path for path in paths if _has_footer(path, problems)]
    rows_of = dict(zip(version.paths, (part.rows for part in version.parts), strict=True))
    for path, rows, encrypted in _ask(_FILES, readable, problems):
        if encrypted:
            problems.add(_ENCRYPTED, path)
            readable.remove(path)
        elif rows != rows_of[path]:
            problems.add(
                f"has {counted(rows, 'row')}; its manifest says {counted(rows_of[path], 'row')}. "
                f"{problems.again}",
                path,
            )
    declared = {column.name: column.hyper_type for column in version.columns}
    for path, fields in _fields(readable, problems).items():
        _check_columns(path, [field.name for field in fields], declared, problems)
        if not _check_types(path, fields, declared, problems):
            # of such a column DuckDB may not be able to tell the rest
            readable.remove(path)
    for path, codec, name, count in _ask(_CODECS, readable, problems):
        others = f" and {count - 1:,} more" if count > 1 else ""
        problems.add(
            f"has column '{name}'{others} in compression {codec}, and Hyper reads "
            f"{', '.join(CODECS)}. Write it in one of them, for example in Spark with "
            "spark.sql.parquet.compression.codec=zstd.",
            path,
        )


_PLAIN: Final = ". Write it again, as plain Parquet without encryption."
_ENCRYPTED: Final = "is encrypted, and Hyper reads no such Parquet. Write it without encryption."


def _has_footer(path: Path, problems: _Problems) -> bool:
    try:
        size = footer_bytes(path)
    except ValueError:
        with path.open("rb") as file:
            file.seek(-min(4, path.stat().st_size), 2)
            encrypted = file.read() == b"PARE"
        problems.add(_ENCRYPTED if encrypted else f"is not a Parquet file. {problems.again}", path)
        return False
    except OSError as error:
        problems.add(f"cannot be read: {error}. {problems.again}", path)
        return False
    if size > FOOTER_LIMIT:
        problems.add(
            f"has a footer of {size:,} bytes, and Hyper reads at most {FOOTER_LIMIT:,}. Write "
            "larger row groups, more files, fewer columns or shorter names.",
            path,
        )
    return True


def _ask(sql: str, paths: list[Path], problems: _Problems) -> list[tuple[Any, ...]]:
    """Ask about all files at once; one that DuckDB cannot read leaves the list as a problem."""
    if not paths:
        return []
    try:
        with scratch() as connection:
            rows = connection.execute(sql.format(quote_paths(paths))).fetchall()
    except (duckdb.Error, ExtractError) as error:
        if len(paths) > 1:
            rows = []
            for path in tuple(paths):
                alone = [path]
                rows += _ask(sql, alone, problems)
                if not alone:
                    paths.remove(path)
            return rows
        remedy = "" if isinstance(error, ExtractError) else _PLAIN
        problems.add(f"cannot be read: {first_line(error)}{remedy}", paths.pop())
        return []
    named = {direct_path(path): path for path in paths}
    return [(named[Path(row[0])], *row[1:]) for row in rows]


def _fields(paths: list[Path], problems: _Problems) -> dict[Path, list[Field]]:
    """Return the columns of each file, without what is inside of nested ones."""
    fields: dict[Path, list[Field]] = {}
    inside: dict[Path, int] = {}
    for path, children, *field in _ask(_SCHEMAS, paths, problems):
        if path not in fields:
            # the first is the schema itself
            fields[path], inside[path] = [], 0
        elif inside[path]:
            inside[path] += (children or 0) - 1
        else:
            fields[path].append(Field(*field))
            inside[path] = children or 0
    return fields


def _check_columns(
    path: Path, names: Sequence[str], declared: Mapping[str, HyperType], problems: _Problems
) -> None:
    there = set(names)
    missing = [name for name in declared if name not in there]
    extra = [name for name in names if name not in declared]
    columns = "Write all parts with the columns of the manifest, by the same names."
    if missing:
        instead = f", and has {_quoted(extra)} instead" if extra else ""
        problems.add(f"has no column {_quoted(missing)} of the manifest{instead}. {columns}", path)
    elif extra:
        problems.add(f"has column {_quoted(extra)}, not in the manifest. {columns}", path)
    for name, count in Counter(names).items():
        if count > 1:
            problems.add(f"has {count} columns called '{name}'. Rename all but one of them.", path)


def _check_types(
    path: Path,
    fields: Sequence[Field],
    declared: Mapping[str, HyperType],
    problems: _Problems,
) -> bool:
    """Return whether Hyper reads all types, be they those of the manifest or not."""
    all_read = True
    for field in fields:
        becomes = field.becomes
        seen = f"has column '{field.name}' of type {field}, which"
        if isinstance(becomes, str):
            problems.add(f"{seen} {becomes}.", path)
            all_read = False
        elif field.name in declared and not fits(becomes, declared[field.name]):
            problems.add(
                f"{seen} becomes {becomes}; the manifest declares {declared[field.name]}, and "
                "Hyper does not convert one into the other. Cast it to the declared type.",
                path,
            )
    return all_read


def _quoted(names: Sequence[str]) -> str:
    told = ", ".join(f"'{name}'" for name in names[:_MOST_NAMES])
    return told if len(names) <= _MOST_NAMES else f"{told} and {len(names) - _MOST_NAMES:,} more"
