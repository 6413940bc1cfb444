"""Writes files so that a reader sees the whole old one or the whole new one, and nothing between.

Locks, fsync and renames stand here because three stages need the same ones; what is written and
where does not belong here.
"""

import glob
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

_ABANDONED_SECONDS: Final = 3600.0


@contextmanager
def sole_writer(target: Path) -> Iterator[None]:
    """Hold the lock of `target` among all processes of this machine, waiting for it if need be.

    The operating system releases it when the holder dies, so that whatever is found half-written
    under the lock belongs to nobody.

    Raises:
        OSError: The lock's file, beside `target`, cannot be made.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = target.parent / f".{target.name}.lock"
    # where there can be no file, the library would try for ever
    with lock.open("ab"):
        pass
    with FileLock(lock):
        yield


def write_json(path: Path, content: object) -> None:
    """Replace the JSON file at `path`, atomically; what killed writers left of it long ago goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    for half in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        # there is no lock that would tell whose it is, but nobody writes for that long
        with suppress(OSError):
            if half.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                half.unlink()


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON object at `path`, or None when there is none or it is not one."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in constant memory."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def remove(path: Path) -> None:
    """Remove a file or folder if it is there and nobody holds it open."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            return
