"""Puts a backup back: looked through first, unpacked beside, and then moved into place.

Making one belongs to `backup`. What is in the way is moved aside and never deleted.
"""

import json
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any, Final

from mds_tableau.backup import ASIDE, CONTENTS, DATA, FORMAT, HOME
from mds_tableau.dagster_home import sole_service
from mds_tableau.errors import BackupError
from mds_tableau.files import sha256


@dataclass(frozen=True)
class Restored:
    """What was put back.

    Attributes:
        files: How many files.
        made_at: When the backup was made, in ISO 8601.
        dagster: The version of Dagster that had written it.
        aside: Where what was there before is now.
    """

    files: int
    made_at: str
    dagster: str
    aside: tuple[Path, ...]


def restore_backup(source: Path, *, home: Path, data: Path, force: bool = False) -> Restored:
    """Put a backup into the folders of an instance and its data.

    Nothing changes before all of it was unpacked and compared with its list of contents; if a move
    fails, those before it are taken back.

    Args:
        source: What `make_backup` wrote.
        home: The folder of Dagster's instance.
        data: The data folder.
        force: Whether something that is there may be moved aside.

    Raises:
        BackupError: It is no backup, damaged, or something is in the way.
        ServiceError: `mds-tableau up` serves the instance.
    """
    _make(home, "DAGSTER_HOME")
    _make(data, "MDS_DATA_DIR")
    with (
        sole_service(home),
        tempfile.TemporaryDirectory(prefix=".restore-", dir=data) as beside_data,
        tempfile.TemporaryDirectory(prefix=".restore-", dir=home) as beside_home,
    ):
        contents = _unpack(source, Path(beside_data))
        if (unpacked := Path(beside_data) / HOME).is_dir():
            # it may be on another disk
            shutil.move(unpacked, Path(beside_home) / HOME)
        moves = [
            *_moves(Path(beside_home) / HOME, home),
            *_moves(Path(beside_data) / DATA, data),
        ]
        # an instance that `up` has just made holds our dagster.yaml and nothing else
        there = [new for _, new in moves if new.exists() and new.name != "dagster.yaml"]
        if there and not force:
            listed = ", ".join(str(path) for path in there[:3])
            raise BackupError(
                f"{listed} {'is' if len(there) == 1 else 'are'} there already. Restore into a "
                "folder without them (MDS_DATA_DIR, DAGSTER_HOME), or add --force, which moves "
                f"what is there into a folder {ASIDE}-... beside it."
            )
        aside = _move_all(moves)
    return Restored(
        len(contents["files"]), str(contents["made_at"]), str(contents["dagster"]), aside
    )


def _make(folder: Path, setting: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BackupError(
            f"Nothing can be restored into {folder}: {error}. Set {setting} to a folder that this "
            "user may make or write to."
        ) from error


# a second look, which Python has since 3.10.12 and 3.11.4; Debian 12 has an older one
_AS_DATA: Final[dict[str, Any]] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def _unpack(source: Path, folder: Path) -> dict[str, Any]:
    try:
        with tarfile.open(source, "r:gz") as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                if (
                    path.is_absolute()
                    or ".." in path.parts
                    or not (member.isfile() or member.isdir())
                ):
                    raise ValueError(f"{member.name} is no plain file within it")
            archive.extractall(folder, **_AS_DATA)  # noqa: S202  # each was just looked at
        contents = json.loads((folder / CONTENTS).read_bytes())
        if not isinstance(contents, dict):
            raise ValueError(f"{CONTENTS} is no JSON object")
        if contents["format"] != FORMAT:
            raise BackupError(
                f"{source} is of format {contents['format']}, and this version reads {FORMAT}. "
                f"It was made by mds_tableau {contents['mds_tableau']}: restore it with that."
            )
        _refuse_odd(contents)
        _compare(folder, contents["files"])
    except FileNotFoundError as error:
        what = "is not there" if not source.exists() else f"lacks {error.filename}"
        raise BackupError(f"{source} {what}. It must be a file of `mds-tableau backup`.") from error
    except (tarfile.TarError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise BackupError(
            f"{source} is damaged, or no file of `mds-tableau backup`: {error}. Nothing was "
            "changed."
        ) from error
    return dict(contents)


def _refuse_odd(contents: dict[str, Any]) -> None:
    """Return when a list of contents is as `make_backup` writes it.

    Raises:
        ValueError: It is not.
    """
    for name in ("made_at", "dagster"):
        if not isinstance(contents[name], str):
            raise ValueError(f"'{name}' in {CONTENTS} is no text")
    files = contents["files"]
    if not isinstance(files, dict):
        raise ValueError(f"'files' in {CONTENTS} is no list of names with their SHA-256")
    for name in files:
        parts = PurePosixPath(name).parts
        if len(parts) < 2 or parts[0] not in {HOME, DATA} or ".." in parts:
            raise ValueError(f"{name} is neither below {HOME}/ nor below {DATA}/")
        # such as `.env`, which says where everything is and goes
        if parts[1].startswith(".") or parts[-1].startswith("."):
            raise ValueError(f"{name} begins with a point, and no backup has such a file")


def _compare(folder: Path, hashes: dict[str, str]) -> None:
    for name, wanted in hashes.items():
        path = folder / name
        if path.is_symlink() or path.is_dir() or sha256(path) != wanted:
            raise ValueError(f"{name} is not what was backed up")
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*")}
    folders = {parent.as_posix() for name in hashes for parent in PurePosixPath(name).parents}
    if strange := sorted(there - hashes.keys() - folders - {CONTENTS, HOME, DATA}):
        raise ValueError(f"{strange[0]} is not in its list of contents")


def _moves(unpacked: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    for path in sorted(unpacked.iterdir()) if unpacked.is_dir() else ():
        yield path, target / path.name


def _move_all(moves: list[tuple[Path, Path]]) -> tuple[Path, ...]:
    stamp = f"{ASIDE}-{datetime.now(timezone.utc):%Y%m%dT%H%M%S}"
    done: list[tuple[Path, Path]] = []
    aside = []
    try:
        for old, new in moves:
            # a file of SQLite and what belongs to it
            for there in (new, new.with_name(f"{new.name}-wal"), new.with_name(f"{new.name}-shm")):
                if there.exists():
                    kept = there.parent / stamp / there.name
                    kept.parent.mkdir(exist_ok=True)
                    there.rename(kept)
                    done.append((there, kept))
                    aside.append(kept.parent)
            old.rename(new)
            done.append((old, new))
    except OSError:
        for old, new in reversed(done):
            with suppress(OSError):
                new.rename(old)
        raise
    return tuple(dict.fromkeys(aside))
