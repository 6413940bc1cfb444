"""Makes a job and a schedule of each schedule of the configuration.

Which extracts are on which schedule is decided in `mds_tableau.schedules`; what a run does belongs
to the assets.
"""

import time
from collections.abc import Sequence
from typing import Any, Final

import dagster as dg

# not exported at top level; capped with Dagster, whose daemon asks them when a tick is due
from dagster._utils.schedules import is_valid_cron_string, schedule_execution_time_iterator
from dagster._vendored.croniter.croniter import CroniterError

from mds_tableau.extracts import Extract
from mds_tableau.schedules import Assigned

REFRESH_ALL: Final = "refresh_all"


def cron_problem(cron: str, zone: str) -> str | None:
    """Return why Dagster cannot tell when a cron expression is due, or None when it can.

    Args:
        cron: The expression.
        zone: IANA name of its time zone.
    """
    if not is_valid_cron_string(cron):
        return (
            "it must be a cron expression of five fields that happens, such as 30 6 * * * for half "
            "past six every day."
        )
    try:
        next(schedule_execution_time_iterator(time.time(), cron, zone))
    except CroniterError:
        return "that never happens. Name a day that its months have; L is the last day of any."
    return None


def schedules(
    plan: Sequence[Assigned], extracts: Sequence[Extract], status: dg.DefaultScheduleStatus
) -> tuple[list[Any], list[dg.ScheduleDefinition]]:
    """Return the jobs, `refresh_all` first, and the schedules.

    A schedule that has all extracts runs `refresh_all`; any other has a job of its own.

    Args:
        plan: What is refreshed when.
        extracts: All extracts.
        status: Whether the schedules run before anybody has switched them on or off.
    """
    whole = dg.define_asset_job(
        REFRESH_ALL,
        selection=dg.AssetSelection.all(),
        description="Builds every mart and publishes every extract.",
    )
    jobs = [whole]
    found = []
    for one in plan:
        schedule = one.schedule
        name = f"refresh_{schedule.name}"
        job = whole
        if len(one.extracts) < len(extracts):
            job = _job(name, one.extracts)
            jobs.append(job)
        found.append(
            dg.ScheduleDefinition(
                name=name,
                job=job,
                cron_schedule=schedule.cron,
                execution_timezone=schedule.timezone,
                default_status=status,
                description=_about(one),
            )
        )
    return jobs, found


def last_key(extract: Extract) -> dg.AssetKey:
    """Return the key of the last asset of an extract."""
    return dg.AssetKey(["tableau" if extract.publish else "hyper", extract.name])


def _job(name: str, extracts: Sequence[Extract]) -> Any:
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*map(last_key, extracts)).upstream(),
        description=f"Builds and publishes {_listed(extracts)}, with all that they are built of.",
    )


def _about(one: Assigned) -> str:
    return (
        f"Refreshes {_listed(one.extracts)} at {one.schedule.cron} {one.schedule.timezone}, so "
        "that analysts find fresh data."
    )


def _listed(extracts: Sequence[Extract]) -> str:
    names = [extract.name for extract in extracts]
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more
