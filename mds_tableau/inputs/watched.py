"""Runs a statement and tells how far it is."""

from threading import Event, Thread
from typing import Final

import duckdb

from mds_tableau.inputs import Progress

_PAUSE: Final = 0.2
"""Seconds between two looks at a statement that runs."""


def watched(
    connection: duckdb.DuckDBPyConnection, sql: str, *, what: str, size: int, progress: Progress
) -> None:
    """Run a statement, and tell `progress` the share of `size` bytes that DuckDB has read."""
    finished = Event()

    def watch() -> None:
        while not finished.wait(_PAUSE):
            percent = connection.query_progress()
            if percent > 0:
                progress(what, int(size * min(percent, 100) / 100), size)

    progress(what, 0, size)
    watcher = Thread(target=watch, name="watched", daemon=True)
    watcher.start()
    try:
        connection.execute(sql).fetchall()
    finally:
        finished.set()
        watcher.join()
    progress(what, size, size)
