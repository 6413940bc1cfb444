"""Does things when the steps of a run have ended, while the run itself has not.

Dagster has hooks for steps, and sensors for runs that are over; neither can add to what a run says.
What is done belongs to `report` and `tidying`.
"""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
from dagster import DagsterEvent

Ending = Callable[[Any], None]
"""Takes the context of the run's plan: its instance, run and log."""


def with_endings(executor: dg.ExecutorDefinition, *endings: Ending) -> dg.ExecutorDefinition:
    """Return an executor that does what `executor` does, and then each of these, in order."""

    def create(context: dg.InitExecutorContext) -> dg.Executor:
        return _WithEndings(executor.executor_creation_fn(context), endings)  # type: ignore[misc]

    return dg.ExecutorDefinition(
        name=executor.name,
        config_schema=executor.config_schema,  # type: ignore[arg-type]
        executor_creation_fn=create,
    )


class _WithEndings(dg.Executor):
    def __init__(self, executor: dg.Executor, endings: tuple[Ending, ...]) -> None:
        self._executor = executor
        self._endings = endings

    @property
    def retries(self) -> Any:
        return self._executor.retries

    @property
    def step_dependency_config(self) -> Any:
        return self._executor.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[DagsterEvent]:
        yield from self._executor.execute(plan_context, execution_plan)
        for end in self._endings:
            end(plan_context)
