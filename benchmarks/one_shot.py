"""Compares the publish command with what people do instead: a million rows of CSV to a `.hyper`.

Each way is a process of its own, from its start to its end, and all follow each other in each
repetition, so that a busy machine slows all of them. Ours checks every value and compares the
extract with the file; the others do neither, and one of them is our own way without that. The last
lines are the ratios of the medians. No figure decides the exit code.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Final

import duckdb

from mds_tableau.columns import quote_path

ROWS: Final = 1_000_000
REPETITIONS: Final = 3
OURS: Final = "publish"
FLOOR: Final = "unchecked"
"""The same way with nothing checked: what the command could take at the least."""
LEAST: Final = {"pandas, row by row": 10.0, "pandas and pantab": 1.5, "Arrow and pantab": 1.3}
"""How many times faster the command is meant to be than each other way."""

_SELECT: Final = f"""
    SELECT
        i AS order_id,
        CAST(hash(i) % 50000 AS BIGINT) AS customer_id,
        'product ' || (hash(i * 7) % 9000) AS product,
        ['Bakery', 'Drinks', 'Grocery', 'Household'][1 + i % 4] AS department,
        CAST((hash(i * 3) % 100000) / 100 AS DECIMAL(12, 2)) AS net,
        CAST((hash(i * 5) % 100000) / 7 AS DOUBLE) AS weight,
        DATE '2024-01-01' + CAST(i % 700 AS INTEGER) AS day,
        TIMESTAMP '2024-01-01 06:00:00' + to_seconds(i) AS sold_at,
        i % 3 = 0 AS is_returned,
        CASE WHEN i % 11 > 0 THEN 'note ' || i END AS note
    FROM range({ROWS}) AS r(i)
"""


def _ways(source: Path, target: Path) -> dict[str, list[str]]:
    ours = (
        "import sys; from mds_tableau.cli import main; main(prog_name='mds-tableau')",
        *("publish", "-i", str(source), "-n", "Sales", "-o", str(target), "--no-publish", "-q"),
    )
    others = {
        "pandas, row by row": "as_text",
        "pandas and pantab": "from_pandas",
        "Arrow and pantab": "from_arrow",
        FLOOR: "unchecked",
    }
    return {
        OURS: [sys.executable, "-c", *ours],
        **{
            name: [sys.executable, "-m", "benchmarks.other_ways", way, str(source), str(target)]
            for name, way in others.items()
        },
    }


def _run(command: list[str], folder: Path) -> tuple[float, int]:
    """Run a command; return its seconds and the bytes of the largest of its processes."""
    started = time.perf_counter()
    root = Path(__file__).parents[1]
    environment = {
        **os.environ,
        "MDS_DATA_DIR": str(folder / "data"),
        "PYTHONPATH": str(root),
    }
    # pantab leaves the log of Hyper where it runs
    process = subprocess.Popen(command, env=environment, cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"{command} failed")
    return time.perf_counter() - started, usage.ru_maxrss * 1024


def main() -> int:
    """Print seconds and memory of each way, and how many times faster the command is."""
    seconds: dict[str, list[float]] = defaultdict(list)
    memory: dict[str, int] = defaultdict(int)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target = folder / "sales.csv", folder / "sales.hyper"
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({_SELECT}) TO {quote_path(source)} (FORMAT csv, HEADER)")
        print(f"{ROWS:,} rows, {source.stat().st_size / 1e6:.0f} MB of CSV")
        for _ in range(REPETITIONS):
            for way, command in _ways(source, target).items():
                target.unlink(missing_ok=True)
                took, peak = _run(command, folder)
                seconds[way].append(took)
                memory[way] = max(memory[way], peak)
    for way, taken in seconds.items():
        print(f"{way:20} {median(taken):6.2f} s  {memory[way] / 1e6:6.0f} MB at the most")
    ratios = [
        f"{way} {median(seconds[way]) / median(seconds[OURS]):.2f} (aim {least})"
        for way, least in LEAST.items()
    ]
    print("times faster than " + ", ".join(ratios))
    print(f"of what it takes, {median(seconds[FLOOR]) / median(seconds[OURS]):.0%} is not checking")
    return 0


if __name__ == "__main__":
    sys.exit(main())
