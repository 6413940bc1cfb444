"""The same definitions with Dagster's default executor, which starts a process for each step."""

import dagster as dg

from mds_tableau.pipeline import build_definitions
from mds_tableau.settings import load_settings


@dg.definitions
def defs() -> dg.Definitions:
    """Load the pipeline as the environment describes it, with the multiprocess executor."""
    return build_definitions(load_settings(), executor=dg.multiprocess_executor)
