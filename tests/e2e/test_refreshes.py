"""What a refresh leaves of the datasource that analysts work with, run after run."""

from pathlib import Path

import dagster as dg
import pytest

from mds_tableau.pipeline import build_definitions
from tests.pipeline import ROOT, Workplace, execute, failures

pytestmark = [pytest.mark.e2e, pytest.mark.dbt, pytest.mark.hyper]


def _refresh(shop: Workplace) -> tuple[str, list[str]]:
    """Run the whole job; return how the mart `revenue` was published, and the log of the run."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = execute(build_definitions(shop.settings()), "*", instance)
        assert failures(result) == {}
        [made] = result.asset_materializations_for_node("tableau__revenue")
        entries = instance.all_logs(result.run_id)
    return str(made.metadata["mode"].value), [entry.user_message for entry in entries]


def test_data_is_replaced_until_the_columns_change(tmp_path: Path) -> None:
    """The first publish and one with other columns overwrite; others change the data only."""
    shop = Workplace.create(
        tmp_path / "shop", ROOT / "tests" / "projects" / "shop", MDS_MARTS="revenue"
    )
    assert _refresh(shop)[0] == "overwrite"
    mode, said = _refresh(shop)
    assert mode == "replace"
    # the core's own lines are in the log, each once
    assert len([line for line in said if "bytes uploaded" in line]) == 1
    model = shop.project / "models" / "reporting" / "revenue.sql"
    model.write_text(f"select *, 1 as added from ({model.read_text()})")
    assert _refresh(shop)[0] == "overwrite"
    yml = shop.project / "models" / "reporting" / "reporting.yml"
    yml.write_text(yml.read_text().replace("tableau:\n", "tableau:\n          mode: append\n", 1))
    with dg.DagsterInstance.ephemeral() as instance:
        result = execute(build_definitions(shop.settings()), "*", instance)
    [(step, text)] = failures(result).items()
    assert step == "tableau__revenue"
    assert "is not appended, because it holds the same" in text
