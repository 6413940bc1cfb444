"""What is looked at on this machine: Python, libraries, Hyper, the data folder, the dbt project.

Libraries are loaded by the check that needs them, so that one which is broken spoils no other.
"""

import platform
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from mds_tableau.columns import counted
from mds_tableau.doctor_findings import Check, Finding
from mds_tableau.installing import install
from mds_tableau.room import free_bytes
from mds_tableau.settings import Settings

_US: Final = "mds-tableau"
_NAMED: Final = ("dagster", "dbt-core", "dbt-duckdb", "duckdb", "tableauserverclient")
"""Libraries whose versions are asked for first when something breaks."""

_GIB: Final = 1 << 30
_LITTLE: Final = 5 * _GIB
_TOO_LITTLE: Final = _GIB // 2
"""Bytes of free space to warn and to fail at. A mart is on the disk as Parquet, as two versions of
its extract, and, while it is compared, as Parquet once more."""

_INSTALL: Final = f"Install it anew. {install()}"


def machine_checks(settings: Settings) -> list[Check]:
    """Return the checks of this machine."""
    return [
        Check("python", _python),
        Check("libraries", _libraries),
        Check("hyper", _hyper),
        Check("data folder", lambda: _data_folder(settings.mds_data_dir)),
        Check("dbt project", lambda: _dbt_project(settings)),
    ]


def _python() -> Iterator[Finding]:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    allowed = SpecifierSet(metadata(_US)["Requires-Python"])
    if platform.python_version() in allowed:
        yield Finding("python", "ok", f"{found}, {sys.executable}")
    else:
        yield Finding("python", "fail", found, f"Use a Python of a version {allowed}.")


def _libraries() -> Iterator[Finding]:
    right = []
    for line in requires(_US) or ():
        needed = Requirement(line)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            there = version(needed.name)
        except PackageNotFoundError:
            found = f"{needed.name} is not installed"
            yield Finding("libraries", "fail", found, _INSTALL)
            continue
        if needed.specifier.contains(there, prereleases=True):
            right.append(needed.name)
        else:
            found = f"{needed.name} {there} is installed, and {needed.specifier} is needed"
            yield Finding("libraries", "fail", found, _INSTALL)
    named = ", ".join(f"{name} {version(name)}" for name in _NAMED if name in right)
    yield Finding("libraries", "ok", f"{len(right)} as they have to be: {named}")


def _hyper() -> Iterator[Finding]:
    from mds_tableau.hyper import Hyper, library_version

    with Hyper() as hyper, hyper.connect() as connection:
        connection.execute_scalar_query("SELECT 1")
    yield Finding("hyper", "ok", f"starts and answers, Hyper API {library_version()}")


def _data_folder(folder: Path) -> Iterator[Finding]:
    # the first run makes it
    there = next(one for one in (folder, *folder.parents) if one.exists())
    if not there.is_dir():
        found = f"{there} is a file"
        yield Finding("data folder", "fail", found, "Set MDS_DATA_DIR to a folder.")
        return
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"written")
    except OSError as error:
        found = f"{there} cannot be written to: {error.strerror}"
        advice = "Get the right to write there, make space, or set MDS_DATA_DIR to another folder."
        yield Finding("data folder", "fail", found, advice)
        return
    free = free_bytes(folder)
    found = f"{folder}, {free / _GIB:,.1f} GiB free"
    if free < _LITTLE:
        advice = (
            "Make space (mds-tableau prune --dry-run tells what can go), or set MDS_DATA_DIR to a "
            "larger disk: marts are written several times."
        )
        yield Finding("data folder", "fail" if free < _TOO_LITTLE else "warn", found, advice)
    else:
        yield Finding("data folder", "ok", found)


def _dbt_project(settings: Settings) -> Iterator[Finding]:
    from mds_tableau.defs.configured import configured
    from mds_tableau.defs.dbt import FolderTranslator
    from mds_tableau.pipeline import build_definitions

    folder = settings.mds_dbt_project
    is_default = "mds_dbt_project" not in settings.model_fields_set
    if is_default and not (folder / "dbt_project.yml").is_file():
        yield Finding(
            "dbt project",
            "warn",
            f"there is none in {folder}",
            "Nothing to do for single files and tables; for marts, set MDS_DBT_PROJECT.",
        )
        return
    looked = configured(FolderTranslator(), settings)
    if looked.errors:
        yield from (Finding("dbt project", "fail", str(error)) for error in looked.errors)
        return
    prepared = looked.valid()
    marts = prepared.selected & prepared.manifest.marts.keys()
    found = f"{folder} parses; {settings.mds_marts!r} selects {counted(len(marts), 'mart')}"
    # what else may be wrong with it is seen when all of it is put together
    build_definitions(settings)
    yield Finding("dbt project", "ok", f"{found}, in {prepared.warehouse}")
