"""Measures what exact verification costs: export and convert of a large real mart.

The mart is `fct_promotions` of the demo: 20,940,529 rows of a real retailer, with the casts of its
model. Export and both ways to convert follow each other in each repetition, so that a busy machine
slows all of them; the last line is the ratio of the medians. No figure decides the exit code.
"""

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

import duckdb

from mds_tableau.columns import quote_path
from mds_tableau.conversion import convert
from mds_tableau.demo import place_data
from mds_tableau.export import export_mart
from mds_tableau.export_plan import MartExport
from mds_tableau.hyper import Hyper

REPETITIONS: Final = 5
MOST: Final = 1.35
_MART: Final = """
    CREATE TABLE fct_promotions AS
    SELECT
        CAST(product_id AS BIGINT) AS product_id,
        CAST(store_id AS BIGINT) AS store_id,
        CAST(week AS SMALLINT) AS week_number,
        CAST(display_location AS VARCHAR) AS display_location,
        CAST(mailer_location AS VARCHAR) AS mailer_location,
        display_location <> '0' AS is_displayed,
        mailer_location <> '0' AS is_mailed
    FROM read_parquet({file})
"""


@contextmanager
def _timed(seconds: list[float]) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds.append(time.perf_counter() - started)


def measure(folder: Path) -> dict[str, list[float]]:
    """Return the seconds of each repetition of `export`, `rows` and `exact`; the first is warm."""
    raw = folder / "raw"
    place_data(raw)
    taken: dict[str, list[float]] = defaultdict(list)
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection, Hyper() as hyper:
        connection.execute(_MART.format(file=quote_path(raw / "promotions.parquet")))
        mart = MartExport("fct_promotions", "fct_promotions", "fct_promotions.sql")

        for number in range(REPETITIONS + 1):
            with _timed(taken["export"]):
                version = export_mart(connection, mart, folder / "parquet")
            with _timed(taken["rows"]):
                rows = convert(
                    hyper, version, extract="rows", folder=folder / "hyper", verify="rows"
                )
            with _timed(taken["exact"]):
                exact = convert(
                    hyper, version, extract="exact", folder=folder / "hyper", verify="exact"
                )
            if exact.row_hash != version.row_hash or rows.row_hash is not None:
                raise SystemExit("What was measured is not what was meant.")
            if number == 0:
                print(f"  {version.rows:,} rows, {exact.bytes:,} bytes of extract", flush=True)
                taken.clear()
            else:
                last = "  ".join(f"{name} {times[-1]:.2f}" for name, times in taken.items())
                print(f"  {number}: {last}", flush=True)
    return taken


def main() -> int:
    """Measure and print; return the exit code."""
    print(f"{REPETITIONS} repetitions after a warm one, seconds of each stage.", flush=True)
    with tempfile.TemporaryDirectory(prefix="verification-", ignore_cleanup_errors=True) as name:
        taken = measure(Path(name).resolve())
    export, rows, exact = (median(taken[key]) for key in ("export", "rows", "exact"))
    print(f"\nmedians: export {export:.2f} s, convert {rows:.2f} s, convert exactly {exact:.2f} s")
    print(f"verified/counted {(export + exact) / (export + rows):.2f} (aim: at most {MOST:.2f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
