"""Finds what the `publish` command remembers of a datasource, however somebody names it today.

To a server `Sales` and `sales` are one datasource, and so is one in a project that is named by its
path or by its LUID. What is remembered belongs to `published` and `versions`.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mds_tableau.published import is_same_place
from mds_tableau.records import read_record

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_ -]+")
_LONGEST: Final = 60
"""Characters of a name that its file begins with."""


@dataclass(frozen=True)
class Memory:
    """Where something is remembered of one datasource.

    Attributes:
        folder: The folder.
        name: What its files begin with.
    """

    folder: Path
    name: str


def memory_of(folder: Path, *, target: str, project: str, datasource: str) -> Memory:
    """Return where a datasource is remembered, or is going to be.

    Args:
        folder: Has a folder for each server and project.
        target: The server and site.
        project: Path or LUID of the project.
        datasource: Name of the datasource.
    """
    wanted = _folded(project)
    found: dict[Memory, str] = {}
    for path in folder.glob("*/*.json"):
        record = read_record(path)
        if (
            record is not None
            and is_same_place(str(record["target"]), target)
            and str(record["datasource"]).casefold() == datasource.casefold()
            # a LUID is no path, so that one cannot be taken for the other
            and wanted in {_folded(record["project"]), _folded(record.get("project_id", ""))}
        ):
            found[Memory(path.parent, path.stem)] = record["published_at"]
    if found:
        return max(found, key=found.__getitem__)
    # who publishes one name to two projects has two datasources, with a memory of each
    return Memory(folder / _digest(target, wanted), _file_name(datasource))


def _folded(project: str) -> str:
    return "/".join(part.strip().casefold() for part in project.split("/"))


def _file_name(name: str) -> str:
    """Return a name for files, in which messages can tell what it is."""
    safe = _UNSAFE.sub("-", name)[:_LONGEST]
    return name if name == safe else f"{safe}-{_digest(name)[:8]}"


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
