"""Looks at everything that is configured, so that all that is wrong with it is told at once.

That is the settings, `meta.tableau` of models and columns, `meta.ingest` of sources, names, and
`schedules.yml`; what cannot be known before something else is mended is told when it is. The rules
stand with what they are about; that the server has a project belongs to `doctor_server`.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg
from dagster_dbt import DagsterDbtTranslator

from mds_tableau.database_sources import DatabaseSource, database_sources
from mds_tableau.deadlines import deadline_problem, is_zone
from mds_tableau.defs.names import check_names
from mds_tableau.defs.project import Prepared, find_project, prepare, select
from mds_tableau.defs.schedules import cron_problem
from mds_tableau.errors import ConfigurationError, ManifestError, MdsTableauError, refuse
from mds_tableau.extracts import Extract
from mds_tableau.manifest import Manifest
from mds_tableau.project_extracts import ProjectExtracts, plan_extracts
from mds_tableau.schedules import (
    DEFAULT,
    FILE,
    Assigned,
    Declared,
    Schedule,
    plan_schedules,
)
from mds_tableau.schedules_file import read_schedules
from mds_tableau.settings import Settings, read_settings, settings_error


@dataclass(frozen=True)
class Configured:
    """What is configured, as far as it can be understood.

    Attributes:
        settings: The settings.
        prepared: The dbt project; None when it cannot be read.
        extracts: Its extracts.
        sources: The sources that are read from databases.
        schedules: Which schedule refreshes which extracts.
        errors: What is wrong, an error for each place where something is.
    """

    settings: Settings
    prepared: Prepared | None
    extracts: tuple[Extract, ...]
    sources: tuple[DatabaseSource, ...]
    schedules: tuple[Assigned, ...]
    errors: tuple[MdsTableauError, ...]

    def valid(self) -> Prepared:
        """Return the dbt project, unless something is wrong anywhere.

        Raises:
            MdsTableauError: Something is; has all of it.
        """
        refuse(self.errors)
        assert self.prepared is not None  # noqa: S101  # it is missing with an error only
        return self.prepared


def configured(translator: DagsterDbtTranslator, settings: Settings | None = None) -> Configured:
    """Look at everything that is configured, and export the settings to the environment.

    Args:
        translator: Names the assets of the dbt project.
        settings: The settings, where they have been looked at; None to read them.

    Raises:
        SettingsError: `.env` cannot be read, so that nothing is known.
    """
    errors: list[MdsTableauError] = []
    settings = settings or _settings(errors)
    settings.export()
    declared = _declared(settings)
    try:
        prepared = prepare(find_project(settings), settings.mds_marts, declared.selections)
    except ManifestError as error:
        errors += [error, *declared.errors]
        return Configured(settings, None, (), (), (), tuple(errors))
    manifest = prepared.manifest
    planned = _planned(manifest, prepared.selected, settings)
    errors += planned.errors
    read = database_sources(manifest)
    errors += read.errors
    with _collected(errors):
        check_names(_by_key(manifest, translator, read.sources), manifest)
    schedules: tuple[Assigned, ...] = ()
    with _collected(errors):
        schedules = plan_schedules(
            declared,
            planned.extracts,
            unclear=planned.unclear,
            file=settings.mds_dbt_project / FILE,
            selected=lambda selection: prepared.selections[selection],
        )
    return Configured(settings, prepared, planned.extracts, read.sources, schedules, tuple(errors))


def configured_extracts(
    manifest: Manifest, settings: Settings | None = None
) -> tuple[Settings, tuple[Extract, ...]]:
    """Return settings and extracts for a manifest that somebody else runs dbt for.

    Args:
        manifest: The manifest.
        settings: The settings, where they have been looked at; None to read them.

    Raises:
        MdsTableauError: Something is wrong with them; has all of it.
    """
    errors: list[MdsTableauError] = []
    settings = settings or _settings(errors)
    planned = _planned(manifest, select(manifest, settings.mds_marts), settings)
    refuse([*errors, *planned.errors])
    return settings, planned.extracts


def _settings(errors: list[MdsTableauError]) -> Settings:
    settings, problems = read_settings()
    if problems:
        errors.append(settings_error(problems))
    return settings


def _declared(settings: Settings) -> Declared:
    """Return what `schedules.yml` and the settings say of schedules."""
    return read_schedules(
        settings.mds_dbt_project,
        Schedule(DEFAULT, settings.mds_schedule, _zone(settings)),
        is_default_set="mds_schedule" in settings.model_fields_set,
        cron_problem=cron_problem,
    )


def _planned(manifest: Manifest, selected: Collection[str], settings: Settings) -> ProjectExtracts:
    is_deadline = settings.mds_deadline and not deadline_problem(settings.mds_deadline)
    return plan_extracts(
        manifest,
        selected,
        selection=settings.mds_marts,
        project=settings.tableau_project,
        deadline=settings.mds_deadline if is_deadline else "",
        zone=_zone(settings),
    )


def _zone(settings: Settings) -> str:
    # one that there is not is told with the settings, and must not hide what else is wrong
    return settings.mds_timezone if is_zone(settings.mds_timezone) else "UTC"


def _by_key(
    manifest: Manifest, translator: DagsterDbtTranslator, sources: tuple[DatabaseSource, ...]
) -> dict[dg.AssetKey, str]:
    """Return what has an asset in the step of dbt, by the key of that."""
    nodes = {
        key: manifest.content["nodes"][key]
        for key, mart in manifest.marts.items()
        if mart.materialized != "ephemeral"
    }
    nodes |= {one.unique_id: manifest.content["sources"][one.unique_id] for one in sources}
    return {translator.get_asset_key(node): unique_id for unique_id, node in nodes.items()}


@contextmanager
def _collected(errors: list[MdsTableauError]) -> Iterator[None]:
    """Keep what is found to be wrong within, so that the rest is looked at too."""
    try:
        yield
    except ConfigurationError as error:
        errors.append(error)
