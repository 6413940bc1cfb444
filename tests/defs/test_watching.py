"""Alerts and deadlines in the definitions of our own project, and of a team's."""

import os
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.freshness import CronFreshnessPolicy

from mds_tableau.pipeline import build_definitions, extract_definitions
from tests.pipeline import Workplace

pytestmark = pytest.mark.dbt


def _status(definitions: dg.Definitions) -> dict[str, bool]:
    return {
        sensor.name: sensor.default_status == dg.DefaultSensorStatus.RUNNING
        for sensor in definitions.sensors or ()
    }


def test_settings_make_sensors_and_policies(place: Workplace) -> None:
    """With both settings each datasource has a policy and both sensors are on; without, nothing."""
    definitions = build_definitions(place.settings())
    assert _status(definitions) == {"raw_files_changed": False}
    os.environ.update(MDS_DEADLINE="07:30 weekdays within 2h", MDS_NOTIFY="json://127.0.0.1:9")
    os.environ["MDS_TIMEZONE"] = "Europe/London"
    definitions = build_definitions(place.settings())
    assert _status(definitions) == {"raw_files_changed": False, "alerts": True, "deadlines": True}
    graph = definitions.resolve_asset_graph()
    policies = {
        key.to_user_string(): policy
        for key in graph.get_all_asset_keys()
        if (policy := graph.get(key).freshness_policy) is not None
    }
    assert {key.split("/")[0] for key in policies} == {"tableau"}
    assert len(policies) == sum(key.path[0] == "tableau" for key in graph.get_all_asset_keys())
    for policy in policies.values():
        assert isinstance(policy, CronFreshnessPolicy)
        assert (policy.deadline_cron, policy.timezone) == ("30 7 * * 1,2,3,4,5", "Europe/London")
        assert policy.lower_bound_delta.total_seconds() == 7200
    team = extract_definitions(
        place.project / "target" / "manifest.json", duckdb_path=Path("warehouse.duckdb")
    )
    assert _status(team) == {"alerts": True, "deadlines": True}
