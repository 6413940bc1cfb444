"""Lets go of logs and debris of past runs when a run has ended.

What goes is decided in `mds_tableau.retention`; what Dagster keeps of its own runs is a setting of
its instance.
"""

from pathlib import Path
from typing import Any

from mds_tableau.defs.ending import Ending
from mds_tableau.defs.hearing import heard
from mds_tableau.defs.stages import Folders
from mds_tableau.retention import tidy


def tidying(folders: Folders, target: Path | None) -> Ending:
    """Return what tidies up when the steps of a run have ended.

    Args:
        folders: Where the stages leave what they make.
        target: The target folder of the dbt project, if the project is ours to tidy.
    """

    def end(context: Any) -> None:
        storage = Path(context.instance.storage_directory())
        with heard(context.log):
            tidy(folders.data, folders.limits, target=target, storage=storage)

    return end
