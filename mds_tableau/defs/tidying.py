"""Lets go of logs and debris of past runs when a run has ended.

What goes is decided in `mds_tableau.retention`; what Dagster keeps of its own runs is a setting of
its instance.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterEvent

from mds_tableau.defs.hearing import heard
from mds_tableau.defs.stages import Folders
from mds_tableau.retention import tidy


def tidying(
    executor: dg.ExecutorDefinition, folders: Folders, target: Path | None
) -> dg.ExecutorDefinition:
    """Return an executor that does what `executor` does, and then tidies up.

    Args:
        executor: The executor.
        folders: Where the stages leave what they make.
        target: The target folder of the dbt project, if the project is ours to tidy.
    """

    def create(context: dg.InitExecutorContext) -> dg.Executor:
        return _Tidying(executor.executor_creation_fn(context), folders, target)  # type: ignore[misc]

    return dg.ExecutorDefinition(
        name=executor.name,
        config_schema=executor.config_schema,  # type: ignore[arg-type]
        executor_creation_fn=create,
    )


class _Tidying(dg.Executor):
    def __init__(self, executor: dg.Executor, folders: Folders, target: Path | None) -> None:
        self._executor = executor
        self._folders = folders
        self._target = target

    @property
    def retries(self) -> Any:
        return self._executor.retries

    @property
    def step_dependency_config(self) -> Any:
        return self._executor.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[DagsterEvent]:
        yield from self._executor.execute(plan_context, execution_plan)
        storage = Path(plan_context.instance.storage_directory())
        with heard(plan_context.log):
            tidy(self._folders.data, self._folders.limits, target=self._target, storage=storage)
