"""Uploads run while the next extract is converted, and the publish only commits."""

from pathlib import Path

import dagster as dg
import pytest

from mds_tableau.pipeline import build_definitions
from mds_tableau.sandbox import Sandbox, SandboxConfig, faults
from tests.pipeline import ROOT, Workplace, execute, failures

pytestmark = [pytest.mark.e2e, pytest.mark.dbt, pytest.mark.hyper]


def test_uploads_begin_before_their_publish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file was sent before the first publish began, and each was sent once."""
    config = SandboxConfig(data_dir=tmp_path / "server", users={"ada": "a-password"})
    with Sandbox(config) as server:
        # strikes each time, does nothing, and is written down
        server.faults.add(faults.Delay(0.0), ["initiate_upload", "publish_datasource"])
        shop = Workplace.create(
            tmp_path / "shop",
            ROOT / "tests" / "projects" / "shop",
            MDS_MARTS="reporting",
            TABLEAU_SERVER=server.url,
            TABLEAU_USERNAME="ada",
            TABLEAU_PASSWORD="a-password",
        )
        # the client takes each file for a large one
        monkeypatch.setenv("TSC_FILESIZE_LIMIT_MB", "0")
        with dg.DagsterInstance.ephemeral() as instance:
            result = execute(build_definitions(shop.settings()), "*", instance)
            assert failures(result) == {}
            starts = [
                event.timestamp
                for event in instance.all_logs(result.run_id)
                if event.dagster_event
                and event.dagster_event.is_step_start
                and str(event.step_key).startswith("tableau__")
            ]
        applied = server.faults.applied
    uploads = [one.time for one in applied if one.operation == "initiate_upload"]
    publishes = [one for one in applied if one.operation == "publish_datasource"]
    assert len(starts) > 1
    assert len(uploads) == len(publishes) == len(starts)
    assert max(uploads) < max(starts)
    assert min(uploads) < min(starts)
