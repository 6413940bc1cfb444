"""The code location: what `dagster ... -m mds_tableau.definitions` loads.

Importing it reads nothing and starts nothing; only loading `defs` prepares a dbt manifest that is
missing or stale. How the pipeline is put together belongs to `mds_tableau.pipeline`, where projects
of others find it too.
"""

from functools import cache

import dagster as dg

from mds_tableau.defs.startup import spare_dbt, spare_the_end

spare_dbt()

from mds_tableau.pipeline import build_definitions  # noqa: E402  # after dbt was spared


@cache
def _loaded() -> dg.Definitions:
    definitions = build_definitions()
    spare_the_end()
    return definitions


@dg.definitions
def defs() -> dg.Definitions:
    """Load the pipeline as the environment describes it."""
    return _loaded()  # Dagster asks six times in one run
