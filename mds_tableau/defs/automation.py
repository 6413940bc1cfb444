"""Puts together what runs the pipeline without anybody asking: jobs, schedules and sensors.

Each is made in a module of its own. All of them are stopped until they are switched on in the UI,
unless the settings say that they run from the start. What a run does belongs to the assets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from mds_tableau.database_sources import DatabaseSource
from mds_tableau.defs.conditions import rebuilt_sensor
from mds_tableau.defs.database_sensor import database_sensor
from mds_tableau.defs.file_sensor import file_sensor
from mds_tableau.defs.schedules import schedules
from mds_tableau.extracts import Extract
from mds_tableau.manifest import Source
from mds_tableau.schedules import Assigned
from mds_tableau.settings import Settings


@dataclass(frozen=True)
class Automation:
    """What is added to the definitions."""

    jobs: Sequence[Any]
    schedules: Sequence[dg.ScheduleDefinition]
    sensors: Sequence[dg.SensorDefinition]


@dataclass(frozen=True)
class Watched:
    """What the sensors look at.

    Attributes:
        files: Sources that are read from files, by the key of their assets.
        databases: Sources that are read from databases, by the key of their assets.
        base: Folder that relative locations of files start from.
        cache: JSON file with what was seen of each file.
    """

    files: Mapping[dg.AssetKey, Source]
    databases: Mapping[dg.AssetKey, DatabaseSource]
    base: Path
    cache: Path


def automation(
    settings: Settings,
    plan: Sequence[Assigned],
    extracts: Sequence[Extract],
    assets: Sequence[dg.AssetsDefinition],
    *,
    watched: Watched,
) -> Automation:
    """Return jobs, schedules and sensors.

    Args:
        settings: How often sensors look, and whether all of it runs from the start.
        plan: Which schedule refreshes which extracts.
        extracts: All extracts.
        assets: Their assets.
        watched: What the sensors look at.
    """
    jobs, timed = schedules(plan, extracts, schedule_status(settings))
    seconds, status = settings.mds_sensor_seconds, sensor_status(settings)
    sensors: list[dg.SensorDefinition] = [rebuilt_sensor(assets, seconds=seconds, status=status)]
    if watched.files:
        base, cache = watched.base, watched.cache
        files = file_sensor(watched.files, base=base, cache=cache, seconds=seconds, status=status)
        sensors.append(files)
    if watched.databases:
        sensors.append(database_sensor(watched.databases, seconds=seconds, status=status))
    return Automation(jobs, timed, sensors)


def schedule_status(settings: Settings) -> dg.DefaultScheduleStatus:
    """Return whether schedules run before anybody has switched them on or off."""
    return (
        dg.DefaultScheduleStatus.RUNNING
        if settings.mds_automation
        else dg.DefaultScheduleStatus.STOPPED
    )


def sensor_status(settings: Settings) -> dg.DefaultSensorStatus:
    """Return whether sensors run before anybody has switched them on or off."""
    return (
        dg.DefaultSensorStatus.RUNNING
        if settings.mds_automation
        else dg.DefaultSensorStatus.STOPPED
    )
