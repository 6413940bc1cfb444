"""Decides what of the past goes, and lets go of it: versions, logs of runs, debris of killed ones.

What somebody may still want goes only by a limit that is set, or when it is asked for by name.
Each kind is small and found quickly, so that a run can do it at its end; the command that does it
when asked is `prune_command`.
"""

import logging
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from mds_tableau.amounts import Amount, shown
from mds_tableau.columns import counted
from mds_tableau.extract_file import ExtractFile
from mds_tableau.files import remove
from mds_tableau.room import disk_bytes
from mds_tableau.settings import Settings
from mds_tableau.versions import all_kept, beyond, drop, keep_version, shelves, superfluous

Kind = Literal["version", "dbt run", "log", "debris", "gone"]

_DAY: Final = 86400
_DEBRIS_DAYS: Final = 1
"""Days after which nobody works any more on a file that is half-written: it grows meanwhile."""

# what dagster-dbt calls the folder of one call of dbt: operation and run, if it knows them, and
# seven digits
_DBT_RUN: Final = re.compile(r"(?:\w+-[0-9a-f]{7}-)?[0-9a-f]{7}")
_RUN_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How much is kept.

    Attributes:
        keep: Published versions of each extract, where its model says nothing.
        size: What all of them may take.
        days: How long logs of runs are kept.
    """

    keep: int = 7
    size: Amount = field(default_factory=lambda: Amount(percent=10))
    days: int = 14

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """Return what the settings say."""
        return cls(settings.mds_keep, Amount.parse(settings.mds_keep_size), settings.mds_keep_days)


@dataclass(frozen=True)
class Old:
    """Something that can go.

    Attributes:
        kind: A published version beyond the limits, files of a dbt run, the log of a Dagster run,
            debris of a run that was killed, or a file of an extract that is gone from the project.
        path: File or folder.
        bytes: What it takes.
    """

    kind: Kind
    path: Path
    bytes: int


def keep_published(
    data: Path,
    versions: Path,
    made: ExtractFile,
    record: Mapping[str, Any],
    limits: Limits,
    *,
    keep: int | None = None,
) -> list[str]:
    """Keep what was just published, and let go of versions beyond the limits.

    It has been published, so nothing that fails here is an error.

    Args:
        data: The data folder.
        versions: Where its versions are.
        made: What was published.
        record: What was written down of it.
        limits: How much is kept.
        keep: How many versions of this one are kept, where its model says so.

    Returns:
        What went wrong, a sentence each.
    """
    try:
        keep_version(versions, made, record, keep=limits.keep if keep is None else keep)
        drop(beyond(list(all_kept(data)), limits.size.of(disk_bytes(data))))
    except OSError as error:
        return [
            f"'{made.extract}' is published, but this version of it is not kept in {versions}, so "
            f"it cannot be rolled back to: {error}."
        ]
    return []


def old_versions(data: Path, limits: Limits) -> list[Old]:
    """Return the versions beyond the limits."""
    going = [one for shelf in shelves(data) for one in superfluous(shelf, limits.keep)]
    folders = {one.folder for one in going}
    staying = [one for one in all_kept(data) if one.folder not in folders]
    going += beyond(staying, limits.size.of(disk_bytes(data)))
    return [Old("version", one.folder, size_of(one.folder)) for one in going]


def old_dbt_runs(target: Path, limits: Limits) -> list[Old]:
    """Return the folders of past calls of dbt: compiled SQL, results and log of one run each.

    Args:
        target: The target folder of the dbt project.
        limits: How much is kept.
    """
    return [
        Old("dbt run", path, size_of(path))
        for path in _folders(target)
        if _DBT_RUN.fullmatch(path.name) and _is_older(path, limits.days)
    ]


def old_logs(storage: Path, limits: Limits) -> list[Old]:
    """Return what Dagster kept of the output of past runs.

    Args:
        storage: The storage folder of its instance.
        limits: How much is kept.
    """
    return [
        Old("log", path / "compute_logs", size_of(path / "compute_logs"))
        for path in _folders(storage)
        if _RUN_ID.fullmatch(path.name)
        and (path / "compute_logs").is_dir()
        and _is_older(path / "compute_logs", limits.days)
    ]


def debris(data: Path) -> list[Old]:
    """Return what runs that were killed left half-written, once nobody can be working on it."""
    patterns = (
        "one_shot/.publish-*",
        "parquet/*/.*.tmp",
        "hyper/.*.tmp*",
        "published/.*.tmp",
        "versions/*/.*.tmp",
        "one_shot/*/versions/*/.*.tmp",
    )
    found = (path for pattern in patterns for path in sorted(data.glob(pattern)))
    return [
        Old("debris", path, size_of(path))
        for path in found
        if path.suffix != ".lock" and _is_older(path, _DEBRIS_DAYS)
    ]


def gone(data: Path, extracts: Collection[str]) -> list[Old]:
    """Return the files of extracts that the project does not have any more.

    Args:
        data: The data folder.
        extracts: Those that it has.
    """
    known = {name.casefold() for name in extracts}
    found = [
        *_folders(data / "parquet"),
        *_folders(data / "versions"),
        *sorted((data / "hyper").glob("*.hyper")),
        *sorted((data / "hyper").glob("*.json")),
        *sorted((data / "published").glob("*.json")),
    ]
    return [
        Old("gone", path, size_of(path))
        for path in found
        if path.name[0] != "."
        and (path.name if path.is_dir() else path.stem).casefold() not in known
    ]


def let_go(old: Iterable[Old]) -> tuple[list[Old], list[Old]]:
    """Remove things; return those that are gone, and those that could not be removed."""
    done: list[Old] = []
    left: list[Old] = []
    for one in old:
        path = one.path
        if one.kind == "version":
            # whoever looks must not see half of it
            path = path.with_name(f".{path.name}.tmp")
            try:
                one.path.rename(path)
            except OSError:
                path = one.path
        remove(path)
        (left if path.exists() else done).append(one)
        if one.kind == "log":
            _remove_empty(path.parent)
    return done, left


def tidy(data: Path, limits: Limits, *, target: Path | None, storage: Path | None) -> None:
    """Let go of logs and debris of past runs; whatever fails is left for the next time.

    Args:
        data: The data folder.
        limits: How much is kept.
        target: The target folder of the dbt project.
        storage: The storage folder of Dagster's instance.
    """
    try:
        old = [
            *debris(data),
            *(old_dbt_runs(target, limits) if target is not None else ()),
            *(old_logs(storage, limits) if storage is not None else ()),
        ]
        done, _ = let_go(old)
    except OSError as error:
        _log.info("Files of past runs were not tidied away: %s", error)
        return
    if done:
        size = sum(one.bytes for one in done)
        _log.info("Tidied away: %s of past runs, %s.", counted(len(done), "item"), shown(size))


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder, without what is just going."""
    paths = path.rglob("*") if path.is_dir() else [path]
    return sum(_size(one) for one in paths)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size if not path.is_dir() else 0
    except OSError:
        return 0


def _folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in sorted(folder.iterdir()) if path.is_dir())


def _is_older(path: Path, days: int) -> bool:
    """Return whether nothing of a file or folder was changed for so many days."""
    before = time.time() - days * _DAY
    try:
        # its own time first: of what is new, nothing more needs to be looked at
        return path.stat().st_mtime < before and all(
            one.lstat().st_mtime < before for one in path.rglob("*")
        )
    except OSError:
        return False


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return  # something else is in it
