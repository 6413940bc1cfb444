"""The dbt project: found, parsed when it must be, and no sooner."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import duckdb
import psutil
import pytest

from mds_tableau.defs.project import (
    KEPT_BUILDS,
    dbt_resource,
    find_project,
    prepare,
    remove_old_builds,
)
from mds_tableau.errors import ManifestError
from mds_tableau.settings import load_settings
from tests.chaos.crowd import wait_for
from tests.pipeline import ROOT, Workplace

pytestmark = pytest.mark.dbt


def test_manifest_is_made_once_and_again_after_a_change(shop: Workplace) -> None:
    """The manifest is made when it is missing, kept while nothing changes, and made anew after."""
    project = find_project(shop.settings())
    first = prepare(project, "reporting")
    made = project.manifest_path.stat().st_mtime_ns
    prepare(project, "reporting")
    assert project.manifest_path.stat().st_mtime_ns == made
    (shop.project / "models" / "reporting" / "more.sql").write_text("select cast(1 as int) as one")
    assert "model.shop.more" not in first.selected
    assert "model.shop.more" in prepare(project, "reporting").selected


def test_folders_of_old_builds_go(shop: Workplace) -> None:
    """The newest folders of dbt's builds stay, older ones go, and so does nothing else."""
    project = find_project(shop.settings())
    target = shop.project / "target"
    builds = [target / f"{number:07x}" for number in range(8)]
    for age, folder in enumerate(reversed(builds)):
        folder.mkdir(parents=True)
        (folder / "dbt.log").write_text("said")
        os.utime(folder, (10_000 - age, 10_000 - age))
    others = [target / "compiled", target / "run", target / "0000000.json"]
    for other in others:
        other.mkdir()
    remove_old_builds(project)
    assert sorted(target.iterdir()) == sorted([*builds[-KEPT_BUILDS:], *others])


_STARTS_DBT = """
import subprocess, sys
print(subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL).pid, flush=True)
sys.stdin.read()
"""


def test_dbt_ends_with_its_run(shop: Workplace) -> None:
    """A build whose run was killed ends, so that the next run need not wait for the warehouse."""
    dbt = dbt_resource(find_project(shop.settings())).dbt_executable
    (shop.project / "models" / "reporting" / "slow.sql").write_text(
        "select count(*) as n from range(1000000) a, range(1000000) b where a.range ^ b.range = 3"
    )
    assert Path(dbt).stem == "mds-tableau-dbt"
    with subprocess.Popen(
        [sys.executable, "-c", _STARTS_DBT, dbt, "build", "--project-dir", str(shop.project)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=shop.project,
        env={**os.environ, "DBT_PROFILES_DIR": str(shop.project)},
    ) as run:
        assert run.stdout is not None
        build = psutil.Process(int(run.stdout.readline()))
        try:
            wait_for((shop.project / "db" / "the shop.duckdb").exists, "the warehouse")
            run.kill()
            assert psutil.wait_procs([build], timeout=20)[1] == []
        finally:
            with suppress(psutil.Error):
                build.kill()


def test_setting_that_the_project_reads_makes_it_stale(shop: Workplace) -> None:
    """A change of a variable that dbt may read makes the manifest stale; no value is kept."""
    project = find_project(shop.settings())
    prepare(project, "reporting")
    made = project.manifest_path.stat().st_mtime_ns
    os.environ["DBT_PASSWORD"] = "a-secret-of-the-project"
    prepare(project, "reporting")
    assert project.manifest_path.stat().st_mtime_ns != made
    stamp = project.manifest_path.with_name("mds_tableau.json").read_text()
    assert "a-secret-of-the-project" not in stamp


def test_broken_project_is_told_in_dbts_words(shop: Workplace) -> None:
    """A project that dbt cannot parse is an error with dbt's own message, which names the file."""
    (shop.project / "models" / "broken.sql").write_text("select {{ ref('nowhere') }}")
    with pytest.raises(ManifestError, match=r"(?s)dbt list failed in .*broken.*nowhere"):
        prepare(find_project(shop.settings()), "reporting")


def test_where_dbt_itself_breaks_its_frames_are_not_told(shop: Workplace) -> None:
    """A number beyond 64 bits is one that dbt 1.11 cannot keep, and says so below its stack."""
    (shop.project / "models" / "reporting" / "big.sql").write_text(
        "{{ config(meta={'tableau': {'keep': 99999999999999999999}}) }} select 1 as one"
    )
    with pytest.raises(ManifestError, match="OverflowError: Integer value out of range") as raised:
        prepare(find_project(shop.settings()), "*")
    assert "Traceback" not in str(raised.value)
    assert ".py" not in str(raised.value)


def test_warehouse_is_where_the_profile_says(shop: Workplace) -> None:
    """A relative path of the profile starts from the project, as it does for dbt."""
    project = find_project(shop.settings())
    assert (
        prepare(project, "reporting").warehouse
        == (shop.project / "db" / "the shop.duckdb").resolve()
    )


def test_other_adapters_are_refused_by_name(shop: Workplace) -> None:
    """A profile that is not a DuckDB file is refused with what it is."""
    profiles = shop.project / "profiles.yml"
    profiles.write_text(profiles.read_text().replace("db/the shop.duckdb", ":memory:"))
    with pytest.raises(ManifestError, match=r"'shop_profile'.*path ':memory:'.*local file"):
        prepare(find_project(shop.settings()), "reporting")


def test_missing_project_names_the_setting(tmp_path: Path) -> None:
    """A folder without a dbt project is an error that names it and MDS_DBT_PROJECT."""
    os.environ["MDS_DBT_PROJECT"] = str(tmp_path)
    with pytest.raises(ManifestError, match=r"no dbt project in .*MDS_DBT_PROJECT"):
        find_project(load_settings(None))


def test_missing_profile_names_the_setting(shop: Workplace) -> None:
    """A project without a profile is an error that names where it was looked for."""
    (shop.project / "profiles.yml").unlink()
    os.environ["HOME"] = os.environ["USERPROFILE"] = str(shop.folder)
    with pytest.raises(ManifestError, match=r"no profiles.yml .*\.dbt.*DBT_PROFILES_DIR"):
        find_project(shop.settings())


def test_our_own_marts_do_not_depend_on_the_zone_of_the_machine(tmp_path: Path) -> None:
    """The day of a moment is its day in UTC, wherever the project is built."""
    place = Workplace.create(tmp_path, ROOT / "dbt_project")
    place.write_model("days", "select cast(timestamptz '2026-07-01 20:00:00+00' as date) as day")
    settings = place.settings()
    settings.export()
    place.data.mkdir()
    os.environ["TZ"] = "Asia/Tokyo"
    run = dbt_resource(find_project(settings)).cli(["run", "--select", "days"]).wait()
    assert run.is_successful()
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        assert connection.execute("SELECT day::VARCHAR FROM days").fetchall() == [("2026-07-01",)]
