"""The main job on the sample, run as a user runs it, and looked at on the server."""

from pathlib import Path

import pytest

from tests.pipeline import ROOT, Workplace, held_by_sandbox, rows_in_duckdb

pytestmark = [pytest.mark.e2e, pytest.mark.dbt, pytest.mark.hyper]

MARTS = {
    "campaign_performance": "campaign_performance",
    "daily_sales": "Daily Sales",
    "dim_campaign": "dim_campaign",
    "dim_household": "dim_household",
    "dim_product": "dim_product",
    "fct_promotions": "fct_promotions",
    "fct_sales": "Sales",
    "household_segments": "household_segments",
    "weekly_office_sales": "Weekly Sales by Office",
}


def test_whole_job_twice(tmp_path: Path) -> None:
    """Run twice, the server holds every mart value for value, once, in its second revision."""
    place = Workplace.create(tmp_path / "with space", ROOT / "dbt_project")
    for force in ("", "true"):
        done = place.materialize(MDS_FORCE=force)
        assert done.returncode == 0, done.stderr[-3000:]
        assert "9 of 9 extracts arrived." in done.stderr
    held = held_by_sandbox(place.data, tmp_path / "scratch")
    assert set(held) == set(MARTS.values())
    assert {item.revision for item in held.values()} == {2}
    assert held["Daily Sales"].project == "Daily"
    assert held["Sales"].project == "Retail"
    for mart, datasource in MARTS.items():
        assert held[datasource].rows == rows_in_duckdb(
            place.data / "warehouse.duckdb", f"main.{mart}"
        ), mart
    assert ("sales_value", "NUMERIC(12, 2)") in held["Sales"].columns
    assert not list(place.folder.rglob("hyperd.log"))
    left = [path for path in place.data.rglob("*") if path.name.endswith(".tmp")]
    assert left == []
