"""Keeps what no run needs from being loaded at its start.

Only the code location of our own calls it: in a process that other definitions share, dagster-dbt
has to find dbt as they expect.
"""

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Look for no garbage within the block, and not among what it loads ever after.

    All of that stays until the process ends. Going through it again and again, above all at the
    end, takes most of a second of each run.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def spare_dbt() -> None:
    """Import dagster-dbt as if dbt were installed elsewhere, which it supports.

    dbt runs in a process of its own, so here only its start-up time would be felt: more than a
    second of each run, for what amounts to a few names of statuses. dagster-dbt 0.29.27 asks for
    `dbt.version` to learn whether dbt is there. Does nothing when dagster-dbt is loaded already.
    """
    if "dagster_dbt" in sys.modules or "dbt.version" in sys.modules:
        return
    # None in this place makes an import fail, as if there were no such module
    sys.modules["dbt.version"] = None  # type: ignore[assignment]
    try:
        importlib.import_module("dagster_dbt")
    finally:
        del sys.modules["dbt.version"]
