"""Finds the files behind dbt sources and says whether their content changed.

dbt-duckdb reads the files in place; here they are only looked at. Sources in databases have no
files and are none of this module's business.
"""

import hashlib
import re
from collections.abc import Iterable
from glob import glob
from pathlib import Path
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


def files(source: Source, *, base: Path) -> tuple[Path, ...]:
    """Return the files that a source reads now, sorted; none when nothing matches.

    Args:
        source: The source.
        base: Folder that relative paths start from: the dbt project's.
    """
    found: set[Path] = set()
    for pattern in patterns(source):
        path = base / pattern
        # a path that exists is that file, even if its name looks like a glob
        matches = [path] if path.is_file() else map(Path, glob(str(path), recursive=True))  # noqa: PTH207
        found.update(match for match in matches if match.is_file())
    return tuple(sorted(found))


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
