"""Shares out the memory that a run may take between DuckDB and Hyper, half each.

Left alone, each of them takes up to four fifths of the machine. dbt's own DuckDB is told by the
profile of our project, from what `settings` exports; how amounts are written belongs to `amounts`.
"""

import re
from typing import Final

import duckdb

from mds_tableau.amounts import Amount

_UNITS: Final = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def machine_memory() -> int:
    """Return the bytes of memory of this machine, or of the container that this runs in."""
    # DuckDB looks at the limits of control groups, which the operating system's own figure hides
    with duckdb.connect(config={"memory_limit": "100%"}) as connection:
        row = connection.execute("SELECT current_setting('memory_limit')").fetchone()
    number, unit = re.fullmatch(r"([\d.]+) (\w+)", row[0] if row else "0 bytes").groups()  # type: ignore[union-attr]
    return int(float(number) * _UNITS[unit])


def hyper_limit(memory: str) -> str:
    """Return Hyper's half of such a setting, as its `memory_limit`.

    >>> hyper_limit("8 GB")
    '3814m'
    """
    amount = Amount.parse(memory)
    total = machine_memory() if amount.bytes is None else 0
    return f"{max(1, amount.of(total) // 2 >> 20)}m"
