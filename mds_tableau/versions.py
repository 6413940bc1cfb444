"""Keeps what was published, dated, so that it can be looked at and published once more.

A version is a folder with the `.hyper`, its record, and what was written down of the publish; it
gets its name last, so it is seen whole or not at all. Which one is published again, and how, is
decided in `rollback`; what is published now is remembered in `published`.
"""

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

from mds_tableau.extract_file import ExtractFile, record_path, write_record
from mds_tableau.files import remove, write_json
from mds_tableau.records import read_record

PUBLISHED: Final = "published.json"
_FORMAT: Final = "%Y%m%dT%H%M%SZ"
_NAME: Final = re.compile(r"\d{8}T\d{6}Z")
_ORIGIN: Final = "rolled_back_to"


@dataclass(frozen=True)
class KeptVersion:
    """An extract as it was published once.

    Attributes:
        folder: Holds it; named after the moment.
        record: What was written down of the publish, as in `published`.
    """

    folder: Path
    record: Mapping[str, Any]

    @property
    def moment(self) -> str:
        """When it was kept, in UTC, to the second."""
        return self.folder.name

    @property
    def extract(self) -> str:
        """Name of the extract."""
        return str(self.record["extract"])

    @property
    def path(self) -> Path:
        """The `.hyper`."""
        return self.folder / f"{self.extract}.hyper"

    @property
    def origin(self) -> str:
        """Moment of the version whose content it has: its own, unless it is a rollback."""
        return str(self.record.get(_ORIGIN) or self.moment)

    @property
    def is_rollback(self) -> bool:
        """Whether it was published by a rollback."""
        return bool(self.record.get(_ORIGIN))


@dataclass(frozen=True)
class Shelf:
    """Where the versions of one extract are, and what is remembered of it.

    Attributes:
        extract: Name of the extract.
        versions: Folder with a folder for each extract.
        published: Folder with what was published last.
        lock: What who publishes the extract holds, as `files.sole_writer` has it.
        command: Whether it was published by `mds-tableau publish`, and is no mart.
    """

    extract: str
    versions: Path
    published: Path
    lock: Path
    command: bool = False

    @property
    def kept(self) -> list[KeptVersion]:
        """Its versions, the oldest first."""
        return kept_versions(self.versions, self.extract)

    @property
    def last(self) -> dict[str, Any] | None:
        """What was published last."""
        return read_record(self.published / f"{self.extract}.json")


def shelves(data: Path) -> list[Shelf]:
    """Return the shelves of everything that was ever published from a data folder.

    Args:
        data: The folder.
    """
    found = [
        Shelf(name, data / "versions", data / "published", data / "hyper" / f"{name}.hyper")
        for name in _known(data / "versions", data / "published")
    ]
    for kept in sorted((data / "one_shot").glob("*")):
        if kept.name[0] != ".":
            found += [
                Shelf(name, kept / "versions", kept, kept / f"{name}.json", command=True)
                for name in _known(kept / "versions", kept)
            ]
    return found


def _known(versions: Path, published: Path) -> list[str]:
    names = {path.name for path in versions.glob("*") if path.is_dir()}
    return sorted(names | {p.stem for p in published.glob("*.json") if p.name[0] != "."})


def kept_versions(folder: Path, extract: str) -> list[KeptVersion]:
    """Return the complete versions of an extract, the oldest first.

    Args:
        folder: Where versions are.
        extract: Name of the extract.
    """
    found = []
    for path in sorted((folder / extract).glob(f"*/{PUBLISHED}")):
        record = read_record(path)
        # rows that were appended are no version, so one has a number of rows and what was said
        is_whole = record is not None and None not in (record["rows"], record.get("about"))
        if _NAME.fullmatch(path.parent.name) and record is not None and is_whole:
            found.append(KeptVersion(path.parent, record))
    return found


def keep_version(
    folder: Path, made: ExtractFile, record: Mapping[str, Any], *, keep: int, origin: str = ""
) -> KeptVersion | None:
    """Keep what was published, and let go of the oldest versions of it beyond a number.

    The `.hyper` costs no room where the file system has hard links: it is replaced and never
    written to. Only who publishes the extract may call this, under its lock.

    Args:
        folder: Where versions are.
        made: What was published.
        record: What was written down of it.
        keep: How many versions of it are kept, with this one; with 0 none is.
        origin: Moment of the version whose content it has, for a rollback.

    Returns:
        The version; None when none is kept. Rows that were appended are not the datasource, so
        they make none either.

    Raises:
        OSError: It cannot be written. Nothing is left of it.
    """
    kept = kept_versions(folder, made.extract)
    if keep == 0:
        drop(kept)
        return None
    if record["mode"] == "append":
        return None
    home = folder / made.extract
    home.mkdir(parents=True, exist_ok=True)
    for debris in home.glob(".[0-9]*.tmp"):
        remove(debris)
    moment = _next(kept)
    beside = home / f".{moment}.tmp"
    try:
        beside.mkdir()
        link_or_copy(made.path, beside / f"{made.extract}.hyper")
        write_record(made, record_path(beside / f"{made.extract}.hyper"))
        told = {**record, "keep": keep}
        write_json(beside / PUBLISHED, {**told, _ORIGIN: origin} if origin else told)
        beside.rename(home / moment)
    finally:
        remove(beside)
    kept = kept_versions(folder, made.extract)
    drop(kept[:-keep])
    return kept[-1]


def link_or_copy(path: Path, to: Path) -> None:
    """Have a file under another name as well, without room for it where that can be had."""
    try:
        os.link(path, to)
    except OSError:
        # another disk, or a file system without links
        shutil.copyfile(path, to)


def beyond(kept: Sequence[KeptVersion], most_bytes: int) -> list[KeptVersion]:
    """Return which versions go when all may take so many bytes: the oldest, whatever the extract.

    The newest of each extract stays, whatever it takes.

    Args:
        kept: The versions of all extracts.
        most_bytes: What they may take; a file that several share counts once.
    """
    sharing: dict[tuple[int, int], int] = {}
    files: dict[Path, tuple[tuple[int, int], int]] = {}
    for one in kept:
        status = _status(one.path)
        files[one.folder] = status
        sharing[status[0]] = sharing.get(status[0], 0) + 1
    total = sum(dict(files.values()).values())
    newest: dict[Path, str] = {}
    for one in kept:
        home = one.folder.parent
        newest[home] = max(newest.get(home, ""), one.moment)
    going = []
    for one in sorted(kept, key=lambda one: one.moment):
        if total <= most_bytes:
            break
        if newest[one.folder.parent] == one.moment:
            continue
        going.append(one)
        file, size = files[one.folder]
        sharing[file] -= 1
        total -= size if sharing[file] == 0 else 0
    return going


def total_bytes(kept: Iterable[KeptVersion]) -> int:
    """Return what versions take together; a file that several share counts once."""
    return sum(dict(_status(one.path) for one in kept).values())


def superfluous(shelf: Shelf, keep: int) -> list[KeptVersion]:
    """Return the versions of an extract beyond the number that is kept of it.

    Args:
        shelf: The extract.
        keep: That number, where its last publish says nothing.
    """
    kept = shelf.kept
    most = int(kept[-1].record.get("keep", keep)) if kept else keep
    return kept[:-most] if most else kept


def drop(kept: Iterable[KeptVersion]) -> None:
    """Remove versions, each at once for whoever looks; what cannot be removed now stays."""
    for one in kept:
        going = one.folder.with_name(f".{one.moment}.tmp")
        try:
            one.folder.rename(going)
        except OSError:
            continue  # somebody else was quicker, or has it open
        remove(going)


def matching(kept: Sequence[KeptVersion], moment: str) -> list[KeptVersion]:
    """Return the versions that a user means by a moment, or by the beginning of one.

    Args:
        kept: The versions.
        moment: Such as `20261125T203629Z`, `2026-11-25` or `2026-11-25 20:36`.
    """
    wanted = re.sub(r"[-:]", "", moment.strip()).replace(" ", "T").upper()
    return [one for one in kept if wanted and one.moment.startswith(wanted)]


def _next(kept: Sequence[KeptVersion]) -> str:
    now = datetime.now(timezone.utc)
    if kept:
        # a clock that was set back must not make a new version look old
        newest = datetime.strptime(kept[-1].moment, _FORMAT).replace(tzinfo=timezone.utc)
        now = max(now, newest + timedelta(seconds=1))
    return now.strftime(_FORMAT)


def _status(path: Path) -> tuple[tuple[int, int], int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0), 0
    return (status.st_dev, status.st_ino), status.st_size


def all_kept(data: Path) -> Iterator[KeptVersion]:
    """Yield every version that is kept in a data folder."""
    for shelf in shelves(data):
        yield from shelf.kept
