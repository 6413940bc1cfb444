"""Finds the dbt project and prepares its manifest when that is missing or stale.

Running dbt's models belongs to `dbt`; what the manifest says belongs to `mds_tableau.manifest`.
"""

import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from dagster_dbt import DbtCliResource, DbtProject
from dagster_dbt.errors import DagsterDbtError
from dbt.config.runtime import load_profile
from dbt.flags import set_from_args
from dbt.version import __version__ as dbt_version
from dbt_common.context import set_invocation_context
from dbt_common.exceptions import DbtBaseException
from filelock import FileLock
from packaging.version import Version

from mds_tableau.errors import ManifestError
from mds_tableau.files import read_json, write_json
from mds_tableau.manifest import Manifest
from mds_tableau.settings import Settings, child_environment, dbt_environment_digest

_NOT_SOURCES = {"target", "logs", "dbt_packages", ".git", "__pycache__"}


class Dbt(DbtCliResource):
    """dbt's command line, run by the Python that runs this."""

    @cached_property
    def _cli_version(self) -> Version:
        # dagster-dbt would start dbt once more, for seconds, to ask what is known here
        return Version(dbt_version)


def find_project(settings: Settings) -> DbtProject:
    """Return the dbt project that the settings name.

    Raises:
        ManifestError: There is no dbt project, or no profile for it.
    """
    folder = settings.mds_dbt_project
    if not (folder / "dbt_project.yml").is_file():
        raise ManifestError(
            f"There is no dbt project in {folder}: dbt_project.yml is missing. Run from the folder "
            "that holds the project, or set MDS_DBT_PROJECT."
        )
    if not (settings.profiles_dir / "profiles.yml").is_file():
        raise ManifestError(
            f"There is no profiles.yml for the dbt project {folder}: looked in "
            f"{settings.profiles_dir}. Put it there, or set DBT_PROFILES_DIR."
        )
    return DbtProject(project_dir=folder, profiles_dir=settings.profiles_dir)


def dbt_resource(project: DbtProject) -> Dbt:
    """Return the resource that runs dbt in this environment."""
    scripts = os.fspath(Path(sys.executable).parent)
    # a virtual environment need not be activated for its dbt to be found
    found = shutil.which("dbt", path=scripts) or shutil.which("dbt")
    # a validator of the resource takes paths and profile from the project
    return Dbt(project_dir=project, dbt_executable=found or "dbt")  # type: ignore[arg-type]


def prepared_manifest(project: DbtProject) -> Manifest:
    """Return the project's manifest, having dbt parse the project when it must.

    It must when there is no manifest, or when a file of the project, a setting that the project
    reads or dbt itself has changed since it was made.

    Raises:
        ManifestError: dbt cannot parse the project; has dbt's words.
    """
    target = project.project_dir / project.target_path
    target.mkdir(parents=True, exist_ok=True)
    stamp_file = target / "mds_tableau_stamp.json"
    # a run's workers, a sensor and the web server may all load the definitions at once
    with FileLock(target / ".mds_tableau.lock"):
        stamp = _stamp(project)
        if not project.manifest_path.is_file() or read_json(stamp_file) != stamp:
            _parse(project)
            write_json(stamp_file, stamp)
        return Manifest.read(project.manifest_path)


def warehouse_of(project: DbtProject) -> Path:
    """Return the DuckDB file that the project's profile names.

    Raises:
        ManifestError: The profile is not one of dbt-duckdb with a local file.
    """
    set_invocation_context(child_environment())
    set_from_args(Namespace(profiles_dir=str(project.profiles_dir)), None)
    try:
        profile = load_profile(str(project.project_dir), {}, project.profile, project.target)
    except DbtBaseException as error:
        raise ManifestError(f"The dbt profile cannot be read: {error}") from error
    credentials = profile.credentials
    path = getattr(credentials, "path", "")
    if credentials.type != "duckdb" or path.startswith(("md:", ":memory:", "motherduck:")):
        raise ManifestError(
            f"The dbt profile '{profile.profile_name}' ({project.profiles_dir}) has type "
            f"{credentials.type!r} and path {path!r}. Extracts are made from a DuckDB file: use "
            "type duckdb and the path of a local file."
        )
    return (project.project_dir / path).resolve()


def _parse(project: DbtProject) -> None:
    resource = dbt_resource(project)
    prepare = [["deps", "--quiet"]] if project.has_uninstalled_deps else []
    for arguments in [*prepare, ["parse", "--quiet"]]:
        invocation = resource.cli(arguments, target_path=project.target_path, raise_on_error=False)
        said = [
            str(event.raw_event["info"]["msg"])
            for event in invocation.stream_raw_events()
            if event.raw_event["info"].get("level") == "error"
        ]
        if not invocation.is_successful():
            raise ManifestError(
                f"dbt {arguments[0]} failed in {project.project_dir}:\n" + "\n".join(said).strip()
            ) from _error_of(invocation)


def _error_of(invocation: Any) -> DagsterDbtError | None:
    error = invocation.get_error()
    return error if isinstance(error, DagsterDbtError) else None


def _stamp(project: DbtProject) -> dict[str, Any]:
    """Return what a manifest depends on: dbt, the files of the project, and the settings."""
    files = {
        path.relative_to(project.project_dir).as_posix(): [
            path.stat().st_size,
            path.stat().st_mtime_ns,
        ]
        for path in _files(project.project_dir)
    }
    profiles = project.profiles_dir / "profiles.yml"
    return {
        "dbt": dbt_version,
        "files": files,
        "profiles": profiles.stat().st_mtime_ns,
        "environment": dbt_environment_digest(),
    }


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if path.name not in _NOT_SOURCES:
                yield from _files(path)
        elif not path.name.startswith(".") and path.suffix not in {".duckdb", ".wal", ".tmp"}:
            yield path
