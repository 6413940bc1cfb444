"""Keeps what no run needs from being loaded at its start.

Only the code location of our own calls it: in a process that other definitions share, dagster-dbt
has to find dbt as they expect.
"""

import atexit
import gc
import importlib
import os
import sys


def spare_the_end() -> None:
    """Leave what is loaded by now out of the search for garbage, above all at the end.

    All of it stays until the process ends, and looking through it once more takes most of a second
    of each run. DuckDB 2.0 counts its own objects when the interpreter is gone, and lists those
    that were never searched for as leaks; nothing else can be said by then, so nobody listens.
    """
    gc.freeze()


def _stop_listening() -> None:
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def spare_dbt() -> None:
    """Import dagster-dbt as if dbt were installed elsewhere, which it supports.

    dbt runs in a process of its own, so here only its start-up time would be felt: more than a
    second of each run, for what amounts to a few names of statuses. dagster-dbt 0.29.27 asks for
    `dbt.version` to learn whether dbt is there. Does nothing when dagster-dbt is loaded already.

    All that is loaded stays until the process ends, so it is seldom looked through for garbage.
    """
    if "dagster_dbt" in sys.modules or "dbt.version" in sys.modules:
        return
    # registered first, this is called last: after it there is only the interpreter's own end
    atexit.register(_stop_listening)
    # None in this place makes an import fail, as if there were no such module
    sys.modules["dbt.version"] = None  # type: ignore[assignment]
    gc.disable()
    try:
        importlib.import_module("dagster_dbt")
    finally:
        del sys.modules["dbt.version"]
        gc.enable()
    gc.set_threshold(100_000, 20, 20)
