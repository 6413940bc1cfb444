"""Keeps Dagster's instance from growing for ever: old runs go, with all that was logged of them.

Dagster removes old ticks of schedules and sensors (`dagster.yaml`), and has nothing of the kind for
runs.
What analysts see, local versions of extracts and everything else in the data folder stay.
"""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

import dagster as dg
from dagster._core.storage.dagster_run import FINISHED_STATUSES

from mds_tableau.columns import counted

_SHARED_FILES: Final = ("runs.db", "index.db", "schedules.db")
_WASTE: Final = 0.25
"""Share of a file that is empty from which on it is written anew."""


def remove_old_runs(instance: dg.DagsterInstance, *, before: datetime) -> int:
    """Delete the runs that ended, and were created before a time; return how many.

    A run stays while it is the one that made, or looked at, an asset last: what the UI shows of the
    asset, and what the next run compares with, is in its events.
    """
    kept = _runs_of_latest_events(instance)
    old = instance.get_runs(
        filters=dg.RunsFilter(statuses=FINISHED_STATUSES, created_before=before)
    )
    removed = 0
    for run in old:
        if run.run_id not in kept:
            # first what is found by the run alone
            instance.compute_log_manager.delete_logs(prefix=[run.run_id])
            instance.delete_run(run.run_id)
            removed += 1
    return removed


def _runs_of_latest_events(instance: dg.DagsterInstance) -> set[str]:
    keys = list(instance.get_asset_keys())
    kept = set()
    for record in instance.get_asset_records(keys) if keys else ():
        made = record.asset_entry.last_materialization_record
        if made is not None:
            kept.add(made.run_id)
    for key in keys:
        kept |= {seen.run_id for seen in instance.fetch_observations(key, limit=1).records}
    return kept


def shrink(folder: Path) -> list[str]:
    """Give the space of what was deleted back to the disk, where it is much of a file of SQLite.

    Returns:
        The files that were written anew.
    """
    shrunk = []
    for path in sorted(path for name in _SHARED_FILES for path in folder.rglob(name)):
        with closing(sqlite3.connect(path, timeout=30)) as database:
            [free] = database.execute("PRAGMA freelist_count").fetchone()
            [pages] = database.execute("PRAGMA page_count").fetchone()
            if free > pages * _WASTE:
                database.execute("VACUUM")
                shrunk.append(path.name)
    return shrunk


def old_runs(keep_days: int, timezone_name: str) -> tuple[dg.JobDefinition, dg.ScheduleDefinition]:
    """Return the job that tidies the instance, and the schedule that is on from the beginning.

    Args:
        keep_days: Days that runs are kept.
        timezone_name: Time zone of the schedule, an IANA name.
    """

    @dg.op(description=f"Deletes runs that are older than {keep_days} days, with their logs.")
    def remove_runs(context: dg.OpExecutionContext) -> None:
        instance = context.instance
        before = datetime.now(timezone.utc) - timedelta(days=keep_days)
        removed = remove_old_runs(instance, before=before)
        context.log.info(f"{counted(removed, 'run')} from before {before:%Y-%m-%d} removed.")
        try:
            shrunk = shrink(Path(instance.root_directory))
        except sqlite3.OperationalError as error:
            # somebody writes all the time; the space is used again anyway
            context.log.info(f"Left as it is, as SQLite says: {error}.")
        else:
            if shrunk:
                context.log.info(f"Written anew, without what was empty: {', '.join(shrunk)}.")

    @dg.job(
        description=f"Removes runs older than {keep_days} days (MDS_KEEP_RUNS) and their logs.",
    )
    def tidy_instance() -> None:
        remove_runs()

    schedule = dg.ScheduleDefinition(
        name="tidy_instance",
        job=tidy_instance,
        cron_schedule="15 3 * * 0",
        execution_timezone=timezone_name,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Removes old runs every Sunday; Dagster itself would keep all of them.",
    )
    return tidy_instance, schedule
