"""Makes one file of what cannot be built again: the instance's history, and what was published.

What it holds and how it is taken while everything runs belong here; putting it back to `restore`.
Secrets are in none of these files, and `.env` is never looked at.
"""

import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Final

from filelock import FileLock

from mds_tableau import __version__
from mds_tableau.errors import BackupError
from mds_tableau.files import sha256

FORMAT: Final = 1
CONTENTS: Final = "contents.json"
HOME: Final = "dagster"
DATA: Final = "data"
WAREHOUSE: Final = "warehouse.duckdb"

_BUILT_AGAIN: Final = frozenset({"parquet", "hyper", "full", "raw", "sandbox", "dagster"})
"""Folders of the data folder that are inputs, or that the next run makes."""

ASIDE: Final = "before-restore"
"""What the folder begins with that a restore moves aside what was there."""

_NOT_KEPT: Final = frozenset({".log", ".tmp", ".duckdb", ".wal", ".hyper_tmp"})


@dataclass(frozen=True)
class Backed:
    """What a backup holds.

    Attributes:
        path: The file.
        files: How many files are in it.
        bytes: Its size in bytes.
    """

    path: Path
    files: int
    bytes: int


def make_backup(target: Path, *, home: Path, data: Path, with_warehouse: bool = False) -> Backed:
    """Write a backup, which may be done while runs go on.

    Each SQLite file is copied as it was at one moment. A run that is under way is in it as such; in
    the place that it is restored to, it ends as failed and is started once more.

    Args:
        target: The file, `.tar.gz`. Only its owner may read it. It is there when it is whole.
        home: The folder of Dagster's instance.
        data: The data folder.
        with_warehouse: Whether the DuckDB file comes along, which any run builds again. Builds are
            waited for.

    Raises:
        BackupError: There is nothing to be kept, the file is there already, or it cannot be
            written.
    """
    try:
        return _made(target, home, data, with_warehouse=with_warehouse)
    except OSError as error:
        raise BackupError(
            f"The backup was not made: {error}. {target.parent} has to be a folder on a disk with "
            f"room, which this user may write to, and {home} and {data} have to be readable."
        ) from error


def _made(target: Path, home: Path, data: Path, *, with_warehouse: bool) -> Backed:
    if target.exists():
        raise BackupError(f"{target} is there already. Choose another name, or remove it first.")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    hashes: dict[str, str] = {}
    try:
        with (
            tempfile.TemporaryDirectory(prefix="mds-backup-") as scratch,
            # not for others: what runs log may say much about a company
            os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "wb") as file,
        ):
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive:
                for name, path in _files(home, data):
                    _add(archive, name, path, Path(scratch), hashes)
                if with_warehouse and (data / WAREHOUSE).exists():
                    # a build is waited for, and none begins meanwhile
                    with FileLock(data / f".{WAREHOUSE}.turn"):
                        name = f"{DATA}/{WAREHOUSE}"
                        _add(archive, name, data / WAREHOUSE, Path(scratch), hashes)
                if not hashes:
                    raise BackupError(
                        f"There is nothing to be kept in {home} and {data}. Run this in the "
                        "folder where the pipeline runs."
                    )
                _add_contents(archive, hashes)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
    return Backed(target, len(hashes), target.stat().st_size)


def _files(home: Path, data: Path) -> Iterator[tuple[str, Path]]:
    """Yield name in the archive and path of each file that is kept.

    What says which runs there are comes before what says what they did: a run is rather known as
    under way, and made up for, than known as done with its end missing.
    """
    kept = [path for path in _walk(home) if _is_kept(path) and not path.name.startswith(".up.")]
    first = {"schedules.db": 0, "runs.db": 1}
    for path in sorted(kept, key=lambda path: (first.get(path.name, 2), path)):
        yield f"{HOME}/{path.relative_to(home).as_posix()}", path
    for top in sorted(data.iterdir()) if data.is_dir() else ():
        is_left_out = top.name in _BUILT_AGAIN or top.name.startswith(ASIDE)
        if is_left_out or top.is_symlink() or top.absolute() == home:
            continue
        if top.name.startswith("."):
            continue  # of somebody who is at work, such as a restore
        for path in _walk(top) if top.is_dir() else [top]:
            if _is_kept(path):
                yield f"{DATA}/{path.relative_to(data).as_posix()}", path


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        # what an earlier restore has moved aside is the past of another backup
        is_aside = path.relative_to(folder).parts[0].startswith(ASIDE)
        if path.is_file() and not path.is_symlink() and not is_aside:
            yield path


def _is_kept(path: Path) -> bool:
    # locks and files that are being written begin with a point; so does `.env`
    return not path.name.startswith(".") and path.suffix not in _NOT_KEPT and not _is_wal(path)


def _is_wal(path: Path) -> bool:
    # what is in them comes with the file that they belong to
    return path.name.endswith((".db-wal", ".db-shm", ".db-journal"))


def _add(
    archive: tarfile.TarFile, name: str, path: Path, scratch: Path, hashes: dict[str, str]
) -> None:
    copy = scratch / "copy"
    try:
        if path.suffix in {".db", ".sqlite"}:
            _copy_database(path, copy)
        else:
            shutil.copyfile(path, copy)
    except FileNotFoundError:
        return  # it went away since it was listed: an old version, an old run
    hashes[name] = sha256(copy)
    archive.add(copy, arcname=name, filter=_plain)
    copy.unlink()


def _copy_database(path: Path, target: Path) -> None:
    """Copy a SQLite file as it is at one moment, whoever writes to it."""
    if not path.exists():
        raise FileNotFoundError(path)
    address = f"{path.absolute().as_uri()}?mode=rw"
    with (
        closing(sqlite3.connect(address, uri=True, timeout=60)) as source,
        closing(sqlite3.connect(target)) as sink,
    ):
        source.backup(sink)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who owns a file here; another machine has others."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def _add_contents(archive: tarfile.TarFile, hashes: dict[str, str]) -> None:
    contents = {
        "format": FORMAT,
        "made_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "mds_tableau": __version__,
        "dagster": version("dagster"),
        "files": hashes,
    }
    text = json.dumps(contents, indent=1).encode()
    member = tarfile.TarInfo(CONTENTS)
    member.size = len(text)
    member.mode = 0o600
    archive.addfile(member, io.BytesIO(text))
