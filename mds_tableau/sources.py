"""Finds the files behind dbt sources and says whether their content changed.

dbt-duckdb reads the files in place; here they are only looked at. Sources in databases have no
files and are none of this module's business.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from stat import S_ISREG
from typing import Final

from mds_tableau.errors import SourceError
from mds_tableau.files import read_json, sha256, sole_writer, write_json
from mds_tableau.manifest import Source

_LITERAL: Final = re.compile(r"'((?:[^']|'')*)'")
# in a list a doubled quote is the end of one text and the start of the next: one way to match only
_CALL: Final = re.compile(r"\s*\w+\s*\(\s*(\[(?:[^\]']|'[^']*')*\]|'(?:[^']|'')*')")


def patterns(source: Source) -> tuple[str, ...]:
    """Return the paths or globs that a source reads.

    They are its location, or the first argument when the location is a call.

    >>> patterns(Source("source.p.raw.a", "raw.a", "read_csv('in/a.csv', header = true)"))
    ('in/a.csv',)
    """
    location = source.location.strip()
    call = _CALL.match(location)
    if call:
        return tuple(text.replace("''", "'") for text in _LITERAL.findall(call[1]))
    if location.startswith("'"):
        return tuple(text.replace("''", "'") for text in _LITERAL.findall(location))
    return (location,)


_MAGIC: Final = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class FileState:
    """What tells a file from what it was before, without reading it.

    Attributes:
        size: In bytes.
        changed: Time of change in nanoseconds.
    """

    size: int
    changed: int


def files(source: Source, *, base: Path) -> tuple[Path, ...]:
    """Return the files that a source reads now, sorted; none when nothing matches.

    Args:
        source: The source.
        base: Folder that relative paths start from: the dbt project's.
    """
    return tuple(sorted({path for pattern in _local(source) for path in _found(base / pattern)}))


def file_states(source: Source, *, base: Path) -> dict[Path, FileState]:
    """Return the files that a source reads now, and the state of each, sorted by path.

    Each folder is listed once and each file looked at once, so that a large folder on a network
    drive is no matter of minutes. A file that goes away meanwhile is not there.

    Args:
        source: The source.
        base: Folder that relative paths start from: the dbt project's.

    Raises:
        OSError: A folder or file cannot be looked at; the folder that a pattern starts from is not
            there.
    """
    found: dict[Path, FileState] = {}
    for pattern in _local(source):
        found.update(_matching(base / pattern))
    return dict(sorted(found.items()))


def _local(source: Source) -> Iterator[str]:
    # what is read from a bucket or a web server is no file that could be looked at
    yield from (pattern for pattern in patterns(source) if "://" not in pattern)


def _found(path: Path) -> list[Path]:
    try:
        return [found for found, _ in _matching(path)]
    except OSError:
        return []


def _matching(path: Path) -> Iterator[tuple[Path, FileState]]:
    # a path that exists is that file, even if its name looks like a glob
    exact = _state_of(path)
    if exact is not None:
        yield path, exact
        return
    parts = path.parts
    magic = next((n for n, part in enumerate(parts) if _MAGIC.search(part)), len(parts) - 1)
    yield from _matches(Path(*parts[:magic]), parts[magic:], is_start=True)


def _matches(
    folder: Path, parts: tuple[str, ...], *, is_start: bool = False
) -> Iterator[tuple[Path, FileState]]:
    """Yield what is below a folder by the rules of Python's glob, hidden names left out."""
    first, rest = parts[0], parts[1:]
    if first == "**":
        yield from _matches(folder, rest or ("*",), is_start=is_start)
        named, deeper = "*", parts
    else:
        named, deeper = first, rest
    for entry in _entries(folder, is_start=is_start):
        if not _is_named(entry.name, named):
            continue
        if deeper:
            if entry.is_dir():
                yield from _matches(Path(entry.path), deeper)
        elif (state := _state_of(Path(entry.path))) is not None:
            yield Path(entry.path), state


def _entries(folder: Path, *, is_start: bool) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as listing:
            return list(listing)
    except (FileNotFoundError, NotADirectoryError):
        if is_start:
            raise
        return []  # it went away between listing and looking


def _is_named(name: str, pattern: str) -> bool:
    return (not name.startswith(".") or pattern.startswith(".")) and fnmatch(name, pattern)


def _state_of(path: Path) -> FileState | None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return FileState(status.st_size, status.st_mtime_ns) if S_ISREG(status.st_mode) else None


def require_files(source: Source, *, base: Path) -> tuple[Path, ...]:
    """Return the files that a source reads now.

    Raises:
        SourceError: There are none.
    """
    found = files(source, base=base)
    if not found:
        wanted = ", ".join(str(base / pattern) for pattern in patterns(source))
        raise SourceError(
            f"No raw file for the dbt source '{source.name}': looked for {wanted}. Put the file "
            "there, or set MDS_RAW_DIR to the folder that has it."
        )
    return found


def fingerprint(paths: Iterable[Path], *, cache: Path) -> str:
    """Return a digest of the files' names and contents.

    A file is read again only when its size or time of change differs from what `cache` remembers.

    Args:
        paths: The files.
        cache: JSON file with what was seen of each file; it is brought up to date.
    """
    digest = hashlib.sha256()
    with sole_writer(cache):
        known = read_json(cache) or {}
        seen = dict(known)
        for path in sorted(paths):
            status = path.stat()
            entry = seen.get(str(path))
            state = [status.st_size, status.st_mtime_ns]
            if entry is None or entry["state"] != state:
                entry = seen[str(path)] = {"state": state, "sha256": sha256(path)}
            digest.update(f"{path.name}\0{entry['sha256']}\0".encode())
        if seen != known:
            write_json(cache, seen)
    return digest.hexdigest()
