"""Asks for the run that sources need when they have changed, and only for what they affect.

It is asked of the asset graph, so that it holds for whatever a project is made of. Whether a source
has changed is decided in `mds_tableau.watching`.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter

from mds_tableau.defs.dbt import RUN_RESULTS
from mds_tableau.watching import Memory, run_key

CHANGED: Final = "mds_tableau/changed"
"""Tag of a run: the sources that it was started for."""

_ONGOING: Final = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
_FORGOTTEN_AFTER: Final = timedelta(hours=6)
"""Age of a run that is not waited for any more: its process may have been killed."""


def affected(
    graph: Any, instance: dg.DagsterInstance, sources: Collection[dg.AssetKey]
) -> Sequence[dg.AssetKey]:
    """Return what is built of some sources, and all that has to be built with it, in order.

    What it is built of too was built before; where it never was, it is built in the same run.

    Args:
        graph: The asset graph of the code location.
        instance: Knows what was ever built.
        sources: The sources that have changed.
    """
    behind = set(dg.AssetSelection.assets(*sources).downstream().resolve(graph))
    needed = set(dg.AssetSelection.assets(*behind).upstream().resolve(graph)) - behind
    built = {
        record.asset_entry.asset_key
        for record in instance.get_asset_records(sorted(needed, key=_path))
        if record.asset_entry.last_materialization_record is not None
    }
    # without run_results, one model that fails would have every export skipped
    wanted = behind | {RUN_RESULTS} | (needed - built)
    return sorted((key for key in wanted if graph.get(key).is_materializable), key=_path)


def goes_on(context: dg.SensorEvaluationContext) -> bool:
    """Return whether a run that this sensor started has not ended.

    Sources that change all the time are then refreshed one run after another, and no runs pile up.
    """
    asked = RunsFilter(
        tags={"dagster/sensor_name": context.sensor_name},
        statuses=_ONGOING,
        created_after=datetime.now(timezone.utc) - _FORGOTTEN_AFTER,
    )
    return bool(context.instance.get_run_records(asked, limit=1))


def asking(
    context: dg.SensorEvaluationContext, memory: Memory, started: Mapping[str, dg.AssetKey]
) -> dg.SensorResult:
    """Return the request for one run of all that some sources affect.

    Args:
        context: Of the sensor.
        memory: What is remembered from now on.
        started: Keys of the sources, by unique id.
    """
    if context.repository_def is None:
        raise dg.DagsterInvariantViolationError("The sensor has to know the definitions.")
    graph = context.repository_def.asset_graph
    request = dg.RunRequest(
        run_key=run_key(memory, started),
        asset_selection=affected(graph, context.instance, started.values()),
        tags={CHANGED: listed([key.to_user_string() for key in started.values()])},
    )
    return dg.SensorResult(run_requests=[request], cursor=memory.dump())


def listed(names: Sequence[str]) -> str:
    """Return the first of some names, and how many there are beside them."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _path(key: dg.AssetKey) -> list[str]:
    return list(key.path)
