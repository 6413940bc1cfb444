"""Does things when the steps of a run have ended, while the run itself has not.

Dagster has hooks for steps, and sensors for runs that are over; neither can add to what a run says.
What is done belongs to `report` and `tidying`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import dagster as dg
from dagster import DagsterEvent
from dagster._core.errors import raise_execution_interrupts

Ending = Callable[[Any], None]
"""Takes the context of the run's plan: its instance, run and log."""


def with_endings(
    executor: dg.ExecutorDefinition, *endings: Ending, if_not_stopped: Sequence[Ending] = ()
) -> dg.ExecutorDefinition:
    """Return an executor that does what `executor` does, and then each of these, in order.

    Args:
        executor: What does the steps.
        *endings: What is done also when the run was stopped; a second signal ends it at once.
        if_not_stopped: What is done after these, unless the run was stopped.
    """

    def create(context: dg.InitExecutorContext) -> dg.Executor:
        return _WithEndings(executor.executor_creation_fn(context), endings, if_not_stopped)  # type: ignore[misc]

    return dg.ExecutorDefinition(
        name=executor.name,
        config_schema=executor.config_schema,  # type: ignore[arg-type]
        executor_creation_fn=create,
    )


class _WithEndings(dg.Executor):
    def __init__(
        self, executor: dg.Executor, endings: Sequence[Ending], if_not_stopped: Sequence[Ending]
    ) -> None:
        self._executor = executor
        self._endings = endings
        self._if_not_stopped = if_not_stopped

    @property
    def retries(self) -> Any:
        return self._executor.retries

    @property
    def step_dependency_config(self) -> Any:
        return self._executor.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[DagsterEvent]:
        try:
            yield from self._executor.execute(plan_context, execution_plan)
        except dg.DagsterExecutionInterruptedError as stop:
            try:
                # until here signals are only noted; one more ends this too
                with raise_execution_interrupts():
                    for end in self._endings:
                        end(plan_context)
            finally:
                # whatever became of them, the run was stopped
                raise stop
        for end in (*self._endings, *self._if_not_stopped):
            end(plan_context)
