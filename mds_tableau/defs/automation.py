"""The job, the schedule and the sensor that run the pipeline without anybody asking.

Both are stopped until they are switched on in the UI. What a run does belongs to the assets.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._utils.schedules import is_valid_cron_string

from mds_tableau.errors import SettingsError
from mds_tableau.settings import Settings

FileStates = dict[str, list[int]]
"""Size in bytes and time of change in nanoseconds of each file, by path."""


@dataclass(frozen=True)
class Seen:
    """What a tick of the sensor concludes.

    Attributes:
        settled: Files that are new or changed, and were the same on the tick before.
        moving: Files that are new or changed, and were not.
        gone: Files that were there and are not now.
        done: The files as of the last run that was asked for, and this one.
    """

    settled: tuple[str, ...]
    moving: tuple[str, ...]
    gone: tuple[str, ...]
    done: FileStates


def compare(now: FileStates, before: FileStates, done: FileStates) -> Seen:
    """Compare the files now with those of the tick before and those of the last run.

    >>> compare({"a": [1, 1]}, {}, {}).moving
    ('a',)
    >>> compare({"a": [1, 1]}, {"a": [1, 1]}, {}).settled
    ('a',)
    """
    changed = [path for path in sorted(now) if done.get(path) != now[path]]
    settled = tuple(path for path in changed if before.get(path) == now[path])
    moving = tuple(path for path in changed if before.get(path) != now[path])
    gone = tuple(sorted(done.keys() - now.keys()))
    kept = {path: state for path, state in done.items() if path in now}
    return Seen(settled, moving, gone, {**kept, **{path: now[path] for path in settled}})


def automation(
    settings: Settings, raw_files: Callable[[], Iterable[Path]]
) -> tuple[Any, dg.ScheduleDefinition, dg.SensorDefinition]:
    """Return the job, the schedule and the sensor.

    Args:
        settings: Cron expression and time zone.
        raw_files: Returns the raw files that there are now.
    """
    if not is_valid_cron_string(settings.mds_schedule):
        raise SettingsError(
            f"MDS_SCHEDULE is {settings.mds_schedule!r}; it must be a cron expression of five "
            "fields, such as 30 6 * * * for half past six every day."
        )
    refresh_all = dg.define_asset_job(
        "refresh_all",
        selection=dg.AssetSelection.all(),
        description="Builds every mart and publishes every extract.",
    )
    refresh_daily = dg.ScheduleDefinition(
        name="refresh_daily",
        job=refresh_all,
        cron_schedule=settings.mds_schedule,
        execution_timezone=settings.mds_timezone,
        description="Starts refresh_all every day, so that analysts find fresh data.",
    )

    @dg.sensor(
        name="raw_files_changed",
        job=refresh_all,
        minimum_interval_seconds=settings.mds_sensor_seconds,
        description=(
            "Starts refresh_all when a raw file is new or changed and stayed the same between two "
            "looks, so that a file that is still being written is left alone."
        ),
    )
    def raw_files_changed(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        cursor = json.loads(context.cursor) if context.cursor else {"before": {}, "done": {}}
        now = _states(raw_files())
        seen = compare(now, cursor["before"], cursor["done"])
        following = json.dumps({"before": now, "done": seen.done})
        if seen.settled:
            return dg.SensorResult(
                run_requests=[
                    dg.RunRequest(
                        run_key=_digest({path: now[path] for path in seen.settled}),
                        tags={"mds_tableau/changed": _listed(seen.settled)},
                    )
                ],
                cursor=following,
            )
        return dg.SensorResult(skip_reason=_why_not(seen, len(now)), cursor=following)

    return refresh_all, refresh_daily, raw_files_changed


def _why_not(seen: Seen, files: int) -> dg.SkipReason:
    if seen.moving:
        return dg.SkipReason(
            f"{_listed(seen.moving)} changed; waiting until the next look finds the same."
        )
    if not files:
        return dg.SkipReason("There are no raw files.")
    gone = f" {_listed(seen.gone)} is gone." if seen.gone else ""
    return dg.SkipReason(f"None of {files} raw files is new or changed.{gone}")


def _states(paths: Iterable[Path]) -> FileStates:
    states: FileStates = {}
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue  # it went away between listing and looking
        states[str(path)] = [status.st_size, status.st_mtime_ns]
    return states


def _digest(states: FileStates) -> str:
    return hashlib.sha256(json.dumps(states, sort_keys=True).encode()).hexdigest()


def _listed(paths: Iterable[str]) -> str:
    names = [Path(path).name for path in paths]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
