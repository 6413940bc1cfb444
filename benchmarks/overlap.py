"""Measures what uploading while converting saves: ten extracts to a server on a slow line.

Both ways export, convert and publish the same marts to a sandbox that takes 5 MB/s; they follow
each other in each repetition. No figure decides the exit code.
"""

import os
import secrets
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

import duckdb

from mds_tableau.conversion import convert
from mds_tableau.export import export_mart
from mds_tableau.export_plan import MartExport
from mds_tableau.hyper import Hyper
from mds_tableau.sandbox import Sandbox, SandboxConfig, faults
from mds_tableau.tableau import Password, Session, publish, sign_in, uploading

EXTRACTS: Final = 10
ROWS: Final = 400_000
REPETITIONS: Final = 3
BYTES_PER_SECOND: Final = 5_000_000


def run(session: Session, connection: duckdb.DuckDBPyConnection, folder: Path, begin: bool) -> int:
    """Publish all marts, one after the other or uploading meanwhile; return the bytes sent."""
    sent = 0
    with Hyper() as hyper, uploading(session) as uploads:
        made = []
        for number in range(EXTRACTS):
            name = f"mart_{number}"
            version = export_mart(
                connection, MartExport(name, name, f"{name}.sql"), folder / "parquet" / name
            )
            made.append(convert(hyper, version, extract=name, folder=folder / "hyper"))
            if begin:
                uploads.begin(made[-1].path)
            else:
                sent += _publish(session, made[-1].path)
        if begin:
            for extract in made:
                sent += publish(
                    session,
                    extract.path,
                    datasource=extract.extract,
                    project="Default",
                    uploads=uploads,
                ).bytes
    return sent


def _publish(session: Session, path: Path) -> int:
    return publish(session, path, datasource=path.stem, project="Default").bytes


def main() -> int:
    """Measure and print; return the exit code."""
    # each file goes in chunks, as a large one does
    os.environ["TSC_FILESIZE_LIMIT_MB"] = "0"
    taken: dict[str, list[float]] = {"one after the other": [], "uploading meanwhile": []}
    user = Password("benchmark", secrets.token_urlsafe(16))
    with tempfile.TemporaryDirectory(prefix="overlap-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        config = SandboxConfig(data_dir=folder / "sandbox", users={user.username: user.password})
        with Sandbox(config) as server, duckdb.connect() as connection:
            for number in range(EXTRACTS):
                connection.execute(
                    f"CREATE TABLE mart_{number} AS SELECT i, i % 500 AS k, hash(i) % 100000 AS v, "
                    f"(random() * 1000)::DECIMAL(12,2) AS net FROM range({ROWS}) AS r(i)"
                )
            server.faults.add(faults.Throttle(BYTES_PER_SECOND))
            for _ in range(REPETITIONS):
                for way, seconds in taken.items():
                    started = time.perf_counter()
                    with sign_in(server.url, "", user) as session:
                        sent = run(session, connection, folder, way != "one after the other")
                    seconds.append(time.perf_counter() - started)
                    print(f"  {way}: {seconds[-1]:.1f} s, {sent:,} bytes", flush=True)
    plain, meanwhile = (median(seconds) for seconds in taken.values())
    print(f"\none after the other/uploading meanwhile {plain / meanwhile:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
