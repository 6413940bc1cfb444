"""Waits for the DuckDB file that only one process at a time may write.

DuckDB locks the whole file: a writer keeps everybody else out, and readers keep writers out.
Opening it for the work itself is the caller's business.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import duckdb

from mds_tableau.errors import DatabaseLocked, first_line

PATIENCE_SECONDS: Final = 120.0
"""How long another process is waited for."""

_LOCKED: Final = ("Could not set lock", "Conflicting lock", "being used by another process")


def is_about_lock(message: str) -> bool:
    """Whether a message of DuckDB says that another process holds a file."""
    return any(words in message for words in _LOCKED)


def wait_until_free(
    path: Path,
    *,
    read_only: bool,
    log: Callable[[str], object],
    patience: float = PATIENCE_SECONDS,
) -> None:
    """Return when no other process holds a lock on the database that would be in the way.

    Args:
        path: The DuckDB file; when there is none, nobody can hold it.
        read_only: Whether it is going to be read, which other readers do not hinder.
        log: Told who holds the file and how long it has been waited for.
        patience: Seconds after which to give up.

    Raises:
        DatabaseLocked: It was still held after that time; names the holder.
    """
    started = time.monotonic()
    for pause in _pauses():
        if not path.exists():
            return
        try:
            duckdb.connect(
                str(path), config={"access_mode": "READ_ONLY" if read_only else "READ_WRITE"}
            ).close()
        except duckdb.Error as error:
            if not is_about_lock(str(error)):
                return  # not about the lock: whoever opens it says what is wrong
            waited = time.monotonic() - started
            holder = first_line(error)
            if waited >= patience:
                raise DatabaseLocked(
                    f"{path} was held by another process for {waited:.0f} seconds. {holder} "
                    "Close that program, or let it finish, and run again."
                ) from error
            log(f"Waiting for {path}, for {waited:.0f} of {patience:.0f} seconds: {holder}")
            time.sleep(min(pause, patience - waited))
        else:
            return


def _pauses() -> Iterator[float]:
    pause = 0.2
    while True:
        yield pause
        pause = min(pause * 1.7, 10.0)
