"""What the tests of Parquet and of extracts share: a look at files, and at Hyper's processes.

Foreign versions are written here too, as an engine that is not ours would write them.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from tableauhyperapi import Connection

from mds_tableau.hyper import Hyper
from mds_tableau.hyper_sql import TABLE
from mds_tableau.parquet import MANIFEST, ParquetVersion, read_version

PATIENCE = 120.0
"""Seconds after which something that a test watches for will not come any more."""


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes, but for the locks beside what is written."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def children() -> set[int]:
    """The processes that this one started."""
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        pytest.skip("processes are found in /proc, which is not here")
    lists = (task / "children" for task in tasks.iterdir())
    return {int(pid) for file in lists for pid in file.read_text().split()}


class Mistaken(Hyper):
    """A Hyper that holds something else than it loaded, as no Hyper at hand can be made to do.

    There is no other door: the file is closed to others until Hyper has written back what it holds.
    """

    def __init__(self, *mistakes: str) -> None:
        super().__init__()
        self._mistakes = mistakes

    def connect(self, database: Path | None = None) -> Connection:
        """Open a connection on which every COPY into the extract is followed by the mistakes."""
        connection = super().connect(database)
        run = connection.execute_command

        def execute_command(sql: str) -> int | None:
            rows: int | None = run(sql)
            if sql.startswith((f"COPY {TABLE}", f"INSERT INTO {TABLE}")):
                for mistake in self._mistakes:
                    run(mistake)
            return rows

        connection.execute_command = execute_command
        return connection


@contextmanager
def started_hyper() -> Iterator[tuple[Hyper, int]]:
    """A Hyper of the test's own, with its process id."""
    before = children()
    with Hyper() as running:
        [pid] = children() - before
        yield running, pid


@contextmanager
def once_written(
    folder: Path, pattern: str, action: Callable[[], object], *, size: int = 1_000_000
) -> Iterator[None]:
    """Do something, once, as soon as a file of that name has grown beyond that many bytes."""
    done = threading.Event()

    def watch() -> None:
        deadline = time.monotonic() + PATIENCE
        while not done.is_set() and time.monotonic() < deadline:
            if any(_size(path) > size for path in folder.glob(pattern)):
                action()
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def foreign_version(folder: Path, *selects: str, columns: dict[str, str]) -> ParquetVersion:
    """A version that another engine wrote: a part for each SELECT, and the manifest."""
    folder.mkdir(parents=True)
    parts = []
    with duckdb.connect() as connection:
        for number, select in enumerate(selects):
            path = folder / f"from spark-{number}.snappy.parquet"
            target = str(path).replace("'", "''")
            copy = f"COPY ({select}) TO '{target}' (FORMAT parquet, COMPRESSION uncompressed)"
            [[rows]] = connection.execute(copy).fetchall()
            parts.append({"file": path.name, "rows": rows, "bytes": path.stat().st_size})
    content = {
        "mart": "mart",
        "engine": "spark 4.1",
        "created_at": "2026-11-22T00:00:00+00:00",
        "rows": sum(part["rows"] for part in parts),
        "fingerprint": "abc",
        "parts": parts,
        "columns": [{"name": name, "hyper_type": text} for name, text in columns.items()],
    }
    (folder / MANIFEST).write_text(json.dumps(content))
    return read_version(folder)
