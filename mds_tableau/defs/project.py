"""Finds the dbt project and prepares its manifest when that is missing or stale.

Running dbt's models belongs to `dbt`; what the manifest says belongs to `mds_tableau.manifest`.
"""

import json
import os
import re
import shutil
import sys
from argparse import Namespace
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version as installed_version
from io import StringIO
from pathlib import Path
from typing import Any, Final

from dagster_dbt import DbtCliResource, DbtProject
from dagster_dbt.utils import select_unique_ids
from filelock import FileLock
from packaging.version import Version

from mds_tableau.errors import ManifestError
from mds_tableau.files import read_json, remove, write_json
from mds_tableau.manifest import Manifest
from mds_tableau.sessions import Session
from mds_tableau.settings import Settings, child_environment, dbt_environment_digest

KEPT_BUILDS: Final = 5
"""How many builds are kept what dbt wrote about them."""

_BUILD: Final = re.compile("[0-9a-f]{7}")
_FRAMES: Final = re.compile(r"^Traceback \(most recent call last\):\n(?:[ ].*\n)*", re.MULTILINE)
_NOT_READ = {".duckdb", ".db", ".wal", ".tmp"}
_NOT_SOURCES = {"target", "logs", "dbt_packages", ".git", "__pycache__"}


class Dbt(DbtCliResource):
    """dbt's command line, run by the Python that runs this."""

    @cached_property
    def _cli_version(self) -> Version:
        # dagster-dbt would start dbt once more, for seconds, to ask what is known here
        return Version(installed_version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # type: ignore[override]
        # the adapter would fetch row counts and columns, which the export brings anyway; making one
        # loads dbt and its macros in this process too, which takes a second of each run
        return None


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
    found = shutil.which("mds-tableau-dbt", path=scripts) or shutil.which("dbt")
    # a validator of the resource takes paths and profile from the project
    return Dbt(project_dir=project, dbt_executable=found or "dbt")  # type: ignore[arg-type]


def remove_old_builds(project: DbtProject) -> None:
    """Remove the folders of all builds but the last few; nobody else may be building meanwhile.

    dagster-dbt has dbt write each build into a folder of its own, a manifest and a log among
    others, and leaves all of them.
    """
    target = project.project_dir / project.target_path
    folders = [one for one in target.iterdir() if _BUILD.fullmatch(one.name) and one.is_dir()]
    for old in sorted(folders, key=lambda one: one.stat().st_mtime)[:-KEPT_BUILDS]:
        remove(old)


@dataclass(frozen=True)
class Prepared:
    """What is known of a dbt project without starting dbt.

    Attributes:
        project: The project.
        manifest: Its manifest, parsed when it was last changed.
        warehouse: The DuckDB file that its profile names.
        selected: Unique ids that the selection names.
        selections: Unique ids that other selections name, by selection; a text says why one could
            not be resolved.
    """

    project: DbtProject
    manifest: Manifest
    warehouse: Path
    selected: frozenset[str]
    selections: Mapping[str, Collection[str] | str] = field(default_factory=dict)

    @cached_property
    def session(self) -> Session:
        """How the profile sets up the sessions of dbt.

        Asked of dbt each time, as it may hold secrets, which are kept in no file.

        Raises:
            ManifestError: The profile cannot be read.
        """
        credentials = _credentials(self.project)
        return Session(credentials.config_options or {}, credentials.settings or {})


def prepare(project: DbtProject, selection: str, others: Sequence[str] = ()) -> Prepared:
    """Return what the project says, having dbt parse it and resolve the selection when it must.

    It must when there is no manifest, or when a file of the project, a setting that the project
    reads, the selection or dbt itself has changed since; the answers are kept beside the manifest,
    because asking dbt, even only for these, takes a second or two of each start.

    Args:
        project: The project.
        selection: The dbt selection of what is exported, which must be a good one.
        others: Selections that need not be.

    Raises:
        ManifestError: dbt cannot parse the project, and what it says; or the profile is not one of
            dbt-duckdb with a local file.
    """
    target = project.project_dir / project.target_path
    target.mkdir(parents=True, exist_ok=True)
    kept = target / "mds_tableau.json"
    # a run's workers, a sensor and the web server may all load the definitions at once
    with FileLock(target / ".mds_tableau.lock"):
        stamp, known = _stamp(project, selection), read_json(kept) or {}
        # who asks for fewer selections must not have them all resolved anew the next time
        is_known = known.get("stamp") == stamp and set(others) <= known["others"].keys()
        if not project.manifest_path.is_file() or not is_known:
            _install(project)
            known = {
                "stamp": stamp,
                "warehouse": str((project.project_dir / _credentials(project).path).resolve()),
                "selected": _listed(project, selection),
                "others": {other: _listed_or_why_not(project, other) for other in others},
            }
            write_json(kept, known)
        return Prepared(
            project=project,
            manifest=Manifest.read(project.manifest_path),
            warehouse=Path(known["warehouse"]),
            selected=frozenset(known["selected"]),
            selections=known["others"],
        )


def select(manifest: Manifest, selection: str) -> set[str]:
    """Return the unique ids that a dbt selection names in a manifest that somebody else made."""
    return set(
        select_unique_ids(
            select=selection,
            exclude="",
            selector="",
            project=None,
            manifest_json=manifest.content,
        )
    )


def _listed(project: DbtProject, selection: str) -> list[str]:
    """Have dbt write the manifest anew, and return the unique ids that the selection names."""
    # `dbt parse` writes no other manifest, and would be one more start of dbt
    arguments = ["list", "--select", selection, "--resource-types", "model", "seed", "snapshot"]
    said = _run(project, [*arguments, "--output", "json", "--output-keys", "unique_id"])
    return sorted(json.loads(line)["unique_id"] for line in said if line.startswith('{"unique_id"'))


def _listed_or_why_not(project: DbtProject, selection: str) -> list[str] | str:
    try:
        return _listed(project, selection)
    except ManifestError as error:
        return str(error)


def _credentials(project: DbtProject) -> Any:
    """Return what the profile says, as dbt-duckdb understands it.

    Raises:
        ManifestError: It cannot be read, or is not one of dbt-duckdb with a local file.
    """
    # only where it is needed: these imports take a quarter of a second
    from dbt.config.runtime import load_profile
    from dbt.flags import set_from_args
    from dbt_common.context import set_invocation_context
    from dbt_common.exceptions import DbtBaseException

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
    return credentials


def _install(project: DbtProject) -> None:
    if project.has_uninstalled_deps:
        _run(project, ["deps", "--quiet"])


def _run(project: DbtProject, arguments: list[str]) -> list[str]:
    """Run a command of dbt and return what it says.

    Raises:
        ManifestError: It failed; has what it said of errors.
    """
    invocation = dbt_resource(project).cli(
        arguments, target_path=project.target_path, raise_on_error=False
    )
    # dagster-dbt prints what dbt says, which nobody has asked for; of a failure the errors are told
    with redirect_stdout(StringIO()):
        events = [event.raw_event["info"] for event in invocation.stream_raw_events()]
    if not invocation.is_successful():
        errors = "\n".join(str(info["msg"]) for info in events if info.get("level") == "error")
        # where dbt itself breaks, only what it ends with says anything of the project
        told = _FRAMES.sub("", errors).strip()
        raise ManifestError(f"dbt {arguments[0]} failed in {project.project_dir}:\n{told}")
    return [str(info["msg"]) for info in events]


def _stamp(project: DbtProject, selection: str) -> dict[str, Any]:
    """Return what the answers depend on: dbt, the files of the project, and the settings."""
    files = {
        path.relative_to(project.project_dir).as_posix(): [
            path.stat().st_size,
            path.stat().st_mtime_ns,
        ]
        for path in sorted(_files(project.project_dir))
    }
    profiles = project.profiles_dir / "profiles.yml"
    return {
        "dbt": [installed_version("dbt-core"), installed_version("dbt-duckdb")],
        "selection": selection,
        "files": files,
        "profiles": profiles.stat().st_mtime_ns,
        "environment": dbt_environment_digest(),
    }


def _files(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):  # does not follow links
        folders[:] = [name for name in folders if name not in _NOT_SOURCES]
        for name in names:
            path = Path(here) / name
            if name[0] != "." and path.suffix not in _NOT_READ and path.is_file():
                yield path
