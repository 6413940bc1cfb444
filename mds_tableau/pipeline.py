"""Assembles the pipeline: the whole of it, or the right half for a team with its own dbt assets.

Nothing is decided or done here, and importing it reads nothing and starts nothing. What Dagster
loads as a code location is `mds_tableau.definitions`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator
from dagster_duckdb import DuckDBResource
from filelock import FileLock

from mds_tableau.defs.alerts import alert_sensor
from mds_tableau.defs.automation import (
    Watched,
    automation,
    sensor_status,
)
from mds_tableau.defs.conditions import rebuilt_sensor, when_rebuilt
from mds_tableau.defs.configured import configured, configured_extracts
from mds_tableau.defs.dbt import RUN_RESULTS, DbtRunner, FolderTranslator, dbt_definitions
from mds_tableau.defs.deadlines import deadline_sensor
from mds_tableau.defs.ending import with_endings
from mds_tableau.defs.extracts import extract_assets
from mds_tableau.defs.gates import gate_by_checks, gate_by_results
from mds_tableau.defs.ingest import Ingester
from mds_tableau.defs.jobs import jobs_of
from mds_tableau.defs.old_runs import old_runs
from mds_tableau.defs.project import dbt_resource
from mds_tableau.defs.raw import file_sources, raw_assets
from mds_tableau.defs.report import Reporter, reporting
from mds_tableau.defs.resources import HyperResource, TableauServer
from mds_tableau.defs.stages import DUCKDB, Folders, Gate, Upstream
from mds_tableau.defs.tidying import tidying
from mds_tableau.extracts import Extract
from mds_tableau.manifest import Manifest, Mart
from mds_tableau.results import ResultStore
from mds_tableau.sessions import Session
from mds_tableau.settings import Settings


def build_definitions(
    settings: Settings | None = None,
    *,
    executor: dg.ExecutorDefinition = dg.in_process_executor,
) -> dg.Definitions:
    """Return the whole pipeline: raw files, dbt project, extracts, schedules and sensors.

    Args:
        settings: Where everything is and goes; by default read from the environment.
        executor: How steps run; the report of what did not arrive is added to it.

    Raises:
        ManifestError: The dbt project is missing or cannot be parsed, or nothing is selected.
        MartConfigError: Some `meta.tableau`, `meta.ingest` or name is not valid.
        ScheduleError: `schedules.yml` is not, or an extract is on no schedule that there is.
        SettingsError: A setting is missing or not of its form.
        ConfigurationError: Several of these; has all of them.
    """
    translator = FolderTranslator()
    found = configured(translator, settings)
    prepared, settings, extracts = found.valid(), found.settings, found.extracts
    project, manifest = prepared.project, prepared.manifest
    folders = Folders.of(settings)
    runner = DbtRunner(
        dbt=dbt_resource(project),
        project=project,
        manifest=manifest,
        translator=translator,
        results=ResultStore(folders.data / "dbt_results.json"),
        warehouse=prepared.warehouse,
        turn=FileLock(prepared.warehouse.with_name(f".{prepared.warehouse.name}.turn")),
    )
    runner.warehouse.parent.mkdir(parents=True, exist_ok=True)
    ingester = Ingester(found.sources, manifest, translator, runner.results, runner.warehouse)
    dbt_assets, dbt_check = dbt_definitions(runner, ingester)
    cache = folders.data / "fingerprints.json"
    raw = raw_assets(manifest, translator, base=project.project_dir, cache=cache)
    exports = _assets(
        extracts,
        manifest,
        translator,
        gate_by_results(runner),
        folders,
        after=(RUN_RESULTS,),
        compiled=runner.results.compiled,
        session=lambda: prepared.session,
    )
    automatic = automation(
        settings,
        found.schedules,
        extracts,
        exports,
        watched=Watched(
            file_sources(manifest, translator), ingester.by_source, project.project_dir, cache
        ),
    )
    tidy_job, tidy_schedule = old_runs(settings.mds_keep_runs, settings.mds_timezone)
    reporter = Reporter(extracts, manifest, runner.results.load, folders)
    return dg.Definitions(
        assets=[*raw, dbt_assets, *exports],
        asset_checks=[dbt_check],
        jobs=[*automatic.jobs, tidy_job, *jobs_of(extracts, folders)],
        schedules=[*automatic.schedules, tidy_schedule],
        sensors=[*automatic.sensors, *_watching(settings, reporter)],
        # dbt runs in the project's folder, and a view may read files relative to it
        resources=_resources(settings, runner.warehouse, file_search_path=str(project.project_dir)),
        executor=with_endings(
            executor,
            reporting(reporter),
            if_not_stopped=[tidying(folders, project.project_dir / project.target_path)],
        ),
    )


def extract_definitions(
    manifest: Mapping[str, Any] | Path | str,
    *,
    duckdb_path: Path | str,
    duckdb_settings: Mapping[str, object] | None = None,
    translator: DagsterDbtTranslator | None = None,
    settings: Settings | None = None,
) -> dg.Definitions:
    """Return the right half of the pipeline, for a project that has its own `@dbt_assets`.

    Merge it with `dagster.Definitions.merge`. A mart is exported when its export is materialized,
    which the sensor `marts_rebuilt` does whenever the mart was, unless the latest evaluation of one
    of its dbt checks of error severity failed.

    Args:
        manifest: The manifest that `@dbt_assets` was given: content or path of `manifest.json`.
        duckdb_path: The DuckDB file that dbt writes.
        duckdb_settings: The `settings` of the dbt profile, such as `{"TimeZone": "Europe/Berlin"}`:
            marts that are views are read with them, as dbt tested them. They are written nowhere.
        translator: The translator that `@dbt_assets` was given; Dagster's own when none.
        settings: Where extracts go; by default read from the environment.

    Raises:
        ManifestError: The manifest cannot be read, or the selection names none of its models.
        MartConfigError: Some `meta.tableau` is not valid.
        SettingsError: A setting is missing or not of its form.
        ConfigurationError: Several of these; has all of them.

    Example:
        ```python
        defs = dg.Definitions.merge(
            my_definitions,
            extract_definitions("dbt/target/manifest.json", duckdb_path="warehouse.duckdb"),
        )
        ```
    """
    read = Manifest(manifest) if isinstance(manifest, Mapping) else Manifest.read(Path(manifest))
    settings, extracts = configured_extracts(read, settings)
    translator = translator or DagsterDbtTranslator()
    folders = Folders.of(settings)
    exports = _assets(
        extracts,
        read,
        translator,
        gate_by_checks(read, translator),
        folders,
        session=lambda: Session(settings=duckdb_settings or {}),
    )
    follower = rebuilt_sensor(
        exports, seconds=settings.mds_sensor_seconds, status=sensor_status(settings)
    )
    return dg.Definitions(
        assets=exports,
        # what dbt said of a mart that it did not build is in the team's own run
        sensors=[
            follower,
            *_watching(settings, Reporter(extracts, read, dict, folders)),
        ],
        jobs=jobs_of(extracts, folders),
        resources=_resources(settings, Path(duckdb_path)),
    )


def _watching(settings: Settings, reporter: Reporter) -> list[dg.SensorDefinition]:
    sensors = (
        alert_sensor(settings, reporter),
        deadline_sensor(settings, reporter.extracts, reporter.folders),
    )
    return [sensor for sensor in sensors if sensor is not None]


def _assets(
    extracts: tuple[Extract, ...],
    manifest: Manifest,
    translator: DagsterDbtTranslator,
    gate: Gate,
    folders: Folders,
    *,
    after: Sequence[dg.AssetKey] = (),
    compiled: Callable[[Mart], str] = lambda _: "",
    session: Callable[[], Session] = Session,
) -> list[dg.AssetsDefinition]:
    spec = partial(translator.get_asset_spec, manifest.content, project=None)
    assets = []
    for extract in extracts:
        [mart] = extract.marts
        asset = spec(unique_id=mart.unique_id)
        upstream = Upstream(asset.key, tuple(asset.owners), after, partial(compiled, mart), session)
        assets += extract_assets(extract, upstream=upstream, gate=gate, folders=folders)
    return when_rebuilt(assets, after=after)


def _resources(settings: Settings, warehouse: Path, **config: str) -> Mapping[str, Any]:
    return {
        DUCKDB: DuckDBResource(
            database=str(warehouse.absolute()),
            connection_config={
                "access_mode": "READ_ONLY",
                "memory_limit": settings.duckdb_memory,
                **config,
            },
        ),
        "hyper": HyperResource(verify=settings.mds_verify, memory=settings.mds_memory),
        "tableau": TableauServer.from_settings(settings),
    }
