"""What is past its time goes, and nothing else does."""

import json
import os
import time
import uuid
from pathlib import Path

import pytest

from mds_tableau.retention import Limits, tidy
from tests.commands.conftest import Run
from tests.commands.conftest import run as run
from tests.pipeline import ROOT, Workplace
from tests.stages import tree

DAY = 86400


def _aged(path: Path, days: float) -> Path:
    """A file of that age, in folders of that age."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * 1000)
    then = time.time() - days * DAY
    for one in (path, *path.parents[:2]):
        os.utime(one, (then, then))
    return path


def test_logs_and_debris_of_past_runs_go_after_their_time(tmp_path: Path) -> None:
    """Those of recent runs, what a run is writing, and what is not known stay."""
    data, target, storage = tmp_path / "data", tmp_path / "target", tmp_path / "storage"
    run_id, other = str(uuid.uuid4()), str(uuid.uuid4())
    going = [
        _aged(target / "0a1b2c3" / "dbt.log", 15),
        _aged(target / "dbt_assets-0a1b2c3-9f8e7d6" / "dbt.log", 15),
        _aged(storage / run_id / "compute_logs" / "a.err", 15),
        _aged(data / "one_shot" / ".publish-abc" / "input.duckdb", 2),
        _aged(data / "parquet" / "sales" / ".20260101T000000.000000Z.tmp" / "part-0.parquet", 2),
        _aged(data / "hyper" / ".sales.77.tmp.hyper", 2),
        _aged(data / "versions" / "sales" / ".20260101T000000Z.tmp" / "sales.hyper", 2),
    ]
    staying = [
        _aged(target / "1a1b2c3" / "dbt.log", 13),
        _aged(target / "compiled" / "shop" / "a.sql", 400),
        _aged(target / "manifest.json", 400),
        _aged(storage / other / "compute_logs" / "a.err", 13),
        _aged(storage / "some_asset" / "value", 400),
        _aged(data / "one_shot" / ".publish-def" / "input.duckdb", 0),
        _aged(data / "parquet" / "sales" / "20260101T000000.000000Z" / "part-0.parquet", 400),
        _aged(data / "hyper" / "sales.hyper", 400),
        _aged(data / "hyper" / ".sales.hyper.lock", 400),
        _aged(data / "published" / "sales.json", 400),
    ]
    # its folder is old, but somebody writes into it
    staying.append(_aged(data / "one_shot" / ".publish-ghi" / "deep" / "a.csv", 0))
    os.utime(data / "one_shot" / ".publish-ghi", (0, 0))
    tidy(data, Limits(), target=target, storage=storage)
    assert [path for path in going if path.exists()] == []
    assert [path for path in staying if not path.exists()] == []
    assert not (storage / run_id).exists()


def test_what_cannot_be_tidied_away_fails_no_run(tmp_path: Path) -> None:
    """A folder that is a file, or is not there, is nothing to tidy."""
    file = tmp_path / "target"
    file.write_text("a file")
    tidy(tmp_path / "nowhere", Limits(), target=file, storage=tmp_path / "not here")
    assert file.read_text() == "a file"


@pytest.mark.dbt
def test_prune_removes_what_it_tells_and_more_only_when_asked(run: Run, tmp_path: Path) -> None:
    """A dry run changes nothing; what is gone from the project stays until that is asked for."""
    shop = Workplace.create(
        tmp_path, ROOT / "tests" / "projects" / "shop", MDS_MARTS="reporting", MDS_KEEP_DAYS="3"
    )
    variables = {**shop.environment, "DAGSTER_HOME": str(tmp_path / "home")}
    old = [
        _aged(shop.project / "target" / "0a1b2c3" / "dbt.log", 4),
        _aged(tmp_path / "home" / "storage" / str(uuid.uuid4()) / "compute_logs" / "a.err", 4),
    ]
    gone = [
        _aged(shop.data / "hyper" / "renamed.hyper", 0),
        _aged(shop.data / "hyper" / "renamed.json", 0),
        _aged(shop.data / "parquet" / "renamed" / "20260101T000000.000000Z" / "part-0.parquet", 0),
    ]
    there = [_aged(shop.data / "hyper" / "revenue.hyper", 0)]
    before = tree(shop.data)
    result = run("prune", "--dry-run", **variables)
    assert result.exit_code == 0, result.output
    assert "2 items of 2.0 KB would be removed" in result.stdout
    assert str(old[0].parent) in result.stdout
    assert "3.0 KB belong to extracts that are not in the dbt project any more" in result.stdout
    assert tree(shop.data) == before
    assert all(path.exists() for path in old)
    assert "2 items of 2.0 KB removed" in run("prune", **variables).stdout
    assert not any(path.exists() for path in old)
    assert tree(shop.data) == before
    told = json.loads(run("prune", "--gone", "--json", **variables).stdout)
    assert {one["kind"] for one in told} == {"gone"}
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in there)


@pytest.mark.dbt
def test_prune_without_a_project_takes_nothing_for_gone(run: Run, tmp_path: Path) -> None:
    """Where there is no dbt project, all that was published stays, and --gone says why."""
    kept = _aged(tmp_path / "data" / "hyper" / "sales.hyper", 400)
    assert run("prune").exit_code == 0
    refused = run("prune", "--gone")
    assert refused.exit_code == 1
    assert "There is no dbt project" in refused.output
    assert kept.exists()
