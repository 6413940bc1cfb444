"""The sensor that starts a run when a table behind a dbt source has come further.

How far a table has come is asked by `mds_tableau.inputs.databases`, whether that is a change is
decided in `mds_tableau.watching`, and what a run has to build in `affected`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Final

import dagster as dg

from mds_tableau.database_sources import DatabaseSource
from mds_tableau.defs.affected import asking, goes_on, listed
from mds_tableau.errors import DatabaseUnreachable, MdsTableauError
from mds_tableau.inputs.database_url import FromVariable, location, scrubbed
from mds_tableau.inputs.databases import watermark
from mds_tableau.settings import variable
from mds_tableau.watching import Look, Memory, judge, remembering

SENSOR: Final = "databases_changed"

_AT_ONCE: Final = 8
"""Databases that are asked at the same time: a look has to end within the minute that Dagster gives
it, and one that does not answer is waited for."""


def database_sensor(
    sources: Mapping[dg.AssetKey, DatabaseSource],
    *,
    seconds: int,
    status: dg.DefaultSensorStatus,
) -> dg.SensorDefinition:
    """Return the sensor.

    Args:
        sources: The sources that are read from databases, by the key of their assets.
        seconds: Between two looks, at the least.
        status: Whether it runs before anybody has switched it on or off.
    """
    keys = {source.unique_id: key for key, source in sources.items()}
    name = {source.unique_id: source.name for source in sources.values()}
    # a query is as dear as reading it, so it is left to the schedules
    watched = [source for source in sources.values() if source.table]
    queries = [source.name for source in sources.values() if not source.table]

    @dg.sensor(
        name=SENSOR,
        target=dg.AssetSelection.all(),
        minimum_interval_seconds=seconds,
        default_status=status,
        description=(
            "Builds and publishes what is made of a table in a database when the largest value of "
            "its increasing column, or its number of rows, is another than before."
            + (f" Does not look at what a query reads: {listed(queries)}." if queries else "")
        ),
    )
    def databases_changed(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        memory = Memory.load(context.cursor)
        verdict = judge(_looks(watched), memory, settles=False)
        lines = [
            f"Cannot tell whether {listed(names)} changed: {why}"
            for why, names in verdict.blind_by_reason(name).items()
        ]
        if verdict.settled and goes_on(context):
            changed = listed([name[one] for one in verdict.settled])
            lines.append(f"{changed} changed; waiting for the run that was started before.")
            waiting = Memory(verdict.known, memory.runs)
            return dg.SensorResult(skip_reason=" ".join(lines), cursor=waiting.dump())
        started = {one: keys[one] for one in verdict.settled}
        following = remembering(memory, verdict, {}, started)
        if started:
            for line in lines:
                context.log.warning(line)
            return asking(context, following, started)
        if not lines:
            lines.append(f"None of {len(watched)} tables in databases has changed.")
        return dg.SensorResult(skip_reason=" ".join(lines), cursor=following.dump())

    return databases_changed


def _looks(sources: Sequence[DatabaseSource]) -> dict[str, Look]:
    """Look at all sources, those of one database after another, and databases beside each other."""
    ordered = sorted(sources, key=_connection)
    groups = [list(group) for _, group in groupby(ordered, key=_connection)]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="watermark") as pool:
        return {name: look for found in pool.map(_of_one, groups) for name, look in found.items()}


def _connection(source: DatabaseSource) -> str:
    return source.connection


def _of_one(sources: Sequence[DatabaseSource]) -> dict[str, Look]:
    looks: dict[str, Look] = {}
    unreachable: Look | None = None
    for source in sources:
        if unreachable is None:
            looks[source.unique_id], unreachable = _look(source)
        else:
            looks[source.unique_id] = unreachable
    return looks


def _look(source: DatabaseSource) -> tuple[Look, Look | None]:
    """Return a look at a source, and the look at all others of a database that does not answer."""
    url = FromVariable(variable(source.connection), source.connection)
    if not url:
        missing = Look(problem=f"{source.connection} is not set. Set it to the database's URL.")
        return missing, missing
    try:
        found = watermark(url, source.table, source.increasing)
    except MdsTableauError as error:
        problem = Look(problem=scrubbed(str(error), url))
        return problem, problem if isinstance(error, DatabaseUnreachable) else None
    except Exception as error:  # noqa: BLE001  # what is wrong with one must not stop others
        return Look(problem=scrubbed(f"{type(error).__name__}: {error}", url)), None
    said = (location(url), source.table, source.increasing, str(found.rows), str(found.high))
    return Look(hashlib.sha256("\0".join(said).encode()).hexdigest()[:32]), None
