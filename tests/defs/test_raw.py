"""Raw files as observable assets: their data version is their content."""

from pathlib import Path

import dagster as dg
import pytest

from mds_tableau.defs.dbt import FolderTranslator
from mds_tableau.defs.raw import raw_assets
from mds_tableau.manifest import Manifest


def _manifest(location: str) -> Manifest:
    source = {
        "unique_id": "source.p.raw.orders",
        "resource_type": "source",
        "source_name": "raw",
        "name": "orders",
        "database": "w",
        "schema": "raw",
        "identifier": "orders",
        "description": "Orders.",
        "original_file_path": "models/__sources.yml",
        "fqn": ["p", "raw", "orders"],
        "config": {"meta": {"external_location": "x"}},
        "meta": {"external_location": "x"},
        "columns": {},
        "relation_name": location,
    }
    return Manifest(
        {
            "metadata": {"project_name": "p", "adapter_type": "duckdb"},
            "nodes": {},
            "sources": {source["unique_id"]: source},
            "child_map": {},
            "parent_map": {},
        }
    )


def _observe(folder: Path, location: str) -> str:
    assets = raw_assets(
        _manifest(location), FolderTranslator(), base=folder, cache=folder / "cache.json"
    )
    with dg.DagsterInstance.ephemeral() as instance:
        job = dg.Definitions(assets).resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        if not result.success:
            [failure] = [event for event in result.all_events if event.is_step_failure]
            user = failure.step_failure_data.user_failure_data
            assert user is not None
            raise AssertionError(user.description)
        [observed] = [e for e in result.all_events if e.event_type_value == "ASSET_OBSERVATION"]
        tags = observed.asset_observation_data.asset_observation.tags
        return str(tags["dagster/data_version"])


def test_version_follows_the_content(tmp_path: Path) -> None:
    """Equal content gives an equal version, even in a newer file; another content another one."""
    file = tmp_path / "orders.parquet"
    file.write_bytes(b"one")
    first = _observe(tmp_path, "'orders.parquet'")
    file.unlink()
    file.write_bytes(b"one")
    assert _observe(tmp_path, "'orders.parquet'") == first
    file.write_bytes(b"two")
    assert _observe(tmp_path, "'orders.parquet'") != first


def test_missing_file_names_source_and_place(tmp_path: Path) -> None:
    """A source without its file is an error that names the source, the path and the setting."""
    with pytest.raises(AssertionError, match=r"'raw.orders'.*no_such.csv.*MDS_RAW_DIR"):
        _observe(tmp_path, "read_csv('no_such.csv', header = true)")
